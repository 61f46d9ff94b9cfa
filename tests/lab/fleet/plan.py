# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet on paper: which processes, where, with which trust and which records. Quirks change it before anything exists."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from lab.fleet.addresses import COMMS, PROXY, TENTACLE, WEB, Block
from lab.fleet.spec import FleetSpec
from lab.tentacle.trust import Style, TrustEntry
from lab.wire.certificates import Keypair
from lab.wire.proxy import Login, ProxyDetails

if TYPE_CHECKING:
    from lab.fleet.builder import Fleet

MAIN, FOREIGN = "octopus", "foreign"


class Front(Protocol):
    """Something that answers in a Tentacle's place; it runs already."""

    def stop(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Node:
    """A Server node, as planned."""

    name: str
    host: str
    address: str
    http_port: int
    comms_port: int
    unit: str
    container: str | None
    windows: bool = False

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.http_port}"

    @property
    def comms(self) -> str:
        return f"https://{self.address}:{self.comms_port}"


@dataclass
class Server:
    """An Octopus Server installation: one database, one certificate, some nodes."""

    name: str
    nodes: list[Node]
    spaces: list[str]
    environments: list[str]
    api_key: str
    visible_spaces: list[str]
    keypair: Keypair | None = None

    @property
    def certificate(self) -> Keypair:
        if self.keypair is None:
            raise ValueError(f"The certificate of the Server {self.name} has not been made yet.")
        return self.keypair


@dataclass(frozen=True)
class Trust:
    """One trust entry to be: of which Server, spelled how. ``thumbprint`` names a certificate that is not that Server's."""

    server: str = MAIN
    style: Style = Style.TentaclePassive
    address: str | None = None
    subscription_id: str | None = None
    lower: bool = False
    thumbprint: str | None = None
    spelling: Callable[[str], str] | None = None

    def pins(self, server: str) -> bool:
        """Whether it is for that Server's certificate."""
        return self.server == server and self.thumbprint is None

    def entry(self, plan: Plan) -> TrustEntry:
        thumbprint = self.thumbprint or plan.server(self.server).certificate.thumbprint
        spelled = self.spelling(thumbprint) if self.spelling is not None else thumbprint.lower() if self.lower else thumbprint
        return TrustEntry(spelled, self.style, self.address, subscription_id=self.subscription_id)


@dataclass
class Tentacle:
    """One instance, as planned; with ``keypair`` set it has been made."""

    host: str
    instance: str
    address: str
    port: int
    trust: list[Trust]
    polling: bool = False
    keypair: Keypair | None = None
    clone_of: Tentacle | None = None
    space: str = "Default"
    kind: str = "Machines"
    recorded: bool = True  # if it trusts the Server
    known: bool = False  # the Server has a record of it even if it does not trust the Server
    record: dict[str, Any] = field(default_factory=dict)  # laid over the record
    more_spaces: list[str] = field(default_factory=list)
    more_kinds: list[str] = field(default_factory=list)  # it has a record of these kinds, too
    environment: str | None = None  # of its record; None: the first
    runs: bool = True
    in_inventory: bool = True
    reachable: bool = True  # for Ansible
    symlinked: bool = False
    mode: int | None = None  # of its configuration; None: as it comes
    advertised: str | None = None  # its record has this address, where something stands in front of it
    account: bool = False  # its unit names the account that it runs as, which has a home of its own
    extra_keys: dict[str, str] = field(default_factory=dict)
    proxy: str | None = None  # by its name; the record then has a name for the host that nobody else can resolve
    quirks: list[str] = field(default_factory=list)
    windows: bool = False

    @property
    def unit(self) -> str:
        """Of the fleet's service manager. On Windows the instance may be called as on every other host."""
        name = f"{self.host}-{self.instance}" if self.windows else self.instance
        return f"{name.replace(' ', '-')}.service"

    @property
    def uri(self) -> str:
        """As the Server's record has it."""
        return self.uri_at(MAIN)

    def uri_at(self, server: str) -> str:
        """As a Server's record has it."""
        mine = (trust for trust in self.trust if trust.pins(server) or (self.polling and trust.server == server))
        subscription = next((trust.subscription_id for trust in mine if trust.subscription_id), None)
        return subscription or f"https://{self.inside if self.proxy else self.advertised or self.address}:{self.port}/"

    @property
    def inside(self) -> str:
        """The host, as its proxy knows it."""
        return f"{self.host}.inside"

    @property
    def thumbprint(self) -> str:
        return self.keypair.thumbprint if self.keypair is not None else ""

    @property
    def id(self) -> str:
        return f"{self.host}/{self.instance}"

    def trusts(self, server: str) -> bool:
        return any(trust.pins(server) for trust in self.trust)


@dataclass
class Plan:
    """Everything that will be."""

    spec: FleetSpec
    block: Block
    servers: list[Server]
    tentacles: list[Tentacle]
    records: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)  # of nobody: kind, space, document
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the host whose record gets it
    aliases: dict[str, str] = field(default_factory=dict)  # inventory name -> host
    faults: dict[str, list[str]] = field(default_factory=dict)
    proxies: dict[str, ProxyDetails] = field(default_factory=dict)
    fronts: list[Callable[[Fleet], Front]] = field(default_factory=list)  # odd endpoints, made when the Servers have their certificates
    afterwards: list[Callable[[Fleet], None]] = field(default_factory=list)  # once everything runs
    _hosts: int = 0
    _fronts: int = 0

    @classmethod
    def of(cls, spec: FleetSpec, block: Block) -> Plan:
        servers = [_server(spec, block, MAIN, 0)]
        plan = cls(spec, block, servers, [])
        for number in range(spec.tentacles):
            plan.add_tentacle(f"web-{number + 1:02}")
        for number in range(spec.polling):
            plan.make_polling(plan.add_tentacle(f"poll-{number + 1:02}"))
        for number in range(spec.windows):
            plan.make_windows(plan.add_tentacle(f"win-{number + 1:02}"))
        for tentacle in plan.tentacles[1::2] if spec.mixed else ():
            tentacle.windows = True
        listening = [tentacle for tentacle in plan.tentacles if not tentacle.polling]
        foreign = min(spec.foreign, len(listening))
        for number in range(foreign):
            plan.trust_foreign(listening[number * len(listening) // foreign])
        return plan

    def server(self, name: str) -> Server:
        return next(server for server in self.servers if server.name == name)

    def at(self, host: str) -> Tentacle:
        """The (first) Tentacle on a host; LookupError that names those that there are."""
        for tentacle in self.tentacles:
            if tentacle.host == host:
                return tentacle
        raise LookupError(f"The fleet has no host {host!r}; it has {', '.join(sorted({tentacle.host for tentacle in self.tentacles}))}.")

    def add_tentacle(self, host: str, **more: Any) -> Tentacle:
        """A listening Tentacle on a host of its own that trusts the Server, its record in the spaces by turns."""
        spaces = self.servers[0].spaces
        port, address = self.block.port(TENTACLE), self.block.tentacle(self._hosts)
        space = spaces[self._hosts % len(self.spec.spaces)]
        self._hosts += 1
        tentacle = Tentacle(host, f"Tentacle-{host}", address, port, [Trust()], space=space, **more)
        self.tentacles.append(tentacle)
        return tentacle

    def make_polling(self, tentacle: Tentacle) -> None:
        tentacle.polling = True
        tentacle.trust = self.polling_entries(MAIN)

    def front_address(self) -> str:
        """The next address for something that is no host of the fleet."""
        self._fronts += 1
        return self.block.front(self._fronts - 1)

    def put_behind(self, tentacle: Tentacle, name: str, login: Login | None) -> None:
        if name not in self.proxies:
            self.proxies[name] = ProxyDetails(self.block.proxy(len(self.proxies)), self.block.port(PROXY), login)
        tentacle.proxy = name

    def make_windows(self, tentacle: Tentacle) -> None:
        """The default instance on the first of these hosts, and on the others one with a blank in its name, and so in its paths."""
        first = not any(each.windows for each in self.tentacles)
        tentacle.windows, tentacle.instance = True, "Tentacle" if first else f"Web Shop {tentacle.host}"

    def need_foreign(self) -> None:
        """A second Server, unless there is one."""
        if all(server.name != FOREIGN for server in self.servers):
            self.servers.append(_server(self.spec, self.block, FOREIGN, 100))

    def trust_foreign(self, tentacle: Tentacle, polling: bool = False) -> None:
        self.need_foreign()
        tentacle.trust += self.polling_entries(FOREIGN) if polling else [Trust(FOREIGN)]

    def polling_entries(self, server: str) -> list[Trust]:
        """One entry for each node, one subscription (octopus-server.md 2.5)."""
        subscription = f"poll://{''.join(secrets.choice('bcdefghjkmnpqrstvwxyz23456789') for _each in range(20))}/"
        return [Trust(server, Style.TentacleActive, node.comms, subscription) for node in self.server(server).nodes]


def _server(spec: FleetSpec, block: Block, name: str, first_address: int) -> Server:
    main = name == MAIN
    nodes = [_node(spec, block, name, number, first_address + number) for number in range(spec.nodes if main else 1)]
    spaces = list(spec.spaces) if main else ["Default"]
    key = f"API-{secrets.token_hex(16).upper()}"
    return Server(name, nodes, spaces, list(spec.environments), key, list(spaces))


def _node(spec: FleetSpec, block: Block, server: str, number: int, address: int) -> Node:
    name = f"{'node' if server == MAIN else server}-{number + 1}"
    container = f"octopus-{number + 1}" if spec.container and server == MAIN else None
    unit = f"container-{container}.service" if container else f"OctopusServer-{name}.service"
    return Node(name, name, block.server(address), block.port(WEB), block.port(COMMS), unit, container)
