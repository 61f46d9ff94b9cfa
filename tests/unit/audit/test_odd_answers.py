# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Server, or what stands before it, that sends documents of another shape: each costs what it holds, with a reason, and nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import DATABASE, NOT_READ, POLICIES, AuditFacts
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import NoAnswer, Request, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.audit.test_schema import complaints
from unit.audit.test_sources import OTHER, OWN, SECOND, THIRD, WEB, Behaviour, Rest, Stand, deleting, fails, listening, polling
from unit.octopus.conversation import URL

CERTIFICATE = "/api/configuration/certificates/certificate-global"
NODES = "/api/octopusservernodes/summary"
TARGETS, WORKERS = "/api/Spaces-1/machines/all", "/api/Spaces-1/workers/all"
CONTACT = "/api/Spaces-1/workers/Workers-7/connection"
GOOD = [listening("Machines-1", WEB, OWN)]


class Whole(Rest):
    """Beside the usual documents one of each other kind; what it does not know it says it does not know."""

    def __init__(self, **other: Any) -> None:
        documents = {
            TARGETS: [listening("Machines-1", WEB, OWN), listening("Machines-2", OTHER, SECOND, ProxyId="Proxies-1")],
            "/api/Spaces-1/proxies/all": [{"Id": "Proxies-1", "Name": "dmz", "Host": "10.9.9.9", "Port": 3128, "Password": {"HasValue": False}}],
            "/api/Spaces-2/environments/all": [{"Id": "Environments-2", "Name": "Test"}],
            "/api/Spaces-2/workers/all": [{**polling("Workers-9"), "EnvironmentIds": ["Environments-2"], "Roles": ["x"]}],
            "/api/Spaces-2/workers/Workers-9/connection": {"LastChecked": "2026-11-22T07:00:00Z"},
        }
        super().__init__(**{**documents, **other})

    def __call__(self, request: Request) -> Response:
        self.answers.setdefault(request.url[len(URL) :], 404)
        return super().__call__(request)


class Anywhere(dict[str, Any]):
    """The usual endpoints, and nobody at any other."""

    def __missing__(self, _place: str) -> Behaviour:
        return fails("dns")


def found(**answers: Any) -> AuditFacts:
    stand = Stand(rest=Whole(**answers))
    stand.wire.at = Anywhere(stand.wire.at)
    return stand.facts()


def odd(**changed: Any) -> list[dict[str, Any]]:
    """The odd one between two good ones."""
    return [*GOOD, {**listening("Machines-2", OTHER, SECOND), **changed}, listening("Machines-3", "10.0.0.1:10934", THIRD)]


# -- one row


@pytest.mark.parametrize(
    ("rows", "named", "wrong"),
    [
        pytest.param(odd(Name=None), "Machines-2", "without Name", id="no name"),
        pytest.param([*GOOD, {"Name": "web-02"}, listening("Machines-3", "10.0.0.1:10934", THIRD)], "web-02", "without Id", id="no id"),
        pytest.param([*GOOD, None, listening("Machines-3", "10.0.0.1:10934", THIRD)], "Row 2 of the targets", "null in place of", id="null"),
        pytest.param(odd(Endpoint="x"), "Machines-2", "whose Endpoint is text", id="endpoint"),
        pytest.param(odd(Endpoint={"Uri": 7}), "Machines-2", "whose Endpoint.Uri is a number", id="uri"),
        pytest.param(odd(Endpoint={"Thumbprint": 7}), "Machines-2", "whose Endpoint.Thumbprint is a number", id="thumbprint"),
        pytest.param(odd(EnvironmentIds=[None]), "Machines-2", "whose EnvironmentIds[0] is null", id="environments"),
        pytest.param(odd(Roles=[None, "a"]), "Machines-2", "whose Roles[0] is null", id="roles"),
    ],
)
def test_record_that_cannot_be_understood_is_left_out_and_named(rows: list[Any], named: str, wrong: str) -> None:
    facts = found(**{TARGETS: rows})
    assert [record.id for record in facts.records] == ["Machines-1", "Machines-3", "Workers-7", "Workers-9"]
    ((space, why),) = facts.unseen_spaces
    assert space == "Default"
    assert named in why
    assert wrong in why


def test_many_odd_records_are_one_gap() -> None:
    facts = found(**{TARGETS: [*GOOD, *({"Id": f"Machines-{number}"} for number in range(2, 502))]})
    ((_space, why),) = facts.unseen_spaces
    assert "(its Id is 'Machines-2')" in why
    assert why.endswith("And 497 more.")
    assert len(why) < 1000


def test_odd_rows_of_the_other_lists_leave_the_good_ones() -> None:
    nodes = {"Nodes": [{"Id": "N-1", "Name": "node-1"}, {"Id": "N-2", "Name": 7}]}
    policies = [deleting("00:20:00"), {**deleting("00:20:00"), "Id": "MachinePolicies-2", "MachineCleanupPolicy": "x"}]
    environments = [{"Id": "Environments-1", "Name": "Production"}, {"Id": "Environments-3"}]
    facts = found(**{NODES: nodes, "/api/Spaces-1/machinepolicies/all": policies, "/api/Spaces-1/environments/all": environments})
    assert [node.name for node in facts.server.nodes] == ["node-1"]
    assert "N-2" in facts.reading_of(DATABASE).reason
    assert [policy.id for policy in facts.policies] == ["MachinePolicies-1"]
    assert facts.records[0].environments == ("Production",)
    said = {one.part: one.why for one in facts.unread}
    assert "(its Id is 'MachinePolicies-2')" in said[POLICIES]
    assert "(its Id is 'Environments-3')" in said["environments"]
    assert facts.unseen_spaces == ()


def test_odd_space_is_a_gap_and_the_others_are_read() -> None:
    facts = found(**{"/api/spaces/all": [{"Id": "Spaces-1"}, {"Id": "Spaces-2", "Name": "Finance"}]})
    assert [record.id for record in facts.records] == ["Workers-9"]
    ((_space, why),) = facts.unseen_spaces
    assert "a space without Name (its Id is 'Spaces-1')" in why


def test_only_odd_spaces_are_not_called_none() -> None:
    reading = found(**{"/api/spaces/all": [None]}).reading_of(DATABASE)
    assert reading.state == NOT_READ
    assert "Row 1 of the spaces" in reading.reason


# -- one document


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        pytest.param(NODES, [], id="nodes as a list"),
        pytest.param(NODES, {"Nodes": "x"}, id="nodes as text"),
        pytest.param(CERTIFICATE, {}, id="no certificate"),
        pytest.param(CERTIFICATE, {"Thumbprint": "AB"}, id="no thumbprint"),
        pytest.param(TARGETS, None, id="null"),
        pytest.param(TARGETS, "abc", id="text"),
        pytest.param(TARGETS, {}, id="no rows"),
        pytest.param(TARGETS, {"Items": [], "Links": "x"}, id="links"),
        pytest.param(TARGETS, {"Items": [], "Links": {"Page.Next": "https://elsewhere.example.com/"}}, id="page elsewhere"),
        pytest.param(TARGETS, {"Items": [], "Links": {"Page.Next": "http://["}}, id="page nowhere"),
        pytest.param(TARGETS, {"Items": [], "Links": {"Page.Next": "/api/ä b"}}, id="page that is no address"),
        pytest.param("/api/Spaces-1/proxies/all", [{"Id": "Proxies-1", "Name": "dmz", "Host": "10.9.9.9", "Port": 70000}], id="port"),
    ],
)
def test_document_that_cannot_be_understood_is_a_gap_and_the_others_are_read(path: str, answer: Any) -> None:
    facts = found(**{path: answer})
    assert facts.reading_of(DATABASE).reason or facts.unseen_spaces or facts.unread
    assert "Finance" not in [space for space, _why in facts.unseen_spaces]
    assert "Workers-9" in [record.id for record in facts.records]
    assert facts.last_contact["Finance/Workers-9"] == "2026-11-22T07:00:00Z"
    assert complaints(audit(facts)) == []


@pytest.mark.parametrize("answer", ["x", {"LastChecked": "0001-01-01T00:00:00+00:00"}, {"LastChecked": "2026-13-41T07:00:00Z"}])
def test_last_contact_that_is_none_leaves_those_of_the_others(answer: Any) -> None:
    assert found(**{CONTACT: answer}).last_contact == {"Finance/Workers-9": "2026-11-22T07:00:00Z"}


def test_refusal_of_another_shape_is_a_refusal() -> None:
    class Refusing(Whole):
        def __call__(self, request: Request) -> Response:
            if request.url == URL + TARGETS:
                return Response(403, {"retry-after": "²"}, b'{"ErrorMessage": 7, "Errors": 7}')
            return super().__call__(request)

    facts = Stand(rest=Refusing()).facts()
    assert "(403)" in facts.unseen_spaces[0][1]


@pytest.mark.parametrize("status", [200, 403])
def test_nesting_without_an_end_is_a_gap(status: int) -> None:
    class Deep(Whole):
        def __call__(self, request: Request) -> Response:
            return Response(status, {}, b"[" * 100_000) if request.url == URL + TARGETS else super().__call__(request)

    assert [space for space, _why in Stand(rest=Deep()).facts().unseen_spaces] == ["Default"]


def test_silence_ends_the_reading_whatever_was_asked_for() -> None:
    rest = Whole(**{"/api/Spaces-1/proxies/all": NoAnswer("no answer came in time", passing=False, reached=True)})
    facts = Stand(rest=rest).facts()
    assert rest.asked[-1] == "/api/Spaces-1/proxies/all"
    assert [space for space, _why in facts.unseen_spaces] == ["Finance"]
    assert "no answer came in time" in facts.sights[OTHER].reason


# -- anything


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "a\0b", "https://a\0b/", "https://[x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Id", "Name", "Items", "Links", "Uri"]) | st.text(max_size=4), inner)
    ),
    max_leaves=6,
)
DOCUMENTS = {path: answer for path, answer in Whole().answers.items() if not isinstance(answer, int)}


def places(document: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    inner = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in inner:
        yield from places(value, (*way, key))


def put(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    document = copy.copy(document)
    document[way[0]] = put(document[way[0]], way[1:], value)
    return document


@pytest.fixture(scope="module", autouse=True)
def nobody_resolves() -> Iterator[None]:
    """An address of any text is looked up as any name is; here none of them leaves the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint.Directory.learn", lambda _self, _hosts: None)
        yield


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    spoiled=st.sampled_from([(path, way) for path, document in DOCUMENTS.items() for way in places(document)]),
    value=ANYTHING,
)
def test_any_json_in_any_place_is_facts_or_a_gap(spoiled: tuple[str, tuple[Any, ...]], value: Any) -> None:
    path, way = spoiled
    answer = put(DOCUMENTS[path], way, value)
    facts = found(**{path: answer})
    assert complaints(audit(facts)) == []
    gaps = [why for _space, why in facts.unseen_spaces] + [one.why for one in facts.unread] + [reading.reason for reading in facts.sources.values()]
    assert all(gaps)
    if path in (TARGETS, WORKERS) and isinstance(answer, list):
        kind = "target" if path == TARGETS else "worker"
        kept = [record for record in facts.records if (record.space, record.kind) == ("Default", kind)]
        assert len(kept) == len(answer) or gaps
    assert gaps or isinstance(answer, (list, dict)) or path.endswith("/connection")  # a last contact that is not known has its place


def test_documents_as_they_are_have_no_gap() -> None:
    facts = found()
    assert (facts.unseen_spaces, facts.unread, facts.sources) == ((), (), {})
    assert json.dumps(audit(facts))
