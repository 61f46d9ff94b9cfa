# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener does what the real one was measured to do (contracts/measured-wire.md a, b, e, f; halibut-wire.md 2)."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_der_x509_certificate
from lab.wire import page
from lab.wire.certificates import Keypair, make_certificate
from lab.wire.failures import Failure
from lab.wire.limits import Limits
from lab.wire.listener import Listener
from lab.wire.messages import NULL_MESSAGE, error_of, pack, request
from lab.wire.stream import Newest, TlsStream, client_context
from OpenSSL import SSL

DEADLINE = 10.0
PREAMBLE, IDENTITY = b"MX\r\n\r\n", b"MX-CLIENT 1.0\r\n\r\n"
SERVER = b"MX-SERVER 1.0\r\n\r\n"
TENTACLE, TRUSTED, UNTRUSTED, WEAK = make_certificate(), make_certificate("Octopus Portal"), make_certificate("CN"), make_certificate(bits=1024)
UNHANDLED, SOCKET_IO = "Unhandled error when handling request from client", "Socket IO exception"
END_OF_STREAM = "System.IO.EndOfStreamException: Attempted to read past the end of the stream."
BAD_DEFLATE = "System.IO.InvalidDataException: The archive entry was compressed using an unsupported compression method."
CANCELLED = "System.OperationCanceledException: The ReadAsync operation was cancelled."


class Recorder:
    """The log; a test may hold the listener at a line until its client has left, which makes the order of events certain."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []
        self._changed = threading.Condition()
        self._held: str | None = None

    def __call__(self, level: str, source: str, message: str) -> None:
        with self._changed:
            self.lines.append((level, source, message))
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._held is None or not message.startswith(self._held), DEADLINE)

    def hold(self, start: str | None) -> None:
        with self._changed:
            self._held = start
            self._changed.notify_all()

    def texts(self, *levels: str) -> list[str]:
        return [re.sub(r"(?<=127.0.0.1:)[0-9]+", "P", message) for level, _ignored, message in self.lines if level in levels]

    def wait_for(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(text in line[2] for line in self.lines), DEADLINE), (text, self.lines)


class Peer:
    """A client that can misbehave; whatever a test leaves open is closed after it."""

    opened: ClassVar[list[socket.socket]] = []

    def __init__(self, port: int, keypair: Keypair | None, newest: Newest) -> None:
        self.socket = bare(port)
        self.tls = TlsStream(self.socket, client_context(keypair, newest), DEADLINE)
        self.tls.connect(None)

    def say(self, data: bytes) -> Peer:
        self.tls.send(data)
        return self

    def trusted(self) -> Peer:
        self.say(PREAMBLE + IDENTITY)
        assert self.read(len(SERVER)) == SERVER
        return self

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.tls.receive() or b"<end>" * size
        return data

    def read_all(self) -> bytes:
        return b"".join(iter(self.tls.receive, b""))

    def silent(self, seconds: float = 0.2) -> bool:
        self.tls.timeout = seconds
        try:
            return not self.tls.receive() and False
        except Failure:
            return True

    def close_notify(self) -> Peer:
        self.tls.say_goodbye()
        return self

    def drain_and_close(self) -> None:
        self.tls.drain()
        self.tls.close()

    def end_writing(self) -> Peer:
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def tickets_have_come(self) -> Peer:
        select.select([self.socket], [], [], DEADLINE if self.tls.protocol() == "Tls13" else 0)
        return self

    def read_tickets(self) -> Peer:
        if self.tls.protocol() == "Tls13":
            self.silent(0.05)
        return self

    def close(self) -> None:
        self.tls.close()

    def reset(self) -> None:
        self.tls.reset()


def bare(port: int) -> socket.socket:
    """TCP and nothing more."""
    Peer.opened.append(socket.create_connection(("127.0.0.1", port), DEADLINE))
    return Peer.opened[-1]


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    while Peer.opened:
        Peer.opened.pop().close()


@pytest.fixture
def log() -> Recorder:
    return Recorder()


@pytest.fixture
def listener(log: Recorder) -> Iterator[Listener]:
    found = Listener("127.0.0.1", 0, TENTACLE, {TRUSTED.thumbprint}, log, page.TENTACLE)
    found.start()
    yield found
    found.stop()


@contextlib.contextmanager
def listening(log: Recorder, keypair: Keypair = TENTACLE, off: str = "", **options: object) -> Iterator[Listener]:
    found = Listener("127.0.0.1", 0, keypair, {TRUSTED.thumbprint}, log, quirk=lambda name: name != off, **options)  # type: ignore[arg-type]
    found.start()
    try:
        yield found
    finally:
        found.stop()


def rest(listener: Listener, log: Recorder) -> list[str]:
    """The Errors, once the listener is done with every connection."""
    log.hold(None)
    assert listener.wait_until_idle(DEADLINE)
    return log.texts("ERROR", "WARN", "FATAL")


def heads(errors: list[str]) -> list[str]:
    return [error.split("\n")[0].removesuffix(": 127.0.0.1:P") for error in errors]


BOTH: list[Newest] = ["1.2", "1.3"]


# --- the table of b: whoever it is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keypair", [None, UNTRUSTED, TRUSTED], ids=["none", "untrusted", "trusted"])
@pytest.mark.parametrize("newest", BOTH)
@pytest.mark.parametrize(
    ("leave", "errors"),
    [
        pytest.param(lambda peer: peer.close_notify().drain_and_close(), {}, id="close_notify-drain-close"),
        pytest.param(lambda peer: peer.close_notify().close(), {}, id="close_notify-close"),
        pytest.param(lambda peer: peer.tickets_have_come().close_notify().close(), {}, id="close_notify-late-close"),
        pytest.param(lambda peer: peer.tickets_have_come().close(), {"1.3": [SOCKET_IO]}, id="tickets-unread-close"),
        pytest.param(lambda peer: peer.read_tickets().close(), {}, id="tickets-read-close"),
        pytest.param(lambda peer: peer.end_writing().drain_and_close(), {}, id="shut-drain-close"),
        pytest.param(lambda peer: peer.reset(), {"1.2": [SOCKET_IO], "1.3": [SOCKET_IO]}, id="reset"),
        pytest.param(lambda peer: peer.say(b"HELLO\r\n\r\n").drain_and_close(), {}, id="page-read"),
    ],
)
def test_ways_to_leave(
    listener: Listener, log: Recorder, keypair: Keypair | None, newest: Newest, leave: Callable[[Peer], None], errors: dict[str, list[str]]
) -> None:
    leave(Peer(listener.port, keypair, newest))
    assert heads(rest(listener, log)) == errors.get(newest, [])


@pytest.mark.parametrize("newest", BOTH)
def test_leaving_the_page_unread_is_an_error(listener: Listener, log: Recorder, newest: Newest) -> None:
    log.hold("Secure connection established")
    Peer(listener.port, None, newest).say(b"HELLO\r\n\r\n").close()
    assert heads(rest(listener, log)) == [SOCKET_IO]


@pytest.mark.parametrize("newest", BOTH)
def test_a_refused_client_that_resets_hides_the_refusal(listener: Listener, log: Recorder, newest: Newest) -> None:
    log.hold("Secure connection established")
    Peer(listener.port, UNTRUSTED, newest).reset()
    assert heads(rest(listener, log)) == [SOCKET_IO]
    assert not log.texts("DEBUG")


# --- the table of b: trusted ------------------------------------------------------------------------------------------------------


def after_rpc(peer: Peer) -> Peer:
    peer.trusted().say(pack(request("ICapabilitiesServiceV2", "GetCapabilities")))
    answer = peer.tls.read_message()
    assert answer is not None
    assert answer["result"]["SupportedCapabilities"] == ["IScriptService", "IFileTransferService", "IScriptServiceV2"]  # type: ignore[call-overload,index]
    return peer


@pytest.mark.parametrize("newest", BOTH)
@pytest.mark.parametrize(
    ("leave", "error"),
    [
        pytest.param(lambda peer: peer.trusted().say(NULL_MESSAGE).drain_and_close(), None, id="null-drain"),
        pytest.param(lambda peer: peer.trusted().say(NULL_MESSAGE).close(), None, id="null-close"),
        pytest.param(lambda peer: peer.trusted().say(NULL_MESSAGE).close_notify().close(), None, id="null-close_notify"),
        pytest.param(lambda peer: peer.trusted().close(), END_OF_STREAM, id="close"),
        pytest.param(lambda peer: peer.trusted().close_notify().drain_and_close(), END_OF_STREAM, id="close_notify"),
        pytest.param(lambda peer: peer.trusted().say(b"END\r\n").drain_and_close(), BAD_DEFLATE, id="END"),
        pytest.param(lambda peer: peer.trusted().say(b"NEXT\r\n").drain_and_close(), BAD_DEFLATE, id="NEXT"),
        pytest.param(lambda peer: peer.trusted().say(b"\x03\x00").drain_and_close(), "System.Exception: messageEnvelope is null", id="empty"),
        pytest.param(lambda peer: after_rpc(peer).say(b"END\r\n").drain_and_close(), None, id="rpc-END"),
        pytest.param(lambda peer: after_rpc(peer).close(), END_OF_STREAM, id="rpc-close"),
        pytest.param(lambda peer: peer.say(b"M").close_notify().close(), "System.ArgumentOutOfRangeException", id="one-character"),
    ],
)
def test_ways_to_leave_when_trusted(listener: Listener, log: Recorder, newest: Newest, leave: Callable[[Peer], None], error: str | None) -> None:
    leave(Peer(listener.port, TRUSTED, newest))
    errors = rest(listener, log)
    assert heads(errors) == ([UNHANDLED] if error else [])
    assert all(error in each for each in errors if error)


@pytest.mark.parametrize("newest", BOTH)
def test_a_reset_after_the_null_message_is_quiet_and_before_it_is_not(listener: Listener, log: Recorder, newest: Newest) -> None:
    peer = Peer(listener.port, TRUSTED, newest).trusted().say(NULL_MESSAGE)
    log.wait_for("Received Message")
    peer.reset()
    assert rest(listener, log) == []
    Peer(listener.port, TRUSTED, newest).trusted().reset()
    assert heads(rest(listener, log)) == [SOCKET_IO]


@pytest.mark.parametrize("newest", BOTH)
def test_next_is_answered_and_a_second_call_follows(listener: Listener, log: Recorder, newest: Newest) -> None:
    peer = after_rpc(Peer(listener.port, TRUSTED, newest)).say(b"NEXT\r\n")
    assert peer.read(9) == b"PROCEED\r\n"
    peer.say(pack(request("IEchoService", "Nope")))
    assert error_of(peer.tls.read_message() or {}) == "Method IEchoService::NopeAsync not found"
    peer.say(b"NEXT\r\n")
    assert peer.read(9) == b"PROCEED\r\n"
    peer.say(pack(request("INoSuch", "Call")))
    assert error_of(peer.tls.read_message() or {}) == "Service not found: INoSuch"
    peer.say(b"NEXT\r\n").read(9)
    peer.say(NULL_MESSAGE).drain_and_close()
    assert rest(listener, log) == []


@pytest.mark.parametrize(("newest", "second"), [("1.2", UNHANDLED), ("1.3", SOCKET_IO)])
def test_preamble_only_leaves_two_errors(listener: Listener, log: Recorder, newest: Newest, second: str) -> None:
    peer = Peer(listener.port, TRUSTED, newest).say(PREAMBLE)
    log.wait_for("authenticated as")
    peer.tickets_have_come().close()
    assert heads(rest(listener, log)) == ["Remote failed to identify itself.", second]


def test_identity_sent_and_gone(listener: Listener, log: Recorder) -> None:
    log.hold("Secure connection established")
    Peer(listener.port, TRUSTED, "1.3").say(PREAMBLE + IDENTITY).close()
    assert heads(rest(listener, log)) == ["Failed to identify as server to the previously identified remote  of type Client", SOCKET_IO]


def test_identity_sent_and_gone_before_tls13(listener: Listener, log: Recorder) -> None:
    log.hold("Secure connection established")
    Peer(listener.port, TRUSTED, "1.2").say(PREAMBLE + IDENTITY).close()
    assert len(rest(listener, log)) == 1


# --- subscribers (i) ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest", BOTH)
@pytest.mark.parametrize(
    ("leave", "errors"),
    [
        pytest.param(lambda peer: peer.say(b"END\r\n"), [], id="END"),
        pytest.param(lambda peer: peer.close(), [UNHANDLED], id="close"),
        pytest.param(lambda peer: peer.close_notify(), [UNHANDLED], id="close_notify"),
        pytest.param(lambda peer: peer.reset(), [], id="reset"),
    ],
)
def test_ways_for_a_subscriber_to_leave(log: Recorder, newest: Newest, leave: Callable[[Peer], object], errors: list[str]) -> None:
    came = threading.Event()
    with listening(log, limits=Limits(queue_wait=0.1), on_subscriber=lambda *_ignored: came.set()) as listener:
        peer = Peer(listener.port, TRUSTED, newest).say(PREAMBLE + b"MX-SUBSCRIBER 1.0 poll://abc/\r\n\r\n")
        assert peer.read(len(SERVER)) == SERVER
        assert came.wait(DEADLINE)
        leave(peer)
        found = rest(listener, log)
    assert heads(found) == errors
    assert all(END_OF_STREAM in each for each in found)


def test_an_idle_subscriber_gets_null_messages(log: Recorder) -> None:
    with listening(log, limits=Limits(queue_wait=0.02)) as listener:
        peer = Peer(listener.port, TRUSTED, "1.3").say(PREAMBLE + b"MX-SUBSCRIBER 1.0 poll://abc/\r\n\r\n")
        peer.read(len(SERVER))
        for _ignored in range(3):
            assert peer.read(len(NULL_MESSAGE)) == NULL_MESSAGE
            assert peer.say(b"NEXT\r\n").read(9) == b"PROCEED\r\n"
        assert peer.say(b"END\r\n").read_all() == NULL_MESSAGE
        assert rest(listener, log) == []


# --- without TLS ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reset", "head", "cause"),
    [
        (False, UNHANDLED, "System.IO.IOException: Received an unexpected EOF or 0 bytes from the transport stream."),
        (True, SOCKET_IO, "System.Net.Sockets.SocketException (104): Connection reset by peer"),
    ],
)
def test_a_bare_connect_is_an_error(listener: Listener, log: Recorder, reset: bool, head: str, cause: str) -> None:
    with bare(listener.port) as plain:
        log.wait_for("Performing TLS server handshake")
        if reset:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    errors = rest(listener, log)
    assert heads(errors) == [head]
    assert errors[0].split("\n")[1] == cause


def test_plain_http_is_dropped_without_a_byte(listener: Listener, log: Recorder) -> None:
    with bare(listener.port) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        assert plain.recv(1) == b""
    assert rest(listener, log) == []
    assert "Cannot determine the frame size or a corrupted frame was received." in log.texts("DEBUG")[0]


def test_old_tls_is_refused_with_handshake_failure(listener: Listener, log: Recorder) -> None:
    with bare(listener.port) as plain:
        plain.sendall(b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02" + bytes(39))
        assert plain.recv(100) == b"\x15\x03\x03\x00\x02\x02\x28"
        assert plain.recv(1) == b""
    assert rest(listener, log) == []
    assert log.texts("DEBUG")[0].startswith("Client failed authentication: 127.0.0.1:P\n")


# --- the decision -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest", BOTH)
@pytest.mark.parametrize("said", [PREAMBLE, PREAMBLE + IDENTITY], ids=["preamble", "identity"])
@pytest.mark.parametrize("keypair", [None, UNTRUSTED], ids=["none", "untrusted"])
def test_refused_is_the_end_of_the_stream_without_a_byte(
    listener: Listener, log: Recorder, newest: Newest, said: bytes, keypair: Keypair | None
) -> None:
    plain = own_identity(SSL.Connection(client_context(None, newest), bare_blocking(listener.port)), keypair)
    plain.sendall(said)
    with pytest.raises(SSL.SysCallError, match="Unexpected EOF"):
        plain.recv(1)
    plain.close()
    assert rest(listener, log) == []
    began = "A client at 127.0.0.1:P connected, and attempted a message exchange, but "
    assert log.texts("DEBUG") == [
        f"{began}did not present a client certificate"
        if keypair is None
        else f"{began}it presented a client certificate with the thumbprint '{UNTRUSTED.thumbprint}' "
        "which is not in the list of thumbprints that we trust"
    ]


@pytest.mark.parametrize(("newest", "name"), [("1.2", "Tls12"), ("1.3", "Tls13")])
def test_the_lines_of_a_trusted_probe(log: Recorder, newest: Newest, name: str) -> None:
    with listening(log) as listener:
        Peer(listener.port, TRUSTED, newest).trusted().say(NULL_MESSAGE).drain_and_close()
        assert rest(listener, log) == []
        assert {source for _ignored, source, _ignored in log.lines} == {f"listen://127.0.0.1:{listener.port}/"}
    assert [(level, re.sub("127.0.0.1:[0-9]+", "E", message)) for level, _ignored, message in log.lines] == [
        ("INFO", "Listener started"),
        ("INFO", "Accepted TCP client: E"),
        ("TRACE", "Performing TLS server handshake"),
        ("TRACE", f"Secure connection established, client is not yet authenticated, client connected with {name}"),
        ("TRACE", "Begin authorization"),
        ("INFO", f"Client at E authenticated as {TRUSTED.thumbprint}"),
        ("TRACE", "Begin message exchange"),
        ("TRACE", "Received Message"),
        ("INFO", "Listener stopped"),
    ]


@pytest.mark.parametrize("said", [b"MX\r\n\r\n", b"MX\n\n", b"MXyz\r\n\r\n", b"MX-CLIENT 1.0\r\n\r\n"])
@pytest.mark.parametrize("identity", [b"MX-CLIENT 1.0\r\n\r\n", b"MX-CLIENT 2.0\r\n\r\n", b"MX-CLIENT\r\n\r\n"])
def test_what_counts_as_preamble_and_identity(listener: Listener, said: bytes, identity: bytes) -> None:
    peer = Peer(listener.port, TRUSTED, "1.3").say(said).say(identity)
    assert peer.read(len(SERVER)) == SERVER
    peer.say(NULL_MESSAGE).drain_and_close()


@pytest.mark.parametrize("said", [b"mx\r\n\r\n", b"M\r\n\r\n", b"\r\n\r\n", b"HELLO\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_everything_else_gets_the_page(listener: Listener, log: Recorder, said: bytes) -> None:
    answer = Peer(listener.port, TRUSTED, "1.3").say(said).read_all()
    assert len(answer) == 1216
    head, body = answer.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.0 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 842\r\nContent-Security-Policy: ")
    assert body.startswith(b"\n<!doctype html>\n<html>\n<head>")
    assert b"Octopus Tentacle configured successfully" in body
    assert rest(listener, log) == []
    assert "Appears to be a web browser, sending friendly HTML response" in log.texts("TRACE")


@pytest.mark.parametrize("said", [b"MX\r\n", b"MX", b"MX-CLIENT 1.0\r\n", PREAMBLE, PREAMBLE + b"MX-CLIENT 1.0\n\n", PREAMBLE + b"MX-CLIENT 1.0\r\n"])
def test_incomplete_is_silence(listener: Listener, said: bytes) -> None:
    assert Peer(listener.port, TRUSTED, "1.3").say(said).silent()


def test_one_byte_a_record_works(listener: Listener) -> None:
    peer = Peer(listener.port, TRUSTED, "1.3")
    for byte in PREAMBLE + IDENTITY + NULL_MESSAGE:
        peer.say(bytes([byte]))
    assert peer.read_all() == SERVER


def test_preamble_and_close_notify_is_judged_too(listener: Listener, log: Recorder) -> None:
    Peer(listener.port, UNTRUSTED, "1.3").say(b"MX").close_notify().drain_and_close()
    assert rest(listener, log) == []
    assert "not in the list of thumbprints" in log.texts("DEBUG")[0]


@pytest.mark.parametrize("word", [b"MX-NOBODY 1.0", b"mx-client 1.0", b"MX-SUBSCRIBER 1.0"])
def test_a_mistyped_identity_stays_open(listener: Listener, log: Recorder, word: bytes) -> None:
    peer = Peer(listener.port, TRUSTED, "1.3").say(PREAMBLE + word + b"\r\n\r\nmore")
    assert peer.silent()
    peer.close_notify().close()
    assert heads(rest(listener, log)) == ["Response:", word.decode(), "more", "Remote failed to identify itself.", UNHANDLED]


def test_a_second_line_closes_at_once(listener: Listener, log: Recorder) -> None:
    assert Peer(listener.port, TRUSTED, "1.3").say(PREAMBLE + b"MX-CLIENT 1.0\r\nX\r\n").read_all() == b""
    assert heads(rest(listener, log)) == ["Remote failed to identify itself.", UNHANDLED]


def test_a_server_is_answered_and_then_an_error(listener: Listener, log: Recorder) -> None:
    assert Peer(listener.port, TRUSTED, "1.3").say(PREAMBLE + b"MX-SERVER 1.0\r\n\r\n").read_all() == SERVER
    assert len(rest(listener, log)) == 2


@pytest.mark.parametrize("spelling", [str.upper, str.lower, str.title])
def test_letter_case_does_not_matter(log: Recorder, spelling: Callable[[str], str]) -> None:
    listener = Listener("127.0.0.1", 0, TENTACLE, [spelling(TRUSTED.thumbprint)], log)
    listener.start()
    Peer(listener.port, TRUSTED, "1.3").trusted().say(NULL_MESSAGE).drain_and_close()
    listener.stop()


def test_separators_do_matter_and_the_set_is_a_snapshot(log: Recorder) -> None:
    text = TRUSTED.thumbprint
    trusted = [":".join(text[i : i + 2] for i in range(0, 40, 2)), f"{text[:20]} {text[20:]}", f"\u200e{text}"]
    listener = Listener("127.0.0.1", 0, TENTACLE, trusted, log)
    listener.start()
    trusted.append(text)
    assert Peer(listener.port, TRUSTED, "1.3").say(PREAMBLE + IDENTITY).read_all() == b""
    listener.stop()


# --- stalls -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stall", "errors", "cause"),
    [
        pytest.param(None, [SOCKET_IO], "(110): Connection timed out", id="tcp-only"),
        pytest.param(lambda peer: peer, [SOCKET_IO], "(110): Connection timed out", id="tls-only"),
        pytest.param(lambda peer: peer.say(PREAMBLE), ["Remote failed to identify itself.", UNHANDLED], CANCELLED, id="preamble"),
        pytest.param(lambda peer: peer.say(PREAMBLE + b"MX-CL"), ["Remote failed to identify itself.", UNHANDLED], CANCELLED, id="half"),
        pytest.param(lambda peer: peer.trusted(), [SOCKET_IO], "(110): Connection timed out", id="after-server"),
    ],
)
def test_stalls_are_cut_with_an_error(log: Recorder, stall: Callable[[Peer], Peer] | None, errors: list[str], cause: str) -> None:
    with listening(log, limits=Limits(connection=0.1, next_request=0.15)) as listener:
        if stall is None:
            bare(listener.port)
        else:
            stall(Peer(listener.port, TRUSTED, "1.3"))
        log.wait_for("Accepted TCP client")
        found = rest(listener, log)
        assert heads(found) == errors
        assert all(cause in each for each in found)


# --- sessions, trust at run time, odd keys, faults -----------------------------------------------------------------------------------


def resume(listener: Listener, first: Keypair | None, second: Keypair | None, newest: Newest) -> bytes:
    """What the second identity is answered in the session of the first one; one Context, because pyOpenSSL wants it so."""
    context = client_context(None, newest)
    before = own_identity(SSL.Connection(context, bare_blocking(listener.port)), first)
    before.sendall(b"HELLO\r\n\r\n")
    assert before.recv(4) == b"HTTP"
    session = before.get_session()
    after = SSL.Connection(context, bare_blocking(listener.port))
    assert session is not None
    after.set_session(session)
    own_identity(after, second).sendall(PREAMBLE + IDENTITY)
    try:
        return after.recv(100)
    except SSL.SysCallError:
        return b""


def bare_blocking(port: int) -> socket.socket:
    """pyOpenSSL over a socket wants it without a timeout."""
    plain = bare(port)
    plain.setblocking(True)
    return plain


def own_identity(connection: SSL.Connection, keypair: Keypair | None) -> SSL.Connection:
    """The connection, connected, with a certificate of its own (the Context has none)."""
    if keypair is not None:
        connection.use_certificate(load_der_x509_certificate(keypair.der))
        connection.use_privatekey(load_pem_private_key(keypair.key_pem, None))  # type: ignore[arg-type]
    connection.set_connect_state()
    connection.do_handshake()
    return connection


@pytest.mark.parametrize("newest", BOTH)
def test_a_resumed_session_keeps_the_first_identity(log: Recorder, newest: Newest) -> None:
    with listening(log) as listener:
        assert resume(listener, TRUSTED, None, newest) == SERVER
        assert resume(listener, TRUSTED, UNTRUSTED, newest) == SERVER
        assert resume(listener, UNTRUSTED, TRUSTED, newest) == b""
    with listening(log, off="resumption_keeps_identity") as listener:
        assert resume(listener, TRUSTED, None, newest) == b""
        assert resume(listener, UNTRUSTED, TRUSTED, newest) == SERVER


def test_removing_trust_resets_live_connections_of_that_spelling(listener: Listener, log: Recorder) -> None:
    peer = Peer(listener.port, TRUSTED, "1.3").trusted()
    listener.drop({TRUSTED.thumbprint.lower()})
    after = peer.say(pack(request("IEchoService", "Echo", "still here"))).tls.read_message()
    assert after is not None
    assert after["result"] == "still here"
    listener.drop({TRUSTED.thumbprint})
    with pytest.raises(Failure, match="Connection reset by peer"):
        peer.tls.receive()
    errors = rest(listener, log)
    leak = "This may result in a memory leak. Object reference not set to an instance of an object."
    assert heads(errors) == [SOCKET_IO, f"Failed to close TcpClient for 127.0.0.1:P. {leak}"]
    assert "Operation canceled" in errors[0]


@pytest.mark.parametrize("newest", BOTH)
def test_a_listener_with_a_short_key_fails_every_handshake(log: Recorder, newest: Newest) -> None:
    with listening(log, WEAK) as listener:
        for _ignored in range(2):
            with pytest.raises(Failure, match="alert protocol version"):
                Peer(listener.port, TRUSTED, newest)
        assert rest(listener, log) == []
        assert [text.split("\n")[0] for text in log.texts("DEBUG")] == ["Client failed authentication: 127.0.0.1:P"] * 2
    with listening(log, WEAK, off="weak_key_fails_handshakes") as listener:
        Peer(listener.port, TRUSTED, newest).trusted().say(NULL_MESSAGE).drain_and_close()


@pytest.mark.parametrize(
    "keypair",
    [make_certificate("old", sha1=True), make_certificate("ec", algorithm="ec"), make_certificate("past", days=-1)],
    ids=["sha1", "ec", "expired"],
)
def test_odd_certificates_work_on_both_sides(log: Recorder, keypair: Keypair) -> None:
    found = Listener("127.0.0.1", 0, keypair, {keypair.thumbprint}, log)
    found.start()
    for newest in BOTH:
        Peer(found.port, keypair, newest).trusted().say(NULL_MESSAGE).drain_and_close()
    found.stop()


def test_faults(log: Recorder) -> None:
    active: set[str] = {"accepts_anybody"}
    with listening(log, faults=lambda: active) as listener:
        Peer(listener.port, UNTRUSTED, "1.3").trusted().say(NULL_MESSAGE).drain_and_close()
        active.clear()
        assert Peer(listener.port, UNTRUSTED, "1.3").say(PREAMBLE + IDENTITY).read_all() == b""
        active.add("asks_no_certificate")
        assert Peer(listener.port, TRUSTED, "1.3").say(PREAMBLE + IDENTITY).read_all() == b""
        active.add("hangs_after_preamble")
        assert Peer(listener.port, TRUSTED, "1.3").say(PREAMBLE + IDENTITY).silent()
        active.clear()
        active.add("refuses_by_reset")
        with pytest.raises(Failure, match="reset"):
            Peer(listener.port, UNTRUSTED, "1.3").say(PREAMBLE).read_all()
        active.clear()
        active.add("refuses_in_tls")
        with pytest.raises(Failure, match="alert"):
            Peer(listener.port, TRUSTED, "1.2").read_all()


@pytest.mark.parametrize(
    ("off", "said", "answer"),
    [
        ("decision_before_identity", PREAMBLE, None),
        ("mistyped_identity_stays_open", PREAMBLE + b"MX-NOBODY\r\n\r\n", b""),
        ("page_ignores_certificates", b"HELLO\r\n\r\n", b""),
    ],
)
def test_quirks_switched_off(log: Recorder, off: str, said: bytes, answer: bytes | None) -> None:
    with listening(log, off=off) as listener:
        peer = Peer(listener.port, UNTRUSTED if off != "mistyped_identity_stays_open" else TRUSTED, "1.3").say(said)
        assert peer.silent() if answer is None else peer.read_all() == answer


def test_a_crowd_leaves_no_error_and_stop_closes_everything(listener: Listener, log: Recorder) -> None:
    def probe(number: int) -> bytes:
        peer = Peer(listener.port, TRUSTED if number % 2 else UNTRUSTED, "1.3")
        if number % 3 == 0:
            peer.close_notify().drain_and_close()
            return b""
        if number % 2 == 0:
            return peer.say(PREAMBLE + IDENTITY).read_all()
        answer = peer.say(PREAMBLE + IDENTITY).read(len(SERVER))
        peer.say(NULL_MESSAGE).drain_and_close()
        return answer

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(probe, range(300)))
    assert answers == [SERVER if number % 2 and number % 3 else b"" for number in range(300)]
    assert rest(listener, log) == []
    held = [Peer(listener.port, TRUSTED, "1.3").trusted() for _ignored in range(5)]
    listener.stop()
    assert all(peer.read_all() == b"" for peer in held)
    assert log.texts("ERROR") == []


def test_a_taken_port_is_an_os_error(listener: Listener) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        Listener("127.0.0.1", listener.port, TENTACLE, set()).start()


def test_any_address_is_dual_stack(log: Recorder) -> None:
    found = Listener(None, 0, TENTACLE, {TRUSTED.thumbprint}, log)
    found.start()
    Peer(found.port, TRUSTED, "1.3").trusted().say(NULL_MESSAGE).drain_and_close()
    found.stop()
    assert found.endpoint == f"[::]:{found.port}"
    assert any(message.startswith("Client at [::ffff:127.0.0.1]:") for _ignored, _ignored, message in log.lines)
