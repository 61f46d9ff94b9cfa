# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a shadow has received, in the formula: proof of the new certificate for the process that runs, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import POLLING, Edge, TrustEntry, visit_of
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.evidence import Disk, Met, gather
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.shadow import Subscriber
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import phase, report, words
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Contract, EdgeFacts, Facts, Switch
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from model import sample
from model.sample import NEW, OLD, own, polling, seen

SHADOW = "https://controller:11943"
LIVE, GONE, OPEN = Met(True), Met(False), Met(True, to_random=True)


def shadowed(met: Met | None, made: EdgeFacts | None = None) -> EdgeFacts:
    """A Tentacle that logs nothing (level Off) and polls the shadow, too."""
    silent = made or polling("p", (OLD, NEW), {})
    assert silent.evidence.disk is not None
    entries = (*silent.evidence.disk.trust, TrustEntry(NEW, NEW, POLLING, f"{SHADOW}/", "abc"))
    return seen(silent, disk=Disk(entries, sample.NOW - 20, own("p")), shadow=met, health=None)


def facts_of(made: EdgeFacts, **changes: Any) -> Facts:
    return sample.before_switch(edges=(made,), shadow=SHADOW, **changes)


@pytest.mark.parametrize(
    ("met", "proofs", "refused_by"),
    [
        (LIVE, ("accepted", "accepted"), []),
        (GONE, (None, None), ["in_process"]),
        (None, (None, None), ["in_process"]),
        (OPEN, (None, None), ["in_process", "discriminates"]),
    ],
    ids=["live", "gone", "never", "open door"],
)
def test_a_live_subscription_is_proof_where_the_log_says_nothing(met: Met | None, proofs: tuple[Any, Any], refused_by: list[str]) -> None:
    made = shadowed(met)
    facts = facts_of(made)
    assert (facts.proof(made, OLD), facts.proof(made, NEW)) == proofs
    assert [clause.code for clause in allowed(facts, Switch()).refusals()] == refused_by


def test_it_is_proof_for_the_new_one_only_and_only_if_that_stands_at_every_address() -> None:
    pending = shadowed(LIVE, polling("p", (OLD, NEW), {}, "probably"))
    assert (facts_of(pending).proof(pending, NEW), facts_of(pending).proof(pending, OLD)) == ("accepted", None)
    elsewhere = shadowed(LIVE, polling("p", (OLD,), {}))
    assert facts_of(elsewhere).proof(elsewhere, NEW) != "accepted"
    assert facts_of(shadowed(LIVE)).exchanged().edges[0].evidence.shadow is None


def test_the_address_of_the_shadow_is_no_address_of_the_server() -> None:
    made = shadowed(LIVE)
    assert facts_of(made).on_disk(made, OLD) is True
    assert replace(facts_of(made), shadow=None).on_disk(made, OLD) is False


def test_an_entry_that_is_left_is_still_to_be_removed() -> None:
    left = shadowed(None, polling("p", (NEW,)))
    facts = sample.after_switch(edges=(left,), shadow=SHADOW)
    assert (phase.state_of(facts, left), phase.useful_steps(facts), phase.is_reached(facts)) == ("F", (Contract(("p/Tentacle",)),), False)
    assert any(f"nobody is at {SHADOW} any more, which p/Tentacle" in line for line in words.closing_lines(facts, 0))
    clean = polling("p", (NEW,))
    assert phase.is_reached(sample.after_switch(edges=(clean,), shadow=SHADOW))


def test_reports_count_it_apart() -> None:
    facts = facts_of(shadowed(LIVE), nodes=(sample.node("node-1"),))
    three = replace(facts, edges=(*facts.edges, sample.edge("web-01"), polling("q")))
    assert report.proofs(three) == {"wire": 1, "shadow": 1, "log": 1}
    assert "none refused) 1, at the shadow 1, by its log 1" in words.closing_lines(three, 0)[1]
    assert report.row(three, three.edges[0])["shadow"] == {"live": True, "to_random": False}
    assert "shadow: subscribed" in report.row(three, three.edges[0])["log"]


# --- What was received, and from whom

EDGE = Edge("p", "Tentacle", POLLING, None, "abc", own("p"), (sample.record("p", style=POLLING, address=None, subscription="abc"),))
CAME = Subscriber("poll://ABC/", own("p"), 5.0, True)


def met(*subscribers: Subscriber, begun: float = 4.0, restarted: bool = True, edge: Edge = EDGE) -> Met | None:
    row = {"instance": "Tentacle", "ok": True, "thumbprint": own("p").lower(), "trust": [], "restarted": restarted, "service": {"pid": 7}}
    visit = visit_of("p", {"instances": [row], "begun_at": begun}, 10.0)
    return gather([edge], [visit], [], 11.0, {}, subscribers)["p/Tentacle"].shadow


@pytest.mark.parametrize(
    ("subscribers", "expected"),
    [
        ([CAME], Met(True)),
        ([], None),
        ([CAME._replace(subscription="poll://xyz/")], None),
        ([CAME._replace(thumbprint=own("q"))], None),
        ([CAME._replace(live=False)], Met(False)),
        ([CAME._replace(live=False), CAME], Met(True)),
        ([CAME._replace(since=3.0)], Met(False)),
        ([CAME._replace(to_random=True)], Met(True, True)),
    ],
    ids=["came", "nobody", "another subscription", "another certificate", "has gone", "came again", "before its restart", "to a random one"],
)
def test_only_the_tentacle_itself_and_only_its_present_process(subscribers: list[Subscriber], expected: Met | None) -> None:
    assert met(*subscribers) == expected


def test_a_visit_that_restarted_nothing_leaves_the_process_that_was_there() -> None:
    assert met(CAME._replace(since=3.0), restarted=False) == Met(True)


def test_a_listening_edge_has_none() -> None:
    assert met(CAME, edge=replace(EDGE, style="listening", endpoint="p:10933")) is None
