# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS over a socket through memory buffers, so that every way in which a peer can leave stays visible.

pyOpenSSL and not `ssl`: only it can ask for a client certificate and accept any (contracts/halibut-wire.md 11).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import zlib
from typing import Literal

from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL

from lab.wire import failures
from lab.wire.bson import BsonError, Document
from lab.wire.certificates import Keypair, thumbprint_of
from lab.wire.failures import Failure
from lab.wire.messages import unpack

_CHUNK = 65536
_CIPHERS = b"DEFAULT@SECLEVEL=2"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_HANDSHAKE_RECORD = 0x16
_TLS12 = b"\x03\x03"
# In a first flight the client's legacy version stands behind 5 bytes of record and 4 of handshake header.
_HEADER, _HELLO_VERSION = 5, 11
_ALERT_HANDSHAKE_FAILURE, _ALERT_PROTOCOL_VERSION = 40, 70

Newest = Literal["1.2", "1.3"]


class TlsStream:
    """One TLS connection, used by one thread; all waiting obeys `timeout` (seconds)."""

    def __init__(self, sock: socket.socket, context: SSL.Context | None, timeout: float) -> None:
        # A peer may have gone already; the first read will tell.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._tls = SSL.Connection(context, None) if context is not None else None
        self._plain = bytearray()
        self.timeout = timeout

    def accept(self) -> None:
        """The server's side of the handshake, with .NET's checks on the first bytes (measured-wire.md a, f)."""
        first = self._first_flight()
        if first[0] != _HANDSHAKE_RECORD:
            raise Failure(failures.NOT_TLS)
        if first[9:_HELLO_VERSION] < _TLS12:
            self._alert(_ALERT_HANDSHAKE_FAILURE)
            raise Failure(failures.NO_SHARED_CIPHER)
        if self._tls is None:
            self._alert(_ALERT_PROTOCOL_VERSION)
            raise Failure(failures.WEAK_KEY)
        self._tls.set_accept_state()
        self._tls.bio_write(first)
        self._handshake()

    def connect(self, server_name: str | None) -> None:
        """The client's side; a name goes into SNI, an address does not."""
        if server_name is not None:
            self._live.set_tlsext_host_name(server_name.encode())
        self._live.set_connect_state()
        self._handshake()

    def peer_certificate(self) -> bytes | None:
        """The peer's leaf as DER. In a resumed session: the certificate of the session's first connection."""
        certificate = self._live.get_peer_certificate(as_cryptography=True)
        return certificate.public_bytes(serialization.Encoding.DER) if certificate is not None else None

    def protocol(self) -> str:
        """As .NET names it: Tls12, Tls13."""
        return self._live.get_protocol_version_name().replace("TLSv1.", "Tls1")

    def receive(self) -> bytes:
        """Some bytes, or none at the end of the stream (close_notify or a bare FIN: Halibut does not tell them apart)."""
        if self._plain:
            data, self._plain = bytes(self._plain), bytearray()
            return data
        while True:
            try:
                return self._live.recv(_CHUNK)
            except SSL.WantReadError:
                if not self._fill():
                    return b""
            except SSL.ZeroReturnError:
                return b""
            except SSL.Error as error:
                raise Failure(failures.authentication(f"The decryption operation failed. {error}")) from error

    def unread(self, data: bytes) -> None:
        """Gives back what the reader took too much."""
        self._plain[:0] = data

    def send(self, data: bytes) -> None:
        """All of `data`, as one record where it fits."""
        try:
            self._live.send(data)
        except SSL.Error as error:
            raise Failure(failures.BROKEN_PIPE) from error
        self._flush()

    def read_line(self) -> str:
        """A control line: up to CR LF; a lone LF is part of the text (halibut-wire.md 2.2)."""
        line = bytearray()
        while not line.endswith(b"\r\n"):
            data = self.receive()
            if not data:
                raise Failure(failures.END_OF_STREAM)
            end = (line + data).find(b"\r\n")
            taken = len(data) if end < 0 else end + 2 - len(line)
            line += data[:taken]
            self.unread(data[taken:])
        return line[:-2].decode(errors="replace")

    def read_message(self) -> Document | None:
        """One message; what follows the end of its deflate stream stays unread."""
        inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        envelope = bytearray()
        while not inflate.eof:
            data = self.receive()
            if not data:
                raise Failure(failures.END_OF_STREAM)
            try:
                envelope += inflate.decompress(data)
            except zlib.error as error:
                raise Failure(failures.BAD_DEFLATE) from error
        self.unread(inflate.unused_data)
        if not envelope:
            raise Failure(failures.NULL_ENVELOPE)
        try:
            return unpack(bytes(envelope))
        except (BsonError, UnicodeDecodeError) as error:
            raise Failure(failures.protocol(f"Unable to read the message: {error}")) from error

    def say_goodbye(self) -> None:
        """close_notify, which Halibut never sends (halibut-wire.md 2.3)."""
        with contextlib.suppress(SSL.Error, Failure):
            self._live.shutdown()
            self._flush()

    def drain(self) -> bool:
        """Reads on until the peer ends; False when it did not within the timeout."""
        with contextlib.suppress(Failure):
            while self.receive():
                continue
            return True
        return False

    def finish(self) -> None:
        """FIN first, then whatever already came is taken: closing on unread bytes would send a reset, which was never seen (measured-wire.md a)."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.setblocking(False)
            while self._socket.recv(_CHUNK):
                continue
        self._socket.close()

    def close(self) -> None:
        """Closes as the operating system likes."""
        self._socket.close()

    def reset(self) -> None:
        """RST."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.close()

    def interrupt(self) -> None:
        """From another thread: the reader sees the end of the stream, the peer sees nothing yet."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    @property
    def _live(self) -> SSL.Connection:
        if self._tls is None:
            raise Failure(failures.WEAK_KEY)
        return self._tls

    def _handshake(self) -> None:
        while True:
            try:
                self._live.do_handshake()
            except SSL.WantReadError:
                self._flush()
                if not self._fill():
                    raise Failure(failures.HANDSHAKE_EOF) from None
            except SSL.Error as error:
                self._flush()
                raise Failure(failures.authentication(f"SSL Handshake failed with OpenSSL error - SSL_ERROR_SSL. {error}")) from error
            else:
                return self._flush()

    def _first_flight(self) -> bytes:
        first = b""
        while len(first) < _HEADER or (first[0] == _HANDSHAKE_RECORD and len(first) < _HELLO_VERSION):
            data = self._recv()
            if not data:
                raise Failure(failures.HANDSHAKE_EOF)
            first += data
        return first

    def _fill(self) -> bool:
        data = self._recv()
        if data:
            self._live.bio_write(data)
        return bool(data)

    def _recv(self) -> bytes:
        try:
            self._socket.settimeout(self.timeout)
            return self._socket.recv(_CHUNK)
        except OSError as error:
            raise Failure(failures.of_os_error(error)) from error

    def _flush(self) -> None:
        pending = bytearray()
        with contextlib.suppress(SSL.WantReadError):
            while True:
                pending += self._live.bio_read(_CHUNK)
        try:
            self._socket.settimeout(self.timeout)
            self._socket.sendall(pending)
        except OSError as error:
            raise Failure(failures.of_os_error(error)) from error

    def _alert(self, description: int) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(bytes([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, description]))


def thumbprint_of_peer(stream: TlsStream) -> str | None:
    """The thumbprint of the certificate that the peer presented, if any."""
    der = stream.peer_certificate()
    return thumbprint_of(der) if der is not None else None


def server_context(
    keypair: Keypair, *, newest: Newest = "1.3", ask: bool = True, reject: bool = False, resume: bool = True, weak: bool = False
) -> SSL.Context | None:
    """What the listener speaks; None when its own key is too short for TLS, which it does not notice (measured-wire.md f)."""
    context = _context(SSL.TLS_SERVER_METHOD, newest, b"DEFAULT@SECLEVEL=0" if weak else _CIPHERS)
    try:
        _own(context, keypair)
    except SSL.Error:
        return None
    if ask:
        context.set_verify(SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if reject else 0), lambda *_ignored: not reject)
    if resume:
        context.set_session_id(b"halibut")
    else:
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_options(SSL.OP_NO_TICKET)
    return context


def client_context(keypair: Keypair | None, newest: Newest = "1.3") -> SSL.Context:
    """What a caller or poller speaks: any server certificate passes, the thumbprint is compared afterwards."""
    context = _context(SSL.TLS_CLIENT_METHOD, newest, _CIPHERS)
    if keypair is not None:
        try:
            _own(context, keypair)
        except SSL.Error as error:
            raise Failure(failures.WEAK_KEY) from error
    return context


def _context(method: int, newest: Newest, ciphers: bytes) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(SSL.TLS1_2_VERSION if newest == "1.2" else SSL.TLS1_3_VERSION)
    context.set_cipher_list(ciphers)
    return context


def _own(context: SSL.Context, keypair: Keypair) -> None:
    from cryptography import x509

    context.use_certificate(x509.load_der_x509_certificate(keypair.der))
    key = serialization.load_pem_private_key(keypair.key_pem, password=None, unsafe_skip_rsa_key_validation=True)
    context.use_privatekey(key)  # type: ignore[arg-type]  # certificates.make_certificate makes RSA and EC keys only
