# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Polling Tentacles in the vendor's own seconds: nothing of the lab's delays is shortened (issue 4, D.1)."""

from __future__ import annotations

from e2e import plays
from e2e.looks import pins
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec

LONGEST_BACK_OFF = 120.0  # seconds, contracts/halibut-wire.md 3.2
PATIENCE = 1500.0  # seconds for one way


def test_a_rotation_in_the_vendors_seconds() -> None:
    """They follow the switch by themselves on the way there; nudged on the way back, each is restarted once more and met at once."""
    with Fleet(FleetSpec(tentacles=1, polling=4, time_scale=1.0)) as fleet:
        fleet.start_witness(back_off=LONGEST_BACK_OFF)
        old = fleet.server.certificate.thumbprint
        hosts = [tentacle.host for tentacle in fleet.tentacles]
        plan = plays.play(fleet, plays.ROTATE)
        assert "polling ones: away for up to 2 minutes after each node's restart" in plan.text

        there = plays.start(fleet, plays.ROTATE, variables={"octopus_retire": old, "octopus_commit": True}).finish(PATIENCE)
        assert there.rc == 0, there.text
        new = there.report["new"]
        assert {host: pins(fleet, host) for host in hosts} == {host: [new] for host in hosts}

        variables = {"octopus_retire": new, "octopus_commit": True, "octopus_polling_nudge": True}
        back = plays.start(fleet, plays.ROLL_BACK, variables=variables).finish(PATIENCE)
        assert back.rc == 0, back.text
        assert {host: pins(fleet, host) for host in hosts} == {host: [old] for host in hosts}
        nudges = [event["host"] for event in back.results("octo_service") if event["host"].startswith("poll-")]
        assert sorted(nudges) == [host for host in sorted(hosts) if host.startswith("poll-")]
        witness = fleet.stop_witness()
    assert witness.ok, witness.failures
    assert witness.refused_seconds == 0
