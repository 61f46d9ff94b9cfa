# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""update-trust, server-comms, clear-trusted-servers (tentacle-cli.md 2.6, 2.7, 2.10)."""

from __future__ import annotations

from typing import ClassVar

from lab.tentacle import trust
from lab.tentacle.commands.base import Command
from lab.tentacle.errors import Controlled, Failure
from lab.tentacle.trust import Style, TrustEntry

_DEFAULT_SERVER_PORT = "10943"


class UpdateTrustCommand(Command):
    """Replace a thumbprint in every entry that has it, addresses and subscription ids kept."""

    def declare(self) -> None:
        self.value("oldThumbprint=", "The thumbprint of the old Octopus Server to be replaced")
        self.value("newThumbprint=", "The thumbprint of the new Octopus Server")

    def start(self) -> int:
        old, new = self.last("oldThumbprint"), self.last("newThumbprint")
        if not old.strip():
            raise Controlled("Please specify a thumbprint to replace, e.g., --oldThumbprint=VALUE")
        if not new.strip():
            raise Controlled("Please specify a new thumbprint to trust, e.g., --newThumbprint=VALUE")
        configuration = self.context.configuration
        entries = configuration.trusted_servers
        self._announce(entries, old, new)
        configuration.set_trusted_servers(trust.updated(entries, old, new, self.context.settings))
        self.context.vote_restart(changed=configuration.store.changed)
        return 0

    def _announce(self, entries: tuple[TrustEntry, ...], old: str, new: str) -> None:
        say = self.context.log.info
        say(f"Updating Octopus servers thumbprint from {old} to {new}")
        say(f"Finding existing Octopus Server registrations trusting the thumbprint {old} and updating them to trust the thumbprint {new}:")
        for entry in entries:
            described = f"{entry.kind} {entry.uri} {entry.thumbprint}"
            if entry.thumbprint.lower() == old.lower():
                say(f"Updating {described} - changing to trust {new}")
            else:
                say(f"Ignoring {described} - does not match old thumbprint")


class ServerCommsCommand(Command):
    """Change how a trusted Server and this Tentacle meet. Edits the list, asks nobody."""

    resolves_configuration: ClassVar[bool] = True

    def declare(self) -> None:
        self.value("thumbprint=", "The thumbprint of the Octopus Server to configure; may be omitted if only one Server is trusted")
        self.value("style=", "The communication style to use with the Octopus Server - either TentacleActive or TentaclePassive")
        self.value("host=", "When using active communication, the host name of the Octopus Server")
        self.value("port=", "When using active communication, the communications port of the Octopus Server; the default is 10943")
        self.value("web-socket=", "The address of the Octopus Server for active communication over websockets, eg 'wss://example.com/OctopusComms'")

    def start(self) -> int:
        configuration, settings = self.context.configuration, self.context.settings
        entries = configuration.trusted_servers
        thumbprint = trust.one_thumbprint(entries, self.last("thumbprint"))
        if _style(self.last("style")) == Style.TentacleActive:
            result = trust.polling(entries, thumbprint, self._address(), settings)
        else:
            result = trust.added(entries, TrustEntry(thumbprint), settings)
        configuration.set_trusted_servers(result)
        self.context.log.info("Updated server communications configuration")
        self.context.vote_restart(changed=configuration.store.changed)
        return 0

    def _address(self) -> str:
        host, web_socket = self.last("host").strip(), self.last("web-socket").strip()
        if not host and not web_socket:
            raise Controlled("Please provide either the server hostname or websocket address, e.g. --host=OCTOPUS")
        if host and web_socket:
            raise Controlled("The host name and websocket address cannot both be provided")
        return web_socket or f"https://{host}:{self.last('port') or _DEFAULT_SERVER_PORT}"


class ClearTrustedServersCommand(Command):
    """Empty the list but for polling entries to keep, or crash on the first entry without an address."""

    resolves_configuration: ClassVar[bool] = True

    def declare(self) -> None:
        self.value("keep=", "A comma-separated list of Server addresses to keep")

    def start(self) -> int:
        configuration = self.context.configuration
        entries = configuration.trusted_servers
        if any(not entry.address for entry in entries) and self.context.settings.quirk("clear_trusted_crashes_on_listening"):
            raise Failure("Object reference not set to an instance of an object.", "System.NullReferenceException")
        keep = {trust.normalise(address).lower() for address in self.last("keep").split(",") if address.strip()}
        configuration.set_trusted_servers([entry for entry in entries if entry.uri.lower() in keep])
        return 0


def _style(text: str) -> int:
    """Any name or number of the enumeration; all but the active one count as passive."""
    by_name = {style.name.lower(): style.value for style in Style}
    if text.lower() in by_name:
        return by_name[text.lower()]
    if not text.isdigit():
        raise Controlled("Please specify a valid communications style, e.g. --style=TentaclePassive")
    return int(text)
