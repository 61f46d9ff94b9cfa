# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""configure and set-polling-connection-count (tentacle-cli.md 2.5)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from lab.tentacle import trust
from lab.tentacle.commands.base import Command
from lab.tentacle.configuration import APPLICATIONS, HOME, LISTEN_IP, NO_LISTEN, POLLING_CONNECTIONS, PORT, TentacleConfiguration, boolean, integer
from lab.tentacle.errors import Controlled, Failure, invalid_format, of_os_error
from lab.tentacle.trust import TrustEntry

_POLLING_HELP = "The number of polling connections this Tentacle should open to each Octopus Server it polls. Only applies to polling Tentacles."


class ConfigureCommand(Command):
    """Trust first (reset, remove, add), then the other options in command-line order; each single step a write of the whole file."""

    def declare(self) -> None:
        self._steps: list[Callable[[], None]] = []
        self._step("home|homedir=", "Home directory", self._home)
        self._step("app|appdir=", "Default directory to deploy applications to", self._applications)
        self._step("port=", "TCP port on which Tentacle should listen to connections", self._port)
        self._step("noListen=", "Suppress listening on a TCP port (intended for polling Tentacles only)", self._no_listen)
        self._step("listenIpAddress=", "IP address on which Tentacle should listen. Default: any", self._listen_ip)
        self._step("pollingConnectionCount=", _POLLING_HELP, self._polling_connections)
        self.value("trust=", "The thumbprint of the Octopus Server to trust")
        self.value("remove-trust=", "The thumbprint of the Octopus Server to remove from the trusted list")
        self.switch("reset-trust", "Removes all trusted Octopus Servers")

    def start(self) -> int:
        with self.configuration.store.steps():
            voted = self._change_trust()
            for step in self._steps:
                step()
        if voted or self._steps:
            self.context.vote_restart(changed=self.configuration.store.changed)
        return 0

    @property
    def configuration(self) -> TentacleConfiguration:
        """The configuration to change."""
        return self.context.configuration

    def _change_trust(self) -> bool:
        removals, additions = self.given.get("remove-trust", []), self.given.get("trust", [])
        settings, log = self.context.settings, self.context.log
        if "reset-trust" in self.switched:
            log.info("Removing all trusted Octopus Servers...")
            self._store_trust(lambda entries: trust.reset(entries, settings))
        if removals:
            log.info(f"Removing {len(removals)} trusted Octopus Servers")
        for thumbprint in removals:
            self._store_trust(lambda entries, gone=thumbprint: trust.removed(entries, gone, settings))  # type: ignore[misc]
        if additions:
            log.info(f"Adding {len(additions)} trusted Octopus Servers")
        for thumbprint in additions:
            self._store_trust(lambda entries, new=thumbprint: trust.added(entries, TrustEntry(new), settings))  # type: ignore[misc]
        return bool(self.switched or removals or additions)

    def _store_trust(self, change: Callable[[Sequence[TrustEntry]], list[TrustEntry]]) -> None:
        self.configuration.set_trusted_servers(change(self.configuration.trusted_servers))

    def _step(self, prototype: str, description: str, apply: Callable[[str], None]) -> None:
        self.act(prototype, description, lambda value: self._steps.append(lambda: apply(value)))

    def _home(self, value: str) -> None:
        self._directory(value, HOME, "Home directory set to:")

    def _applications(self, value: str) -> None:
        self._directory(value, APPLICATIONS, "Application directory set to:")

    def _directory(self, value: str, key: str, line: str) -> None:
        path = self.context.world.absolute(value)
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise of_os_error(error, path) from error
        self.configuration.store.set(key, path)
        self.context.log.info(f"{line} {path}")

    def _port(self, value: str) -> None:
        port = _parsed(integer, value)
        self.configuration.store.set(PORT, str(port))
        self.context.log.info(f"Services listen port: {port}")

    def _no_listen(self, value: str) -> None:
        off = _parsed(boolean, value)
        self.configuration.store.set(NO_LISTEN, str(off).lower())
        self.context.log.info("Tentacle will not listen on a port" if off else "Tentacle will listen on a TCP port")

    def _listen_ip(self, value: str) -> None:
        if value.lower() == "any":
            self.configuration.store.set(LISTEN_IP, None)
            self.context.log.info("Listen on any IP address")
            return
        try:
            address = str(ip_address(value.strip()))
        except ValueError as error:
            cause = Failure("Invalid argument", "System.Net.Sockets.SocketException", frames=False)
            raise invalid_format("An invalid IP address was specified.", cause) from error
        self.configuration.store.set(LISTEN_IP, address)
        self.context.log.info(f"Listen on IP address: {address}")

    def _polling_connections(self, value: str) -> None:
        set_polling_connections(self, self.configuration, value)


class SetPollingConnectionCountCommand(Command):
    """The same as `configure --pollingConnectionCount`."""

    def declare(self) -> None:
        self.value("pollingConnectionCount=", _POLLING_HELP)

    def start(self) -> int:
        set_polling_connections(self, self.context.configuration, self.last("pollingConnectionCount"))
        self.context.vote_restart(changed=self.context.configuration.store.changed)
        return 0


def set_polling_connections(command: Command, configuration: TentacleConfiguration, value: str) -> None:
    """Store the number of polling connections, a whole number of at least one."""
    try:
        count = integer(value)
    except ValueError:
        count = 0
    if count < 1:
        raise Controlled(f"The polling connection count must be an integer of at least 1, '{value}' was given.")
    configuration.store.set(POLLING_CONNECTIONS, str(count))
    command.context.log.info(f"Polling connection count set to: {count}")


def _parsed(convert: Callable[[str], int], value: str) -> int:
    try:
        return convert(value)
    except ValueError as error:
        raise invalid_format(str(error)) from error
