# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS ports on loopback that behave as told and remember what they met; written for these tests alone, apart from the lab."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._thumbprint import of_der
from cryptography import x509
from OpenSSL import SSL, crypto

QUESTION = b"MX\r\n\r\nMX-CLIENT 1.0\r\n\r\n"
ANSWER = b"MX-SERVER 1.0\r\n\r\n"
NULL_MESSAGE = bytes.fromhex("e3636060e0f24d2d2e4e4c4f65600000")
CLOSE_NOTIFY, END_OF_STREAM, RESET = "close_notify", "end of stream", "reset"


@dataclass
class Meeting:
    """One connection as the port saw it."""

    hello: bytes = b""
    server_name: bytes | None = None
    presented: str | None = None
    heard: list[bytes] = field(default_factory=list)  # what each read gave
    ending: str = ""


class Port:
    """Accepts on ``host`` until it is closed; each connection is handed to ``behave`` in a thread of its own."""

    def __init__(
        self,
        behave: Callable[[Port, socket.socket, Meeting], None],
        identity: Identity | None = None,
        *,
        trusted: Collection[str] = (),
        asks: bool = True,
        newest: int = SSL.TLS1_3_VERSION,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.identity, self.trusted, self.asks, self.newest = identity, set(trusted), asks, newest
        self.meetings: list[Meeting] = []
        self.most_at_once = 0
        self._now = 0
        self._behave = behave
        self._changed = threading.Condition()
        self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.host, self.port = self._socket.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def settled(self, count: int, patience: float = 10.0) -> list[Meeting]:
        """The meetings, once there are so many and all of them are over."""
        with self._changed:
            settled = self._changed.wait_for(lambda: len(self.meetings) >= count and self._now == 0, patience)
            assert settled, f"{len(self.meetings)} of {count} meetings"
            return list(self.meetings)

    def context(self) -> SSL.Context:
        assert self.identity is not None
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(self.newest)
        context.use_certificate(x509.load_der_x509_certificate(self.identity.certificate))
        context.use_privatekey(self.identity.key)
        context.set_session_id(b"port")
        if self.asks:
            context.set_verify(SSL.VERIFY_PEER, lambda *_arguments: True)
        return context

    def _accept(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            meeting = Meeting()
            with self._changed:
                self.meetings.append(meeting)
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
            threading.Thread(target=self._meet, args=(connection, meeting), daemon=True).start()

    def _meet(self, connection: socket.socket, meeting: Meeting) -> None:
        try:
            self._behave(self, connection, meeting)
        except (SSL.Error, OSError):
            meeting.ending = meeting.ending or RESET
        finally:
            with self._changed:  # before the close, which lets the next caller in
                self._now -= 1
                self._changed.notify_all()
            connection.close()


# ---------------------------------------------------------------------------------------------------- behaviours


def tentacle(port: Port, connection: socket.socket, meeting: Meeting) -> None:
    """Decides by thumbprint after the preamble, refuses in silence, leaves without close_notify (halibut-wire 2)."""
    tls = _shake(port, connection, meeting)
    if _hear(tls, meeting) and meeting.presented in port.trusted:
        tls.send(ANSWER)
        _hear_to_the_end(tls, meeting)


def answering(words: bytes) -> Callable[[Port, socket.socket, Meeting], None]:
    """Says ``words`` to whatever it hears."""

    def behave(port: Port, connection: socket.socket, meeting: Meeting) -> None:
        tls = _shake(port, connection, meeting)
        if _hear(tls, meeting):
            tls.send(words)
            _hear_to_the_end(tls, meeting)

    return behave


def polite(port: Port, connection: socket.socket, meeting: Meeting) -> None:
    """Ends with close_notify, as proxies do and Halibut never does."""
    tls = _shake(port, connection, meeting)
    if _hear(tls, meeting):
        tls.shutdown()


def mute(port: Port, connection: socket.socket, meeting: Meeting) -> None:
    """TLS, and then not a word."""
    _hear_to_the_end(_shake(port, connection, meeting), meeting)


def resetting(port: Port, connection: socket.socket, meeting: Meeting) -> None:
    """Resets the connection after the question."""
    tls = _shake(port, connection, meeting)
    if _hear(tls, meeting):
        reset(port, connection, meeting)


def validating(port: Port, connection: socket.socket, meeting: Meeting) -> None:
    """TLS itself rejects the client certificate, as a proxy with a CA does."""
    context = port.context()
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_arguments: False)
    _server(context, connection).do_handshake()
    silent(port, connection, meeting)


def plain(words: bytes) -> Callable[[Port, socket.socket, Meeting], None]:
    """No TLS: says ``words`` and waits for the end."""

    def behave(_port: Port, connection: socket.socket, _meeting: Meeting) -> None:
        connection.sendall(words)
        while connection.recv(4096):
            pass

    return behave


def silent(_port: Port, connection: socket.socket, _meeting: Meeting) -> None:
    """Accepts and says nothing until the other side gives up."""
    while connection.recv(4096):
        pass


def closing(_port: Port, connection: socket.socket, _meeting: Meeting) -> None:
    """Reads the hello and closes."""
    connection.recv(4096)


def reset(_port: Port, connection: socket.socket, _meeting: Meeting) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def proxy(answer: bytes, to: Port | None = None) -> Callable[[Port, socket.socket, Meeting], None]:
    """Hears a request to its blank line and answers it; with ``to``, both sides then hear one another until one of them ends."""

    def behave(_port: Port, connection: socket.socket, meeting: Meeting) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += connection.recv(4096)
        meeting.heard.append(asked)
        if to is None:
            connection.sendall(answer)
            _hear_nothing_more(connection)
            return
        with socket.create_connection((to.host, to.port)) as onward:
            connection.sendall(answer)
            back = threading.Thread(target=_relay, args=(onward, connection), daemon=True)
            back.start()
            _relay(connection, onward)
            back.join()

    return behave


def _hear_nothing_more(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass


def _relay(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def _server(context: SSL.Context, connection: socket.socket) -> SSL.Connection:
    tls = SSL.Connection(context, connection)
    tls.set_accept_state()
    return tls


def _shake(port: Port, connection: socket.socket, meeting: Meeting) -> SSL.Connection:
    meeting.hello = connection.recv(4096, socket.MSG_PEEK)
    tls = _server(port.context(), connection)
    tls.do_handshake()
    meeting.server_name = tls.get_servername()
    peer = tls.get_peer_certificate()
    meeting.presented = of_der(crypto.dump_certificate(crypto.FILETYPE_ASN1, peer)) if peer else None
    return tls


def _hear(tls: SSL.Connection, meeting: Meeting) -> bool:
    try:
        meeting.heard.append(tls.recv(4096))
    except SSL.ZeroReturnError:
        meeting.ending = CLOSE_NOTIFY
    except SSL.SysCallError as error:
        meeting.ending = END_OF_STREAM if error.args[0] == -1 else RESET
    return not meeting.ending


def _hear_to_the_end(tls: SSL.Connection, meeting: Meeting) -> None:
    while _hear(tls, meeting):
        if meeting.heard[-1] == NULL_MESSAGE:  # a Tentacle closes upon it, so that whoever drains sees the end of the stream
            meeting.ending = "null message"
            return


def extensions(hello: bytes) -> dict[int, bytes]:
    """The extensions of a ClientHello record."""
    at = 5 + 4 + 2 + 32
    at += 1 + hello[at]
    at += 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 1 + hello[at]
    at += 2
    found = {}
    while at < len(hello):
        kind, length = struct.unpack(">HH", hello[at : at + 4])
        found[kind] = hello[at + 4 : at + 4 + length]
        at += 4 + length
    return found
