# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every clause carries weight: for each (step, clause) there are facts that it alone refuses; and where the model can express
what the clause is for, dropping it leads to a lock-out by the path given here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import WEBSOCKET, TrustEntry
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Disk
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import Blocker
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import (
    KINDS,
    Contract,
    EdgeFacts,
    Expand,
    Facts,
    OtherServer,
    PolicyFacts,
    RestartNode,
    Step,
    Switch,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import CLAUSES, allowed
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.readiness import HIDDEN_UPGRADE
from model import sample
from model.translate import Distortion, product_rules
from model.world import BOTH, OLD, Search, locked_out, start

Case = tuple[Facts, Step]
Change = Callable[[Facts, Step], Case]

EDGE = "app-09/Tentacle"
BASE: dict[str, Case] = {
    "expand": (sample.before_switch(), Expand((EDGE,))),
    "switch": (sample.before_switch(), Switch()),
    "restart_node": (sample.between_nodes(), RestartNode("node-2")),
    "contract": (sample.after_switch(), Contract((EDGE,))),
}


def of_run(**changes: Any) -> Change:
    return lambda facts, step: (replace(facts, **changes), step)


def of_edge(change: Callable[[EdgeFacts], EdgeFacts]) -> Change:
    return lambda facts, step: (replace(facts, edges=(change(facts.edges[0]), *facts.edges[1:])), step)


def of_wire(**changes: Any) -> Change:
    return of_edge(lambda edge: sample.seen(edge, wire=replace(edge.evidence.wire, **changes)))  # type: ignore[type-var]


def of_first_node(**changes: Any) -> Change:
    return lambda facts, step: (replace(facts, nodes=(replace(facts.nodes[0], **changes), *facts.nodes[1:])), step)


def of_step(**changes: Any) -> Change:
    return lambda facts, step: (facts, replace(step, **changes))


def polling(facts: Facts, step: Step) -> Case:
    """A polling Tentacle; a step that names Tentacles names it."""
    first = facts.edges[0]
    polls = replace(first, edge=replace(first.edge, host="poll-1", style=WEBSOCKET))
    step = replace(step, edges=("poll-1/Tentacle",)) if isinstance(step, (Expand, Contract)) else step
    return replace(facts, edges=(*facts.edges, polls)), step


def retires_what_it_adopts(_facts: Facts, step: Step) -> Case:
    """old and new are one certificate; on a fleet that has moved, contracting would take the only pin away."""
    return (sample.after_switch(old=sample.NEW) if step.kind in ("restart_node", "contract") else sample.before_switch(new=sample.OLD)), step


BOTH_SPELLINGS = Disk((TrustEntry(sample.OLD, sample.OLD), TrustEntry(sample.NEW.lower(), sample.NEW)), sample.NOW - 20, sample.own("app-09"))

# What each clause, and no other, refuses.
ALONE: dict[str, Change] = {
    "no_limit": of_run(limit="web-*"),
    "named_rightly": retires_what_it_adopts,
    "spaces_agree": of_run(spaces_seen=("Default", "Finance")),
    "left_behind_rightly": of_run(left_behind=(("web-*", "too many"),)),
    "policies_bide": of_run(policies=(PolicyFacts("Default Machine Policy", "Default", 30.0),)),
    "backed_up": of_run(stored=frozenset((sample.NEW,))),
    "roster_closed": of_run(blockers=(Blocker("UNMANAGED_TENTACLE", "db-02", "Machines-88 is on no host of the inventory", "Add its host."),)),
    "all_expandable": polling,
    "in_roster": of_step(edges=("ghost/Tentacle",)),
    "expandable": polling,
    "readable": of_edge(lambda edge: sample.seen(edge, problem=("CONFIGURATION_UNREADABLE", "line 3 is torn"))),
    "ready": of_edge(lambda edge: sample.seen(edge, unready=(("IDENTITY_AT_RISK", "the certificate is missing"),))),
    "idle": of_edge(lambda edge: replace(edge, busy="ServerTasks-7")),
    "at_most_away": of_step(at_once=2),
    "nodes_known": of_first_node(in_inventory=False),
    "nodes_up": of_first_node(presents=None),
    "node_in_roster": of_step(node="node-9"),
    "database_holds_new": of_run(db=frozenset((sample.OLD, sample.NEW))),
    "nodes_present_new": of_first_node(presents=sample.OLD),
    "nobody_else_presents_old": of_run(others=(OtherServer("dr", sample.OLD),)),
    "on_disk": of_edge(lambda edge: sample.seen(edge, disk=replace(edge.evidence.disk, trust=sample.trust(sample.OLD)))),  # type: ignore[type-var]
    "in_process": of_wire(new="refused"),
    "evidence_fresh": of_wire(at=sample.NOW - 61),
    "discriminates": of_wire(random="accepted"),
    "is_itself": of_wire(presents=sample.own("somebody else")),
    "spelled_once": of_edge(lambda edge: sample.seen(edge, disk=BOTH_SPELLINGS)),
    "strangers_untouched": of_edge(lambda edge: sample.seen(edge, foreign_lost=(sample.THIRD,))),
    "works_with_new": of_edge(lambda edge: sample.seen(edge, health=None)),
}
PAIRS = [(kind, clause.__name__) for kind in KINDS for clause in CLAUSES[kind]]


def test_every_clause_has_its_case() -> None:
    assert set(CLAUSES) == set(KINDS)
    assert {code for _kind, code in PAIRS} == set(ALONE)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_as_it_should_be_is_allowed(kind: str) -> None:
    facts, step = BASE[kind]
    verdict = allowed(facts, step)
    assert verdict.allowed, [clause.code for clause in verdict.refusals()]
    assert [clause.code for clause in verdict.clauses] == [clause.__name__ for clause in CLAUSES[kind]]


@pytest.mark.parametrize(("kind", "code"), PAIRS)
def test_this_clause_alone_refuses(kind: str, code: str) -> None:
    facts, step = ALONE[code](*BASE[kind])
    assert [clause.code for clause in allowed(facts, step).refusals()] == [code]
    assert allowed(facts, step, without=frozenset((code,))).allowed


# -- what is waived by name is waived for that alone

UPGRADE, AT_RISK = (HIDDEN_UPGRADE, "it is newer than its process"), ("IDENTITY_AT_RISK", "the certificate is missing")


def waiver_for_everything(edge: EdgeFacts) -> tuple[tuple[str, str], ...]:
    return () if edge.allows_upgrade else edge.evidence.unready


def waiver_for_everybody(edge: EdgeFacts) -> tuple[tuple[str, str], ...]:
    return tuple(why for why in edge.evidence.unready if why[0] != HIDDEN_UPGRADE)


def waiver_for_nobody(edge: EdgeFacts) -> tuple[tuple[str, str], ...]:
    return edge.evidence.unready


def mistaken_about_upgrades(kind: str) -> list[str]:
    """Of the cases that tell what octopus_allow_upgrade waives, those that are judged otherwise."""
    cases = {
        "an upgrade that nobody allowed": ((UPGRADE,), False, False),
        "an upgrade that its host allows": ((UPGRADE,), True, True),
        "another reason on a host that allows upgrades": ((AT_RISK,), True, False),
        "another reason beside an upgrade that is allowed": ((UPGRADE, AT_RISK), True, False),
    }
    facts, step = BASE[kind]
    found = []
    for name, (unready, allows, expected) in cases.items():
        first = replace(sample.seen(facts.edges[0], unready=unready), allows_upgrade=allows)
        other = replace(facts.edges[1], allows_upgrade=not allows)  # is not asked
        codes = [clause.code for clause in allowed(replace(facts, edges=(first, other)), step).refusals()]
        found += [name] if codes != ([] if expected else ["ready"]) else []
    return found


@pytest.mark.parametrize("kind", ["expand", "contract"])
def test_an_upgrade_is_waived_where_its_host_allows_it_and_nothing_else_is(kind: str) -> None:
    assert mistaken_about_upgrades(kind) == []


@pytest.mark.parametrize("mutant", [waiver_for_everything, waiver_for_everybody, waiver_for_nobody])
def test_another_waiver_is_told(mutant: Callable[[EdgeFacts], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EdgeFacts, "unready", property(mutant))
    assert mistaken_about_upgrades("contract")


# -- rules removed, and the shortest path to a lock-out that opens (compare the second table of rotation-safety 4.9)


def hide_unreached(facts: Facts) -> Facts:
    """M3: a gate over the hosts that answered."""
    return replace(facts, unvisited=())


def see_one_node(facts: Facts) -> Facts:
    """M2b: one node that presents another certificate than before is enough."""
    ahead = [node for node in facts.nodes if node.presents == sample.NEW]
    return replace(facts, nodes=tuple(ahead[:1]) or facts.nodes)


def same(facts: Facts) -> Facts:
    return facts


SEARCHES: dict[str, tuple[tuple[str, ...], Distortion, dict[str, bool | int], tuple[int, int], int]] = {
    # name: clauses dropped, what the gate sees, what happens besides, (Tentacles, nodes), length of the shortest path
    "M1 disk without process": (("in_process",), same, {}, (2, 2), 7),
    "M2 database without nodes": (("nodes_present_new", "works_with_new"), same, {}, (2, 2), 13),
    "M2 the same for disabled records, which no health check covers": (("nodes_present_new",), same, {"disabled": True}, (2, 2), 13),
    "M2b one node is enough": ((), see_one_node, {"disabled": True}, (2, 2), 14),
    "M3 only who answered": (("roster_closed",), same, {"unrecorded": True}, (2, 2), 5),
    "M3 who did not answer is not told": ((), hide_unreached, {"unrecorded": True}, (2, 2), 5),
    "M7 a marker instead of a probe": ((), same, {"keeps_evidence": True, "trusts_markers": True}, (1, 1), 6),
    "M8 evidence outlives a write": (("evidence_fresh",), same, {"keeps_evidence": True}, (1, 1), 15),
    "process without disk": (("on_disk",), same, {}, (2, 2), 13),
    "the database is not certain": (("database_holds_new",), same, {}, (2, 2), 13),
    "a proxy accepts everybody": (("discriminates",), same, {"proxied": True}, (2, 1), 7),
    "the address leads elsewhere": (("is_itself",), same, {"misdirected": True}, (2, 1), 8),
    # not clauses but how the collection acts; the formula cannot make up for them
    "M6 replace instead of add": ((), same, {"replaces": True}, (2, 2), 3),
    "M9 another tool undoes a disk": ((), same, {"drift": True}, (2, 2), 11),
    "M10 a golden image with the old pin": ((), same, {"joins": OLD}, (1, 2), 8),
    "M10b a joiner pins what the API says": ((), same, {"joins": OLD, "joins_by_api": True}, (1, 2), 7),
}
# M4 (lock) and M5 (fence) need epochs, which come with the issue that brings two operators.


@pytest.mark.parametrize("name", SEARCHES)
def test_without_the_rule_a_path_to_a_lock_out_opens(name: str) -> None:
    without, distort, happenings, size, length = SEARCHES[name]
    path = Search(product_rules(frozenset(without), distort, **happenings), start(*size)).shortest(locked_out)
    assert path is not None, "the mutant survived"
    print(f"{name}: {len(path)} steps: {'; '.join(path)}")
    assert len(path) == length


@pytest.mark.parametrize("happening", ["disabled", "unrecorded", "proxied", "misdirected"])
def test_with_the_rule_there_is_none(happening: str) -> None:
    assert Search(product_rules(**{happening: True}), start(2, 2)).shortest(locked_out) is None


def test_evidence_that_is_void_is_not_used() -> None:
    assert Search(product_rules(keeps_evidence=True), start(1, 1)).shortest(locked_out) is None


def test_a_joiner_with_both_pins_is_safe() -> None:
    assert Search(product_rules(joins=BOTH), start(1, 2)).shortest(locked_out) is None
