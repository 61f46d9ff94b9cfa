# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The safety formula: which step is allowed by which facts, and which clause says no (design/rotation-safety.md 4.3).

One function per clause, none of which looks at another's matter, so that each can be dropped and must then be missed: the
tests in tests/model/ hold a killing case for every name in CLAUSES. Rolling back is the same formula over
``facts.exchanged()``. Epochs, fences and signed waivers (I6 across runs, I7) will be further clauses here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import AbstractSet, Callable, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import NOT_VISITED, POLLING
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import ACCEPTED, HEALTHY, REFUSED, is_fresh
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import (
    Clause,
    Contract,
    EdgeFacts,
    Expand,
    Facts,
    Fault,
    NodeFacts,
    RestartNode,
    Step,
    Switch,
    Verdict,
)

ClauseFunction = Callable[[Facts, Step], Clause]
_brief = _thumbprint.brief
_RUN_AGAIN = "Run it again."
_WHOLE_AGAIN = "Run the whole playbook again."
_REACH_IT = "Make it reachable for Ansible, then run the whole playbook again."


def allowed(facts: Facts, step: Step, without: AbstractSet[str] = frozenset()) -> Verdict:
    """The verdict of all clauses of the step's kind; ``without`` drops clauses by name, for the mutants in tests/model/ alone."""
    return Verdict(step, tuple(clause(facts, step) for clause in CLAUSES[step.kind] if clause.__name__ not in without))


def narrow(facts: Facts, step: Step) -> Tuple[Verdict, Tuple[Clause, ...]]:
    """The verdict of an expanding or contracting step without the edges that are themselves at fault, and what took those out.

    One Tentacle that is busy or not ready must not hold up the others of its wave; whatever concerns the fleet still does.
    """
    if not isinstance(step, (Expand, Contract)):
        return allowed(facts, step), ()
    single = {clause.__name__ for clause in _OF_ONE_EDGE}
    against = tuple(clause for clause in allowed(facts, step).refusals() if clause.code in single)
    out = {name for clause in against for name in clause.edges}
    at_fault = [edge for edge in facts.edges if edge.name in out]
    out |= {name for edge in at_fault for name in (edge.edge.label, *(f"{host}/*" for host in (edge.edge.host, *edge.edge.may_be_on)))}
    kept = tuple(name for name in step.edges if name not in out)
    return allowed(facts, replace(step, edges=kept)), against


# -- clauses about the run


def no_limit(facts: Facts, _step: Step) -> Clause:
    """A gate counts groups and Server records, never the hosts that --limit left over (decision 2, M3)."""
    sentence = "The run is limited to a part of the inventory"
    if not facts.limit:
        return _clause("no_limit", sentence, (), of="run")
    fault = Fault("--limit", f"ansible_limit is {facts.limit!r}, so Tentacles may be missing from what can be judged", "Run it without --limit.")
    return _clause("no_limit", sentence, (fault,), of="run")


def named_rightly(facts: Facts, _step: Step) -> Clause:
    """Both thumbprints are canonical and differ (I9)."""
    faults = [
        Fault(word, f"it is {value!r}", "Name a thumbprint of 40 upper-case hexadecimal digits.")
        for word, value in (("old", facts.old), ("new", facts.new))
        if value is None or not _thumbprint.is_canonical(value)
    ]
    if facts.old == facts.new:
        faults.append(Fault("new", f"it is the certificate to be retired, {facts.old}", "Adopt another certificate."))
    return _clause("named_rightly", "Old and new certificate are not both named", faults, of="run")


def spaces_agree(facts: Facts, _step: Step) -> Clause:
    """A space that nobody listed hides Tentacles from the plan; one that the key does not see hides them from us (decision 4)."""
    sentence = "The spaces listed are not the spaces that the API key sees"
    if facts.spaces_asked is None:
        seen = ", ".join(facts.spaces_seen) or "none"
        remedy = "Set octopus_spaces to all the spaces whose Tentacles the Server serves."
        fault = Fault("octopus_spaces", f"it is not set; the key sees: {seen}", remedy)
        return _clause("spaces_agree", sentence, (fault,), of="run")
    asked, seen_by_key = set(facts.spaces_asked), set(facts.spaces_seen)
    hidden = "octopus_spaces lists it, the API key does not see it"
    extra = "the API key sees it, octopus_spaces does not list it"
    faults = [Fault(name, hidden, "Give the key rights in that space.") for name in sorted(asked - seen_by_key)]
    faults += [Fault(name, extra, "Add it to octopus_spaces.") for name in sorted(seen_by_key - asked)]
    return _clause("spaces_agree", sentence, faults, of="run")


def left_behind_rightly(facts: Facts, _step: Step) -> Clause:
    """Only what record and probe both call unreachable, or what cannot be expanded, may be left behind, by name (decision 5)."""
    faults: List[Fault] = []
    for name, reason in facts.left_behind:
        seen = _not_to_be_left(facts, name, reason)
        if seen:
            faults.append(Fault(name, seen, f"Take {name} out of octopus_leave_behind, or name what is meant."))
    return _clause("left_behind_rightly", "octopus_leave_behind names what may not be left behind", faults)


def _not_to_be_left(facts: Facts, name: str, reason: str) -> Optional[str]:
    meant = [edge for edge in facts.edges if edge.answers_to(name)]
    if not reason.strip():
        return "no reason is given"
    if not meant and name.partition("/")[0] in {host for host, _why in facts.unvisited}:
        return "its host was not visited yet, and until then a polling Tentacle is known by the name of its record only"
    if not meant:
        return "no Tentacle or record of the roster has exactly this name (patterns are not taken)"
    for edge in meant:
        if facts.why_not(edge):
            continue
        wire = edge.evidence.wire
        if edge.proved_by_log and edge.evidence.process:
            return f"its host answers, and {edge.name} runs there"
        if not edge.proved_by_log and (wire is None or wire.reached):
            return f"{edge.name} answers on the wire" if wire else f"nobody has probed {edge.name}"
        ill = [record for record in edge.edge.records if not record.is_disabled and record.health_status in HEALTHY]
        if ill:
            return f"{ill[0].label} is {ill[0].health_status} by its record"
    return None


def policies_bide(facts: Facts, _step: Step) -> Clause:
    """A machine policy that deletes unavailable machines sooner than the run may take would shrink the roster (decision 19)."""
    faults = [
        Fault(
            f"{policy.name} in space {policy.space}",
            f"it deletes machines that are unavailable for {policy.deletes_after:.0f} s, and the run may take {facts.expected_seconds:.0f} s",
            "Let the policy keep unavailable machines while the rotation runs.",
        )
        for policy in facts.policies
        if policy.deletes_after is not None and policy.deletes_after <= facts.expected_seconds
    ]
    return _clause("policies_bide", "A machine policy deletes unavailable machines too soon", faults, of="run")


def backed_up(facts: Facts, _step: Step) -> Clause:
    """Both keys are in the store, opened and proved: without the old one there is no way back (I11, decision 1)."""
    faults = [
        Fault(thumbprint, f"the store holds no PFX of the {word} certificate that opens and has its key", "Run it again; it is backed up first.")
        for word, thumbprint in (("old", facts.old), ("new", facts.new or ""))
        if thumbprint not in facts.stored
    ]
    return _clause("backed_up", "The store does not hold both certificates", faults, of="run")


# -- clauses about the roster


def roster_closed(facts: Facts, _step: Step) -> Clause:
    """No quantifier over the hosts that answered: every record is placed, every host was visited, no edge went missing (I8)."""
    left = {name for name, _reason in facts.left_behind}
    faults = [Fault(found.name, f"{found.code}: {found.seen}", found.remedy) for found in facts.blockers if found.name not in left]
    behind = {edge.edge.host for edge in facts.edges if facts.is_left_behind(edge)}
    busy = {
        host: f"Wait until task {edge.busy} that runs on it has ended, then run it again."
        for edge in facts.edges
        if edge.busy
        for host in (edge.edge.host, *edge.edge.may_be_on)
    }
    faults += [
        Fault(host, f"the host was not visited in this run: {why}", busy.get(host, _WHOLE_AGAIN if why == NOT_VISITED else _REACH_IT))
        for host, why in facts.unvisited
        if host not in behind
    ]
    present = {edge.edge.identity for edge in facts.edges}
    faults += [
        Fault(identity, "it was in the roster at an earlier gate of this run and is in no record and on no host now", _RUN_AGAIN)
        for identity in sorted(facts.frozen - present)
    ]
    return _clause("roster_closed", f"{_count(faults, 'Tentacle')} cannot be accounted for", faults)


def all_expandable(facts: Facts, _step: Step) -> Clause:
    """What cannot be given a second pin would be cut off by the switch (decision 3)."""
    return _clause("all_expandable", "Not every Tentacle can be made to trust the new certificate", _not_expandable(facts, facts.roster))


# -- clauses about the edges of the step


def in_roster(facts: Facts, step: Step) -> Clause:
    """A step acts on named edges of the roster, or on hosts of the inventory that were not visited yet (I8)."""
    asked = step.edges if isinstance(step, (Expand, Contract)) else ()
    known = {name for edge in facts.edges for name in (edge.name, edge.edge.label, f"{edge.edge.host}/*")}
    known |= {f"{host}/*" for host in facts.hosts} if isinstance(step, Expand) else set()
    faults = [Fault(name, "it is not in the roster", "Name a Tentacle of the roster.") for name in asked if name not in known]
    behind = [edge for edge in _named(facts, asked) if facts.is_left_behind(edge)]
    faults += [Fault(edge.name, "it is left behind by octopus_leave_behind", "Leave it out of the step.") for edge in behind]
    return _clause("in_roster", "The step names what is not in the roster", faults)


def expandable(facts: Facts, step: Step) -> Clause:
    """Only what can be given the new certificate is written to; the others are never touched (decision 3)."""
    return _clause("expandable", "The step names a Tentacle that cannot be given a second pin", _not_expandable(facts, _of_step(facts, step)))


def readable(facts: Facts, step: Step) -> Clause:
    """State X4: a configuration that could not be read is not written."""
    faults = [
        Fault(edge.name, f"{edge.evidence.problem[0]}: {edge.evidence.problem[1]}", "Restore or repair its configuration, then run it again.")
        for edge in _of_step(facts, step)
        if edge.evidence.problem
    ]
    return _clause("readable", "The step names a Tentacle whose configuration could not be read", faults)


def ready(facts: Facts, step: Step) -> Clause:
    """Not ready for a restart = not touched, named (decision 15). Before the first visit nothing is known; the visit itself refuses."""
    faults = [
        Fault(edge.name, f"{code}: {sentence}", "Repair that, then run it again.")
        for edge in _of_step(facts, step)
        for code, sentence in edge.unready
    ]
    return _clause("ready", "Not every Tentacle of the step is ready for a restart", faults)


def idle(facts: Facts, step: Step) -> Clause:
    """A restart cuts calls in flight at once (I12, decision 15). Before its first visit a Tentacle may be on one of several hosts."""
    asked = step.edges if isinstance(step, (Expand, Contract)) else ()
    met = {edge.name: edge for edge in (*_named(facts, asked), *facts.perhaps_on(name[:-2] for name in asked if name.endswith("/*")))}
    faults = [
        Fault(edge.name, f"task {edge.busy} is running on it, says the Server", "Wait for the task, then run it again.")
        for edge in met.values()
        if edge.busy
    ]
    return _clause("idle", "Not every Tentacle of the step is idle", faults)


def at_most_away(facts: Facts, step: Step) -> Clause:
    """At most w Tentacles restart at a time (I12)."""
    at_once = step.at_once if isinstance(step, (Expand, Contract)) else 0
    most = facts.away_at_most(_of_step(facts, step))
    seen = f"the task would have {at_once} away at once, octopus_away_at_most is {most}"
    faults = [Fault("the wave", seen, "Lower forks or throttle, or raise octopus_away_at_most.")] if at_once > most else []
    return _clause("at_most_away", "Too many Tentacles would be away at once", faults, of="run")


# -- clauses about the nodes and the database


def nodes_known(facts: Facts, _step: Step) -> Clause:
    """Nodes have a roster too: REST united with the inventory; another installation or a load balancer refuses (decision 10)."""
    faults = [
        Fault(node.name, "the Server lists this node, the inventory does not", "Add it to the group octopus_server with its octopus_node_name.")
        for node in facts.nodes
        if not node.in_inventory
    ]
    faults += [
        Fault(node.name, "the inventory names this node, the Server does not list it", "Correct octopus_node_name, or remove the host.")
        for node in facts.nodes
        if not node.in_rest
    ]
    installations = sorted({node.installation for node in facts.nodes if node.installation})
    if len(installations) > 1:
        seen = f"they answer for different installations: {', '.join(installations)}"
        faults.append(Fault(", ".join(node.name for node in facts.nodes), seen, "Name the nodes of one Server only."))
    shared = "share this endpoint, so one node cannot be told from the other"
    faults += [
        Fault(endpoint, f"{', '.join(names)} {shared}", "Give each node its own octopus_node_endpoint.")
        for endpoint, names in _shared_endpoints(facts)
    ]
    if not facts.nodes:
        faults.append(Fault("octopus_server", "no node is known", "Name the Server's nodes in the group octopus_server."))
    return _clause("nodes_known", "The Server's nodes are not all known", faults, of="node")


def nodes_up(facts: Facts, step: Step) -> Clause:
    """No switch goes on while a node is down: it may come back with either certificate (decision 12). The step's own node may be down."""
    own = step.node if isinstance(step, RestartNode) else None
    ours = {facts.old, facts.new}
    faults = [
        Fault(node.name, "nobody answers at its port for Tentacles", "Start it, or remove it from the cluster.")
        for node in facts.nodes
        if not node.is_up and node.name != own
    ]
    faults += [
        Fault(node.name, f"it presents {node.presents}, which is neither old nor new (wire)", "Find out which Server answers there.")
        for node in facts.nodes
        if node.presents and node.presents not in ours
    ]
    return _clause("nodes_up", "Not every node answers with a certificate of this rotation", faults, of="node")


def node_in_roster(facts: Facts, step: Step) -> Clause:
    """A restart names a node that is known."""
    asked = step.node if isinstance(step, RestartNode) else ""
    unknown = [] if any(node.name == asked for node in facts.nodes) else [Fault(asked, "it is not a known node", "Name a node of the Server.")]
    return _clause("node_in_roster", "The step names a node that is not known", unknown, of="node")


def database_holds_new(facts: Facts, _step: Step) -> Clause:
    """A node that starts takes what the database holds, so that must be certain: read back by an export (decision 11, I5)."""
    held = " or ".join(sorted(facts.db)) or "not read"
    fault = Fault("the database", f"it holds {held} (export)", "Import the certificate again, and read it back.")
    sentence = "The database does not certainly hold the new certificate"
    return _clause("database_holds_new", sentence, () if facts.db == {facts.new} else (fault,), of="node")


def nodes_present_new(facts: Facts, _step: Step) -> Clause:
    """The old pin is in use until every node was seen presenting the new certificate; a node that is down counts as unknown (I5)."""
    faults = [
        Fault(node.name, _presents(node.presents), "Restart it, or remove it from the cluster.") for node in facts.nodes if node.presents != facts.new
    ]
    sentence = f"{_count(faults, 'node')} of {len(facts.nodes)} {_do(faults)} not present {_brief(facts.new or '?')}"
    return _clause("nodes_present_new", sentence, faults or _no_nodes(facts), of="node")


def nobody_else_presents_old(facts: Facts, _step: Step) -> Clause:
    """Another Server that shares the old certificate would be locked out (4.6); judged only if such Servers are named (decision 18)."""
    faults = [
        Fault(other.name, _presents(other.presents), "Rotate that Server too, or take it out of octopus_known_servers.")
        for other in facts.others or ()
        if other.presents in (None, facts.old)
    ]
    return _clause("nobody_else_presents_old", "Another known Server may still present the old certificate", faults, of="node")


# -- clauses about what each Tentacle trusts


def on_disk(facts: Facts, step: Step) -> Clause:
    """After a restart each Tentacle accepts whatever any node presents or would present (I2: the part of disk)."""
    return _trusts("on_disk", facts, step, lambda edge, pin: facts.on_disk(edge, pin) is True)


def in_process(facts: Facts, step: Step) -> Clause:
    """Each running Tentacle accepts it too, proved on the wire with the very key, or by its log (I2: the part of memory; I4; M1, M7)."""
    return _trusts("in_process", facts, step, lambda edge, pin: facts.proof(edge, pin) == ACCEPTED)


def evidence_fresh(facts: Facts, _step: Step) -> Clause:
    """Evidence is void once it is old, and as soon as anything of ours touched the Tentacle (I6, M8)."""
    faults = []
    for edge in facts.roster:
        wire = edge.evidence.wire
        if wire is not None and not is_fresh(wire, edge.evidence.visited_at, facts.now, facts.max_age):
            seen = f"the probe is {facts.now - wire.at:.0f} s old (at most {facts.max_age:.0f} s, and not from before the last visit)"
            faults.append(Fault(edge.name, seen, "Probe again."))
    return _clause("evidence_fresh", f"{_count(faults, 'Tentacle')} {_was(faults)} probed too long ago", faults)


def discriminates(facts: Facts, _step: Step) -> Clause:
    """An endpoint that accepts a stranger proves nothing by accepting us: a proxy, or an open door (decision 14)."""
    faults = []
    for edge in facts.roster:
        if edge.evidence.shadow and edge.evidence.shadow.to_random:
            remedy = "Find out what runs there: it lets anybody command it who comes to be at the Server's address."
            faults.append(Fault(edge.name, "it subscribed where a random certificate was presented (shadow)", remedy))
        wire = edge.evidence.wire
        if wire is None or not wire.reached:
            continue
        for word, verdict in (("a random certificate", wire.random), ("no certificate", wire.none)):
            if verdict != REFUSED:
                what = "is accepted" if verdict == ACCEPTED else f"has no verdict ({verdict or 'not probed'})"
                remedy = "Find out what answers there: a proxy that ends TLS, or a Tentacle that lets anybody in."
                faults.append(Fault(edge.name, f"{word} {what} at {edge.edge.endpoint} (wire)", remedy))
    return _clause("discriminates", "A negative control failed", faults)


def is_itself(facts: Facts, _step: Step) -> Clause:
    """What answers at the record's address is the Tentacle that was visited: else the proof is somebody else's (DNS, NAT, STALE_RECORD)."""
    faults = []
    for edge in facts.roster:
        wire = edge.evidence.wire
        if wire is None or wire.presents is None:
            continue
        disk = edge.evidence.disk.thumbprint if edge.evidence.disk else None
        others = sorted({known for known in (disk, *edge.edge.recorded_thumbprints) if known and known != wire.presents})
        if others:
            seen = f"{edge.edge.endpoint} presents {wire.presents} (wire), but {', '.join(others)} is expected (record, disk)"
            faults.append(Fault(edge.name, seen, "Restart the Tentacle if its certificate changed; correct the record or the address otherwise."))
    return _clause("is_itself", f"{_count(faults, 'Tentacle')} {_do(faults)} not present the certificate on record", faults)


def spelled_once(facts: Facts, _step: Step) -> Clause:
    """The new pin stands once per place in canonical spelling; a duplicate makes the vendor's tool fail later (I9)."""
    faults = [
        Fault(edge.name, f"{facts.new} stands twice or in another spelling (disk)", "Visit it again: octo_trust state=present repairs it.")
        for edge in facts.roster
        if edge.evidence.disk and facts.new and not edge.evidence.disk.is_tidy(facts.new)
    ]
    return _clause("spelled_once", "The new pin does not stand once and in capitals everywhere", faults)


def strangers_untouched(facts: Facts, _step: Step) -> Clause:
    """The pins of other Servers are the same set before and after each visit (I10)."""
    faults = [
        Fault(edge.name, f"its visit lost the pin {', '.join(lost)}", "Stop, and add the pin again with octo_trust.")
        for edge, lost in ((edge, [pin for pin in edge.evidence.foreign_lost if pin not in (facts.old, facts.new)]) for edge in facts.roster)
        if lost
    ]
    return _clause("strangers_untouched", "A pin of another Server was lost", faults)


def works_with_new(facts: Facts, _step: Step) -> Clause:
    """State E: a health check made while all nodes presented the new certificate; by wire alone where no check can be (decision 17)."""
    faults = []
    for edge in facts.roster:
        if not edge.edge.records or edge.edge.is_disabled:
            continue
        health = edge.evidence.health
        if health is None or health.presented != {facts.new}:
            faults.append(Fault(edge.name, "no health check was made since all nodes present the new certificate", "Check its health."))
        elif health.status not in HEALTHY:
            remedy = "Look at the Server's task log; then run it again, or roll back."
            faults.append(Fault(edge.name, f"it is {health.status} (health check)", remedy))
    return _clause("works_with_new", f"{_count(faults, 'Tentacle')} {_do(faults)} not work with {_brief(facts.new or '?')} yet", faults)


# -- what they share


def must_trust(facts: Facts, step: Step) -> FrozenSet[str]:
    """The certificates that some node may present during the step or after it, this rotation's only.

    A third one in the database (an import that went wrong) is what the next switch repairs, so it cannot be asked for.
    """
    ours = frozenset((facts.old, facts.new or facts.old))
    presented = facts.may_be_presented() & ours
    return presented | {facts.new or facts.old} if isinstance(step, (Switch, RestartNode)) else presented


def _trusts(code: str, facts: Facts, step: Step, look: Callable[[EdgeFacts, str], bool]) -> Clause:
    needed = sorted(must_trust(facts, step), key=lambda pin: pin != facts.new)
    faults: List[Fault] = []
    for edge in facts.roster:
        if facts.why_not(edge):
            continue
        missing = [pin for pin in needed if pin in facts.asked_of(edge, needed) and not look(edge, pin)]
        if missing:
            faults.append(Fault(edge.name, all_sources(facts, edge, missing[0]), remedy_for(facts, edge, missing[0])))
    names = " and ".join(_brief(pin) for pin in needed)
    return _clause(code, f"{len(faults)} of {_count(facts.roster, 'Tentacle')} {_do(faults)} not yet trust {names}", faults)


def all_sources(facts: Facts, edge: EdgeFacts, pin: str) -> str:
    """``disk: trusted; process: started ..., restart pending: yes; wire: refused``: every source, also those that agree."""
    process = edge.evidence.process
    running = f"started {process.started_at or 'at an unknown time'}, restart pending: {process.restart_pending}" if process else "not seen"
    disk = {True: "trusted", False: "not trusted", None: "not readable" if edge.evidence.problem else "not read"}[facts.on_disk(edge, pin)]
    if edge.proved_by_log:
        return f"{_brief(pin)}: disk: {disk}; process: {running}; log: {facts.log_of(edge, pin)}"
    at = f" at {edge.edge.endpoint}" if edge.edge.endpoint else ""
    return f"{_brief(pin)}: disk: {disk}; process: {running}; wire{at}: {facts.on_wire(edge, pin) or 'not probed'}"


def remedy_for(facts: Facts, edge: EdgeFacts, pin: str) -> str:
    """What brings this Tentacle to trust ``pin``: what its visit said, or else by where the chain is broken."""
    said = edge.evidence.problem or edge.evidence.refusal
    if said:
        return f"{said[0]}: {said[1]}"
    if edge.edge.instance == "*":
        return "Its host was not visited in this run; its configuration is read and its trust changed by a visit."
    if facts.on_disk(edge, pin) is None:
        return "Make its host reachable and its configuration readable; then run it again."
    if not facts.on_disk(edge, facts.old) and not facts.on_disk(edge, facts.new or ""):
        return "It trusts neither certificate, so it was left alone. If this Server uses it, add the pin with octo_trust state=present; then run it again."
    if not facts.on_disk(edge, pin):
        return "Run it again: the visit adds the pin."
    if edge.edge.style == POLLING and facts.proof(edge, pin) is None:
        return (
            "Its log does not say that the running process expects that certificate: see that its service runs, that it reaches the Server's port for"
            " polling Tentacles, and that it logs at level Info (or set octopus_shadow); then run it again."
        )
    if edge.by_log and facts.proof(edge, pin) is None:
        return "Its log has no start-up lines of the running process, or they are not what its configuration says: restart its service, at log level Info."
    if facts.proof(edge, pin) == REFUSED:
        return "Its service did not restart. Restart it (octofleet.octopus.octo_service state=restarted_if_stale), then run it again."
    if (facts.on_wire(edge, pin) or "").startswith("proxy_"):
        return "The way through the proxy of its record is not open: see that its user and password are in octopus_proxies; then run it again."
    return (
        "Start its service and make its port reachable from where it is probed (octopus_probe_from), or have it proved by its log (octopus_proof);"
        " then run it again."
    )


def _not_expandable(facts: Facts, edges: Iterable[EdgeFacts]) -> List[Fault]:
    reasons = ((edge, facts.why_not(edge)) for edge in edges)
    remedy = "Leave it behind with a reason (it will be cut off), or wait for a version that rotates it."
    return [Fault(edge.name, f"NOT_SWITCHABLE: {why}", remedy) for edge, why in reasons if why]


def _of_step(facts: Facts, step: Step) -> Tuple[EdgeFacts, ...]:
    return _named(facts, step.edges if isinstance(step, (Expand, Contract)) else ())


def _named(facts: Facts, names: Sequence[str]) -> Tuple[EdgeFacts, ...]:
    """The edges that the names mean; "host/*" means all of a host."""
    whole = {name[:-2] for name in names if name.endswith("/*")}
    asked = frozenset(names)
    return tuple(edge for edge in facts.edges if edge.name in asked or edge.edge.label in asked or edge.edge.host in whole)


def _presents(thumbprint: Optional[str]) -> str:
    return f"it presents {thumbprint} (wire)" if thumbprint else "nobody answers at its port for Tentacles (wire)"


def _shared_endpoints(facts: Facts) -> List[Tuple[str, List[str]]]:
    """The endpoints of nodes that are one place, however they are spelled, with the names of the nodes."""
    there: Dict[str, List[NodeFacts]] = {}
    for node in facts.nodes:
        for place in node.places or (node.endpoint or "",):
            there.setdefault(place, []).append(node)
    shared = [nodes for place, nodes in sorted(there.items()) if place and len(nodes) > 1]
    found = {", ".join(sorted({node.endpoint or "" for node in nodes})): [node.name for node in nodes] for nodes in shared}
    return list(found.items())


def _no_nodes(facts: Facts) -> Sequence[Fault]:
    return () if facts.nodes else (Fault("octopus_server", "no node is known", "Name the Server's nodes in the group octopus_server."),)


def _clause(code: str, sentence: str, faults: Sequence[Fault], of: str = "tentacle") -> Clause:
    return Clause(code, sentence, tuple(faults), of)


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


def _do(things: Sequence[object]) -> str:
    return "does" if len(things) == 1 else "do"


def _was(things: Sequence[object]) -> str:
    return "was" if len(things) == 1 else "were"


_RUN: Tuple[ClauseFunction, ...] = (no_limit, named_rightly, spaces_agree, left_behind_rightly)
_OF_ONE_EDGE: Tuple[ClauseFunction, ...] = (in_roster, expandable, readable, ready, idle)
_FLEET: Tuple[ClauseFunction, ...] = (
    roster_closed,
    nodes_known,
    on_disk,
    in_process,
    evidence_fresh,
    discriminates,
    is_itself,
    spelled_once,
    strangers_untouched,
    backed_up,
)

CLAUSES: Mapping[str, Tuple[ClauseFunction, ...]] = {
    "expand": (*_RUN, policies_bide, *_OF_ONE_EDGE, at_most_away),
    "switch": (*_RUN, policies_bide, all_expandable, *_FLEET, nodes_up),
    "restart_node": (*_RUN, all_expandable, *_FLEET, node_in_roster, nodes_up, database_holds_new),
    "contract": (
        *_RUN,
        *_OF_ONE_EDGE,
        at_most_away,
        *_FLEET,
        nodes_present_new,
        database_holds_new,
        nobody_else_presents_old,
        works_with_new,
    ),
}
