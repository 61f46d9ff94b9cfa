# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Which nodes a rotation drains, for people and for the undo after kill -9; a courtesy, never evidence (decisions 7).

It lies beside the keys on the first Server node. A folder of the controller would not do, for the next run may come from another one, and the
Server's own records have no room for a remark; the key store is private, and whoever rotates has to reach it anyway.
"""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Dict, List, Mapping, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import iso
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import KeyHost

FILE = "draining.json"
NOTE, NOTES, FORGET = "note", "notes", "forget"
VERBS = (NOTE, NOTES, FORGET)


class Journal:
    """On the host itself."""

    def __init__(self, host: KeyHost, folder: str) -> None:
        self._host = host
        self._folder = folder
        self._path = str(host.paths.join(folder, FILE))

    def names(self) -> List[str]:
        return sorted(self._read())

    def put(self, names: Sequence[str]) -> None:
        since = iso(time.time_ns())
        with self._host.exclusively(self._folder):
            self._write({**self._read(), **{name: {"since": since, "by": "octofleet.octopus"} for name in names}})

    def drop(self, names: Sequence[str]) -> None:
        with self._host.exclusively(self._folder):
            self._write({name: note for name, note in self._read().items() if name not in names})

    def _read(self) -> Dict[str, Any]:
        try:
            document = json.loads(self._host.read(self._path) or b"{}")
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise OctoError(f"{self._path} is not what this collection wrote. See in the Server which nodes drain, and remove the file.")
        return document

    def _write(self, notes: Mapping[str, Any]) -> None:
        if notes:
            self._host.write_private(self._path, json.dumps(notes, indent=2, sort_keys=True).encode("utf-8") + b"\n")
        else:
            self._host.remove(self._path)


class RemoteJournal:
    """On the controller: :class:`Journal` through module calls."""

    def __init__(self, call: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._call = call

    def names(self) -> List[str]:
        return list(self._call({"verb": NOTES})["nodes"])

    def put(self, names: Sequence[str]) -> None:
        self._call({"verb": NOTE, "nodes": list(names)})

    def drop(self, names: Sequence[str]) -> None:
        self._call({"verb": FORGET, "nodes": list(names)})


def answer(host: KeyHost, folder: str, hand: Mapping[str, Any]) -> Dict[str, Any]:
    """On the target: carry out one of ``VERBS``."""
    journal = Journal(host, folder)
    if hand["verb"] == NOTES:
        return {"nodes": journal.names()}
    (journal.put if hand["verb"] == NOTE else journal.drop)(hand["nodes"])
    return {}
