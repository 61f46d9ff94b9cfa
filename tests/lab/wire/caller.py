# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Octopus Server does to a listening Tentacle: one call, up to five tries (contracts/halibut-wire.md 3.2, 5.4)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from lab.wire import failures
from lab.wire.bson import Document
from lab.wire.certificates import Keypair
from lab.wire.client import Connection, Remote, UnexpectedCertificate, connect
from lab.wire.failures import Failure
from lab.wire.limits import Limits
from lab.wire.messages import NULL_MESSAGE, error_of, pack, request
from lab.wire.proxy import ProxyDetails
from lab.wire.quirks import Log, Quirk, every_quirk, no_log

_TRIES = 5

Sleep = Callable[[float], object]


@dataclass(frozen=True)
class CallResult:
    """How a call ended. `presented`: the thumbprint that the Tentacle showed, if TLS came up; `error_text`: Halibut's words."""

    ok: bool
    presented: str | None
    error_text: str | None
    response: Document | None = None
    tries: int = 1
    refused: bool = False


class _BrokenStart(Failure):
    """ConnectionInitializationFailedException: the identity exchange failed, so the call may be tried again."""


def call(
    host: str,
    port: int,
    keypair: Keypair,
    expect_thumbprint: str,
    rpc: bool = True,
    timeout: float | None = None,
    *,
    message: Document | None = None,
    proxy: ProxyDetails | None = None,
    limits: Limits | None = None,
    tries: int = _TRIES,
    log: Log = no_log,
    quirk: Quirk = every_quirk,
    sleep: Sleep | None = None,
) -> CallResult:
    """Calls GetCapabilities (or `message`); with `rpc` false only shows up and says goodbye. `timeout` shortens every single wait."""
    remote = Remote(host, port, expect_thumbprint, proxy)
    chosen = limits or Limits()
    if timeout is not None:
        chosen = Limits(connect=timeout, connection=timeout, control=timeout, response=timeout, retry_sleep=chosen.retry_sleep)
    attempt = _Attempt(remote, keypair, chosen, log, quirk)
    pause = sleep or threading.Event().wait
    for number in range(1, tries + 1):
        if number > 1:
            pause(chosen.retry_sleep)
            log("DEBUG", remote.uri, f"Retrying connection to {remote.uri} - attempt #{number - 1}.")
        result = attempt.run(message or request("ICapabilitiesServiceV2", "GetCapabilities") if rpc else None, number)
        if result.ok or not attempt.may_retry:
            break
    return result


class _Attempt:
    """The tries of one call; `may_retry` tells whether the last failure came before the request could begin."""

    def __init__(self, remote: Remote, keypair: Keypair, limits: Limits, log: Log, quirk: Quirk) -> None:
        self._remote, self._keypair, self._limits, self._log, self._quirk = remote, keypair, limits, log, quirk
        self.may_retry = True
        self._presented: str | None = None

    def run(self, message: Document | None, number: int) -> CallResult:
        self.may_retry = True
        try:
            response = self._transact(message)
        except Failure as failure:
            self._explain(failure)
            when = "before the request could begin" if self.may_retry else "after the request began"
            text = f"An error occurred when sending a request to '{self._remote.uri}', {when}: {failure.cause.text}"
            refused = isinstance(failure, (_BrokenStart, UnexpectedCertificate))
            return CallResult(False, self._presented, text, None, number, refused)
        return CallResult(response is None or error_of(response) is None, self._presented, error_of(response or {}), response, number)

    def _transact(self, message: Document | None) -> Document | None:
        connection = self._open()
        stream = connection.stream
        try:
            if message is None:
                stream.send(NULL_MESSAGE)
                stream.drain()
                return None
            stream.timeout = self._limits.response
            stream.send(pack(message))
            response = stream.read_message()
            stream.send(b"END\r\n")
            return response
        finally:
            stream.close()

    def _open(self) -> Connection:
        try:
            connection = connect(self._remote, self._keypair, self._limits, self._log, self._quirk)
        except UnexpectedCertificate as failure:
            # A Server that goes on leaves the socket to its garbage collector; ours ends, which the Tentacle sees as a reset.
            self._presented = failure.presented
            failure.stream.reset()
            raise
        self._presented = connection.presented
        try:
            connection.identify("MX-CLIENT 1.0")
        except Failure as failure:
            connection.stream.close()
            raise _BrokenStart(failure.cause) from failure
        self.may_retry = False
        return connection

    def _explain(self, failure: Failure) -> None:
        uri, cause = self._remote.uri, failure.cause
        if isinstance(failure, UnexpectedCertificate) or cause.kind == failures.AUTHENTICATION:
            self.may_retry = False
            text = f"Authentication failed while setting up connection to {uri}\n{failure.trace()}"
        elif isinstance(failure, _BrokenStart):
            text = f"Connection initialization failed while connecting to {uri}\n{failure.trace()}"
        elif cause is failures.REFUSED:
            text = f"The remote host at {uri} refused the connection. This may mean that the expected listening service is not running."
        elif cause is failures.TIMED_OUT:
            text = f"The connection to the host at {uri} timed out. There may be problems with the network. The connection will be retried."
        elif cause.socket:
            text = f"Socket communication error while connecting to {uri}\n{failure.trace()}"
        else:
            text = f"Unexpected exception executing transaction.\n{failure.trace()}"
        self._log("ERROR", uri, text)
