# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Identities as text: how a key goes to where a probe is made from, and how the standard library wants it."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any, NoReturn, Protocol

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity, require_cryptography

with contextlib.suppress(ImportError):  # told in words by require_cryptography()
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key


class Presentable(Protocol):
    """What a caller can present: an :class:`Identity`, or a :class:`PemIdentity` where there is no cryptography."""

    @property
    def certificate(self) -> bytes:
        """DER."""

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the certificate."""


class PemIdentity:
    """A certificate with its private key as PEM text. Shows its thumbprint and nothing else, and is never serialised."""

    __slots__ = ("certificate", "key", "thumbprint")

    def __init__(self, certificate: bytes, key: str) -> None:
        self.certificate = certificate
        self.key = key
        self.thumbprint = _thumbprint.of_der(certificate)

    def __repr__(self) -> str:
        return f"PemIdentity({self.thumbprint})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PemIdentity is not serialised")


def key_text(identity: Presentable) -> str:
    """The private key, in the open: for standard input of a process, and for memory."""
    if isinstance(identity, Identity):
        require_cryptography()
        return identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    return identity.key  # type: ignore[attr-defined,no-any-return]  # there is no third kind


def key_object(identity: Presentable) -> Any:
    """The private key as ``cryptography`` has it."""
    if isinstance(identity, Identity):
        return identity.key
    require_cryptography()
    return load_pem_private_key(key_text(identity).encode("ascii"), None)


def chain_text(identity: Presentable) -> str:
    """Certificate and private key in one PEM text."""
    return ssl.DER_cert_to_PEM_cert(identity.certificate) + key_text(identity)
