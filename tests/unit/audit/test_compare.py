# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparison of two audits: what is new, what is gone, and what only nobody looked for."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import compare, verdicts
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audited
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import SOURCES, AuditFacts, Node, PolicySeen, Reading, Server, Unread
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import Visit
from unit.audit import samples
from unit.audit.estates import GHOST, OURS, RETIRED, WHOLE, World, entry, thumbprint, world


@pytest.fixture
def earlier() -> dict[str, Any]:
    return samples.document(40, since=False)


@pytest.fixture
def document(earlier: dict[str, Any]) -> dict[str, Any]:
    return {**copy.deepcopy(earlier), "made_at": "2026-11-23T08:00:00Z"}


def of_tentacle(document: dict[str, Any], code: str = "WEAK_CERT") -> dict[str, Any]:
    return next(one for one in document["findings"] if one["code"] == code)


def unread(document: dict[str, Any], subject: str, source: str) -> None:
    row = next(row for row in document["tentacles"] if row["id"] == subject)
    row["sources"][source] = {"state": "not_read", "reason": "timeout"}


def without(document: dict[str, Any], finding: dict[str, Any]) -> dict[str, Any]:
    return {**document, "findings": [one for one in document["findings"] if one["id"] != finding["id"]]}


def test_nothing_moved(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    compared = compare.compare(document, earlier, {})
    assert compared["changes"] == {"since": earlier["made_at"], "new": [], "gone": [], "not_judged": [], "unchanged": len(earlier["findings"])}
    assert {one["status"] for one in compared["findings"]} == {"unchanged"}


def test_new_one(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    new = of_tentacle(document)
    compared = compare.compare(document, without(earlier, new), {})
    assert compared["changes"]["new"] == [new["id"]]
    assert [one["id"] for one in compared["findings"] if one["status"] == "new"] == [new["id"]]
    assert compared["changes"]["unchanged"] == len(earlier["findings"]) - 1


def test_what_was_found_of_a_space_is_not_gone_while_the_space_cannot_be_read(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    risk = {
        **of_tentacle(earlier),
        "id": "f" * 12,
        "code": "DELETION_RISK",
        "kind": "space",
        "subject": "Default (Finance)",
        "spaces": ["Finance"],
    }
    risk["subjects"] = [risk["subject"]]
    earlier["findings"].append(risk)
    assert risk in compare.compare(document, earlier, {})["changes"]["gone"]
    document["findings"].append({**risk, "id": "e" * 12, "code": "UNREACHABLE", "subject": "space Finance"})
    assert compare.compare(document, earlier, {})["changes"]["not_judged"] == [risk]


def test_gone_one_is_kept_whole(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    gone = of_tentacle(document)
    compared = compare.compare(without(document, gone), earlier, {})
    assert compared["changes"]["gone"] == [gone]
    assert compared["changes"]["not_judged"] == []


def test_one_whose_source_was_not_read_this_time_is_not_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    hidden = of_tentacle(document)
    unread(document, hidden["subject"], "wire")
    compared = compare.compare(without(document, hidden), earlier, {})
    assert compared["changes"]["gone"] == []
    assert compared["changes"]["not_judged"] == [hidden]


def test_one_whose_other_source_had_not_been_read_before_either_is_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    gone = of_tentacle(document)
    for one in (document, earlier):
        unread(one, gone["subject"], "process")
    assert compare.compare(without(document, gone), earlier, {})["changes"]["gone"] == [gone]


def test_one_of_a_tentacle_that_is_no_more_is_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    gone = of_tentacle(document)
    document["tentacles"] = [row for row in document["tentacles"] if row["id"] != gone["subject"]]
    assert compare.compare(without(document, gone), earlier, {})["changes"]["gone"] == [gone]


def test_one_of_a_tentacle_whose_only_source_was_not_read_at_all_is_not_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    hidden = of_tentacle(document)
    document["tentacles"] = [row for row in document["tentacles"] if row["id"] != hidden["subject"]]
    document["sources"]["database"].update(read=0, reason="the API key is not accepted")
    assert compare.compare(without(document, hidden), earlier, {})["changes"]["not_judged"] == [hidden]


def test_code_that_could_be_judged_nowhere_is_not_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    """As GHOST_PIN, when octopus_known_servers is not given this time."""
    hidden = [one for one in document["findings"] if one["code"] == "GHOST_PIN"]
    document["findings"] = [one for one in document["findings"] if one not in hidden]
    changes = compare.compare(document, earlier, {"GHOST_PIN": [verdicts.WHOLE_ESTATE]})["changes"]
    assert changes["not_judged"] == hidden
    assert hidden
    assert changes["gone"] == []


def test_report_is_read_back(earlier: dict[str, Any]) -> None:
    assert compare.read(json.dumps(earlier).encode("utf-8"), "report.json") == earlier


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"<html>", "report.json is no JSON", id="no JSON"),
        pytest.param(b"\xff\xfe", "report.json is no JSON", id="no text"),
        pytest.param(b"[]", "report.json is no report of an audit", id="no object"),
        pytest.param(b'{"schema": "octofleet.octopus/rotation-report/1"}', "report.json is no report of an audit", id="another report"),
        pytest.param(b'{"schema": "octofleet.octopus/audit", "version": 2}', "report.json is an audit of schema version 2", id="another version"),
        pytest.param(b'{"schema": "octofleet.octopus/audit", "version": 1}', "report.json is not whole: it has no made_at", id="a header alone"),
    ],
)
def test_what_is_no_earlier_audit_is_refused_with_one_sentence(data: bytes, said: str) -> None:
    with pytest.raises(OctoError) as caught:
        compare.read(data, "report.json")
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda of: of.pop("findings"), "it has no findings as an audit writes it", id="no findings"),
        pytest.param(lambda of: of.update(findings={}), "it has no findings as an audit writes it", id="findings of another shape"),
        pytest.param(lambda of: of["findings"][2].pop("subjects"), "it has no findings[2].subjects as an audit writes it", id="a part of a finding"),
        pytest.param(lambda of: of["tentacles"][1]["sources"].pop("disk"), "it has no tentacles[1].sources.disk", id="a source of a row"),
    ],
)
def test_report_that_somebody_cut_is_refused_with_what_it_lacks(earlier: dict[str, Any], spoil: Callable[[Any], object], said: str) -> None:
    """Before anything is read: a comparison that fails at the end costs the whole audit."""
    spoil(earlier)
    with pytest.raises(OctoError) as caught:
        compare.read(json.dumps(earlier).encode("utf-8"), "report.json")
    assert said in caught.value.message


def test_one_of_a_host_that_did_not_answer_is_not_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    """Its row is called after the host alone then, since nobody told which instances it has."""
    hidden = of_tentacle(document)
    row = next(row for row in document["tentacles"] if row["id"] == hidden["subject"])
    row["id"] = f"{row['host']}/*"
    for source in ("disk", "process"):
        row["sources"][source] = {"state": "not_read", "reason": "unreachable"}
    compared = compare.compare(without(document, hidden), earlier, {})
    assert [one["id"] for one in compared["changes"]["not_judged"]] == [hidden["id"]]
    assert compared["changes"]["gone"] == []


# -- two nights of one estate, as the judge saw them

UNREAD = Reading("not_read", "connection refused")
WEB, POLL = "web-1/Tentacle", "poll-1/Tentacle"
Act = Callable[[World], object]


def changes(tonight: AuditFacts, earlier: AuditFacts) -> dict[str, set[tuple[str, str]]]:
    made = audited(tonight)
    found = compare.compare(made.document, audited(earlier).document, made.unjudged)["changes"]
    return {name: {(one["code"], one["subject"]) for one in found[name]} for name in ("gone", "not_judged")}


def after(*acts: Act) -> World:
    of = world()
    for act in acts:
        act(of)
    return of


def _node_down(of: World) -> None:
    of.node(1, presented=None, reading=UNREAD)


def _host_down(of: World) -> None:
    of.visits["web-1"] = Visit("web-1", "unreachable", reason="no route")


def _known(presented: str | None) -> Act:
    reading = WHOLE if presented else UNREAD
    return lambda of: of.__setattr__("known", (Server("dr", (Node("dr-1", "10.9.9.9:10943", presented, reading),)),))


def _none_known(of: World) -> None:
    of.known = None


def _missed_the_switch(of: World) -> None:
    """Of node-1, by the polling ones."""
    of.node(1, presented=GHOST)
    for host in ("web-1", "web-2"):
        of.instance(host, trust=(entry(), entry(GHOST)), pins_in_process=frozenset((OURS, GHOST))).says(host, **{GHOST: "accepted"})


def _stale_in_another_space(of: World) -> None:
    of.records["again"] = replace(of.records["web-1"], id="Machines-77", name="again", space="Finance", thumbprint=GHOST)


def _space_unseen(of: World) -> None:
    of.records.pop("again", None)
    of.also(unseen_spaces=(("Finance", "the API key does not see it"),))


def _at_two_addresses(of: World) -> None:
    of.records["again"] = replace(of.records["web-1"], id="Machines-77", name="again", space="Ops", address="192.168.0.5:10933")
    of.sights["192.168.0.5:10933"] = replace(of.sights["web-1:10933"], endpoint="192.168.0.5:10933")


def _soon_deleted(of: World) -> None:
    of.policies = (PolicySeen("p1", "Quick", "Default", 60.0),)


def _policies_unread(of: World) -> None:
    of.policies = ()
    of.also(unread=(Unread("Default", "machine policies", "the key may not see them (403)"),))


def _wire_down(of: World) -> None:
    of.sights.clear()
    for number in (1, 2):
        of.node(number, presented=None, reading=UNREAD)
    of.also(sources={"wire": Reading("not_read", "cryptography is not there")})


NIGHTS = [
    pytest.param(lambda of: of.node(1, presented=RETIRED), _node_down, "OLD_KEY_IN_USE", "node-1", id="a retired certificate, the node down"),
    pytest.param(lambda of: of.node(1, presented=RETIRED), _node_down, "SOURCES_DISAGREE", "node-1", id="a contradiction, the node down"),
    pytest.param(_missed_the_switch, _node_down, "LOCKED_OUT", POLL, id="locked out by a node that is down"),
    pytest.param(_missed_the_switch, _node_down, "LOCKED_OUT_AFTER_RESTART", POLL, id="to be locked out by a node that is down"),
    pytest.param(lambda of: of.add_certificate(OURS, "sha1RSA"), _node_down, "WEAK_CERT", "node-1", id="a weak certificate, the node down"),
    pytest.param(_known(RETIRED), _none_known, "OLD_KEY_IN_USE", "dr (dr-1)", id="a retired certificate, the Server not named any more"),
    pytest.param(_known(OURS), _known(None), "SHARED_PIN", OURS, id="two Servers with one certificate, one down"),
    pytest.param(_known(OURS), lambda of: of.__setattr__("known", ()), "SHARED_PIN", OURS, id="two Servers with one certificate, one not named"),
    pytest.param(
        lambda of: of.instance("web-1", trust=(entry(), entry(GHOST)), pins_in_process=frozenset((OURS, GHOST))),
        _known(None),
        "GHOST_PIN",
        WEB,
        id="a pin of nobody, a known Server down",
    ),
    pytest.param(_stale_in_another_space, _space_unseen, "STALE_RECORD", WEB, id="a stale record of a space that is not seen"),
    pytest.param(_at_two_addresses, _host_down, "AMBIGUOUS_MATCH", "again", id="an ambiguous record, the host down"),
    pytest.param(_soon_deleted, _policies_unread, "DELETION_RISK", "Quick (Default)", id="a policy, denied"),
    pytest.param(lambda of: of.instance("web-1", readable_by_others=True), _host_down, "KEY_EXPOSED", "all Tentacles", id="a file, its host down"),
    pytest.param(_node_down, _wire_down, "UNREACHABLE", "node-1", id="a node, and then the whole wire"),
]


@pytest.mark.parametrize(("spoil", "hide", "code", "subject"), NIGHTS)
def test_what_could_not_be_judged_tonight_is_not_gone(spoil: Act, hide: Act, code: str, subject: str) -> None:
    """It is all as it was, and nobody could look."""
    found = changes(after(spoil, hide).facts(), after(spoil).facts())
    assert (code, subject) in found["not_judged"]
    assert found["gone"] == set()


@pytest.mark.parametrize(("spoil", "hide", "code", "subject"), NIGHTS)
def test_what_was_looked_for_and_is_mended_is_gone(spoil: Act, hide: Act, code: str, subject: str) -> None:
    found = changes(world().facts(), after(spoil).facts())
    assert (code, subject) in found["gone"]
    assert found["not_judged"] == set()


def test_who_is_locked_out_takes_the_pfx_to_find_out() -> None:
    of = world().says("web-1", ours="refused").instance("web-1", pins_in_process=None, restart_pending="unknown")
    assert changes(of.facts(keys=False), of.facts()) == {"gone": set(), "not_judged": {("LOCKED_OUT", WEB)}}


def test_whether_wire_and_disk_contradict_each_other_about_trust_takes_the_pfx_to_find_out() -> None:
    of = world().says("web-1", ours="refused")
    assert ("SOURCES_DISAGREE", WEB) in changes(of.facts(keys=False), of.facts())["not_judged"]
    assert changes(world().facts(keys=False), of.facts(keys=False))["not_judged"] == set()
    assert ("SOURCES_DISAGREE", WEB) in changes(world().facts(), of.facts())["gone"]


def test_what_is_not_judged_of_one_is_gone_of_another() -> None:
    """A host is down, and two others were mended."""
    earlier = world()
    for host in ("web-1", "web-2", "poll-1"):
        earlier.instance(host, key_copies=2)
    found = changes(after(_host_down).facts(), earlier.facts())
    assert found == {"gone": {("KEY_COPIES", "web-2/Tentacle"), ("KEY_COPIES", POLL)}, "not_judged": {("KEY_COPIES", WEB)}}


def test_a_part_of_a_space_that_is_denied_each_night_hides_nothing_each_night() -> None:
    denied = after(_policies_unread)
    spoilt = after(_policies_unread).record("web-1", thumbprint=thumbprint("another"))
    assert changes(denied.facts(), spoilt.facts()) == {"gone": {("STALE_RECORD", WEB)}, "not_judged": set()}


def test_who_was_not_judged_is_named_once_a_code_and_compactly() -> None:
    """5,000 of them are carried from the judge to the comparison: their names, which the rows have anyway."""
    made = audited(world().facts(("wire", "database"), keys=False))
    assert made.unjudged["LOCKED_OUT"] == [row["id"] for row in made.document["tentacles"]]
    assert {code: len(names) for code, names in made.unjudged.items()} == {
        code: tally["not_judged"] for code, tally in made.document["codes"].items() if tally["not_judged"]
    }
    assert set(made.document["sources"]) == set(SOURCES)
