# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Ansible gets into a Windows of the lab: commands and files, each a round trip that is written down in records/windows.jsonl."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.windows import modules, scripts
from lab.windows.machine import TEMP, Machine
from lab.windows.manifest import Call, MakeFolder, input_file, read
from lab.windows.refusal import Refused

_PRIVATE = 0o600


class Door:
    """``core``: the ansible-core that is on this side."""

    def __init__(self, machine: Machine, core: str) -> None:
        self._machine = machine
        self._core = core

    def execute(self, command: str, data: bytes | None) -> tuple[int, bytes, bytes]:
        """Exit code and what was printed."""
        try:
            if data is None and (path := input_file(command)):
                data = self._machine.disk.read(self._machine.disk.real(path))
            order = read(self._core, command, data)
            if isinstance(order, Call):
                return self._module(order)
            if isinstance(order, MakeFolder):
                self._note("make folder", {"name": order.name})
                folder = self._machine.disk.real(_expanded(order.parent)) / order.name
                folder.mkdir(mode=0o700, parents=True)
                return 0, f"{self._machine.disk.shown(folder)}\r\n".encode(), b""
            self._note("remove folder", {"path": order.path})
            self._machine.disk.remove(order.path)
            return 0, b"", b""
        except Refused as refusal:
            self._note("refused", {"why": str(refusal)})
            raise

    def put(self, source: Path, path: str) -> None:
        self._note("put file", {"path": path})
        real = self._machine.disk.real(path)
        real.write_bytes(source.read_bytes())
        real.chmod(_PRIVATE)

    def fetch(self, path: str, target: Path) -> None:
        self._note("fetch file", {"path": path})
        target.write_bytes(self._machine.disk.read(self._machine.disk.real(path)))

    def _module(self, call: Call) -> tuple[int, bytes, bytes]:
        given = {name: value for name, value in call.args.items() if not name.startswith("_ansible_")}
        if call.name == "win_powershell" and "script" in given:
            given["script"] = scripts.known(given["script"]).name
        self._note(call.name, given)
        return 0, json.dumps(modules.run(self._machine, call)).encode() + b"\r\n", b""

    def _note(self, what: str, given: Mapping[str, Any]) -> None:
        line = {"time": time.monotonic(), "host": self._machine.host, "what": what, "given": given}
        descriptor = os.open(record_of(self._machine.folders.root), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE)
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode())
        finally:
            os.close(descriptor)


def record_of(root: Path) -> Path:
    return root / "records" / "windows.jsonl"


def _expanded(path: str) -> str:
    """The one variable that core's own paths begin with."""
    return path.replace("%TEMP%", TEMP)
