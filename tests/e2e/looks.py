# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet seen from outside: what every disk trusts, every byte that somebody may have changed, every process by its birth."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.fleet.builder import Fleet
from lab.fleet.plan import MAIN
from lab.fleet.processes import birth

# What a running fleet, a witness and a playbook write of themselves.
_LIVELY = ("run/", "records/", "tmp/", "play-")
_DATABASE = ".sqlite"
_READING = {
    "Octopus.Server": {"export-certificate", "show-thumbprint"},
    "Tentacle": {"show-thumbprint", "show-configuration", "list-instances", "version"},
    "systemctl": {"is-active", "show"},
    "container": {"exec", "cp", "inspect"},  # what a container's program does is on record under its own name
}


@dataclass(frozen=True)
class Looks:
    """One look at a whole fleet; two looks are compared by :meth:`since`."""

    files: dict[str, str]
    processes: dict[str, tuple[int, int | None]]
    database: tuple[str, ...]

    @classmethod
    def of(cls, fleet: Fleet) -> Looks:
        return cls({name: _sum(file) for name, file in _files(fleet.root)}, processes(fleet), _rows(fleet.database_file()))

    def since(self, before: Looks) -> list[str]:
        """What is not as it was, by name."""
        names = sorted(self.files.keys() | before.files.keys())
        changed = [name for name in names if self.files.get(name) != before.files.get(name)]
        changed += [unit for unit, life in self.processes.items() if life != before.processes.get(unit)]
        return changed + sorted(set(self.database) ^ set(before.database))


def processes(fleet: Fleet) -> dict[str, tuple[int, int | None]]:
    """Process id and birth of every service, by its unit."""
    units = [*(tentacle.unit for tentacle in fleet.tentacles), *(node.unit for server in fleet.plan.servers for node in server.nodes)]
    found = {unit: int(fleet.manager.show(unit)["MainPID"]) for unit in units}
    return {unit: (pid, birth(pid) if pid else None) for unit, pid in found.items()}


def pins(fleet: Fleet, host: str) -> list[str]:
    """What a listening Tentacle's configuration trusts of the main Server, as spelled, each as often as it stands there."""
    tentacle = fleet.tentacle(host)
    foreign = [trust for trust in tentacle.trust if trust.thumbprint or trust.server != MAIN]
    others = {trust.thumbprint or fleet.plan.server(trust.server).certificate.thumbprint for trust in foreign}
    return sorted(entry.thumbprint for entry in fleet.trust(host, tentacle.instance) if entry.thumbprint not in others)


def others(fleet: Fleet, host: str) -> list[str]:
    """The whole entries that are no business of a rotation, as they stand in the configuration now."""
    ours = set(pins(fleet, host))
    return sorted(json.dumps(entry.as_json(), sort_keys=True) for entry in fleet.trust(host) if entry.thumbprint not in ours)


class Starts:
    """The vendor's programs that were started since this object was made, or since the fleet was."""

    def __init__(self, fleet: Fleet, whole: bool = False) -> None:
        self._file = fleet.root / "records" / "argv.jsonl"
        self._seen = 0 if whole else len(self._lines())

    def all(self) -> list[tuple[str, list[str]]]:
        return [(note["program"], note["argv"]) for note in map(json.loads, self._lines()[self._seen :])]

    def writing(self) -> list[str]:
        """Those that do more than read."""
        return [f"{program} {' '.join(argv[:2])}" for program, argv in self.all() if argv[0] not in _READING.get(program, ())]

    def _lines(self) -> list[str]:
        return self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for file in sorted(root.rglob("*")):
        name = str(file.relative_to(root))
        if file.is_file() and not name.startswith(_LIVELY) and "/Logs/" not in name and _DATABASE not in name:
            yield name, file


def _sum(file: Path) -> str:
    return f"{file.stat().st_mode:o} {hashlib.sha256(file.read_bytes()).hexdigest()}"


def _rows(database: Path) -> tuple[str, ...]:
    """All that the Server keeps but the heartbeat of its nodes."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as reading:
        found = tuple(line for line in reading.iterdump() if not line.startswith('INSERT INTO "node"'))
    reading.close()
    return found
