# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each source of an audit lying in turn (design/audit.md, the column "Lies when"): `with planted(6, seeds=["impostor_proxy"]) as garden`.

Only what cannot be doubted is planted; what an audit may make of a lie besides is arguable. What it has to show is the disagreement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.fleet.plan import Tentacle
from lab.planting.garden import Garden

WIRE, DISK, DATABASE, PROCESS = "wire", "disk", "database", "process"
_OF_A_PROXY = "STALE_RECORD LOCKED_OUT UNCHECKED_TRUST NOT_SWITCHABLE UNREACHABLE"


@dataclass(frozen=True)
class Lie:
    """``says``: what the source says; ``really``: what is true, and how the other sources tell."""

    source: str
    says: str
    really: str
    seed: Callable[[Garden], None]


def host_of(name: str) -> str:
    """The host that a lie is about, where it is about one."""
    return f"liar-{name.replace('_', '-')}"


def _liar(quirk: str, arguable: str, plants: str = "") -> Callable[[Garden], None]:
    def seed(garden: Garden) -> None:
        garden.tell(garden.host(host_of(quirk), quirk=[quirk]), plants, arguable=arguable, why=f"quirk {quirk}")

    return seed


def _index(garden: Garden) -> None:
    host = host_of("index_points_elsewhere")
    first: Tentacle = garden.host(host)
    second = garden.further("second_instance", host)
    garden.quirk("index_points_elsewhere", host)
    why = f"the index names {second.instance}'s configuration for both"
    garden.tell(first, arguable="STALE_RECORD RESTART_PENDING UNREACHABLE UNMANAGED_TENTACLE NOT_SWITCHABLE TWIN_CERT KEY_COPIES", why=why)
    garden.tell(second, arguable="TWIN_CERT KEY_COPIES SEVERAL_RECORDS NOT_SWITCHABLE", why=why)


def _database_ahead(garden: Garden) -> None:
    garden.quirk("database_ahead", garden.plan.servers[0].nodes[0].name)


LIES: Mapping[str, Lie] = {
    "impostor_proxy": Lie(
        WIRE,
        "another certificate is presented, a client certificate is asked for, and nobody is let in",
        "a proxy ends TLS at the record's address; record and disk agree with each other about the Tentacle's own certificate",
        _liar("impostor_proxy", _OF_A_PROXY),
    ),
    "tls_proxy": Lie(
        WIRE,
        "another certificate is presented, no client certificate is asked for, and nobody is let in",
        "a proxy ends TLS at the record's address; record and disk agree with each other about the Tentacle's own certificate",
        _liar("tls_proxy", _OF_A_PROXY),
    ),
    "index_points_elsewhere": Lie(
        DISK,
        "two instances of a host have one configuration, one certificate, one port",
        "the index names the wrong file for the first; its process still runs by the right one, and wire and record name its own certificate",
        _index,
    ),
    "torn_configuration": Lie(
        DISK,
        "the configuration ends in the middle",
        "a write was torn; the process runs, and wire and record are as ever",
        _liar("torn_configuration", "NOT_SWITCHABLE RESTART_PENDING LOCKED_OUT_AFTER_RESTART IDENTITY_AT_RISK", "UNREACHABLE"),
    ),
    "database_ahead": Lie(
        DATABASE,
        "the Server has another certificate",
        "no node has restarted since: the wire shows that both present the old one",
        _database_ahead,
    ),
    "hidden_space_record": Lie(
        DATABASE,
        "there is no record of a Tentacle that trusts our Server",
        "its record is in a space that the API key does not see",
        _liar("hidden_space_record", "", "ORPHAN_TENTACLE"),
    ),
    "touched_configuration": Lie(
        PROCESS,
        "the configuration is newer than the process",
        "not a byte of it has changed: disk, wire and the pins in the process's log agree",
        _liar("touched_configuration", "RESTART_PENDING"),
    ),
    "backdated_change": Lie(
        PROCESS,
        "the configuration is older than the process",
        "the disk has a pin more than the running process: a clock was moved, or a copy with its old time was put back",
        _liar("backdated_change", "GHOST_PIN", "RESTART_PENDING"),
    ),
}
