# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""help, and --help of every command (tentacle-cli.md 1.3)."""

from __future__ import annotations

import json
from typing import ClassVar

from lab.tentacle import commands
from lab.tentacle.commands.base import Command, long_name
from lab.tentacle.options import Option, describe

_COMMON = Option(("help",), False, lambda _ignored: None, "Show detailed help for this command")


class HelpCommand(Command):
    """Help for a command, or the list of commands; in JSON for those who detect features by it."""

    has_instance: ClassVar[bool] = False
    needs_instance: ClassVar[bool] = False
    ignores_unknown: ClassVar[bool] = True

    def declare(self) -> None:
        self.value("format=", "The format of the output (text,json). Defaults to text.")

    def start(self) -> int:
        topic = next((word for word in self.left if not word.startswith("-")), "")
        name = commands.canonical(topic) if topic else None
        as_json = self.last("format").lower() == "json"
        if name is None:
            self.context.write(_general_json() if as_json else general_help())
        else:
            command = commands.load(name)(self.context)
            self.context.write(_command_json(name, command) if as_json else _command_help(name, command))
        return 0


def general_help() -> str:
    """All commands with their descriptions, which are not wrapped."""
    rows = [f"  {name:<15}\n   {commands.COMMANDS[name].description}" for name in sorted(commands.COMMANDS)]
    head = "Usage: Tentacle <command> [<options>]\n\nWhere <command> is one of: \n\n"
    return head + "\n".join(rows) + "\n\nOr use <command> --help for more details.\n"


def _command_help(name: str, command: Command) -> str:
    lines = [f"Usage: Tentacle {name} [<options>]", "", "Where [<options>] is any of: ", "", *describe(iter(command.options)), ""]
    return "\n".join([*lines, "Or one of the common options: ", "", *describe(iter([_COMMON])), ""])


def _general_json() -> str:
    rows = [
        {"Name": name, "Description": listing.description, "Aliases": list(listing.aliases)} for name, listing in sorted(commands.COMMANDS.items())
    ]
    return json.dumps({"Commands": rows}, indent=2)


def _command_json(name: str, command: Command) -> str:
    listing = commands.COMMANDS[name]
    described = {
        "Name": name,
        "Description": listing.description,
        "Aliases": list(listing.aliases),
        "Options": [_option_json(option) for option in command.options if not option.hidden],
        "CommonOptions": [_option_json(_COMMON)],
    }
    return json.dumps(described, indent=2)


def _option_json(option: Option) -> dict[str, str]:
    return {"Name": long_name("|".join(option.names)), "Description": option.description}
