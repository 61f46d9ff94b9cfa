# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Server's REST API says and does not say, and what the client and the health check make of it.

`make proof` switches each quirk of the stand-in off and expects the test that is about it to fail (tests/proof).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.health import HealthCheck, HealthRow
from lab.wire.listener import Listener
from unit.lab.server_trial import OLD, ORDINARY, TENTACLE, Trial
from unit.octopus.test_stand_in import LIMITS, client_of, listening


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture
def tentacle() -> Iterator[Listener]:
    listener = Listener("127.0.0.1", 0, TENTACLE, {OLD.thumbprint})
    listener.start()
    yield listener
    listener.stop()


def test_a_list_goes_on_where_its_page_ends(trial: Trial) -> None:
    for number in range(31):
        trial.database.put_machine("Default", listening(f"web-{number:02}", 20000 + number))
    assert len(trial.ask("/api/Spaces-1/machines").body["Items"]) == 30
    client = client_of(trial)
    assert len(client.machines(client.spaces()[0])) == 31


def test_a_green_task_with_a_skipped_machine_is_not_green(trial: Trial) -> None:
    behaviour = {"MachineConnectivityBehavior": "MayBeOfflineAndCanBeSkipped"}
    policy = trial.database.put_policy("Default", {"Name": "Skip", "MachineConnectivityPolicy": behaviour})
    trial.database.put_machine("Default", {**listening("web-01", 1), "MachinePolicyId": policy["Id"]})
    row, states = checked(trial)
    assert (row.healthy, states) == (False, ["Success"])


def test_a_machine_that_was_disabled_meanwhile_was_not_checked(trial: Trial, tentacle: Listener) -> None:
    """The Server passes over it without a word and is content, though nobody answers there; its old status stays."""
    record = trial.database.put_machine("Default", listening("web-01", tentacle.port))
    assert checked(trial)[0].healthy
    tentacle.stop()
    row, states = checked(trial, before=lambda: trial.database.change(record["Id"], lambda stored: {**stored, "IsDisabled": True}))
    assert (row.healthy, row.checked, states) == (None, False, ["Success"])


def test_a_machine_that_lost_its_environments_is_still_checked(trial: Trial, tentacle: Listener) -> None:
    """Somebody's script disabled and enabled it by a PUT of a few fields, which emptied the rest (hazard 25): we ask for machines by their ids."""
    record = trial.database.put_machine("Default", {**listening("web-01", tentacle.port), "EnvironmentIds": ["Environments-1"], "Roles": ["web"]})
    few = {"Name": "web-01", "Endpoint": record["Endpoint"]}
    assert trial.ask(f"/api/Spaces-1/machines/{record['Id']}", "PUT", few).status == 200
    client = client_of(trial)
    (seen,) = client.machines(client.spaces()[0])
    assert (seen.environment_ids, seen.roles, seen.thumbprint) == ((), (), TENTACLE.thumbprint)
    row, _states = checked(trial)
    assert (row.healthy, row.checked) == (True, True)


def test_maintenance_refuses_a_key_that_may_not_administer(trial: Trial) -> None:
    trial.database.put_machine("Default", listening("web-01", 1))
    trial.database.put_maintenance(True)
    with pytest.raises(OctoError, match=r"403.*maintenance"):
        checked(trial, key=ORDINARY)


def checked(trial: Trial, **how: object) -> tuple[HealthRow, list[str]]:
    """A check of the one machine: its row, and the states in which the tasks ended. ``before`` happens after the list was read."""
    client = client_of(trial, **({"key": str(how["key"])} if "key" in how else {}))
    spaces = client.spaces()
    machines = client.machines(spaces[0])
    before = how.get("before")
    if callable(before):
        before()
    check = HealthCheck(client, time.monotonic, time.sleep, LIMITS)
    (row,) = check.check(spaces, machines)
    return row, [end.task.state for end in check.tasks]
