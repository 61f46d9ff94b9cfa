# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a node of our own Server presents, as seeds of fleets of their own: it holds for every Tentacle, so it cannot stand beside all else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lab.fleet.builder import Fleet
from lab.fleet.plan import MAIN, Trust
from lab.planting import acts
from lab.planting.garden import Garden
from lab.wire.certificates import Keypair

_OURS = Trust()


def _left_behind(garden: Garden) -> None:
    """After a switch the second node was not restarted: it presents the certificate that the Server had before, which is retired."""
    before, forgotten = garden.keys.server(), garden.keys.server()
    garden.retired += [before, forgotten]
    first, second = garden.plan.server(MAIN).nodes
    garden.after(acts.present(second.name, before))
    where = (second.name, f"{second.address}:{second.comms_port}")
    # That its database has another certificate is true as well.
    garden.tell(before, "OLD_KEY_IN_USE", arguable="SOURCES_DISAGREE", why=f"it is retired, and {second.name} of our Server presents it", names=where)
    garden.tell(forgotten, near="OLD_KEY_IN_USE", why="it is retired and still pinned, and nobody presents it")

    def speak_of_ours(fleet: Fleet) -> None:
        why = f"{first.name} presents it, and it is what the Server has"
        garden.tell(fleet.server.certificate, near="OLD_KEY_IN_USE SHARED_PIN", why=why, names=(first.name,))

    garden.after(speak_of_ours)
    _who_meet_both(garden, before, forgotten)


def _who_meet_both(garden: Garden, before: Keypair, forgotten: Keypair) -> None:
    old, neither = Trust(thumbprint=before.thumbprint), "LOCKED_OUT LOCKED_OUT_AFTER_RESTART"
    for make, name in ((garden.host, "pins-both"), (garden.windows, "win-pins-both")):
        both = make(name, trust=[_OURS, old])
        garden.tell(both, near=f"{neither} GHOST_PIN", why="it trusts what either node presents", pins=(before.thumbprint,))
    pins = garden.host("pins-forgotten", trust=[_OURS, old, Trust(thumbprint=forgotten.thumbprint)])
    garden.tell(pins, "GHOST_PIN", near=neither, why="it trusts a retired certificate, too, that nobody presents", pins=(forgotten.thumbprint,))
    polling = garden.host("poll-both", polling=True)
    polling.trust += [replace(each, thumbprint=before.thumbprint) for each in polling.trust]
    why = "for either node it has an entry with what that one presents, and one with what the other does"
    garden.tell(polling, near=f"{neither} GHOST_PIN MISSING_NODE DUPLICATE_ENTRY", why=why, pins=(before.thumbprint,))
    garden.noisy.append(polling)  # of two entries for a node one never matches
    garden.tell(garden.host("pins-new"), neither, why="the second node presents a certificate that it does not trust")
    late = garden.host("pins-old", trust=[old], known=True)
    garden.tell(late, neither, near="GHOST_PIN", why="the first node presents a certificate that it does not trust", pins=(before.thumbprint,))


NODE_SEEDS: Mapping[str, Callable[[Garden], None]] = {"node_left_behind": _left_behind}
