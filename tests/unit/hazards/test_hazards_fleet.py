# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hazards of a whole rotation that no other test meets by themselves: what the formula and the plan make of them.

tests/HAZARDS.md names the test of every hazard; `make proof` takes the guard away and expects the test to fail.
"""

from __future__ import annotations

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Health
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import plan
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Contract, Facts
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from model import sample


def test_a_health_check_from_before_the_switch_does_not_count_after_it() -> None:
    """A connection that stands outlives a change of trust (22), so green says nothing of the new certificate unless all nodes presented it."""
    green_before = Health("Healthy", sample.NOW - 2, frozenset((sample.OLD,)))
    first, second = sample.after_switch().edges
    facts = sample.after_switch(edges=(sample.seen(first, health=green_before), second))
    assert refusals(facts) == {"works_with_new": ["app-09/Tentacle"]}


def test_who_polls_is_visited_last_and_the_gap_is_foreseen() -> None:
    """With both pins each costs every node an error every two minutes, and finds the new certificate late (H-41)."""
    facts = sample.before_switch(edges=(sample.polling("poll-1"), sample.edge("web-01")))
    assert plan.crews(facts, ["poll-1", "web-01"]) == plan.Crews(("web-01",), ("poll-1",))
    assert (plan.gap_after(1.0), plan.gap_after(40.0), plan.gap_after(600.0)) == (5.0, 80.0, 120.0)


def refusals(facts: Facts) -> dict[str, list[str]]:
    step = Contract(tuple(edge.name for edge in facts.edges))
    return {clause.code: [fault.name for fault in clause.faults] for clause in allowed(facts, step).refusals() if clause.code != "at_most_away"}
