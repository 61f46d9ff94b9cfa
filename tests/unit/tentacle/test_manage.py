# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""States of services: truth from manager, process and wire, whatever the order's exit code says."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Process, Service
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import manage
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.visit import Limits
from unit.tentacle.doubles import CERTIFICATE, NEW, OLD, document, trust_json
from unit.tentacle.world import PORT, Tentacle, World

OWN = _thumbprint.of_der(CERTIFICATE)
PARAMS = {
    "application": "tentacle",
    "instance": "T1",
    "state": "started",
    "endpoint": None,
    "thumbprint": None,
    "service": None,
    "restart_command": None,
    "executable": [],
    "machine_configuration_home": "/etc/octopus",
    "machine_id_file": "/etc/machine-id",
}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def tentacle(world: World) -> Tentacle:
    return world.add("T1", OLD)


def brought(world: World, state: str, check: bool = False, timeout: float | None = None, **params: Any) -> dict[str, Any]:
    (row,) = manage.service_rows(world.hands, {**PARAMS, "state": state, **params}, Limits(timeout=timeout, check=check))
    return row


def outcome(row: dict[str, Any]) -> tuple[bool, str, bool, bool]:
    return row["ok"], row["code"], row["changed"], row["restarted"]


def test_started_stopped_started(world: World, tentacle: Tentacle) -> None:
    row = brought(world, "started")
    assert outcome(row) == (True, "", False, False)
    assert row["proven"] == {"serving": OWN, "pid": tentacle.pid, "started_at": "then"}
    assert outcome(brought(world, "stopped", check=True)) == (True, "", True, False)
    assert world.orders() == []
    row = brought(world, "stopped")
    assert outcome(row) == (True, "", True, False)
    assert (row["service"]["pid"], row["proven"]) == (0, None)
    assert outcome(brought(world, "stopped")) == (True, "", False, False)
    assert outcome(brought(world, "started", check=True)) == (True, "", True, False)
    row = brought(world, "started")
    assert outcome(row) == (True, "", True, False)
    assert row["proven"]["pid"] == tentacle.pid
    assert world.orders() == ["systemctl stop T1.service", "systemctl start T1.service"]
    assert set(world.host.locks) == {tentacle.path}


def test_restarted(world: World, tentacle: Tentacle) -> None:
    assert outcome(brought(world, "restarted", check=True)) == (True, "", True, True)
    assert world.orders() == []
    old = tentacle.pid
    row = brought(world, "restarted")
    assert outcome(row) == (True, "", True, True)
    assert row["proven"]["pid"] == tentacle.pid > old


def test_restarted_if_stale(world: World, tentacle: Tentacle) -> None:
    assert outcome(brought(world, "restarted_if_stale")) == (True, "", False, False)
    tentacle.write(document(trust_json(OLD, NEW), Octopus_Home="/srv/T1"))
    assert outcome(brought(world, "restarted_if_stale")) == (True, "", True, True)
    assert outcome(brought(world, "restarted_if_stale")) == (True, "", False, False)
    world.serving[PORT] = b"the certificate before an import"
    assert outcome(brought(world, "restarted_if_stale")) == (True, "", True, True)


def test_what_is_not_ready_is_refused(world: World, tentacle: Tentacle) -> None:
    world.host.files["/etc/machine-id"] = b"f" * 32
    assert outcome(brought(world, "restarted")) == (False, "MACHINE_ID_CHANGED", False, False)
    tentacle.stop()
    assert outcome(brought(world, "started")) == (False, "MACHINE_ID_CHANGED", False, False)
    assert outcome(brought(world, "restarted"))[1] == "MACHINE_ID_CHANGED"
    assert world.orders() == []


def test_a_stopped_one_is_not_restarted(world: World, tentacle: Tentacle) -> None:
    tentacle.stop()
    assert outcome(brought(world, "restarted")) == (False, "SERVICE_STOPPED", False, False)


def test_one_that_will_not_stop(world: World, tentacle: Tentacle) -> None:
    tentacle.obeys = lambda _verb: None
    row = brought(world, "stopped", timeout=5)
    assert outcome(row) == (False, "NOT_STOPPED", False, False)
    assert str(tentacle.pid) in row["reason"]


def test_one_whose_process_outlives_its_unit(world: World, tentacle: Tentacle) -> None:
    """The manager says stopped; the process table does not."""
    process = world.host.table[tentacle.pid]

    def stop(_verb: str) -> None:
        tentacle.stop()
        world.host.table[process.pid] = process

    tentacle.obeys = stop
    assert outcome(brought(world, "stopped", timeout=5))[1] == "NOT_STOPPED"


def test_one_that_runs_deaf_is_not_started(world: World, tentacle: Tentacle) -> None:
    world.serving.clear()
    row = brought(world, "started", timeout=5)
    assert outcome(row) == (False, "NOT_SERVING", False, False)
    assert tentacle.pid


def test_unknown_instances_and_units(world: World, tentacle: Tentacle) -> None:
    assert outcome(brought(world, "started", instance="T9"))[1] == "INSTANCE_UNKNOWN"
    world.host.services.clear()
    assert outcome(brought(world, "restarted"))[1] == "SERVICE_UNKNOWN"
    assert tentacle.pid


def test_another_run_at_work(world: World, tentacle: Tentacle) -> None:
    world.host.in_use = True
    assert outcome(brought(world, "restarted"))[1] == "IN_USE"
    assert tentacle.pid


class Node:
    """A node of a Server: a unit, a port, a certificate that is loaded at the start."""

    def __init__(self, world: World) -> None:
        self.world, self.loads, self.pid = world, b"new", 200
        world.host.when["systemctl"] = self._systemctl
        self.up(b"old")

    def _systemctl(self, argv: Any) -> Any:
        self.order(argv[1])
        return self.world.host.run([])

    def up(self, certificate: bytes | None = None) -> None:
        self.pid += 1
        self.world.host.time.time += 1
        started = self.world.host.monotonic_us()
        self.world.host.table[self.pid] = Process(self.pid, 1, 0, (), started)
        self.world.host.services["node"] = Service("node", True, True, self.pid, started, "then", "root", (), (), "active")
        self.world.serving[10943] = certificate or self.loads

    def down(self, state: str = "inactive") -> None:
        self.world.host.table.clear()
        self.world.serving.clear()
        self.world.host.services["node"] = Service("node", True, False, 0, 0, "", "root", (), (), state)

    def order(self, verb: str) -> None:
        self.down()
        if verb != "stop":
            self.up()


@pytest.fixture
def node(world: World) -> Node:
    return Node(world)


SERVER = {"application": "server", "instance": None, "service": "node", "endpoint": "node-1:10943", "thumbprint": _thumbprint.of_der(b"new").lower()}


def test_a_node_presents_the_new_certificate(world: World, node: Node) -> None:
    row = brought(world, "restarted", **SERVER)
    assert outcome(row) == (True, "", True, True)
    assert row["proven"] == {"serving": _thumbprint.of_der(b"new"), "pid": node.pid, "started_at": "then"}
    assert (row["instance"], row["service"]["pid"]) == ("node", node.pid)
    assert set(world.looks) == {("node-1", 10943)}
    assert outcome(brought(world, "restarted_if_stale", **SERVER)) == (True, "", False, False)


@pytest.mark.parametrize(("instance", "unit"), [(None, "OctopusServer"), ("My Server", "My-Server")])
def test_a_node_without_a_name_has_the_vendors(world: World, instance: str | None, unit: str) -> None:
    assert brought(world, "started", **{**SERVER, "service": None, "instance": instance})["instance"] == unit


def test_a_stopped_node_is_started_by_a_restart(world: World, node: Node) -> None:
    node.down()
    assert outcome(brought(world, "restarted", **SERVER))[:2] == (True, "")


def test_a_node_that_presents_the_wrong_certificate(world: World, node: Node) -> None:
    node.loads = b"third"
    row = brought(world, "restarted", timeout=5, **SERVER)
    assert outcome(row)[:2] == (False, "WRONG_CERTIFICATE")
    assert _thumbprint.of_der(b"third") in row["reason"]


def test_a_node_that_stays_down_is_not_waited_for_long(world: World, node: Node) -> None:
    node.order = lambda _verb: node.down("failed")  # type: ignore[method-assign]
    before = world.time.time
    row = brought(world, "restarted", **SERVER)
    assert outcome(row)[:3] == (False, "NOT_RUNNING", True)
    assert world.time.time - before < 4


def test_a_node_in_a_container_is_judged_by_the_wire(world: World, node: Node) -> None:
    world.host.services.clear()
    world.host.table.clear()
    assert outcome(brought(world, "started", **SERVER))[1] == "SERVICE_UNKNOWN"

    def restart(_argv: Any) -> Any:
        world.serving[10943] = node.loads
        return world.host.run([])

    world.host.when["docker"] = restart
    row = brought(world, "restarted_if_stale", restart_command=["docker", "restart", "octopus"], **SERVER)
    assert outcome(row) == (True, "", True, True)
    assert row["proven"] == {"serving": _thumbprint.of_der(b"new"), "pid": 0, "started_at": ""}
    assert outcome(brought(world, "restarted_if_stale", restart_command=["docker", "restart", "octopus"], **SERVER))[2] is False


def test_a_node_without_an_endpoint_is_judged_by_its_process(world: World, node: Node) -> None:
    row = brought(world, "restarted", **{**SERVER, "endpoint": None, "thumbprint": None})
    assert row["proven"] == {"serving": None, "pid": node.pid, "started_at": "then"}


@pytest.mark.parametrize(("endpoint", "address", "port"), [("h:1", "h", 1), ("[::1]:10943", "::1", 10943), ("10.0.0.7:10943", "10.0.0.7", 10943)])
def test_endpoints(endpoint: str, address: str, port: int) -> None:
    assert manage._endpoint(endpoint, None) == (address, port, None)


@pytest.mark.parametrize("endpoint", ["h", "h:", ":10943", "h:x", "h:0", "h:65536"])
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(OctoError):
        manage._endpoint(endpoint, None)
