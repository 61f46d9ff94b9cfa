# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Marker secrets are nowhere but where a person put them, also after kill -9 (issue 3, E.7; decisions 20, 21)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from e2e import plays, processes
from e2e.hunting import OF_THE_LAB, Allowed, Hunt, Marker, Trace, file, key, one_use_passwords, text
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.waiting import until
from lab.wire.certificates import make_certificate, to_pfx

PFX_PASSWORD = "Marker-4711-password-of-the-users-pfx"
ALLOWED = (
    *OF_THE_LAB,
    Allowed("person/user.pfx", frozenset({"the user's PFX"}), "the file that the person offers"),
    Allowed("person/variables.json", frozenset({"the PFX's password"}), "the person's own variables"),
)


class Scene:
    """A fleet, a person with a PFX, and a controller that keeps and shows as much as core can be told to."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.old = fleet.server.certificate.thumbprint
        self.new = make_certificate("Octopus Portal")
        pfx = to_pfx(self.new, PFX_PASSWORD)
        person = fleet.root / "person"
        person.mkdir()
        (person / "user.pfx").write_bytes(pfx)
        self._variables = person / "variables.json"
        given = {"octopus_new_certificate": "pfx", "octopus_pfx": str(person / "user.pfx"), "octopus_pfx_password": PFX_PASSWORD}
        self._variables.write_text(json.dumps(given), encoding="utf-8")
        self.markers = [
            text("the API key", fleet.server.api_key),
            text("the backup password", fleet.backup_password),
            text("the PFX's password", PFX_PASSWORD),
            key("the old key", fleet.server.certificate),
            key("the new key", self.new),
            file("the user's PFX", pfx),
        ]

    def start(self, **more: str) -> plays.Running:
        root = self.fleet.root
        (root / "tmp" / "target").mkdir(parents=True, exist_ok=True)
        env = {
            "ANSIBLE_LOG_PATH": str(root / "ansible.log"),
            "ANSIBLE_HOME": str(root / "ansible"),
            "ANSIBLE_PIPELINING": "0",
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_REMOTE_TMP": str(root / "tmp" / "target"),
            "TMPDIR": str(root / "tmp"),
            **more,
        }
        variables = {"octopus_retire": self.old, "octopus_commit": True}
        return plays.start(self.fleet, plays.ROTATE, "-vvvv", "--diff", "-e", f"@{self._variables}", variables=variables, env=env)

    def is_importing(self) -> bool:
        record = self.fleet.root / "records" / "argv.jsonl"
        return record.exists() and b'"import-certificate"' in record.read_bytes()

    def sealed(self) -> list[Path]:
        """PFX files on the node that are sealed with a one-use password."""
        return list((self.fleet.root / "tmp").glob("octofleet-private-*/*.pfx"))

    def found(self, onlooker: processes.Onlooker) -> list[Trace]:
        hunt = Hunt(self.fleet.root, self.markers, one_use_passwords(self.fleet.root))
        return hunt.files() + hunt.arguments(onlooker.arguments) + hunt.environments(onlooker.environments)


@pytest.fixture
def scene() -> Iterator[Scene]:
    # A vendor's command takes long enough to be killed in the middle.
    with Fleet(FleetSpec(tentacles=2, cli_cost=0.3)) as fleet:
        yield Scene(fleet)


def forbidden(found: list[Trace]) -> list[Trace]:
    return [trace for trace in found if not any(place.covers(trace) for place in ALLOWED)]


def test_nothing_is_left_by_a_killed_run_nor_by_the_one_that_ends_it(scene: Scene) -> None:
    running = scene.start()
    with processes.Onlooker(running.process.pid) as killed:
        until(lambda: scene.is_importing() or running.process.poll() is not None, 600, every=0.005, what="the import")
        assert running.process.poll() is None, running.finish().text
        processes.kill_tree(running.process.pid)
        running.process.wait()
    assert forbidden(scene.found(killed)) == []
    assert scene.sealed(), "the import was not killed in the middle"
    running = scene.start()
    with processes.Onlooker(running.process.pid) as ended:
        play = running.finish()
    assert play.rc == 0, play.text
    assert play.report["new"] == scene.new.thumbprint
    found = scene.found(ended)
    assert forbidden(found) == []
    assert [place for place in ALLOWED if not any(place.covers(trace) for trace in found)] == [], "a place is allowed for no reason"
    assert scene.sealed() == [], "whoever read the process list could open it"
    _refuse_blindness(scene.fleet.root, killed, ended)


def _refuse_blindness(root: Path, *onlookers: processes.Onlooker) -> None:
    """The search had something to search: payloads that core kept, its log, vendor commands seen while they ran."""
    kept = {path.name for path in (root / "tmp").rglob("AnsiballZ_*")}
    assert {"AnsiballZ_octo_trust.py", "AnsiballZ_octo_certificate.py", "AnsiballZ_octo_service.py"} <= kept
    assert (root / "ansible.log").stat().st_size > 10_000
    for onlooker in onlookers:
        assert any(word.startswith(b"--pfx-password=") for argv in onlooker.arguments for word in argv)
        assert any(b"ANSIBLE_LOG_PATH=" in environment for environment in onlooker.environments)


def test_debugging_is_refused_where_it_would_show_a_key(scene: Scene) -> None:
    """ANSIBLE_DEBUG makes core print what every module is given and answers."""
    play = scene.start(ANSIBLE_DEBUG="1").finish()
    refusals = [event["result"]["msg"] for event in play.events if event["event"] == "failed"]
    assert play.rc != 0
    assert "ANSIBLE_DEBUG shows and logs whatever modules are given and answer. Nothing was done." in refusals[0]
    assert forbidden(Hunt(scene.fleet.root, scene.markers).files()) == []
    assert not (scene.fleet.root / "records" / "argv.jsonl").read_bytes().count(b"--pfx-password")


# -- the searcher itself


@pytest.fixture(scope="module")
def markers() -> list[Marker]:
    pair = make_certificate("Octopus Portal")
    return [text("the API key", "API-0123456789ABCDEF"), key("the old key", pair), file("the user's PFX", to_pfx(pair, "secret"))]


def test_every_planted_leak_is_found(markers: list[Marker], tmp_path: Path) -> None:
    """Each spelling of each marker: in a file, in a result, in a stand-in's and in a process's argument and environment."""
    (tmp_path / "records").mkdir()
    for marker in markers:
        for spelling, leak in marker.spellings.items():
            planted = _plant(tmp_path, leak)
            hunt = Hunt(tmp_path, markers)
            wanted = (marker.name, spelling)
            assert {trace.place for trace in hunt.files() if trace[1:] == wanted} == planted
            assert wanted in {trace[1:] for trace in hunt.arguments([(b"Octopus.Server", b"--pfx-password=" + leak)])}
            assert wanted in {trace[1:] for trace in hunt.environments([b"PATH=/bin\0KEY=" + leak + b"\0"])}
            for place in planted:
                (tmp_path / place).unlink()
            assert hunt.files() == []


def _plant(root: Path, leak: bytes) -> set[str]:
    """Where it was planted: what is text stands in JSON, too."""
    (root / "left.tmp").write_bytes(os.urandom(50) + leak + os.urandom(50))
    if not leak.isascii() or not leak.decode().isprintable() or b"\\" in leak:
        return {"left.tmp"}
    notes = _note(["import-certificate", f"--pfx-password={leak.decode()}"]) + _note([], HIDDEN=leak.decode())
    (root / "events.jsonl").write_text(json.dumps({"result": {"stdout": f"x{leak.decode()}y"}}), encoding="utf-8")
    (root / "records" / "argv.jsonl").write_text(notes, encoding="utf-8")
    return {"left.tmp", "events.jsonl", "records/argv.jsonl"}


def test_whole_files_are_recognised_however_they_travel(tmp_path: Path) -> None:
    """PEM, PKCS#1, base64 of either, hex of all: none of the spellings above is planted as such."""
    pair = make_certificate("Octopus Portal")
    pfx = to_pfx(pair, None)
    loaded = load_pem_private_key(pair.key_pem, None)
    der = loaded.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    traditional = loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    hunt = Hunt(tmp_path, [key("the key", pair), file("the PFX", pfx)])
    for leak in (pair.key_pem, traditional, json.dumps(pair.key_pem.decode()).encode(), *_travelling(der)):
        (tmp_path / "leak").write_bytes(leak)
        assert "the key" in {trace.marker for trace in hunt.files()}
    for leak in _travelling(pfx):
        (tmp_path / "leak").write_bytes(leak)
        assert "the PFX" in {trace.marker for trace in hunt.files()}


def _travelling(data: bytes) -> tuple[bytes, ...]:
    return data, data.hex().encode(), base64.b64encode(data), base64.encodebytes(data), repr(data).encode()


def test_a_one_use_password_is_allowed_in_the_vendors_arguments_only(tmp_path: Path) -> None:
    password = "0123456789abcdef0123456789abcdef0123456789a"
    (tmp_path / "records").mkdir()
    record = tmp_path / "records" / "argv.jsonl"
    record.write_text(_note(["export-certificate", f"--pfx-password={password}"]), encoding="utf-8")
    assert one_use_passwords(tmp_path) == {password}
    hunt = Hunt(tmp_path, [], [password])
    assert hunt.files() == []
    assert hunt.arguments([(b"Octopus.Server", b"--pfx-password=" + password.encode())]) == []
    assert hunt.arguments([(b"echo", password.encode())])
    assert hunt.environments([b"PASSWORD=" + password.encode()])
    record.write_text(_note([f"--other={password}"]) + _note([f"--pfx-password={password}"], SECRET=password), encoding="utf-8")
    (tmp_path / "output").write_text(f'{{"password": "{password}"}}', encoding="utf-8")
    assert {trace.place for trace in hunt.files()} == {"records/argv.jsonl", "output"}


def _note(argv: list[str], **environ: str) -> str:
    note: dict[str, Any] = {"pid": 1, "program": "Octopus.Server", "argv": argv, "environ": environ, "time": 0.0}
    return json.dumps(note) + "\n"
