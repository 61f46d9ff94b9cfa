# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caller and poller use Halibut's words and rhythm (contracts/halibut-wire.md 3, measured-wire.md c, d, g; golden/log-samples.txt)."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from lab.waiting import until
from lab.wire.caller import CallResult, call
from lab.wire.certificates import Keypair, make_certificate
from lab.wire.limits import Limits
from lab.wire.listener import Listener
from lab.wire.messages import request
from lab.wire.poller import BackOff, Poller, PollingEntry
from lab.wire.queue import RequestQueues
from lab.wire.quirks import every_quirk

TENTACLE, OLD, NEW = make_certificate(), make_certificate("Octopus Portal OLD"), make_certificate("Octopus Portal NEW")
SUBSCRIPTION = "poll://bcdefghjklmnpqrstuvw/"
FAST = Limits.scaled(0.01)
UNTIL_IN_USE = "This usually happens when the client has been configured to expect the server to have the wrong certificate"


class Recorder:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def __call__(self, level: str, source: str, message: str) -> None:
        self.lines.append((level, source, message))

    def heads(self, level: str = "ERROR") -> list[str]:
        """First lines of the entries. With a clock that is scaled by a hundred, 5.0 s are 50 ms, which a busy machine takes longer for: any wait
        within the bounds reads as the least one here; the tests of BackOff hold the exact ones."""
        heads = [message.split("\n")[0] for found, _ignored, message in self.lines if found == level]
        return [
            re.sub(r"(?<=Retrying in )[0-9.]+(?= seconds)", lambda wait: "5.0" if 5 <= float(wait[0]) <= 120 else wait[0], head) for head in heads
        ]

    def count(self, text: str) -> int:
        return sum(text in message for _ignored, _ignored, message in self.lines)


@pytest.fixture
def log() -> Recorder:
    return Recorder()


@contextlib.contextmanager
def listening(
    keypair: Keypair, trusted: set[str], log: Recorder | None = None, port: int = 0, queues: RequestQueues | None = None
) -> Iterator[Listener]:
    found = Listener("127.0.0.1", port, keypair, trusted, log or Recorder(), limits=Limits.scaled(0.02), queues=queues)
    found.start()
    try:
        yield found
    finally:
        found.stop()


def mismatch(uri: str, expected: str, presented: Keypair, subject: str) -> str:
    return (
        f"An error occurred when sending a request to '{uri}', after the request began: The server at {uri} presented an unexpected security "
        f"certificate. We expected the server to present a certificate with the thumbprint '{expected}'. Instead, it presented a certificate with "
        f"a thumbprint of '{presented.thumbprint}' and subject '{subject}'. {UNTIL_IN_USE}, or when the certificate on the server has been "
        "regenerated and the client has not been updated. It may also happen if someone is performing a man-in-the-middle attack on the remote "
        "machine, or if a proxy server is intercepting requests. Please check the certificate used on the server, and verify that the client has "
        "been configured correctly"
    )


# --- the caller -------------------------------------------------------------------------------------------------------------------


def quick(port: int, keypair: Keypair, expected: str, log: Recorder, rpc: bool = True, tries: int = 5) -> tuple[CallResult, list[float]]:
    """A call that does not wait between its tries but notes how long it should have."""
    pauses: list[float] = []
    return call("127.0.0.1", port, keypair, expected, rpc, log=log, sleep=pauses.append, tries=tries), pauses


def test_a_trusted_server_gets_an_answer_and_leaves_no_error(log: Recorder) -> None:
    with listening(TENTACLE, {OLD.thumbprint}, log) as listener:
        result, pauses = quick(listener.port, OLD, TENTACLE.thumbprint, log)
        shown, _ignored = quick(listener.port, OLD, TENTACLE.thumbprint, log, rpc=False)
        assert listener.wait_until_idle(5)
    assert (result.ok, result.presented, result.error_text, pauses) == (True, TENTACLE.thumbprint, None, [])
    assert result.response is not None
    assert (shown.ok, shown.response) == (True, None)
    assert log.heads() == []
    assert log.count(f"Server at [::ffff:127.0.0.1]:{listener.port} identified by thumbprint: {TENTACLE.thumbprint}, using protocol Tls13") == 2


def test_an_untrusted_server_tries_five_times(log: Recorder) -> None:
    with listening(TENTACLE, {OLD.thumbprint}) as listener:
        result, pauses = quick(listener.port, NEW, TENTACLE.thumbprint, log)
    uri = f"https://127.0.0.1:{listener.port}/"
    assert result.error_text == (
        f"An error occurred when sending a request to '{uri}', before the request could begin: Attempted to read past the end of the stream."
    )
    assert (result.ok, result.refused, result.tries, pauses) == (False, True, 5, [1.0] * 4)
    assert log.heads() == [f"Connection initialization failed while connecting to {uri}"] * 5
    assert len(log.heads("INFO")) == 5


@pytest.mark.parametrize("spelling", [str.lower, lambda text: f"{text[:20]} {text[20:]}", lambda text: f"\u200e{text}"])
def test_a_wrong_pin_is_one_attempt_and_an_error_on_both_sides(log: Recorder, spelling: Callable[[str], str]) -> None:
    theirs = Recorder()
    with listening(TENTACLE, {OLD.thumbprint}, theirs) as listener:
        expected = spelling(TENTACLE.thumbprint)
        result, pauses = quick(listener.port, OLD, expected, log)
        assert listener.wait_until_idle(5)
    uri = f"https://127.0.0.1:{listener.port}/"
    assert result.error_text == mismatch(uri, expected, TENTACLE, "CN=Octopus Tentacle") + "."
    assert (result.ok, result.presented, result.tries, pauses) == (False, TENTACLE.thumbprint, 1, [])
    assert log.heads() == [f"Authentication failed while setting up connection to {uri}"]
    assert [re.sub("[0-9.:]+$", "", head) for head in theirs.heads()] == ["Socket IO exception: "]


def test_a_closed_port_and_a_port_that_is_no_listener(log: Recorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        closing = threading.Thread(target=lambda: server.accept()[0].close())  # pylint: disable=unnecessary-lambda
        closing.start()
        first, _ignored = quick(port, OLD, TENTACLE.thumbprint, log, tries=1)
        closing.join(5)
    second, pauses = quick(port, OLD, TENTACLE.thumbprint, log)
    assert first.error_text is not None
    assert not first.refused
    assert str(second.error_text).endswith("before the request could begin: Connection refused")
    assert (second.tries, len(pauses)) == (5, 4)
    refused = (
        f"The remote host at https://127.0.0.1:{port}/ refused the connection. This may mean that the expected listening service is not running."
    )
    assert log.heads()[1:] == [refused] * 5


# --- the back-off ------------------------------------------------------------------------------------------------------------------


def test_the_back_off_follows_the_measured_series() -> None:
    now = 0.0
    back_off = BackOff(clock=lambda: now, factor=1.65)
    tried = []
    for _ignored in range(6):
        back_off.begin()
        tried.append(round(now, 1))
        now += 0.1 + back_off.delay()
    assert tried == [0.0, 5.1, 13.6, 36.2, 96.0, 216.1]
    back_off.reset()
    assert back_off.delay() == 5.0


def test_the_back_off_is_scaled_and_can_be_flat() -> None:
    now = 1.0
    scaled = BackOff(scale=0.1, clock=lambda: now, factor=2)
    scaled.begin()
    flat = BackOff(grows=False, clock=lambda: now, factor=2)
    flat.begin()
    now = 2.0
    assert scaled.delay() == 20.0
    now = 50.0
    assert scaled.delay() == 120.0
    assert flat.delay() == 5.0


# --- the poller ---------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def polling(port: int, thumbprints: list[str], log: Recorder, scale: float = 0.01, off: str = "") -> Iterator[list[Poller]]:
    entries = [PollingEntry(f"https://127.0.0.1:{port}/", thumbprint, SUBSCRIPTION) for thumbprint in thumbprints]
    pollers = [Poller(entry, TENTACLE, log, scale, quirk=lambda name: name != off and every_quirk(name)) for entry in entries]
    for poller in pollers:
        poller.start()
    try:
        yield pollers
    finally:
        for poller in pollers:
            poller.stop()
        assert not any(poller.alive for poller in pollers)


def echo(queues: RequestQueues, text: str) -> object:
    return queues.send(SUBSCRIPTION, request("IEchoService", "Echo", text), 10)["result"]


def test_two_entries_follow_the_server_there_and_back(log: Recorder) -> None:
    queues = RequestQueues()
    with listening(OLD, {TENTACLE.thumbprint}, queues=queues) as listener:
        port = listener.port
        uri = f"https://127.0.0.1:{port}/"
        with polling(port, [OLD.thumbprint, NEW.thumbprint], log):
            assert [echo(queues, str(number)) for number in range(10)] == [str(number) for number in range(10)]
            until(lambda: log.count("Retrying in") >= 2)
            assert [echo(queues, str(number)) for number in range(10)] == [str(number) for number in range(10)]
            assert (
                log.heads()[0] == f"Halibut client exception: {mismatch(uri, NEW.thumbprint, OLD, 'CN=Octopus Portal OLD')}. Retrying in 5.0 seconds"
            )
            listener.stop()
            with listening(NEW, {TENTACLE.thumbprint}, port=port, queues=queues):
                assert echo(queues, "new") == "new"
                assert log.count(f"identified by thumbprint: {NEW.thumbprint}, using protocol Tls13") == 1
            with listening(OLD, {TENTACLE.thumbprint}, port=port, queues=queues):
                assert echo(queues, "old") == "old"
    assert log.count("identified by thumbprint: " + OLD.thumbprint) == 2


def test_a_mismatch_is_logged_whole_and_leaves_the_connection_open(log: Recorder) -> None:
    theirs = Recorder()
    with listening(OLD, {TENTACLE.thumbprint}, theirs) as listener, polling(listener.port, [OLD.thumbprint.lower()], log, scale=1.0):
        until(lambda: log.count("Retrying in 5.0 seconds") == 1)
        assert not listener.wait_until_idle(0.1)
        uri = f"https://127.0.0.1:{listener.port}/"
        text = mismatch(uri, OLD.thumbprint.lower(), OLD, "CN=Octopus Portal OLD")
        level, source, message = log.lines[-1]
        assert (level, source) == ("ERROR", uri)
        lines = message.split("\n")
        assert lines[:3] == [
            f"Halibut client exception: {text}. Retrying in 5.0 seconds",
            f"Halibut.HalibutClientException: {text}.",
            f" ---> {text.partition('began: ')[2]}.",
        ]
        assert 900 < len(lines[0]) < 1200
        assert 2700 < len(message) < 3300
        assert theirs.heads() == []


def test_quirks_of_the_pin_can_be_switched_off(log: Recorder) -> None:
    queues = RequestQueues()
    with listening(OLD, {TENTACLE.thumbprint}, queues=queues) as listener:
        with polling(listener.port, [OLD.thumbprint.lower()], log, off="polling_pin_case_sensitive"):
            assert echo(queues, "x") == "x"
        with polling(listener.port, [NEW.thumbprint], log, scale=1.0, off="mismatch_leaves_socket_open"):
            until(lambda: log.count("Retrying in") == 1)
            assert listener.wait_until_idle(5)


def test_a_refused_loop_waits_longer_each_time(log: Recorder) -> None:
    with listening(OLD, {TENTACLE.thumbprint}) as listener, polling(listener.port, [NEW.thumbprint], log):
        until(lambda: log.count("Retrying in") > log.count("Retrying in 5.0 seconds"))


def test_a_left_connection_ends_in_an_error_on_the_server(log: Recorder) -> None:
    theirs = Recorder()
    listener = Listener("127.0.0.1", 0, OLD, {TENTACLE.thumbprint}, theirs, limits=Limits(connection=0.1))
    listener.start()
    with polling(listener.port, [NEW.thumbprint], log, scale=1.0):
        until(lambda: theirs.heads() != [])
    listener.stop()
    assert theirs.heads()[0].startswith("Socket IO exception: 127.0.0.1:")
    assert "Connection timed out" in next(message for level, _ignored, message in theirs.lines if level == "ERROR")


def test_a_server_that_refuses_us(log: Recorder) -> None:
    with listening(OLD, set()) as listener, polling(listener.port, [OLD.thumbprint], log):
        uri = f"https://127.0.0.1:{listener.port}/"
        until(lambda: log.count("Retrying in") == 2)
    assert log.heads("INFO")[0].startswith("Secure connection established. Server at ")
    assert log.heads()[:2] == [
        "Unexpected exception executing transaction.",
        f"Halibut client exception: An error occurred when sending a request to '{uri}', after the request began: Attempted to read past the end of "
        "the stream. Retrying in 5.0 seconds",
    ]


def test_a_closed_port_is_one_try_a_round(log: Recorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    uri = f"https://127.0.0.1:{port}/"
    with polling(port, [OLD.thumbprint], log):
        until(lambda: log.count("Retrying in") == 2)
    assert (
        log.heads()[:3:2]
        == [f"The remote host at {uri} refused the connection. This may mean that the expected listening service is not running."] * 2
    )
    began = (
        f"Halibut client exception: An error occurred when sending a request to '{uri}', after the request began: Connection refused. Retrying in "
    )
    assert log.heads()[1] == f"{began}5.0 seconds"
    assert log.lines[2][2].split("\n")[2] == " ---> System.Net.Sockets.SocketException (111): Connection refused"


def test_a_port_that_accepts_and_closes_gets_five_tries_a_round(log: Recorder) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ignored = server.accept()
                # The whole ClientHello is read first, so that the end is a FIN and not a reset.
                connection.recv(65536)
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    uri = f"https://127.0.0.1:{server.getsockname()[1]}/"
    with polling(server.getsockname()[1], [OLD.thumbprint], log):
        until(lambda: log.count("Retrying in") == 1)
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)
    assert log.heads()[:5] == ["Unexpected exception executing transaction."] * 5
    assert log.heads()[5].startswith(
        f"Halibut client exception: An error occurred when sending a request to '{uri}', before the request could begin: Received an unexpected EOF "
        "or 0 bytes from the transport stream. Retrying in "
    )


def test_equal_entries_run_two_calls_at_a_time(log: Recorder) -> None:
    queues, together = RequestQueues(), threading.Barrier(2, timeout=5)

    def serve(call: dict[str, object]) -> dict[str, object]:
        together.wait()
        return {"id": call["id"], "error": None, "result": "both"}

    with listening(OLD, {TENTACLE.thumbprint}, queues=queues) as listener:
        entry = PollingEntry(f"https://127.0.0.1:{listener.port}/", OLD.thumbprint, SUBSCRIPTION)
        pollers = [Poller(entry, TENTACLE, log, 0.01, serve_rpc=serve) for _ignored in range(2)]  # type: ignore[arg-type]
        for poller in pollers:
            poller.start()
        answers: list[object] = []
        callers = [threading.Thread(target=lambda: answers.append(echo(queues, "x"))) for _ignored in range(2)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(10)
        for poller in pollers:
            poller.stop()
    assert answers == ["both", "both"]


def test_the_queue_is_idle_with_null_messages_and_a_stopping_poller_leaves_quietly(log: Recorder) -> None:
    theirs, seen = Recorder(), []
    listener = Listener(
        "127.0.0.1", 0, OLD, {TENTACLE.thumbprint}, theirs, limits=Limits(queue_wait=0.02), on_subscriber=lambda *who: seen.append(who)
    )
    listener.start()
    with polling(listener.port, [OLD.thumbprint], log):
        until(lambda: seen == [(SUBSCRIPTION, TENTACLE.thumbprint)])
    assert listener.wait_until_idle(5)
    listener.stop()
    assert theirs.heads() == []
    assert log.heads() == []


def test_a_reset_is_told_as_a_refusal(log: Recorder) -> None:
    faults = {"refuses_by_reset"}
    listener = Listener("127.0.0.1", 0, OLD, set(), Recorder(), faults=lambda: faults)
    listener.start()
    with polling(listener.port, [OLD.thumbprint], log):
        until(lambda: log.count("Retrying in") == 1)
    listener.stop()
    uri = f"https://127.0.0.1:{listener.port}/"
    assert log.heads()[:2] == [
        f"The remote host at {uri} reset the connection. This may mean that the expected listening service does not trust the thumbprint "
        f"{TENTACLE.thumbprint} or was shut down.",
        f"Halibut client exception: The server {uri} aborted the connection before it was fully established. This usually means that the server "
        f"rejected the certificate that we provided. We provided a certificate with a thumbprint of '{TENTACLE.thumbprint}'. Retrying in 5.0 seconds",
    ]
