# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen, by source; sources that were not read stay unknown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import Edge, TrustEntry, visit_of
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Disk, Health, Wire, gather, is_fresh, wires_of
from model.sample import NEW, OLD, THIRD, own, record

EDGE = Edge("web-01", "Tentacle", endpoint="web-01:10933", records=(record("web-01"),))
ROW = {
    "instance": "Tentacle",
    "ok": True,
    "thumbprint": own("web-01").lower(),
    "trust": [
        {"thumbprint": OLD.lower(), "canonical": OLD, "style": "listening"},
        {"thumbprint": "garbage", "canonical": None, "style": "listening"},
    ],
    "service": {"pid": 7, "started_at": "2026-03-01 11:02", "started_monotonic_us": 5},
    "restart_pending": "probably",
    "pins_in_process": [OLD.lower()],
    "ready": {"ok": False, "reasons": [{"code": "IDENTITY_AT_RISK", "sentence": "the certificate is missing"}]},
    "before": [{"canonical": OLD}, {"canonical": THIRD}],
    "after": [{"canonical": OLD}, {"canonical": NEW}],
}


def test_a_row_becomes_evidence() -> None:
    seen = gather([EDGE], [visit_of("web-01", {"instances": [ROW]}, 10.0)], [], 11.0, {})["web-01/Tentacle"]
    assert seen.disk is not None
    assert seen.process is not None
    assert seen.disk.pins() == {OLD}
    assert seen.disk.thumbprint == own("web-01")
    assert (seen.process.pid, seen.process.restart_pending, seen.process.pins) == (7, "probably", {OLD})
    assert seen.unready == (("IDENTITY_AT_RISK", "the certificate is missing"),)
    assert seen.foreign_lost == (THIRD,)
    assert seen.visited_at == 10.0
    assert (seen.wire, seen.health) == (None, None)


def test_what_is_not_in_a_row_was_not_read() -> None:
    """A visit's row has no exposure, an unread instance has empty values of it."""
    read = {"file": {"mode": "0644", "modified_at": "2026-03-01T11:02:00Z", "readable_by_others": True}, "key_copies": 2, "newer_than_process": False}
    unread = {"file": {"mode": None, "modified_at": None, "readable_by_others": None}, "key_copies": None, "newer_than_process": None}
    rows = [ROW | read, ROW | unread, ROW]
    seen = [
        (one.readable_by_others, one.modified_at, one.key_copies, one.newer_than_process)
        for one in visit_of("web-01", {"instances": rows}, 10.0).instances
    ]
    assert seen == [(True, "2026-03-01T11:02:00Z", 2, False), (None, "", None, None), (None, "", None, None)]


def test_a_row_that_is_not_ok_is_a_problem_with_a_reason() -> None:
    torn = {"instance": "Tentacle", "ok": False, "code": "CONFIGURATION_UNREADABLE", "reason": "torn"}
    seen = gather([EDGE], [visit_of("web-01", {"instances": [torn]}, 10.0)], [], 11.0, {})["web-01/Tentacle"]
    assert seen.problem == ("CONFIGURATION_UNREADABLE", "torn")
    assert seen.disk is None


def test_a_visit_that_refused_has_still_read_the_configuration() -> None:
    refused = {**ROW, "ok": False, "code": "BUSY", "reason": "its lock is held", "listening": {"enabled": True, "port": 10933}}
    seen = gather([EDGE], [visit_of("web-01", {"failed": True, "msg": "no", "instances": [refused]}, 10.0)], [], 11.0, {})["web-01/Tentacle"]
    assert (seen.problem, seen.refusal) == (None, ("BUSY", "its lock is held"))
    assert seen.disk is not None
    assert seen.disk.pins() == {OLD}


def test_an_edge_that_nobody_looked_at_has_no_evidence() -> None:
    seen = gather([EDGE], [], [], 1.0, {})["web-01/Tentacle"]
    assert (seen.disk, seen.process, seen.wire, seen.health, seen.visited_at) == (None, None, None, None, None)


def test_sights_become_one_matrix_an_endpoint() -> None:
    sights = [
        {"endpoint": "a:1", "identity": "random", "verdict": "refused", "thumbprint": own("a")},
        {"endpoint": "a:1", "identity": "new", "verdict": "accepted", "thumbprint": own("a")},
        {"endpoint": "b:1", "identity": "new", "verdict": "timeout", "thumbprint": None},
        {"endpoint": "c:1", "identity": "identity", "verdict": "identity", "thumbprint": own("c").lower()},
    ]
    wires = wires_of(sights, 5.0)
    assert wires["a:1"] == Wire(5.0, own("a"), None, "accepted", "refused", None)
    assert (wires["b:1"].reached, wires["b:1"].new) == (False, "timeout")
    assert wires["c:1"] == Wire(5.0, own("c"))


@pytest.mark.parametrize(
    ("at", "visited_at", "fresh"),
    [(95.0, None, True), (95.0, 90.0, True), (95.0, 96.0, False), (39.0, None, False), (40.0, None, True), (101.0, None, False)],
)
def test_freshness(at: float, visited_at: float | None, fresh: bool) -> None:
    assert is_fresh(Wire(at), visited_at, now=100.0, max_age=60.0) is fresh


def test_health_is_that_of_the_worst_enabled_record() -> None:
    edge = replace(EDGE, records=(record("a"), record("b"), record("c", is_disabled=True)))
    fine, ill = Health("Healthy", 5.0), Health("Unavailable", 6.0)
    assert gather([edge], [], [], 1.0, {"Machines-a": fine, "Machines-b": ill})["web-01/Tentacle"].health == ill
    assert gather([edge], [], [], 1.0, {"Machines-a": fine, "Machines-b": fine, "Machines-c": ill})["web-01/Tentacle"].health == fine
    assert gather([edge], [], [], 1.0, {"Machines-a": fine})["web-01/Tentacle"].health is None, "a record that was not judged"


def test_a_pin_is_tidy_if_it_stands_once_a_place_in_capitals() -> None:
    assert Disk((TrustEntry(OLD, OLD), TrustEntry(NEW, NEW)), 0.0).is_tidy(NEW)
    assert Disk((TrustEntry(NEW, NEW, "polling", "a", "s"), TrustEntry(NEW, NEW)), 0.0).is_tidy(NEW)
    assert not Disk((TrustEntry(NEW, NEW), TrustEntry(NEW, NEW)), 0.0).is_tidy(NEW)
    assert not Disk((TrustEntry(NEW.lower(), NEW),), 0.0).is_tidy(NEW)
