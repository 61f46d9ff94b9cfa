# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The port between the brain that keeps keys (keeper.py) and who has them: a node of an Octopus Server, or a Tentacle instance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import List, NamedTuple, Optional, Protocol, Tuple, Union

from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Entry, Note, Store
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret


class Sealed(NamedTuple):
    """A PFX and the one-use password that opens it."""

    pfx: bytes
    password: Secret


class Encrypted(NamedTuple):
    """A certificate as a Tentacle's configuration has it, and the key of the host that opens it (tentacle-cli.md 3.5)."""

    text: str
    key: Secret  # base64 of the AES key, a dot, base64 of the vector
    thumbprint: str  # what the configuration says beside it


Held = Union[Sealed, Encrypted]


class Imported(NamedTuple):
    """What is there after an import, by its one certain reading (decisions 11); None: it could not be read."""

    read_back: Optional[Held]
    said: str  # by the import, for a person


class Keys(Protocol):
    """Who has a certificate, as the brain sees it; the controller reaches it through module calls."""

    def entries(self) -> List[Entry]:
        """What the store holds."""

    def inspect(self) -> Tuple[List[Entry], Held]:
        """The store and the certificate that is there, in one journey to the host: each gate of a rotation asks for both."""

    def put(self, pfx: bytes, note: Note) -> None:
        """Store a PFX that is encrypted with the user's password."""

    def drop(self, thumbprint: str) -> None:
        """Delete a PFX from the store."""

    def export(self) -> Held:
        """The certificate that is there, with its key."""

    def generate(self) -> Held:
        """A new certificate by the vendor's own verb; the active one stays."""

    def replace(self, certificate: Sealed) -> Imported:
        """Import a certificate in the place of the one that is there, and read back."""


class KeysOnHost(ABC):
    """What every implementation of :class:`Keys` on the host itself has in common: the store."""

    def __init__(self, store: Store) -> None:
        self.entries = store.entries
        self.put = store.put
        self.drop = store.drop

    @abstractmethod
    def export(self) -> Held:
        """See :class:`Keys`."""

    def inspect(self) -> Tuple[List[Entry], Held]:
        return self.entries(), self.export()
