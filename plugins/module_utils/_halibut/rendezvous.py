# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""A shadow: the Server's side of polling connections, without a Server (rotation-safety 3.1, measured-tentacle.md 14.2).

It presents the new certificate. A Tentacle looks at that before it says anything, so one that names its subscription accepts
it, with the process that is connected. It is then treated as an idle Server treats it, which is the only way that leaves
nothing in its log.

The negative control is the first connection: it is shown a random certificate, which the Tentacle must not answer. That costs
one error line, in one Tentacle, once for each start of the shadow; it calls again after five seconds, and is shown the new one.
A second port would cost each Tentacle an entry and a line for each attempt. More than one control would show nothing more:
a Tentacle that accepts anybody is not locked out by a switch, and nobody between it and the shadow has its key.

The standard library cannot ask for a certificate without checking it (halibut-wire.md 11), so this needs pyOpenSSL.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import time
from typing import Any, Callable, Dict, NamedTuple, Optional, Pattern, Tuple, Type

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import make_server_certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import shadow, tls
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import ANSWER, NULL_MESSAGE
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.engine import CLOSED_POLITELY, FAILED, WANTS_MORE
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import Presentable

with contextlib.suppress(ImportError):  # told in words by tls.require_openssl()
    from OpenSSL import SSL

Tell = Callable[[bytes], None]

_CHUNK = 65536
_LONGEST = 4096  # bytes that nobody with anything to say needs
_PREAMBLE = re.compile(rb"MX[^\n]*\n\r?\n")  # Linux builds of .NET end these lines with LF (halibut-wire.md 2.1)
_SUBSCRIBER = re.compile(rb"MX-SUBSCRIBER +\S+ +(\S+)[^\n]*\r\n\r\n")
_CONTROL = re.compile(rb"(NEXT|END)\r\n")
_BROKEN: Tuple[Type[Exception], ...] = (OSError, *FAILED)
_TALKING, _SUBSCRIBED, _ASKED, _REFUSED = range(4)


class Pace(NamedTuple):
    """Seconds: for a guest to say who it is, between null messages, for its answer, and until silence is a refusal.

    A Server sends a null message after 30 s. 2 s leave as little in a Tentacle's log (measured), and who is "connected now" has then just said so.
    """

    greeting: float = 10.0
    idle: float = 3.0
    answer: float = 30.0
    silence: float = 2.0


class Rendezvous:
    """Whoever comes is shown a certificate and, if it subscribes, kept. One thread; :meth:`step` is to be called again and again."""

    def __init__(self, listening: socket.socket, identity: Presentable, tell: Tell, pace: Optional[Pace] = None) -> None:
        tls.require_openssl()
        self._listening, self._tell, self._pace, self._clock = listening, tell, pace or Pace(), time.monotonic
        self._contexts = {False: _context(identity), True: _context(make_server_certificate())}
        self._guests: Dict[int, _Guest] = {}
        self._met = 0
        self._controlled_by: Optional[int] = None  # the guest that is shown the random certificate
        self._selector = selectors.DefaultSelector()
        listening.setblocking(False)
        self._selector.register(listening, selectors.EVENT_READ)
        self._next_round = 0.0
        tell(shadow.line(shadow.LISTENING, at=self._clock(), presents=identity.thumbprint))

    def step(self, timeout: float) -> None:
        """Do what there is to do, and wait for it ``timeout`` seconds at most."""
        for key, _events in self._selector.select(timeout):
            if key.data is None:
                self._welcome()
            else:
                self._hear(key.data)
        if self._clock() >= self._next_round:
            self._next_round = self._clock() + min(1.0, self._pace.silence / 2)
            for guest in [one for one in self._guests.values() if one.due <= self._clock()]:
                try:
                    self._remind(guest)
                except _BROKEN:
                    self._part(guest)

    def close(self) -> None:
        for guest in list(self._guests.values()):
            self._part(guest)
        self._selector.close()
        self._listening.close()

    def _welcome(self) -> None:
        try:
            accepted, _address = self._listening.accept()
        except OSError:
            return  # gone again; or there are no descriptors left, and those who are here matter more
        self._met += 1
        is_control = self._controlled_by is None
        guest = _Guest(self._met, accepted, self._contexts[is_control], is_control, self._clock() + self._pace.greeting)
        if is_control:
            self._controlled_by = guest.number
        self._guests[guest.number] = guest
        self._selector.register(accepted, selectors.EVENT_READ, guest)

    def _hear(self, guest: _Guest) -> None:
        try:
            goes_on = guest.hear() and self._answer(guest)
            self._selector.modify(guest.socket, guest.wants, guest)
        except _BROKEN:
            goes_on = False
        if not goes_on:
            self._part(guest)

    def _answer(self, guest: _Guest) -> bool:
        """Go on with the conversation as far as the guest has come; whether it is to be kept."""
        if guest.state == _TALKING and guest.thumbprint:
            guest.greeted = guest.greeted or guest.take(_PREAMBLE) is not None
            named = guest.take(_SUBSCRIBER) if guest.greeted else None
            if guest.is_control and not guest.shown:
                guest.shown, guest.due = True, self._clock() + self._pace.silence
            if named:
                self._receive(guest, named[0].decode("ascii", "replace"))
        while guest.state == _ASKED:
            said = guest.take(_CONTROL)
            if said is None:
                break
            if said[0] == b"END":
                return False
            guest.say(b"PROCEED\r\n")
            guest.state, guest.due = _SUBSCRIBED, self._clock() + self._pace.idle
        return guest.is_welcome and len(guest.heard) <= _LONGEST

    def _receive(self, guest: _Guest, subscription: str) -> None:
        for other in list(self._guests.values()):
            if other.is_silent and other.thumbprint == guest.thumbprint:  # it has given that one up
                self._find_refused(other)
        event = {"guest": guest.number, "subscription": subscription, "thumbprint": guest.thumbprint, "random": guest.is_control}
        self._tell(shadow.line(shadow.SUBSCRIBED, at=self._clock(), **event))
        guest.say(ANSWER)
        guest.state, guest.due = _SUBSCRIBED, self._clock() + self._pace.idle

    def _remind(self, guest: _Guest) -> None:
        """What is due: a null message, a verdict on silence, or the end."""
        if guest.state == _SUBSCRIBED:
            guest.say(NULL_MESSAGE)
            guest.state, guest.due = _ASKED, self._clock() + self._pace.answer
            self._selector.modify(guest.socket, guest.wants, guest)
        elif guest.is_silent:
            self._find_refused(guest)
        else:
            self._part(guest)

    def _find_refused(self, guest: _Guest) -> None:
        guest.state, guest.due = _REFUSED, self._clock() + self._pace.answer  # it leaves its socket open (halibut-wire.md 3.1)
        self._tell(shadow.line(shadow.REFUSED, at=self._clock(), guest=guest.number, thumbprint=guest.thumbprint))

    def _part(self, guest: _Guest) -> None:
        if self._guests.pop(guest.number, None) is None:
            return
        if guest.is_silent:
            self._find_refused(guest)
        elif guest.state in (_SUBSCRIBED, _ASKED):
            self._tell(shadow.line(shadow.LEFT, at=self._clock(), guest=guest.number))
        if guest.number == self._controlled_by and not guest.shown:
            self._controlled_by = None  # nobody with a certificate; the next one will do
        self._selector.unregister(guest.socket)
        guest.socket.close()


class _Guest:
    """One connection. The bytes between socket and TLS are moved here, so that nothing ever blocks."""

    def __init__(self, number: int, accepted: socket.socket, context: SSL.Context, is_control: bool, due: float) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number, self.socket, self.is_control, self.due = number, accepted, is_control, due
        self.state = _TALKING
        self.heard = bytearray()
        self.thumbprint: Optional[str] = None
        self.shown = self.greeted = False
        self.is_welcome = True
        self._unsent = b""
        self._tls = SSL.Connection(context, None)
        self._tls.set_accept_state()

    @property
    def wants(self) -> int:
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    @property
    def is_silent(self) -> bool:
        """Whether it has seen the random certificate, and said nothing yet."""
        return self.state == _TALKING and self.shown and not self.greeted

    def hear(self) -> bool:
        """Take in what has come, and send what is to be sent; False once it has gone."""
        with contextlib.suppress(BlockingIOError):
            data = self.socket.recv(_CHUNK)
            if not data:
                return False
            self._tls.bio_write(data)
        try:
            if self.thumbprint is None:
                self._shake()
            while True:
                self.heard += self._tls.recv(_CHUNK)
        except WANTS_MORE:
            pass
        except CLOSED_POLITELY:
            return False
        finally:
            self._flush()
        return True

    def say(self, data: bytes) -> None:
        self._tls.send(data)
        self._flush()

    def take(self, pattern: Pattern[bytes]) -> Optional[Tuple[Any, ...]]:
        """The groups of ``pattern`` at the beginning of what was heard, which is taken away."""
        found = pattern.match(self.heard)
        if found is None:
            return None
        groups = tuple(bytes(group) for group in found.groups())
        del self.heard[: found.end()]
        return groups

    def _shake(self) -> None:
        self._tls.do_handshake()
        der = tls.peer_certificate(self._tls)
        self.is_welcome = bool(der)
        self.thumbprint = _thumbprint.of_der(der) if der else ""

    def _flush(self) -> None:
        with contextlib.suppress(*WANTS_MORE):
            while True:
                self._unsent += self._tls.bio_read(_CHUNK)
        with contextlib.suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]


def _context(identity: Presentable) -> SSL.Context:
    """Asks for a certificate and takes any; no session is ever resumed, for it would carry the identity of another connection."""
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    made.set_min_proto_version(SSL.TLS1_2_VERSION)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    made.set_options(SSL.OP_NO_TICKET)
    made.set_session_id(b"octofleet.octopus")
    made.set_mode(SSL.MODE_RELEASE_BUFFERS)
    made.set_verify(SSL.VERIFY_PEER, _anybody)
    tls.present(made, identity)
    return made


def _anybody(*_certificate: object) -> bool:
    return True
