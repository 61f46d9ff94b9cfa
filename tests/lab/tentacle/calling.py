# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of the stand-in inside one's own process: a host of its own in a folder, no process started."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.settings import Settings
from lab.tentacle.configuration import TentacleConfiguration
from lab.tentacle.program import run
from lab.tentacle.world import World

MACHINE_ID = "816490f117f14c7a8fa2697781ed795b"  # upstream's own published test machine


@dataclass(frozen=True)
class Called:
    """What a call printed and returned."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Host:
    """A folder that is a host: index, machine id, home directory, units, one folder per instance."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)
    uid: int = field(default_factory=os.geteuid)
    sleep: Callable[[float], object] = lambda _seconds: None
    clock: Callable[[], float] | None = None
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        for folder in ("etc/octopus", "root", "units", "cwd"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        machine_id = self.root / "etc/machine-id"
        machine_id.write_text(f"{MACHINE_ID}\n")
        self.settings = Settings(
            machine_id_file=machine_id,
            home=self.root / "root",
            machine_configuration_home=self.root / "etc/octopus",
            machine_key_file=self.root / "etc/octopus/machinekey",
            unit_dir=self.root / "units",
        )

    def without(self, quirks: Iterable[str]) -> Host:
        """The same host with some quirks switched off."""
        self.settings = replace(self.settings, quirks_off=self.settings.quirks_off | frozenset(quirks))
        return self

    def path(self, instance: str = "T1") -> Path:
        """Where an instance's configuration is put."""
        return self.root / instance / "tentacle.config"

    def configuration(self, instance: str = "T1") -> TentacleConfiguration:
        """The configuration as it stands in the file now."""
        return TentacleConfiguration(str(self.path(instance)), self.settings, self.uid)

    def call(self, *argv: str) -> Called:
        """One call, as a process of its own would see it."""
        out, err = io.StringIO(), io.StringIO()
        environ = {"PATH": os.defpath, **self.environ}
        world = World(argv, environ, str(self.root / "cwd"), io.StringIO(), out, err, self.settings, uid=self.uid, sleep=self.sleep)
        if self.clock is not None:
            world = replace(world, clock=self.clock)
        return Called(run(world), out.getvalue(), err.getvalue())

    def create(self, *instances: str) -> Host:
        """Make instances."""
        for instance in instances or ("T1",):
            assert self.call("create-instance", f"--instance={instance}", f"--config={self.path(instance)}").code == 0
        return self

    def trust(self, *thumbprints: str) -> Host:
        """Let T1 trust Servers."""
        assert self.call("configure", "--instance=T1", *(f"--trust={thumbprint}" for thumbprint in thumbprints)).code == 0
        return self

    def trusted(self, instance: str = "T1") -> list[str]:
        """Thumbprints as they are stored, in order."""
        return [entry.thumbprint for entry in self.configuration(instance).trusted_servers]
