# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sources that lie, sources that cannot be read, sources that are not asked; and an audit as a gate (issue 5, A.6, A.7, C.2, C.3, C.5)."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path

import pytest
from e2e.audits import audit
from e2e.hunting import OF_THE_LAB, Hunt, key, one_use_passwords, text
from lab.planting import PlantedFleet, planted
from lab.planting.lies import LIES
from lab.planting.lies import host_of as liar
from lab.planting.troubles import TROUBLES, key_of_one_space, server_down, storm
from lab.planting.troubles import host_of as troubled

SOURCES = ("wire", "disk", "database", "process")
SUBSETS = [list(some) for some in chain.from_iterable(combinations(SOURCES, size) for size in range(1, 4))]
PATIENCE = 3  # seconds


@pytest.fixture(scope="module")
def garden() -> Iterator[PlantedFleet]:
    """Every liar but the database, and every trouble, beside two sound Tentacles."""
    hosts = [name for name in LIES if name not in ("database_ahead", "hidden_space_record")]
    with planted(len(hosts) + len(TROUBLES) + 3, seeds=[*hosts, *TROUBLES]) as garden:
        yield garden


def test_liars_and_troubles_are_rows_with_reasons(garden: PlantedFleet) -> None:
    audited = audit(garden)
    assert audited.play.rc == 0, audited.play.text
    by_host: dict[str, set[str]] = {}
    for one in audited.findings:
        for name in one["subjects"]:
            by_host.setdefault(name.partition("/")[0], set()).add(one["code"])
    for name in ("impostor_proxy", "tls_proxy", "index_points_elsewhere", "touched_configuration", "backdated_change"):
        assert "SOURCES_DISAGREE" in by_host[liar(name)], name
    for name in ("tls_proxy", "torn_configuration"):
        assert "UNREACHABLE" in by_host[liar(name)], name
    reasons = {one["host"]: one["seen"] for one in audited.findings if one["code"] == "UNREACHABLE"}
    for name in TROUBLES:
        host = troubled(name)
        assert "UNREACHABLE" in by_host[host], name
        assert not by_host[host] & {"LOCKED_OUT", "STALE_RECORD", "UNCHECKED_TRUST"}, name
        assert reasons[host]
    assert "asked for no client certificate" in next(one["seen"] for one in audited.findings if one["host"] == liar("tls_proxy"))
    fine = {row["host"] for row in audited.document["tentacles"] if row["severity"] == "fine"}
    assert fine
    assert not any(host.startswith(("liar-", "troubled-")) for host in fine)


@pytest.mark.parametrize("sources", [["wire"], ["disk", "database"], ["database"]], ids="+".join)
def test_what_is_not_asked_is_not_read_and_never_fine(garden: PlantedFleet, sources: list[str]) -> None:
    _is_honest(garden, sources)


@pytest.mark.estate
@pytest.mark.parametrize("sources", SUBSETS, ids="+".join)
def test_every_subset_of_the_sources(garden: PlantedFleet, sources: list[str]) -> None:
    _is_honest(garden, sources)


def _is_honest(garden: PlantedFleet, sources: list[str]) -> None:
    audited = audit(garden, octopus_audit_sources=sources)
    assert audited.play.rc == 0, audited.play.text
    for source in SOURCES:
        assert audited.document["sources"][source]["asked"] == (source in sources)
    for row in audited.document["tentacles"]:
        for source in SOURCES:
            assert (row["sources"][source]["state"] == "not_asked") or source in sources
        for cell in row["cells"].values():
            said = {cell[source] for source in ("wire", "disk", "process")} - {"not_read", "unknown"}
            assert bool(said) == (cell["state"] != "not_read")
        if row["severity"] == "fine":
            assert any(row["sources"][source]["state"] == "read" for source in ("wire", "disk", "process"))
    if "database" not in sources:
        assert audited.document["codes"]["STALE_RECORD"]["judged"] == 0
    if "disk" not in sources:
        assert audited.document["codes"]["NON_CANONICAL"]["judged"] == 0


def test_a_database_that_is_ahead_of_its_nodes() -> None:
    with planted(4, seeds=["database_ahead"]) as garden:
        codes = audit(garden).codes()
    assert {("SOURCES_DISAGREE", "node-1"), ("SOURCES_DISAGREE", "node-2")} <= codes
    assert {code for code, _subject in codes} == {"SOURCES_DISAGREE", "LOCKED_OUT_AFTER_RESTART"}


def test_a_server_that_is_down_or_stormy_or_shows_one_space(garden: PlantedFleet) -> None:
    """What it would have said is not judged, the rest is, and nobody waits long."""
    with storm(garden.fleet, retry_after=1.0):
        stormy = audit(garden, octopus_api_patience=PATIENCE)
    assert stormy.play.rc == 0, stormy.play.text
    assert ("UNREACHABLE", "source database") in stormy.codes()
    assert stormy.document["codes"]["STALE_RECORD"]["judged"] == 0
    assert stormy.document["codes"]["NON_CANONICAL"]["judged"] > 0

    half = audit(garden, octopus_api_key=key_of_one_space(garden.fleet), octopus_spaces=["Default", "Finance"])
    assert ("UNREACHABLE", "space Finance") in half.codes()
    assert half.document["codes"]["ORPHAN_TENTACLE"]["not_judged"] > 0
    assert not [code for code, _subject in half.codes() if code == "ORPHAN_TENTACLE"]

    with server_down(garden.fleet):
        down = audit(garden, octopus_api_patience=PATIENCE)
    assert down.play.rc == 0, down.play.text
    assert {("UNREACHABLE", "source database"), ("UNREACHABLE", "node-1"), ("UNREACHABLE", "node-2")} <= down.codes()
    assert down.document["codes"]["LOCKED_OUT"]["judged"] == 0


def test_a_gate_that_is_run_each_night(garden: PlantedFleet) -> None:
    first = audit(garden, octopus_audit_fail_on="warning", octopus_audit_query="findings[?severity=='warning'].code")
    assert first.play.rc == 2, first.play.text
    warnings = [one for one in first.findings if one["severity"] in ("warning", "critical")]
    accepted = first.folder / "accepted.yml"
    entries = [f"- {{code: {one['code']}, subject: '{one['subject']}', reason: known, until: 2099-12-31}}" for one in warnings[1:]]
    expired = f"- {{code: {warnings[0]['code']}, subject: '{warnings[0]['subject']}', reason: for a time, until: 2026-01-01}}"
    accepted.write_text("\n".join([*entries, expired, ""]), encoding="utf-8")

    second = audit(
        garden, octopus_audit_fail_on="warning", octopus_audit_accept=str(accepted), octopus_audit_since=str(first.folder / "octopus-audit.json")
    )
    assert second.play.rc == 2, second.play.text
    open_now = {(one["code"], one["subject"]) for one in second.findings if not one["accepted"] and one["severity"] != "info"}
    assert (warnings[0]["code"], warnings[0]["subject"]) in open_now
    assert {code for code, _subject in open_now} == {warnings[0]["code"], "ACCEPTANCE_EXPIRED"}
    assert second.document["counts"]["accepted"] == len(warnings) - 1
    assert [one["code"] for one in second.findings if one["status"] == "new"] == ["ACCEPTANCE_EXPIRED"]
    assert second.document["changes"]["gone"] == []

    accepted.write_text("\n".join([*entries, expired.replace("2026-01-01", "2099-12-31"), ""]), encoding="utf-8")
    third = audit(garden, octopus_audit_fail_on="warning", octopus_audit_accept=str(accepted))
    assert third.play.rc == 0, third.play.text

    cases = ET.parse(second.folder / "octopus-audit.xml").getroot().iter("testcase")
    assert sum(1 for case in cases if case.find("failure") is not None) == len(open_now)
    with (second.folder / "octopus-audit.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == len(second.document["tentacles"]) + 1


def test_no_secret_in_any_report_log_or_file_left_behind(garden: PlantedFleet, tmp_path: Path) -> None:
    """With a controller that keeps and shows as much as core can be told to; a planted leak is found."""
    fleet = garden.fleet
    kept = fleet.root / "kept"
    env = {
        "ANSIBLE_LOG_PATH": str(fleet.root / "ansible.log"),
        "ANSIBLE_PIPELINING": "0",
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
        "ANSIBLE_REMOTE_TMP": str(kept),
    }
    persons = tmp_path / "variables.json"  # core itself shows what -e has in its own arguments
    persons.write_text(json.dumps({"octopus_audit_pfx_password": garden.pfx_password}), encoding="utf-8")
    audited = audit(garden, "-vvvv", "--diff", "-e", f"@{persons}", env=env, octopus_audit_pfx_password=None)
    assert audited.play.rc == 0, audited.play.text
    assert list(kept.rglob("*")), "core kept what it sent"
    assert audited.document["sources"]["wire"]["mode"] == "trust"
    markers = [
        text("the API key", fleet.server.api_key),
        text("the PFX's password", garden.pfx_password),
        key("the Server's key", fleet.server.certificate),
    ]
    own = [key(f"the key of {tentacle.id}", tentacle.keypair) for tentacle in fleet.tentacles if tentacle.keypair]
    for folder in (kept, audited.folder):
        assert Hunt(folder, own).files() == []
    hunt = Hunt(fleet.root, markers, one_use_passwords(fleet.root))
    assert [trace for trace in hunt.files() if not any(allowed.covers(trace) for allowed in OF_THE_LAB)] == []
    leak = audited.folder / "leak.html"
    leak.write_text(f"<p>{garden.pfx_password}</p>", encoding="utf-8")
    assert [trace.marker for trace in hunt.files() if trace.place.endswith("leak.html")] == ["the PFX's password"]
    leak.unlink()
