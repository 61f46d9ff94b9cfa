# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sweep against ports that behave in every way a port can."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Caller
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Directory, Endpoint, parse
from OpenSSL import SSL
from unit.halibut import doubles
from unit.halibut.conftest import People

Opened = Callable[..., doubles.Port]
SHORT = probe.Limits(connect=1.0, reply=1.0, control=False)


def look(port: doubles.Port, *callers: Caller, limits: probe.Limits = SHORT) -> list[probe.Sight]:
    return probe.sweep([parse(port.address)], callers, limits)


def verdicts(sights: list[probe.Sight]) -> dict[str, str]:
    return {sight.identity: sight.verdict for sight in sights}


# ------------------------------------------------------------------------------------------------ verdicts


@pytest.mark.parametrize("newest", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_accepted_and_refused(opened: Opened, people: People, newest: int) -> None:
    port = opened(trusted={people.new.thumbprint}, newest=newest)
    old, new = look(port, probe.presenting("old", people.old), probe.presenting("new", people.new), limits=probe.Limits())
    assert (old.verdict, new.verdict) == ("refused", "accepted")
    assert {old.thumbprint, new.thumbprint} == {people.tentacle.thumbprint}
    assert new.certificate == people.tentacle.certificate
    assert new.tls == ("TLSv1.2" if newest == SSL.TLS1_2_VERSION else "TLSv1.3")
    assert [meeting.presented for meeting in port.settled(2)] == [people.old.thumbprint, people.new.thumbprint]


@pytest.mark.parametrize("newest", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_looking_at_the_certificate_asks_nothing_and_ends_politely(opened: Opened, people: People, newest: int) -> None:
    port = opened(doubles.mute, newest=newest)
    assert look(port)[0][1:4] == ("identity", "identity", people.tentacle.thumbprint)
    (meeting,) = port.settled(1)
    assert (meeting.presented, meeting.heard, meeting.ending) == (None, [], doubles.CLOSE_NOTIFY)


@pytest.mark.parametrize("newest", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_the_question_is_one_write_and_the_goodbye_the_null_message(opened: Opened, people: People, newest: int) -> None:
    port = opened(trusted={people.new.thumbprint}, newest=newest)
    look(port, probe.presenting("new", people.new))
    (meeting,) = port.settled(1)
    assert (meeting.heard, meeting.ending) == ([doubles.QUESTION, doubles.NULL_MESSAGE], "null message")


@pytest.mark.parametrize(
    ("behave", "verdict", "words"),
    [
        (doubles.closing, "closed", "without a byte"),
        (doubles.silent, "timeout", "TLS was not up within 1 s"),
        (doubles.mute, "timeout", "no refusal"),
        (doubles.plain(b"SSH-2.0-OpenSSH_9.2\r\n"), "not_tls", "'SSH-2.0-OpenSSH_9.2"),
        (doubles.reset, "reset", "no verdict"),
        (doubles.resetting, "reset", "no verdict"),
        (doubles.validating, "tls_failed", "alert"),
        (doubles.polite, "unexpected", "proxy"),
        (doubles.answering(b"HTTP/1.0 200 OK\r\n\r\n"), "unexpected", "'HTTP/1.0 200 OK"),
        (doubles.answering(b"MX-SERVER 2.0\r\n\r\n"), "unexpected", "'MX-SERVER 2.0"),
    ],
    ids=lambda value: getattr(value, "__qualname__", str(value))[:24],
)
def test_what_is_no_answer_has_its_own_verdict(opened: Opened, people: People, behave: Callable[..., None], verdict: str, words: str) -> None:
    (sight,) = look(opened(behave), probe.presenting("new", people.new))
    assert sight.verdict == verdict
    assert words in sight.detail


@pytest.mark.parametrize("newest", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_port_that_asks_for_no_certificate_is_named_and_not_questioned(opened: Opened, people: People, newest: int) -> None:
    port = opened(doubles.answering(doubles.ANSWER), asks=False, newest=newest)
    (sight,) = look(port, probe.presenting("new", people.new))
    assert (sight.verdict, sight.thumbprint) == ("not_asked", people.tentacle.thumbprint)
    (meeting,) = port.settled(1)
    assert (meeting.heard, meeting.ending) == ([], doubles.CLOSE_NOTIFY)


def test_an_alert_inside_the_handshake_is_told_in_openssl_s_words(opened: Opened, people: People) -> None:
    (sight,) = look(opened(doubles.validating, newest=SSL.TLS1_2_VERSION), probe.presenting("new", people.new))
    assert sight.verdict == "tls_failed"
    assert "alert" in sight.detail


def test_a_closed_port_and_an_unknown_name() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening
        refused, unknown = probe.sweep(
            [Endpoint("one", "127.0.0.1", nobody.getsockname()[1]), Endpoint("two", "no-such-host.invalid", 10933)],
            limits=SHORT,
            directory=Directory(1.0, _nobody_is_known),
        )
    assert (refused.verdict, unknown.verdict) == ("connection_refused", "dns")
    assert "does not resolve: Name or service not known" in unknown.detail


def test_a_name_that_cannot_be_a_name_is_a_row_like_any_other() -> None:
    (sight,) = probe.sweep([Endpoint("long", 64 * "a" + ".example.com", 10933)], limits=SHORT)
    assert sight.verdict == "dns"


def _nobody_is_known(*_asked: Any, **_how: Any) -> list[tuple[object, ...]]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


# ------------------------------------------------------------------------------------------------ the control rule


def test_a_refusal_without_a_control_is_unproven(opened: Opened, people: People) -> None:
    port = opened(trusted=set())
    (sight,) = look(port, probe.presenting("old", people.old), limits=probe.Limits())
    assert sight.verdict == "unproven"
    assert "no accepted certificate followed" in sight.detail
    assert verdicts(look(port, probe.presenting("old", people.old))) == {"old": "refused"}, "the rule can be switched off"


def test_whoever_was_accepted_too_early_calls_again_as_the_control(opened: Opened, people: People) -> None:
    port = opened(trusted={people.new.thumbprint})
    sights = look(port, probe.presenting("new", people.new), probe.presenting("old", people.old), limits=probe.Limits())
    assert [(sight.identity, sight.verdict) for sight in sights] == [("new", "accepted"), ("old", "refused")]
    assert [meeting.presented for meeting in port.settled(3)] == [people.new.thumbprint, people.old.thumbprint, people.new.thumbprint]


def test_made_up_callers_go_first_and_rows_stay_in_the_asked_order(opened: Opened, people: People) -> None:
    port = opened(trusted={people.new.thumbprint})
    callers = [probe.presenting("new", people.new), probe.at_random(), probe.without_certificate()]
    sights = look(port, *callers, limits=probe.Limits())
    assert [(sight.identity, sight.verdict) for sight in sights] == [("new", "accepted"), ("random", "refused"), ("none", "refused")]
    assert callers[1].identity is not None
    assert [meeting.presented for meeting in port.settled(3)] == [callers[1].identity.thumbprint, None, people.new.thumbprint]


def test_no_more_than_five_calls_so_a_sixth_for_the_control_is_not_made(opened: Opened, people: People) -> None:
    port = opened(trusted={people.new.thumbprint})
    callers = [probe.presenting("new", people.new), *(probe.presenting(name, people.old) for name in "abcd")]
    sights = look(port, *callers, limits=probe.Limits())
    assert [sight.verdict for sight in sights] == ["accepted"] + 4 * ["unproven"]
    assert len(port.settled(5)) == 5


def test_a_control_that_met_another_certificate_proves_nothing(opened: Opened, people: People) -> None:
    port = opened(trusted={people.new.thumbprint})

    def behave(port: doubles.Port, connection: socket.socket, meeting: doubles.Meeting) -> None:
        port.identity = (people.tentacle, people.clone)[len(port.meetings) - 1]
        doubles.tentacle(port, connection, meeting)

    port._behave = behave
    sights = look(port, probe.presenting("old", people.old), probe.presenting("new", people.new), limits=probe.Limits())
    assert verdicts(sights) == {"old": "unproven", "new": "accepted"}


def test_a_tentacle_that_stops_after_the_refusal_leaves_it_unproven(opened: Opened, people: People) -> None:
    port = opened(trusted={people.new.thumbprint})

    def behave(port: doubles.Port, connection: socket.socket, meeting: doubles.Meeting) -> None:
        (doubles.tentacle if len(port.meetings) == 1 else doubles.closing)(port, connection, meeting)

    port._behave = behave
    sights = look(port, probe.presenting("old", people.old), probe.presenting("new", people.new), limits=probe.Limits())
    assert verdicts(sights) == {"old": "unproven", "new": "closed"}


# ------------------------------------------------------------------------------------------------ manners


@pytest.mark.parametrize("newest", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_no_session_is_ever_resumed(opened: Opened, people: People, newest: int) -> None:
    port = opened(trusted={people.new.thumbprint}, newest=newest)
    for _sweep in range(2):
        look(port, probe.presenting("new", people.new), probe.presenting("old", people.old), limits=probe.Limits())
    hellos = [doubles.extensions(meeting.hello) for meeting in port.settled(6)]
    pre_shared_key, session_ticket = 41, 35
    assert not [hello for hello in hellos if pre_shared_key in hello or hello.get(session_ticket)]


def test_one_key_share_and_groups_for_everybody(opened: Opened) -> None:
    port = opened(doubles.mute)
    look(port)
    hello = doubles.extensions(port.settled(1)[0].hello)
    x25519, p256, p384 = b"\x00\x1d", b"\x00\x17", b"\x00\x18"
    offered = {hello[10][at : at + 2] for at in range(2, len(hello[10]), 2)}
    assert offered >= {x25519, p256, p384}
    assert hello[51] == b"\x00\x24" + x25519 + b"\x00\x20" + hello[51][-32:], "a second share, or one of ML-KEM, costs a tenth of the probe"


def test_an_endpoint_meets_one_caller_at_a_time_even_under_two_names(opened: Opened, people: People) -> None:
    port = opened(trusted={people.new.thumbprint})
    endpoints = [parse(port.address, name) for name in ("a", "b", "c")]
    sights = probe.sweep(endpoints, [probe.at_random(), probe.presenting("new", people.new)])
    assert [(sight.endpoint.name, sight.identity) for sight in sights] == [(name, who) for name in "abc" for who in ("random", "new")]
    assert len(port.settled(2)) == 2
    assert port.most_at_once == 1


def test_rows_are_in_the_asked_order_over_several_threads(opened: Opened, people: People) -> None:
    ports = [opened(trusted={people.new.thumbprint}) for _ignored in range(12)]
    endpoints = [parse(port.address, str(number)) for number, port in enumerate(ports)]
    sights = probe.sweep(endpoints, [probe.presenting("new", people.new)], probe.Limits(in_flight=4, threads=3))
    assert [sight.endpoint for sight in sights] == endpoints
    assert {sight.verdict for sight in sights} == {"accepted"}


def test_slow_ones_at_regular_places_hold_up_no_thread(opened: Opened, people: People) -> None:
    together = threading.Barrier(3)  # each holds on until three do, which is more than one thread has in flight

    def holding(port: doubles.Port, connection: socket.socket, meeting: doubles.Meeting) -> None:
        together.wait(20.0)
        doubles.tentacle(port, connection, meeting)

    ports = [opened(*(() if number % 2 else (holding,)), trusted={people.new.thumbprint}) for number in range(6)]
    limits = probe.Limits(in_flight=4, threads=2, reply=15.0)
    sights = probe.sweep([parse(port.address) for port in ports], [probe.presenting("new", people.new)], limits)
    assert [sight.verdict for sight in sights] == ["accepted"] * 6


def test_connections_that_fail_on_the_spot_are_not_waited_for() -> None:
    seen: list[probe.Sight] = []
    nowhere = [parse(f"255.255.255.255:{port}") for port in range(1, 5)]  # a broadcast address: the kernel refuses before it sends
    sweep = threading.Thread(target=lambda: seen.extend(probe.sweep(nowhere, limits=SHORT)), daemon=True)
    sweep.start()
    sweep.join(10.0)
    assert len(seen) == 4
    assert {sight.verdict for sight in seen} <= {"unexpected", "unreachable"}, "which of them depends on whether the machine has a network"


def test_in_flight_is_held(opened: Opened, people: People) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def behave(port: doubles.Port, connection: socket.socket, meeting: doubles.Meeting) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        try:
            doubles.tentacle(port, connection, meeting)
        finally:
            with lock:
                now[0] -= 1

    ports = [opened(behave, trusted={people.new.thumbprint}) for _ignored in range(9)]
    probe.sweep([parse(port.address) for port in ports], [probe.presenting("new", people.new)], probe.Limits(in_flight=3))
    assert most[0] <= 3


def test_a_low_limit_of_open_files_is_kept(opened: Opened, people: People) -> None:
    ports = [opened(trusted={people.new.thumbprint}) for _ignored in range(6)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 24, hard))
    try:
        sights = probe.sweep([parse(port.address) for port in ports], [probe.presenting("new", people.new)])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {sight.verdict for sight in sights} == {"accepted"}


def test_names_are_sent_and_addresses_are_not(opened: Opened) -> None:
    port = opened(doubles.mute)

    def look_up(*_asked: Any, **_how: Any) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    probe.sweep([Endpoint("by name", "Web-01.Example.com", port.port)], limits=SHORT, directory=Directory(1.0, look_up))
    probe.sweep([parse(port.address)], limits=SHORT)
    assert [meeting.server_name for meeting in port.settled(2)] == [b"web-01.example.com", None]


def test_the_other_family_is_tried_when_the_first_does_not_answer(opened: Opened) -> None:
    port = opened(doubles.mute)
    asked = []

    def look_up(name: str, *_more: Any, **_how: Any) -> list[tuple[object, ...]]:
        asked.append(name)
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
        ]

    endpoints = [Endpoint("one", "web", port.port), Endpoint("two", "web", port.port)]
    assert {sight.verdict for sight in probe.sweep(endpoints, limits=SHORT, directory=Directory(1.0, look_up))} == {"identity"}
    assert asked == ["web"], "each name is looked up once"


def test_ipv6(opened: Opened) -> None:
    try:
        port = opened(doubles.mute, host="::1")
    except OSError as error:
        pytest.skip(f"the loopback interface has no IPv6 address ::1 ({error})")
    assert look(port)[0].verdict == "identity"


def test_six_identities_or_two_of_one_name_are_refused(people: People) -> None:
    with pytest.raises(OctoError, match="at most 5"):
        probe.sweep([], [probe.presenting(str(number), people.new) for number in range(6)])
    with pytest.raises(OctoError, match="same name"):
        probe.sweep([], [probe.presenting("new", people.new), probe.presenting("new", people.old)])


# ------------------------------------------------------------------------------------------------ the dead


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port on all loopback addresses whose queue is full: the kernel drops whoever else calls, as a firewall does."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen(0)
        address = ("127.0.0.1", listener.getsockname()[1])
        callers = [socket.socket() for _ignored in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(address)
        yield address[1]
        for caller in callers:
            caller.close()


def test_250_dead_endpoints_cost_their_time_out_once(deaf: int, opened: Opened, people: People) -> None:
    living = opened(trusted={people.new.thumbprint})
    endpoints = [Endpoint(str(number), f"127.0.{number // 200}.{number % 200 + 1}", deaf) for number in range(250)]
    endpoints.insert(100, parse(living.address))
    callers = [probe.at_random(), probe.without_certificate(), probe.presenting("new", people.new)]
    began = time.monotonic()
    sights = probe.sweep(endpoints, callers, probe.Limits(connect=1.0, reply=5.0))
    took = time.monotonic() - began
    assert [sight.verdict for sight in sights[300:303]] == ["refused", "refused", "accepted"]
    assert {sight.verdict for sight in sights[:300] + sights[303:]} == {"timeout"}
    assert 1.0 <= took < 2.0
