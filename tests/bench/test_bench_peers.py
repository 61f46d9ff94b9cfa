# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others take for the same certificates, in CPU of the client's processes (design/performance.md 1.3); medians of ratios inside a round.

A scanner shows each endpoint's certificate and is told to do little else. It is a process of its own each time, so its start counts, over the
200 endpoints for which the design set the figures; the sweep is part of an ansible-playbook that runs anyway, so Python's start does not, as it
does not beside community.crypto. Both other ways to reckon are said below each figure: over a large fleet no start matters, for a few hosts a scanner
may be the cheaper one.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from bench import peers
from bench.endpoints import Fleet
from bench.figures import Figure, Report
from bench.runs import COLLECTIONS, HERE, Controller, Run, rounds, run, sized

SCANNED, PROBED, FETCHED = sized(200), sized(2000), sized(25)
ROUNDS = 5
PLAYS = 3


class Scanner(NamedTuple):
    """``sign``: what its output has once for each certificate that it shows, ``signs`` times."""

    target: float
    command: Callable[[Path, int], list[str]]
    sign: str
    signs: int = 1


def _nmap(targets: Path, port: int) -> list[str]:
    return [peers.program("nmap"), "-n", "-Pn", "-p", str(port), "--script", "ssl-cert", "-iL", str(_hosts_of(targets))]


def _sslscan(targets: Path, _port: int, *more: str) -> list[str]:
    """Without its two long enumerations, of ciphers and of groups."""
    leave_out = ["--no-ciphersuites", "--no-groups", *more]
    return [peers.program("sslscan"), "--no-colour", "--show-certificate", *leave_out, f"--targets={targets}"]


def _sslscan_least(targets: Path, port: int) -> list[str]:
    return _sslscan(targets, port, "--no-renegotiation", "--no-compression", "--no-fallback", "--no-heartbleed")


def _sslyze(targets: Path, _port: int) -> list[str]:
    return [peers.sslyze(), "-W", "ignore", "-m", "sslyze", "--mozilla_config", "disable", "--certinfo", "--targets_in", str(targets)]


def _hosts_of(targets: Path) -> Path:
    hosts = targets.with_suffix(".hosts")
    hosts.write_text("".join(f"{line.partition(':')[0]}\n" for line in targets.read_text().split()))
    return hosts


SCANNERS = {
    "nmap ssl-cert": Scanner(3.0, _nmap, "SHA-1:"),
    "sslscan": Scanner(8.0, _sslscan, "BEGIN CERTIFICATE"),
    "sslyze": Scanner(15.0, _sslyze, "SHA1 Fingerprint:", signs=2),  # with a server name and without
}
WHOLE = {"sslscan": ("with every check off that has a switch", _sslscan_least)}


@pytest.mark.parametrize("name", SCANNERS)
def test_a_scanner(fleet: Fleet, tmp_path: Path, report: Report, name: str) -> None:
    scanner = SCANNERS[name]
    many, one = (_targets(tmp_path, fleet, count) for count in (SCANNED, 1))
    try:
        commands = {"theirs": scanner.command(many, fleet.port_for_scanners), "their start": scanner.command(one, fleet.port_for_scanners)}
    except peers.Missing as missing:
        pytest.skip(str(missing))
    ours = [sys.executable, str(HERE / "sweep.py"), str(many)]
    least = {"least": WHOLE[name][1](many, fleet.port_for_scanners)} if name in WHOLE else {}
    environment = {"PYTHONPATH": os.pathsep.join((str(COLLECTIONS), os.environ.get("PYTHONPATH", "")))}
    runs = rounds(ROUNDS, {key: partial(run, command, tmp_path, environment) for key, command in {**commands, **least, "ours": ours}.items()})
    assert {one.out.count(scanner.sign) for one in runs["theirs"]} == {scanner.signs * SCANNED}
    assert {one.out.count('"presented": "') for one in runs["ours"]} == {SCANNED}
    swept = [float(one.err) for one in runs["ours"]]
    starts = [one.cpu for one in runs["their start"]]
    without = statistics.median((their.cpu - start) / our for their, start, our in zip(runs["theirs"], starts, swept, strict=True))
    whole = statistics.median(their.cpu / our.cpu for their, our in zip(runs["theirs"], runs["ours"], strict=True))
    notes = [
        f"without either's start {without:.1f} times, with both starts {whole:.1f} times;"
        f" the starts: {statistics.median(starts):.2f} s and {_median(runs['ours']) - statistics.median(swept):.2f} s,"
        f" whole processes: {_median(runs['theirs']):.2f} s and {_median(runs['ours']):.2f} s",
        f"{' '.join(Path(word).name if word.startswith('/') else word for word in commands['theirs'])}",
    ]
    if least:
        notes.append(f"{WHOLE[name][0]}: {_times(runs['least'], swept):.1f} times")
    report(
        f"octo_probe against {name}, {SCANNED} endpoints, {ROUNDS} interleaved rounds",
        [Figure("times less CPU, its process against the sweep", _times(runs["theirs"], swept), scanner.target, at_least=True)],
        notes,
    )


def _targets(folder: Path, fleet: Fleet, count: int) -> Path:
    file = folder / f"{count}.targets"
    file.write_text("".join(f"{address}:{fleet.port_for_scanners}\n" for address in fleet.addresses(count)))
    return file


def _times(theirs: list[Run], ours: list[float]) -> float:
    return statistics.median(their.cpu / our for their, our in zip(theirs, ours, strict=True))


def _median(runs: list[Run]) -> float:
    return statistics.median(one.cpu for one in runs)


def test_community_crypto_once_a_host(fleet: Fleet, tmp_path: Path, report: Report) -> None:
    try:
        collections = (COLLECTIONS, peers.community_crypto())
    except peers.Missing as missing:
        pytest.skip(str(missing))
    controllers = {}
    for whose, count in {"theirs": FETCHED, "ours": PROBED}.items():
        (tmp_path / whose).mkdir()
        controllers[whose] = Controller(tmp_path / whose, collections)
        controllers[whose].inventory(fleet.addresses(count), fleet.port)
    tasks = {
        "theirs": "[{community.crypto.get_certificate: {host: '{{ inventory_hostname }}', port: '{{ endpoint_port }}'}, register: seen}]",
        "ours": "[{octofleet.octopus.octo_probe: {endpoints: '{{ endpoints }}'}, register: seen,"
        f" failed_when: seen.endpoints | selectattr('presented') | length != {PROBED}}}]",
    }
    runs = rounds(
        PLAYS,
        {f"{whose} {kind}": partial(controllers[whose].play, play) for whose in tasks for kind, play in (("empty", "[]"), ("full", tasks[whose]))},
    )
    theirs, ours = (
        [(full.cpu - empty.cpu) / count for full, empty in zip(runs[f"{whose} full"], runs[f"{whose} empty"], strict=True)]
        for whose, count in (("theirs", FETCHED), ("ours", PROBED))
    )
    report(
        f"octo_probe over {PROBED} endpoints against community.crypto.get_certificate on {FETCHED} hosts, {PLAYS} interleaved rounds",
        [
            Figure(
                "times less CPU an endpoint, above an empty play",
                statistics.median(their / our for their, our in zip(theirs, ours, strict=True)),
                300.0,
                at_least=True,
            )
        ],
        [f"{1000 * statistics.median(theirs):.0f} ms against {1000 * statistics.median(ours):.2f} ms of CPU an endpoint, ansible-playbook included"],
    )
