# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a command works with: the world, the log, the instance that is meant, and whether a restart is asked for."""

from __future__ import annotations

from functools import cached_property

from lab.settings import Settings
from lab.tentacle.configuration import TentacleConfiguration
from lab.tentacle.index import Index, Located, Request
from lab.tentacle.log import Log
from lab.tentacle.world import World


class Context:
    """The state of one call."""

    def __init__(self, world: World, log: Log) -> None:
        self.world = world
        self.log = log
        self.request = Request()
        self.noninteractive = False
        self.restart_voted = False
        self.log_directories: list[str] | None = None

    @property
    def settings(self) -> Settings:
        """The settings of the lab."""
        return self.world.settings

    @cached_property
    def index(self) -> Index:
        """The instance index."""
        self.log.debug(f"Machine configuration home directory is {self.settings.machine_configuration_home}")
        return Index(self.world)

    @cached_property
    def located(self) -> Located:
        """The instance that is meant. Controlled when there is none."""
        return self.index.locate(self.request)

    @cached_property
    def configuration(self) -> TentacleConfiguration:
        """The configuration of that instance; kept for the rest of the call, whatever happens to the index meanwhile."""
        self.log.debug(f"Loading configuration from {self.located.configuration}")
        return TentacleConfiguration(self.located.configuration, self.settings, self.world.uid)

    def vote_restart(self, *, changed: bool = True) -> None:
        """Ask for the restart line at the end; the vendor does so whether or not anything changed."""
        self.restart_voted = self.restart_voted or changed or self.settings.quirk("restart_line_unconditional")

    def write(self, text: str) -> None:
        """A command's own payload: to stdout as it is, past the log."""
        self.world.stdout.write(text)
        self.world.stdout.flush()
