# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comparison of two audits: what is new, what is gone, and what only nobody looked for."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import compare
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from unit.audit import samples


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
    compared = compare.compare(document, earlier)
    assert compared["changes"] == {"since": earlier["made_at"], "new": [], "gone": [], "not_judged": [], "unchanged": len(earlier["findings"])}
    assert {one["status"] for one in compared["findings"]} == {"unchanged"}


def test_new_one(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    new = of_tentacle(document)
    compared = compare.compare(document, without(earlier, new))
    assert compared["changes"]["new"] == [new["id"]]
    assert [one["id"] for one in compared["findings"] if one["status"] == "new"] == [new["id"]]
    assert compared["changes"]["unchanged"] == len(earlier["findings"]) - 1


def test_what_was_found_of_a_space_is_not_gone_while_the_space_cannot_be_read(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    risk = {**of_tentacle(earlier), "id": "f" * 12, "code": "DELETION_RISK", "kind": "space", "subject": "Default (Finance)", "spaces": ["Finance"]}
    risk["subjects"] = [risk["subject"]]
    earlier["findings"].append(risk)
    assert risk in compare.compare(document, earlier)["changes"]["gone"]
    document["findings"].append({**risk, "id": "e" * 12, "code": "UNREACHABLE", "subject": "space Finance"})
    assert compare.compare(document, earlier)["changes"]["not_judged"] == [risk]


def test_gone_one_is_kept_whole(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    gone = of_tentacle(document)
    compared = compare.compare(without(document, gone), earlier)
    assert compared["changes"]["gone"] == [gone]
    assert compared["changes"]["not_judged"] == []


def test_one_whose_source_was_not_read_this_time_is_not_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    hidden = of_tentacle(document)
    unread(document, hidden["subject"], "wire")
    compared = compare.compare(without(document, hidden), earlier)
    assert compared["changes"]["gone"] == []
    assert compared["changes"]["not_judged"] == [hidden]


def test_one_whose_other_source_had_not_been_read_before_either_is_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    gone = of_tentacle(document)
    for one in (document, earlier):
        unread(one, gone["subject"], "process")
    assert compare.compare(without(document, gone), earlier)["changes"]["gone"] == [gone]


def test_one_of_a_tentacle_that_is_no_more_is_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    gone = of_tentacle(document)
    document["tentacles"] = [row for row in document["tentacles"] if row["id"] != gone["subject"]]
    assert compare.compare(without(document, gone), earlier)["changes"]["gone"] == [gone]


def test_one_of_a_tentacle_whose_only_source_was_not_read_at_all_is_not_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    hidden = of_tentacle(document)
    document["tentacles"] = [row for row in document["tentacles"] if row["id"] != hidden["subject"]]
    document["sources"]["database"].update(read=0, reason="the API key is not accepted")
    assert compare.compare(without(document, hidden), earlier)["changes"]["not_judged"] == [hidden]


def test_code_that_could_be_judged_nowhere_is_not_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    """As GHOST_PIN, when octopus_known_servers is not given this time."""
    hidden = [one for one in document["findings"] if one["code"] == "GHOST_PIN"]
    document["findings"] = [one for one in document["findings"] if one not in hidden]
    document["codes"]["GHOST_PIN"].update(judged=0, not_judged=40)
    changes = compare.compare(document, earlier)["changes"]
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
    ],
)
def test_what_is_no_earlier_audit_is_refused_with_one_sentence(data: bytes, said: str) -> None:
    with pytest.raises(OctoError) as caught:
        compare.read(data, "report.json")
    assert caught.value.message.startswith(said)


def test_one_of_a_host_that_did_not_answer_is_not_gone(document: dict[str, Any], earlier: dict[str, Any]) -> None:
    """Its row is called after the host alone then, since nobody told which instances it has."""
    hidden = of_tentacle(document)
    row = next(row for row in document["tentacles"] if row["id"] == hidden["subject"])
    row["id"] = f"{row['host']}/*"
    for source in ("disk", "process"):
        row["sources"][source] = {"state": "not_read", "reason": "unreachable"}
    compared = compare.compare(without(document, hidden), earlier)
    assert [one["id"] for one in compared["changes"]["not_judged"]] == [hidden["id"]]
    assert compared["changes"]["gone"] == []
