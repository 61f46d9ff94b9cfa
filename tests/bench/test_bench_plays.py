# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole runs of ansible-playbook over a large fleet, above an empty play with the same inventory (design/performance.md 1.3 and 4.7).

Wall and memory; the fleet works on the same cores. Each round runs every play once, in a shuffled order; times are minima, memory is the
median of the differences inside a round.
"""

from __future__ import annotations

import json
import statistics
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from bench.endpoints import PASSWORD, Fleet
from bench.figures import Figure, Report
from bench.runs import Controller, Run, rounds, sized

ROUNDS = 3
SERVER = "A1" * 20


class Task(NamedTuple):
    """A task that looks at every endpoint. ``text`` takes ``count``, the endpoints, and ``identities`` or ``trusting``, its options for a Server's key."""

    text: str
    trusting: str


TASKS = {
    "octo_probe": Task(
        "[{{octofleet.octopus.octo_probe: {{endpoints: '{{{{ endpoints }}}}'{options}}}, register: seen,"
        " failed_when: seen.endpoints | selectattr('presented') | length != {count}}}]",
        ", identities: [{{name: me, pfx: {pfx}, pfx_password: {password}}}]",
    ),
    "octo_audit": Task(
        "[{{octofleet.octopus.octo_audit: {{sources: [wire, disk, process]{options}}}, register: seen,"
        " failed_when: seen.sources.wire.read != {count}}}]",
        ", pfx: {pfx}, pfx_password: {password}",
    ),
}
TARGETS = {1000: 2.0, 5000: 7.0}  # seconds


def _reading(port: int, address: str) -> dict[str, object]:
    """What octo_instance_info would have registered for a host, which tells the audit where there is something to look at."""
    listening = {"enabled": True, "port": port, "ip": address}
    trust = [{"thumbprint": SERVER, "canonical": SERVER, "style": "listening", "address": None, "subscription_id": None}]
    row = {"instance": "Tentacle", "ok": True, "communication": "listening", "listening": listening, "trust": trust}
    service = {"known": True, "active": True, "pid": 1, "started_at": "2026-11-22T08:00:00Z"}
    return {"octopus_reading": {"changed": False, "instances": [{**row, "service": service, "restart_pending": "no", "pins_in_process": [SERVER]}]}}


@pytest.mark.parametrize("hosts", TARGETS)
@pytest.mark.parametrize("name", TASKS)
def test_a_play_over_the_whole_fleet(fleet: Fleet, tmp_path: Path, report: Report, name: str, hosts: int) -> None:
    task, count = TASKS[name], sized(hosts)
    controller = Controller(tmp_path)
    controller.inventory(fleet.addresses(count), fleet.port, partial(_reading, fleet.port))
    trusting = task.trusting.format(pfx=json.dumps(str(fleet.folder / "me.pfx")), password=PASSWORD)
    plays = {"empty": "[]", "identity": task.text.format(count=count, options=""), "trust": task.text.format(count=count, options=trusting)}
    runs = rounds(ROUNDS, {play: partial(controller.play, tasks) for play, tasks in plays.items()})
    least = {play: min(run.wall for run in of) for play, of in runs.items()}
    report(
        f"{name} in ansible-playbook, {count} hosts and endpoints, {ROUNDS} interleaved rounds",
        [
            Figure("seconds above an empty play, identity", least["identity"] - least["empty"], TARGETS[hosts]),
            *([Figure("MB of memory above an empty play, identity", _more_memory(runs, "identity"), 30.0)] if hosts == max(TARGETS) else []),
        ],
        [
            f"an empty play: {least['empty']:.2f} s, {statistics.median(run.memory for run in runs['empty']):.0f} MB",
            f"with a question of trust: {least['trust'] - least['empty']:.2f} s and {_more_memory(runs, 'trust'):.1f} MB above it",
            f"CPU above it: {_more_cpu(runs, 'identity'):.2f} s, with a question of trust {_more_cpu(runs, 'trust'):.2f} s",
        ],
    )


def _more_memory(runs: dict[str, list[Run]], play: str) -> float:
    return statistics.median(run.memory - empty.memory for run, empty in zip(runs[play], runs["empty"], strict=True))


def _more_cpu(runs: dict[str, list[Run]], play: str) -> float:
    return min(run.cpu for run in runs[play]) - min(run.cpu for run in runs["empty"])
