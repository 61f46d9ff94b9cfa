# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""A health check that is believed machine by machine, never by the colour of its task (decisions 17, hazards 20, 21, 30)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import GREEN, MachineRecord, Space, Task


class Limits(NamedTuple):
    """``machine_timeout`` is the Server's patience with one machine; a polling one may need two minutes to call again (2.5)."""

    machine_timeout: float = 300.0
    poll: float = 5.0  # 3.1: not below 4 s against a rate limited Server
    batch: int = 100
    attempts: int = 2
    queue: float = 120.0  # picked up within about 20 s, later when every task slot of the nodes is taken (3.7)
    at_once: int = 10  # machines that the Server checks side by side


@dataclass(frozen=True)
class HealthRow:
    id: str
    name: str
    space: str
    kind: str
    health_status: str
    healthy: Optional[bool]  # None: not judged, because the Server never checks it
    checked: bool  # a contact that is newer than the task's start
    sentence: str


@dataclass(frozen=True)
class TaskEnd:
    """How a task ended for us; ``overdue`` when we stopped waiting for it."""

    task: Task
    space: str
    machines: int
    overdue: bool = False


@dataclass
class _Lane:
    """The batches of one space: one task at a time, so that a rotation never fills the task slots of the nodes."""

    space: Space
    batches: List[List[MachineRecord]]
    running: Optional[Task] = None
    batch: List[MachineRecord] = field(default_factory=list)
    give_up: float = 0.0


class HealthCheck:
    def __init__(self, client: OctopusClient, clock: Callable[[], float], sleep: Callable[[float], None], limits: Limits = Limits()) -> None:  # noqa: B008
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._limits = limits
        self.tasks: List[TaskEnd] = []

    def check(self, spaces: Iterable[Space], machines: Sequence[MachineRecord]) -> List[HealthRow]:
        """One row for each of ``machines``, in their order."""
        by_id = {space.id: space for space in spaces}
        rows = {_key(one): disabled_row(one) for one in machines if one.is_disabled}
        waiting = [one for one in machines if not one.is_disabled]
        for _attempt in range(self._limits.attempts):
            if not waiting:
                break
            ends = self._tasks_of(by_id, waiting)
            rows.update((_key(one), self._judge(one, ends[_key(one)])) for one in waiting)
            waiting = [one for one in waiting if not rows[_key(one)].healthy]
        return [rows[_key(one)] for one in machines]

    def _tasks_of(self, spaces: Dict[str, Space], machines: Sequence[MachineRecord]) -> Dict[Tuple[str, str], TaskEnd]:
        lanes = [_Lane(space, _batches([one for one in machines if one.space_id == space.id], self._limits.batch)) for space in spaces.values()]
        for lane in lanes:
            if lane.batches and lane.space.queue_stopped:
                raise OctoError(
                    f"The task queue of space {lane.space.name} is stopped: a health check would wait for ever. Start it, then run again."
                )
        ends: Dict[Tuple[str, str], TaskEnd] = {}
        while True:
            for lane in lanes:
                self._start_next(lane)
            if not any(lane.running for lane in lanes):
                return ends
            self._sleep(self._limits.poll)
            for lane in lanes:
                ends.update(self._look(lane))

    def _start_next(self, lane: _Lane) -> None:
        if lane.running is not None or not lane.batches:
            return
        lane.batch = lane.batches.pop(0)
        timeout = self._limits.machine_timeout * (1 + math.ceil(len(lane.batch) / self._limits.at_once))
        lane.give_up = self._clock() + timeout + self._limits.queue
        described = f"Check the health of {len(lane.batch)} machines (octofleet.octopus)"
        lane.running = self._client.start_health_check(lane.space, [one.id for one in lane.batch], described, timeout, self._limits.machine_timeout)

    def _look(self, lane: _Lane) -> Dict[Tuple[str, str], TaskEnd]:
        """The ends of a lane's machines once its task has ended or is overdue."""
        if lane.running is None:
            return {}
        task = self._client.task(lane.running.id)
        overdue = not task.finished and self._clock() > lane.give_up
        if not task.finished and not overdue:
            return {}
        if overdue:
            self._client.cancel(task.id)
        end = TaskEnd(task, lane.space.name, len(lane.batch), overdue)
        self.tasks.append(end)
        lane.running = None
        return {_key(one): end for one in lane.batch}

    def _judge(self, record: MachineRecord, end: TaskEnd) -> HealthRow:
        try:
            now = self._client.machine(record)
            last = self._client.connection(record).last_checked
        except OctoError as error:
            if error.evidence.get("status") != 404:
                raise
            return _row(record, False, False, "Its record was deleted while it was checked.")
        started = end.task.start_time
        fresh = last is not None and started is not None and last >= started
        if now.is_disabled:
            return disabled_row(now)
        if not fresh:
            return _row(now, False, False, _left_out(now, end, None if last is None else last.isoformat()))
        if now.health_status not in GREEN:
            return _row(now, False, True, f"{now.health_status}: {_summary(now)}")
        return _row(now, True, True, "Healthy." if now.health_status == GREEN[0] else f"Healthy with warnings: {_summary(now)}")


def choose(machines: Sequence[MachineRecord], wanted: Optional[Sequence[str]]) -> List[MachineRecord]:
    """The records that ``wanted`` names (name or id, letter case ignored, in every space); without it, all that have a Tentacle."""
    if wanted is None:
        return [one for one in machines if one.has_tentacle]
    words = {word.strip().lower() for word in wanted}
    known = {word for one in machines for word in (one.id.lower(), one.name.lower())}
    missing = sorted(words - known)
    if missing:
        names = ", ".join(missing)
        raise OctoError(f"No machine of the chosen spaces is called {names}. Correct the name, or add its space.", missing_machines=missing)
    return [one for one in machines if one.id.lower() in words or one.name.lower() in words]


def disabled_row(record: MachineRecord) -> HealthRow:
    return _row(record, None, False, "Disabled: the Server never checks it.")


def expected_row(record: MachineRecord) -> HealthRow:
    """What check mode says of a machine: nothing was asked of the Server."""
    return disabled_row(record) if record.is_disabled else _row(record, None, False, "Would be checked.")


def verdict(rows: Sequence[HealthRow]) -> Optional[str]:
    """The sentence of a check that is not green, or None."""
    bad = [row for row in rows if row.healthy is False]
    if not bad:
        return None
    named = "; ".join(f"{row.name} in {row.space}: {row.sentence}" for row in bad[:10])
    more = f"; and {len(bad) - 10} more, see `machines`" if len(bad) > 10 else ""
    judged = sum(row.healthy is not None for row in rows)
    return f"{len(bad)} of {judged} machines are not healthy. {named}{more}"


def _key(record: MachineRecord) -> Tuple[str, str]:
    return record.space_id, record.id


def _row(record: MachineRecord, healthy: Optional[bool], checked: bool, sentence: str) -> HealthRow:
    return HealthRow(record.id, record.name, record.space, record.kind, record.health_status, healthy, checked, sentence)


def _summary(record: MachineRecord) -> str:
    return record.status_summary or "the Server gives no reason."


def _left_out(record: MachineRecord, end: TaskEnd, last: Optional[str]) -> str:
    if end.overdue:
        return f"Not checked: the task {end.task.id} was still {end.task.state} after its time and was cancelled. {_summary(record)}"
    contact = f"last contact {last}" if last else "no contact yet"
    why = end.task.error_message or "its machine policy may let it be skipped"
    ended = f"the task {end.task.id} ended {end.task.state}"
    return f"Not checked: {ended}, but the Server did not reach it in that time ({contact}; {why}). {_summary(record)}"


def _batches(machines: List[MachineRecord], size: int) -> List[List[MachineRecord]]:
    return [machines[start : start + size] for start in range(0, len(machines), size)]
