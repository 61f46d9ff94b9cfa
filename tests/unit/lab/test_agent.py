# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The agent as a process: start lines, snapshot, signals, exit codes (contracts/tentacle-cli.md 5.1, golden/agent-start.stdout)."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from lab.settings import Settings
from lab.tentacle.configuration import TRUST, TentacleConfiguration
from lab.tentacle.keys import Certificate
from lab.tentacle.trust import Style, TrustEntry
from lab.tentacle.xml_store import INITIAL
from lab.waiting import until
from lab.wire.caller import CallResult, call
from lab.wire.certificates import Keypair, make_certificate

OWN, OLD, NEW = make_certificate(), make_certificate("Octopus Portal OLD"), make_certificate("Octopus Portal NEW")
TESTS = Path(__file__).resolve().parents[2]
TASKS = ["WorkspaceCleanerTask.Start(): Starting", "LivenessHeartbeatTask.Start(): Starting"]
DEADLINE = 20.0
# The stand-in's process, as another user for the certificate store than it really is.
AS_USER = (
    "import os, sys; from lab.settings import Settings; from lab.tentacle.program import run; from lab.tentacle.world import World;"
    " sys.exit(run(World(sys.argv[1:], os.environ, os.getcwd(), sys.stdin, sys.stdout, sys.stderr, Settings.load(), uid=4711)))"
)


class Agent:
    """A running agent; its lines as they come."""

    def __init__(self, argv: Sequence[str], environ: dict[str, str], stdin: int = subprocess.DEVNULL) -> None:
        self.process = subprocess.Popen(argv, env=environ, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        pairs = ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr))
        self._readers = [threading.Thread(target=lambda a=stream, b=lines: b.extend(each.rstrip("\n") for each in a)) for stream, lines in pairs]
        for reader in self._readers:
            reader.start()

    def wait_for(self, line: str) -> None:
        until(lambda: line in self.stdout + self.stderr or self.process.poll() is not None, DEADLINE, what=line)
        assert line in self.stdout + self.stderr, (self.stdout, self.stderr)

    def ended(self) -> int:
        code = self.process.wait(DEADLINE)
        for reader in self._readers:
            reader.join(DEADLINE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code


class Host:
    """An installation with one instance."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.agents: list[Agent] = []
        self.address = "127.0.0.1"
        with socket.create_server((self.address, 0)) as free:
            self.port = free.getsockname()[1]
        (root / "etc/Tentacle/Instances").mkdir(parents=True)
        (root / "machine-id").write_text("0123456789abcdef" * 2)
        self.path = root / "web-01/T1/tentacle.config"
        self.path.parent.mkdir(parents=True)
        self.path.write_text(INITIAL)
        index = {"Name": "T1", "ConfigurationFilePath": str(self.path)}
        (root / "etc/Tentacle/Instances/t1.config").write_text(json.dumps(index))
        self.set_settings({})
        self.configure("Octopus.Home", str(self.path.parent))
        self.configure("Tentacle.Services.ListenIP", self.address)
        self.configure("Tentacle.Services.PortNumber", str(self.port))
        self.configuration().set_certificate(Certificate.of(OWN))

    @property
    def environ(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("OCTO")},
            "OCTOLAB_SETTINGS": str(self.root / "lab.json"),
            "TentacleMachineConfigurationHomeDirectory": str(self.root / "etc"),
            "PYTHONPATH": str(TESTS),
        }

    def set_settings(self, settings: dict[str, object]) -> None:
        base = {"machine_id_file": str(self.root / "machine-id"), "home": str(self.root / "home"), "time_scale": 0.01}
        (self.root / "lab.json").write_text(json.dumps({**base, **settings}))

    def configuration(self) -> TentacleConfiguration:
        return TentacleConfiguration(str(self.path), Settings.load(self.environ), os.geteuid())

    def configure(self, key: str, value: str | None) -> None:
        self.configuration().store.set(key, value)

    def trust(self, *entries: TrustEntry) -> None:
        self.configuration().set_trusted_servers(entries)

    def start(self, *arguments: str, program: Sequence[str] = (), ready: bool = True) -> Agent:
        argv = [sys.executable, *(program or [str(TESTS / "lab/bin/Tentacle")]), "run", "--instance=T1", *arguments]
        self.agents.append(Agent(argv, self.environ))
        if ready:
            self.agents[-1].wait_for(TASKS[-1])
        return self.agents[-1]

    def call(self, keypair: Keypair, expected: Keypair = OWN) -> CallResult:
        return call(self.address, self.port, keypair, expected.thumbprint, tries=1)

    @property
    def log(self) -> str:
        return (self.path.parent / "Logs/OctopusTentacle.txt").read_text()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    found = Host(tmp_path)
    yield found
    for agent in found.agents:
        if agent.process.poll() is None:
            agent.process.kill()
        agent.ended()


def trusting(keypair: Keypair) -> str:
    return f"Agent will trust Octopus Servers with the thumbprint: {keypair.thumbprint}"


def polling_lines(keypair: Keypair, count: int | None = None) -> list[str]:
    where = "https://127.0.0.1:1/ for subscription poll://abcdefghijklmnopqrst/"
    asked = [f"Requested polling connection count (from Tentacle configuration): {count}"] if count else []
    return [
        f"Agent will poll Octopus Server at {where} expecting thumbprint {keypair.thumbprint}",
        *asked,
        f"Starting {count or 1} polling connections",
    ]


def polled(keypair: Keypair) -> TrustEntry:
    return TrustEntry(keypair.thumbprint, Style.TentacleActive, "https://127.0.0.1:1", None, "poll://abcdefghijklmnopqrst/")


def test_start_serve_and_stop(host: Host) -> None:
    host.trust(TrustEntry(OLD.thumbprint))
    agent = host.start("--noninteractive")
    assert agent.stdout == [
        trusting(OLD),
        f"listen://127.0.0.1:{host.port}/".ljust(30) + "    1  Listener started",
        f"Agent listening on: 127.0.0.1:{host.port}",
        *TASKS,
    ]
    assert host.call(OLD).ok
    assert not host.call(NEW).ok
    source = f"listen://127.0.0.1:{host.port}/".ljust(30)
    assert len(re.findall(rf"  INFO  {source} +[0-9]+  Accepted TCP client: 127.0.0.1:[0-9]+\n", host.log)) == 2
    assert len(re.findall(rf"  INFO  {source} +[0-9]+  Client at 127.0.0.1:[0-9]+ authenticated as {OLD.thumbprint}\n", host.log)) == 1
    assert "DEBUG" not in host.log
    assert (host.path.parent / "livez.heartbeat").exists()
    before = host.log
    agent.process.send_signal(signal.SIGTERM)
    assert agent.ended() in (143, 0)
    assert (host.log, agent.stderr) == (before, [])


def test_trust_and_certificate_are_a_snapshot(host: Host) -> None:
    host.trust(TrustEntry(OLD.thumbprint))
    agent = host.start("--noninteractive")
    host.trust(TrustEntry(NEW.thumbprint))
    host.configuration().set_certificate(Certificate.of(NEW))
    assert host.call(OLD).ok
    assert not host.call(NEW).ok
    agent.process.terminate()
    agent.ended()
    host.start("--noninteractive")
    assert not host.call(OLD, NEW).ok
    assert host.call(NEW, NEW).ok


def test_the_snapshot_can_be_switched_off_and_faults_on(host: Host) -> None:
    host.set_settings({"quirks_off": ["snapshot_at_start"]})
    host.start("--noninteractive")
    assert not host.call(NEW).ok
    host.trust(TrustEntry(NEW.thumbprint))
    assert host.call(NEW).ok
    assert not host.call(OLD).ok
    host.set_settings({"faults": {"tentacle_accepts_anybody": ["web-01/T1"]}})
    assert host.call(OLD).ok
    host.set_settings({"faults": {"tentacle_accepts_anybody": ["web-02/T1"]}})
    assert not host.call(OLD).ok


def test_an_agent_without_certificate_makes_one(host: Host) -> None:
    host.configure("Tentacle.Certificate", None)
    agent = host.start("--noninteractive")
    assert agent.stdout[0] == "A new certificate has been generated and installed as none were yet available. Thumbprint:"
    assert agent.stdout[1] == host.configuration().thumbprint
    assert agent.stdout[2] == "The agent is not configured to trust any Octopus Servers."
    assert host.call(OLD).presented == agent.stdout[1]


def test_two_polling_entries_and_no_port(host: Host) -> None:
    host.trust(polled(OLD), polled(NEW))
    host.configure("Tentacle.Services.NoListen", "true")
    agent = host.start("--noninteractive")
    none = "Agent will not listen on any TCP ports"
    assert agent.stdout == [trusting(OLD), trusting(NEW), *polling_lines(OLD), *polling_lines(NEW), none, *TASKS]
    refused = "The remote host at https://127.0.0.1:1/ refused the connection. This may mean that the expected listening service is not running."
    until(lambda: sum(refused in line for line in agent.stderr) >= 2)
    assert re.search(r"ERROR  https://127.0.0.1:1/ +[0-9]+  Halibut client exception: .*: Connection refused. Retrying in 5.0 seconds", host.log)


def test_a_connection_count_is_told_for_each_entry(host: Host) -> None:
    host.trust(polled(OLD), TrustEntry(NEW.thumbprint))
    host.configure("Tentacle.Communication.PollingConnectionCount", "5")
    agent = host.start("--noninteractive")
    assert agent.stdout[:5] == [trusting(OLD), trusting(NEW), *polling_lines(OLD, 5)]


def test_entries_that_cannot_be_polled_are_left_alone(host: Host) -> None:
    host.trust(TrustEntry(OLD.thumbprint, Style.TentacleActive), TrustEntry(NEW.thumbprint, Style.TentacleActive, "wss://127.0.0.1:1/", "S", None))
    agent = host.start("--noninteractive")
    assert agent.stdout[2:4] == [
        f"The polling entry for {OLD.thumbprint} has no address and is skipped",
        f"Agent will poll Octopus Server at wss://127.0.0.1:1/ for subscription poll://s/ expecting thumbprint {NEW.thumbprint}",
    ]
    assert host.call(OLD).ok
    assert agent.stderr == []


def test_entries_without_style_are_fixed_in_the_file(host: Host) -> None:
    host.trust(TrustEntry(OLD.thumbprint, Style.NoStyle))
    agent = host.start("--noninteractive")
    assert agent.stdout[:2] == [f"Fixed communication style for: {OLD.thumbprint}", trusting(OLD)]
    assert host.configuration().trusted_servers == (TrustEntry(OLD.thumbprint, Style.TentaclePassive),)


def test_a_taken_port_ends_with_100(host: Host) -> None:
    with socket.create_server((host.address, host.port)):
        agent = host.start("--noninteractive", ready=False)
        assert agent.ended() == 100
    assert "Address already in use" in agent.stderr
    assert "System.Net.Sockets.SocketException" in agent.stderr


def test_a_damaged_trust_list_ends_with_100_and_changes_nothing(host: Host) -> None:
    host.configure(TRUST, '[{"Thumbprint":"')
    before = host.path.read_bytes()
    assert host.start("--noninteractive", ready=False).ended() == 100
    assert host.path.read_bytes() == before


def test_a_certificate_without_key_ends_with_100(host: Host) -> None:
    host.configuration().set_certificate(Certificate(NEW.der, None))
    agent = host.start("--noninteractive", ready=False)
    assert agent.ended() == 100
    assert "The X509 certificate provided does not have a private key, and so it cannot be used for listening." in agent.stderr


def test_interactive_with_closed_input_starts_and_ends(host: Host) -> None:
    agent = host.start(ready=False)
    assert agent.ended() == 0
    assert agent.stdout[-2:] == [TASKS[-1], "Running. Press <enter> to shut down..."]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_other_signals_end_it_by_themselves(host: Host, number: signal.Signals) -> None:
    ours = signal.signal(number, signal.SIG_DFL)  # what nohup ignores, its children inherit
    try:
        agent = host.start("--noninteractive")
    finally:
        signal.signal(number, ours)
    agent.process.send_signal(number)
    assert agent.ended() == -number


def test_a_foreign_certificate_store_leaves_it_alive_and_deaf(host: Host) -> None:
    program = ["-c", AS_USER]
    agent = host.start("--noninteractive", program=program, ready=False)
    folder = host.root / "home/.dotnet/corefx/cryptography/x509stores/my"
    agent.wait_for(
        "The owner of the x509stores is not the current user, please change ownership of the x509stores directory or run with sudo. "
        f"Details: The owner of '{folder}' is not the current user."
    )
    assert agent.process.poll() is None
    assert "refused" in str(host.call(OLD).error_text)
    agent.process.terminate()
    assert agent.ended() in (143, 0)
