# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The look at what is served: the right certificate, no trace in the Tentacle's log, and OSError while nobody serves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.tls import served_certificate
from lab.wire.certificates import make_certificate
from lab.wire.listener import Listener

KEYPAIR = make_certificate()


@pytest.mark.parametrize("newest", ["1.2", "1.3"])
def test_the_certificate_is_seen_and_no_error_is_left(newest: str) -> None:
    lines: list[tuple[str, str]] = []
    done = threading.Semaphore(0)

    def log(level: str, _source: str, message: str) -> None:
        lines.append((level, message))
        if "Ignoring empty request" in message:
            done.release()

    listener = Listener("127.0.0.1", 0, KEYPAIR, frozenset(), log, newest=newest)  # type: ignore[arg-type]
    listener.start()
    try:
        for _ignored in range(5):
            assert _thumbprint.of_der(served_certificate("127.0.0.1", listener.port, 5)) == KEYPAIR.thumbprint
        assert all(done.acquire(timeout=5) for _ignored in range(5)), lines
    finally:
        listener.stop()
    assert not [line for line in lines if line[0] in ("ERROR", "WARN")]


@pytest.fixture
def door() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        served_certificate("127.0.0.1", port, 5)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 400 Bad Request\r\n\r\n"])
def test_what_does_not_speak_tls(door: socket.socket, answer: bytes) -> None:
    def serve() -> None:
        peer, _address = door.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(OSError, match=r"."):
        served_certificate("127.0.0.1", door.getsockname()[1], 5)
    thread.join()


def test_a_port_that_never_answers(door: socket.socket) -> None:
    with pytest.raises(TimeoutError):
        served_certificate("127.0.0.1", door.getsockname()[1], 0.2)
