# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nobody's change is lost: our edits beside the vendor's command in a loop, and beside each other (measured-tentacle.md 14.4, issue 4 D.4).

The same at the contract's length is in tests/proof.
"""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import pytest
from unit.tentacle.doubles import FOREIGN, OLD
from unit.tentacle.installed import Hand, Installed, edit_beside, numbered

ROUNDS = 20
WRITERS, EDITS = 4, 50


@pytest.mark.parametrize("linked", [False, True], ids=["plain", "link"])
def test_nothing_is_lost_beside_the_vendors_command(tmp_path: Path, linked: bool) -> None:
    installed = Installed(tmp_path, linked=linked, cli_cost=0.1)
    ours, theirs = edit_beside(installed, ROUNDS)
    assert theirs.failed == []
    assert len(theirs.trusted) >= ROUNDS
    assert sorted(installed.pins()) == sorted([OLD, FOREIGN, *ours, *theirs.trusted])
    assert installed.is_kept()
    assert installed.left_over() == []


def test_nothing_is_lost_among_ourselves(tmp_path: Path) -> None:
    installed = Installed(tmp_path)
    pins = [numbered(writer, EDITS) for writer in range(WRITERS)]
    with contextlib.ExitStack() as until_all_have_ended:
        hands = [until_all_have_ended.enter_context(Hand()) for _each in pins]
        for hand, edits in zip(hands, pins, strict=True):
            hand.order(installed.ours, edits)
        assert [hand.answer() for hand in hands] == [0] * WRITERS
    assert sorted(installed.pins()) == sorted([OLD, FOREIGN, *itertools.chain(*pins)])
    assert installed.is_kept()
    assert installed.left_over() == []
