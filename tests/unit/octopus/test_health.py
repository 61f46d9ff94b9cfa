# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health check: a green task is not believed, each machine is asked for a contact newer than the task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus import records
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.health import HealthCheck, HealthRow, Limits, choose, expected_row, verdict
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import MachineRecord, Space
from unit.octopus.conversation import Clock, Conversation, Turn, client_of, get, machine, turn

DEFAULT = Space("Spaces-1", "Default", True, False)
FINANCE = Space("Spaces-2", "Finance", False, False)
STARTED, BEFORE, AFTER = "2026-06-01T09:00:00+00:00", "2026-06-01T08:59:59.9+00:00", "2026-06-01T09:00:01+00:00"
ONE_TRY = Limits(attempts=1)


def record(identity: str = "Machines-1", name: str = "web-01", space: Space = DEFAULT, **changed: Any) -> MachineRecord:
    return records.machine(machine(identity, name, **changed), records.TARGET, space)


def started(space: str, ids: Sequence[str], task: str, timeout: str = "00:10:00") -> Turn:
    body = {
        "SpaceId": space,
        "Name": "Health",
        "Description": f"Check the health of {len(ids)} machines (octofleet.octopus)",
        "Arguments": {"Timeout": timeout, "MachineTimeout": "00:05:00", "MachineIds": list(ids)},
    }
    return turn("POST", f"/api/{space}/tasks", {"Id": task, "State": "Queued"}, status=201, body=body)


def state(task: str, state: str, **more: Any) -> Turn:
    return get(f"/api/tasks/{task}", {"Id": task, "State": state, "StartTime": STARTED, **more})


def seen(identity: str, last: str | None, space: str = "Spaces-1", **changed: Any) -> list[Turn]:
    """The two questions of a judgement."""
    route = f"/api/{space}/machines/{identity}"
    return [get(route, machine(identity, **changed)), get(f"{route}/connection", {"MachineId": identity, "LastChecked": last})]


def run(turns: Sequence[Turn], machines: Sequence[MachineRecord], limits: Limits = ONE_TRY, spaces: Sequence[Space] = (DEFAULT,)) -> list[HealthRow]:
    clock, talk = Clock(), Conversation(*turns)
    rows = HealthCheck(client_of(talk, clock), clock, clock.sleep, limits).check(spaces, machines)
    assert talk.finished()
    assert all(pause >= 4 for pause in clock.slept)
    return rows


def test_a_machine_is_healthy_when_the_server_reached_it_after_the_task_began() -> None:
    turns = [started("Spaces-1", ["Machines-1"], "ServerTasks-1"), state("ServerTasks-1", "Queued"), state("ServerTasks-1", "Success")]
    (row,) = run([*turns, *seen("Machines-1", AFTER)], [record()])
    assert row == HealthRow("Machines-1", "web-01", "Default", "target", "Healthy", True, True, "Healthy.")
    assert verdict([row]) is None


@pytest.mark.parametrize("last", [BEFORE, None, "Monday"])
def test_a_green_task_that_left_a_machine_out_is_not_green(last: str | None) -> None:
    turns = [started("Spaces-1", ["Machines-1"], "ServerTasks-1"), state("ServerTasks-1", "Success")]
    (row,) = run([*turns, *seen("Machines-1", last)], [record()])
    assert (row.healthy, row.checked) == (False, False)
    assert "ServerTasks-1 ended Success, but the Server did not reach it" in row.sentence
    assert "1 of 1 machines are not healthy. web-01 in Default: Not checked" in str(verdict([row]))


@pytest.mark.parametrize(
    ("status", "healthy"), [("Healthy", True), ("HasWarnings", True), ("Unhealthy", False), ("Unavailable", False), ("Unknown", False)]
)
def test_only_green_states_are_green_even_when_the_task_failed(status: str, healthy: bool) -> None:
    turns = [started("Spaces-1", ["Machines-1"], "ServerTasks-1"), state("ServerTasks-1", "Failed")]
    (row,) = run([*turns, *seen("Machines-1", AFTER, HealthStatus=status, StatusSummary="It is so.")], [record()])
    assert (row.healthy, row.checked, row.health_status) == (healthy, True, status)
    assert status == "Healthy" or "It is so." in row.sentence


def test_disabled_machines_are_not_asked_for_and_not_judged() -> None:
    turns = [started("Spaces-1", ["Machines-2"], "ServerTasks-1"), state("ServerTasks-1", "Success"), *seen("Machines-2", AFTER)]
    off, on = run(turns, [record(IsDisabled=True), record("Machines-2")])
    assert (off.healthy, off.checked, off.sentence) == (None, False, "Disabled: the Server never checks it.")
    assert on.healthy
    assert verdict([off, on]) is None
    assert run([], [record(IsDisabled=True)])[0].healthy is None


def test_one_task_at_a_time_for_each_space_in_batches_with_a_timeout_from_their_number() -> None:
    home = [record(f"Machines-{number}") for number in (1, 2, 3)]
    away = [record("Machines-9", space=FINANCE)]
    turns = [
        started("Spaces-1", ["Machines-1", "Machines-2"], "ServerTasks-1", "00:15:00"),
        started("Spaces-2", ["Machines-9"], "ServerTasks-2"),
        state("ServerTasks-1", "Success"),
        state("ServerTasks-2", "Executing"),
        started("Spaces-1", ["Machines-3"], "ServerTasks-3"),
        state("ServerTasks-3", "Success"),
        state("ServerTasks-2", "Success"),
    ]
    for identity, space in (("Machines-1", "Spaces-1"), ("Machines-2", "Spaces-1"), ("Machines-3", "Spaces-1"), ("Machines-9", "Spaces-2")):
        turns += seen(identity, AFTER, space)
    rows = run(turns, home + away, Limits(batch=2, at_once=1, machine_timeout=300, attempts=1), [DEFAULT, FINANCE])
    assert [(row.id, row.space, row.healthy) for row in rows] == [
        ("Machines-1", "Default", True),
        ("Machines-2", "Default", True),
        ("Machines-3", "Default", True),
        ("Machines-9", "Finance", True),
    ]


def test_who_is_not_green_is_asked_once_more_alone() -> None:
    turns = [
        started("Spaces-1", ["Machines-1", "Machines-2"], "ServerTasks-1"),
        state("ServerTasks-1", "Failed"),
        *seen("Machines-1", AFTER),
        *seen("Machines-2", AFTER, HealthStatus="Unavailable"),
        started("Spaces-1", ["Machines-2"], "ServerTasks-2"),
        state("ServerTasks-2", "Success"),
        *seen("Machines-2", AFTER),
    ]
    rows = run(turns, [record("Machines-1"), record("Machines-2")], Limits(attempts=2))
    assert [row.healthy for row in rows] == [True, True]


def test_a_task_that_never_ends_is_cancelled() -> None:
    limits = Limits(machine_timeout=4, poll=4, queue=4, attempts=1)
    clock = Clock()
    start = turn("POST", "/api/Spaces-1/tasks", {"Id": "ServerTasks-1", "State": "Queued"}, status=201)
    waiting = [get("/api/tasks/ServerTasks-1", {"Id": "ServerTasks-1", "State": "Queued"})] * 4
    talk = Conversation(start, *waiting, turn("POST", "/api/tasks/ServerTasks-1/cancel", {}), *seen("Machines-1", AFTER))
    check = HealthCheck(client_of(talk, clock), clock, clock.sleep, limits)
    (row,) = check.check([DEFAULT], [record()])
    assert talk.finished()
    assert (row.healthy, row.checked) == (False, False)
    assert "still Queued after its time and was cancelled" in row.sentence
    assert [(end.task.id, end.machines, end.overdue) for end in check.tasks] == [("ServerTasks-1", 1, True)]


def test_a_record_that_is_deleted_meanwhile_is_not_green() -> None:
    turns = [started("Spaces-1", ["Machines-1"], "ServerTasks-1"), state("ServerTasks-1", "Success")]
    (row,) = run([*turns, get("/api/Spaces-1/machines/Machines-1", {"ErrorMessage": "gone"}, status=404)], [record()])
    assert (row.healthy, row.sentence) == (False, "Its record was deleted while it was checked.")


def test_a_record_that_is_disabled_meanwhile_is_not_judged() -> None:
    turns = [started("Spaces-1", ["Machines-1"], "ServerTasks-1"), state("ServerTasks-1", "Success")]
    (row,) = run([*turns, *seen("Machines-1", BEFORE, IsDisabled=True)], [record()])
    assert row.healthy is None


def test_a_stopped_queue_is_named_before_anything_is_queued() -> None:
    with pytest.raises(OctoError, match="task queue of space Default is stopped"):
        run([], [record()], spaces=[Space("Spaces-1", "Default", True, True)])


def test_machines_are_chosen_by_name_or_id_and_without_names_all_tentacles() -> None:
    ssh = record("Machines-2", "ssh-01", Endpoint={"CommunicationStyle": "Ssh"})
    fleet = [record(), ssh, record("Machines-9", "WEB-01", FINANCE)]
    assert [one.id for one in choose(fleet, None)] == ["Machines-1", "Machines-9"]
    assert [one.id for one in choose(fleet, ["web-01"])] == ["Machines-1", "Machines-9"]
    assert [one.id for one in choose(fleet, ["machines-2"])] == ["Machines-2"]
    with pytest.raises(OctoError, match="is called web-02"):
        choose(fleet, ["web-01", "web-02"])


def test_check_mode_names_who_would_be_checked() -> None:
    assert expected_row(record()).sentence == "Would be checked."
    assert expected_row(record(IsDisabled=True)).sentence.startswith("Disabled")


def test_a_long_list_is_cut_in_the_sentence_only() -> None:
    rows = [HealthRow(f"Machines-{n}", f"web-{n:02}", "Default", "target", "Unavailable", False, True, "Unavailable: x") for n in range(12)]
    sentence = str(verdict(rows))
    assert sentence.startswith("12 of 12 machines are not healthy. web-00 in Default")
    assert sentence.endswith("; and 2 more, see `machines`")
