# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Matching and judging of a large estate whose four sources are there (design/performance.md 1.3, "fleet-wide plan or verify step").

Most of it is in order, as estates are; every twentieth Tentacle has something wrong with it, in turn. What is measured is the whole way
from the facts to the report's document, and then what a nightly gate does with it: acceptances, comparison, and the files.
"""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ansible_collections.octofleet.octopus.plugins.module_utils._audit import audit, compare
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
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import POLLING, Instance, InventoryHost, Poll, Record, TrustEntry, Visit
from bench.figures import Figure, Report
from bench.runs import sized

TENTACLES, ROUNDS = sized(5000, 100), 5
ONE_IN = 20  # has something wrong
NODES = ("10.255.0.1:10943", "10.255.0.2:10943")
READ = Reading("read")


def thumbprint(of: str) -> str:
    return hashlib.sha1(of.encode()).hexdigest().upper()


OURS, THEIRS, GHOST = map(thumbprint, ("ours", "theirs", "ghost"))


class Told(NamedTuple):
    """What the sources say of one Tentacle; a polling one is not looked at on the wire."""

    visit: Visit
    record: Record
    sight: Sight | None


def _told(number: int) -> Told:
    return _polling(number) if number % 4 == 3 else _listening(number)


def _listening(number: int) -> Told:
    host, own = f"web-{number}", thumbprint(str(number))
    place = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
    instance = _instance(host, own, (TrustEntry(OURS, OURS),))
    sight = Sight(f"{place}:10933", own, {"random": "refused", "none": "refused", OURS: "accepted"})
    return Told(Visit(host, "ok", (replace(instance, ip=place),)), _record(number, own, address=sight.endpoint), sight)


def _polling(number: int) -> Told:
    host, own, subscription = f"web-{number}", thumbprint(str(number)), f"subscription-{number}"
    entries = tuple(TrustEntry(OURS, OURS, POLLING, f"https://{node}/", subscription) for node in NODES)
    polls = tuple(Poll(f"https://{node}", subscription, OURS, frozenset(("started",))) for node in NODES)
    instance = replace(_instance(host, own, entries), communication=POLLING, listens=False, polls=polls)
    return Told(Visit(host, "ok", (instance,)), _record(number, own, style=POLLING, subscription=subscription), None)


def _instance(host: str, own: str, trust: tuple[TrustEntry, ...]) -> Instance:
    return Instance(
        host=host,
        name="Tentacle",
        thumbprint=own,
        port=10933,
        trust=trust,
        pid=100,
        started_at="2026-11-01T08:00:00Z",
        restart_pending="no",
        pins_in_process=frozenset((OURS,)),
        readable_by_others=False,
        modified_at="2026-10-01T08:00:00.000000Z",
        key_copies=1,
        newer_than_process=False,
    )


def _record(number: int, own: str, **more: Any) -> Record:
    space = ("Default", "Retail")[number % 2]
    where = {"environments": (f"Environment {number % 5}",), "roles": (f"role-{number % 11}",)}
    return Record(f"Machines-{number}", f"web-{number}", space, thumbprint=own, health_status="Healthy", policy="MachinePolicies-1", **where, **more)


def _spoil_instance(told: Told, **changes: Any) -> Told:
    return told._replace(visit=replace(told.visit, instances=(replace(told.visit.instances[0], **changes),)))


SPOILT: tuple[Callable[[Told], Told], ...] = (
    lambda told: told._replace(record=replace(told.record, thumbprint=GHOST)),
    lambda told: told._replace(record=replace(told.record, health_status="Unhealthy")),
    lambda told: told._replace(visit=Visit(told.visit.host, "unreachable", reason="the host does not answer")),
    lambda told: told._replace(sight=told.sight and Sight(told.sight.endpoint, reason="the connection was refused")),
    lambda told: _spoil_instance(told, trust=(*told.visit.instances[0].trust, TrustEntry(GHOST, GHOST))),
    lambda told: _spoil_instance(told, trust=(TrustEntry(OURS.lower(), OURS),)),
    lambda told: _spoil_instance(told, restart_pending="yes", newer_than_process=True),
    lambda told: _spoil_instance(told, readable_by_others=True, key_copies=7),
)


def _estate(count: int) -> Iterator[Told]:
    for number in range(count):
        told = _told(number)
        yield SPOILT[number // ONE_IN % len(SPOILT)](told) if number % ONE_IN == 0 else told


def _facts(count: int) -> AuditFacts:
    estate = list(_estate(count))
    presented = (OURS, THEIRS, *(told.sight.presented for told in estate if told.sight and told.sight.presented))
    return AuditFacts(
        made_at="2026-11-22T08:00:00Z",
        collection="0.1.0",
        asked=frozenset(SOURCES),
        server=Server(nodes=tuple(Node(f"node-{number}", place, OURS, READ) for number, place in enumerate(NODES, 1)), database=OURS),
        known=(Server("dr", (Node("dr-1", "10.255.9.9:10943", THEIRS, READ),)),),
        retired=frozenset((thumbprint("retired"),)),
        callers=frozenset((OURS,)),
        hosts=tuple(InventoryHost(told.visit.host, (told.visit.host, *_addresses(told))) for told in estate),
        visits=tuple(told.visit for told in estate),
        records=tuple(told.record for told in estate),
        policies=(PolicySeen("MachinePolicies-1", "Default Machine Policy", "Default"),),
        sights={told.sight.endpoint: told.sight for told in estate if told.sight},
        certificates={one: CertificateSeen(one, "sha256RSA", "RSA", 2048, "2125-01-01T00:00:00Z") for one in presented},
    )


def _addresses(told: Told) -> tuple[str, ...]:
    return (told.sight.endpoint.rpartition(":")[0],) if told.sight else ()


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _least(work: Callable[[], object]) -> float:
    """Milliseconds of CPU a Tentacle."""
    spent = []
    for _round in range(ROUNDS):
        began = _cpu()
        work()
        spent.append(_cpu() - began)
    return 1000 * min(spent) / TENTACLES


def test_matching_and_judging(report: Report) -> None:
    facts = _facts(TENTACLES)
    document = audit.audit(facts)
    assert document["counts"]["tentacles"] == TENTACLES
    assert document["counts"]["fine"] == TENTACLES - len(range(0, TENTACLES, ONE_IN))
    small = _facts(TENTACLES // 10)
    few = _least(lambda: audit.audit(small)) * 10
    many = _least(lambda: audit.audit(facts))
    report(
        f"matching and judging of {TENTACLES} Tentacles from four sources, minimum of {ROUNDS}",
        [Figure("ms of CPU a Tentacle", many, 1.0)],
        [
            f"of a tenth as many: {few:.2f} ms a Tentacle; {len(document['findings'])} findings",
            f"beside it: comparison with an earlier audit {_least(lambda: compare.compare(document, document, {})):.3f} ms,"
            f" the JSON report {_least(lambda: json.dumps(document)):.3f} ms a Tentacle",
        ],
    )
