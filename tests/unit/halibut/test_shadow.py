# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shadow against the lab's poller: what it proves, what it must not prove, and what it leaves in a Tentacle's log (measured-tentacle.md 14.2)."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import rendezvous, shadow, shadow_process
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.rendezvous import Pace, Rendezvous
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.shadow import Heard, heard
from ansible_collections.octofleet.octopus.plugins.plugin_utils._shadow import Shadow, shadow_of
from lab.waiting import until
from lab.wire.certificates import Keypair, make_certificate
from lab.wire.poller import Poller, PollingEntry
from unit.halibut.conftest import People

SCALE = 0.01
FIRST, SECOND = "poll://bcdefghjklmnpqrstuvw/", "poll://zyxwvutsrqpnmlkjhgfd/"
QUICK = Pace(greeting=5.0, idle=0.05, answer=5.0, silence=0.2)


class Cast:
    """A shadow in a thread, and what it wrote down."""

    def __init__(self, identity: object, pace: Pace = QUICK) -> None:
        self.lines: list[bytes] = []
        self._listening = shadow_process.bound("127.0.0.1:0")
        self.port = self._listening.getsockname()[1]
        self._stopping = threading.Event()
        self._shadow = Rendezvous(self._listening, identity, self.lines.append, pace)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def heard(self) -> Heard:
        return heard([line for line in self.lines if line], is_running=True)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._shadow.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._shadow.step(0.02)


class Tentacle:
    """A lab poller with its log."""

    def __init__(self, cast: Cast, pin: str, subscription: str = FIRST, quirk: Callable[[str], bool] = lambda _name: True) -> None:
        self.keypair: Keypair = make_certificate("Octopus Tentacle")
        self.lines: list[tuple[str, str]] = []
        entry = PollingEntry(cast.address, pin, subscription)
        self.poller = Poller(entry, self.keypair, lambda level, _source, text: self.lines.append((level, text)), SCALE, quirk=quirk)
        self.poller.start()

    @property
    def errors(self) -> list[str]:
        return [text.split("\n")[0] for level, text in self.lines if level in ("WARN", "ERROR", "FATAL")]


@pytest.fixture
def cast(people: People) -> Iterator[Cast]:
    made = Cast(people.new)
    yield made
    made.stop()


@pytest.fixture
def comes(cast: Cast) -> Iterator[Callable[..., Tentacle]]:
    there: list[Tentacle] = []

    def _come(*given: object, **named: object) -> Tentacle:
        there.append(Tentacle(cast, *given, **named))  # type: ignore[arg-type]
        return there[-1]

    yield _come
    for one in there:
        one.poller.stop()


def live(cast: Cast) -> set[tuple[str, str]]:
    return {(one.subscription, one.thumbprint) for one in cast.heard.subscribers if one.live}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the shadow said to its guests."""
    said: list[bytes] = []
    real = rendezvous._Guest.say
    monkeypatch.setattr(rendezvous._Guest, "say", lambda guest, data: (said.append(data), real(guest, data)))
    return said


def test_who_expects_the_new_certificate_subscribes_and_stays(said: list[bytes], cast: Cast, people: People, comes: Callable[..., Tentacle]) -> None:
    """One error line in all: that of the first Tentacle, which was shown a random certificate before."""
    first = comes(people.new.thumbprint)
    until(lambda: live(cast) == {(FIRST, first.keypair.thumbprint)}, what="the first subscription")
    second = comes(people.new.thumbprint, SECOND)
    until(lambda: len(live(cast)) == 2, what="the second subscription")
    until(lambda: said.count(b"PROCEED\r\n") > 20, what="null messages that were answered")
    assert (len(first.errors), second.errors) == (1, [])
    assert f"with the thumbprint '{people.new.thumbprint}'. Instead, it presented" in first.errors[0]
    assert [level for level, _text in first.lines].count("INFO") == 1, "it never had to call again"
    assert (cast.heard.presents, cast.heard.discriminating) == (people.new.thumbprint, {first.keypair.thumbprint})


def test_who_expects_another_one_shows_its_certificate_and_proves_nothing(cast: Cast, people: People, comes: Callable[..., Tentacle]) -> None:
    proven = comes(people.new.thumbprint)
    until(lambda: len(live(cast)) == 1, what="a subscription")
    other = comes(people.old.thumbprint, SECOND)
    until(lambda: len(other.errors) > 1, what="two refusals")
    assert live(cast) == {(FIRST, proven.keypair.thumbprint)}


def test_who_goes_is_not_connected_any_more(cast: Cast, people: People, comes: Callable[..., Tentacle]) -> None:
    tentacle = comes(people.new.thumbprint)
    until(lambda: len(live(cast)) == 1, what="a subscription")
    tentacle.poller.stop()
    until(lambda: not live(cast), what="its end")
    assert [(one.thumbprint, one.live) for one in cast.heard.subscribers] == [(tentacle.keypair.thumbprint, False)]


def test_who_accepts_anybody_is_found_out(cast: Cast, comes: Callable[..., Tentacle], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.wire.client._check", lambda *_given: "0" * 40)
    comes("0" * 40)
    until(lambda: any(one.to_random for one in cast.heard.subscribers), what="a subscription over a random certificate")
    assert not cast.heard.discriminating


def test_who_shows_no_certificate_is_sent_away_and_spoils_no_control(cast: Cast, people: People, comes: Callable[..., Tentacle]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", cast.port), 5) as plain, context.wrap_socket(plain) as tls:
        tls.sendall(b"MX\r\n\r\nMX-SUBSCRIBER 1.0 poll://stranger/\r\n\r\n")
        with contextlib.suppress(ssl.SSLError, ConnectionResetError):
            assert tls.recv(100) == b""
    comes(people.new.thumbprint)
    until(lambda: cast.heard.discriminating, what="the control")
    assert [one.subscription for one in cast.heard.subscribers] == [FIRST]


# --- What is written down, and how it is read


def test_a_shadow_that_was_started_anew_has_nobody_connected() -> None:
    def event(kind: str, **more: object) -> bytes:
        return shadow.line(kind, at=1.0, **more)

    came = event("subscribed", guest=1, subscription=FIRST, thumbprint="A", random=False)
    lines = [event("listening", presents="N"), event("refused", guest=0, thumbprint="A"), came]
    assert [one.live for one in heard(lines, True).subscribers] == [True]
    assert [one.live for one in heard(lines, False).subscribers] == [False], "its process has ended"
    again = heard([*lines, event("listening", presents="M")], True)
    assert ([one.live for one in again.subscribers], again.presents, again.discriminating) == ([False], "M", {"A"})
    assert not heard([event("listening", presents="N"), came], True).discriminating, "nobody has refused a random certificate"
    assert heard([], False) == Heard()


# --- Its process


@pytest.fixture
def run() -> Iterator[subprocess.Popen[bytes]]:
    """What stands for ansible-playbook."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()
    assert process.stdin is not None
    process.stdin.close()


@pytest.fixture
def port() -> int:
    with shadow_process.bound("127.0.0.1:0") as free:
        return int(free.getsockname()[1])


def test_its_process_outlives_the_task_and_not_the_run(run: subprocess.Popen[bytes], port: int, people: People, tmp_path: Path) -> None:
    made = Shadow(f"127.0.0.1:{port}", f"https://127.0.0.1:{port}", str(tmp_path / "record"), run.pid)
    made.try_port()
    assert not made.is_running()
    made.present(people.new)
    assert (made.is_running(), made.heard().presents) == (True, people.new.thumbprint)
    assert (tmp_path / "record").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in (tmp_path / "record").read_bytes()
    made.present(people.old)
    assert made.heard().presents == people.new.thumbprint, "it is started once"
    run.kill()
    run.wait()
    until(lambda: not made.is_running(), what="its end")


def test_its_process_ends_when_it_is_told(port: int, people: People, tmp_path: Path) -> None:
    made = Shadow(f"127.0.0.1:{port}", f"https://127.0.0.1:{port}", str(tmp_path / "record"), os.getpid())
    made.present(people.new)
    with pytest.raises(OctoError, match="cannot listen"):
        Shadow(made.listen, made.address, str(tmp_path / "other"), os.getpid()).try_port()
    with pytest.raises(OctoError, match="cannot listen"):
        Shadow(made.listen, made.address, str(tmp_path / "other"), os.getpid()).present(people.new)
    made.end()

    until(made.has_port, what="its port")


@pytest.mark.parametrize("address", ["", "controller:11943", "http://controller:11943", "https://controller:11943/x", "https://u@controller"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(OctoError, match=r"octopus_shadow\.address"):
        shadow_of({"listen": "127.0.0.1:1", "address": address}, 1)


def test_without_it_there_is_none() -> None:
    assert shadow_of({}, 1) is None
    assert shadow_of({"listen": None, "address": None}, 1) is None
