# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is collected for an audit: from each source what it has, from a source that fails the reason, from one not asked for nothing at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import (
    DATABASE,
    DISK,
    NOT_ASKED,
    NOT_READ,
    PROCESS,
    READ,
    SOURCES,
    WIRE,
    AuditFacts,
    PolicySeen,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import usual_endpoint
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity, make_server_certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Caller
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient, Patience
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import NoAnswer, Request, Response
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _audit_sources as sources
from ansible_collections.octofleet.octopus.plugins.plugin_utils._audit_sources import Bounded, Collector, Question
from unit.octopus.conversation import KEY, URL, Clock

NODE, WEB, OTHER = "10.0.0.9:10943", "10.0.0.1:10933", "10.0.0.2:10933"
SERVER, OWN, SECOND, THIRD = "5E" * 20, "A1" * 20, "B2" * 20, "C3" * 20
ALL = frozenset(SOURCES)


# -- doubles


class Rest:
    """A Server that answers from a dictionary of documents by path; a number is a status, an exception is silence. Keeps what it was asked."""

    def __init__(self, **other: Any) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Any] = {
            "/api/spaces/all": [{"Id": "Spaces-1", "Name": "Default", "IsDefault": True}, {"Id": "Spaces-2", "Name": "Finance"}],
            "/api/configuration/certificates/certificate-global": {"Thumbprint": SERVER.lower(), "SignatureAlgorithm": "sha256RSA"},
            "/api/octopusservernodes/summary": {"Nodes": [{"Id": "N-1", "Name": "node-1"}]},
            "/api/Spaces-1/machines/all": [listening("Machines-1", WEB, OWN)],
            "/api/Spaces-1/workers/all": [polling("Workers-7")],
            "/api/Spaces-1/environments/all": [{"Id": "Environments-1", "Name": "Production"}],
            "/api/Spaces-1/machinepolicies/all": [deleting("00:20:00")],
            "/api/Spaces-1/workers/Workers-7/connection": {"LastChecked": "2026-11-22T07:58:10.1234567+00:00"},
            "/api/Spaces-2/machines/all": [],
            "/api/Spaces-2/workers/all": [],
            "/api/Spaces-2/machinepolicies/all": [],
        }
        self.answers.update({path.replace("__", "/"): answer for path, answer in other.items()})

    def __call__(self, request: Request) -> Response:
        path = request.url[len(URL) :]
        assert request.headers["X-Octopus-ApiKey"] == KEY
        assert request.method == "GET"
        self.asked.append(path)
        answer = self.answers[path]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return Response(answer, {}, b"{}")
        return Response(200, {}, json.dumps(answer).encode())


def listening(number: str, place: str, thumbprint: str, **other: Any) -> dict[str, Any]:
    endpoint = {"CommunicationStyle": "TentaclePassive", "Uri": f"https://{place}/", "Thumbprint": thumbprint, **other}
    return {"Id": number, "Name": f"name of {number}", "Endpoint": endpoint, "EnvironmentIds": ["Environments-1"], "HealthStatus": "Healthy"}


def polling(number: str) -> dict[str, Any]:
    return {"Id": number, "Name": "poll", "Endpoint": {"CommunicationStyle": "TentacleActive", "Uri": "poll://abc/", "Thumbprint": SECOND}}


def deleting(after: str) -> dict[str, Any]:
    cleanup = {"DeleteMachinesBehavior": "DeleteUnavailableMachines", "DeleteMachinesElapsedTimeSpan": after}
    return {"Id": "MachinePolicies-1", "Name": "Eager", "MachineCleanupPolicy": cleanup}


Behaviour = Callable[[Endpoint, Caller, int], tuple[str, "str | None"]]


class Wire:
    """Endpoints that behave as told, by address: (verdict, thumbprint) for a caller at the sweep of that number. Keeps its sweeps."""

    def __init__(self, **at: Behaviour) -> None:
        self.at: dict[str, Behaviour] = {NODE: presents(SERVER), WEB: presents(OWN), OTHER: presents(SECOND)}
        self.sweeps: list[list[tuple[str, str]]] = []

    def __call__(self, endpoints: Sequence[Endpoint], callers: Sequence[Caller] = (), limits: Any = None) -> list[probe.Sight]:
        given = list(callers) or [probe.onlooker()]
        self.sweeps.append([(endpoint.address, caller.name) for endpoint in endpoints for caller in given])
        return [self._sight(endpoint, caller) for endpoint in endpoints for caller in given]

    def _sight(self, endpoint: Endpoint, caller: Caller) -> probe.Sight:
        verdict, thumbprint = self.at[endpoint.address](endpoint, caller, len(self.sweeps))
        detail = "" if verdict in ("identity", "accepted", "refused") else f"it was {verdict}"
        return probe.Sight(endpoint, caller.name, verdict, thumbprint, "TLSv1.3" if thumbprint else None, 1, detail, b"")

    def met(self) -> list[str]:
        return [place for sweep in self.sweeps for place, _caller in sweep]


def presents(thumbprint: str, *accepted: str) -> Behaviour:
    def behave(_endpoint: Endpoint, caller: Caller, _sweep: int) -> tuple[str, str]:
        return ("accepted" if caller.name in accepted else "refused" if accepted else "unproven") if caller.asks else "identity", thumbprint

    return behave


def fails(verdict: str) -> Behaviour:
    return lambda _endpoint, _caller, _sweep: (verdict, None)


def host(reading: Any = None, **other: Any) -> dict[str, Any]:
    return {**({} if reading is None else {"octopus_reading": reading}), **other}


def read(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"instances": list(rows), "changed": False}


def instance(port: int = 10933, **other: Any) -> dict[str, Any]:
    trust = [{"thumbprint": SERVER, "canonical": SERVER, "style": "listening", "address": None, "subscription_id": None}]
    return {"instance": "Tentacle", "ok": True, "thumbprint": OWN, "listening": {"enabled": True, "port": port}, "trust": trust, **other}


HOSTS = {"web-01": host(read(instance()), ansible_host="10.0.0.1"), "server": host(ansible_host="10.0.0.9")}


class Stand:
    """One collection, with everything that it touched."""

    def __init__(
        self,
        *,
        asked: frozenset[str] = ALL,
        hosts: Mapping[str, Mapping[str, Any]] | None = None,
        rest: Rest | None = None,
        wire: Any = None,
        identities: Sequence[Identity] = (),
        servers: Sequence[str] = ("server",),
        **question: Any,
    ) -> None:
        self.rest, self.wire, self.clock = rest or Rest(), wire or Wire(), Clock()
        self.slept: list[float] = []
        hosts = HOSTS if hosts is None else hosts
        tentacles = [name for name in hosts if name not in servers]
        self._question = Question(asked, tentacles, servers, server_url=URL, **question)
        self._collector = Collector(
            self._question, hosts, self.wire, identities, self._connect, clock=self.clock, sleep=self.slept.append, now=lambda: 1795334400.0
        )
        self._bounded = Bounded(60.0, self.clock.sleep)

    def _connect(self, patience: float | None) -> OctopusClient:
        return OctopusClient(URL, Secret(KEY), self.rest, self.clock, self._bounded, Patience(60.0 if patience is None else patience))

    def facts(self) -> AuditFacts:
        return self._collector.facts()


@pytest.fixture(scope="session")
def identity() -> Identity:
    return make_server_certificate("one of the Server")


# -- each source


def test_all_four() -> None:
    stand = Stand(spaces=["Default"], rotation_takes=60.0)
    facts = stand.facts()
    assert facts.made_at == "2026-11-22T08:00:00Z"
    assert facts.sources == {}
    assert [(node.name, node.address, node.presented, node.reading.state) for node in facts.server.nodes] == [("node-1", NODE, SERVER, READ)]
    assert facts.server.database == SERVER
    assert [(visit.host, visit.outcome) for visit in facts.visits] == [("web-01", "ok")]
    assert [(record.id, record.environments) for record in facts.records] == [("Machines-1", ("Production",)), ("Workers-7", ())]
    assert facts.policies == (PolicySeen("MachinePolicies-1", "Eager", "Default", 1200.0),)
    assert facts.last_contact == {"Default/Workers-7": "2026-11-22T07:58:10Z"}
    assert facts.sights[WEB].presented == OWN
    assert facts.unseen_spaces == ()
    assert facts.callers == frozenset()
    assert facts.known is None
    assert facts.retired is None


@pytest.mark.parametrize("asked", [WIRE, DISK, DATABASE, PROCESS, ""])
def test_what_was_not_asked_for_is_not_touched(asked: str) -> None:
    stand = Stand(asked=frozenset(filter(None, [asked])))
    facts = stand.facts()
    assert bool(stand.rest.asked) is (asked == DATABASE)
    assert bool(stand.wire.sweeps) is (asked == WIRE)
    assert bool(facts.visits) is (asked in (DISK, PROCESS))
    assert facts.reading_of(asked or WIRE).ok is bool(asked)
    assert {node.reading.state for node in facts.server.nodes} == {READ if asked == WIRE else NOT_ASKED}


def test_version_of_the_collection_is_that_of_its_manifest() -> None:
    galaxy = (Path(__file__).parents[3] / "galaxy.yml").read_text(encoding="utf-8")
    assert f"\nversion: {sources.COLLECTION}\n" in galaxy


# -- the database


def test_without_a_client_the_database_is_not_asked_and_says_why() -> None:
    facts = Collector(Question(ALL, ["web-01"], ["server"]), HOSTS, Wire(), why_not="no api_key was given").facts()
    assert facts.reading_of(DATABASE).state == NOT_ASKED
    assert facts.reading_of(DATABASE).reason == "no api_key was given"
    assert facts.sights[WEB].presented == OWN  # which the reading knows


@pytest.mark.parametrize("answer", [401, NoAnswer("the connection is refused", passing=False, reached=False)], ids=["key", "refused"])
def test_server_that_does_not_let_us_in_is_a_reason(answer: Any) -> None:
    stand = Stand(rest=Rest(**{"/api/spaces/all": answer}))
    facts = stand.facts()
    assert facts.reading_of(DATABASE).state == NOT_READ
    assert facts.reading_of(DATABASE).reason
    assert KEY not in facts.reading_of(DATABASE).reason
    assert stand.rest.asked == ["/api/spaces/all"]


def test_key_that_sees_no_space_is_a_reason() -> None:
    facts = Stand(rest=Rest(**{"/api/spaces/all": []})).facts()
    assert facts.reading_of(DATABASE).reason.startswith("The API key sees no space.")


def test_space_that_the_key_does_not_see_is_a_row() -> None:
    facts = Stand(spaces=["default", "Spaces-2", "Secret"]).facts()
    assert facts.unseen_spaces == (("Secret", "the API key does not see it, or it is not there"),)


def test_space_whose_machines_are_denied_is_a_row_and_the_others_are_read() -> None:
    facts = Stand(rest=Rest(**{"/api/Spaces-2/machines/all": 403})).facts()
    assert [space for space, _why in facts.unseen_spaces] == ["Finance"]
    assert "(403)" in facts.unseen_spaces[0][1]
    assert [record.id for record in facts.records] == ["Machines-1", "Workers-7"]
    assert facts.reading_of(DATABASE).ok


def test_workers_that_are_denied_leave_the_targets_of_their_space() -> None:
    facts = Stand(rest=Rest(**{"/api/Spaces-1/workers/all": 403})).facts()
    assert [record.id for record in facts.records if record.space == "Default"] == ["Machines-1"]
    ((space, why),) = facts.unseen_spaces
    assert space == "Default"
    assert "the workers of space Default (403)" in why


def test_policies_and_environments_that_are_denied_are_rows_and_leave_their_space() -> None:
    facts = Stand(rest=Rest(**{"/api/Spaces-1/environments/all": 403, "/api/Spaces-1/machinepolicies/all": 403})).facts()
    assert facts.unseen_spaces == ()
    assert [(one.space, one.part) for one in facts.unread] == [("Default", "environments"), ("Default", "machine policies")]
    assert facts.records[0].environments == ("Environments-1",)


def test_certificate_that_is_denied_leaves_the_rest() -> None:
    facts = Stand(rest=Rest(**{"/api/configuration/certificates/certificate-global": 403})).facts()
    assert facts.server.database is None
    assert facts.reading_of(DATABASE).ok
    assert "the Server certificate (403)" in facts.reading_of(DATABASE).reason
    assert facts.records


def test_storm_of_rate_limits_ends_when_the_patience_is_used_up() -> None:
    paths = [path for path in Rest().answers if path != "/api/spaces/all"]
    stand = Stand(rest=Rest(**dict.fromkeys(paths, 429)))
    facts = stand.facts()
    assert sum(stand.clock.slept) <= 60.0
    assert {space for space, _why in facts.unseen_spaces} == {"Default", "Finance"}
    assert "limits the rate" in facts.reading_of(DATABASE).reason


def test_server_that_falls_silent_is_asked_no_more() -> None:
    silence = NoAnswer("no answer came in time", passing=False, reached=True)
    stand = Stand(rest=Rest(**{"/api/Spaces-1/machines/all": silence}))
    facts = stand.facts()
    assert stand.rest.asked[-1] == "/api/Spaces-1/machines/all"
    assert [space for space, _why in facts.unseen_spaces] == ["Default", "Finance"]
    assert facts.unread == ()


def test_last_contacts_end_at_the_first_that_is_put_off_and_cost_nothing_else() -> None:
    rest = Rest(**{"/api/Spaces-1/workers/Workers-7/connection": 429, "/api/Spaces-1/workers/all": [polling("Workers-7"), polling("Workers-8")]})
    stand = Stand(rest=rest)
    facts = stand.facts()
    assert facts.last_contact == {}
    assert stand.clock.slept == []
    assert [path for path in rest.asked if path.endswith("connection")] == ["/api/Spaces-1/workers/Workers-7/connection"]
    assert facts.unseen_spaces == ()


# -- the hosts


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        pytest.param({"unreachable": True, "msg": "Permission denied (publickey)"}, "unreachable", "Permission denied (publickey)", id="unreachable"),
        pytest.param({"failed": True, "msg": "no Python"}, "failed", "no Python", id="failed"),
        pytest.param(None, "skipped", "no task of this run visited it", id="not visited"),
        pytest.param("nonsense", "skipped", "no task of this run visited it", id="no result"),
    ],
)
def test_host_that_was_not_read_is_a_visit_with_a_reason(result: Any, outcome: str, reason: str) -> None:
    facts = Stand(hosts={**HOSTS, "web-02": host(result, ansible_host="10.0.0.2")}).facts()
    assert [(visit.outcome, visit.reason) for visit in facts.visits if visit.host == "web-02"] == [(outcome, reason)]


def test_host_that_a_limit_left_out_says_so() -> None:
    facts = Stand(hosts={**HOSTS, "web-02": host(ansible_host="10.0.0.2")}, limit="web-01").facts()
    assert facts.visits[1].reason == "no task of this run visited it (--limit web-01)"


def test_readings_under_another_name() -> None:
    hosts = {**HOSTS, "web-02": {"mine": read(instance()), "ansible_host": "10.0.0.2"}}
    assert [visit.outcome for visit in Stand(hosts=hosts, readings="mine").facts().visits] == ["skipped", "ok"]


def test_variables_of_a_host_are_put_together_once() -> None:
    class Counting(dict[str, Any]):
        def __init__(self) -> None:
            super().__init__(HOSTS)
            self.met: list[str] = []

        def __getitem__(self, name: str) -> Any:
            self.met.append(name)
            return super().__getitem__(name)

    hosts = Counting()
    Stand(hosts=hosts).facts()
    assert hosts.met.count("web-01") == 1


# -- the nodes


def test_node_that_no_host_has_is_not_read_and_says_why() -> None:
    nodes = {"Nodes": [{"Id": "N-1", "Name": "node-1"}, {"Id": "N-2", "Name": "node-2"}]}
    hosts = {**HOSTS, "server": host(ansible_host="10.0.0.9", octopus_node_name="node-1")}
    found = {node.name: node for node in Stand(hosts=hosts, rest=Rest(**{"/api/octopusservernodes/summary": nodes})).facts().server.nodes}
    assert found["node-1"].presented == SERVER
    assert found["node-2"].reading.state == NOT_READ
    assert "octopus_node_name" in found["node-2"].reading.reason


def servers(*names: str, **hosts: Mapping[str, Any]) -> Stand:
    """Nodes of REST by name, offline where that is added, and hosts of the group octopus_server."""
    nodes = [{"Id": f"N-{name}", "Name": name.split()[0], "IsOffline": name.endswith(" offline")} for name in names]
    wire = Wire()
    wire.at["10.0.0.8:10943"] = presents(SERVER)
    return Stand(
        hosts={"web-01": HOSTS["web-01"], **hosts}, servers=list(hosts), wire=wire, rest=Rest(**{"/api/octopusservernodes/summary": {"Nodes": nodes}})
    )


def test_nodes_of_one_name_are_still_several() -> None:
    """octopus_node_name was set for the whole group."""
    first, second = ({"ansible_host": address, "octopus_node_name": "node-1"} for address in ("10.0.0.9", "10.0.0.8"))
    nodes = servers("node-1", "node-2", first=first, second=second).facts().server.nodes
    assert [(node.name, node.address, node.presented) for node in nodes] == [
        ("node-1", NODE, SERVER),
        ("second", "10.0.0.8:10943", SERVER),
        ("node-2", None, None),
    ]


def test_hosts_that_are_named_crosswise_are_all_there() -> None:
    nodes = servers(second={"ansible_host": "10.0.0.9", "octopus_node_name": "first"}, first={"ansible_host": "10.0.0.8"}).facts().server.nodes
    assert {node.address for node in nodes} == {NODE, "10.0.0.8:10943"}


def test_name_of_a_node_is_met_whatever_its_letter_case() -> None:
    (node,) = servers("Node-1", first={"ansible_host": "10.0.0.9", "octopus_node_name": "NODE-1"}).facts().server.nodes
    assert (node.name, node.address, node.presented) == ("Node-1", NODE, SERVER)


def test_left_over_node_keeps_the_only_host_from_nothing() -> None:
    first, left = servers("node-1", "old-node offline", first={"ansible_host": "10.0.0.9"}).facts().server.nodes
    assert (first.name, first.presented) == ("node-1", SERVER)
    assert (left.name, left.reading.state) == ("old-node", NOT_ASKED)
    assert "offline" in left.reading.reason


def test_node_that_is_offline_and_has_a_host_is_looked_at() -> None:
    (node,) = servers("node-1 offline", first={"ansible_host": "10.0.0.9"}).facts().server.nodes
    assert (node.name, node.presented) == ("node-1", SERVER)


def test_node_that_does_not_answer_says_why() -> None:
    wire = Wire()
    wire.at[NODE] = fails("timeout")
    node = Stand(wire=wire).facts().server.nodes[0]
    assert (node.presented, node.reading.state, node.reading.reason) == (None, NOT_READ, "it was timeout")


def test_place_of_a_node_that_is_none_is_no_error() -> None:
    hosts = {**HOSTS, "server": host(octopus_node_endpoint="what is this?")}
    node = Stand(hosts=hosts).facts().server.nodes[0]
    assert node.reading.state == NOT_READ
    assert "what is this?" in node.reading.reason


def test_known_servers_are_looked_at_and_thumbprints_are_taken_as_told() -> None:
    wire = Wire()
    wire.at["10.0.9.9:10943"] = presents(SECOND)
    known = sources.known_places({"dr": ["10.0.9.9:10943"], "clone": [THIRD.lower()]})
    facts = Stand(wire=wire, known=known).facts()
    assert facts.known is not None
    assert [(server.name, [node.presented for node in server.nodes]) for server in facts.known] == [
        ("dr", [SECOND]),
        ("clone", [THIRD]),
    ]


def test_server_without_a_port_is_looked_at_where_tentacles_poll_it() -> None:
    assert [place.endpoint.address for place in sources.known_places({"dr": ["dr.example.com", "[fd00::7]"]}) or () if place.endpoint] == [
        "dr.example.com:10943",
        "[fd00::7]:10943",
    ]
    hosts = {**HOSTS, "server": host(octopus_node_endpoint="10.0.0.9")}
    assert Stand(hosts=hosts).facts().server.nodes[0].address == NODE


@pytest.mark.parametrize("spelled", ["\u200e" + THIRD, " ".join(["c3"] * 20), THIRD + "\ufeff\n"], ids=["mark", "blanks", "both"])
def test_thumbprint_is_known_through_what_a_dialog_put_into_it(spelled: str) -> None:
    assert sources.known_places({"clone": [spelled]}) == (sources.KnownPlace("clone", thumbprint=THIRD),)


def test_host_name_of_digits_is_a_place_with_its_port() -> None:
    (place,) = sources.known_places({"dr": [f"{'ab' * 32}:10943"]}) or ()
    assert place.endpoint is not None
    assert place.endpoint.host == "ab" * 32


@pytest.mark.parametrize(
    "given",
    [{"dr": "10.0.0.1:10943"}, {"dr": []}, {"dr": ["no host at all"]}, {"dr": [THIRD[:-1]]}, {"dr": ["\u200e" + THIRD + "0"]}, {"dr": ["ab" * 16]}],
    ids=["text", "empty", "no place", "39 digits", "41 digits and a mark", "32 digits"],
)
def test_known_servers_that_cannot_be_understood_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(OctoError):
        sources.known_places(given)


# -- the wire


def test_identity_mode_is_one_sweep_of_onlookers() -> None:
    stand = Stand()
    facts = stand.facts()
    assert stand.wire.sweeps == [[(NODE, "identity"), (WEB, "identity")]]
    assert facts.sights[WEB].verdicts == {}


def test_trust_mode_asks_for_random_none_and_the_servers_own_last(identity: Identity) -> None:
    wire = Wire()
    other = make_server_certificate("another")
    wire.at[NODE] = presents(identity.thumbprint)
    wire.at[WEB] = presents(OWN, identity.thumbprint)
    stand = Stand(wire=wire, identities=[identity, other])
    facts = stand.facts()
    assert stand.wire.sweeps == [[(NODE, "identity")], [(WEB, name) for name in ("random", "none", other.thumbprint, identity.thumbprint)]]
    assert facts.callers == {identity.thumbprint, other.thumbprint}
    assert facts.sights[WEB].verdicts == {"random": "refused", "none": "refused", other.thumbprint: "refused", identity.thumbprint: "accepted"}
    assert stand.slept == []


def test_refusal_without_a_control_is_a_refusal_when_it_is_repeated(identity: Identity) -> None:
    stand = Stand(identities=[identity])
    facts = stand.facts()
    assert facts.sights[WEB].verdicts == {"random": "refused", "none": "refused", identity.thumbprint: "refused"}
    assert stand.slept == [sources.SECOND_LOOK]
    assert len(stand.wire.sweeps) == 3


def test_who_was_stopping_is_not_called_refusing(identity: Identity) -> None:
    wire = Wire()
    wire.at[WEB] = lambda _endpoint, _caller, sweep: ("unproven", OWN) if sweep == 2 else ("connection_refused", None)
    facts = Stand(wire=wire, identities=[identity]).facts()
    assert set(facts.sights[WEB].verdicts.values()) == {"connection_refused"}
    assert facts.sights[WEB].reading.state == NOT_READ
    assert facts.sights[WEB].reason == "it was connection_refused"


def test_who_presents_another_certificate_meanwhile_is_not_called_refusing(identity: Identity) -> None:
    wire = Wire()
    wire.at[WEB] = lambda _endpoint, _caller, sweep: ("unproven", OWN if sweep == 2 else SECOND)
    assert set(Stand(wire=wire, identities=[identity]).facts().sights[WEB].verdicts.values()) == {"unproven"}


def test_port_that_judges_nobody_is_not_read_though_it_presents_a_certificate(identity: Identity) -> None:
    wire = Wire()
    wire.at[WEB] = lambda _endpoint, _caller, _sweep: ("not_asked", OWN)
    sight = Stand(wire=wire, identities=[identity]).facts().sights[WEB]
    assert sight.reading.state == NOT_READ
    assert sight.reason == "it was not_asked"


def test_several_programs_behind_one_address_are_not_read(identity: Identity) -> None:
    wire = Wire()
    wire.at[WEB] = lambda _endpoint, caller, _sweep: ("refused", OWN if caller.name == "none" else SECOND)
    sight = Stand(wire=wire, identities=[identity]).facts().sights[WEB]
    assert OWN in sight.reason
    assert SECOND in sight.reason


def test_vantage_that_cannot_be_used_is_the_reason_of_the_wire() -> None:
    def sweep(*_arguments: Any) -> list[probe.Sight]:
        raise OctoError("The probe from bastion failed: no Python")

    facts = Stand(wire=sweep).facts()
    assert facts.reading_of(WIRE).state == NOT_READ
    assert facts.reading_of(WIRE).reason == "The probe from bastion failed: no Python"
    assert facts.server.nodes[0].reading.reason == "The probe from bastion failed: no Python"
    assert facts.records


def test_one_place_under_two_spellings_is_called_once() -> None:
    hosts = {"web-01": host(read(instance()), ansible_host="10.0.0.2", octopus_addresses=["10.0.0.1"]), "server": HOSTS["server"]}
    stand = Stand(hosts=hosts)
    facts = stand.facts()
    assert stand.wire.met().count(WEB) == 1
    assert OTHER not in stand.wire.met()
    assert facts.sights[WEB].presented == OWN


def test_tentacle_that_only_its_host_knows_is_called_there() -> None:
    hosts = {**HOSTS, "web-02": host(read(instance()), ansible_host="10.0.0.2")}
    assert Stand(hosts=hosts).facts().sights[OTHER].presented == SECOND


@pytest.mark.parametrize(
    "row",
    [instance(listening={"enabled": False, "port": 10933}), {"instance": "x", "ok": False, "code": "CONFIGURATION_UNREADABLE", "reason": "r"}],
    ids=["does not listen", "not readable"],
)
def test_instance_without_a_port_is_not_called(row: dict[str, Any]) -> None:
    hosts = {**HOSTS, "web-02": host(read(row), ansible_host="10.0.0.2")}
    assert OTHER not in Stand(hosts=hosts).facts().sights


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::", ""])
def test_tentacle_that_listens_everywhere_is_called_at_its_host(wildcard: str) -> None:
    hosts = {**HOSTS, "web-02": host(read(instance(listening={"enabled": True, "port": 10933, "ip": wildcard})), ansible_host="10.0.0.2")}
    stand = Stand(hosts=hosts)
    facts = stand.facts()
    assert sorted(set(stand.wire.met())) == [WEB, OTHER, NODE]
    assert facts.sights[OTHER].presented == SECOND
    row = {row["id"]: row for row in audit(facts)["tentacles"]}["web-02/Tentacle"]
    assert (row["endpoint"], row["presented"]) == (OTHER, SECOND)


@pytest.mark.parametrize("loopback", ["127.0.0.1", "127.20.0.3", "::1"])
def test_tentacle_that_listens_for_its_own_machine_alone_is_not_called_here(loopback: str) -> None:
    hosts = {**HOSTS, "web-02": host(read(instance(listening={"enabled": True, "port": 10933, "ip": loopback})), ansible_host="10.0.0.2")}
    stand = Stand(hosts=hosts)
    facts = stand.facts()
    assert sorted(set(stand.wire.met())) == [WEB, NODE]
    document = audit(facts)
    row = {row["id"]: row for row in document["tentacles"]}["web-02/Tentacle"]
    assert (row["endpoint"], row["presented"]) == (OTHER, None)
    assert f"it listens on {loopback} alone" in row["sources"]["wire"]["reason"]
    assert [finding["subject"] for finding in document["findings"] if finding["code"] == "UNREACHABLE"] == ["web-02/Tentacle"]


def test_place_that_a_record_names_is_called_whatever_the_host_says() -> None:
    hosts = {**HOSTS, "web-01": host(read(instance(listening={"enabled": True, "port": 10933, "ip": "127.0.0.1"})), ansible_host="10.0.0.1")}
    assert Stand(hosts=hosts).facts().sights[WEB].presented == OWN


@pytest.mark.parametrize("variables", [{"ansible_host": "127.0.0.1"}, {"octopus_addresses": ["127.20.0.3"]}, {"ansible_host": "localhost"}])
def test_machine_that_is_reached_by_loopback_is_called_there(variables: dict[str, Any]) -> None:
    wire = Wire()
    wire.at["127.20.0.3:10933"] = presents(SECOND)
    hosts = {**HOSTS, "web-02": host(read(instance(listening={"enabled": True, "port": 10933, "ip": "127.20.0.3"})), **variables)}
    assert Stand(hosts=hosts, wire=wire).facts().sights["127.20.0.3:10933"].presented == SECOND


@pytest.mark.parametrize(
    "reading",
    [{"unreachable": True, "msg": "no route"}, {"failed": True, "msg": "no Python"}, None, read()],
    ids=["unreachable", "failed", "-", "empty"],
)
def test_host_of_which_nobody_tells_anything_is_called_at_its_usual_port(reading: Any) -> None:
    """An inventory is enough, with all four sources asked for."""
    hosts = {"web-01": host(reading, ansible_host="10.0.0.1"), "web-02": host(reading, ansible_host="10.0.0.2"), "server": HOSTS["server"]}
    wire = Wire()
    wire.at[OTHER] = presents(THIRD)
    facts = Stand(hosts=hosts, wire=wire).facts()  # with a record at the first one's address
    assert facts.sights[OTHER].presented == THIRD
    rows = {row["id"]: row for row in audit(facts)["tentacles"]}
    assert rows["web-02/*"]["presented"] == THIRD


def test_record_behind_a_proxy_that_the_key_does_not_see_is_not_called_directly() -> None:
    machines = [listening("Machines-1", WEB, OWN), listening("Machines-2", OTHER, SECOND, ProxyId="Proxies-1")]
    stand = Stand(rest=Rest(**{"/api/Spaces-1/machines/all": machines, "/api/Spaces-1/proxies/all": []}))
    facts = stand.facts()
    assert OTHER not in stand.wire.met()
    assert "which the API key does not see" in facts.sights[OTHER].reason
    assert facts.sights[WEB].presented == OWN


def test_record_behind_a_proxy_is_called_through_it() -> None:
    met: list[Endpoint] = []

    class Keeping(Wire):
        def __call__(self, endpoints: Sequence[Endpoint], callers: Sequence[Caller] = (), limits: Any = None) -> list[probe.Sight]:
            met.extend(endpoints)
            return super().__call__(endpoints, callers, limits)

    proxies = [{"Id": "Proxies-1", "Name": "dmz", "Host": "10.9.9.9", "Port": 3128}]
    machines = [listening("Machines-1", WEB, OWN, ProxyId="Proxies-1")]
    Stand(wire=Keeping(), rest=Rest(**{"/api/Spaces-1/machines/all": machines, "/api/Spaces-1/proxies/all": proxies})).facts()
    assert {(place.address, place.proxy.address if place.proxy else None) for place in met} == {(NODE, None), (WEB, "10.9.9.9:3128")}


def test_certificates_are_read_once_each(identity: Identity) -> None:
    class Showing(Wire):
        def _sight(self, endpoint: Endpoint, caller: Caller) -> probe.Sight:
            return super()._sight(endpoint, caller)._replace(thumbprint=identity.thumbprint, certificate=identity.certificate)

    facts = Stand(wire=Showing()).facts()
    assert list(facts.certificates) == [identity.thumbprint]
    seen = facts.certificates[identity.thumbprint]
    assert (seen.signature_algorithm, seen.key_algorithm, seen.key_bits) == ("sha256RSA", "RSA", 2048)
    assert seen.not_after.endswith("Z")


# -- time


def test_bounded_sleep_says_how_long_it_has_waited() -> None:
    clock = Clock()
    sleep = Bounded(10.0, clock.sleep)
    sleep(6.0)
    with pytest.raises(OctoError) as caught:
        sleep(6.0)
    assert clock.slept == [6.0]
    assert "for 6 s in all" in caught.value.message


def test_where_only_the_wire_is_asked_for_the_vendors_port_of_each_host_is_looked_at() -> None:
    facts = Collector(Question(frozenset((WIRE,)), ["web-01"], ["server"]), HOSTS, Wire()).facts()
    assert list(facts.sights) == [usual_endpoint(facts.hosts[0])]
    assert facts.sights[usual_endpoint(facts.hosts[0])].presented == OWN
