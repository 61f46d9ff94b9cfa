# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every command has: its options, and a start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from lab.tentacle.context import Context
from lab.tentacle.options import OptionSet


class Command:
    """One command. Options are values of their own here, collected in ``given`` and ``switched`` by their first long name."""

    has_instance: ClassVar[bool] = True  # the instance's log is opened before the command runs
    needs_instance: ClassVar[bool] = True  # an unknown instance is a failure
    takes_config: ClassVar[bool] = True
    suppresses_console: ClassVar[bool] = False
    resolves_configuration: ClassVar[bool] = False
    ignores_unknown: ClassVar[bool] = False

    def __init__(self, context: Context) -> None:
        self.context = context
        self.options = OptionSet(context.settings.quirk)
        self.given: dict[str, list[str]] = {}
        self.switched: set[str] = set()
        self.left: list[str] = []
        if self.has_instance:
            self.value("instance=", "Name of the instance to use")
        if self.has_instance and self.takes_config:
            self.value("config=", "Configuration file to use")
        self.declare()

    def declare(self) -> None:
        """Add the command's own options."""

    def start(self) -> int:
        """Do it; the exit code."""
        raise NotImplementedError

    def value(self, prototype: str, description: str, *, sensitive: bool = False) -> None:
        """An option with a value; of a repeated one all values are kept."""
        name = long_name(prototype)
        self.options.add(prototype, description, lambda value: self.given.setdefault(name, []).append(value), sensitive=sensitive)

    def switch(self, prototype: str, description: str) -> None:
        """An option without a value."""
        name = long_name(prototype)
        self.options.add(prototype, description, lambda _ignored: self.switched.add(name))

    def act(self, prototype: str, description: str, action: Callable[[str], None]) -> None:
        """An option that does something of its own with its value."""
        self.options.add(prototype, description, action)

    def last(self, name: str) -> str:
        """The last value of an option; empty when it was not given."""
        return self.given.get(name, [""])[-1]

    def sensitive_values(self) -> Iterator[str]:
        """What must not be written to the log."""
        for option in self.options:
            if option.sensitive:
                yield self.last(long_name("|".join(option.names)))


def long_name(prototype: str) -> str:
    """The first long name: `f|from-file=` is `from-file`."""
    names = prototype.rstrip("=").split("|")
    return next((name for name in names if len(name) > 2), names[0])
