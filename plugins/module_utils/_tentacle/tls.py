# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Which certificate somebody serves, asked so that it leaves no trace in a Tentacle's log (measured-wire.md b)."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Callable

_CHUNK = 16384

Wire = Callable[[str, int, float], bytes]


def served_certificate(address: str, port: int, timeout: float) -> bytes:
    """The DER of the certificate behind ``address``:``port``; OSError while nobody serves there.

    Handshake, close_notify, read to the end, close: each of the three that is left out writes an ERROR there.
    """
    # Whose certificate it is gets compared by thumbprint afterwards; there is no chain and no name to check (halibut-wire.md 1.2).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with socket.create_connection((address, port), timeout) as peer:
        _until_done(tls.do_handshake, peer, incoming, outgoing)
        certificate = tls.getpeercert(binary_form=True)
        with contextlib.suppress(ssl.SSLError):  # the answer to close_notify never comes (halibut-wire.md 2.3)
            tls.unwrap()
        with contextlib.suppress(OSError):  # the certificate is known; how the other side leaves tells nothing
            peer.sendall(outgoing.read())
            while peer.recv(_CHUNK):
                pass
    if certificate is None:
        raise ConnectionError(f"{address}:{port} showed no certificate")
    return certificate


def _until_done(step: Callable[[], None], peer: socket.socket, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
    while True:
        try:
            step()
            peer.sendall(outgoing.read())
            return
        except ssl.SSLWantReadError:
            peer.sendall(outgoing.read())
            data = peer.recv(_CHUNK)
            if not data:
                raise ConnectionError("the connection ended in the handshake") from None
            incoming.write(data)
