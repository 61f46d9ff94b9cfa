# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the per-host plays of a rotation cost, beside the six tasks that a person would write by hand (design/performance.md 4.5).

One wave of 20 Tentacles over the local connection; a command of the vendor's and a restart take 100 ms each. A round runs
the playbooks in a shuffled order; ratios are formed inside a round, and the median counts. CPU is that of
ansible-playbook and of all that it started, by getrusage; the agents are not in it.

By hand a restart is the task of ansible.builtin.systemd_service that ansible-lint asks for. The same with a bare
`systemctl restart`, which spares that module's dear imports and is the least that six tasks can cost, is told beside it.
"""

from __future__ import annotations

import base64
import json
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from bench.figures import Figure, Report
from lab.settings import Settings
from lab.tentacle.keys import Certificate, MachineKey
from lab.waiting import until
from lab.wire.certificates import Keypair, make_certificate

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TENTACLES, ROUNDS, FORKS = 20, 3, 50
PINS = ("A1" * 20, "B2" * 20)

BY_HAND = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Trust the new certificate
      ansible.builtin.command: {argv: ["{{ folder }}/bin/Tentacle", configure, --instance=Tentacle, "--trust={{ new }}"]}
    - name: Restart the Tentacle
      RESTART
    - name: Wait for it
      ansible.builtin.wait_for: {host: "{{ address }}", port: "{{ port }}", timeout: 60}
    - name: Stop trusting the old certificate
      ansible.builtin.command: {argv: ["{{ folder }}/bin/Tentacle", configure, --instance=Tentacle, "--remove-trust={{ old }}"]}
    - name: Restart the Tentacle again
      RESTART
    - name: Wait for it again
      ansible.builtin.wait_for: {host: "{{ address }}", port: "{{ port }}", timeout: 60}
"""

RESTARTS = {
    "hand": 'ansible.builtin.systemd_service: {name: "{{ unit }}", state: restarted}',
    "bare": 'ansible.builtin.command: {argv: [systemctl, restart, "{{ unit }}"]}',
}

BY_US = """
- hosts: all
  gather_facts: false
  module_defaults:
    octofleet.octopus.octo_trust:
      instance: Tentacle
      machine_configuration_home: "{{ home }}/etc"
      machine_id_file: "{{ home }}/machine-id"
      service: "{{ unit }}"
  tasks:
    - name: Trust the new certificate, restart, prove
      octofleet.octopus.octo_trust: {thumbprints: ["{{ new }}"]}
    - name: Stop trusting the old certificate, restart, prove
      octofleet.octopus.octo_trust: {thumbprints: ["{{ old }}"], state: absent, unguarded: true}
"""

CONFIGURATION = """<?xml version="1.0" encoding="utf-8"?>
<octopus-settings xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <set key="Octopus.Home">{home}</set>
  <set key="Tentacle.Certificate">{certificate}</set>
  <set key="Tentacle.CertificateThumbprint">{thumbprint}</set>
  <set key="Tentacle.Communication.TrustedOctopusServers">[{{"Thumbprint":"{pin}","CommunicationStyle":1,"Address":null,"Squid":null,\
"SubscriptionId":null}}]</set>
  <set key="Tentacle.Services.ListenIP">{address}</set>
  <set key="Tentacle.Services.PortNumber">{port}</set>
</octopus-settings>
"""


class Cost(NamedTuple):
    cpu: float
    wall: float


class Wave(NamedTuple):
    folder: Path
    port: int

    def home(self, number: int) -> Path:
        return self.folder / "hosts" / str(number)

    def starts(self) -> int:
        logs = (self.home(number) / "Logs" / "OctopusTentacle.txt" for number in range(1, TENTACLES + 1))
        return sum(log.read_text().count("RunAgentCommand") for log in logs if log.exists())

    def trusts(self, pin: str) -> int:
        configurations = ((self.home(number) / "tentacle.config").read_text() for number in range(1, TENTACLES + 1))
        return sum(pin in text for text in configurations)


@pytest.fixture
def wave(programs: Path, tmp_path: Path) -> Iterator[Wave]:
    with socket.create_server(("127.0.1.1", 0)) as free:
        wave = Wave(tmp_path, free.getsockname()[1])
    identity = make_certificate()
    shutil.copytree(HERE / "bin", tmp_path / "bin")
    (tmp_path / "units").mkdir()
    (tmp_path / "agent.pem").touch(0o600)
    (tmp_path / "agent.pem").write_bytes(identity.key_pem + _pem(identity))
    for number in range(1, TENTACLES + 1):
        _make_instance(wave, number, identity)
    agents = subprocess.Popen([programs / "agents", tmp_path, str(wave.port), str(TENTACLES)])
    try:
        until(lambda: wave.starts() == len(list((tmp_path / "units").glob("*[0-9]"))) == TENTACLES, what="the agents")
        _write_plays(wave)
        yield wave
    finally:
        agents.kill()  # its children end with it
        agents.wait()


def _pem(identity: Keypair) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(identity.der) + b"-----END CERTIFICATE-----\n"


def _make_instance(wave: Wave, number: int, identity: Keypair) -> None:
    home = wave.home(number)
    index = home / "etc" / "Tentacle" / "Instances"
    for folder in (index, home / "Logs"):
        folder.mkdir(parents=True)
    (index / "tentacle.config").write_text(json.dumps({"Name": "Tentacle", "ConfigurationFilePath": str(home / "tentacle.config")}))
    (home / "machine-id").write_text(f"{number:032x}\n")
    key = MachineKey(Settings(machine_id_file=home / "machine-id"))
    certificate = key.encrypt(base64.b64encode(Certificate.of(identity).to_pfx()).decode())
    values = {"home": home, "certificate": certificate, "thumbprint": identity.thumbprint, "pin": PINS[0], "port": wave.port}
    (home / "tentacle.config").write_text(CONFIGURATION.format(address=f"127.0.1.{number}", **values), encoding="utf-8-sig")


def _write_plays(wave: Wave) -> None:
    plays = {**{name: BY_HAND.replace("RESTART", restart) for name, restart in RESTARTS.items()}, "octo": BY_US}
    for name, play in plays.items():
        (wave.folder / f"{name}.yml").write_text(play)
    common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "folder": str(wave.folder), "port": wave.port}
    hosts = {
        f"host-{number}": {"unit": f"Tentacle-{number}", "address": f"127.0.1.{number}", "home": str(wave.home(number))}
        for number in range(1, TENTACLES + 1)
    }
    (wave.folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))


def _play(wave: Wave, name: str, old: str, new: str) -> Cost:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}  # design/performance.md 4.6
    environment.update(
        ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".venv" / "collections"),
        ANSIBLE_FORKS=str(FORKS),
        ANSIBLE_HOME=str(wave.folder / "ansible"),
        ANSIBLE_PIPELINING="true",
        PATH=f"{wave.folder / 'bin'}:{environment['PATH']}",
    )
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory.json", "-e", f"old={old}", "-e", f"new={new}", f"{name}.yml"]
    starts, began, spent = wave.starts(), time.monotonic(), _children()
    done = subprocess.run(command, cwd=wave.folder, env=environment, text=True, capture_output=True, check=False)
    cost = Cost(_children() - spent, time.monotonic() - began)
    assert done.returncode == 0, done.stdout + done.stderr
    assert wave.starts() - starts == 2 * TENTACLES
    return cost


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _ratios(theirs: list[Cost], ours: list[Cost]) -> tuple[list[float], list[float]]:
    """Wall and CPU, round by round."""
    pairs = list(zip(theirs, ours, strict=True))
    return [their.wall / our.wall for their, our in pairs], [their.cpu / our.cpu for their, our in pairs]


def _in_words(costs: list[Cost]) -> str:
    return f"{statistics.median(cost.wall for cost in costs):.1f} s wall, {statistics.median(cost.cpu for cost in costs):.1f} s CPU"


def test_two_visits_against_six_tasks(wave: Wave, report: Report) -> None:
    costs: dict[str, list[Cost]] = {"hand": [], "bare": [], "octo": []}
    old, new = PINS
    for _round in range(ROUNDS):
        for name in random.sample(list(costs), len(costs)):
            costs[name].append(_play(wave, name, old, new))
        assert (wave.trusts(old), wave.trusts(new)) == (0, TENTACLES)
        old, new = new, old
    (wall, cpu), (bare_wall, bare_cpu) = (_ratios(costs[name], costs["octo"]) for name in RESTARTS)
    report(
        f"Two visits against six tasks by hand, {TENTACLES} Tentacles, forks {FORKS}, {ROUNDS} rounds, medians of ratios inside a round",
        [
            Figure("times less wall", statistics.median(wall), 2.5, at_least=True),
            Figure("times less CPU, controller and targets together", statistics.median(cpu), 2.5, at_least=True),
        ],
        [
            f"by hand: {_in_words(costs['hand'])}; octo_trust: {_in_words(costs['octo'])}",
            f"wall {min(wall):.2f} to {max(wall):.2f}, CPU {min(cpu):.2f} to {max(cpu):.2f}",
            f"with a bare systemctl restart by hand: {_in_words(costs['bare'])};"
            f" {statistics.median(bare_wall):.2f} times less wall, {statistics.median(bare_cpu):.2f} times less CPU",
        ],
    )
