# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Habits of a running Tentacle, and what our brains make of them: one real process under the lab's service manager, looked at by the target's code.

`make proof` switches each quirk of the stand-in off and expects the test that is about it to fail (tests/proof).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import parse
from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import instance, manage, tls, trust, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Hands
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.fleet.tentacles import configuration_of
from lab.tentacle.trust import Style
from lab.wire.certificates import make_certificate
from unit.halibut.test_wire_hazards import identity

HOST = "web-01"
NEW = make_certificate("Octopus Portal")


class Target:
    """A host of the fleet, as modules see it there."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.tentacle, self.unit = fleet, fleet.tentacle(HOST), fleet.unit(HOST)
        paths = fleet.paths(HOST)
        self.installation = Installation(str(paths.machine_configuration_home), str(paths.machine_id), [str(fleet.root / "bin" / "Tentacle")])
        self.hands = Hands(PosixHost(lock_parents=[str(fleet.root)]), tls.served_certificate, SYSTEM_CLOCK)

    def row(self) -> instance.Row:
        (row,) = instance.read_instances(self.hands.host, self.tentacle.instance, self.installation, SYSTEM_CLOCK)
        return row

    def add(self, thumbprint: str, restart: bool = True) -> instance.Row:
        task = visit.TrustTask(self.tentacle.instance, trust.Wish("present", (thumbprint,)), restart=restart)
        (row,) = visit.trust_rows(self.hands, task, self.installation)
        return row

    def service(self, state: str) -> instance.Row:
        (row,) = manage.tentacle_rows(self.hands, self.tentacle.instance, state, visit.Limits(), self.installation)
        return row

    def verdict(self) -> str:
        """What the Tentacle says to a Server with the new certificate; an old one is the control."""
        server = self.fleet.server.certificate
        callers = [probe.presenting("new", identity(NEW)), probe.presenting("old", identity(server)), probe.at_random()]
        sights = probe.sweep([parse(f"{self.tentacle.address}:{self.tentacle.port}")], callers, probe.Limits(reply=5.0))
        return next(sight.verdict for sight in sights if sight.identity == "new")


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    with Fleet(FleetSpec(tentacles=1)) as fleet:
        monkeypatch.setenv("PATH", fleet.env["PATH"])
        yield Target(fleet)


def test_a_pin_counts_from_the_restart_on(target: Target) -> None:
    """Trust is read once: what is on the disk lets nobody in before a new process has read it."""
    row = target.add(NEW.thumbprint, restart=False)
    assert (row["ok"], row["restart_pending"], target.verdict()) == (True, "yes", "refused")
    row = target.add(NEW.thumbprint)
    assert (row["ok"], row["restart_pending"], target.verdict()) == (True, "no", "accepted")


def test_an_entry_without_a_style_gets_one_at_the_start(target: Target) -> None:
    """Until then it is recognised as none of ours, and left alone."""
    target.service("stopped")
    configuration = configuration_of(target.fleet.folders, target.tentacle)
    configuration.set_trusted_servers([replace(entry, style=Style.NoStyle) for entry in configuration.trusted_servers])
    assert (target.row()["communication"], target.add(NEW.thumbprint)["code"]) == ("unknown", "NOT_EXPANDABLE")
    target.service("started")
    assert target.row()["communication"] == "listening"
    assert target.add(NEW.thumbprint)["ok"]


def test_a_stopped_service_is_stopped_whatever_the_manager_calls_it(target: Target) -> None:
    """An orderly end has exit code 143 or 0, at random (H-40): to systemd the one is a failure."""
    seen: set[str] = set()
    for _round in range(30):
        row = target.service("stopped")
        assert (row["ok"], row["service"]["pid"]) == (True, 0)
        seen.add(target.unit.show("ActiveState"))
        if seen == {"failed", "inactive"}:
            break
        assert target.service("started")["ok"]
    assert seen == {"failed", "inactive"}
