# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A polling Tentacle's loop: one per trust entry and connection (contracts/halibut-wire.md 3.2 and 4, measured-wire.md d and g)."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from lab.wire import failures, rpc
from lab.wire.bson import Document
from lab.wire.certificates import Keypair
from lab.wire.client import Remote, UnexpectedCertificate, connect
from lab.wire.failures import Failure
from lab.wire.limits import Limits
from lab.wire.messages import pack
from lab.wire.quirks import Log, Quirk, every_quirk, no_log
from lab.wire.stream import TlsStream

_TRIES = 5
_FLOOR, _CAP = 5.0, 120.0
# .NET's garbage collector closes what the wrong-pin attempts left open; ours keeps the last few.
_LEFT_OPEN = 8


class PollingEntry(NamedTuple):
    """A trust entry with an address."""

    address: str
    thumbprint: str
    subscription_id: str


class BackOff:
    """How long to wait after a failure: time since the first failed try, times a factor drawn once, between 5 s and 2 min."""

    def __init__(self, scale: float = 1.0, grows: bool = True, clock: Callable[[], float] = time.monotonic, factor: float | None = None) -> None:
        self._scale, self._grows, self._clock = scale, grows, clock
        self._factor = 1 + random.random() if factor is None else factor
        self._since: float | None = None

    def begin(self) -> None:
        """A try begins."""
        if self._since is None:
            self._since = self._clock()

    def reset(self) -> None:
        """The peer identified itself."""
        self._since = None

    def delay(self) -> float:
        """In the vendor's seconds, before `time_scale`."""
        elapsed = 0.0 if self._since is None or not self._grows else (self._clock() - self._since) / self._scale
        return min(_CAP, max(_FLOOR, elapsed * self._factor))


class Poller:
    """Polls until stopped, in a daemon thread of its own."""

    def __init__(
        self,
        entry: PollingEntry,
        keypair: Keypair,
        log: Log = no_log,
        time_scale: float = 1.0,
        *,
        limits: Limits | None = None,
        serve_rpc: Callable[[Document], Document] = rpc.answer,
        quirk: Quirk = every_quirk,
    ) -> None:
        self._remote = Remote.parse(entry.address, entry.thumbprint)
        self._identity = f"MX-SUBSCRIBER 1.0 {entry.subscription_id.lower().rstrip('/')}/"
        self._keypair, self._log, self._serve_rpc, self._quirk = keypair, log, serve_rpc, quirk
        self._limits = limits or Limits.scaled(time_scale)
        self._scale = time_scale
        self._back_off = BackOff(time_scale, grows=quirk("polling_back_off"))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self._remote.uri, daemon=True)
        self._stream: TlsStream | None = None
        self._left_open: deque[TlsStream] = deque()

    @property
    def alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins to poll."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Says END where the conversation allows it, and closes everything."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.interrupt()
        self._thread.join(timeout)
        for each in self._left_open:
            each.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._round()
            except Failure as failure:
                self._report(failure)

    def _report(self, failure: Failure) -> None:
        if self._stopping.is_set():
            return
        delay = self._back_off.delay()
        text = f"{failure.cause.text.removesuffix('.')}. Retrying in {delay:.1f} seconds"
        inner = f" ---> {failure.__cause__}\n   --- End of inner exception stack trace ---\n" if failure.__cause__ else ""
        lines = f"{failure.cause}\n{inner}   at Halibut.Transport.PollingClient.ExecutePollingLoop()"
        self._log("ERROR", self._remote.uri, f"Halibut client exception: {text}\n{lines}")
        self._stopping.wait(delay * self._scale)

    def _round(self) -> None:
        """One transaction. What fails before TLS is up is tried five times, unless the port is closed (measured-wire.md g)."""
        self._back_off.begin()
        tries = _TRIES if self._quirk("five_tries_before_tls") else 1
        for number in range(1, tries + 1):
            try:
                return self._transact()
            except UnexpectedCertificate as failure:
                raise self._told(failure, began=True) from failure
            except _EarlyFailure as failure:
                self._explain(failure)
                last = number == tries or failure.cause is failures.REFUSED
                if last or self._stopping.wait(self._limits.retry_sleep):
                    raise self._told(failure, began=failure.cause is failures.REFUSED) from failure
            except Failure as failure:
                self._explain(failure)
                raise self._told(failure, began=True) from failure
        return None

    def _transact(self) -> None:
        try:
            connection = connect(self._remote, self._keypair, self._limits, self._log, self._quirk)
        except UnexpectedCertificate as failure:
            self._leave(failure.stream)
            raise
        except Failure as failure:
            raise _EarlyFailure(failure.cause) from failure
        self._stream = connection.stream
        try:
            connection.identify(self._identity)
            self._back_off.reset()
            self._serve(connection.stream)
        except Failure as failure:
            late = failure.cause is failures.TIMED_OUT
            raise Failure(failures.CANCELLED if late else failure.cause) from failure
        finally:
            self._stream = None
            connection.stream.close()

    def _serve(self, stream: TlsStream) -> None:
        while not self._stopping.is_set():
            stream.timeout = self._limits.poll_receive
            request = self._await_request(stream)
            if self._stopping.is_set():
                break
            if request is not None:
                stream.send(pack(self._serve_rpc(request)))
            stream.timeout = self._limits.control
            stream.send(b"NEXT\r\n")
            line = stream.read_line()
            if line != "PROCEED":
                raise Failure(failures.protocol(f"Expected PROCEED, got: {line}"))
        stream.send(b"END\r\n")

    def _await_request(self, stream: TlsStream) -> Document | None:
        try:
            return stream.read_message()
        except Failure:
            if self._stopping.is_set():
                return None
            raise

    def _leave(self, stream: TlsStream) -> None:
        """Neither alert nor FIN: the other side finds out after its timeout (measured-wire.md d)."""
        if not self._quirk("mismatch_leaves_socket_open"):
            return stream.close()
        self._left_open.append(stream)
        if len(self._left_open) > _LEFT_OPEN:
            self._left_open.popleft().close()
        return None

    def _explain(self, failure: Failure) -> None:
        uri, cause = self._remote.uri, failure.cause
        if self._stopping.is_set():
            return
        if cause is failures.REFUSED:
            text = f"The remote host at {uri} refused the connection. This may mean that the expected listening service is not running."
        elif cause is failures.TIMED_OUT:
            text = f"The connection to the host at {uri} timed out. There may be problems with the network. The connection will be retried."
        elif cause in (failures.RESET, failures.BROKEN_PIPE):
            text = (
                f"The remote host at {uri} reset the connection. This may mean that the expected listening service does not trust the thumbprint "
                f"{self._keypair.thumbprint} or was shut down."
            )
        elif cause.socket:
            text = f"Socket communication error while connecting to {uri}\n{failure.trace()}"
        else:
            text = f"Unexpected exception executing transaction.\n{failure.trace()}"
        self._log("ERROR", uri, text)

    def _told(self, failure: Failure, began: bool) -> Failure:
        """The HalibutClientException that the loop logs."""
        uri = self._remote.uri
        if failure.cause in (failures.RESET, failures.BROKEN_PIPE):
            text = (
                f"The server {uri} aborted the connection before it was fully established. This usually means that the server rejected the "
                f"certificate that we provided. We provided a certificate with a thumbprint of '{self._keypair.thumbprint}'."
            )
        else:
            when = "after the request began" if began else "before the request could begin"
            text = f"An error occurred when sending a request to '{uri}', {when}: {failure.cause.text}"
        return Failure(failures.Cause("Halibut.HalibutClientException", text))


class _EarlyFailure(Failure):
    """Before TLS was up."""
