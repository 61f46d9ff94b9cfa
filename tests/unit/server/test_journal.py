# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The notes of drained nodes, from the controller's end through the module's to the file beside the keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import hand
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.journal import RemoteJournal
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Store


def journal_in(folder: Path) -> RemoteJournal:
    return RemoteJournal(lambda asked: hand.answer(PosixHost(), {"store": str(folder), "hand": dict(asked)}))


def test_notes_are_kept_until_the_last_is_dropped(tmp_path: Path) -> None:
    store = tmp_path / "store"
    journal = journal_in(store)
    assert journal.names() == []
    journal.put(["node-1"])
    journal.put(["node 2/ü"])
    assert journal.names() == ["node 2/ü", "node-1"]
    file = store / "draining.json"
    assert (store.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert json.loads(file.read_text())["node-1"].keys() == {"since", "by"}
    assert Store(PosixHost(), str(store)).entries() == []
    journal.drop(["node-1", "node-9"])
    assert journal.names() == ["node 2/ü"]
    journal.drop(["node 2/ü"])
    assert list(store.iterdir()) == []


@pytest.mark.parametrize("content", ["[]", "{"], ids=["list", "torn"])
def test_what_is_not_ours_is_not_written_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "draining.json").write_text(content)
    for ask in (journal_in(tmp_path).names, lambda: journal_in(tmp_path).put(["node-1"])):
        with pytest.raises(OctoError, match=r"draining\.json is not what this collection wrote"):
            ask()
    assert (tmp_path / "draining.json").read_text() == content
