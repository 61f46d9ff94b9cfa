# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is called fine: nobody of whom something that he has to trust, or he himself, was not seen (design/audit.md, "Sources")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import SOURCES, Node, Reading

from .estates import GHOST, World, world

UNREAD = Reading("not_read", "connection refused")
POLL, WEB = "poll-1/Tentacle", "web-1/Tentacle"


def fine(of: World, *asked: str) -> int:
    return int(audit(of.facts(asked or SOURCES))["counts"]["fine"])


def without_nodes(of: World) -> World:
    of.server = replace(of.server, nodes=())
    return of


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda of: of.node(2, presented=None, reading=UNREAD), id="a node was not read"),
        pytest.param(lambda of: of.node(2, presented=GHOST), id="a node's certificate is disputed"),
    ],
)
def test_the_database_does_not_stand_for_a_node_that_is_there(spoil: Callable[[World], World]) -> None:
    assert fine(spoil(world())) == 0


def test_nobody_is_fine_where_the_nodes_were_not_asked() -> None:
    assert fine(world(), "disk", "database") == 0


def test_the_database_stands_for_a_server_without_a_known_node() -> None:
    assert fine(without_nodes(world())) == 4
    assert fine(without_nodes(world()), "wire", "disk", "process") == 0


def test_a_node_that_nobody_had_to_ask_keeps_nobody_from_being_fine() -> None:
    of = world()
    of.server = replace(of.server, nodes=(*of.server.nodes, Node("retired", None, None, Reading("not_asked", "it is offline, and no host has it"))))
    assert fine(of) == 4


@pytest.mark.parametrize(("host", "name"), [("poll-1", POLL), ("web-1", WEB)], ids=["polling", "listening"])
def test_a_stopped_tentacle_is_unreachable(host: str, name: str) -> None:
    of = world().instance(host, pid=0, started_monotonic_us=0)
    of.sights.update({"web-1:10933": replace(of.sights["web-1:10933"], presented=None, reason="refused")} if host == "web-1" else {})
    document = audit(of.facts())
    assert [(row["code"], row["subject"]) for row in document["findings"]] == [("UNREACHABLE", name)]
    assert "its service is not running" in document["findings"][0]["seen"]
    assert fine(of) == 3


def test_a_stopped_one_is_told_by_the_process_alone() -> None:
    of = world().instance("web-1", pid=0, started_monotonic_us=0)
    document = audit(of.facts(("process",)))
    assert [row["seen"] for row in document["findings"]] == ["process: web-1/Tentacle cannot work: its service is not running."]
    assert audit(of.facts(("disk",)))["findings"] == []


def test_whoever_answers_on_the_wire_is_not_called_stopped() -> None:
    """A manager that does not know the process: in a container of its own, or started by hand."""
    assert audit(world().instance("web-1", pid=0, started_monotonic_us=0).facts())["findings"] == []


def test_a_service_that_nobody_knows_is_not_called_stopped() -> None:
    of = world().instance("poll-1", pid=0, started_monotonic_us=0, unready=(("SERVICE_UNKNOWN", "no service runs it"),))
    assert "UNREACHABLE" not in {row["code"] for row in audit(of.facts())["findings"]}
