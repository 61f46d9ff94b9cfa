# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The one door for secrets: wrapped so that no repr, format or traceback shows them (design/conventions.md 4)."""

from __future__ import annotations

import base64
import secrets as _random
from typing import Iterable, List, Sequence

try:  # ansible-core 2.22 and later mask registered values wherever output leaves
    from ansible.module_utils.secrets import register_secret as _register_with_core  # type: ignore[import-not-found]
except ImportError:
    _register_with_core = None

HIDDEN = "********"


class Secret:
    """Text that must not be shown. ``reveal()`` is the only way out, so that every use can be found by searching for it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        register(text)

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and _random.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialised")


def register(text: str) -> None:
    """Make core mask ``text`` and its base64, where core can (2.22 on); shorter than 4 characters core itself refuses."""
    if _register_with_core is None or len(text) < 4:
        return
    _register_with_core(text)
    _register_with_core(base64.b64encode(text.encode("utf-8")).decode("ascii"))


def one_use_password() -> Secret:
    """A password for one file that is gone afterwards: the vendor's tools take it only on their command line (hazard H-02).

    Letters and digits only, 43 of them: no quoting on any system, and longer than the 4 characters below which the
    vendor's log does not mask (H-01).
    """
    return Secret(_random.token_hex(22)[:43])


def redact(argv: Sequence[str], secrets: Iterable[Secret] = ()) -> List[str]:
    """``argv`` as it may be shown: known secrets and the values of password-like options are replaced."""
    hidden = [secret.reveal() for secret in secrets if secret]
    shown = []
    for argument in argv:
        name, separator, _value = argument.partition("=")
        if separator and any(word in name.lower() for word in ("password", "apikey", "api-key", "--pw", "token", "base64")):
            argument = f"{name}={HIDDEN}"
        for text in hidden:
            argument = argument.replace(text, HIDDEN)
        shown.append(argument)
    return shown
