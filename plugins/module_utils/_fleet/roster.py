# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The roster: the union of what the Server has on record and what the inventory's hosts hold, as edges (decisions 3, 9, 17).

A record and an instance are one edge when thumbprint *and* endpoint agree; failing that, when the certificate presented at
the record's address is the instance's and neither of the two could be meant by anything else. What stays ambiguous blocks.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import (
    KUBERNETES,
    LISTENING,
    NO_TENTACLE,
    POLLING,
    UNKNOWN,
    WEBSOCKET,
    Edge,
    Instance,
    InventoryHost,
    Record,
    Visit,
)

_NOT_EXPANDABLE = {
    POLLING: "it polls the Server: it follows a second pin only by a second entry, which this version of the collection does not write",
    WEBSOCKET: "it polls over a WebSocket and pins the certificate to be retired, where the Server presents its web certificate",
    KUBERNETES: "Kubernetes: the agent pins the Server certificate, and its trust is not on a host of the inventory",
    UNKNOWN: "its communication style is not known to this collection",
}


@dataclass(frozen=True)
class Blocker:
    """A named finding of the roster: its code, the object, what was seen, what to do."""

    code: str
    name: str
    seen: str
    remedy: str


@dataclass(frozen=True)
class Roster:
    edges: Tuple[Edge, ...]
    blockers: Tuple[Blocker, ...] = ()
    notes: Tuple[Blocker, ...] = ()
    unvisited: Tuple[Tuple[str, str], ...] = ()  # (inventory host, why)
    not_edges: Tuple[Record, ...] = ()  # SSH targets, cloud regions and others that know no Tentacle
    strangers: Tuple[str, ...] = ()  # instances that trust neither certificate and are in no record: another Server's

    def digest(self) -> str:
        """What a plan and a permit name the roster by; equal for the same edges in any order."""
        rows = sorted([edge.identity, edge.name, edge.style, sorted(record.id for record in edge.records)] for edge in self.edges)
        return hashlib.sha256(json.dumps(rows).encode("utf-8")).hexdigest()[:16]

    def identities(self) -> FrozenSet[str]:
        return frozenset(edge.identity for edge in self.edges)

    def endpoints(self) -> Tuple[str, ...]:
        """The addresses to probe: those of the records, and of Tentacles that only the inventory knows."""
        return tuple(sorted({edge.endpoint for edge in self.edges if edge.endpoint}))


def why_not_expandable(style: str) -> Optional[str]:
    """The reason why an edge of this style cannot be given a second pin today; None if it can (decision 3)."""
    return None if style == LISTENING else _NOT_EXPANDABLE.get(style, _NOT_EXPANDABLE[UNKNOWN])
