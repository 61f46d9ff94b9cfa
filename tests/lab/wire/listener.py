# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener: a Tentacle's 10933 and an Octopus Server's 10943 are the same class (contracts/halibut-wire.md 0)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from lab.wire import page, rpc
from lab.wire.bson import Document
from lab.wire.certificates import Keypair
from lab.wire.exchange import Exchange, Rules
from lab.wire.limits import Limits
from lab.wire.queue import RequestQueues
from lab.wire.quirks import Faults, Log, Quirk, every_quirk, no_faults, no_log
from lab.wire.stream import Newest, TlsStream, server_context

if TYPE_CHECKING:
    from OpenSSL import SSL

_BACKLOG = 512
_ACCEPT_PAUSE = 0.1


class Listener:
    """Accepts, and gives each connection a daemon thread.

    `trusted` is a set, taken as it is now, or a function that is asked at each decision. `host` None: every address, IPv6 and IPv4.
    """

    def __init__(
        self,
        host: str | None,
        port: int,
        keypair: Keypair,
        trusted: Callable[[], Collection[str]] | Collection[str],
        log: Log = no_log,
        page: page.Page = page.BARE,
        *,
        serve_rpc: Callable[[Document], Document] = rpc.answer,
        queues: RequestQueues | None = None,
        on_subscriber: Callable[[str, str], None] | None = None,
        limits: Limits | None = None,
        quirk: Quirk = every_quirk,
        faults: Faults = no_faults,
        newest: Newest = "1.3",
    ) -> None:
        self._host, self._port, self._keypair, self._newest = host, port, keypair, newest
        self._log, self._quirk, self._faults = log, quirk, faults
        snapshot = None if callable(trusted) else frozenset(trusted)
        self._rules = Rules(
            trusted=trusted if callable(trusted) else lambda: snapshot or frozenset(),
            page=page,
            serve_rpc=serve_rpc,
            queues=queues or RequestQueues(limits),
            on_subscriber=on_subscriber,
            limits=limits or Limits(),
            quirk=quirk,
            faults=faults,
        )
        self._contexts: dict[tuple[bool, bool, bool], SSL.Context | None] = {}
        self._lock = threading.Condition()
        self._live: dict[Exchange, threading.Thread] = {}
        self._socket: socket.socket | None = None
        self._stopping = threading.Event()

    @property
    def port(self) -> int:
        """The port in use (after `start`, also when 0 was asked for)."""
        return self._port

    @property
    def endpoint(self) -> str:
        """As Tentacle prints it: [::]:10933, 127.0.0.1:10966."""
        if self._host is None:
            return f"{'[::]' if socket.has_ipv6 else '0.0.0.0'}:{self._port}"
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def source(self) -> str:
        """The name under which it logs."""
        return f"listen://{self.endpoint}/"

    def start(self) -> None:
        """Binds (OSError when the port is taken) and accepts from now on."""
        self._socket = self._bind()
        self._port = self._socket.getsockname()[1]
        self._context()
        threading.Thread(target=self._accept, args=(self._socket,), name=self.source, daemon=True).start()
        self._log("INFO", self.source, "Listener started")

    def stop(self, timeout: float = 5.0) -> None:
        """Closes the port and every connection, and waits for their threads."""
        with self._lock:
            self._stopping.set()
            live = dict(self._live)
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        for exchange in live:
            exchange.abandon()
        self._rules.queues.wake()
        for thread in live.values():
            thread.join(timeout)
        self._log("INFO", self.source, "Listener stopped")

    def wait_until_idle(self, timeout: float) -> bool:
        """Waits until no connection is left."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._live, timeout)

    def drop(self, thumbprints: Collection[str]) -> None:
        """Resets the live connections of these thumbprints, compared letter by letter (measured-wire.md e; no Tentacle ever does)."""
        with self._lock:
            live = [exchange for exchange in self._live if exchange.thumbprint in thumbprints]
        for exchange in live:
            exchange.revoke()

    def _bind(self) -> socket.socket:
        any_address = self._host is None
        family = socket.AF_INET6 if (any_address and socket.has_ipv6) or ":" in (self._host or "") else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if any_address else 1)
            listening.bind((self._host or "", self._port))
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
        return listening

    def _context(self) -> SSL.Context | None:
        faults = self._faults()
        weak = "serves_weak_key" in faults or not self._quirk("weak_key_fails_handshakes")
        key = ("asks_no_certificate" not in faults, "refuses_in_tls" in faults, weak)
        with self._lock:
            if key not in self._contexts:
                self._contexts[key] = server_context(
                    self._keypair,
                    newest=self._newest,
                    ask=key[0],
                    reject=key[1],
                    resume=self._quirk("resumption_keeps_identity"),
                    weak=weak,
                )
            return self._contexts[key]

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                accepted, address = listening.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return None
                # Out of descriptors, say: the port stays open, and the loop must not spin until there are some again.
                self._log("ERROR", self.source, f"Error accepting TCP client: {error}")
                self._stopping.wait(_ACCEPT_PAUSE)
                continue
            stream = TlsStream(accepted, self._context(), self._rules.limits.connection)
            exchange = Exchange(stream, _endpoint(address), self._rules, lambda level, message: self._log(level, self.source, message))
            thread = threading.Thread(target=self._converse, args=(exchange,), daemon=True)
            with self._lock:
                if self._stopping.is_set():
                    return stream.close()
                self._live[exchange] = thread
            thread.start()

    def _converse(self, exchange: Exchange) -> None:
        try:
            exchange.run()
        finally:
            with self._lock:
                del self._live[exchange]
                self._lock.notify_all()


def _endpoint(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
