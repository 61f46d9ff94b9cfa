# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Every line that a person sees of a rotation, as plain text (design/experience.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Counter as CounterType
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import LISTENING
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import HEALTHY
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import REPLACE, Blocker
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import phase
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import (
    Clause,
    Contract,
    EdgeFacts,
    Expand,
    Facts,
    Fault,
    RestartNode,
    Step,
    Switch,
    Verdict,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.plan import Place, Plan
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed

_FORWARD = "ansible-playbook octofleet.octopus.rotate_server_certificate"
_BACK = "ansible-playbook octofleet.octopus.roll_back_server_certificate"
_MOST = 20  # objects named under one heading; the report file has all of them


@dataclass(frozen=True)
class Commands:
    """The exact commands that go on with this rotation and that undo it."""

    resume: str
    back: str


def commands(facts: Facts, back: bool = False) -> Commands:
    """``back``: this run is itself a roll-back, so undoing it goes forward again."""
    return _commands(facts.old, facts.new, back)


def _commands(old: str, new: Optional[str], back: bool) -> Commands:
    go_on, undo = (_BACK, _FORWARD) if back else (_FORWARD, _BACK)
    adopt = f" -e octopus_adopt={old}" if back else ""
    return Commands(
        f"{go_on} -e octopus_retire={old} -e octopus_commit=true",
        f"{undo} -e octopus_retire={new or '<the new one>'}{adopt} -e octopus_commit=true",
    )


# -- the plan


@dataclass(frozen=True)
class Estate:
    """What the plan says beside the facts: where the Server is, what its certificate is like, where the new one comes from."""

    server: str
    old_kind: str = ""  # "sha256RSA 2048, in use since 2019-03-02"
    new_source: str = "nothing is staged"
    made_on: str = ""


def plan_lines(facts: Facts, plan: Plan, estate: Estate, notes: Sequence[Blocker] = (), back: bool = False) -> List[str]:
    lines = [f"Plan {plan.id}  retire {facts.old}, the Server certificate of {estate.server}"]
    shown = ", ".join(node.name for node in facts.nodes if node.presents == facts.old) or "no node"
    lines.append(f"  old  {facts.old}  {_comma(estate.old_kind, f'presented by {shown}')}")
    lines.append(f"  new  {_new_line(facts, estate)}")
    if phase.is_reached(facts):
        return [*lines, f"Nothing to do: no node presents {facts.old}, no Tentacle trusts it, and the store holds its backup."]
    lines.append(_fleet_line(facts))
    lines += _ability_lines(facts)
    lines += [f"  . {note.name}: {note.code}: {note.seen}. {note.remedy}" for note in notes[:_MOST]]
    lines += _proof_lines(facts)
    lines += _cost_lines(facts, plan)
    lines += [
        f"Warning: policy {one.name} in space {one.space} may upgrade Tentacles after a health check." for one in facts.policies if one.upgrades
    ]
    if facts.others is None:
        lines.append("Not judged: whether another Server presents the old certificate (octopus_known_servers is not set).")
    return lines + _outlook_lines(facts, commands(facts, back))


def _new_line(facts: Facts, estate: Estate) -> str:
    if facts.new is None:
        return f"to be generated{f' on {estate.made_on}' if estate.made_on else ''} ({estate.new_source})"
    return f"{facts.new}  {estate.new_source}"


def _fleet_line(facts: Facts) -> str:
    styles = Counter(edge.edge.style for edge in facts.edges)
    parts = ", ".join(f"{count} {style}" for style, count in sorted(styles.items(), key=lambda item: (item[0] != LISTENING, item[0])))
    hosts = len({edge.edge.host for edge in facts.edges if edge.edge.host})
    spaces = ", ".join(facts.spaces_seen) or "none"
    return (
        f"Tentacles: {_count(len(facts.edges), 'instance')} on {_count(hosts, 'host')} ({parts or 'none'}), spaces {spaces} (all that the key sees)"
    )


def _ability_lines(facts: Facts) -> List[str]:
    stuck = [fault for edge in facts.roster for fault in _stuck(facts, edge)]
    stuck += [Fault(found.name, f"{found.code}  {found.seen}", found.remedy) for found in facts.blockers]
    able = len(facts.roster) - len({fault.name for fault in stuck} & {edge.name for edge in facts.roster})
    lines = [f"  + {'can be made to trust the new certificate':<42}{able:>5}"]
    if stuck:
        lines.append(f"  ! {'cannot go on':<42}{len({fault.name for fault in stuck}):>5}")
        lines += _fault_lines(stuck, "      ")
    for name, reason in facts.left_behind:
        lines.append(f'  ~ left behind: {name} (reason given: "{reason}"): will be cut off')
    return lines


def _proof_lines(facts: Facts) -> List[str]:
    names = [edge.name for edge in facts.roster if edge.by_log]
    if not names:
        return []
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"  . {shown}: octopus_proof=log: not probed, but proved by what the running process logged at its start, and by health checks."]


def _stuck(facts: Facts, edge: EdgeFacts) -> Iterable[Fault]:
    why = facts.why_not(edge)
    if why:
        yield Fault(edge.name, f"NOT_SWITCHABLE  {why}", "Leave it behind with a reason, or wait for a version that rotates it.")
    elif edge.evidence.problem:
        yield Fault(edge.name, f"{edge.evidence.problem[0]}  {edge.evidence.problem[1]}", "Restore or repair its configuration.")
    elif phase.state_of(facts, edge) == phase.UNREACHABLE and not any(found.name == edge.name for found in facts.blockers):
        yield Fault(edge.name, "UNREACHABLE  neither its host nor its port answers", "Make it reachable, or leave it behind with a reason.")
    else:
        for code, sentence in edge.unready:
            yield Fault(edge.name, f"{code}  {sentence}", "Repair that first.")


def _cost_lines(facts: Facts, plan: Plan) -> List[str]:
    order = _in_order(plan.waves)
    if plan.polling_waves:
        order = f"{order}; then the polling ones: {_in_order(plan.polling_waves)}" if plan.waves else _in_order(plan.polling_waves)
    busy = f"; {plan.busy} busy now" if plan.busy else ""
    down = _count(plan.node_restarts, "time")
    lines = [
        f"Order: {order}.",
        f"Expect: {_count(plan.visits, 'visit')}, {_count(plan.restarts, 'restart')} of a Tentacle (about 1 s away each{busy}), at most "
        f"{plan.away_at_most} away at once;",
        f"        at {plan.forks} forks about {duration(plan.seconds)}; portal down {down} for about {plan.portal_seconds:.0f} s.",
    ]
    return [*lines, *_polling_lines(facts, plan)]


def _polling_lines(facts: Facts, plan: Plan) -> List[str]:
    """What polling costs: noise and a gap with both pins, an outage with replaced ones (measured-tentacle.md 5 and 14.1)."""
    if not plan.polling_gap:
        return []
    if facts.polling == REPLACE:
        return ["        polling ones: offline from their visit until the Server has switched and restarted (octopus_polling_strategy=replace)."]
    lines = [
        f"        polling ones: away for up to {duration(plan.polling_gap)} after each node's restart, and up to {plan.error_lines_a_minute:.1f} error"
        " lines a minute on each node while both pins stand."
    ]
    if facts.shadow:
        lines.append(f"        each polls {facts.shadow} (octopus_shadow), too, until the old pin is removed; the first one logs one error there.")
    return lines


def _in_order(waves: Sequence[Sequence[str]]) -> str:
    return "; ".join(_wave(number, wave) for number, wave in enumerate(waves)) or "no host"


def _wave(number: int, wave: Sequence[str]) -> str:
    shown = ", ".join(wave[:3]) + (f" and {len(wave) - 3} more" if len(wave) > 3 else "")
    return f"canary {shown}" if number == 0 else f"then {_count(len(wave), 'host')}"


def _outlook_lines(facts: Facts, ways: Commands) -> List[str]:
    lines = []
    stuck = [clause for clause in allowed(facts, Switch()).refusals() if clause.code in _LASTING]
    if stuck and not phase.is_switched(facts):
        lines.append("Refused for now: the Server certificate will not be switched.")
        lines += [f"  {clause.sentence}." for clause in stuck]
    return [*lines, f"To go on:    {ways.resume}", f"To go back:  {ways.back}"]


# What no visit of ours will mend, so that the plan can say it beforehand.
_LASTING = frozenset(
    ("no_limit", "spaces_agree", "left_behind_rightly", "policies_bide", "roster_closed", "nodes_known", "all_expandable", "all_readable", "nodes_up")
)


# -- refusals


def refusal_lines(facts: Facts, verdict: Verdict, back: bool = False) -> List[str]:
    """What was asked, of which objects, what was seen, what to do, what state the fleet is in, and the two commands."""
    lines: List[str] = []
    for clause in _telling(list(verdict.refusals())):
        lead = f"Refused to {asked(verdict.step, facts)}. " if not lines else "And: "
        lines.append(f"{lead}{clause.sentence}:")
        lines += _fault_lines(clause.faults, "  ")
    return lines + standing_lines(facts, back)


def _telling(clauses: Sequence[Clause]) -> Iterable[Clause]:
    """Without those of which another says everything: disk and process fail for much the same Tentacles, with the same sources."""
    told = [frozenset(clause.faults) for clause in clauses]
    for place, faults in enumerate(told):
        if faults not in told[:place] and not any(faults < others for others in told):
            yield clauses[place]


def standing_lines(facts: Facts, back: bool = False) -> List[str]:
    return [left_in(facts), *way_lines(facts.old, facts.new, back)]


def way_lines(old: str, new: Optional[str], back: bool = False) -> List[str]:
    ways = _commands(old, new, back)
    return [f"To go on:    {ways.resume}", f"To go back:  {ways.back}"]


def wave_line(what: str, hosts: Sequence[str], at_once: int, place: Optional[Place] = None) -> str:
    """Which wave begins, who is away in it, and what comes next."""
    which = f", wave {place.number} of {place.of}" if place else ""
    then = f" Next: {place.then}." if place else ""
    away = "" if len(hosts) == 1 else f", at most {at_once} away at once"
    return f"Allowed{which}: {what} ({some(hosts)}){away}.{then}"


def asked(step: Step, facts: Facts) -> str:
    """The step in the infinitive."""
    if isinstance(step, Expand):
        return f"make {_tentacles(step.edges)} trust {_thumbprint.brief(facts.new) if facts.new else 'the new certificate'}"
    if isinstance(step, RestartNode):
        return f"restart the node {step.node}"
    if isinstance(step, Contract):
        return f"remove {_thumbprint.brief(facts.old)} from {_tentacles(step.edges)}"
    return "switch the Server certificate"


def left_in(facts: Facts) -> str:
    """What state the fleet is in, and whether it may be left so."""
    states = Counter(phase.state_of(facts, edge) for edge in facts.roster)
    both = states[phase.PROVEN] + states[phase.MOVED] + states[phase.DUAL]
    parts = [
        f"{count} {one if count == 1 else many}"
        for count, one, many in (
            (both, "trusts both certificates", "trust both certificates"),
            (states[phase.NEW_ONLY] + states[phase.TRIMMED], "trusts the new one only", "trust the new one only"),
            (states[phase.OLD_ONLY], "trusts the old one only", "trust the old one only"),
            (states[phase.STAGED], "is to be restarted", "are to be restarted"),
        )
        if count
    ]
    known = f"{', '.join(parts)}. " if parts else ""
    return f"Nothing was changed by this step. {known}{_how_safe(facts)}"


def _how_safe(facts: Facts) -> str:
    """I2 in words, by what was seen: who is cut off now, and who would be after a restart."""
    shown = frozenset(node.presents for node in facts.nodes if node.presents) | facts.db
    pins = [pin for pin in (facts.old, facts.new) if pin in shown and pin]
    cut_off = [edge.name for edge in facts.roster if phase.state_of(facts, edge) == phase.LOCKED_OUT]
    if cut_off:
        return f"Locked out now: {_names(cut_off)}. Going on or back repairs that."
    strange = sorted(facts.db - {facts.old, facts.new})
    if strange:
        seen = f"The Server's database holds {' or '.join(strange)}, which no Tentacle is known to trust"
        return f"{seen}: restart no node before {facts.old} is imported again."
    at_risk = [edge.name for edge in facts.roster if any(facts.on_disk(edge, pin) is False for pin in pins)]
    if at_risk:
        return f"A restart would lock out {_names(at_risk)}. Going on or back repairs that."
    unseen = [edge.name for edge in facts.roster if edge.evidence.disk is None]
    if unseen:
        return f"Nobody that could be read is locked out; not read: {_names(unseen)}."
    return "Nobody is locked out, and it is safe to leave it as it is."


def _fault_lines(faults: Sequence[Fault], indent: str) -> List[str]:
    told = _alike(faults)
    width = max((len(fault.name) for fault in told[:_MOST]), default=0)
    lines = []
    for fault in told[:_MOST]:
        lines.append(f"{indent}{fault.name:<{width}}  {fault.seen}")
        lines.append(f"{indent}  -> {fault.remedy}")
    if len(told) > _MOST:
        lines.append(f"{indent}and {len(told) - _MOST} more, all in the report")
    return lines


def _alike(faults: Sequence[Fault]) -> List[Fault]:
    """Four and more of which the very same is to be said are told as one."""
    groups: Dict[Tuple[str, str], List[str]] = {}
    for fault in faults:
        groups.setdefault((fault.seen, fault.remedy), []).append(fault.name)
    told: List[Fault] = []
    for (seen, remedy), names in groups.items():
        some = [f"{', '.join(names[:3])} and {len(names) - 3} more"] if len(names) > 3 else names
        told += [Fault(name, seen, remedy) for name in some]
    return told


# -- the status


def status_line(facts: Facts) -> str:
    """``Phase EXPAND (derived): 214 of 412 trust both, ... Next allowed: expand. Not allowed: switch (198 without proof).``"""
    states = Counter(phase.state_of(facts, edge) for edge in facts.roster)
    verdicts = phase.outlook(facts)
    may = _unique(_KIND[verdict.step.kind] for verdict in verdicts if verdict.allowed)
    refused = next((f"{_KIND[verdict.step.kind]} ({_first(verdict)})" for verdict in verdicts if not verdict.allowed), "")
    nothing = "to stage a new certificate" if facts.new is None else "nothing"
    return (
        f"Phase {phase.phase_of(facts)} (derived): {_states(states, len(facts.roster))}. "
        f"Next allowed: {', '.join(may) or nothing}.{f' Not allowed: {refused}.' if refused else ''}"
    )


_KIND = {"expand": "expand", "switch": "switch", "restart_node": "restart of a node", "contract": "contract"}


def _states(states: CounterType[str], total: int) -> str:
    shown = [f"{states[code]} {word}" for code, word in phase.STATES.items() if states[code]]
    return f"{_count(total, 'Tentacle')}: {', '.join(shown)}" if shown else "no Tentacles"


def _first(verdict: Verdict) -> str:
    sentence = next(verdict.refusals()).sentence
    return sentence[0].lower() + sentence[1:]


def _unique(texts: Iterable[str]) -> List[str]:
    return list(dict.fromkeys(texts))


# -- the end


def closing_lines(facts: Facts, foreign_pins: int) -> List[str]:
    """The table at the end of a run, from what was seen at its end."""
    total = len(facts.roster)
    states = Counter(phase.state_of(facts, edge) for edge in facts.roster)
    trusting = [edge for edge in facts.roster if facts.proof(edge, facts.new or "") == "accepted" and facts.on_disk(edge, facts.new or "")]
    nodes = sum(1 for node in facts.nodes if node.presents == facts.new)
    checked = [edge for edge in facts.roster if edge.evidence.health]
    asked_health = sum(1 for edge in facts.roster if edge.edge.records and not edge.edge.is_disabled)
    healthy = f"{len(checked) - len(not_working(facts))} of {asked_health} healthy" if checked or not asked_health else "health not checked"
    lines = [
        f"Server certificate {_arrow(facts)}",
        f"  trusted by {len(trusting)} of {_count(total, 'Tentacle')}, proved {_kinds_of_proof(trusting)}",
        f"  Server: {nodes} of {_count(len(facts.nodes), 'node')} {'presents' if nodes == 1 else 'present'} the new certificate",
        f"  {healthy}; old certificate removed and refused on {states[phase.NEW_ONLY]} of {total}; {_count(foreign_pins, 'foreign pin')} untouched",
    ]
    left = [edge.name for edge in facts.roster if facts.polls_shadow(edge)]
    if left:
        lines.append(
            f"  nobody is at {facts.shadow} any more, which {_names(left)} will poll in vain (2 error lines in 2 minutes) until this goes on"
        )
    fate = "cut off" if phase.is_switched(facts) else "will be cut off by the switch"
    return lines + [f'  left behind, {fate}: {name} (reason given: "{reason}")' for name, reason in facts.left_behind]


def not_working(facts: Facts) -> List[str]:
    """With whom the Server does not work, by the latest health check of this run."""
    return [edge.name for edge in facts.roster if edge.evidence.health and edge.evidence.health.status not in HEALTHY]


def _kinds_of_proof(trusting: Sequence[EdgeFacts]) -> str:
    kinds = Counter(edge.kind_of_proof for edge in trusting)
    on_wire = "on the wire (new accepted, random refused, none refused)"
    words = {"wire": on_wire, "shadow": "at the shadow", "log": f"by {'its log' if kinds['log'] == 1 else 'their logs'}"}
    told = [f"{word} {kinds[kind]}" for kind, word in words.items() if kinds[kind]]
    return ", ".join(told) if set(kinds) - {"wire"} else on_wire


def last_line(facts: Facts, seconds: Optional[float]) -> str:
    """The one line that a run ends with."""
    if not phase.is_reached(facts):
        return f"Not reached. {status_line(facts)}"
    ill = not_working(facts)
    if ill:
        return f"{_arrow(facts)} is reached, but the Server does not work with {_names(ill)} (health check at the end): see the log of its last Health task."
    took = f" in {seconds:.0f} s" if seconds is not None else ""
    return f"{_arrow(facts)} on {_count(len(facts.roster), 'Tentacle')}{took}"


# What a Server restored from an older backup would need; printed by the final report where it was not judged (decision 18, I13).
RUNBOOK = (
    "A Server restored from a backup, or a clone, that still holds the old certificate: import the new one before its first start, "
    "for every Tentacle now refuses the old one."
)


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"


def _arrow(facts: Facts) -> str:
    return f"{_thumbprint.brief(facts.old)} -> {_thumbprint.brief(facts.new or '?')}"


def _tentacles(names: Sequence[str]) -> str:
    """Before the first visit to a host its instances are not known."""
    unvisited = all(name.endswith("/*") for name in names)
    return names[0].replace("/*", "") if len(names) == 1 else _count(len(names), "host" if unvisited else "Tentacle")


def _names(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST]) + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")


def _comma(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
