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
from lab.fleet.plan import Plan, Tentacle
from lab.server.instance import APPLICATION as INSTANCE
from lab.windows.disk import Disk
from lab.windows.machine import EXECUTABLE, INSTALLED, SERVER_EXECUTABLE, SERVER_INSTALLED, TEMP, Facts, Installed, booted_us, facts_file

CONNECTIONS = Path(__file__).resolve().parent / "connection"
STORE = r"C:\ProgramData\OctopusRotation"
_DEFAULT = "Tentacle"  # the instance whose service has no name of its own


def write_machines(folders: Folders, plan: Plan) -> None:
    """What a Windows has besides the files of the vendor's programs: the programs, a temporary folder, registry, services."""
    for host in dict.fromkeys(tentacle.host for tentacle in plan.tentacles if tentacle.windows):
        there = [tentacle for tentacle in plan.tentacles if tentacle.host == host]
        _write(folders, host, there[0].address, [_installed(tentacle) for tentacle in there], EXECUTABLE, location=f"{INSTALLED}\\")
    for node in (node for server in plan.servers for node in server.nodes if node.windows):
        service = Installed("OctopusDeploy", node.unit, f'"{SERVER_EXECUTABLE}" run --instance="{INSTANCE}"')
        _write(folders, node.host, node.address, [service], SERVER_EXECUTABLE, server_location=f"{SERVER_INSTALLED}\\")


def _write(
    folders: Folders, host: str, address: str, services: Sequence[Installed], program: str, location: str = "", server_location: str = ""
) -> None:
    disk = Disk(folders.host(host))
    disk.real(TEMP).mkdir(parents=True)
    disk.real(program).parent.mkdir(parents=True)
    disk.real(program).write_bytes(b"MZ")
    Facts(f"{host.upper()} {uuid.uuid4()}", address, booted_us(), services, location=location, server_location=server_location).save(
        facts_file(folders, host)
    )


def _installed(tentacle: Tentacle) -> Installed:
    name = "OctopusDeploy Tentacle" + ("" if tentacle.instance == _DEFAULT else f": {tentacle.instance}")
    return Installed(name, tentacle.unit, f'"{EXECUTABLE}" run --instance="{tentacle.instance}"')


def variables(folders: Folders, host: str) -> dict[str, Any]:
    """By which the inventory gives a host to the lab's connection; everything else is as the vendor does it on Windows."""
    return {"ansible_connection": "octolab_windows", "octolab_root": str(folders.root), "octolab_host": host}
