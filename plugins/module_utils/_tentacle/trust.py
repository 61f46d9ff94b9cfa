# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The list of trusted Servers: how it is read, and what it becomes when a pin is wanted or not (tentacle-cli.md 2.5, 3.3).

Pure. An entry that is not ours to change keeps its very bytes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

LISTENING = "listening"
POLLING = "polling"
WEBSOCKET = "websocket"
KUBERNETES = "kubernetes"
UNKNOWN = "unknown"
MIXED = "mixed"
NONE = "none"

# Some old versions wrote the names (tentacle-cli.md 3.3, 6). The Kubernetes agent has been both 9 and 11.
_STYLE_NAMES = {"none": 0, "tentaclepassive": 1, "tentacleactive": 2, "kubernetestentacle": 11}
_PASSIVE, _ACTIVE, _KUBERNETES = 1, 2, (9, 11)
_BETWEEN = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class Entry(NamedTuple):
    """One trusted Server. ``raw`` is its text in the configuration, which is kept as it is."""

    raw: str
    thumbprint: str  # as spelled
    style: str
    address: Optional[str]
    subscription_id: Optional[str]

    @property
    def canonical(self) -> Optional[str]:
        """The thumbprint that this entry lets in; None if it is spelled so that it never matches (halibut-wire.md 1.3)."""
        upper = self.thumbprint.upper()
        return upper if _thumbprint.is_canonical(upper) else None

    def row(self) -> Dict[str, Optional[str]]:
        return {
            "thumbprint": self.thumbprint,
            "canonical": self.canonical,
            "style": self.style,
            "address": self.address,
            "subscription_id": self.subscription_id,
        }

    def brief(self) -> Dict[str, Optional[str]]:
        """What a visit says of an entry before and after; it stands next to whole rows, and a host's result is to stay under 2 KB."""
        brief = {"canonical": self.canonical, "style": self.style}
        return {**brief, "address": self.address} if self.address else brief


Entries = Tuple[Entry, ...]
Change = Callable[[Entries], Entries]


class Wish(NamedTuple):
    """What a task asks of the trust: ``state`` is present, absent or exact; thumbprints are canonical."""

    state: str
    thumbprints: Tuple[str, ...]
    forget: Tuple[str, ...] = ()


def parse(text: str, path: str = "the configuration") -> Entries:
    """The entries in the trust value; a value that is absent or empty holds none."""
    if not text.strip():
        return ()
    try:
        return tuple(_entry(raw, value) for raw, value in _elements(text))
    except ValueError as error:
        raise OctoError(
            f"The trust in {path} cannot be read ({error}). The vendor's commands fail on it, too. Repair the value of "
            "Tentacle.Communication.TrustedOctopusServers, or restore a copy of the file.",
            code="TRUST_UNREADABLE",
            path=path,
        ) from error


def render(entries: Sequence[Entry]) -> str:
    return "[" + ",".join(entry.raw for entry in entries) + "]"


def listening_entry(thumbprint: str) -> Entry:
    """What the vendor's ``configure --trust`` writes (golden/20-trust-02-add-A)."""
    value = {"Thumbprint": thumbprint, "CommunicationStyle": _PASSIVE, "Address": None, "Squid": None, "SubscriptionId": None}
    return Entry(json.dumps(value, separators=(",", ":")), thumbprint, LISTENING, None, None)


def communication(entries: Sequence[Entry]) -> str:
    """One word for an instance."""
    styles = {entry.style for entry in entries}
    return NONE if not styles else styles.pop() if len(styles) == 1 else MIXED


def means(entry: Entry, thumbprint: str) -> bool:
    """Whether a person reads ``thumbprint`` in the entry, whatever its case and whatever invisible things were copied along."""
    visible = "".join(
        character for character in entry.thumbprint if not character.isspace() and character not in ":-" and unicodedata.category(character) != "Cf"
    )
    return visible.upper() == thumbprint


def fulfil(wish: Wish, entries: Entries) -> Entries:
    """The entries as ``wish`` wants them; equal to ``entries`` if there is nothing to do. OctoError if it cannot be done safely."""
    _refuse_other_ways(wish, entries)
    if wish.state == "exact":
        unknown = [entry.thumbprint for entry in entries if not _named(entry, wish)]
        if unknown:
            raise OctoError(
                f"It also trusts {', '.join(unknown)}, which this task names neither in thumbprints nor in forget. Nothing was changed. "
                "Name each of them in one of the two.",
                code="UNKNOWN_PINS",
                unknown=unknown,
            )
    result = entries
    if wish.state in ("present", "exact"):
        for thumbprint in wish.thumbprints:
            for add in _PRESENT.values():
                result = add(result, thumbprint)
    unwanted = wish.thumbprints if wish.state == "absent" else wish.forget if wish.state == "exact" else ()
    return tuple(entry for entry in result if not any(_is_unwanted(entry, text) for text in unwanted))


def removed(before: Sequence[Entry], after: Sequence[Entry]) -> List[str]:
    """The canonical thumbprints that lose their last entry."""
    kept = {entry.canonical for entry in after}
    return sorted({entry.canonical for entry in before if entry.canonical and entry.canonical not in kept})


def _refuse_other_ways(wish: Wish, entries: Entries) -> None:
    """Whoever is reached in another way than by listening is left alone (decisions 3).

    A Tentacle that listens to one Server may poll another: entries that pin neither what is asked for nor what is to be
    forgotten are foreign, and stay. Without any listening entry, a listening one would be of no use to the Server meant.
    """
    asked = (*wish.thumbprints, *wish.forget)
    others = [entry for entry in entries if entry.style not in _PRESENT]
    harmless = any(entry.style in _PRESENT for entry in entries) and not any(
        entry.style not in _ELSEWHERE or any(means(entry, text.upper()) for text in asked) for entry in others
    )
    if others and not harmless:
        styles = sorted({entry.style for entry in others})
        raise OctoError(
            f"It is trusted in a way ({', '.join(styles)}) that this version recognises but does not change, so it was left as it is. "
            "A Server that it depends on must not be switched: leave this Tentacle behind by name, or change its trust by hand.",
            code="NOT_EXPANDABLE",
            styles=styles,
        )


def _present_listening(entries: Entries, thumbprint: str) -> Entries:
    """``thumbprint`` exactly once without an address, in canonical spelling (decisions 28).

    What is not yet so goes to the end, as with the vendor's verb (golden/20-trust-05-add-a-lower).
    """
    mine = [entry for entry in entries if entry.address is None and means(entry, thumbprint)]
    if len(mine) == 1 and mine[0].thumbprint == thumbprint:
        return entries
    return (*(entry for entry in entries if entry not in mine), listening_entry(thumbprint))


# Ways in which a Tentacle may depend on another Server than the one meant; who else it is, nobody can tell.
_ELSEWHERE = (POLLING, WEBSOCKET)

# How a pin is added, by style. A style that is not here is recognised and left alone.
_PRESENT: Mapping[str, Callable[[Entries, str], Entries]] = {LISTENING: _present_listening}


def _named(entry: Entry, wish: Wish) -> bool:
    return any(means(entry, text) for text in wish.thumbprints) or any(_is_unwanted(entry, text) for text in wish.forget)


def _is_unwanted(entry: Entry, text: str) -> bool:
    """``text`` is a thumbprint, or for an entry that is none its exact spelling. An entry with an address is never removed by it (H-07)."""
    return entry.address is None and (means(entry, text.upper()) or entry.thumbprint == text)


def _elements(text: str) -> List[Tuple[str, Any]]:
    """The text and the value of each element of a JSON list; the decoder alone would not tell where each stands."""
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise ValueError("it is not a list")
    at = _skip(text, at + 1)
    found: List[Tuple[str, Any]] = []
    while text[at : at + 1] != "]":
        if found:
            if text[at : at + 1] != ",":
                raise ValueError(f"a comma is missing at character {at}")
            at = _skip(text, at + 1)
        value, end = _DECODER.raw_decode(text, at)
        found.append((text[at:end], value))
        at = _skip(text, end)
    if _skip(text, at + 1) != len(text):
        raise ValueError(f"something follows the list at character {at + 1}")
    return found


def _skip(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return match.end() if match else at


def _entry(raw: str, value: Any) -> Entry:
    fields = {str(name).lower(): field for name, field in value.items()} if isinstance(value, dict) else {}
    thumbprint = fields.get("thumbprint")
    if not isinstance(thumbprint, str) or not thumbprint.strip():
        raise ValueError(f"an entry has no thumbprint: {raw[:120]}")
    address, subscription = fields.get("address"), fields.get("subscriptionid")
    return Entry(
        raw,
        thumbprint,
        _style(fields.get("communicationstyle"), address),
        None if address is None else str(address),
        None if subscription is None else str(subscription),
    )


def _style(style: Any, address: Any) -> str:
    number = _STYLE_NAMES.get(style.lower(), style) if isinstance(style, str) else style
    if isinstance(number, str) and number.isdigit():
        number = int(number)
    if number in _KUBERNETES:
        return KUBERNETES
    if number == _PASSIVE and address is None:
        return LISTENING
    if number == _ACTIVE and address:
        return WEBSOCKET if str(address).lower().startswith("wss:") else POLLING
    return UNKNOWN  # style None, which the agent itself turns into something else at its start, and combinations that no version writes
