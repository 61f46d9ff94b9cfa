# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host for two: real files under a folder, on which the vendor's stand-in and our brains work side by side in this process.

Services are a dictionary: a start takes a snapshot of the configuration, as the agent does, and leaves the agent's lines in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._host import Account, Completed, PosixHost, Process, Service, Socket
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import instance, machinekey, trust, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.index import HOME_VARIABLE
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Hands
from lab.tentacle.calling import Called
from lab.tentacle.calling import Host as Vendor
from lab.tentacle.trust import Style, TrustEntry
from lab.wire.certificates import Keypair, make_certificate, to_pfx
from unit.tentacle.doubles import HandClock, Poll, meetings, start_up

ONE, TWO = make_certificate("one"), make_certificate("two")  # a key costs a tenth of a second, so the tests share these
_FIRST_PID = 5_000_000  # beyond what Linux gives to anybody


class Workbench(PosixHost):
    """``vendor`` is the stand-in's side; the rest is ours."""

    def __init__(self, root: Path) -> None:
        self.time = HandClock()
        super().__init__(self.time.clock, lock_parents=[str(root)])
        self.root = root
        self.vendor = Vendor(root).create()
        self.given(ONE)
        self.calls: list[list[str]] = []
        self.services: dict[str, Service] = {}
        self.table: dict[int, Process] = {}
        self.served: dict[int, bytes] = {}
        self.servers: dict[str, str] = {}  # by the address that is polled: the certificate that is presented there
        self.uid = 0  # of the account that services run as
        self.before_call: Callable[[], None] = lambda: None
        self.manager: Callable[[Sequence[str]], Completed] = self._obey

    # -- what the vendor's tool makes of it

    def call(self, verb: str, *words: str, instance: str = "T1") -> Called:
        return self.vendor.call(verb, f"--instance={instance}", *words)

    def given(self, keypair: Keypair, name: str = "T1") -> None:
        """Its identity, as import-certificate stores it."""
        pfx = self.root / "given.pfx"
        pfx.write_bytes(to_pfx(keypair, None))
        assert self.vendor.call("import-certificate", f"--instance={name}", f"--from-file={pfx}").code == 0

    def trusts(self, *entries: str | TrustEntry) -> Workbench:
        found = [entry if isinstance(entry, TrustEntry) else TrustEntry(entry) for entry in entries]
        self.vendor.configuration().set_trusted_servers(found)
        return self

    def pins(self, name: str = "T1") -> list[str]:
        return self.vendor.trusted(name)

    def serve(self, name: str = "T1") -> Workbench:
        """A process of its service starts."""
        pid = _FIRST_PID + len(self.table) + len(self.calls)
        argv = ("Tentacle", "run", f"--instance={name}", "--noninteractive")
        now = self.monotonic_us()
        environment = ((HOME_VARIABLE, str(self.installation.home)), ("HOME", str(self.vendor.settings.home)))
        self.table = {pid: Process(pid, 1, self.uid, argv, now)}
        self.services[f"{name}.service"] = Service(f"{name}.service", True, True, pid, now, "then", "root", argv, environment, "active")
        configuration = self.vendor.configuration(name)
        certificate = configuration.certificate()
        assert certificate is not None
        if not configuration.no_listen:
            self.served[configuration.port] = certificate.der
        logs = Path(configuration.home or self.root) / "Logs"
        logs.mkdir(parents=True, exist_ok=True)
        polls = [
            Poll(str(entry.address), str(entry.subscription_id), entry.thumbprint)
            for entry in configuration.trusted_servers
            if entry.style == Style.TentacleActive
        ]
        with (logs / "OctopusTentacle.txt").open("ab") as log:
            log.write(start_up(pid, *self.pins(name), polls=polls) + meetings(pid, polls, self.servers))
        return self

    # -- what our brains make of it

    @property
    def installation(self) -> Installation:
        settings = self.vendor.settings
        return Installation(str(settings.machine_configuration_home), str(settings.machine_id_file), ["Tentacle"])

    @property
    def hands(self) -> Hands:
        return Hands(self, lambda _address, port, _timeout: self.served[port], self.time.clock)

    def rows(self) -> list[instance.Row]:
        return instance.read_instances(self, "*", self.installation, self.time.clock)

    def row(self, name: str = "T1") -> instance.Row:
        (row,) = instance.read_instances(self, name, self.installation, self.time.clock)
        return row

    def visit(self, state: str, *thumbprints: str, forget: Sequence[str] = (), **task: Any) -> instance.Row:
        return self.wish(trust.Wish(state, thumbprints, tuple(forget)), **task)

    def wish(self, wish: trust.Wish, **task: Any) -> instance.Row:
        (row,) = visit.trust_rows(self.hands, visit.TrustTask("T1", wish, unguarded=wish.removes, **task), self.installation)
        return row

    def orders(self) -> list[str]:
        """What was started, by program and verb."""
        return [" ".join(argv[:2]) for argv in self.calls]

    # -- the Host port

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,
        inherit_fds: Sequence[int] = (),
    ) -> Completed:
        self.calls.append(list(argv))
        self.before_call()
        if argv[0] == "Tentacle":
            done = self.vendor.call(*argv[1:])
            return Completed(done.code, done.stdout, done.stderr)
        return self.manager(argv)

    def _obey(self, argv: Sequence[str]) -> Completed:
        assert tuple(argv[:2]) == ("systemctl", "restart"), argv
        self.serve(argv[2].removesuffix(".service"))
        return Completed(0, "", "")

    def really(self, argv: Sequence[str]) -> Completed:
        """A manager that is the systemctl in PATH."""
        return PosixHost.run(self, argv)

    def read(self, path: str) -> bytes | None:
        return super().read(str(self.vendor.settings.machine_key_file) if path == machinekey.GENERATED_KEY else path)

    def service(self, unit: str) -> Service:
        return self.services.get(unit, Service(unit, False, False, 0, 0, "", "root", ()))

    def process(self, pid: int) -> Process | None:
        return self.table.get(pid)

    def processes(self, wanted: Callable[[Sequence[str]], bool] | None = None) -> list[Process]:
        return [process for process in self.table.values() if wanted is None or wanted(process.argv)]

    def account(self, user: str) -> Account | None:
        return Account(self.uid, str(self.vendor.settings.home))

    def sockets_on(self, port: int, pids: Sequence[int]) -> list[Socket]:
        return [Socket("::", pid) for pid in pids]
