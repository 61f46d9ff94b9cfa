# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The two ends of a module call: what the action on the controller asks, and how the module on the target answers it.

A certificate travels from the target with what opens it, a one-use password or the host's key, on the module's standard
output; towards the target it travels on standard input only (see plugin_utils/_secret_call.py). The user's passwords are
never part of a call.
"""

from __future__ import annotations

import base64
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, Clock, Host
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import journal
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Encrypted, Held, Imported, Keys, Sealed
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Entry, Note, note_of
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._server import node
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import keys as tentacle

# ``args`` and whether they or the result carry a secret, to the result of the module
Call = Callable[[Mapping[str, Any], bool], Mapping[str, Any]]


def answer(host: Host, params: Mapping[str, Any], clock: Clock = SYSTEM_CLOCK) -> Dict[str, Any]:
    """On the target: carry out ``params["hand"]`` and return its result."""
    hand = params.get("hand")
    if not hand:
        raise OctoError("octo_certificate runs as an action; call it by its full name, octofleet.octopus.octo_certificate.")
    if hand["verb"] in journal.VERBS:
        return journal.answer(host, params["store"], hand)
    if hand["verb"] == "instances":
        return {"instances": tentacle.instances(host, params, clock)}
    keys: Keys = node.keys_of(host, params) if params["application"] == "server" else tentacle.keys_of(host, params, clock)
    return _carried_out(keys, hand)


def _carried_out(keys: Keys, hand: Mapping[str, Any]) -> Dict[str, Any]:
    verb = hand["verb"]
    if verb == "entries":
        return {"entries": [_from_entry(entry) for entry in keys.entries()]}
    if verb == "inspect":
        entries, held = keys.inspect()
        return {"entries": [_from_entry(entry) for entry in entries], **_from_held(held)}
    if verb == "put":
        keys.put(_decoded(hand["pfx"]), _note(hand["note"]))
    elif verb == "drop":
        keys.drop(hand["thumbprint"])
    elif verb == "export":
        return _from_held(keys.export())
    elif verb == "generate":
        return _from_held(keys.generate())
    elif verb == "replace":
        imported = keys.replace(Sealed(_decoded(hand["pfx"]), Secret(hand["password"])))
        return {"said": imported.said, "read_back": None if imported.read_back is None else _from_held(imported.read_back)}
    return {}


class RemoteKeys(Keys):
    """On the controller: :class:`Keys` through module calls."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def instances(self) -> List[Mapping[str, Any]]:
        """The Tentacle instances that the task means, see _tentacle/keys.py."""
        return list(self._call({"verb": "instances"}, False)["instances"])

    def entries(self) -> List[Entry]:
        return [_to_entry(row) for row in self._call({"verb": "entries"}, False)["entries"]]

    def inspect(self) -> Tuple[List[Entry], Held]:
        found = self._call({"verb": "inspect"}, True)
        return [_to_entry(row) for row in found["entries"]], _to_held(found)

    def put(self, pfx: bytes, note: Note) -> None:
        self._call({"verb": "put", "pfx": _encoded(pfx), "note": note._asdict()}, False)

    def drop(self, thumbprint: str) -> None:
        self._call({"verb": "drop", "thumbprint": thumbprint}, False)

    def export(self) -> Held:
        return _to_held(self._call({"verb": "export"}, True))

    def generate(self) -> Held:
        return _to_held(self._call({"verb": "generate"}, True))

    def replace(self, certificate: Sealed) -> Imported:
        found = self._call({"verb": "replace", "pfx": _encoded(certificate.pfx), "password": certificate.password.reveal()}, True)
        return Imported(_to_held(found["read_back"]) if found["read_back"] else None, str(found["said"]))


def _from_entry(entry: Entry) -> Dict[str, Any]:
    return {
        "thumbprint": entry.thumbprint,
        "pfx": None if entry.pfx is None else _encoded(entry.pfx),
        "note": entry.note._asdict() if entry.note else None,
    }


def _to_entry(row: Mapping[str, Any]) -> Entry:
    pfx: Optional[str] = row["pfx"]
    return Entry(str(row["thumbprint"]), None if pfx is None else _decoded(pfx), note_of(row["note"]) if row["note"] else None)


def _from_held(held: Held) -> Dict[str, Any]:
    if isinstance(held, Sealed):
        return {"pfx": _encoded(held.pfx), "password": held.password.reveal()}
    return {"text": held.text, "key": held.key.reveal(), "thumbprint": held.thumbprint}


def _to_held(found: Mapping[str, Any]) -> Held:
    if "pfx" in found:
        return Sealed(_decoded(found["pfx"]), Secret(str(found["password"])))
    return Encrypted(str(found["text"]), Secret(str(found["key"])), str(found["thumbprint"]))


def _note(document: Optional[Mapping[str, Any]]) -> Note:
    note = note_of(document or {})
    if note is None:
        raise OctoError("octo_certificate was asked to store a PFX without a complete note beside it.")
    return note


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)
