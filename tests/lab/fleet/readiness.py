# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting until a fleet answers: politely, by TLS and close_notify, never by a bare connect (measured-tentacle.md 13.3)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from lab.fleet.folders import Folders
from lab.fleet.plan import MAIN, Node, Tentacle
from lab.waiting import until
from lab.witness.loop import Loop
from lab.witness.queues import ask_queue
from lab.witness.wire import Said, Sight, anonymous, look

_PATIENCE = 60.0
_AGAIN = 0.05
_ONE_LOOK = 2.0


class NotReady(Exception):
    """Something did not come up in time."""


def await_listeners(folders: Folders, units: Mapping[tuple[str, int], str]) -> None:
    """Every address presents a certificate; NotReady with the last words of the units that do not."""
    missing = _await_listeners(set(units))
    if missing:
        late = sorted(units[address] for address in missing)
        words = "\n".join(f"{unit}: {_last_words(folders, unit)}" for unit in late)
        raise NotReady(f"Not up within {_PATIENCE:g} s: {', '.join(late)}.\n{words}")


def await_polling(nodes: Sequence[Node], tentacles: Sequence[Tentacle]) -> None:
    """Every polling Tentacle collects a request at every node of which it has an entry with a pin that can match (measured-wire.md c)."""
    for each in tentacles:
        able = {trust.address.rstrip("/") for trust in each.trust if trust.address and trust.pins(MAIN) and not (trust.lower or trust.spelling)}
        for node in (node for node in nodes if node.comms in able):
            until(lambda url=node.url, uri=each.uri: ask_queue(url, uri, 1.0).collected, _PATIENCE, what=f"{each.id} at {node.name}")  # type: ignore[misc]


def _await_listeners(missing: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those that did not answer in time."""
    loop, context, end = Loop(), anonymous(), time.monotonic() + _PATIENCE

    def try_at(address: tuple[str, int]) -> None:
        def seen(sight: Sight) -> None:
            if sight.said is Said.IDENTITY:
                missing.discard(address)
            elif time.monotonic() < end:
                loop.at(time.monotonic() + _AGAIN, lambda: try_at(address))
            if not missing or time.monotonic() >= end:
                loop.end()

        loop.begin(look(address, context), _ONE_LOOK, seen)

    if missing:
        for address in tuple(missing):
            try_at(address)
        loop.run()
    return missing


def _last_words(folders: Folders, unit: str) -> str:
    journal = folders.journal(unit)
    return journal.read_text(encoding="utf-8", errors="replace")[-1500:].strip() if journal.exists() else "no output"
