# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hazards of the Octopus Server that no other test meets: the hazard itself on the vendor's stand-in, and what our brains make of it.

tests/HAZARDS.md names the test of every hazard; `make proof` takes the guard away and expects the test to fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible import constants as C
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import holder
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.keeper import Keeper, Staging
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Store
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.vendor import SERVER, VendorCli
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import Https
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Switch
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._server.node import NodeKeys
from ansible_collections.octofleet.octopus.plugins.plugin_utils._inventory import Inventory
from ansible_collections.octofleet.octopus.plugins.plugin_utils._survey import Survey
from lab.wire.certificates import to_pfx
from model import sample
from unit.lab.server_trial import ADMIN, NEW, OLD, ORDINARY, Trial
from unit.octopus.test_stand_in import client_of
from unit.server.test_action import HOST, action_of
from unit.server.test_vendor_hazards import Controller

PASSWORD = "of the store"


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    yield made
    made.close()


def keeper_of(trial: Trial, now: datetime | None = None) -> Keeper:
    host = Controller(trial)
    keys = NodeKeys(host, VendorCli(SERVER, ["Octopus.Server"], "node-1"), Store(host, str(trial.folder / "store")))
    return Keeper(keys, holder.SERVER, Secret(PASSWORD), host, now=lambda: now or datetime.now(UTC))


def told(question: Callable[[], object]) -> object:
    """The answer, or the sentence of the refusal."""
    try:
        return question()
    except OctoError as error:
        return error.message


def stored(trial: Trial) -> list[str]:
    return sorted(path.name for path in trial.folder.glob("store/*"))


def test_a_server_without_its_master_key_is_told_before_anything_is_done(trial: Trial) -> None:
    """As a container that was made anew without it (14, 15)."""
    trial.fault("master_key_missing")
    assert trial.cli("export-certificate", f"--export-pfx={trial.folder}/x.pfx").code == 1
    assert "wrote no file and ended with 1." in str(told(lambda: keeper_of(trial).backed_up(OLD.thumbprint)))
    assert stored(trial) == []


def test_a_backup_without_its_key_is_no_backup(trial: Trial) -> None:
    """An export by one who is no administrator ends with exit code 0 and a PFX that restores nothing (16)."""
    trial.fault("unelevated")
    assert trial.cli("export-certificate", f"--export-pfx={trial.folder}/x.pfx").code == 0
    assert "holds no private key" in str(told(lambda: keeper_of(trial).backed_up(OLD.thumbprint)))
    assert stored(trial) == []


def test_a_certificate_of_tomorrow_is_not_adopted(trial: Trial) -> None:
    """The tool imports it (36)."""
    offered = _certificate.open_pfx(to_pfx(NEW, "one-use"), Secret("one-use"))
    wish = Staging(OLD.thumbprint, None, "pfx", lambda: offered)
    last_week = datetime.now(UTC) - timedelta(days=7)
    assert "is not valid before" in str(told(lambda: keeper_of(trial, last_week).staged(wish)))
    assert stored(trial) == []


def test_debugging_is_refused_before_a_secret_is_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """ANSIBLE_DEBUG shows and logs what a module is given and answers: a PFX and its password (17)."""
    action = action_of(has_pipelining=True)
    given: list[Any] = []
    monkeypatch.setattr(action, "_execute_module", lambda **call: given.append(call) or {})
    monkeypatch.setattr(C, "DEFAULT_DEBUG", True)
    assert "ANSIBLE_DEBUG shows" in str(told(lambda: action.call_with_secret("octofleet.octopus.octo_certificate", {"password": "x"}, dict(HOST))))
    assert given == []


def test_a_key_that_does_not_see_every_space_refuses_the_switch(trial: Trial) -> None:
    """What it does not see it does not list, and says nothing (3)."""
    trial.database.put_space("Finance")
    trial.start()
    seen = {key: tuple(space.name for space in client_of(trial, key).spaces()) for key in (ADMIN, ORDINARY)}
    assert seen == {ADMIN: ("Default", "Finance"), ORDINARY: ("Default",)}
    facts = sample.before_switch(spaces_asked=seen[ADMIN], spaces_seen=seen[ORDINARY])
    refused = {clause.code: [fault.name for fault in clause.faults] for clause in allowed(facts, Switch()).refusals()}
    assert refused == {"spaces_agree": ["Finance"]}


def test_a_server_that_is_starting_is_asked_again(trial: Trial) -> None:
    """It answers 503 with a page for people at first (38)."""
    trial.fault("starting_seconds", 3600)
    address = f"http://127.0.0.1:{trial.start().web_port}"
    answer = trial.ask("/api")
    assert (answer.status, b"<html" in answer.body) == (503, True)
    client = OctopusClient(address, Secret(ADMIN), Https(timeout=10), sleep=lambda _seconds: trial.fault("starting_seconds", 0))
    assert told(lambda: client.certificate().thumbprint) == OLD.thumbprint


def test_a_node_presents_what_the_wire_shows_whatever_rest_says(trial: Trial) -> None:
    """Between import and restart the database has the new certificate, the process the old one (19)."""
    node = trial.start()
    trial.database.install_certificate(NEW)
    client = client_of(trial)
    assert client.certificate().thumbprint == NEW.thumbprint
    inventory = Inventory({"server": {"octopus_node_endpoint": f"127.0.0.1:{node.comms_port}"}}, [], ["server"])
    nodes = Survey(client, inventory, None, None, None, reads_database=False).nodes  # type: ignore[arg-type]
    assert [(one.name, one.presents) for one in nodes] == [("node-1", OLD.thumbprint)]
