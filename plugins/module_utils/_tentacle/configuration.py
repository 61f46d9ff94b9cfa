# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""A Tentacle's configuration as bytes: what it says, and where exactly the trust stands in it (contracts/tentacle-cli.md 3.3).

The vendor's tool rewrites the whole file; we change the trust value and prove that nothing else moved.
"""

from __future__ import annotations

import re
from typing import Any, List, NamedTuple, Optional, Tuple
from xml.parsers import expat

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Clock, Host

HOME = "Octopus.Home"
CERTIFICATE = "Tentacle.Certificate"
THUMBPRINT = "Tentacle.CertificateThumbprint"
TRUST = "Tentacle.Communication.TrustedOctopusServers"
PORT = "Tentacle.Services.PortNumber"
LISTEN_IP = "Tentacle.Services.ListenIP"
NO_LISTEN = "Tentacle.Services.NoListen"

DEFAULT_PORT = 10933

_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")  # a ">" inside quotes does not end a tag


class Setting(NamedTuple):
    """One ``<set>`` element. ``inner`` is the span between its tags; an empty element has none."""

    key: str
    value: str
    outer: Tuple[int, int]
    inner: Optional[Tuple[int, int]]
    plain: bool  # nothing but text between the tags


class Configuration(NamedTuple):
    path: str
    data: bytes
    settings: Tuple[Setting, ...]
    root_tag: Tuple[int, int]  # span of the root's start tag
    root_end: int  # where the root's end tag begins; the end of the start tag if the root is an empty element

    def setting(self, key: str) -> Optional[Setting]:
        """Keys ignore case, and the last of several wins, as the vendor reads them."""
        return next((one for one in reversed(self.settings) if one.key.lower() == key.lower()), None)

    def get(self, key: str) -> str:
        """The value, or "" for a key that is absent or empty: the vendor does not tell them apart."""
        found = self.setting(key)
        return found.value if found else ""

    @property
    def listens(self) -> bool:
        return self.get(NO_LISTEN).strip().lower() != "true"

    @property
    def listen_ip(self) -> Optional[str]:
        return self.get(LISTEN_IP).strip() or None

    @property
    def port(self) -> int:
        text = self.get(PORT).strip() or str(DEFAULT_PORT)
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise OctoError(f"{self.path} has {text!r} as {PORT}, which is not a port.", code="CONFIGURATION_UNREADABLE", path=self.path)
        return int(text)


def load(host: Host, path: str, clock: Clock, patience: float = 1.0) -> Configuration:
    """The configuration as it stands; a reader that meets a vendor command in the middle of a write looks again (H-42)."""
    deadline = clock.now() + patience
    while True:
        data = host.read(path)
        if data is None:
            raise OctoError(
                f"The configuration {path} is not there, although the instance index names it. Restore it, or take the instance out of the index.",
                code="CONFIGURATION_MISSING",
                path=path,
            )
        try:
            return parse(path, data)
        except OctoError:
            if clock.now() >= deadline:
                raise
        clock.sleep(0.05)


def parse(path: str, data: bytes) -> Configuration:
    """The configuration in ``data``; OctoError CONFIGURATION_UNREADABLE if it is not a whole one."""
    if not data.strip(b"\xef\xbb\xbf \t\r\n"):
        raise unreadable(path, "is empty, as a killed vendor command leaves it")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise unreadable(path, "is encoded as UTF-16, which the vendor's tool never writes")
    reader = _Reader(data)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise unreadable(path, f"is not whole XML ({error})") from error
    if reader.problem:
        raise unreadable(path, reader.problem)
    return Configuration(path, data, tuple(reader.settings), reader.root_tag, reader.root_end)


def unreadable(path: str, what: str) -> OctoError:
    return OctoError(
        f"The configuration {path} {what}. The running Tentacle goes on until it restarts; restore a copy of the file before that.",
        code="CONFIGURATION_UNREADABLE",
        path=path,
    )


def with_trust(configuration: Configuration, text: str) -> bytes:
    """The bytes with ``text`` as the trust value and every other byte as it was; proved here, each time."""
    start, end, new = _replacement(configuration, text)
    data = configuration.data
    edited = data[:start] + new + data[end:]
    again = parse(configuration.path, edited)
    if again.get(TRUST) != text or _others(again) != _others(configuration):
        raise OctoError(
            f"The edit of {configuration.path} would change more than the trust. Nothing was written. Set the trust with writer=vendor.",
            code="EDIT_NOT_EXACT",
            path=configuration.path,
        )
    return edited


def _replacement(configuration: Configuration, text: str) -> Tuple[int, int, bytes]:
    """Start and end of the bytes that go, and the bytes that come."""
    value = _escape(text)
    setting = configuration.setting(TRUST)
    if setting is None:
        return _insertion(configuration, value)
    if not setting.plain:
        raise OctoError(
            f"The trust in {configuration.path} holds comments or elements beside its value. Remove them, or set the trust with writer=vendor.",
            code="EDIT_NOT_EXACT",
            path=configuration.path,
        )
    if setting.inner is not None:
        return (*setting.inner, value)
    start, end = setting.outer
    opened = configuration.data[start : end - 2].rstrip()  # without "/>"
    return start + len(opened), end, b">" + value + b"</set>"


def _insertion(configuration: Configuration, value: bytes) -> Tuple[int, int, bytes]:
    """A new element where the vendor would sort it (ordinally, upper case before lower), indented like its neighbour."""
    data, settings = configuration.data, configuration.settings
    element = b'<set key="' + TRUST.encode("ascii") + b'">' + value + b"</set>"
    after = next((one for one in settings if one.key > TRUST), None)
    if after is not None:
        at = after.outer[0]
        return at, at, element + _space_before(data, at)
    if settings:
        at = settings[-1].outer[1]
        return at, at, _space_before(data, settings[-1].outer[0]) + element
    start, end = configuration.root_tag
    if data[end - 2 : end] == b"/>":
        opened = data[start : end - 2].rstrip()
        return start + len(opened), end, b">\n  " + element + b"\n</octopus-settings>"
    return configuration.root_end, configuration.root_end, b"\n  " + element + b"\n"


def _space_before(data: bytes, at: int) -> bytes:
    return data[len(data[:at].rstrip(b" \t\r\n")) : at]


def _escape(text: str) -> bytes:
    """As .NET's XmlWriter escapes text; quotes stay (golden/20-trust-27-xmlchars)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode("utf-8")


def _others(configuration: Configuration) -> List[Tuple[str, str]]:
    mine = configuration.setting(TRUST)
    return [(one.key, one.value) for one in configuration.settings if one is not mine]


class _Reader:
    """Collects the settings and their byte spans while expat reads."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.settings: List[Setting] = []
        self.problem = ""
        self.root_tag = (0, 0)
        self.root_end = 0
        self._depth = 0
        self._key: Optional[str] = None
        self._tag = (0, 0)
        self._text: List[str] = []
        self._plain = True
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.CommentHandler = self._beside_text
        self.parser.ProcessingInstructionHandler = self._beside_text
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.XmlDeclHandler = self._declaration

    def _declaration(self, _version: str, encoding: Optional[str], _standalone: int) -> None:
        if (encoding or "utf-8").lower() not in ("utf-8", "us-ascii"):
            self.problem = f"is encoded as {encoding}, which the vendor's tool never writes"

    def _doctype(self, *_ignored: Any) -> None:
        self.problem = "has a document type, which the vendor's tool refuses to read"

    def _start(self, name: str, attributes: Any) -> None:
        tag = self._span_of_tag()
        self._depth += 1
        if self._depth == 1:
            self.root_tag = tag
            if name != "octopus-settings":
                self.problem = f"holds {name!r} where octopus-settings belongs"
        elif self._depth == 2 and name == "set" and "key" in attributes:
            self._key, self._tag, self._text, self._plain = attributes["key"], tag, [], True
        else:
            self._plain = False

    def _end(self, _name: str) -> None:
        at = self.parser.CurrentByteIndex
        if self._depth == 1:
            self.root_end = max(at, self.root_tag[1])
        elif self._depth == 2 and self._key is not None:
            start, end = self._tag
            empty = self.data[end - 2 : end] == b"/>"
            outer = (start, end if empty else self._span_of_tag()[1])
            self.settings.append(Setting(self._key, "".join(self._text), outer, None if empty else (end, at), self._plain))
            self._key = None
        self._depth -= 1

    def _characters(self, text: str) -> None:
        if self._key is not None and self._depth == 2:
            self._text.append(text)

    def _beside_text(self, *_ignored: Any) -> None:
        self._plain = False

    def _span_of_tag(self) -> Tuple[int, int]:
        match = _TAG.match(self.data, self.parser.CurrentByteIndex)
        return match.span() if match else (self.parser.CurrentByteIndex, self.parser.CurrentByteIndex)
