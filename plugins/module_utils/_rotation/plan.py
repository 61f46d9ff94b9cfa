# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What a rotation will take: its name, its order, its visits, restarts, time and noise (decision 16)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import LISTENING, POLLING
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Contract, EdgeFacts, Expand, Facts, RestartNode
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.phase import useful_steps

WaveSpec = Sequence[Union[int, str]]
LONGEST_GAP = 120.0  # seconds; the vendor's longest back-off (halibut-wire.md)
_SHORTEST_GAP = 5.0


@dataclass(frozen=True)
class Rates:
    """Seconds that one unit of work takes: a visit (design/performance.md 4.5 and one start of a Tentacle), a node's restart, a gate."""

    visit: float = 2.5
    node: float = 40.0
    gate: float = 5.0


@dataclass(frozen=True)
class Crews:
    """The hosts to visit: listening Tentacles first, since each polling one with both pins makes noise at every node (issue of the two pins:
    measured-tentacle.md 5), so those are expanded last and close before the switch."""

    listening: Tuple[str, ...]
    polling: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    id: str
    digest: str  # of the roster
    waves: Tuple[Tuple[str, ...], ...]
    polling_waves: Tuple[Tuple[str, ...], ...]
    visits: int  # of hosts, both rounds
    restarts: int  # of Tentacles
    node_restarts: int
    busy: int
    forks: int
    away_at_most: int
    seconds: float
    portal_seconds: float
    error_lines_a_minute: float
    polling_gap: float  # seconds without contact to a polling Tentacle after a node's restart; 0: none polls


def crews(facts: Facts, hosts: Sequence[str]) -> Crews:
    """Who is visited when. Before its visit a polling Tentacle is on no host, so a host without a record of its own may have it."""
    places = {style: {edge.edge.host for edge in facts.edges if edge.edge.style == style} for style in (LISTENING, POLLING)}
    unplaced = "" in places[POLLING]
    polling = tuple(host for host in hosts if host in places[POLLING] or (unplaced and host not in places[LISTENING]))
    return Crews(tuple(host for host in hosts if host not in polling), polling)


@dataclass(frozen=True)
class Place:
    """Where in its round a wave stands, and what comes after it."""

    number: int
    of: int
    then: str


def place_of(batch: Sequence[str], rounds: Sequence[Sequence[Sequence[str]]], after: str) -> Optional[Place]:
    """Of ``batch`` among the waves of all ``rounds``, one after the other; None if it is none of them. ``after``: what follows the last one."""
    made = [tuple(wave) for waves_of in rounds for wave in waves_of]
    if tuple(batch) not in made:
        return None
    at = made.index(tuple(batch))
    return Place(at + 1, len(made), _hosts_in_words(made[at + 1]) if at + 1 < len(made) else after)


def _hosts_in_words(wave: Sequence[str]) -> str:
    return wave[0] if len(wave) == 1 else f"{len(wave)} hosts"


def gap_after(overlap: float, longest: float = LONGEST_GAP) -> float:
    """How long a polling Tentacle that was refused for ``overlap`` seconds may take to try the new certificate (measured-tentacle.md 14.1)."""
    return min(longest, max(_SHORTEST_GAP, 2 * overlap))


def plan_id(old: str, new: str, digest: str) -> str:
    """The name of a plan: what it retires, what it adopts ("" if that is yet to be made), for which roster."""
    return hashlib.sha256(f"{old} {new} {digest}".encode("ascii")).hexdigest()[:12]


def waves(hosts: Sequence[str], spec: WaveSpec) -> Tuple[Tuple[str, ...], ...]:
    """The hosts in waves as Ansible's ``serial`` makes them: numbers or shares of all, the last one repeated."""
    sizes = [_size(one, len(hosts)) for one in spec] or [max(len(hosts), 1)]
    made: List[Tuple[str, ...]] = []
    start = 0
    while start < len(hosts):
        size = sizes[min(len(made), len(sizes) - 1)]
        made.append(tuple(hosts[start : start + size]))
        start += size
    return tuple(made)


def _size(one: Union[int, str], of: int) -> int:
    text = str(one).strip()
    share = text[:-1] if text.endswith("%") else text
    if not share.isdigit() or int(share) == 0:
        raise OctoError(f"octopus_waves holds {one!r}; each wave is a number of hosts or a share such as 25%.")
    return max(1, of * int(share) // 100) if text.endswith("%") else int(share)


def make_plan(
    facts: Facts,
    digest: str,
    *,
    hosts: Sequence[str],
    spec: WaveSpec,
    forks: int,
    polling_spec: WaveSpec = (2, "100%"),
    longest_gap: float = LONGEST_GAP,
    rates: Rates = Rates(),
    gates: int = 4,
) -> Plan:
    """The plan of what is left to do from these facts. ``hosts``: those to visit; the first wave of each crew is its canary."""
    steps = useful_steps(facts)
    crew = crews(facts, hosts)
    made, polling_waves = waves(crew.listening, spec), waves(crew.polling, polling_spec)
    rounds = 2 if any(isinstance(step, Contract) for step in steps) or facts.new is None else 1 if steps else 0
    expanding = sum(len(step.edges) for step in steps if isinstance(step, Expand)) if facts.new else len(facts.roster)
    restarting = [step for step in steps if isinstance(step, RestartNode)] if facts.new else list(facts.nodes)
    at_once = max(1, min(forks, facts.away.total))
    polling = sum(1 for edge in facts.roster if edge.edge.style == POLLING)
    overlap = _round_of(polling_waves, at_once, rates)
    seconds = rounds * (_round_of(made, at_once, rates) + overlap) + len(restarting) * rates.node + gates * rates.gate
    return Plan(
        id=plan_id(facts.old, facts.new or "", digest),
        digest=digest,
        waves=made,
        polling_waves=polling_waves,
        visits=rounds * len(hosts),
        restarts=expanding + (len(facts.roster) if rounds == 2 else 0),
        node_restarts=len(restarting),
        busy=sum(1 for edge in facts.roster if edge.busy),
        forks=forks,
        away_at_most=facts.away.total,
        seconds=seconds if steps or facts.new is None else 0.0,
        portal_seconds=rates.node if restarting else 0.0,
        error_lines_a_minute=polling / 2,
        polling_gap=gap_after(overlap + rates.node, longest_gap) if polling and restarting else 0.0,
    )


def _round_of(made: Sequence[Sequence[str]], at_once: int, rates: Rates) -> float:
    """Seconds for one visit to each host of the waves."""
    return sum(math.ceil(len(wave) / at_once) * rates.visit + rates.gate for wave in made)


def edges_by_host(edges: Sequence[EdgeFacts]) -> Dict[str, List[str]]:
    """``{host: [instances]}`` as a permit names edges."""
    hosts: Dict[str, List[str]] = {}
    for edge in edges:
        if edge.edge.host and edge.edge.instance not in hosts.setdefault(edge.edge.host, []):
            hosts[edge.edge.host].append(edge.edge.instance)
    return hosts


def old_readings(facts: Facts, limit: float = 1800.0) -> Mapping[str, float]:
    """Readings of a disk older than half an hour, by edge, in seconds: named in the permit (rotation-safety 4.4)."""
    ages = {edge.name: facts.now - edge.evidence.disk.at for edge in facts.roster if edge.evidence.disk}
    return {name: round(age, 1) for name, age in ages.items() if age > limit}
