# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Positive control: a witness that never reports a lock-out proves nothing, so the wrong orders must make it report one."""

from __future__ import annotations

from functools import partial

from lab.fleet import naive
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.waiting import until


def accepted(fleet: Fleet) -> int:
    """How often the node was accepted by the first Tentacle so far."""
    count: int = fleet.witness.report().edges["node-1 web-01/Tentacle-web-01"]["samples"]["ok"]
    return count


def more_than(fleet: Fleet, before: int) -> bool:
    return accepted(fleet) > before


def test_the_naive_order_locks_every_tentacle_out_and_the_witness_says_for_how_long() -> None:
    with Fleet(FleetSpec(tentacles=2, foreign=1)) as fleet:
        fleet.start_witness()
        naive.rotate(fleet)
        until(lambda: {row["last"] for row in fleet.witness.report().edges.values()} == {"ok"}, 20, every=0.1)
        report = fleet.stop_witness()
    assert not report.ok
    assert sorted(report.refused()) == ["node-1 web-01/Tentacle-web-01", "node-1 web-02/Tentacle-web-02"]
    assert min(report.refused().values()) >= 0.5
    assert report.edges["foreign-1 web-01/Tentacle-web-01"]["refused_seconds"] == 0


def test_restarts_that_are_ordered_are_away_and_no_lock_out() -> None:
    with Fleet(FleetSpec(tentacles=2)) as fleet:
        fleet.start_witness()
        for host in ("web-01", "web-02", "node-1"):
            before = accepted(fleet)
            fleet.unit(host).restart()
            until(partial(more_than, fleet, before), 20, every=0.1)
        report = fleet.stop_witness()
    assert report.failures == ()
    assert report.refused_seconds == 0


def test_update_trust_on_a_polling_fleet_locks_it_out_until_the_server_switches() -> None:
    with Fleet(FleetSpec(tentacles=0, polling=1)) as fleet:
        fleet.start_witness()
        tentacle, old = fleet.tentacle("poll-01"), fleet.server.certificate.thumbprint
        argv = ["Tentacle", "update-trust", f"--instance={tentacle.instance}", f"--oldThumbprint={old}", f"--newThumbprint={'A' * 40}"]
        assert fleet.run(argv, host="poll-01").returncode == 0
        fleet.unit("poll-01").restart()
        until(lambda: fleet.witness.report().refused_seconds > 0, 30, every=0.1)
        report = fleet.stop_witness()
    assert not report.ok
    assert list(report.refused()) == ["node-1 poll-01/Tentacle-poll-01"]
