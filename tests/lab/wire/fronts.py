# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may answer where a Tentacle is expected: nobody who speaks, a web server, a slow line, somebody else's TLS."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from OpenSSL import SSL

from lab.wire.certificates import Keypair
from lab.wire.stream import client_context, server_context

_CHUNK = 65536
_PATIENCE = 15.0  # seconds, of every single wait
_LAST_WORD = 2.0
_PAGE = b"<html>\r\n<head><title>400 Bad Request</title></head>\r\n<body>\r\n<h1>400 Bad Request</h1>\r\n</body>\r\n</html>\r\n"
_BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
    len(_PAGE),
    _PAGE,
)

Place = tuple[str, int]
Result = TypeVar("Result")


class Front(ABC):
    """Listens from its making until `stop`; each connection gets a daemon thread."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self._socket = socket.create_server((host, port))
        self.port: int = self._socket.getsockname()[1]
        self._stopping = threading.Event()
        threading.Thread(target=self._accept, name=f"front {host}", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @abstractmethod
    def converse(self, client: socket.socket) -> None:
        """All that is said on one connection, which is closed afterwards."""

    def _accept(self) -> None:
        while True:
            try:
                client = self._socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(_PATIENCE)
            self.converse(client)


class Silent(Front):
    """It accepts, and never says a word; nor does it go."""

    def converse(self, client: socket.socket) -> None:
        client.settimeout(None)
        while client.recv(_CHUNK):
            continue
        self._stopping.wait()


class WebServer(Front):
    """It takes whatever comes for a bad HTTP request, and says so in the clear."""

    def converse(self, client: socket.socket) -> None:
        client.recv(_CHUNK)
        client.sendall(_BAD_REQUEST)
        client.shutdown(socket.SHUT_WR)
        while client.recv(_CHUNK):
            continue


class SlowLine(Front):
    """It passes every byte on, after it has kept the first ones waiting."""

    def __init__(self, host: str, port: int, onwards: Place, delay: float) -> None:
        self._onwards, self._delay = onwards, delay
        super().__init__(host, port)

    def converse(self, client: socket.socket) -> None:
        self._stopping.wait(self._delay)
        with socket.create_connection(self._onwards, _PATIENCE) as far:
            _relay(client, far)


class TlsProxy(Front):
    """It ends TLS with a certificate of its own, and begins it anew towards the Tentacle once somebody speaks.

    ``asks`` whether it wants a client certificate, of which it takes any. ``client``: what it shows the Tentacle in the place of its client's.
    """

    def __init__(self, host: str, port: int, keypair: Keypair, onwards: Place, *, asks: bool = True, client: Keypair | None = None) -> None:
        context = server_context(keypair, ask=asks, resume=False)
        if context is None:
            raise ValueError("A proxy whose key is too short for TLS is of no use to a test.")
        self._context, self._onwards, self._client = context, onwards, client
        super().__init__(host, port)

    def converse(self, client: socket.socket) -> None:
        near = _secure(self._context, client)
        near.set_accept_state()
        with contextlib.suppress(SSL.Error):
            _patiently(near.do_handshake, client)
            said = _patiently(lambda: near.recv(_CHUNK), client)
            with socket.create_connection(self._onwards, _PATIENCE) as plain:
                far = _secure(client_context(self._client), plain)
                far.set_connect_state()
                _patiently(far.do_handshake, plain)
                try:
                    _patiently(lambda: far.sendall(said), plain)
                    _pump((near, client), (far, plain))
                finally:
                    _take_leave(far, plain)
        _take_leave(near, client)


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Bytes both ways, and each end by itself: a reset would be an Error in a Tentacle's log (measured-wire.md b)."""
    opposite = {one: other, other: one}
    while opposite:
        for end in select.select(list(opposite), [], [])[0]:
            data = end.recv(_CHUNK)
            if data:
                opposite[end].sendall(data)
            else:
                opposite.pop(end).shutdown(socket.SHUT_WR)


Side = tuple[SSL.Connection, socket.socket]


def _secure(context: SSL.Context, plain: socket.socket) -> SSL.Connection:
    plain.setblocking(False)
    return SSL.Connection(context, plain)


def _patiently(act: Callable[[], Result], plain: socket.socket, patience: float = _PATIENCE) -> Result:
    while True:
        try:
            return act()
        except SSL.WantReadError:
            ready = select.select([plain], [], [], patience)[0]
        except SSL.WantWriteError:
            ready = select.select([], [plain], [], patience)[1]
        if not ready:
            raise TimeoutError


def _pump(one: Side, other: Side) -> None:
    """What is said both ways, until either side ends (SSL.Error)."""
    while select.select([one[1], other[1]], [], [], _PATIENCE)[0]:
        _pass_on(one, other)
        _pass_on(other, one)


def _pass_on(source: Side, target: Side) -> None:
    """Everything that is there; a session ticket makes the socket readable and is no word."""
    with contextlib.suppress(SSL.WantReadError):
        while True:
            data = source[0].recv(_CHUNK)
            _patiently(lambda data=data: target[0].sendall(data), target[1])  # type: ignore[misc]


def _take_leave(secure: SSL.Connection, plain: socket.socket) -> None:
    """close_notify, and what is still coming is taken: a rude end would be an Error in a Tentacle's log (measured-wire.md b)."""
    with contextlib.suppress(SSL.Error, OSError):
        secure.shutdown()
        plain.shutdown(socket.SHUT_WR)
        while _patiently(lambda: secure.recv(_CHUNK), plain, _LAST_WORD):
            continue
