# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages and queues (contracts/halibut-wire.md 4 and 5)."""

from __future__ import annotations

import threading
import uuid
import zlib

import pytest
from lab.waiting import until
from lab.wire import bson, rpc
from lab.wire.bson import Document
from lab.wire.limits import Limits
from lab.wire.messages import NULL_MESSAGE, error_of, pack, request, response, unpack
from lab.wire.queue import QueueError, RequestQueues

EVERY_TYPE: Document = {
    "double": 1.5,
    "text": "Größe",
    "document": {"a": {}},
    "array": [1, "two", [None]],
    "bytes": b"\0\1",
    "guid": uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
    "yes": True,
    "nothing": None,
    "int": -1,
    "long": 2**40,
}


def test_bson_returns_what_went_in() -> None:
    assert bson.decode(bson.encode(EVERY_TYPE)) == EVERY_TYPE


def test_the_null_message_is_the_measured_one() -> None:
    assert bson.encode({"Message": None}) == bytes.fromhex("0e0000000a4d6573736167650000")
    assert unpack(zlib.decompress(NULL_MESSAGE, -zlib.MAX_WBITS)) is None


def test_a_guid_has_the_byte_order_of_dotnet() -> None:
    encoded = bson.encode({"g": uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")})
    assert encoded[7:] == bytes.fromhex("10000000 04 33221100 5544 7766 8899aabbccddeeff 00")


@pytest.mark.parametrize("data", [b"", b"\5\0\0\0", b"\5\0\0\0\1", b"\6\0\0\0\0\0\0", bson.encode({"a": 1})[:-3], b"\x0a\0\0\0\x7fab\0\0\0"])
def test_what_is_not_bson_is_refused(data: bytes) -> None:
    with pytest.raises(bson.BsonError):
        bson.decode(data)


def test_a_request_looks_as_it_was_measured() -> None:
    call = request("ICapabilitiesServiceV2", "GetCapabilities")
    assert str(call["id"]).startswith("ICapabilitiesServiceV2::GetCapabilitiesAsync[1] / ")
    assert (call["endpoint"], call["params"]) == (None, [])
    assert unpack(zlib.decompress(pack(call), -zlib.MAX_WBITS)) == call


def test_unknown_calls_come_back_as_errors() -> None:
    assert error_of(rpc.answer(request("INoSuch", "Call"))) == "Service not found: INoSuch"
    assert error_of(rpc.answer(request("IEchoService", "Nope"))) == "Method IEchoService::NopeAsync not found"
    assert rpc.answer(request("IEchoService", "Echo", "x"))["result"] == "x"


def never() -> bool:
    return False


def test_a_queue_hands_out_one_request_and_returns_its_response() -> None:
    queues, answers = RequestQueues(), []
    call = request("IEchoService", "Echo", "x")
    caller = threading.Thread(target=lambda: answers.append(queues.send("poll://ABC", call)))
    caller.start()
    pending = queues.take("poll://abc/", 5, never)
    assert pending is not None
    assert queues.take("poll://abc/", 0, never) is None
    pending.complete(response(pending.request, "x"))
    caller.join(5)
    assert answers[0]["result"] == "x"


def test_a_request_that_nobody_collects_times_out_in_halibuts_words() -> None:
    queues = RequestQueues(Limits(queue_timeout=0.05))
    with pytest.raises(QueueError, match=r"did not collect the request within the allowed time \(00:00:00\), so the request timed out\."):
        queues.send("poll://abc/", request("IEchoService", "Echo", "x"))
    assert queues.take("poll://abc/", 0, never) is None


def test_a_connection_that_breaks_fails_its_caller_at_once() -> None:
    queues, errors = RequestQueues(), []

    def send() -> None:
        try:
            queues.send("poll://abc/", request("IEchoService", "Echo", "x"))
        except QueueError as error:
            errors.append(str(error))

    caller = threading.Thread(target=send)
    caller.start()
    pending = queues.take("poll://abc/", 5, never)
    assert pending is not None
    pending.fail("Unable to read data from the transport connection: Operation canceled.")
    caller.join(5)
    assert errors == ["Unable to read data from the transport connection: Operation canceled."]


def test_an_abandoned_connection_stops_waiting() -> None:
    queues, ended = RequestQueues(), threading.Event()
    waiting = threading.Thread(target=lambda: queues.take("poll://abc/", 60, ended.is_set))
    waiting.start()
    until(lambda: queues.subscriptions() == {"poll://abc/"})
    ended.set()
    queues.wake()
    waiting.join(5)
    assert not waiting.is_alive()
