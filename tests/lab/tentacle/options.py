# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vendor's option parser, a derivative of NDesk.Options, with all its habits (tentacle-cli.md 1.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lab.tentacle.errors import Controlled, Failure

# `.` and `$` as in .NET: a newline inside the value spoils the match, one at the very end is dropped silently.
_PARTS = re.compile(r"^(?P<flag>--|-|/)(?P<name>[^:=]+)(?:(?P<separator>[:=])(?P<value>.*))?$")
_OFF = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True)
class Option:
    """One option: its names, what it does with a value, and its line of help."""

    names: tuple[str, ...]
    takes_value: bool
    action: Callable[[str], None]
    description: str
    sensitive: bool = False
    hidden: bool = False


class OptionSet:
    """Options under names that ignore letter case. One command line is scanned by several sets, each taking what it knows."""

    def __init__(self, quirk: Callable[[str], bool]) -> None:
        self._quirk = quirk
        self._by_name: dict[str, Option] = {}
        self._options: list[Option] = []
        self._waiting: tuple[Option, str] | None = None

    def __iter__(self) -> Iterator[Option]:
        return iter(self._options)

    def add(self, prototype: str, description: str, action: Callable[[str], None], *, sensitive: bool = False, hidden: bool = False) -> None:
        """Add an option in the vendor's notation: `f|from-file=` takes a value, `if-blank` is a switch."""
        names = tuple(prototype.rstrip("=").split("|"))
        option = Option(names, prototype.endswith("="), action, description, sensitive, hidden)
        self._options.append(option)
        self._by_name.update({name.lower(): option for name in names})

    def parse(self, arguments: Sequence[str]) -> list[str]:
        """Run the actions of the known options in command-line order; return what is left over."""
        left = [argument for argument in arguments if not self._take(argument)]
        if self._waiting is not None:
            self._missing(self._waiting[1])
        return left

    def _take(self, argument: str) -> bool:
        if self._waiting is not None:
            option, name = self._waiting
            if argument.startswith("-") and not self._quirk("next_argument_is_value"):
                self._missing(name)
            self._waiting = None
            option.action(argument)
            return True
        parts = _PARTS.match(argument)
        if parts is None:
            return False
        flag, name, value = parts["flag"], parts["name"], parts["value"]
        known = self._by_name.get(name.lower())
        if known is not None:
            self._invoke(known, flag + name, value)
            return True
        return self._suffixed(name) or (flag == "-" and self._bundled(name + (parts["separator"] or "") + (value or "")))

    def _invoke(self, option: Option, spelled: str, value: str | None) -> None:
        if option.takes_value and value is None:
            self._waiting = (option, spelled)
        elif option.takes_value or self._quirk("switch_value_ignored") or (value or "").lower() not in _OFF:
            option.action(value or "")

    def _suffixed(self, name: str) -> bool:
        """`--reset-trust-` and `--reset-trust+` both switch on."""
        option = self._by_name.get(name[:-1].lower()) if name[-1] in "+-" else None
        if option is not None:
            option.action("")
        return option is not None

    def _bundled(self, letters: str) -> bool:
        """`-bV`, `-b=V` and clusters of one-letter switches."""
        for index, letter in enumerate(letters):
            option = self._by_name.get(letter.lower())
            if option is None:
                if index == 0:
                    return False
                raise Failure(f"Cannot bundle unregistered option '-{letter}'.", "Octopus.Tentacle.Internals.Options.OptionException")
            if option.takes_value:
                self._invoke(option, "-" + letter, letters[index + 1 :] or None)
                return True
            option.action("")
        return True

    def _missing(self, name: str) -> None:
        text = f"Missing required value for option '{name}'."
        if self._quirk("missing_value_crashes"):
            raise Failure(text, "Octopus.Tentacle.Internals.Options.OptionException")
        raise Controlled(text)


_DESCRIPTION_COLUMN = 29
_DESCRIPTION_WIDTH = 80 - _DESCRIPTION_COLUMN - 2


def describe(options: Iterator[Option]) -> Iterator[str]:
    """The rows of a command's help."""
    for option in options:
        if option.hidden:
            continue
        first = option.names[0]
        row = ("  -" if len(first) == 1 else "      --") + first
        row += "".join(f", {'-' if len(name) == 1 else '--'}{name}" for name in option.names[1:])
        row += "=VALUE" if option.takes_value else ""
        lines = list(_wrapped(option.description))
        if len(row) < _DESCRIPTION_COLUMN:
            yield row.ljust(_DESCRIPTION_COLUMN) + lines[0]
        else:
            yield row
            yield " " * _DESCRIPTION_COLUMN + lines[0]
        yield from (" " * (_DESCRIPTION_COLUMN + 2) + line for line in lines[1:])


def _wrapped(text: str) -> Iterator[str]:
    """Break after a blank or a hyphen; the blank stays at the end of the line."""
    while len(text) > _DESCRIPTION_WIDTH:
        cut = max(text.rfind(" ", 0, _DESCRIPTION_WIDTH), text.rfind("-", 0, _DESCRIPTION_WIDTH)) + 1 or _DESCRIPTION_WIDTH
        yield text[:cut]
        text = text[cut:]
    yield text
