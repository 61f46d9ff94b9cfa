# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real transport: error statuses are answers, redirects are not followed, and silences are told apart."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import URLError

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import Https, NoAnswer, Request, no_answer
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from unit.lab.server_trial import STRANGER


class Handler(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str, str | None, bytes]]] = []

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.command, self.path, self.headers.get("X-Key"), body))
        status = int(self.path.strip("/").rstrip("-"))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/200")  # type: ignore[attr-defined]
        self.send_header("Retry-After", "3")
        self.send_header("Content-Length", "400" if self.path.endswith("-") else "4")
        self.end_headers()
        self.wfile.write(b"text")

    do_POST = do_PUT = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    made = HTTPServer(("127.0.0.1", 0), Handler)
    Handler.seen.clear()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def ask(server: HTTPServer, status: int | str, method: str = "GET", body: bytes | None = None, scheme: str = "http", **options: Any) -> Any:
    request = Request(method, f"{scheme}://127.0.0.1:{server.server_port}/{status}", {"X-Key": "key"}, body)
    return Https(timeout=5, **options)(request)


@pytest.mark.parametrize("status", [200, 401, 418, 429, 503])
def test_every_status_is_an_answer(server: HTTPServer, status: int) -> None:
    response = ask(server, status)
    assert (response.status, response.body, response.headers["retry-after"]) == (status, b"text", "3")


@pytest.mark.parametrize("status", [200, 503])
def test_an_answer_that_breaks_off_is_none(server: HTTPServer, status: int) -> None:
    with pytest.raises(NoAnswer) as caught:
        ask(server, f"{status}-")
    assert (caught.value.passing, caught.value.reached) == (True, True)


def test_the_key_does_not_travel_along_a_redirect(server: HTTPServer) -> None:
    assert ask(server, 302).status == 302
    assert [path for _method, path, _key, _body in Handler.seen] == ["/302"]


def test_bodies_and_methods_go_out_as_they_are(server: HTTPServer) -> None:
    assert ask(server, 200, "PUT", b'{"a": 1}').status == 200
    assert Handler.seen == [("PUT", "/200", "key", b'{"a": 1}')]


def test_a_certificate_that_is_not_trusted_is_no_passing_trouble(server: HTTPServer, tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(load_der_x509_certificate(STRANGER.der).public_bytes(Encoding.PEM) + STRANGER.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with pytest.raises(NoAnswer, match="HTTPS certificate is not accepted") as caught:
        ask(server, 200, scheme="https")
    assert not caught.value.passing
    assert ask(server, 200, scheme="https", validate_certs=False).status == 200


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(NoAnswer, match="the connection is refused") as caught:
            Https(timeout=5)(Request("GET", f"http://127.0.0.1:{unused.getsockname()[1]}/", {}, None))
    assert (caught.value.passing, caught.value.reached) == (True, False)


@pytest.mark.parametrize(
    ("error", "words", "passing", "reached"),
    [
        (URLError(socket.gaierror(-2, "Name or service not known")), "cannot be resolved", False, False),
        (URLError(TimeoutError("timed out")), "no answer came in time", True, True),
        (TimeoutError("timed out"), "no answer came in time", True, True),
        (http.client.RemoteDisconnected("Remote end closed connection without response"), "the connection broke", True, True),
        (ConnectionResetError(104, "Connection reset by peer"), "the connection broke", True, True),
        (URLError(ssl.SSLError(1, "wrong version number")), "TLS failed", False, False),
        (URLError(OSError(113, os.strerror(113))), "No route to host", False, False),
    ],
)
def test_silences_are_told_apart(error: Exception, words: str, passing: bool, reached: bool) -> None:
    found = no_answer(error)
    assert words in found.reason
    assert (found.passing, found.reached) == (passing, reached)
