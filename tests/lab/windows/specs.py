# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module of ansible.windows takes, read in the module's own text: ``$spec`` as Ansible.Basic has it, or the calls of the older way.

Ansible.Basic converts what it can; here a value has to be of its type already, since a product that relies on conversions has not read
the module's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lab.windows.refusal import Refused

Spec = Mapping[str, Any]

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|`\r?\n|\#[^\n]*)|(?P<text>'(?:[^']|'')*'|"[^"]*")|(?P<open>@\{|@\()|(?P<close>[})])|(?P<equals>=)|(?P<comma>,)"""
    r"""|(?P<end>[;\n])|(?P<word>\$?[\w.-]+)"""
)
_BEGINNING = re.compile(r"^\$spec\s*=\s*(?=@\{)", re.MULTILINE)
_OLD = re.compile(r"^\$\w+\s*=\s*Get-AnsibleParam\s+(?:-obj\s+)?\$params\s+(?P<rest>.+)$", re.MULTILINE)
_WORDS = {"$true": True, "$false": False, "$null": None}
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "path": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "$uint32Type": lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 32,
    "list": lambda value: isinstance(value, list),
    "dict": lambda value: isinstance(value, dict),
}


def conform(name: str, text: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The module's parameters, defaults included; Refused when ``args`` are not what its text says that it takes."""
    given = {key: value for key, value in args.items() if not key.startswith("_ansible_")}
    return _conform(name, spec_of(text), given)


def spec_of(text: str) -> Spec:
    """The specification in a module's text."""
    begin = _BEGINNING.search(text)
    if begin is not None:
        value = _Reader(text, begin.end()).value()
        if isinstance(value, dict):
            return value
    options = dict(_old_option(found["rest"]) for found in _OLD.finditer(text))
    if not options:
        raise Refused("No specification of its options was found in the text of the module.")
    return {"options": options, "supports_check_mode": "-supports_check_mode $true" in text}


def supports_check_mode(text: str) -> bool:
    return bool(spec_of(text).get("supports_check_mode"))


def _conform(where: str, spec: Spec, given: Mapping[str, Any]) -> dict[str, Any]:
    options: Mapping[str, Mapping[str, Any]] = spec["options"]
    names = {alias: name for name, option in options.items() for alias in (name, *_several(option.get("aliases")))}
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise Refused(f"{where} has no option {', '.join(unknown)}; it has {', '.join(sorted(options))}.")
    params = {name: option.get("default") for name, option in options.items()}
    for key, value in given.items():
        if value is not None:
            params[names[key]] = _checked(f"{where}: {key}", options[names[key]], value)
    _together(where, spec, params)
    return params


def _checked(where: str, option: Mapping[str, Any], value: Any) -> Any:
    kind = str(option.get("type", "str"))
    if kind not in _TYPES:
        raise Refused(f"{where} is of the type {kind}, which the lab does not know.")
    if not _TYPES[kind](value):
        raise Refused(f"{where} is to be of the type {kind}, and {value!r} is not.")
    if kind == "list":
        element = {**option, "type": option.get("elements", "str")}  # its other rules are for the elements, too
        return [_checked(f"{where}[{number}]", element, each) for number, each in enumerate(value)]
    if kind == "dict" and "options" in option:
        return _conform(where, option, value)
    choices = _several(option.get("choices"))
    if choices and value not in choices:
        raise Refused(f"{where} is to be one of {', '.join(map(str, choices))}, not {value!r}.")
    return value


def _together(where: str, spec: Spec, params: Mapping[str, Any]) -> None:
    present = {name for name, value in params.items() if value is not None}
    missing = [name for name, option in spec["options"].items() if option.get("required") and name not in present]
    if missing:
        raise Refused(f"{where} needs {', '.join(missing)}.")
    for group in _several(spec.get("required_one_of")):
        if not present & set(group):
            raise Refused(f"{where} needs one of {', '.join(group)}.")
    for group in _several(spec.get("mutually_exclusive")):
        if len(present & set(group)) > 1:
            raise Refused(f"{where} takes only one of {', '.join(group)}.")
    for group in _several(spec.get("required_together")):
        if present & set(group) and not present >= set(group):
            raise Refused(f"{where} takes {', '.join(group)} together only.")
    for name, needed in (spec.get("required_by") or {}).items():
        if name in present and not present >= set(_several(needed)):
            raise Refused(f"{where}: {name} needs {', '.join(_several(needed))}.")


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _old_option(rest: str) -> tuple[str, dict[str, Any]]:
    """One call of Get-AnsibleParam: ``-name "src" -type "path" -aliases "path" -failifempty $true``."""
    found = {key.lower(): re.sub("['\"]", "", value).strip() for key, value in re.findall(r"-([a-z]+)\s+([^-]+)", rest, re.IGNORECASE)}
    aliases = found["aliases"].split(",") if "aliases" in found else []
    return found["name"], {"type": found.get("type", "str"), "aliases": aliases, "required": found.get("failifempty") == "$true"}


class _Reader:
    """Literals of PowerShell: tables, lists, strings, numbers."""

    def __init__(self, text: str, begin: int) -> None:
        self._tokens = self._tokenized(text, begin)
        self._kind, self._word = next(self._tokens)

    @staticmethod
    def _tokenized(text: str, at: int) -> Iterator[tuple[str, str]]:
        while found := _TOKEN.match(text, at):
            at = found.end()
            if found.lastgroup != "skip":
                yield str(found.lastgroup), found.group()
        while True:
            yield "stop", ""

    def _take(self) -> str:
        word = self._word
        self._kind, self._word = next(self._tokens)
        return word

    def value(self) -> Any:
        """One value; commas make a list, and one in front makes a list of one."""
        leading = self._kind == "comma"
        if leading:
            self._take()
            self._skip_ends()
        values = [self._one()]
        while self._kind == "comma":
            self._take()
            self._skip_ends()
            values.append(self._one())
        return values if leading or len(values) > 1 else values[0]

    def _one(self) -> Any:
        kind, word = self._kind, self._take()
        if kind == "open":
            return self._table() if word == "@{" else self._list()
        if kind == "text":
            return word[1:-1].replace("''", "'")
        if kind == "word":
            return _WORDS[word.lower()] if word.lower() in _WORDS else int(word) if word.isdigit() else word
        raise Refused(f"The specification of a module has {word!r} where a value was expected.")

    def _table(self) -> dict[str, Any]:
        table: dict[str, Any] = {}
        self._skip_ends()
        while not self._closed():
            key = self._take().strip("'\"")
            if self._kind != "equals":
                raise Refused(f"The specification of a module has no value for {key!r}.")
            self._take()
            table[key] = self.value()
            self._skip_ends()
        self._take()
        return table

    def _list(self) -> list[Any]:
        """Each statement inside adds what it puts out: a list all its elements."""
        items: list[Any] = []
        self._skip_ends()
        while not self._closed():
            value = self.value()
            items += value if isinstance(value, list) else [value]
            self._skip_ends()
        self._take()
        return items

    def _closed(self) -> bool:
        if self._kind == "stop":
            raise Refused("The specification of a module ends in the middle, or holds more than literals.")
        return self._kind == "close"

    def _skip_ends(self) -> None:
        while self._kind == "end":
            self._take()
