# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outgoing side that callers and pollers share: TLS, the pin, the identity (contracts/halibut-wire.md 3)."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from lab.wire import failures
from lab.wire.certificates import Keypair, subject_of
from lab.wire.failures import Cause, Failure
from lab.wire.limits import Limits
from lab.wire.proxy import ProxyDetails, tunnel
from lab.wire.quirks import Log, Quirk
from lab.wire.stream import TlsStream, client_context, thumbprint_of_peer

# A Linux build of .NET writes its own line end here (halibut-wire.md 2.1).
_PREAMBLE = b"MX\n\n"
_TLS_PORT = 443


@dataclass(frozen=True)
class Remote:
    """Where to call, and whom to expect there."""

    host: str
    port: int
    thumbprint: str
    proxy: ProxyDetails | None = None

    @classmethod
    def parse(cls, address: str, thumbprint: str) -> Remote:
        """From the address of a trust entry, `https://server:10943`."""
        parts = urlsplit(address)
        return cls(parts.hostname or "", parts.port or _TLS_PORT, thumbprint.strip())

    @property
    def uri(self) -> str:
        """As .NET's Uri prints it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}/" if self.port == _TLS_PORT else f"https://{host}:{self.port}/"


class UnexpectedCertificate(Failure):
    """The pin does not match; `presented` is what came instead. Whether the connection stays open is the caller's matter.

    Halibut prints this exception without the name of its type (golden/log-samples.txt).
    """

    def __init__(self, remote: Remote, presented: str, subject: str, stream: TlsStream) -> None:
        super().__init__(Cause("", _unexpected(remote, presented, subject)))
        self.presented, self.stream = presented, stream


@dataclass
class Connection:
    """A connection with the preamble sent; `identify` makes it usable."""

    stream: TlsStream
    presented: str

    def identify(self, line: str) -> None:
        """Says who we are, in one write, and wants MX-SERVER."""
        self.stream.send(f"{line}\r\n\r\n".encode())
        answer = self.stream.read_line()
        if answer.split(" ")[0] != "MX-SERVER" or self.stream.read_line():
            text = f"Expected the remote endpoint to identity as a server. Instead, it identified as: {answer}"
            raise Failure(failures.protocol(text))


def connect(remote: Remote, keypair: Keypair, limits: Limits, log: Log, quirk: Quirk) -> Connection:
    """TCP, TLS, the pin, the preamble."""
    log("DEBUG", remote.uri, f"Opening a new connection to {remote.uri}")
    context = client_context(keypair)
    sock, where = _tcp(remote, limits.connect)
    stream = TlsStream(sock, context, limits.connection)
    try:
        log("TRACE", remote.uri, "Performing TLS handshake")
        stream.connect(_server_name(remote.host))
        presented = _check(remote, stream, quirk)
        stream.send(_PREAMBLE)
    except UnexpectedCertificate:
        raise
    except Failure:
        stream.close()
        raise
    secure = f"Secure connection established. Server at {where} identified by thumbprint: {presented}, using protocol {stream.protocol()}"
    log("INFO", remote.uri, secure)
    return Connection(stream, presented)


def _check(remote: Remote, stream: TlsStream, quirk: Quirk) -> str:
    presented, der = thumbprint_of_peer(stream) or "", stream.peer_certificate() or b""
    same = presented == remote.thumbprint if quirk("polling_pin_case_sensitive") else presented == remote.thumbprint.upper()
    if not same:
        raise UnexpectedCertificate(remote, presented, subject_of(der), stream)
    return presented


def _tcp(remote: Remote, timeout: float) -> tuple[socket.socket, str]:
    """The socket, and its peer as .NET prints it: a dual-mode socket names an IPv4 peer as a mapped address."""
    try:
        if remote.proxy is not None:
            sock = tunnel(remote.proxy, remote.host, remote.port, timeout)
        else:
            sock = socket.create_connection((remote.host, remote.port), timeout)
        host, port = sock.getpeername()[:2]
    except OSError as error:
        raise Failure(failures.of_os_error(error)) from error
    return sock, f"[{host}]:{port}" if ":" in host else f"[::ffff:{host}]:{port}"


def _server_name(host: str) -> str | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None


def _unexpected(remote: Remote, presented: str, subject: str) -> str:
    return (
        f"The server at {remote.uri} presented an unexpected security certificate. We expected the server to present a certificate with the "
        f"thumbprint '{remote.thumbprint}'. Instead, it presented a certificate with a thumbprint of '{presented}' and subject '{subject}'. "
        "This usually happens when the client has been configured to expect the server to have the wrong certificate, or when the certificate on "
        "the server has been regenerated and the client has not been updated. It may also happen if someone is performing a man-in-the-middle "
        "attack on the remote machine, or if a proxy server is intercepting requests. Please check the certificate used on the server, and verify "
        "that the client has been configured correctly."
    )
