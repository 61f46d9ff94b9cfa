# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Start, stop, restart, and the proof: a new process that serves the expected certificate. Exit codes prove nothing (H-03, H-12, H-40)."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Clock, Completed, Host, Service
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.tls import Wire

LOOPBACK = "127.0.0.1"

_ATTEMPT = 5.0  # seconds for one look at the wire
_PAUSE = 0.05
_AT_REST = ("failed", "inactive")  # the manager will not try again by itself
_SETTLED = 2.0
_SAME_START_US = 1_000_000  # two readings of one start may differ by a tick; a process id does not come round in a second


class Endpoint(NamedTuple):
    """Where a process is to serve, and what. No thumbprint: any certificate will do."""

    address: str
    port: int
    thumbprint: Optional[str]

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


class Target(NamedTuple):
    """A service to act on. ``look`` reads it anew; ``holds`` says whether a process listens at the endpoint."""

    name: str  # for sentences
    before: Service
    look: Callable[[], Service]
    endpoint: Optional[Endpoint]  # None: it is not to listen
    patience: float
    restart: Sequence[str] = ()
    holds: Optional[Callable[[int], bool]] = None


class Proof(NamedTuple):
    serving: Optional[str]
    service: Service

    def row(self) -> Dict[str, Any]:
        return {"serving": self.serving, "pid": self.service.pid, "started_at": self.service.started_at}


class Hands(NamedTuple):
    host: Host
    wire: Wire
    clock: Clock


def patience_for(certificates: int, least: float = 15.0) -> float:
    """Seconds to wait for a restarted Tentacle: tenfold what fast hardware takes, 0.65 and 0.041 a stored certificate (measured-tentacle.md 14.3)."""
    return max(least, 10 * (0.65 + 0.041 * certificates))


def restart(hands: Hands, target: Target) -> Proof:
    said = _run(hands, target, target.restart) if target.restart else _order(hands, target, "restart")
    return _proved(hands, target, "restarted", said)


def start(hands: Hands, target: Target) -> Proof:
    return _proved(hands, target, "started", _order(hands, target, "start"))


def confirm(hands: Hands, target: Target) -> Proof:
    """The same proof of a process that runs already and was not asked for anything."""
    return _proved(hands, target._replace(before=target.before._replace(pid=0, started_monotonic_us=0)), "running", "")


def stop(hands: Hands, target: Target) -> None:
    """Until no process is left: the unit of a cleanly stopped Tentacle may well show *failed* (H-40)."""
    said = _order(hands, target, "stop")
    deadline = hands.clock.now() + target.patience
    while True:
        service = target.look()
        old = hands.host.process(target.before.pid) if target.before.pid else None
        if not service.pid and (old is None or old.started_monotonic_us >= target.before.started_monotonic_us + _SAME_START_US):
            return
        if hands.clock.now() >= deadline:
            raise OctoError(
                f"{target.name} was ordered to stop, but process {service.pid or target.before.pid} still runs after {target.patience:g} "
                f"seconds.{said} See what the service manager says of it.",
                code="NOT_STOPPED",
                pid=service.pid or target.before.pid,
            )
        hands.clock.sleep(_PAUSE)


def serving(hands: Hands, endpoint: Endpoint) -> Optional[str]:
    """The thumbprint that is served there now; None if nobody serves."""
    try:
        return _thumbprint.of_der(hands.wire(endpoint.address, endpoint.port, _ATTEMPT))
    except OSError:
        return None


def _proved(hands: Hands, target: Target, what: str, said: str) -> Proof:
    ordered = hands.clock.now()
    deadline = ordered + target.patience
    while True:
        service = target.look()
        code, seen, proof = _judge(hands, target, service, deadline)
        if proof:
            return proof
        over = code == "NOT_RUNNING" and service.state in _AT_REST and hands.clock.now() >= ordered + _SETTLED
        if over or hands.clock.now() >= deadline:
            raise OctoError(
                f"{target.name} was to be {what}, but after {hands.clock.now() - ordered:.0f} seconds {seen}.{said} "
                "See its log and what the service manager says of it, repair that, then run again.",
                code=code,
                pid=service.pid,
                started_at=service.started_at,
            )
        hands.clock.sleep(_PAUSE)


class _Judgement(NamedTuple):
    code: str
    seen: str
    proof: Optional[Proof] = None


def _judge(hands: Hands, target: Target, service: Service, deadline: float) -> _Judgement:
    """Is the process new, does it serve, and is what it serves what it should?"""
    before = target.before
    if before.known and not service.pid:
        return _Judgement("NOT_RUNNING", f"no process of it runs ({service.state or 'not known to the manager'})")
    if service.pid and service.pid == before.pid and service.started_monotonic_us < before.started_monotonic_us + _SAME_START_US:
        return _Judgement("RESTART_INEFFECTIVE", f"the process is still the old one ({service.pid}, started {service.started_at})")
    endpoint = target.endpoint
    if endpoint is None:
        return _Judgement("", "", Proof(None, service))
    found = _wait_for_tls(hands, endpoint, service, deadline)
    if found is None:
        return _Judgement("NOT_SERVING", f"the new process {service.pid} does not serve TLS on {endpoint}")
    if target.holds and service.pid and not target.holds(service.pid):
        return _Judgement("PORT_TAKEN", f"{endpoint} is served by a process that is not the new one ({service.pid})")
    if endpoint.thumbprint and not _thumbprint.same(found, endpoint.thumbprint):
        return _Judgement("WRONG_CERTIFICATE", f"{endpoint} presents {found} and not {endpoint.thumbprint}")
    # Of the process itself, for another question to the manager costs a start of its program.
    if service.pid and hands.host.process(service.pid) is None:
        return _Judgement("NOT_SERVING", f"the process {service.pid} ended right after it had started")
    return _Judgement("", "", Proof(found, service))


def _wait_for_tls(hands: Hands, endpoint: Endpoint, service: Service, deadline: float) -> Optional[str]:
    """What is served, as soon as something is; asks the manager nothing meanwhile, and ends with the process."""
    while True:
        found = serving(hands, endpoint)
        if found or hands.clock.now() >= deadline or hands.host.process(service.pid) is None:
            return found
        hands.clock.sleep(_PAUSE)


def _order(hands: Hands, target: Target, verb: str) -> str:
    return _said("The service manager", hands.host.order(verb, target.before.unit, target.patience + 120))


def _run(hands: Hands, target: Target, argv: Sequence[str]) -> str:
    """The lock is not inherited, or an agent would hold it for ever."""
    return _said(argv[0], hands.host.run(argv, timeout=target.patience + 120))


def _said(who: str, completed: Completed) -> str:
    """For the case that the order comes to nothing."""
    words = completed.stderr.strip()[:300]
    return f" {who} said: {words}" if words else ""
