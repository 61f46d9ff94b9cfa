# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What an audit is told: the answers of four sources, each with what could not be read and why (design/audit.md, "Sources").

Nothing here concludes anything. A source that was not asked is not in ``asked``; what was asked and not answered has a reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import FrozenSet, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import InventoryHost, Record, Visit

WIRE, DISK, DATABASE, PROCESS = SOURCES = ("wire", "disk", "database", "process")
READ, NOT_READ, NOT_ASKED = "read", "not_read", "not_asked"
THIS_SERVER = "this Server"


@dataclass(frozen=True)
class Reading:
    """Whether something was read; ``reason`` says why not."""

    state: str = NOT_ASKED
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.state == READ


WAS_READ = Reading(READ)  # one for all of thousands


@dataclass(frozen=True)
class CertificateSeen:
    """What a certificate that somebody presented says of itself."""

    thumbprint: str
    signature_algorithm: str = ""  # as REST spells it: sha256RSA
    key_algorithm: str = ""  # RSA, EC, or the dotted number
    key_bits: int = 0
    not_after: str = ""  # ISO 8601, UTC


@dataclass(frozen=True)
class Sight:
    """What the wire showed at one Tentacle endpoint. ``verdicts``: by caller, a Server certificate's thumbprint, "random" or "none".

    The verdicts are those of octo_probe. ``unproven`` stands for a refusal that no accepted caller followed; whoever collects
    looks a second time, seconds later, and says ``refused`` where the same certificate refused again: a Tentacle that was
    stopping is gone by then (decisions 14).
    """

    endpoint: str
    presented: Optional[str] = None
    verdicts: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""  # why it could not be read; TLS may have come up all the same

    @property
    def reading(self) -> Reading:
        return Reading(NOT_READ, self.reason) if self.reason or not self.presented else WAS_READ


@dataclass(frozen=True)
class Node:
    """A node of a Server. ``address``: where Tentacles poll it, None if nobody told; ``also_at``: its other spellings, by resolved name."""

    name: str
    address: Optional[str] = None
    presented: Optional[str] = None
    reading: Reading = Reading()
    also_at: Tuple[str, ...] = ()

    @property
    def places(self) -> FrozenSet[str]:
        return frozenset(place for place in (self.address, *self.also_at) if place)


@dataclass(frozen=True)
class Server:
    """An Octopus Server. ``database``: the certificate that its REST API names (it may be the one loaded, octopus-server.md 3.6)."""

    name: str = THIS_SERVER
    nodes: Tuple[Node, ...] = ()
    database: Optional[str] = None

    @property
    def presented(self) -> FrozenSet[str]:
        return frozenset(node.presented for node in self.nodes if node.presented)


@dataclass(frozen=True)
class PolicySeen:
    """A machine policy and how soon it deletes machines that are unavailable (octopus-server.md 3.5)."""

    id: str
    name: str
    space: str
    deletes_after: Optional[float] = None  # seconds; None: never


POLICIES = "machine policies"


class Unread(NamedTuple):
    """A part of a space that was not read, though its records were."""

    space: str
    part: str  # POLICIES, environments, proxies
    why: str


@dataclass(frozen=True)
class AuditFacts:
    made_at: str  # ISO 8601, UTC, to the second
    collection: str
    asked: FrozenSet[str]  # of SOURCES
    sources: Mapping[str, Reading] = field(default_factory=dict)  # a source that could not be read at all, with the reason
    server_url: Optional[str] = None
    server: Server = Server()
    known: Optional[Tuple[Server, ...]] = None  # octopus_known_servers; None: not given
    retired: Optional[FrozenSet[str]] = None  # octopus_retired_thumbprints; None: not given
    callers: FrozenSet[str] = frozenset()  # Server certificates whose key was given, so trust mode; empty: identity mode
    hosts: Tuple[InventoryHost, ...] = ()
    visits: Tuple[Visit, ...] = ()  # of the hosts: disk and process
    records: Tuple[Record, ...] = ()  # of all spaces that were read
    unseen_spaces: Tuple[Tuple[str, str], ...] = ()  # (space, why): asked for or listed, and its records were not read, or not all of them
    unread: Tuple[Unread, ...] = ()
    policies: Tuple[PolicySeen, ...] = ()
    last_contact: Mapping[str, str] = field(default_factory=dict)  # ISO 8601 by "<space>/<record id>", the Server's clock; polling ones
    sights: Mapping[str, Sight] = field(default_factory=dict)  # by endpoint, "host:port" as edges.address_of spells it
    certificates: Mapping[str, CertificateSeen] = field(default_factory=dict)  # by thumbprint, of everybody who presented one
    same_place: Mapping[str, str] = field(default_factory=dict)  # host name -> canonical address, as for build_roster
    rotation_takes: float = 3600.0  # seconds that a rotation may take; see DELETION_RISK

    def reading_of(self, source: str) -> Reading:
        """Of a source as a whole: not asked, failed as a whole, or read as far as each row says."""
        if source not in self.asked:
            return Reading(NOT_ASKED, "not asked for")
        return self.sources.get(source, WAS_READ)
