# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes of the stand-in Server: what they load, what they present, and health checks that really connect."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.server.node import Node
from lab.server.tasks import KILLED, Tasks
from lab.waiting import until
from lab.wire.caller import call
from lab.wire.certificates import to_pfx
from lab.wire.limits import Limits
from lab.wire.listener import Listener
from lab.wire.poller import Poller, PollingEntry
from unit.lab.server_trial import NEW, OLD, STRANGER, TENTACLE, Trial

Tentacle = Callable[[Collection[str]], str]
PROGRAM = Path(__file__).parents[2] / "lab" / "bin" / "Octopus.Server"


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path, "node-1", "node-2")
    yield made
    made.close()


@pytest.fixture
def tentacle() -> Iterator[Tentacle]:
    """Starts a listening Tentacle that trusts the given thumbprints, and gives its Uri."""
    listeners: list[Listener] = []

    def start(trusted: Collection[str]) -> str:
        listeners.append(Listener("127.0.0.1", 0, TENTACLE, trusted, limits=Limits.scaled(0.001)))
        listeners[-1].start()
        return f"https://127.0.0.1:{listeners[-1].port}/"

    yield start
    for each in listeners:
        each.stop()


def presented(node: Node) -> str | None:
    return call("127.0.0.1", node.comms_port, TENTACLE, OLD.thumbprint, rpc=False, tries=1).presented


def endpoint(uri: str, thumbprint: str = TENTACLE.thumbprint, style: str = "TentaclePassive") -> dict[str, Any]:
    return {"CommunicationStyle": style, "Uri": uri, "Thumbprint": thumbprint}


def check(trial: Trial, *machines: dict[str, Any], **arguments: object) -> dict[str, Any]:
    """A health check from its request to its final state."""
    ids = [machine["Id"] for machine in machines]
    body = {
        "SpaceId": "Spaces-1",
        "Name": "Health",
        "Description": "Check",
        "Arguments": {"MachineIds": ids, "MachineTimeout": "00:00:05", **arguments},
    }
    created = trial.ask("/api/Spaces-1/tasks", "POST", body)
    assert (created.status, created.body["State"]) == (201, "Queued")
    path = f"/api/tasks/{created.body['Id']}"
    until(lambda: trial.ask(path).body["IsCompleted"], what="the health check to end")
    return trial.ask(path).body  # type: ignore[no-any-return]


def test_a_node_presents_what_it_loaded_until_its_restart(trial: Trial) -> None:
    trial.database.put_machine("Default", {"Name": "web", "Endpoint": endpoint("https://127.0.0.1:1/")})
    first = trial.start("node-1")
    pfx = trial.folder / "new.pfx"
    pfx.write_bytes(to_pfx(NEW, "secret"))
    assert trial.cli("import-certificate", f"--from-file={pfx}", "--pw=secret", instance="node-2").code == 0
    second = trial.start("node-2")
    assert (presented(first), presented(second)) == (OLD.thumbprint, NEW.thumbprint)
    assert [(node.name, node.loaded) for node in trial.database.nodes()] == [("node-1", OLD.thumbprint), ("node-2", NEW.thumbprint)]
    trial.stop("node-1")
    assert presented(trial.start("node-1")) == NEW.thumbprint


def test_port_10943_lets_in_the_tentacles_of_all_records(trial: Trial) -> None:
    node = trial.start()

    def accepted() -> bool:
        return call("127.0.0.1", node.comms_port, TENTACLE, OLD.thumbprint, rpc=False, tries=1).ok

    assert not accepted()
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": endpoint("https://127.0.0.1:1/"), "IsDisabled": True})
    assert accepted()
    trial.database.delete(machine["Id"])
    assert not accepted()


@pytest.mark.parametrize(
    ("trusted", "record", "expected"),
    [
        ((OLD.thumbprint,), TENTACLE.thumbprint, ("Success", "Healthy")),
        ((NEW.thumbprint,), TENTACLE.thumbprint, ("Failed", "Unavailable")),
        ((OLD.thumbprint,), STRANGER.thumbprint, ("Failed", "Unavailable")),
        ((OLD.thumbprint,), TENTACLE.thumbprint.lower(), ("Failed", "Unavailable")),
    ],
    ids=["both trust", "the Tentacle does not trust", "the record pins another", "the record pins in lower case"],
)
def test_a_health_check_is_green_when_both_sides_trust(
    trial: Trial, tentacle: Tentacle, trusted: tuple[str, ...], record: str, expected: tuple[str, str]
) -> None:
    trial.start()
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": endpoint(tentacle(trusted), record)})
    task = check(trial, machine)
    shown = trial.ask(f"/api/machines/{machine['Id']}").body
    assert (task["State"], shown["HealthStatus"]) == expected
    assert task["FinishedSuccessfully"] is (expected[0] == "Success")
    connection = trial.ask(f"/api/machines/{machine['Id']}/connection").body
    assert connection["Status"] == ("Online" if expected[1] == "Healthy" else "Offline")
    log = trial.ask(f"/api/tasks/{task['Id']}/details").body["ActivityLogs"][0]["Children"][0]["LogElements"][0]["MessageText"]
    assert connection["Logs"][0]["MessageText"] == log
    assert b"web ==" in trial.ask(f"/api/tasks/{task['Id']}/raw").body


def test_a_health_check_uses_the_loaded_certificate_and_not_the_databases(trial: Trial, tentacle: Tentacle) -> None:
    trial.start()
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": endpoint(tentacle((NEW.thumbprint,)))})
    trial.database.install_certificate(NEW)
    assert check(trial, machine)["State"] == "Failed"
    trial.stop()
    trial.start()
    assert check(trial, machine)["State"] == "Success"


def test_a_polling_tentacle_is_asked_through_its_queue(trial: Trial) -> None:
    node = trial.start()
    machine = trial.database.put_machine("Default", {"Name": "poller", "Endpoint": endpoint("poll://abcdefghijklmnopqrst/", style="TentacleActive")})
    poller = Poller(PollingEntry(f"https://127.0.0.1:{node.comms_port}", OLD.thumbprint, "poll://abcdefghijklmnopqrst/"), TENTACLE, time_scale=0.001)
    unanswered = trial.ask("/lab/ask?subscription=poll://abcdefghijklmnopqrst/&seconds=0.01").body
    assert "did not collect the request within the allowed time" in unanswered["Error"]
    poller.start()
    assert check(trial, machine)["State"] == "Success"
    assert trial.ask("/lab/ask?subscription=poll://abcdefghijklmnopqrst/").body == {"Ok": True, "Error": None, "Loaded": OLD.thumbprint}
    poller.stop()


def test_skipped_and_disabled_machines_leave_a_green_task(trial: Trial, tentacle: Tentacle) -> None:
    trial.start()
    skipping = {"Name": "Skip", "MachineConnectivityPolicy": {"MachineConnectivityBehavior": "MayBeOfflineAndCanBeSkipped"}}
    policy = trial.database.put_policy("Default", skipping)
    away = trial.database.put_machine("Default", {"Name": "away", "Endpoint": endpoint(tentacle(())), "MachinePolicyId": policy["Id"]})
    off = trial.database.put_machine("Default", {"Name": "off", "Endpoint": endpoint(tentacle(())), "IsDisabled": True})
    task = check(trial, away, off)
    assert (task["State"], task["HasWarningsOrErrors"]) == ("Success", True)
    assert [trial.ask(f"/api/machines/{each['Id']}").body["HealthStatus"] for each in (away, off)] == ["Unavailable", "Unknown"]


def test_a_policy_deletes_what_stays_unavailable(trial: Trial, tentacle: Tentacle) -> None:
    trial.start()
    cleaning = {"DeleteMachinesBehavior": "DeleteUnavailableMachines", "DeleteMachinesElapsedTimeSpan": "00:00:01"}
    policy = trial.database.put_policy("Default", {"Name": "Clean", "MachineCleanupPolicy": cleaning})
    machine = trial.database.put_machine("Default", {"Name": "away", "Endpoint": endpoint(tentacle(())), "MachinePolicyId": policy["Id"]})
    check(trial, machine)
    until(lambda: trial.database.document(machine["Id"]) is None, what="the record to be deleted")


def test_a_restart_kills_the_tasks_of_its_node_only(trial: Trial) -> None:
    tasks = Tasks(trial.database)
    mine, other = (tasks.plant("Spaces-1", ["Machines-1"], node=name) for name in ("node-1", "node-2"))
    trial.start("node-1")
    assert [(tasks.get(each.id).state, tasks.get(each.id).body["ErrorMessage"]) for each in (mine, other)] == [
        ("Failed", KILLED),
        ("Executing", None),
    ]


def test_queued_tasks_wait_for_a_node_that_takes_them(trial: Trial) -> None:
    tasks = Tasks(trial.database)
    trial.start("node-1")
    trial.database.put_node_option("node-1", draining=True)
    trial.database.put_space("Stopped", TaskQueueStopped=True)
    queued, stuck = tasks.plant("Spaces-1", []), tasks.plant(trial.database.space("Stopped")["Id"], [])
    trial.start("node-2")
    until(lambda: tasks.get(queued.id).state == "Executing", what="a node to pick the task up")
    assert tasks.get(queued.id).node == "node-2"
    assert trial.ask(f"/api/tasks/{queued.id}/cancel", "POST", {}, node="node-2").status == 200
    until(lambda: tasks.get(queued.id).state == "Canceled", what="the task to be cancelled")
    assert tasks.get(stuck.id).state == "Queued"


def start_process(trial: Trial) -> subprocess.Popen[str]:
    argv = [sys.executable, str(PROGRAM), "run", "--instance=node-1", "--noninteractive"]
    return subprocess.Popen(argv, env={**os.environ, **trial.environ}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_node_is_a_process_that_beats_and_ends_at_sigterm(trial: Trial) -> None:
    with start_process(trial) as process:
        until(lambda: any(node.loaded == OLD.thumbprint for node in trial.database.nodes()), what="the node to start")
        first = trial.database.nodes()[0].last_seen
        until(lambda: trial.database.nodes()[0].last_seen > first, what="its heartbeat")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "Running.\n"


@pytest.mark.parametrize(("fault", "value"), [("node_stays_down", ["node-1"]), ("master_key_missing", True)])
def test_a_node_that_stays_down_ends_at_its_start(trial: Trial, fault: str, value: object) -> None:
    trial.fault(fault, value)
    with start_process(trial) as process:
        assert process.wait(10) == 1
    assert trial.database.nodes() == []
