# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Key pairs, certificates and PFX files as the vendor makes them (contracts/tentacle-cli.md 4).

`cryptography` is imported where it is used: most starts of a stand-in never make a certificate and should not pay for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

_SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
_SHA1_RSA = bytes.fromhex("06092a864886f70d010105")
_LARGEST_SERIAL = 2**63 - 1
_A_CENTURY_IN_DAYS = 36525


@dataclass(frozen=True)
class Keypair:
    """A certificate (DER) with its private key (PEM, PKCS#8, not encrypted) and its thumbprint."""

    der: bytes
    key_pem: bytes = field(repr=False)
    thumbprint: str


@dataclass(frozen=True)
class Pfx:
    """What a PFX file holds: the key and its certificate, then the other certificates in the order of the file."""

    key_pem: bytes | None = field(repr=False)
    certificate: bytes | None
    others: tuple[bytes, ...]

    def keypair(self) -> Keypair | None:
        """Key and certificate together, or None when the file lacks one of the two."""
        if self.key_pem is None or self.certificate is None:
            return None
        return Keypair(self.certificate, self.key_pem, thumbprint_of(self.certificate))


class PfxError(ValueError):
    """The file is no PFX at all."""


class PfxPasswordError(PfxError):
    """The password does not fit: wrong, missing, or given for a file that has none (measured-tentacle.md 3: all three fail)."""


def thumbprint_of(der: bytes) -> str:
    """SHA-1 of the DER, as .NET writes it."""
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()


def make_certificate(
    cn: str = "Octopus Tentacle",
    bits: int = 2048,
    *,
    days: int | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    algorithm: Literal["rsa", "ec"] = "rsa",
    sha1: bool = False,
    issuer: Keypair | None = None,
    key_of: Keypair | None = None,
) -> Keypair:
    """A certificate without extensions, by default self-signed, sha256RSA, from yesterday 00:00 UTC for a hundred years.

    ``key_of``: another certificate for a key that is there already, since a fleet needs many certificates and hardly any keys.
    """
    from cryptography.hazmat.primitives import hashes, serialization

    key = _make_key(algorithm, bits) if key_of is None else _load_key(key_of.key_pem)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    start = not_before or today - timedelta(days=1)
    end = not_after or (start + timedelta(days=days) if days is not None else today + timedelta(days=_A_CENTURY_IN_DAYS))
    signer = key if issuer is None else _load_key(issuer.key_pem)
    certificate = _builder(cn, issuer, key, start, end).sign(signer, hashes.SHA256())
    der = _sign_with_sha1(certificate, signer) if sha1 else certificate.public_bytes(serialization.Encoding.DER)
    return Keypair(der, _key_pem(key), thumbprint_of(der))


def to_pfx(keypair: Keypair, password: str | None, extra_certificates: Iterable[Keypair | bytes] = ()) -> bytes:
    """A PFX with the leaf, its key and, on request, more certificates. None or "" as password: an unprotected file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12

    extra = [x509.load_der_x509_certificate(each.der if isinstance(each, Keypair) else each) for each in extra_certificates]
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    leaf = x509.load_der_x509_certificate(keypair.der)
    return pkcs12.serialize_key_and_certificates(None, _load_key(keypair.key_pem), leaf, extra or None, encryption)


def from_pfx(data: bytes, password: str | None) -> Pfx:
    """The contents of a PFX file; PfxPasswordError when the password does not fit, PfxError when it is no PFX."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.serialization import pkcs12

    try:
        contents = pkcs12.load_pkcs12(data, password.encode() if password else None)
    except ValueError as error:
        raise (PfxPasswordError if "password" in str(error).lower() else PfxError)(str(error)) from error
    der = serialization.Encoding.DER
    return Pfx(
        key_pem=_key_pem(contents.key) if contents.key is not None else None,
        certificate=contents.cert.certificate.public_bytes(der) if contents.cert is not None else None,
        others=tuple(each.certificate.public_bytes(der) for each in contents.additional_certs),
    )


def rsa_bits(key_pem: bytes | None) -> int | None:
    """The size of an RSA key; None when there is no key or it is of another kind (to a Tentacle the same: tentacle-cli.md 2.2)."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = _load_key(key_pem) if key_pem is not None else None
    return key.key_size if isinstance(key, rsa.RSAPrivateKey) else None


def signature_of(der: bytes) -> str:
    """The signature algorithm by the name that a Server's record has for it: sha256RSA, sha1RSA."""
    from cryptography import x509

    digest = x509.load_der_x509_certificate(der).signature_hash_algorithm
    return f"{digest.name if digest else 'unknown'}RSA"


def subject_of(der: bytes) -> str:
    """The subject as .NET prints it, for example `CN=Octopus Portal`."""
    from cryptography import x509

    subject = x509.load_der_x509_certificate(der).subject
    return ", ".join(f"{name.rfc4514_attribute_name}={name.value!s}" for name in reversed(list(subject)))


def _builder(
    cn: str, issuer: Keypair | None, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    from secrets import randbelow

    from cryptography import x509
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    return x509.CertificateBuilder(
        issuer_name=name if issuer is None else x509.load_der_x509_certificate(issuer.der).subject,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=randbelow(_LARGEST_SERIAL) + 1,
        not_valid_before=start,
        not_valid_after=end,
    )


def _make_key(algorithm: Literal["rsa", "ec"], bits: int) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if algorithm == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def _load_key(key_pem: bytes) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    # Its numbers were checked when it was made, or when its PFX was opened; once more would cost every start of a Tentacle 30 ms.
    key = serialization.load_pem_private_key(key_pem, password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise PfxError(f"a key of kind {type(key).__name__} plays no part in any contract")
    return key


def _key_pem(key: object) -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise PfxError(f"a key of kind {type(key).__name__} plays no part in any contract")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _sign_with_sha1(certificate: x509.Certificate, signer: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """The same certificate signed sha1RSA, as old installations carry it (halibut-wire.md 7.1).

    `cryptography` no longer signs certificates so, but both algorithm names are equally long in DER.
    """
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if not isinstance(signer, rsa.RSAPrivateKey):
        raise ValueError("sha1=True is for RSA keys only")
    body = certificate.tbs_certificate_bytes.replace(_SHA256_RSA, _SHA1_RSA)
    signature = signer.sign(body, padding.PKCS1v15(), hashes.SHA1())
    der = certificate.public_bytes(serialization.Encoding.DER).replace(_SHA256_RSA, _SHA1_RSA)
    return der[: -len(signature)] + signature
