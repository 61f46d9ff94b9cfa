# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of a running fleet that play Windows: the same stand-ins, seen as Windows would show them."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.waiting import until
from lab.windows.machine import EXECUTABLE, Machine
from lab.wire.certificates import thumbprint_of
from unit.lab.test_windows_door import replacement, run, sha256, text

INDEX = "C:\\ProgramData\\Octopus\\Tentacle\\Instances"
SHOP = "OctopusDeploy Tentacle: Web Shop win-02"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet(FleetSpec(tentacles=1, windows=2, quirks=("second_instance:win-01", "windows:web-01", "polling:web-01"))) as running:
        yield running


def sight(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = text(machine, "LOOK", Index=INDEX, Logs=True)["result"]["sight"]
    return found


def test_the_inventory_gives_them_to_the_labs_connection(fleet: Fleet) -> None:
    hosts = yaml.safe_load(fleet.inventory.read_text())["all"]["children"]["octopus_tentacles"]["hosts"]
    assert sorted(hosts) == ["web-01", "win-01", "win-02"]
    assert {host["ansible_connection"] for host in hosts.values()} == {"octolab_windows"}
    assert not [name for host in hosts.values() for name in host if name.startswith("octopus_")]


def test_ansible_gets_in(fleet: Fleet) -> None:
    argv = [str(Path(sys.executable).parent / "ansible"), "octopus_tentacles", "-m"]
    done = subprocess.run([*argv, "ansible.windows.win_ping"], env=fleet.env, capture_output=True, text=True, check=False)
    assert done.stdout.count('"ping": "pong"') == 3, done.stdout
    done = subprocess.run([*argv, "ansible.builtin.raw", "-a", "dir"], env=fleet.env, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout.count("\nTask failed: The lab's Windows refuses: Windows was given a command line that is not PowerShell's") == 3, done.stdout


def test_services_are_the_vendors(fleet: Fleet) -> None:
    machine = Machine(fleet.root, "win-01")
    found = {one["name"]: one for one in run(machine, "win_service_info")["services"]}
    assert sorted(found) == ["OctopusDeploy Tentacle", "OctopusDeploy Tentacle: Second-win-01"]
    assert {one["state"] for one in found.values()} == {"started"}
    assert {one["process_id"] for one in found.values()} == {
        fleet.unit("win-01", each.instance).pid * 4 for each in fleet.tentacles if each.host == "win-01"
    }


def test_processes_and_ports(fleet: Fleet) -> None:
    machine = Machine(fleet.root, "win-02")
    service = run(machine, "win_service_info", name="octopusdeploy tentacle*")["services"][0]
    (shop,) = (each for each in machine.processes() if each.command)
    assert (service["name"], shop.command) == (SHOP, f'"{EXECUTABLE}" run --instance="Web Shop win-02"')
    assert (shop.pid, shop.parent, shop.pid % 4) == (service["process_id"], 636, 0)
    assert abs(machine.now_us() - shop.started_us) < 300_000_000
    assert shop.started_us == next(each for each in machine.processes() if each.command).started_us
    tentacle = fleet.tentacle("win-02")
    assert (tentacle.port, shop.pid, tentacle.address) in machine.listeners(machine.processes())


def test_what_is_seen_of_a_tentacle_that_polls(fleet: Fleet) -> None:
    machine = Machine(fleet.root, "web-01")
    seen = sight(machine)
    ((log,),) = [place["files"] for place in seen["logs"]]
    assert log["text"].count("Agent will poll Octopus Server at") == 1
    assert {int(line.split()[2]) for line in log["text"].splitlines()} == {seen["services"][0]["pid"]}


def test_a_certificate_as_the_host_sees_it(fleet: Fleet) -> None:
    machine, tentacle = Machine(fleet.root, "win-02"), fleet.tentacle("win-02")
    answer = text(machine, "SERVED", Address=tentacle.address, Port=tentacle.port, Seconds=5)["result"]["answer"]
    assert thumbprint_of(base64.b64decode(answer["certificate"])) == tentacle.thumbprint


def test_the_vendors_command_line_in_windows_words(fleet: Fleet) -> None:
    machine = Machine(fleet.root, "win-02")
    listed = run(machine, "win_command", argv=[EXECUTABLE.upper(), "list-instances", "--console"], chdir="C:\\")
    assert (listed["rc"], listed["stdout"].splitlines(keepends=True)[0][-2:]) == (0, "\r\n")
    assert "C:\\Web Shop win-02\\tentacle.config" in listed["stdout"].replace("\\\\", "\\")
    assert str(fleet.root) not in listed["stdout"]
    exported = run(
        machine, "win_command", argv=[EXECUTABLE, "show-configuration", "--instance=Web Shop win-02", "--file=C:\\Web Shop win-02\\x.json"]
    )
    assert exported["failed"]
    assert "C:\\Web" in exported["stderr"]


def test_a_service_is_stopped_and_started(fleet: Fleet) -> None:
    machine = Machine(fleet.root, "win-01")
    name = run(machine, "win_service_info", name="*second*")["services"][0]["name"]
    before = fleet.unit("win-01", "Second-win-01").pid
    assert text(machine, "ORDER", Verb="stop", Name=name.upper(), Seconds=20)["result"]["answer"] == ""
    assert run(machine, "win_service_info", name=name)["services"][0]["state"] == "stopped"
    assert run(machine, "win_service", check=True, name=name, state="started")["changed"]
    assert run(machine, "win_service", name=name, state="stopped")["changed"] is False
    assert text(machine, "ORDER", Verb="start", Name=name, Seconds=20)["result"]["answer"] == ""
    second = fleet.unit("win-01", "Second-win-01").pid
    assert run(machine, "win_service", name=name, state="restarted")["state"] == "started"
    assert len({before, second, fleet.unit("win-01", "Second-win-01").pid}) == 3
    fleet.fault("start_fails", [fleet.tentacle("win-01", "Second-win-01").unit])
    answer = text(machine, "ORDER", Verb="restart", Name=name, Seconds=20)["result"]["answer"]
    assert answer == f"Cannot start service {name} on computer '.'."
    fleet.fault("start_fails", None)
    assert text(machine, "ORDER", Verb="restart", Name=name, Seconds=20)["result"]["answer"] == ""


def test_a_command_that_was_not_there_before_is_in_the_way(fleet: Fleet) -> None:
    machine = Machine(fleet.root, "win-02")
    path = "C:\\Web Shop win-02\\tentacle.config"
    content = machine.disk.read(machine.disk.real(path))
    at = content.index(b"</octopus-settings>")
    order = replacement(Path=path, Sha256=sha256(content), Start=at, End=at, Insert="")
    known = [f"{each.pid} {each.started_us}" for each in machine.processes() if each.command]
    assert text(machine, "REPLACE", **{**order, "Known": []})["result"]["answer"] == "busy"
    assert text(machine, "REPLACE", **{**order, "Known": known})["result"]["answer"] == ""
    fleet.set(cli_cost=20.0)
    command = subprocess.Popen(
        [str(fleet.folders.bin / "Tentacle"), "show-thumbprint"], env={**fleet.env, **home(fleet, "win-02")}, stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: any(each.pid == command.pid * 4 for each in machine.processes()), what="the command")
        assert text(machine, "REPLACE", **{**order, "Known": known})["result"]["answer"] == "busy"
        found = next(each for each in machine.processes() if each.pid == command.pid * 4)
        assert found.command == f'"{EXECUTABLE}" show-thumbprint'
        assert not [each for each in Machine(fleet.root, "win-01").processes() if each.pid == found.pid]
    finally:
        command.kill()
        command.wait()
        fleet.set(cli_cost=0.0)


def home(fleet: Fleet, host: str) -> dict[str, str]:
    return {"TentacleMachineConfigurationHomeDirectory": str(fleet.paths(host).machine_configuration_home)}


def test_what_listens_in_a_tentacles_place_is_somebody_elses(fleet: Fleet) -> None:
    machine, address = Machine(fleet.root, "win-02"), fleet.tentacle("win-02").address
    with socket.create_server((address, 0)) as listener:
        port = listener.getsockname()[1]
        assert (port, 4, address) in machine.listeners(machine.processes())
    assert port not in {one[0] for one in machine.listeners(machine.processes())}


def test_the_time_is_the_machines(fleet: Fleet) -> None:
    now = sight(Machine(fleet.root, "win-01"))["now"] / 1_000_000 - 11_644_473_600
    assert abs(now - time.time()) < 30
