# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task acts only where a gate of this very run has judged it (decision 2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.permit import RunIdentity, check, check_concurrency, issue
from model.sample import NEW, OLD, THIRD

RUN = RunIdentity(4711, "ansible-local-abc")
ISSUED: dict[str, Any] = {
    "plan": "7f3a",
    "old": OLD,
    "new": NEW,
    "thumbprints": (NEW,),
    "steps": ("expand",),
    "edges": {"web-01": ["Tentacle"], "web-02": ["*"], "node-1": ["server:OctopusServer"]},
    "run": RUN,
    "now": 100.0,
    "away_at_most": 5,
    "max_age": 60.0,
}
ASKED: dict[str, Any] = {"step": "expand", "host": "web-01", "run": RUN, "now": 120.0}


def test_a_permit_survives_json_and_names_the_instances_of_a_host() -> None:
    permit = json.loads(json.dumps(issue(**ISSUED)))
    assert check(permit, **ASKED) == ["Tentacle"]
    assert check(permit, **{**ASKED, "host": "web-02"}, instances=["anything"]) == ["*"]
    assert check(permit, **{**ASKED, "host": "node-1"}, instances=["server:OctopusServer"], old=OLD, new=NEW, plan="7f3a") == ["server:OctopusServer"]


@pytest.mark.parametrize(
    ("changed", "asked", "says"),
    [
        ({}, {"host": "web-03"}, "did not name web-03"),
        ({}, {"instances": ["Second"]}, "did not name web-01/Second"),
        ({}, {"step": "contract"}, "is for expand only"),
        ({}, {"now": 161.0}, "is 61 s old and was good for 60 s"),
        ({}, {"now": 99.0}, "is -1 s old"),
        ({}, {"run": RunIdentity(4712, "ansible-local-abc")}, "of another run (process 4711)"),
        ({}, {"run": RunIdentity(4711, "ansible-local-xyz")}, "of another run"),
        ({}, {"new": THIRD}, f"for the new {NEW}, not for {THIRD}"),
        ({}, {"old": THIRD}, f"for the old {OLD}, not for {THIRD}"),
        ({}, {"plan": "other"}, "for the plan 7f3a, not for other"),
        ({"steps": ()}, {}, "is for no step only"),
        ({"edges": {"web-01": []}}, {}, "did not name web-01"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(changed: dict[str, Any], asked: dict[str, Any], says: str) -> None:
    permit = issue(**{**ISSUED, **changed})
    with pytest.raises(OctoError) as refused:
        check(permit, **{**ASKED, **asked})
    assert says in refused.value.message
    assert refused.value.message.startswith(f"Refused: {asked.get('step', 'expand')} on {asked.get('host', 'web-01')}")
    assert refused.value.evidence["permit"] == permit


@pytest.mark.parametrize("missing", [None, {}, ""])
def test_no_permit(missing: Any) -> None:
    with pytest.raises(OctoError, match=r"needs a permit, and no gate of this run has issued one\. Run the playbook"):
        check(missing, **ASKED)


@pytest.mark.parametrize("foreign", ["yes", {"steps": ["expand"]}, {**issue(**ISSUED), "schema": 99}, {**issue(**ISSUED), "more": 1}])
def test_what_no_gate_issued(foreign: Any) -> None:
    with pytest.raises(OctoError, match="octo_rotation of this version did not issue"):
        check(foreign, **ASKED)


def test_at_most_so_many_away() -> None:
    check_concurrency(issue(**ISSUED), 5)
    with pytest.raises(OctoError, match=r"up to 6 Tentacles away at once, and the permit allows 5 .*throttle: 5"):
        check_concurrency(issue(**ISSUED), 6)
