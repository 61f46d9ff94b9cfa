# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The two ends of a module call: what the action on the controller asks, and how the module on the target answers it.

A PFX travels from the target with the one-use password that opens it, on the module's standard output; towards the target
it travels on standard input only (see plugin_utils/_secret_call.py). The user's passwords are never part of a call.
"""

from __future__ import annotations

import base64
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Host
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._server.cli import ServerCli
from ansible_collections.octofleet.octopus.plugins.module_utils._server.node import Copying, Imported, Keys, NodeKeys, Sealed
from ansible_collections.octofleet.octopus.plugins.module_utils._server.store import Entry, Note, Store, note_of

# ``args`` and whether they or the result carry a secret, to the result of the module
Call = Callable[[Mapping[str, Any], bool], Mapping[str, Any]]


def answer(host: Host, params: Mapping[str, Any]) -> Dict[str, Any]:
    """On the target: carry out ``params["hand"]`` and return its result."""
    hand = params.get("hand")
    if not hand:
        raise OctoError("octo_certificate runs as an action; call it by its full name, octofleet.octopus.octo_certificate.")
    copying = Copying(params["copy_in"] or (), params["copy_out"] or ())
    keys = NodeKeys(host, ServerCli(params["executable"], params["instance"]), Store(host, params["store"]), copying, float(params["timeout"]))
    verb = hand["verb"]
    if verb == "entries":
        return {"entries": [_from_entry(entry) for entry in keys.entries()]}
    if verb == "inspect":
        entries, sealed = keys.inspect()
        return {"entries": [_from_entry(entry) for entry in entries], **_from_sealed(sealed)}
    if verb == "put":
        keys.put(_decoded(hand["pfx"]), _note(hand["note"]))
    elif verb == "drop":
        keys.drop(hand["thumbprint"])
    elif verb == "export":
        return _from_sealed(keys.export())
    elif verb == "generate":
        return _from_sealed(keys.generate())
    elif verb == "replace":
        imported = keys.replace(Sealed(_decoded(hand["pfx"]), Secret(hand["password"])))
        return {"said": imported.said, "read_back": None if imported.read_back is None else _from_sealed(imported.read_back)}
    return {}


class RemoteKeys(Keys):
    """On the controller: :class:`Keys` through module calls."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def entries(self) -> List[Entry]:
        return [_to_entry(row) for row in self._call({"verb": "entries"}, False)["entries"]]

    def inspect(self) -> Tuple[List[Entry], Sealed]:
        found = self._call({"verb": "inspect"}, True)
        return [_to_entry(row) for row in found["entries"]], _to_sealed(found)

    def put(self, pfx: bytes, note: Note) -> None:
        self._call({"verb": "put", "pfx": _encoded(pfx), "note": note._asdict()}, False)

    def drop(self, thumbprint: str) -> None:
        self._call({"verb": "drop", "thumbprint": thumbprint}, False)

    def export(self) -> Sealed:
        return _to_sealed(self._call({"verb": "export"}, True))

    def generate(self) -> Sealed:
        return _to_sealed(self._call({"verb": "generate"}, True))

    def replace(self, certificate: Sealed) -> Imported:
        found = self._call({"verb": "replace", "pfx": _encoded(certificate.pfx), "password": certificate.password.reveal()}, True)
        return Imported(_to_sealed(found["read_back"]) if found["read_back"] else None, str(found["said"]))


def _from_entry(entry: Entry) -> Dict[str, Any]:
    return {
        "thumbprint": entry.thumbprint,
        "pfx": None if entry.pfx is None else _encoded(entry.pfx),
        "note": entry.note._asdict() if entry.note else None,
    }


def _to_entry(row: Mapping[str, Any]) -> Entry:
    pfx: Optional[str] = row["pfx"]
    return Entry(str(row["thumbprint"]), None if pfx is None else _decoded(pfx), note_of(row["note"]) if row["note"] else None)


def _from_sealed(sealed: Sealed) -> Dict[str, Any]:
    return {"pfx": _encoded(sealed.pfx), "password": sealed.password.reveal()}


def _to_sealed(found: Mapping[str, Any]) -> Sealed:
    return Sealed(_decoded(found["pfx"]), Secret(str(found["password"])))


def _note(document: Optional[Mapping[str, Any]]) -> Note:
    note = note_of(document or {})
    if note is None:
        raise OctoError("octo_certificate was asked to store a PFX without a complete note beside it.")
    return note


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)
