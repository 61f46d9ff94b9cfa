# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The witness as a fleet's builder sees it: a process, and its report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.fleet.folders import Folders
from lab.fleet.supervision import TESTS
from lab.waiting import until

_FIRST_ROUND, _LAST_WORD = 20.0, 10.0


@dataclass(frozen=True)
class WitnessReport:
    """What the witness saw; ``failures`` are the sentences for which it fails the run."""

    ok: bool
    refused_seconds: float
    failures: tuple[str, ...]
    edges: dict[str, Any]
    whole: dict[str, Any]

    @classmethod
    def of(cls, whole: dict[str, Any]) -> WitnessReport:
        return cls(whole["ok"], whole["refused_seconds"], tuple(whole["failures"]), whole["edges"], whole)

    def refused(self) -> dict[str, float]:
        """Seconds of lock-out by edge, of those that had any."""
        return {name: row["refused_seconds"] for name, row in self.edges.items() if row["refused_seconds"] > 0}


class Witnessing:
    """A running witness. It ends by itself when the fleet's folder goes."""

    def __init__(self, folders: Folders, rate: float, back_off: float) -> None:
        self._folders = folders
        self._file.unlink(missing_ok=True)
        argv = [sys.executable, "-P", "-m", "lab.witness", str(folders.root / "fleet.json"), "--rate", f"{rate:g}"]
        argv += ["--back-off", f"{back_off:g}"]
        self.process = subprocess.Popen(
            argv, env={"PYTHONPATH": str(TESTS), "PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL, start_new_session=True
        )
        until(self._has_seen_everything, _FIRST_ROUND, every=0.05, what="the witness's first look at every edge")

    @property
    def _file(self) -> Path:
        return self._folders.run / "witness.json"

    def report(self) -> WitnessReport:
        """As things stand; at most half a second old."""
        return WitnessReport.of(json.loads(self._file.read_text(encoding="utf-8")))

    def stop(self) -> WitnessReport:
        """The final report."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(_LAST_WORD)
        return self.report()

    def end(self) -> None:
        """Without a report."""
        self.process.kill()
        self.process.wait()

    def _has_seen_everything(self) -> bool:
        if self.process.poll() is not None:
            raise ChildProcessError(f"The witness ended with exit code {self.process.returncode} before its first report.")
        if not self._file.exists():
            return False
        return all(sum(row["samples"].values()) > row["samples"]["not_sampled"] for row in self.report().edges.values())
