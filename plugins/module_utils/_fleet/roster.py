# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The roster: the union of what the Server has on record and what the inventory's hosts hold, as edges (decisions 3, 9, 17).

A record and an instance are one edge when thumbprint *and* endpoint agree; failing that, when the certificate presented at
the record's address is the instance's and neither of the two could be meant by anything else. What stays ambiguous blocks.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Callable, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import (
    KUBERNETES,
    LISTENING,
    NO_TENTACLE,
    POLLING,
    UNKNOWN,
    WEBSOCKET,
    Edge,
    Instance,
    InventoryHost,
    Record,
    Visit,
    address_of,
    names_of,
    split_address,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some

OVERLAP, REPLACE, REFUSE = "overlap", "replace", "refuse"  # octopus_polling_strategy

_NOT_EXPANDABLE = {
    POLLING: "it polls the Server, and octopus_polling_strategy=refuse keeps this rotation from changing its trust",
    WEBSOCKET: "it polls over a WebSocket and pins the certificate to be retired, where the Server presents its web certificate",
    KUBERNETES: "Kubernetes: the agent pins the Server certificate, and its trust is not on a host of the inventory",
    UNKNOWN: "its communication style is not known to this collection",
}


@dataclass(frozen=True)
class Blocker:
    """A named finding of the roster: its code, the object, what was seen, what to do."""

    code: str
    name: str
    seen: str
    remedy: str


@dataclass(frozen=True)
class Roster:
    edges: Tuple[Edge, ...]
    blockers: Tuple[Blocker, ...] = ()
    notes: Tuple[Blocker, ...] = ()
    unvisited: Tuple[Tuple[str, str], ...] = ()  # (inventory host, why)
    not_edges: Tuple[Record, ...] = ()  # SSH targets, cloud regions and others that know no Tentacle
    strangers: Tuple[str, ...] = ()  # instances that trust neither certificate and are in no record: another Server's

    def digest(self) -> str:
        """What a plan and a permit name the roster by; equal for the same edges in any order."""
        rows = sorted([edge.identity, edge.name, edge.style, sorted(record.id for record in edge.records)] for edge in self.edges)
        return hashlib.sha256(json.dumps(rows).encode("utf-8")).hexdigest()[:16]

    def identities(self) -> FrozenSet[str]:
        return frozenset(edge.identity for edge in self.edges)

    def endpoints(self) -> Tuple[str, ...]:
        """The addresses to probe: those of the records, and of Tentacles that only the inventory knows."""
        return tuple(sorted({edge.endpoint for edge in self.edges if edge.endpoint}))


def why_not_expandable(style: str, polling: str = OVERLAP) -> Optional[str]:
    """The reason why an edge of this style cannot be made to trust another certificate; None if it can (decision 3)."""
    if style == LISTENING or (style == POLLING and polling != REFUSE):
        return None
    return _NOT_EXPANDABLE.get(style, _NOT_EXPANDABLE[UNKNOWN])


def build_roster(
    records: Iterable[Record],
    visits: Iterable[Visit],
    hosts: Sequence[InventoryHost],
    *,
    ours: FrozenSet[str],
    presented: Optional[Mapping[str, str]] = None,
    same_place: Optional[Mapping[str, str]] = None,
) -> Roster:
    """The roster of one Server.

    ``ours``: the certificates of this rotation. ``presented``: by endpoint, what the wire showed. ``same_place``: for a host
    name its canonical address, where somebody resolved it, so that two spellings of one place meet.
    """
    all_records = tuple(records)
    all_visits = tuple(visits)
    matcher = _Matcher(hosts, all_visits, ours, presented or {}, same_place or {})
    for site in _sites(record for record in all_records if record.style != NO_TENTACLE):
        matcher.take(site)
    return replace(matcher.roster(), not_edges=tuple(record for record in all_records if record.style == NO_TENTACLE))


@dataclass(frozen=True)
class _Site:
    """The records that share one endpoint or subscription: an edge as the Server sees it."""

    records: Tuple[Record, ...]

    @property
    def style(self) -> str:
        return self.records[0].style

    @property
    def endpoint(self) -> Optional[str]:
        return self.records[0].address if self.style == LISTENING else None

    @property
    def subscription(self) -> Optional[str]:
        return self.records[0].subscription

    @property
    def label(self) -> str:
        return self.records[0].label

    def thumbprints(self) -> FrozenSet[str]:
        return frozenset(record.thumbprint.upper() for record in self.records if record.thumbprint)


def _sites(records: Iterable[Record]) -> List[_Site]:
    groups: Dict[Tuple[str, str], List[Record]] = {}
    for record in records:
        groups.setdefault((record.style, record.address or record.subscription or f"{record.space} {record.id}"), []).append(record)
    return [_Site(tuple(group)) for group in groups.values()]


class _Way(NamedTuple):
    """How an instance that no record names meets the Server."""

    style: str
    endpoint: Optional[str] = None
    subscription: Optional[str] = None


class _Matcher:
    """Puts sites and instances together in three passes, the most certain first; each pass only takes what is unique in it."""

    def __init__(
        self,
        hosts: Sequence[InventoryHost],
        visits: Sequence[Visit],
        ours: FrozenSet[str],
        presented: Mapping[str, str],
        same_place: Mapping[str, str],
    ) -> None:
        self._hosts = hosts
        self._ours = ours
        self._presented = {endpoint: thumbprint.upper() for endpoint, thumbprint in presented.items()}
        self._same_place = same_place
        self._addresses = {host.name: tuple(host.addresses) or (host.name,) for host in hosts}
        by_host = {visit.host: visit for visit in visits}
        self._unvisited = tuple(
            (host.name, by_host[host.name].reason if host.name in by_host else "not visited yet")
            for host in hosts
            if host.name not in by_host or by_host[host.name].outcome != "ok"
        )
        self._machines = _machines([instance for host in hosts if host.name in by_host for instance in by_host[host.name].instances])
        self._index()
        self._sites: List[_Site] = []
        self._found: Dict[int, Instance] = {}  # position of the site -> its instance
        self._taken_at: Tuple[int, FrozenSet[str]] = (0, frozenset())
        self._blockers: List[Blocker] = []
        self._notes: List[Blocker] = []

    def _index(self) -> None:
        """By what the passes look for, so that 5,000 records do not each walk past 5,000 machines."""
        self._listening_at: Dict[Tuple[str, int], List[Instance]] = {}
        self._torn_at: Dict[str, List[Instance]] = {}
        self._holding: Dict[str, List[Instance]] = {}
        self._polling_as: Dict[str, List[Instance]] = {}
        for machine in self._machines:
            for place in self._places(machine):
                if machine.listens and machine.port:
                    self._listening_at.setdefault((place, machine.port), []).append(machine)
                elif not machine.readable:
                    self._torn_at.setdefault(place, []).append(machine)
            if machine.thumbprint:
                self._holding.setdefault(machine.thumbprint, []).append(machine)
            for subscription in {entry.subscription for entry in machine.trust if entry.subscription}:
                self._polling_as.setdefault(subscription, []).append(machine)
        self._absent = tuple(host for host, _why in self._unvisited)
        self._absent_in: Dict[str, List[str]] = {}
        self._absent_called: Dict[str, List[int]] = {}  # positions in the inventory
        for position, host in enumerate(self._absent):
            for place in {self._place(name) for name in self._addresses[host]}:
                self._absent_in.setdefault(place, []).append(host)
            for name in names_of(host):
                self._absent_called.setdefault(name, []).append(position)

    def take(self, site: _Site) -> None:
        self._sites.append(site)

    def roster(self) -> Roster:
        self._pass(self._by_subscription, several=True)
        self._pass(self._by_endpoint_and_thumbprint, several=True)
        self._pass(self._by_wire)
        self._pass(self._by_endpoint)
        of_sites = self._edges_of_sites()
        edges = of_sites + self._edges_of_instances(of_sites)
        strangers = tuple(instance.label for instance in self._machines if self._is_stranger(instance))
        self._remark_twins(edges)
        return Roster(edges, tuple(self._blockers), tuple(self._notes), self._unvisited, strangers=strangers)

    # -- the passes

    def _pass(self, candidates: Callable[[_Site], List[Instance]], several: bool = False) -> None:
        """Match each open site that has one candidate; unless ``several``, only if the candidate is nobody else's, open or matched."""
        offers = {place: candidates(site) for place, site in enumerate(self._sites) if place not in self._found}
        claims: Dict[str, int] = {}
        for found in offers.values():
            for instance in found:
                claims[instance.label] = claims.get(instance.label, 0) + 1
        for place, found in offers.items():
            if len(found) == 1 and (several or claims[found[0].label] == 1):
                self._found[place] = found[0]

    def _by_subscription(self, site: _Site) -> List[Instance]:
        return self._polling_as.get(site.subscription or "", [])

    def _by_endpoint_and_thumbprint(self, site: _Site) -> List[Instance]:
        known = site.thumbprints() | {self._presented.get(site.endpoint or "", "")}
        return [machine for machine in self._at(site) if machine.thumbprint in known]

    def _by_wire(self, site: _Site) -> List[Instance]:
        """The only machine that holds the certificate seen (or recorded, if nothing was seen) at the address, unless it is taken."""
        holders = [machine for machine in self._holders(site) if machine.listens] if site.endpoint else []
        return holders if len(holders) == 1 and holders[0].label not in self._taken() else []

    def _by_endpoint(self, site: _Site) -> List[Instance]:
        """An instance at the very address that is torn, or whose certificate differs from the record: the record is stale."""
        if site.endpoint is None:
            return []
        there = self._at(site) or self._torn_at.get(self._place(split_address(site.endpoint)[0]), [])
        return [machine for machine in there if machine.label not in self._taken()]

    def _at(self, site: _Site) -> List[Instance]:
        if site.endpoint is None:
            return []
        host, port = split_address(site.endpoint)
        return self._listening_at.get((self._place(host), port), [])

    def _holders(self, site: _Site) -> List[Instance]:
        seen = self._presented.get(site.endpoint or "")
        return [machine for thumbprint in ({seen} if seen else site.thumbprints()) for machine in self._holding.get(thumbprint, [])]

    def _taken(self) -> FrozenSet[str]:
        """Labels of the instances that have a site; computed once a pass."""
        if len(self._found) != self._taken_at[0]:
            self._taken_at = (len(self._found), frozenset(instance.label for instance in self._found.values()))
        return self._taken_at[1]

    def _place(self, host: str) -> str:
        return self._same_place.get(host.lower(), host.lower())

    def _places(self, machine: Instance) -> FrozenSet[str]:
        names = self._addresses[machine.host] + ((machine.ip,) if machine.ip else ())
        return frozenset(self._place(name) for name in names)

    # -- the edges

    def _edges_of_sites(self) -> Tuple[Edge, ...]:
        edges: List[Edge] = []
        seen: Set[str] = set()
        for place, site in enumerate(self._sites):
            edge = self._matched(site, self._found[place]) if place in self._found else self._unmatched(site)
            if edge is None:
                continue
            edge = replace(edge, is_further=bool(edge.host) and edge.label in seen)
            seen.add(edge.label)
            edges.append(edge)
            if len(site.records) > 1:
                labels = ", ".join(record.label for record in site.records)
                self._notes.append(Blocker("SEVERAL_RECORDS", edge.name, f"{labels} are one Tentacle", "All of them are checked after the switch."))
        return tuple(edges)

    def _matched(self, site: _Site, instance: Instance) -> Optional[Edge]:
        style = self._style(site, instance)
        if style == WEBSOCKET and not instance.pins() & self._ours:
            seen = "it polls over a WebSocket and pins the web certificate, which this rotation does not touch"
            self._notes.append(Blocker("WSS_PIN", instance.label, seen, "Nothing to do."))
            return None
        aliases = self._machines[instance]
        return Edge(instance.host, instance.name, style, site.endpoint, site.subscription, instance.thumbprint, site.records, aliases)

    def _style(self, site: _Site, instance: Instance) -> str:
        """A Tentacle that listens to this Server may poll another; it is the entries with our pins that count."""
        ways = {entry.style for entry in instance.trust if entry.canonical in self._ours}
        if site.style == POLLING and any(entry.subscription == site.subscription and entry.style == WEBSOCKET for entry in instance.trust):
            return WEBSOCKET
        unknown = sorted(ways - {LISTENING, POLLING})
        return unknown[0] if unknown else site.style

    def _unmatched(self, site: _Site) -> Edge:
        if site.style not in (LISTENING, POLLING):
            return Edge("", "", site.style, records=site.records)
        absent = self._absent_at(site)
        if len(absent) == 1:
            return Edge(absent[0], "*", site.style, site.endpoint, site.subscription, records=site.records)
        self._blockers.append(self._why_unmatched(site))
        return Edge("", "", site.style, site.endpoint, site.subscription, records=site.records, may_be_on=tuple(absent) or self._absent_like(site))

    def _absent_at(self, site: _Site) -> List[str]:
        if site.endpoint is None:
            return []
        return self._absent_in.get(self._place(split_address(site.endpoint)[0]), [])

    def _absent_like(self, site: _Site) -> Tuple[str, ...]:
        """Those that have the name of the record, with or without a domain; where none has, it may be any of them."""
        called = {position for record in site.records for position in self._absent_called.get(record.name.lower(), ())}
        return tuple(self._absent[position] for position in sorted(called)) or self._absent  # one tuple for thousands of edges

    def _why_unmatched(self, site: _Site) -> Blocker:
        where = site.endpoint or f"subscription {site.subscription}"
        candidates = self._by_subscription(site) if site.subscription else self._holders(site)
        holders = [machine.label for machine in candidates]
        if holders:
            seen = f"{site.label} at {where} could be {', '.join(holders)} by its certificate, but which one is not certain by the address"
            return Blocker(
                "AMBIGUOUS_MATCH",
                site.records[0].name,
                seen,
                "If it is one of them, give that host the record's address in octopus_addresses; if it is a clone, add its host to the inventory.",
            )
        also = f"; it may be on a host that was not visited ({some(self._absent)})" if self._absent else ""
        return Blocker(
            "UNMANAGED_TENTACLE",
            site.records[0].name,
            f"{site.label} at {where} is on no host of the inventory{also}",
            "Add its host to the group octopus_tentacles, delete the record if the machine is gone, or leave it behind with a reason.",
        )

    def _edges_of_instances(self, of_sites: Sequence[Edge]) -> Tuple[Edge, ...]:
        """The ways of instances that no record names, if they trust a certificate of this rotation (decision 17).

        An instance with a record may poll the same Server under a subscription that no record has.
        """
        polled = {(edge.label, edge.subscription) for edge in of_sites if edge.style == POLLING}
        edges: List[Edge] = []
        for instance in self._machines:
            if self._is_stranger(instance):
                continue
            taken = instance.label in self._taken()
            ways = [
                way for way in self._ways(instance) if (way.style == POLLING if taken else True) and (instance.label, way.subscription) not in polled
            ]
            for way in ways:
                further = taken or way != ways[0]
                aliases = self._machines[instance]
                edges.append(Edge(instance.host, instance.name, way.style, way.endpoint, way.subscription, instance.thumbprint, (), aliases, further))
            if ways:
                seen = f"it trusts the Server and is in no record that the API key sees{' with that subscription' if taken else ''}"
                remedy = "It is rotated too, by what is seen of it; register it or remove it."
                self._notes.append(Blocker("ORPHAN_TENTACLE", instance.label, seen, remedy))
        return tuple(edges)

    def _ways(self, instance: Instance) -> List[_Way]:
        """How an instance meets this Server, by its trust."""
        mine = [entry for entry in instance.trust if entry.canonical in self._ours]
        strange = sorted({entry.style for entry in mine} - {LISTENING, POLLING})
        if strange:
            return [_Way(strange[0])]
        ways = [_Way(POLLING, None, subscription) for subscription in sorted({entry.subscription or "" for entry in mine if entry.style == POLLING})]
        if not ways or any(entry.style == LISTENING for entry in mine):
            place = instance.ip or self._addresses[instance.host][0]
            ways.append(_Way(LISTENING, address_of(place, instance.port) if instance.listens and instance.port else None))
        return ways

    def _is_stranger(self, instance: Instance) -> bool:
        return instance.label not in self._taken() and instance.readable and not instance.pins() & self._ours

    def _remark_twins(self, edges: Sequence[Edge]) -> None:
        by_certificate: Dict[str, List[str]] = {}
        for edge in edges:
            if edge.thumbprint and not edge.is_further:
                by_certificate.setdefault(edge.thumbprint, []).append(edge.name)
        for thumbprint, names in sorted(by_certificate.items()):
            if len(names) > 1:
                remedy = "They stay separate Tentacles in this rotation; give each a certificate of its own afterwards."
                self._notes.append(Blocker("TWIN_CERT", ", ".join(names), f"they present the same certificate {thumbprint} (a cloned image)", remedy))


def _machines(instances: Sequence[Instance]) -> Dict[Instance, Tuple[str, ...]]:
    """Each instance once, with the other inventory names of its machine: the same process, to the microsecond of its start."""
    first: Dict[Tuple[str, ...], Instance] = {}
    names: Dict[Instance, Tuple[str, ...]] = {}
    for instance in instances:
        running = (str(instance.pid), str(instance.started_monotonic_us)) if instance.pid and instance.started_monotonic_us else (instance.host, "")
        key = (instance.name, instance.configuration, instance.thumbprint or "", *running)
        known = first.setdefault(key, instance)
        names[known] = names.get(known, ()) + ((instance.host,) if known is not instance else ())
    return names
