# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Findings that need a look at the whole estate: nodes, other Servers, clones, policies, and what could not be read."""

from __future__ import annotations

from typing import Dict, Iterator, List, Set, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._audit import facts as audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import verdicts
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import Node, Server
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.identity_rules import is_weak, said_of
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import EMPTY, Estate, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import EstateRule, Fine, Found, Unjudged, Verdict, disk_unread
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import LISTENING, Visit
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some

_LEFT_OUT = "Audit without --limit, or take it out of the group octopus_tentacles."
_EMPTY_INDEX = (
    "Take {host} out of the group octopus_tentacles, or set its octopus_machine_configuration_home to where its index is, then audit again."
)


def _old_key_in_use(estate: Estate) -> Iterator[Verdict]:
    retired = estate.facts.retired
    if retired is None:
        yield Unjudged("octopus_retired_thumbprints is not given")
        return
    for server, node in _nodes(estate):
        if estate.is_left_over(node):
            continue
        if not node.presented:
            yield _unread(server, node, _name(server, node))
        elif node.presented in retired:
            seen = f"{_name(server, node)} presents {node.presented}, which is retired."
            yield _of_node(server, node, seen, {"endpoint": node.address or node.name})
        else:
            yield Fine()


def _shared_pin(estate: Estate) -> Iterator[Verdict]:
    if estate.facts.known is None:
        yield Unjudged("octopus_known_servers is not given")
        return
    presenting: Dict[str, List[str]] = {}
    for server, node in _nodes(estate):
        if estate.is_left_over(node):
            continue
        if server.name != audit.THIS_SERVER and any(estate.place(place) in estate.node_places for place in node.places):
            continue  # this Server, under the name that a list for several estates gives it
        if not node.presented:
            yield _unread(server, node)
        elif not node.places and server.name != audit.THIS_SERVER and node.presented in estate.ours:
            yield Unjudged(f"{_name(server, node)} is given by this Server's own thumbprint: it may be this Server", node.presented)
        elif server.name == audit.THIS_SERVER and node.presented in estate.disputed:
            yield Unjudged(f"{node.name} presents {node.presented}, which {estate.disputed[node.presented]}", node.presented)
        elif server.name not in presenting.setdefault(node.presented, []):
            presenting[node.presented].append(server.name)
    for certificate, names in sorted(presenting.items()):
        if len(names) > 1:
            yield Found(f"{' and '.join(names)} present one certificate, {certificate}.", {}, "", (), certificate, verdicts.CERTIFICATE)
        else:
            yield Fine()


def _servers_disagree(estate: Estate) -> Iterator[Verdict]:
    """The database holds another certificate than a node presents: imported and not restarted, or something else answers there."""
    database = estate.facts.server.database
    for node in estate.facts.server.nodes:
        if not node.presented:
            continue
        doubt = estate.disputed.get(node.presented)
        if database and node.presented != database:
            seen = f"{node.name}: REST names {database} as the Server's certificate, and {node.address} presents {node.presented}."
            yield _of_node(estate.facts.server, node, seen, {})
        elif doubt:
            yield _of_node(estate.facts.server, node, f"{node.name}: {node.address} presents {node.presented}, which {doubt}.", {})
        elif database:
            yield Fine()


def _shared_configuration(estate: Estate) -> Iterator[Verdict]:
    for (host, configuration), group in estate.shared.items():
        processes = " and ".join(f"{subject.name} as process {subject.process.pid if subject.process else 0}" for subject in group)
        seen = f"disk: the index of {host} gives {configuration} to several instances; process: they run by themselves, {processes}."
        yield Found(seen, {}, configuration, group)


def _ambiguous(estate: Estate) -> Iterator[Verdict]:
    if not (estate.reads_hosts and audit.DATABASE in estate.facts.asked):
        yield Unjudged("it takes disk and database")
        return
    if estate.roster.unvisited:
        yield Unjudged("what is on a host that was not read is not known, and a record may fit it")
    for blocker in estate.ambiguous():
        of = tuple(subject for subject in estate.subjects if any(record.name == blocker.name for record in subject.records))
        yield Found(f"{blocker.seen}.", {}, "", of, blocker.name)
    yield Fine(len(estate.subjects))


def _twin_cert(estate: Estate) -> Iterator[Verdict]:
    """By what is presented at distinct addresses, and by what distinct configurations have."""
    by_wire: Dict[str, Dict[str, Subject]] = {}
    by_disk: Dict[str, Dict[str, Subject]] = {}
    for subject in estate.subjects:
        if not subject.is_tentacle or subject.edge.is_further:
            continue
        if not subject.edge.host and subject.records and subject.records[0].name in estate.ambiguous_names:
            yield Unjudged("it may be another address of a Tentacle that was read", subject.name)
            continue
        if subject.presented and subject.edge.endpoint:
            by_wire.setdefault(subject.presented, {}).setdefault(estate.place(subject.edge.endpoint), subject)
        if subject.on_disk:
            by_disk.setdefault(subject.on_disk, {}).setdefault(f"{subject.edge.host} {subject.disk.configuration if subject.disk else ''}", subject)
        yield Fine() if subject.presented or subject.on_disk else Unjudged("its certificate was not seen", subject.name)
    for certificate in sorted({*by_wire, *by_disk}):
        found: Dict[str, Subject] = {}
        for group in (by_wire.get(certificate, {}), by_disk.get(certificate, {})):
            if len(group) > 1:
                found.update((subject.name, subject) for subject in group.values())
        if found:
            names = sorted(found)
            yield Found(f"{some(names)} have one certificate, {certificate}.", {}, "", tuple(found[name] for name in names), certificate)


def _key_exposed(estate: Estate) -> Iterator[Verdict]:
    """One finding for all of them: a default installation is so."""
    exposed: List[Subject] = []
    met: Set[Tuple[str, str]] = set()
    for subject in estate.subjects:
        if subject.disk is None:
            yield from disk_unread(subject)
            continue
        file = (subject.edge.host, subject.disk.configuration)
        if file in met:
            continue
        met.add(file)
        if subject.disk.readable_by_others:
            exposed.append(subject)
        elif subject.disk.readable_by_others is None:
            yield Unjudged("the permissions of its configuration were not read", subject.name)
        else:
            yield Fine()
    if exposed:
        names = [f"{subject.name} ({subject.disk.configuration})" for subject in exposed if subject.disk]
        seen = f"{len(names)} configuration{'s are' if len(names) > 1 else ' is'} readable by every local user: {some(names)}."
        yield Found(seen, {}, "", tuple(exposed), "all Tentacles", verdicts.FLEET)


_UNKNOWN_NODE = (
    "Let the inventory know it: a host of the group octopus_server with octopus_node_name {name}, and octopus_node_endpoint if it is elsewhere."
)
_WEAK_SERVER = "Give that Server a certificate of today's kind: playbook octofleet.octopus.rotate_server_certificate against it."


def _weak_server_cert(estate: Estate) -> Iterator[Verdict]:
    for server, node in _nodes(estate):
        seen = estate.facts.certificates.get(node.presented or "")
        if seen is None or not seen.signature_algorithm:
            yield Unjudged("the certificate of a node was not seen", _name(server, node))
        elif not is_weak(seen.signature_algorithm, seen.key_algorithm, seen.key_bits):
            yield Fine()
        else:
            yield _of_node(server, node, f"{_name(server, node)} presents {seen.thumbprint} ({said_of(seen)}).", {})._replace(remedy=_WEAK_SERVER)


def _deletion_risk(estate: Estate) -> Iterator[Verdict]:
    whole = estate.facts.reading_of(audit.DATABASE)
    if not whole.ok:
        yield Unjudged(f"database: {whole.reason}")
        return
    yield from (Unjudged(f"database: space {space} was not read", f"space {space}") for space, _why in estate.facts.unseen_spaces)
    yield from (
        Unjudged(f"database: the {part} of space {space} were not read", f"space {space}")
        for space, part, _why in estate.facts.unread
        if part == audit.POLICIES
    )
    used: Dict[Tuple[str, str], int] = {}
    for subject in estate.subjects:
        for record in subject.records if subject.is_tentacle else ():
            used[record.space, record.policy] = used.get((record.space, record.policy), 0) + 1
    for policy in estate.facts.policies:
        machines = used.get((policy.space, policy.id), 0)
        takes = estate.facts.rotation_takes
        if policy.deletes_after is None or policy.deletes_after > takes or not machines:
            yield Fine()
            continue
        seen = (
            f"The machine policy {policy.name} of space {policy.space} deletes a machine that is unavailable for {policy.deletes_after:.0f} s; "
            f"a rotation may take {takes:.0f} s. {machines} machine{'s have' if machines > 1 else ' has'} it."
        )
        values = {"name": policy.name, "space": policy.space}
        yield Found(seen, values, policy.id, (), f"{policy.name} ({policy.space})", verdicts.SPACE, (policy.space,))


def _unreachable(estate: Estate) -> Iterator[Verdict]:
    facts = estate.facts
    for source in sorted(facts.asked):
        whole = facts.reading_of(source)
        if whole.state == audit.NOT_READ:
            yield Found(f"{source}: {whole.reason}", {}, source, (), f"source {source}", verdicts.FLEET)
    if facts.reading_of(audit.DATABASE).ok:
        whys: Dict[str, List[str]] = {}
        for space, why in facts.unseen_spaces:
            whys.setdefault(space, []).append(why)
        for space, reasons in whys.items():
            yield Found(f"database: space {space} was not read: {' '.join(reasons)}", {}, "", (), f"space {space}", verdicts.SPACE, (space,))
        for space, part, why in facts.unread:
            yield Found(f"database: the {part} of space {space} were not read: {why}", {}, part, (), f"space {space}", verdicts.SPACE, (space,))
    if facts.reading_of(audit.WIRE).ok:
        for server, node in _nodes(estate):
            if node.reading.state == audit.NOT_READ:
                found = _of_node(server, node, f"wire: {_name(server, node)} was not read: {node.reading.reason}", {"name": node.name})
                yield found if node.address else found._replace(remedy=_UNKNOWN_NODE)
            else:
                yield Fine()
    if any(facts.reading_of(source).ok for source in (audit.DISK, audit.PROCESS)):
        yield from _unreachable_hosts(estate)
    for subject in estate.subjects:
        yield from _unreachable_subject(estate, subject)


def _unreachable_hosts(estate: Estate) -> Iterator[Verdict]:
    of: Dict[str, List[Subject]] = {}
    for subject in estate.subjects:
        of.setdefault(subject.edge.host, []).append(subject)
    for host in estate.facts.hosts:
        visit = estate.visits.get(host.name, Visit(host.name, "skipped", reason="not visited"))
        if visit.outcome == "ok":
            continue
        seen = f"disk and process: {host.name} was not read: {visit.reason}"
        remedy = _EMPTY_INDEX if visit.outcome == EMPTY else _LEFT_OUT if visit.outcome == "skipped" else ""
        yield Found(seen, {"host": host.name}, "disk", tuple(of.get(host.name, ())), host.name, verdicts.HOST, remedy=remedy)


def _unreachable_subject(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    instance = subject.instance
    if instance is not None and not instance.readable:
        seen = f"disk: {subject.name} could not be read: {instance.code}: {instance.reason}"
        yield Found(seen, {}, "disk", (subject,), remedy="Repair {configuration}, or restore it from a copy, then audit again.")
    stopped = instance is not None and subject.has(audit.PROCESS) and not instance.pid
    if subject.edge.style == LISTENING and estate.facts.reading_of(audit.WIRE).ok:
        wire = subject.sources[audit.WIRE]
        if wire.state == audit.NOT_READ and subject.edge.host in estate.guesses:
            yield Unjudged("whether it listens there is not known", subject.name)
            return
        if wire.state == audit.NOT_READ and (subject.edge.endpoint or not subject.edge.host):
            why = "; its service is not running" if stopped else ""
            yield Found(f"wire: {subject.edge.endpoint or subject.name} could not be read: {wire.reason}{why}.", {}, "wire", (subject,))
            return
        stopped = stopped and not wire.ok
    stopped = stopped and not subject.edge.is_further
    yield Found(f"process: {subject.name} cannot work: its service is not running.", {}, "process", (subject,)) if stopped else Fine()


def _unread_nodes(estate: Estate) -> Iterator[Verdict]:
    """What a node presents that was not read, nobody is judged against."""
    server = estate.facts.server
    yield from (_unread(server, node) for node in server.nodes if node.reading.state == audit.NOT_READ)


RULES: Dict[str, Tuple[EstateRule, ...]] = {
    "LOCKED_OUT": (_unread_nodes,),
    "LOCKED_OUT_AFTER_RESTART": (_unread_nodes,),
    "OLD_KEY_IN_USE": (_old_key_in_use,),
    "SHARED_PIN": (_shared_pin,),
    "TWIN_CERT": (_twin_cert,),
    "KEY_EXPOSED": (_key_exposed,),
    "WEAK_CERT": (_weak_server_cert,),
    "UNREACHABLE": (_unreachable,),
    "DELETION_RISK": (_deletion_risk,),
    "SOURCES_DISAGREE": (_servers_disagree, _shared_configuration, _unread_nodes),
    "AMBIGUOUS_MATCH": (_ambiguous,),
}


def _nodes(estate: Estate) -> Iterator[Tuple[Server, Node]]:
    for server in (estate.facts.server, *(estate.facts.known or ())):
        for node in server.nodes:
            yield server, node


def _name(server: Server, node: Node) -> str:
    return node.name if server.name == audit.THIS_SERVER else f"{server.name} ({node.name})"


def _unread(server: Server, node: Node, name: str = verdicts.WHOLE_ESTATE) -> Unjudged:
    return Unjudged(f"{_name(server, node)} was not read: {node.reading.reason or node.reading.state}", name)


def _of_node(server: Server, node: Node, seen: str, values: Dict[str, str]) -> Found:
    return Found(seen, values, node.presented or "", (), _name(server, node), verdicts.NODE)
