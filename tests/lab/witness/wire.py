# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The witness's own TLS client: conversations that never block, driven by :mod:`lab.witness.loop`.

Identity look and trust probe end as contracts/halibut-wire.md 5.3 says (close_notify or null message, drained), so that they
leave no error line in a Tentacle's log. No session is ever resumed: it would carry another identity (measured-wire.md a).
"""

from __future__ import annotations

import enum
import errno
import os
import selectors
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

_HELLO = b"MX\r\n\r\nMX-CLIENT 1.0\r\n\r\n"  # one write: halibut-wire.md 8.1
_ANSWER = b"MX-SERVER 1.0\r\n\r\n"
_NULL_MESSAGE = bytes.fromhex("e3636060e0f24d2d2e4e4c4f65600000")  # halibut-wire.md 5.2
_CHUNK = 16384

Result = TypeVar("Result")
Wait = tuple[socket.socket, int]  # what to wait for: a selectors mask on a socket
Conversation = Generator[Wait, None, "Sight"]


class Said(enum.Enum):
    """What the far end made of us."""

    ACCEPTED = "accepted"
    CLOSED = "closed"  # TLS is up, then the end without a byte: a refusal, or a process that is stopping (measured-tentacle.md 14.7)
    IDENTITY = "identity"  # only its certificate was asked for
    ABSENT = "absent"


@dataclass(frozen=True)
class Sight:
    """One look at an endpoint."""

    said: Said
    presented: str | None = None  # thumbprint, once TLS is up
    detail: str = ""


class _Ended(Exception):
    """The stream is over; ``reset`` when it was torn down."""

    def __init__(self, reset: bool) -> None:
        super().__init__("reset" if reset else "end of stream")
        self.reset = reset


def anonymous() -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE, lambda *_ignored: True)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    return context


def identity(der: bytes, key_pem: bytes) -> SSL.Context:
    """A context of its own for each identity."""
    context = anonymous()
    context.use_certificate(x509.load_der_x509_certificate(der))
    key = serialization.load_pem_private_key(key_pem, password=None, unsafe_skip_rsa_key_validation=True)
    context.use_privatekey(key)  # type: ignore[arg-type]  # certificates.make_certificate makes RSA and EC keys only
    return context


def look(address: tuple[str, int], context: SSL.Context) -> Conversation:
    """Who answers there? Handshake, close_notify, drained."""
    return _guarded(address, context, _take_leave)


def ask(address: tuple[str, int], context: SSL.Context) -> Conversation:
    """Does it trust this identity? Preamble and identity, the null message when it answers, drained."""
    return _guarded(address, context, _ask)


def _guarded(address: tuple[str, int], context: SSL.Context, talk: Callable[[SSL.Connection, socket.socket, str], Conversation]) -> Conversation:
    plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = plain.connect_ex(address)
        if error == errno.EINPROGRESS:
            yield plain, selectors.EVENT_WRITE
            error = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            return Sight(Said.ABSENT, detail=os.strerror(error))
        secure = SSL.Connection(context, plain)
        secure.set_connect_state()
        yield from _patiently(secure.do_handshake, plain)
        certificate = secure.get_peer_certificate()
        presented = certificate.digest("sha1").decode().replace(":", "") if certificate is not None else ""
        return (yield from talk(secure, plain, presented))
    except _Ended as end:
        return Sight(Said.ABSENT, detail=f"{end} in the handshake")
    except TimeoutError:
        return Sight(Said.ABSENT, detail="no answer in time")
    finally:
        plain.close()


def _take_leave(secure: SSL.Connection, plain: socket.socket, presented: str) -> Conversation:
    yield from _patiently(secure.shutdown, plain)
    yield from _drain(secure, plain)
    return Sight(Said.IDENTITY, presented)


def _ask(secure: SSL.Connection, plain: socket.socket, presented: str) -> Conversation:
    answer = b""
    try:
        yield from _patiently(lambda: secure.sendall(_HELLO), plain)
        while not answer.endswith(b"\r\n\r\n"):
            answer += yield from _patiently(lambda: secure.recv(_CHUNK), plain)
    except _Ended as end:
        # A reset is never a verdict (decisions 14); neither is anything that came before the end.
        clean = not end.reset and not answer
        return Sight(Said.CLOSED if clean else Said.ABSENT, presented, str(end))
    if answer != _ANSWER:
        return Sight(Said.ABSENT, presented, f"answered {answer[:40]!r}")
    try:
        yield from _patiently(lambda: secure.sendall(_NULL_MESSAGE), plain)
    except _Ended as end:
        return Sight(Said.ACCEPTED, presented, str(end))
    yield from _drain(secure, plain)
    return Sight(Said.ACCEPTED, presented)


def _drain(secure: SSL.Connection, plain: socket.socket) -> Generator[Wait, None, None]:
    try:
        while True:
            yield from _patiently(lambda: secure.recv(_CHUNK), plain)
    except (_Ended, TimeoutError):  # what mattered has been said
        return


def _patiently(act: Callable[[], Result], plain: socket.socket) -> Generator[Wait, None, Result]:
    """Repeat ``act`` until TLS has what it needs from the socket; _Ended when the stream is over."""
    while True:
        try:
            return act()
        except SSL.WantReadError:
            yield plain, selectors.EVENT_READ
        except SSL.WantWriteError:
            yield plain, selectors.EVENT_WRITE
        except SSL.ZeroReturnError as error:
            raise _Ended(reset=False) from error
        except SSL.SysCallError as error:
            raise _Ended(reset=error.args[0] != -1) from error
        except SSL.Error as error:
            raise _Ended(reset="unexpected eof" not in str(error)) from error
