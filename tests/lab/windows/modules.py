# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules of ansible.windows that the lab answers for, each as its own text does it (ansible.windows 3.3.0)."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.fleet.manager import ManagerError
from lab.windows import scripts
from lab.windows.keys import ANSIBLE, SYSTEM, Account
from lab.windows.machine import TEMP, Installed, Machine
from lab.windows.manifest import Call
from lab.windows.refusal import Failed, Refused
from lab.windows.specs import conform, supports_check_mode

Params = Mapping[str, Any]
Result = dict[str, Any]

_STATES = {"Running": "started", "Stopped": "stopped", "Stop Pending": "stopped"}


def run(machine: Machine, call: Call) -> Result:
    """What the module prints, as JSON has it."""
    module = _MODULES.get(call.name)
    if module is None:
        raise Refused(f"The lab's Windows answers for {', '.join(sorted(_MODULES))} of ansible.windows, not for {call.name}.")
    params = conform(call.name, call.text, call.args)
    check = bool(call.args.get("_ansible_check_mode"))
    if check and not supports_check_mode(call.text):
        return {"changed": False, "skipped": True, "msg": f"remote module ({call.name}) does not support check mode"}
    return module(machine, call, params, check)


def _ping(_machine: Machine, _call: Call, params: Params, _check: bool) -> Result:
    return {"changed": False, "ping": params["data"]}


def _powershell(machine: Machine, call: Call, params: Params, check: bool) -> Result:
    for option in ("arguments", "chdir", "creates", "executable", "path", "removes", "sensitive_parameters"):
        if params[option]:
            raise Refused(f"The lab's Windows runs the product's constant texts only, without {option}.")
    reading = scripts.known(params["script"])
    empty: Result = {
        "result": {},
        "host_out": "",
        "host_err": "",
        "output": [],
        "error": [],
        "warning": [],
        "verbose": [],
        "debug": [],
        "information": [],
    }
    if check and not reading.looks:
        return {**empty, "changed": True, "msg": "skipped, running in check mode"}
    try:
        answer = reading.run(machine, params["parameters"] or {}, _account(machine, call))
    except (Failed, OSError) as error:
        words = str(error)
        exception = {
            "message": words,
            "type": "System.IO.IOException",
            "help_link": None,
            "source": None,
            "hresult": -2146232800,
            "inner_exception": None,
        }
        return {**empty, "changed": True, "failed": True, "error": [{"output": f"{words}\r\n", "exception": exception, "error_details": None}]}
    if _depth(answer) > params["depth"] + 1:
        raise Refused(f"win_powershell would flatten this result into text: it is {_depth(answer)} deep, and depth is {params['depth']}.")
    return {**empty, "changed": False, "failed": False, "result": answer}


def _account(machine: Machine, call: Call) -> Account:
    """Ansible's own, or the system's, which is the one that the lab's tasks become."""
    return Account(SYSTEM[0]) if call.become else Account(ANSIBLE, not machine.faulty("windows_filtered_token"))


def _depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(_depth, inside), default=0)


def _command(machine: Machine, call: Call, params: Params, _check: bool) -> Result:
    if not params["argv"]:
        raise Refused("The lab's Windows is no shell: it takes a command as argv.")
    began = datetime.now(UTC)
    shown = " ".join(f'"{word}"' if re.search(r"\s", word) else word for word in params["argv"])
    try:
        done = machine.run(params["argv"], params["chdir"] or TEMP, params["stdin"] or "", call.environment)
    except Failed as error:
        return {"changed": False, "failed": True, "cmd": shown, "rc": 2, "msg": f"Failed to run: '{shown}': {error}"}
    ended = datetime.now(UTC)
    result = {"changed": True, "cmd": shown, "rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    result |= {"start": f"{began:%Y-%m-%d %H:%M:%S.%f}", "end": f"{ended:%Y-%m-%d %H:%M:%S.%f}", "delta": str(ended - began)}
    return {**result, "failed": True, "msg": "non-zero return code"} if done.returncode else result


def _stat(machine: Machine, _call: Call, params: Params, _check: bool) -> Result:
    if not machine.disk.exists(params["path"]):
        return {"changed": False, "stat": {"exists": False}}
    real = machine.disk.real(params["path"])
    stat: Result = {"exists": True, "isdir": real.is_dir(), "isreg": real.is_file() and not real.is_symlink(), "islnk": real.is_symlink()}
    stat |= {"path": machine.disk.shown(real), "filename": real.name, "lastwritetime": real.stat().st_mtime}
    if real.is_file():
        data = machine.disk.read(real)
        stat |= {"size": len(data), "extension": real.suffix}
        stat |= {"checksum": hashlib.new(params["checksum_algorithm"], data).hexdigest()} if params["get_checksum"] else {}
    return {"changed": False, "stat": stat}


def _find(machine: Machine, _call: Call, params: Params, _check: bool) -> Result:
    for option in ("age", "size", "depth", "follow", "hidden"):
        if params[option]:
            raise Refused(f"The lab's win_find does not know {option}.")
    found, examined = [], 0
    for path in params["paths"]:
        for real in _below(machine, path, params["recurse"]) if machine.disk.exists(path) else ():
            examined += 1
            if _matches(real, params):
                shown = _stat(machine, _call, {**params, "path": machine.disk.shown(real)}, _check)["stat"]
                found.append({key: value for key, value in shown.items() if key != "exists"})
    return {"changed": False, "files": found, "matched": len(found), "examined": examined}


def _below(machine: Machine, path: str, recurse: bool) -> Iterator[Path]:
    for name in machine.disk.names(path):
        real = machine.disk.real(path) / name
        yield real
        if recurse and real.is_dir() and not real.is_symlink():
            yield from _below(machine, machine.disk.shown(real), recurse)


def _matches(real: Path, params: Params) -> bool:
    if params["file_type"] != "any" and real.is_dir() != (params["file_type"] == "directory"):
        return False
    patterns = params["patterns"] or ["*"] if not params["use_regex"] else params["patterns"] or [""]
    name = real.name if params["case_sensitive"] else real.name.lower()
    if params["use_regex"]:
        return any(re.search(pattern, real.name, 0 if params["case_sensitive"] else re.IGNORECASE) for pattern in patterns)
    return any(fnmatch.fnmatchcase(name, pattern if params["case_sensitive"] else pattern.lower()) for pattern in patterns)


def _slurp(machine: Machine, _call: Call, params: Params, _check: bool) -> Result:
    if not machine.disk.exists(params["src"]):
        return {"changed": False, "failed": True, "msg": f"Path {params['src']} is not found"}
    data = machine.disk.read(machine.disk.real(params["src"]))
    return {"changed": False, "content": base64.b64encode(data).decode(), "encoding": "base64"}


def _service_info(machine: Machine, _call: Call, params: Params, _check: bool) -> Result:
    pattern = (params["name"] or "*").lower()
    found = [each for each in machine.facts.services if fnmatch.fnmatchcase(each.name.lower(), pattern)]
    return {"changed": False, "exists": bool(found), "services": [_described(machine, each) for each in found]}


def _described(machine: Machine, installed: Installed) -> Result:
    service = machine.service(installed)
    described = {"name": installed.name, "display_name": installed.name, "path": installed.command, "username": installed.account}
    return {**described, "state": _STATES[service.state], "process_id": service.pid, "start_mode": "auto", "service_type": "win32_own_process"}


def _service(machine: Machine, _call: Call, params: Params, check: bool) -> Result:
    """Starts and stops; to change how a service is set up is nobody's business here."""
    others = sorted(name for name, value in params.items() if value not in (None, False, "set") and name not in ("name", "state"))
    if others or params["state"] not in ("started", "stopped", "restarted"):
        raise Refused(f"The lab's win_service starts, stops and restarts; it does not know {', '.join(others) or params['state']}.")
    installed = machine.named(params["name"])
    if installed is None:
        return {"changed": False, "failed": True, "msg": f"Service '{params['name']}' is not installed, need to set 'path' to create a new service"}
    state = params["state"]
    changed = state == "restarted" or _STATES[machine.service(installed).state] != state
    if changed and not check:
        verb = {"started": machine.manager.start, "stopped": machine.manager.stop, "restarted": machine.manager.restart}[state]
        try:
            verb(installed.unit)
        except ManagerError as error:
            return {"changed": True, "failed": True, "msg": f"Failed to start service: {error}"}
    return {"changed": changed, **_described(machine, installed), "exists": True}


_MODULES: Mapping[str, Callable[[Machine, Call, Params, bool], Result]] = {
    "slurp": _slurp,
    "win_command": _command,
    "win_find": _find,
    "win_ping": _ping,
    "win_powershell": _powershell,
    "win_service": _service,
    "win_service_info": _service_info,
    "win_stat": _stat,
}
ANSWERED = tuple(_MODULES)
