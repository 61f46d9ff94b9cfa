# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Does a Tentacle accept a Server certificate? What wire, disk and process each say of it; nothing is concluded from what was not read."""

from __future__ import annotations

from typing import Iterable, List, NamedTuple, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import NOT_READ, Node
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import Estate, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import LISTENING, POLLING, Poll, TrustEntry

YES, NO, OPEN, SPOILED, UNKNOWN = "yes", "no", "open", "spoiled", "unknown"
TRUSTED, NOT_TRUSTED, PENDING, DISAGREE = "trusted", "not_trusted", "pending", "disagree"
RANDOM, NONE = "random", "none"
STARTED = "started"


class Said(NamedTuple):
    """What each source says of one Tentacle and one Server certificate."""

    wire: str = NOT_READ
    disk: str = NOT_READ
    process: str = NOT_READ

    @property
    def running(self) -> str:
        """What holds now: YES, NO, DISAGREE, or NOT_READ."""
        said = {source for source in (YES if self.wire == OPEN else self.wire, self.process) if source in (YES, NO)}
        return DISAGREE if len(said) > 1 else said.pop() if said else NOT_READ

    @property
    def later(self) -> str:
        """What will hold after a restart of the Tentacle."""
        return NO if self.disk == SPOILED else self.disk


def said(estate: Estate, subject: Subject, certificate: str) -> Said:
    nodes = [node for node in estate.facts.server.nodes if node.presented == certificate]
    if not nodes and certificate == estate.facts.server.database:
        nodes = list(estate.facts.server.nodes)  # where it will be presented
    return Said(_on_wire(subject, certificate), _on_disk(estate, subject, certificate, nodes), _in_process(estate, subject, certificate, nodes))


def state(subject: Subject, words: Said) -> str:
    """The cell of the matrix: one state for each way in which the sources agree or not."""
    running, later = words.running, words.later
    if DISAGREE in (running, later) or (running != later and NOT_READ not in (running, later) and is_settled(subject)):
        return DISAGREE
    if NOT_READ not in (running, later) and running != later:
        return PENDING
    return {YES: TRUSTED, NO: NOT_TRUSTED}.get(later if running == NOT_READ else running, NOT_READ)


def is_settled(subject: Subject) -> bool:
    """Whether the process is known to work with what the configuration says: nothing was changed since it started."""
    process = subject.process
    return process is not None and process.newer_than_process is False and process.restart_pending == "no"


def open_to(subject: Subject) -> List[str]:
    """Which of the two that nobody can know were let in."""
    return [caller for caller in (RANDOM, NONE) if subject.verdict(caller) == "accepted"]


def entries_at(estate: Estate, entries: Iterable[TrustEntry], node: Node) -> List[TrustEntry]:
    places = {estate.place(place) for place in node.places}
    return [entry for entry in entries if estate.place(entry.address or "") in places]


def elsewhere(estate: Estate, entries: Iterable[TrustEntry]) -> List[TrustEntry]:
    """Entries that poll where no node of ours is known to be, and not another known Server: a name that the inventory does not have."""
    others = estate.theirs - estate.ours
    return [entry for entry in entries if estate.place(entry.address or "") not in estate.node_places and entry.canonical not in others]


def as_read(spelled: str) -> str:
    """The thumbprint that a person sees in a pin, whatever else is in it."""
    return "".join(letter for letter in spelled.upper() if letter in "0123456789ABCDEF")


def is_spoiled(entry: TrustEntry, certificate: str) -> bool:
    """Whether somebody who reads the entry takes it for the certificate, and the vendor's program does not."""
    return (
        as_read(entry.spelled) == certificate and not (entry.canonical == certificate and entry.style == LISTENING) and entry.spelled != certificate
    )


def _on_wire(subject: Subject, certificate: str) -> str:
    if subject.edge.style != LISTENING:
        return NOT_READ
    verdict = subject.verdict(certificate)
    if verdict == "accepted":
        return OPEN if open_to(subject) else YES
    return {"": NOT_READ, "refused": NO}.get(verdict, UNKNOWN)


def _on_disk(estate: Estate, subject: Subject, certificate: str, nodes: Sequence[Node]) -> str:
    if subject.disk is None:
        return NOT_READ
    if subject.edge.style != POLLING:
        return _of_entries(subject.disk.trust, certificate, exact=False)
    if not nodes:  # another Server's, or nobody's: then it is what the whole process trusts that counts, as below
        return _of_entries(subject.disk.trust, certificate, exact=True)
    entries = subject.entries()
    found = [
        _of_entries(there, certificate, exact=True)
        for there in (entries_at(estate, entries, node) or elsewhere(estate, entries) for node in nodes)
        if there
    ]
    return next((word for word in (NO, SPOILED) if word in found), YES if found else NO)


def _of_entries(entries: Iterable[TrustEntry], certificate: str, exact: bool) -> str:
    """A polling Tentacle compares by character, one that listens ignores case (halibut-wire.md 1.3, measured-tentacle.md 9)."""
    entries = list(entries)
    if any((entry.spelled if exact and entry.style == POLLING else entry.canonical) == certificate for entry in entries):
        return YES
    return SPOILED if any(is_spoiled(entry, certificate) for entry in entries) else NO


def _in_process(estate: Estate, subject: Subject, certificate: str, nodes: Sequence[Node]) -> str:
    process = subject.process
    if process is None or process.pins_in_process is None:
        return NOT_READ
    if certificate not in process.pins_in_process:
        return NO
    if subject.edge.style != POLLING:
        return YES
    polls = [poll for poll in process.polls if subject.edge.subscription in (None, poll.subscription)]
    pinned = any(poll.pin == certificate for poll in polls)
    for node in nodes:
        places = {estate.place(place) for place in node.places}
        there = [poll for poll in polls if estate.place(poll.place) in places]
        if any(_took(poll, certificate) for poll in there):
            continue
        # With neither, the process has it of an entry that is on disk no more, and whose place is not told.
        if there and (pinned or any(poll.pin is None for poll in there)):
            return NO
    return YES


def _took(poll: Poll, certificate: str) -> bool:
    return poll.pin == certificate and (poll.seen is None or STARTED in poll.seen)


def twins_of(estate: Estate, subject: Subject, certificate: str) -> List[str]:
    """The certificate beside which a polling Tentacle could pin another: one of this Server, and all where it is not known which these are."""
    pins = sorted({entry.canonical for entry in subject.entries() if entry.canonical} - {certificate})
    return [pin for pin in pins if pin in estate.ours][:1] or pins


def is_last(subject: Subject, pin: str) -> bool:
    """Whether it is all with which the Tentacle polls some place: without it, that registration would be lost."""
    entries = [entry for entry in (subject.disk.trust if subject.disk else ()) if entry.style == POLLING]
    places = {(entry.address, entry.subscription) for entry in entries if entry.canonical == pin}
    return bool(places - {(entry.address, entry.subscription) for entry in entries if entry.canonical and entry.canonical != pin})
