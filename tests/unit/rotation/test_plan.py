# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation will take, and its report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import POLLING
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import OtherServer, Switch
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.pace import Away
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.plan import Rates, WaveSpec, edges_by_host, make_plan, old_readings, waves
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.report import SCHEMA, make_report
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from model import sample
from model.sample import NEW, OLD


@pytest.mark.parametrize(
    ("hosts", "spec", "sizes"),
    [
        (20, [1, "5%", "25%", "100%"], [1, 1, 5, 13]),
        (20, [2], [2] * 10),
        (3, ["1%"], [1, 1, 1]),
        (3, ["100%"], [3]),
        (3, [], [3]),
        (0, [1], []),
        (5, ["2", 10], [2, 3]),
    ],
)
def test_waves_are_those_of_serial(hosts: int, spec: WaveSpec, sizes: list[int]) -> None:
    names = [f"h{number}" for number in range(hosts)]
    made = waves(names, spec)
    assert [len(wave) for wave in made] == sizes
    assert [host for wave in made for host in wave] == names


@pytest.mark.parametrize("wrong", ["0", "x%", "-1", "", 0])
def test_a_wave_that_is_no_size(wrong: str | int) -> None:
    with pytest.raises(OctoError, match="octopus_waves holds"):
        waves(["a"], [wrong])


def test_the_cost_of_a_whole_rotation() -> None:
    facts = sample.before_switch(new=None, away=Away(2), edges=tuple(sample.edge(f"h{number}", (OLD,)) for number in range(5)))
    plan = make_plan(facts, "digest", hosts=[f"h{number}" for number in range(5)], spec=[1, "100%"], forks=50, rates=Rates(2.0, 30.0, 1.0), gates=4)
    assert (plan.visits, plan.restarts, plan.node_restarts, plan.away_at_most) == (10, 10, 2, 2)
    assert plan.seconds == 2 * ((1 + 2) * 2.0 + 2 * 1.0) + 2 * 30.0 + 4 * 1.0
    assert plan.portal_seconds == 30.0


def test_the_cost_of_what_is_left() -> None:
    half = sample.between_nodes(
        edges=(sample.edge("app-09"), replace(sample.edge("poll-1"), edge=replace(sample.edge("poll-1").edge, style=POLLING)))
    )
    plan = make_plan(half, "digest", hosts=["app-09"], spec=[1], forks=5)
    assert (plan.visits, plan.node_restarts) == (2, 1)
    assert plan.error_lines_a_minute == 0.5


def test_a_plan_is_named_by_both_certificates_and_the_roster() -> None:
    def made(digest: str, new: str | None) -> str:
        return make_plan(sample.before_switch(new=new), digest, hosts=[], spec=[], forks=1).id

    assert len({made("one", NEW), made("two", NEW), made("one", sample.THIRD), made("one", None)}) == 4
    assert made("one", NEW) == made("one", NEW)


def test_edges_by_host_name_each_instance_once() -> None:
    further = replace(sample.edge("web-01"), edge=replace(sample.edge("web-01").edge, endpoint="alias:10933", is_further=True))
    nowhere = replace(sample.edge("x"), edge=replace(sample.edge("x").edge, host=""))
    assert edges_by_host((sample.edge("web-01"), further, nowhere, sample.edge("app-09"))) == {"web-01": ["Tentacle"], "app-09": ["Tentacle"]}


def test_old_readings_are_named() -> None:
    old = sample.edge("app-09")
    assert old.evidence.disk is not None
    facts = sample.before_switch(now=5000.0, edges=(sample.seen(old, disk=replace(old.evidence.disk, at=100.0)), sample.seen(old, disk=None)))
    assert old_readings(facts) == {"app-09/Tentacle": 4900.0}


def test_a_report_is_plain_json_with_a_schema() -> None:
    facts = sample.before_switch(edges=(sample.edge("app-09", accepts=(OLD,)), sample.edge("web-01")), others=(OtherServer("dr", NEW),))
    report = make_report(facts, [allowed(facts, Switch())], plan="7f3a", lines=["one"], started="2026-03-01T11:02:00Z", seconds=41.2)
    assert json.loads(json.dumps(report)) == report
    assert (report["schema"], report["phase"], report["reached"], report["counts"]) == (SCHEMA, "EXPAND", False, {"B": 1, "D": 1})
    assert report["verdicts"][0]["refusals"][0]["code"] == "in_process"
    assert report["tentacles"][0]["wire"] == {
        "presents": sample.own("app-09"),
        "old": "accepted",
        "new": "refused",
        "random": "refused",
        "none": "refused",
        "age": 1.0,
    }


def test_a_report_of_what_nobody_could_look_at() -> None:
    blind = sample.seen(sample.edge("app-09"), disk=None, process=None, wire=None, health=None, problem=("TORN", "half"))
    report = make_report(sample.before_switch(edges=(blind,)), [], plan="", lines=[], started="", seconds=None)
    assert [report["tentacles"][0][key] for key in ("disk", "process", "wire", "health")] == [None] * 4
    assert report["tentacles"][0]["problem"] == {"code": "TORN", "reason": "half"}
