# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Polling Tentacles in the formula: both pins at every address they poll, by the log of the running process (decision 25)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import POLLING, Poll, TrustEntry
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Disk, Evidence
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import phase
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Contract, EdgeFacts, Expand, Facts, Switch
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from model import sample
from model.sample import NEW, OLD, THIRD, edge, polling, seen

BOTH = (OLD, NEW)
STARTED = {OLD: ("started",), NEW: ("started",)}
MOVED = {OLD: ("started", "identified", "armed"), NEW: ("started", "armed", "identified")}


def at_one_place(made: EdgeFacts, *pins: str) -> EdgeFacts:
    """The same Tentacle with ``pins`` at the second node's address only; its process knows nothing else."""
    entries = [one for one in (made.evidence.disk.trust if made.evidence.disk else ()) if one.address == f"{sample.PLACES[0]}/"]
    entries += [TrustEntry(pin, pin, POLLING, sample.PLACES[1], "abc") for pin in pins]
    return seen(made, disk=Disk(tuple(entries), sample.NOW - 20, sample.own(made.edge.host)))


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (polling("p"), "D"),
        (polling("p", (OLD,)), "A"),
        (polling("p", BOTH, STARTED), "C"),
        (polling("p", BOTH, STARTED, "yes"), "B"),
        (polling("p", BOTH, {}), "C"),
        (polling("p", BOTH, {NEW: ("armed",)}), "D"),
        (polling("p", BOTH, {OLD: ("identified",)}), "C"),
        (polling("p", (NEW,)), "X3"),
        (polling("p", ()), "X3"),
        (at_one_place(polling("p"), OLD), "A"),
        (at_one_place(polling("p"), NEW), "X3"),
        (at_one_place(polling("p"), NEW.lower(), OLD), "A"),
        (seen(polling("p"), process=None), "B"),
        (replace(polling("p"), evidence=Evidence()), "U"),
    ],
)
def test_states_while_the_nodes_present_the_old_certificate(made: EdgeFacts, state: str) -> None:
    assert phase.state_of(sample.before_switch(edges=(made,)), made) == state


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (polling("p", BOTH, MOVED), "D"),
        (seen(polling("p", BOTH, MOVED), health=edge("p", works_with=NEW).evidence.health), "E"),
        (polling("p", (NEW,)), "G"),
        (polling("p", (NEW,), {NEW: ("started",)}), "G"),
        (polling("p", (NEW,), pending="yes"), "F"),
        (polling("p", (OLD,)), "X3"),
    ],
)
def test_states_after_the_switch(made: EdgeFacts, state: str) -> None:
    assert phase.state_of(sample.after_switch(edges=(made,)), made) == state


@pytest.mark.parametrize(
    ("made", "refused_by"),
    [
        (polling("p"), []),
        (polling("p", BOTH, STARTED), ["in_process"]),
        (polling("p", BOTH, {}), ["in_process"]),
        (polling("p", BOTH, pending="yes"), []),
        (seen(polling("p", BOTH, {NEW: ("started", "armed")}, "yes"), health=None), ["in_process"]),
        (polling("p", (OLD,)), ["on_disk", "in_process"]),
        (at_one_place(polling("p"), OLD), ["on_disk", "in_process"]),
        (at_one_place(polling("p"), THIRD), []),
    ],
)
def test_the_switch_waits_for_both_pins_at_every_address(made: EdgeFacts, refused_by: list[str]) -> None:
    verdict = allowed(sample.before_switch(edges=(edge("web-01"), made)), Switch())
    assert [clause.code for clause in verdict.refusals()] == refused_by


def test_a_health_check_after_the_switch_proves_what_a_restarted_process_has_not_logged_yet() -> None:
    made = seen(polling("p", BOTH, {}), health=edge("p", works_with=NEW).evidence.health)
    facts = sample.after_switch(edges=(made,))
    assert (facts.proof(made, NEW), facts.proof(made, OLD)) == ("accepted", None)
    late = seen(made, visited_at=sample.NOW - 1)
    assert facts.proof(late, NEW) is None, "the check was made before the last visit"
    assert sample.between_nodes(edges=(made,)).proof(made, NEW) is None, "one node still presents the old one"


def test_a_refusal_tells_what_the_log_says() -> None:
    facts = sample.before_switch(edges=(polling("p", BOTH, {OLD: ("started", "identified"), NEW: ("started",)}),))
    fault = next(allowed(facts, Switch()).refusals()).faults[0]
    assert "log: https://node-1:10943: started; https://node-2:10943: started" in fault.seen
    assert "level Info" in fault.remedy


def test_a_pin_that_is_left_at_one_address_is_still_to_be_removed() -> None:
    left = at_one_place(polling("p", (NEW,), MOVED), OLD, NEW)
    facts = sample.after_switch(edges=(left,))
    assert phase.useful_steps(facts) == (Contract(("p/Tentacle",)),)
    assert not phase.is_reached(facts)


def test_another_subscription_proves_nothing() -> None:
    made = polling("p")
    process = made.evidence.process
    assert process is not None
    others = tuple(Poll(poll.place, "xyz", poll.pin, poll.seen) for poll in process.polls)
    facts = sample.before_switch(edges=(seen(made, process=replace(process, polls=others)),))
    assert [clause.code for clause in allowed(facts, Switch()).refusals()] == ["in_process"]


def strategy(name: str, made: EdgeFacts) -> Facts:
    return sample.before_switch(edges=(edge("web-01"), made), polling=name)


def test_who_is_not_to_be_touched_refuses_the_switch() -> None:
    facts = strategy("refuse", polling("p"))
    assert [clause.code for clause in allowed(facts, Switch()).refusals()] == ["all_expandable"]
    assert [clause.code for clause in allowed(facts, Expand(("p/Tentacle",))).refusals()] == ["expandable"]


def test_a_replaced_pin_is_all_that_is_asked_for_before_the_switch() -> None:
    replaced = polling("p", (NEW,), {NEW: ("started", "armed")})
    facts = strategy("replace", replaced)
    assert allowed(facts, Switch()).allowed
    assert phase.state_of(facts, replaced) == "X3", "it is offline until the Server switches, and that is said"
    assert [clause.code for clause in allowed(strategy("overlap", replaced), Switch()).refusals()] == ["on_disk", "in_process"]
    assert not any(isinstance(step, Expand) for step in phase.useful_steps(facts))


@pytest.mark.parametrize("pins", [(OLD,), BOTH], ids=["one pin", "both"])
def test_a_polling_tentacle_is_left_behind_only_if_nobody_reaches_it(pins: tuple[str, ...]) -> None:
    ill = sample.record("p", style=POLLING, address=None, subscription="abc", health_status="Unavailable")
    away = replace(polling("p", pins), evidence=Evidence())
    away = replace(away, edge=replace(away.edge, records=(ill,)))
    behind = {"left_behind": (("p", "off since March"),)}
    assert allowed(sample.before_switch(edges=(edge("web-01"), away), **behind), Switch()).allowed
    there = sample.before_switch(edges=(edge("web-01"), polling("p", pins)), **behind)
    assert [clause.code for clause in allowed(there, Switch()).refusals()] == ["left_behind_rightly"]
