# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""service (tentacle-cli.md 2.9)."""

from __future__ import annotations

from typing import ClassVar

from lab.tentacle.commands.base import Command
from lab.tentacle.errors import Controlled
from lab.tentacle.service import Systemd

_ALSO = "Only used when --install or --reconfigure are used. Can also be passed via an environment variable"
_USERNAME = f"Username to run the service under (DOMAIN\\Username format for Windows). {_ALSO} OCTOPUS_SERVICE_USERNAME."
_PASSWORD = f"Password for the username specified with --username. {_ALSO} OCTOPUS_SERVICE_PASSWORD."
_ALL = "*"
_FOR_ALL = {"start", "stop", "restart"}


class ServiceCommand(Command):
    """Any mix of actions in a fixed order; what systemctl makes of them hardly ever reaches the exit code."""

    takes_config: ClassVar[bool] = False
    needs_instance: ClassVar[bool] = False

    def declare(self) -> None:
        self.switch("start", "Start the service if it is not already running")
        self.switch("stop", "Stop the service if it is running")
        self.switch("restart", "Restart the service if it is running")
        self.switch("reconfigure", "Reconfigure the service")
        self.switch("install", "Install the service")
        self.value("username|user=", _USERNAME)
        self.switch("uninstall", "Uninstall the service")
        self.value("password=", _PASSWORD, sensitive=True)
        self.value("dependOn=", "")

    def start(self) -> int:
        instances = self._instances()
        Systemd.require(self.context.world)
        units = [Systemd(self.context.world, self.context.log, instance) for instance in instances]
        for unit in units:
            self._act(unit)
        failed = any(unit.failed for unit in units)
        return 1 if failed and not self.context.settings.quirk("service_failure_exits_0") else 0

    def _instances(self) -> list[str | None]:
        if self.last("instance") != _ALL:
            return [self.context.located.name]
        if self.switched - _FOR_ALL:
            raise Controlled("--instance=* can only be used for --start, --stop, and --restart flags")
        return [entry.name for entry in self.context.index.entries()]

    def _act(self, unit: Systemd) -> None:
        user = self.last("username") or self.context.world.environ.get("OCTOPUS_SERVICE_USERNAME") or "root"
        depends_on = self.last("dependOn")
        if "restart" in self.switched:
            unit.restart()
        if "stop" in self.switched:
            unit.stop()
        if "uninstall" in self.switched:
            unit.uninstall()
        if "install" in self.switched:
            unit.install(user, depends_on)
        if "reconfigure" in self.switched:
            unit.reconfigure(user, depends_on)
        if "start" in self.switched:
            unit.start()
