# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""octo_audit around the judging: its options, its files, and what a person reads."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import summary
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _audit_options as options
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _audit_reports as reports
from unit.audit import samples

FORMATS = ("json", "csv", "junit", "html")


# -- options


def test_role_documents_every_variable_that_its_tasks_use() -> None:
    role = Path(__file__).parents[3] / "roles/audit_trust"
    documented = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8"))
    assert {name: documented[name].get("default") for name in defaults} == defaults
    used = {word for task in ("read", "audit") for word in _variables(role / f"tasks/{task}.yml")}
    assert used <= documented.keys()


def _variables(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8")
    words = "".join(sign if sign.isalnum() or sign == "_" else " " for sign in text).split()
    of_its_own = {"octopus_reading", "octopus_audit", "octopus_audit_begins", "octopus_node", "octopus_server", "octopus_tentacles"}
    return {word for word in words if word.startswith("octopus_")} - of_its_own


def params(**given: Any) -> dict[str, Any]:
    return {**{name: spec.get("default") for name, spec in options.ARGUMENTS.items()}, **given}


def facts_of(**groups: list[str]) -> dict[str, Any]:
    return {"groups": groups, "hostvars": {host: {} for hosts in groups.values() for host in hosts}}


def test_hosts_are_those_of_the_groups_or_those_that_are_named() -> None:
    found = facts_of(octopus_tentacles=["web-01", "web-02"], octopus_server=["node-1"])
    assert options.question_of(params(), found).tentacles == ["web-01", "web-02"]
    assert options.question_of(params(), found).servers == ["node-1"]
    assert options.question_of(params(tentacles=["web-02"]), found).tentacles == ["web-02"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({}, "There is nothing to audit", id="nothing"),
        pytest.param({"tentacles": ["web-09"]}, "tentacles names web-09, which the inventory does not have.", id="no such host"),
        pytest.param({"server_url": "https://o", "retired_thumbprints": ["12"]}, "thumbprint in retired_thumbprints", id="no thumbprint"),
        pytest.param({"server_url": "https://o", "known_servers": {"dr": []}}, "known_servers", id="no place"),
        pytest.param({"server_url": "https://me:secret@o"}, "server_url holds more than an address", id="a secret in the address"),
        pytest.param({"server_url": "https://o", "rotation_takes": 0.0}, "rotation_takes is 0", id="a rotation that takes no time"),
        pytest.param({"server_url": "https://o", "timeout": -1}, "timeout is -1", id="an answer that is not waited for"),
    ],
)
def test_question_that_cannot_be_asked_is_refused(given: Mapping[str, Any], said: str) -> None:
    with pytest.raises(OctoError) as caught:
        options.question_of(params(**given), facts_of())
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param({}, "no server_url and no api_key was given", id="nothing"),
        pytest.param({"server_url": "https://octopus.example.com"}, "no api_key was given", id="no key"),
        pytest.param({"server_url": "https://octopus.example.com", "api_key": "API-X"}, "", id="both"),
    ],
)
def test_database_without_a_way_to_it_is_not_read_and_says_why(given: Mapping[str, Any], why: str) -> None:
    connect, said = options.connection_of(params(**given))
    assert said == why
    assert (connect is None) is bool(why)


def test_query_is_understood_before_anything_is_read() -> None:
    with pytest.raises(OctoError, match="query is no JMESPath expression"):
        options.searching("findings[")
    document = samples.document(20)
    assert options.searching("counts.tentacles")(document) == 20
    assert options.searching(None)(document) is None
    with pytest.raises(OctoError, match="query cannot be answered"):
        options.searching("abs(made_at)")(document)


# -- files


def test_reports_are_private_and_whole(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "reports"
    document = samples.document(20)
    written = reports.write(document, str(folder), FORMATS, "critical")
    assert sorted(written) == sorted(FORMATS)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(Path(path).stat().st_mode) for path in written.values()} == {0o600}
    assert {path.name for path in folder.iterdir()} == set(reports.NAMES.values())
    assert json.loads(Path(written["json"]).read_text(encoding="utf-8")) == document
    assert Path(written["html"]).read_text(encoding="utf-8").lstrip().startswith("<!")
    assert Path(written["csv"]).read_bytes().count(b"\r\n") == 21


def test_reports_replace_earlier_ones_with_their_own_mode(tmp_path: Path) -> None:
    earlier = tmp_path / reports.NAMES["json"]
    earlier.write_text("earlier")
    earlier.chmod(0o644)
    reports.write(samples.document(5), str(tmp_path), ["json"], "never")
    assert stat.S_IMODE(earlier.stat().st_mode) == 0o600
    assert earlier.read_text(encoding="utf-8") != "earlier"
    assert [path.name for path in tmp_path.iterdir()] == [reports.NAMES["json"]]


def test_without_a_folder_there_is_nothing() -> None:
    assert reports.write(samples.document(5), None, FORMATS, "never") == {}


def test_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OctoError, match="The reports cannot be written into"):
        reports.write(samples.document(5), str(tmp_path / "file" / "reports"), FORMATS, "never")


def test_text_that_is_no_text_is_written_all_the_same(tmp_path: Path) -> None:
    document = samples.document(5)
    document["tentacles"][0]["host"] = "web\udcff"
    assert sorted(reports.write(document, str(tmp_path), FORMATS, "never")) == sorted(FORMATS)


def test_result_has_compact_rows_and_is_json(tmp_path: Path) -> None:
    document = samples.document(40)
    result = reports.result(document)
    json.dumps(result)
    assert [row["id"] for row in result["tentacles"]] == [row["id"] for row in document["tentacles"]]
    assert "cells" not in result["tentacles"][0]
    open_ones = {(code, row["id"]) for row in result["tentacles"] for code in row["findings"]}
    ids = {row["id"] for row in document["tentacles"]}
    assert open_ones == {
        (one["code"], subject) for one in document["findings"] if not one["accepted"] for subject in one["subjects"] if subject in ids
    }


# -- lines


def test_summary_fits_on_a_screen_and_names_the_worst_with_their_remedies() -> None:
    document = samples.document(5000)
    unused = [{"code": "WEAK_CERT", "subject": "x", "reason": "r", "until": "2027-01-31"}]
    lines = summary.lines(document, unused, ["/srv/reports/a.json", "/srv/reports/a.csv"])
    assert len(lines) <= 24
    worst = min((one for one in document["findings"] if not one["accepted"]), key=lambda one: list(CODES).index(one["code"]))
    assert f"{worst['code']} {worst['subject']}: {worst['seen']}" in lines
    assert f"  {worst['remedy']}" in lines
    critical = document["counts"]["critical"]
    assert f"... and {critical - 5} more critical ones: see the reports, or `findings` of the result." in lines
    codes = {one["code"] for one in document["findings"] if one["severity"] == "critical" and not one["accepted"]}
    (tally,) = (line for line in lines if line.startswith("Critical: "))
    assert all(code in tally for code in codes)
    shown = [line.split()[0] for line in lines if line.split()[0] in codes]
    assert len(set(shown)) == min(len(codes), 5)  # none twice while another was not shown
    assert "Accepted, and not found: WEAK_CERT x." in lines
    assert lines[-1] == "Reports in /srv/reports: a.json, a.csv"


def test_summary_says_what_was_not_read() -> None:
    lines = summary.lines(samples.document(40, asked=("wire", "database")))
    assert "  disk: not asked for" in lines
    assert any(line.startswith("Not judged, for want of sources: ") for line in lines)


def test_the_answer_to_a_query_is_what_a_person_sees_last() -> None:
    assert summary.lines(samples.document(4), (), ["/srv/reports/a.json"], ["web-01", "web-02"])[-4:] == ["[", ' "web-01",', ' "web-02"', "]"]


def test_only_the_report_that_is_about_to_be_written_may_be_missing_the_first_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked_for(_action: object, path: str, _what: str) -> tuple[str, bytes]:
        raise OctoError(f"{path} is not there")

    monkeypatch.setattr(options, "near", looked_for)
    own = tmp_path / "octopus-audit.json"
    action: Any = None
    assert options.earlier_of(action, str(own), str(tmp_path)) is None
    for path, folder in ((tmp_path / "other.json", str(tmp_path)), (own, None)):
        with pytest.raises(OctoError):
            options.earlier_of(action, str(path), folder)
    own.touch()
    with pytest.raises(OctoError):
        options.earlier_of(action, str(own), str(tmp_path))


@pytest.mark.parametrize(("fail_on", "fails"), [("never", False), ("critical", True), ("warning", True)])
def test_failure(fail_on: str, fails: bool) -> None:
    said = summary.failure(samples.document(200), fail_on)
    assert bool(said) is fails
    assert (f"fail_on={fail_on}" in said) is fails


def test_accepted_findings_fail_nothing() -> None:
    document = samples.document(40)
    for one in document["findings"]:
        one["accepted"] = {"reason": "r", "until": "2027-01-31"}
    assert summary.failure(document, "warning") == ""
