# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draining nodes: in which order, how long, and how it is undone; over a Server and a journal that note what they are asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.drain import ACTIVE, DRAINED, Drain, NodeRow, Outcome, choose
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import ServerNode, Task
from unit.octopus.conversation import Clock

ONE, TWO = (ServerNode(f"OctopusServerNodes-{name}", name, False, False, None, 0) for name in ("node-1", "node-2"))
DEPLOYMENT = Task("ServerTasks-7", "Deploy", "Deploy Web release 1.0.0 to Production", "Executing", None, None, None)


class Server:
    """Nodes whose tasks end when their time has come; ``story`` is what it was told, in order, together with its journal."""

    def __init__(self, clock: Clock, *nodes: ServerNode, ends: dict[str, float] | None = None, sees: Sequence[Task] = (DEPLOYMENT,)) -> None:
        self.clock, self.listed, self.ends, self.sees = clock, {node.id: node for node in nodes}, ends or {}, sees
        self.story: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.broken = ""

    def nodes(self) -> list[ServerNode]:
        self.meanwhile()
        return [replace(node, running_tasks=int(self.clock() < self.ends.get(node.name, 0.0))) for node in self.listed.values()]

    def set_draining(self, node: ServerNode, wanted: bool) -> None:
        order = f"{'drain' if wanted else 'release'} {node.name}"
        if order == self.broken:
            raise OctoError(f"Cannot {order}.")
        self.story.append(order)
        self.listed[node.id] = replace(self.listed[node.id], is_draining=wanted)

    def tasks_on(self, node: ServerNode) -> list[Task]:
        return list(self.sees)


class Notes:
    def __init__(self, server: Server, *names: str, writable: bool = True) -> None:
        self.story, self.noted, self.writable = server.story, list(names), writable

    def names(self) -> list[str]:
        return list(self.noted)

    def put(self, names: Sequence[str]) -> None:
        if not self.writable:
            raise OctoError("The store could not be written.")
        self.story.append(f"note {' '.join(names)}")
        self.noted += names

    def drop(self, names: Sequence[str]) -> None:
        self.story.append(f"forget {' '.join(names)}")
        self.noted = [name for name in self.noted if name not in names]


def drain_of(server: Server, notes: Notes | None = None) -> Drain:
    return Drain(server, server.clock, server.clock.sleep, notes)  # type: ignore[arg-type]


def draining(node: ServerNode) -> ServerNode:
    return replace(node, is_draining=True)


def test_the_note_comes_before_the_order_and_goes_after_the_way_back() -> None:
    server = Server(Clock(), ONE)
    notes = Notes(server)
    done = drain_of(server, notes).drained([ONE], 600)
    assert (done.changed, done.rows) == (True, [NodeRow(ONE.id, "node-1", False, True, 0)])
    back = drain_of(server, notes).active(server.nodes())
    assert (back.changed, back.rows) == (True, [NodeRow(ONE.id, "node-1", True, False, 0)])
    assert server.story == ["note node-1", "drain node-1", "release node-1", "forget node-1"]
    assert notes.noted == []


def test_running_tasks_are_waited_for() -> None:
    clock = Clock()
    server = Server(clock, ONE, ends={"node-1": clock() + 12})
    done = drain_of(server).drained([ONE], 600)
    assert clock.slept == [5.0, 5.0, 5.0, 1.0]
    assert (done.waited, done.rows[0].running_tasks) == (16.0, 0)


@pytest.mark.parametrize(("waited", "again"), [(0.0, False), (1.0, False), (5.0, False), (5.1, True), (600.0, True)])
def test_after_a_long_wait_what_was_seen_before_it_is_judged_again(waited: float, again: bool) -> None:
    assert Outcome([], waited).judge_again is again


def test_a_task_that_was_taken_at_the_last_moment_is_waited_for() -> None:
    clock = Clock()
    server = Server(clock, ONE)
    looks = iter(range(9))

    def meanwhile() -> None:
        if next(looks) == 1:
            server.ends["node-1"] = clock() + 3

    server.meanwhile = meanwhile
    assert drain_of(server).drained([ONE], 600).rows[0].running_tasks == 0
    assert clock.slept == [1.0, 5.0]


def test_when_the_time_is_over_the_task_is_named_and_the_node_is_active_again() -> None:
    clock = Clock()
    server = Server(clock, ONE, ends={"node-1": clock() + 3600})
    notes = Notes(server)
    with pytest.raises(OctoError) as caught:
        drain_of(server, notes).drained([ONE], 600)
    assert caught.value.message == (
        "node-1 still runs ServerTasks-7 (Deploy Web release 1.0.0 to Production), after 600 s of draining. Active again: node-1."
        " Nothing was restarted. Run again when that has ended, or wait longer for it."
    )
    assert sum(clock.slept) == 600
    assert server.story == ["note node-1", "drain node-1", "release node-1", "forget node-1"]


def test_a_wait_of_nothing_looks_once() -> None:
    clock = Clock()
    server = Server(clock, ONE, ends={"node-1": clock() + 3600}, sees=())
    with pytest.raises(OctoError, match="node-1 still runs 1 that this API key does not see, after 0 s of draining"):
        drain_of(server).drained([ONE], 0)
    assert clock.slept == []


def test_a_node_that_cannot_be_released_is_left_to_the_journal() -> None:
    clock = Clock()
    server = Server(clock, ONE, ends={"node-1": clock() + 3600})
    notes, server.broken = Notes(server), "release node-1"
    with pytest.raises(OctoError, match=r"could not be made active again, and still drains\. Cannot release node-1\."):
        drain_of(server, notes).drained([ONE], 5)
    assert notes.noted == ["node-1"]


def test_who_drains_already_is_waited_for_and_stays_as_it_is() -> None:
    clock = Clock()
    server = Server(clock, draining(ONE), ends={"node-1": clock() + 8})
    notes = Notes(server)
    assert not drain_of(server, notes).drained([draining(ONE)], 600).changed
    assert not drain_of(server, notes).active([draining(ONE)]).changed
    server.ends["node-1"] = clock() + 3600
    with pytest.raises(OctoError, match=r"It was draining before, and still is\."):
        drain_of(server, notes).drained([draining(ONE)], 10)
    assert (server.story, server.listed[ONE.id].is_draining) == ([], True)


def test_without_a_note_nothing_is_drained() -> None:
    server = Server(Clock(), ONE)
    with pytest.raises(OctoError, match="could not be written"):
        drain_of(server, Notes(server, writable=False)).drained([ONE], 600)
    assert server.story == []


def test_somebody_who_makes_it_active_meanwhile_is_not_restarted_upon() -> None:
    server = Server(Clock(), ONE)
    notes = Notes(server)
    server.meanwhile = lambda: server.listed.update({ONE.id: ONE})
    with pytest.raises(OctoError, match="node-1 was made active by somebody else"):
        drain_of(server, notes).drained([ONE], 600)


def test_only_what_is_noted_is_made_active_of_all() -> None:
    server = Server(Clock(), draining(ONE), draining(TWO))
    notes = Notes(server, "node-2", "gone")
    done = drain_of(server, notes).active(server.nodes())
    assert [row.is_draining for row in done.rows] == [True, False]
    assert server.story == ["release node-2", "forget node-2"]


def test_without_a_journal_everybody_is_made_active() -> None:
    server = Server(Clock(), draining(ONE), draining(TWO))
    assert drain_of(server).active(server.nodes()).changed
    assert server.story == ["release node-1", "release node-2"]


def test_check_mode_says_what_would_be() -> None:
    server = Server(Clock(), ONE, draining(TWO))
    notes = Notes(server, "node-1")
    assert [row.is_draining for row in drain_of(server, notes).expected(server.nodes(), DRAINED).rows] == [True, True]
    assert [row.is_draining for row in drain_of(server, notes).expected(server.nodes(), ACTIVE).rows] == [False, True]
    assert (server.story, server.clock.slept) == ([], [])


def test_which_node_is_meant() -> None:
    assert choose([ONE], None) == [ONE]
    assert choose([ONE, TWO], "node-2") == [TWO]
    assert choose([ONE, TWO], "*") == [ONE, TWO]
    with pytest.raises(OctoError, match=r"has node-1, node-2\. Say which node is meant"):
        choose([ONE, TWO], None)
    with pytest.raises(OctoError, match="knows no node node-3; it knows node-1, node-2"):
        choose([ONE, TWO], "node-3")
