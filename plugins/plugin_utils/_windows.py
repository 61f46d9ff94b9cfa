# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The second hand: a Windows machine, seen and changed from the controller through modules of ansible.windows (architecture.md).

A round trip costs a second, so a look brings everything that a brain is likely to ask, and its questions are answered from
that one sight until somebody waits or acts. What the look did not foresee is asked for, and from then on looked at, too.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import math
import ntpath
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, NoReturn, Protocol

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import (
    OURS,
    SYSTEM_CLOCK,
    Account,
    Clock,
    Completed,
    FileStat,
    PosixHost,
    Process,
    Service,
    Socket,
    iso,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import redact
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import index
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import System
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows_scripts as scripts

HOME = r"C:\ProgramData\Octopus"
EXECUTABLE = r"C:\Program Files\Octopus Deploy\Tentacle\Tentacle.exe"

_EPOCH_US = 11_644_473_600_000_000  # 1970, as Windows counts from 1601
_DEPTH = 8  # of what win_powershell hands back; it turns deeper things into text
_LOG = re.compile(r"octopustentacle(\.\d)?\.txt\Z", re.IGNORECASE)
_STATES = {
    "Running": "active",
    "Start Pending": "activating",
    "Continue Pending": "activating",
    "Stop Pending": "deactivating",
    "Pause Pending": "deactivating",
    "Paused": "paused",
    "Stopped": "inactive",
}


def _service_of(instance: str) -> str:
    """tentacle-cli.md 2.9."""
    return "OctopusDeploy Tentacle" if instance == "Tentacle" else f"OctopusDeploy Tentacle: {instance}"


def _node_of(instance: str) -> str:
    """octopus-server.md 1.1."""
    return "OctopusDeploy" if instance == "OctopusServer" else f"OctopusDeploy: {instance}"


# Without --console the vendor's programs take a session of WinRM for a service's (octopus-server.md 6, 41). They give a service 45 seconds to start.
WINDOWS = System(home=HOME, named=str, unit=_service_of, node=_node_of, least_patience=60.0, words=("--console",))


class Modules(Protocol):
    """What the action lends: modules on the target, and a way for bytes that are nobody's business to get there."""

    def module(self, name: str, args: Mapping[str, Any], environment: Mapping[str, str]) -> Mapping[str, Any]:
        """The result of a module of ansible.windows."""

    def transfer(self, data: bytes) -> str:
        """The path on the target of a fresh file in this account's temporary folder that holds ``data``."""


class _File(NamedTuple):
    stat: FileStat | None
    read: bool  # whether it was to be read
    data: bytes | None
    link: str
    error: str


class _Sight:
    """What one look brought, by paths and names as Windows compares them."""

    def __init__(self, answer: Mapping[str, Any], watched: Mapping[str, Any], now: float) -> None:
        self.now = now
        self.now_us = int(answer["now"])
        self.machine = str(answer["machine"])
        self.elevated = bool(answer["elevated"])
        self.location = str(answer["location"] or "")
        self.registered = [(str(one["name"]), str(one["path"])) for one in _list(answer["registered"])]
        asked = {_key(path) for path in watched["Files"]}
        self.files = {_key(one["path"]): _file(one, _key(one["path"]) in asked) for one in _list(answer["files"])}
        self.folders = {_key(one["path"]): sorted(map(str, _list(one["names"]))) for one in _list(answer["folders"])}
        self.services = {str(one["name"]).lower(): one for one in _list(answer["services"])}
        self.asked_services = {name.lower() for name in watched["Services"]}
        self.processes = {process.pid: process for process in map(_process, _list(answer["processes"]))}
        self.listeners = [tuple(line.split(" ", 2)) for line in _list(answer["listeners"])]
        self.has_logs = bool(watched["Logs"])
        self.logs: dict[str, bytes] = {}
        self.log_folders = {_key(one["folder"]) for one in _list(answer["logs"])}
        for one in _list(answer["logs"]):
            for file in _list(one["files"]):
                self.logs[_key(ntpath.join(one["folder"], file["name"]))] = str(file["text"]).encode()

    def tells_of(self, unit: str) -> bool:
        return unit.lower() in self.asked_services or unit.lower().startswith(_service_of("Tentacle").lower())


class WindowsHost:
    """A Windows machine. ``clock`` is what a brain has to wait by: after it has waited it sees anew."""

    paths: ModuleType = ntpath

    def __init__(self, modules: Modules, home: str, units: Sequence[str] = (), clock: Clock = SYSTEM_CLOCK, locks: PosixHost | None = None) -> None:
        self._modules = modules
        self._time = clock
        self._locks = locks or PosixHost(clock)
        self._index = index.folder_of(self, home)
        self._watched: dict[str, list[str]] = {"Files": [], "Folders": [], "Services": list(units), "LogFolders": []}
        self._sight: _Sight | None = None
        self._served: dict[tuple[str, int], bytes] = {}
        self.clock = Clock(clock.now, self._wait)

    def _wait(self, seconds: float) -> None:
        self._forget()
        self._time.sleep(seconds)

    def _forget(self) -> None:
        self._sight = None
        self._served.clear()

    # -- looking

    def _see(self) -> _Sight:
        return self._sight or self._look()

    def _look(self) -> _Sight:
        return self._work(scripts.LOOK, {})[1]

    def _watch(self, kind: str, what: str) -> _Sight:
        """Look again, and at this from now on."""
        self._watched[kind].append(what)
        return self._look()

    def _work(self, script: str, parameters: Mapping[str, Any]) -> tuple[Any, _Sight]:
        """Run one of the constant texts: its answer, and the sight that it ends with."""
        # After an act there is nothing new in a log yet, and reading one takes a while.
        logs = script in (scripts.LOOK, scripts.SERVED)
        shared = {"Index": self._index, **{kind: list(names) for kind, names in self._watched.items()}, "Logs": logs}
        # The exact texts and nothing else: data only ever travels as parameters.
        args = {"script": script, "parameters": {**shared, **parameters}, "depth": _DEPTH, "error_action": "stop"}
        result = self._call("win_powershell", args)
        found = result.get("result")
        if result.get("failed") or not isinstance(found, Mapping) or "sight" not in found:
            raise OctoError(f"PowerShell on the host failed: {reason_of(result)}", code="HOST_FAILED")
        sight = _Sight(found["sight"], shared, self._time.now())
        refuse_unelevated(sight.elevated)
        self._sight = sight
        return found["answer"], sight

    def _call(self, name: str, args: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        return self._modules.module(f"ansible.windows.{name}", args, environment or {})

    def _fact(self, path: str, read: bool) -> _File:
        key = _key(path)
        found = self._see().files.get(key)
        if found is None or (read and not found.read and found.stat is not None):
            found = self._watch("Files", path).files[key]
        return found

    # -- files

    def read(self, path: str) -> bytes | None:
        if _LOG.fullmatch(ntpath.basename(path)):
            return self._log(path)
        found = self._fact(path, read=True)
        if found.error:
            raise OctoError(f"{path} could not be read: {found.error}", code="UNREADABLE", path=path)
        return found.data

    def _log(self, path: str) -> bytes | None:
        """The lines of the processes that run: a log may be large, and a host brings only what can be evidence."""
        folder = ntpath.dirname(path)
        sight = self._see()
        if not sight.has_logs:
            sight = self._look()
        if _key(folder) not in sight.log_folders:
            sight = self._watch("LogFolders", folder)
        return sight.logs.get(_key(path))

    def stat(self, path: str) -> FileStat | None:
        return self._fact(path, read=False).stat

    def names_in(self, folder: str) -> list[str]:
        names = self._see().folders.get(_key(folder))
        return names if names is not None else self._watch("Folders", folder).folders[_key(folder)]

    def unindexed(self) -> Sequence[tuple[str, str]]:
        return self._see().registered

    def resolve(self, path: str) -> str:
        found = self._see().files.get(_key(path))
        return ntpath.normpath(found.link if found and found.link else path)

    def write_private(self, path: str, data: bytes, mode: int = 0o600) -> None:  # noqa: ARG002  # Windows has none
        """For administrators, the system and this account only, whatever ``mode`` says. A copy of a file that is there does not travel."""
        same = next((key for key, file in self._see().files.items() if file.data == data), None)
        source = same or self._modules.transfer(data)
        order = {"Path": source, "Sha256": _sha256(data), "To": path, "Suffix": _suffix(), "Move": same is None}
        if self._work(scripts.COPY, order)[0]:
            raise OctoError(f"{path} could not be written: what it is a copy of has changed meanwhile. Run again.", code="NOT_WRITABLE", path=path)

    def replace_if_same(self, path: str, expected: bytes, new: bytes, undisturbed: Callable[[], bool]) -> str:
        if not undisturbed():
            return "busy"
        start, end, middle = _difference(expected, new)
        # The encrypted key stays where it is: a trust edit is some hundred bytes, and what holds more goes as a file.
        source = "" if len(middle) < 65536 and b"Tentacle.Certificate" not in middle else self._modules.transfer(new)
        known = [f"{process.pid} {process.started_monotonic_us}" for process in self._see().processes.values() if process.argv]
        parameters = {
            "Path": path,
            "Sha256": _sha256(expected),
            "Start": start,
            "End": end,
            "Insert": "" if source else base64.b64encode(middle).decode("ascii"),
            "Source": source,
            "Suffix": _suffix(),
            "Known": known,
        }
        return str(self._work(scripts.REPLACE, parameters)[0])

    def remove(self, path: str) -> None:
        self._work(scripts.REMOVE, {"Path": path})

    def private_folder(self) -> NoReturn:
        raise OctoError("This version keeps no secrets of Tentacles on Windows hosts, not even for a moment.", code="NOT_ON_WINDOWS")

    # -- programs

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,  # noqa: ARG002
        inherit_fds: Sequence[int] = (),  # noqa: ARG002
    ) -> Completed:
        """Through win_command, which has no time-out of its own; the connection's holds. There are no descriptors to inherit."""
        args: dict[str, Any] = {"argv": list(argv), "chdir": "C:\\"}
        if stdin is not None:
            args["stdin"] = stdin.decode("utf-8")
        result = self._call("win_command", args, env)
        self._forget()
        return completed(argv, result)

    def order(self, verb: str, unit: str, timeout: float) -> Completed:
        self._served.clear()
        said, _sight = self._work(scripts.ORDER, {"Verb": verb, "Name": unit, "Seconds": math.ceil(timeout)})
        return Completed(0, "", str(said))

    def served_certificate(self, address: str, port: int, timeout: float) -> bytes:
        """The certificate behind an address as the host itself sees it (the Wire of a brain); ConnectionError if nobody serves within ``timeout``."""
        if (address, port) not in self._served:
            answer, _sight = self._work(scripts.SERVED, {"Address": address, "Port": port, "Seconds": timeout})
            if not answer["certificate"]:
                raise ConnectionError(f"{address}:{port} serves no TLS: {answer['said']}")
            self._served[address, port] = base64.b64decode(answer["certificate"])
        return self._served[address, port]

    # -- services and processes

    def service(self, unit: str) -> Service:
        sight = self._see()
        if not sight.tells_of(unit):
            sight = self._watch("Services", unit)
        found = sight.services.get(unit.lower())
        if found is None:
            return Service(unit, False, False, 0, 0, "", "", ())
        process = sight.processes.get(int(found["pid"] or 0)) if found["pid"] else None
        return Service(
            unit=unit,
            known=True,
            active=found["state"] == "Running",
            pid=process.pid if process else 0,
            started_monotonic_us=process.started_monotonic_us if process else 0,
            started_at=iso(self.wall_ns(process.started_monotonic_us)) if process else "",
            user=str(found["account"]),
            argv=split_command_line(str(found["command"])),
            environment=((index.HOME_VARIABLE, str(found["home"])),) if found["home"] else (),
            state=_STATES.get(str(found["state"]), str(found["state"]).lower()),
        )

    def process(self, pid: int) -> Process | None:
        return self._see().processes.get(pid)

    def processes(self, wanted: Callable[[Sequence[str]], bool] | None = None) -> list[Process]:
        return [process for process in self._see().processes.values() if wanted is None or wanted(process.argv)]

    def environment_of(self, pid: int) -> Mapping[str, str]:  # noqa: ARG002
        """Of another process: Windows has no way to read it."""
        return {}

    def is_replaced(self, pid: int) -> bool:  # noqa: ARG002
        """A program file that runs cannot be replaced on Windows."""
        return False

    def account(self, user: str) -> Account | None:  # noqa: ARG002
        """What depends on it, the store of certificates that are files, is a matter of Linux."""
        return None

    def sockets_on(self, port: int, pids: Sequence[int]) -> list[Socket]:
        found = (line for line in self._see().listeners if int(line[0]) == port)
        return [Socket(address, int(owner) if int(owner) in pids else 0) for _port, owner, address in found]

    # -- time and locks

    def monotonic_us(self) -> int:
        sight = self._see()
        return sight.now_us + int((self._time.now() - sight.now) * 1_000_000)

    def wall_ns(self, monotonic_us: int) -> int:
        return (monotonic_us - _EPOCH_US) * 1000

    @contextlib.contextmanager
    def exclusively(self, path: str, wait: float = 60.0) -> Iterator[int]:
        """On the controller, one for each machine and configuration (decisions 29); what was seen before may be old by then."""
        with self._locks.hold(f"{self._see().machine} {_key(path)}", path, wait):
            self._forget()
            yield -1

    @property
    def executable(self) -> str:
        """Where the vendor's installer says it has put the program (tentacle-cli.md 1.1)."""
        location = self._see().location
        return ntpath.join(location, "Tentacle.exe") if location else EXECUTABLE


def split_command_line(line: str) -> list[str]:
    """The words of a command line, by the rules of the C runtime that programs on Windows follow."""
    words: list[str] = []
    at = 0
    while True:
        at += len(line[at:]) - len(line[at:].lstrip(" \t"))
        if at >= len(line):
            return words
        word, at = _word(line, at, program=not words)
        words.append(word)


def _word(line: str, at: int, program: bool) -> tuple[str, int]:
    """The word that begins there, and where it ends. In the program's name a backslash is one, whatever follows."""
    pieces: list[str] = []
    quoted = False
    while at < len(line) and (quoted or line[at] not in " \t"):
        slashes = 0 if program else len(line[at:]) - len(line[at:].lstrip("\\"))
        at += slashes
        if line[at : at + 1] == '"':
            pieces.append("\\" * (slashes // 2))
            if slashes % 2:
                pieces.append('"')
            else:
                quoted = not quoted
            at += 1
        elif slashes:
            pieces.append("\\" * slashes)
        else:
            pieces.append(line[at])
            at += 1
    return "".join(pieces), at


def _list(value: Any) -> list[Any]:
    """win_powershell before 2.6 makes nothing of an empty list."""
    return list(value or ())


def _key(path: str) -> str:
    return ntpath.normcase(ntpath.normpath(path))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _suffix() -> str:
    return f"{OURS}{os.getpid()}-{os.urandom(4).hex()}"


def _plain(text: str) -> str:
    """As on POSIX: the vendor's lines end in CRLF, and some tools answer in UTF-16, which win_command takes for UTF-8 where no mark begins it."""
    return (_widened(text) if "\x00" in text else text).replace("\ufeff", "").replace("\r\n", "\n")


def _widened(text: str) -> str:
    """The same bytes taken for UTF-16, if every other one is mostly zero as it is in words of Latin letters, and all of them are still there."""
    data = text.replace("\ufeff", "").encode("utf-8", "surrogatepass")
    for encoding, high in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2])):
        if 2 * high.count(0) > len(high) and "\ufffd" not in text:
            with contextlib.suppress(UnicodeDecodeError):
                return data.decode(encoding)
    return text.replace("\x00", "")


def _difference(old: bytes, new: bytes) -> tuple[int, int, bytes]:
    """Where ``old`` is to be cut, and what comes in between, to make it ``new``."""
    start = _common(old, new)
    behind = _common(old[start:][::-1], new[start:][::-1])
    return start, len(old) - behind, new[start : len(new) - behind]


def _common(one: bytes, other: bytes) -> int:
    return next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), min(len(one), len(other)))


def _file(fact: Mapping[str, Any], asked: bool) -> _File:
    data, error = fact["data"], str(fact["error"] or "")
    changed_ns = (int(fact["changed"]) - _EPOCH_US) * 1000
    stat = FileStat(-1, -1, -1, int(fact["size"]), 0, changed_ns) if fact["exists"] else None
    return _File(stat, asked or data is not None or bool(error), None if data is None else _decoded(data), str(fact["link"] or ""), error)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise OctoError(f"What the host sent of a file is not whole ({error}). Run again.", code="HOST_FAILED") from error


def _process(line: str) -> Process:
    pid, parent, started, *command = line.split(" ", 3)
    return Process(int(pid), int(parent), -1, split_command_line(command[0]) if command else (), int(started))


def completed(argv: Sequence[str], result: Mapping[str, Any]) -> Completed:
    """What win_command tells of a program; its words for one that did not start repeat the whole command line."""
    if "stdout" in result:
        return Completed(int(result["rc"]), _plain(result["stdout"]), _plain(result.get("stderr") or ""))
    shown, reason = redact(argv), reason_of(result)
    for word, original in zip(shown, argv, strict=True):
        reason = reason.replace(original, word)
    raise OctoError(f"{argv[0]} could not be started: {reason}", code="EXECUTABLE_MISSING", argv=shown)


def refuse_unelevated(elevated: bool) -> None:
    if not elevated:
        raise OctoError(
            "The account that Ansible uses on the host is not an administrator with all its rights, so it would see neither processes nor files "
            "of others. Use one of the group Administrators, or become with the method runas.",
            code="NOT_ELEVATED",
        )


def reason_of(result: Mapping[str, Any]) -> str:
    errors = result.get("error") or []
    said = [str(one.get("exception", {}).get("message") or one.get("output") or "") for one in errors if isinstance(one, Mapping)]
    return " ".join(text.strip() for text in said if text.strip())[:500] or str(result.get("msg") or "it said nothing")
