# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The key store: a private folder with ``<thumbprint>.pfx``, encrypted with the user's backup password (decisions 20).

Beside each lies ``<thumbprint>.json``: information for people, and for choosing which certificate to adopt; never evidence.
"""

from __future__ import annotations

import json
import re
from types import ModuleType
from typing import Any, Callable, ContextManager, List, Mapping, NamedTuple, Optional, Protocol, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Completed, FileStat

BACKUP = "backup"
STAGED = "staged"

_NAME = re.compile(r"\A([0-9A-F]{40})\.(?:pfx|json)\Z")
_LARGEST = 1 << 20  # a PFX of one leaf has 3 KB; what is larger is none of ours


class KeyHost(Protocol):
    """The part of a Host that keys need; Windows has one of its own for them (plugin_utils/_windows_keys.py)."""

    paths: ModuleType

    def run(self, argv: Sequence[str], *, timeout: float = 120.0) -> Completed:
        """See Host."""

    def read(self, path: str) -> Optional[bytes]:
        """See Host."""

    def stat(self, path: str) -> Optional[FileStat]:
        """See Host."""

    def names_in(self, folder: str) -> List[str]:
        """See Host."""

    def write_private(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """See Host."""

    def remove(self, path: str) -> None:
        """See Host."""

    def private_folder(self) -> ContextManager[str]:
        """See Host."""

    def exclusively(self, path: str) -> ContextManager[int]:
        """See Host."""


class Exposure(NamedTuple):
    """How others reach into a folder, and what closes it."""

    how: str
    remedy: str


class Note(NamedTuple):
    """What stands beside a PFX."""

    thumbprint: str
    role: str
    replaces: Optional[str]
    created_at: str
    source: str


class Entry(NamedTuple):
    thumbprint: str
    pfx: Optional[bytes]
    note: Optional[Note]

    def is_staged_for(self, replaced: str) -> bool:
        return self.pfx is not None and self.note is not None and self.note.role == STAGED and self.note.replaces == replaced

    @property
    def source(self) -> str:
        return self.note.source if self.note else "store"


class Store:
    """``exposure`` tells how others reach into the folder as it is at that moment; by default its mode does."""

    def __init__(self, host: KeyHost, folder: str, exposure: Optional[Callable[[str], Optional[Exposure]]] = None) -> None:
        self._host = host
        self._folder = folder
        self._exposure = exposure or self._by_mode

    def path_of(self, thumbprint: str) -> str:
        return str(self._host.paths.join(self._folder, f"{thumbprint}.pfx"))

    def entries(self) -> List[Entry]:
        self._refuse_open_folder()
        names = (_NAME.match(name) for name in self._host.names_in(self._folder))
        return [Entry(one, self._pfx(one), self._note(one)) for one in sorted({match.group(1) for match in names if match})]

    def put(self, pfx: bytes, note: Note) -> None:
        """Store a PFX; refused when another run has staged a different one for the same certificate meanwhile."""
        with self._host.exclusively(self._folder):
            rivals = [entry.thumbprint for entry in self.entries() if note.role == STAGED and note.replaces and entry.is_staged_for(note.replaces)]
            if rivals and rivals != [note.thumbprint]:
                raise OctoError(
                    f"{self._folder} already holds {rivals[0]}, staged to replace {note.replaces}. Nothing was stored. Run again to use that one."
                )
            # The note first: a note without a PFX stages nothing, but a PFX without a note would be forgotten and made a second time.
            self._host.write_private(self._note_path(note.thumbprint), json.dumps(note._asdict(), indent=2, sort_keys=True).encode("utf-8") + b"\n")
            self._host.write_private(self.path_of(note.thumbprint), pfx)
            self._refuse_open_folder()

    def drop(self, thumbprint: str) -> None:
        with self._host.exclusively(self._folder):
            self._host.remove(self.path_of(thumbprint))
            self._host.remove(self._note_path(thumbprint))

    def _pfx(self, thumbprint: str) -> Optional[bytes]:
        found = self._host.stat(self.path_of(thumbprint))
        return self._host.read(self.path_of(thumbprint)) if found and found.size <= _LARGEST else None

    def _note(self, thumbprint: str) -> Optional[Note]:
        data = self._host.read(self._note_path(thumbprint))
        try:
            document = json.loads(data or b"null")
        except ValueError:
            return None
        return note_of(document) if isinstance(document, dict) and document.get("thumbprint") == thumbprint else None

    def _note_path(self, thumbprint: str) -> str:
        return str(self._host.paths.join(self._folder, f"{thumbprint}.json"))

    def _refuse_open_folder(self) -> None:
        found = self._exposure(self._folder)
        if found is not None:
            raise OctoError(f"The key store {self._folder} is open to other users ({found.how}). Close it: {found.remedy}")

    def _by_mode(self, folder: str) -> Optional[Exposure]:
        found = self._host.stat(folder)
        return Exposure(f"mode {found.mode:04o}", f"chmod 700 {folder}") if found is not None and found.mode & 0o077 else None


def note_of(document: Mapping[str, Any]) -> Optional[Note]:
    try:
        return Note(**{name: document[name] for name in Note._fields})
    except KeyError:
        return None
