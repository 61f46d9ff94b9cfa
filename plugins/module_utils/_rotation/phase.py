# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Where a rotation stands, derived from facts on every call and never stored (design/rotation-safety.md 4.2)."""

from __future__ import annotations

from typing import Dict, List, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import ACCEPTED, HEALTHY, REFUSED
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import (
    Contract,
    EdgeFacts,
    Expand,
    Facts,
    RestartNode,
    Step,
    Switch,
    Verdict,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed, roster_closed

UNKNOWN, OLD_ONLY, STAGED, DUAL, PROVEN, MOVED, TRIMMED, NEW_ONLY = "U", "A", "B", "C", "D", "E", "F", "G"
UNREACHABLE, LEFT_BEHIND, LOCKED_OUT, AMBIGUOUS = "X1", "X2", "X3", "X4"
STATES: Dict[str, str] = {
    UNKNOWN: "not observed",
    OLD_ONLY: "old only",
    STAGED: "restart pending",
    DUAL: "trust both by disk and process",
    PROVEN: "trust both, proved",
    MOVED: "work with the new one",
    TRIMMED: "restart pending to forget the old one",
    NEW_ONLY: "new only",
    UNREACHABLE: "unreachable",
    LEFT_BEHIND: "left behind",
    LOCKED_OUT: "locked out",
    AMBIGUOUS: "ambiguous",
}

IDLE, PLANNED, EXPAND, ALL_PROVEN, COMMIT, VERIFIED, CONTRACT, DONE = (
    "IDLE",
    "PLANNED",
    "EXPAND",
    "PROVEN",
    "COMMIT",
    "VERIFIED",
    "CONTRACT",
    "DONE",
)


def state_of(facts: Facts, edge: EdgeFacts) -> str:
    """The state of one Tentacle, by the letters of rotation-safety 4.2."""
    wire = edge.evidence.wire
    if facts.is_left_behind(edge):
        return LEFT_BEHIND
    if edge.evidence.problem:
        return AMBIGUOUS
    if any(facts.proof(edge, pin) == REFUSED for pin in (facts.old, facts.new) if pin and _is_presented(facts, pin)):
        return LOCKED_OUT
    if edge.evidence.disk is None:
        return UNKNOWN if wire is None or wire.reached else UNREACHABLE
    if not facts.on_disk(edge, facts.new or ""):
        return OLD_ONLY if facts.on_disk(edge, facts.old) else LOCKED_OUT
    return _dual(facts, edge) if facts.holds(edge, facts.old) else _new_only(facts, edge)


def _is_presented(facts: Facts, pin: str) -> bool:
    return any(node.presents == pin for node in facts.nodes)


def _dual(facts: Facts, edge: EdgeFacts) -> str:
    wire = edge.evidence.wire
    if edge.proved_by_log and {facts.proof(edge, pin) for pin in (facts.old, facts.new or "")} == {ACCEPTED}:
        return _proven(facts, edge)
    if wire is None or wire.new is None or not wire.reached:
        return DUAL if _is_current(edge) else STAGED
    if (wire.old, wire.new, wire.random, wire.none) != (ACCEPTED, ACCEPTED, REFUSED, REFUSED):
        return STAGED if wire.new == REFUSED else DUAL
    return _proven(facts, edge)


def _proven(facts: Facts, edge: EdgeFacts) -> str:
    return MOVED if is_switched(facts) and _works(facts, edge) else PROVEN


def _new_only(facts: Facts, edge: EdgeFacts) -> str:
    wire = edge.evidence.wire
    if facts.polls_shadow(edge):
        return TRIMMED  # the entry for the shadow goes with the old one
    if wire is None or wire.old is None:
        return NEW_ONLY if _is_current(edge) else TRIMMED
    return NEW_ONLY if (wire.old, wire.new) == (REFUSED, ACCEPTED) else TRIMMED


def _is_current(edge: EdgeFacts) -> bool:
    process = edge.evidence.process
    return process is not None and process.restart_pending == "no"


def _works(facts: Facts, edge: EdgeFacts) -> bool:
    if not edge.edge.records or edge.edge.is_disabled:
        return True
    health = edge.evidence.health
    return health is not None and health.presented == {facts.new} and health.status in HEALTHY


def is_switched(facts: Facts) -> bool:
    """Whether the database certainly holds the new certificate and every node presents it."""
    return facts.db == {facts.new} and bool(facts.nodes) and all(node.presents == facts.new for node in facts.nodes)


def is_reached(facts: Facts) -> bool:
    """Nobody presents the old certificate, nobody trusts it, all are accounted for, and the store holds its backup (decision 1)."""
    return (
        is_switched(facts)
        and facts.old in facts.stored
        and roster_closed(facts, Switch()).holds
        and all(state_of(facts, edge) == NEW_ONLY for edge in facts.roster)
    )


def phase_of(facts: Facts) -> str:
    """The phase of the fleet; DONE is what decision 1 calls reached."""
    states = {state_of(facts, edge) for edge in facts.roster}
    if facts.new is None:
        return IDLE
    if facts.new in facts.db or any(node.presents == facts.new for node in facts.nodes):
        if not is_switched(facts):
            return COMMIT
        if is_reached(facts):
            return DONE
        return CONTRACT if states & {TRIMMED, NEW_ONLY} else VERIFIED
    if states <= {PROVEN}:
        return ALL_PROVEN
    return EXPAND if any(facts.on_disk(edge, facts.new) for edge in facts.roster) else PLANNED


def useful_steps(facts: Facts) -> Tuple[Step, ...]:
    """What is left to do from here, in order, whether allowed or not. Empty: reached, or nothing that a step could change."""
    if facts.new is None:
        return ()
    steps: List[Step] = []
    wanted = facts.to_trust()
    lacking = [edge for edge in facts.roster if not facts.why_not(edge) and _lacks(facts, edge, wanted)]
    if lacking:
        steps.append(Expand(tuple(edge.name for edge in lacking)))
    if facts.db != {facts.new}:
        steps.append(Switch())
    steps += [RestartNode(node.name) for node in facts.nodes if node.presents != facts.new]
    trusting = [edge for edge in facts.roster if not facts.why_not(edge) and _trusts_old(facts, edge)]
    if trusting:
        steps.append(Contract(tuple(edge.name for edge in trusting)))
    return tuple(steps)


def outlook(facts: Facts) -> Tuple[Verdict, ...]:
    """The verdict on every useful step, now."""
    return tuple(allowed(facts, step) for step in useful_steps(facts))


def _lacks(facts: Facts, edge: EdgeFacts, pins: Tuple[str, ...]) -> bool:
    asked = facts.asked_of(edge, pins)
    return any(not facts.on_disk(edge, pin) or facts.proof(edge, pin) == REFUSED for pin in asked) or state_of(facts, edge) == STAGED


def _trusts_old(facts: Facts, edge: EdgeFacts) -> bool:
    return facts.holds(edge, facts.old) is not False or facts.proof(edge, facts.old) == ACCEPTED or state_of(facts, edge) == TRIMMED
