# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The three actions as ansible-playbook runs them, over the lab's command line and a running node of it.

Pipelining is off and core is told to keep its remote files: what a killed run would leave is then all there to be searched.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from lab.wire.certificates import Keypair, from_pfx, to_pfx
from lab.wire.listener import Listener
from unit.lab.server_trial import ADMIN, NEW, OLD, TENTACLE, Trial

BACKUP_PASSWORD, PFX_PASSWORD = "MARKER-backup-4711-password", "MARKER-pfx-4712-password"
COLLECTIONS = next(path for path in map(Path, sys.path) if (path / "ansible_collections" / "octofleet").is_dir())
EXECUTABLE = Path(__file__).parents[2] / "lab" / "bin" / "Octopus.Server"


class Stage:
    """A Server, a controller and what a run left of both."""

    def __init__(self, folder: Path, trial: Trial) -> None:
        self.folder, self.trial = folder, trial
        self.store, self.copies = folder / "store", folder / "copies"
        self.shown = ""
        wrapper = folder / "Octopus.Server"
        exports = "\n".join(f"export {name}='{value}'" for name, value in trial.environ.items() if name != "PATH")
        wrapper.write_text(f"#!/bin/sh\n{exports}\nexec '{sys.executable}' '{EXECUTABLE}' \"$@\"\n")
        wrapper.chmod(0o755)
        self.executable = [str(wrapper)]

    def task(self, state: str, register: str, **options: Any) -> dict[str, Any]:
        keys = {"store": str(self.store), "backup_password": BACKUP_PASSWORD, "instance": "node-1", "executable": self.executable}
        return self._task("octo_certificate", register, {"application": "server", "state": state, **keys, **options})

    def api(self, module: str, register: str, **options: Any) -> dict[str, Any]:
        keys = {"server_url": f"http://127.0.0.1:{self.trial.running['node-1'].web_port}", "api_key": ADMIN}
        return self._task(module, register, {**keys, **options})

    @staticmethod
    def _task(module: str, register: str, options: dict[str, Any]) -> dict[str, Any]:
        check = options.pop("check_mode", False)
        return {f"octofleet.octopus.{module}": options, "register": register, "check_mode": check}

    def play(self, *tasks: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """What each task registered."""
        names = [task["register"] for task in tasks]
        # A failure is a result like any other here, and is looked at afterwards.
        caught = [{"block": [task], "rescue": [{"ansible.builtin.meta": "noop"}]} for task in tasks]
        collected = self.folder / "results.json"
        content = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"
        write = {"ansible.builtin.copy": {"dest": str(collected), "content": content, "mode": "0600"}}
        playbook = self.folder / "play.yml"
        playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [*caught, write]}]))
        self.run(playbook)
        found: dict[str, dict[str, Any]] = json.loads(collected.read_text())
        return found

    def run(self, playbook: Path) -> None:
        variables = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
        (self.folder / "inventory").write_text(f"server-1 {variables}\n")
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_REMOTE_TMP": str(self.folder / "remote"),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_PIPELINING": "0",
            "ANSIBLE_LOG_PATH": str(self.folder / "ansible.log"),
            "TMPDIR": str(self.folder / "tmp"),
        }
        (self.folder / "tmp").mkdir(exist_ok=True)
        command = [sys.executable, "-m", "ansible", "playbook", "-vvv", "--diff", "-i", str(self.folder / "inventory"), str(playbook)]
        done = subprocess.run(command, env=environ, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False)
        self.shown += done.stdout + done.stderr
        assert done.returncode == 0, done.stdout + done.stderr

    def started(self) -> list[list[str]]:
        """The argument lists that the stand-in recorded."""
        record = self.folder / "argv.jsonl"
        return [json.loads(line)["argv"] for line in record.read_text().splitlines()] if record.exists() else []


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    trial = Trial(tmp_path)
    trial.start()
    yield Stage(tmp_path, trial)
    trial.close()


def spellings(key: Keypair) -> list[bytes]:
    """A private key as it must not lie about: DER, PEM body, hex, base64."""
    der = load_pem_private_key(key.key_pem, None).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    middle = der[200:400]
    return [middle, middle.hex().encode(), base64.b64encode(der)[200:400], key.key_pem.splitlines()[5]]


def test_a_rotations_keys_from_backup_to_import(stage: Stage) -> None:
    pfx = stage.folder / "user.pfx"
    pfx.write_bytes(to_pfx(NEW, PFX_PASSWORD))
    adopt: dict[str, Any] = {"replaces": OLD.thumbprint.lower(), "source": "pfx", "pfx": str(pfx), "pfx_password": PFX_PASSWORD}
    switch = {"thumbprint": NEW.thumbprint, "replaces": OLD.thumbprint}
    foreign = {"permit": {"schema": 1, "edges": {"server-1": ["*"]}}}
    found = stage.play(
        stage.task("backed_up", "planned", thumbprint=OLD.thumbprint, check_mode=True),
        stage.task("backed_up", "made", thumbprint=OLD.thumbprint, backup_dir=str(stage.copies)),
        stage.task("staged", "staged", **adopt),
        stage.task("staged", "again", **adopt),
        stage.task("active", "bare", **switch),
        stage.task("active", "foreign", **switch, **foreign),
        stage.task("active", "imported", **switch, unguarded=True),
        stage.task("active", "idle", **switch, unguarded=True),
    )
    assert (found["planned"]["changed"], found["planned"]["certificate"]) == (True, None)
    assert (found["made"]["changed"], found["made"]["before"], found["made"]["after"]) == (True, {"backed_up": None}, {"backed_up": OLD.thumbprint})
    assert (found["staged"]["changed"], found["again"]["changed"]) == (True, False)
    assert found["again"]["certificate"] == {**found["staged"]["certificate"]}
    (row,) = found["again"]["instances"]
    assert (row["instance"], row["ok"], row["certificate"]) == ("node-1", True, found["again"]["certificate"])
    assert found["again"]["certificate"]["path"] == str(stage.store / f"{NEW.thumbprint}.pfx")
    assert found["bare"]["failed"]
    assert "without a permit" in found["bare"]["msg"]
    assert found["foreign"]["failed"]
    assert "permit" in found["foreign"]["msg"]
    assert (found["imported"]["changed"], found["idle"]["changed"]) == (True, False)
    assert stage.trial.database.certificate().thumbprint == NEW.thumbprint
    assert [argv[0].partition("-")[0] for argv in stage.started()] == ["export", "export", "import", "export", "export"]
    for folder, key in ((stage.store, OLD), (stage.copies, OLD), (stage.store, NEW)):
        assert from_pfx((folder / f"{key.thumbprint}.pfx").read_bytes(), BACKUP_PASSWORD).keypair() == key
    refuse_traces(stage)


def refuse_traces(stage: Stage) -> None:
    """No password in what was shown, recorded or left; one-use ones in the record of the arguments only."""
    used = [argument.partition("=")[2] for argv in stage.started() for argument in argv if argument.startswith("--pfx-password=")]
    assert len(set(used)) == len(stage.started())
    recorded = (stage.folder / "argv.jsonl").read_bytes()
    assert not any(marker.encode() in recorded for marker in (BACKUP_PASSWORD, PFX_PASSWORD))
    secret = [text.encode() for text in (BACKUP_PASSWORD, PFX_PASSWORD, *used)]
    secret += [base64.b64encode(text) for text in secret] + spellings(OLD) + spellings(NEW)
    assert not any(text in stage.shown.encode() for text in secret)
    mine = {stage.folder / "play.yml", stage.folder / "argv.jsonl", stage.folder / "user.pfx"}
    kept = [path for path in stage.folder.rglob("*") if path.is_file() and path not in mine]
    assert any("AnsiballZ_octo_certificate" in path.name for path in kept), "core kept no payload, so this search proves nothing"
    assert [str(path) for path in kept for text in secret if text in path.read_bytes()] == []


def test_a_new_certificate_of_the_vendor_is_made_once(stage: Stage) -> None:
    stage_it = {"replaces": OLD.thumbprint, "backup_dir": str(stage.copies)}
    found = stage.play(
        stage.task("staged", "planned", check_mode=True, **stage_it),
        stage.task("staged", "made", **stage_it),
        stage.task("staged", "again", **stage_it),
        stage.task("staged", "nothing"),
    )
    assert (found["planned"]["certificate"], found["planned"]["after"]) == (None, {"staged": None})
    assert (found["made"]["changed"], found["again"]["changed"]) == (True, False)
    made = found["made"]["certificate"]
    assert (made["source"], made["subject"], made["key_bits"], found["again"]["certificate"]) == ("vendor", "CN=Octopus Portal", 2048, made)
    assert [argv[0] for argv in stage.started()] == ["new-certificate"]
    assert stage.trial.database.certificate().thumbprint == OLD.thumbprint
    assert found["nothing"]["msg"] == "octo_certificate with state=staged needs replaces."


def test_a_second_run_waits_for_the_workers_that_a_killed_one_left(stage: Stage) -> None:
    """They go on, and hold the lock from the reading of the store on; who waits longer than `timeout` makes nothing of its own."""
    with PosixHost().exclusively(f"/server-1:{stage.store}"):
        found = stage.play(stage.task("staged", "beside", replaces=OLD.thumbprint, timeout=1))
    assert f"/server-1:{stage.store} is being changed by another run (process {os.getpid()}" in found["beside"]["msg"]
    assert stage.started() == []


def test_what_the_server_says_of_its_machines(stage: Stage) -> None:
    listener = Listener("127.0.0.1", 0, TENTACLE, {OLD.thumbprint})
    listener.start()
    try:
        for name, port in (("web-01", listener.port), ("web-02", 1)):
            endpoint = {"CommunicationStyle": "TentaclePassive", "Uri": f"https://127.0.0.1:{port}/", "Thumbprint": TENTACLE.thumbprint}
            stage.trial.database.put_machine("Default", {"Name": name, "Endpoint": endpoint})
        quick = {"poll_interval": 0.1, "attempts": 1, "machine_timeout": 5}
        found = stage.play(
            stage.api("octo_machine_info", "info", spaces=["Default"]),
            stage.api("octo_machine_info", "blind", spaces=["Ops"]),
            stage.api("octo_health_check", "planned", check_mode=True),
            stage.api("octo_health_check", "good", machines=["web-01"], **quick),
            stage.api("octo_health_check", "bad", **quick),
            stage.api("octo_health_check", "judged", fail=False, machines=["web-02"], **quick),
        )
    finally:
        listener.stop()
    info = found["info"]
    assert info["server"]["certificate"] == {"thumbprint": OLD.thumbprint, "signature_algorithm": "sha256RSA"}
    assert [(row["name"], row["style"]) for row in info["machines"]] == [("web-01", "TentaclePassive"), ("web-02", "TentaclePassive")]
    assert all(row["has_tentacle"] for row in info["machines"])
    assert [node["name"] for node in info["nodes"]] == ["node-1"]
    assert "does not see the space Ops" in found["blind"]["msg"]
    assert [row["sentence"] for row in found["planned"]["machines"]] == ["Would be checked.", "Would be checked."]
    assert (found["good"]["healthy"], found["good"]["failed"]) == (True, False)
    assert (found["bad"]["failed"], found["bad"]["healthy"], [row["healthy"] for row in found["bad"]["machines"]]) == (True, False, [True, False])
    assert "1 of 2 machines are not healthy. web-02 in Default: Unavailable" in found["bad"]["msg"]
    assert (found["judged"]["failed"], found["judged"]["healthy"]) == (False, False)
    assert ADMIN not in stage.shown


def test_a_node_is_drained_with_a_note_and_made_active_by_it(stage: Stage) -> None:
    database, noted, journal = stage.trial.database, stage.store / "draining.json", {"journal": str(stage.store)}
    closed = stage.folder / "closed"
    closed.write_text("no folder")
    found = stage.play(
        stage.api("octo_node", "blind", state="drained", journal=str(closed)),
        stage.api("octo_node", "planned", state="drained", check_mode=True, **journal),
        stage.api("octo_node", "drained", state="drained", **journal),
        stage.api("octo_node", "again", state="drained", **journal),
        stage.api("octo_node", "foreign", state="active", name="*", journal=str(stage.copies)),
        stage.api("octo_node", "back", state="active", name="*", **journal),
        stage.api("octo_node", "unknown", state="drained", name="node-9"),
    )
    assert f"{closed}/draining.json could not be written" in found["blind"]["msg"]
    assert "knows no node node-9; it knows node-1" in found["unknown"]["msg"]
    assert [found[name]["changed"] for name in ("planned", "drained", "again", "foreign", "back")] == [True, True, False, False, True]
    assert database.node_history() == [("node-1", "draining"), ("node-1", "active")]
    assert [found[name]["judge_again"] for name in ("planned", "drained", "back")] == [False, False, False]
    (row,) = found["drained"]["nodes"]
    assert (row["name"], row["was_draining"], row["is_draining"], row["running_tasks"]) == ("node-1", False, True, 0)
    assert found["drained"]["diff"] == {"before": {"node-1": "active"}, "after": {"node-1": "drained"}}
    assert (stage.store.is_dir(), noted.exists()) == (True, False)
    assert ADMIN not in stage.shown
