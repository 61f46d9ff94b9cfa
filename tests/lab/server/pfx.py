# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which certificate `import-certificate` takes from a file, by the rules of the Tentacle twin (tentacle-cli.md 2.2)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path

from lab.tentacle.errors import Failure, cryptographic
from lab.wire.certificates import Keypair, PfxError, PfxPasswordError, from_pfx, rsa_bits, subject_of, thumbprint_of

_RECOMMENDED_BITS = 2048
_WRONG_PASSWORD = "The certificate data cannot be read with the provided password, the password may be incorrect."
_NO_KEY = (
    "Unable to load X509 Certificate file. The X509 certificate file you provided does not include the private key."
    " Please make sure the private key is included in your X509 certificate file and try again."
)
_WEAK = "The imported certificate's private key is smaller than the currently-recommended bit length; generating a new key for the server is advised."


def certificate_of(path: Path, password: str | None, say: Callable[[str], None], quirk: Callable[[str], bool]) -> Keypair:
    """The key pair in a PFX file, or in the base64 text file of early versions; Failure (exit code 100) when it is of no use."""
    data = path.read_bytes()
    if path.suffix.lower() != ".pfx":
        say(f"Importing the certificate stored in {path}...")
        text = _decoded(data)
        if text is not None:
            return _chosen(path, text, None, say, quirk)
    say(f"Importing the certificate stored in PFX file in {path}" + (" using the provided password..." if password else "..."))
    return _chosen(path, data, password or None, say, quirk)


def _decoded(data: bytes) -> bytes | None:
    """The bytes of a text file that is base64, with or without a byte order mark."""
    try:
        return base64.b64decode(data.removeprefix(b"\xef\xbb\xbf").strip(), validate=True)
    except binascii.Error:
        return None


def _chosen(path: Path, data: bytes, password: str | None, say: Callable[[str], None], quirk: Callable[[str], bool]) -> Keypair:
    try:
        contents = from_pfx(data, password)
    except PfxPasswordError as error:
        if password and not quirk("password_for_unprotected_pfx_fails"):
            return _chosen(path, data, None, say, quirk)
        raise cryptographic(_WRONG_PASSWORD) from error
    except PfxError as error:
        raise cryptographic("ASN1 corrupted data.") from error
    if contents.others and contents.certificate is not None:
        say(f"PFX file {path} contains multiple certificates, taking the first one.")
        if quirk("chain_pfx_takes_ca"):
            raise _without_key(contents.others[-1], say)
    bits = rsa_bits(contents.key_pem)
    found = contents.keypair()
    if found is None or bits is None:
        raise _without_key(contents.certificate or contents.others[0], say)
    if bits < _RECOMMENDED_BITS:
        if not quirk("weak_key_imports"):
            raise cryptographic(f"The key has {bits} bits only.")
        say(_WEAK)
    return found


def _without_key(der: bytes, say: Callable[[str], None]) -> Failure:
    for line in unreadable_key(der):
        say(line)
    return Failure(_NO_KEY, "System.Exception")


def unreadable_key(der: bytes) -> tuple[str, ...]:
    """The warning of 1.4: on stdout, and without any effect on the exit code."""
    return (
        f"The X509 certificate {subject_of(der)} was loaded but the private key was not loaded.",
        f"The private key file of the certificate {thumbprint_of(der)} should be in the certificate store of the current user.",
        "Furthermore, the private key file could not be located: Unable to load shared library 'crypt32' or one of its dependencies.",
        "Attempting to grant access to the private key directory...",
    )
