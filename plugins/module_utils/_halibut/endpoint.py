# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Where a Tentacle listens: what a person wrote, and the socket addresses behind it."""

from __future__ import annotations

import queue
import re
import socket
import threading
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union
from urllib.parse import urlsplit

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret

LISTENING_PORT = 10933
_WANTED = "An endpoint is host:port, such as web-01.example.com:10933, 10.0.0.7:10933 or [fd00::7]:10933."
_LOOK_UPS_AT_ONCE = 16
_MOST_LOOK_UPS_AT_ONCE = 512

Address = Tuple[int, Tuple[object, ...]]  # family, socket address


class Proxy(NamedTuple):
    """An HTTP proxy through which the Server reaches a listening Tentacle. Without a password nothing is said of the user either."""

    host: str
    port: int
    username: str = ""
    password: Optional[Secret] = None

    @property
    def address(self) -> str:
        return _spelled(self.host, self.port)


class Endpoint(NamedTuple):
    name: str  # what a person calls it
    host: str
    port: int
    proxy: Optional[Proxy] = None

    @property
    def address(self) -> str:
        return _spelled(self.host, self.port)

    @property
    def hop(self) -> Union[Endpoint, Proxy]:
        """Where the connection goes. Behind a proxy the host's name is the proxy's business, and need not be known here."""
        return self.proxy or self


def parse(text: str, name: str = "", usual_port: int = LISTENING_PORT) -> Endpoint:
    """An endpoint from ``host``, ``host:port`` or the ``Uri`` of a Server's record, ``https://host:port/``."""
    if not isinstance(text, str):
        raise OctoError(f"The endpoint {text!r} is not text. {_WANTED}")
    bare = re.sub(r"\A[a-z]+://", "", text.strip())
    if bare.count(":") > 1 and not bare.startswith("["):  # an IPv6 address alone
        bare = f"[{bare.rstrip('/')}]"
    try:
        parts = urlsplit(f"//{bare}")
        host, port = parts.hostname or "", parts.port or usual_port
    except ValueError as error:
        raise OctoError(f"The endpoint {text!r} cannot be understood ({error}). {_WANTED}") from None
    if not host or re.search(r"[\s@/]", host) or "@" in bare:
        raise OctoError(f"The endpoint {text!r} names no host. {_WANTED}")
    found = Endpoint("", host, port)
    return found._replace(name=name or found.address)


def is_literal(host: str) -> bool:
    """Whether ``host`` is an IP address and no DNS name; only names are sent as SNI (halibut-wire 1.2)."""
    return bool(_numeric(host, 0))


class Directory:
    """Socket addresses by host name: each name is looked up once, several at the same time."""

    def __init__(self, patience: float, look_up: Callable[..., Sequence[Tuple[Any, ...]]] = socket.getaddrinfo) -> None:
        self._patience = patience
        self._look_up = look_up
        self._found: Dict[str, List[Address]] = {}
        self._errors: Dict[str, str] = {}

    def learn(self, hosts: Iterable[str]) -> None:
        """Look up all the names that are no IP addresses. The threads are daemons: one that hangs in the resolver holds nobody up."""
        names = sorted({host for host in hosts if not is_literal(host)})
        tasks: "queue.SimpleQueue[str]" = queue.SimpleQueue()
        answers: "queue.SimpleQueue[Tuple[str, List[Address], str]]" = queue.SimpleQueue()
        for name in names:
            tasks.put(name)
        workers = _LOOK_UPS_AT_ONCE
        self._start(workers, tasks, answers)
        waiting = len(names)
        while waiting:
            try:
                name, found, error = answers.get(timeout=self._patience)
            except queue.Empty:
                if tasks.empty():
                    return
                # All of them hang, and the names behind theirs get their turn; twice as many each time, or a dead resolver
                # would hold 5,000 names up for half an hour.
                workers = min(2 * workers, _MOST_LOOK_UPS_AT_ONCE)
                self._start(workers, tasks, answers)
                continue
            self._found[name], self._errors[name] = found, error
            waiting -= 1

    def addresses(self, place: Union[Endpoint, Proxy]) -> List[Address]:
        """At most one address per family, in the resolver's order; empty: not resolved, see :meth:`reason`."""
        numeric = _numeric(place.host, place.port)
        if numeric:
            return numeric[:1]
        return [(family, (address[0], place.port, *address[2:])) for family, address in self._found.get(place.host, [])]

    def reason(self, place: Union[Endpoint, Proxy]) -> str:
        return self._errors.get(place.host) or f"the resolver did not answer within {self._patience:g} s"

    def _start(self, workers: int, tasks: "queue.SimpleQueue[str]", answers: "queue.SimpleQueue[Tuple[str, List[Address], str]]") -> None:
        for _ignored in range(min(workers, tasks.qsize())):
            threading.Thread(target=self._work, args=(tasks, answers), daemon=True).start()

    def _work(self, tasks: "queue.SimpleQueue[str]", answers: "queue.SimpleQueue[Tuple[str, List[Address], str]]") -> None:
        while True:
            try:
                name = tasks.get_nowait()
            except queue.Empty:
                return
            try:
                answers.put((name, _first_of_each_family(self._look_up(name, 0, type=socket.SOCK_STREAM)), ""))
            except (OSError, ValueError) as error:
                answers.put((name, [], getattr(error, "strerror", None) or str(error)))


def _spelled(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _numeric(host: str, port: int) -> List[Address]:
    try:
        return _first_of_each_family(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except (OSError, ValueError):
        return []


def _first_of_each_family(found: Iterable[Tuple[Any, ...]]) -> List[Address]:
    first: Dict[int, Tuple[object, ...]] = {}
    for family, _type, _protocol, _name, address in found:
        first.setdefault(family, address)
    return list(first.items())
