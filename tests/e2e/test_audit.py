# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit of planted fleets: all that was planted is found, nothing else is, and nobody's log complains of it (issue 5, C)."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import pytest
from e2e.audits import Audit, audit, hits, invented, missed
from e2e.looks import Looks
from lab.planting import PlantedFleet, clean, planted
from lab.planting.nodes import NODE_SEEDS
from lab.planting.truth import CODES


@pytest.fixture(scope="module")
def garden() -> Iterator[PlantedFleet]:
    with planted(None) as garden:
        yield garden


def prove(garden: PlantedFleet, audited: Audit) -> None:
    """Recall and precision are 1 for every code of the table, each of which is planted, and nearly planted."""
    assert {each.code for each in garden.planted} == {each.code for each in garden.near_misses} == set(CODES)
    compare(garden, audited)


def compare(garden: PlantedFleet, audited: Audit) -> None:
    """All that is planted is found, nothing else is, and no near miss."""
    assert audited.play.rc == 0, audited.play.text
    near = [f"{each}: {one['seen']}" for each in garden.near_misses for one in audited.findings if hits(one, [each])]
    wrong = {"missed": missed(audited, garden), "invented": invented(audited, garden), "near misses": near}
    assert not any(wrong.values()), "\n".join(f"{how}: {what}" for how, all_of_them in wrong.items() for what in all_of_them)


def test_all_that_was_planted_and_nothing_else(garden: PlantedFleet) -> None:
    logs, before = garden.logs(), Looks.of(garden.fleet)
    audited = audit(garden)
    prove(garden, audited)
    assert audited.play.changed == []
    assert Looks.of(garden.fleet).since(before) == []
    assert [entry for entry in logs.complaints() if entry.tentacle not in garden.noisy] == []
    for report in audited.folder.iterdir():
        assert stat.S_IMODE(report.stat().st_mode) == 0o600, report


def test_a_clean_fleet_has_no_finding() -> None:
    with clean(12) as garden:
        audited = audit(garden)
        assert audited.play.rc == 0, audited.play.text
        assert audited.findings == []
        assert audited.document["counts"]["fine"] == 12
        assert {audited.row(each.host)["severity"] for each in garden.fleet.tentacles if each.windows} == {"fine"}


def test_a_node_of_ours_with_a_retired_certificate() -> None:
    """In a fleet of its own: what a node presents is a matter of every Tentacle."""
    with planted(None, seeds=NODE_SEEDS) as garden:
        audited = audit(garden)
        compare(garden, audited)
        assert {one["subject"] for one in audited.findings if one["code"] == "OLD_KEY_IN_USE"} == {"node-2"}


@pytest.mark.estate
def test_three_hundred_with_everything_planted() -> None:
    with planted(300) as garden:
        logs = garden.logs()
        prove(garden, audit(garden))
        assert [entry for entry in logs.complaints() if entry.tentacle not in garden.noisy] == []


@pytest.mark.estate
def test_three_hundred_that_are_clean() -> None:
    with clean(300) as garden:
        audited = audit(garden)
        assert audited.findings == []
        assert audited.document["counts"]["fine"] == 300
