# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The batch probe: who is at each endpoint, and whom does it trust? One process, one selector loop, hundreds in flight.

An endpoint meets one caller at a time and at most five in a sweep (halibut-wire 6). *Refused* is said only beside a caller
that the same endpoint accepted afterwards (decisions 14): a Tentacle that is stopping ends connections exactly as a refusal does.
"""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import random_identity
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import call as _call
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import tls as _tls
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Answer, Call, Caller
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Address, Directory, Endpoint, is_literal
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.engine import Engine
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import Presentable

try:
    import resource
except ImportError:  # not on Windows, which is no controller
    resource = None  # type: ignore[assignment]

MOST_CALLS = 5  # per endpoint and sweep
_SPARE_FILES = 16
_ENOUGH_FOR_A_THREAD = 256
_TRY_THE_OTHER_ADDRESS = (_call.CONNECTION_REFUSED, _call.UNREACHABLE, _call.TIMEOUT, _call.PROXY_FAILED)
_NO_CONTROL = (
    "the connection was closed as a refusal closes it, but no accepted certificate followed at this endpoint; "
    "a Tentacle that is stopping looks the same. Probe again together with a certificate that it trusts"
)


class Limits(NamedTuple):
    in_flight: int = 256
    connect: float = 5.0  # seconds
    reply: float = 10.0  # seconds for the handshake and the answer together, and again for the goodbye
    threads: int = 0  # 0: as many as there are cores, four at most, one for a small sweep
    control: bool = True  # False: say "refused" without an accepted control


class Sight(NamedTuple):
    """What one caller saw at one endpoint."""

    endpoint: Endpoint
    identity: str
    verdict: str
    thumbprint: Optional[str]  # of the certificate presented; None: TLS did not come up
    tls: Optional[str]
    elapsed_ms: int
    detail: str
    certificate: bytes  # DER; empty: TLS did not come up, or it was seen from another host


def presenting(name: str, identity: Presentable) -> Caller:
    return Caller(name, identity)


def at_random(name: str = "random") -> Caller:
    """A caller that nobody can know: accepted means an open door or a proxy (decisions 14)."""
    return Caller(name, random_identity(), foreign=True)


def without_certificate(name: str = "none") -> Caller:
    return Caller(name, foreign=True)


def onlooker(name: str = "identity") -> Caller:
    """A caller that only looks at the certificate and asks no question of trust."""
    return Caller(name, asks=False)


def sweep(
    endpoints: Sequence[Endpoint],
    callers: Sequence[Caller] = (),
    limits: Optional[Limits] = None,
    clock: Callable[[], float] = time.monotonic,
    directory: Optional[Directory] = None,
    engine: Optional[Engine] = None,
) -> List[Sight]:
    """Let each caller call at each endpoint; one sight for each pair, endpoint by endpoint, in the order asked.

    No callers: one onlooker. Made-up callers go first, the others in the given order, so put the one that is expected to be
    accepted last; where that guess was wrong, the accepted one calls once more as the control. Endpoints with the same
    address are met once, unless the ways to them differ.
    """
    engine = engine or _openssl()
    limits = limits or Limits()
    callers = list(callers) or [onlooker()]
    _check(callers)
    directory = directory or Directory(limits.connect)
    directory.learn(endpoint.hop.host for endpoint in endpoints)
    turns = tuple(sorted(callers, key=lambda caller: not caller.foreign))
    visits = {_place(endpoint): _Visit(endpoint, turns, directory, limits.control) for endpoint in endpoints}
    waiting = [visit for visit in visits.values() if visit.addresses]
    _run(waiting, callers, limits, clock, engine)
    return [visits[_place(endpoint)].sight(endpoint, caller) for endpoint in endpoints for caller in callers]


def _place(endpoint: Endpoint) -> Tuple[str, str]:
    return endpoint.address, endpoint.proxy.address if endpoint.proxy else ""


def _openssl() -> Engine:
    _tls.require_openssl()
    return _tls


def _check(callers: Sequence[Caller]) -> None:
    if len(callers) > MOST_CALLS:
        raise OctoError(f"A sweep takes at most {MOST_CALLS} identities, since each is a connection to every endpoint; {len(callers)} were given.")
    if len({caller.name for caller in callers}) < len(callers):
        raise OctoError(f"Two identities of a sweep have the same name: {', '.join(sorted(caller.name for caller in callers))}.")


def _run(visits: Sequence["_Visit"], callers: Sequence[Caller], limits: Limits, clock: Callable[[], float], engine: Engine) -> None:
    wanted = limits.threads or min(os.cpu_count() or 1, 4, len(visits) // _ENOUGH_FOR_A_THREAD)
    threads = max(1, min(wanted, len(visits)))
    share = max(1, min(limits.in_flight, _files_left()) // threads)
    waiting = deque(visits)  # of all threads: dealt out beforehand, the dead ones could be one thread's, more than it has in flight
    loops = [_Loop(waiting, callers, limits, share, clock, engine) for _thread in range(threads)]
    if threads == 1:
        loops[0].run()
        return
    with ThreadPoolExecutor(threads) as pool:
        for finished in [pool.submit(loop.run) for loop in loops]:
            finished.result()


def _files_left() -> int:
    """How many connections the process may open beside the files that it has."""
    if resource is None:
        return 256
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65536 if soft == resource.RLIM_INFINITY else max(1, soft - len(os.listdir("/dev/fd")) - _SPARE_FILES)


class _Visit:
    """The calls at one endpoint: whose turn it is, what each heard, and which refusals are proven. Thousands are in memory at once."""

    __slots__ = ("_control", "_failure", "_heard", "_turn", "_turns", "addresses", "endpoint", "server_name")

    def __init__(self, endpoint: Endpoint, turns: Tuple[Caller, ...], directory: Directory, control: bool) -> None:
        self.endpoint = endpoint
        self.addresses: List[Address] = directory.addresses(endpoint.hop)
        named = self.addresses and not is_literal(endpoint.host)
        self.server_name = endpoint.host.rstrip(".").lower().encode("idna") if named else None
        self._control = control
        self._turns = turns  # one for all visits
        self._turn = 0
        self._heard: List[Tuple[Caller, Answer]] = []
        self._failure = None if self.addresses else _unresolved(endpoint, directory.reason(endpoint.hop))

    def next(self) -> Optional[Caller]:
        if self._failure:
            return None
        if self._turn < len(self._turns):
            return self._turns[self._turn]
        return self._missing_control() if len(self._heard) < MOST_CALLS else None

    def heard(self, caller: Caller, answer: Answer) -> None:
        if answer.verdict in _TRY_THE_OTHER_ADDRESS and len(self.addresses) > 1 and not self._heard:
            self.addresses.pop(0)  # the name's other family
            return
        self._turn += 1
        self._heard.append((caller, answer))
        if answer.before_tls:
            self._failure = answer

    def sight(self, endpoint: Endpoint, caller: Caller) -> Sight:
        turn = max((number for number, (who, _answer) in enumerate(self._heard) if who is caller), default=-1)
        answer = self._heard[turn][1] if turn >= 0 else self._failure or Answer(_call.UNEXPECTED, "the endpoint was not called")
        if answer.verdict == _call.REFUSED and self._control and not self._proven(turn):
            answer = answer._replace(verdict=_call.UNPROVEN, detail=_NO_CONTROL)
        seen = answer.thumbprint or None, answer.tls or None
        return Sight(endpoint, caller.name, answer.verdict, *seen, answer.elapsed_ms, answer.detail, answer.certificate)

    def _proven(self, turn: int) -> bool:
        """Whether an accepted caller met the same certificate after the refusal of that turn."""
        thumbprint = self._heard[turn][1].thumbprint
        return any(answer.verdict == _call.ACCEPTED and answer.thumbprint == thumbprint for _who, answer in self._heard[turn + 1 :])

    def _missing_control(self) -> Optional[Caller]:
        verdicts = [answer.verdict for _who, answer in self._heard]
        if not self._control or _call.REFUSED not in verdicts or _call.ACCEPTED not in verdicts:
            return None
        last_refused = max(number for number, verdict in enumerate(verdicts) if verdict == _call.REFUSED)
        last_accepted = max(number for number, verdict in enumerate(verdicts) if verdict == _call.ACCEPTED)
        return self._heard[last_accepted][0] if last_accepted < last_refused else None


def _unresolved(endpoint: Endpoint, reason: str) -> Answer:
    if endpoint.proxy:
        return Answer(_call.PROXY_FAILED, f"the name of {_call.via(endpoint)} does not resolve: {reason}")
    return Answer(_call.DNS, f"the name does not resolve: {reason}")


class _Loop:
    """A selector loop over the visits that it takes from the queue of all loops."""

    def __init__(
        self, waiting: Deque[_Visit], callers: Sequence[Caller], limits: Limits, in_flight: int, clock: Callable[[], float], engine: Engine
    ) -> None:
        self._waiting = waiting
        self._callers = callers
        self._limits = limits
        self._in_flight = in_flight
        self._clock = clock
        self._engine = engine
        self._open: Dict[Call, Tuple[_Visit, Caller]] = {}
        # First in, first out, since all deadlines of a queue have the same length: (deadline, call, the stage that it ends).
        self._dialling: Deque[Tuple[float, Call]] = deque()
        self._talking: Deque[Tuple[float, Call, bool]] = deque()

    def run(self) -> None:
        self._contexts = {caller.name: self._engine.context(caller.identity) for caller in self._callers}
        with selectors.DefaultSelector() as self._selector:
            try:
                while self._fill():
                    for key, _events in self._selector.select(self._patience()):
                        self._move(key.data)
                    self._expire()
            finally:
                for call in list(self._open):
                    call.close()

    def _fill(self) -> bool:
        """Take visits up to what may be in flight. False: none is left, and no call is open that one could wait for."""
        while len(self._open) < self._in_flight:
            try:
                visit = self._waiting.popleft()
            except IndexError:  # the last one may just have gone to another loop
                break
            self._go_on(visit)
        return bool(self._open)

    def _go_on(self, visit: _Visit) -> None:
        """The next call of a visit, if there is one."""
        caller = visit.next()
        if caller is None:
            return
        tls = self._engine.connection(self._contexts[caller.name], visit.server_name)
        call = Call(caller, visit.endpoint, visit.addresses[0], tls, self._engine, self._clock)
        self._open[call] = (visit, caller)
        call.dial()
        if call.stage == _call.OVER:
            self._finish(call)
            return
        self._selector.register(call, selectors.EVENT_WRITE, call)
        self._dialling.append((self._clock() + self._limits.connect, call))

    def _move(self, call: Call) -> None:
        stage, wrote = call.stage, call.wants_write
        call.ready()
        if call.stage == _call.OVER:
            self._selector.unregister(call)
            self._finish(call)
            return
        if call.wants_write != wrote:
            self._selector.modify(call, selectors.EVENT_WRITE if call.wants_write else selectors.EVENT_READ, call)
        if stage == _call.DIALLING or (call.stage == _call.LEAVING and stage != _call.LEAVING):
            self._talking.append((self._clock() + self._limits.reply, call, call.stage == _call.LEAVING))

    def _finish(self, call: Call) -> None:
        visit, caller = self._open.pop(call)
        call.close()
        visit.heard(caller, call.answer or Answer(_call.UNEXPECTED, "the call ended without an answer"))
        self._go_on(visit)

    def _patience(self) -> Optional[float]:
        heads = [queue[0][0] for queue in (self._dialling, self._talking) if queue]
        return max(0.0, min(heads) - self._clock()) if heads else None

    def _expire(self) -> None:
        now = self._clock()
        while self._dialling and (self._dialling[0][0] <= now or self._dialling[0][1].stage != _call.DIALLING):
            call = self._dialling.popleft()[1]
            if call.stage == _call.DIALLING:
                self._give_up(call, self._limits.connect)
        while self._talking and (self._talking[0][0] <= now or self._is_past(*self._talking[0][1:])):
            _deadline, call, leaving = self._talking.popleft()
            if not self._is_past(call, leaving):
                self._give_up(call, self._limits.reply)

    @staticmethod
    def _is_past(call: Call, leaving: bool) -> bool:
        return call.stage == _call.OVER or (call.stage == _call.LEAVING) != leaving

    def _give_up(self, call: Call, seconds: float) -> None:
        call.expire(seconds)
        self._selector.unregister(call)
        self._finish(call)
