# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The REST client: what it asks, how it reads the answers, how long it insists, and what it never shows."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus import records
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient, choose_spaces
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import MachineRecord, Space
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import NoAnswer, Request, Response
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from unit.octopus.conversation import KEY, REFUSED, URL, Clock, Conversation, client_of, get, machine, silent, turn

DEFAULT = Space("Spaces-1", "Default", True, False)
FINANCE = Space("Spaces-2", "Finance", False, False)


def record(**changed: Any) -> MachineRecord:
    return records.machine(machine(**changed), records.TARGET, DEFAULT)


def test_root_and_certificate() -> None:
    talk = Conversation(
        get("/api", {"Application": "Octopus Deploy", "Version": "2026.2.1", "InstallationId": "abc"}),
        get("/api/configuration/certificates/certificate-global", {"Thumbprint": "B" * 40, "SignatureAlgorithm": "sha256RSA"}),
    )
    client = client_of(talk)
    assert client.server() == records.Server("2026.2.1", "abc")
    assert client.certificate() == records.ServerCertificate("B" * 40, "sha256RSA")
    assert talk.finished()


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (Response(200, {}, b'\xef\xbb\xbf{"Application": "Octopus Deploy", "InstallationId": "81c0"}'), "81c0"),
        (Response(200, {}, b'{"Application": "Something else"}'), None),
        (Response(200, {}, b"<html>Log in</html>"), None),
        (Response(503, {}, b'["starting"]'), None),
        (REFUSED, None),
    ],
    ids=["a-server", "not-a-server", "a-web-page", "not-an-object", "nobody"],
)
def test_another_address_is_asked_once_and_without_the_key(answer: Response | NoAnswer, found: str | None) -> None:
    asked: list[Request] = []

    def transport(request: Request) -> Response:
        asked.append(request)
        if isinstance(answer, NoAnswer):
            raise answer
        return answer

    client = OctopusClient(URL, Secret(KEY), transport)
    assert client.installation_at("https://elsewhere.example.com/octopus/") == found
    assert [(request.url, KEY in str(request.headers)) for request in asked] == [("https://elsewhere.example.com/octopus/api", False)]


def test_machines_are_targets_and_workers_of_all_styles() -> None:
    kubernetes = machine(
        "Machines-2",
        "k8s",
        Thumbprint=None,
        Uri=None,
        Endpoint={
            "CommunicationStyle": "KubernetesTentacle",
            "TentacleEndpointConfiguration": {"CommunicationMode": "Polling", "Thumbprint": "C" * 40, "Uri": "poll://abcdefghjk23456789bc/"},
        },
    )
    ssh = machine("Machines-3", "ssh", Thumbprint=None, Endpoint={"CommunicationStyle": "Ssh", "Fingerprint": "aa"})
    worker = machine("Workers-1", "worker", WorkerPoolIds=["WorkerPools-1"], Endpoint={**machine()["Endpoint"], "Uri": "https://[fd00::7]:10944/"})
    talk = Conversation(get("/api/Spaces-1/machines/all", [machine(), kubernetes, ssh]), get("/api/Spaces-1/workers/all", [worker]))
    web, k8s, other, work = client_of(talk).machines(DEFAULT)
    assert (web.address, web.port, web.subscription_id, web.thumbprint) == ("10.0.0.7", 10933, None, "A" * 40)
    assert (k8s.thumbprint, k8s.subscription_id, k8s.address) == ("C" * 40, "poll://abcdefghjk23456789bc/", None)
    assert (other.thumbprint, other.has_tentacle) == (None, False)
    assert (work.kind, work.address, work.port, work.worker_pool_ids) == ("worker", "fd00::7", 10944, ("WorkerPools-1",))
    assert web.tentacle_version == "8.1.2000"
    assert talk.finished()
    with pytest.raises(dataclasses.FrozenInstanceError):
        web.name = "other"  # type: ignore[misc]


def test_policies_nodes_and_running_tasks() -> None:
    policy = {
        "Id": "MachinePolicies-1",
        "Name": "Strict",
        "MachineCleanupPolicy": {"DeleteMachinesBehavior": "DeleteUnavailableMachines", "DeleteMachinesElapsedTimeSpan": "1.02:00:00"},
        "MachineConnectivityPolicy": {"MachineConnectivityBehavior": "MayBeOfflineAndCanBeSkipped"},
        "MachineUpdatePolicy": {"TentacleUpdateBehavior": "Update"},
        "PollingRequestQueueTimeout": "00:02:00",
    }
    tasks = [{"Id": "ServerTasks-2", "State": "Executing", "Name": "Deploy"}, {"Id": "ServerTasks-1", "State": "Canceled", "Name": "Health"}]
    talk = Conversation(
        get("/api/Spaces-1/machinepolicies/all", [policy, {"Id": "MachinePolicies-2", "Name": "Mild"}]),
        get("/api/octopusservernodes/summary", {"Nodes": [{"Id": "OctopusServerNodes-1", "Name": "node-1", "LastSeen": "x", "IsOffline": True}]}),
        get("/api/Spaces-1/machines/Machines-1/tasks?skip=0&take=100", {"Items": tasks}),
    )
    client = client_of(talk)
    strict, mild = client.policies(DEFAULT)
    assert strict == records.Policy("MachinePolicies-1", "Strict", "Spaces-1", 93600.0, True, True, 120.0)
    assert mild == records.Policy("MachinePolicies-2", "Mild", "Spaces-1", None, False, False, None)
    assert client.nodes() == [records.ServerNode("OctopusServerNodes-1", "node-1", True, False, "x", 0)]
    assert [one.id for one in client.running_tasks(record())] == ["ServerTasks-2"]
    assert talk.finished()


def test_proxies_as_the_server_tells_them() -> None:
    whole = {
        "Id": "Proxies-1",
        "Name": "Zone A",
        "SpaceId": "Spaces-1",
        "Host": "proxy.example.com",
        "Port": 3128,
        "ProxyType": "HTTP",
        "Username": "octopus",
        "Password": {"HasValue": True, "NewValue": None, "Hint": None},
    }
    bare = {"Id": "Proxies-2", "Name": "Zone B", "Host": "10.0.0.1", "Username": None, "Password": {"HasValue": False}}
    talk = Conversation(get("/api/Spaces-1/proxies/all", [whole, bare]))
    assert client_of(talk).proxies(DEFAULT) == [
        records.ProxyRecord("Proxies-1", "Zone A", "proxy.example.com", 3128, "octopus", True),
        records.ProxyRecord("Proxies-2", "Zone B", "10.0.0.1", 80, "", False),
    ]
    assert talk.finished()


def test_pages_are_followed_to_the_last_one() -> None:
    first = {"Items": [{"Id": "Spaces-1", "Name": "Default"}], "Links": {"Page.Next": "/octo/api/spaces/all?skip=30&take=30"}}
    last = {"Items": [{"Id": "Spaces-2", "Name": "Finance"}], "Links": {"Page.Current": "/octo/api/spaces/all?skip=30&take=30"}}
    talk = Conversation(get(f"{URL}/octo/api/spaces/all", first), get(f"{URL}/octo/api/spaces/all?skip=30&take=30", last))
    assert [one.name for one in client_of(talk, url=f"{URL}/octo/api/").spaces()] == ["Default", "Finance"]
    assert talk.finished()


@pytest.mark.parametrize(
    ("link", "words"),
    [("https://evil.example.com/api/spaces/all?skip=30", "the API key is not sent there"), ("/api/spaces/all", "its own next page")],
)
def test_a_page_that_leads_astray_is_refused(link: str, words: str) -> None:
    talk = Conversation(get("/api/spaces/all", {"Items": [], "Links": {"Page.Next": link}}))
    with pytest.raises(OctoError, match=words):
        client_of(talk).spaces()
    assert talk.finished()


def test_a_busy_and_a_starting_server_is_asked_again() -> None:
    clock = Clock()
    talk = Conversation(
        silent("GET", "/api", REFUSED),
        get("/api", raw=b"<html><title>Starting</title></html>", status=503),
        get("/api", {"ErrorMessage": "Slow down"}, status=429, headers={"retry-after": "7"}),
        get("/api", raw=b"", status=408),
        silent("GET", "/api", NoAnswer("no answer came in time", passing=True, reached=True)),
        get("/api", {"Version": "2026.2.1"}),
    )
    assert client_of(talk, clock).server().version == "2026.2.1"
    assert clock.slept == [1.0, 2.0, 7.0, 8.0, 8.0]
    assert talk.finished()


def test_patience_has_an_end_and_says_what_was_seen_last() -> None:
    clock = Clock()
    talk = Conversation(*[get("/api", {"ErrorMessage": "Database is upgrading"}, status=503)] * 10)
    with pytest.raises(OctoError, match=r"answered 503 .* It says: Database is upgrading\. It was tried for 60 s\.") as caught:
        client_of(talk, clock).server()
    assert sum(clock.slept) <= 60.0
    assert caught.value.evidence["status"] == 503


def test_a_limit_that_outlasts_the_patience_ends_at_once() -> None:
    clock = Clock()
    talk = Conversation(get("/api", {}, status=429, headers={"retry-after": "3600"}))
    with pytest.raises(OctoError, match="limits the rate"):
        client_of(talk, clock).server()
    assert clock.slept == []


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (NoAnswer("no answer came in time", passing=True, reached=True), "no answer came in time. Whether it was carried out is not known"),
        (NoAnswer("the name cannot be resolved", passing=False, reached=False), "the name cannot be resolved"),
    ],
)
def test_a_question_that_may_have_been_carried_out_is_not_repeated(failure: NoAnswer, words: str) -> None:
    talk = Conversation(silent("POST", "/api/Spaces-1/tasks", failure))
    with pytest.raises(OctoError, match=words):
        client_of(talk).start_health_check(DEFAULT, ["Machines-1"], "d", 60, 60)
    assert talk.finished()


@pytest.mark.parametrize("again", [silent("POST", "/api/Spaces-1/tasks", REFUSED), turn("POST", "/api/Spaces-1/tasks", {}, status=503)])
def test_a_question_that_was_certainly_not_carried_out_is_repeated(again: Any) -> None:
    body = {
        "SpaceId": "Spaces-1",
        "Name": "Health",
        "Description": "d",
        "Arguments": {"Timeout": "00:10:00", "MachineTimeout": "00:05:00", "MachineIds": ["Machines-1", "Workers-1"]},
    }
    talk = Conversation(again, turn("POST", "/api/Spaces-1/tasks", {"Id": "ServerTasks-9", "State": "Queued"}, status=201, body=body))
    task = client_of(talk).start_health_check(DEFAULT, ["Machines-1", "Workers-1"], "d", 599.2, 300)
    assert (task.id, task.finished) == ("ServerTasks-9", False)
    assert talk.finished()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept the API key"),
        (403, "may not have the spaces"),
        (404, "does not know the spaces"),
        (400, "answered 400"),
        (418, "answered 418"),
    ],
)
def test_refusals_are_told_apart_and_say_what_the_server_says(status: int, words: str) -> None:
    document = {"ErrorMessage": "No.", "Errors": ["No.", "And that is final."], "FullException": None}
    talk = Conversation(get("/api/spaces/all", document, status=status))
    with pytest.raises(OctoError, match=rf"{words}.*It says: No\. And that is final\.") as caught:
        client_of(talk).spaces()
    assert caught.value.evidence["status"] == status
    assert talk.finished()


def test_pages_for_people_are_tolerated() -> None:
    with pytest.raises(OctoError, match=r"not JSON \(Log in to the proxy\).*server_url"):
        client_of(Conversation(get("/api", raw=b"<html><title>Log in to\n the proxy</title>..</html>"))).server()
    with pytest.raises(OctoError, match="It says: Bad Gateway of nginx"):
        client_of(Conversation(get("/api", raw=b"<h1>Bad Gateway</h1>of <b>nginx</b>", status=400))).server()
    with pytest.raises(OctoError, match=r"redirect \(302\) to 'https://login\.example\.com/'"):
        client_of(Conversation(get("/api", raw=b"", status=302, headers={"location": "https://login.example.com/"}))).server()


def test_the_key_is_in_no_message_even_when_the_server_echoes_it() -> None:
    talk = Conversation(get("/api/spaces/all", {"ErrorMessage": f"The key {KEY} is not valid"}, status=401))
    client = client_of(talk)
    with pytest.raises(OctoError) as caught:
        client.spaces()
    assert KEY not in caught.value.message + json.dumps(caught.value.evidence) + repr(client.__dict__)
    assert "The key ******** is not valid" in caught.value.message


@pytest.mark.parametrize(
    "url", ["octopus.example.com", "ftp://octopus.example.com", "https://user:secret@octopus.example.com", "https://o.example.com?apikey=API-X"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(OctoError, match="server_url") as caught:
        OctopusClient(url, Secret(KEY), Conversation())
    assert "secret" not in caught.value.message
    assert "API-X" not in caught.value.message


def test_maintenance_goes_back_whole_and_is_read_back() -> None:
    document = {"Id": "maintenance", "IsInMaintenanceMode": False, "Links": {"Self": "/api/maintenanceconfiguration"}}
    talk = Conversation(
        get("/api/maintenanceconfiguration", document),
        turn("PUT", "/api/maintenanceconfiguration", {}, body={**document, "IsInMaintenanceMode": True}),
        get("/api/maintenanceconfiguration", {**document, "IsInMaintenanceMode": True}),
        get("/api/maintenanceconfiguration", {**document, "IsInMaintenanceMode": True}),
        get("/api/serverstatus", {"IsInMaintenanceMode": True}),
    )
    client = client_of(talk)
    client.set_maintenance(True)
    client.set_maintenance(True)
    assert client.in_maintenance()
    assert talk.finished()


def test_a_node_that_is_told_to_drain_keeps_its_task_cap() -> None:
    route, document = (
        "/api/octopusservernodes/OctopusServerNodes-node-1",
        {"Id": "OctopusServerNodes-node-1", "Name": "node-1", "MaxConcurrentTasks": 5},
    )
    node = records.node({**document, "RunningTaskCount": 1})
    talk = Conversation(
        get(route, {**document, "IsInMaintenanceMode": False}),
        turn("PUT", route, {}, body={**document, "IsInMaintenanceMode": True}),
        get(route, {**document, "IsInMaintenanceMode": False}),
        get(route, {**document, "IsInMaintenanceMode": True}),
        get("/api/tasks?node=node-1&running=true&includeSystem=true&take=100", {"Items": [{"Id": "ServerTasks-9", "State": "Executing"}]}),
    )
    client = client_of(talk)
    with pytest.raises(OctoError, match="took the change of the drain switch of the node node-1, but still says False"):
        client.set_draining(node, True)
    client.set_draining(node, True)
    assert [task.id for task in client.tasks_on(node)] == ["ServerTasks-9"]
    assert talk.finished()


def test_maintenance_that_has_no_effect_is_a_failure() -> None:
    talk = Conversation(
        get("/api/maintenanceconfiguration", {"IsInMaintenanceMode": True}),
        turn("PUT", "/api/maintenanceconfiguration", {}),
        get("/api/maintenanceconfiguration", {"IsInMaintenanceMode": True}),
    )
    with pytest.raises(OctoError, match="still says True"):
        client_of(talk).set_maintenance(False)


def test_a_check_of_nothing_would_be_a_check_of_everything() -> None:
    with pytest.raises(OctoError, match="no machine"):
        client_of(Conversation()).start_health_check(DEFAULT, [], "d", 60, 60)


def test_task_messages_come_in_the_order_of_the_tree() -> None:
    def line(text: str, category: str = "Error") -> dict[str, str]:
        return {"Category": category, "MessageText": text}

    child = {"LogElements": [line("two"), line("said", "Info")]}
    tree = [{"LogElements": [line("one")], "Children": [child]}, {"LogElements": [line("three", "Warning")]}]
    talk = Conversation(get("/api/tasks/ServerTasks-9/details", {"ActivityLogs": tree}), turn("POST", "/api/tasks/ServerTasks-9/cancel", {}, body={}))
    client = client_of(talk)
    assert client.task_messages("ServerTasks-9") == ["one", "two", "three"]
    client.cancel("ServerTasks-9")
    assert talk.finished()


def test_spaces_are_chosen_by_name_or_id_and_never_guessed() -> None:
    visible = [DEFAULT, FINANCE]
    assert choose_spaces(visible, None) == visible
    assert choose_spaces(visible, ["finance"]) == [FINANCE]
    assert choose_spaces(visible, ["Spaces-2", "Default"]) == visible
    with pytest.raises(OctoError, match=r"does not see the space Ops\. It sees Default, Finance"):
        choose_spaces(visible, ["Default", "Ops"])


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-06-01T09:00:00.1234567+00:00", "2026-06-01T09:00:00.123456+00:00"),
        ("2026-06-01T09:00:00Z", "2026-06-01T09:00:00+00:00"),
        ("2026-06-01T09:00:00.5+10:00", "2026-06-01T09:00:00.500000+10:00"),
    ],
)
def test_times_of_dotnet(text: str, iso: str) -> None:
    assert records.instant(text).isoformat() == iso  # type: ignore[union-attr]


def test_times_that_are_none_and_spans() -> None:
    assert records.instant("Monday") is None
    assert records.instant(None) is None
    assert records.seconds("2.00:00:30") == 172830.0
    assert records.seconds("soon") is None
    assert records.span(90061.2) == "1.01:01:02"
    assert records.span(300) == "00:05:00"


def test_a_document_without_its_name_is_refused() -> None:
    with pytest.raises(OctoError, match=r"Row 2 of the spaces: The Octopus Server sent a space without Name \(its Id is 'Spaces-2'\)\."):
        client_of(Conversation(get("/api/spaces/all", [{"Id": "Spaces-1", "Name": "Default"}, {"Id": "Spaces-2"}]))).spaces()
    with pytest.raises(OctoError, match="sent a list in place of an object for the API root"):
        client_of(Conversation(get("/api", []))).server()


ODD_MACHINES = [
    pytest.param(None, "sent null in place of a machine", id="null"),
    pytest.param(machine(Name=None), "a machine without Name (its Id is 'Machines-1')", id="no name"),
    pytest.param(machine(Id=None), "a machine without Id (its Name is 'web-01')", id="no id"),
    pytest.param(machine(Endpoint="x"), "whose Endpoint is text", id="endpoint"),
    pytest.param(machine(Endpoint={"TentacleEndpointConfiguration": []}), "whose Endpoint.TentacleEndpointConfiguration is a list", id="nested"),
    pytest.param(machine(Endpoint={"Uri": 1}), "whose Endpoint.Uri is a number", id="uri"),
    pytest.param(machine(Endpoint={"CertificateSignatureAlgorithm": 1.5}), "CertificateSignatureAlgorithm is a fraction", id="algorithm"),
    pytest.param(machine(Roles=[None, "a"]), "whose Roles[0] is null", id="roles"),
    pytest.param(machine(IsDisabled="false"), "whose IsDisabled is text", id="flag"),
]


@pytest.mark.parametrize(("row", "wrong"), ODD_MACHINES)
def test_one_odd_record_refuses_the_list_for_who_may_overlook_none(row: Any, wrong: str) -> None:
    talk = Conversation(get("/api/Spaces-1/machines/all", [machine("Machines-9"), row]))
    with pytest.raises(OctoError) as caught:
        client_of(talk).machines(DEFAULT)
    assert caught.value.message.startswith("Row 2 of the targets of space Default: The Octopus Server sent ")
    assert wrong in caught.value.message


@pytest.mark.parametrize(("row", "wrong"), ODD_MACHINES)
def test_one_odd_record_is_left_out_and_named_for_who_can_do_without(row: Any, wrong: str) -> None:
    talk = Conversation(get("/api/Spaces-1/machines/all", [machine("Machines-9"), row, machine("Machines-8")]))
    odd: list[str] = []
    assert [one.id for one in client_of(talk).machines(DEFAULT, (records.TARGET,), odd)] == ["Machines-9", "Machines-8"]
    (reason,) = odd
    assert wrong in reason


@pytest.mark.parametrize("sent", [None, "abc", 7, {}, {"Items": None}, {"Items": "abc"}, {"Items": {}}], ids=str)
def test_a_list_that_is_none_is_refused(sent: Any) -> None:
    space, node = "/api/Spaces-1/machines/all", records.ServerNode("N-1", "node-1", False, False, None, 0)
    with pytest.raises(OctoError, match="in place of a list for the targets of space Default"):
        client_of(Conversation(get(space, sent))).machines(DEFAULT, odd=[])
    tasks = get("/api/tasks?node=node-1&running=true&includeSystem=true&take=100", sent)
    with pytest.raises(OctoError, match=r"in place of .* for the tasks of the node node-1"):
        client_of(Conversation(tasks)).tasks_on(node)


@pytest.mark.parametrize("link", [7, "http://[", "/api/spaces all", "/api/sp\u00e4ces", ["/api/spaces/all"]], ids=str)
def test_a_next_page_that_is_no_address_is_refused(link: Any) -> None:
    for links in ({"Page.Next": link}, link):
        with pytest.raises(OctoError, match=r"which is no place of https://octopus\.example\.com; the API key is not sent there"):
            client_of(Conversation(get("/api/spaces/all", {"Items": [], "Links": links}))).spaces()


def test_silence_is_told_from_an_odd_answer() -> None:
    with pytest.raises(OctoError) as caught:
        client_of(Conversation(silent("GET", "/api", NoAnswer("the name cannot be resolved", passing=False, reached=False)))).server()
    assert caught.value.evidence == {"silent": True}
    with pytest.raises(OctoError) as caught:
        client_of(Conversation(get("/api", []))).server()
    assert caught.value.evidence == {}


def test_ids_of_any_text_stay_inside_their_route() -> None:
    odd = Space("../ä\n", "Odd", False, False)
    talk = Conversation(get("/api/..%2F%C3%A4%0A/proxies/all", []))
    assert client_of(talk).proxies(odd) == []
    assert talk.finished()


@pytest.mark.parametrize("said", [None, "no", 7, {"ErrorMessage": 7, "Errors": 7}, {"Errors": [None, {}]}], ids=str)
def test_a_refusal_of_another_shape_is_a_refusal(said: Any) -> None:
    with pytest.raises(OctoError, match=r"may not have the spaces \(403\)"):
        client_of(Conversation(get("/api/spaces/all", said, status=403))).spaces()


def test_a_wait_that_is_no_number_is_the_usual_one() -> None:
    clock = Clock()
    talk = Conversation(get("/api", {}, status=429, headers={"retry-after": "\u00b2"}), get("/api", {}))
    client_of(talk, clock).server()
    assert clock.slept == [1.0]


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"Port": "3128"}, "whose Port is text"),
        ({"Port": True}, "whose Port is true or false"),
        ({"Port": 70000}, "port 70000, where nothing can be"),
        ({"Host": "a\0b"}, "where nothing can be"),
        ({"Password": "x"}, "whose Password is text"),
    ],
    ids=["text", "flag", "too high", "no host", "password"],
)
def test_a_proxy_that_is_none_is_refused(changed: dict[str, Any], wrong: str) -> None:
    proxy = {"Id": "Proxies-1", "Name": "Zone A", "Host": "proxy", "Port": 3128, **changed}
    with pytest.raises(OctoError, match=wrong):
        client_of(Conversation(get("/api/Spaces-1/proxies/all", [proxy]))).proxies(DEFAULT)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.9999999+00:00", "2026-13-41T09:00:00Z", "2026-06-01T09:00:00+99:99"]
)
def test_times_that_are_never_or_in_no_calendar(text: str) -> None:
    assert records.instant(text) is None


def test_a_span_longer_than_any_is_none() -> None:
    assert records.seconds("99999999999.00:00:00") is None


@pytest.mark.parametrize("uri", ["https://a\0b:10933/", "https://[", "https://:10933/", "https://web-01:99999/"])
def test_an_address_where_nothing_can_be_is_none(uri: str) -> None:
    found = record(Endpoint={"CommunicationStyle": "TentaclePassive", "Uri": uri})
    assert (found.uri, found.address, found.port, found.subscription_id) == (uri, None, None, None)


@pytest.mark.parametrize("sent", [{"ActivityLogs": "x"}, {"ActivityLogs": [None]}, {"ActivityLogs": [{"LogElements": ["x"]}]}], ids=str)
def test_a_log_of_another_shape_is_refused(sent: Any) -> None:
    with pytest.raises(OctoError, match="sent"):
        client_of(Conversation(get("/api/tasks/ServerTasks-9/details", sent))).task_messages("ServerTasks-9")
