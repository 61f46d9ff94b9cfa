# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The gates of a rotation: from a survey to a verdict, the lines that a person reads, the permit, and whom the next plays aim at.

What is safe is decided by ``_rotation/rules.py`` alone; here it is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import read as read_certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import POLLING
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import ACCEPTED
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import OVERLAP
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import permit as permits
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import phase, plan, report, rules, words
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.choose import GENERATE
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Contract, Expand, Facts, RestartNode, Step, Switch, Verdict
from ansible_collections.octofleet.octopus.plugins.plugin_utils._inventory import Inventory
from ansible_collections.octofleet.octopus.plugins.plugin_utils._survey import Survey

NOBODY = ["!all"]
PERMIT_SECONDS = 900.0
BUSY_POLL = 5.0
SHADOW_POLL = 0.5
SHADOW_ENDS = 5.0  # how long the shadow of a run that was killed may still be there
# What no visit of this rotation can mend: asked before anything is touched.
BEFOREHAND = ("no_limit", "spaces_agree", "left_behind_rightly", "policies_bide", "nodes_known", "all_expandable")


@dataclass(frozen=True)
class Frame:
    """How the run was started: what is not a fact of the fleet."""

    inventory: Inventory
    batch: Sequence[str]  # hosts of the current batch
    commit: bool
    back: bool
    waves: Sequence[Any]
    forks: int
    busy: str
    busy_wait: float
    server_url: str
    server_instance: str
    run: permits.RunIdentity
    started: float  # epoch seconds, by the gate that opened the run
    stop_at: datetime | None = None
    pause: float = 0.0
    polling_waves: Sequence[Any] = (2, "100%")
    polling_gap: float = plan.LONGEST_GAP
    nudge: bool = False
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    today: Callable[[], datetime] = lambda: datetime.now().astimezone()


@dataclass
class Gate:
    """What a gate answers; becomes the task's result."""

    facts: Facts
    allowed: bool = True
    lines: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    permit: dict[str, Any] | None = None
    aims: dict[str, Any] = field(default_factory=dict)
    at_once: int = 1  # hosts of the wave that may be away together
    failed: str = ""  # why the run did not reach its end; the report play fails with it
    machines: list[str] = field(default_factory=list)  # ids to check the health of, before the next gate

    def refuse(self, verdict: Verdict, back: bool) -> None:
        self.allowed = False
        self.lines += words.refusal_lines(self.facts, verdict, back)

    def result(self) -> dict[str, Any]:
        named = {"msg": self.failed} if self.failed else {}
        return {
            "allowed": self.allowed,
            "changed": False,
            "phase": phase.phase_of(self.facts),
            "retire": self.facts.old,
            "adopt": self.facts.new or "",
            "hosts": self.hosts,
            "lines": self.lines,
            "clauses": [report.verdict_row(verdict) for verdict in self.verdicts],
            "machines": self.machines,
            "at_once": self.at_once,
            "endpoints": [node.endpoint for node in self.facts.nodes if node.endpoint],
            "frozen": sorted(self.facts.frozen | {edge.edge.identity for edge in self.facts.edges}),
            **({"permit": self.permit} if self.permit else {}),
            **self.aims,
            **named,
        }


class Gates:
    def __init__(self, survey: Survey, frame: Frame) -> None:
        self._survey = survey
        self._frame = frame

    def judge(self, step: str) -> Gate:
        try:
            judged: Gate = getattr(self, f"_{step}")()
        except OctoError as error:
            if self._survey.mishaps:
                error.message = self._unjudged(step, error.message)
            raise
        judged.aims["started"] = self._frame.started
        return judged

    # -- the gates, in the order of a run

    def _open(self) -> Gate:
        facts, made = self._planned()
        gate = Gate(facts)
        servers = list(self._frame.inventory.servers)
        if not self._frame.commit:
            gate.aims = {**_aims(), "read": list(self._frame.inventory.tentacles)}
            return gate
        verdict = rules.allowed(facts, Switch())
        gate.verdicts.append(_beforehand(facts, verdict, self._frame.busy))
        gate.aims = {**_aims(), "undrain": servers[:1] if self._survey.draining else NOBODY}
        if not gate.verdicts[0].allowed:
            gate.refuse(gate.verdicts[0], self._frame.back)
            return gate
        self._try_shadow(facts)
        old, new = words_of(facts)
        hosts, waves = len(self._frame.inventory.tentacles), len(made.waves) + len(made.polling_waves)
        gate.lines.append(f"Plan {made.id}: retire {old}, adopt {new}; {counted(hosts, 'host')} in {counted(waves, 'wave')}.")
        crews = plan.crews(facts, self._frame.inventory.tentacles)
        gate.aims.update(prepare=servers[:1], switch=servers[:1])
        gate.aims.update(visit=list(crews.listening) or NOBODY, visit_polling=list(crews.polling) or NOBODY)
        return gate

    def _expand(self) -> Gate:
        self._let_polling_ones_subscribe()
        facts = self._waited()
        gate = Gate(facts)
        stop = self._halted(facts) or self._unprepared(facts)
        if stop:
            gate.allowed = False
            gate.lines.append(f"Not visited: {some(self._frame.batch)}. {stop}")
            return gate
        wanted, left = self._to_visit(facts)
        if left:
            gate.lines.append(f"Left behind: {some(left)}.")
        if not wanted:
            return gate
        self._cast_shadow(gate)
        step = Expand(tuple(f"{host}/*" for host in wanted), self._at_once)
        return self._permitted(gate, step, facts.to_trust())

    def _switch(self) -> Gate:
        self._let_polling_ones_subscribe()
        gate = Gate(self._survey.facts)
        servers = list(self._frame.inventory.servers)
        gate.aims = _aims()
        gate.machines = _to_check(gate.facts)
        if gate.facts.db == {gate.facts.new}:
            gate.aims.update(nodes=self._nodes_to_restart(gate.facts), nudge=self._to_nudge(gate.facts), verify=servers[:1])
            return gate
        verdict = rules.allowed(gate.facts, Switch())
        gate.verdicts.append(verdict)
        if not verdict.allowed or self._late():
            gate.machines, gate.allowed = [], False
            if verdict.allowed:
                gate.lines.append(f"The Server certificate was not switched. {self._late()}")
            else:
                gate.refuse(verdict, self._frame.back)
            return gate
        gate.hosts = servers[:1]
        gate.permit = self._permit(gate.facts, ["switch"], {servers[0]: [f"server:{self._frame.server_instance}"]}, ())
        gate.lines.append(f"Allowed: switch the Server certificate. {words.status_line(gate.facts)}")
        gate.aims.update(nodes=servers, nudge=self._to_nudge(gate.facts), verify=servers[:1])
        return gate

    def _restart_node(self) -> Gate:
        host = self._frame.batch[0]
        waited = self._let_polling_ones_move(host)
        gate = Gate(self._survey.facts, lines=waited)
        gate.aims = {**_aims(), "nudge": self._to_nudge(gate.facts), "verify": list(self._frame.inventory.servers)[:1]}
        gate.machines = _to_check(gate.facts)
        node = self._survey.node_of(host)
        if node is not None and node.presents == gate.facts.new:
            return gate
        verdict = rules.allowed(gate.facts, RestartNode(node.name if node else host))
        gate.verdicts.append(verdict)
        if not verdict.allowed:
            gate.refuse(verdict, self._frame.back)
            return gate
        gate.hosts = [host]
        # A node that does not answer runs no task, whatever the Server still counts of it.
        gate.aims["drain"] = node.name if node and node.presents else ""
        gate.permit = self._permit(gate.facts, ["restart_node"], {host: ["*"]}, ())
        gate.lines.append(f"Allowed: restart the node {node.name if node else host}.")
        return gate

    def _nudge(self) -> Gate:
        """A third visit to the polling Tentacles: restarted, they call the nodes at once instead of at the end of their back-off."""
        facts = self._waited()
        gate = Gate(facts)
        gate.aims = {**_aims(), "verify": list(self._frame.inventory.servers)[:1]}
        if not phase.is_switched(facts):
            gate.lines.append("Not nudged: not every node presents the new certificate.")
            return gate
        named = tuple(edge.name for edge in facts.roster if edge.edge.host in self._frame.batch and edge.edge.style == POLLING)
        return self._permitted(gate, Expand(named, self._at_once), facts.to_trust(), "nudge") if named else gate

    def _verify(self) -> Gate:
        gate = Gate(self._survey.facts)
        gate.aims = _aims()
        trusting = [step for step in phase.useful_steps(gate.facts) if isinstance(step, Contract)]
        if not (trusting and phase.is_switched(gate.facts)):  # a switch that did not come off is the report's matter
            gate.lines.append(words.status_line(gate.facts))
            return gate
        verdict, against = rules.narrow(gate.facts, trusting[0])
        gate.verdicts.append(verdict)
        gate.machines = _to_check(gate.facts)  # for the report, after a refusal too
        if not verdict.allowed or not isinstance(verdict.step, Contract):
            gate.refuse(verdict, self._frame.back)
            return gate
        gate.verdicts.append(replace(verdict, clauses=against))
        named = plan.edges_by_host([edge for edge in gate.facts.edges if edge.name in verdict.step.edges])
        gate.aims["remove"] = [host for host in self._frame.inventory.tentacles if host in named] or NOBODY
        gate.lines.append(words.status_line(gate.facts))
        return gate

    def _contract(self) -> Gate:
        facts = self._waited()
        gate = Gate(facts)
        stop = self._halted(facts)
        if stop:
            gate.allowed = False
            gate.lines.append(f"Not visited: {some(self._frame.batch)}. {stop}")
            return gate
        named = tuple(edge.name for edge in facts.roster if edge.edge.host in self._frame.batch and not edge.edge.is_further)
        if self._survey.shadow:
            gate.aims["shadow"] = {"address": self._survey.shadow.address}
        return self._permitted(gate, Contract(named, self._at_once), (facts.old,))

    def _close(self) -> Gate:
        facts, made = self._planned()
        gate = Gate(facts)
        gate.verdicts += _outlook(facts, self._frame.busy)
        seconds = max(0.0, time.time() - self._frame.started)
        if not self._frame.commit:
            gate.lines += words.plan_lines(facts, made, self._estate(), self._survey.roster.notes, self._frame.back)
        else:
            gate.lines += self._closing(gate, seconds)
            if self._survey.shadow:
                self._survey.shadow.end()
            if not phase.is_reached(facts) or words.not_working(facts):
                gate.allowed = False
                gate.failed = gate.lines[-1]
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._frame.started))
        gate.aims["report"] = report.make_report(facts, gate.verdicts, plan=made.id, lines=gate.lines, started=started, seconds=round(seconds, 1))
        return gate

    # -- what they share

    @property
    def _at_once(self) -> int:
        facts = self._survey.facts
        most = facts.away_at_most(edge for edge in facts.edges if edge.edge.host in self._frame.batch)
        return max(1, min(self._frame.forks, most, len(self._frame.batch)))

    def _place(self, step: Step) -> plan.Place | None:
        """Which wave of the round the batch is, as the plays make them of the hosts that earlier gates named."""
        frame, named = self._frame, self._survey.named
        specs = {"visit": frame.waves, "visit_polling": frame.polling_waves, "remove": frame.waves}
        rounds = {aim: plan.waves(list(named(aim)), spec) for aim, spec in specs.items() if list(named(aim)) != NOBODY}
        if isinstance(step, Contract):
            return plan.place_of(frame.batch, [rounds.get("remove", ())], "the report")
        return plan.place_of(frame.batch, [rounds.get("visit", ()), rounds.get("visit_polling", ())], "the switch")

    def _to_visit(self, facts: Facts) -> tuple[list[str], list[str]]:
        """The hosts of the batch, without those on which everything is left behind; and those."""
        edges = {host: [edge for edge in facts.edges if edge.edge.host == host] for host in self._frame.batch}
        left = [host for host, found in edges.items() if found and all(facts.is_left_behind(edge) for edge in found)]
        return [host for host in edges if host not in left], left

    def _planned(self) -> tuple[Facts, plan.Plan]:
        made = plan.make_plan(
            self._survey.facts,
            self._survey.roster.digest(),
            hosts=self._frame.inventory.tentacles,
            spec=self._frame.waves,
            forks=self._frame.forks,
            polling_spec=self._frame.polling_waves,
            longest_gap=self._frame.polling_gap,
        )
        return replace(self._survey.facts, expected_seconds=made.seconds), made

    def _to_nudge(self, facts: Facts) -> list[str]:
        polling = {edge.edge.host for edge in facts.roster if edge.edge.style == POLLING} if self._frame.nudge else set()
        return [host for host in self._frame.inventory.tentacles if host in polling] or NOBODY

    def _let_polling_ones_move(self, host: str) -> list[str]:
        """Queues are per node: until each polling Tentacle has found the node that came up last, the next one stays up (decision 13)."""
        node, facts = self._survey.node_of(host), self._survey.facts
        moved = [other for other in facts.nodes if other.presents == facts.new and other != node]
        polling = [edge for edge in facts.roster if edge.edge.style == POLLING]
        if not moved or not polling or (node is not None and node.presents == facts.new):
            return []
        now = self._frame.clock()
        since = max(self._survey.restarted_at.values(), default=now)
        pinned = [edge.evidence.visited_at for edge in polling if edge.evidence.visited_at is not None and edge.evidence.visited_at <= since]
        overlap = since - min(pinned) if len(pinned) == len(polling) and self._survey.restarted_at else self._frame.polling_gap
        seconds = since + plan.gap_after(overlap, self._frame.polling_gap) - now
        if seconds <= 0:
            return []
        self._frame.sleep(seconds)
        self._survey = self._survey.later()
        return [f"Waited {seconds:.0f} s before {host}: {counted(len(polling), 'polling Tentacle')} may take so long to find the nodes that are up."]

    def _try_shadow(self, facts: Facts) -> None:
        """Before anything is touched; later a shadow that fails is a proof less."""
        shadow = self._survey.shadow
        if shadow is None:
            return
        taken = [node.name for node in facts.nodes if node.endpoint and f"https://{node.endpoint}" == shadow.place]
        if taken:
            raise OctoError(f"octopus_shadow.address is {shadow.address}, where Tentacles poll the node {taken[0]}. Give it a port of its own.")
        deadline = self._frame.clock() + SHADOW_ENDS
        while self._frame.clock() < deadline and not shadow.has_port():
            self._frame.sleep(SHADOW_POLL)
        shadow.try_port()

    def _cast_shadow(self, gate: Gate) -> None:
        """Have the shadow run before the first polling Tentacle gets an entry for it, and give no more of them where it is not reached."""
        shadow, facts = self._survey.shadow, gate.facts
        if shadow is None or not any(edge.edge.style == POLLING for edge in facts.roster):
            return
        listens = bool(shadow.listen) and facts.polling == OVERLAP
        late = self._survey.unreceived()
        if listens:
            try:
                shadow.present(self._survey.identities[facts.new or ""])
            except OctoError as error:
                gate.lines.append(f"Without a shadow: {error.message}")
                listens = False
        if late and listens:
            gate.lines.append(f"Not received at {shadow.address}: {some([name for name, _at in late])}. No further Tentacle gets an entry for it.")
        gate.aims["shadow"] = {"address": shadow.address, "listens": listens and not late}

    def _let_polling_ones_subscribe(self) -> None:
        """Until the shadow has received whom earlier waves gave an entry for it, at most as long as a Tentacle waits between two tries."""
        waited = False
        while self._survey.shadow and self._survey.shadow.is_running():
            late = self._survey.unreceived()
            if not late or self._frame.clock() >= max(at for _name, at in late) + self._frame.polling_gap:
                break
            self._frame.sleep(SHADOW_POLL)
            waited = True
        if waited:
            self._survey = self._survey.later()

    def _permitted(self, gate: Gate, step: Step, thumbprints: Sequence[str], what: str = "") -> Gate:
        """The permit for what is left of a wave when the Tentacles that are themselves at fault are taken out."""
        verdict, against = rules.narrow(gate.facts, step)
        gate.verdicts += [verdict, replace(verdict, clauses=against)] if against else [verdict]
        if self._frame.busy == "refuse" and any(clause.code == "idle" for clause in against):
            gate.refuse(replace(verdict, step=step, clauses=against), self._frame.back)
            return gate
        if against:
            gate.lines += words.refusal_lines(gate.facts, replace(verdict, step=step, clauses=against), self._frame.back)
        if not verdict.allowed or not isinstance(verdict.step, (Expand, Contract)):
            gate.refuse(verdict, self._frame.back)
            return gate
        named = _named_by_host(gate.facts, verdict.step.edges)
        gate.hosts = [host for host in self._frame.batch if host in named]
        if gate.hosts:
            gate.at_once = self._at_once
            gate.permit = self._permit(gate.facts, [verdict.step.kind], named, thumbprints, gate.at_once)
            asked = f"{what} {counted(len(verdict.step.edges), 'polling Tentacle')}" if what else words.asked(verdict.step, gate.facts)
            gate.lines.append(words.wave_line(asked, gate.hosts, gate.at_once, None if what else self._place(verdict.step)))
        return gate

    def _permit(
        self, facts: Facts, steps: Sequence[str], named: dict[str, list[str]], thumbprints: Sequence[str], at_once: int = 0
    ) -> dict[str, Any]:
        return permits.issue(
            plan=plan.plan_id(facts.old, facts.new or "", self._survey.roster.digest()),
            old=facts.old,
            new=facts.new or "",
            thumbprints=thumbprints,
            steps=steps,
            edges=named,
            run=self._frame.run,
            now=time.monotonic(),
            away_at_most=at_once or facts.away.total,
            max_age=PERMIT_SECONDS,
            disk_ages=plan.old_readings(facts),
        )

    def _waited(self) -> Facts:
        """The facts once no Tentacle of the wave runs a task, or when the wait is over (decisions 15).

        Meanwhile only records and tasks are read; the wire is met once more when the wait has ended, for evidence is young (decisions 8).
        """
        if self._frame.pause and self._visited():
            self._frame.sleep(self._frame.pause)
            self._survey = self._survey.later()
        deadline = self._frame.clock() + self._frame.busy_wait
        while self._frame.busy == "wait" and self._frame.clock() < deadline:
            wave = {record.id for edge in self._survey.facts.perhaps_on(self._frame.batch) for record in edge.edge.records}
            if not wave & self._survey.busy.keys():
                break
            while wave & self._survey.busy.keys() and self._frame.clock() < deadline:
                self._frame.sleep(BUSY_POLL)
                self._survey = self._survey.later()
        return self._survey.facts

    def _halted(self, facts: Facts) -> str:
        """Why no further wave is visited: it is late, or a visit of this run went wrong after it had begun to act, or in the canary wave, or is not proved."""
        if self._late():
            return self._late()
        for visit in self._survey.visits:
            if visit.host in self._frame.batch or visit.outcome == "skipped":
                continue
            wrong = [instance for instance in visit.instances if instance.code]
            acted = [instance for instance in wrong if instance.changed or instance.restarted]
            if acted:
                return f"The visit of {acted[0].label} went wrong after it had begun: {acted[0].reason}"
            if len(self._visited()) == 1 and (visit.outcome != "ok" or wrong):
                return f"The canary {visit.host} could not be visited: {wrong[0].reason if wrong else visit.reason}"
        seen = [edge for edge in facts.roster if edge.edge.host in self._visited()]
        out = [edge for edge in seen if phase.state_of(facts, edge) == phase.LOCKED_OUT and facts.asked_of(edge, (facts.old,))]
        if out:
            return f"{out[0].name} is locked out: {words.left_in(facts)}"
        # A wave of polling Tentacles follows only on proof that the ones before it took both pins: there is no wire to tell it later.
        polled = [edge for edge in seen if edge.edge.style == POLLING and edge.edge.host not in self._frame.batch]
        unproved = [edge for edge in polled if facts.new and facts.holds(edge, facts.new) and facts.proof(edge, facts.new) != ACCEPTED]
        return (
            f"{unproved[0].name} is not proved to trust the new certificate: {rules.all_sources(facts, unproved[0], facts.new or '')}"
            if unproved
            else ""
        )

    def _late(self) -> str:
        """The third way to say no: neither safety nor policy is against it, but the time."""
        stop, now = self._frame.stop_at, self._frame.today()
        return f"It is {now:%H:%M}, and octopus_stop_at ({stop:%Y-%m-%d %H:%M}) lets no further step begin." if stop and now >= stop else ""

    def _visited(self) -> set[str]:
        return {visit.host for visit in self._survey.visits if visit.outcome != "skipped"}

    def _unprepared(self, facts: Facts) -> str:
        missing = [pin for pin in (facts.old, facts.new) if not pin or pin not in facts.stored]
        if not missing:
            return ""
        return (
            f"The store does not hold both certificates, opened and with their keys (missing: {', '.join(pin or 'the new one' for pin in missing)})."
        )

    def _nodes_to_restart(self, facts: Facts) -> list[str]:
        late = []
        for host in self._frame.inventory.servers:
            node = self._survey.node_of(host)
            if node is None or node.presents != facts.new:
                late.append(host)
        return late or NOBODY

    def _estate(self) -> words.Estate:
        identity = self._survey.identities.get(self._survey.choice.old)
        kind = read_certificate(identity.certificate) if identity else None
        source = self._survey.choice.source
        made_on = str(self._frame.inventory.servers[0]) if self._survey.choice.kind == GENERATE else ""
        shown = f"{kind.signature_algorithm} {kind.key_bits}, since {kind.not_before:%Y-%m-%d}" if kind else self._survey.signature
        return words.Estate(self._frame.server_url, shown, source, made_on)

    def _unjudged(self, step: str, said: str) -> str:
        """A Server whose only node is down can be asked nothing, so what this run met is all that a person has to go by (decisions 12)."""
        begun = step in ("contract", "close")
        kept = [] if begun else ["This run has removed the old certificate from no Tentacle, and it rolls nothing back by itself."]
        return " ".join([*self._went_wrong(), said, *kept])

    def _who_drains(self) -> list[str]:
        names = self._survey.draining
        return [f"Still drained, and taking no new task: {some(names)}. Whoever drained it makes it active again."] if names else []

    def _went_wrong(self) -> list[str]:
        return [f"Went wrong on {host}: {said}" for host, said in self._survey.mishaps]

    def _closing(self, gate: Gate, seconds: float) -> list[str]:
        """The table, and where the end was not reached what stands in the way of the switch, or of what comes after it."""
        facts = gate.facts
        foreign = sum(len(edge.evidence.disk.pins() - {facts.old, facts.new}) for edge in facts.roster if edge.evidence.disk)
        lines = [*words.closing_lines(facts, foreign), *self._who_drains()]
        if phase.is_reached(facts):
            lines += [words.RUNBOOK] if facts.others is None else []
            lines += words.way_lines(facts.old, facts.new, self._frame.back) if words.not_working(facts) else []
            return [*lines, words.last_line(facts, seconds)]
        lines += self._went_wrong()
        if self._late() and gate.verdicts and gate.verdicts[0].allowed:  # nothing else is in the way of what comes next
            return [*lines, self._late(), *words.standing_lines(facts, self._frame.back), words.last_line(facts, seconds)]
        refused = [verdict for verdict in gate.verdicts if not verdict.allowed]
        # What keeps the Server from being switched names every Tentacle that is not made ready, and what else there is.
        refused.sort(key=lambda verdict: not isinstance(verdict.step, Switch))
        if not refused:
            return [*lines, *words.standing_lines(facts, self._frame.back), words.last_line(facts, seconds)]
        told = words.refusal_lines(facts, refused[0], self._frame.back)
        last = words.last_line(facts, seconds) if facts.new else f"Not reached. {told[0].rstrip(':')}."
        return [*lines, *told, last]


def _beforehand(facts: Facts, verdict: Verdict, busy: str) -> Verdict:
    """What would refuse the switch whatever the visits do; with octopus_busy=refuse a running task, too."""
    lasting = [clause for clause in verdict.clauses if clause.code in BEFOREHAND]
    if busy == "refuse":
        lasting.append(rules.idle(facts, Expand(tuple(edge.name for edge in facts.roster))))
    return replace(verdict, clauses=tuple(lasting))


def _outlook(facts: Facts, busy: str) -> list[Verdict]:
    """The verdict on every useful step; before there is a new certificate, on what would refuse the switch in any case."""
    if facts.new is None:
        return [_beforehand(facts, rules.allowed(facts, Switch()), busy)]
    return list(phase.outlook(facts))


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def words_of(facts: Facts) -> tuple[str, str]:
    return facts.old, facts.new or "one that is yet to be made"


def _aims() -> dict[str, Any]:
    """Nobody: a play is aimed at somebody only by a gate that says so."""
    return dict.fromkeys(("read", "undrain", "prepare", "visit", "visit_polling", "switch", "nodes", "nudge", "verify", "remove"), NOBODY)


def _to_check(facts: Facts) -> list[str]:
    """The records whose health decides about removing the old certificate; none when there is nothing to remove."""
    if not any(isinstance(step, Contract) for step in phase.useful_steps(facts)):
        return []
    return [record.id for edge in facts.roster for record in edge.edge.records if not record.is_disabled]


def _named_by_host(facts: Facts, names: Sequence[str]) -> dict[str, list[str]]:
    """As a permit names edges; "host/*" before the first visit, when the instances of a host are not known."""
    whole = {name[:-2]: ["*"] for name in names if name.endswith("/*")}
    return {**plan.edges_by_host([edge for edge in facts.edges if edge.name in names]), **whole}
