# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes below an ansible-playbook: who they are, what can be read of them from outside, and kill -9 for one or for all."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from lab.fleet.processes import birth


class Born(NamedTuple):
    """A process beyond the reuse of its id."""

    pid: int
    birth: int

    @property
    def lives(self) -> bool:
        return birth(self.pid) == self.birth


def born(pid: int) -> Born | None:
    at = birth(pid)
    return None if at is None else Born(pid, at)


def descendants(pid: int) -> list[Born]:
    """All that come from ``pid``, itself left out; sessions do not matter (each worker of ansible-playbook begins one)."""
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in _parents():
        children[parent].append(child)
    found, left = [], [pid]
    while left:
        born_here = children.pop(left.pop(), [])
        found += born_here
        left += born_here
    return [known for known in map(born, found) if known is not None]


def _parents() -> Iterator[tuple[int, int]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                yield int(entry), int(Path("/proc", entry, "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])


def kill_parent(pid: int) -> list[Born]:
    """kill -9 of ``pid`` alone. Those that it leaves behind are at work still, and stand still until :func:`resume`."""
    left = _freeze(pid)
    os.kill(pid, signal.SIGKILL)
    return left


def kill_tree(pid: int) -> list[Born]:
    """kill -9 of ``pid`` and all that come from it, collected before the first dies; nobody is left behind."""
    frozen = _freeze(pid)
    os.kill(pid, signal.SIGKILL)
    for each in frozen:
        _signal(each, signal.SIGKILL)
    return []


def resume(stopped: list[Born]) -> None:
    for each in stopped:
        _signal(each, signal.SIGCONT)


def _freeze(pid: int) -> list[Born]:
    """Stop ``pid`` and all that come from it, so that none starts another one while they are collected; without ``pid`` itself."""
    os.kill(pid, signal.SIGSTOP)
    stopped: list[Born] = []
    while fresh := [each for each in descendants(pid) if each not in stopped]:
        for each in fresh:
            _signal(each, signal.SIGSTOP)
        stopped += fresh
    return stopped


def _signal(process: Born, number: int) -> None:
    if process.lives:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


class Onlooker:
    """What anybody on the machine could read of a playbook's processes while they ran: their arguments, and (as the same user) their environments."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, name="onlooker", daemon=True)
        self.arguments: set[tuple[bytes, ...]] = set()
        self.environments: set[bytes] = set()

    def __enter__(self) -> Onlooker:
        self._thread.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.02):
            for pid in (self._pid, *(each.pid for each in descendants(self._pid))):
                with contextlib.suppress(OSError):  # it has ended
                    self.arguments.add(tuple(Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")[:-1]))
                    self.environments.add(Path("/proc", str(pid), "environ").read_bytes())
