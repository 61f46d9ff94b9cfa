# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""A certificate with its key, as a host gave it, is opened in memory. Runs on the controller only: targets have no cryptography."""

from __future__ import annotations

import base64

from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate, _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Encrypted, Held, Sealed


def opened(held: Held, what: str) -> Identity:
    """OctoError in a sentence that names ``what``, if it cannot be opened or contradicts itself."""
    if isinstance(held, Sealed):
        return _certificate.open_pfx(held.pfx, held.password, what)
    identity = _certificate.open_pfx(_decrypted(held, what), None, what)
    if not _thumbprint.same(held.thumbprint, identity.thumbprint):
        raise OctoError(
            f"{what[:1].upper()}{what[1:]} is {identity.thumbprint}, but the thumbprint beside it is {held.thumbprint}, as a command that was killed"
            " leaves them. Import the right one of the two by hand, before a restart decides which of them is served.",
            code="IDENTITY_TORN",
            holds=sorted({identity.thumbprint, held.thumbprint}),
        )
    return identity


def _decrypted(held: Encrypted, what: str) -> bytes:
    """The PFX without password in a Tentacle's configuration (tentacle-cli.md 3.5)."""
    _certificate.require_cryptography()
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    key, vector = (base64.b64decode(part) for part in held.key.reveal().split("."))
    decryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).decryptor()
    unpadder = PKCS7(128).unpadder()
    try:
        padded = decryptor.update(base64.b64decode(held.text, validate=True)) + decryptor.finalize()
        return base64.b64decode(unpadder.update(padded) + unpadder.finalize(), validate=True)
    except ValueError:
        raise OctoError(
            f"{what[:1].upper()}{what[1:]} begins as a PFX does, but the rest of it cannot be decrypted: it was cut or changed. Restore the"
            " configuration from a copy.",
            code="IDENTITY_UNREADABLE",
        ) from None
