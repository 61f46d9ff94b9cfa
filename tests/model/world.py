# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of design/rotation-safety.md 4.9: every interleaving of a rotation with crashes, restarts and lost reach.

It knows nothing of the product: whether the controller may take a step is asked of a ``judge``. Certificates are bits, so that
a set of pins is a small integer. Tentacles and nodes are interchangeable, so a state is kept in sorted order.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

OLD, NEW = 1, 2
BOTH = OLD | NEW
DOWN = 0
FORWARD, BACK = "forward", "back"


class Tentacle(NamedTuple):
    disk: int
    memory: int
    reachable: bool = True
    aimed: bool = False  # the step under way may write it
    seen: int = -1  # what the last probe found accepted, -1: nothing; only with Rules.keeps_evidence
    void: bool = False  # that probe is older than our last visit

    def restarted(self) -> Tentacle:
        return self._replace(memory=self.disk)


class Node(NamedTuple):
    presents: int
    aimed: bool = False


class World(NamedTuple):
    database: int
    certain: bool  # the controller has read back what the last import did
    goal: str
    under_way: str  # kind of the step that was allowed last; "" between steps
    pins: int  # what an expanding step adds
    nodes: tuple[Node, ...]
    tentacles: tuple[Tentacle, ...]

    @property
    def retired(self) -> int:
        return OLD if self.goal == FORWARD else NEW

    @property
    def adopted(self) -> int:
        return BOTH - self.retired


class Step(NamedTuple):
    kind: str  # expand | switch | restart_node | contract
    targets: frozenset[int] = frozenset()  # positions of Tentacles, or of the node


Judge = Callable[[World, Step], bool]


@dataclass(frozen=True)
class Rules:
    """What can happen. ``judge``: whether a step is allowed; ``pins``: what an expanding step adds."""

    judge: Judge
    pins: Callable[[World], int]
    drift: bool = False  # another tool puts the old pin alone back on a disk
    replaces: bool = False  # expanding replaces instead of adding (M6: update-trust)
    joins: int = 0  # pins of a Tentacle that appears once, at any time, outside of us (M10)
    joins_by_api: bool = False  # it pins what the Server says that it has, which is what the database holds (M10b)
    keeps_evidence: bool = False  # the judge sees the last probe instead of the present truth (M8)
    trusts_markers: bool = False  # with keeps_evidence: writing a pin counts as having seen it accepted (M7)
    reach_flips: bool = True
    # The rest only changes what a gate gets to see.
    proxied: bool = False  # something in front of every Tentacle accepts everybody
    misdirected: bool = False  # the address of the first Tentacle leads to the second
    disabled: bool = False  # the records are disabled, so nobody checks the health of a Tentacle (decision 17)
    unrecorded: bool = False  # what cannot be reached is in no record either: only the inventory's host is known


def start(tentacles: int, nodes: int) -> World:
    return World(OLD, True, FORWARD, "", 0, (Node(OLD),) * nodes, (Tentacle(OLD, OLD),) * tentacles)


def locked_out(world: World) -> bool:
    """Not I1: a node that is up presents what a Tentacle's running process does not accept."""
    return any(node.presents and not node.presents & tentacle.memory for node in world.nodes for tentacle in world.tentacles)


def exposed(world: World) -> bool:
    """Not I2: some node presents, or would present after a restart, what a Tentacle does not accept, or would not after a restart."""
    shown = world.database
    for node in world.nodes:
        shown |= node.presents
    return any(shown & ~(tentacle.disk & tentacle.memory) for tentacle in world.tentacles)


def is_settled(world: World, certificate: int) -> bool:
    """DONE (for the new certificate) or fully back (for the old one)."""
    return (
        world.database == certificate
        and all(node.presents == certificate for node in world.nodes)
        and all(tentacle.disk == tentacle.memory == certificate for tentacle in world.tentacles)
    )


def steps(world: World) -> Iterator[Step]:
    places = range(len(world.tentacles))
    yield Step("switch")
    for place in range(len(world.nodes)):
        yield Step("restart_node", frozenset((place,)))
    for size in range(1, len(world.tentacles) + 1):
        for targets in itertools.combinations(places, size):
            yield Step("expand", frozenset(targets))
            yield Step("contract", frozenset(targets))


def moves(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    """Everything that can happen next, with a label for a counterexample."""
    yield from _environment(world, rules)
    yield from _controller(world, rules)


def _environment(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    for place, node in enumerate(world.nodes):
        yield "a node stops", _with_node(world, place, node._replace(presents=DOWN))
        yield "a node starts", _with_node(world, place, node._replace(presents=world.database))
    for place, tentacle in enumerate(world.tentacles):
        yield "a Tentacle restarts", _with_tentacle(world, place, tentacle.restarted())
        if rules.reach_flips:
            yield "reach flips", _with_tentacle(world, place, tentacle._replace(reachable=not tentacle.reachable))
        if rules.drift:
            yield "another tool restores a disk", _with_tentacle(world, place, tentacle._replace(disk=OLD))
    if rules.joins and len(world.tentacles) == 1:
        pins = world.database if rules.joins_by_api else rules.joins
        yield "a Tentacle joins", world._replace(tentacles=_sorted((*world.tentacles, Tentacle(pins, pins))))


def _controller(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    if not world.certain:
        yield "the database is read", world._replace(certain=True)
    if world.under_way:
        for goal in (FORWARD, BACK):
            yield f"the controller stops; next goal: {goal}", _idle(world, goal)
        yield from _work(world, rules)
        return
    yield "the goal changes", _idle(world, BACK if world.goal == FORWARD else FORWARD)
    if rules.keeps_evidence:
        for place, tentacle in enumerate(world.tentacles):
            if tentacle.reachable:
                yield "probe", _with_tentacle(world, place, tentacle._replace(seen=tentacle.memory, void=False))
    for step in steps(world):
        if rules.judge(world, step):
            yield f"allowed: {step.kind} {sorted(step.targets)}", _aim(world, step, rules)


def _work(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    """The acts of the step under way; restarts of what it has written are among what can happen anyway."""
    if world.under_way == "switch":
        yield "import", world._replace(database=world.adopted, certain=False)
        yield "import without effect", world._replace(certain=False)
    for place, node in enumerate(world.nodes):
        if node.aimed:
            yield "restart of the node", _with_node(world, place, node._replace(presents=world.database))
    for place, tentacle in enumerate(world.tentacles):
        if not tentacle.aimed or not tentacle.reachable:
            continue
        if world.under_way == "expand":
            disk = world.adopted if rules.replaces else tentacle.disk | world.pins
            yield "write: add", _with_tentacle(world, place, _written(tentacle, disk, rules))
        if world.under_way == "contract":
            disk = tentacle.disk & ~world.retired
            yield "write: remove", _with_tentacle(world, place, _written(tentacle, disk, rules))


def _written(tentacle: Tentacle, disk: int, rules: Rules) -> Tentacle:
    if rules.trusts_markers:
        return tentacle._replace(disk=disk, seen=disk)
    return tentacle._replace(disk=disk, void=tentacle.seen >= 0)


def _aim(world: World, step: Step, rules: Rules) -> World:
    of_nodes = step.kind == "restart_node"
    nodes = tuple(node._replace(aimed=of_nodes and place in step.targets) for place, node in enumerate(world.nodes))
    tentacles = tuple(one._replace(aimed=not of_nodes and place in step.targets) for place, one in enumerate(world.tentacles))
    pins = rules.pins(world) if step.kind == "expand" else 0
    return world._replace(under_way=step.kind, pins=pins, nodes=tuple(sorted(nodes)), tentacles=_sorted(tentacles))


def _idle(world: World, goal: str) -> World:
    nodes = tuple(sorted(node._replace(aimed=False) for node in world.nodes))
    return world._replace(goal=goal, under_way="", pins=0, nodes=nodes, tentacles=_sorted(one._replace(aimed=False) for one in world.tentacles))


def _with_node(world: World, place: int, node: Node) -> World:
    return world._replace(nodes=tuple(sorted((*world.nodes[:place], node, *world.nodes[place + 1 :]))))


def _with_tentacle(world: World, place: int, tentacle: Tentacle) -> World:
    return world._replace(tentacles=_sorted((*world.tentacles[:place], tentacle, *world.tentacles[place + 1 :])))


def _sorted(tentacles: Iterable[Tentacle]) -> tuple[Tentacle, ...]:
    return tuple(sorted(tentacles))


@dataclass
class Search:
    """A breadth-first search over all reachable worlds."""

    rules: Rules
    origin: World
    came_from: dict[World, tuple[World, str] | None] = field(default_factory=dict)
    followers: dict[World, list[World]] = field(default_factory=dict)

    def shortest(self, wrong: Callable[[World], bool], most: int = 2_000_000) -> list[str] | None:
        """The labels of a shortest path to a world that is wrong; None if there is none."""
        self.came_from = {self.origin: None}
        waiting = deque([self.origin])
        while waiting:
            world = waiting.popleft()
            if wrong(world):
                return self._path(world)
            after = self.followers.setdefault(world, [])
            for label, following in moves(world, self.rules):
                after.append(following)
                if following not in self.came_from:
                    self.came_from[following] = (world, label)
                    waiting.append(following)
            if len(self.came_from) > most:
                raise AssertionError(f"more than {most} states")
        return None

    def stuck(self, goal: Callable[[World], bool]) -> list[World]:
        """Reachable worlds from which the goal cannot be reached any more (after a search that found nothing wrong)."""
        before: dict[World, list[World]] = {}
        for world, after in self.followers.items():
            for following in after:
                before.setdefault(following, []).append(world)
        good = {world for world in self.came_from if goal(world)}
        waiting = deque(good)
        while waiting:
            for earlier in before.get(waiting.popleft(), ()):
                if earlier not in good:
                    good.add(earlier)
                    waiting.append(earlier)
        return [world for world in self.came_from if world not in good]

    def _path(self, world: World) -> list[str]:
        labels: list[str] = []
        came = self.came_from[world]
        while came is not None:
            world, label = came
            labels.append(label)
            came = self.came_from[world]
        return labels[::-1]
