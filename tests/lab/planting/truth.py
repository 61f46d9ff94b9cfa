# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is true of a planted fleet, as data."""

from __future__ import annotations

from dataclasses import dataclass, field

TENTACLE, RECORD, CERTIFICATE = "tentacle", "record", "certificate"

# The codes of design/audit.md, in the order of its table.
CODES = (
    "LOCKED_OUT",
    "LOCKED_OUT_AFTER_RESTART",
    "UNCHECKED_TRUST",
    "OLD_KEY_IN_USE",
    "SHARED_PIN",
    "TWIN_CERT",
    "KEY_EXPOSED",
    "STALE_RECORD",
    "RESTART_PENDING",
    "GHOST_PIN",
    "MISSING_NODE",
    "DUPLICATE_ENTRY",
    "NON_CANONICAL",
    "BLANK_PIN",
    "IDENTITY_AT_RISK",
    "KEY_COPIES",
    "WEAK_CERT",
    "RECORD_DISABLED",
    "RECORD_UNHEALTHY",
    "SEVERAL_RECORDS",
    "ORPHAN_TENTACLE",
    "UNMANAGED_TENTACLE",
    "WSS_PIN",
    "NOT_COVERED",
    "NOT_SWITCHABLE",
    "UNREACHABLE",
    "DELETION_RISK",
)


@dataclass(frozen=True)
class Planted:
    """One thing that is to be found.

    ``subject``: ``<host>/<instance>`` of a Tentacle on a host of the inventory, the name of a record that is on none, or the thumbprint of a
    Server's certificate; ``kind`` tells which. ``names``: everything by which a report may call it: also its host, if it is alone there, its
    records' names and ids, its endpoint, its subscription, its machine policy. Pins are no names of it, but those that are odd are in ``pins``.
    """

    code: str
    subject: str
    why: str
    kind: str = TENTACLE
    names: frozenset[str] = field(default=frozenset(), repr=False)
    pins: frozenset[str] = field(default=frozenset(), repr=False)

    def is_about(self, name: str) -> bool:
        """Whether a report that calls something so means this."""
        return name == self.subject or name in self.names


@dataclass(frozen=True)
class NearMiss(Planted):
    """One thing that is one step from being found, and must not be."""
