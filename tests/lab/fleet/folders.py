# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where everything of a running fleet lies (one folder, removed as a whole)."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Folders:
    """Paths below a fleet's root, and the two ways in which its parts share facts: settings, and snapshots put in place whole."""

    root: Path

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def units(self) -> Path:
        return self.root / "units"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def lock(self) -> Path:
        return self.run / "fleet.lock"

    @property
    def events(self) -> Path:
        return self.run / "events.jsonl"

    @property
    def units_state(self) -> Path:
        return self.run / "units.json"

    @property
    def settings_file(self) -> Path:
        return self.root / "lab.json"

    def journal(self, unit: str) -> Path:
        return self.run / "journal" / f"{unit.removesuffix('.service')}.log"

    def host(self, name: str) -> Path:
        return self.root / "hosts" / name

    def server(self, name: str) -> Path:
        return self.root / "server" / name

    def container(self, name: str) -> Path:
        return self.root / "containers" / name

    def make(self) -> None:
        for folder in (self.bin, self.units, self.run / "journal", self.root / "records"):
            folder.mkdir(parents=True, exist_ok=True)

    def settings(self) -> dict[str, Any]:
        """``lab.json`` as it stands now; {} without one."""
        try:
            loaded: dict[str, Any] = json.loads(self.settings_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return loaded

    @staticmethod
    def publish(file: Path, content: object) -> None:
        """Replace a JSON file so that a reader sees the old or the new one, never a part."""
        fresh = file.with_suffix(f".{os.getpid()}.new")
        fresh.write_text(json.dumps(content, indent=1), encoding="utf-8")
        with contextlib.suppress(FileNotFoundError):  # the fleet's folder is being removed
            fresh.replace(file)
