# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The witness as a process against listeners of this process: one node, two Tentacles."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lab.fleet.folders import Folders
from lab.fleet.processes import birth
from lab.fleet.supervision import TESTS
from lab.server.database import Database
from lab.waiting import until
from lab.wire.certificates import Keypair, make_certificate
from lab.wire.listener import Listener

HOST = "127.0.0.1"


@cache
def keypair(name: str) -> Keypair:
    return make_certificate(name)


class Stage:
    """A node, Tentacles, a database, and the witness that watches them."""

    def __init__(self, root: Path) -> None:
        self.folders = Folders(root)
        self.folders.run.mkdir(parents=True)
        self.database = Database.create(root / "server" / "database.sqlite", keypair=keypair("old"))
        self.lines: list[tuple[str, str]] = []
        self.listeners: list[Listener] = []
        self.node = self.listen(keypair("old"), frozenset())
        self.edges: list[dict[str, Any]] = []

    def listen(self, presents: Keypair, trusted: frozenset[str], port: int = 0) -> Listener:
        listener = Listener(HOST, port, presents, trusted, lambda level, _source, message: self.lines.append((level, message)))
        listener.start()
        self.listeners.append(listener)
        return listener

    def tentacle(self, name: str, *trusted: str, port: int | None = None) -> None:
        """A Tentacle that trusts the certificates of these names, with its record; or only an address where one could be."""
        at = port or self.listen(keypair("tentacle"), frozenset(keypair(each).thumbprint for each in trusted)).port
        uri = {"CommunicationStyle": "TentaclePassive", "Uri": f"https://{HOST}:{at}/", "Thumbprint": keypair("tentacle").thumbprint}
        self.database.put_machine("Default", {"Name": name, "Endpoint": uri})
        where = {"server": "main", "node": "node-1", "style": "listening", "address": HOST, "port": at, "subscription_id": None}
        self.edges.append({"id": name, "unit": f"{name}.service", **where})

    def switch(self, name: str) -> None:
        """What an import and a restart of the node do."""
        self.database.install_certificate(keypair(name))
        port = self.node.port
        self.node.stop()
        self.node = self.listen(keypair(name), frozenset(), port)

    def start(self) -> None:
        node = {"name": "node-1", "address": HOST, "comms_port": self.node.port, "url": "http://127.0.0.1:1", "unit": "node-1.service"}
        servers = [{"name": "main", "database": str(self.database.path), "nodes": [node]}]
        fleet = self.folders.root / "fleet.json"
        fleet.write_text(json.dumps({"servers": servers, "edges": self.edges}), encoding="utf-8")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.witness", str(fleet), "--rate", "20", "--patience", "1"], env={**os.environ, "PYTHONPATH": str(TESTS)}
        )

    def report(self) -> dict[str, Any]:
        try:
            loaded: dict[str, Any] = json.loads((self.folders.run / "witness.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"edges": {each["id"]: {"samples": dict.fromkeys(("ok", "refused", "away", "not_sampled"), 0)} for each in self.edges}}
        return loaded

    def samples(self, name: str, verdict: str) -> int:
        count: int = self.report()["edges"][name]["samples"][verdict]
        return count

    def end(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGTERM)
        self.code = self.process.wait(10)
        return self.report()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.process.kill()
    stage.process.wait()
    for listener in stage.listeners:
        listener.stop()


def test_edges_that_trust_the_presented_certificate_are_fine_and_their_logs_stay_clean(stage: Stage) -> None:
    stage.tentacle("one", "old")
    stage.tentacle("two", "old", "new")
    stage.start()
    until(lambda: stage.samples("one", "ok") > 5 and stage.samples("two", "ok") > 5)
    report = stage.end()
    assert (report["ok"], report["final"], report["refused_seconds"], report["failures"]) == (True, True, 0.0, [])
    assert stage.code == 0
    assert [line for line in stage.lines if line[0] in ("ERROR", "WARN")] == []
    assert report["edges"]["one"]["largest_gap"] < 1.0


def test_it_plays_the_certificate_that_the_node_presents_now(stage: Stage) -> None:
    stage.tentacle("behind", "old")
    stage.tentacle("ready", "old", "new")
    stage.start()
    until(lambda: stage.samples("behind", "ok") > 0 and stage.samples("ready", "ok") > 0)
    stage.switch("new")
    until(lambda: stage.samples("behind", "refused") > 3)
    report = stage.end()
    assert stage.code == 1
    assert report["presents"] == {"main/node-1": keypair("new").thumbprint}
    assert report["edges"]["behind"]["refused_seconds"] > 0.1
    assert report["edges"]["ready"]["samples"]["refused"] == 0
    assert any("behind was refused for" in failure for failure in report["failures"])


def test_while_the_node_is_down_its_last_certificate_is_played(stage: Stage) -> None:
    stage.tentacle("one", "old")
    stage.start()
    until(lambda: stage.samples("one", "ok") > 0)
    stage.node.stop()
    before = stage.samples("one", "ok")
    until(lambda: stage.samples("one", "ok") > before + 20)
    assert stage.end()["ok"] is True


def test_an_unreachable_tentacle_is_away_and_disturbs_nobody(stage: Stage) -> None:
    with socket.create_server((HOST, 0)) as silent:  # it takes the connection and never says a word
        stage.tentacle("one", "old")
        stage.tentacle("silent", port=silent.getsockname()[1])
        stage.tentacle("nobody", port=1)
        stage.start()
        until(lambda: stage.samples("nobody", "away") > 5 and stage.samples("silent", "away") > 0)
        report = stage.end()
    assert report["edges"]["one"]["samples"]["ok"] > 10
    assert report["edges"]["one"]["largest_gap"] < 1.0
    assert report["ok"] is True  # away from the start


def test_a_tentacle_with_another_certificate_than_its_record_is_refused_by_the_pin(stage: Stage) -> None:
    stage.tentacle("one", "old")
    other = {"CommunicationStyle": "TentaclePassive", "Uri": f"https://{HOST}:{stage.edges[0]['port']}/", "Thumbprint": keypair("old").thumbprint}
    stage.database.put_machine("Default", {"Name": "one", "Endpoint": other})
    stage.start()
    until(lambda: stage.samples("one", "refused") > 2)
    assert "the record expects" in stage.end()["failures"][0]


@pytest.mark.parametrize(("state", "verdict"), [("deactivating", "away"), ("active", "refused")])
def test_a_process_that_is_stopping_looks_like_a_refusal_but_is_none(stage: Stage, state: str, verdict: str) -> None:
    """measured-tentacle.md 14.7: 5 of 25 probes in flight at SIGTERM saw the clean end of a real refusal."""
    stage.tentacle("one")
    life = {"state": state, "pid": os.getpid(), "birth": birth(os.getpid()), "started_monotonic_us": 0, "orders": 0}
    stage.folders.publish(stage.folders.units_state, {"one.service": life})
    stage.start()
    until(lambda: stage.samples("one", verdict) > 3)
    counts = stage.end()["edges"]["one"]["samples"]
    assert {name for name, count in counts.items() if count} <= {verdict, "not_sampled"}  # until the node has been looked at


def test_it_ends_with_the_fleet(stage: Stage) -> None:
    stage.tentacle("one", "old")
    stage.start()
    until(lambda: stage.samples("one", "ok") > 0)
    stage.folders.run.rename(stage.folders.root / "gone")
    until(lambda: stage.process.poll() is not None)
