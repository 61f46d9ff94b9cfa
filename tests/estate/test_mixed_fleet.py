# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real estate at once: 120 Tentacles, half of them polling, a third on Windows, two nodes, a second Server, ten hosts with two instances (issue 4, D.1).

There and back. The witness samples each edge once in two seconds; a polling one may be silent for as long as the plan announces
after a node's restart, and not longer.
"""

from __future__ import annotations

import re

from e2e import plays
from e2e.looks import others, pins
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec

LINUX, LINUX_POLLING, WINDOWS, WINDOWS_POLLING, TWICE, FOREIGN = 30, 40, 40, 20, 10, 12
POLLING = LINUX_POLLING + WINDOWS_POLLING
FORKS = {"ANSIBLE_FORKS": "5"}  # more keep two cores no busier, and the witness from looking (design/performance.md 4.2)
LONGEST = 1500.0  # seconds for one way, on two busy cores
GAP = 12.0  # the vendor's longest back-off at the fleet's time scale


def committed(fleet: Fleet, playbook: str, retire: str, **variables: object) -> plays.Play:
    given = {"octopus_retire": retire, "octopus_commit": True, **variables}
    return plays.start(fleet, playbook, variables=given, env=FORKS).finish(LONGEST)


def test_a_hundred_and_twenty_tentacles_there_and_back() -> None:
    twice = [f"second_instance:web-{number:02d}" for number in range(1, TWICE + 1)]
    polls = [f"polling:win-{number:02d}" for number in range(1, WINDOWS_POLLING + 1)]
    spec = FleetSpec(tentacles=LINUX, polling=LINUX_POLLING, windows=WINDOWS, nodes=2, foreign=FOREIGN, quirks=(*twice, *polls))
    with Fleet(spec) as fleet:
        assert len(fleet.tentacles) == 2 * POLLING == 3 * WINDOWS == 120
        fleet.start_witness(rate=0.5, back_off=GAP)
        old = fleet.server.certificate.thumbprint
        foreign = {tentacle.host: others(fleet, tentacle.host) for tentacle in fleet.tentacles}
        assert any(foreign.values())

        plan = plays.play(fleet, plays.ROTATE, env=FORKS)
        announced = re.search(r"polling ones: away for up to (\d+) s after each node's restart", plan.text)
        assert announced, plan.text
        assert float(announced[1]) <= GAP

        there = committed(fleet, plays.ROTATE, old)
        new = there.report["new"]
        assert there.rc == 0, there.text
        back = committed(fleet, plays.ROLL_BACK, new, octopus_polling_nudge=True)
        assert back.rc == 0, back.text

        assert there.report["proofs"] == back.report["proofs"] == {"wire": POLLING, "log": POLLING}
        assert {tentacle.host: set(pins(fleet, tentacle.host)) for tentacle in fleet.tentacles} == {host: {old} for host in foreign}
        assert {tentacle.host: others(fleet, tentacle.host) for tentacle in fleet.tentacles} == foreign
        witness = fleet.stop_witness()
    assert witness.ok, "\n".join(witness.failures)
    assert witness.refused_seconds == 0
    told = [line for line in there.text.splitlines() if line.startswith("Allowed")]
    assert len(told) < 42, "a person reads one line a wave, a switch, a node"
