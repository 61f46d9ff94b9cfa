# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Planted fleets as context managers."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lab.fleet.builder import Fleet
from lab.fleet.plan import FOREIGN, Plan, Tentacle
from lab.fleet.spec import FleetSpec
from lab.planting.acts import open_database
from lab.planting.garden import Garden, Told
from lab.planting.lies import LIES
from lab.planting.logs import Logs
from lab.planting.nodes import NODE_SEEDS
from lab.planting.seeds import ROTATION_TAKES, SEEDS, Seed
from lab.planting.troubles import TROUBLES
from lab.planting.truth import NearMiss, Planted
from lab.server import resources
from lab.wire.certificates import Keypair, to_pfx

_SOWABLE: Mapping[str, Seed] = {**SEEDS, **{name: lie.seed for name, lie in LIES.items()}, **TROUBLES, **NODE_SEEDS}
SPACES, ENVIRONMENTS, NODES = ("Default", "Finance"), ("Production", "Staging"), 2


@dataclass(frozen=True)
class PlantedFleet:
    """A fleet that runs, and the exact truth about it for an audit with all four sources, the Server's PFX and both lists.

    ``arguable``: what the words of audit.md allow to be found and not to be found; it is neither a hit nor an error. ``noisy``: Tentacles
    (host/instance) that log errors all the time, by no fault of whoever looks at them: they poll a Server that they do not expect, or that
    does not expect them.
    """

    fleet: Fleet
    planted: tuple[Planted, ...]
    near_misses: tuple[NearMiss, ...]
    arguable: tuple[Planted, ...]
    noisy: frozenset[str]
    known_servers: dict[str, list[str]]  # octopus_known_servers
    retired: list[str]  # octopus_retired_thumbprints
    pfx: Path  # the Server's certificate with its key
    pfx_password: str = field(repr=False)
    rotation_takes: int = ROTATION_TAKES  # octopus_rotation_takes

    @property
    def inventory(self) -> Path:
        return self.fleet.inventory

    def of(self, code: str) -> tuple[Planted, ...]:
        """What is to be found under a code."""
        return tuple(each for each in self.planted if each.code == code)

    def logs(self) -> Logs:
        """From now on: `logs.complaints()` has every WARN and ERROR of every Tentacle."""
        return Logs(self.fleet)


@contextmanager
def planted(size: int | None = 300, seeds: Collection[str] | None = None, **settings: Any) -> Iterator[PlantedFleet]:
    """``size`` Tentacles in all (None: no more than the plants need), with what these seeds plant (None: every finding, lab.planting.seeds).

    The seeds of lab.planting.lies, lab.planting.troubles and lab.planting.nodes are sown by name only. ``settings``: further ones of the FleetSpec;
    a large fleet is best kept in memory (``root=`` below /dev/shm, or TMPDIR): its thousands of files take a disk a minute to go.
    """
    gardens: list[Garden] = []

    def plant(plan: Plan) -> None:
        garden = Garden(plan)
        for name in SEEDS if seeds is None else seeds:
            _SOWABLE[name](garden)
        garden.grow(size or 0)
        gardens.append(garden)

    spec = FleetSpec(tentacles=0, nodes=NODES, spaces=SPACES, environments=ENVIRONMENTS, changes=(plant,), **settings)
    with Fleet(spec) as fleet:
        yield _described(fleet, gardens[0])


@contextmanager
def clean(size: int = 300) -> Iterator[PlantedFleet]:
    """Nothing is wrong with any of them; some trust a second Server, which is known."""
    with planted(size, seeds=()) as garden:
        yield garden


def _described(fleet: Fleet, garden: Garden) -> PlantedFleet:
    records = _records(fleet)
    folder = fleet.root / "audit"
    folder.mkdir(mode=0o700)
    pfx, password = folder / "server.pfx", secrets.token_urlsafe(18)
    pfx.touch(0o600)
    pfx.write_bytes(to_pfx(fleet.server.certificate, password))
    return PlantedFleet(
        fleet=fleet,
        planted=tuple(_truth(Planted, fleet, records, each, code) for each in garden.told for code in each.plants),
        near_misses=tuple(_truth(NearMiss, fleet, records, each, code) for each in garden.told for code in each.near),
        arguable=tuple(_truth(Planted, fleet, records, each, code) for each in garden.told for code in each.arguable),
        noisy=frozenset(each.id for each in garden.noisy),
        known_servers=_known(fleet, garden),
        retired=[each.thumbprint for each in garden.retired],
        pfx=pfx,
        pfx_password=password,
    )


def _known(fleet: Fleet, garden: Garden) -> dict[str, list[str]]:
    known = dict(garden.known)
    if any(server.name == FOREIGN for server in fleet.plan.servers):
        node = fleet.foreign_server.nodes[0]
        known[FOREIGN] = [f"{node.address}:{node.comms_port}", *known.get(FOREIGN, [])]
    return known


Records = dict[str, list[tuple[str, str]]]
Kind = TypeVar("Kind", bound=Planted)


def _records(fleet: Fleet) -> Records:
    """Id and name of the records by their Uri; by their name, too, where they have none."""
    found: Records = {}
    with open_database(fleet) as database:
        for document in (*database.documents("Machines"), *database.documents("Workers")):
            endpoint = resources.tentacle_endpoint(document) or {}
            for key in (endpoint.get("Uri"), document["Name"]):
                found.setdefault(key or "", []).append((document["Id"], document["Name"]))
    return found


def _truth(kind: type[Kind], fleet: Fleet, records: Records, told: Told, code: str) -> Kind:
    who = told.who
    if isinstance(who, Tentacle):
        names = _names(fleet, records, who)
        subject = who.id if who.in_inventory else who.host
    else:
        subject = who.thumbprint if isinstance(who, Keypair) else who
        names = {part for record in records.get(subject, []) for part in record}
    return kind(code, subject, told.why, told.kind, frozenset({*names, *told.names}), frozenset(told.pins))


def _names(fleet: Fleet, records: Records, tentacle: Tentacle) -> set[str]:
    found = {part for record in records.get(tentacle.uri, []) for part in record} | {tentacle.id, tentacle.uri}
    if tentacle.uri.startswith("https:"):
        found.add(tentacle.uri.removeprefix("https://").rstrip("/"))
    if sum(each.host == tentacle.host for each in fleet.tentacles) == 1:
        hosts = [tentacle.host, *(alias for alias, host in fleet.plan.aliases.items() if host == tentacle.host)]
        found |= {name for host in hosts for name in (host, f"{host}/*", f"{host}/{tentacle.instance}")}
    return found
