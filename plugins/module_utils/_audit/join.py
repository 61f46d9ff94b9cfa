# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Who is who: records, instances and endpoints put together, one subject for each edge, with what each source said of it.

Records and instances are matched by subscription, by address and port, and by thumbprint, as a rotation matches them
(``_fleet.roster``). What does not match for certain stays apart and is named.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._audit import facts as audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.doubt import doubts
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import NOT_ASKED, NOT_READ, WAS_READ, AuditFacts, Node, Reading, Sight
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import (
    KUBERNETES,
    LISTENING,
    POLLING,
    UNKNOWN,
    WEBSOCKET,
    Edge,
    Instance,
    InventoryHost,
    Record,
    TrustEntry,
    Visit,
    address_of,
    is_called,
    names_of,
    place_of,
    split_address,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import Blocker, Roster, build_roster

_VENDORS_PORT = 10933
EMPTY = "empty"  # outcome of a visit that went well and met no instance, so that nothing is known of what a record says of the host
_STYLES = (LISTENING, POLLING, WEBSOCKET, KUBERNETES)  # another word, none or mixed, names no way to a Server


@dataclass(frozen=True)
class Subject:
    """One Tentacle as a Server reaches it, or what else has a record. ``instance`` is what its host told, whatever was asked."""

    name: str
    edge: Edge
    instance: Optional[Instance] = None
    sight: Optional[Sight] = None
    sources: Mapping[str, Reading] = field(default_factory=dict)

    def has(self, source: str) -> bool:
        return self.sources[source].ok

    def silence(self, source: str) -> str:
        """Why a source says nothing of it."""
        reading = self.sources[source]
        return f"{source}: {reading.reason or reading.state}"

    @property
    def records(self) -> Tuple[Record, ...]:
        return self.edge.records

    @property
    def disk(self) -> Optional[Instance]:
        return self.instance if self.has(audit.DISK) else None

    @property
    def process(self) -> Optional[Instance]:
        """What is said of the running process; None for one that does not run, too."""
        return self.instance if self.has(audit.PROCESS) and self.instance and self.instance.pid else None

    @property
    def presented(self) -> Optional[str]:
        return self.sight.presented.upper() if self.sight and self.sight.presented and self.sight.reading.ok else None

    @property
    def on_disk(self) -> Optional[str]:
        return self.disk.thumbprint if self.disk else None

    @property
    def recorded(self) -> FrozenSet[str]:
        return self.edge.recorded_thumbprints if self.has(audit.DATABASE) else frozenset()

    @property
    def is_tentacle(self) -> bool:
        return self.edge.style in (LISTENING, POLLING)

    def verdict(self, caller: str) -> str:
        return self.sight.verdicts.get(caller, "") if self.sight and self.sight.reading.ok else ""

    def entries(self) -> Tuple[TrustEntry, ...]:
        """The trust entries on disk with which it polls as this edge does."""
        return tuple(
            entry
            for entry in (self.disk.trust if self.disk else ())
            if entry.style == POLLING and (self.edge.subscription is None or entry.subscription == self.edge.subscription)
        )


def usual_endpoint(host: InventoryHost) -> str:
    """Where a Tentacle listens if nobody told otherwise: the vendor's port of the host."""
    return address_of(host.addresses[0] if host.addresses else host.name, _VENDORS_PORT)


def guessed(hosts: Iterable[InventoryHost], visits: Iterable[Visit], records: Iterable[Record], same_place: Mapping[str, str]) -> Dict[str, str]:
    """By host of which nothing but the inventory tells, no instance and no record of its address or name, its usual endpoint."""

    def place(name: str) -> str:
        return same_place.get(name.lower(), name.lower())

    read = {visit.host for visit in visits if visit.instances}
    recorded = [(record.name.lower(), record.address) for record in records]
    names = {name for name, _address in recorded}
    places = {place(split_address(address)[0]) for _name, address in recorded if address}
    return {
        host.name: usual_endpoint(host)
        for host in hosts
        if host.name not in read and not is_called(host.name, names) and places.isdisjoint(map(place, host.addresses or (host.name,)))
    }


class Estate:
    """All subjects of an audit, and what holds for all of them."""

    def __init__(self, facts: AuditFacts) -> None:
        self.facts = facts
        self._places: Dict[str, str] = {}
        self._sources: Dict[Tuple[Reading, ...], Mapping[str, Reading]] = {}  # most were read alike
        self._hosts = {host.name: host for host in facts.hosts}
        self.disputed = doubts(facts, self.place)
        self.presented = facts.server.presented - self.disputed.keys()
        self.ours = frozenset(self.presented | facts.callers | ({facts.server.database} if facts.server.database else frozenset()))
        self.theirs = frozenset(pin for server in facts.known or () for pin in server.presented)
        self.node_places = frozenset(self.place(place) for node in facts.server.nodes for place in node.places)
        self.visits: Dict[str, Visit] = {visit.host: visit for visit in self._without_doubles()}
        self.guesses = self._guesses() if audit.WIRE in facts.asked else {}
        self.roster = self._roster()
        self.ambiguous_names = frozenset(blocker.name for blocker in self.ambiguous())
        recorded = frozenset(record.name.lower() for record in facts.records)
        # Hosts that could not be read, and what no name says of where it is: each of the former may have one of the latter.
        empty = {host for host, visit in self.visits.items() if visit.outcome == EMPTY}
        self.unclaimed = frozenset(host for host, _why in self.roster.unvisited if not is_called(host, recorded)) - empty
        self.absent_names = frozenset(name for host, _why in self.roster.unvisited for name in names_of(host))
        self.floating = sum(1 for edge in self.roster.edges if edge.may_be_on and self.absent_names.isdisjoint(_names(edge)))
        self.subjects: Tuple[Subject, ...] = tuple(_unique(self._subjects()))
        self.shared = self._shared()
        self.confused_places = frozenset(
            address.lower() for host in facts.hosts for address in host.addresses if host.name in {host_ for host_, _file in self.shared}
        )

    @property
    def reads_hosts(self) -> bool:
        return bool(self.facts.asked & {audit.DISK, audit.PROCESS})

    def unread_nodes(self) -> List[str]:
        """Nodes of any known Server whose certificate is not known."""
        servers = (self.facts.server, *(self.facts.known or ()))
        unknown = [] if self.facts.server.nodes else [f"{self.facts.server.name}, of which no node is known"]
        return unknown + [
            f"{server.name} ({node.name})" for server in servers for node in server.nodes if not node.reading.ok and not self.is_left_over(node)
        ]

    def is_left_over(self, node: Node) -> bool:
        """Whether it is no node any more: the wire was asked for, and there was no reason to ask it."""
        return node.reading.state == NOT_ASKED and audit.WIRE in self.facts.asked

    def place(self, address: str) -> str:
        """One spelling for an address, however an entry or an inventory has it."""
        if address not in self._places:
            self._places[address] = self._canonical(address)
        return self._places[address]

    def _canonical(self, address: str) -> str:
        text = place_of(address).split("://", 1)[-1]
        try:
            host, port = split_address(text)
        except ValueError:
            return text
        return address_of(self.facts.same_place.get(host, host), port)

    def _shared(self) -> Dict[Tuple[str, str], Tuple[Subject, ...]]:
        """By host and configuration, running processes of several instances that the index gives one file: for one at least it names the wrong one."""
        groups: Dict[Tuple[str, str], Dict[int, Subject]] = {}
        for subject in self.subjects:
            if subject.disk and subject.process and not subject.edge.is_further:
                groups.setdefault((subject.edge.host, subject.disk.configuration), {}).setdefault(subject.process.pid, subject)
        return {file: tuple(group.values()) for file, group in groups.items() if len(group) > 1}

    def is_confused(self, subject: Subject) -> bool:
        """Whether what was read of its configuration may be another instance's."""
        return bool(subject.disk) and (subject.edge.host, subject.disk.configuration if subject.disk else "") in self.shared

    # -- the subjects

    def _roster(self) -> Roster:
        presented = {place: sight.presented for place, sight in self.facts.sights.items() if sight.presented and sight.reading.ok}
        return build_roster(
            self.facts.records,
            tuple(self.visits.values()) if self.reads_hosts else (),
            self.facts.hosts,
            ours=self.ours,
            presented=presented,
            same_place=self.facts.same_place,
        )

    def ambiguous(self) -> Tuple[Blocker, ...]:
        return tuple(blocker for blocker in self.roster.blockers if blocker.code == "AMBIGUOUS_MATCH")

    def _guesses(self) -> Dict[str, str]:
        """Without those who present a certificate that is known of elsewhere: a known Tentacle under another address, or its clone; nobody can tell."""
        facts = self.facts
        guesses = guessed(facts.hosts, facts.visits, facts.records, facts.same_place)
        places = frozenset(guesses.values())
        known = {record.thumbprint for record in facts.records} | {one.thumbprint for visit in facts.visits for one in visit.instances}
        known |= {sight.presented for place, sight in facts.sights.items() if place not in places}
        certificates = frozenset(certificate.upper() for certificate in known if certificate)
        seen = {place: sight.presented.upper() for place, sight in facts.sights.items() if sight.presented}
        return {host: place for host, place in guesses.items() if seen.get(place) not in certificates}

    def _subjects(self) -> Iterator[Subject]:
        instances = {
            instance.label: instance for visit in self.visits.values() for instance in visit.instances if self.reads_hosts and visit.outcome == "ok"
        }
        placed: Set[str] = set()
        met_hosts = {visit.host for visit in self.facts.visits if visit.instances}
        machines: Set[Tuple[str, ...]] = set()
        for edge in self.roster.edges:
            placed.add(edge.label)
            placed.update(f"{alias}/{edge.instance}" for alias in edge.also_known_as)
            met = instances.get(edge.label)
            machines.update(self._marks(met) if met else ())
            namesake = self._namesake(edge)
            met_hosts.add(namesake or edge.host)
            yield self._subject(replace(edge, host=namesake, instance="*") if namesake else edge, met)
        for label, instance in instances.items():
            marks = self._marks(instance)
            if label not in placed and not machines & marks:
                yield self._subject(self._edge_of(instance), instance)
            machines |= marks
        for record in self.roster.not_edges:
            yield self._subject(Edge("", "", record.style, records=(record,)), None)
        for host in self.facts.hosts:
            if host.name not in met_hosts and (self.reads_hosts or host.name in self.guesses):
                yield self._subject(Edge(host.name, "*", LISTENING, self.guesses.get(host.name)), None)

    def _namesake(self, edge: Edge) -> str:
        """The one host that has the record's name and could not be read: they are one row, though nobody could look whether it is there."""
        alone = self.reads_hosts and len(edge.may_be_on) == 1 and is_called(edge.may_be_on[0], _names(edge))
        return edge.may_be_on[0] if alone else ""

    def _marks(self, instance: Instance) -> Set[Tuple[str, ...]]:
        """What only one Tentacle has, under whichever inventory name: a process to the microsecond; if it is stopped, its file behind an address."""
        own = (instance.name, instance.configuration, instance.thumbprint or "")
        if instance.pid and instance.started_monotonic_us:
            return {(*own, str(instance.pid), str(instance.started_monotonic_us))}
        host = self._hosts.get(instance.host)
        return {(*own, self.facts.same_place.get(address.lower(), address.lower())) for address in (host.addresses if host else (instance.host,))}

    def _without_doubles(self) -> Iterator[Visit]:
        """A stopped Tentacle has no process by which to know it again under another inventory name, so it is left out there at once."""
        met: Set[Tuple[str, ...]] = set()
        for visit in self.facts.visits:
            doubles = {instance.label for instance in visit.instances if not instance.pid and self._marks(instance) & met}
            if visit.outcome == "ok" and not visit.instances:
                visit = replace(visit, outcome=EMPTY, reason="it has no Tentacle instance in its index")
            yield replace(visit, instances=tuple(one for one in visit.instances if one.label not in doubles)) if doubles else visit
            for instance in visit.instances:
                met |= set() if instance.pid else self._marks(instance)

    def _edge_of(self, instance: Instance) -> Edge:
        """Of an instance that is no edge of this Server: another Server's, or one that polls over a WebSocket."""
        style = LISTENING if instance.listens else instance.communication if instance.communication in _STYLES else UNKNOWN
        if any(entry.style == WEBSOCKET for entry in instance.trust) and not instance.pins() & self.ours:
            style = WEBSOCKET
        host = self._hosts.get(instance.host)
        place = instance.ip or (host.addresses[0] if host and host.addresses else instance.host)
        endpoint = address_of(place, instance.port) if instance.listens and instance.port else None
        subscriptions = sorted({entry.subscription for entry in instance.trust if entry.subscription})
        records = tuple(
            record for record in self.facts.records if style == WEBSOCKET and record.subscription and record.subscription in subscriptions
        )
        polled = subscriptions[0] if style != LISTENING and subscriptions else None
        return Edge(instance.host, instance.name, style, endpoint, polled, instance.thumbprint, records)

    def _subject(self, edge: Edge, instance: Optional[Instance]) -> Subject:
        sight = self.facts.sights.get(edge.endpoint or "")
        read = (self._wire(edge, sight), self._disk(edge, instance), self._database(edge), self._process(edge, instance))
        sources = self._sources.setdefault(read, dict(zip(audit.SOURCES, read)))
        return Subject(edge.name, edge, instance, sight, sources)

    def _wire(self, edge: Edge, sight: Optional[Sight]) -> Reading:
        whole = self.facts.reading_of(audit.WIRE)
        if not whole.ok:
            return whole
        if edge.style == POLLING:  # nobody can call it; what there is to see is what the nodes present to it
            nodes = self.facts.server.nodes
            unread = [f"{node.name}: {node.reading.reason}" for node in nodes if not node.reading.ok]
            return WAS_READ if len(unread) < len(nodes) else Reading(NOT_READ, "; ".join(unread) or "no node of the Server is known")
        if edge.style != LISTENING:
            return Reading(NOT_ASKED, f"nothing to connect to ({edge.style})")
        if edge.endpoint is None:
            return Reading(NOT_READ, "its address is not known")
        return sight.reading if sight else Reading(NOT_READ, "it was not probed")

    def _disk(self, edge: Edge, instance: Optional[Instance]) -> Reading:
        whole = self.facts.reading_of(audit.DISK)
        if not whole.ok:
            return whole
        if instance is None:
            return self._absent(edge)
        return WAS_READ if instance.readable else Reading(NOT_READ, instance.reason or instance.code)

    def _process(self, edge: Edge, instance: Optional[Instance]) -> Reading:
        whole = self.facts.reading_of(audit.PROCESS)
        if not whole.ok:
            return whole
        if instance is None:
            return self._absent(edge)
        unknown = next((sentence for code, sentence in instance.unready if code == "SERVICE_UNKNOWN"), "")
        if not instance.readable:
            return Reading(NOT_READ, instance.reason or instance.code)
        return Reading(NOT_READ, unknown) if unknown and not instance.pid else WAS_READ

    def _absent(self, edge: Edge) -> Reading:
        if not (edge.style in (LISTENING, POLLING, WEBSOCKET) or edge.host):
            return Reading(NOT_ASKED, f"nothing to read on a host ({edge.style})")
        visit = self.visits.get(edge.host)
        if edge.host:
            return Reading(NOT_READ, (visit.reason if visit else "") or "not visited")
        if edge.may_be_on:
            return Reading(NOT_READ, f"on no host that was read; it may be on {some(edge.may_be_on)}")
        return Reading(NOT_READ, "on no host of the inventory")

    def _database(self, edge: Edge) -> Reading:
        whole = self.facts.reading_of(audit.DATABASE)
        if not whole.ok or edge.records:
            return whole
        unseen = [space for space, _why in self.facts.unseen_spaces]
        return Reading(NOT_READ, f"in no record of the spaces that were read; not read: {some(unseen)}") if unseen else whole


def _names(edge: Edge) -> FrozenSet[str]:
    return frozenset(record.name.lower() for record in edge.records)


def _unique(subjects: Iterator[Subject]) -> List[Subject]:
    """By name, each name once: records of two spaces may have the same."""
    found = sorted(subjects, key=lambda subject: (subject.name.lower(), subject.edge.identity))
    names = [subject.name for subject in found]
    taken: Dict[str, int] = {}
    for name in names:
        taken[name] = taken.get(name, 0) + 1
    return [replace(subject, name=f"{subject.name} ({subject.edge.identity})") if taken[subject.name] > 1 else subject for subject in found]
