# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The product's texts about the keys of an Octopus Server, as somebody has read them. Each is given the store's folder, and ends by looking into it.

Of Windows' access rights the lab knows two states: a folder that New-Closed has made (here one of mode 0700), and any other, which lets
everybody in. What is inside inherits from it.
"""

from __future__ import annotations

import base64
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lab.windows.machine import Machine

Params = Mapping[str, Any]


class Account(NamedTuple):
    """Who runs a text: by number, and whether with all the rights of an administrator."""

    sid: str
    elevated: bool = True


SYSTEM, ADMINISTRATORS, USERS = ("S-1-5-18", "NT AUTHORITY\\SYSTEM"), ("S-1-5-32-544", "BUILTIN\\Administrators"), ("S-1-5-32-545", "BUILTIN\\Users")
ANSIBLE = "S-1-5-21-1-2-3-1000"

_CLOSED = 0o700
_LARGEST = 1 << 20
_A_DAY = 86400.0


def store_of(machine: Machine, params: Params, account: Account) -> dict[str, Any]:
    """``Get-Store``."""
    facts = machine.facts
    found: dict[str, Any] = {"elevated": account.elevated, "machine": facts.machine, "location": facts.server_location, "account": account.sid}
    found |= {"exists": False, "link": False, "access": None, "files": [], "folders": []}
    folder = _folder(machine, params)
    if not account.elevated or not folder.is_dir():
        return found
    access = _access(folder)
    inner = [each for each in sorted(folder.iterdir()) if each.is_dir()]
    return {
        **found,
        "exists": True,
        "link": folder.is_symlink(),
        "access": access,
        "files": [_file(each, access) for each in sorted(folder.iterdir()) if each.is_file()],
        "folders": [_described(each) for each in inner if each.name.startswith("private-")],
    }


def _described(folder: Path) -> dict[str, Any]:
    files = [{"name": file.name, "size": file.stat().st_size} for file in sorted(folder.iterdir()) if file.is_file()]
    return {"name": folder.name, "files": files}


def _file(file: Path, access: Mapping[str, Any]) -> dict[str, Any]:
    data = file.read_bytes()
    wanted = file.suffix in (".pfx", ".json") and len(data) <= _LARGEST
    return {"name": file.name, "size": len(data), "data": base64.b64encode(data).decode() if wanted else None, "access": access}


def _access(folder: Path) -> dict[str, Any]:
    closed = folder.stat().st_mode & 0o777 == _CLOSED
    allowed = [SYSTEM, ADMINISTRATORS] if closed else [SYSTEM, ADMINISTRATORS, USERS]
    return {"owner": _account(*ADMINISTRATORS), "allowed": [_account(*each) for each in allowed]}


def _account(sid: str, name: str) -> dict[str, str]:
    return {"sid": sid, "name": name}


def _folder(machine: Machine, params: Params) -> Path:
    return machine.disk.real(params["Folder"])


def _new_closed(folder: Path) -> None:
    """A folder that is there already stays as it is."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(_CLOSED)


def private(machine: Machine, params: Params) -> str:
    """A fresh folder in the store; what runs that were killed have left goes first."""
    folder = _folder(machine, params)
    _new_closed(folder)
    for left in folder.glob("private-*"):
        if left.name.startswith(params["Mine"]) or left.stat().st_ctime < time.time() - _A_DAY:
            shutil.rmtree(left)
    _new_closed(folder / params["Name"])
    return ""


def write(machine: Machine, params: Params) -> str:
    _new_closed(_folder(machine, params))
    machine.disk.replace(machine.disk.real(params["Path"]), params["Text"].encode(), 0o600)
    return ""


def keep(machine: Machine, params: Params) -> str:
    machine.disk.real(params["Source"]).replace(machine.disk.real(params["Path"]))
    return ""


def erase(machine: Machine, params: Params) -> str:
    if machine.disk.exists(params["Path"]):
        machine.disk.remove(params["Path"])
    return ""
