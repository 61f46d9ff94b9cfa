# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small estate that the four sources agree about, to be spoilt one fact at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import (
    SOURCES,
    AuditFacts,
    CertificateSeen,
    Node,
    PolicySeen,
    Reading,
    Server,
    Sight,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import (
    POLLING,
    Instance,
    InventoryHost,
    Poll,
    Record,
    TrustEntry,
    Visit,
)


def thumbprint(of: str) -> str:
    return hashlib.sha1(of.encode()).hexdigest().upper()


OURS, THEIRS, GHOST, RETIRED = map(thumbprint, ("ours", "theirs", "ghost", "retired"))
NODES = ("10.0.0.1:10943", "10.0.0.2:10943")
WHOLE = Reading("read")


def entry(pin: str = OURS, spelled: str | None = None) -> TrustEntry:
    return TrustEntry(pin if spelled is None else spelled, pin)


def polling_entry(node: str, subscription: str, pin: str = OURS) -> TrustEntry:
    return TrustEntry(pin, pin, POLLING, f"https://{node}/", subscription)


@dataclass
class World:
    """``tentacles`` by host; change them with :meth:`change`, then ask for :meth:`facts`."""

    instances: dict[str, Instance] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    sights: dict[str, Sight] = field(default_factory=dict)
    certificates: dict[str, CertificateSeen] = field(default_factory=dict)
    visits: dict[str, Visit] = field(default_factory=dict)  # in place of a good one
    server: Server = field(
        default_factory=lambda: Server(nodes=tuple(Node(f"node-{n}", at, OURS, WHOLE) for n, at in enumerate(NODES, 1)), database=OURS)
    )
    known: tuple[Server, ...] | None = (Server("dr", (Node("dr-1", "10.9.9.9:10943", THEIRS, WHOLE),)),)
    retired: frozenset[str] | None = frozenset((RETIRED,))
    policies: tuple[PolicySeen, ...] = (PolicySeen("p1", "Default Machine Policy", "Default", None),)
    extra: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add_certificate(OURS)
        self.add_certificate(THEIRS)

    def add_certificate(self, pin: str, algorithm: str = "sha256RSA", key: str = "RSA", bits: int = 2048) -> None:
        self.certificates[pin] = CertificateSeen(pin, algorithm, key, bits, "2125-01-01T00:00:00Z")

    def listening(self, host: str) -> World:
        own, endpoint = thumbprint(host), f"{host}:10933"
        self.instances[host] = _instance(host, own, trust=(entry(),), pins_in_process=frozenset((OURS,)))
        self.records[host] = _record(host, own, address=endpoint)
        self.sights[endpoint] = Sight(endpoint, own, {"random": "refused", "none": "refused", OURS: "accepted"})
        self.add_certificate(own)
        return self

    def polling(self, host: str) -> World:
        own, subscription = thumbprint(host), f"sub-{host}"
        entries = tuple(polling_entry(node, subscription) for node in NODES)
        polls = tuple(Poll(f"https://{node}", subscription, OURS, frozenset(("started",))) for node in NODES)
        instance = _instance(host, own, trust=entries, pins_in_process=frozenset((OURS,)), polls=polls)
        self.instances[host] = replace(instance, communication=POLLING, listens=False)
        self.records[host] = _record(host, own, style=POLLING, subscription=subscription)
        return self

    def instance(self, host: str, **changes: object) -> World:
        self.instances[host] = replace(self.instances[host], **changes)  # type: ignore[arg-type]
        return self

    def record(self, of: str, **changes: object) -> World:
        self.records[of] = replace(self.records[of], **changes)  # type: ignore[arg-type]
        return self

    def sight(self, host: str, **changes: object) -> World:
        endpoint = f"{host}:10933"
        self.sights[endpoint] = replace(self.sights[endpoint], **changes)  # type: ignore[arg-type]
        return self

    def says(self, host: str, **verdicts: str) -> World:
        known = dict(self.sights[f"{host}:10933"].verdicts)
        return self.sight(host, verdicts={**known, **{{"ours": OURS}.get(name, name): verdict for name, verdict in verdicts.items()}})

    def node(self, number: int, **changes: object) -> World:
        nodes = list(self.server.nodes)
        nodes[number - 1] = replace(nodes[number - 1], **changes)  # type: ignore[arg-type]
        self.server = replace(self.server, nodes=tuple(nodes))
        return self

    def also(self, **changes: object) -> World:
        self.extra.update(changes)
        return self

    def facts(self, asked: Iterable[str] = SOURCES, keys: bool = True) -> AuditFacts:
        """As a collector hands it over: what was not asked is not there."""
        wanted = frozenset(asked)
        wire, hosts, database = "wire" in wanted, bool(wanted & {"disk", "process"}), "database" in wanted
        sights = self.sights if keys else {place: replace(sight, verdicts={"identity": "identity"}) for place, sight in self.sights.items()}
        visits = [self.visits.get(host) or Visit(host, "ok", (instance,)) for host, instance in self.instances.items()]
        facts = AuditFacts(
            made_at="2026-11-22T08:00:00Z",
            collection="0.1.0",
            asked=wanted,
            server_url="https://octopus.example.com",
            server=_as_read(self.server, wire, database),
            known=None if self.known is None else tuple(_as_read(server, wire, False) for server in self.known),
            retired=self.retired,
            callers=frozenset((OURS,)) if keys and wire else frozenset(),
            hosts=tuple(InventoryHost(host, (host,)) for host in self.instances),
            visits=tuple(visits) if hosts else (),
            records=tuple(self.records.values()) if database else (),
            policies=self.policies if database else (),
            sights=sights if wire else {},
            certificates=self.certificates if wire else {},
        )
        return replace(facts, **self.extra)  # type: ignore[arg-type]


Spoiling = Callable[[World], object]


def world() -> World:
    return World().listening("web-1").listening("web-2").polling("poll-1").polling("poll-2")


def _instance(host: str, own: str, **more: object) -> Instance:
    instance = Instance(
        host=host,
        name="Tentacle",
        configuration="/etc/octopus/Tentacle/tentacle-Tentacle.config",
        thumbprint=own,
        port=10933,
        pid=int(own[:4], 16),
        started_at="2026-11-01T10:00:00.000000Z",
        started_monotonic_us=int(own[:6], 16),
        restart_pending="no",
        readable_by_others=False,
        key_copies=1,
        newer_than_process=False,
    )
    return replace(instance, **more)  # type: ignore[arg-type]


def _record(host: str, own: str, **more: object) -> Record:
    record = Record(
        id=f"Machines-{host}",
        name=host,
        space="Default",
        thumbprint=own,
        health_status="Healthy",
        policy="p1",
        signature_algorithm="sha256RSA",
        environments=("Production",),
    )
    return replace(record, **more)  # type: ignore[arg-type]


def _as_read(server: Server, wire: bool, database: bool) -> Server:
    nodes = server.nodes if wire else tuple(replace(node, presented=None, reading=Reading("not_asked", "not asked for")) for node in server.nodes)
    return replace(server, nodes=nodes, database=server.database if database else None)
