# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host in memory with Tentacles that start, stop and restart as a service manager makes them, each serving what it loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._host import Completed, FileStat, Process, Service
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, instance, trust, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Hands
from unit.tentacle.doubles import CERTIFICATE, MACHINE_ID, FakeHost, HandClock, Poll, document, meetings, start_up, trust_json

EXECUTABLE = "/opt/octopus/tentacle/Tentacle"
PORT = 10933


class Tentacle:
    """One instance. ``obeys`` is what an order does: by default what was asked for."""

    def __init__(self, world: World, name: str, trusted: str, port: int) -> None:
        self.world, self.name, self.port = world, name, port
        self.path = f"/srv/{name}/tentacle.config"
        self.unit = f"{name}.service"
        self.serves = CERTIFICATE
        self.pid = 0
        self.log_level_hides_pins = False
        self.servers: dict[str, str] = {}  # by the address that is polled: the certificate that is presented there
        self.obeys: Callable[[str], None] = self.obey
        host = world.host
        host.files[f"/etc/octopus/Tentacle/Instances/{name.lower()}.config"] = f'{{"Name":"{name}","ConfigurationFilePath":"{self.path}"}}'.encode()
        self.write(document(trusted, Octopus_Home=f"/srv/{name}", Tentacle_Services_PortNumber=str(port)))
        self.start()

    def write(self, data: bytes) -> None:
        """As somebody else writes: the file gets a new modification time."""
        host = self.world.host
        host.files[self.path] = data
        host.stats[self.path] = FileStat(0o644, 0, 0, len(data), 1, host.wall_ns(host.monotonic_us()))

    def trust(self) -> trust.Entries:
        return trust.parse(configuration.parse(self.path, self.world.host.files[self.path]).get(configuration.TRUST))

    @property
    def argv(self) -> tuple[str, ...]:
        return (EXECUTABLE, "run", f"--instance={self.name}", "--noninteractive")

    def start(self) -> None:
        host = self.world.host
        host.time.time += 0.5
        self.pid = self.world.next_pid = self.world.next_pid + 1
        started = host.monotonic_us()
        host.table[self.pid] = Process(self.pid, 1, 0, self.argv, started)
        host.services[self.unit] = Service(self.unit, True, True, self.pid, started, "then", "root", self.argv, (), "active")
        host.sockets.append(("::", self.port, self.pid))
        self.world.serving[self.port] = self.serves
        if not self.log_level_hides_pins:
            self.say(start_up(self.pid, *self.pins(), polls=self.polls()))
            self.meet()

    @property
    def log(self) -> str:
        return f"/srv/{self.name}/Logs/OctopusTentacle.txt"

    def say(self, lines: bytes) -> None:
        files = self.world.host.files
        files[self.log] = files.get(self.log, b"") + lines

    def pins(self) -> list[str]:
        return [entry.thumbprint for entry in self.trust()]

    def polls(self) -> list[Poll]:
        return [Poll(str(entry.address), str(entry.subscription_id), entry.thumbprint) for entry in self.trust() if entry.style == "polling"]

    def meet(self) -> None:
        """The first round of its loops."""
        self.say(meetings(self.pid, self.polls(), self.servers))

    def stop(self) -> None:
        host = self.world.host
        host.table.pop(self.pid, None)
        host.sockets = [one for one in host.sockets if one[2] != self.pid]
        self.world.serving.pop(self.port, None)
        host.services[self.unit] = Service(self.unit, True, False, 0, 0, "", "root", self.argv, (), "inactive")

    def obey(self, verb: str) -> None:
        if verb in ("stop", "restart"):
            self.stop()
        if verb in ("start", "restart"):
            self.start()


class World:
    def __init__(self) -> None:
        self.time = HandClock()
        self.host = FakeHost(self.time)
        self.next_pid = 100
        self.serving: dict[int, bytes] = {}
        self.looks: list[tuple[str, int]] = []
        self.host.files["/etc/machine-id"] = MACHINE_ID
        self.host.stats[EXECUTABLE] = FileStat(0o755, 0, 0, 1, 1, 0)
        self.host.when["systemctl"] = self._systemctl
        self.tentacles: dict[str, Tentacle] = {}
        self.said = ""

    def add(self, name: str, *pins: str, trusted: str | None = None, port: int = PORT) -> Tentacle:
        self.tentacles[name] = Tentacle(self, name, trust_json(*pins) if trusted is None else trusted, port)
        return self.tentacles[name]

    def _systemctl(self, argv: Sequence[str]) -> Completed:
        for tentacle in self.tentacles.values():
            if tentacle.unit == argv[-1]:
                tentacle.obeys(argv[1])
        return Completed(0, "", self.said)

    def wire(self, address: str, port: int, _timeout: float) -> bytes:
        self.looks.append((address, port))
        if port not in self.serving:
            raise ConnectionRefusedError(address)
        return self.serving[port]

    @property
    def hands(self) -> Hands:
        return Hands(self.host, self.wire, self.time.clock)

    def read(self, name: str = "*", installation: Installation | None = None) -> list[instance.Row]:
        return instance.read_instances(self.host, name, installation or Installation(), self.time.clock)

    def visit(self, wish: trust.Wish, name: str = "*", installation: Installation | None = None, **task: Any) -> list[instance.Row]:
        return visit.trust_rows(self.hands, visit.TrustTask(name, wish, **task), installation or Installation())

    def orders(self) -> list[str]:
        """What the service manager was asked to do."""
        return [" ".join(argv) for argv in self.host.orders]
