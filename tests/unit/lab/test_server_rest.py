# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The REST API of the stand-in Server (contracts/octopus-server.md 3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.server.tasks import Tasks
from unit.lab.server_trial import NEW, OLD, ORDINARY, TENTACLE, Trial

LISTENING = {"CommunicationStyle": "TentaclePassive", "Uri": "https://127.0.0.1:10933/", "Thumbprint": TENTACLE.thumbprint}
KUBERNETES = {
    "CommunicationStyle": "KubernetesTentacle",
    "TentacleEndpointConfiguration": {"CommunicationMode": "Polling", "Uri": "poll://abc/", "Thumbprint": TENTACLE.thumbprint},
}


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    made.start()
    yield made
    made.close()


def test_the_root_needs_no_key_and_everything_else_does(trial: Trial) -> None:
    root = trial.ask("/api", key=None).body
    assert (root["Application"], root["ApiVersion"]) == ("Octopus Deploy", "3.0.0")
    assert root["Links"]["Machines"].startswith("/api/Spaces-1/machines{/id}")
    assert trial.ask("/api/octopusservernodes/ping", key=None).status == 200
    for path in ("/api/spaces/all", "/api/machines", "/api/nowhere"):
        without = trial.ask(path, key=None)
        assert (without.status, without.body["ErrorMessage"][:26]) == (401, "You must be logged in to r")
    assert trial.ask("/api/spaces", key="API-WRONG").status == 401
    assert trial.ask(f"/api/spaces?apikey={ORDINARY}", key=None).status == 200


def test_a_list_ends_after_30_and_goes_on_at_the_next_page(trial: Trial) -> None:
    for number in range(65):
        trial.database.put_machine("Default", {"Name": f"web-{number:02}", "Endpoint": LISTENING})
    path, seen, pages = "/api/Spaces-1/machines", [], 0
    while path:
        page = trial.ask(path).body
        assert (page["TotalResults"], page["ItemsPerPage"], page["NumberOfPages"]) == (65, 30, 3)
        seen += [each["Name"] for each in page["Items"]]
        path, pages = page["Links"].get("Page.Next"), pages + 1
    assert (len(set(seen)), pages) == (65, 3)
    everything = trial.ask("/api/Spaces-1/machines/all").body
    assert [each["Name"] for each in everything] == seen
    assert len(trial.ask("/api/Spaces-1/machines?take=40&skip=60").body["Items"]) == 5


def test_a_space_that_the_key_does_not_see_does_not_exist(trial: Trial) -> None:
    hidden = trial.database.put_space("Hidden")
    machine = trial.database.put_machine("Hidden", {"Name": "web", "Endpoint": LISTENING})
    assert [each["Name"] for each in trial.ask("/api/spaces/all").body] == ["Default", "Hidden"]
    assert [each["Name"] for each in trial.ask("/api/spaces/all", key=ORDINARY).body] == ["Default"]
    for path in (f"/api/spaces/{hidden['Id']}", f"/api/{hidden['Id']}/machines/all", f"/api/{hidden['Id']}/machines/{machine['Id']}"):
        assert (trial.ask(path).status, trial.ask(path, key=ORDINARY).status) == (200, 404)
    task = trial.ask(
        f"/api/{hidden['Id']}/tasks", "POST", {"Name": "Health", "SpaceId": hidden["Id"], "Arguments": {"MachineIds": [machine["Id"]]}}
    ).body
    assert trial.ask(f"/api/tasks/{task['Id']}", key=ORDINARY).status == 404
    assert trial.ask("/api/tasks", key=ORDINARY).body["Items"] == []


def test_a_route_without_a_space_means_the_default_one(trial: Trial) -> None:
    trial.database.put_machine("Default", {"Name": "web", "Endpoint": LISTENING})
    assert trial.ask("/api/machines/all").body == trial.ask("/api/spaces-1/machines/all").body == trial.ask("/api/Spaces-1/machines/all").body
    trial.database.change("Spaces-1", lambda space: {**space, "IsDefault": False})
    assert trial.ask("/api/machines/all").status == 400


@pytest.mark.parametrize("override", [False, True])
def test_put_and_delete_come_as_such_or_as_an_overridden_post(trial: Trial, override: bool) -> None:
    def send(path: str, method: str, body: Any = None) -> Any:
        return trial.ask(path, "POST", body, headers={"X-HTTP-Method-Override": method}) if override else trial.ask(path, method, body)

    worker = trial.database.put_worker("Default", {"Name": "worker", "Endpoint": LISTENING})
    path = f"/api/Spaces-1/workers/{worker['Id']}"
    document = trial.ask(path).body
    document["Endpoint"]["Thumbprint"] = NEW.thumbprint
    changed = send(path, "PUT", document)
    assert (changed.status, changed.body["Thumbprint"]) == (200, NEW.thumbprint)
    assert trial.ask(path).body == {**document, "Thumbprint": NEW.thumbprint}
    assert trial.database.trusted_thumbprints() == {NEW.thumbprint}
    assert send(path, "DELETE").status == 200
    assert trial.ask(path).status == 404


def test_a_partial_put_wipes_what_it_leaves_out(trial: Trial) -> None:
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": LISTENING, "Roles": ["web"], "EnvironmentIds": ["Environments-1"]})
    assert trial.ask(f"/api/machines/{machine['Id']}", "PUT", {"Name": "web", "Endpoint": LISTENING, "Roles": ["web"]}).body["EnvironmentIds"] == []


def test_a_tentacle_without_a_thumbprint_is_refused(trial: Trial) -> None:
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": LISTENING})
    refused = trial.ask(f"/api/machines/{machine['Id']}", "PUT", {**machine, "Endpoint": {**LISTENING, "Thumbprint": ""}})
    assert (refused.status, refused.body["Errors"]) == (400, ["Please provide a thumbprint for this machine."])


def test_records_are_found_by_thumbprint_wherever_it_stands(trial: Trial) -> None:
    trial.database.put_machine("Default", {"Name": "listening", "Endpoint": LISTENING})
    trial.database.put_machine("Default", {"Name": "agent", "Endpoint": KUBERNETES})
    trial.database.put_machine("Default", {"Name": "shell", "Endpoint": {"CommunicationStyle": "Ssh", "Host": "h"}})
    trial.database.put_machine("Default", {"Name": "cloud", "Endpoint": {"CommunicationStyle": "None"}})
    found = trial.ask(f"/api/machines/all?thumbprint={TENTACLE.thumbprint}").body
    assert [(each["Name"], each["Thumbprint"]) for each in found] == [("listening", TENTACLE.thumbprint), ("agent", None)]
    assert [each["Name"] for each in trial.ask("/api/machines/all?commStyles=Ssh,None").body] == ["shell", "cloud"]
    assert [each["Name"] for each in trial.ask("/api/machines?partialName=ent").body["Items"]] == ["agent"]


def test_the_certificate_shown_is_the_databases_unless_told_otherwise(trial: Trial) -> None:
    trial.database.install_certificate(NEW)
    path = "/api/configuration/certificates/certificate-global"
    assert trial.ask(path, key=ORDINARY).body["Thumbprint"] == NEW.thumbprint
    trial.fault("certificate_rest_shows", "loaded")
    assert trial.ask(path).body["Thumbprint"] == trial.ask("/api/certificates/certificate-global").body["Thumbprint"] == OLD.thumbprint
    assert trial.ask(path + "/public-cer").body == OLD.der


def test_maintenance_is_for_administrators(trial: Trial) -> None:
    path, machine = "/api/maintenanceconfiguration", trial.database.put_machine("Default", {"Name": "web", "Endpoint": LISTENING})
    check = {"Name": "Health", "SpaceId": "Spaces-1", "Arguments": {"MachineIds": [machine["Id"]]}}
    assert trial.ask(path, "PUT", {"IsInMaintenanceMode": True}, key=ORDINARY).status == 403
    assert trial.ask(path, "PUT", {**trial.ask(path).body, "IsInMaintenanceMode": True}).body["IsInMaintenanceMode"] is True
    assert trial.ask("/api/serverstatus", key=ORDINARY).body["IsInMaintenanceMode"] is True
    assert trial.ask("/api/tasks", "POST", check, key=ORDINARY).status == 403
    assert trial.ask("/api/tasks", "POST", check).status == 201
    assert trial.ask("/api/octopusservernodes/ping", key=None).status == trial.ask("/api/serverstatus/health").status == 418


def test_nodes_show_their_drain_and_when_they_were_last_seen(trial: Trial) -> None:
    trial.database.put_node("gone")
    trial.database.store.write("UPDATE node SET last_seen = 0 WHERE name = 'gone'")
    assert trial.cli("node", "--drain=true").code == 0
    summary = {each["Name"]: each for each in trial.ask("/api/octopusservernodes/summary").body["Nodes"]}
    assert [(name, each["IsOffline"], each["IsInMaintenanceMode"]) for name, each in summary.items()] == [
        ("gone", True, False),
        ("node-1", False, True),
    ]
    assert trial.ask("/api/octopusservernodes/ping", key=None).status == 418
    path = f"/api/octopusservernodes/{summary['gone']['Id']}"
    assert trial.ask(path, "DELETE").status == 200
    assert [each["Name"] for each in trial.ask("/api/octopusservernodes/all").body] == ["node-1"]
    assert trial.ask(path + "/details").status == 404


def test_a_node_tells_how_many_tasks_it_runs_and_takes_its_record_whole_only(trial: Trial) -> None:
    Tasks(trial.database).plant("Spaces-1", [], node="node-1")
    path = trial.ask("/api/octopusservernodes/all").body[0]["Links"]["Self"]
    assert trial.ask(path + "/details").body["RunningTasks"] == 1
    whole = trial.ask(path).body
    assert trial.ask(path, "PUT", {**whole, "IsInMaintenanceMode": True}, key=ORDINARY).status == 403
    told = trial.ask(path, "PUT", {**whole, "IsInMaintenanceMode": True}).body
    assert (told["IsInMaintenanceMode"], told["MaxConcurrentTasks"]) == (True, 5)
    assert trial.ask(path, "PUT", {"IsInMaintenanceMode": False}).body["MaxConcurrentTasks"] == 0


def test_a_planted_deployment_makes_its_machine_busy(trial: Trial) -> None:
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": LISTENING})
    path, tasks = f"/api/machines/{machine['Id']}", Tasks(trial.database)
    planted = tasks.plant("Spaces-1", [machine["Id"]], node="node-1")
    assert trial.ask(path).body["IsInProcess"] is True
    assert [each["Id"] for each in trial.ask("/api/tasks?running=true").body["Items"]] == [planted.id]
    assert [each["State"] for each in trial.ask(path + "/tasks").body["Items"]] == ["Executing"]
    assert [each["Id"] for each in trial.ask(f"/api/Spaces-1/tasks?ids={planted.id}").body["Items"]] == [planted.id]
    tasks.finish(planted.id)
    assert trial.ask(path).body["IsInProcess"] is False
    assert trial.ask("/api/tasks?running=true").body["Items"] == []


def test_rate_limit_start_up_page_and_errors(trial: Trial) -> None:
    trial.fault("rate_limit", {"every": 1, "retry_after": 3})
    limited = trial.ask("/api/spaces")
    assert (limited.status, limited.headers["Retry-After"]) == (429, "3")
    trial.fault("starting_seconds", 1e6)
    starting = trial.ask("/api/spaces")
    assert (starting.status, starting.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    trial.fault("starting_seconds", 0)
    trial.fault("rate_limit", None)
    assert trial.ask("/api/serverstatus", "DELETE").status == 405
    missing = trial.ask("/api/machines/Machines-99")
    assert (missing.status, missing.body["ErrorMessage"]) == (404, "The resource 'Machines-99' was not found.")
    assert trial.ask("/api/machines?skip=x").status == 400


def test_a_key_may_do_what_it_was_given(trial: Trial) -> None:
    trial.database.put_api_key("API-VIEWER", permissions=["MachineView"], user="viewer")
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": LISTENING})
    path = f"/api/machines/{machine['Id']}"
    assert trial.ask(path, key="API-VIEWER").status == 200
    refused = trial.ask(path, "DELETE", key="API-VIEWER")
    assert (refused.status, refused.body["ErrorMessage"].endswith("Missing permission: MachineEdit")) == (403, True)
    assert trial.ask("/api/users/me", key="API-VIEWER").body["Username"] == "viewer"


def test_policies_pools_and_environments_are_whole(trial: Trial) -> None:
    policy = trial.ask("/api/Spaces-1/machinepolicies/all").body[0]
    assert policy["MachineCleanupPolicy"] == {"DeleteMachinesBehavior": "DoNotDelete", "DeleteMachinesElapsedTimeSpan": "00:00:00"}
    mended = {
        "Name": "Default Machine Policy",
        "IsDefault": True,
        "MachineConnectivityPolicy": {"MachineConnectivityBehavior": "MayBeOfflineAndCanBeSkipped"},
    }
    assert trial.database.put_policy("Default", mended)["Id"] == policy["Id"]
    machine = trial.database.put_machine("Default", {"Name": "web", "Endpoint": LISTENING})
    assert [each["Id"] for each in trial.ask(f"/api/machinepolicies/{policy['Id']}/machines").body["Items"]] == [machine["Id"]]
    assert trial.ask("/api/workerpools").body["Items"][0]["WorkerPoolType"] == "StaticWorkerPool"
    environment = trial.database.put_environment("Default", {"Name": "Production"})
    assert trial.ask(f"/api/environments/{environment['Id']}").body["Name"] == "Production"
