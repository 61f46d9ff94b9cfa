# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Tentacles of a fleet have complained of since a moment, by their own logs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.fleet.builder import Fleet
from lab.fleet.plan import Tentacle
from lab.fleet.tentacles import paths_of

_BAD = ("WARN", "ERROR", "FATAL")
# tentacle-cli.md 1.5; further lines of an entry follow raw.
_ENTRY = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{4} +(?P<pid>\d+) +\d+ +(?P<level>[A-Z]+)  ", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One entry of a log, with all its lines."""

    tentacle: str  # host/instance
    pid: int
    level: str
    text: str


class Logs:
    """Remembers where each log ended when this was made. Logs that are moved to an archive meanwhile are still the same."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._ends = {_identity(file): file.stat().st_size for tentacle in fleet.tentacles for file in _files(fleet, tentacle)}

    def since(self) -> list[Entry]:
        """Everything that was written since then, at every level."""
        return [entry for tentacle in self._fleet.tentacles for file in _files(self._fleet, tentacle) for entry in self._fresh(tentacle, file)]

    def complaints(self) -> list[Entry]:
        """What was written since then at the levels WARN, ERROR and FATAL."""
        return [entry for entry in self.since() if entry.level in _BAD]

    def _fresh(self, tentacle: Tentacle, file: Path) -> Iterator[Entry]:
        with file.open("rb") as reading:
            reading.seek(self._ends.get(_identity(file), 0))
            text = reading.read().decode(errors="replace")
        heads = list(_ENTRY.finditer(text))
        ends = [*(each.start() for each in heads[1:]), len(text)]
        for head, end in zip(heads, ends, strict=False):
            yield Entry(tentacle.id, int(head["pid"]), head["level"], text[head.end() : end].rstrip("\n"))


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino


def _files(fleet: Fleet, tentacle: Tentacle) -> list[Path]:
    """The archives first, the oldest of them first."""
    log = paths_of(fleet.folders, tentacle).log
    return sorted(log.parent.glob(f"{log.stem}*{log.suffix}"), key=lambda file: file.stat().st_mtime_ns)
