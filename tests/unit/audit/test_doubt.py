# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What answers at a node's place need not be the Server: nobody is told to trust it, and nobody is locked out by it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit

from .estates import GHOST, OURS, RETIRED, THEIRS, World, entry, world

HOSTS = ("wire", "disk", "process")


def balancer() -> World:
    return world().node(1, presented=GHOST).node(2, presented=GHOST)


def told(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row["code"], row["subject"]) for row in document["findings"]}


@pytest.mark.parametrize("keys", [True, False], ids=["a Server PFX", "no key"])
def test_a_load_balancer_while_nobody_can_ask_the_database(keys: bool) -> None:
    document = audit(balancer().facts(HOSTS, keys=keys))
    assert told(document) == {("SOURCES_DISAGREE", "node-1"), ("SOURCES_DISAGREE", "node-2")}
    assert "0 Tentacles trust, while most trust another; the Server's database was not read" in document["findings"][0]["seen"]
    assert document["codes"]["LOCKED_OUT"]["not_judged"] == 4
    assert document["counts"]["fine"] == 0


def test_our_own_pins_are_no_ghosts_while_it_is_not_known_who_we_are() -> None:
    tally = audit(balancer().facts(HOSTS, keys=False))["codes"]["GHOST_PIN"]
    assert (tally["found"], tally["not_judged"]) == (0, 4)


@pytest.mark.parametrize("asked", [("wire", "disk", "process", "database"), HOSTS], ids=["with the database", "without"])
def test_one_careless_pin_makes_no_server(asked: tuple[str, ...]) -> None:
    of = balancer()
    for number in range(12):
        of.listening(f"app-{number}")
    of.instance("web-1", trust=(entry(), entry(GHOST)), pins_in_process=frozenset((OURS, GHOST)))
    document = audit(of.facts(asked))
    assert {code for code, _subject in told(document)} <= {"SOURCES_DISAGREE", "GHOST_PIN"}
    assert document["codes"]["LOCKED_OUT_AFTER_RESTART"]["not_judged"] >= 1


def test_a_switch_that_some_tentacles_missed_locks_them_out() -> None:
    """Most trust what node-1 was restarted with, while REST still names the old one: that is a rotation, and the rest is cut off."""
    of = world().node(1, presented=GHOST)
    for host in ("web-1", "web-2"):
        of.instance(host, trust=(entry(), entry(GHOST)), pins_in_process=frozenset((OURS, GHOST)))
    assert {("LOCKED_OUT", f"{host}/Tentacle") for host in ("poll-1", "poll-2")} <= told(audit(of.facts()))


def test_a_fleet_that_is_mostly_another_servers_makes_no_doubt() -> None:
    of = World().listening("web-1")
    for number in range(9):
        of.listening(f"dr-{number}").instance(f"dr-{number}", trust=(entry(THEIRS),), pins_in_process=frozenset((THEIRS,)))
        of.says(f"dr-{number}", ours="refused")
    of.known = None
    assert told(audit(of.facts(HOSTS))) == set()


def test_another_server_at_a_nodes_place() -> None:
    """A name that resolves to the wrong machine: no critical SHARED_PIN, and nobody is told to trust that Server."""
    of = world().node(1, presented=THEIRS).instance("web-1", trust=(entry(), entry(THEIRS)), pins_in_process=frozenset((OURS, THEIRS)))
    document = audit(of.facts())
    assert told(document) == {("SOURCES_DISAGREE", "node-1")}
    assert document["codes"]["SHARED_PIN"]["not_judged"] == 1


def test_a_retired_certificate_locks_out_and_is_not_to_be_trusted_again() -> None:
    """Node-1 was left behind: what does not trust it any more is cut off from it, and it is the node that has to be mended."""
    document = audit(world().node(1, presented=RETIRED).facts())
    named = {(row["code"], row["subject"]): row["remedy"] for row in document["findings"]}
    assert named.keys() >= {("OLD_KEY_IN_USE", "node-1"), ("SOURCES_DISAGREE", "node-1"), ("LOCKED_OUT", "web-1/Tentacle")}
    remedies = {remedy for (code, _subject), remedy in named.items() if code.startswith("LOCKED_OUT")}
    assert remedies == {
        f"Do not let it trust {RETIRED}, which is retired: give the Server or its node the present certificate first (see OLD_KEY_IN_USE)."
    }


def test_what_still_pins_the_retired_certificate_that_a_node_presents_has_no_ghost() -> None:
    of = world().node(2, presented=RETIRED).instance("web-1", trust=(entry(), entry(RETIRED)), pins_in_process=frozenset((OURS, RETIRED)))
    assert not {one for one in told(audit(of.facts())) if one[1] == "web-1/Tentacle"}
