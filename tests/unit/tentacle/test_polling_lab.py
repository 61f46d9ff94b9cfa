# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tentacles that poll as real processes, and a Server that changes its certificate while they run: both pins work, and the log shows it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import instance, log, tls, trust, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Hands
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.fleet.tentacles import configuration_of
from lab.fleet.units import drop_in_folder
from lab.waiting import until
from lab.wire.certificates import Keypair, make_certificate
from lab.wire.limits import Limits
from lab.wire.listener import Listener
from lab.wire.messages import error_of, request
from lab.wire.queue import QueueError, RequestQueues

NEW = make_certificate("Octopus Portal")
SCALE = 0.02  # of the back-off: from a tenth of a second to two and a half
SOON = 20.0


class Estate:
    """A fleet whose Server is played by the test."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        (self.node,) = fleet.server.nodes
        self.old: Keypair = fleet.server.certificate
        self.listeners: list[Listener] = []
        self.queues = RequestQueues(Limits.scaled(SCALE))

    def presents(self, keypair: Keypair, port: int | None = None) -> Listener:
        """A Server at the node's address, or a shadow beside it."""
        trusted = {tentacle.thumbprint for tentacle in self.fleet.tentacles}
        limits = Limits.scaled(SCALE)
        listener = Listener(self.node.address, self.node.comms_port if port is None else port, keypair, trusted, queues=self.queues, limits=limits)
        listener.start()
        self.listeners.append(listener)
        return listener

    def switches_to(self, keypair: Keypair) -> None:
        self.end()
        self.presents(keypair)

    def end(self) -> None:
        for listener in self.listeners:
            listener.stop()
        self.listeners.clear()


class Target:
    """A host of the fleet, as modules see it there."""

    def __init__(self, estate: Estate, host: str) -> None:
        fleet = estate.fleet
        self.estate, self.host, self.unit, self.tentacle = estate, host, fleet.unit(host), fleet.tentacle(host)
        self.paths = fleet.paths(host)
        installation = (str(self.paths.machine_configuration_home), str(self.paths.machine_id), [str(fleet.root / "bin" / "Tentacle")])
        self.installation = Installation(*installation)
        self.hands = Hands(PosixHost(lock_parents=[str(fleet.root)]), tls.served_certificate, SYSTEM_CLOCK)
        self.add = trust.Wish("present", (estate.old.thumbprint, NEW.thumbprint), twin_of=estate.old.thumbprint)

    def row(self) -> instance.Row:
        (row,) = instance.read_instances(self.hands.host, self.tentacle.instance, self.installation, SYSTEM_CLOCK)
        return row

    def seen(self, address: str | None = None) -> dict[str, list[str] | None]:
        names = {self.estate.old.thumbprint: "old", NEW.thumbprint: "new"}
        polls = self.row()["polls"]
        return {names[row["thumbprint"]]: row["seen"] for row in polls if row["address"] == (address or self.estate.node.comms)}

    def wish(self, wish: trust.Wish, permit: visit.Permit | None = None) -> instance.Row:
        (row,) = visit.trust_rows(self.hands, visit.TrustTask(self.tentacle.instance, wish, permit=permit), self.installation)
        return row

    def answers(self, seconds: float = 1.0) -> bool:
        """Whether a call through the queue of its subscription comes back."""
        try:
            return error_of(self.estate.queues.send(self.tentacle.uri, request("ICapabilitiesServiceV2", "GetCapabilities"), seconds)) is None
        except QueueError:
            return False

    def works(self) -> None:
        """Within its back-off. A call may be given to a connection that has just been cut, and is lost with it (halibut-wire.md 3.2)."""
        until(self.answers, SOON, what="an answer")

    @property
    def log(self) -> Path:
        return self.paths.configuration.parent / "Logs" / "OctopusTentacle.txt"

    def log_level(self, level: str) -> None:
        folder = drop_in_folder(self.estate.fleet.folders.units, self.tentacle.unit)
        (folder / "level.conf").write_text(f'[Service]\nEnvironment="OCTOPUS__TENTACLE__LOGLEVEL={level}"\n')
        self.estate.fleet.run(["systemctl", "daemon-reload"]).check_returncode()


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(FleetSpec(tentacles=0, polling=7, time_scale=SCALE)) as fleet:
        fleet.unit("node-1").stop()
        yield fleet


@pytest.fixture
def estate(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Estate]:
    monkeypatch.setenv("PATH", fleet.env["PATH"])
    estate = Estate(fleet)
    estate.presents(estate.old)
    yield estate
    estate.end()


def test_both_pins_work_in_one_process_and_the_log_follows(estate: Estate) -> None:
    target = Target(estate, "poll-01")
    before = target.row()
    assert (before["communication"], len(before["polls"])) == ("polling", 1)
    row = target.wish(target.add)
    assert (row["ok"], row["restarted"], row["restart_pending"], row["proven"]["polls"]) == (True, True, "no", {"met": 2, "of": 2})
    assert row["proven"]["serving"] is None
    assert target.seen() == {"old": ["started", "identified"], "new": ["started", "armed"]}
    target.works()
    estate.switches_to(NEW)
    target.works()
    assert target.seen()["new"] == ["started", "armed", "identified"]
    until(lambda: target.seen()["old"] == ["started", "armed"], SOON, what="the refusal of the loop for the old certificate")
    estate.switches_to(estate.old)
    target.works()
    until(lambda: target.seen() == {"old": ["started", "armed", "identified"], "new": ["started", "armed"]}, SOON, what="the way back")
    assert target.row()["service"]["pid"] == row["service"]["pid"]
    assert not target.wish(target.add)["changed"]


def test_the_overlap_ends_and_only_the_new_certificate_is_met(estate: Estate) -> None:
    target = Target(estate, "poll-02")
    absent = trust.Wish("absent", (estate.old.thumbprint,))
    permit = visit.Permit((target.tentacle.instance,), NEW.thumbprint, estate.old.thumbprint)
    assert target.wish(absent, permit)["code"] == "LAST_ENTRY"
    assert target.wish(target.add)["ok"]
    estate.switches_to(NEW)
    row = target.wish(absent, permit)
    assert (row["ok"], row["proven"]["polls"], target.seen()) == (True, {"met": 1, "of": 1}, {"new": ["started", "identified"]})
    target.works()
    estate.switches_to(estate.old)
    until(lambda: target.seen() == {"new": ["started", "armed"]}, SOON, what="the refusal of the old certificate")
    assert not target.answers(0.3)
    target.unit.restart()
    until(lambda: target.seen() == {"new": ["started", "armed"]}, SOON, what="the same from another process, and nothing of the first one's")


def test_a_server_that_is_away_keeps_nobody_from_being_expanded(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit, "POLLS_PATIENCE", 0.5)
    target = Target(estate, "poll-03")
    estate.end()
    row = target.wish(target.add)
    assert (row["ok"], row["restarted"], row["proven"]["polls"]) == (True, True, {"met": 0, "of": 2})
    until(lambda: target.seen() == {"old": ["started"], "new": ["started"]}, SOON, what="the start-up lines")
    estate.presents(NEW)
    target.works()
    assert target.seen()["new"] == ["started", "identified"]
    os.replace(target.log, target.log.with_name("OctopusTentacle.0.txt"))
    assert (
        estate.fleet.run([str(estate.fleet.root / "bin/Tentacle"), "show-thumbprint", f"--instance={target.tentacle.instance}"], "poll-03").returncode
        == 0
    )
    assert target.log.exists()
    assert target.seen()["new"] == ["started", "identified"]


@pytest.mark.parametrize(("host", "level", "new"), [("poll-04", "Warn", ["armed"]), ("poll-05", "Off", [])])
def test_a_quiet_log_is_no_evidence_and_no_failure(estate: Estate, monkeypatch: pytest.MonkeyPatch, host: str, level: str, new: list[str]) -> None:
    monkeypatch.setattr(visit, "POLLS_PATIENCE", 2.0)
    target = Target(estate, host)
    target.log_level(level)
    row = target.wish(target.add)
    assert (row["ok"], row["restarted"], row["restart_pending"], row["pins_in_process"]) == (True, True, "no", None)
    assert target.seen() == {"old": [], "new": new}
    target.works()
    estate.switches_to(NEW)
    target.works()
    assert target.seen()["new"] == new  # nothing that would say moved


def test_a_shadow_is_not_the_server(estate: Estate) -> None:
    """It presents the new certificate before the Server does (measured-tentacle.md 14.2): only the address tells them apart."""
    target = Target(estate, "poll-06")
    shadow = estate.presents(NEW, 0)
    address = f"https://{estate.node.address}:{shadow.port}"
    configuration = configuration_of(estate.fleet.folders, target.tentacle)
    (entry,) = configuration.trusted_servers
    configuration.set_trusted_servers([entry, replace(entry, thumbprint=NEW.thumbprint, address=address)])
    row = target.wish(trust.Wish("present", (NEW.thumbprint,), twin_of=estate.old.thumbprint))
    assert row["ok"]
    assert [(one.thumbprint, one.address) for one in configuration_of(estate.fleet.folders, target.tentacle).trusted_servers] == [
        (estate.old.thumbprint, estate.node.comms),
        (NEW.thumbprint, address),
        (NEW.thumbprint, estate.node.comms),
    ]
    until(lambda: target.seen(address) == {"new": ["started", "identified"]}, SOON, what="the shadow")
    assert target.seen() == {"old": ["started", "identified"], "new": ["started", "armed"]}


@contextmanager
def closing_at_once(address: str, port: int) -> Iterator[None]:
    """Something at the Server's address that accepts and hangs up; the ClientHello is read first, so that the end is a FIN and not a reset."""
    server = socket.create_server((address, port))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _caller = server.accept()
                connection.recv(65536)
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(SOON)


def test_a_port_that_closes_at_once_is_no_server_that_was_refused(estate: Estate) -> None:
    """Five failures, and a pause before the next five (measured-wire.md g): what the log is full of is no evidence, and hides none."""
    target = Target(estate, "poll-07")
    estate.end()
    folder = str(target.log.parent)

    def told() -> list[str]:
        found = log.story(target.hands.host, folder, target.row()["service"]["pid"])
        return list(found.beginning) if found else []

    def pauses() -> list[int]:
        return [number for number, message in enumerate(told()) if "Retrying in" in message]

    with closing_at_once(estate.node.address, estate.node.comms_port):
        target.unit.restart()
        until(lambda: len(pauses()) > 1, SOON, what="two rounds of tries")
        first, second = pauses()[:2]
        failures = [number for number, message in enumerate(told()) if message.endswith("  Unexpected exception executing transaction.")]
        assert [sum(1 for one in failures if one < first), sum(1 for one in failures if first < one < second)] == [5, 5]
        assert target.seen() == {"old": ["started"]}
    estate.presents(estate.old)
    until(lambda: target.seen() == {"old": ["started", "identified"]}, SOON, what="the Server itself")
