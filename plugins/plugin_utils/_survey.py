# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What a gate sees: the Server's records, its nodes, every Tentacle on the wire, the store, and what this run's visits registered.

Everything is read at the moment of judging (decisions 8); nothing here concludes anything.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate, _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet import edges as fleet
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet import evidence
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import OVERLAP, Roster, build_roster
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import endpoint as endpoints
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.shadow import Heard, Subscriber
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import opening
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Held, Keys
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Entry
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import MachineRecord, ServerNode
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import choose
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import EdgeFacts, Facts, NodeFacts, OtherServer, PolicyFacts
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.pace import Away
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.plugin_utils._inventory import Inventory
from ansible_collections.octofleet.octopus.plugins.plugin_utils._shadow import Shadow
from ansible_collections.octofleet.octopus.plugins.plugin_utils._vantage import Sweep, ways

# Registered by the role's tasks.
ACTS = ("octopus_backup", "octopus_staged", "octopus_activation", "octopus_drained", "octopus_restart", "octopus_undrained")


@dataclass(frozen=True)
class Asked:
    """What the person asked for; see the options of octo_rotation."""

    retire: str | None
    adopt: str | None
    back: bool
    spaces: Sequence[str] | None
    left_behind: Mapping[str, str]
    known_servers: Mapping[str, Sequence[str]] | None
    away: Away
    limit: str | None
    polling: str = OVERLAP
    proxies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


class Survey:
    """One look at everything. ``keys`` is the first Server node; ``password`` opens its store, and without it no key is used.

    ``sweep`` makes the connections to Tentacles and nodes, from wherever it does.
    """

    def __init__(
        self,
        client: OctopusClient,
        inventory: Inventory,
        asked: Asked,
        keys: Keys | None,
        password: Secret | None,
        reads_database: bool,
        sweep: Sweep | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        self._client = client
        self._inventory = inventory
        self._asked = asked
        self._keys = keys
        self._password = password
        self._reads_database = reads_database
        self._sweep = sweep or probe.sweep
        self.shadow = shadow

    # -- the Server

    @cached_property
    def spaces(self) -> list[Any]:
        return self._client.spaces()

    @cached_property
    def machines(self) -> list[MachineRecord]:
        return [machine for space in self.spaces for machine in self._client.machines(space)]

    @cached_property
    def _listed(self) -> list[ServerNode]:
        return self._client.nodes()

    @property
    def draining(self) -> list[str]:
        return [node.name for node in self._listed if node.is_draining]

    @cached_property
    def nodes(self) -> tuple[NodeFacts, ...]:
        """REST united with the inventory; the only node of both needs no name (decisions 10)."""
        listed = [node.name for node in self._listed]
        named = {host: str(self._inventory.of(host, "octopus_node_name") or "") for host in self._inventory.servers}
        if len(listed) == 1 and len(named) == 1 and not any(named.values()):
            named = dict.fromkeys(named, listed[0])
        places = {name or host: self._inventory.node_endpoint(host) for host, name in named.items()}
        installations = {name or host: self._installations.get(host) for host, name in named.items()}
        parsed = {name: endpoints.parse(place, name) for name, place in places.items()}
        at = time.monotonic()
        presented = {sight.endpoint.name: sight.thumbprint for sight in self._sweep(list(parsed.values()))}
        resolved = _resolved(parsed)
        return tuple(
            NodeFacts(
                name, presented.get(name), places.get(name), name in listed, name in places, installations.get(name), at, resolved.get(name, ())
            )
            for name in dict.fromkeys((*places, *listed))
        )

    @cached_property
    def _installations(self) -> dict[str, str | None]:
        """By host, where the nodes have addresses of their own: one may belong to another Server by now (decisions 10)."""
        urls = {host: str(self._inventory.of(host, "octopus_server_url") or "") for host in self._inventory.servers}
        there = {url: self._client.installation_at(url) for url in dict.fromkeys(urls.values()) if url} if len(set(urls.values())) > 1 else {}
        return {host: there.get(url) for host, url in urls.items()}

    def node_of(self, host: str) -> NodeFacts | None:
        place = self._inventory.node_endpoint(host)
        return next((node for node in self.nodes if node.endpoint == place), None)

    @cached_property
    def _kept(self) -> tuple[list[Entry], Held | None]:
        """The store's entries, and in a committed run what the database holds, by an export (a plan exports no key, decisions 31)."""
        if self._keys is None:
            return [], None
        return self._keys.inspect() if self._reads_database else (self._keys.entries(), None)

    @property
    def entries(self) -> list[Entry]:
        return self._kept[0]

    @cached_property
    def identities(self) -> dict[str, _certificate.Identity]:
        """The store's certificates by thumbprint: those that open, have their key and are what their name says (I11)."""
        opened: dict[str, _certificate.Identity] = {}
        for entry in self.entries if self._password else ():
            try:
                identity = _certificate.open_pfx(entry.pfx or b"", self._password, f"{entry.thumbprint}.pfx of the store")
            except OctoError:
                continue  # it counts as not stored, which the formula names
            if identity.thumbprint == entry.thumbprint:
                opened[entry.thumbprint] = identity
        return opened

    @cached_property
    def database(self) -> frozenset[str]:
        """The certificate that the database holds, by its only certain reading, an export (decisions 11); empty: not read."""
        held = self._kept[1]
        if held is None:
            return frozenset()
        return frozenset((opening.opened(held, "the exported certificate").thumbprint,))

    @cached_property
    def signature(self) -> str:
        """The signature algorithm that REST names, for the plan."""
        return self._client.certificate().signature_algorithm or ""

    @cached_property
    def choice(self) -> choose.Choice:
        pinned = [entry.canonical for visit in self.visits for instance in visit.instances for entry in instance.trust if entry.canonical]
        stored = [choose.Stored(entry.thumbprint, entry.note.replaces if entry.note else None) for entry in self.entries if entry.pfx]
        return choose.choose(
            self._asked.retire,
            presented={node.presents for node in self.nodes if node.presents},
            db=self.database,
            store=stored,
            pinned=set(pinned) if pinned else None,
            adopt=self._asked.adopt,
            back=self._asked.back,
        )

    # -- the fleet

    @cached_property
    def visits(self) -> list[fleet.Visit]:
        """The latest of each host. A machine under two names is read as its latest visit found it, under whichever name that was."""
        made = {host: self._inventory.visits(host) for host in self._inventory.tentacles}
        latest: dict[tuple[str, str, int, int], fleet.Visit] = {}
        for visits in made.values():
            for life in _lives(visits):
                latest[life] = max(latest.get(life, visits[0]), visits[0], key=lambda visit: visit.at)
        return [max([visits[0], *(latest[life] for life in _lives(visits))], key=lambda visit: visit.at).under(host) for host, visits in made.items()]

    @cached_property
    def _matrix(self) -> tuple[float, list[dict[str, Any]]]:
        """Every endpoint met with every certificate at hand, a random one and none; without a key, only looked at (decisions 31)."""
        old, new = self.choice.old, self.choice.new
        callers = [probe.presenting(name, self.identities[pin]) for name, pin in (("new", new), ("old", old)) if pin and pin in self.identities]
        if self.database == {new}:
            callers.reverse()  # the one that is accepted in any case goes last, as the control (decisions 14)
        places = [endpoints.parse(place, place)._replace(proxy=self._ways.get(place)) for place in self._to_probe]
        if callers:
            callers = [probe.at_random(), probe.without_certificate(), *callers]
        at = time.monotonic()
        sights = self._sweep(places, callers)
        return at, [
            {"endpoint": sight.endpoint.name, "identity": sight.identity, "verdict": sight.verdict, "thumbprint": sight.thumbprint}
            for sight in sights
        ]

    @property
    def _to_probe(self) -> list[str]:
        edges = self._roster_on_record.edges
        unreached = {edge.endpoint for edge in edges if self._by_log(edge)}
        return [place for place in self._roster_on_record.endpoints() if place not in unreached]

    @cached_property
    def _ways(self) -> dict[str, endpoints.Proxy]:
        return ways(self._client, self.spaces, self.machines, self._asked.proxies)

    def _by_log(self, edge: fleet.Edge) -> bool:
        """Whether the inventory says that nothing reaches this listening Tentacle (decisions 24)."""
        if not edge.host:  # on no host of the inventory
            return False
        proof = self._inventory.of(edge.host, "octopus_proof") or "wire"
        if proof not in ("wire", "log"):
            raise OctoError(f"octopus_proof of {edge.host} is {proof!r}; it is wire or log.")
        return proof == "log" and edge.style == fleet.LISTENING

    def _allows_upgrade(self, edge: fleet.Edge) -> bool:
        """What the visit of its host is told, too; a word that is neither yes nor no allows nothing."""
        return bool(edge.host) and bool(boolean(self._inventory.of(edge.host, "octopus_allow_upgrade") or False, strict=False))

    @cached_property
    def roster(self) -> Roster:
        """What is presented decides only about records that do not say the same themselves, so the roster is put together anew only for those."""
        _at, sights = self._matrix
        presented = {sight["endpoint"]: sight["thumbprint"] for sight in sights if sight["thumbprint"]}
        listening = [record for record in self._records if record.address in presented]
        if all((record.thumbprint or "").upper() == presented[record.address] for record in listening):
            return self._roster_on_record
        return self._roster_of(presented)

    @cached_property
    def _roster_on_record(self) -> Roster:
        return self._roster_of({})

    def _roster_of(self, presented: Mapping[str, str]) -> Roster:
        """``presented``: by endpoint, what the wire showed."""
        return build_roster(self._records, self.visits, self._inventory.hosts(), ours=self._ours, presented=presented, same_place=self._same_place)

    @cached_property
    def facts(self) -> Facts:
        at, sights = self._matrix
        seen = evidence.gather(self.roster.edges, self.visits, sights, at, self._health, self._subscribers())
        busy = self.busy
        return Facts(
            old=self.choice.old,
            new=self.choice.new,
            db=self.database,
            nodes=self.nodes,
            edges=tuple(
                EdgeFacts(
                    edge,
                    seen[edge.name],
                    next((busy[one.id] for one in edge.records if one.id in busy), None),
                    self._by_log(edge),
                    self._allows_upgrade(edge),
                )
                for edge in self.roster.edges
            ),
            now=time.monotonic(),
            hosts=frozenset(self._inventory.tentacles),
            blockers=self.roster.blockers,
            unvisited=self.roster.unvisited,
            frozen=frozenset(self._earlier("frozen") or ()),
            spaces_asked=None if self._asked.spaces is None else tuple(self._asked.spaces),
            spaces_seen=tuple(space.name for space in self.spaces),
            left_behind=tuple((str(name), str(reason or "")) for name, reason in self._asked.left_behind.items()),
            limit=self._asked.limit,
            stored=frozenset(self.identities),
            policies=self._policies,
            others=self._others,
            away=self._asked.away,
            polling=self._asked.polling,
            shadow=self.shadow.place if self.shadow else None,
        )

    def unreceived(self) -> list[tuple[str, float]]:
        """The visited Tentacles that are to poll the shadow and have not been received there, with the times of their visits; none after the switch."""
        if self.shadow is None or all(node.presents == self.choice.new for node in self.nodes):
            return []
        live = {(fleet.subscription_of(one.subscription), one.thumbprint) for one in self._subscribers() if one.live}
        return [
            (instance.label, visit.at)
            for visit in self.visits
            for instance in visit.instances
            for entry in instance.trust
            if (entry.style, entry.canonical, fleet.place_of(entry.address or "")) == (fleet.POLLING, self.choice.new, self.shadow.place)
            if (entry.subscription, instance.thumbprint) not in live
        ]

    def _subscribers(self) -> list[Subscriber]:
        """Whom the shadow has received, if it presents the new certificate, and once a Tentacle of the fleet has refused a random one (decisions 14)."""
        found = self.shadow.heard() if self.shadow else Heard()
        control = any(instance.thumbprint in found.discriminating for visit in self.visits for instance in visit.instances)
        proves = control and found.presents == self.choice.new
        return [one for one in found.subscribers if proves or one.to_random]

    @property
    def mishaps(self) -> list[tuple[str, str]]:
        """What the acting tasks on the Server's hosts failed with in this run, in the order of the tasks."""
        results = ((host, self._inventory.of(host, name)) for name in ACTS for host in self._inventory.servers)
        return [(host, str(result["msg"])) for host, result in results if isinstance(result, Mapping) and _went_wrong(result) and result.get("msg")]

    def named(self, aim: str) -> Sequence[str]:
        """The hosts that an earlier gate of this run aimed a play at."""
        return list(self._earlier(aim) or ())

    @property
    def restarted_at(self) -> dict[str, float]:
        """When each node that this run has restarted was up again, by the controller's clock."""
        results = {host: self._inventory.of(host, "octopus_restart") for host in self._inventory.servers}
        return {host: float(result["observed_at"]) for host, result in results.items() if isinstance(result, Mapping) and result.get("observed_at")}

    def later(self) -> Survey:
        """Another look, of which nothing is read yet; what was taken from the store and the database stays, as a wait changes neither."""
        again = Survey(self._client, self._inventory, self._asked, self._keys, self._password, self._reads_database, self._sweep, self.shadow)
        for name in ("_kept", "identities", "database", "choice"):
            again.__dict__[name] = getattr(self, name)
        return again

    # -- the parts

    @cached_property
    def _ours(self) -> frozenset[str]:
        return frozenset(pin for pin in (self.choice.old, self.choice.new) if pin)

    @cached_property
    def _records(self) -> list[fleet.Record]:
        bounded = bool(self._asked.away.environments)  # nothing else asks for the name of an environment
        named = {one: name for space in self.spaces for one, name in self._client.environments(space).items()} if bounded else {}
        return [fleet.record_of(machine, named) for machine in self.machines]

    @cached_property
    def _same_place(self) -> dict[str, str]:
        """Names of records and of the inventory by the address that they resolve to, so that two spellings of one place meet."""
        names = {name for host in self._inventory.hosts() for name in host.addresses}
        names |= {machine.address for machine in self.machines if machine.address}
        directory = endpoints.Directory(5.0)
        directory.learn(names)
        found = {name: directory.addresses(endpoints.Endpoint("", name, 0)) for name in names}
        return {name.lower(): str(addresses[0][1][0]) for name, addresses in found.items() if addresses}

    @cached_property
    def _health(self) -> dict[str, evidence.Health]:
        result = self._earlier_result("octopus_health")
        at = float(result.get("observed_at") or 0.0)
        # Both when the check began and now, so that it counts for the certificate that the machines were reached with.
        presented = frozenset(node.presents or "" for node in self.nodes) | frozenset(result.get("presented") or ())
        return {row["id"]: evidence.Health(_status(row), at, presented) for row in result.get("machines") or () if row.get("healthy") is not None}

    @cached_property
    def busy(self) -> dict[str, str]:
        """Task by machine id. A record says whether a task is on the machine; its tasks are asked for only then."""
        found: dict[str, str] = {}
        for machine in self.machines:
            tasks = self._client.running_tasks(machine) if machine.in_process else []
            if tasks:
                found[machine.id] = tasks[0].id
        return found

    @cached_property
    def _policies(self) -> tuple[PolicyFacts, ...]:
        return tuple(
            PolicyFacts(policy.name, space.name, policy.deletes_unavailable_after, policy.upgrades_tentacles)
            for space in self.spaces
            for policy in self._client.policies(space)
        )

    @cached_property
    def _others(self) -> tuple[OtherServer, ...] | None:
        if self._asked.known_servers is None:
            return None
        return tuple(self._other(name, str(where)) for name, places in self._asked.known_servers.items() for where in places)

    def _other(self, name: str, where: str) -> OtherServer:
        if _thumbprint.is_canonical(where.upper()):
            return OtherServer(name, where.upper())
        return OtherServer(f"{name} ({where})", self._sweep([endpoints.parse(where, name)])[0].thumbprint)

    def _earlier(self, key: str) -> Any:
        return self._earlier_result("octopus_gate").get(key)

    def _earlier_result(self, name: str) -> Mapping[str, Any]:
        found = self._inventory.of(self._inventory.servers[0], name)
        return found if isinstance(found, Mapping) else {}


def _went_wrong(result: Mapping[str, Any]) -> bool:
    return bool(result.get("failed") or result.get("unreachable"))


def _lives(visits: Iterable[fleet.Visit]) -> list[tuple[str, str, int, int]]:
    """The processes that the visits of one host met: no two machines have one in common, to the microsecond of its start."""
    instances = [instance for visit in visits for instance in visit.instances if instance.pid and instance.started_monotonic_us]
    return [(instance.name, instance.configuration, instance.pid, instance.started_monotonic_us) for instance in instances]


def _resolved(places: Mapping[str, endpoints.Endpoint]) -> dict[str, tuple[str, ...]]:
    """The addresses of each of these places, so that one behind two names is known for what it is."""
    directory = endpoints.Directory(5.0)
    directory.learn(place.host for place in places.values())
    return {
        name: tuple(fleet.address_of(str(address[0]), place.port) for _family, address in directory.addresses(place))
        for name, place in places.items()
    }


def _status(row: Mapping[str, Any]) -> str:
    """The Server's word; a machine that it calls healthy by an older contact was not checked."""
    stale = row["health_status"] in evidence.HEALTHY and not row["healthy"]
    return "not checked" if stale else str(row["health_status"])
