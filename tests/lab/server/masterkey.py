# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Master Key: what the database's private keys are encrypted with (octopus-server.md 1.2)."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path

_NONCE = 12


class MasterKeyError(Exception):
    """The Master Key is missing, or is not the one that the database was written with."""


@dataclass(frozen=True)
class MasterKey:
    """AES-128 in GCM: a wrong key is noticed at once instead of giving garbage."""

    key: bytes = field(repr=False)

    @classmethod
    def generate(cls, path: Path) -> MasterKey:
        """A fresh key, written as the vendor's MASTER_KEY variable holds it: base64 of 16 bytes."""
        made = cls(os.urandom(16))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(base64.b64encode(made.key) + b"\n")
        return made

    @classmethod
    def read(cls, path: Path) -> MasterKey:
        try:
            key = base64.b64decode(path.read_bytes(), validate=False)
        except (OSError, binascii.Error) as error:
            raise MasterKeyError(f"The Octopus Master Key could not be read from {path}: {error}") from error
        if len(key) != 16:
            raise MasterKeyError(f"The Octopus Master Key in {path} is {len(key)} bytes long instead of 16.")
        return cls(key)

    def encrypt(self, plain: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.key).encrypt(nonce, plain, None)

    def decrypt(self, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self.key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except InvalidTag as error:
            raise MasterKeyError("The Octopus Master Key is not the one that this database was encrypted with.") from error
