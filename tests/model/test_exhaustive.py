# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``allowed`` over all combinations of what can be seen of 2 Tentacles and 2 nodes, against an answer from possible worlds.

An observation leaves some worlds possible: what was not read may be anything. A step is safe if in none of them anything that
a node presents, or would present after a restart, is missing from any Tentacle's disk or process once the step is done (I2).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Health, Wire
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Contract, EdgeFacts, Expand, Facts, RestartNode, Step, Switch
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from model import sample
from model.world import BOTH, DOWN, NEW, OLD

THIRD = 4
PIN = {OLD: sample.OLD, NEW: sample.NEW, THIRD: sample.THIRD}
HOSTS = ("app-09", "web-01")
OPEN_DOOR = "open door"

DISKS = (None, 0, OLD, NEW, BOTH)
WIRES = (None, 0, OLD, NEW, BOTH, OPEN_DOOR)  # which of both it accepts
NODES = (None, OLD, NEW, THIRD)
DATABASES = (0, OLD, NEW, BOTH, THIRD)  # what the database may hold; 0: not read
STEPS = ("expand", "switch", "restart 0", "restart 1", "contract 0", "contract 1", "contract both")


class Seen(NamedTuple):
    tentacles: tuple[tuple[int | None, int | str | None], ...]  # (disk, wire)
    nodes: tuple[int | None, ...]
    database: int


def observations() -> Iterator[Seen]:
    """Tentacles and nodes are interchangeable, so each unordered combination once."""
    for tentacles in itertools.combinations_with_replacement(itertools.product(DISKS, WIRES), 2):
        for nodes in itertools.combinations_with_replacement(NODES, 2):
            for database in DATABASES:
                yield Seen(tentacles, nodes, database)


# -- the model's answer: no product code below this line


def worlds_of_pins(seen: Seen) -> list[set[tuple[int, int]]]:
    """For each Tentacle, the (disk, process) pairs that are possible; an open door tells nothing of the process."""
    everything = (0, OLD, NEW, BOTH)
    return [
        {(on_disk, in_memory) for on_disk in (everything if disk is None else (disk,)) for in_memory in (wire if isinstance(wire, int) else -1,)}
        if isinstance(wire, int)
        else {(on_disk, in_memory) for on_disk in (everything if disk is None else (disk,)) for in_memory in everything}
        for disk, wire in seen.tentacles
    ]


def worlds_of_the_server(seen: Seen) -> set[tuple[tuple[int, ...], int]]:
    """The (presented by each node, held by the database) that are possible."""
    nodes = [(DOWN, OLD, NEW) if node is None else (node,) for node in seen.nodes]
    database = (OLD, NEW) if seen.database in (0, BOTH) else (seen.database,)
    return set(itertools.product(itertools.product(*nodes), database))


def shown_after(step: str, server: tuple[tuple[int, ...], int]) -> int:
    """Everything that may be presented from then on; the import may have no effect, and a third certificate is what it repairs."""
    nodes, database = server
    shown = database
    for node in nodes:
        shown |= node
    return (shown | NEW) & ~THIRD if step == "switch" else shown


def is_safe(step: str, seen: Seen) -> bool:
    for tentacle in worlds_of_pins(seen):
        for disk, memory in tentacle:
            for server in worlds_of_the_server(seen):
                if shown_after(step, server) & ~(disk & memory):
                    return False
    return True


def is_allowed_by_the_model(step: str, seen: Seen) -> bool:
    """Safety, and the three things that are asked for beside it: known nodes (decision 12), a certain database (11), I5."""
    if step == "expand":
        return True
    if step == "switch":
        return all(node in (OLD, NEW) for node in seen.nodes) and is_safe(step, seen)
    if step.startswith("restart"):
        own = int(step[-1])
        others = [node for place, node in enumerate(seen.nodes) if place != own]
        known = all(node in (OLD, NEW) for node in others) and seen.nodes[own] != THIRD
        return known and seen.database == NEW and is_safe(step, seen)
    return seen.database == NEW and all(node == NEW for node in seen.nodes) and is_safe(step, seen)


# -- the product's answer


def edge_of(host: str, disk: int | None, wire: int | str | None, *, presented: frozenset[str]) -> EdgeFacts:
    made = sample.edge(host, [PIN[bit] for bit in (OLD, NEW) if disk and disk & bit])
    accepts = BOTH if wire == OPEN_DOOR else wire
    verdicts = ["accepted" if isinstance(accepts, int) and accepts & bit else "refused" for bit in (OLD, NEW)]
    control = "accepted" if wire == OPEN_DOOR else "refused"
    probed = Wire(sample.NOW - 1) if wire is None else Wire(sample.NOW - 1, sample.own(host), verdicts[0], verdicts[1], control, "refused")
    made = sample.seen(made, wire=probed, health=Health("Healthy", sample.NOW - 2, presented))
    return sample.seen(made, disk=None) if disk is None else made


def facts_of(seen: Seen, edges: dict[tuple[str, int | None, int | str | None], EdgeFacts]) -> Facts:
    nodes = tuple(sample.node(f"node-{place}", PIN[node] if node else None) for place, node in enumerate(seen.nodes))
    database = frozenset(pin for bit, pin in PIN.items() if seen.database & bit)
    return replace(
        sample.before_switch(), db=database, nodes=nodes, edges=tuple(edges[host, *one] for host, one in zip(HOSTS, seen.tentacles, strict=True))
    )


def step_of(step: str) -> Step:
    if step == "expand":
        return Expand(("app-09/Tentacle",))
    if step == "switch":
        return Switch()
    if step.startswith("restart"):
        return RestartNode(f"node-{step[-1]}")
    names = {"0": HOSTS[:1], "1": HOSTS[1:], "h": HOSTS}[step[-1]]
    return Contract(tuple(f"{host}/Tentacle" for host in names))


def test_the_formula_answers_as_the_model_does_on_everything_that_can_be_seen() -> None:
    healthy = frozenset((sample.NEW,))
    edges = {(host, disk, wire): edge_of(host, disk, wire, presented=healthy) for host in HOSTS for disk in DISKS for wire in WIRES}
    product_steps = {step: step_of(step) for step in STEPS}
    counted = {True: 0, False: 0}
    for seen in observations():
        facts = facts_of(seen, edges)
        for step in STEPS:
            answer = allowed(facts, product_steps[step]).allowed
            assert answer == is_allowed_by_the_model(step, seen), (step, seen)
            counted[answer] += 1
    print(f"{sum(counted.values())} questions, {counted[True]} allowed")
    assert counted[True] > 20_000
    assert counted[False] > 100_000
