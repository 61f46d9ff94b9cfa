# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts for tests: a fleet in which everything is as it should be, to be changed in one place by each test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import POLLING, Edge, Poll, Record, TrustEntry
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Disk, Evidence, Health, Process, Wire
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import EdgeFacts, Facts, NodeFacts

OLD = "6D1F8C" + "0" * 30 + "A07C"
NEW = "2B94" + "0" * 32 + "11E3"
THIRD = "3333" + "0" * 32 + "3333"
NOW = 1000.0


def own(name: str) -> str:
    """The certificate of a Tentacle: 40 digits that differ by name."""
    return "".join(f"{ord(letter):02X}" for letter in name).ljust(40, "0")[:40]


def trust(*pins: str) -> tuple[TrustEntry, ...]:
    return tuple(TrustEntry(pin, pin.upper()) for pin in pins)


def record(host: str, **changes: Any) -> Record:
    made = Record(id=f"Machines-{host}", name=host, space="Default", thumbprint=own(host), address=f"{host}:10933", health_status="Healthy")
    return replace(made, **changes)


def edge(host: str, pins: Iterable[str] = (OLD, NEW), accepts: Iterable[str] | None = None, works_with: str = OLD, **changes: Any) -> EdgeFacts:
    """A Tentacle that trusts ``pins`` on disk, accepts ``accepts`` (by default the same), and was healthy while ``works_with`` was presented."""
    on_disk = tuple(pins)
    in_memory = set(on_disk if accepts is None else accepts)
    verdict = {identity: "accepted" if pin in in_memory else "refused" for identity, pin in (("old", OLD), ("new", NEW))}
    evidence = Evidence(
        disk=Disk(trust(*on_disk), NOW - 20, own(host)),
        process=Process(4711, "2026-03-01 11:02", "no" if in_memory == set(on_disk) else "yes"),
        wire=Wire(NOW - 1, own(host), verdict["old"], verdict["new"], "refused", "refused"),
        health=Health("Healthy", NOW - 2, frozenset((works_with,))),
        visited_at=NOW - 20,
    )
    made = EdgeFacts(Edge(host, "Tentacle", endpoint=f"{host}:10933", thumbprint=own(host), records=(record(host),)), evidence)
    return replace(made, **changes)


PLACES = ("https://node-1:10943", "https://node-2:10943")


def polling(
    host: str, pins: Iterable[str] = (OLD, NEW), log: dict[str, tuple[str, ...]] | None = None, pending: str = "no", **changes: Any
) -> EdgeFacts:
    """A Tentacle that polls both nodes and pins ``pins`` at each; ``log`` says by pin what its process wrote, by default as before the switch."""
    wrote = {OLD: ("started", "identified"), NEW: ("started", "armed")} if log is None else log
    on_disk = tuple(TrustEntry(pin, pin.upper(), POLLING, f"{place}/", "abc") for place in PLACES for pin in pins)
    polls = tuple(Poll(place, "abc", pin, frozenset(wrote.get(pin, ()))) for place in PLACES for pin in pins)
    evidence = Evidence(
        disk=Disk(on_disk, NOW - 20, own(host)),
        process=Process(4711, "2026-03-01 11:02", pending, polls=polls),
        health=Health("Healthy", NOW - 2, frozenset((OLD,))),
        visited_at=NOW - 20,
    )
    on_record = record(host, style=POLLING, address=None, subscription="abc")
    made = EdgeFacts(Edge(host, "Tentacle", POLLING, None, "abc", own(host), (on_record,)), evidence)
    return replace(made, **changes)


def seen(made: EdgeFacts, **changes: Any) -> EdgeFacts:
    """The same Tentacle with other evidence."""
    return replace(made, evidence=replace(made.evidence, **changes))


def node(name: str, presents: str | None = OLD, **changes: Any) -> NodeFacts:
    return replace(NodeFacts(name, presents, f"{name}:10943", installation="7f3a"), **changes)


def before_switch(**changes: Any) -> Facts:
    """Two Tentacles proved to trust both certificates, two nodes that present the old one: the switch is allowed."""
    facts = Facts(
        old=OLD,
        new=NEW,
        db=frozenset((OLD,)),
        nodes=(node("node-1"), node("node-2")),
        edges=(edge("app-09"), edge("web-01")),
        now=NOW,
        hosts=frozenset(("app-09", "web-01")),
        spaces_asked=("Default",),
        spaces_seen=("Default",),
        stored=frozenset((OLD, NEW)),
        expected_seconds=60.0,
    )
    return replace(facts, **changes)


def after_switch(**changes: Any) -> Facts:
    """Both nodes present the new certificate and every Tentacle works with it: the old one may be removed."""
    facts = before_switch(
        db=frozenset((NEW,)),
        nodes=(node("node-1", NEW), node("node-2", NEW)),
        edges=(edge("app-09", works_with=NEW), edge("web-01", works_with=NEW)),
    )
    return replace(facts, **changes)


def between_nodes(**changes: Any) -> Facts:
    """Imported and read back; the second node has yet to be restarted."""
    return replace(before_switch(db=frozenset((NEW,)), nodes=(node("node-1", NEW), node("node-2"))), **changes)


def done(**changes: Any) -> Facts:
    return replace(after_switch(edges=(edge("app-09", (NEW,), works_with=NEW), edge("web-01", (NEW,), works_with=NEW))), **changes)
