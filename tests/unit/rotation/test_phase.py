# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a Tentacle and a fleet stand, from facts alone (design/rotation-safety.md 4.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import KUBERNETES, POLLING, Edge
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Evidence, Process, Wire
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import Blocker
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import phase
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Contract, EdgeFacts, Expand, Facts, RestartNode, Switch
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed, narrow
from model import sample
from model.sample import NEW, OLD, edge, node, seen

BOTH = (OLD, NEW)
RUNNING = Process(7, "", "no")
STALE = Process(7, "", "yes")
LOOKED_AT = Wire(sample.NOW, sample.own("a"))


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (edge("a", (OLD,)), "A"),
        (edge("a", BOTH, accepts=(OLD,)), "B"),
        (seen(edge("a"), wire=LOOKED_AT, process=STALE), "B"),
        (seen(edge("a"), wire=LOOKED_AT, process=RUNNING), "C"),
        (seen(edge("a"), wire=None, process=None), "B"),
        (seen(edge("a"), wire=replace(edge("a").evidence.wire or LOOKED_AT, random="accepted")), "C"),
        (edge("a"), "D"),
        (seen(edge("a"), disk=None), "U"),
        (replace(edge("a"), evidence=Evidence()), "U"),
        (seen(edge("a"), disk=None, wire=Wire(sample.NOW)), "X1"),
        (seen(edge("a"), problem=("TORN", "half")), "X4"),
        (edge("a", (NEW,)), "X3"),
        (edge("a", ()), "X3"),
    ],
)
def test_states_while_the_nodes_present_the_old_certificate(made: EdgeFacts, state: str) -> None:
    assert phase.state_of(sample.before_switch(edges=(made,)), made) == state


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (edge("a", works_with=NEW), "E"),
        (edge("a", works_with=OLD), "D"),
        (replace(edge("a", works_with=OLD), edge=replace(edge("a").edge, records=())), "E"),
        (edge("a", (NEW,), accepts=BOTH), "F"),
        (seen(edge("a", (NEW,)), wire=LOOKED_AT, process=STALE), "F"),
        (seen(edge("a", (NEW,)), wire=LOOKED_AT, process=RUNNING), "G"),
        (edge("a", (NEW,)), "G"),
        (edge("a", (OLD,)), "X3"),
    ],
)
def test_states_after_the_switch(made: EdgeFacts, state: str) -> None:
    assert phase.state_of(sample.after_switch(edges=(made,)), made) == state


def test_left_behind_is_a_state() -> None:
    facts = sample.before_switch(left_behind=(("app-09", "off"),))
    assert [phase.state_of(facts, one) for one in facts.edges] == ["X2", "D"]


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (sample.before_switch(new=None), "IDLE"),
        (sample.before_switch(edges=(edge("a", (OLD,)),)), "PLANNED"),
        (sample.before_switch(edges=(edge("a", (OLD,)), edge("b"))), "EXPAND"),
        (sample.before_switch(), "PROVEN"),
        (sample.before_switch(db=frozenset(BOTH)), "COMMIT"),
        (sample.between_nodes(), "COMMIT"),
        (sample.after_switch(nodes=(node("node-1", NEW), node("node-2", None))), "COMMIT"),
        (sample.after_switch(), "VERIFIED"),
        (sample.after_switch(edges=(edge("a", (NEW,), works_with=NEW), edge("b", works_with=NEW))), "CONTRACT"),
        (sample.done(), "DONE"),
        (sample.after_switch().exchanged(), "PROVEN"),
        (sample.done().exchanged(), "PLANNED"),
    ],
)
def test_phases(facts: Facts, name: str) -> None:
    assert phase.phase_of(facts) == name


@pytest.mark.parametrize(
    "changes",
    [
        {"stored": frozenset((NEW,))},
        {"db": frozenset(BOTH)},
        {"blockers": (Blocker("UNMANAGED_TENTACLE", "x", "seen", "do"),)},
        {"unvisited": (("app-09", "unreachable"),)},
        {"nodes": (node("node-1", NEW), node("node-2", None))},
        {"edges": (edge("app-09", (NEW,), accepts=BOTH),)},
    ],
)
def test_reached_is_nothing_less_than_all_of_it(changes: dict[str, Any]) -> None:
    assert phase.is_reached(sample.done())
    assert not phase.is_reached(sample.done(**changes))


def test_useful_steps_in_order() -> None:
    start = sample.before_switch(edges=(edge("app-09", (OLD,)), edge("web-01")))
    kinds = [step.kind for step in phase.useful_steps(start)]
    assert kinds == ["expand", "switch", "restart_node", "restart_node", "contract"]
    assert phase.useful_steps(start)[0] == Expand(("app-09/Tentacle",))
    assert [step.kind for step in phase.useful_steps(sample.after_switch())] == ["contract"]
    assert phase.useful_steps(sample.done()) == ()
    assert phase.useful_steps(sample.before_switch(new=None)) == ()


def test_who_cannot_be_expanded_is_in_no_useful_step() -> None:
    agent = replace(edge("k8s", (OLD,)), edge=replace(edge("k8s").edge, style=KUBERNETES))
    steps = phase.useful_steps(sample.before_switch(edges=(agent,)))
    assert not [step for step in steps if isinstance(step, (Expand, Contract))]


def test_going_back_from_half_contracted_expands_the_old_one_again_first() -> None:
    half = sample.after_switch(edges=(edge("app-09", (NEW,)), edge("web-01"))).exchanged()
    assert half.to_trust() == (NEW, OLD)
    assert phase.useful_steps(half)[:2] == (Expand(("app-09/Tentacle",)), Switch())
    assert allowed(half, Expand(("app-09/Tentacle",))).allowed
    assert not allowed(half, Switch()).allowed
    again = sample.after_switch().exchanged()
    assert allowed(again, Switch()).allowed
    assert not allowed(again, Contract(("app-09/Tentacle",))).allowed


def test_nobody_is_given_a_pin_back_that_no_node_presents() -> None:
    assert sample.before_switch().to_trust() == BOTH
    assert sample.between_nodes().to_trust() == BOTH
    assert sample.after_switch().to_trust() == (NEW,)
    assert sample.after_switch(db=frozenset()).to_trust() == BOTH, "what the database holds is not known"


def test_facts_without_a_new_certificate_have_no_way_back() -> None:
    with pytest.raises(ValueError, match="no way back"):
        sample.before_switch(new=None).exchanged()


# -- a wave loses those who are themselves at fault, and nobody else


def test_a_wave_goes_on_without_the_busy_and_the_unready() -> None:
    busy = replace(edge("app-09", (OLD,)), busy="ServerTasks-7")
    ill = seen(edge("db-01", (OLD,)), unready=(("IDENTITY_AT_RISK", "the certificate is missing"),))
    facts = sample.before_switch(edges=(busy, edge("web-01", (OLD,)), ill))
    verdict, against = narrow(facts, Expand(("app-09/Tentacle", "web-01/Tentacle", "db-01/*")))
    assert verdict.allowed
    assert verdict.step == Expand(("web-01/Tentacle",))
    assert {clause.code: clause.edges for clause in against} == {"idle": ("app-09/Tentacle",), "ready": ("db-01/Tentacle",)}


def test_a_wave_leaves_out_every_host_that_a_busy_one_may_be_on() -> None:
    lost = EdgeFacts(
        Edge("", "", POLLING, None, "abc", records=(sample.record("poll-02"),), may_be_on=("web-02", "web-02-alias")), busy="ServerTasks-7"
    )
    facts = sample.before_switch(edges=(lost,), hosts=frozenset(("web-01", "web-02", "web-02-alias")))
    verdict, against = narrow(facts, Expand(("web-01/*", "web-02/*", "web-02-alias/*")))
    assert verdict.allowed
    assert verdict.step == Expand(("web-01/*",))
    assert {clause.code: clause.edges for clause in against} == {"idle": ("poll-02",)}


def test_a_host_that_was_not_visited_may_be_expanded_and_not_contracted() -> None:
    facts = sample.before_switch(edges=(), hosts=frozenset(("new-01",)))
    assert allowed(facts, Expand(("new-01/*",))).allowed
    assert not allowed(facts, Expand(("other/*",))).allowed
    assert [clause.code for clause in allowed(sample.after_switch(hosts=facts.hosts), Contract(("new-01/*",))).refusals()] == ["in_roster"]


def test_narrowing_leaves_the_other_steps_alone() -> None:
    verdict, against = narrow(sample.between_nodes(), RestartNode("node-2"))
    assert verdict.allowed
    assert against == ()


# -- leaving behind, rightly and wrongly (decision 5)

AWAY = replace(edge("old-lab-3"), evidence=Evidence(wire=Wire(sample.NOW)))
ILL = replace(AWAY, edge=replace(AWAY.edge, records=(sample.record("old-lab-3", health_status="Unavailable"),)))


@pytest.mark.parametrize(
    ("made", "name", "reason", "says"),
    [
        (ILL, "old-lab-3", "off since March", None),
        (ILL, "old-lab-3/Tentacle", "off since March", None),
        (replace(ILL, edge=replace(ILL.edge, instance="*")), "old-lab-3/Tentacle", "off", None),
        (replace(edge("k8s"), edge=replace(edge("k8s").edge, style=KUBERNETES)), "k8s", "later", None),
        (ILL, "old-lab-3", " ", "no reason is given"),
        (ILL, "old-lab-*", "off", "exactly this name"),
        (AWAY, "old-lab-3", "off", "is Healthy by its record"),
        (edge("old-lab-3"), "old-lab-3", "off", "answers on the wire"),
        (replace(ILL, evidence=Evidence()), "old-lab-3", "off", "nobody has probed"),
    ],
)
def test_leaving_behind(made: EdgeFacts, name: str, reason: str, says: str | None) -> None:
    facts = sample.before_switch(edges=(edge("web-01"), made), left_behind=((name, reason),))
    verdict = allowed(facts, Switch())
    assert verdict.allowed == (says is None), [clause.code for clause in verdict.refusals()]
    if says:
        assert says in next(clause for clause in verdict.refusals() if clause.code == "left_behind_rightly").faults[0].seen


def test_an_edge_that_vanished_in_the_middle_of_a_run_is_missed() -> None:
    facts = sample.after_switch(frozen=frozenset(("app-09:10933", "web-01:10933", "gone:10933")))
    refusal = next(allowed(facts, Contract(("app-09/Tentacle",))).refusals())
    assert (refusal.code, refusal.edges) == ("roster_closed", ("gone:10933",))


def test_a_third_certificate_in_the_database_is_repaired_by_importing_again() -> None:
    assert allowed(sample.before_switch(db=frozenset((sample.THIRD,))), Switch()).allowed
    assert not allowed(sample.before_switch(db=frozenset((sample.THIRD,))), RestartNode("node-1")).allowed
