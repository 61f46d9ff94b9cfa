# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Polling Tentacles cannot be called: one request a second goes through the node's queue, by the door that the node has for the witness."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

ROUTE = "/lab/ask"
_AT_ONCE = 32
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is nobody's proxy's business
_TRAVEL = 1.0  # seconds on top of the time that a request may wait in the queue


@dataclass(frozen=True)
class Answer:
    """What became of a request. ``there`` is false when the node itself did not answer."""

    there: bool
    collected: bool = False
    detail: str = ""


class Queues:
    """Sends requests from a few threads; ``tell`` is called in those threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="queue")

    def send(self, url: str, subscription: str, timeout: float, tell: Callable[[Answer], None]) -> None:
        self._pool.submit(lambda: tell(ask_queue(url, subscription, timeout)))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def ask_queue(url: str, subscription: str, timeout: float) -> Answer:
    """One request; it waits in the queue for at most ``timeout`` seconds."""
    query = urllib.parse.urlencode({"subscription": subscription, "seconds": timeout})
    try:
        with _DIRECT.open(f"{url.rstrip('/')}{ROUTE}?{query}", timeout=timeout + _TRAVEL) as response:
            answer = json.load(response)
    except (OSError, ValueError) as error:
        return Answer(False, detail=str(error))
    return Answer(True, bool(answer["Ok"]), str(answer.get("Error") or ""))
