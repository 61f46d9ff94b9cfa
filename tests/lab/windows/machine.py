# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host of a fleet as Windows would show it: disk, registry, services, processes, listening ports.

What the fleet's builder knows of it lies in windows/<host>.json; everything else is looked up in the processes that run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from lab.fleet.folders import Folders
from lab.fleet.manager import Manager
from lab.windows.disk import PID, Disk
from lab.windows.refusal import Failed

HOME_VARIABLE = "TentacleMachineConfigurationHomeDirectory"
HOME = r"C:\ProgramData\Octopus"
INSTALLED = r"C:\Program Files\Octopus Deploy\Tentacle"
EXECUTABLE = rf"{INSTALLED}\Tentacle.exe"
SERVER_INSTALLED = r"C:\Program Files\Octopus Deploy\Octopus"
SERVER_EXECUTABLE = rf"{SERVER_INSTALLED}\Octopus.Server.exe"
TEMP = r"C:\Users\ansible\AppData\Local\Temp"

_SYSTEM, _SERVICES = 4, 636  # process ids of the system and of its service manager
_SINCE_1601_US = 11_644_473_600_000_000
_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
_LISTENING = "0A"
_PROGRAMS = {EXECUTABLE: "Tentacle", SERVER_EXECUTABLE: "Octopus.Server"}
_STATES = {"active": "Running", "deactivating": "Stop Pending"}


@dataclass(frozen=True)
class Installed:
    """A service as the vendor's installer registers it (tentacle-cli.md 2.9)."""

    name: str
    unit: str
    command: str
    account: str = "LocalSystem"
    home: str = ""  # the variable of another index, in the service's own environment


@dataclass(frozen=True)
class Facts:
    """What the builder of the fleet wrote down."""

    machine: str
    address: str
    booted_us: int  # since 1601
    services: Sequence[Installed]
    location: str = ""  # of Tentacles, in the registry
    server_location: str = ""
    registered: Sequence[Mapping[str, str]] = ()

    @classmethod
    def load(cls, file: Path) -> Facts:
        loaded = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**loaded, "services": [Installed(**each) for each in loaded["services"]]})

    def save(self, file: Path) -> None:
        file.parent.mkdir(exist_ok=True)
        Folders.publish(file, asdict(self))


class Service(NamedTuple):
    installed: Installed
    state: str
    pid: int


class Process(NamedTuple):
    """``command`` is empty for what is none of the vendor's."""

    pid: int
    parent: int
    started_us: int
    command: str


class Machine:
    def __init__(self, root: Path, host: str) -> None:
        self.folders = Folders(root)
        self.host = host
        self.facts = Facts.load(facts_file(self.folders, host))
        self.disk = Disk(self.folders.host(host))
        self.manager = Manager(self.folders.socket)

    def faulty(self, name: str) -> bool:
        """Whether a fault of that name is on for this host; read at each use."""
        return self.host in self.folders.settings().get("faults", {}).get(name, ())

    # -- services

    def service(self, installed: Installed) -> Service:
        shown = self.manager.show(installed.unit)
        return Service(installed, _STATES.get(shown["ActiveState"], "Stopped"), int(shown["MainPID"]) * PID)

    def named(self, name: str) -> Installed | None:
        return next((each for each in self.facts.services if each.name.lower() == name.lower()), None)

    # -- processes

    def processes(self) -> list[Process]:
        """The system's own, the services, Tentacles and commands of this host, and whatever those have started."""
        stats = {pid: stat for pid in _numbers() if (stat := _stat(pid)) is not None}
        vendors = {pid: words for pid in stats if (words := self._vendors(pid)) is not None}
        mains = {service.pid // PID: service.installed.command for service in map(self.service, self.facts.services) if service.pid}
        family = {*vendors, *(mains.keys() & stats.keys())}
        while grown := {pid for pid, (parent, _ticks) in stats.items() if parent in family} - family:
            family |= grown
        found = [Process(_SYSTEM, 0, self.facts.booted_us, ""), Process(_SERVICES, _SYSTEM, self.facts.booted_us, "")]
        for pid in sorted(family):
            parent, ticks = stats[pid]
            command = mains.get(pid) or command_line([EXECUTABLE, *vendors[pid]]) if pid in vendors else ""
            started = self.facts.booted_us + (ticks + 1) * _TICK_US  # ticks count from below, and nobody reads a file in the first one
            found.append(Process(pid * PID, _SERVICES if pid in mains else parent * PID, started, command))
        return found

    def _vendors(self, pid: int) -> list[str] | None:
        """The arguments of a Tentacle of this host."""
        try:
            environment = Path("/proc", str(pid), "environ").read_bytes().split(b"\0")
            words = [os.fsdecode(word) for word in Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")[:-1]]
        except OSError:  # it has ended
            return None
        if f"{HOME_VARIABLE}={self.disk.real(HOME)}".encode() not in environment:
            return None
        at = next((at for at, word in enumerate(words) if Path(word).name in ("Tentacle", "Tentacle.dll")), None)
        return None if at is None else [self.disk.words(word) for word in words[at + 1 :]]

    def listeners(self, processes: Sequence[Process]) -> list[tuple[int, int, str]]:
        """Port, process id, address: of this host's address, and of its processes wherever they listen."""
        owners = {inode: process.pid for process in processes if process.pid > _SERVICES for inode in _sockets(process.pid // PID)}
        found = [(445, _SYSTEM, "::")]
        for address, port, inode in _listening():
            if inode in owners or address == self.facts.address:
                found.append((port, owners.get(inode, _SYSTEM), address))
        return found

    def now_us(self) -> int:
        return _SINCE_1601_US + time.time_ns() // 1000

    # -- programs

    def run(self, argv: Sequence[str], chdir: str, stdin: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """A program of this machine, of which there are the vendor's."""
        program = next((name for path, name in _PROGRAMS.items() if self.disk.exists(path) and self.disk.real(argv[0]) == self.disk.real(path)), "")
        if not program:
            raise Failed("The system cannot find the file specified")
        given = {name: self.disk.argument(value) for name, value in environment.items()}
        own = {"PATH": f"{self.folders.bin}:{os.defpath}", "HOME": os.path.expanduser("~"), HOME_VARIABLE: str(self.disk.real(HOME))}
        words = [str(self.folders.bin / program), *map(self.disk.argument, argv[1:])]
        folder = self.disk.real(chdir)
        done = subprocess.run(words, input=stdin, env={**own, **given}, cwd=folder, capture_output=True, text=True, check=False)
        return subprocess.CompletedProcess(words, done.returncode, self.disk.words(done.stdout), self.disk.words(done.stderr))


def facts_file(folders: Folders, host: str) -> Path:
    return folders.root / "windows" / f"{host}.json"


def booted_us() -> int:
    """When the kernel's clock began, since 1601; written down once, for clocks are corrected while a fleet runs."""
    return _SINCE_1601_US + (time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1000


def time_of(real: Path) -> int:
    """When a file was last written, in microseconds since 1601."""
    return _SINCE_1601_US + real.stat().st_mtime_ns // 1000


def command_line(argv: Sequence[str]) -> str:
    """As one text, by the rules of the C runtime; the program always in quotes, as services are registered."""
    return " ".join([f'"{argv[0]}"', *map(_quoted, argv[1:])])


def _quoted(word: str) -> str:
    if word and not re.search(r'[\s"]', word):
        return word
    return '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ("\\" if found[2] else "") + found[2], word) + '"'


def _numbers() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _stat(pid: int) -> tuple[int, int] | None:
    """Parent, and start in ticks since boot."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else (int(fields[1]), int(fields[19]))


def _sockets(pid: int) -> Iterator[str]:
    folder = Path("/proc", str(pid), "fd")
    try:
        links = [os.readlink(each) for each in folder.iterdir()]
    except OSError:  # it has ended
        return
    yield from (link[8:-1] for link in links if link.startswith("socket:["))


def _listening() -> Iterator[tuple[str, int, str]]:
    """Address, port and inode of what listens on this machine over IPv4, as all stand-ins do."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENING:
            address, _colon, port = fields[1].partition(":")
            yield ".".join(map(str, reversed(bytes.fromhex(address)))), int(port, 16), fields[9]
