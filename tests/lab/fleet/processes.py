# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that cannot outlive who started them, and how to name one beyond its process id."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def dies_with(parent: int) -> Callable[[], None]:
    """For ``preexec_fn``: the kernel kills the child when ``parent`` is gone, kill -9 included, and also if it was gone already."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def bind() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return bind


def start(argv: Sequence[str], environment: Mapping[str, str], journal: Path) -> subprocess.Popen[bytes]:
    """A process in a session of its own, bound to the life of this one, its output appended to ``journal``."""
    with journal.open("ab") as output:
        return subprocess.Popen(
            list(argv),
            cwd="/",
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=dies_with(os.getpid()),
        )


def birth(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None when there is none (a zombie is none): with the id, its name."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def signal_group(leader: int, number: int) -> None:
    """Signal a session that :func:`start` began: the process and whatever it has started."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return
