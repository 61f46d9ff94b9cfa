# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many are away at once, and when no further step begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.facts import Expand
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.pace import Away, away_of, stop_time
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.rules import allowed
from model import sample

HOME = timezone(timedelta(hours=2))
STARTED = datetime(2026, 3, 1, 22, 15, 30, tzinfo=HOME)
GROUPS = {"total": 20, "environments": {"Production": 5}, "roles": {"web-server": 1}}


@pytest.mark.parametrize(
    ("asked", "away"),
    [(7, Away(7)), ("7", Away(7)), ({}, Away(20)), (GROUPS, Away(20, {"Production": 5}, {"web-server": 1})), ({"total": "3"}, Away(3))],
)
def test_what_a_person_may_ask_for(asked: Any, away: Away) -> None:
    assert away_of(asked) == away


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (0, "octopus_away_at_most is 0; at least one"),
        ("many", "octopus_away_at_most is 'many'"),
        ({"total": 0}, "octopus_away_at_most.total is 0"),
        ({"roles": {"web": -1}}, "octopus_away_at_most.roles.web is -1"),
        ({"roles": 3}, "octopus_away_at_most.roles is 3"),
        ({"tenants": {}}, "has the key 'tenants'"),
    ],
)
def test_what_nobody_may_ask_for(asked: Any, says: str) -> None:
    with pytest.raises(OctoError, match="octopus_away_at_most") as caught:
        away_of(asked)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("environments", "roles", "most"),
    [((), (), 20), (("Test",), ("db",), 20), (("Production",), (), 5), (("Test", "Production"), ("web-server",), 1)],
)
def test_the_least_bound_holds(environments: tuple[str, ...], roles: tuple[str, ...], most: int) -> None:
    record = replace(sample.record("app-09"), environments=environments, roles=roles)
    assert away_of(GROUPS).of([sample.record("web-01"), record]) == most


def test_a_wave_goes_by_the_bounds_of_whom_it_touches_and_of_who_could_be_anywhere() -> None:
    web = sample.edge("web-01")
    web = replace(web, edge=replace(web.edge, records=(replace(sample.record("web-01"), roles=("web-server",)),)))
    app = sample.edge("app-09")
    facts = sample.before_switch(edges=(app, web), away=away_of(GROUPS))
    assert allowed(facts, Expand(("app-09/Tentacle",), 20)).allowed
    assert [clause.code for clause in allowed(facts, Expand(("app-09/Tentacle", "web-01/Tentacle"), 2)).refusals()] == ["at_most_away"]
    lost = replace(web, edge=replace(web.edge, host="", instance=""))
    assert facts.away_at_most([app]) == 20
    assert replace(facts, edges=(app, lost)).away_at_most([app]) == 1


@pytest.mark.parametrize(
    ("asked", "stop"),
    [
        (None, None),
        ("", None),
        ("23:00", STARTED.replace(hour=23, minute=0, second=0)),
        ("6:05", datetime(2026, 3, 2, 6, 5, tzinfo=HOME)),
        ("22:15", datetime(2026, 3, 2, 22, 15, tzinfo=HOME)),
        ("2026-03-01T06:00", datetime(2026, 3, 1, 6, 0, tzinfo=HOME)),
        ("2026-03-01T06:00:00Z", datetime(2026, 3, 1, 6, 0, tzinfo=UTC)),
    ],
)
def test_when_no_further_step_begins(asked: str | None, stop: datetime | None) -> None:
    assert stop_time(asked, STARTED) == stop


@pytest.mark.parametrize("asked", ["24:00", "6", "soon", "06:60"])
def test_no_time_at_all(asked: str) -> None:
    with pytest.raises(OctoError, match="octopus_stop_at is"):
        stop_time(asked, STARTED)
