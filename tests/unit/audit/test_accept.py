# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Acceptances: what a file may say, what it accepts on which day, and what becomes of an entry that has run out."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import accept
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

CODES = ("LOCKED_OUT", "WEAK_CERT", "KEY_EXPOSED", "ACCEPTANCE_EXPIRED")
TODAY = date(2026, 11, 22)


def finding(code: str = "WEAK_CERT", subject: str = "web-01/Tentacle", **more: Any) -> dict[str, Any]:
    found = {"id": "0123456789ab", "code": code, "severity": "warning", "subject": subject, "kind": "tentacle", "host": subject.partition("/")[0]}
    found.update(spaces=["Default"], environments=["Production"], count=1, seen="seen", remedy="run", subjects=[subject], page=f"codes/{code}")
    return {**found, "accepted": None, "status": None, **more}


def entry(**other: Any) -> dict[str, Any]:
    return {"code": "WEAK_CERT", "subject": "web-01/Tentacle", "reason": "replaced in January", "until": "2027-01-31", **other}


def parsed(*entries: Any) -> tuple[accept.Acceptance, ...]:
    return accept.parse(list(entries), "accepted.yml", CODES)


def test_accepted_finding_keeps_its_place_and_says_why_and_until_when() -> None:
    outcome = accept.apply([finding(), finding(subject="web-02/Tentacle")], parsed(entry()), TODAY)
    assert [one["accepted"] for one in outcome.findings] == [{"reason": "replaced in January", "until": "2027-01-31"}, None]
    assert outcome.unused == ()


@pytest.mark.parametrize(
    ("pattern", "subject", "meant"),
    [
        pytest.param("web-*/Tentacle", "web-01/Tentacle", True, id="star"),
        pytest.param("web-0?/Tentacle", "web-01/Tentacle", True, id="question mark"),
        pytest.param("web-*", "db-01/Tentacle", False, id="another name"),
        pytest.param("WEB-01/Tentacle", "web-01/Tentacle", False, id="letter case counts"),
        pytest.param("[fd00::7]:10943", "[fd00::7]:10943", True, id="IPv6"),
        pytest.param("[fd00::7]:*", "[fd00::7]:10943", True, id="IPv6 with a star"),
        pytest.param("[w]eb-01/Tentacle", "web-01/Tentacle", False, id="no sets of characters"),
        pytest.param("*", "anything", True, id="everything of the code"),
        pytest.param("web-01/Tentacle", "web-01/*", False, id="its host could not be read, so it may be another Tentacle"),
    ],
)
def test_subjects(pattern: str, subject: str, meant: bool) -> None:
    outcome = accept.apply([finding(subject=subject)], parsed(entry(subject=pattern)), TODAY)
    assert bool(outcome.findings[0]["accepted"]) is meant


def test_another_code_of_the_same_subject_stands() -> None:
    outcome = accept.apply([finding("LOCKED_OUT")], parsed(entry()), TODAY)
    assert outcome.findings[0]["accepted"] is None


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        pytest.param("the fleet", True, id="by its name"),
        pytest.param("web-*", True, id="each of the group"),
        pytest.param("web-01/*", False, id="only one of the group"),
    ],
)
def test_finding_about_a_group(pattern: str, meant: bool) -> None:
    grouped = finding("KEY_EXPOSED", "the fleet", subjects=["web-01/Tentacle", "web-02/Tentacle"], count=2)
    outcome = accept.apply([grouped], parsed(entry(code="KEY_EXPOSED", subject=pattern)), TODAY)
    assert bool(outcome.findings[0]["accepted"]) is meant


@pytest.mark.parametrize(("until", "holds"), [pytest.param("2026-11-22", True, id="last day"), pytest.param("2026-11-21", False, id="day after")])
def test_last_day_counts(until: str, holds: bool) -> None:
    outcome = accept.apply([finding()], parsed(entry(until=until)), TODAY)
    assert bool(outcome.findings[0]["accepted"]) is holds
    assert [one["code"] for one in outcome.findings[1:]] == ([] if holds else ["ACCEPTANCE_EXPIRED"])


def test_expired_acceptance_is_a_finding_with_both_values_and_a_stable_id() -> None:
    old = parsed(entry(subject="web-*", until="2026-10-01"))
    first, again = (accept.apply([finding(), finding(subject="web-02/Tentacle")], old, day).findings[2] for day in (TODAY, date(2027, 3, 1)))
    assert first["id"] == again["id"]
    assert first["severity"] == "warning"
    assert first["subject"] == "WEAK_CERT web-*"
    assert first["subjects"] == ["web-01/Tentacle", "web-02/Tentacle"]
    assert first["seen"] == "WEAK_CERT of 2 findings was accepted until 2026-10-01 (replaced in January), and still stands."
    assert first["spaces"] == ["Default"]
    assert first["host"] == ""


def test_expired_acceptance_of_what_is_mended_is_a_note() -> None:
    outcome = accept.apply([], parsed(entry(until="2026-10-01")), TODAY)
    assert outcome.findings == ()
    assert outcome.unused == ({"code": "WEAK_CERT", "subject": "web-01/Tentacle", "reason": "replaced in January", "until": "2026-10-01"},)


def test_expired_acceptance_beside_one_that_holds_is_a_note() -> None:
    outcome = accept.apply([finding()], parsed(entry(until="2026-10-01"), entry(until="2027-06-30", reason="again")), TODAY)
    assert [one["code"] for one in outcome.findings] == ["WEAK_CERT"]
    assert outcome.findings[0]["accepted"] == {"reason": "again", "until": "2027-06-30"}
    assert [one["until"] for one in outcome.unused] == ["2026-10-01"]


def test_of_two_that_hold_the_longer_one_is_shown() -> None:
    outcome = accept.apply([finding()], parsed(entry(until="2027-06-30", reason="longer"), entry()), TODAY)
    assert outcome.findings[0]["accepted"] == {"reason": "longer", "until": "2027-06-30"}


@pytest.mark.parametrize(
    ("unjudged", "named"),
    [
        pytest.param({"WEAK_CERT": ["gone-01/Tentacle"]}, False, id="it was not judged"),
        pytest.param({"WEAK_CERT": [""]}, False, id="nobody was"),
        pytest.param({"WEAK_CERT": ["gone-01/*"]}, False, id="its host could not be read"),
        pytest.param({"WEAK_CERT": ["web-01/Tentacle"]}, True, id="another was not"),
        pytest.param({"LOCKED_OUT": ["gone-01/Tentacle"]}, True, id="another code was not"),
    ],
)
def test_entry_about_what_was_not_judged_is_no_note(unjudged: dict[str, list[str]], named: bool) -> None:
    outcome = accept.apply([finding()], parsed(entry(subject="gone-01/Tentacle")), TODAY, unjudged)
    assert bool(outcome.unused) is named


def test_entry_that_meets_nothing_is_a_note() -> None:
    outcome = accept.apply([finding()], parsed(entry(subject="gone-01/Tentacle")), TODAY)
    assert [one["subject"] for one in outcome.unused] == ["gone-01/Tentacle"]


@pytest.mark.parametrize(
    "until",
    [pytest.param(date(2027, 1, 31), id="date"), pytest.param(datetime(2027, 1, 31, 12), id="time"), pytest.param(" 2027-01-31 ", id="text")],
)
def test_dates_as_yaml_reads_them(until: Any) -> None:
    assert parsed(entry(until=until))[0].until == date(2027, 1, 31)


def test_empty_file_accepts_nothing() -> None:
    assert accept.parse(None, "accepted.yml", CODES) == ()


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        pytest.param({"WEAK_CERT": "x"}, "The acceptances accepted.yml are no list.", id="no list"),
        pytest.param(["WEAK_CERT"], "Entry 1 of the acceptances accepted.yml is no dictionary.", id="no dictionary"),
        pytest.param([entry(), {**entry(), "reason": "  "}], "Entry 2 of the acceptances accepted.yml has no reason.", id="blank reason"),
        pytest.param([{"code": "WEAK_CERT", "subject": "x"}], "has no reason and no until.", id="two are missing"),
        pytest.param([entry(untill="2027-01-01")], "has untill, which means nothing here.", id="misspelled"),
        pytest.param([entry(code="WEEK_CERT")], "accepts WEEK_CERT, which is no code of a finding. They are ACCEPTANCE_EXPIRED, ", id="no such code"),
        pytest.param(
            [entry(code="ACCEPTANCE_EXPIRED")], "An acceptance that has run out is given a later day, or taken out.", id="the expiry itself"
        ),
        pytest.param([entry(until="next year")], "is until 'next year', which is no date.", id="no date"),
    ],
)
def test_bad_file_is_refused_with_one_sentence_that_names_the_entry(entries: Any, said: str) -> None:
    with pytest.raises(OctoError) as caught:
        accept.parse(entries, "accepted.yml", CODES)
    assert said in caught.value.message
