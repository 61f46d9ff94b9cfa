# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""octo_probe from an inventory host that has Python and nothing else: one task, keys on its standard input and in no file."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import write_pfx
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from cryptography.hazmat.primitives import serialization
from unit.halibut import doubles
from unit.halibut.conftest import People

ROOT = Path(__file__).resolve().parents[3]
PASSWORD, PROXY_PASSWORD = "marker-of-the-password", "marker-of-the-proxy"
LEAST = max((3, 8), basic._PY_MIN)  # ours, and core's
OLDEST = sorted(Path.home().glob(f".pyenv/versions/{LEAST[0]}.{LEAST[1]}.*/bin/python"))
BARE = [*(str(python) for python in OLDEST[:1]), sys.executable]

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - octofleet.octopus.octo_probe:
        endpoints: "{{ asked }}"
        identities: "{{ who }}"
        vantage: "{{ there }}"
        reply_timeout: 2
      register: seen
    - ansible.builtin.copy: { content: "{{ seen | to_json }}", dest: "{{ result }}", mode: "0600" }
      delegate_to: localhost
      run_once: true
"""
# Without site-packages, and with a note of each start.
PYTHON = '#!/bin/sh\necho "$$ $*" >> {starts}\nexec {python} -I -S "$@"\n'


class Estate:
    """An inventory whose host *inside* is the one to probe from; Ansible's own temporary files stay below ``folder``."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.starts = folder, folder / "starts"
        interpreter = folder / "python"
        interpreter.write_text(PYTHON.format(starts=self.starts, python=python))
        interpreter.chmod(0o755)
        inside = {"ansible_connection": "local", "ansible_python_interpreter": "{{ where }}/python", "where": str(folder), "ansible_become": True}
        hosts: dict[str, Any] = {"one": {}, "two": {}, "inside": inside, "box": {"ansible_connection": "octofleet.octopus.none"}}
        hosts["windows"] = {"ansible_connection": "winrm", "ansible_shell_type": "powershell"}
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))
        (folder / "play.yml").write_text(PLAY)

    def probe(self, asked: list[Any], who: list[Any], there: str = "inside", *more: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        result = self.folder / "result.json"
        given = {"asked": asked, "who": who, "there": there, "result": str(result)}
        (self.folder / "vars.json").write_text(json.dumps(given))
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        environment.update(
            ANSIBLE_HOME=str(self.folder / "home"),
            ANSIBLE_REMOTE_TEMP=str(self.folder / "remote"),
            ANSIBLE_KEEP_REMOTE_FILES="1",
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".venv" / "collections"),
        )
        command = [sys.executable, "-m", "ansible.cli.playbook", "-i", str(self.folder / "hosts.json"), "-e", f"@{self.folder / 'vars.json'}", *more]
        done = subprocess.run([*command, str(self.folder / "play.yml")], env=environment, text=True, capture_output=True, check=False, timeout=60)
        return done, json.loads(result.read_text()) if result.exists() else {}


@pytest.fixture(params=BARE, ids=["oldest", "ours"][-len(BARE) :])
def estate(request: pytest.FixtureRequest, tmp_path: Path) -> Estate:
    return Estate(tmp_path, request.param)


@pytest.fixture
def pfx(tmp_path: Path, people: People) -> dict[str, str]:
    path = tmp_path / "new.pfx"
    path.write_bytes(write_pfx(people.new, Secret(PASSWORD)))
    return {"name": "new", "pfx": str(path), "pfx_password": PASSWORD}


def test_a_matrix_from_inside(opened: Callable[..., doubles.Port], people: People, estate: Estate, pfx: dict[str, str]) -> None:
    tentacle = opened(trusted={people.new.thumbprint})
    proxy = opened(doubles.proxy(b"HTTP/1.0 200 OK\r\n\r\n", tentacle))
    through = {"host": proxy.host, "port": proxy.port, "username": "octopus", "password": PROXY_PASSWORD}
    asked = [tentacle.address, {"name": "web-02", "address": "web-02.inside", "proxy": through}]
    done, result = estate.probe(asked, [pfx, "random", "none"], "inside", "-vvvv")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = [{name: told["verdict"] for name, told in row["verdicts"].items()} for row in result["endpoints"]]
    assert verdicts == [{"new": "accepted", "random": "refused", "none": "refused"}] * 2
    assert [row["presented"] for row in result["endpoints"]] == [people.tentacle.thumbprint] * 2
    assert len(estate.starts.read_text().splitlines()) == 1, "one start on the host"
    _assert_hidden(done.stdout + done.stderr + json.dumps(result), people)
    for path in (path for path in estate.folder.rglob("*") if path.is_file() and path.name not in ("vars.json", "new.pfx")):
        _assert_hidden(path.read_text(errors="replace"), people)


def _assert_hidden(text: str, people: People) -> None:
    key = people.new.key
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    core = base64.b64encode(der).decode()
    for marker in (PASSWORD, PROXY_PASSWORD, core[100:160], der.hex(), "PRIVATE KEY"):
        assert marker not in text


def test_a_look_over_the_second_address_family(opened: Callable[..., doubles.Port], people: People, tmp_path: Path) -> None:
    try:
        tentacle = opened(doubles.mute, host="::1")
    except OSError as error:
        pytest.skip(f"the loopback interface has no IPv6 address ::1 ({error})")
    done, result = Estate(tmp_path, sys.executable).probe([tentacle.address], [])
    assert done.returncode == 0, done.stdout + done.stderr
    assert (result["endpoints"][0]["address"], result["endpoints"][0]["presented"]) == (tentacle.address, people.tentacle.thumbprint)


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ("elsewhere", "The probe is to be made from elsewhere, which is no host of the inventory. Name one, or controller."),
        ("box", "The connection octofleet.octopus.none of box is not installed."),
        ("windows", "windows is a Windows host. A probe can be made from a host with Python only."),
    ],
)
def test_a_vantage_that_is_none(tmp_path: Path, there: str, words: str) -> None:
    done, _result = Estate(tmp_path, sys.executable).probe(["127.0.0.1:9"], [], there)
    assert done.returncode == 2
    assert words in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_vantage_without_a_working_python(tmp_path: Path, pfx: dict[str, str]) -> None:
    estate = Estate(tmp_path, "/nowhere/python")
    done, _result = estate.probe(["127.0.0.1:9"], [pfx])
    assert done.returncode == 2
    assert "The probe from inside failed:" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_hand_is_not_for_plays(tmp_path: Path) -> None:
    estate = Estate(tmp_path, sys.executable)
    (tmp_path / "play.yml").write_text(PLAY.replace("vantage:", "hand:"))
    done, _result = estate.probe(["127.0.0.1:9"], [], "{}")
    assert done.returncode == 2
    assert "`hand` is for the collection's own use" in done.stdout
