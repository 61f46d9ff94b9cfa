# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets that the controller does not reach as the Server does (issue 4, C.1 and C.3): proxies, a host inside, the log's word."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e import hunting, plays
from e2e.looks import pins
from e2e.sshd import PROGRAM, Sshd
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.wire.certificates import from_pfx

pytestmark = pytest.mark.estate  # too long for `make test`

GUARDED = {"guarded": {"username": "octopus", "password": "the proxy's password"}}
INSIDE = "127.9.9.9"  # where the host inside calls from
_LAUNCHER = """
import runpy, socket, sys

connect = socket.socket.connect_ex

def connect_ex(self, address):
    self.bind(({inside!r}, 0))
    return connect(self, address)

socket.socket.connect_ex = connect_ex
if sys.argv[1:]:
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
else:
    exec(compile(sys.stdin.read(), "module", "exec"), {{"__name__": "__main__"}})
"""


def reached(fleet: Fleet, play: plays.Play, on: str) -> None:
    assert play.rc == 0, play.text
    assert play.report["reached"] is True
    assert {tentacle.host: pins(fleet, tentacle.host) for tentacle in fleet.tentacles} == {tentacle.host: [on] for tentacle in fleet.tentacles}


def set_of_host(fleet: Fleet, host: str, **variables: Any) -> None:
    inventory = yaml.safe_load(fleet.inventory.read_text(encoding="utf-8"))
    for group in inventory["all"]["children"].values():
        if host in group["hosts"]:
            group["hosts"][host] |= variables
    fleet.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")


def test_behind_proxies_and_by_the_log_where_the_password_is_nobodys() -> None:
    """Without the password web-03 is not proved; by its log it is, and on the way back through the proxy, too."""
    with Fleet(FleetSpec(tentacles=3, quirks=("behind_proxy:web-02", "behind_guarded_proxy:web-03"))) as fleet:
        fleet.start_witness()
        old = fleet.server.certificate.thumbprint

        shut = plays.commit(fleet, old)
        assert (shut.rc, shut.report["phase"]) == (2, "EXPAND"), shut.text
        assert re.search(r"web-03/Tentacle-web-03 .*wire at web-03\.inside:\d+: proxy_denied", shut.text), shut.text
        assert "see that its user and password are in octopus_proxies" in shut.text
        new = shut.report["new"]
        asked = fleet.proxies["open"].requests[0].decode()
        place = f"web-02.inside:{fleet.tentacle('web-02').port}"
        assert asked == f"CONNECT {place} HTTP/1.0\r\nHost: {place}\r\n\r\n"

        set_of_host(fleet, "web-03", octopus_proof="log")
        forth = plays.commit(fleet, old)
        reached(fleet, forth, new)
        assert forth.report["proofs"] == {"wire": 2, "log": 1}
        assert "random refused, none refused) 2, by its log 1" in forth.text
        assert {row["host"]: row["wire"] is None for row in forth.report["tentacles"]} == {"web-01": False, "web-02": False, "web-03": True}

        set_of_host(fleet, "web-03", octopus_proof="wire")
        back = plays.commit(fleet, new, playbook=plays.ROLL_BACK, octopus_proxies=GUARDED)
        reached(fleet, back, old)
        assert back.report["proofs"] == {"wire": 3}
        assert "the proxy's password" not in forth.text + back.text
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet(FleetSpec(tentacles=2)) as fleet:
        yield fleet


def interpreter(fleet: Fleet) -> Path:
    """A Python without any package, whose connections come from an address of their own."""
    launcher, program = fleet.root / "launcher.py", fleet.folders.bin / "python-inside"
    launcher.write_text(_LAUNCHER.format(inside=INSIDE), encoding="utf-8")
    program.write_text(f'#!/bin/sh\nexec {Path(sys.base_prefix) / "bin" / "python3"} -I -S {launcher} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


def callers(fleet: Fleet, host: str) -> set[str]:
    """From where the Tentacle was called."""
    log = fleet.paths(host).log.read_text(encoding="utf-8")
    return set(re.findall(r"Accepted TCP client: ([0-9.]+):", log))


def test_a_plan_from_inside_comes_from_inside_only(fleet: Fleet) -> None:
    set_of_host(fleet, "web-02", ansible_python_interpreter=str(interpreter(fleet)))
    before = callers(fleet, "web-01")
    plan = plays.play(fleet, plays.ROTATE, variables={"octopus_probe_from": "web-02"})
    assert plan.rc == 0, plan.text
    assert {row["name"]: row["wire"]["presents"] for row in plan.report["tentacles"]} == {one.id: one.thumbprint for one in fleet.tentacles}
    assert callers(fleet, "web-01") - before == {INSIDE}
    assert [node["presents"] for node in plan.report["nodes"]] == [fleet.server.certificate.thumbprint]

    nowhere = plays.play(fleet, plays.ROTATE, variables={"octopus_probe_from": "bastion"})
    assert nowhere.rc == 2
    assert "The probe is to be made from bastion, which is no host of the inventory." in nowhere.text


@pytest.mark.skipif(not PROGRAM.exists(), reason=f"{PROGRAM} is missing: apt-get install openssh-server")
def test_a_rotation_from_inside_over_ssh_leaves_no_key_there(fleet: Fleet) -> None:
    old = fleet.server.certificate.thumbprint
    fleet.start_witness()
    with Sshd(fleet) as sshd:
        set_of_host(fleet, "web-02", ansible_python_interpreter=str(interpreter(fleet)))
        kept = {**sshd.env, "ANSIBLE_PIPELINING": "0", "ANSIBLE_KEEP_REMOTE_FILES": "1"}
        play = plays.commit(fleet, old, "-vvvv", env=kept, octopus_probe_from="web-02")
        new = play.report["new"]
        reached(fleet, play, new)
        assert INSIDE in callers(fleet, "web-01")
    keys = [fleet.server.certificate, from_pfx((fleet.root / "store" / f"{new}.pfx").read_bytes(), fleet.backup_password).keypair()]
    markers = [hunting.key(name, pair) for name, pair in zip(("the old key", "the new key"), keys, strict=True) if pair]
    assert len(markers) == 2
    found = hunting.Hunt(fleet.root, markers, hunting.one_use_passwords(fleet.root)).files()
    assert [trace for trace in found if not any(place.covers(trace) for place in hunting.OF_THE_LAB)] == []
    witness = fleet.stop_witness()
    assert witness.ok, witness.failures
