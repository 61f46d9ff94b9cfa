# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Findings about trust: whom a Tentacle lets in, now and after its next restart."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import facts as audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import pins
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import Estate, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import Fine, Found, SubjectRule, Unjudged, Verdict, disk_unread
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import LISTENING, POLLING, WEBSOCKET, TrustEntry
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some

# Remedies where the code's would be refused (LAST_ENTRY, NOT_EXPANDABLE), or needs what only a person knows.
_LAST_GHOST = (
    "If nobody answers for it: with no other pin does {name} poll that Server, so end the registration with the vendor's own verb "
    "(Tentacle deregister-from --instance={instance}) and remove the entry from {configuration} by hand, or let it trust the Server's present "
    "certificate first (octofleet.octopus.octo_trust state=present twin_of={certificate}); else name its Server in octopus_known_servers."
)
_OF_A_RETIRED = "Do not let it trust {certificate}, which is retired: give the Server or its node the present certificate first (see OLD_KEY_IN_USE)."
_WHILE_THEY_DIFFER = (
    "First find out which certificate is right (see SOURCES_DISAGREE), since the database has another: restart a node that was left behind; let {name} "
    "trust {certificate} only if that is this Server's (octofleet.octopus.octo_trust state=present)."
)
_BY_HAND = "Correct the entry in {configuration} by hand, or remove it, and restart the Tentacle: no command finds it by a thumbprint."


def _locked_out(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if not subject.is_tentacle or belongs(estate, subject) is False:
        return
    presented = sorted(estate.presented)
    if estate.disputed:
        yield Unjudged(_dispute(estate))
    elif not presented:
        yield Unjudged("no node of the Server was seen on the wire")
    for certificate in presented:
        words = pins.said(estate, subject, certificate)
        seen = [
            text
            for text in (
                f"refused on the wire at {subject.edge.endpoint}" if words.wire == pins.NO else "",
                f"not among what its process {_pid(subject)} trusts" if words.process == pins.NO else "",
            )
            if text
        ]
        if words.wire == pins.NO or (words.wire not in (pins.YES, pins.OPEN) and words.process == pins.NO):
            missing = _unasked(estate, subject)
            if missing:
                yield Unjudged(missing)
                continue
            yield Found(
                f"{subject.name} does not accept {certificate}, presented by {_who(estate, certificate)}: {' and '.join(seen)}.",
                _values(estate, subject, certificate),
                certificate,
                (subject,),
                remedy=_unless_sure(estate, certificate),
            )
        elif words.running == audit.NOT_READ:
            yield Unjudged(_why_not_running(estate, subject))
        else:
            yield Fine()


def _locked_out_after_restart(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if not subject.is_tentacle or belongs(estate, subject) is False:
        return
    wanted = _wanted(estate)
    if estate.disputed:
        yield Unjudged(_dispute(estate))
    if not wanted:
        if not estate.disputed:
            yield Unjudged("the Server's certificate is not known: no node was seen on the wire, and REST was not read")
    elif subject.disk is None:
        yield Unjudged(subject.silence(audit.DISK))
    elif _unasked(estate, subject):
        yield Unjudged(_unasked(estate, subject))
    else:
        for certificate in wanted:
            later = pins.said(estate, subject, certificate).disk
            if later == pins.YES:
                yield Fine()
                continue
            how = "has it spelled so that it never matches" if later == pins.SPOILED else "does not have it"
            yield Found(
                f"{certificate} is presented by {_who(estate, certificate)}, and the configuration of {subject.name} {how}; it has "
                f"{_pins(subject.disk.trust)}.",
                _values(estate, subject, certificate),
                certificate,
                (subject,),
                remedy=_unless_sure(estate, certificate),
            )


def _unchecked_trust(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.edge.style != LISTENING:
        return
    let_in = pins.open_to(subject)
    if let_in:
        names = {pins.RANDOM: "a certificate made for this audit", pins.NONE: "no certificate at all"}
        who = " and ".join(names[caller] for caller in let_in)
        yield Found(f"{subject.edge.endpoint} accepted {who}.", {}, "", (subject,))
    elif not estate.facts.callers:
        yield Unjudged("no Server PFX was given")
    elif not subject.has(audit.WIRE):
        yield Unjudged(subject.silence(audit.WIRE))
    elif any(subject.verdict(caller) not in ("refused", "unproven") for caller in (pins.RANDOM, pins.NONE)):
        yield Unjudged("a certificate made for this audit, or none, got no clear answer")
    else:
        yield Fine()


def _ghost_pin(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.disk is None:
        yield from disk_unread(subject)
        return
    unknown = sorted({entry.canonical for entry in subject.disk.trust if entry.canonical and entry.style != WEBSOCKET} - estate.ours - estate.theirs)
    if estate.facts.known is None:
        yield Unjudged("octopus_known_servers is not given")
    elif not unknown:
        yield Fine()
    elif estate.disputed and (not estate.ours or not estate.disputed.keys().isdisjoint(unknown)):
        yield Unjudged(_dispute(estate))
    elif audit.WIRE not in estate.facts.asked:
        yield Unjudged("what the Servers present was not read: the wire was not asked for")
    elif estate.unread_nodes():
        yield Unjudged(f"not all known Servers could be read: {some(estate.unread_nodes())}")
    else:
        for pin in unknown:
            retired = ", a retired certificate" if pin in (estate.facts.retired or ()) else ""
            seen = f"{subject.name} trusts {pin}{retired}, which no known Server presents."
            yield Found(seen, {"certificate": pin}, pin, (subject,), remedy=_LAST_GHOST if pins.is_last(subject, pin) else "")


def _missing_node(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.edge.style != POLLING or belongs(estate, subject) is False:
        return
    if subject.disk is None:
        yield Unjudged(subject.silence(audit.DISK))
        return
    entries = subject.entries()
    unplaced = pins.elsewhere(estate, entries)
    for node in estate.facts.server.nodes:
        if estate.is_left_over(node):
            continue
        if not node.places:
            yield Unjudged(f"the address of {node.name} is not known")
        elif pins.entries_at(estate, entries, node):
            yield Fine()
        elif unplaced:
            yield Unjudged(f"it polls {_places(unplaced)}, which is the known address of no node (octopus_node_endpoint)")
        else:
            seen = f"{subject.name} has no entry for {node.name} at {node.address}; it polls {_places(entries)}."
            yield Found(seen, {"node": node.name, "endpoint": str(node.address)}, node.name, (subject,))


def _duplicate_entry(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.disk is None:
        yield from disk_unread(subject)
        return
    met: Dict[Tuple[str, str, Optional[str], str], int] = {}
    for entry in subject.disk.trust:
        if entry.canonical:
            place = (entry.style, (entry.address or "").lower().rstrip("/"), entry.subscription, entry.canonical)
            met[place] = met.get(place, 0) + 1
    twice = sorted({(pin, address) for (_style, address, _subscription, pin), count in met.items() if count > 1})
    for pin, address in twice:
        where = f" for {address}" if address else ""
        yield Found(f"{subject.name} has {pin} more than once{where}.", {"certificate": pin}, f"{pin} {address}", (subject,))
    if not twice:
        yield Fine()


def _non_canonical(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.disk is None:
        yield from disk_unread(subject)
        return
    odd = {entry.spelled: entry for entry in subject.disk.trust if entry.spelled.strip() and entry.spelled != entry.canonical}
    for spelled, entry in sorted(odd.items()):
        matches = "matches while it listens, and never when polling" if entry.canonical and entry.style == LISTENING else "never matches"
        yield Found(
            f"{subject.name} has the pin {spelled!a}, which {matches}.",
            {"certificate": pins.as_read(spelled)},
            spelled,
            (subject,),
            remedy="" if _can_be_spelled_anew(entry) else _BY_HAND,
        )
    if not odd:
        yield Fine()


def _blank_pin(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.disk is None:
        yield from disk_unread(subject)
        return
    blank = [entry for entry in subject.disk.trust if not entry.spelled.strip()]
    if not blank:
        yield Fine()
        return
    where = [entry.address for entry in blank if entry.address]
    yield Found(f"{subject.name} has an entry without a thumbprint{' for ' + ', '.join(where) if where else ''}.", {}, "", (subject,))


def _wss_pin(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.disk is None:
        yield from disk_unread(subject)
        return
    entries = [entry for entry in subject.disk.trust if entry.style == WEBSOCKET]
    if not entries:
        yield Fine()
        return
    yield Found(f"{subject.name} pins {_pins(entries)} at {_places(entries)}, where the web certificate is presented.", {}, "", (subject,))


RULES: Dict[str, SubjectRule] = {
    "LOCKED_OUT": _locked_out,
    "LOCKED_OUT_AFTER_RESTART": _locked_out_after_restart,
    "UNCHECKED_TRUST": _unchecked_trust,
    "GHOST_PIN": _ghost_pin,
    "MISSING_NODE": _missing_node,
    "DUPLICATE_ENTRY": _duplicate_entry,
    "NON_CANONICAL": _non_canonical,
    "BLANK_PIN": _blank_pin,
    "WSS_PIN": _wss_pin,
}


def lost_by_a_restart(estate: Estate, subject: Subject) -> List[str]:
    """Certificates of this Server that the running process lets in, as far as is known, and the configuration does not."""
    if subject.disk is None or not belongs(estate, subject):
        return []
    wanted = ({*_wanted(estate)} | estate.facts.server.presented) - (estate.facts.retired or frozenset())
    said = {certificate: pins.said(estate, subject, certificate) for certificate in sorted(wanted)}
    return [certificate for certificate, words in said.items() if words.disk != pins.YES and words.running != pins.NO]


def _wanted(estate: Estate) -> List[str]:
    """What this Server presents, or will present."""
    database = estate.facts.server.database
    return sorted(estate.presented | ({database} if database else frozenset()))


def _unless_sure(estate: Estate, certificate: str) -> str:
    """A remedy that does not spread a certificate that is retired, or not the one that the database has."""
    database = estate.facts.server.database
    if certificate in (estate.facts.retired or ()):
        return _OF_A_RETIRED
    return "" if database in (None, certificate) or certificate in estate.facts.callers else _WHILE_THEY_DIFFER


def belongs(estate: Estate, subject: Subject) -> Optional[bool]:
    """Whether the Tentacle is this Server's, by its records and by whom it trusts; None where nothing that was read says so."""
    if subject.records:
        return True
    instance = subject.disk or subject.process
    trusted = (instance.pins() if subject.disk else instance.pins_in_process or frozenset()) if instance else frozenset()
    if trusted & estate.ours:
        return True
    if trusted & estate.theirs or subject.has(audit.DATABASE):
        return False
    return True if trusted and estate.facts.known is not None and not estate.unread_nodes() else None


def _dispute(estate: Estate) -> str:
    return "; ".join(f"a node's place presents {certificate}, which {why}" for certificate, why in estate.disputed.items())


def _unasked(estate: Estate, subject: Subject) -> str:
    """Why a Tentacle that refuses this Server may well be right to do so."""
    if belongs(estate, subject) is not None:
        return ""
    return "neither a record nor its trust says that it is this Server's"


def _why_not_running(estate: Estate, subject: Subject) -> str:
    if not subject.has(audit.WIRE) and subject.edge.style == LISTENING:
        wire = subject.silence(audit.WIRE)
    elif subject.edge.style == POLLING:
        wire = "nobody can call a Tentacle that polls"
    else:
        wire = "no Server PFX was given" if not estate.facts.callers else "the wire gave no clear answer"
    process = subject.process
    if process is not None:
        return f"{wire}; process: its log does not name the pins that it started with"
    return f"{wire}; {subject.silence(audit.PROCESS) if not subject.has(audit.PROCESS) else 'process: it does not run'}"


def _values(estate: Estate, subject: Subject, certificate: str) -> Dict[str, str]:
    twins = pins.twins_of(estate, subject, certificate) if subject.edge.style == POLLING else []
    which = " (whichever is of this Server)" if len(twins) > 1 else ""
    return {"certificate": certificate, "twin": f" twin_of={' or '.join(twins)}{which}" if twins else ""}


def _can_be_spelled_anew(entry: TrustEntry) -> bool:
    return entry.style in (LISTENING, POLLING) and _thumbprint.is_canonical(pins.as_read(entry.spelled))


def _who(estate: Estate, certificate: str) -> str:
    names = [node.name for node in estate.facts.server.nodes if node.presented == certificate]
    return some(names) if names else "each node from its next restart (by the Server's database)"


def _pins(entries: Sequence[TrustEntry]) -> str:
    return some(sorted({entry.spelled or "(blank)" for entry in entries})) or "nobody"


def _places(entries: Sequence[TrustEntry]) -> str:
    return some(sorted({entry.address or "(no address)" for entry in entries})) or "nobody"


def _pid(subject: Subject) -> str:
    return str(subject.instance.pid) if subject.instance else ""
