# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a polling Tentacle does to whoever waits for it, and what the product makes of it (measured-tentacle.md 5, 14.1, 14.2)."""

from __future__ import annotations

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import shadow_process
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.rendezvous import Pace, Rendezvous
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.plan import gap_after
from lab.settings import switched_off
from lab.waiting import until
from lab.wire.certificates import make_certificate
from lab.wire.poller import BackOff, Poller, PollingEntry
from unit.halibut.conftest import People

SLOWEST = 2.0  # the factor that a Tentacle draws is at most this


def quirk(name: str) -> bool:
    return name not in switched_off()


@pytest.mark.parametrize("overlap", [0.0, 1.0, 10.0, 45.0, 240.0])
def test_the_gap_that_a_person_is_told_is_that_of_the_slowest_tentacle(overlap: float) -> None:
    now = [1000.0]
    back_off = BackOff(1.0, quirk("polling_back_off"), lambda: now[0], SLOWEST)
    back_off.begin()
    now[0] += overlap
    assert back_off.delay() == gap_after(overlap)


def test_a_tentacle_that_refuses_and_leaves_its_connection_open_is_let_go(people: People) -> None:
    """A Server keeps such a connection for a minute; ours ends it itself, or a fleet's would pile up."""
    held: list[int] = []
    listening = shadow_process.bound("127.0.0.1:0")
    shadow = Rendezvous(
        listening, people.new, lambda line: held.append(len(shadow._guests)) if b"refused" in line else None, Pace(5.0, 5.0, 0.2, 0.2)
    )
    address = f"https://127.0.0.1:{listening.getsockname()[1]}"
    poller = Poller(PollingEntry(address, people.new.thumbprint, "poll://abc/"), make_certificate("Octopus Tentacle"), quirk=quirk)
    poller.start()
    try:
        until(lambda: shadow.step(0.02) or held, what="the refusal of a random certificate")
        assert held == [1], "the Tentacle has not closed it"
        until(lambda: shadow.step(0.02) or not shadow._guests, what="its end")
    finally:
        poller.stop()
        shadow.close()
