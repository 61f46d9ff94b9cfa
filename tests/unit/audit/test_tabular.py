# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CSV and JUnit XML of an audit."""

from __future__ import annotations

import csv
import io
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import tabular
from unit.audit import samples

Suites = dict[str, ElementTree.Element]


@pytest.fixture
def document() -> dict[str, Any]:
    return samples.document(40)


def table(document: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(tabular.to_csv(document), newline="")))


def suites(document: dict[str, Any], fail_on: str) -> Suites:
    return {str(suite.get("name")): suite for suite in ElementTree.fromstring(tabular.to_junit(document, fail_on))}


def cases(suites: Suites, code: str) -> list[ElementTree.Element]:
    return [case for suite in suites.values() for case in suite if case.get("classname") == code]


# -- CSV


def test_one_row_an_edge_in_the_order_of_the_document(document: dict[str, Any]) -> None:
    assert [row["id"] for row in table(document)] == [row["id"] for row in document["tentacles"]]


def test_row_says_what_the_document_says(document: dict[str, Any]) -> None:
    of = document["tentacles"][0]
    row = table(document)[0]
    assert row["host"] == of["host"]
    assert row["presented"] == of["presented"]
    assert row["spaces"] == "; ".join(of["spaces"])
    assert row["key"] == "RSA 2048"
    assert row["disk"] == "read"
    assert row["trust"].split("; ") == [f"{thumbprint}={cell['state']}" for thumbprint, cell in of["cells"].items()]
    mine = [one["code"] for one in document["findings"] if of["id"] in one["subjects"] and not one["accepted"]]
    assert mine
    assert row["findings"].split("; ") == list(dict.fromkeys(mine))


def test_accepted_findings_stand_apart(document: dict[str, Any]) -> None:
    one = next(found for found in document["findings"] if found["kind"] == "tentacle")
    one["accepted"] = {"reason": "r", "until": "2027-01-31"}
    row = next(row for row in table(document) if row["id"] == one["subject"])
    assert one["code"] in row["accepted"].split("; ")
    assert one["code"] not in row["findings"].split("; ")


def test_unread_source_says_why(document: dict[str, Any]) -> None:
    document["tentacles"][0]["sources"]["disk"] = {"state": "not_read", "reason": 'SSH: "denied", twice'}
    assert table(document)[0]["disk"] == 'not_read: SSH: "denied", twice'


@pytest.mark.parametrize(
    "start", ["=", "+", "-", "@", "\t=", "\r", " =", "\n@"], ids=["equals", "plus", "minus", "at", "tab", "return", "blank", "line"]
)
def test_no_cell_is_a_formula(document: dict[str, Any], start: str) -> None:
    evil = f"{start}cmd|' /C calc'!A0"
    document["tentacles"][0].update(host=evil, roles=[evil, "web"])
    row = table(document)[0]
    assert row["host"] == f"'{evil}"
    assert row["roles"] == f"'{evil}; web"


def test_every_cell_is_quoted(document: dict[str, Any]) -> None:
    document["tentacles"][0]["host"] = 'a"b,c;d'
    assert '"a""b,c;d"' in tabular.to_csv(document)
    assert table(document)[0]["host"] == 'a"b,c;d'


# -- JUnit XML


def test_suite_for_each_severity_whose_numbers_are_those_of_its_cases(document: dict[str, Any]) -> None:
    found = suites(document, "warning")
    assert list(found) == ["critical", "warning", "info"]
    for suite in found.values():
        for attribute, tag in (("tests", "."), ("failures", "failure"), ("skipped", "skipped")):
            assert int(suite.get(attribute, "")) == sum(case.find(tag) is not None for case in suite)
        assert suite.get("errors") == "0"


@pytest.mark.parametrize(
    ("fail_on", "failing"),
    [
        pytest.param("critical", {"critical"}, id="critical"),
        pytest.param("warning", {"critical", "warning"}, id="warning"),
        pytest.param("never", set(), id="never"),
    ],
)
def test_findings_of_the_chosen_severity_fail(document: dict[str, Any], fail_on: str, failing: set[str]) -> None:
    for severity, suite in suites(document, fail_on).items():
        wanted = [one for one in document["findings"] if one["severity"] == severity and not one["accepted"]] if severity in failing else []
        failures = suite.findall("testcase/failure")
        assert sorted(str(failure.get("message")) for failure in failures) == sorted(one["seen"] for one in wanted)


def test_no_two_cases_have_one_name(document: dict[str, Any]) -> None:
    """As a Tentacle that is locked out by two certificates: whoever keeps a history of tests would take them for one."""
    one = next(found for found in document["findings"] if found["code"] == "GHOST_PIN")
    document["findings"].append({**one, "id": "0" * 12, "seen": "another pin"})
    names = [case.get("name") for case in cases(suites(document, "critical"), "GHOST_PIN")]
    assert len(set(names)) == len(names)
    assert {f"{one['subject']} ({one['id']})", f"{one['subject']} ({'0' * 12})"} <= set(names)
    assert sum("(" in str(name) for name in names) == 2


def test_failure_tells_what_was_seen_and_what_to_do(document: dict[str, Any]) -> None:
    one = next(found for found in document["findings"] if found["code"] == "GHOST_PIN" and not found["accepted"])
    case = next(case for case in cases(suites(document, "warning"), "GHOST_PIN") if case.get("name") == one["subject"])
    assert case.findtext("failure") == f"{one['seen']}\n{one['remedy']}"


def test_accepted_finding_is_skipped_with_its_reason(document: dict[str, Any]) -> None:
    one = next(found for found in document["findings"] if found["severity"] == "critical")
    one["accepted"] = {"reason": "moves in January", "until": "2027-01-31"}
    case = next(case for case in cases(suites(document, "critical"), one["code"]) if case.get("name") == one["subject"])
    assert case.find("failure") is None
    skipped = case.find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "accepted until 2027-01-31: moves in January"


def test_code_that_was_not_judged_is_skipped_and_one_that_found_nothing_passes(document: dict[str, Any]) -> None:
    row = {"severity": "critical", "title": "t", "found": 0, "accepted": 0, "judged": 0, "not_judged": 40, "why_not": ["needs the wire."]}
    document["codes"] = {"LOCKED_OUT": row, "TWIN_CERT": {**row, "judged": 38, "not_judged": 2}}
    document["findings"] = []
    found = suites(document, "critical")
    skipped = cases(found, "LOCKED_OUT")[0].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "not judged: needs the wire."
    passed = cases(found, "TWIN_CERT")[0]
    assert passed.find("skipped") is None
    assert passed.findtext("system-out") == "Judged 38; not judged 2: needs the wire."


def test_finding_below_its_codes_severity_is_in_the_suite_of_its_own() -> None:
    document = samples.document(40)
    one = next(found for found in document["findings"] if found["code"] == "WEAK_CERT")
    one["severity"] = "info"
    assert one["subject"] in [case.get("name") for case in suites(document, "warning")["info"] if case.get("classname") == "WEAK_CERT"]


def test_signs_that_xml_cannot_carry_are_replaced(document: dict[str, Any]) -> None:
    document["findings"][0].update(seen="bell \x07 <&> \ud800 end", subject="web\x00")
    text = tabular.to_junit(document, "critical")
    assert "bell \ufffd &lt;&amp;&gt; \ufffd end" in text
    ElementTree.fromstring(text)
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("severity", "fail_on", "does"),
    [
        ("critical", "critical", True),
        ("warning", "critical", False),
        ("warning", "warning", True),
        ("info", "warning", False),
        ("critical", "never", False),
    ],
)
def test_fails(severity: str, fail_on: str, does: bool) -> None:
    assert tabular.fails(severity, fail_on) is does
