# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""version and livez (tentacle-cli.md 2.13)."""

from __future__ import annotations

import json
import os
from typing import ClassVar

from lab.tentacle.commands.base import Command
from lab.tentacle.commands.instances import output_format
from lab.tentacle.configuration import integer
from lab.tentacle.errors import Controlled, invalid_format

HEARTBEAT = "livez.heartbeat"
_DEFAULT_AGE = 60


class VersionCommand(Command):
    """Print the version, without a newline."""

    has_instance: ClassVar[bool] = False
    needs_instance: ClassVar[bool] = False

    def declare(self) -> None:
        self.value("format=", "The format of the output (text,json). Defaults to text.")

    def start(self) -> int:
        version = self.context.settings.version
        if output_format(self.last("format")) == "text":
            self.context.write(version)
            return 0
        described = {
            "InformationalVersion": version,
            "MajorMinorPatch": version.partition("-")[0],
            "NuGetVersion": version,
            "SourceBranchName": "UNKNOWNBRANCH",
            "IsPrerelease": "-" in version,
        }
        self.context.write(json.dumps(described, indent=2))
        return 0


class LivezCommand(Command):
    """Succeed silently when the agent's heartbeat file is young."""

    def declare(self) -> None:
        self.value("max-age=", "The maximum age of the liveness heartbeat in seconds. Defaults to 60.")

    def start(self) -> int:
        try:
            limit = integer(self.last("max-age") or str(_DEFAULT_AGE))
        except ValueError as error:
            raise invalid_format(str(error)) from error
        path = os.path.join(str(self.context.configuration.home), HEARTBEAT)
        try:
            written = os.stat(path).st_mtime
        except FileNotFoundError as error:
            raise Controlled(f"Liveness heartbeat file not found at {path}; the Tentacle agent may not be running.") from error
        age = int(self.context.world.clock() - written)
        if age > limit:
            raise Controlled(f"Liveness heartbeat at {path} is stale: last written {age}s ago (threshold {limit}s).")
        return 0
