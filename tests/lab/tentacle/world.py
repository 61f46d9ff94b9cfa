# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that a call of the stand-in takes from outside, so that a test can run it inside its own process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from lab.settings import Settings


@dataclass(frozen=True)
class World:
    """One process: arguments, environment, working directory, streams, user, clock, and the settings of the lab."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    cwd: str
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    settings: Settings
    uid: int = field(default_factory=os.geteuid)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep

    def absolute(self, path: str) -> str:
        """A path as the process would resolve it."""
        return os.path.normpath(os.path.join(self.cwd, path))
