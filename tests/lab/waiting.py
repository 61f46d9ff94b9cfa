# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting for a state with a deadline, for tests and for the lab itself: never for a length of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Late(AssertionError):
    """The state did not come about before the deadline."""


def until(condition: Callable[[], object], deadline: float = 10.0, *, every: float = 0.01, what: str = "") -> None:
    """Return as soon as ``condition()`` is true; after ``deadline`` seconds raise Late, which says ``what`` was waited for."""
    pause = threading.Event()
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise Late(f"Waited {deadline:g} s in vain for {what or getattr(condition, '__name__', 'a state')}.")
        pause.wait(every)
