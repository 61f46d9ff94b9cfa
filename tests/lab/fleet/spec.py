# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet shall look like."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.fleet.plan import Plan


def _executable() -> tuple[str, ...]:
    """OCTO_TENTACLE: the argv of a real Tentacle in the place of the stand-in."""
    return tuple(shlex.split(os.environ.get("OCTO_TENTACLE", "")))


def _mixed() -> bool:
    """OCTO_MIXED: the same tests over a mixed fleet."""
    return bool(os.environ.get("OCTO_MIXED"))


@dataclass(frozen=True)
class FleetSpec:
    """Hosts are called web-01, web-02, ... (listening), poll-01, ... (polling) and win-01, ... (listening, Windows); nodes are node-1, node-2, ..."""

    tentacles: int = 2
    polling: int = 0
    windows: int = 0
    nodes: int = 1
    spaces: tuple[str, ...] = ("Default",)
    environments: tuple[str, ...] = ("Production",)
    foreign: int = 0  # how many listening Tentacles trust a second Server, too
    quirks: tuple[str, ...] = ()  # "name:host", see lab.fleet.quirks.KNOWN_QUIRKS
    changes: tuple[Callable[[Plan], None], ...] = ()  # what no quirk has a name for; applied after the quirks
    container: bool = False  # the Server runs in the stand-in container engine
    time_scale: float = 0.1  # a queued health check is picked up after 2 s instead of 20
    cli_cost: float = 0.0
    faults: Mapping[str, object] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)  # anything else for lab.json
    root: Path | None = None
    executable: tuple[str, ...] = field(default_factory=_executable)
    mixed: bool = field(default_factory=_mixed)  # every second host plays Windows, its instance named as ever
