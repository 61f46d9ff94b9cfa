# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of the stand-in, by name. A command's module is imported when it is asked for: most calls need one only."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lab.tentacle.commands.base import Command


class Listing(NamedTuple):
    """One line of the general help, and where the command lives."""

    description: str
    module: str
    class_name: str
    aliases: tuple[str, ...] = ()


# Those that the recorded program had (golden/README.md). register-*, deregister-*, poll-server and the Windows-only ones were not there.
COMMANDS: dict[str, Listing] = {
    "agent": Listing("Starts the Tentacle Agent in debug mode", "agent", "RunAgentCommand", ("run",)),
    "clear-trusted-servers": Listing("Clears trusted servers in the Tentacle Configuration", "trust", "ClearTrustedServersCommand"),
    "configure": Listing("Sets Tentacle settings such as the port number and thumbprints", "configure", "ConfigureCommand"),
    "create-instance": Listing("Registers a new instance of the Tentacle service", "instances", "CreateInstanceCommand"),
    "delete-instance": Listing("Deletes an instance of the Tentacle service", "instances", "DeleteInstanceCommand"),
    "help": Listing("Prints this help text", "help", "HelpCommand", ("h", "?")),
    "import-certificate": Listing(
        "Replace the certificate that Tentacle uses to authenticate itself", "import_certificate", "ImportCertificateCommand"
    ),
    "list-instances": Listing("Lists all installed Tentacle instances", "instances", "ListInstancesCommand"),
    "livez": Listing("Checks that the Tentacle agent process is alive (suitable for a Kubernetes liveness probe).", "plain", "LivezCommand"),
    "new-certificate": Listing("Creates and installs a new certificate for this Tentacle", "new_certificate", "NewCertificateCommand"),
    "polling-proxy": Listing(
        "Configure the HTTP proxy used by polling Tentacles to reach the Octopus Server", "proxy", "PollingProxyConfigurationCommand"
    ),
    "proxy": Listing("Configure the HTTP proxy used by Octopus", "proxy", "ProxyConfigurationCommand"),
    "server-comms": Listing("Configure how the Tentacle communicates with an Octopus Server", "trust", "ServerCommsCommand"),
    "service": Listing("Start, stop, install and configure the Tentacle service", "service", "ServiceCommand"),
    "set-polling-connection-count": Listing(
        "Sets the number of polling connections this Tentacle opens to each Octopus Server it polls", "configure", "SetPollingConnectionCountCommand"
    ),
    "show-configuration": Listing("Outputs the Tentacle configuration", "show", "ShowConfigurationCommand"),
    "show-thumbprint": Listing("Show the thumbprint of this Tentacle's certificate", "show", "ShowThumbprintCommand"),
    "update-trust": Listing(
        "Replaces the trusted Octopus Server thumbprint of any matching polling or listening registrations with a new thumbprint to trust",
        "trust",
        "UpdateTrustCommand",
    ),
    "version": Listing("Show the Tentacle version information", "plain", "VersionCommand"),
}


def find(word: str) -> type[Command] | None:
    """The command that a word means: `version`, `--VERSION` and `/Version` are the same one."""
    name = canonical(word)
    return load(name) if name is not None else None


def canonical(word: str) -> str | None:
    """The full name of a command."""
    plain = word.lower().lstrip("-/")
    return next((name for name, listing in COMMANDS.items() if plain == name or plain in listing.aliases), None)


def load(name: str) -> type[Command]:
    """The class of a command."""
    listing = COMMANDS[name]
    found: type[Command] = getattr(importlib.import_module(f"lab.tentacle.commands.{listing.module}"), listing.class_name)
    return found
