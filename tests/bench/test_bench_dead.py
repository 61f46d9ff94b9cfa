# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Endpoints that are dead add their time-out once to a sweep, not one after the other (design/performance.md 3.3, "Latency").

They are a port that drops connections (bench.endpoints.silence), every twentieth of the fleet: the regular spacing that a list of hosts has
when one role of many is down, and the worst there is for threads that share the list out beforehand.
"""

from __future__ import annotations

import random
import statistics
import time

from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from bench.endpoints import Fleet, silence
from bench.figures import Figure, Report
from bench.runs import sized

ENDPOINTS, ONE_IN, ROUNDS = sized(5000, 40), 20, 3


def test_dead_endpoints_add_their_time_out_once(fleet: Fleet, report: Report) -> None:
    alive = fleet.endpoints(ENDPOINTS)
    walls: dict[str, list[float]] = {"alive": [], "some dead": []}
    with silence() as port:
        mixed = [endpoint if number % ONE_IN else endpoint._replace(port=port) for number, endpoint in enumerate(alive)]
        dead = len(set(mixed) - set(alive))
        for _round in range(ROUNDS):
            for name in random.sample(list(walls), len(walls)):
                began = time.monotonic()
                sights = probe.sweep(alive if name == "alive" else mixed)
                walls[name].append(time.monotonic() - began)
                assert sum(sight.verdict == "timeout" for sight in sights) == (0 if name == "alive" else dead)
                assert sum(sight.verdict == "identity" for sight in sights) == ENDPOINTS - (0 if name == "alive" else dead)
    patience = probe.Limits().connect
    added = [(more - less) / patience for more, less in zip(walls["some dead"], walls["alive"], strict=True)]
    report(
        f"{dead} dead endpoints of {ENDPOINTS}, {ROUNDS} interleaved rounds",
        [Figure(f"what they add, in time-outs of {patience:g} s, median", statistics.median(added), 1.2)],
        [
            f"all alive: {min(walls['alive']):.2f} s; {dead} dead: {min(walls['some dead']):.2f} s; minima",
            f"added {min(added):.2f} to {max(added):.2f} time-outs",
        ],
    )
