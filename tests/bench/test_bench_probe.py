# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the probe costs, beside a C client of our own in the same rounds (design/performance.md 1.3).

CPU is that of the measuring process alone, by getrusage; each round runs every variant once, in a shuffled order; ratios are of minima.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity, make_server_certificate, write_pfx
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Caller
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from bench.figures import Figure, Report
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

ROOT = Path(__file__).resolve().parents[2]
ENDPOINTS, ROUNDS, PLAYS = 1000, 5, 3
PASSWORD = "bench"


class Cost(NamedTuple):
    cpu: float
    wall: float
    good: int


class Fleet(NamedTuple):
    port: int
    me: Identity
    endpoints: list[Endpoint]
    client: Callable[[str], subprocess.Popen[str]]
    pfx: Path


@pytest.fixture(scope="module")
def fleet(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    me, tentacle = make_server_certificate(), make_server_certificate("Octopus Tentacle")
    (folder / "fleet.key").write_bytes(_key_pem(tentacle))
    (folder / "fleet.pem").write_bytes(b"".join(_certificates(tentacle)))
    mine = folder / "me.pem"
    mine.touch(0o600)
    mine.write_bytes(x509.load_der_x509_certificate(me.certificate).public_bytes(Encoding.PEM) + _key_pem(me))
    (folder / "me.pfx").write_bytes(write_pfx(me, Secret(PASSWORD)))
    command = [str(programs / "fleet"), "0", str(folder / "fleet.key"), str(folder / "fleet.pem"), me.thumbprint]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    port = int(server.stdout.readline().split()[1])
    clients: list[subprocess.Popen[str]] = []

    def client(mode: str) -> subprocess.Popen[str]:
        command = [str(programs / "client"), mode, str(port), str(ENDPOINTS), str(mine)]
        clients.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return clients[-1]

    addresses = (str(ipaddress.IPv4Address("127.0.0.0") + number) for number in range(1, ENDPOINTS + 1))
    yield Fleet(port, me, [Endpoint(address, address, port) for address in addresses], client, folder / "me.pfx")
    for process in [*clients, server]:
        process.communicate(timeout=10)  # they end with their standard input


def _key_pem(identity: Identity) -> bytes:
    return identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certificates(owner: Identity) -> Iterator[bytes]:
    """A certificate for each endpoint; one key for all, since a thousand would take minutes."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Octopus Tentacle")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(owner.key.public_key())
    builder = builder.not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(datetime.now(UTC) + timedelta(days=36500))
    for number in range(ENDPOINTS):
        yield builder.serial_number(number + 1).sign(owner.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _by_c(process: subprocess.Popen[str]) -> Cost:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    cpu, wall, good = process.stdout.readline().split()
    return Cost(float(cpu), float(wall), int(good))


def _by_us(fleet: Fleet, callers: list[Caller]) -> Cost:
    began, spent = time.monotonic(), _cpu()
    sights = probe.sweep(fleet.endpoints, callers, probe.Limits(threads=1))
    cost = _cpu() - spent, time.monotonic() - began
    return Cost(*cost, sum(sight.verdict in ("identity", "accepted") for sight in sights))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _play(folder: Path, tasks: str, variables: dict[str, object]) -> float:
    (folder / "play.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks: {tasks}\n")
    (folder / "hosts").write_text("".join(f"host-{number}\n" for number in range(ENDPOINTS)))
    (folder / "vars.json").write_text(json.dumps({"ansible_connection": "local", **variables}))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    environment.update(ANSIBLE_HOME=str(folder / "home"), ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".venv" / "collections"))
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", str(folder / "hosts"), "-e", f"@{folder / 'vars.json'}", str(folder / "play.yml")]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    return took


def test_cpu_against_a_c_client(fleet: Fleet, report: Report) -> None:
    clients = {mode: fleet.client(mode) for mode in ("identity", "trust")}
    ours = {"identity": [probe.onlooker()], "trust": [probe.presenting("me", fleet.me)]}
    variants: dict[str, Callable[[], Cost]] = {f"c {mode}": partial(_by_c, process) for mode, process in clients.items()}
    variants.update({f"octo {mode}": partial(_by_us, fleet, callers) for mode, callers in ours.items()})
    costs: dict[str, list[Cost]] = {name: [] for name in variants}
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


def test_a_thousand_endpoints_in_one_playbook_run(fleet: Fleet, tmp_path: Path, report: Report) -> None:
    endpoints = [endpoint.address for endpoint in fleet.endpoints]
    task = "[{{octofleet.octopus.octo_probe: {{endpoints: '{{{{ endpoints }}}}', identities: {identities}}}, register: seen}}]"
    trusting = json.dumps([{"name": "me", "pfx": str(fleet.pfx), "pfx_password": PASSWORD}])
    plays = {"empty": "[]", "identity": task.format(identities="[]"), "trust": task.format(identities=trusting)}
    walls: dict[str, list[float]] = {name: [] for name in plays}
    for _round in range(PLAYS):
        for name in random.sample(list(plays), len(plays)):
            walls[name].append(_play(tmp_path, plays[name], {"endpoints": endpoints}))
    least = {name: min(runs) for name, runs in walls.items()}
    report(
        f"ansible-playbook, {ENDPOINTS} hosts and endpoints, {PLAYS} interleaved rounds",
        [Figure("seconds above an empty play, identity", least["identity"] - least["empty"], 2.0)],
        [
            f"an empty play: {least['empty']:.2f} s",
            f"with a question of trust: {least['trust'] - least['empty']:.2f} s above it; the fleet works on the same cores",
        ],
    )
