# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a certificate to import: what .NET on Linux makes of PFX files, base64 and everything else (tentacle-cli.md 2.2)."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import PurePath

from lab.settings import Settings
from lab.tentacle.errors import Failure, cryptographic
from lab.tentacle.keys import Certificate
from lab.tentacle.log import Log
from lab.wire.certificates import PfxError, PfxPasswordError, from_pfx, rsa_bits, subject_of

_NO_KEY = (
    "Unable to load X509 Certificate file. The X509 certificate file you provided does not include the private key. Please make sure the "
    "private key is included in your X509 certificate file and try again."
)
_WRONG_PASSWORD = "The certificate data cannot be read with the provided password, the password may be incorrect."
_LIBRARIES = ("crypt32.so", "libcrypt32.so", "crypt32", "libcrypt32")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Importer:
    """Turns what was given into one certificate, or fails as the vendor does."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log

    def from_pfx(self, name: str, data: bytes, password: str) -> Certificate:
        """The first certificate of a PFX file, which needs an RSA key."""
        certificates = self._certificates(data, password)
        if len(certificates) > 1:
            self._log.info(f"PFX file {name} contains multiple certificates, taking the first one.")
        certificate = certificates[0]
        if rsa_bits(certificate.key_pem) is None:
            self._complain(certificate)
            raise cryptographic(_NO_KEY)
        return certificate

    def from_text(self, text: bytes) -> Certificate | None:
        """The certificate of a base64 text, key or not; None when it is no base64."""
        try:
            data = base64.b64decode(b"".join(text.removeprefix(b"\xef\xbb\xbf").split()), validate=True)
        except binascii.Error:
            return None
        try:
            certificate = self._certificates(data, "")[0]
        except Failure as cause:
            raise cryptographic("Unable to load certificate", cause) from cause
        if rsa_bits(certificate.key_pem) is None:
            self._complain(certificate)
            if not self._settings.quirk("base64_without_key_imports"):
                raise cryptographic(_NO_KEY)
            certificate = Certificate(certificate.der, None)
        return certificate

    def _certificates(self, data: bytes, password: str) -> list[Certificate]:
        """All certificates in .NET's order: a file of several comes out backwards."""
        bare = _bare_certificate(data)
        if bare is not None:
            return [bare]
        try:
            contents = from_pfx(data, password or None)
            if password and self._settings.quirk("password_for_unprotected_pfx_fails") and _opens_without(data):
                raise PfxPasswordError(password)
        except PfxError as error:
            unprotected = not self._settings.quirk("password_for_unprotected_pfx_fails") and _opens_without(data)
            if password and unprotected:
                return self._certificates(data, "")
            raise _failure(data, error) from error
        leaf = [Certificate(contents.certificate, contents.key_pem)] if contents.certificate is not None else []
        found = [*leaf, *(Certificate(der, None) for der in contents.others)]
        if not found:
            raise cryptographic("ASN1 corrupted data.")
        return found[::-1] if self._settings.quirk("chain_pfx_takes_ca") else found

    def _complain(self, certificate: Certificate) -> None:
        """The lines about a library of Windows."""
        folder = PurePath(self._settings.executable).parent
        self._log.warn(f"The X509 certificate {subject_of(certificate.der)} was loaded but the private key was not loaded.")
        missing = (f"{folder}/{name}: cannot open shared object file: No such file or directory" for name in _LIBRARIES)
        reason = (
            "Furthermore, the private key file could not be located: Unable to load shared library 'crypt32' or one of its dependencies. In "
            "order to help diagnose loading problems, consider using a tool like strace. If you're using glibc, consider setting the "
            "LD_DEBUG environment variable: "
        )
        self._log.warn("\n".join([reason, *missing]))


def _bare_certificate(data: bytes) -> Certificate | None:
    """A certificate alone, in PEM or DER; a key beside it in a PEM file is not seen."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    pem = _PEM.search(data)
    try:
        certificate = x509.load_pem_x509_certificate(pem[0]) if pem else x509.load_der_x509_certificate(data)
    except ValueError:
        return None
    return Certificate(certificate.public_bytes(Encoding.DER), None)


def _opens_without(data: bytes) -> bool:
    try:
        from_pfx(data, None)
    except PfxError:
        return False
    return True


def _failure(data: bytes, error: PfxError) -> Failure:
    if isinstance(error, PfxPasswordError) and _is_sequence(data):
        return cryptographic(_WRONG_PASSWORD, cryptographic(_WRONG_PASSWORD))
    return cryptographic("ASN1 corrupted data.", Failure(_asn1_complaint(data), "System.Formats.Asn1.AsnContentException"))


def _is_sequence(data: bytes) -> bool:
    return data[:1] == b"\x30" and len(data) > 2 and _declared_length(data) <= len(data)


def _asn1_complaint(data: bytes) -> str:
    if len(data) < 2:
        return "The provided data does not represent a valid tag."
    if _declared_length(data) > len(data):
        return "The encoded length exceeds the number of bytes remaining in the input buffer."
    return "The ASN.1 value is invalid."


def _declared_length(data: bytes) -> int:
    """Header and content of the first value, as its length octets declare it."""
    first = data[1]
    if first < 0x80:
        return 2 + first
    octets = first & 0x7F
    return 2 + octets + int.from_bytes(data[2 : 2 + octets], "big")
