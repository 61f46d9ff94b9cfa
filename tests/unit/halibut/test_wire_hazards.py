# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the measured wire does to who looks at it, and what the sweep makes of it: each test shows the hazard itself and that it is met.

`make proof` switches each quirk of the stand-in off and expects the test that is about it to fail (tests/proof).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import call, probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import parse
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import log, trust
from lab.waiting import until
from lab.wire.certificates import Keypair, make_certificate, to_pfx
from lab.wire.listener import Listener
from lab.wire.poller import Poller, PollingEntry
from unit.halibut.test_probe_lab import Tentacle
from unit.lab.test_wire_listener import SERVER, resume

TENTACLE, TRUSTED, STRANGER = (make_certificate(name) for name in ("Octopus Tentacle", "Octopus Portal", "Octopus Portal"))
ADDRESS, SUBSCRIPTION = "https://octopus:10943/", "poll://bcdfghjklmnpqrstvwxz/"


def identity(keypair: Keypair) -> Identity:
    return _certificate.open_pfx(to_pfx(keypair, "one-use"), Secret("one-use"))


OURS, OTHER = probe.presenting("new", identity(TRUSTED)), probe.presenting("old", identity(STRANGER))


@pytest.fixture
def tentacle() -> Iterator[Tentacle]:
    made = Tentacle(TENTACLE, TRUSTED.thumbprint, "1.3")
    yield made
    made.listener.stop()


def test_a_refused_question_shows_in_no_default_log(tentacle: Tentacle) -> None:
    """Only at Debug: so the log cannot tell who is refused, and asking for it does no harm (halibut-wire.md 2.4)."""
    assert tentacle.ask(OURS, OTHER) == {"new": "accepted", "old": "refused"}
    assert tentacle.listener.wait_until_idle(5.0)
    refusals = [level for level, message in tentacle.lines if "not in the list of thumbprints that we trust" in message]
    assert refusals == ["DEBUG"]


def test_a_resumed_session_would_lie_and_the_sweep_has_none(tentacle: Tentacle) -> None:
    """In the session of a trusted caller anybody is let in (measured-wire.md a)."""
    assert resume(tentacle.listener, TRUSTED, STRANGER, "1.3") == SERVER
    for _sweep in range(3):
        assert tentacle.ask(OURS, OTHER, probe.at_random()) == {"new": "accepted", "old": "refused", "random": "refused"}


def test_a_pin_in_lower_case_lets_a_server_in(tentacle: Tentacle) -> None:
    lower = Tentacle(TENTACLE, TRUSTED.thumbprint.lower(), "1.3")
    assert lower.ask(OURS) == {"new": "accepted"}
    lower.listener.stop()
    (entry,) = trust.parse(f'[{{"Thumbprint":"{TRUSTED.thumbprint.lower()}","CommunicationStyle":1}}]')
    assert log.restart_pending(log.Armed((TRUSTED.thumbprint,), ()), [entry], 0, 0) == "no"


def test_a_polling_pin_in_lower_case_is_another_pin() -> None:
    """A poller compares by case (measured-wire.md c), so there a respelling does need the restart."""
    lines: list[str] = []
    server = Listener("127.0.0.1", 0, TRUSTED, {TENTACLE.thumbprint})
    server.start()
    entry = PollingEntry(f"https://127.0.0.1:{server.port}/", TRUSTED.thumbprint.lower(), SUBSCRIPTION)
    poller = Poller(entry, TENTACLE, lambda _level, _source, message: lines.append(message))
    poller.start()
    until(lambda: bool(lines) and any("Retrying" in line or "authenticated" in line.lower() for line in lines), what="the poller's first try to end")
    poller.stop()
    server.stop()
    assert any(TRUSTED.thumbprint.lower() in line for line in lines)
    assert any("Retrying" in line for line in lines)
    values = f'"CommunicationStyle":2,"Address":"{ADDRESS}","SubscriptionId":"{SUBSCRIPTION}"'
    (polling,) = trust.parse(f'[{{"Thumbprint":"{TRUSTED.thumbprint}",{values}}}]')
    for spelled, pending in ((entry.thumbprint, "yes"), (TRUSTED.thumbprint, "no")):
        armed = log.Armed((spelled,), ((*trust.place_of(ADDRESS, SUBSCRIPTION), spelled),))
        assert log.restart_pending(armed, [polling], 0, 0) == pending


def test_a_key_that_is_too_short_is_told_from_a_refusal() -> None:
    """Its owner listens, and answers every handshake with the alert of a wrong version (measured-wire.md f)."""
    weak = Tentacle(make_certificate("Octopus Tentacle", 1024), TRUSTED.thumbprint, "1.3")
    (sight,) = probe.sweep([parse(weak.listener.endpoint)], [OURS], probe.Limits(reply=2.0))
    weak.listener.stop()
    assert (sight.verdict, "2048 bits" in sight.detail) == ("tls_failed", True)


def test_a_careless_look_is_an_error_in_the_log_ours_is_none(tentacle: Tentacle) -> None:
    """Who only opens the port, as a load balancer's check does, leaves an Error with a stack trace (measured-wire.md b)."""
    assert tentacle.ask() == {"identity": "identity"}
    assert tentacle.ask(OURS, OTHER, probe.without_certificate()) == {"new": "accepted", "old": "refused", "none": "refused"}
    assert tentacle.errors() == []
    with socket.create_connection(("127.0.0.1", tentacle.listener.port)) as careless:
        careless.shutdown(socket.SHUT_WR)
        careless.recv(1)
    assert len(tentacle.errors()) == 1


@pytest.mark.parametrize(
    ("question", "trusted", "stranger", "told"),
    [
        (b"MX\r\n\r\n", "timeout", "unproven", "that is no refusal"),
        (b"MX\r\n\r\nMX-STRANGER 1.0\r\n\r\n", "timeout", "unproven", "that is no refusal"),
        (b"GET / HTTP/1.1\r\n\r\n", "unexpected", "unexpected", "was answered with 'HTTP/1.0 200 OK"),
    ],
    ids=["half", "unknown", "page"],
)
def test_a_question_that_was_not_understood_refuses_nobody(
    tentacle: Tentacle, monkeypatch: pytest.MonkeyPatch, question: bytes, trusted: str, stranger: str, told: str
) -> None:
    """Cut in two, of another version, or altered on its way: silence and the page say nothing about trust (measured-wire.md a)."""
    monkeypatch.setattr(call, "QUESTION", question)
    new, old = probe.sweep([parse(tentacle.listener.endpoint)], [OURS, OTHER], probe.Limits(reply=1.0))
    assert (new.verdict, old.verdict, told in new.detail) == (trusted, stranger, True)
