# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A visit to a Tentacle that polls: what it writes, how long it waits for whom, and what it calls proved."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Wish
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.visit import Limits, Permit
from unit.tentacle.doubles import FOREIGN, NEW, OLD, document, entry_json, identified, log_of, refused
from unit.tentacle.test_visit import PARAMS, old_process
from unit.tentacle.world import Tentacle, World

NODE_1, NODE_2 = "https://node-1.example.com:10943", "https://node-2.example.com:10943"
ME = "poll://bcdefghjklmnpqrstuvw/"
RESTART = "systemctl restart T1.service"
ADD = Wish("present", (OLD, NEW), twin_of=OLD)
ABSENT = Wish("absent", (OLD,))
PERMIT = Permit(("T1",), NEW, OLD)


def polls(pin: str, address: str = NODE_1) -> str:
    return entry_json(pin, 2, address, ME)


def trusted(*raws: str) -> str:
    return f"[{','.join(raws)}]"


def configured(*raws: str) -> bytes:
    """It polls only."""
    return document(trusted(*raws), Octopus_Home="/srv/T1", Tentacle_Services_NoListen="true")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def tentacle(world: World) -> Tentacle:
    tentacle = world.add("T1")
    tentacle.servers = {NODE_1: OLD}
    tentacle.write(configured(polls(OLD)))
    tentacle.stop()
    tentacle.start()
    return tentacle


def visited(world: World, wish: Wish, **task: Any) -> dict[str, Any]:
    (row,) = world.visit(wish, "T1", **task)
    return row


def pinned(tentacle: Tentacle) -> list[tuple[str, str | None]]:
    return [(entry.thumbprint, entry.address) for entry in tentacle.trust()]


def seen(polls: list[dict[str, Any]]) -> dict[tuple[str, str], list[str] | None]:
    return {(row["thumbprint"], row["address"]): row["seen"] for row in polls}


def untouched(row: dict[str, Any], world: World, code: str) -> None:
    assert (row["ok"], row["code"], row["changed"], row["restarted"], row["proven"]) == (False, code, False, False, None)
    assert row["reason"]
    assert not world.host.orders
    assert not world.host.writes


def test_a_twin_is_written_taken_over_and_proved(world: World, tentacle: Tentacle) -> None:
    assert visited(world, ADD, limits=Limits(check=True))["after"] == [
        {"canonical": OLD, "address": NODE_1},
        {"canonical": NEW, "address": NODE_1},
    ]
    started = world.time.time
    row = visited(world, ADD)
    assert pinned(tentacle) == [(OLD, NODE_1), (NEW, NODE_1)]
    assert (row["ok"], row["changed"], row["restarted"], row["restart_pending"]) == (True, True, True, "no")
    met = {(OLD, NODE_1): ["started", "identified"], (NEW, NODE_1): ["started", "armed"]}
    assert seen(row["polls"]) == met
    assert row["proven"] == {"serving": None, "pid": tentacle.pid, "started_at": "then", "polls": {"met": 2, "of": 2}}
    assert world.looks == []
    assert world.orders() == [RESTART]
    assert world.time.time - started < 1
    assert not visited(world, ADD)["changed"]


def test_the_row_of_two_twins_stays_small(world: World, tentacle: Tentacle) -> None:
    row = visited(world, ADD)
    assert len(row["polls"]) == 2
    assert len(json.dumps(row)) < 2048


def test_one_that_does_not_poll_says_so(world: World) -> None:
    world.add("T1", OLD)
    row = visited(world, ADD)
    assert (row["polls"], row["proven"]["polls"]) == ([], {"met": 0, "of": 0})
    (missing,) = world.read("T2")
    assert missing["polls"] == []


@pytest.mark.parametrize("servers", [{}, {NODE_1: OLD}], ids=["all", "one"])
def test_a_server_that_is_down_is_waited_for_and_no_failure(world: World, tentacle: Tentacle, servers: dict[str, str]) -> None:
    tentacle.write(configured(polls(OLD), polls(OLD, NODE_2)))
    tentacle.servers = servers
    started = world.time.time
    row = visited(world, ADD)
    assert (row["ok"], row["changed"], row["restarted"]) == (True, True, True)
    assert seen(row["polls"])[(NEW, NODE_2)] == ["started"]
    assert row["proven"]["polls"] == {"met": 2 * len(servers), "of": 4}
    assert 10 <= world.time.time - started < 12


def test_what_comes_late_is_waited_for(world: World, tentacle: Tentacle) -> None:
    tentacle.servers = {}

    def answer() -> None:
        tentacle.say(refused(tentacle.pid, NODE_1, NEW, OLD))

    world.time.then = [lambda: None] * 5 + [answer, lambda: tentacle.say(identified(tentacle.pid, NODE_1, OLD))]
    started = world.time.time
    row = visited(world, ADD)
    assert seen(row["polls"]) == {(OLD, NODE_1): ["started", "identified"], (NEW, NODE_1): ["started", "armed"]}
    assert 1 <= world.time.time - started < 3


def test_start_up_lines_that_come_late_are_waited_for(world: World, tentacle: Tentacle) -> None:
    """The process is there before it has said anything."""

    def restart(verb: str) -> None:
        before = world.host.files[tentacle.log]
        tentacle.obey(verb)
        after = world.host.files[tentacle.log]
        world.host.files[tentacle.log] = before
        world.time.then = [lambda: None] * 3 + [lambda: world.host.files.update({tentacle.log: after})]

    tentacle.obeys = restart
    row = visited(world, ADD)
    assert (row["ok"], row["restart_pending"], row["pins_in_process"]) == (True, "no", [OLD, NEW])
    assert seen(row["polls"])[(NEW, NODE_1)] == ["started", "armed"]


def test_a_foreign_server_is_not_waited_for(world: World) -> None:
    tentacle = world.add("T1", trusted=trusted(entry_json(OLD), polls(FOREIGN)))
    started = world.time.time
    row = visited(world, ADD)
    assert (row["ok"], row["restarted"], row["proven"]["polls"]["of"]) == (True, True, 0)
    assert seen(row["polls"]) == {(FOREIGN, NODE_1): ["started"]}
    assert pinned(tentacle) == [(OLD, None), (FOREIGN, NODE_1), (NEW, None)]
    assert world.time.time - started < 1


@pytest.mark.parametrize("level", ["Warn", "Off"])
def test_a_level_without_start_up_lines(world: World, tentacle: Tentacle, level: str) -> None:
    """At Warn the refusal of one pin is all that will ever come; at Off nothing, which is no reason to fail either."""

    def restart(verb: str) -> None:
        tentacle.log_level_hides_pins = True
        tentacle.obey(verb)
        tentacle.say(log_of(tentacle.pid, "==== RunAgentCommand ====", "CommandLine: Tentacle run"))
        if level == "Warn":
            tentacle.say(refused(tentacle.pid, NODE_1, NEW, OLD))

    tentacle.obeys = restart
    started = world.time.time
    row = visited(world, ADD)
    assert (row["ok"], row["restart_pending"], row["pins_in_process"]) == (True, "no", None)
    assert seen(row["polls"]) == {(OLD, NODE_1): [], (NEW, NODE_1): ["armed"] if level == "Warn" else []}
    assert (world.time.time - started < 1) == (level == "Warn")


def only_one_loop(tentacle: Tentacle) -> None:
    """What the process read is not what was written."""

    def restart(verb: str) -> None:
        data = tentacle.world.host.files[tentacle.path]
        tentacle.write(configured(polls(OLD), entry_json(NEW)))
        tentacle.obey(verb)
        tentacle.write(data)

    tentacle.obeys = restart


def dies(tentacle: Tentacle) -> None:
    def restart(verb: str) -> None:
        tentacle.servers = {}
        tentacle.obey(verb)
        tentacle.world.time.then = [tentacle.stop]

    tentacle.obeys = restart


def keeps_dying(tentacle: Tentacle) -> None:
    def again() -> None:
        tentacle.stop()
        tentacle.start()
        tentacle.world.host.table.pop(tentacle.pid)

    def restart(verb: str) -> None:
        tentacle.servers = {}
        tentacle.obey(verb)
        tentacle.world.time.then = [again] * 5

    tentacle.obeys = restart


@pytest.mark.parametrize(
    ("fault", "code"),
    [(old_process, "RESTART_INEFFECTIVE"), (only_one_loop, "RESTART_INEFFECTIVE"), (dies, "NOT_RUNNING"), (keeps_dying, "NOT_RUNNING")],
)
def test_what_the_restart_did_not_bring_is_named(world: World, tentacle: Tentacle, fault: Callable[[Tentacle], None], code: str) -> None:
    fault(tentacle)
    started = world.time.time
    row = visited(world, ADD)
    assert (row["ok"], row["code"], row["changed"], row["restarted"]) == (False, code, True, True)
    assert pinned(tentacle) == [(OLD, NODE_1), (NEW, NODE_1)]
    assert world.time.time - started < 10 or fault is old_process
    tentacle.obeys = tentacle.obey
    tentacle.servers = {NODE_1: OLD}
    if not tentacle.world.host.services[tentacle.unit].active or fault is keeps_dying:
        tentacle.start()
    assert visited(world, ADD)["ok"]


def test_one_that_was_started_again_by_its_manager_is_the_one(world: World, tentacle: Tentacle) -> None:
    """An agent that meets a lock on its configuration ends, and the vendor's unit has Restart=always (measured-tentacle.md 14.10)."""

    def again() -> None:
        tentacle.stop()
        tentacle.servers = {NODE_1: OLD}
        tentacle.start()

    def restart(verb: str) -> None:
        tentacle.servers = {}
        tentacle.obey(verb)
        world.time.then = [again]

    tentacle.obeys = restart
    row = visited(world, ADD)
    assert (row["ok"], row["proven"]["pid"], row["service"]["pid"]) == (True, tentacle.pid, tentacle.pid)
    assert seen(row["polls"])[(NEW, NODE_1)] == ["started", "armed"]


def test_a_process_that_is_not_to_be_seen_is_no_proof(world: World, tentacle: Tentacle) -> None:
    """Without a manager a process is looked for in the table; one that polls has no port to tell that it is up."""
    del world.host.services["T1.service"]

    def podman(_argv: Any) -> Any:
        tentacle.stop()
        del world.host.services["T1.service"]
        world.time.then = [lambda: None, tentacle.start, lambda: world.host.services.pop("T1.service") and None]
        return world.host.run(["true"])

    world.host.when["podman"] = podman
    row = visited(world, ADD, installation=Installation(restart=["podman", "restart", "t1"]))
    assert (row["ok"], row["proven"]["pid"]) == (True, tentacle.pid)
    world.host.when["podman"] = lambda _argv: (tentacle.stop(), world.host.services.pop("T1.service"), world.host.run(["true"]))[-1]
    row = visited(world, ABSENT, permit=PERMIT, installation=Installation(restart=["podman", "restart", "t1"]))
    assert (row["ok"], row["code"], row["restarted"]) == (False, "NOT_RUNNING", True)


def test_the_old_pin_goes_when_the_new_one_stands_there(world: World, tentacle: Tentacle) -> None:
    visited(world, ADD)
    tentacle.servers = {NODE_1: NEW}
    row = visited(world, ABSENT, permit=PERMIT)
    assert (row["ok"], row["changed"], row["restarted"]) == (True, True, True)
    assert pinned(tentacle) == [(NEW, NODE_1)]
    assert seen(row["polls"]) == {(NEW, NODE_1): ["started", "identified"]}
    assert not visited(world, ABSENT, permit=PERMIT)["changed"]


@pytest.mark.parametrize("how", [{"permit": PERMIT}, {"unguarded": True}])
def test_the_last_entry_stays_whatever_is_said(world: World, tentacle: Tentacle, how: dict[str, Any]) -> None:
    untouched(visited(world, ABSENT, **how), world, "LAST_ENTRY")
    assert pinned(tentacle) == [(OLD, NODE_1)]


def test_the_old_pin_stays_at_each_address_where_the_new_one_is_missing(world: World, tentacle: Tentacle) -> None:
    tentacle.write(configured(polls(OLD), polls(NEW), polls(OLD, NODE_2), polls(FOREIGN, NODE_2)))
    row = visited(world, ABSENT, permit=PERMIT)
    untouched(row, world, "NEW_NOT_TRUSTED")
    assert NODE_2 in row["reason"]
    assert NODE_1 not in row["reason"]


def test_a_stranger_that_polls_another_server_is_left_alone(world: World, tentacle: Tentacle) -> None:
    tentacle.write(configured(polls(FOREIGN)))
    row = visited(world, ADD, permit=Permit(("*",), NEW, OLD))
    assert (row["ok"], row["code"], row["changed"]) == (True, "STRANGER", False)
    untouched(visited(world, ADD, permit=PERMIT), world, "NOT_EXPANDABLE")


def test_a_loop_that_only_the_process_has_is_not_restarted_away(world: World, tentacle: Tentacle) -> None:
    """Somebody took the second node's entry off the disk; the pin alone is still there, so the pin alone does not tell."""
    tentacle.write(configured(polls(OLD), polls(OLD, NODE_2)))
    tentacle.stop()
    tentacle.start()
    tentacle.write(configured(polls(OLD)))
    row = visited(world, ADD)
    untouched(row, world, "RESTART_DROPS_PIN")
    assert f"{OLD} at {NODE_2}" in row["reason"]
    assert visited(world, ADD, unguarded=True)["ok"]


def test_adding_leaves_the_restart_of_a_killed_removal_to_who_removes(world: World, tentacle: Tentacle) -> None:
    visited(world, ADD)
    tentacle.write(configured(polls(NEW)))
    row = visited(world, Wish("present", (NEW,), twin_of=OLD))
    assert (row["ok"], row["changed"], row["restart_pending"]) == (True, False, "yes")
    row = visited(world, ABSENT, permit=PERMIT)
    assert (row["restarted"], row["proven"]["polls"]) == (True, {"met": 1, "of": 1})


def test_a_kill_between_write_and_restart_is_made_up_for(world: World, tentacle: Tentacle) -> None:
    tentacle.write(configured(polls(OLD), polls(NEW)))
    row = visited(world, ADD)
    assert (row["ok"], row["changed"], row["restarted"], row["before"] == row["after"]) == (True, True, True, True)


def test_another_spelling_of_a_polling_pin_needs_a_restart(world: World, tentacle: Tentacle) -> None:
    """To a listener the spelling is nothing; a loop that never matches is one that does not work (measured-tentacle.md 9)."""
    tentacle.write(configured(polls(OLD.lower())))
    tentacle.stop()
    tentacle.start()
    (row,) = world.read("T1")
    assert [(one["thumbprint"], one["seen"]) for one in row["polls"]] == [(None, ["started"])]
    row = visited(world, Wish("present", (OLD,)))
    assert (row["ok"], row["changed"], row["restarted"]) == (True, True, True)
    assert seen(row["polls"]) == {(OLD, NODE_1): ["started", "identified"]}


REPLACE = ADD._replace(polling="replace")


def test_replacement_takes_something_away_and_so_needs_a_permit_or_a_word(world: World, tentacle: Tentacle) -> None:
    untouched(visited(world, REPLACE), world, "NOT_PERMITTED")
    row = visited(world, REPLACE, permit=PERMIT)
    assert (row["ok"], row["restarted"], pinned(tentacle)) == (True, True, [(NEW, NODE_1)])
    assert seen(row["polls"]) == {(NEW, NODE_1): ["started", "armed"]}
    assert not visited(world, REPLACE, permit=PERMIT)["changed"]


def test_who_will_not_have_it_changed_gets_a_refusal(world: World, tentacle: Tentacle) -> None:
    untouched(visited(world, ADD._replace(polling="refuse"), permit=PERMIT), world, "NOT_EXPANDABLE")


def test_the_certificate_that_is_retired_is_the_twin() -> None:
    permit = {"step": "expand", "edges": ["T1"], "new": NEW, "old": OLD}
    task = visit.trust_task({**PARAMS, "thumbprints": [OLD, NEW], "permit": permit, "polling": "replace"}, check=False)
    assert task.wish == Wish("present", (OLD, NEW), (), OLD, "replace")
    assert visit.trust_task({**PARAMS, "thumbprints": [OLD], "state": "absent", "permit": permit}, check=False).wish == Wish("absent", (OLD,))
    by_hand = visit.trust_task({**PARAMS, "thumbprints": [NEW], "twin_of": f" {OLD.lower()}"}, check=False)
    assert by_hand.wish == Wish("present", (NEW,), (), OLD)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"twin_of": "ABC"}, "not a thumbprint"),
        ({"twin_of": NEW, "state": "absent"}, "With twin_of"),
        ({"twin_of": NEW, "thumbprints": [OLD, FOREIGN]}, "a task of its own"),
    ],
    ids=["garbage", "absent", "three"],
)
def test_options_that_mean_nothing(change: dict[str, Any], says: str) -> None:
    with pytest.raises(OctoError, match=says):
        visit.trust_task({**PARAMS, **change}, check=False)
