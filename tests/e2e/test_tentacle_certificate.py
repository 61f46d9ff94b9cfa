# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tentacles get new certificates by hand: backed up, staged, active, restarted; once, and with no secret left anywhere (issue 3, C.3)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e import plays, processes
from e2e.hunting import OF_THE_LAB, Allowed, Hunt, Marker, file, key, one_use_passwords, text
from e2e.looks import Looks, Starts
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.fleet.tentacles import configuration_of
from lab.tentacle.configuration import CERTIFICATE
from lab.wire.caller import call
from lab.wire.certificates import Keypair, from_pfx, make_certificate, to_pfx

PFX_PASSWORD = "Marker-4711-password-of-the-users-pfx"
HOSTS = ("web-01", "web-02")
SECOND = "Second-web-02"  # an instance that is no part of it
# What the vendor's agent keeps plain in its account's home, and encrypted in the configuration (tentacle-cli.md 3.5, 3.7).
KEYS = frozenset(f"the {which} key of {host}" for which in ("old", "new") for host in HOSTS)
ALLOWED = (
    *OF_THE_LAB,
    Allowed("person/user.pfx", frozenset({"the user's PFX"}), "the file that the person offers"),
    Allowed("person/variables.json", frozenset({"the PFX's password"}), "the person's own variables"),
    Allowed("hosts/*/root/.dotnet/*.pfx", KEYS, "the agent's own store"),
    Allowed("hosts/*/tentacle.config*", frozenset(f"the encrypted key of {host}" for host in HOSTS), "the configuration, and our copies of it"),
)


class Scene:
    """Two hosts, the second with two instances and with a person's PFX for one of them."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.old = {host: fleet.tentacle(host).keypair for host in HOSTS}
        self.offered = make_certificate("web-02")
        person = fleet.root / "person"
        person.mkdir()
        (person / "user.pfx").write_bytes(to_pfx(self.offered, PFX_PASSWORD))
        self._variables = person / "variables.json"
        given = {"pfx_password": PFX_PASSWORD, "retired": {host: pair.thumbprint for host, pair in self.old.items() if pair}}
        self._variables.write_text(json.dumps(given), encoding="utf-8")
        self._playbook = person / "play.yml"
        self._playbook.write_text(yaml.safe_dump([{"hosts": "octopus_tentacles", "gather_facts": False, "tasks": self._tasks()}]), encoding="utf-8")
        self._encrypted = [
            file(f"the encrypted key of {host}", base64.b64decode(configuration_of(fleet.folders, fleet.tentacle(host)).store.get(CERTIFICATE) or ""))
            for host in HOSTS
        ]

    def _tasks(self) -> list[dict[str, Any]]:
        host = {"executable": "{{ octopus_tentacle_executable }}", "machine_configuration_home": "{{ octopus_machine_configuration_home }}"}
        host["machine_id_file"] = "{{ octopus_machine_id_file }}"
        keys = {"store": "{{ octopus_store }}/{{ inventory_hostname }}", "backup_password": "{{ octopus_backup_password }}"}
        common = {"application": "tentacle", "instance": "*", **host, **keys}
        users = {"pfx": str(self.fleet.root / "person" / "user.pfx"), "pfx_password": "{{ pfx_password }}"}
        source = {"source": "{{ 'pfx' if inventory_hostname == 'web-02' else 'vendor' }}"}
        old = {"replaces": "{{ retired[inventory_hostname] }}"}
        new = {"thumbprint": "{{ staged.certificate.thumbprint | default(omit, true) }}", "unguarded": True}
        given = {**common, "backup_dir": "{{ octopus_backup_dir }}"}
        active = {"octofleet.octopus.octo_certificate": {**common, "state": "active", **old, **new}, "register": "active"}
        restart = {"octofleet.octopus.octo_service": {"instance": "{{ active.instances[0].instance }}", "state": "restarted_if_stale", **host}}
        return [
            {"octofleet.octopus.octo_certificate": {**given, "state": "backed_up"}},
            {"octofleet.octopus.octo_certificate": {**given, "state": "staged", **old, **source, **users}, "register": "staged"},
            {**active, "when": "staged.certificate is not none"},
            {**restart, "when": "active is not skipped"},
        ]

    def start(self, *arguments: str) -> plays.Running:
        root = self.fleet.root
        (root / "tmp" / "target").mkdir(parents=True, exist_ok=True)
        env = {
            "ANSIBLE_LOG_PATH": str(root / "ansible.log"),
            "ANSIBLE_HOME": str(root / "ansible"),
            "ANSIBLE_PIPELINING": "0",
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_REMOTE_TMP": str(root / "tmp" / "target"),
            "TMPDIR": str(root / "tmp"),
        }
        return plays.start(self.fleet, str(self._playbook), "-vvvv", "--diff", "-e", f"@{self._variables}", *arguments, env=env)

    def play(self, *arguments: str) -> plays.Play:
        play = self.start(*arguments).finish()
        assert play.rc == 0, play.text
        return play

    def presented(self, host: str, instance: str | None = None) -> str | None:
        """By the Server's own way to it."""
        tentacle = self.fleet.tentacle(host, instance)
        return call(tentacle.address, tentacle.port, self.fleet.server.certificate, tentacle.thumbprint, rpc=False).presented

    def stored(self, host: str, thumbprint: str) -> Keypair:
        pair = from_pfx((self.fleet.root / "store" / host / f"{thumbprint}.pfx").read_bytes(), self.fleet.backup_password).keypair()
        assert pair is not None
        return pair

    def markers(self, new: dict[str, Keypair]) -> list[Marker]:
        found = [text("the API key", self.fleet.server.api_key), text("the backup password", self.fleet.backup_password)]
        found += [text("the PFX's password", PFX_PASSWORD), file("the user's PFX", (self.fleet.root / "person" / "user.pfx").read_bytes())]
        found += [key(f"the old key of {host}", pair) for host, pair in self.old.items() if pair]
        return [*found, *(key(f"the new key of {host}", pair) for host, pair in new.items()), *self._encrypted]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with Fleet(FleetSpec(tentacles=2, quirks=("second_instance:web-02",))) as fleet:
        yield Scene(fleet)


def test_new_certificates_once_and_nothing_left_of_their_keys(scene: Scene) -> None:
    second = scene.presented("web-02", SECOND)
    before, starts = Looks.of(scene.fleet), Starts(scene.fleet)
    scene.play("--check")
    assert [name for name in Looks.of(scene.fleet).since(before) if not name.startswith(("play-", "ansible", "tmp/"))] == []
    assert starts.writing() == []

    running = scene.start()
    with processes.Onlooker(running.process.pid) as onlooker:
        play = running.finish()
    assert play.rc == 0, play.text
    new = {host: scene.stored(host, str(scene.presented(host))) for host in HOSTS}
    assert new["web-02"] == scene.offered
    assert not {pair.thumbprint for pair in new.values()} & {pair.thumbprint for pair in scene.old.values() if pair}
    assert scene.presented("web-02", SECOND) == second
    assert sorted(argv[0] for program, argv in starts.all() if program == "Tentacle" and argv[0] != "run") == sorted(
        ["new-certificate", "import-certificate", "import-certificate"]
    )
    for host, pair in scene.old.items():
        assert pair is not None
        assert scene.stored(host, pair.thumbprint) == pair
        assert (scene.fleet.root / "backup" / f"{pair.thumbprint}.pfx").exists()

    starts = Starts(scene.fleet)
    assert scene.play().changed == []
    assert starts.writing() == []
    refuse_traces(scene, scene.markers(new), onlooker)


def refuse_traces(scene: Scene, markers: list[Marker], onlooker: processes.Onlooker) -> None:
    root = scene.fleet.root
    hunt = Hunt(root, markers, one_use_passwords(root))
    found = hunt.files() + hunt.arguments(onlooker.arguments) + hunt.environments(onlooker.environments)
    assert [trace for trace in found if not any(place.covers(trace) for place in ALLOWED)] == []
    assert [place for place in ALLOWED if not any(place.covers(trace) for trace in found)] == [], "a place is allowed for no reason"
    assert list((root / "tmp").glob("octofleet-private-*")) == []
    kept = {path.name for path in (root / "tmp").rglob("AnsiballZ_*")}
    assert "AnsiballZ_octo_certificate.py" in kept, "core kept no payload, so this search proves nothing"
    assert any(word.startswith(b"--pfx-password=") for argv in onlooker.arguments for word in argv)
    assert Path(root / "ansible.log").stat().st_size > 10_000
