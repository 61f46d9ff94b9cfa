# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which certificate takes the place of the retired one (decision 1)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.choose import ADOPT, GENERATE, Stored, choose
from model.sample import NEW, OLD, THIRD

FOURTH = "4" * 40
BACKUP = Stored(OLD)
STAGED = Stored(NEW, OLD)
AT_START: dict[str, Any] = {"presented": {OLD}, "db": {OLD}, "store": []}
SWITCHED: dict[str, Any] = {"presented": {NEW}, "db": {NEW}, "store": [BACKUP, STAGED]}


@pytest.mark.parametrize(
    ("retire", "seen", "kind", "old", "new"),
    [
        (OLD, AT_START, GENERATE, OLD, None),
        (None, AT_START, GENERATE, OLD, None),
        (OLD.lower(), AT_START, GENERATE, OLD, None),
        (OLD, {**AT_START, "store": [BACKUP, STAGED]}, ADOPT, OLD, NEW),
        (OLD, {**AT_START, "store": [BACKUP, STAGED], "db": set()}, ADOPT, OLD, NEW),
        (OLD, {**AT_START, "store": [BACKUP], "adopt": NEW, "db": {NEW}}, ADOPT, OLD, NEW),
        (OLD, {"presented": {OLD, NEW}, "db": {NEW}, "store": [BACKUP]}, ADOPT, OLD, NEW),
        (OLD, {"presented": {OLD, NEW}, "db": set(), "store": [BACKUP]}, ADOPT, OLD, NEW),
        (OLD, {"presented": {OLD, NEW}, "db": {NEW}, "store": [BACKUP, STAGED]}, ADOPT, OLD, NEW),
        (OLD, {"presented": {OLD}, "db": {NEW}, "store": [BACKUP, STAGED]}, ADOPT, OLD, NEW),
        (OLD, {"presented": {OLD}, "db": {THIRD}, "store": [BACKUP, STAGED]}, ADOPT, OLD, NEW),
        (OLD, SWITCHED, ADOPT, OLD, NEW),
        (OLD, {**SWITCHED, "db": set()}, ADOPT, OLD, NEW),
        (NEW, SWITCHED, GENERATE, NEW, None),
        (NEW, {**SWITCHED, "store": [BACKUP, STAGED, Stored(THIRD, NEW)]}, ADOPT, NEW, THIRD),
        (NEW, {**SWITCHED, "back": True}, ADOPT, NEW, OLD),
        (NEW, {**SWITCHED, "presented": {OLD, NEW}, "back": True}, ADOPT, NEW, OLD),
        (NEW, {"presented": {OLD}, "db": {OLD}, "store": [BACKUP, STAGED], "back": True}, ADOPT, NEW, OLD),
        (OLD, {**AT_START, "store": [BACKUP, STAGED, Stored(THIRD, OLD)], "adopt": THIRD}, ADOPT, OLD, THIRD),
    ],
)
def test_choice(retire: str | None, seen: dict[str, Any], kind: str, old: str, new: str | None) -> None:
    choice = choose(retire, **seen)
    assert (choice.kind, choice.old, choice.new) == (kind, old, new)
    assert choice.is_retired == (old not in seen["presented"] | seen["db"])


@pytest.mark.parametrize(
    ("retire", "seen", "says"),
    [
        ("6D1F", AT_START, "is not a thumbprint"),
        (THIRD, SWITCHED, f"{THIRD} is unknown: no node presents it \\(they present {NEW}\\)"),
        (None, {**AT_START, "presented": {OLD, NEW}}, "the nodes present .* and .*octopus_retire"),
        (None, {**AT_START, "presented": set(), "db": set()}, "no node of the Server answers"),
        (OLD, {**AT_START, "store": [STAGED, Stored(THIRD, OLD)]}, f"{NEW}, {THIRD} are in the store.*octopus_adopt"),
        (OLD, {**AT_START, "store": [STAGED, Stored(THIRD, OLD)], "pinned": {NEW}}, f"{NEW} \\(trusted by Tentacles already\\), {THIRD}"),
        (
            OLD,
            {**AT_START, "presented": {NEW, THIRD}, "db": {NEW}, "store": [BACKUP, Stored(THIRD)]},
            "More than one certificate could take the place",
        ),
        (OLD, {**AT_START, "presented": {OLD, THIRD}}, f"A node presents {THIRD}, which neither the Server's database holds \\(it holds {OLD}\\)"),
        (OLD, {**AT_START, "adopt": OLD}, "octopus_adopt names the certificate that octopus_retire retires"),
        (OLD, {**AT_START, "adopt": NEW}, "which the store does not hold \\(it holds nothing\\)"),
        (OLD, {**SWITCHED, "adopt": FOURTH, "store": [BACKUP, Stored(FOURTH)]}, f"nodes of the Server present {NEW}. Retire that one first"),
        (OLD, {**AT_START, "db": {THIRD}}, f"database holds {THIRD}, which no node presents"),
        (NEW, {"presented": {NEW}, "db": {NEW}, "store": [STAGED], "back": True}, "no certificate to go back to"),
    ],
)
def test_what_is_not_certain_is_refused(retire: str | None, seen: dict[str, Any], says: str) -> None:
    with pytest.raises(OctoError, match=says):
        choose(retire, **seen)


def test_a_pin_that_tentacles_still_have_is_known() -> None:
    assert choose(THIRD, **{**SWITCHED, "pinned": {THIRD}}).is_retired
