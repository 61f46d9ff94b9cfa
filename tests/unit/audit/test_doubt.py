# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What answers at a node's place need not be the Server: nobody is told to trust it, and nobody is locked out by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import Node, Server

from .estates import GHOST, OURS, RETIRED, THEIRS, WHOLE, World, entry, world

HOSTS = ("wire", "disk", "process")


def balancer() -> World:
    return world().node(1, presented=GHOST).node(2, presented=GHOST)


def told(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row["code"], row["subject"]) for row in document["findings"]}


@pytest.mark.parametrize("keys", [True, False], ids=["a Server PFX", "no key"])
def test_a_load_balancer_while_nobody_can_ask_the_database(keys: bool) -> None:
    document = audit(balancer().facts(HOSTS, keys=keys))
    assert told(document) == {("SOURCES_DISAGREE", "node-1"), ("SOURCES_DISAGREE", "node-2")}
    assert "no Tentacles trust, while most trust another; the Server's database was not read" in document["findings"][0]["seen"]
    assert document["codes"]["LOCKED_OUT"]["not_judged"] == 4
    assert document["counts"]["fine"] == 0


def test_our_own_pins_are_no_ghosts_while_it_is_not_known_who_we_are() -> None:
    tally = audit(balancer().facts(HOSTS, keys=False))["codes"]["GHOST_PIN"]
    assert (tally["found"], tally["not_judged"]) == (0, 4)


def careless() -> World:
    of = balancer()
    for number in range(12):
        of.listening(f"app-{number}")
    return of.instance("web-1", trust=(entry(), entry(GHOST)), pins_in_process=frozenset((OURS, GHOST)))


def test_one_careless_pin_makes_no_server() -> None:
    document = audit(careless().facts(HOSTS))
    assert {code for code, _subject in told(document)} == {"SOURCES_DISAGREE"}
    assert document["codes"]["GHOST_PIN"]["not_judged"] == 1


def test_beside_a_database_that_has_another_one_nobody_is_told_to_trust_it() -> None:
    """It may be a load balancer's, or what a node was left behind with, which cuts off those who dropped it: then it is the node that is mended."""
    document = audit(careless().facts())
    named = {code for code, _subject in told(document)}
    assert named == {"SOURCES_DISAGREE", "LOCKED_OUT", "LOCKED_OUT_AFTER_RESTART"}
    remedies = {row["remedy"].partition(" (")[0] for row in document["findings"] if row["code"].startswith("LOCKED_OUT")}
    assert remedies == {"First find out which certificate is right"}


def left_behind() -> World:
    """A rotation of which one node missed the end: most Tentacles have dropped what it presents, and it is not said to be retired."""
    of = world().node(2, presented=GHOST)
    of.instance("web-1", trust=(entry(), entry(GHOST)), pins_in_process=frozenset((OURS, GHOST)))
    return of.listening("web-3").listening("web-4")


def test_a_node_that_was_left_behind_is_seen() -> None:
    named = told(audit(left_behind().facts()))
    assert ("LOCKED_OUT", "web-3/Tentacle") in named
    assert ("GHOST_PIN", "web-1/Tentacle") not in named  # its last friend


def test_no_restart_is_advised_that_would_lose_what_a_node_was_left_behind_with() -> None:
    of = left_behind().instance("web-3", pins_in_process=frozenset((OURS, GHOST)), restart_pending="yes", newer_than_process=True)
    (pending,) = (row for row in audit(of.facts())["findings"] if row["code"] == "RESTART_PENDING")
    assert pending["remedy"].startswith(f"Do not restart it before its configuration trusts {GHOST}")


def test_the_pins_of_another_known_server_are_no_measure() -> None:
    of = World().listening("web-1").listening("web-2")
    for number in range(40):
        of.listening(f"dr-{number}").instance(f"dr-{number}", trust=(entry(THEIRS),), pins_in_process=frozenset((THEIRS,)))
    assert told(audit(of.facts(("wire", "disk", "process"), keys=False))) == set()


def test_a_clone_is_seen_while_it_is_being_rotated_away() -> None:
    """The new certificate is imported, and nodes and clone still present the old one, which the whole fleet trusts."""
    of = world()
    of.server = replace(of.server, database=GHOST)
    of.known = (Server("clone", (Node("clone-1", "10.9.9.9:10943", OURS, WHOLE),)),)
    assert ("SHARED_PIN", OURS) in told(audit(of.facts()))


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
