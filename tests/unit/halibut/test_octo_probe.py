# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""octo_probe in a real play: once for all hosts, rows in the asked order, nothing secret in what is printed."""

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
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import write_pfx
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import options, probe
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from cryptography.hazmat.primitives import serialization
from unit.halibut import doubles
from unit.halibut.conftest import People

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "marker-of-the-password"

PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - octofleet.octopus.octo_probe: {{ endpoints: "{{{{ asked }}}}", identities: "{{{{ who }}}}", reply_timeout: 2 }}
      register: seen
      {once}
    - ansible.builtin.copy: {{ content: "{{{{ seen | to_json }}}}", dest: "{{{{ result }}}}", mode: "0600" }}
      delegate_to: localhost
      run_once: true
      check_mode: false
"""


def play(folder: Path, asked: list[Any], who: list[Any], *more: str, once: str = "") -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    (folder / "play.yml").write_text(PLAY.format(once=once))
    (folder / "vars.json").write_text(json.dumps({"asked": asked, "who": who, "result": str(folder / "result.json"), "ansible_connection": "local"}))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    environment.update(ANSIBLE_HOME=str(folder / "home"), ANSIBLE_NOCOLOR="1", ANSIBLE_COLLECTIONS_PATH=str(ROOT / ".venv" / "collections"))
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "one,two,three,", "-e", f"@{folder / 'vars.json'}", *more]
    command.append(str(folder / "play.yml"))
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=60)
    result = folder / "result.json"
    return done, json.loads(result.read_text()) if result.exists() else {}


@pytest.fixture
def pfx(tmp_path: Path, people: People) -> dict[str, str]:
    path = tmp_path / "new.pfx"
    path.write_bytes(write_pfx(people.new, Secret(PASSWORD)))
    return {"name": "new", "pfx": str(path), "pfx_password": PASSWORD}


DELEGATED = "run_once: true\n      delegate_to: localhost"


@pytest.mark.parametrize(("once", "more"), [("", ["-vvv"]), (DELEGATED, ["--check", "--diff"])], ids=["bypass", "run_once-check"])
def test_one_task_for_the_whole_play(
    opened: Callable[..., doubles.Port], people: People, tmp_path: Path, pfx: dict[str, str], once: str, more: list[str]
) -> None:
    trusting, other = opened(trusted={people.new.thumbprint}), opened(trusted=set())
    asked = [{"name": "web-02", "address": other.host, "port": other.port}, f"https://{trusting.address}/"]
    done, result = play(tmp_path, asked, [pfx, "random", "none"], *more, once=once)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok: [") == 1, "one line, not one for each host"
    first, second = result["endpoints"]
    assert (first["name"], first["address"], first["presented"]) == ("web-02", other.address, people.tentacle.thumbprint)
    assert {name: told["verdict"] for name, told in first["verdicts"].items()} == dict.fromkeys(("new", "random", "none"), "unproven")
    assert "no accepted certificate followed" in first["error"]
    assert {name: told["verdict"] for name, told in second["verdicts"].items()} == {"new": "accepted", "random": "refused", "none": "refused"}
    assert (second["error"], second["tls"], result["changed"]) == (None, "TLSv1.3", False)
    assert result["counts"]["new"] == {"unproven": 1, "accepted": 1}
    assert result["identities"]["new"] == people.new.thumbprint
    assert [len(port.settled(3)) for port in (trusting, other)] == [3, 3]
    _assert_hidden(done.stdout + done.stderr + json.dumps(result), people)


def _assert_hidden(text: str, people: People) -> None:
    der = people.new.key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for marker in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode().rstrip("="), der.hex(), base64.b64encode(der).decode(), "PRIVATE KEY"):
        assert marker not in text


def test_a_pfx_that_cannot_be_used_fails_in_a_sentence(tmp_path: Path, people: People, pfx: dict[str, str]) -> None:
    done, _result = play(tmp_path, ["127.0.0.1:9"], [{**pfx, "pfx_password": "another"}])
    assert done.returncode == 2
    assert f"The password does not open the PFX {pfx['pfx']} (or the file is damaged)." in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    _assert_hidden(done.stdout + done.stderr, people)


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ("old", "neither 'random' nor 'none'"),
        ({"pfx_password": PASSWORD}, "neither 'random' nor 'none'"),
        ({"pfx": "a", "password": PASSWORD}, "neither 'random' nor 'none'"),
    ],
    ids=str,
)
def test_an_identity_that_is_none_is_refused_without_its_values(identity: Any, words: str) -> None:
    with pytest.raises(OctoError, match=words) as refused:
        options.callers([identity], lambda _path: b"")
    assert PASSWORD not in refused.value.message


@pytest.mark.parametrize("endpoint", [7, {}, {"address": "a", "host": "b"}, {"address": "a", "port": "ten"}], ids=str)
def test_an_endpoint_that_is_none_is_refused(endpoint: Any) -> None:
    with pytest.raises(OctoError, match="endpoint"):
        options.endpoints([endpoint])


def test_an_open_door_is_named(opened: Callable[..., doubles.Port]) -> None:
    port = opened(doubles.answering(doubles.ANSWER))
    given = options.callers(["random", "none"], lambda _path: b"")
    (row,) = options.result(probe.sweep(options.endpoints([port.address]), given), given)["endpoints"]
    assert row["error"] == "a caller whom nobody can know was accepted (random, none): an open door or a proxy, whose verdicts mean nothing"
