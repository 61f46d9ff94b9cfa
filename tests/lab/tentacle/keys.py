# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where private keys lie: encrypted with the machine's key in the configuration, plain in the caller's certificate store.

tentacle-cli.md 3.5 and 3.7. A stored certificate is base64 of a PFX without password, encrypted; that plaintext never leaves this module
but as a Certificate.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path

from lab.settings import Settings
from lab.tentacle.errors import Failure, cryptographic, of_os_error
from lab.wire.certificates import Keypair, from_pfx, thumbprint_of

_IV = b"743677397A244326"  # a constant of the vendor's source, described there as not sensitive
_MACHINE_ID_LENGTH = 32
_STORE = ".dotnet/corefx/cryptography/x509stores/my"


@dataclass(frozen=True)
class Certificate:
    """A certificate, mostly with its key: base64 imports may lack one."""

    der: bytes
    key_pem: bytes | None = field(repr=False)

    @property
    def thumbprint(self) -> str:
        """SHA-1 of the DER."""
        return thumbprint_of(self.der)

    @property
    def keypair(self) -> Keypair | None:
        """Certificate and key for the wire; None without a key."""
        return Keypair(self.der, self.key_pem, self.thumbprint) if self.key_pem is not None else None

    @classmethod
    def of(cls, keypair: Keypair) -> Certificate:
        """A generated one."""
        return cls(keypair.der, keypair.key_pem)

    @classmethod
    def of_pfx(cls, data: bytes) -> Certificate:
        """The one certificate of a PFX without password."""
        contents = from_pfx(data, None)
        return cls(contents.certificate or contents.others[0], contents.key_pem)

    def to_pfx(self, password: str | None = None) -> bytes:
        """As .NET exports it: leaf and key only; the bytes differ each time (salt)."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import pkcs12

        # Checked when its file was opened; the check costs more than the whole rest of a start.
        key = serialization.load_pem_private_key(self.key_pem, None, unsafe_skip_rsa_key_validation=True) if self.key_pem is not None else None
        encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
        certificate = x509.load_der_x509_certificate(self.der)
        return pkcs12.serialize_key_and_certificates(None, key if isinstance(key, RSAPrivateKey) else None, certificate, None, encryption)


class MachineKey:
    """AES-256-CBC with a key that every local user can read: /etc/machine-id, or a file made on demand."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def encrypt(self, text: str) -> str:
        """Base64 of the ciphertext. The machine id is preferred."""
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        machine_id = self._machine_id()
        key, vector = (machine_id, _IV) if machine_id is not None else self._generated()
        padder = PKCS7(128).padder()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
        padded = padder.update(text.encode()) + padder.finalize()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def decrypt(self, ciphertext: str) -> bytes:
        """The bytes whose base64 was encrypted; tries the machine id, then the generated key, which that creates."""
        failures: list[Failure] = []
        machine_id = self._machine_id()
        if machine_id is not None:
            plain = _decrypt(ciphertext, machine_id, _IV)
            if plain is not None:
                return plain
            failures.append(_bad_padding())
        if self._settings.machine_key_file.exists() or self._settings.quirk("failed_decrypt_leaves_machine_key"):
            plain = _decrypt(ciphertext, *self._generated())
            if plain is not None:
                return plain
        failures.append(_bad_padding())
        raise Failure("Aggregate Exception", "System.AggregateException", *failures)

    def _machine_id(self) -> bytes | None:
        try:
            lines = self._settings.machine_id_file.read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            return None
        return lines[0].encode() if lines and len(lines[0]) == _MACHINE_ID_LENGTH else None

    def _generated(self) -> tuple[bytes, bytes]:
        """Key and vector of the machinekey file, `base64(key).base64(iv)`, made when it is not there."""
        import secrets

        path = self._settings.machine_key_file
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(".".join(base64.b64encode(secrets.token_bytes(size)).decode() for size in (32, 16)), encoding="ascii")
            key, _ignored, vector = path.read_text(encoding="ascii").partition(".")
        except OSError as error:
            raise of_os_error(error, str(path)) from error
        return base64.b64decode(key), base64.b64decode(vector)


class CertificateStore:
    """The user's own store of certificates with their keys, plain. Nothing is ever removed from it."""

    def __init__(self, settings: Settings, uid: int) -> None:
        self._settings = settings
        self._uid = uid
        self.folder = settings.home / _STORE

    def find(self, thumbprint: str) -> Certificate | None:
        """The copy for a thumbprint, if it is there with its key."""
        path = self._path(thumbprint)
        found = Certificate.of_pfx(path.read_bytes()) if path.is_file() else None
        return found if found is not None and found.key_pem is not None else None

    def add(self, certificate: Certificate) -> None:
        """Keep a copy. Refused when the folder belongs to somebody else."""
        path = self._path(certificate.thumbprint)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_uid != self._uid and self._settings.quirk("foreign_store_owner_blocks"):
                raise cryptographic(f"The owner of '{self.folder}' is not the current user.")
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(certificate.to_pfx())
        except OSError as error:
            raise cryptographic(f"The certificate could not be added to the store: {error.strerror}", of_os_error(error, str(path))) from error

    def _path(self, thumbprint: str) -> Path:
        return self.folder / f"{thumbprint.upper()}.pfx"


def _decrypt(ciphertext: str, key: bytes, vector: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        padded = decryptor.update(base64.b64decode(ciphertext, validate=True)) + decryptor.finalize()
        # One wrong key in 256 yields valid padding by chance; what then is no base64 counts as the same failure.
        return base64.b64decode(unpadder.update(padded) + unpadder.finalize(), validate=True)
    except (ValueError, binascii.Error):
        return None


def _bad_padding() -> Failure:
    return cryptographic("Padding is invalid and cannot be removed.")
