# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet: up, changed while it runs, down without a trace.

with Fleet(FleetSpec(tentacles=3, quirks=("lower_case_pin:web-02",))) as fleet:
    fleet.start_witness()
    subprocess.run(["ansible-playbook", "-i", fleet.inventory, ...], env=fleet.env)
    assert fleet.stop_witness().ok
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from lab.fleet import inventory, quirks, readiness, servers, tentacles
from lab.fleet.addresses import Block
from lab.fleet.folders import Folders
from lab.fleet.manager import Manager
from lab.fleet.plan import FOREIGN, MAIN, Front, Plan, Server, Tentacle
from lab.fleet.spec import FleetSpec
from lab.fleet.supervision import TESTS, Supervision, abandoned, fresh_root
from lab.fleet.tentacles import HOME_VARIABLE, Paths
from lab.fleet.witnessing import Witnessing, WitnessReport
from lab.server.database import SUBJECT, Database
from lab.server.tasks import RUNNING, Tasks
from lab.tentacle.trust import TrustEntry
from lab.windows import building as windows
from lab.wire.certificates import make_certificate
from lab.wire.proxy import HttpProxy
from lab.wire.quirks import switched_off

_PROGRAMS = ("Tentacle", "Octopus.Server", "systemctl", "sudo", "container")
_LEAN = frozenset({"systemctl", "sudo", "container"})  # the standard library is all that they need
_UNREACHABLE = "#!/bin/sh\necho 'ssh: connect to host port 22: No route to host' >&2\nexit 255\n"


@dataclass(frozen=True)
class Unit:
    """A service of the fleet."""

    name: str
    manager: Manager

    def start(self) -> None:
        self.manager.start(self.name)

    def stop(self) -> None:
        self.manager.stop(self.name)

    def restart(self) -> None:
        self.manager.restart(self.name)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """A signal to the process, as from outside: the unit comes back by itself."""
        self.manager.kill(self.name, number)

    def show(self, name: str) -> str:
        return self.manager.show(self.name)[name]

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    @property
    def active(self) -> bool:
        return self.show("ActiveState") == "active"


class Fleet:
    """Tentacles and Servers as real processes on loopback, below one folder."""

    def __init__(self, spec: FleetSpec) -> None:
        self.spec = spec
        self.backup_password = secrets.token_urlsafe(18)
        self._block: Block | None = None
        self._supervision: Supervision | None = None
        self._witness: Witnessing | None = None
        self.proxies: dict[str, HttpProxy] = {}
        self.fronts: list[Front] = []

    def __enter__(self) -> Fleet:
        self.up()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.down()

    # -- up and down

    def up(self) -> None:
        """Everything runs and answers when this returns; when it raises, nothing is left."""
        self._block = Block.reserve()
        try:
            self.plan = Plan.of(self.spec, self._block)
            for quirk in self.spec.quirks:
                quirks.apply(self.plan, quirk)
            for change in self.spec.changes:
                change(self.plan)
            self.folders = Folders(self._root())
            self._supervision = Supervision.begin(self.folders, keep=(self._block.token,))
            self.manager = self._supervision.manager
            self._build()
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """Kill everything, remove everything; at most a second or two."""
        if self._witness is not None:
            self._witness.end()
            self._witness = None
        if self._supervision is not None:
            self._supervision.end()
            self._supervision = None
        while self.proxies:
            self.proxies.popitem()[1].stop()
        while self.fronts:
            self.fronts.pop().stop()
        if self._block is not None:
            self._block.release()
            self._block = None

    def _root(self) -> Path:
        if self.spec.root is None:
            return fresh_root()
        root = self.spec.root.absolute()
        if root.exists() and any(root.iterdir()):
            if not abandoned(Folders(root)):
                raise FileExistsError(f"{root} is neither empty nor the folder of a fleet that was killed. Name another folder.")
            shutil.rmtree(root)
        return root

    def _build(self) -> None:
        self._write_programs()
        self._write_settings()
        self._make_identities()
        for server in self.plan.servers:
            servers.write_server(self.folders, server)
        self._write_tentacles()
        servers.write_records(self.folders, self.plan)
        windows.write_machines(self.folders, self.plan)
        self._describe_containers()
        self._start()
        self._start_proxies()
        self.fronts += [make(self) for make in self.plan.fronts]
        for act in self.plan.afterwards:
            act(self)
        self._describe()

    def _write_programs(self) -> None:
        for program in _PROGRAMS:
            argv = [sys.executable, *(["-S"] if program in _LEAN else []), "-I", str(TESTS / "lab" / "bin" / program)]
            if program == "Tentacle" and self.spec.executable:
                argv = list(self.spec.executable)
            self._write_program(program, f'#!/bin/sh\nOCTOLAB={shlex.quote(str(self.folders.root))}\nexport OCTOLAB\nexec {shlex.join(argv)} "$@"\n')
        self._write_program("unreachable-ssh", _UNREACHABLE)

    def _write_program(self, name: str, text: str) -> None:
        file = self.folders.bin / name
        file.write_text(text, encoding="utf-8")
        file.chmod(0o755)

    def _write_settings(self) -> None:
        spec = self.spec
        real = {"machine_id_file": "/etc/machine-id", "home": str(Path.home()), "machine_key_file": "/etc/octopus/machinekey"}
        # By the file: the service manager starts its services with an environment of its own.
        settings = {"time_scale": spec.time_scale, "cli_cost": spec.cli_cost, "quirks_off": sorted(switched_off())}
        settings |= {**(real if spec.executable else {}), **spec.settings}
        self.folders.publish(self.folders.settings_file, {**settings, "faults": {**self.plan.faults, **spec.faults}})

    def _make_identities(self) -> None:
        """All keys at once: RSA is the slowest part of a fleet, and the library makes keys without the interpreter's lock."""
        mine = [each for each in self.plan.tentacles if each.clone_of is None and each.keypair is None]
        wanted: list[Tentacle] = [] if self.spec.executable else mine
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            makers = {server.name: pool.submit(make_certificate, SUBJECT) for server in self.plan.servers}
            identities = [pool.submit(make_certificate, "Octopus Tentacle") for _ignored in wanted]
        for server in self.plan.servers:
            server.keypair = makers[server.name].result()
        for tentacle, identity in zip(wanted, identities, strict=True):
            tentacle.keypair = identity.result()

    def _write_tentacles(self) -> None:
        originals_first = sorted(self.plan.tentacles, key=lambda each: each.clone_of is not None)
        for tentacle in originals_first:
            keypair = tentacle.clone_of.keypair if tentacle.clone_of is not None else tentacle.keypair
            if self.spec.executable:
                tentacles.write_by_command(self.folders, self.plan, tentacle, self.env)
            elif keypair is not None:
                tentacles.write_by_library(self.folders, self.plan, tentacle, keypair)
            paths = tentacles.paths_of(self.folders, tentacle)
            home = Path.home() if self.spec.executable else paths.home_of_account if tentacle.account else paths.home_of_root
            environment = {HOME_VARIABLE: str(paths.machine_configuration_home), "HOME": str(home)}
            tentacles.write_unit(
                self.folders, tentacle.unit, self.folders.bin / "Tentacle", tentacle.instance, environment, "Tentacle deployment agent"
            )
            if tentacle.account:
                tentacles.name_account(self.folders, tentacle.unit)

    def _describe_containers(self) -> None:
        for node in self.plan.server(MAIN).nodes:
            if node.container is not None:
                folder = self.folders.container(node.container)
                for inner in ("tmp", "root", "Octopus"):
                    (folder / "rootfs" / inner).mkdir(parents=True)
                environment = {"OCTOLAB": str(self.folders.root), HOME_VARIABLE: str(self.folders.host(node.host) / "etc" / "octopus")}
                (folder / "container.json").write_text(json.dumps({"unit": node.unit, "environment": environment}), encoding="utf-8")

    def _start(self) -> None:
        """All that listens at once; who polls finds the nodes there. What must be whole to start is damaged afterwards."""
        nodes = [node for server in self.plan.servers for node in server.nodes]
        running = [tentacle for tentacle in self.plan.tentacles if tentacle.runs]
        polling = [tentacle for tentacle in running if tentacle.polling]
        listeners = {(node.address, node.comms_port): node.unit for node in nodes}
        listeners |= {(each.address, each.port): each.unit for each in running if not each.polling}
        for unit in listeners.values():
            self.manager.start(unit)
        readiness.await_listeners(self.folders, listeners)
        for tentacle in polling:
            self.manager.start(tentacle.unit)
        readiness.await_polling(self.server.nodes, [each for each in polling if each.trusts(MAIN)])

    def _start_proxies(self) -> None:
        for name, proxy in self.plan.proxies.items():
            names = {tentacle.inside: tentacle.address for tentacle in self.plan.tentacles if tentacle.proxy == name}
            self.proxies[name] = HttpProxy(proxy.host, proxy.port, names=names, login=proxy.login)
            self.proxies[name].start()

    def _describe(self) -> None:
        machine_id = "/etc/machine-id" if self.spec.executable else None
        described = inventory.inventory(self.folders, self.plan, self.backup_password, machine_id)
        self.inventory.touch(mode=0o600)
        self.inventory.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
        self.folders.publish(self.root / "fleet.json", inventory.description(self.folders, self.plan))

    # -- what it is

    @property
    def root(self) -> Path:
        return self.folders.root

    @property
    def inventory(self) -> Path:
        return self.root / "inventory.yml"

    @property
    def env(self) -> dict[str, str]:
        """For ansible-playbook and everything else that acts on the fleet; temporary files land in its folder, too."""
        more = {
            "PATH": f"{self.folders.bin}:{os.environ.get('PATH', os.defpath)}",
            "ANSIBLE_INVENTORY": str(self.inventory),
            "ANSIBLE_LOCAL_TEMP": str(self.root / "tmp" / "controller"),
            "ANSIBLE_REMOTE_TEMP": str(self.root / "tmp" / "target"),
            "ANSIBLE_CONNECTION_PLUGINS": str(windows.CONNECTIONS),
        }
        return {**os.environ, **more}

    @property
    def server(self) -> Server:
        return self.plan.server(MAIN)

    @property
    def foreign_server(self) -> Server:
        return self.plan.server(FOREIGN)

    @property
    def tentacles(self) -> list[Tentacle]:
        return self.plan.tentacles

    @property
    def description(self) -> dict[str, Any]:
        """fleet.json."""
        loaded: dict[str, Any] = json.loads((self.root / "fleet.json").read_text(encoding="utf-8"))
        return loaded

    @property
    def edges(self) -> list[dict[str, Any]]:
        edges: list[dict[str, Any]] = self.description["edges"]
        return edges

    def tentacle(self, host: str, instance: str | None = None) -> Tentacle:
        return next(each for each in self.tentacles if each.host == host and instance in (None, each.instance))

    def paths(self, host: str, instance: str | None = None) -> Paths:
        return tentacles.paths_of(self.folders, self.tentacle(host, instance))

    def trust(self, host: str, instance: str | None = None) -> tuple[TrustEntry, ...]:
        """The trust list as it stands on disk now."""
        return tentacles.configuration_of(self.folders, self.tentacle(host, instance)).trusted_servers

    def database_file(self, server: str = MAIN) -> Path:
        return servers.database_file(self.folders, self.plan.server(server))

    def database(self, server: str = MAIN) -> Database:
        """Open it where you use it, and close it."""
        return Database(self.database_file(server))

    # -- what can be done to it

    def unit(self, host: str, instance: str | None = None) -> Unit:
        """The service of a Tentacle, or of a node by its name."""
        for server in self.plan.servers:
            for node in server.nodes:
                if node.name == host:
                    return Unit(node.unit, self.manager)
        return Unit(self.tentacle(host, instance).unit, self.manager)

    def fault(self, name: str, value: object) -> None:
        """Switch a fault; None takes it away. The stand-ins read faults at each use."""
        settings = self.folders.settings()
        faults = {**settings.get("faults", {}), name: value}
        self.folders.publish(self.folders.settings_file, {**settings, "faults": {key: each for key, each in faults.items() if each is not None}})

    def set(self, **settings: object) -> None:
        """Other settings of the stand-ins, for processes that start from now on."""
        self.folders.publish(self.folders.settings_file, {**self.folders.settings(), **settings})

    def finish_tasks(self) -> None:
        """End the deployments that the quirk ``busy`` planted."""
        database = self.database()
        tasks = Tasks(database)
        for task in tasks.find(states=RUNNING):
            if task.name != "Health":
                tasks.finish(task.id)
        database.close()

    def run(self, argv: Sequence[str], host: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the fleet as on one of its hosts."""
        home = {HOME_VARIABLE: str(self._home(host))} if host is not None else {}
        return subprocess.run(list(argv), env={**self.env, **home, **more}, cwd="/", capture_output=True, text=True, check=False)

    def _home(self, host: str) -> Path:
        if any(each.host == host for each in self.tentacles):
            return self.paths(host).machine_configuration_home
        node = next(node for server in self.plan.servers for node in server.nodes if node.host == host)
        return servers.paths_of(self.folders, node).machine_configuration_home

    def start_witness(self, rate: float = 5.0, back_off: float = 0.0) -> Witnessing:
        """It has looked at every edge when this returns. ``back_off``: what was announced for polling Tentacles after a node's restart."""
        self._witness = Witnessing(self.folders, rate, back_off)
        return self._witness

    @property
    def witness(self) -> Witnessing:
        if self._witness is None:
            raise ValueError("No witness has been started.")
        return self._witness

    def stop_witness(self) -> WitnessReport:
        witness, self._witness = self.witness, None
        return witness.stop()
