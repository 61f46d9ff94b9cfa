# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Windows machine in memory, behind the interface of ansible.windows: the modules' arguments as their specifications have them, the texts that
win_powershell is given known by heart, and what each of them does done here.

Paths have backslashes and ignore case, text ends its lines with CRLF, and nothing but the constant texts is run.
"""

from __future__ import annotations

import base64
import hashlib
import ntpath
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, trust
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows, _windows_scripts
from ansible_collections.octofleet.octopus.plugins.plugin_utils._windows_task import Mode, run
from unit.tentacle.doubles import CERTIFICATE, HandClock, Poll, document, meetings, start_up, trust_json

SCRIPTS = {getattr(_windows_scripts, name): name for name in ("LOOK", "SERVED", "ORDER", "REPLACE", "COPY", "REMOVE")}
READS = ("LOOK", "SERVED")
EXECUTABLE = r"D:\Apps\Octopus Tentacle\Tentacle.exe"
KEY = re.search(rb'<set key="Tentacle.Certificate">([^<]{40})', document(""))
BOOT_US = 13_400_000_000_000_000  # microseconds since 1601
PORT = 10933
ELSEWHERE_US = 5_000_000

# What the modules take (ansible.windows 3.3.0); win_powershell's sensitive_parameters and others are not ours to use.
_POWERSHELL = {"script": str, "parameters": dict, "depth": int, "error_action": str}
_COMMAND = {"argv": list, "chdir": str, "stdin": str}
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int and abs(value) < 1 << 31,
    "double": lambda value: isinstance(value, (int, float)),
    "bool": lambda value: isinstance(value, bool),
    "string[]": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}


class Entry:
    """A file, by the path that it was made under."""

    def __init__(self, path: str, data: bytes, changed: int) -> None:
        self.path, self.data, self.changed = path, data, changed


class Tentacle:
    """An instance, its service and its process. ``obeys`` is what an order does."""

    def __init__(self, machine: Windows, name: str, trusted: str, port: int, account: str) -> None:
        self.machine, self.name, self.port, self.account = machine, name, port, account
        self.folder = "C:\\Octopus" if name == "Tentacle" else f"C:\\Octopus\\{name}"
        self.path = f"{self.folder}\\{'Tentacle' if name == 'Tentacle' else f'Tentacle-{name}'}.config"
        self.service = "OctopusDeploy Tentacle" if name == "Tentacle" else f"OctopusDeploy Tentacle: {name}"
        self.serves = CERTIFICATE
        self.pid = 0
        self.says_pins = True
        self.servers: dict[str, str] = {}  # by the address that is polled: the certificate that is presented there
        self.obeys: Callable[[str], str] = self.obey
        index = f'{{\r\n  "Name": "{name}",\r\n  "ConfigurationFilePath": "{self.path}"\r\n}}'.replace("\\", "\\\\")
        machine.put(f"{_windows.HOME}\\Tentacle\\Instances\\{name.lower()}.config", index.encode())
        machine.put(self.path, document(trusted, Octopus_Home=self.folder, Tentacle_Services_PortNumber=str(port)).replace(b"\n", b"\r\n"))
        machine.services[self.service] = {"name": self.service, "state": "Stopped", "pid": 0, "command": self.command, "account": account, "home": ""}
        self.start()

    @property
    def command(self) -> str:
        return f'"{EXECUTABLE}" run --instance="{self.name}"'

    def trust(self) -> trust.Entries:
        return trust.parse(configuration.parse(self.path, self.machine.get(self.path)).get(configuration.TRUST))

    def pins(self) -> list[str]:
        return [entry.thumbprint for entry in self.trust()]

    def polls(self) -> list[Poll]:
        return [Poll(str(entry.address), str(entry.subscription_id), entry.thumbprint) for entry in self.trust() if entry.style == "polling"]

    def meet(self) -> None:
        self.say(meetings(self.pid, self.polls(), self.servers))

    def say(self, lines: bytes) -> None:
        log = f"{self.folder}\\Logs\\OctopusTentacle.txt"
        self.machine.put(log, self.machine.get(log) + lines.replace(b"\n", b"\r\n"))

    def start(self) -> None:
        machine = self.machine
        machine.time.time += 0.5
        self.pid = machine.begin(self.command)
        machine.services[self.service].update(state="Running", pid=self.pid)
        machine.listeners.append((self.port, self.pid, "::"))
        machine.serving[self.port] = self.serves
        self.say(start_up(self.pid, *self.pins(), polls=self.polls()) if self.says_pins else b"")

    def stop(self) -> None:
        machine = self.machine
        machine.processes.pop(self.pid, None)
        machine.listeners = [one for one in machine.listeners if one[1] != self.pid]
        machine.serving.pop(self.port, None)
        machine.services[self.service].update(state="Stopped", pid=0)
        self.pid = 0

    def obey(self, verb: str) -> str:
        if verb in ("stop", "restart"):
            self.stop()
        if verb in ("start", "restart"):
            self.start()
        return ""


class Windows:
    """What ``Modules`` asks for, over dictionaries. ``calls`` has each round trip: the name of the text, or the module and what it was given."""

    def __init__(self) -> None:
        self.time = HandClock()
        self.files: dict[str, Entry] = {}
        self.links: dict[str, str] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.processes: dict[int, tuple[int, int, str]] = {4: (0, 0, "")}  # parent, start, command line
        self.listeners: list[tuple[int, int, str]] = [(445, 4, "::")]
        self.serving: dict[int, bytes] = {}
        self.registered: list[tuple[str, str]] = []
        self.location = "D:\\Apps\\Octopus Tentacle\\"
        self.elevated = True
        self.calls: list[str] = []
        self.given: list[tuple[str, Mapping[str, Any], Mapping[str, str]]] = []
        self.transferred: list[bytes] = []
        self.before: list[Callable[[str], None]] = []  # what happens on the machine just before each further round trip
        self.said: dict[str, Any] = {"rc": 0, "stdout": "", "stderr": ""}  # by the next program
        self.held = 0  # how often somebody keeps the file to himself
        self.next_pid = 4000
        self.put(EXECUTABLE, b"MZ", BOOT_US - ELSEWHERE_US)
        self.tentacles: dict[str, Tentacle] = {}

    # -- what is on it

    def add(self, name: str, *pins: str, trusted: str | None = None, port: int = PORT, account: str = "LocalSystem") -> Tentacle:
        self.tentacles[name] = Tentacle(self, name, trust_json(*pins) if trusted is None else trusted, port, account)
        return self.tentacles[name]

    def put(self, path: str, data: bytes, changed: int | None = None) -> None:
        key = _key(path)
        known = self.files.get(key)
        self.files[key] = Entry(known.path if known else path, data, self.now if changed is None else changed)

    def get(self, path: str) -> bytes:
        found = self.files.get(_key(self.links.get(_key(path), path)))
        return found.data if found else b""

    def names(self, folder: str) -> list[str]:
        below = ntpath.normpath(folder).lower() + "\\"
        return sorted({entry.path[len(below) :].split("\\")[0] for key, entry in self.files.items() if key.startswith(below)})

    def begin(self, command: str) -> int:
        self.next_pid += 8
        self.processes[self.next_pid] = (700, self.now, command)
        return self.next_pid

    @property
    def now(self) -> int:
        return BOOT_US + int(self.time.time * 1_000_000)

    def parameters(self, name: str) -> list[Mapping[str, Any]]:
        """What the text of that name was given, each time."""
        return [args["parameters"] for _module, args, _environment in self.given if SCRIPTS.get(args.get("script", "")) == name]

    # -- the tasks

    def task(self, name: str, check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
        return run(self, name, args, Mode(check, diff), self.time.clock)

    def row(self, name: str = "octo_instance_info", **args: Any) -> dict[str, Any]:
        (row,) = self.task(name, **args)["instances"]
        return dict(row)

    # -- the modules

    def transfer(self, data: bytes) -> str:
        self.transferred.append(data)
        path = f"C:\\Users\\ansible\\AppData\\Local\\Temp\\ansible-tmp\\{len(self.transferred)}.tmp"
        self.put(path, data)
        return path

    def module(self, name: str, args: Mapping[str, Any], environment: Mapping[str, str]) -> Mapping[str, Any]:
        self.given.append((name, args, environment))
        if self.before:
            self.before.pop(0)(SCRIPTS.get(args.get("script", ""), name))
        if name == "ansible.windows.win_command":
            return self._command(args)
        assert name == "ansible.windows.win_powershell", name
        _conform(args, _POWERSHELL)
        script = SCRIPTS[args["script"]]
        parameters = args["parameters"]
        declared = dict(_declared(args["script"]))
        assert set(parameters) <= set(declared), script
        for key, value in parameters.items():
            assert _TYPES[declared[key]](value), (script, key, value)
        assert KEY is not None
        assert KEY.group(1) not in repr(parameters).encode(), "the key travelled"
        self.calls.append(script)
        try:
            answer = getattr(self, f"_{script.lower()}")(parameters)
        except OSError as error:
            return {"failed": True, "changed": True, "result": {}, "error": [{"output": "...", "exception": {"message": str(error)}}]}
        return {"changed": False, "failed": False, "result": {"answer": answer, "sight": self._sight(parameters)}, "error": []}

    def _command(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        _conform(args, _COMMAND)
        self.calls.append(" ".join(args["argv"]))
        failed = {"failed": True, "msg": "non-zero return code"} if self.said.get("rc") else {}
        return {"changed": True, "cmd": "...", **failed, **self.said}

    def _look(self, _parameters: Mapping[str, Any]) -> str:
        return ""

    def _served(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        if parameters["Port"] not in self.serving:
            self.time.time += parameters["Seconds"]
            return {"certificate": "", "said": "No connection could be made because the target machine actively refused it."}
        return {"certificate": base64.b64encode(self.serving[parameters["Port"]]).decode(), "said": ""}

    def _order(self, parameters: Mapping[str, Any]) -> str:
        for tentacle in self.tentacles.values():
            if tentacle.service.lower() == parameters["Name"].lower():
                return tentacle.obeys(parameters["Verb"])
        return f"there is no service {parameters['Name']}"

    def _replace(self, parameters: Mapping[str, Any]) -> str:
        known = [f"{pid} {start}" for pid, (_parent, start, command) in self.processes.items() if _is_vendors(command)]
        if not set(known) <= set(parameters["Known"]):
            return "busy"
        if _key(parameters["Path"]) not in self.files:
            return "changed"
        if self.held:
            self.held -= 1
            return "locked"
        before = self.get(parameters["Path"])
        if _sha256(before) != parameters["Sha256"]:
            return "changed"
        source = parameters["Source"]
        middle = base64.b64decode(parameters["Insert"])
        self.put(
            parameters["Path"], self.files.pop(_key(source)).data if source else before[: parameters["Start"]] + middle + before[parameters["End"] :]
        )
        return ""

    def _copy(self, parameters: Mapping[str, Any]) -> str:
        source = self.files[_key(self.links.get(_key(parameters["Path"]), parameters["Path"]))]
        if parameters["Move"]:
            del self.files[_key(parameters["Path"])]
        if _sha256(source.data) != parameters["Sha256"]:
            return "changed"
        self.put(parameters["To"], source.data)
        return ""

    def _remove(self, parameters: Mapping[str, Any]) -> str:
        self.files.pop(_key(parameters["Path"]), None)
        return ""

    # -- what a look brings

    def _sight(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        index = parameters["Index"]
        seen = {ntpath.join(index, name): self._file(ntpath.join(index, name), True) for name in self.names(index)}
        paths = [path for _name, path in self.registered]
        for fact in list(seen.values()):
            found = re.search(rb'"ConfigurationFilePath": *"([^"]+)"', base64.b64decode(fact["data"]))
            paths += [found.group(1).decode().replace("\\\\", "\\")] if found else []
        folders = {index, *parameters["Folders"]}
        logs = set(parameters["LogFolders"])
        for path in paths:
            seen[path] = self._file(path, True)
            real = seen[path]["link"] or path
            seen[real] = self._file(real, True)
            folders.add(ntpath.dirname(real))
            home = re.search(rb'<set\s+key="Octopus\.Home"\s*>([^<]*)</set>', self.get(path))
            logs.add(ntpath.join(ntpath.dirname(real), home.group(1).decode() if home else "", "Logs"))
        wanted = [one for one in self.services.values() if one["name"].startswith("OctopusDeploy Tentacle") or one["name"] in parameters["Services"]]
        for one in wanted:
            program = one["command"].split('"')[1] if one["command"].startswith('"') else one["command"].split(" ")[0]
            seen[program] = self._file(program, False)
        seen.update({path: self._file(path, True) for path in parameters["Files"]})
        return {
            "elevated": self.elevated,
            "machine": f"WEB-01 {os.getpid():08x}",  # our locks are held on the controller, where another process tests at the same time
            "now": self.now,
            "location": self.location,
            "registered": [{"name": name, "path": path} for name, path in self.registered],
            "services": [dict(one) for one in wanted],
            "processes": [_line(pid, *process) for pid, process in self.processes.items()],
            "listeners": [f"{port} {pid} {address}" for port, pid, address in self.listeners],
            "files": list(seen.values()),
            "folders": [{"path": folder, "names": self.names(folder)} for folder in folders],
            "logs": [self._logs(folder) for folder in logs] if parameters["Logs"] else [],
        }

    def _file(self, path: str, content: bool) -> dict[str, Any]:
        link = self.links.get(_key(path), "")
        found = self.files.get(_key(link or path))
        fact = {"path": path, "exists": found is not None, "data": None, "error": "", "link": link, "size": 0, "changed": 0}
        if found is not None:
            data = base64.b64encode(found.data).decode() if content else None
            fact.update(size=len(found.data), changed=found.changed, data=data)
        return fact

    def _logs(self, folder: str) -> dict[str, Any]:
        """Whole logs: that the real text leaves lines out is seen by nobody who reads start-up lines only."""
        names = [name for name in self.names(folder) if name.startswith("OctopusTentacle")]
        return {
            "folder": folder,
            "files": [{"name": name, "text": self.get(ntpath.join(folder, name)).decode().replace("\r\n", "\n")} for name in names],
        }


def _key(path: str) -> str:
    assert "/" not in path, f"a path of another system: {path}"
    assert re.match(r"[A-Za-z]:\\", path), f"not a whole path: {path}"
    return ntpath.normpath(path).lower()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_vendors(command: str) -> bool:
    return "Tentacle.exe" in command


def _line(pid: int, parent: int, start: int, command: str) -> str:
    return f"{pid} {parent} {start} {command if _is_vendors(command) else ''}".rstrip()


def _conform(args: Mapping[str, Any], specification: Mapping[str, type]) -> None:
    for name, value in args.items():
        assert isinstance(value, specification[name]), name


def _declared(script: str) -> Sequence[tuple[str, str]]:
    """The parameters of a text, by name: type."""
    block = script[script.index("param (") : script.index("\n)\n")]
    return [(name, kind) for kind, name in re.findall(r"\[([a-z]+(?:\[\])?)\] \$(\w+)", block)]
