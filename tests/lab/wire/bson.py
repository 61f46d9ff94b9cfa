# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As much BSON as Halibut's messages use (contracts/halibut-wire.md 5.1); anything else is refused, not guessed."""

from __future__ import annotations

import struct
import uuid
from typing import TypeAlias

Value: TypeAlias = "bool | int | float | str | bytes | uuid.UUID | list[Value] | dict[str, Value] | None"
Document: TypeAlias = dict[str, Value]

_GUID = 4
_INT32 = range(-(2**31), 2**31)


class BsonError(ValueError):
    """The bytes are not BSON, or use a type that no Halibut message has."""


def encode(document: Document) -> bytes:
    """A document as bytes; a UUID in .NET's byte order, as Newtonsoft writes a Guid."""
    body = b"".join(_element(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def decode(data: bytes) -> Document:
    """The document that fills `data` exactly."""
    document, end = _document(data, 0)
    if end != len(data):
        raise BsonError(f"{len(data) - end} bytes follow the document")
    return document


def _element(name: str, value: Value) -> bytes:
    kind, body = _value(value)
    return bytes([kind]) + name.encode() + b"\0" + body


def _value(value: Value) -> tuple[int, bytes]:
    if value is None:
        return 0x0A, b""
    if isinstance(value, bool):
        return 0x08, bytes([value])
    if isinstance(value, int):
        return (0x10, struct.pack("<i", value)) if value in _INT32 else (0x12, struct.pack("<q", value))
    if isinstance(value, float):
        return 0x01, struct.pack("<d", value)
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return 0x02, struct.pack("<i", len(text)) + text
    if isinstance(value, uuid.UUID):
        return 0x05, struct.pack("<iB", 16, _GUID) + value.bytes_le
    if isinstance(value, bytes):
        return 0x05, struct.pack("<iB", len(value), 0) + value
    if isinstance(value, list):
        return 0x04, encode({str(index): each for index, each in enumerate(value)})
    return 0x03, encode(value)


def _document(data: bytes, start: int) -> tuple[Document, int]:
    (length,) = _unpack("<i", data, start)
    end = start + length
    if length < 5 or end > len(data) or data[end - 1] != 0:
        raise BsonError(f"a document at byte {start} says it has {length} bytes")
    document: Document = {}
    at = start + 4
    while at < end - 1:
        kind = data[at]
        stop = data.find(b"\0", at + 1, end)
        if stop < 0:
            raise BsonError(f"the name at byte {at + 1} has no end")
        name = data[at + 1 : stop].decode()
        document[name], at = _read(kind, data, stop + 1)
    return document, end


def _read(kind: int, data: bytes, at: int) -> tuple[Value, int]:
    match kind:
        case 0x01:
            return _unpack("<d", data, at)[0], at + 8
        case 0x02:
            (length,) = _unpack("<i", data, at)
            return data[at + 4 : at + 3 + length].decode(), at + 4 + length
        case 0x03:
            return _document(data, at)
        case 0x04:
            document, end = _document(data, at)
            return list(document.values()), end
        case 0x05:
            length, subtype = _unpack("<iB", data, at)
            content = data[at + 5 : at + 5 + length]
            return uuid.UUID(bytes_le=content) if subtype == _GUID and length == 16 else content, at + 5 + length
        case 0x08:
            return data[at] != 0, at + 1
        case 0x0A:
            return None, at
        case 0x10:
            return _unpack("<i", data, at)[0], at + 4
        case 0x09 | 0x12:
            return _unpack("<q", data, at)[0], at + 8
    raise BsonError(f"type {kind:#04x} at byte {at}: no Halibut message has it")


def _unpack(layout: str, data: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, data, at)
    except struct.error as error:
        raise BsonError(f"the data ends at byte {at}") from error
