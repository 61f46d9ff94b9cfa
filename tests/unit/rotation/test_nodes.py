# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roster of the nodes: who is known, and whether each is a node of its own (decision 10)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Switch
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import nodes_known
from model import sample

HERE, THERE = "10.0.0.1:10943", "10.0.0.2:10943"


@pytest.mark.parametrize(
    ("first", "second", "named", "says"),
    [
        ({}, {}, "", ""),
        ({"places": (HERE,)}, {"places": (THERE,)}, "", ""),
        ({"installation": None}, {}, "", ""),
        ({"endpoint": "balancer:10943"}, {"endpoint": "balancer:10943"}, "balancer:10943", "node-1, node-2 share this endpoint"),
        ({"places": (HERE,)}, {"places": ("[fd00::1]:10943", HERE)}, "node-1:10943, node-2:10943", "node-1, node-2 share this endpoint"),
        ({}, {"installation": "81c0"}, "node-1, node-2", "they answer for different installations: 7f3a, 81c0"),
        ({}, {"in_inventory": False, "endpoint": None}, "node-2", "the Server lists this node, the inventory does not"),
        ({}, {"in_rest": False}, "node-2", "the inventory names this node, the Server does not list it"),
    ],
    ids=["as-they-should-be", "two-places", "nobody-was-asked", "one-endpoint", "one-place", "two-installations", "not-in-inventory", "not-in-rest"],
)
def test_each_node_is_known_and_is_one_of_its_own(first: dict[str, Any], second: dict[str, Any], named: str, says: str) -> None:
    facts = sample.before_switch(nodes=(sample.node("node-1", **first), sample.node("node-2", **second)))
    faults = nodes_known(facts, Switch()).faults
    assert [(fault.name, says in fault.seen) for fault in faults] == ([(named, True)] if says else [])
