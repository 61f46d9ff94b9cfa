# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""TLS of Python's standard library, for a probe that is made where nothing else is installed.

The library takes a private key from a file only. On Linux that file can lie in memory, without a name (decisions 24).
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from typing import Optional

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import Presentable, chain_text


def takes_keys() -> bool:
    """Whether this system has files in memory."""
    return hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")


def context(identity: Optional[Presentable]) -> ssl.SSLContext:
    """See Engine. A context of the standard library resumes no session unless it is handed one."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if identity is not None:
        _present(made, identity)
    return made


def connection(made: ssl.SSLContext, server_name: Optional[bytes]) -> "Buffered":
    return Buffered(made, server_name.decode("ascii") if server_name else None)


def peer_certificate(tls: "Buffered") -> bytes:
    return tls.peer_certificate()


def reasons(error: Exception) -> str:
    """``TLSV1_ALERT_PROTOCOL_VERSION`` in the words that OpenSSL itself uses."""
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else type(error).__name__


class Buffered:
    """The standard library's TLS over buffers, with the methods of pyOpenSSL that a call uses."""

    __slots__ = ("_incoming", "_outgoing", "_tls")

    def __init__(self, made: ssl.SSLContext, server_name: Optional[str]) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = made.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def do_handshake(self) -> None:
        self._tls.do_handshake()

    def bio_read(self, size: int) -> bytes:
        if not self._outgoing.pending:
            raise ssl.SSLWantReadError
        return self._outgoing.read(size)

    def bio_write(self, data: bytes) -> int:
        return self._incoming.write(data)

    def send(self, data: bytes) -> int:
        return self._tls.write(data)

    def recv(self, size: int) -> bytes:
        data = self._tls.read(size)
        if not data:  # how the library tells of a close_notify
            raise ssl.SSLZeroReturnError
        return data

    def shutdown(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):  # ours is said; theirs would come later
            self._tls.unwrap()

    def get_protocol_version_name(self) -> str:
        return self._tls.version() or ""

    def peer_certificate(self) -> bytes:
        return self._tls.getpeercert(binary_form=True) or b""


def _present(made: ssl.SSLContext, identity: Presentable) -> None:
    if not takes_keys():
        raise OctoError(
            f"{sys.executable} on {sys.platform} cannot take a private key from memory, and no file is to hold one. A probe that asks for trust"
            " needs Linux, or the Python packages 'cryptography>=42' and 'pyOpenSSL>=24.1', there."
        )
    handle = os.memfd_create("octofleet.octopus")
    try:
        with os.fdopen(os.dup(handle), "w", encoding="ascii") as file:
            file.write(chain_text(identity))
        made.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
