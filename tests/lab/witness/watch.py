# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The witness at work: who is played when, and what each look means for each edge."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from lab.fleet.folders import Folders
from lab.witness.ledger import Ledger, Sample, Verdict
from lab.witness.loop import Loop
from lab.witness.queues import Answer, Queues
from lab.witness.scene import Address, Archive, Edge, Life, Node, Processes, Scene
from lab.witness.wire import Said, Sight, anonymous, ask, look

_NODE_LOOK = 0.2  # seconds between two looks at a node's port
_POLLING_PERIOD = 1.0
PATIENCE = 5.0  # seconds for one conversation: who needs longer to answer is away, whatever the answer would have been
_PUBLISH = 0.5
_RECORDS = 1.0
_SETTLED_US = 3_000_000  # a polling Tentacle or a node that runs for less has not had its chance to meet the other


@dataclass(frozen=True)
class Played:
    """A certificate to play, and the edges that it is played for in this round."""

    thumbprint: str
    context: SSL.Context
    edges: tuple[Edge, ...]


class Watch:
    """One per run. Everything happens on the loop's thread but the waiting for polling requests."""

    def __init__(self, scene: Scene, folders: Folders, rate: float, patience: float = PATIENCE, back_off: float = 0.0) -> None:
        self._scene, self._folders, self._period, self._patience = scene, folders, 1.0 / rate, patience
        self._polling, self._back_off = max(_POLLING_PERIOD, self._period), back_off
        self._loop, self._queues, self._processes = Loop(), Queues(), Processes(folders.units_state)
        self._began = time.monotonic()
        self._ended: float | None = None
        self._archives = {name: Archive(path) for name, path in scene.databases.items()}
        self._anonymous = anonymous()
        self._presents: dict[tuple[str, str], str] = {}
        self._recorded: dict[str, dict[Address, frozenset[str]]] = {}
        self._ledgers = {edge.id: self._ledger(edge) for edge in scene.edges}
        self._answers: deque[Callable[[], None]] = deque()
        self._waker, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> dict[str, Any]:
        """Look until :meth:`end`; the final report."""
        self._loop.watch(self._waker, self._take_answers)
        self._read_records()
        for node in self._scene.nodes:
            self._look_at(node)
        targets: dict[Address, list[Edge]] = defaultdict(list)
        for position, edge in enumerate(self._scene.edges):
            if edge.target is not None:
                targets[edge.target].append(edge)
            else:
                self._spread(position, self._polling, lambda edge=edge: self._call(edge))  # type: ignore[misc]
        for position, (address, edges) in enumerate(targets.items()):
            self._spread(position, self._period, lambda address=address, edges=tuple(edges): self._round(address, edges))  # type: ignore[misc]
        self._publish()
        self._loop.run()
        self._queues.close()
        return self.report(final=True)

    def end(self) -> None:
        """From a signal handler: conversations that have begun are finished, but what is not looked at from now on is no gap."""
        self._ended = time.monotonic()
        self._loop.end()
        os.write(self._wake, b".")

    def _spread(self, position: int, period: float, act: Callable[[], None]) -> None:
        """First looks are spread over a period, a little later than the first look at the nodes."""
        self._loop.at(self._began + 0.05 + (position * 0.618034 % 1.0) * period, act)

    # -- nodes: what they present

    def _look_at(self, node: Node) -> None:
        began = time.monotonic()

        def seen(sight: Sight) -> None:
            if sight.said is Said.IDENTITY and sight.presented:
                self._presents[node.server, node.name] = sight.presented
            self._loop.at(max(time.monotonic(), began + _NODE_LOOK), lambda: self._look_at(node))

        self._loop.begin(look(node.comms, self._anonymous), self._patience, seen)

    def _read_records(self) -> None:
        self._recorded = {name: archive.recorded() for name, archive in self._archives.items()}
        self._loop.at(time.monotonic() + _RECORDS, self._read_records)

    # -- listening Tentacles

    def _round(self, address: Address, edges: tuple[Edge, ...]) -> None:
        """One sample of every edge of an endpoint: a conversation for each certificate presented by its nodes, one after the other."""
        began = time.monotonic()
        played = self._cast(edges)
        for edge in set(edges) - {edge for each in played for edge in each.edges}:
            self._enter(edge, Verdict.NOT_SAMPLED, "no identity to play", began=began)
        self._play(address, deque(played), lambda: self._loop.at(max(time.monotonic(), began + self._period), lambda: self._round(address, edges)))

    def _cast(self, edges: tuple[Edge, ...]) -> list[Played]:
        groups: dict[tuple[str, str], list[Edge]] = defaultdict(list)
        for edge in edges:
            thumbprint = self._presents.get((edge.server, edge.node))
            if thumbprint is not None:
                groups[edge.server, thumbprint].append(edge)
        found = [(thumbprint, self._archives[server].identity(thumbprint), members) for (server, thumbprint), members in groups.items()]
        return [Played(thumbprint, context, tuple(members)) for thumbprint, context, members in found if context is not None]

    def _play(self, address: Address, waiting: deque[Played], finished: Callable[[], None]) -> None:
        if not waiting:
            finished()
            return
        played, began = waiting.popleft(), time.monotonic()
        unit = played.edges[0].units[0]
        life = self._processes.life(unit)

        def seen(sight: Sight) -> None:
            if sight.said is Said.CLOSED and self._same(unit, life):
                self._loop.begin(ask(address, played.context), self._patience, confirmed)
            else:
                judge(sight, sure=False)

        def confirmed(sight: Sight) -> None:
            judge(sight, sure=self._same(unit, life))

        def judge(sight: Sight, sure: bool) -> None:
            for edge in played.edges:
                self._enter(edge, *self._judge(edge, sight, sure, played.thumbprint), began=began)
            self._play(address, waiting, finished)

        self._loop.begin(ask(address, played.context), self._patience, seen)

    def _same(self, unit: str, life: Life | None) -> bool:
        """Whether the process that was asked still serves; without a service manager to ask, nothing speaks against it."""
        return self._processes.life(unit) == life and (life is None or life.serves)

    def _judge(self, edge: Edge, sight: Sight, sure: bool, thumbprint: str) -> tuple[Verdict, str]:
        expected = self._recorded.get(edge.server, {}).get(edge.target or ("", 0), frozenset())
        if sight.presented and expected and sight.presented not in expected:
            return Verdict.REFUSED, f"the record expects {', '.join(sorted(expected))}, the Tentacle presents {sight.presented}"
        if sight.said is Said.ACCEPTED:
            return Verdict.OK, ""
        if sight.said is Said.CLOSED and sure:
            return Verdict.REFUSED, f"closed without a byte to {thumbprint}, twice, by a process that went on"
        return Verdict.AWAY, sight.detail or "closed by a process that was stopping"

    # -- polling Tentacles

    def _ledger(self, edge: Edge) -> Ledger:
        return Ledger(self._period, self._began) if edge.target is not None else Ledger(self._polling, self._began, self._back_off)

    def _call(self, edge: Edge) -> None:
        began = time.monotonic()
        url = next(node.url for node in self._scene.nodes if (node.server, node.name) == (edge.server, edge.node))

        def answered(answer: Answer) -> None:
            self._answers.append(lambda: settle(answer))
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake, b".")

        def settle(answer: Answer) -> None:
            self._enter(edge, *self._judge_answer(edge, answer), began=began)
            self._loop.at(max(time.monotonic(), began + self._polling), lambda: self._call(edge))

        self._queues.send(url, edge.subscription_id or "", self._polling, answered)

    def _judge_answer(self, edge: Edge, answer: Answer) -> tuple[Verdict, str]:
        """Not collected although both processes have long been up: one of them refuses, or sleeps off a refusal (measured-tentacle.md 14.1).

        The second is what a node that has just come up with another certificate has to wait for, as long as was announced.
        """
        if answer.collected:
            return Verdict.OK, ""
        tentacle, node = edge.units
        settled = self._processes.settled(tentacle, _SETTLED_US) and self._processes.settled(node, _SETTLED_US + int(self._back_off * 1e6))
        return (Verdict.REFUSED if answer.there and settled else Verdict.AWAY), answer.detail or "not collected"

    def _take_answers(self) -> None:
        os.read(self._waker, 4096)
        while self._answers:
            self._answers.popleft()()

    # -- the report

    def _enter(self, edge: Edge, verdict: Verdict, detail: str, *, began: float) -> None:
        self._ledgers[edge.id].add(Sample(verdict, began, time.monotonic(), self._processes.orders(edge.units), detail))

    def _publish(self) -> None:
        if not self._folders.run.is_dir():  # the fleet is gone, and so is whoever wanted to know
            self._loop.end()
            return
        self._folders.publish(self._folders.run / "witness.json", self.report(final=False))
        self._loop.at(time.monotonic() + _PUBLISH, self._publish)

    def report(self, final: bool) -> dict[str, Any]:
        now = self._ended or time.monotonic()
        edges = {
            edge.id: {"server": edge.server, "node": edge.node, "style": edge.style, **self._ledgers[edge.id].report(now)}
            for edge in self._scene.edges
        }
        failures = [f"{name} {sentence}." for name, row in edges.items() for sentence in row["failures"]]
        return {
            "final": final,
            "seconds": round(now - self._began, 3),
            "cpu_seconds": round(time.process_time(), 3),
            "refused_seconds": round(sum(row["refused_seconds"] for row in edges.values()), 3),
            "presents": {f"{server}/{node}": thumbprint for (server, node), thumbprint in self._presents.items()},
            "failures": failures,
            "ok": not failures,
            "edges": edges,
        }


def watch_over(fleet_file: Path, rate: float, patience: float, back_off: float = 0.0) -> Watch:
    """The watch for a fleet as its builder described it."""
    fleet = json.loads(fleet_file.read_text(encoding="utf-8"))
    return Watch(Scene.read(fleet), Folders(fleet_file.parent), rate, patience, back_off)
