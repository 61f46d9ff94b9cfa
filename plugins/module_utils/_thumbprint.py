# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Thumbprints: the SHA-1 of a certificate's DER, 40 upper-case hex digits (contracts/halibut-wire.md 1.3)."""

from __future__ import annotations

import hashlib
import re

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

_CANONICAL = re.compile(r"\A[0-9A-F]{40}\Z")
_WANTED = "A thumbprint is 40 hexadecimal digits, as the Octopus portal shows it under Configuration, Thumbprint."


def of_der(der: bytes) -> str:
    """The thumbprint of a DER-encoded certificate, in canonical spelling."""
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper() if _HAS_FLAG else hashlib.sha1(der).hexdigest().upper()


def is_canonical(text: str) -> bool:
    """Whether ``text`` is spelled as a polling Tentacle needs it: it compares by ``==`` with upper case (halibut-wire 1.3)."""
    return _CANONICAL.match(text) is not None


def parse(text: str, what: str = "thumbprint") -> str:
    """The canonical spelling of what a person typed; letter case is forgiven, everything else is refused.

    Separators and invisible characters (U+200E from a copied Windows dialog) are refused rather than repaired: a value
    that had them was not copied from where we think it was. Raises OctoError that names ``what``.
    """
    if not isinstance(text, str):
        raise OctoError(f"The {what} must be text, not {type(text).__name__}. {_WANTED}", value=repr(text))
    candidate = text.strip(" \t\r\n").upper()
    if not candidate:
        raise OctoError(f"The {what} is blank. {_WANTED}", value=text)
    if not is_canonical(candidate):
        raise OctoError(f"The {what} {text!a} is not a thumbprint. {_WANTED}", value=text)
    return candidate


def same(one: str, other: str) -> bool:
    """Whether two spellings name the same certificate to a listener, which ignores case and nothing else (halibut-wire 1.3)."""
    return one.upper() == other.upper()


def brief(thumbprint: str) -> str:
    """``6D1F…A07C``: enough for a person's eye, never for a comparison."""
    return thumbprint if len(thumbprint) < 12 else f"{thumbprint[:4]}…{thumbprint[-4:]}"


def _takes_flag() -> bool:
    try:
        hashlib.sha1(b"", usedforsecurity=False)
    except TypeError:  # Python 3.8 on a target
        return False
    return True


_HAS_FLAG = _takes_flag()
