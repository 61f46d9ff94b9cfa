# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One thread that drives many conversations at once: selectors, timers, time limits."""

from __future__ import annotations

import heapq
import itertools
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab.witness.wire import Conversation, Sight

Done = Callable[[Sight], None]


@dataclass(eq=False)
class _Open:
    conversation: Conversation
    done: Done
    waits_for: socket.socket | None = None
    over: bool = False


class Loop:
    """``at`` runs something at a time, ``begin`` a conversation that ends in a :class:`Sight` by its limit at the latest."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._talking = 0
        self._ending = False

    def at(self, when: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (when, next(self._number), act))

    def begin(self, conversation: Conversation, limit: float, done: Done) -> None:
        if self._ending:
            return
        opened = _Open(conversation, done)
        self._talking += 1
        self.at(time.monotonic() + limit, lambda: self._late(opened))
        self._advance(opened)

    def watch(self, descriptor: int, act: Callable[[], None]) -> None:
        """Call ``act`` whenever something can be read there."""
        self._selector.register(descriptor, selectors.EVENT_READ, act)

    def end(self) -> None:
        """Begin nothing more; :meth:`run` returns when what has begun has ended: a cut conversation would leave an error in a log."""
        self._ending = True

    def run(self) -> None:
        while self._talking or not self._ending:
            pause = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, _mask in self._selector.select(pause):
                key.data()
            now = time.monotonic()
            # Last: what ends by its time limit may be the last of all, and nothing would wake another select.
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()

    def _advance(self, opened: _Open) -> None:
        try:
            plain, mask = next(opened.conversation)
        except StopIteration as end:
            self._finish(opened, end.value)
            return
        opened.waits_for = plain
        self._selector.register(plain, mask, lambda: self._ready(opened))

    def _ready(self, opened: _Open) -> None:
        self._let_go(opened)
        self._advance(opened)

    def _late(self, opened: _Open) -> None:
        if opened.over:
            return
        self._let_go(opened)
        try:
            opened.conversation.throw(TimeoutError())
        except StopIteration as end:
            self._finish(opened, end.value)

    def _let_go(self, opened: _Open) -> None:
        if opened.waits_for is not None:
            self._selector.unregister(opened.waits_for)
            opened.waits_for = None

    def _finish(self, opened: _Open, sight: Sight) -> None:
        opened.over = True
        self._talking -= 1
        opened.done(sight)
