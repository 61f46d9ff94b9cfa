# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""200 rounds of our edits against the vendor's command in a loop: none lost, none failed, on either side (measured-tentacle.md 14.4, issue 4 D.4)."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import agent
from lab.settings import Settings
from unit.tentacle.doubles import FOREIGN, OLD
from unit.tentacle.installed import Installed, edit_beside

ROUNDS = 200
ROUNDS_BLIND = 15
BEFORE_IT_WRITES = (0.8, 1.2)  # it reads when 0.7 of its cost have passed since its start, which takes a while, too
QUIRKS = ("truncate_in_place", "lock_ex_blocks", "mtime_moves_on_noop", "one_write_per_step")  # how the vendor's tool writes


@pytest.mark.parametrize("linked", [False, True], ids=["plain", "link"])
def test_200_rounds_lose_nothing_and_fail_nobody(tmp_path: Path, linked: bool) -> None:
    installed = Installed(tmp_path, linked=linked, cli_cost=0.1)
    assert all(Settings().quirk(name) for name in QUIRKS)
    ours, theirs = edit_beside(installed, ROUNDS)
    print(f"{len(ours)} edits of ours beside {len(theirs.trusted)} commands of the vendor")
    assert theirs.failed == []
    assert len(theirs.trusted) >= ROUNDS
    assert sorted(installed.pins()) == sorted([OLD, FOREIGN, *ours, *theirs.trusted])
    assert installed.is_kept()
    assert installed.left_over() == []


def test_an_edit_that_does_not_look_for_the_command_loses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the rounds above would show it: the command that read before our lock writes its old copy after it."""
    monkeypatch.setattr(agent, "commands_at_work", lambda *_ignored: [])
    installed = Installed(tmp_path, cli_cost=1.0)
    ours, theirs = edit_beside(installed, ROUNDS_BLIND, BEFORE_IT_WRITES)
    lost = {*ours, *theirs.trusted} - {*installed.pins(), *theirs.failed}
    print(f"{len(lost)} lost and {len(theirs.failed)} failed of {len(ours)} + {len(theirs.trusted)}")
    assert lost
