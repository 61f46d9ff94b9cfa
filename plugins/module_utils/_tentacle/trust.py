# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The list of trusted Servers: how it is read, and what it becomes when a pin is wanted or not (tentacle-cli.md 2.5, 3.3, 5.4).

Pure. An entry that is not ours to change keeps its very bytes.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

LISTENING = "listening"
POLLING = "polling"
WEBSOCKET = "websocket"
KUBERNETES = "kubernetes"
UNKNOWN = "unknown"
MIXED = "mixed"
NONE = "none"

PRESENT, ABSENT, EXACT = "present", "absent", "exact"

# What becomes of an entry that polls the Server whose certificate changes.
OVERLAP, REPLACE, REFUSE = "overlap", "replace", "refuse"

# Some old versions wrote the names (tentacle-cli.md 3.3, 6). The Kubernetes agent has been both 9 and 11.
_STYLE_NAMES = {"none": 0, "tentaclepassive": 1, "tentacleactive": 2, "kubernetestentacle": 11}
_PASSIVE, _ACTIVE, _KUBERNETES = 1, 2, (9, 11)
_OWN_PORT = re.compile(r"^((?:https|wss)://[^/]*):443(?=/|$)|^((?:http|ws)://[^/]*):80(?=/|$)")
_BETWEEN = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


Place = Tuple[str, str]


class Entry(NamedTuple):
    """One trusted Server. ``raw`` is its text in the configuration, which is kept as it is."""

    raw: str
    thumbprint: str  # as spelled
    style: str
    address: Optional[str]
    subscription_id: Optional[str]  # old installations have a SQUID in its place (halibut-wire.md 4)

    @property
    def canonical(self) -> Optional[str]:
        """The thumbprint that this entry lets in; None if it is spelled so that it never matches (halibut-wire.md 1.3)."""
        upper = self.thumbprint.upper()
        return upper if _thumbprint.is_canonical(upper) else None

    @property
    def pin(self) -> Optional[str]:
        """The thumbprint that a Server may present to it: who polls compares by case, who listens does not (measured-tentacle.md 9)."""
        text = self.thumbprint.strip().upper() if self.style == LISTENING else self.thumbprint.strip()
        return text if _thumbprint.is_canonical(text) else None

    @property
    def place(self) -> Place:
        """Where it polls, and as whom."""
        return place_of(self.address or "", self.subscription_id or "")

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
        return {"canonical": self.canonical, **({"address": self.address} if self.address else {"style": self.style})}


Entries = Tuple[Entry, ...]
Change = Callable[[Entries], Entries]


class Wish(NamedTuple):
    """What a task asks of the trust; thumbprints are canonical.

    ``twin_of`` names the Server's other certificate: whoever polls a Server expects one certificate at one address, so
    another one can only be wanted where that one stands. ``shadow`` is an address at which no Server is, but a listener of
    this rotation that presents the new certificate (measured-tentacle.md 14.2); what stands there is ours.
    """

    state: str
    thumbprints: Tuple[str, ...]
    forget: Tuple[str, ...] = ()
    twin_of: Optional[str] = None
    polling: str = OVERLAP
    shadow: Optional[str] = None
    shadowed: bool = True  # whether state present adds an entry for it, or takes it out

    @property
    def asked(self) -> Set[str]:
        """Every thumbprint that it speaks of."""
        return {*self.thumbprints, *(text.upper() for text in self.forget), *([self.twin_of] if self.twin_of else [])}

    @property
    def successor(self) -> Optional[str]:
        """What takes the place of ``twin_of`` in entries that poll; None if both are to stand."""
        return self.other if self.polling == REPLACE and self.state != ABSENT else None

    @property
    def other(self) -> Optional[str]:
        """The certificate that is wanted beside ``twin_of``."""
        return next((text for text in self.thumbprints if text != self.twin_of), None) if self.twin_of else None

    @property
    def removes(self) -> bool:
        """Whether fulfilling it can take a pin away from where it stands."""
        return self.state != PRESENT or self.successor is not None or bool(self.shadow and not self.shadowed)

    def is_shadow(self, entry: Entry) -> bool:
        return bool(self.shadow) and entry.style == POLLING and entry.place[0] == place_of(self.shadow or "", "")[0]


def place_of(address: str, subscription: str) -> Place:
    """An address as the vendor compares it, a normalised URI whatever its case (tentacle-cli.md 2.6), and a subscription."""
    return _OWN_PORT.sub(r"\1\2", address.strip().lower()).rstrip("/"), subscription.strip().lower().rstrip("/")


def parse(text: str, path: str = "the configuration", blank: bool = False) -> Entries:
    """The entries in the trust value; a value that is absent or empty holds none.

    ``blank``: an entry without a thumbprint is one as well. Who only reads can show it; who writes must not, since what the
    vendor's programs make of it at their next start is not known.
    """
    if not text.strip():
        return ()
    try:
        return tuple(_entry(raw, value, blank) for raw, value in _elements(text))
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


def polling_entry(model: Entry, thumbprint: str) -> Entry:
    """``model`` with another pin, and whatever else it has as it is: what ``update-trust`` makes of it (golden/62-poll-update-trust)."""
    ours = {"thumbprint": thumbprint, "communicationstyle": _ACTIVE}
    value = {name: ours.get(name.lower(), field) for name, field in json.loads(model.raw).items()}
    return model._replace(raw=json.dumps(value, separators=(",", ":"), ensure_ascii=False), thumbprint=thumbprint)


def shadow_entry(model: Entry, thumbprint: str, address: str) -> Entry:
    """What polls ``address`` as whom ``model`` polls its Server."""
    twin = polling_entry(model, thumbprint)
    value = {name: address if name.lower() == "address" else field for name, field in json.loads(twin.raw).items()}
    return twin._replace(raw=json.dumps(value, separators=(",", ":"), ensure_ascii=False), address=address)


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


def fulfil(wish: Wish, entries: Entries, listens: bool = True) -> Entries:
    """The entries as ``wish`` wants them; equal to ``entries`` if there is nothing to do. OctoError if it cannot be done safely."""
    shadows = tuple(entry for entry in entries if wish.is_shadow(entry))
    servers = tuple(entry for entry in entries if not wish.is_shadow(entry))
    _refuse_shadow_of_a_server(wish, servers, shadows)
    kept = _fulfilled(wish, servers, listens)
    wanted = _shadows(wish, kept, shadows)
    return entries if (kept, wanted) == (servers, shadows) else (*kept, *wanted)


def _fulfilled(wish: Wish, entries: Entries, listens: bool) -> Entries:
    """Without regard to a shadow."""
    _refuse_other_ways(wish, entries)
    if wish.state == EXACT:
        _refuse_unknown(wish, entries)
    result = entries if wish.state == ABSENT else _with_wanted(wish, entries, listens)
    unwanted = wish.thumbprints if wish.state == ABSENT else wish.forget if wish.state == EXACT else ()
    kept = tuple(entry for entry in result if not any(_is_unwanted(entry, text) for text in unwanted))
    _refuse_to_end_a_registration(result, kept)
    return kept


def removed(before: Sequence[Entry], after: Sequence[Entry]) -> List[str]:
    """The canonical thumbprints that lose their last entry."""
    kept = {entry.canonical for entry in after}
    return sorted({entry.canonical for entry in before if entry.canonical and entry.canonical not in kept})


def places_without(before: Sequence[Entry], after: Sequence[Entry], thumbprint: str) -> List[str]:
    """The addresses at which ``after`` takes something away from who polls there, and does not have ``thumbprint``."""
    pinned = {entry.place for entry in after if _polls(entry) and entry.pin == thumbprint}
    return sorted({entry.address or "" for entry in before if _polls(entry) and entry not in after and entry.place not in pinned})


def _polls(entry: Entry) -> bool:
    return entry.style == POLLING


def _shadows(wish: Wish, servers: Entries, standing: Entries) -> Entries:
    """The one entry for the shadow, or none. To the vendor a pin and an address are one entry, so two subscriptions cannot both have one."""
    if wish.state != PRESENT:
        return ()
    pairs = _pairs(wish, servers)
    models = [entry for entry in servers if entry.place in pairs and entry.pin == wish.other]
    if not models:
        return standing  # nothing says that it is ours: the certificates do not stand side by side
    if not wish.shadowed or wish.polling != OVERLAP:
        return ()
    found = [entry for entry in standing if entry.thumbprint == models[0].thumbprint and entry.place[1] == models[0].place[1]]
    if found or not wish.shadow:
        return tuple(found[:1])
    if wish.twin_of not in wish.thumbprints:  # what the Server has left behind needs no further proof, and goes with the old pin
        return standing
    return (shadow_entry(models[0], models[0].thumbprint, wish.shadow),)


def _pairs(wish: Wish, servers: Entries) -> Set[Place]:
    """Where both certificates of the Server are pinned."""
    places = {pin: {entry.place for entry in servers if _polls(entry) and entry.pin == pin} for pin in (wish.twin_of, wish.other) if pin}
    return set.intersection(*places.values()) if len(places) > 1 else set()


def _refuse_shadow_of_a_server(wish: Wish, servers: Entries, shadows: Entries) -> None:
    """An address that a Tentacle needs is no shadow, whoever says so: there would be a pair at it, or no other place, or the old pin alone."""
    subscriptions = {entry.place[1] for entry in shadows}
    elsewhere = {entry.place[1] for entry in servers if _polls(entry)}
    paired = {subscription for _address, subscription in _pairs(wish, servers)}
    old_alone = [entry for entry in shadows if wish.twin_of and entry.pin == wish.twin_of and entry.place[1] not in paired]
    if len(shadows) > len(subscriptions) or subscriptions - elsewhere or old_alone:
        raise OctoError(
            f"It polls {wish.shadow} as a Server ({', '.join(sorted({entry.thumbprint for entry in shadows}))}), so that cannot be the address of a "
            "shadow. Nothing was changed. Give the shadow (octopus_shadow) an address and port at which no Octopus Server is.",
            code="SHADOW_IS_SERVER",
        )


def _refuse_other_ways(wish: Wish, entries: Entries) -> None:
    """Whoever depends on a Server in a way that is not ours to change is left alone (decisions 3).

    A WebSocket entry pins the web certificate; one that pins what this task speaks of is an exception that nobody can judge.
    """
    ours = (LISTENING,) if wish.polling == REFUSE else (LISTENING, POLLING)
    others = [entry for entry in entries if entry.style not in ours]
    refused = [entry for entry in others if entry.style in (KUBERNETES, UNKNOWN) or any(means(entry, text) for text in wish.asked)]
    if wish.polling == REFUSE and len(others) == len(entries):
        refused = others  # without a listening entry, another one would be of no use to the Server meant
    if refused:
        styles = sorted({entry.style for entry in refused})
        raise OctoError(
            f"It is trusted in a way ({', '.join(styles)}) that this task recognises but does not change, so it was left as it is. "
            "A Server that it depends on must not be switched: leave this Tentacle behind by name, or change its trust by hand.",
            code="NOT_EXPANDABLE",
            styles=styles,
        )


def _refuse_unknown(wish: Wish, entries: Entries) -> None:
    unknown = [entry.thumbprint for entry in entries if not _is_named(entry, wish)]
    if unknown:
        raise OctoError(
            f"It also trusts {', '.join(unknown)}, which this task names neither in thumbprints nor in forget. Nothing was changed. "
            "Name each of them in one of the two.",
            code="UNKNOWN_PINS",
            unknown=unknown,
        )


def _with_wanted(wish: Wish, entries: Entries, listens: bool) -> Entries:
    result = entries
    if wish.successor and wish.twin_of:
        result = tuple(polling_entry(entry, wish.successor) if _polls(entry) and means(entry, wish.twin_of) else entry for entry in entries)
    wanted = [text for text in wish.thumbprints if not (wish.successor and text == wish.twin_of)]
    for thumbprint in wanted:
        result = _present_polling(result, thumbprint, _companions(wish, thumbprint))
    if any(entry.style == LISTENING for entry in entries) or (listens and not any(entry.style in (POLLING, WEBSOCKET) for entry in entries)):
        for thumbprint in wish.thumbprints:
            result = _present_listening(result, thumbprint)
    pinned = {entry.pin for entry in result if entry.style in (LISTENING, POLLING)}
    nowhere = [text for text in wanted if text not in pinned]
    if nowhere:
        raise _nowhere_to_stand(nowhere[0], wish, entries)
    _refuse_second_subscription(entries, result)
    return result


def _companions(wish: Wish, thumbprint: str) -> Set[str]:
    """Beside which pins ``thumbprint`` is to stand: the pair is looked for from both sides, since either may be the one that is missing."""
    if wish.twin_of is None:
        return set()
    return {wish.twin_of} if thumbprint != wish.twin_of else set(wish.thumbprints) - {thumbprint}


def _present_listening(entries: Entries, thumbprint: str) -> Entries:
    """``thumbprint`` exactly once without an address, in canonical spelling (decisions 28).

    What is not yet so goes to the end, as with the vendor's verb (golden/20-trust-05-add-a-lower).
    """
    mine = [entry for entry in entries if entry.style == LISTENING and means(entry, thumbprint)]
    if len(mine) == 1 and mine[0].thumbprint == thumbprint:
        return entries
    return (*(entry for entry in entries if entry not in mine), listening_entry(thumbprint))


def _present_polling(entries: Entries, thumbprint: str, companions: Iterable[str]) -> Entries:
    """``thumbprint`` exactly once at each place that it or a companion is pinned at, in the spelling that matches (decisions 28).

    What is there stays where it stands, as with ``update-trust``; what is new goes to the end, as with every verb that adds.
    """
    result: List[Entry] = []
    places: Set[Place] = set()
    for entry in entries:
        if _polls(entry) and means(entry, thumbprint):
            if entry.place in places:
                continue
            places.add(entry.place)
            entry = entry if entry.thumbprint == thumbprint else polling_entry(entry, thumbprint)
        result.append(entry)
    for entry in entries:
        if _polls(entry) and entry.place not in places and any(means(entry, text) for text in companions):
            places.add(entry.place)
            result.append(polling_entry(entry, thumbprint))
    return tuple(result)


def _refuse_second_subscription(before: Entries, after: Entries) -> None:
    """To the vendor a pin and an address are one entry, and of two its commands fail (tentacle-cli.md 2.5, 2.10): never because of us."""
    known = _subscriptions(before)
    for (thumbprint, address), subscriptions in _subscriptions(after).items():
        if len(subscriptions) > 1 and len(known.get((thumbprint, address), ())) < 2:
            raise OctoError(
                f"It polls {address} under several subscriptions ({', '.join(sorted(subscriptions))}), so {thumbprint} would stand there more than "
                "once, and the vendor's commands fail on that. Nothing was changed. Find out which subscription the Server knows (the address of "
                "its deployment target or worker), take the other entries out, restart the Tentacle, then run again.",
                code="TWO_SUBSCRIPTIONS",
            )


def _subscriptions(entries: Entries) -> Dict[Tuple[str, str], Set[str]]:
    """By what the vendor takes for the identity of an entry."""
    found: Dict[Tuple[str, str], Set[str]] = {}
    for entry in entries:
        if _polls(entry):
            found.setdefault((entry.thumbprint.strip().upper(), entry.place[0]), set()).add(entry.place[1])
    return found


def _nowhere_to_stand(thumbprint: str, wish: Wish, entries: Entries) -> OctoError:
    polled = sorted({entry.address or "" for entry in entries if entry.style in (POLLING, WEBSOCKET)})
    if not polled:
        what = "neither listens nor polls"
    elif wish.twin_of is None:
        what = f"only polls ({', '.join(polled)}), where a pin can but stand beside another one of the same Server; name that one with twin_of"
    else:
        what = f"only polls ({', '.join(polled)}), and expects neither {' nor '.join(sorted({wish.twin_of, *wish.thumbprints}))} there"
    return OctoError(
        f"It {what}, so {thumbprint} would let nobody in. Nothing was changed. A Server that it depends on must not be switched: leave this "
        "Tentacle behind by name, or change its trust by hand.",
        code="NOT_EXPANDABLE",
        styles=sorted({entry.style for entry in entries}),
    )


def _refuse_to_end_a_registration(entries: Entries, kept: Entries) -> None:
    """A place without a pin that can match is lost to its Server; to make it again takes the Server's help."""
    left = {entry.place for entry in kept if _polls(entry) and entry.pin}
    ended = [entry for entry in entries if _polls(entry) and entry not in kept and entry.place not in left]
    if ended:
        raise OctoError(
            f"Removing {', '.join(sorted({entry.thumbprint for entry in ended}))} would take the last usable entry with which it polls "
            f"{', '.join(sorted({entry.address or '' for entry in ended}))}, subscription id included. Nothing was changed. Add the pin that is to "
            "stay first (state=present with twin_of); a Tentacle that is not to poll any more is deregistered by the vendor's own verb.",
            code="LAST_ENTRY",
        )


def _is_named(entry: Entry, wish: Wish) -> bool:
    return any(means(entry, text) for text in wish.thumbprints) or any(_is_unwanted(entry, text) for text in wish.forget)


def _is_unwanted(entry: Entry, text: str) -> bool:
    """``text`` is a thumbprint, or for an entry that is none its exact spelling."""
    return entry.style in (LISTENING, POLLING) and (means(entry, text.upper()) or entry.thumbprint == text)


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


def _entry(raw: str, value: Any, blank: bool) -> Entry:
    fields = {str(name).lower(): field for name, field in value.items()} if isinstance(value, dict) else {}
    thumbprint = fields.get("thumbprint")
    if thumbprint is None and blank and isinstance(value, dict):
        thumbprint = ""
    if not isinstance(thumbprint, str) or not (thumbprint.strip() or blank):
        raise ValueError(f"an entry has no thumbprint: {raw[:120]}")
    address, subscription, squid = fields.get("address"), fields.get("subscriptionid"), fields.get("squid")
    if not subscription and squid:
        subscription = f"poll://{str(squid).lower()}/"
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
