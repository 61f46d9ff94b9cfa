# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Certificates: what a DER says (standard library alone), and identities that come from and go into PFX files.

An :class:`Identity` is a certificate with its private key, in memory and nowhere else. Whatever goes wrong here is told
as a sentence; no sentence holds bytes of the file that it speaks of.
"""

from __future__ import annotations

import hashlib
import secrets as _random
import sys
import warnings
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator, List, NamedTuple, NoReturn, Optional, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat, pkcs12
    from cryptography.x509.oid import NameOID
except ImportError as error:
    _MISSING: Optional[ImportError] = error
else:
    _MISSING = None

LEAST_RSA_BITS = 2048  # below, the owner's own TLS stack refuses to present it (measured-wire f)


class CertificateFacts(NamedTuple):
    """What a certificate says of itself. Names are spelled as the Octopus portal shows them: last part first."""

    thumbprint: str
    sha256: str
    subject: str
    issuer: str
    serial: str
    not_before: datetime
    not_after: datetime
    signature_algorithm: str  # as the REST API spells it: sha256RSA, sha1RSA, ...; the dotted number where it has no such name
    key_algorithm: str  # RSA, EC, or the dotted number
    key_bits: int  # 0: not known
    self_signed: bool  # subject equals issuer; the signature is not verified

    def row(self) -> Dict[str, Any]:
        """The facts as JSON-clean result fields."""
        shown = self._asdict()
        shown.update(not_before=_iso(self.not_before), not_after=_iso(self.not_after))
        return dict(shown)


class Identity:
    """A private key and its certificate. Shows its thumbprint and nothing else, and is never serialised."""

    __slots__ = ("certificate", "key", "thumbprint")

    def __init__(self, key: rsa.RSAPrivateKey, certificate: bytes) -> None:
        self.key = key
        self.certificate = certificate  # DER
        self.thumbprint = _thumbprint.of_der(certificate)

    def __repr__(self) -> str:
        return f"Identity({self.thumbprint})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Identity is not serialised")


# ---------------------------------------------------------------------------------------------------- reading DER

_SEQUENCE, _SET, _OID = 0x30, 0x31, 0x06
_UTC_TIME, _BMP_STRING, _EXPLICIT_0 = 0x17, 0x1E, 0xA0
_VERSION_3 = b"\x02\x01\x03"  # the first element of every PFX (RFC 7292 4)

_SIGNATURES = {
    "1.2.840.113549.1.1.4": "md5RSA",
    "1.2.840.113549.1.1.5": "sha1RSA",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.113549.1.1.11": "sha256RSA",
    "1.2.840.113549.1.1.12": "sha384RSA",
    "1.2.840.113549.1.1.13": "sha512RSA",
    "1.2.840.10045.4.1": "sha1ECDSA",
    "1.2.840.10045.4.3.2": "sha256ECDSA",
    "1.2.840.10045.4.3.3": "sha384ECDSA",
    "1.2.840.10045.4.3.4": "sha512ECDSA",
}
_KEYS = {"1.2.840.113549.1.1.1": "RSA", "1.2.840.10045.2.1": "EC"}
_CURVES = {"1.2.840.10045.3.1.7": 256, "1.3.132.0.34": 384, "1.3.132.0.35": 521}
_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "S",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "1.2.840.113549.1.9.1": "E",
    "0.9.2342.19200300.100.1.25": "DC",
}


class _Node(NamedTuple):
    tag: int
    body: bytes
    whole: bytes


def _nodes(data: bytes) -> Iterator[_Node]:
    """The DER elements that stand one after the other in ``data``; ValueError where it is no DER."""
    at = 0
    while at < len(data):
        start, tag = at, data[at]
        if at + 2 > len(data) or tag & 0x1F == 0x1F:
            raise ValueError("not DER")
        length, at = data[at + 1], at + 2
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 4 or at + octets > len(data):
                raise ValueError("not DER")
            length, at = int.from_bytes(data[at : at + octets], "big"), at + octets
        if at + length > len(data):
            raise ValueError("cut short")
        yield _Node(tag, data[at : at + length], data[start : at + length])
        at += length


def _inside(node: _Node, tag: int = _SEQUENCE) -> List[_Node]:
    if node.tag != tag:
        raise ValueError("not the element that was expected")
    return list(_nodes(node.body))


def _dotted(node: _Node) -> str:
    numbers, value = [], 0
    for octet in node.body:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _time(node: _Node) -> datetime:
    text = node.body.decode("ascii")
    if node.tag == _UTC_TIME:  # two digits; 50 and above are of the last century (RFC 5280 4.1.2.5.1)
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _text(node: _Node) -> str:
    value = node.body.decode("utf-16-be" if node.tag == _BMP_STRING else "utf-8", "replace")
    if any(sign in value for sign in ',+="\n<>#;') or value != value.strip():
        return '"' + value.replace('"', '""') + '"'
    return value


def _name(node: _Node) -> str:
    parts = []
    for relative in _inside(node):
        pairs = [_inside(pair) for pair in _inside(relative, _SET)]
        parts.append(" + ".join(f"{_NAMES.get(_dotted(kind), 'OID.' + _dotted(kind))}={_text(value)}" for kind, value in pairs))
    return ", ".join(reversed(parts))


def _public_key(node: _Node) -> Tuple[str, int]:
    algorithm, bits = _inside(node)
    parts = _inside(algorithm)
    name = _KEYS.get(_dotted(parts[0]), _dotted(parts[0]))
    if name == "RSA":
        modulus = _inside(next(_nodes(bits.body[1:])))[0]
        return name, int.from_bytes(modulus.body, "big").bit_length()
    return name, _CURVES.get(_dotted(parts[1]), 0) if name == "EC" and parts[1].tag == _OID else 0


def read(der: bytes) -> CertificateFacts:
    """The facts of a DER-encoded certificate; OctoError if it is none."""
    try:
        outer = list(_nodes(der))
        body, algorithm, _signature = _inside(outer[0])
        parts = _inside(body)
        if parts[0].tag == _EXPLICIT_0:  # the version, absent in version 1
            parts = parts[1:]
        serial, _algorithm, issuer, validity, subject, key = parts[:6]
        key_algorithm, key_bits = _public_key(key)
        signature = _dotted(_inside(algorithm)[0])
        not_before, not_after = (_time(moment) for moment in _inside(validity))
        return CertificateFacts(
            thumbprint=_thumbprint.of_der(der),
            sha256=hashlib.sha256(der).hexdigest().upper(),
            subject=_name(subject),
            issuer=_name(issuer),
            serial=serial.body.hex().upper(),
            not_before=not_before,
            not_after=not_after,
            signature_algorithm=_SIGNATURES.get(signature, signature),
            key_algorithm=key_algorithm,
            key_bits=key_bits,
            self_signed=subject.whole == issuer.whole,
        )
    except (ValueError, IndexError) as error:
        raise OctoError(f"These {len(der)} bytes are not a DER-encoded certificate ({error}).") from None


def concern_about_dates(facts: CertificateFacts, now: datetime) -> str:
    """A sentence if the certificate is expired or not yet valid, else nothing.

    A warning by nature: neither side of Halibut looks at dates (halibut-wire 1.3). Policy may make it a refusal.
    """
    if facts.not_after < now:
        return f"The certificate {facts.thumbprint} ({facts.subject}) expired on {_iso(facts.not_after)}."
    if facts.not_before > now:
        return f"The certificate {facts.thumbprint} ({facts.subject}) is not valid before {_iso(facts.not_before)}."
    return ""


def _iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---------------------------------------------------------------------------------------------------- PFX files


def require_cryptography() -> None:
    """OctoError that names the Python and the package where identities cannot be handled."""
    if _MISSING is not None:
        raise OctoError(
            f"Private keys need the Python package 'cryptography', which {sys.executable} (Python {sys.version.split()[0]}) cannot import: "
            f"{_MISSING}. Install it there: {sys.executable} -m pip install 'cryptography>=42'."
        )


def open_pfx(data: bytes, password: Optional[Secret], what: str = "the PFX") -> Identity:
    """The identity in a PFX: its private key and the one certificate that belongs to it; a chain is left behind.

    Each way in which a file cannot be used is refused in its own sentence; ``what`` says in it which file is meant.
    """
    require_cryptography()
    _refuse_unless_pfx(data, what)
    content = _unlock(data, password, what)
    key = content.key
    if key is None:
        raise OctoError(f"{_start(what)} holds no private key, only certificates. Export it again together with its private key.")
    if not isinstance(key, rsa.RSAPrivateKey):
        kind = "an EC" if isinstance(key, ec.EllipticCurvePrivateKey) else "no RSA"
        raise OctoError(
            f"{_start(what)} holds {kind} key. Octopus Server and Tentacle take RSA keys only: use an RSA key of {LEAST_RSA_BITS} bits or more."
        )
    if key.key_size < LEAST_RSA_BITS:
        raise OctoError(
            f"{_start(what)} holds an RSA key of {key.key_size} bits. TLS refuses keys below {LEAST_RSA_BITS} bits, and every handshake would fail: "
            f"use {LEAST_RSA_BITS} bits or more.",
            key_bits=key.key_size,
        )
    return Identity(key, _leaf(content, key, what))


def write_pfx(identity: Identity, password: Secret, name: str = "octofleet.octopus") -> bytes:
    """A PFX of this key and this certificate, encrypted with AES-256 (decisions 20)."""
    require_cryptography()
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(50_000)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password.reveal().encode("utf-8"))
    )
    certificate = x509.load_der_x509_certificate(identity.certificate)
    return pkcs12.serialize_key_and_certificates(name.encode("utf-8"), identity.key, certificate, None, encryption)


def rewrap(data: bytes, old: Optional[Secret], new: Secret, what: str = "the PFX") -> bytes:
    """The same leaf and key under another password, and nothing else of what the file held."""
    return write_pfx(open_pfx(data, old, what), new)


def _start(what: str) -> str:
    return what[:1].upper() + what[1:]


def _refuse_unless_pfx(data: bytes, what: str) -> None:
    if not data:
        raise OctoError(f"{_start(what)} is empty.")
    if b"-----BEGIN " in data[:4096]:
        raise OctoError(
            f"{_start(what)} is PEM text, not a PFX (PKCS#12) file. "
            "Make one of it: openssl pkcs12 -export -in certificate.pem -inkey key.pem -out certificate.pfx"
        )
    content, missing = _content(data)
    if content[:1] == bytes([_SEQUENCE]):
        raise OctoError(
            f"{_start(what)} is no PFX (PKCS#12) file but a bare certificate without its private key. Export it together with its private key."
        )
    if not content.startswith(_VERSION_3) or missing:
        reason = f"{missing} bytes are missing at its end" if missing else "its bytes do not have that form"
        raise OctoError(f"{_start(what)} is not a PFX (PKCS#12) file: {reason}. Export or copy it again, in binary.")


def _content(data: bytes) -> Tuple[bytes, int]:
    """What stands inside the outermost sequence, and how many of its bytes are missing. Lengths may be indefinite: BouncyCastle writes such files."""
    if len(data) < 8 or data[0] != _SEQUENCE:
        return b"", 0
    if data[1] == 0x80:
        return data[2:], 0
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    length = int.from_bytes(data[2 : 2 + octets], "big") if octets else data[1]
    return data[2 + octets :], max(0, 2 + octets + length - len(data)) if octets <= 4 else 0


def _unlock(data: bytes, password: Optional[Secret], what: str) -> pkcs12.PKCS12KeyAndCertificates:
    unprotected = _load(data, None)
    if unprotected is not None and password:
        raise OctoError(
            f"{_start(what)} is not protected by a password, but one was given. If it is the file that you meant, leave the password out."
        )
    if unprotected is not None:
        return unprotected
    if not password:
        raise OctoError(f"{_start(what)} is protected by a password, and none was given.")
    content = _load(data, password.reveal().encode("utf-8"))
    if content is None:
        raise OctoError(f"The password does not open {what} (or the file is damaged).")
    return content


def _load(data: bytes, password: Optional[bytes]) -> Optional[pkcs12.PKCS12KeyAndCertificates]:
    with warnings.catch_warnings():  # of lengths that are not DER and of odd names in certificates, which do not concern us
        warnings.simplefilter("ignore")
        try:
            return pkcs12.load_pkcs12(data, password)
        except (ValueError, TypeError):
            return None


def _leaf(content: pkcs12.PKCS12KeyAndCertificates, key: rsa.RSAPrivateKey, what: str) -> bytes:
    wanted = _key_bytes(key.public_key())
    held = [content.cert] if content.cert else []
    held += content.additional_certs
    for entry in held:
        if _key_bytes(entry.certificate.public_key()) == wanted:
            return entry.certificate.public_bytes(Encoding.DER)
    if not held:
        raise OctoError(f"{_start(what)} holds a private key and no certificate. Export it again together with its certificate.")
    raise OctoError(
        f"{_start(what)} holds a private key that belongs to none of its {len(held)} certificates. Export the certificate together with its own key."
    )


def _key_bytes(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


# ---------------------------------------------------------------------------------------------------- new identities


def make_server_certificate(cn: str = "Octopus Portal", now: Optional[datetime] = None) -> Identity:
    """A new Octopus Server certificate of the kind that the vendor's generator makes (octopus-server 1, halibut-wire 7.1).

    RSA 2048, sha256RSA, self-signed, from yesterday's midnight for a hundred years, no extensions, a positive serial number.
    """
    require_cryptography()
    today = (now or datetime.now(timezone.utc)).astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    key = rsa.generate_private_key(public_exponent=65537, key_size=LEAST_RSA_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1 + _random.randbelow(2**63 - 1))
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(_in_a_hundred_years(today))
        .sign(key, hashes.SHA256())
    )
    return Identity(key, certificate.public_bytes(Encoding.DER))


def random_identity() -> Identity:
    """An identity that nobody can have met: a listener that accepts it accepts anybody (decisions 14)."""
    return make_server_certificate("octofleet.octopus probe, trust nobody")


def _in_a_hundred_years(day: datetime) -> datetime:
    try:
        return day.replace(year=day.year + 100)
    except ValueError:  # 29 February
        return day.replace(year=day.year + 100, day=28)
