# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Server's side of a subscription: requests wait here until the polling Tentacle collects them (contracts/halibut-wire.md 4)."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable

from lab.wire.bson import Document
from lab.wire.limits import Limits


class QueueError(Exception):
    """A request that got no response; the text is what a caller of Halibut reads."""


class Pending:
    """A request under way; completed by the connection that collected it."""

    def __init__(self, request: Document) -> None:
        self.request = request
        self.collected = False
        self._done = threading.Event()
        self._response: Document | None = None
        self._error = ""

    def complete(self, response: Document | None) -> None:
        """The Tentacle answered."""
        self._response = response
        self._done.set()

    def fail(self, text: str) -> None:
        """The connection broke in mid-call: the caller fails at once (measured-wire.md d)."""
        self._error = text
        self._done.set()

    def result(self, timeout: float) -> Document:
        """Waits for the response of a collected request."""
        if not self._done.wait(timeout):
            raise QueueError("Unable to read data from the transport connection: Connection timed out.")
        if self._response is None:
            raise QueueError(self._error or "The Tentacle answered with a null message.")
        return self._response


class RequestQueues:
    """One queue per subscription id, made when first named and never removed (halibut-wire.md 6)."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._waiting: defaultdict[str, deque[Pending]] = defaultdict(deque)
        self._changed = threading.Condition()

    def send(self, subscription: str, request: Document, timeout: float | None = None) -> Document:
        """Queues a request and returns its response; `timeout` is how long it may wait to be collected."""
        pending, allowed = Pending(request), self._limits.queue_timeout if timeout is None else timeout
        with self._changed:
            queue = self._waiting[_key(subscription)]
            queue.append(pending)
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: pending.collected, allowed):
                queue.remove(pending)
                raise QueueError(
                    "A request was sent to a polling endpoint, but the polling endpoint did not collect the request within the allowed time "
                    f"({_clock(allowed)}), so the request timed out."
                )
        return pending.result(self._limits.response)

    def take(self, subscription: str, wait: float, abandoned: Callable[[], bool]) -> Pending | None:
        """The next request; None after `wait` seconds without one, or once `abandoned` says so (after a `wake`)."""
        with self._changed:
            queue = self._waiting[_key(subscription)]
            self._changed.wait_for(lambda: bool(queue) or abandoned(), wait)
            if not queue or abandoned():
                return None
            pending = queue.popleft()
            pending.collected = True
            self._changed.notify_all()
            return pending

    def wake(self) -> None:
        """Lets every waiting connection look whether it is abandoned."""
        with self._changed:
            self._changed.notify_all()

    def subscriptions(self) -> frozenset[str]:
        """Every subscription id named so far."""
        with self._changed:
            return frozenset(self._waiting)


def _key(subscription: str) -> str:
    """.NET's Uri: the host part in lower case, a slash at the end."""
    return subscription.lower().rstrip("/") + "/"


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))
