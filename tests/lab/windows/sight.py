# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the product's texts see at their end: ``Get-Sight``, function by function, as read on the day whose SHA-256 lab.windows.scripts has."""

from __future__ import annotations

import base64
import html
import json
import ntpath
import os
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any

from lab.windows.machine import Machine, Process, Service, time_of
from lab.windows.refusal import Failed

_LEAD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +(\d+) +\d+ +[A-Z]+  ")
_HOME = re.compile(r'<set\s+key="Octopus\.Home"\s*>([^<]*)</set>')
_PROGRAM = re.compile(r'^(?:"([^"]+)"|(\S+))')
_VENDORS = "octopusdeploy tentacle"
_HOPS, _START_UP, _LATER = 8, 300, 200


def sight_of(machine: Machine, watched: Mapping[str, Any], elevated: bool) -> dict[str, Any]:
    """The table that ``Get-Sight`` ends with."""
    named = {name.lower() for name in watched.get("Services", ())}
    services = [machine.service(each) for each in machine.facts.services if each.name.lower() in named or each.name.lower().startswith(_VENDORS)]
    processes = machine.processes()
    seen, listed, places = _Table(), _Table(), _Table()
    for folder in watched.get("LogFolders", ()):
        places[folder] = True
    paths = [each["path"] for each in machine.facts.registered]
    if index := watched.get("Index"):
        listed[index] = _names(machine, index)
        for name in listed[index]["names"]:
            entry = _file(machine, ntpath.join(index, name), True)
            seen[entry["path"]] = entry
            paths += _pointed_at(entry)
    for path in filter(None, paths):
        _configuration(machine, path, seen, listed, places)
    for service in services:
        if found := _PROGRAM.match(service.installed.command):
            program = found[1] or found[2]
            seen[program] = _file(machine, program, False)
    for path in watched.get("Files", ()):
        seen[path] = _file(machine, path, True)
    for folder in watched.get("Folders", ()):
        listed[folder] = _names(machine, folder)
    starting = {service.pid for service in services if service.pid}
    wanted = starting | {process.pid for process in processes if process.command}
    logs = [_logs(machine, folder, wanted, starting) for folder in places.spellings()] if watched.get("Logs") else []
    return {
        "elevated": elevated,
        "machine": machine.facts.machine,
        "now": machine.now_us(),
        "location": machine.facts.location,
        "registered": list(machine.facts.registered),
        "services": [_described(service) for service in services],
        "processes": [f"{each.pid} {each.parent} {each.started_us} {each.command}".rstrip() for each in processes],
        "listeners": [f"{port} {pid} {address}" for port, pid, address in machine.listeners(processes)],
        "files": list(seen.values()),
        "folders": list(listed.values()),
        "logs": logs,
    }


def strangers(processes: Iterable[Process], known: Iterable[str]) -> bool:
    """Whether a process of the vendor runs that is not among ``known``, "number start" each."""
    return any(process.command and f"{process.pid} {process.started_us}" not in known for process in processes)


class _Table(dict[str, Any]):
    """A table of PowerShell: its keys ignore case, and the first spelling of each stays."""

    def __init__(self) -> None:
        super().__init__()
        self._spelled: dict[str, str] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        self._spelled.setdefault(key.lower(), key)
        super().__setitem__(key.lower(), value)

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key.lower())

    def spellings(self) -> list[str]:
        return list(self._spelled.values())


def _configuration(machine: Machine, path: str, seen: _Table, listed: _Table, places: _Table) -> None:
    seen[path] = _file(machine, path, True)
    real = seen[path]["link"] or path
    if real.lower() != path.lower():
        seen[real] = _file(machine, real, True)
    folder = ntpath.dirname(real)
    listed[folder] = _names(machine, folder)
    home = _HOME.search(_text(seen[path]))
    places[ntpath.join(folder, html.unescape(home[1]).strip() if home else "", "Logs")] = True


def _pointed_at(entry: Mapping[str, Any]) -> list[str]:
    try:
        return [str(json.loads(_text(entry))["ConfigurationFilePath"])]
    except (ValueError, KeyError, TypeError):  # what it means is decided elsewhere
        return []


def _file(machine: Machine, path: str, content: bool) -> dict[str, Any]:
    fact: dict[str, Any] = {"path": path, "exists": False, "data": None, "error": "", "link": "", "size": 0, "changed": 0}
    try:
        real = machine.disk.real(path)
    except Failed:
        return fact
    for _hop in range(_HOPS):
        if not real.is_symlink():
            break
        real = real.parent / os.readlink(real)
        fact["link"] = machine.disk.shown(real)
    if not real.is_file():
        return fact
    try:
        data = machine.disk.read(real)
    except OSError as error:
        return {**fact, "exists": True, "error": str(error)}
    return {**fact, "exists": True, "size": len(data), "changed": time_of(real), "data": base64.b64encode(data).decode() if content else None}


def _names(machine: Machine, folder: str) -> dict[str, Any]:
    there = machine.disk.exists(folder) and machine.disk.real(folder).is_dir()
    return {"path": folder, "names": machine.disk.names(folder) if there else []}


def _text(fact: Mapping[str, Any]) -> str:
    return base64.b64decode(fact["data"]).decode("utf-8-sig", errors="replace") if fact["data"] else ""


def _described(service: Service) -> dict[str, Any]:
    one = service.installed
    return {"name": one.name, "state": service.state, "pid": service.pid, "command": one.command, "account": one.account, "home": one.home}


def _logs(machine: Machine, folder: str, wanted: set[int], starting: set[int]) -> dict[str, Any]:
    files = []
    for name in ("OctopusTentacle.txt", *(f"OctopusTentacle.{number}.txt" for number in range(7))):
        path = ntpath.join(folder, name)
        if not machine.disk.exists(path):
            continue
        begun, text = log_lines(machine.disk.read(machine.disk.real(path)), wanted, starting)
        files.append({"name": name, "text": text})
        if begun:
            break
    return {"folder": folder, "files": files}


def log_lines(data: bytes, wanted: set[int], starting: set[int]) -> tuple[bool, str]:
    """Of each process asked about: its start-up after its last header, and what it says of thumbprints later, the newest of either kind."""
    first: dict[int, list[str]] = {}
    later: dict[tuple[int, str], deque[tuple[int, str]]] = defaultdict(lambda: deque(maxlen=_LATER))
    begun, number = False, 0
    for line in data.decode(errors="replace").splitlines():
        lead = _LEAD.match(line)
        if lead is None or (owner := int(lead[1])) not in wanted:
            continue
        number += 1
        header = line.endswith("==== RunAgentCommand ====")
        if header or owner not in first:
            first[owner] = []
            for kind in ("met", "else"):
                later.pop((owner, kind), None)
        begun = begun or (header and owner in starting)
        if len(first[owner]) < _START_UP:
            first[owner].append(line)
        elif "thumbprint" in line.lower():
            later[owner, "met" if "identified by thumbprint" in line else "else"].append((number, line))
    after = [line for _number, line in sorted(one for lines in later.values() for one in lines)]
    return begun, "".join(f"{line}\n" for line in [*(line for lines in first.values() for line in lines), *after])
