# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`service`: systemctl from PATH; its failures are printed and the exit code stays 0 (tentacle-cli.md 2.9)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

from lab.server.host import Call
from lab.server.instance import Instance, registered, resolve
from lab.tentacle.errors import Controlled

_RETRIED = ("Failed to", "Access denied", "Permission denied", "Interactive authentication required")
_UNIT = """[Unit]
Description=Octopus Deploy: Octopus Server
After=network.target

[Service]
Type=simple
User={user}
ExecStart={executable} run --instance={instance} --noninteractive
Restart=always

[Install]
WantedBy=multi-user.target
"""


class Services:
    """The units of one or all instances. Whatever the order of the flags, the order of the actions is fixed."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._path = call.world.environ.get("PATH")

    def run(self, everything: bool) -> None:
        self._check_prerequisites()
        settings, cwd = self._call.world.settings, self._call.world.cwd
        instances = [resolve(settings, cwd, name, None) for name in registered(settings)] if everything else [self._call.instance]
        actions: dict[str, Callable[[Instance], None]] = {
            "restart": self._restart,
            "stop": self._stop,
            "uninstall": self._uninstall,
            "install": self._install,
            "reconfigure": self._reconfigure,
            "start": self._start,
        }
        for instance in instances:
            for flag, act in actions.items():
                if flag in self._call.options:
                    act(instance)

    def _check_prerequisites(self) -> None:
        if shutil.which("systemctl", path=self._path) is None:
            raise Controlled("Could not detect systemd. systemd is required to run Octopus Server as a service")
        if self._call.quirk("service_needs_sudo") and self._execute("sudo", "-vn").returncode != 0:
            raise Controlled("Requires elevated privileges. Please run command as sudo.")

    def _restart(self, instance: Instance) -> None:
        self._call.say(f"Restarting service: {instance.unit}")
        if self._systemctl("restart", instance, self._call.say):
            self._call.say("Service has been restarted")
        else:
            self._failed("The service could not be restarted")

    def _stop(self, instance: Instance) -> None:
        self._call.say(f"Stopping service: {instance.unit}")
        if self._systemctl("stop", instance, self._call.say):
            self._call.say("Service stopped")
        else:
            self._failed("The service could not be stopped")

    def _start(self, instance: Instance) -> None:
        if self._systemctl("start", instance, self._call.complain):
            self._call.say(f"Service started: {instance.unit}")
        else:
            self._failed(f"Could not start the systemd service: {instance.unit}")

    def _uninstall(self, instance: Instance) -> None:
        self._call.say(f"Removing systemd service: {instance.unit}")
        self._remove(instance)
        self._call.say("Service uninstalled")

    def _reconfigure(self, instance: Instance) -> None:
        self._call.say(f"Attempting to remove old service: {instance.unit}")
        self._remove(instance)
        self._install(instance)

    def _remove(self, instance: Instance) -> None:
        self._systemctl("stop", instance, self._call.say)
        self._systemctl("disable", instance, self._call.say)
        (self._call.world.settings.unit_dir / f"{instance.unit}.service").unlink(missing_ok=True)

    def _install(self, instance: Instance) -> None:
        unit = self._call.world.settings.unit_dir / f"{instance.unit}.service"
        executable = shutil.which("Octopus.Server", path=self._path) or "/Octopus/Octopus.Server"
        user = self._call.options.get("username") or self._call.world.environ.get("OCTOPUS_SERVICE_USERNAME") or "root"
        unit.write_text(_UNIT.format(user=user, executable=executable, instance=instance.name), encoding="utf-8")
        self._systemctl("enable", instance, self._call.complain)
        self._call.say(f"Service installed: {instance.unit}")

    def _failed(self, line: str) -> None:
        self._call.complain(line)
        if not self._call.quirk("service_failure_exits_0"):
            raise Controlled(line)

    def _systemctl(self, verb: str, instance: Instance, tell: Callable[[str], None]) -> bool:
        """Whether it worked; a failure that looks like missing permission is tried again with sudo."""
        spelled = f"systemctl {verb} {instance.unit}"
        done = self._execute("systemctl", verb, instance.unit)
        if done.returncode != 0 and self._call.quirk("service_retries_with_sudo") and any(text in done.stderr for text in _RETRIED):
            self._call.say(f"Permission denied. Retrying '{spelled}' with sudo...")
            spelled = "sudo " + spelled
            done = self._execute("sudo", "systemctl", verb, instance.unit)
        if done.returncode != 0:
            tell(f"The command '{spelled}' failed with exit code: {done.returncode}")
            for line in done.stderr.splitlines():
                tell(line)
        return done.returncode == 0

    def _execute(self, *argv: str) -> subprocess.CompletedProcess[str]:
        # What this process has already said must stand before what systemctl says.
        self._call.world.stdout.flush()
        found = shutil.which(argv[0], path=self._path)
        if found is None:
            return subprocess.CompletedProcess(argv, 127, "", f"{argv[0]}: not found")
        return subprocess.run([found, *argv[1:]], env=dict(self._call.world.environ), capture_output=True, text=True, check=False)
