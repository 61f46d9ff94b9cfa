# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Polling Tentacles through a rotation: both pins at once, the vendor's way, and left alone (issue 4, A).

The witness allows a polling edge the gap that the plan announces after a node's restart, and nothing else: whoever does not
collect a request longer than that is refused.
"""

from __future__ import annotations

import pytest
from e2e import plays
from e2e.looks import Looks, pins
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec

GAP = 12.0  # the vendor's longest back-off at the fleet's time scale


def polled(fleet: Fleet, host: str) -> list[tuple[str, str | None]]:
    """Pin and address of each polling entry of a host."""
    return [(entry.thumbprint, entry.address) for entry in fleet.trust(host) if entry.address]


def test_both_pins_at_once_and_back_with_a_nudge() -> None:
    """One listening Tentacle and three polling ones, which follow the Server by themselves on the way there, and are nudged on the way back."""
    with Fleet(FleetSpec(tentacles=1, polling=3)) as fleet:
        fleet.start_witness(back_off=GAP)
        old = fleet.server.certificate.thumbprint
        hosts = [tentacle.host for tentacle in fleet.tentacles]

        there = plays.commit(fleet, old)
        new = there.report["new"]
        assert there.rc == 0, there.text
        assert {host: pins(fleet, host) for host in hosts} == {host: [new] for host in hosts}
        assert {host: there.visits(host) for host in hosts} == {host: ["octo_trust", "octo_trust"] for host in hosts}
        assert "trusted by 4 of 4 Tentacles, proved on the wire (new accepted, random refused, none refused) 1, by their logs 3" in there.text
        assert there.report["proofs"] == {"wire": 1, "log": 3}

        again = plays.commit(fleet, old)
        assert (again.rc, again.changed) == (0, []), again.text

        back = plays.commit(fleet, new, playbook=plays.ROLL_BACK, octopus_polling_nudge=True)
        assert back.rc == 0, back.text
        assert {host: pins(fleet, host) for host in hosts} == {host: [old] for host in hosts}
        nudged = [event["host"] for event in back.results("octo_service") if event["host"].startswith("poll-")]
        assert sorted(set(nudged)) == ["poll-01", "poll-02", "poll-03"]
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures
        assert witness.refused_seconds == 0


@pytest.mark.estate
def test_two_nodes_are_restarted_one_gap_apart() -> None:
    """Each polls both nodes, so there are two pins at two addresses; the second node waits until they have found the first (decision 13)."""
    with Fleet(FleetSpec(tentacles=0, polling=2, nodes=2)) as fleet:
        fleet.start_witness(back_off=GAP)
        old = fleet.server.certificate.thumbprint
        play = plays.commit(fleet, old)
        new = play.report["new"]
        assert play.rc == 0, play.text
        for host in ("poll-01", "poll-02"):
            assert [pin for pin, _address in polled(fleet, host)] == [new, new]
            assert len({address for _pin, address in polled(fleet, host)}) == 2
        assert "before node-2" in play.text
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures


@pytest.mark.estate
def test_the_vendors_way_is_announced_as_an_outage() -> None:
    with Fleet(FleetSpec(tentacles=1, polling=1)) as fleet:
        old = fleet.server.certificate.thumbprint
        plan = plays.play(fleet, plays.ROTATE, variables={"octopus_polling_strategy": "replace"})
        assert "polling ones: offline from their visit until the Server has switched and restarted (octopus_polling_strategy=replace)." in plan.text
        play = plays.commit(fleet, old, octopus_polling_strategy="replace")
        assert play.rc == 0, play.text
        new = play.report["new"]
        assert {host: pins(fleet, host) for host in ("web-01", "poll-01")} == {"web-01": [new], "poll-01": [new]}


def test_who_is_not_to_be_touched_keeps_the_server_from_being_switched() -> None:
    with Fleet(FleetSpec(tentacles=1, polling=1)) as fleet:
        fleet.start_witness()
        old = fleet.server.certificate.thumbprint
        before = Looks.of(fleet)
        play = plays.commit(fleet, old, octopus_polling_strategy="refuse")
        assert play.rc == 2, play.text
        assert "it polls the Server, and octopus_polling_strategy=refuse keeps this rotation from changing its trust" in play.text
        assert [line for line in Looks.of(fleet).since(before) if "poll-01" in line] == []
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures
