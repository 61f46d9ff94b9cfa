# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the builder of a fleet does for its hosts that play Windows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.fleet.folders import Folders
from lab.fleet.plan import Tentacle
from lab.windows.disk import Disk
from lab.windows.machine import EXECUTABLE, TEMP, Facts, Installed, booted_us, facts_file

CONNECTIONS = Path(__file__).resolve().parent / "connection"
_DEFAULT = "Tentacle"  # the instance whose service has no name of its own


def write_machines(folders: Folders, tentacles: Sequence[Tentacle]) -> None:
    """What a Windows has besides the Tentacle's own files: program, temporary folder, registry, services."""
    for host in dict.fromkeys(tentacle.host for tentacle in tentacles if tentacle.windows):
        there = [tentacle for tentacle in tentacles if tentacle.host == host]
        disk = Disk(folders.host(host))
        disk.real(TEMP).mkdir(parents=True)
        program = disk.real(EXECUTABLE)
        program.parent.mkdir(parents=True)
        program.write_bytes(b"MZ")
        machine = f"{host.upper()} {uuid.uuid4()}"
        Facts(machine, there[0].address, booted_us(), [_installed(tentacle) for tentacle in there]).save(facts_file(folders, host))


def _installed(tentacle: Tentacle) -> Installed:
    name = "OctopusDeploy Tentacle" + ("" if tentacle.instance == _DEFAULT else f": {tentacle.instance}")
    return Installed(name, tentacle.unit, f'"{EXECUTABLE}" run --instance="{tentacle.instance}"')


def variables(folders: Folders, host: str) -> dict[str, Any]:
    """By which the inventory gives a host to the lab's connection; everything else is as the vendor does it on Windows."""
    return {"ansible_connection": "octolab_windows", "octolab_root": str(folders.root), "octolab_host": host}
