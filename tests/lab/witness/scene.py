# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the witness is told (fleet.json) and what it finds out for itself while it looks: processes, identities, records."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from OpenSSL import SSL

from lab.fleet.processes import birth
from lab.server.database import MACHINES, WORKERS, Database
from lab.server.resources import tentacle_endpoint
from lab.witness.wire import identity

Address = tuple[str, int]


@dataclass(frozen=True)
class Node:
    """A node of a Server; its certificate is what its communications port presents."""

    server: str
    name: str
    comms: Address
    url: str
    unit: str


@dataclass(frozen=True)
class Edge:
    """(Server node, endpoint or subscription id): decisions 9."""

    id: str
    server: str
    node: str
    style: str
    target: Address | None  # of a listening Tentacle
    subscription_id: str | None  # of a polling one
    units: tuple[str, ...]  # whose ordered restarts may make it be away


@dataclass(frozen=True)
class Scene:
    """The fleet as its builder wrote it down."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    databases: dict[str, Path]

    @classmethod
    def read(cls, fleet: dict[str, Any]) -> Scene:
        nodes = [
            Node(server["name"], node["name"], (node["address"], node["comms_port"]), node["url"], node["unit"])
            for server in fleet["servers"]
            for node in server["nodes"]
        ]
        units = {(node.server, node.name): node.unit for node in nodes}
        return cls(
            nodes=tuple(nodes),
            edges=tuple(_edge(each, units[each["server"], each["node"]]) for each in fleet["edges"]),
            databases={server["name"]: Path(server["database"]) for server in fleet["servers"]},
        )


def _edge(row: dict[str, Any], node_unit: str) -> Edge:
    listening = row["style"] == "listening"
    return Edge(
        id=row["id"],
        server=row["server"],
        node=row["node"],
        style=row["style"],
        target=(row["address"], row["port"]) if listening else None,
        subscription_id=row["subscription_id"],
        units=(row["unit"],) if listening else (row["unit"], node_unit),
    )


@dataclass(frozen=True)
class Life:
    """Which process serves an endpoint. Two equal ones that live are the same process."""

    pid: int
    birth: int | None
    state: str

    @property
    def serves(self) -> bool:
        return self.state == "active" and self.birth is not None and birth(self.pid) == self.birth


class Processes:
    """What the service manager last published; a stopping process looks to a client as one that refuses (measured-tentacle.md 14.7)."""

    def __init__(self, published: Path) -> None:
        self._file = published
        self._stamp: tuple[int, int] | None = None
        self._units: dict[str, dict[str, Any]] = {}

    def life(self, unit: str) -> Life | None:
        """None when nobody manages such a unit."""
        known = self._read().get(unit)
        return Life(known["pid"], known["birth"], known["state"]) if known is not None else None

    def orders(self, units: Iterable[str]) -> int:
        known = self._read()
        return sum(known[unit]["orders"] for unit in units if unit in known)

    def settled(self, unit: str, microseconds: int) -> bool:
        """Whether the unit's process serves and has done so for this long."""
        known, life = self._read().get(unit), self.life(unit)
        uptime = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 - (known["started_monotonic_us"] if known is not None else 0)
        return life is None or (life.serves and uptime > microseconds)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            status = self._file.stat()
            if (status.st_ino, status.st_mtime_ns) != self._stamp:
                self._units = json.loads(self._file.read_text(encoding="utf-8"))
                self._stamp = (status.st_ino, status.st_mtime_ns)
        except FileNotFoundError:
            self._units = {}
        return self._units


class Archive:
    """A Server's database: the keys of every certificate that it ever had, and the thumbprints in its records."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._contexts: dict[str, SSL.Context | None] = {}

    def identity(self, thumbprint: str) -> SSL.Context | None:
        """The context that plays this certificate; None when the Server never had it, which may change."""
        if self._contexts.get(thumbprint) is None:
            try:
                keypair = self._database.keypair(thumbprint)
            except LookupError:
                return None
            self._contexts[thumbprint] = identity(keypair.der, keypair.key_pem)
        return self._contexts[thumbprint]

    def recorded(self) -> dict[Address, frozenset[str]]:
        """Thumbprints by address, spelled as recorded: the Server compares them letter by letter (octopus-server.md 2.5)."""
        found: dict[Address, frozenset[str]] = {}
        for document in (*self._database.documents(MACHINES), *self._database.documents(WORKERS)):
            endpoint = tentacle_endpoint(document)
            uri = urlsplit(str((endpoint or {}).get("Uri") or ""))
            if endpoint is not None and uri.scheme == "https" and uri.hostname and uri.port:
                at = (uri.hostname, uri.port)
                found[at] = found.get(at, frozenset()) | {str(endpoint.get("Thumbprint"))}
        return found
