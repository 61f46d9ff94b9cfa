# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whom a gate probes, by which way and from where; and the log in the place of the wire where nothing reaches (decision 24)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Process
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint, Proxy
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.probe import Sight
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus import records
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import MachineRecord, ProxyRecord, ServerNode, Space
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import phase, plan, report, words
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Contract, EdgeFacts, Facts, Switch
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.pace import Away
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.plugin_utils._inventory import Inventory
from ansible_collections.octofleet.octopus.plugins.plugin_utils._survey import Asked, Survey
from model import sample
from model.sample import NEW, OLD, edge, polling, seen

BOTH = (OLD, NEW)


def unreached(host: str, pins: Iterable[str] = BOTH, started: Iterable[str] | None = BOTH, pending: str = "no", **changes: Any) -> EdgeFacts:
    """A listening Tentacle that is not probed; ``started``: what its process named in its start-up lines, None: there are none."""
    process = Process(4711, "2026-03-01 11:02", pending, None if started is None else frozenset(started))
    return replace(seen(edge(host, pins), wire=None, process=process), by_log=True, **changes)


# ------------------------------------------------------------------------------------------------ the log's word


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (unreached("w"), "D"),
        (unreached("w", BOTH, (OLD,), "yes"), "B"),
        (unreached("w", BOTH, None, "probably"), "B"),
        (unreached("w", BOTH, None, "no"), "C"),
        (unreached("w", (OLD,), (OLD,)), "A"),
        (unreached("w", (NEW,), (NEW,)), "X3"),
        (seen(unreached("w"), process=None), "B"),
    ],
    ids=["proved", "old-process", "no-lines", "by-time-only", "old-only", "new-only", "not-running"],
)
def test_states_before_the_switch(made: EdgeFacts, state: str) -> None:
    assert phase.state_of(sample.before_switch(edges=(made,)), made) == state


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (unreached("w"), "D"),
        (seen(unreached("w"), health=edge("w", works_with=NEW).evidence.health), "E"),
        (unreached("w", (NEW,), (NEW,)), "G"),
        (unreached("w", (NEW,), BOTH, "yes"), "F"),
        (unreached("w", (OLD,), (OLD,)), "X3"),
    ],
    ids=["proved", "works", "done", "to-restart", "left-out"],
)
def test_states_after_the_switch(made: EdgeFacts, state: str) -> None:
    assert phase.state_of(sample.after_switch(edges=(made,)), made) == state


@pytest.mark.parametrize(
    ("made", "refused_by", "remedy"),
    [
        (unreached("w"), [], ""),
        (unreached("w", BOTH, None, "no"), ["in_process"], "Its log has no start-up lines of the running process"),
        (unreached("w", BOTH, BOTH, "probably"), ["in_process"], "Its log has no start-up lines"),
        (unreached("w", BOTH, (OLD,)), ["in_process"], "Its service did not restart."),
        (unreached("w", (OLD,), (OLD,)), ["on_disk", "in_process"], "Run it again: the visit adds the pin."),
        (replace(unreached("w"), by_log=False), ["in_process"], "octopus_probe_from"),
    ],
    ids=["proved", "no-lines", "changed-since", "old-process", "old-only", "not-by-log"],
)
def test_the_switch(made: EdgeFacts, refused_by: list[str], remedy: str) -> None:
    refusals = list(allowed(sample.before_switch(edges=(made,)), Switch()).refusals())
    assert [clause.code for clause in refusals] == refused_by
    assert all(remedy in fault.remedy for clause in refusals for fault in clause.faults)


def test_the_removal_waits_for_a_health_check_with_the_new_certificate() -> None:
    step = Contract(("w/Tentacle",))
    unchecked = sample.after_switch(edges=(unreached("w"),))
    assert [clause.code for clause in allowed(unchecked, step).refusals()] == ["works_with_new"]
    works = seen(unreached("w"), health=edge("w", works_with=NEW).evidence.health)
    assert allowed(replace(unchecked, edges=(works,)), step).allowed


def test_a_proxy_that_stays_closed_is_what_the_refusal_speaks_of() -> None:
    made = edge("w")
    assert made.evidence.wire
    denied = seen(made, wire=replace(made.evidence.wire, presents=None, **dict.fromkeys(("old", "new", "random", "none"), "proxy_denied")))
    (refusal,) = allowed(sample.before_switch(edges=(denied,)), Switch()).refusals()
    assert "wire at w:10933: proxy_denied" in refusal.faults[0].seen
    assert "octopus_proxies" in refusal.faults[0].remedy


@pytest.mark.parametrize(
    ("made", "seen_of_it"),
    [
        (unreached("w"), "its host answers, and w/Tentacle runs there"),
        (seen(unreached("w"), process=None), "Machines-w (w) in space Default is Healthy by its record"),
        (replace(edge("w"), evidence=seen(unreached("w")).evidence), "nobody has probed w/Tentacle"),
    ],
    ids=["runs", "healthy", "not-by-log"],
)
def test_who_may_be_left_behind(made: EdgeFacts, seen_of_it: str) -> None:
    facts = sample.before_switch(edges=(made, edge("v")), left_behind=(("w", "it is old"),))
    (refusal,) = [clause for clause in allowed(facts, Switch()).refusals() if clause.code == "left_behind_rightly"]
    assert [fault.seen for fault in refusal.faults] == [seen_of_it]


def test_plan_and_report_say_who_is_proved_by_what() -> None:
    facts = sample.before_switch(edges=(edge("v"), unreached("w"), polling("p"), unreached("x", BOTH, None)))
    assert report.proofs(facts) == {"wire": 1, "log": 2, "none": 1}
    assert [report.row(facts, one)["log"] for one in facts.edges[:2]] == [None, "started"]
    (line,) = [line for line in _plan(facts) if "octopus_proof=log" in line]
    assert line.startswith("  . w/Tentacle, x/Tentacle: octopus_proof=log: not probed, but proved by what the running process logged at its start")
    assert not [line for line in _plan(sample.before_switch()) if "octopus_proof" in line]


def _plan(facts: Facts) -> list[str]:
    made = plan.make_plan(facts, "digest", hosts=[one.edge.host for one in facts.edges], spec=["100%"], forks=5)
    return words.plan_lines(facts, made, words.Estate("https://octopus.example.com"))


# ------------------------------------------------------------------------------------------------ who is probed, and how

HOME = Space("Spaces-1", "Default", True, False)
NODE, FIRST, SECOND = "10.0.0.9:10943", "10.0.0.1:10933", "10.0.0.2:10933"
OWN = {NODE: OLD, FIRST: "B" * 40, SECOND: "C" * 40}


class Server:
    """What REST says of two Tentacles, the second of which is behind a proxy."""

    def nodes(self) -> list[ServerNode]:
        return [ServerNode("OctopusServerNodes-1", "node-1", False, False, None, 0)]

    def spaces(self) -> list[Space]:
        return [HOME]

    def machines(self, _space: Space) -> list[MachineRecord]:
        return [_machine("web-01", FIRST, None), _machine("web-02", SECOND, "Proxies-1")]

    def proxies(self, _space: Space) -> list[ProxyRecord]:
        return [ProxyRecord("Proxies-1", "Zone A", "proxy", 3128, "octopus", True)]

    def policies(self, _space: Space) -> list[Any]:
        return []


def _machine(name: str, place: str, proxy: str | None) -> MachineRecord:
    endpoint = {"CommunicationStyle": "TentaclePassive", "Uri": f"https://{place}/", "Thumbprint": OWN[place], "ProxyId": proxy}
    return records.machine({"Id": f"Machines-{name}", "Name": name, "Endpoint": endpoint}, records.TARGET, HOME)


class Vantage:
    """A sweep from anywhere, which remembers where it went."""

    def __init__(self) -> None:
        self.met: list[Endpoint] = []

    def __call__(self, endpoints: Sequence[Endpoint], _callers: Sequence[Any] = (), _limits: Any = None) -> list[Sight]:
        self.met += endpoints
        return [Sight(one, "identity", "identity", OWN[one.address], "TLSv1.3", 1, "", b"") for one in endpoints]


def survey_of(vantage: Vantage, hostvars: Mapping[str, Mapping[str, Any]], **asked: Any) -> Survey:
    inventory = Inventory(
        {"web-01": {"ansible_host": "10.0.0.1"}, "web-02": {"ansible_host": "10.0.0.2"}, "server": {"octopus_node_endpoint": NODE}, **hostvars},
        ["web-01", "web-02"],
        ["server"],
    )
    wanted = Asked(OLD, None, False, ["Default"], {}, {"other": [NODE]}, Away(20), None, **asked)
    return Survey(Server(), inventory, wanted, None, None, False, vantage)  # type: ignore[arg-type]


def test_all_is_seen_from_the_vantage_and_through_the_proxies_of_the_records() -> None:
    vantage = Vantage()
    facts = survey_of(vantage, {}, proxies={"Zone A": {"password": "it"}}).facts
    ways = {one.address: one.proxy for one in vantage.met}
    assert ways == {NODE: None, FIRST: None, SECOND: Proxy("proxy", 3128, "octopus", Secret("it"))}
    assert len(vantage.met) == 4, "the node, the other Server, two Tentacles"
    assert [made.evidence.wire.presents if made.evidence.wire else None for made in facts.edges] == [OWN[FIRST], OWN[SECOND]]


def test_a_host_that_is_proved_by_its_log_is_not_probed() -> None:
    vantage = Vantage()
    facts = survey_of(vantage, {"web-02": {"ansible_host": "10.0.0.2", "octopus_proof": "log"}}).facts
    assert SECOND not in [one.address for one in vantage.met]
    assert [(made.edge.host, made.by_log, made.evidence.wire is None) for made in facts.edges] == [("web-01", False, False), ("web-02", True, True)]


def test_a_proof_that_is_none_is_refused() -> None:
    with pytest.raises(OctoError, match="octopus_proof of web-02 is 'logs'; it is wire or log"):
        survey_of(Vantage(), {"web-02": {"ansible_host": "10.0.0.2", "octopus_proof": "logs"}}).facts  # noqa: B018  # judged when it is read


@pytest.mark.parametrize(("said", "allowed"), [(None, False), (True, True), ("yes", True), (False, False), ("false", False), ("perhaps", False)])
def test_who_allows_an_upgrade_is_said_by_host(said: Any, allowed: bool) -> None:
    facts = survey_of(Vantage(), {"web-02": {"ansible_host": "10.0.0.2", "octopus_allow_upgrade": said}}).facts
    assert [(made.edge.host, made.allows_upgrade) for made in facts.edges] == [("web-01", False), ("web-02", allowed)]
