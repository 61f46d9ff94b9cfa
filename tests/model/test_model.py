# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model check of design/rotation-safety.md 4.9 with the product's own formula as the gate."""

from __future__ import annotations

import pytest
from model.translate import product_rules
from model.world import NEW, OLD, Search, exposed, is_settled, locked_out, start


@pytest.mark.parametrize(("tentacles", "nodes"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_no_interleaving_locks_out_and_every_state_has_both_ways_out(tentacles: int, nodes: int) -> None:
    search = Search(product_rules(), start(tentacles, nodes))
    assert search.shortest(lambda world: locked_out(world) or exposed(world)) is None
    print(f"{tentacles} Tentacles, {nodes} nodes: {len(search.came_from)} states")
    assert not search.stuck(lambda world: is_settled(world, NEW)), "DONE is not reachable from everywhere"
    assert not search.stuck(lambda world: is_settled(world, OLD)), "fully back is not reachable from everywhere"
