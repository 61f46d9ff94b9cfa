# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit files and their drop-ins, as far as the vendor writes them (contracts/tentacle-cli.md 2.9)."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ".service"
_NO_RESTART_DELAY_GIVEN = 0.1  # systemd's DefaultRestartSec
_NO_STOP_LIMIT_GIVEN = 90.0  # systemd's DefaultTimeoutStopSec


@dataclass(frozen=True)
class Definition:
    """What a unit file says about one service."""

    name: str  # with .service
    files: tuple[str, ...]  # the unit file, then its drop-ins
    stamp: int  # changes whenever one of the files does
    description: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    user: str
    restart: str
    restart_delay: float
    stop_limit: float
    wanted_by: tuple[str, ...]


def full_name(name: str) -> str:
    """``Tentacle`` and ``Tentacle.service`` are the same unit."""
    return name if name.endswith(_SUFFIX) else name + _SUFFIX


def drop_in_folder(folder: Path, name: str) -> Path:
    return folder / (full_name(name) + ".d")


def stamp_of(folder: Path, name: str) -> int:
    """Newest modification time of the unit's files; 0 when there is no such unit."""
    files = _files(folder, name)
    return max((file.stat().st_mtime_ns for file in files), default=0)


def read_unit(folder: Path, name: str) -> Definition | None:
    """The unit's definition as it stands in its files now; None when there is no unit file."""
    files = _files(folder, name)
    if not files:
        return None
    stamp = stamp_of(folder, name)
    keys = _keys("\n".join(file.read_text(encoding="utf-8") for file in files))
    return Definition(
        name=full_name(name),
        files=tuple(map(str, files)),
        stamp=stamp,
        description=" ".join(keys.get("Description", [])) or full_name(name),
        argv=tuple(shlex.split(keys.get("ExecStart", [""])[-1])),
        environment=tuple(_environment(keys.get("Environment", []))),
        user=keys.get("User", [""])[-1],
        restart=keys.get("Restart", ["no"])[-1],
        restart_delay=_seconds(keys.get("RestartSec"), _NO_RESTART_DELAY_GIVEN),
        stop_limit=_seconds(keys.get("TimeoutStopSec"), _NO_STOP_LIMIT_GIVEN),
        wanted_by=tuple(" ".join(keys.get("WantedBy", [])).split()),
    )


def _files(folder: Path, name: str) -> list[Path]:
    unit = folder / full_name(name)
    return [unit, *sorted(drop_in_folder(folder, name).glob("*.conf"))] if unit.is_file() else []


def _keys(text: str) -> dict[str, list[str]]:
    """Every assignment, whatever its section: the keys that the lab reads mean one thing only."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", ";")):
            found.setdefault(key.strip(), []).append(value.strip())
    return found


def _environment(lines: list[str]) -> list[tuple[str, str]]:
    words = [word for line in lines for word in shlex.split(line)]
    return [(name, value) for name, _equals, value in (word.partition("=") for word in words)]


def _seconds(values: list[str] | None, default: float) -> float:
    """``100ms``, ``5s`` or a bare number of seconds."""
    if not values:
        return default
    text = values[-1]
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text.rstrip("s"))
