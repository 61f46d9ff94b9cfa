# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The entry for a shadow: it comes with the twin, goes with the old pin, and no entry of a Server is ever taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import trust, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Wish
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.visit import Permit
from unit.tentacle.doubles import FOREIGN, NEW, OLD, document, entry_json
from unit.tentacle.test_visit import PARAMS
from unit.tentacle.world import Tentacle, World

NODE_1, NODE_2, SHADOW = "https://node-1:10943", "https://node-2:10943", "https://controller:11943"
ME, OTHER = "poll://bcdefghjklmnpqrstuvw/", "poll://zyxwvutsrqpnmlkjhgfd/"
ADD = Wish("present", (OLD, NEW), twin_of=OLD, shadow=SHADOW)
AFTER_THE_SWITCH = ADD._replace(thumbprints=(NEW,))
BACK = Wish("present", (NEW, OLD), twin_of=NEW, shadow=SHADOW)
WITHOUT = ADD._replace(shadowed=False)
ABSENT = Wish("absent", (OLD,), shadow=SHADOW)
PERMIT = Permit(("T1",), NEW, OLD)


def polls(pin: str, address: str = NODE_1, subscription: str = ME) -> str:
    return entry_json(pin, 2, address, subscription)


def fulfilled(wish: Wish, *raws: str) -> list[str]:
    before = trust.parse(f"[{','.join(raws)}]")
    after = trust.fulfil(wish, before)
    assert trust.fulfil(wish, after) == after, "a second call does something"
    assert trust.parse(trust.render(after)) == after
    return [entry.raw for entry in after]


# --- What the trust becomes


def test_one_entry_comes_with_the_twins() -> None:
    after = fulfilled(ADD, polls(OLD), polls(OLD, NODE_2), polls(FOREIGN, "https://elsewhere:10943", OTHER))
    assert after == [
        polls(OLD),
        polls(OLD, NODE_2),
        polls(FOREIGN, "https://elsewhere:10943", OTHER),
        polls(NEW),
        polls(NEW, NODE_2),
        polls(NEW, SHADOW),
    ]


def test_whoever_has_both_pins_gets_it_too_and_keeps_it_whatever_its_spelling() -> None:
    assert fulfilled(ADD, polls(OLD), polls(NEW)) == [polls(OLD), polls(NEW), polls(NEW, SHADOW)]
    there = [polls(NEW, "https://CONTROLLER:11943/"), polls(OLD), polls(NEW)]
    assert fulfilled(ADD, *there) == there


def test_who_only_listens_gets_none() -> None:
    assert fulfilled(ADD, entry_json(OLD)) == [entry_json(OLD), entry_json(NEW)]


def test_two_subscriptions_share_one_for_to_the_vendor_it_is_one_entry() -> None:
    after = fulfilled(ADD, polls(OLD), polls(OLD, NODE_2, OTHER))
    assert [raw for raw in after if SHADOW in raw] == [polls(NEW, SHADOW)]


@pytest.mark.parametrize("wish", [ABSENT, WITHOUT], ids=["contract", "no listener"])
def test_it_goes_in_one_write(wish: Wish) -> None:
    kept = [polls(NEW)] if wish is ABSENT else [polls(OLD), polls(NEW)]
    assert fulfilled(wish, polls(OLD), polls(NEW), polls(NEW, SHADOW)) == kept
    assert fulfilled(wish, polls(OLD), polls(NEW)) == kept


def test_a_roll_back_replaces_it_and_takes_it_away() -> None:
    expanded = fulfilled(ADD, polls(OLD))
    back = fulfilled(BACK, *expanded)
    assert back == [polls(OLD), polls(NEW), polls(OLD, SHADOW)]
    assert fulfilled(ABSENT._replace(thumbprints=(NEW,)), *back) == [polls(OLD)]
    assert fulfilled(ABSENT._replace(thumbprints=(NEW,)), *expanded) == [polls(OLD)], "whichever it pins"


def test_after_the_switch_none_is_added_and_one_that_is_there_stays_until_the_old_pin_goes() -> None:
    assert fulfilled(AFTER_THE_SWITCH, polls(OLD), polls(NEW)) == [polls(OLD), polls(NEW)]
    assert fulfilled(AFTER_THE_SWITCH, polls(OLD), polls(NEW), polls(NEW, SHADOW)) == [polls(OLD), polls(NEW), polls(NEW, SHADOW)]
    other_way = [polls(OLD), polls(NEW), polls(OLD, SHADOW)]
    assert fulfilled(AFTER_THE_SWITCH, *other_way) == other_way
    assert fulfilled(AFTER_THE_SWITCH, polls(NEW)) == [polls(NEW)], "reached: nothing changes"


def test_replacement_has_no_shadow() -> None:
    assert fulfilled(ADD._replace(polling="replace"), polls(OLD)) == [polls(NEW)]


@pytest.mark.parametrize(
    ("wish", "raws"),
    [
        (ADD, [polls(OLD, SHADOW)]),
        (ADD, [polls(OLD), polls(OLD, SHADOW)]),
        (ADD, [polls(OLD), polls(NEW), polls(OLD, SHADOW), polls(NEW, SHADOW)]),
        (ADD, [polls(OLD), polls(FOREIGN, SHADOW, OTHER)]),
        (ABSENT, [polls(OLD), polls(NEW), polls(OLD, SHADOW), polls(NEW, SHADOW)]),
        (ABSENT, [polls(NEW, SHADOW)]),
    ],
    ids=["the only place", "a second node", "a pair", "another Server", "a pair to contract", "all that is left"],
)
def test_an_address_of_a_server_is_no_shadow(wish: Wish, raws: list[str]) -> None:
    with pytest.raises(OctoError) as found:
        trust.fulfil(wish, trust.parse(f"[{','.join(raws)}]"))
    assert found.value.evidence["code"] == "SHADOW_IS_SERVER"


@pytest.mark.parametrize("first", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize("second", [OLD, NEW], ids=["old", "new"])
def test_there_and_gone_leaves_what_would_be_without_it(first: str, second: str) -> None:
    raws = [polls(first), polls(second, NODE_2), polls(FOREIGN, NODE_1, OTHER)]
    plain = fulfilled(ADD._replace(shadow=None), *raws)
    shadowed = fulfilled(ADD, *raws)
    assert [raw for raw in shadowed if SHADOW not in raw] == plain
    assert fulfilled(ABSENT, *shadowed) == fulfilled(ABSENT, *plain)
    to_the_vendor = [(entry.thumbprint, entry.place[0]) for entry in trust.parse(f"[{','.join(shadowed)}]")]
    assert len(set(to_the_vendor)) == len(to_the_vendor), "its commands would fail"


# --- The visit


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def tentacle(world: World) -> Tentacle:
    """It polls only; the Server presents the old certificate and the shadow the new one."""
    tentacle = world.add("T1")
    tentacle.servers = {NODE_1: OLD, SHADOW: NEW}
    tentacle.write(document(f"[{polls(OLD)}]", Octopus_Home="/srv/T1", Tentacle_Services_NoListen="true"))
    tentacle.stop()
    tentacle.start()
    return tentacle


def visited(world: World, wish: Wish, **task: Any) -> dict[str, Any]:
    (row,) = world.visit(wish, "T1", **task)
    return row


def pinned(tentacle: Tentacle) -> list[tuple[str, str | None]]:
    return [(entry.thumbprint, entry.address) for entry in tentacle.trust()]


def test_two_visits_two_writes_two_restarts(world: World, tentacle: Tentacle) -> None:
    row = visited(world, ADD, permit=PERMIT)
    assert (row["ok"], row["restarted"], row["restart_pending"]) == (True, True, "no"), row
    assert pinned(tentacle) == [(OLD, NODE_1), (NEW, NODE_1), (NEW, SHADOW)]
    assert {(one["thumbprint"], one["address"]): one["seen"] for one in row["polls"]}[NEW, SHADOW] == ["started", "identified"]
    assert len(json.dumps(row)) < 2600
    assert not visited(world, ADD, permit=PERMIT)["changed"]
    row = visited(world, ABSENT, permit=PERMIT)
    assert (row["ok"], row["restarted"]) == (True, True), row
    assert pinned(tentacle) == [(NEW, NODE_1)]
    assert not visited(world, ABSENT, permit=PERMIT)["changed"]


def test_what_the_process_polls_there_is_no_pin_of_a_stranger(world: World, tentacle: Tentacle) -> None:
    """Somebody has taken the entry out of the file already: a restart makes that effective, and loses nobody."""
    visited(world, ADD, permit=PERMIT)
    tentacle.write(document(f"[{polls(OLD)},{polls(NEW)}]", Octopus_Home="/srv/T1", Tentacle_Services_NoListen="true"))
    assert visited(world, ABSENT, permit=PERMIT)["ok"]
    assert pinned(tentacle) == [(NEW, NODE_1)]


def test_to_take_it_away_needs_a_permit_or_a_word(world: World, tentacle: Tentacle) -> None:
    visited(world, ADD, permit=PERMIT)
    assert visited(world, WITHOUT)["code"] == "NOT_PERMITTED"
    assert visited(world, WITHOUT, permit=PERMIT)["ok"]
    assert pinned(tentacle) == [(OLD, NODE_1), (NEW, NODE_1)]


def test_options_become_a_wish() -> None:
    permit = {"step": "expand", "edges": ["T1"], "new": NEW, "old": OLD}
    task = visit.trust_task({**PARAMS, "thumbprints": [OLD, NEW], "permit": permit, "shadow": f" {SHADOW}", "shadowed": False}, check=False)
    assert task.wish == WITHOUT
    assert visit.trust_task({**PARAMS, "shadow": " "}, check=False).wish.shadow is None
