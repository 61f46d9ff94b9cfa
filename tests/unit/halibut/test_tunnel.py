# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sweep through HTTP proxies: what they are asked, and what each of their answers is called."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe, tunnel
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Directory, Endpoint, Proxy
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from unit.halibut import doubles
from unit.halibut.conftest import People

Opened = Callable[..., doubles.Port]
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n"
SHORT = probe.Limits(connect=1.0, reply=1.0, control=False)
PASSWORD = "marker-of-the-password"


def behind(port: doubles.Port, host: str = "web-01.inside", **more: Any) -> Endpoint:
    """A name that nobody but the proxy could resolve."""
    return Endpoint("web-01", host, 10933, Proxy(port.host, port.port, **more))


@pytest.mark.parametrize(
    ("host", "proxy", "words"),
    [
        ("web-01.inside", Proxy("proxy", 3128), b"CONNECT web-01.inside:10933 HTTP/1.0\r\nHost: web-01.inside:10933\r\n\r\n"),
        ("fd00::7", Proxy("proxy", 3128), b"CONNECT [fd00::7]:10933 HTTP/1.0\r\nHost: [fd00::7]:10933\r\n\r\n"),
        ("web-01", Proxy("proxy", 3128, "octopus"), b"CONNECT web-01:10933 HTTP/1.0\r\nHost: web-01:10933\r\n\r\n"),
        (
            "web-01",
            Proxy("proxy", 3128, "octopus", Secret("a:b")),
            b"CONNECT web-01:10933 HTTP/1.0\r\nHost: web-01:10933\r\nProxy-Authorization: Basic " + base64.b64encode(b"octopus:a:b") + b"\r\n\r\n",
        ),
        (
            "web-01",
            Proxy("proxy", 3128, "j\u00f6rg", Secret("")),
            b"CONNECT web-01:10933 HTTP/1.0\r\nHost: web-01:10933\r\nProxy-Authorization: Basic " + base64.b64encode(b"j?rg:") + b"\r\n\r\n",
        ),
    ],
    ids=["name", "IPv6", "no-password", "password", "beyond-ASCII"],
)
def test_the_request_is_halibuts_to_the_byte(host: str, proxy: Proxy, words: bytes) -> None:
    assert tunnel.request(Endpoint("web-01", host, 10933, proxy), proxy) == words


def test_every_caller_goes_through_the_proxy_and_is_judged_by_the_tentacle_behind_it(opened: Opened, people: People) -> None:
    tentacle = opened(trusted={people.new.thumbprint})
    proxy = opened(doubles.proxy(ESTABLISHED, tentacle))
    callers = [probe.presenting("new", people.new), probe.presenting("old", people.old), probe.at_random()]
    sights = probe.sweep([behind(proxy)], callers)
    assert [(sight.identity, sight.verdict) for sight in sights] == [("new", "accepted"), ("old", "refused"), ("random", "refused")]
    assert {sight.thumbprint for sight in sights} == {people.tentacle.thumbprint}
    assert {meeting.server_name for meeting in tentacle.settled(4)} == {b"web-01.inside"}, "the Tentacle's name is sent, not the proxy's"
    asked = b"CONNECT web-01.inside:10933 HTTP/1.0\r\nHost: web-01.inside:10933\r\n\r\n"
    assert [meeting.heard for meeting in proxy.settled(4)] == [[asked]] * 4


@pytest.mark.parametrize(
    ("answer", "more", "verdict", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", {}, "proxy_denied", "wants a user and a password, and none were given (407)"),
        (
            b"HTTP/1.0 407 Proxy Authentication Required\r\n\r\n<html>",
            {"username": "octopus", "password": Secret(PASSWORD)},
            "proxy_denied",
            "does not accept the user and the password that were given (407)",
        ),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", {}, "proxy_failed", "says 503 'Service Unavailable'"),
        (b"HTTP/1.1 403\r\n\r\n", {}, "proxy_failed", "says 403 ''"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", {}, "proxy_failed", "does not speak HTTP; it says 'SSH-2.0-OpenSSH_9.2"),
        (b"HTTP/1.1 two hundred\r\n\r\n", {}, "proxy_failed", "does not speak HTTP; it says 'HTTP/1.1 two hundred"),
        (b"HTTP/1.1 200 Connec", {}, "proxy_failed", "closed the connection after 'HTTP/1.1 200 Connec'"),
        (b"", {}, "proxy_failed", "closed the connection without a word"),
    ],
    ids=["407", "407-in-spite-of", "503", "no-reason", "ssh", "nonsense", "cut-off", "silent"],
)
def test_a_way_that_is_not_opened_says_why_and_nothing_of_the_tentacle(
    opened: Opened, people: People, answer: bytes, more: dict[str, Any], verdict: str, words: str
) -> None:
    proxy = opened(doubles.proxy(answer))
    sights = probe.sweep([behind(proxy, **more)], [probe.at_random(), probe.presenting("new", people.new)], SHORT)
    assert {(sight.verdict, sight.thumbprint) for sight in sights} == {(verdict, None)}
    assert f"the proxy {proxy.address} on the way to web-01.inside:10933 {words}" in sights[0].detail
    assert PASSWORD not in str(sights)
    assert len(proxy.settled(1)) == 1, "what is the proxy's matter is asked once, not for every identity"


def test_a_proxy_that_says_nothing_a_closed_one_and_one_that_is_unknown(opened: Opened) -> None:
    mute = opened(doubles.silent)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening
        closed = Endpoint("two", "web-02", 10933, Proxy("127.0.0.1", nobody.getsockname()[1]))
        unknown = Endpoint("three", "web-03", 10933, Proxy("no-such-proxy.invalid", 3128))
        sights = probe.sweep([behind(mute), closed, unknown], limits=SHORT, directory=Directory(1.0, _nobody_is_known))
    assert [sight.verdict for sight in sights] == ["proxy_failed"] * 3
    words = ["did not open the way within 1 s", "cannot be reached: nothing listens there", "does not resolve: Name or service not known"]
    assert [word in sight.detail for word, sight in zip(words, sights, strict=True)] == [True] * 3, sights


def _nobody_is_known(*asked: Any, **_how: Any) -> list[tuple[object, ...]]:
    assert asked[0] == "no-such-proxy.invalid", "a host behind a proxy is not looked up here"
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_what_the_far_end_says_first_is_not_lost(opened: Opened) -> None:
    (sight,) = probe.sweep([behind(opened(doubles.proxy(ESTABLISHED + b"SSH-2.0-OpenSSH_9.2\r\n")))], limits=SHORT)
    assert (sight.verdict, "'SSH-2.0-OpenSSH_9.2" in sight.detail) == ("not_tls", True)


def test_one_address_behind_two_proxies_is_two_places(opened: Opened, people: People) -> None:
    ways = [opened(doubles.proxy(ESTABLISHED, opened(doubles.mute, identity=who))) for who in (people.tentacle, people.clone)]
    first, second = probe.sweep([behind(way, "10.0.0.7") for way in ways])
    assert (first.thumbprint, second.thumbprint) == (people.tentacle.thumbprint, people.clone.thumbprint)


def test_a_reply_in_pieces() -> None:
    assert [tunnel.reply(ESTABLISHED[:length]) for length in (0, 3, 20, len(ESTABLISHED) - 1)] == [None] * 4
    assert tunnel.reply(ESTABLISHED + b"x") == tunnel.Reply(200, "Connection established", b"x")
    endless = b"HTTP/1.1 200 OK\r\n" + b"X" * 70000
    assert tunnel.reply(endless) == tunnel.Reply(0, "", endless)
