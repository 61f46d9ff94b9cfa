# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Polling Tentacles cannot be called: one request a second goes through the queue of the node, which has a lab-only route for it.

``POST <node>/lab/requests {"subscription": "poll://.../", "timeout": seconds}`` answers ``{"collected": true|false, "error": text|null}``.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

ROUTE = "/lab/requests"
_AT_ONCE = 32
_TRAVEL = 1.0  # seconds on top of the time that a request may wait in the queue


@dataclass(frozen=True)
class Answer:
    """What became of a request. ``there`` is false when the node itself did not answer, ``known`` when it has no such route."""

    there: bool
    collected: bool = False
    detail: str = ""
    known: bool = True


class Queues:
    """Sends requests from a few threads; ``tell`` is called in those threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="queue")

    def send(self, url: str, subscription: str, timeout: float, tell: Callable[[Answer], None]) -> None:
        self._pool.submit(lambda: tell(_send(url, subscription, timeout)))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _send(url: str, subscription: str, timeout: float) -> Answer:
    body = json.dumps({"subscription": subscription, "timeout": timeout}).encode()
    request = urllib.request.Request(url.rstrip("/") + ROUTE, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=timeout + _TRAVEL) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        return Answer(True, detail=f"the node answered {error.code} to {ROUTE}", known=error.code not in (401, 404, 405))
    except (OSError, ValueError) as error:
        return Answer(False, detail=str(error))
    return Answer(True, bool(answer["collected"]), str(answer.get("error") or ""))
