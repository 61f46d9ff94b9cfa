# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages as Halibut puts them on the wire: raw deflate of one BSON document (contracts/halibut-wire.md 5)."""

from __future__ import annotations

import uuid
import zlib
from typing import cast

from lab.wire import bson
from lab.wire.bson import Document, Value

NULL_MESSAGE = bytes.fromhex("e3636060e0f24d2d2e4e4c4f65600000")

_REQUEST = "Halibut.Transport.Protocol.RequestMessage, Halibut"
_RESPONSE = "Halibut.Transport.Protocol.ResponseMessage, Halibut"


def pack(message: Document) -> bytes:
    """A message ready to be sent."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(bson.encode({"Message": message})) + deflate.flush()


def unpack(envelope: bytes) -> Document | None:
    """The message inside an inflated envelope; None is the null message."""
    message = bson.decode(envelope).get("Message")
    if message is not None and not isinstance(message, dict):
        raise bson.BsonError("Message is neither a document nor null")
    return message


def request(service: str, method: str, *parameters: Value) -> Document:
    """A call, as measured-wire.md k made it work: `endpoint` null, `params` a plain array."""
    return {
        "$type": _REQUEST,
        "id": f"{service}::{method}Async[1] / {uuid.uuid4()}",
        "activityId": uuid.uuid4(),
        "endpoint": None,
        "service": service,
        "method": method,
        "params": list(parameters),
    }


def response(to: Document, result: Value) -> Document:
    """The answer to a call."""
    return {"$type": _RESPONSE, "id": to.get("id"), "error": None, "result": result}


def error_response(to: Document, text: str) -> Document:
    """The answer when the call cannot be made: wrapped, never logged (halibut-wire.md 5.4)."""
    return {"$type": _RESPONSE, "id": to.get("id"), "error": {"message": text, "details": None, "HalibutErrorType": None}, "result": None}


def error_of(answer: Document) -> str | None:
    """The text of the error that a response carries, if any."""
    error = answer.get("error")
    return cast(str, error["message"]) if isinstance(error, dict) else None
