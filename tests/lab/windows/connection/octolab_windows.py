# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's side of the door. Ansible loads this file from ANSIBLE_CONNECTION_PLUGINS; what happens behind is in lab.windows (PYTHONPATH)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.connection import ConnectionBase
from ansible.release import __version__
from lab.windows.door import Door
from lab.windows.machine import Machine
from lab.windows.refusal import Failed, Refused

DOCUMENTATION = """
name: octolab_windows
author: The octofleet.octopus authors
short_description: A host of the lab that plays Windows
description:
  - Takes what ansible-core sends to a Windows host and answers as C(ansible.windows) would.
version_added: 0.1.0
options:
  host:
    description: The host's name in the fleet.
    type: str
    required: true
    vars: [{name: octolab_host}]
  root:
    description: The fleet's folder.
    type: path
    required: true
    vars: [{name: octolab_root}]
"""


class Connection(ConnectionBase):
    """As the winrm plugin presents itself (conventions.md 3.5)."""

    transport = "octolab_windows"
    module_implementation_preferences = (".ps1", ".exe", "")
    has_pipelining = True
    allow_executable = False
    always_pipeline_modules = True
    _shell_type = "powershell"

    def _connect(self) -> Connection:
        self._connected = True
        return self

    @property
    def _door(self) -> Door:
        root, host = (str(self.get_option(name)) for name in ("root", "host"))  # type: ignore[no-untyped-call]
        return Door(Machine(Path(root), host), __version__)

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        try:
            return self._door.execute(cmd, in_data)
        except Refused as refusal:
            raise AnsibleError(f"The lab's Windows refuses: {refusal}") from refusal

    def put_file(self, in_path: str, out_path: str) -> None:
        self._file(lambda: self._door.put(Path(in_path), out_path))

    def fetch_file(self, in_path: str, out_path: str) -> None:
        self._file(lambda: self._door.fetch(in_path, Path(out_path)))

    def _file(self, transfer: Any) -> None:
        try:
            transfer()
        except (Refused, Failed, OSError) as error:
            raise AnsibleError(f"The lab's Windows did not transfer a file: {error}") from error

    def close(self) -> None:
        self._connected = False
