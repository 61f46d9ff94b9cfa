# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a world of the model to the facts that the product would gather in it, and the product's answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Evidence, Health, Wire
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import facts as product
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from model import sample
from model.world import BOTH, FORWARD, NEW, OLD, Rules, Step, Tentacle, World

PIN = {OLD: sample.OLD, NEW: sample.NEW}
BIT = {sample.OLD: OLD, sample.NEW: NEW}
NAMES = ("app-09", "web-01", "web-02")

Distortion = Callable[[product.Facts], product.Facts]


def pins(bits: int) -> tuple[str, ...]:
    return tuple(pin for bit, pin in PIN.items() if bits & bit)


def _wire(tentacle: Tentacle, host: str, *, open_door: bool, stale: bool) -> Wire:
    accepts = tentacle.seen if tentacle.seen >= 0 else tentacle.memory
    verdict = {bit: "accepted" if accepts & bit or open_door else "refused" for bit in (OLD, NEW)}
    control = "accepted" if open_door else "refused"
    return Wire(sample.NOW - (30 if stale else 1), sample.own(host), verdict[OLD], verdict[NEW], control, control)


def facts_of(world: World, rules: Rules) -> product.Facts:
    """The facts as seen from the forward direction; what cannot be reached was neither visited nor probed."""
    edges, unvisited = [], []
    presented = frozenset(PIN[node.presents] for node in world.nodes if node.presents)
    for place, tentacle in enumerate(world.tentacles):
        host = NAMES[place]
        made = sample.edge(host, pins(tentacle.disk))
        healthy = all(node.presents & tentacle.memory for node in world.nodes if node.presents)
        wire = _wire(tentacle, host, open_door=rules.proxied, stale=tentacle.void) if not rules.keeps_evidence or tentacle.seen >= 0 else None
        if rules.misdirected and place == 0:
            wire = _wire(world.tentacles[1], NAMES[1], open_door=False, stale=False)
        made = sample.seen(made, wire=wire, health=Health("Healthy" if healthy else "Unavailable", sample.NOW - 2, presented))
        if rules.disabled:
            made = replace(made, edge=replace(made.edge, records=(sample.record(host, is_disabled=True),)))
        if tentacle.reachable:
            edges.append(made)
        elif rules.unrecorded:
            unvisited.append((host, "unreachable"))
        else:
            edges.append(replace(made, evidence=Evidence(wire=Wire(sample.NOW - 1))))
    nodes = tuple(sample.node(f"node-{place}", PIN.get(node.presents)) for place, node in enumerate(world.nodes))
    database = frozenset(PIN[bit] for bit in (OLD, NEW) if bit & (world.database if world.certain else BOTH))
    return sample.before_switch(db=database, nodes=nodes, edges=tuple(edges), unvisited=tuple(unvisited), max_age=10.0)


def step_of(step: Step) -> product.Step:
    edges = tuple(f"{NAMES[place]}/Tentacle" for place in sorted(step.targets)) if step.kind in ("expand", "contract") else ()
    if step.kind == "expand":
        return product.Expand(edges)
    if step.kind == "contract":
        return product.Contract(edges)
    if step.kind == "restart_node":
        return product.RestartNode(f"node-{min(step.targets)}")
    return product.Switch()


def product_rules(without: frozenset[str] = frozenset(), distort: Distortion = lambda facts: facts, **happenings: bool | int) -> Rules:
    """The rules of a model in which the product decides. ``distort``: what a wrong gate would see instead of the facts."""
    shape = Rules(lambda _world, _step: False, lambda _world: 0, **happenings)  # type: ignore[arg-type]

    @cache
    def facts(observed: World) -> product.Facts:
        made = distort(facts_of(observed, shape))
        return made if observed.goal == FORWARD else made.exchanged()

    @cache
    def judged(observed: World, step: Step) -> bool:
        made = facts(observed)
        return allowed(made, step_of(step), without).allowed

    def wanted(world: World) -> int:
        return sum(BIT[pin] for pin in facts(_observed(world)).to_trust())

    return replace(shape, judge=lambda world, step: judged(_observed(world), step), pins=wanted)


def _observed(world: World) -> World:
    """What the gate can see of a world: nothing of what it was about to do before."""
    tentacles = tuple(one._replace(aimed=False) for one in world.tentacles)
    return world._replace(under_way="", pins=0, nodes=tuple(node._replace(aimed=False) for node in world.nodes), tentacles=tentacles)
