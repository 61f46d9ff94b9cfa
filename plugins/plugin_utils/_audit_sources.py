# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""From the four sources to what an audit is told (design/audit.md, "Sources"): a source that does not answer is a reason, never an error.

A source that was not asked for is not touched: no request leaves for it. Nothing here concludes anything.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate, _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import facts as audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import (
    DATABASE,
    DISK,
    NOT_ASKED,
    NOT_READ,
    POLICIES,
    PROCESS,
    READ,
    WAS_READ,
    WIRE,
    AuditFacts,
    CertificateSeen,
    Node,
    PolicySeen,
    Reading,
    Server,
    Unread,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import guessed
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet import edges as fleet
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import call, probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import endpoint as endpoints
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import TARGET, WORKER, MachineRecord, ServerNode, Space
from ansible_collections.octofleet.octopus.plugins.plugin_utils._inventory import NODE_PORT, Inventory
from ansible_collections.octofleet.octopus.plugins.plugin_utils._vantage import Sweep, ways

COLLECTION = "0.1.0"
SECOND_LOOK = 5.0  # seconds after which a Tentacle that was stopping is gone (decisions 14)
RESOLVE = 5.0
CONTACTS = 30.0  # seconds at most for one question for each polling record; what is left out is not known
ODD_SHOWN = 3  # reasons of rows that are left out of one answer
_ANSWERS = (call.ACCEPTED, call.REFUSED, call.UNPROVEN, call.IDENTITY)
_OF_ONE = (200, 403, 404)  # an answer about one record that says nothing of the others
_HARDLY_A_HOST = re.compile(r"[0-9A-F]{32,}")  # a thumbprint that lost or won a digit on its way

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """What the person asked; see the options of octo_audit."""

    asked: frozenset[str]
    tentacles: Sequence[str]
    servers: Sequence[str]
    readings: str = "octopus_reading"
    server_url: str | None = None
    spaces: Sequence[str] = ()
    known: tuple[KnownPlace, ...] | None = None
    retired: frozenset[str] | None = None
    proxies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    rotation_takes: float = 3600.0
    limit: str | None = None


@dataclass(frozen=True)
class KnownPlace:
    """One place of octopus_known_servers: an endpoint, or a thumbprint that a person vouches for."""

    server: str
    endpoint: endpoints.Endpoint | None = None
    thumbprint: str | None = None


@dataclass(frozen=True)
class _Told:
    """What the REST API told."""

    reading: Reading = field(default_factory=Reading)
    certificate: str | None = None
    nodes: tuple[ServerNode, ...] = ()
    machines: tuple[MachineRecord, ...] = ()
    records: tuple[fleet.Record, ...] = ()
    unseen: tuple[tuple[str, str], ...] = ()
    unread: tuple[Unread, ...] = ()
    policies: tuple[PolicySeen, ...] = ()
    contacts: Mapping[str, str] = field(default_factory=dict)
    proxies: Mapping[str, endpoints.Proxy] = field(default_factory=dict, repr=False)
    no_way: Mapping[str, str] = field(default_factory=dict)  # by endpoint, why the way to it is not known


def known_places(given: Mapping[str, Any] | None) -> tuple[KnownPlace, ...] | None:
    """octopus_known_servers; OctoError with one sentence for what is neither a place nor a thumbprint."""
    if given is None:
        return None
    found = []
    for server, places in given.items():
        if not isinstance(places, (list, tuple)) or not places:
            raise OctoError(f"known_servers: what is given for {server} is no list of host:port or thumbprints.")
        found += [_known_place(str(server), str(place)) for place in places]
    return tuple(found)


def _known_place(server: str, place: str) -> KnownPlace:
    """Signs that nobody sees, as the Windows dialog puts before a thumbprint, are left out: a pin here is compared and never written."""
    seen = "".join(sign for sign in place if sign.isprintable() and not sign.isspace()).upper()
    if _HARDLY_A_HOST.fullmatch(seen):
        return KnownPlace(server, thumbprint=_thumbprint.parse(seen, f"thumbprint in known_servers for {server}"))
    return KnownPlace(server, endpoints.parse(place, place, NODE_PORT))


class Bounded:
    """A sleep that is over for good after so many seconds in all, so that a storm of rate limits does not add up question by question."""

    def __init__(self, seconds: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._left = self._all = seconds
        self._sleep = sleep

    def __call__(self, seconds: float) -> None:
        if seconds > self._left:
            raise OctoError(
                f"The Octopus Server was waited for, for {self._all - self._left:.0f} s in all, and still limits, refuses or is starting.",
                silent=True,
            )
        self._left -= seconds
        self._sleep(seconds)


class Collector:
    """One look at all that was asked for. ``connect`` makes a client with so much patience, None with ``why_not`` where there is none."""

    def __init__(
        self,
        question: Question,
        hostvars: Mapping[str, Mapping[str, Any]],
        sweep: Sweep,
        identities: Sequence[_certificate.Identity] = (),
        connect: Callable[[float | None], OctopusClient] | None = None,
        why_not: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._question = question
        self._hostvars = hostvars
        self._sweep = sweep
        self._identities = identities
        self._connect = connect
        self._why_not = why_not
        self._clock = clock
        self._sleep = sleep
        self._now = now

    def facts(self) -> AuditFacts:
        asked = self._question.asked
        hosts, visits, deaf = self._inventory()
        told = _Database(self._question, self._connect, self._why_not, self._clock).read() if DATABASE in asked else _Told()
        nodes = self._nodes(told)
        same_place, also_at = self._resolved(hosts, visits, told, nodes)
        wire = _Wire(self._sweep, self._identities, self._sleep) if WIRE in asked else None
        guesses: dict[str, list[str]] = {place: [] for place in guessed(hosts, visits, told.records, same_place).values()}
        own = {place: names for place, names in {**guesses, **_own_places(hosts, visits)}.items() if place not in deaf}
        sights = {**deaf, **wire.look(told, [place for place, _unread in nodes.values() if place], self._known(), own, same_place)} if wire else {}
        sources = {DATABASE: told.reading} if told.reading.reason else {}
        if wire and wire.failure:
            sources[WIRE] = Reading(NOT_READ, wire.failure)
        return AuditFacts(
            made_at=_instant(self._now()),
            collection=COLLECTION,
            asked=asked,
            sources=sources,
            server_url=self._question.server_url,
            server=Server(nodes=tuple(_node(name, *one, wire, also_at.get(name, ())) for name, one in nodes.items()), database=told.certificate),
            known=self._known_servers(wire),
            retired=self._question.retired,
            callers=frozenset(identity.thumbprint for identity in self._identities) if wire and not wire.failure else frozenset(),
            hosts=hosts,
            visits=visits,
            records=told.records,
            unseen_spaces=told.unseen,
            unread=told.unread,
            policies=told.policies,
            last_contact=told.contacts,
            sights=sights,
            certificates=wire.certificates if wire else {},
            same_place=same_place,
            rotation_takes=self._question.rotation_takes,
        )

    # -- the hosts

    def _inventory(self) -> tuple[tuple[fleet.InventoryHost, ...], tuple[fleet.Visit, ...], dict[str, audit.Sight]]:
        """Each host's variables are put together once, which is most of what they cost, and let go of again. The last: who cannot be called."""
        reads = bool(self._question.asked & {DISK, PROCESS})
        hosts: list[fleet.InventoryHost] = []
        visits: list[fleet.Visit] = []
        deaf: dict[str, audit.Sight] = {}
        for name in self._question.tentacles:
            inventory = Inventory(self._hostvars, [name], [])
            hosts += inventory.hosts()
            if reads:
                visit = self._visit(name, inventory.of(name, self._question.readings))
                visits.append(replace(visit, instances=tuple(_as_called(one, hosts[-1], deaf) for one in visit.instances)))
        return tuple(hosts), tuple(visits), deaf

    def _visit(self, host: str, result: Any) -> fleet.Visit:
        visit = fleet.visit_of(host, result if isinstance(result, Mapping) else None, 0.0)
        if visit.outcome == "skipped" and self._question.limit:
            return replace(visit, reason=f"{visit.reason} (--limit {self._question.limit})")
        return visit

    # -- the Servers

    def _nodes(self, told: _Told) -> dict[str, tuple[endpoints.Endpoint | None, Reading]]:
        """By name, REST united with the inventory (decisions 10): the place, or why there is none. Each host is a node, each online node is wanted."""
        inventory = Inventory(self._hostvars, [], self._question.servers)
        named = {host: str(inventory.of(host, "octopus_node_name") or "") for host in self._question.servers}
        online = [node for node in told.nodes if not node.is_offline] or told.nodes
        if len(online) == 1 and len(named) == 1 and not any(named.values()):
            named = dict.fromkeys(named, online[0].name)
        listed = {node.name.lower(): node for node in told.nodes}
        found: dict[str, tuple[endpoints.Endpoint | None, Reading]] = {}
        for host, given in named.items():
            node = listed.get((given or host).lower())
            name = node.name if node else given or host
            place, why = _place(inventory.node_endpoint(host), host, NODE_PORT)
            # A name that was given to the whole group is the first host's.
            found[next(one for one in (name, host, f"{host} ({name})") if one not in found)] = place, Reading(NOT_READ, why)
        return {**found, **{node.name: (None, _homeless(node)) for node in told.nodes if node.name not in found}}

    def _known(self) -> list[endpoints.Endpoint]:
        return [place.endpoint for place in self._question.known or () if place.endpoint]

    def _known_servers(self, wire: _Wire | None) -> tuple[Server, ...] | None:
        if self._question.known is None:
            return None
        nodes: dict[str, list[Node]] = {}
        for place in self._question.known:
            told = Node("as told", presented=place.thumbprint, reading=WAS_READ)
            nodes.setdefault(place.server, []).append(_node(place.endpoint.name, place.endpoint, Reading(), wire, ()) if place.endpoint else told)
        return tuple(Server(name, tuple(of)) for name, of in nodes.items())

    # -- names

    def _resolved(
        self,
        hosts: Sequence[fleet.InventoryHost],
        visits: Sequence[fleet.Visit],
        told: _Told,
        nodes: Mapping[str, tuple[endpoints.Endpoint | None, Reading]],
    ) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
        """Names by the address behind them, so that two spellings of one place meet; and the other spellings of each node.

        Where every record's address is spelled as the inventory spells it, nobody has to be asked for 5,000 names.
        """
        recorded = {machine.address.lower() for machine in told.machines if machine.address}
        listed = {name.lower() for host in hosts for name in host.addresses}
        polled = {entry.address for visit in visits for instance in visit.instances for entry in instance.trust if entry.address}
        places = {name: place for name, (place, _unread) in nodes.items() if place}
        names = {name for name in map(_host_of, polled) if name} | {place.host.lower() for place in places.values()}
        names |= set() if recorded <= listed else recorded | listed
        directory = endpoints.Directory(RESOLVE)
        directory.learn(names)
        found = {name: directory.addresses(endpoints.Endpoint("", name, 0)) for name in names}
        also = {
            name: tuple(fleet.address_of(str(address[0]), place.port) for _family, address in found.get(place.host.lower(), ()))
            for name, place in places.items()
        }
        # One family before the other, so that a name with both meets the literal that most records have.
        first = {name: min(addresses, key=lambda one: one[0] != socket.AF_INET) for name, addresses in found.items() if addresses}
        return {name: str(address[0]).lower() for name, (_family, address) in first.items()}, also


class _Database:
    """The REST API, question by question: what is denied is left out with a reason, and a Server that falls silent is asked no more."""

    def __init__(self, question: Question, connect: Callable[[float | None], OctopusClient] | None, why_not: str, clock: Callable[[], float]) -> None:
        self._question = question
        self._connect = connect
        self._why_not = why_not
        self._clock = clock
        self._silent: OctoError | None = None
        self._unseen: list[tuple[str, str]] = []

    def read(self) -> _Told:
        if self._connect is None:
            return _Told(Reading(NOT_ASKED, self._why_not))  # an inventory is enough, so it is no finding that there is no more
        client = self._connect(None)
        gaps: list[str] = []
        visible = self._ask(client.spaces, gaps)
        if not visible:
            gaps = gaps or ["The API key sees no space. Give its user a role in the spaces that are to be audited."]
            return _Told(Reading(NOT_READ, " ".join(gaps)))
        self._unseen += [("of an unknown name", why) for why in gaps]
        known = {word.lower() for space in visible for word in (space.id, space.name)}
        self._unseen += [(name, "the API key does not see it, or it is not there") for name in self._question.spaces if name.lower() not in known]
        gaps = []
        certificate = self._ask(
            lambda _odd: _thumbprint.parse(client.certificate().thumbprint, "Server certificate's thumbprint in the REST API"), gaps
        )
        nodes = self._ask(client.nodes, gaps) or []
        told = _Told(WAS_READ, certificate, tuple(nodes))
        for space in visible:
            told = self._space(client, space, told)
        told = replace(told, contacts=self._contacts(told.machines), unseen=tuple(self._unseen))
        return replace(told, reading=Reading(READ, " ".join(gaps))) if gaps else told

    def _space(self, client: OctopusClient, space: Space, told: _Told) -> _Told:
        gaps: list[str] = []
        targets = self._ask(partial(client.machines, space, (TARGET,)), gaps) or []
        machines = targets + (self._ask(partial(client.machines, space, (WORKER,)), gaps) or [])
        self._unseen += [(space.name, why) for why in dict.fromkeys(gaps)]
        parts: dict[str, list[str]] = {"environments": [], POLICIES: [], "proxies": []}
        named = (self._ask(partial(client.environments, space), parts["environments"]) or {}) if machines else {}
        policies = self._ask(partial(client.policies, space), parts[POLICIES]) or []
        behind = [machine for machine in machines if machine.proxy_id and machine.address and machine.port and machine.has_tentacle]
        proxies = (self._ask(lambda _odd: ways(client, [space], behind, self._question.proxies), parts["proxies"]) or {}) if behind else {}
        places = {fleet.address_of(str(machine.address), int(machine.port or 0)) for machine in behind}
        return replace(
            told,
            unread=(*told.unread, *(Unread(space.name, part, why) for part, reasons in parts.items() for why in reasons if why not in gaps)),
            machines=(*told.machines, *machines),
            records=(*told.records, *(fleet.record_of(machine, named) for machine in machines)),
            policies=(*told.policies, *(PolicySeen(one.id, one.name, space.name, one.deletes_unavailable_after) for one in policies)),
            proxies={**told.proxies, **proxies},
            no_way={**told.no_way, **{place: why for place in places if place not in proxies for why in parts["proxies"]}},
        )

    def _ask(self, question: Callable[[list[str]], T], gaps: list[str]) -> T | None:
        """The answer without its odd rows, or None; the reasons in ``gaps``. A question that got no HTTP answer at all is the last one."""
        if self._silent is not None:
            gaps.append(self._silent.message)
            return None
        odd: list[str] = []
        answer = None
        try:
            answer = question(odd)
        except OctoError as error:
            gaps.append(error.message)
            self._silent = error if error.evidence.get("silent") else None
        if odd:
            gaps.append(" ".join(odd[:ODD_SHOWN]) + (f" And {len(odd) - ODD_SHOWN} more." if len(odd) > ODD_SHOWN else ""))
        return answer

    def _contacts(self, machines: Iterable[MachineRecord]) -> dict[str, str]:
        """Each is a question of its own, so they come last, wait for nothing, and end at the first one that is put off."""
        found: dict[str, str] = {}
        client = self._connect(0.0) if self._connect and self._silent is None else None
        deadline = self._clock() + CONTACTS
        for machine in machines:
            if client is None or self._clock() > deadline:
                break
            if machine.subscription_id is None or not machine.has_tentacle:
                continue
            try:
                at = client.connection(machine).last_checked
            except OctoError as error:
                if error.evidence.get("silent") or error.evidence.get("status", 200) not in _OF_ONE:
                    break
                continue
            if at is not None:
                found[f"{machine.space}/{machine.id}"] = _instant(at.timestamp())
        return found


class _Wire:
    """Nodes, known Servers and Tentacles on the wire; ``failure``: why no connection could be made at all."""

    def __init__(self, sweep: Sweep, identities: Sequence[_certificate.Identity], sleep: Callable[[float], None]) -> None:
        self._sweep = sweep
        self._identities = identities
        self._sleep = sleep
        self.failure = ""
        self.certificates: dict[str, CertificateSeen] = {}
        self._servers: dict[str, list[probe.Sight]] = {}

    def look(
        self,
        told: _Told,
        nodes: Sequence[endpoints.Endpoint],
        known: Sequence[endpoints.Endpoint],
        own: Mapping[str, Sequence[str]],
        same_place: Mapping[str, str],
    ) -> dict[str, audit.Sight]:
        """The sights at the Tentacles, by endpoint. Servers are only looked at; without a key, so is everybody, in the same sweep."""
        spelled, unknown = _to_probe(told, own, same_place)
        tentacles = [group[0] for group in spelled.values()]
        servers = list({place.address: place._replace(name=place.address) for place in (*nodes, *known)}.values())
        try:
            if self._identities:
                seen = self._sweep(servers) if servers else []
                self._keep(seen)
                asked = self._asked(tentacles, {sight.thumbprint for sight in seen} | {told.certificate})
            else:
                seen = self._sweep([*servers, *tentacles]) if servers or tentacles else []
                asked = seen[len(servers) :]
                self._keep(seen[: len(servers)])
        except OctoError as error:
            self.failure = error.message
            return {}
        rows: dict[str, list[probe.Sight]] = {}
        for sight in asked:
            rows.setdefault(sight.endpoint.name, []).append(sight)
        self._read([*seen, *asked])
        met = {place.name: _sight(place.name, rows[group[0].name]) for group in spelled.values() for place in group}
        return {**met, **{place: audit.Sight(place, reason=why) for place, why in unknown.items()}}

    def at_server(self, place: endpoints.Endpoint) -> audit.Sight:
        return _sight(place.address, self._servers[place.address])

    def _keep(self, sights: Iterable[probe.Sight]) -> None:
        for sight in sights:
            self._servers.setdefault(sight.endpoint.address, []).append(sight)

    def _asked(self, places: Sequence[endpoints.Endpoint], presented: set[str | None]) -> list[probe.Sight]:
        """A refusal without a control is asked about once more: who was stopping is gone by then, who refuses refuses again (decisions 14)."""
        expected_last = sorted(self._identities, key=lambda identity: identity.thumbprint in presented)
        callers = [probe.at_random(), probe.without_certificate(), *(probe.presenting(one.thumbprint, one) for one in expected_last)]
        first = self._sweep(places, callers) if places else []
        doubtful = {sight.endpoint.name: sight.endpoint for sight in first if sight.verdict == call.UNPROVEN}
        if not doubtful:
            return first
        self._sleep(SECOND_LOOK)
        again = {(sight.endpoint.name, sight.identity): sight for sight in self._sweep(list(doubtful.values()), callers)}
        return [_confirmed(sight, again.get((sight.endpoint.name, sight.identity))) for sight in first]

    def _read(self, sights: Iterable[probe.Sight]) -> None:
        """Each certificate once. From another vantage no certificate comes along, only its thumbprint."""
        for sight in sights:
            if not sight.thumbprint or sight.thumbprint in self.certificates or not sight.certificate:
                continue
            try:
                seen = _certificate.read(sight.certificate)
            except OctoError:
                self.certificates[sight.thumbprint] = CertificateSeen(sight.thumbprint)
                continue
            until = str(seen.row()["not_after"])
            self.certificates[sight.thumbprint] = CertificateSeen(
                sight.thumbprint, seen.signature_algorithm, seen.key_algorithm, seen.key_bits, until
            )


def _place(text: str, name: str, usual_port: int = endpoints.LISTENING_PORT) -> tuple[endpoints.Endpoint | None, str]:
    try:
        return endpoints.parse(text, name, usual_port), ""
    except OctoError as error:
        return None, error.message


def _host_of(address: str) -> str:
    place, _why = _place(address, "")
    return place.host.lower() if place else ""


def _homeless(node: ServerNode) -> Reading:
    """Of a node that REST lists and no host has. One that is left over from earlier presents nothing, and need not be read."""
    unknown = "no host of the group octopus_server has it as octopus_node_name"
    if node.is_offline:
        return Reading(NOT_ASKED, f"the Server lists it as offline, and {unknown}")
    return Reading(NOT_READ, f"{unknown}, so its address is not known")


def _as_called(instance: fleet.Instance, host: fleet.InventoryHost, deaf: dict[str, audit.Sight]) -> fleet.Instance:
    """Without an IP address that is none to call: the host's is. Whom nobody can call there goes to ``deaf``, by that endpoint."""
    ip = _ip_of(instance.ip) if instance.ip else None
    is_deaf = ip is not None and ip.is_loopback and not any(own.is_loopback for own in map(_ip_of, host.addresses) if own)
    if ip is None or not (is_deaf or ip.is_unspecified):
        return instance
    if is_deaf and instance.listens and instance.port:
        place = fleet.address_of(host.addresses[0], instance.port)
        deaf[place] = audit.Sight(place, reason=f"it listens on {instance.ip} alone, where only its own machine can call it")
    return replace(instance, ip=None)


def _ip_of(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """None for a name that is not known for one."""
    try:
        return ipaddress.ip_address("127.0.0.1" if address.lower() == "localhost" else address)
    except ValueError:
        return None


def _own_places(hosts: Sequence[fleet.InventoryHost], visits: Sequence[fleet.Visit]) -> dict[str, list[str]]:
    """Where the instances that were read say that they listen, by the address under which their host is known; and the other names of that place."""
    names = {host.name: host.addresses or (host.name,) for host in hosts}
    return {
        fleet.address_of(instance.ip or names[visit.host][0], instance.port): [
            fleet.address_of(name, instance.port) for name in (() if instance.ip else names[visit.host])
        ]
        for visit in visits
        for instance in visit.instances
        if instance.readable and instance.listens and instance.port
    }


def _to_probe(
    told: _Told, own: Mapping[str, Sequence[str]], same_place: Mapping[str, str]
) -> tuple[dict[tuple[str, int], list[endpoints.Endpoint]], dict[str, str]]:
    """By place, all spellings of it, that of a record first, which is the one that is called; and what cannot be called, with the reason."""
    recorded = [record.address for record in told.records if record.style == fleet.LISTENING and record.address]
    keys: dict[str, tuple[str, int]] = {}
    spelled: dict[tuple[str, int], list[endpoints.Endpoint]] = {}
    unknown: dict[str, str] = {}
    for text in dict.fromkeys((*recorded, *own)):
        place, why = (None, told.no_way[text]) if text in told.no_way else _place(text, text)
        if place is None:
            unknown[text] = why
            continue
        known = (keys[other] for other in own.get(text, ()) if other in keys)
        keys[text] = next(known, (same_place.get(place.host.lower(), place.host.lower()), place.port))
        spelled.setdefault(keys[text], []).append(place._replace(proxy=told.proxies.get(text)))
    return spelled, unknown


def _confirmed(first: probe.Sight, again: probe.Sight | None) -> probe.Sight:
    if again is None or first.verdict != call.UNPROVEN:
        return first
    if again.verdict == call.UNPROVEN and again.thumbprint == first.thumbprint:
        return again._replace(verdict=call.REFUSED, detail="")
    return again


def _sight(place: str, sights: Sequence[probe.Sight]) -> audit.Sight:
    """What all callers saw at one endpoint, in the words of an audit."""
    presented = list(dict.fromkeys(sight.thumbprint for sight in sights if sight.thumbprint))
    verdicts = {sight.identity: sight.verdict for sight in sights if sight.verdict != call.IDENTITY}
    if len(presented) > 1:
        reason = f"several certificates were presented one after the other, so several programs answer there: {', '.join(presented)}"
    elif any(sight.verdict in _ANSWERS for sight in sights):
        reason = ""
    else:
        reason = next((sight.detail for sight in sights if sight.detail), sights[0].verdict)
    return audit.Sight(place, presented[-1] if presented else None, verdicts, reason)


def _node(name: str, place: endpoints.Endpoint | None, unread: Reading, wire: _Wire | None, also_at: tuple[str, ...]) -> Node:
    address = fleet.address_of(place.host, place.port) if place else None
    if wire is None:
        return Node(name, address, None, Reading(NOT_ASKED, "not asked for"), also_at)
    if wire.failure or place is None:
        return Node(name, address, None, Reading(NOT_READ, wire.failure) if wire.failure else unread, also_at)
    seen = wire.at_server(place)
    return Node(name, address, seen.presented, seen.reading, also_at)


def _instant(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
