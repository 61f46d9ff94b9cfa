# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the probe costs, beside a C client of our own in the same rounds (design/performance.md 1.3).

CPU is that of the measuring process alone, by getrusage; each round runs every variant once, in a shuffled order; ratios are of minima.
"""

from __future__ import annotations

import random
import resource
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Caller
from bench.endpoints import Fleet
from bench.figures import Figure, Report
from bench.runs import sized
from OpenSSL import SSL

ENDPOINTS, ROUNDS = sized(1000), 5


class Cost(NamedTuple):
    cpu: float
    wall: float
    good: int


@contextmanager
def _client(programs: Path, fleet: Fleet, mode: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(programs / "client"), mode, str(fleet.port), str(ENDPOINTS), str(fleet.folder / "me.pem")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.communicate(timeout=10)  # it ends with its standard input


def _by_c(process: subprocess.Popen[str]) -> Cost:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    cpu, wall, good = process.stdout.readline().split()
    return Cost(float(cpu), float(wall), int(good))


def _by_us(fleet: Fleet, callers: list[Caller]) -> Cost:
    endpoints = fleet.endpoints(ENDPOINTS)
    began, spent = time.monotonic(), _cpu()
    sights = probe.sweep(endpoints, callers, probe.Limits(threads=1))
    cost = _cpu() - spent, time.monotonic() - began
    return Cost(*cost, sum(sight.verdict in ("identity", "accepted") for sight in sights))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def test_cpu_against_a_c_client(programs: Path, fleet: Fleet, report: Report) -> None:
    ours = {"identity": [probe.onlooker()], "trust": [probe.presenting("me", fleet.me)]}
    variants: dict[str, Callable[[], Cost]] = {f"octo {mode}": partial(_by_us, fleet, callers) for mode, callers in ours.items()}
    costs: dict[str, list[Cost]] = {f"{who} {mode}": [] for who in ("c", "octo") for mode in ours}
    with ExitStack() as clients:
        variants.update({f"c {mode}": partial(_by_c, clients.enter_context(_client(programs, fleet, mode))) for mode in ours})
        for _round in range(ROUNDS):
            for name in random.sample(list(variants), len(variants)):
                costs[name].append(variants[name]())
    assert {cost.good for runs in costs.values() for cost in runs} == {ENDPOINTS}
    least = {name: min(cost.cpu for cost in runs) for name, runs in costs.items()}
    rate = {mode: ENDPOINTS / least[f"octo {mode}"] for mode in ours}
    report(
        f"octo_probe, {ENDPOINTS} endpoints, {ROUNDS} interleaved rounds",
        [
            Figure("CPU, identity, against C on libssl", least["octo identity"] / least["c identity"], 1.3),
            Figure("CPU, trust, against C on libssl", least["octo trust"] / least["c trust"], 1.25),
        ],
        [
            *(f"{name:<14} {1000 * cpu / ENDPOINTS:.3f} ms CPU an endpoint, minimum of {ROUNDS}" for name, cpu in sorted(least.items())),
            f"endpoints per second and core: {rate['identity']:.0f} identity, {rate['trust']:.0f} trust",
            f"C on {ssl.OPENSSL_VERSION} (the system's), octo_probe on {SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()}",
        ],
    )
