# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration file: XML with one `<set>` per key, read and written as the vendor does (tentacle-cli.md 3.3, 3.4)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from xml.parsers import expat

from lab.settings import Settings
from lab.tentacle.errors import Failure, in_use, invalid_format, of_os_error

INITIAL = "<?xml version='1.0' encoding='UTF-8' ?><octopus-settings></octopus-settings>"
_HEAD = (
    '\ufeff<?xml version="1.0" encoding="utf-8"?>\n'
    '<octopus-settings xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">\n'
)
# .NET's FileStream writes its buffer of this size first, then the rest: kill -9 between the two leaves exactly this much.
_FIRST_WRITE = 4096


class XmlStore:
    """The keys of one configuration file. Read at the first access, written whole by every setter, read again after a write."""

    def __init__(self, path: str, settings: Settings) -> None:
        self.path = path
        self.changed = False  # whether any setter brought another value than there was
        self._settings = settings
        self._values: dict[str, tuple[str, str]] | None = None
        self._held_back = False

    def get(self, key: str, type_name: str = "String") -> str | None:
        """The text of a key, ignoring letter case; None when absent or empty. Failure when the file cannot be read."""
        found = self._load(key, type_name).get(key.lower())
        return found[1] or None if found is not None else None

    def set(self, key: str, value: str | None) -> None:
        """Store a key by writing the whole file."""
        values = self._load(key, "String")
        before = values.get(key.lower())
        values[key.lower()] = (before[0] if before else key, value or "")
        self.changed = self.changed or before != values[key.lower()]
        if not self._held_back:
            self._save(values)

    @contextlib.contextmanager
    def steps(self) -> Iterator[None]:
        """The steps of one command: each a write of its own, unless that quirk is off."""
        self._held_back = not self._settings.quirk("one_write_per_step")
        try:
            yield
            if self._held_back and self._values is not None:
                self._save(self._values)
        finally:
            self._held_back = False

    def _load(self, key: str, type_name: str) -> dict[str, tuple[str, str]]:
        if self._values is None:
            try:
                self._values = _parse(self._read())
            except Failure as cause:
                raise invalid_format(f"Unable to parse configuration key '{key}' as a '{type_name}'. Value was ''.", cause) from cause
        return self._values

    def _read(self) -> bytes:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise of_os_error(error, self.path) from error
        with open(descriptor, "rb") as file:
            self._share(file.fileno())
            return file.read()

    def _share(self, descriptor: int) -> None:
        """Readers and writers take a shared lock: only a foreign exclusive one keeps them out."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if self._settings.quirk("lock_ex_blocks"):
                raise in_use(self.path) from None

    def _save(self, values: dict[str, tuple[str, str]]) -> None:
        data = _render(values)
        self._values = None
        try:
            if not self._settings.quirk("mtime_moves_on_noop") and self._read() == data:
                return
            if self._settings.quirk("truncate_in_place"):
                self._rewrite(data)
            else:
                self._replace(data)
        except OSError as error:
            raise of_os_error(error, self.path) from error

    def _rewrite(self, data: bytes) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._share(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, data[:_FIRST_WRITE], 0)
            if len(data) > _FIRST_WRITE:
                os.pwrite(descriptor, data[_FIRST_WRITE:], _FIRST_WRITE)
        finally:
            os.close(descriptor)

    def _replace(self, data: bytes) -> None:
        """What the vendor does not do: a new file beside the old one, then a rename."""
        beside = f"{self.path}.{os.getpid()}"
        with open(beside, "xb") as file:
            file.write(data)
        os.chmod(beside, os.stat(self.path).st_mode)
        os.replace(beside, self.path)


def _parse(data: bytes) -> dict[str, tuple[str, str]]:
    """Keys in lower case to (key as spelled first, last value); comments and unknown elements are dropped."""
    values: dict[str, tuple[str, str]] = {}
    path: list[str] = []
    key: str | None = None
    text: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal key
        path.append(name)
        if len(path) == 2 and name == "set":
            key = attributes.get("key")
            text.clear()

    def end(_name: str) -> None:
        nonlocal key
        if len(path) == 2 and key is not None:
            spelled = values[key.lower()][0] if key.lower() in values else key
            values[key.lower()] = (spelled, "".join(text))
            key = None
        path.pop()

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda piece: text.append(piece) if len(path) == 2 else None
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise _xml_failure(error, path) from error
    return values


def _xml_failure(error: expat.ExpatError, path: list[str]) -> Failure:
    line, position = error.lineno, error.offset + 1
    if not path and error.code == expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]:
        line, position, text = 0, 0, "Root element is missing."
    elif path and error.code == expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]:
        unclosed = ", ".join(reversed(path))
        text = f"Unexpected end of file has occurred. The following elements are not closed: {unclosed}. Line {line}, position {position}."
    else:
        text = f"{expat.ErrorString(error.code)}. Line {line}, position {position}."
    cause = Failure(text, "System.Xml.XmlException")
    return Failure(f"There is an error in XML document ({line}, {position}).", "System.InvalidOperationException", cause)


def _render(values: dict[str, tuple[str, str]]) -> bytes:
    rows = (
        f'  <set key="{_escaped(key).replace(chr(34), "&quot;")}"' + (f">{_escaped(value)}</set>" if value else " />")
        for key, value in sorted(values.values())
    )
    return (_HEAD + "".join(row + "\n" for row in rows) + "</octopus-settings>").encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
