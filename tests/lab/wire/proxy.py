# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HTTP proxies, from both ends: one that opens tunnels as Squid does, and Halibut's way of asking for one.

Squid is what every release of Octopus is tested against (documentation of proxy support); the client is read from
H:Transport/Proxy/HttpProxyClient.cs.
"""

from __future__ import annotations

import base64
import contextlib
import re
import select
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from lab.wire import failures
from lab.wire.failures import Cause, Failure

_END = b"\r\n\r\n"
_LONGEST = 65536
_CHUNK = 65536
_PATIENCE = 15.0  # seconds, of either end
_REQUEST = re.compile(rb"\ACONNECT (?:\[(?P<literal>[^\]]+)\]|(?P<name>[^:\s]+)):(?P<port>\d+) HTTP/1\.[01]\r\n")
_KIND = "Halibut.Transport.Proxy.Exceptions.ProxyException"


@dataclass(frozen=True)
class Login:
    """User and password of a proxy."""

    user: str
    password: str

    def basic(self) -> str:
        return base64.b64encode(f"{self.user}:{self.password}".encode("ascii", "replace")).decode("ascii")


@dataclass(frozen=True)
class ProxyDetails:
    """What a Server keeps of a proxy; without a user nothing is said of who asks."""

    host: str
    port: int
    login: Login | None = None


class HttpProxy:
    """Listens on loopback; ``names`` are the hosts that nobody but this proxy can resolve. Remembers what it was asked."""

    def __init__(self, host: str, port: int = 0, *, names: Mapping[str, str] | None = None, login: Login | None = None) -> None:
        self.requests: list[bytes] = []
        self.host = host
        self._names, self._login = dict(names or {}), login
        self._socket = socket.create_server((host, port))
        self.port: int = self._socket.getsockname()[1]

    def start(self) -> None:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def asked_for(self, name: str) -> int:
        """How many tunnels to that host were asked for."""
        return sum(request.startswith(f"CONNECT {name}:".encode()) for request in list(self.requests))

    def _accept(self) -> None:
        while True:
            try:
                client = self._socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="tunnel", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(_PATIENCE)
            request = _heard(client)
            self.requests.append(request)
            far = self._answer(client, request)
            if far is not None:
                with far:
                    _relay(client, far)

    def _answer(self, client: socket.socket, request: bytes) -> socket.socket | None:
        """The connection onwards; None once a refusal has been sent."""
        match = _REQUEST.match(request)
        if match is None:
            _refuse(client, "400 Bad Request", "ERR_INVALID_REQ 0")
        elif self._login is not None and f"\r\nProxy-Authorization: Basic {self._login.basic()}\r\n".encode() not in request:
            _refuse(
                client,
                "407 Proxy Authentication Required",
                "ERR_CACHE_ACCESS_DENIED 0",
                'Proxy-Authenticate: Basic realm="Squid proxy-caching web server"',
            )
        else:
            name = (match["literal"] or match["name"]).decode("ascii")
            try:
                far = socket.create_connection((self._names.get(name, name), int(match["port"])), _PATIENCE)
            except socket.gaierror:
                _refuse(client, "503 Service Unavailable", "ERR_DNS_FAIL 0")
            except OSError as error:
                _refuse(client, "503 Service Unavailable", f"ERR_CONNECT_FAIL {error.errno or 0}")
            else:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                return far
        return None


def _heard(client: socket.socket) -> bytes:
    request = b""
    while _END not in request and len(request) < _LONGEST:
        data = client.recv(_CHUNK)
        if not data:
            break
        request += data
    return request


def _refuse(client: socket.socket, status: str, error: str, *headers: str) -> None:
    page = f"<html><body><h1>ERROR</h1><p>{error}</p></body></html>"
    lines = ("Server: squid/5.7", "Content-Type: text/html;charset=utf-8", f"Content-Length: {len(page)}", f"X-Squid-Error: {error}", *headers)
    client.sendall("\r\n".join((f"HTTP/1.1 {status}", *lines, "Via: 1.1 proxy (squid/5.7)", "Connection: close", "", page)).encode("ascii"))


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Bytes both ways until either side ends: then Squid ends both."""
    opposite = {one: other, other: one}
    for end in opposite:
        end.settimeout(None)
    while True:
        for end in select.select(list(opposite), [], [])[0]:
            data = end.recv(_CHUNK)
            if not data:
                return
            opposite[end].sendall(data)


def tunnel(proxy: ProxyDetails, host: str, port: int, timeout: float) -> socket.socket:
    """What Halibut does before TLS where the endpoint names a proxy; Failure in its words."""
    try:
        sock = socket.create_connection((proxy.host, proxy.port), timeout)
    except OSError as error:
        raise _failure(f"Connection to proxy host {proxy.host} on port {proxy.port} failed: {failures.of_os_error(error).text}") from error
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    login = f"Proxy-Authorization: Basic {proxy.login.basic()}\r\n" if proxy.login and proxy.login.user.strip() else ""
    try:
        sock.sendall(f"CONNECT {where} HTTP/1.0\r\nHost: {where}\r\n{login}\r\n".encode("ascii", "replace"))
        sock.settimeout(_PATIENCE)
        _demand_opened(sock, _reply(sock))
    except BaseException:
        sock.close()
        raise
    return sock


def _reply(sock: socket.socket) -> str:
    """Byte by byte, so that nothing of the tunnel is taken along."""
    reply = b""
    while not reply.endswith(_END):
        try:
            byte = sock.recv(1)
        except OSError as error:
            raise Failure(failures.of_os_error(error)) from error
        if not byte:
            raise Failure(failures.END_OF_STREAM)
        reply += byte
    return reply.decode("utf-8", "replace")


def _demand_opened(sock: socket.socket, reply: str) -> None:
    line = reply.partition("\r")[0]
    if "HTTP" not in line:
        raise _failure(f"No HTTP response received from proxy destination.  Server response: {line}.")
    code, _space, text = line.partition(" ")[2].partition(" ")
    if not code.isdigit():
        raise _failure(f"An invalid response code was received from proxy destination.  Server response: {line}.")
    if code != "200":
        host, port = sock.getpeername()[:2]
        raise _failure(f"Proxy destination {host} on port {port} responded with a {code} code - {text.strip()}")


def _failure(text: str) -> Failure:
    return Failure(Cause(_KIND, text))
