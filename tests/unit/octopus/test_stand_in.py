# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client, with its real transport, and the health check against a running node of the lab: two readings of one contract."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient, Patience, choose_spaces
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.drain import Drain
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.health import HealthCheck, Limits, choose
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import ProxyRecord
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import Https
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from lab.server.tasks import Tasks
from lab.waiting import until
from lab.wire.listener import Listener
from lab.wire.proxy import HttpProxy, Login
from unit.lab.server_trial import ADMIN, NEW, OLD, ORDINARY, TENTACLE, Trial

QUICK = Patience(0.0, 0.1, 0.1)
LIMITS = Limits(machine_timeout=5, poll=0.1, attempts=1, queue=20)


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture
def tentacle() -> Iterator[Listener]:
    listener = Listener("127.0.0.1", 0, TENTACLE, {OLD.thumbprint})
    listener.start()
    yield listener
    listener.stop()


def client_of(trial: Trial, key: str = ADMIN) -> OctopusClient:
    return OctopusClient(f"http://127.0.0.1:{trial.running['node-1'].web_port}/", Secret(key), Https(timeout=10), patience=QUICK)


def listening(name: str, port: int) -> dict[str, Any]:
    endpoint = {"CommunicationStyle": "TentaclePassive", "Uri": f"https://127.0.0.1:{port}/", "Thumbprint": TENTACLE.thumbprint}
    return {"Name": name, "Endpoint": endpoint}


def test_what_the_server_knows_is_read_from_a_real_node(trial: Trial) -> None:
    trial.database.put_space("Finance")
    trial.database.put_machine("Default", listening("web-01", 10933))
    trial.database.put_worker(
        "Finance", {"Name": "worker", "Endpoint": {"CommunicationStyle": "TentacleActive", "Uri": "poll://bcdfghjklmnpqrstvwxz/"}}
    )
    client = client_of(trial)
    assert client.server().installation_id == trial.database.get("installation_id")
    assert client.certificate().thumbprint == OLD.thumbprint
    assert client.certificate().signature_algorithm == "sha256RSA"
    assert [(node.name, node.is_offline, node.is_draining) for node in client.nodes()] == [("node-1", False, False)]
    spaces = client.spaces()
    assert [space.name for space in spaces] == ["Default", "Finance"]
    found = {machine.name: machine for space in spaces for machine in client.machines(space)}
    assert (found["web-01"].port, found["web-01"].kind, found["web-01"].thumbprint) == (10933, "target", TENTACLE.thumbprint)
    assert (found["worker"].subscription_id, found["worker"].kind) == ("poll://bcdfghjklmnpqrstvwxz/", "worker")
    assert [policy.deletes_unavailable_after for space in spaces for policy in client.policies(space)] == [None, None]
    with pytest.raises(OctoError, match=r"does not see the space Finance\. It sees Default"):
        choose_spaces(client_of(trial, ORDINARY).spaces(), ["Finance"])


def test_a_proxy_is_told_without_its_password_and_taken_by_the_check(trial: Trial, tentacle: Listener) -> None:
    proxy = HttpProxy("127.0.0.1", names={"web-01.inside": "127.0.0.1"}, login=Login("octopus", "marker"))
    proxy.start()
    try:
        put = trial.database.put_proxy(
            "Default", {"Name": "Zone A", "Host": proxy.host, "Port": proxy.port, "Username": "octopus", "Password": "marker"}
        )
        record = listening("web-01", tentacle.port)
        record["Endpoint"] = {**record["Endpoint"], "Uri": f"https://web-01.inside:{tentacle.port}/", "ProxyId": put["Id"]}
        trial.database.put_machine("Default", record)
        client = client_of(trial)
        spaces = client.spaces()
        machines = client.machines(spaces[0])
        assert machines[0].proxy_id == put["Id"]
        assert client.proxies(spaces[0]) == [ProxyRecord(put["Id"], "Zone A", proxy.host, proxy.port, "octopus", True)]
        (row,) = HealthCheck(client, time.monotonic, time.sleep, LIMITS).check(spaces, machines)
        assert (row.healthy, proxy.asked_for("web-01.inside")) == (True, 1)
    finally:
        proxy.stop()


def test_more_records_than_one_page_holds(trial: Trial) -> None:
    for number in range(35):
        trial.database.put_machine("Default", listening(f"web-{number:02}", 20000 + number))
    client = client_of(trial)
    assert len(client.machines(client.spaces()[0])) == 35


def test_keys_and_places_that_are_not_right(trial: Trial) -> None:
    with pytest.raises(OctoError, match=r"does not accept the API key \(401\)"):
        client_of(trial, "API-WRONG").spaces()
    with pytest.raises(OctoError, match=r"may not have the maintenance mode \(403\)"):
        client_of(trial, ORDINARY).set_maintenance(True)
    port = trial.running["node-1"].web_port
    trial.stop()
    with pytest.raises(OctoError, match="the connection is refused"):
        OctopusClient(f"http://127.0.0.1:{port}", Secret(ADMIN), Https(timeout=5), patience=QUICK).server()


def test_maintenance_is_switched_and_read_back(trial: Trial) -> None:
    client = client_of(trial)
    client.set_maintenance(True)
    assert client.in_maintenance()
    client.set_maintenance(False)
    assert not trial.database.in_maintenance


def test_a_node_drains_while_its_task_ends_and_takes_no_other(trial: Trial) -> None:
    client, tasks = client_of(trial), Tasks(trial.database)
    running = tasks.plant("Spaces-1", [], node="node-1")
    (node,) = client.nodes()
    assert [task.id for task in client.tasks_on(node)] == [running.id]
    looks = iter([lambda: tasks.plant("Spaces-1", []), lambda: tasks.finish(running.id)])
    done = Drain(client, time.monotonic, lambda _seconds: next(looks, lambda: None)()).drained([node], 60)  # type: ignore[no-untyped-call]
    assert (done.changed, done.rows[0].running_tasks) == (True, 0)
    assert (trial.database.nodes()[0].draining, trial.database.nodes()[0].task_cap) == (True, 5)
    (waiting,) = tasks.find(states=("Queued",))
    Drain(client, time.monotonic, time.sleep).active(client.nodes())
    until(lambda: tasks.get(waiting.id).state == "Executing", what="the node to take tasks again")
    with pytest.raises(OctoError, match=r"may not have the drain switch of the node node-1 \(403\)"):
        client_of(trial, ORDINARY).set_draining(node, True)


def test_running_tasks_of_a_machine(trial: Trial) -> None:
    busy = trial.database.put_machine("Default", listening("web-01", 10933))
    trial.database.put_machine("Default", listening("web-02", 10934))
    client = client_of(trial)
    planted = Tasks(trial.database).plant("Spaces-1", [busy["Id"]], node="node-1")
    first, second = client.machines(client.spaces()[0])
    assert ([task.id for task in client.running_tasks(first)], client.running_tasks(second)) == ([planted.id], [])


def test_health_is_judged_by_what_the_node_really_reached(trial: Trial, tentacle: Listener) -> None:
    good = trial.database.put_machine("Default", listening("web-01", tentacle.port))
    gone = trial.database.put_machine("Default", listening("web-02", 1))
    off = trial.database.put_machine("Default", {**listening("web-03", 1), "IsDisabled": True})
    client = client_of(trial)
    spaces = client.spaces()
    machines = choose(client.machines(spaces[0]), [good["Id"], gone["Id"], off["Id"]])
    check = HealthCheck(client, time.monotonic, time.sleep, LIMITS)
    rows = {row.name: row for row in check.check(spaces, machines)}
    assert (rows["web-01"].healthy, rows["web-01"].checked) == (True, True)
    assert (rows["web-02"].healthy, rows["web-02"].health_status) == (False, "Unavailable")
    assert (rows["web-03"].healthy, rows["web-03"].checked) == (None, False)
    (end,) = check.tasks
    assert end.task.finished
    assert client.task_messages(end.task.id)


def test_a_tentacle_that_pins_another_certificate_is_not_healthy(trial: Trial) -> None:
    listener = Listener("127.0.0.1", 0, TENTACLE, {NEW.thumbprint})
    listener.start()
    try:
        trial.database.put_machine("Default", listening("web-01", listener.port))
        client = client_of(trial)
        spaces = client.spaces()
        (row,) = HealthCheck(client, time.monotonic, time.sleep, LIMITS).check(spaces, client.machines(spaces[0]))
    finally:
        listener.stop()
    assert (row.healthy, row.checked) == (False, True)
