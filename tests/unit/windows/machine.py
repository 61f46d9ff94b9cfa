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

ABOUT_TENTACLES = ("LOOK", "SERVED", "ORDER", "REPLACE", "COPY", "REMOVE")
ABOUT_KEYS = ("STORE", "PRIVATE", "WRITE", "KEEP", "ERASE")
SCRIPTS = {getattr(_windows_scripts, name): name for name in (*ABOUT_TENTACLES, *ABOUT_KEYS)}
READS = ("LOOK", "SERVED", "STORE")
SYSTEM, ADMINISTRATORS, USERS, CREATOR, ACCOUNT = "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545", "S-1-3-0", "S-1-5-21-7-7-7-1001"
NAMES = {
    SYSTEM: "NT AUTHORITY\\SYSTEM",
    ADMINISTRATORS: "BUILTIN\\Administrators",
    USERS: "BUILTIN\\Users",
    CREATOR: "CREATOR OWNER",
    ACCOUNT: "CORP\\deploy",
}
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
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31,
    "double": lambda value: isinstance(value, (int, float)),
    "bool": lambda value: isinstance(value, bool),
    "string[]": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
}


class Entry:
    """A file, by the path that it was made under."""

    def __init__(self, path: str, data: bytes, changed: int) -> None:
        self.path, self.data, self.changed = path, data, changed
        self.allowed: list[str] = []  # besides those of its folder


class Folder:
    """A folder whose rights matter; files in it have the same."""

    def __init__(self, path: str, owner: str, allowed: Sequence[str], made: float) -> None:
        self.path, self.owner, self.allowed, self.made = path, owner, list(allowed), made
        self.link = False
        self.held = False  # a program has a file in it open


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
        self.folders: dict[str, Folder] = {}
        self.links: dict[str, str] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.processes: dict[int, tuple[int, int, str]] = {4: (0, 0, "")}  # parent, start, command line
        self.listeners: list[tuple[int, int, str]] = [(445, 4, "::")]
        self.serving: dict[int, bytes] = {}
        self.registered: list[tuple[str, str]] = []
        self.location = "D:\\Apps\\Octopus Tentacle\\"
        self.server_location = ""
        self.orders: dict[str, Callable[[str], str]] = {}  # what services obey that are no Tentacles
        self.programs: dict[str, Callable[[list[str]], Mapping[str, Any]]] = {}
        self.carried: list[tuple[str, str, bytes]] = []  # by the connection: put or fetch, the path, the bytes
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
        seen = {"store": self._seen_of_store(parameters["Folder"])} if script in ABOUT_KEYS else {"sight": self._sight(parameters)}
        return {"changed": False, "failed": False, "result": {"answer": answer, **seen}, "error": []}

    def _command(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        _conform(args, _COMMAND)
        program = self.programs.get(args["argv"][0].lower())
        if program is not None:
            self.calls.append(args["argv"][1])
            return program(args["argv"])
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
        order = self.orders.get(parameters["Name"].lower())
        return order(parameters["Verb"]) if order else f"there is no service {parameters['Name']}"

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

    # -- the connection

    def put_file(self, path: str, data: bytes) -> None:
        if _key(ntpath.dirname(path)) not in self.folders:
            raise OSError(f"Could not find a part of the path '{path}'.")
        self.calls.append("put")
        self.carried.append(("put", path, data))
        self.put(path, data)

    def fetch_file(self, path: str) -> bytes:
        self.calls.append("fetch")
        self.carried.append(("fetch", path, self.files[_key(path)].data))
        return self.files[_key(path)].data

    # -- the key store

    def make_folder(self, path: str, owner: str = ADMINISTRATORS, allowed: Sequence[str] = (SYSTEM, ADMINISTRATORS), age: float = 0.0) -> Folder:
        return self.folders.setdefault(_key(path), Folder(path, owner, allowed, self.time.time - age))

    def below(self, folder: str) -> list[str]:
        """What lies anywhere in a folder, by names."""
        inside = f"{_key(folder)}\\"
        every = [*(entry.path for entry in self.files.values()), *(one.path for one in self.folders.values())]
        return sorted(path[len(inside) :] for path in every if path.lower().startswith(inside))

    def _store(self, _parameters: Mapping[str, Any]) -> str:
        return ""

    def _private(self, parameters: Mapping[str, Any]) -> str:
        inside = f"{_key(parameters['Folder'])}\\private-"
        for folder in [one for key, one in self.folders.items() if key.startswith(inside)]:
            old = folder.made < self.time.time - 86400
            if (ntpath.basename(folder.path).startswith(parameters["Mine"]) or old) and not folder.held:
                self._delete(folder.path)
        self.make_folder(parameters["Folder"])
        path = ntpath.join(parameters["Folder"], parameters["Name"])
        assert _key(path) not in self.folders
        self.make_folder(path)
        return ""

    def _write(self, parameters: Mapping[str, Any]) -> str:
        self.make_folder(parameters["Folder"])
        self.put(parameters["Path"], parameters["Text"].encode())
        return ""

    def _keep(self, parameters: Mapping[str, Any]) -> str:
        self.put(parameters["Path"], self.files.pop(_key(parameters["Source"])).data)
        return ""

    def _erase(self, parameters: Mapping[str, Any]) -> str:
        self._delete(parameters["Path"])
        return ""

    def _delete(self, path: str) -> None:
        doomed, inside = _key(path), f"{_key(path)}\\"
        self.files = {key: one for key, one in self.files.items() if key != doomed and not key.startswith(inside)}
        self.folders = {key: one for key, one in self.folders.items() if key != doomed and not key.startswith(inside)}

    def _seen_of_store(self, path: str) -> dict[str, Any]:
        found = self.folders.get(_key(path))
        seen: dict[str, Any] = {"elevated": self.elevated, "machine": f"WEB-01 {os.getpid():08x}", "location": self.server_location}
        seen.update(account=ACCOUNT, exists=False, link=False, access=None, files=[], folders=[])
        if found is None or not self.elevated:
            return seen
        files = [one for one in self.files.values() if _key(ntpath.dirname(one.path)) == _key(path)]
        inner = [one for one in self.folders.values() if ntpath.dirname(one.path).lower() == _key(path)]
        access = {"owner": _account(found.owner), "allowed": [_account(one) for one in found.allowed]}
        seen.update(exists=True, link=found.link, access=access)
        seen["files"] = [self._kept(one, found) for one in files]
        seen["folders"] = [
            {
                "name": ntpath.basename(one.path),
                "files": [
                    {"name": ntpath.basename(file.path), "size": len(file.data)}
                    for file in self.files.values()
                    if _key(ntpath.dirname(file.path)) == _key(one.path)
                ],
            }
            for one in inner
            if ntpath.basename(one.path).startswith("private-")
        ]
        return seen

    def _kept(self, file: Entry, folder: Folder) -> dict[str, Any]:
        wanted = re.search(r"\.(pfx|json)\Z", file.path) and len(file.data) <= 1 << 20
        access = {"owner": _account(ADMINISTRATORS), "allowed": [_account(one) for one in [*folder.allowed, *file.allowed]]}
        data = base64.b64encode(file.data).decode() if wanted else None
        return {"name": ntpath.basename(file.path), "size": len(file.data), "data": data, "access": access}

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


def _account(number: str) -> dict[str, str]:
    return {"sid": number, "name": NAMES[number]}


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
