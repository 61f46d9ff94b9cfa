# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What was seen of each edge, by source and with its age; nothing here concludes anything.

Times are the controller's monotonic clock (decision 8). A source that was not read is None, never a default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import (
    POLLING,
    Edge,
    Instance,
    Poll,
    TrustEntry,
    Visit,
    place_of,
    subscription_of,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.shadow import Subscriber

ACCEPTED = "accepted"
REFUSED = "refused"
IDENTITIES = ("old", "new", "random", "none")
HEALTHY = frozenset(("Healthy", "HasWarnings"))


@dataclass(frozen=True)
class Disk:
    """The trust entries in the configuration: what will be true after a restart."""

    trust: Tuple[TrustEntry, ...]
    at: float
    thumbprint: Optional[str] = None

    def pins(self) -> FrozenSet[str]:
        return frozenset(entry.canonical for entry in self.trust if entry.canonical)

    def pins_at(self, subscription: Optional[str]) -> Dict[str, FrozenSet[str]]:
        """The pins of each address that is polled with ``subscription``; one in lower case never matches there (measured-tentacle.md 9)."""
        found: Dict[str, FrozenSet[str]] = {}
        for entry in self.trust:
            if entry.style == POLLING and entry.subscription == subscription:
                effective = frozenset((entry.canonical,)) if entry.canonical and entry.spelled == entry.canonical else frozenset()
                place = place_of(entry.address or "")
                found[place] = found.get(place, frozenset()) | effective
        return found

    def is_tidy(self, thumbprint: str) -> bool:
        """Whether ``thumbprint`` stands exactly once per place, in canonical spelling (I9)."""
        entries = [entry for entry in self.trust if entry.canonical == thumbprint]
        places = {(place_of(entry.address or ""), entry.subscription) for entry in entries}
        return len(places) == len(entries) and all(entry.spelled == thumbprint for entry in entries)


@dataclass(frozen=True)
class Process:
    """The running process, as its host tells it."""

    pid: int
    started_at: str
    restart_pending: str = "unknown"
    pins: Optional[FrozenSet[str]] = None
    polls: Tuple[Poll, ...] = ()

    def seen_of(self, place: str, subscription: Optional[str]) -> Dict[Optional[str], FrozenSet[str]]:
        """By pin, what the log says of the entries that poll ``place`` with ``subscription``."""
        return {poll.pin: poll.seen or frozenset() for poll in self.polls if (poll.place, poll.subscription) == (place, subscription)}


@dataclass(frozen=True)
class Wire:
    """Verdicts of the probe by identity (``accepted``, ``refused`` with its control, or the reason why there is no verdict)."""

    at: float
    presents: Optional[str] = None
    old: Optional[str] = None
    new: Optional[str] = None
    random: Optional[str] = None
    none: Optional[str] = None

    @property
    def reached(self) -> bool:
        return self.presents is not None

    def exchanged(self) -> Wire:
        return replace(self, old=self.new, new=self.old)


@dataclass(frozen=True)
class Health:
    """The outcome of a health check, bound to the certificates that the nodes presented while it ran."""

    status: str
    at: float
    presented: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Met:
    """A subscription that a shadow has received over the Tentacle's own certificate, in this run (rotation-safety 3.1).

    ``live``: by the process that runs now. ``to_random``: it was presented a random certificate.
    """

    live: bool
    to_random: bool = False


@dataclass(frozen=True)
class Evidence:
    """Everything seen of one edge. ``problem``: (code, reason) of a row that could not be read; ``refusal``: of a visit that came to nothing."""

    disk: Optional[Disk] = None
    process: Optional[Process] = None
    wire: Optional[Wire] = None
    health: Optional[Health] = None
    visited_at: Optional[float] = None
    unready: Tuple[Tuple[str, str], ...] = ()
    problem: Optional[Tuple[str, str]] = None
    refusal: Optional[Tuple[str, str]] = None
    foreign_lost: Tuple[str, ...] = ()
    shadow: Optional[Met] = None

    def exchanged(self) -> Evidence:
        """A shadow presents what is new in one direction only."""
        return replace(self, wire=self.wire.exchanged() if self.wire else None, shadow=None)


def is_fresh(wire: Wire, visited_at: Optional[float], now: float, max_age: float) -> bool:
    """Wire evidence counts while it is young, and only if nothing of ours touched the Tentacle after it (I6)."""
    return 0 <= now - wire.at <= max_age and (visited_at is None or wire.at >= visited_at)


def gather(
    edges: Iterable[Edge],
    visits: Sequence[Visit],
    sights: Sequence[Mapping[str, Any]],
    sights_at: float,
    health: Mapping[str, Health],
    subscribers: Sequence[Subscriber] = (),
) -> Dict[str, Evidence]:
    """Evidence by edge name. ``sights`` are rows of octo_probe with identities named old, new, random, none; ``health`` goes by record id."""
    instances = {instance.label: (instance, visit) for visit in visits for instance in visit.instances}
    wires = wires_of(sights, sights_at)
    met: Dict[Optional[str], List[Subscriber]] = {}
    for one in subscribers:
        met.setdefault(subscription_of(one.subscription), []).append(one)
    return {
        edge.name: _evidence(
            instances.get(edge.label),
            wires.get(edge.endpoint or ""),
            _worst(edge, health),
            met.get(edge.subscription, ()) if edge.style == POLLING else (),
        )
        for edge in edges
    }


def wires_of(sights: Sequence[Mapping[str, Any]], at: float) -> Dict[str, Wire]:
    """The verdict matrix by endpoint."""
    found: Dict[str, Wire] = {}
    for sight in sights:
        wire = found.get(sight["endpoint"]) or Wire(at)
        presents = wire.presents or (str(sight["thumbprint"]).upper() if sight.get("thumbprint") else None)
        verdict: Dict[str, Any] = {sight["identity"]: str(sight["verdict"])} if sight["identity"] in IDENTITIES else {}
        found[sight["endpoint"]] = replace(wire, presents=presents, **verdict)
    return found


def _evidence(
    seen: Optional[Tuple[Instance, Visit]], wire: Optional[Wire], health: Optional[Health], subscribers: Sequence[Subscriber] = ()
) -> Evidence:
    if seen is None:
        return Evidence(wire=wire, health=health)
    instance, visit = seen
    at = visit.at
    said = (instance.code, instance.reason) if instance.code else None
    return Evidence(
        disk=Disk(instance.trust, at, instance.thumbprint) if instance.readable else None,
        process=Process(instance.pid, instance.started_at, instance.restart_pending, instance.pins_in_process, instance.polls)
        if instance.pid
        else None,
        wire=wire,
        health=health,
        visited_at=at,
        unready=instance.unready,
        problem=None if instance.readable else said,
        refusal=said if instance.readable else None,
        foreign_lost=instance.foreign_lost,
        shadow=_met(instance, visit, subscribers),
    )


def _met(instance: Instance, visit: Visit, subscribers: Sequence[Subscriber]) -> Optional[Met]:
    """Who has the Tentacle's own key is the Tentacle; what came before a visit that restarted it was another process."""
    own = [one for one in subscribers if instance.thumbprint and one.thumbprint == instance.thumbprint]
    live = any(one.live and (one.since >= visit.begun or not instance.restarted) for one in own)
    return Met(live, any(one.to_random for one in own)) if own else None


def _worst(edge: Edge, health: Mapping[str, Health]) -> Optional[Health]:
    """The health of an edge is that of its worst enabled record; an unjudged record leaves the edge unjudged."""
    asked = [health.get(record.id) for record in edge.records if not record.is_disabled]
    known = [one for one in asked if one is not None]
    if not known or len(known) < len(asked):
        return None
    return min(known, key=lambda one: (one.status in HEALTHY, one.at))
