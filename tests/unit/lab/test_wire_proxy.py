# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The proxy of the lab and the Server's way through it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from lab.wire.caller import CallResult, call
from lab.wire.certificates import make_certificate
from lab.wire.limits import Limits
from lab.wire.listener import Listener
from lab.wire.proxy import HttpProxy, Login, ProxyDetails

SERVER, TENTACLE = make_certificate("Octopus Portal"), make_certificate("Octopus Tentacle")
LOGIN = Login("octopus", "a:b c")


@pytest.fixture
def tentacle() -> Iterator[Listener]:
    listener = Listener("127.0.0.1", 0, TENTACLE, {SERVER.thumbprint})
    listener.start()
    yield listener
    listener.stop()


@pytest.fixture(params=[None, LOGIN], ids=["open", "guarded"])
def proxy(request: pytest.FixtureRequest) -> Iterator[HttpProxy]:
    made = HttpProxy("127.0.0.1", names={"web-01.inside": "127.0.0.1"}, login=request.param)
    made.start()
    yield made
    made.stop()


def through(proxy: HttpProxy, port: int, host: str = "web-01.inside", login: Login | None = LOGIN) -> CallResult:
    details = ProxyDetails(proxy.host, proxy.port, login)
    return call(host, port, SERVER, TENTACLE.thumbprint, timeout=5, limits=Limits(retry_sleep=0.01), proxy=details)


def test_a_call_through_the_proxy(tentacle: Listener, proxy: HttpProxy) -> None:
    assert through(proxy, tentacle.port).ok
    basic = "Proxy-Authorization: Basic b2N0b3B1czphOmIgYw=="
    place = f"web-01.inside:{tentacle.port}"
    assert proxy.requests == [f"CONNECT {place} HTTP/1.0\r\nHost: {place}\r\n{basic}\r\n\r\n".encode()]
    assert (proxy.asked_for("web-01.inside"), proxy.asked_for("web-02.inside")) == (1, 0)


def test_a_name_that_the_proxy_does_not_know_and_a_port_that_is_closed(proxy: HttpProxy) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening
        for host in ("no-such-host.invalid", "web-01.inside"):
            done = through(proxy, nobody.getsockname()[1], host)
            assert (done.ok, done.tries) == (False, 5)
            assert f"Proxy destination 127.0.0.1 on port {proxy.port} responded with a 503 code - Service Unavailable" in str(done.error_text)


def test_a_guarded_proxy_wants_its_user(tentacle: Listener) -> None:
    guarded = HttpProxy("127.0.0.1", names={}, login=LOGIN)
    guarded.start()
    try:
        for login in (None, Login("octopus", "wrong"), Login(" ", "a:b c")):
            done = through(guarded, tentacle.port, "127.0.0.1", login)
            assert "responded with a 407 code - Proxy Authentication Required" in str(done.error_text)
        assert b"Proxy-Authorization" not in guarded.requests[0] + guarded.requests[-1]
    finally:
        guarded.stop()


def test_what_is_no_proxy_and_what_asks_for_no_tunnel(tentacle: Listener, proxy: HttpProxy) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        host, port = nobody.getsockname()
        done = call("web-01.inside", 1, SERVER, TENTACLE.thumbprint, tries=1, proxy=ProxyDetails(host, port))
    assert f"Connection to proxy host 127.0.0.1 on port {port} failed: Connection refused" in str(done.error_text)
    with socket.create_connection((proxy.host, proxy.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 400 Bad Request\r\n")
