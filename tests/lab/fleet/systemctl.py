# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ``systemctl`` command line over the stand-in service manager: systemd's words, streams and exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.fleet.folders import Folders
from lab.fleet.manager import Manager, ManagerError
from lab.fleet.records import record_start
from lab.fleet.units import full_name

_NOT_RUNNING = 3  # LSB: program is not running
_NO_SUCH_UNIT = 4  # LSB: status unknown
_NOT_FOUND = 5  # of start, stop, restart
_FLAGS = frozenset({"--no-pager", "--no-ask-password", "--system", "-l", "--full", "--no-block", "--all", "-a", "--no-legend"})


@dataclass
class Call:
    """A parsed command line."""

    manager: Manager
    verb: str = ""
    units: list[str] = field(default_factory=list)
    properties: list[str] = field(default_factory=list)
    value: bool = False
    quiet: bool = False
    now: bool = False
    signal: int = int(signal.SIGTERM)


def main(arguments: Sequence[str]) -> int:
    record_start("systemctl", arguments)
    root = os.environ.get("OCTOLAB")
    if root is None:
        _complain("System has not been booted with systemd as init system (PID 1). Can't operate.", "Failed to connect to bus: Host is down")
        return 1
    try:
        call = _parse(arguments, Manager(Folders(Path(root)).socket))
        return _VERBS[call.verb](call)
    except KeyError as error:
        _complain(f"Unknown command verb {error.args[0]}.")
    except ManagerError:
        _complain("Failed to connect to bus: No such file or directory")
    return 1


def _parse(arguments: Sequence[str], manager: Manager) -> Call:
    call, rest = Call(manager), list(arguments)
    while rest:
        word = rest.pop(0)
        name, _equals, inline = word.partition("=")
        if word in ("--value", "-q", "--quiet", "--now"):
            setattr(call, {"-q": "quiet"}.get(word, word.lstrip("-")), True)
        elif name in ("-p", "--property"):
            call.properties += (inline or rest.pop(0)).split(",")
        elif word.startswith("-p"):
            call.properties += word[2:].split(",")
        elif name in ("-s", "--signal"):
            call.signal = _signal(inline or rest.pop(0))
        elif word.startswith("-") and word not in _FLAGS:
            _complain(f"systemctl: unrecognized option '{word}'")
            raise SystemExit(1)
        elif word in _FLAGS:
            continue
        elif not call.verb:
            call.verb = word
        else:
            call.units.append(full_name(word))
    return call


def _signal(text: str) -> int:
    return int(text) if text.isdigit() else int(signal.Signals["SIG" + text.removeprefix("SIG")])


def _is_active(call: Call) -> int:
    states = [call.manager.show(unit) for unit in call.units]
    if not call.quiet:
        _print(*(state["ActiveState"] for state in states))
    if any(state["ActiveState"] == "active" for state in states):
        return 0
    return _NO_SUCH_UNIT if all(state["LoadState"] == "not-found" for state in states) else _NOT_RUNNING


def _is_failed(call: Call) -> int:
    states = [call.manager.show(unit)["ActiveState"] for unit in call.units]
    if not call.quiet:
        _print(*states)
    return 0 if "failed" in states else 1


def _is_enabled(call: Call) -> int:
    results = []
    for unit in call.units:
        state = call.manager.show(unit)["UnitFileState"]
        if not state:
            _complain(f"Failed to get unit file state for {unit}: No such file or directory")
        elif not call.quiet:
            _print(state)
        results.append(state == "enabled")
    return 0 if any(results) else 1


def _show(call: Call) -> int:
    """An unknown unit is no error to ``show``: LoadState=not-found and exit code 0."""
    for position, unit in enumerate(call.units):
        properties = call.manager.show(unit)
        chosen = {name: text for name, text in properties.items() if name in call.properties or not (call.properties or text == "")}
        if position:
            _print("")
        _print(*(text if call.value else f"{name}={text}" for name, text in chosen.items()))
    return 0


def _cat(call: Call) -> int:
    missing = 0
    for position, unit in enumerate(call.units):
        files = call.manager.ask("show", unit).get("files")
        if not files:
            _complain(f"No files found for {unit}.")
            missing = 1
            continue
        if position:
            _print("")
        _print("\n".join(f"# {file}\n{Path(file).read_text(encoding='utf-8').rstrip()}\n" for file in files).rstrip("\n"))
    return missing


def _status(call: Call) -> int:
    unit = call.units[0]
    state = call.manager.show(unit)
    if state["LoadState"] == "not-found":
        _complain(f"Unit {unit} could not be found.")
        return _NO_SUCH_UNIT
    mark = "\u25cf" if state["ActiveState"] == "active" else "\u25cb"
    _print(
        f"{mark} {unit} - {state['Description']}",
        f"     Loaded: loaded ({state['FragmentPath']}; {state['UnitFileState']}; preset: enabled)",
        f"     Active: {state['ActiveState']} ({state['SubState']}) since {state['StateChangeTimestamp']}",
    )
    return 0 if state["ActiveState"] == "active" else _NOT_RUNNING


def _job(call: Call) -> int:
    """start, stop, restart: each unit is tried, the last failure gives the exit code."""
    code = 0
    for unit in call.units:
        _warn_of_changes(call, unit)
        error = call.manager.ask(call.verb, unit).get("error")
        if error == "not-found":
            _complain(f"Failed to {call.verb} {unit}: Unit {unit} not {'loaded' if call.verb == 'stop' else 'found'}.")
            code = _NOT_FOUND
        elif error:
            _complain(
                f"Job for {unit} failed because the control process exited with error code.",
                f'See "systemctl status {unit}" and "journalctl -xeu {unit}" for details.',
            )
            code = 1
    return code


def _try_restart(call: Call) -> int:
    call.units = [unit for unit in call.units if call.manager.show(unit)["ActiveState"] == "active"]
    call.verb = "restart"
    return _job(call)


def _warn_of_changes(call: Call, unit: str) -> None:
    if call.manager.show(unit)["NeedDaemonReload"] == "yes":
        _complain(
            f"Warning: The unit file, source configuration file or drop-ins of {unit} changed on disk. Run 'systemctl daemon-reload' to reload units."
        )


def _kill(call: Call) -> int:
    for unit in call.units:
        if call.manager.ask("kill", unit, signal=call.signal).get("error"):
            _complain(f"Failed to kill unit {unit}: Unit {unit} not loaded.")
            return 1
    return 0


def _enable(call: Call) -> int:
    """The links are announced on stderr, as systemd does."""
    for unit in call.units:
        answer = call.manager.ask(call.verb, unit)
        if answer.get("error"):
            _complain(f"Failed to {call.verb} unit: Unit file {unit} does not exist.")
            return 1
        for link, target in answer["links"]:
            _complain(f"Created symlink {link} \u2192 {target}." if call.verb == "enable" else f'Removed "{link}".')
    if call.now:
        call.verb = "start" if call.verb == "enable" else "stop"
        return _job(call)
    return 0


def _reload(call: Call) -> int:
    call.manager.ask("reload")
    return 0


def _version(_call: Call) -> int:
    _print("systemd 252 (lab stand-in)")
    return 0


def _print(*lines: str) -> None:
    sys.stdout.write("".join(line + "\n" for line in lines))


def _complain(*lines: str) -> None:
    sys.stderr.write("".join(line + "\n" for line in lines))


_VERBS: dict[str, Callable[[Call], int]] = {
    "is-active": _is_active,
    "is-failed": _is_failed,
    "is-enabled": _is_enabled,
    "show": _show,
    "cat": _cat,
    "status": _status,
    "start": _job,
    "stop": _job,
    "restart": _job,
    "try-restart": _try_restart,
    "kill": _kill,
    "enable": _enable,
    "disable": _enable,
    "daemon-reload": _reload,
    "--version": _version,
}
