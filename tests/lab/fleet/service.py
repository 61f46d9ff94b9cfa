# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One service of the stand-in service manager: what it is, what it does when its process ends, how it looks from outside."""

from __future__ import annotations

import enum
import os
import pwd
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lab.fleet.processes import birth, signal_group
from lab.fleet.units import Definition

_NO_SUCH_PROGRAM = 203  # systemd's EXIT_EXEC: the fork succeeded, the exec did not
# A crash loop at full speed would take a core away from everything else, the witness first: quick failures double the delay.
_QUICK_US, _LONGEST_DELAY = 10_000_000, 1.0
_CLEAN_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE})


class Phase(enum.Enum):
    """ActiveState and SubState, as systemd pairs them."""

    DEAD = ("inactive", "dead")
    RUNNING = ("active", "running")
    STOPPING = ("deactivating", "stop-sigterm")
    KILLING = ("deactivating", "stop-sigkill")
    WAITING = ("activating", "auto-restart")
    FAILED = ("failed", "failed")


class Hands(Protocol):
    """What a service needs from the supervisor."""

    def launch(self, definition: Definition) -> subprocess.Popen[bytes]:
        """Start the program of a unit."""

    def watch(self, process: subprocess.Popen[bytes], ended: Callable[[], None]) -> None:
        """Call ``ended`` when the process has ended."""

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Call ``act`` after a time."""

    def tell(self, event: str, service: Service) -> None:
        """Record an event."""


@dataclass
class Life:
    """One run of the main process."""

    process: subprocess.Popen[bytes] | None
    pid: int
    started_us: int
    started_monotonic_us: int
    birth: int | None = None
    ended_us: int = 0
    ended_monotonic_us: int = 0
    code: str = ""  # exited | killed
    status: int = 0


@dataclass
class Service:
    """The state of a unit that somebody has asked about."""

    definition: Definition
    hands: Hands
    phase: Phase = Phase.DEAD
    life: Life | None = None
    result: str = "success"
    restarts: int = 0
    orders: int = 0
    since_us: int = 0
    since_monotonic_us: int = 0
    _stopped: list[Callable[[], None]] = field(default_factory=list)
    _failures: int = 0  # quick ones, one after the other
    _turn: int = 0  # timers that were set for an earlier phase find another number and do nothing

    @property
    def pid(self) -> int:
        """Id of the main process that runs; 0 when none does."""
        return self.life.pid if self.life is not None and self.life.process is not None else 0

    def start(self) -> None:
        """Start now, unless it runs. Type=simple: done as soon as the process exists, whatever becomes of it."""
        if self.phase in (Phase.RUNNING, Phase.STOPPING, Phase.KILLING):
            return
        self.restarts = 0
        self._launch()

    def stop(self, stopped: Callable[[], None]) -> None:
        """SIGTERM, and SIGKILL when it does not end in time; ``stopped`` is called when no process is left."""
        if self.pid == 0:
            self._enter(Phase.FAILED if self.phase is Phase.FAILED else Phase.DEAD)
            stopped()
            return
        self._stopped.append(stopped)
        if self.phase is Phase.RUNNING:
            self._enter(Phase.STOPPING)
            signal_group(self.pid, signal.SIGTERM)
            self._after(self.definition.stop_limit, self._kill)

    def _kill(self) -> None:
        self._enter(Phase.KILLING)
        signal_group(self.pid, signal.SIGKILL)

    def _launch(self) -> None:
        try:
            process = self.hands.launch(self.definition)
        except OSError:
            now, monotonic = _clocks()
            self.life = Life(None, 0, now, monotonic, None, now, monotonic, "exited", _NO_SUCH_PROGRAM)
            self._ended_by_itself(clean=False)
            return
        self.life = Life(process, process.pid, *_clocks(), birth(process.pid))
        self.result = "success"
        self._enter(Phase.RUNNING)
        self.hands.watch(process, self._ended)

    def _ended(self) -> None:
        """The main process has ended; what else it had started goes with it, as with systemd's control groups."""
        life = self.life
        if life is None or life.process is None:
            return
        signal_group(life.pid, signal.SIGKILL)
        code = life.process.wait()
        life.process = None
        life.code, life.status = ("killed", -code) if code < 0 else ("exited", code)
        life.ended_us, life.ended_monotonic_us = _clocks()
        clean = code == 0 or (code < 0 and -code in _CLEAN_SIGNALS)
        if self.phase is Phase.RUNNING:
            self._ended_by_itself(clean)
            return
        # Exit status 143 after a stop is not clean to systemd: the unit is *failed* after an orderly stop (tentacle-cli.md 5.1).
        self.result = "success" if clean else "timeout" if self.phase is Phase.KILLING else self._verdict()
        self._enter(Phase.DEAD if self.result == "success" else Phase.FAILED)
        waiting, self._stopped = self._stopped, []
        for stopped in waiting:
            stopped()

    def _ended_by_itself(self, clean: bool) -> None:
        self.result = "success" if clean else self._verdict()
        if self.definition.restart == "always" or (self.definition.restart == "on-failure" and not clean):
            self._enter(Phase.WAITING)
            self._after(self._delay(), self._again)
        else:
            self._enter(Phase.DEAD if clean else Phase.FAILED)

    def _delay(self) -> float:
        life, delay = self.life, self.definition.restart_delay
        quick = life is not None and life.ended_monotonic_us - life.started_monotonic_us < _QUICK_US
        self._failures = self._failures + 1 if quick else 1
        return max(delay, min(_LONGEST_DELAY, delay * 2.0 ** (self._failures - 1)))

    def _again(self) -> None:
        self.restarts += 1
        self._launch()

    def _verdict(self) -> str:
        return "signal" if self.life is not None and self.life.code == "killed" else "exit-code"

    def _enter(self, phase: Phase) -> None:
        if phase is not self.phase:
            self.since_us, self.since_monotonic_us = _clocks()
        self.phase = phase
        self._turn += 1
        self.hands.tell(phase.value[1], self)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        turn = self._turn
        self.hands.later(seconds, lambda: act() if turn == self._turn else None)

    def properties(self, enabled: bool) -> dict[str, str]:
        """As ``systemctl show`` prints them, in the order of systemd's own list, whatever order was asked for."""
        life, unit = self.life or Life(None, 0, 0, 0), self.definition
        active, sub = self.phase.value
        return {
            "Type": "simple",
            "Restart": unit.restart,
            "RestartUSec": f"{unit.restart_delay * 1000:g}ms",
            "MainPID": str(self.pid),
            "Result": self.result,
            "NRestarts": str(self.restarts),
            "ExecMainStartTimestamp": _stamp(life.started_us),
            "ExecMainStartTimestampMonotonic": str(life.started_monotonic_us),
            "ExecMainExitTimestamp": _stamp(life.ended_us),
            "ExecMainExitTimestampMonotonic": str(life.ended_monotonic_us),
            "ExecMainPID": str(life.pid),
            "ExecMainCode": str({"": 0, "exited": os.CLD_EXITED, "killed": os.CLD_KILLED}[life.code]),
            "ExecMainStatus": str(life.status),
            "ExecStart": _exec_start(unit.argv, life),
            "Environment": " ".join(shlex.quote(f"{name}={value}") for name, value in unit.environment),
            "User": unit.user,
            "Id": unit.name,
            "Names": unit.name,
            "Description": unit.description,
            "LoadState": "loaded",
            "ActiveState": active,
            "SubState": sub,
            "FragmentPath": unit.files[0],
            "DropInPaths": " ".join(unit.files[1:]),
            "UnitFileState": "enabled" if enabled else "disabled",
            "StateChangeTimestamp": _stamp(self.since_us),
            "StateChangeTimestampMonotonic": str(self.since_monotonic_us),
            "NeedDaemonReload": "no",
        }


def unknown(name: str) -> dict[str, str]:
    """What systemd says of a unit that it has never heard of: no error, an inactive one (rc 0)."""
    zeros = (
        "MainPID",
        "NRestarts",
        "ExecMainStartTimestampMonotonic",
        "ExecMainExitTimestampMonotonic",
        "ExecMainPID",
        "ExecMainCode",
        "ExecMainStatus",
    )
    return {
        **{"Restart": "no", "Result": "success", "ExecMainStartTimestamp": "", "ExecMainExitTimestamp": "", "User": ""},
        **dict.fromkeys(zeros, "0"),
        **{"Id": name, "Names": name, "Description": name, "LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead"},
        **{"FragmentPath": "", "UnitFileState": "", "NeedDaemonReload": "no"},
    }


def environment_of(definition: Definition, path: str) -> Mapping[str, str]:
    """What systemd gives a service: little, and nothing of the person who typed ``systemctl``."""
    user = pwd.getpwuid(os.getuid())
    own = {"LANG": "C.UTF-8", "PATH": path, "HOME": user.pw_dir, "LOGNAME": user.pw_name, "USER": user.pw_name, "SHELL": "/bin/sh"}
    return {**own, **dict(definition.environment)}


def _clocks() -> tuple[int, int]:
    return time.time_ns() // 1000, time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def _stamp(microseconds: int) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(microseconds / 1e6)) if microseconds else ""


def _exec_start(argv: tuple[str, ...], life: Life) -> str:
    if not argv:
        return ""
    started, ended = (f"[{_stamp(us) or 'n/a'}]" for us in (life.started_us, life.ended_us))
    status = f"{life.code or '(null)'} ; status={life.status}{'' if life.code else '/0'}"
    words = f"path={argv[0]} ; argv[]={' '.join(argv)} ; ignore_errors=no ; start_time={started} ; stop_time={ended} ; pid={life.pid} ; code={status}"
    return f"{{ {words} }}"
