# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each quirk of the stand-in Server can be switched off, and then it is gone; with the quirk on, the other tests show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.server.quirks import QUIRKS
from lab.server.tasks import Tasks
from lab.waiting import until
from lab.wire.caller import call
from unit.lab.server_trial import NEW, OLD, ORDINARY, TENTACLE, Trial

GONE = {"CommunicationStyle": "TentaclePassive", "Uri": "https://127.0.0.1:1/", "Thumbprint": TENTACLE.thumbprint}


@pytest.fixture
def without(tmp_path: Path) -> Iterator[Callable[[str], Trial]]:
    """Starts a Server without one quirk."""
    made: list[Trial] = []

    def start(quirk: str) -> Trial:
        assert quirk in QUIRKS
        made.append(Trial(tmp_path, quirks_off=(quirk,)))
        made[0].start()
        return made[0]

    yield start
    for each in made:
        each.close()


def checked(trial: Trial, **machine: Any) -> str:
    """The final state of a health check of one machine that cannot be reached."""
    tasks = Tasks(trial.database)
    record = trial.database.put_machine("Default", {"Name": "web", "Endpoint": GONE, **machine})
    task = tasks.create("Spaces-1", "Health", "Check", {"MachineIds": [record["Id"]]})
    until(lambda: tasks.get(task.id).is_completed, what="the health check to end")
    return tasks.get(task.id).state


def test_a_node_that_takes_an_import_into_use_at_once(without: Callable[[str], Trial]) -> None:
    trial = without("server_certificate_at_start")
    node = trial.running["node-1"]
    trial.database.install_certificate(NEW)
    until(lambda: trial.database.nodes()[0].loaded == NEW.thumbprint, what="the node to load the new certificate")
    assert call("127.0.0.1", node.comms_port, TENTACLE, OLD.thumbprint, rpc=False, tries=1).presented == NEW.thumbprint


def test_a_skipped_machine_that_fails_the_task(without: Callable[[str], Trial]) -> None:
    trial = without("server_skipped_is_success")
    policy = trial.database.put_policy(
        "Default", {"Name": "Skip", "MachineConnectivityPolicy": {"MachineConnectivityBehavior": "MayBeOfflineAndCanBeSkipped"}}
    )
    assert checked(trial, MachinePolicyId=policy["Id"]) == "Failed"


def test_a_disabled_machine_that_is_checked(without: Callable[[str], Trial]) -> None:
    assert checked(without("server_disabled_unchecked"), IsDisabled=True) == "Failed"


def test_a_list_in_one_piece(without: Callable[[str], Trial]) -> None:
    trial = without("server_pages_of_30")
    for number in range(31):
        trial.database.put_machine("Default", {"Name": f"web-{number}", "Endpoint": GONE})
    page = trial.ask("/api/machines").body
    assert (len(page["Items"]), "Page.Next" in page["Links"]) == (31, False)


def test_a_put_that_keeps_what_it_does_not_name(without: Callable[[str], Trial]) -> None:
    trial = without("server_partial_put_wipes")
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": GONE, "Roles": ["web"]})
    assert trial.ask(f"/api/machines/{machine['Id']}", "PUT", {"Name": "web", "Endpoint": GONE}).body["Roles"] == ["web"]


def test_maintenance_that_lets_everybody_work(without: Callable[[str], Trial]) -> None:
    trial = without("server_maintenance_refuses")
    trial.database.put_maintenance(True)
    assert trial.ask("/api/tasks", "POST", {"Name": "Health", "SpaceId": "Spaces-1"}, key=ORDINARY).status == 201
