# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The report of a run as a JSON-clean dictionary; its schema has a version and only grows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Dict, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import ACCEPTED, Process, Wire
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import phase
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import EdgeFacts, Facts, Verdict

SCHEMA = "octofleet.octopus/rotation-report/1"


def make_report(
    facts: Facts, verdicts: Sequence[Verdict], *, plan: str, lines: Sequence[str], started: str, seconds: Optional[float]
) -> Dict[str, Any]:
    """Everything that was judged, and the lines that a person saw. Thumbprints are no secrets; nothing else here is one."""
    return {
        "schema": SCHEMA,
        "plan": plan,
        "started": started,
        "seconds": seconds,
        "old": facts.old,
        "new": facts.new,
        "phase": phase.phase_of(facts),
        "reached": phase.is_reached(facts),
        "database": sorted(facts.db),
        "nodes": [{"name": node.name, "endpoint": node.endpoint, "presents": node.presents} for node in facts.nodes],
        "spaces": {"asked": list(facts.spaces_asked) if facts.spaces_asked is not None else None, "seen": list(facts.spaces_seen)},
        "counts": counts(facts),
        "proofs": proofs(facts),
        "tentacles": [row(facts, edge) for edge in facts.edges],
        "blockers": [{"code": found.code, "name": found.name, "seen": found.seen, "remedy": found.remedy} for found in facts.blockers],
        "left_behind": [{"name": name, "reason": reason} for name, reason in facts.left_behind],
        "verdicts": [verdict_row(verdict) for verdict in verdicts],
        "known_servers": [{"name": other.name, "presents": other.presents} for other in facts.others] if facts.others is not None else None,
        "lines": list(lines),
    }


def make_word(step: str, old: Optional[str], new: Optional[str], lines: Sequence[str]) -> Dict[str, Any]:
    """The report of a run that ended at a gate which could not judge."""
    return {"schema": SCHEMA, "ended_at": step, "old": old, "new": new or None, "reached": False, "lines": list(lines)}


def counts(facts: Facts) -> Dict[str, int]:
    """Tentacles by state, only the states that occur."""
    found: Dict[str, int] = {}
    for edge in facts.edges:
        state = phase.state_of(facts, edge)
        found[state] = found.get(state, 0) + 1
    return found


def proofs(facts: Facts) -> Dict[str, int]:
    """Tentacles by the kind of proof that they trust the new certificate (decision 24)."""
    kinds = ["none" if facts.proof(edge, facts.new or "") != ACCEPTED else edge.kind_of_proof for edge in facts.edges]
    return {kind: kinds.count(kind) for kind in ("wire", "shadow", "log", "none") if kind in kinds}


def row(facts: Facts, edge: EdgeFacts) -> Dict[str, Any]:
    evidence = edge.evidence
    return {
        "name": edge.name,
        "host": edge.edge.host,
        "instance": edge.edge.instance,
        "style": edge.edge.style,
        "endpoint": edge.edge.endpoint,
        "subscription": edge.edge.subscription,
        "records": [record.id for record in edge.edge.records],
        "state": phase.state_of(facts, edge),
        "means": phase.STATES[phase.state_of(facts, edge)],
        "disk": sorted(evidence.disk.pins()) if evidence.disk else None,
        "process": _process(evidence.process),
        "log": facts.log_of(edge, facts.new or "") if edge.proved_by_log else None,
        "shadow": asdict(evidence.shadow) if evidence.shadow else None,
        "proof": {"old": facts.proof(edge, facts.old), "new": facts.proof(edge, facts.new) if facts.new else None},
        "wire": _wire(evidence.wire, facts.now),
        "health": evidence.health.status if evidence.health else None,
        "problem": {"code": evidence.problem[0], "reason": evidence.problem[1]} if evidence.problem else None,
    }


def _process(process: Optional[Process]) -> Optional[Dict[str, Any]]:
    return {"pid": process.pid, "started_at": process.started_at, "restart_pending": process.restart_pending} if process else None


def _wire(wire: Optional[Wire], now: float) -> Optional[Dict[str, Any]]:
    if wire is None:
        return None
    age = round(now - wire.at, 1)
    return {"presents": wire.presents, "old": wire.old, "new": wire.new, "random": wire.random, "none": wire.none, "age": age}


def verdict_row(verdict: Verdict) -> Dict[str, Any]:
    return {
        "step": verdict.step.kind,
        "allowed": verdict.allowed,
        "clauses": {clause.code: clause.holds for clause in verdict.clauses},
        "refusals": [
            {"code": clause.code, "sentence": clause.sentence, "faults": [asdict(fault) for fault in clause.faults]} for clause in verdict.refusals()
        ],
    }
