# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What a probe asks of a TLS library. Two can be it: ``tls`` (pyOpenSSL) on the controller, ``standard`` wherever there is nothing but Python."""

from __future__ import annotations

import ssl
from typing import Any, Optional, Protocol, Tuple, Type

from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import Presentable

try:
    from OpenSSL import SSL
except ImportError:
    _OPENSSL: Tuple[Tuple[Type[Exception], ...], ...] = ((), (), ())
else:
    _OPENSSL = ((SSL.WantReadError,), (SSL.ZeroReturnError,), (SSL.Error,))

WANTS_MORE: Tuple[Type[Exception], ...] = (ssl.SSLWantReadError, *_OPENSSL[0])  # bytes have to come first
CLOSED_POLITELY: Tuple[Type[Exception], ...] = (ssl.SSLZeroReturnError, *_OPENSSL[1])  # by a close_notify
FAILED: Tuple[Type[Exception], ...] = (ssl.SSLError, *_OPENSSL[2])


class Stream(Protocol):
    """A client's TLS over buffers: the caller moves the bytes between them and the socket."""

    def do_handshake(self) -> None:
        """Go on with it; WANTS_MORE until it is done."""

    def bio_read(self, size: int, /) -> bytes:
        """Bytes for the socket; WANTS_MORE if there are none."""

    def bio_write(self, data: bytes, /) -> int:
        """Bytes from the socket."""

    def send(self, data: bytes, /) -> int:
        """Text to encrypt."""

    def recv(self, size: int, /) -> bytes:
        """Decrypted text; CLOSED_POLITELY at its end."""

    def shutdown(self) -> Any:
        """Say close_notify, and wait for nothing."""

    def get_protocol_version_name(self) -> str:
        """``TLSv1.3``."""


class Engine(Protocol):
    """A TLS library."""

    def context(self, identity: Optional[Presentable]) -> Any:
        """A fresh context that presents ``identity`` and verifies nothing; never shared by two identities (halibut-wire 1.2)."""

    def connection(self, made: Any, server_name: Optional[bytes]) -> Stream:
        """A client connection of that context."""

    def peer_certificate(self, tls: Any) -> bytes:
        """The DER that the other side presented; empty if it presented none."""

    def reasons(self, error: Exception) -> str:
        """What the library said, for a person."""
