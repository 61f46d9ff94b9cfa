# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Nodes that take no new tasks: drained, so that a restart kills nothing, and made active again (octopus-server.md 3.2, hazard 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, List, NamedTuple, Optional, Protocol, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import ServerNode

ALL = "*"
DRAINED, ACTIVE = "drained", "active"
_POLL = 5.0  # seconds; 3.1: not below 4 s against a rate limited Server
_SETTLE = 1.0
_STAYS_TRUE = 5.0  # seconds for which what a gate saw before is still worth a restart
_NAMED = 5


class Journal(Protocol):
    """Which nodes a task of ours drains, for whoever comes after one that was killed: a courtesy, never evidence (decisions 7)."""

    def names(self) -> List[str]:
        """The nodes that are noted."""

    def put(self, names: Sequence[str]) -> None:
        """Note nodes."""

    def drop(self, names: Sequence[str]) -> None:
        """Forget nodes."""


@dataclass(frozen=True)
class NodeRow:
    id: str
    name: str
    was_draining: bool
    is_draining: bool
    running_tasks: int


class Outcome(NamedTuple):
    rows: List[NodeRow]
    waited: float  # seconds

    @property
    def changed(self) -> bool:
        return any(row.was_draining != row.is_draining for row in self.rows)

    @property
    def judge_again(self) -> bool:
        """Whether what was seen before the wait is old by now (decisions 8)."""
        return self.waited > _STAYS_TRUE


class Drain:
    """With a ``journal``, only a node that is noted there is made active again: one that somebody else drains stays as it is."""

    def __init__(self, client: OctopusClient, clock: Callable[[], float], sleep: Callable[[float], None], journal: Optional[Journal] = None) -> None:
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._journal = journal

    def expected(self, nodes: Sequence[ServerNode], state: str) -> Outcome:
        """What check mode says; nothing is asked for but the journal."""
        ours = [node.id for node in (nodes if state == DRAINED else self._ours(nodes))]
        return Outcome([_row(node, node, state == DRAINED if node.id in ours else node.is_draining) for node in nodes], 0.0)

    def drained(self, nodes: Sequence[ServerNode], wait: float) -> Outcome:
        """Told to take no new tasks, and without any; OctoError when some are left after ``wait`` seconds."""
        told = [node for node in nodes if not node.is_draining]
        begun = self._clock()
        if told and self._journal is not None:
            self._journal.put([node.name for node in told])  # first: a node that drains without a note would do so for ever
        for node in told:
            self._client.set_draining(node, True)
        now = self._idle(nodes, begun + wait, fresh=bool(told))
        waited = self._clock() - begun
        busy = [node for node in now if node.running_tasks]
        if busy:
            raise OctoError(self._still_busy(busy, told, wait), nodes=[node.name for node in busy])
        active = [node.name for node in now if not node.is_draining]
        if active:
            raise OctoError(f"{', '.join(active)} was made active by somebody else while running tasks were waited for. Find out who, and run again.")
        return Outcome([_row(before, after, True) for before, after in zip(nodes, now)], waited)

    def active(self, nodes: Sequence[ServerNode]) -> Outcome:
        ours = self._ours(nodes)
        self._release(ours)
        return Outcome([_row(node, node, node.is_draining and node not in ours) for node in nodes], 0.0)

    def _ours(self, nodes: Sequence[ServerNode]) -> List[ServerNode]:
        if self._journal is None:
            return list(nodes)
        noted = self._journal.names()
        return [node for node in nodes if node.name in noted]

    def _release(self, nodes: Sequence[ServerNode]) -> None:
        for node in nodes:
            self._client.set_draining(node, False)
        if nodes and self._journal is not None:
            self._journal.drop([node.name for node in nodes])

    def _idle(self, nodes: Sequence[ServerNode], give_up: float, fresh: bool) -> List[ServerNode]:
        """The nodes when none runs a task any more, or when the time is over, in their order."""
        while True:
            listed = {node.id: node for node in self._client.nodes()}
            now = [listed.get(node.id, node) for node in nodes]
            left = give_up - self._clock()
            if any(node.running_tasks for node in now):
                if left <= 0:
                    return now
                self._sleep(min(_POLL, left))
            elif fresh:
                # A node may have been taking a task at the very moment in which it was told.
                self._sleep(_SETTLE)
                fresh = False
            else:
                return now

    def _still_busy(self, busy: Sequence[ServerNode], told: Sequence[ServerNode], wait: float) -> str:
        """The sentence of a wait that is over, when what this call did is undone."""
        running = "; ".join(f"{node.name} still runs {self._tasks_of(node)}" for node in busy)
        try:
            self._release(told)
            left = f"Active again: {', '.join(node.name for node in told)}. " if told else "It was draining before, and still is. "
        except OctoError as error:
            left = f"It could not be made active again, and still drains. {error.message} "
        return f"{running}, after {wait:.0f} s of draining. {left}Nothing was restarted. Run again when that has ended, or wait longer for it."

    def _tasks_of(self, node: ServerNode) -> str:
        """The node's count is the authority: the key may not see every task."""
        tasks = self._client.tasks_on(node)
        named = ", ".join(f"{task.id} ({task.description or task.name})" for task in tasks[:_NAMED])
        more = node.running_tasks - min(len(tasks), _NAMED)
        unseen = f"{more} more" if named else f"{more} that this API key does not see"
        return " and ".join(part for part in (named, unseen if more > 0 else "") if part)


def choose(nodes: Sequence[ServerNode], name: Optional[str]) -> List[ServerNode]:
    """The node of that name, all of them, or without a name the only one."""
    known = ", ".join(node.name for node in nodes) or "no node at all"
    if name == ALL:
        return list(nodes)
    if name is None and len(nodes) != 1:
        raise OctoError(f"The Octopus Server has {known}. Say which node is meant, with name.")
    found = [node for node in nodes if name in (None, node.name)]
    if not found:
        raise OctoError(f"The Octopus Server knows no node {name}; it knows {known}. Correct the name.")
    return found


def _row(before: ServerNode, now: ServerNode, is_draining: bool) -> NodeRow:
    return NodeRow(before.id, before.name, before.is_draining, is_draining, now.running_tasks)
