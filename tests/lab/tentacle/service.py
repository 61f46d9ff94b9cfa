# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The systemd side of `service`: the unit file, and systemctl through PATH (tentacle-cli.md 2.9)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable

from lab.tentacle.errors import Controlled, of_os_error
from lab.tentacle.log import Log
from lab.tentacle.world import World

_UNIT = """[Unit]
Description=Octopus Deploy: Tentacle deployment agent
After=network.target{depends_on}

[Service]
Type=simple
User={user}
ExecStart={executable} run --instance={instance} --noninteractive
Restart=always

[Install]
WantedBy=multi-user.target
"""
# What systemctl's stderr must hold for the call to be taken for a lack of permission, rightly or not.
_DENIED = ("Failed to", "Access denied", "Permission denied", "Interactive authentication required")


def unit_name(instance: str | None) -> str:
    """The unit is named after the bare instance: slashes go, runs of blanks become a hyphen."""
    return re.sub(r"\s+", "-", (instance or "OctopusDeploy Tentacle").replace("/", "").replace("\\", ""))


class Systemd:
    """One instance's unit."""

    def __init__(self, world: World, log: Log, instance: str | None) -> None:
        self._world = world
        self._log = log
        self._instance = instance
        self.unit = unit_name(instance)
        self.failed = False

    @classmethod
    def require(cls, world: World) -> None:
        """What must be there: bash, sudo (for root too), systemd."""
        if not os.access("/bin/bash", os.X_OK):
            raise Controlled("Could not detect bash. bash is required to run tentacle.")
        path = world.environ.get("PATH", os.defpath)
        if world.settings.quirk("service_needs_sudo") and _run(world, ["sudo", "-vn"]).returncode != 0:
            raise Controlled("Requires elevated privileges. Please run command as sudo.")
        if shutil.which("systemctl", path=path) is None:
            raise Controlled("Could not detect systemd. systemd is required to run Tentacle as a service")

    def restart(self) -> None:
        """Restart, which also starts a stopped unit."""
        self._log.info(f"Restarting service: {self.unit}")
        self._outcome(self._systemctl("restart", self._log.warn), "Service has been restarted", "The service could not be restarted")

    def stop(self) -> None:
        """Stop."""
        self._log.info(f"Stopping service: {self.unit}")
        self._outcome(self._systemctl("stop", self._log.warn), "Service stopped", "The service could not be stopped")

    def start(self) -> None:
        """Start."""
        started = self._systemctl("start", self._log.error)
        self._outcome(started, f"Service started: {self.unit}", f"Could not start the systemd service: {self.unit}")

    def uninstall(self) -> None:
        """Stop, disable and delete the unit, if it is there at all."""
        self._log.info(f"Removing systemd service: {self.unit}")
        self._remove()
        self._log.info("Service uninstalled")

    def install(self, user: str, depends_on: str) -> None:
        """Write the unit and enable it; success is reported in any case."""
        self._write(user, depends_on)
        self.failed |= not self._systemctl("enable", self._log.error)
        self._log.info(f"Service installed: {self.unit}")

    def reconfigure(self, user: str, depends_on: str) -> None:
        """Remove and install; the service is stopped afterwards."""
        self._log.info(f"Attempting to remove old service: {self.unit}")
        self._remove()
        self.install(user, depends_on)

    def _outcome(self, success: bool, good: str, bad: str) -> None:
        self.failed |= not success
        (self._log.info if success else self._log.error)(good if success else bad)

    def _remove(self) -> None:
        self._systemctl("stop", self._log.warn)
        self._systemctl("disable", self._log.warn)
        (self._world.settings.unit_dir / f"{self.unit}.service").unlink(missing_ok=True)

    def _write(self, user: str, depends_on: str) -> None:
        path = self._world.settings.unit_dir / f"{self.unit}.service"
        text = _UNIT.format(
            depends_on=f" {depends_on}" if depends_on else "", user=user, executable=self._world.settings.executable, instance=self._instance or ""
        )
        try:
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)
        except OSError as error:
            raise of_os_error(error, str(path)) from error

    def _systemctl(self, verb: str, complain: Callable[[str], None]) -> bool:
        command = ["systemctl", verb, self.unit]
        done = _run(self._world, command)
        if done.returncode != 0 and any(text in done.stderr for text in _DENIED) and self._world.settings.quirk("service_retries_with_sudo"):
            self._log.info(f"Permission denied. Retrying '{' '.join(command)}' with sudo...")
            command = ["sudo", *command]
            done = _run(self._world, command)
        if done.returncode != 0:
            complain(f"The command '{' '.join(command)}' failed with exit code: {done.returncode}")
            if done.stderr.strip():
                complain(done.stderr.strip())
        return done.returncode == 0


def _run(world: World, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program found through the caller's PATH; one that is not there counts as failed."""
    path = shutil.which(command[0], path=world.environ.get("PATH", os.defpath))
    if path is None:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: command not found")
    return subprocess.run(
        [path, *command[1:]], env=dict(world.environ), cwd=world.cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
