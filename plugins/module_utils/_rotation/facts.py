# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Everything that a rotation is judged by, as one value; and the steps that it may be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import FrozenSet, Iterable, Iterator, Mapping, Optional, Tuple, Union

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import POLLING, Edge, place_of
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import ACCEPTED, HEALTHY, REFUSED, Evidence
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import OVERLAP, REPLACE, Blocker, why_not_expandable
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.pace import Away
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.readiness import HIDDEN_UPGRADE


@dataclass(frozen=True)
class NodeFacts:
    """A node of the Server's cluster. ``presents`` is what its own port 10943 showed; None: nobody answered (decision 10)."""

    name: str
    presents: Optional[str] = None
    endpoint: Optional[str] = None
    in_rest: bool = True
    in_inventory: bool = True
    installation: Optional[str] = None  # None: nobody was asked, or nobody answered
    at: float = 0.0
    places: Tuple[str, ...] = ()  # what the endpoint resolves to, each with the port

    @property
    def is_up(self) -> bool:
        return self.presents is not None


@dataclass(frozen=True)
class EdgeFacts:
    edge: Edge
    evidence: Evidence = field(default_factory=Evidence)
    busy: Optional[str] = None  # id of the task that runs on it
    by_log: bool = False  # octopus_proof=log: nothing of ours reaches it, so it is not probed
    allows_upgrade: bool = False  # octopus_allow_upgrade of its host

    @property
    def proved_by_log(self) -> bool:
        return self.by_log or self.edge.style == POLLING

    @property
    def kind_of_proof(self) -> str:
        return "shadow" if self.evidence.shadow else "log" if self.proved_by_log else "wire"

    @property
    def name(self) -> str:
        return self.edge.name

    @property
    def unready(self) -> Tuple[Tuple[str, str], ...]:
        """What speaks against a restart, but for what its host's variables allow."""
        return tuple(why for why in self.evidence.unready if not (self.allows_upgrade and why[0] == HIDDEN_UPGRADE))

    def answers_to(self, name: str) -> bool:
        """Whether a person who writes ``name`` means this edge: host/instance, or the name of a record; never a pattern."""
        unvisited = self.edge.instance == "*" and name.startswith(f"{self.edge.host}/")
        return unvisited or name in {self.name, self.edge.label} or any(record.name == name for record in self.edge.records)

    def exchanged(self) -> EdgeFacts:
        return replace(self, evidence=self.evidence.exchanged())


@dataclass(frozen=True)
class PolicyFacts:
    """What a machine policy would do to a rotation in progress (decision 19)."""

    name: str
    space: str
    deletes_after: Optional[float] = None  # seconds; None: never
    upgrades: bool = False


@dataclass(frozen=True)
class OtherServer:
    """A Server of octopus_known_servers: what it presents, None when nobody answered (decision 18)."""

    name: str
    presents: Optional[str] = None


@dataclass(frozen=True)
class Facts:
    """``old`` is retired, ``new`` takes its place. ``db``: what the database may hold, all of it (decision 11); empty: not read."""

    old: str
    new: Optional[str]
    db: FrozenSet[str]
    nodes: Tuple[NodeFacts, ...]
    edges: Tuple[EdgeFacts, ...]
    now: float
    max_age: float = 60.0
    hosts: FrozenSet[str] = frozenset()  # inventory hosts of the rotation
    blockers: Tuple[Blocker, ...] = ()  # of the roster
    unvisited: Tuple[Tuple[str, str], ...] = ()  # (inventory host, why)
    frozen: FrozenSet[str] = frozenset()  # identities of the edges that an earlier gate of this run has counted
    spaces_asked: Optional[Tuple[str, ...]] = None
    spaces_seen: Tuple[str, ...] = ()
    left_behind: Tuple[Tuple[str, str], ...] = ()  # (name, reason)
    limit: Optional[str] = None
    stored: FrozenSet[str] = frozenset()  # thumbprints whose PFX in the store was opened and has its key
    policies: Tuple[PolicyFacts, ...] = ()
    expected_seconds: float = 0.0
    others: Optional[Tuple[OtherServer, ...]] = None  # None: octopus_known_servers was not given, so not judged
    away: Away = field(default_factory=Away)
    polling: str = OVERLAP  # octopus_polling_strategy
    shadow: Optional[str] = None  # the place of octopus_shadow, where no Server is

    def exchanged(self) -> Facts:
        """The same facts seen from a rotation that goes back: what was new is retired (decision 1)."""
        if self.new is None:
            raise ValueError("facts without a new certificate have no way back")
        return replace(self, old=self.new, new=self.old, edges=tuple(edge.exchanged() for edge in self.edges))

    def is_left_behind(self, edge: EdgeFacts) -> bool:
        return any(edge.answers_to(name) for name, _reason in self.left_behind)

    @property
    def roster(self) -> Tuple[EdgeFacts, ...]:
        """The edges that have to make it: all but those left behind."""
        return tuple(edge for edge in self.edges if not self.is_left_behind(edge)) if self.left_behind else self.edges

    def on_wire(self, edge: EdgeFacts, pin: str) -> Optional[str]:
        """The probe's verdict for ``pin``; None: it was not asked with this certificate."""
        wire = edge.evidence.wire
        return None if wire is None else wire.new if pin == self.new else wire.old

    def on_disk(self, edge: EdgeFacts, pin: str) -> Optional[bool]:
        """Whether the configuration trusts ``pin``, for a polling Tentacle at every address that it polls; None: it was not read."""
        disk = edge.evidence.disk
        if disk is None:
            return None
        if edge.edge.style != POLLING:
            return pin in disk.pins()
        places = self._places(edge)
        return bool(places) and all(pin in pins for pins in places.values())

    def proof(self, edge: EdgeFacts, pin: str) -> Optional[str]:
        """Whether the running process accepts ``pin``: by the wire, or by the log (decisions 24 and 25); None: no evidence."""
        if edge.by_log:
            return self._started_with(edge, pin)
        if edge.edge.style != POLLING:
            return self.on_wire(edge, pin)
        if self._answered(edge, pin) or self._subscribed(edge, pin):
            return ACCEPTED
        verdicts = {self._polled(edge, place, pins, pin) for place, pins in self._places(edge).items()}
        return REFUSED if REFUSED in verdicts else ACCEPTED if verdicts == {ACCEPTED} else None

    @staticmethod
    def _started_with(edge: EdgeFacts, pin: str) -> Optional[str]:
        """By what the running process named in its start-up lines, if those are what the disk has."""
        process = edge.evidence.process
        if process is None or process.pins is None or process.restart_pending != "no":
            return None
        return ACCEPTED if pin in process.pins else REFUSED

    def _answered(self, edge: EdgeFacts, pin: str) -> bool:
        """Whether the Server has reached the Tentacle since its last visit, while every node presented ``pin`` and nothing else."""
        health, visited_at = edge.evidence.health, edge.evidence.visited_at
        healthy = health is not None and health.status in HEALTHY and health.presented == {pin} and (visited_at is None or health.at >= visited_at)
        return healthy and all(node.presents == pin for node in self.nodes) and self.on_disk(edge, pin) is True

    def _subscribed(self, edge: EdgeFacts, pin: str) -> bool:
        """Whether the running process has subscribed where ``pin`` is presented: then it took over the write that put it at every address."""
        return pin == self.new and self._at_shadow(edge) and self.on_disk(edge, pin) is True

    @staticmethod
    def _at_shadow(edge: EdgeFacts) -> bool:
        met = edge.evidence.shadow
        return met is not None and met.live and not met.to_random

    def polls_shadow(self, edge: EdgeFacts) -> bool:
        """Whether the configuration still has an entry for the shadow."""
        disk = edge.evidence.disk
        if disk is None or self.shadow is None:
            return False
        return any(one.style == POLLING and place_of(one.address or "") == self.shadow for one in disk.trust)

    def _places(self, edge: EdgeFacts) -> Mapping[str, FrozenSet[str]]:
        """The addresses at which the Tentacle polls this Server, with what it trusts there."""
        disk = edge.evidence.disk
        found = disk.pins_at(edge.edge.subscription) if disk else {}
        return {place: pins for place, pins in found.items() if place != self.shadow and (not pins or pins & {self.old, self.new})}

    def _polled(self, edge: EdgeFacts, place: str, pins: FrozenSet[str], pin: str) -> Optional[str]:
        """A refusal that names ``pin`` as expected, or a connection identified by it, is proof. A certificate that a node presents cannot be refused,
        so for that one it is enough that this process is known to work with what the disk has."""
        process = edge.evidence.process
        if process is None:
            return None
        current = process.restart_pending == "no"
        if pin not in pins:
            return REFUSED if current else None
        seen = process.seen_of(place, edge.edge.subscription)
        if seen.get(pin, frozenset()) & {"armed", "identified"}:
            return ACCEPTED
        presented = any(node.presents == pin for node in self.nodes)
        return ACCEPTED if presented and current and (any(seen.values()) or self._at_shadow(edge)) else None

    def holds(self, edge: EdgeFacts, pin: str) -> Optional[bool]:
        """Whether ``pin`` stands anywhere in the configuration; None: it was not read."""
        disk = edge.evidence.disk
        return None if disk is None else pin in disk.pins()

    def log_of(self, edge: EdgeFacts, pin: str) -> str:
        """What the log says of ``pin``, for a person."""
        process = edge.evidence.process
        if edge.by_log:
            return "nothing" if process is None or process.pins is None else "started" if pin in process.pins else "started without it"
        places = self._places(edge)
        words = (sorted(process.seen_of(place, edge.edge.subscription).get(pin, frozenset())) if process else [] for place in sorted(places))
        said = "; ".join(f"{place}: {', '.join(seen) or 'nothing'}" for place, seen in zip(sorted(places), words)) or "nothing"
        return said if self.shadow is None else f"{said}; shadow: {'subscribed' if self._at_shadow(edge) else 'not subscribed'}"

    def perhaps_on(self, hosts: Iterable[str]) -> Tuple[EdgeFacts, ...]:
        """The edges that a visit to these hosts meets or, as long as nobody has seen where they are, could meet."""
        there = frozenset(hosts)
        return tuple(edge for edge in self.edges if edge.edge.host in there or there.intersection(edge.edge.may_be_on))

    def away_at_most(self, edges: Iterable[EdgeFacts]) -> int:
        """How many of these may be away at once. Whoever is not placed yet may be on any host, so their bounds count, too."""
        records = [record for edge in edges for record in edge.edge.records]
        records += [record for edge in self.edges if not edge.edge.host for record in edge.edge.records]
        return self.away.of(records)

    def asked_of(self, edge: EdgeFacts, pins: Iterable[str]) -> FrozenSet[str]:
        """Of ``pins``, those that this Tentacle has to trust: whose entries are replaced, with the outage announced, is to know the new one only."""
        replaced = edge.edge.style == POLLING and self.polling == REPLACE
        return frozenset(pins) & {self.new or ""} if replaced else frozenset(pins)

    def why_not(self, edge: EdgeFacts) -> Optional[str]:
        """Why the Tentacle cannot be made to trust another certificate; None if it can."""
        return why_not_expandable(edge.edge.style, self.polling)

    def may_be_presented(self) -> FrozenSet[str]:
        """Every certificate that a node shows now or would show after a restart; what is not known may be either (I2)."""
        both = frozenset((self.old, self.new or self.old))
        seen = [frozenset((node.presents,)) if node.presents else both for node in self.nodes] or [both]
        return frozenset().union(*seen) | (self.db or both)

    def to_trust(self) -> Tuple[str, ...]:
        """The pins that an expanding visit makes sure of: the new one, and the old one as long as a node may still present it."""
        wanted = self.may_be_presented() | {self.new or self.old}
        return tuple(pin for pin in (self.old, self.new) if pin in wanted)


@dataclass(frozen=True)
class Expand:
    """Add ``to_trust()`` to the named edges ("host/*" before the first visit), restart and prove each; ``at_once`` at a time."""

    edges: Tuple[str, ...]
    at_once: int = 1
    kind = "expand"


@dataclass(frozen=True)
class Switch:
    """Import the new certificate into the Server's database."""

    kind = "switch"


@dataclass(frozen=True)
class RestartNode:
    """Restart (or start) one node, which then presents what the database holds."""

    node: str
    kind = "restart_node"


@dataclass(frozen=True)
class Contract:
    """Remove the old pin from the named edges, restart and prove each; ``at_once`` at a time."""

    edges: Tuple[str, ...]
    at_once: int = 1
    kind = "contract"


Step = Union[Expand, Switch, RestartNode, Contract]
KINDS = ("expand", "switch", "restart_node", "contract")


@dataclass(frozen=True)
class Fault:
    """One object that does not satisfy a clause: what was seen of it (values and source), and what to do."""

    name: str
    seen: str
    remedy: str


@dataclass(frozen=True)
class Clause:
    """The answer of one clause. ``of``: what the faults are about (tentacle, node or run)."""

    code: str
    sentence: str
    faults: Tuple[Fault, ...] = ()
    of: str = "tentacle"

    @property
    def holds(self) -> bool:
        return not self.faults

    @property
    def edges(self) -> Tuple[str, ...]:
        return tuple(fault.name for fault in self.faults) if self.of == "tentacle" else ()

    @property
    def nodes(self) -> Tuple[str, ...]:
        return tuple(fault.name for fault in self.faults) if self.of == "node" else ()


@dataclass(frozen=True)
class Verdict:
    step: Step
    clauses: Tuple[Clause, ...]

    @property
    def allowed(self) -> bool:
        return all(clause.holds for clause in self.clauses)

    def refusals(self) -> Iterator[Clause]:
        return (clause for clause in self.clauses if not clause.holds)
