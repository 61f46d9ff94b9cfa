# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fleets of which it is known what is wrong with them: each fault of design/audit.md planted, and what is nearly one beside it.

with planted() as garden:              # 300 Tentacles; planted(None): no others than those that something was planted into
    subprocess.run(["ansible-playbook", "-i", garden.inventory, ...], env=garden.fleet.env)
    assert {row.code for row in garden.planted} == ...
with planted(6, seeds=["impostor_proxy"]) as garden:   # a source that lies (lab.planting.lies), or cannot be read (lab.planting.troubles)
    ...
with planted(None, seeds=NODE_SEEDS) as garden:        # a node of our own Server that presents what it should not (lab.planting.nodes)
    ...
with clean(300) as garden:             # the same sorts of Tentacles, and nothing is wrong
    ...

It is written by the words of that design and of contracts/, and knows nothing of the program that is to find it all.
"""

from lab.planting.fleet import PlantedFleet, clean, planted
from lab.planting.truth import NearMiss, Planted

__all__ = ["NearMiss", "Planted", "PlantedFleet", "clean", "planted"]
