# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A visit: what it refuses, in which order it acts, what it proves, and that a second one has nothing to do."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Wish
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.visit import Limits, Permit
from unit.tentacle.doubles import FOREIGN, NEW, OLD, document, entry_json, trust_json
from unit.tentacle.world import PORT, Tentacle, World

RESTART = "systemctl restart T1.service"
PRESENT = Wish("present", (OLD, NEW))
ABSENT = Wish("absent", (OLD,))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def tentacle(world: World) -> Tentacle:
    return world.add("T1", OLD, FOREIGN)


def visited(world: World, wish: Wish, **task: Any) -> dict[str, Any]:
    (row,) = world.visit(wish, "T1", **task)
    return row


def pins(tentacle: Tentacle) -> list[str]:
    return [entry.thumbprint for entry in tentacle.trust()]


def refused(row: dict[str, Any], world: World, code: str) -> None:
    """Refused, with a sentence, and nothing was touched."""
    assert (row["ok"], row["code"], row["changed"], row["restarted"], row["proven"]) == (False, code, False, False, None)
    assert row["reason"]
    assert not world.host.orders
    assert not world.host.writes


def test_a_pin_is_added_taken_over_and_proved(world: World, tentacle: Tentacle) -> None:
    old = tentacle.pid
    row = visited(world, PRESENT)
    assert pins(tentacle) == [OLD, FOREIGN, NEW]
    assert (row["ok"], row["changed"], row["restarted"], row["restart_pending"]) == (True, True, True, "no")
    assert [entry["canonical"] for entry in row["before"]] == [OLD, FOREIGN]
    assert [entry["canonical"] for entry in row["after"]] == [entry["canonical"] for entry in row["trust"]] == [OLD, FOREIGN, NEW]
    assert row["proven"] == {"serving": row["thumbprint"], "pid": tentacle.pid, "started_at": "then", "polls": {"met": 0, "of": 0}}
    assert tentacle.pid > old
    assert world.orders() == [RESTART]
    assert world.looks == [("127.0.0.1", PORT)] * 2  # the old process and the new one
    backup, written = world.host.writes
    assert backup.startswith("/srv/T1/tentacle.config.octofleet-T1-")
    assert written == tentacle.path
    assert world.host.locks == [tentacle.path]


def test_the_service_manager_never_inherits_the_lock(world: World, tentacle: Tentacle) -> None:
    visited(world, PRESENT)
    assert world.host.inherited == [()]
    assert tentacle.pid


def test_a_second_visit_has_nothing_to_do(world: World, tentacle: Tentacle) -> None:
    visited(world, PRESENT)
    world.host.orders.clear()
    world.host.writes.clear()
    row = visited(world, PRESENT)
    assert (row["ok"], row["changed"], row["restarted"], row["proven"]) == (True, False, False, None)
    assert row["before"] == row["after"]
    assert not world.host.orders
    assert not world.host.writes
    assert pins(tentacle) == [OLD, FOREIGN, NEW]


def test_check_mode_says_it_all_and_touches_nothing(world: World, tentacle: Tentacle) -> None:
    row = visited(world, PRESENT, limits=Limits(check=True))
    assert (row["ok"], row["changed"], row["restarted"], row["proven"]) == (True, True, True, None)
    assert [entry["canonical"] for entry in row["after"]] == [OLD, FOREIGN, NEW]
    assert not world.host.orders
    assert not world.host.writes
    assert not world.host.locks
    assert pins(tentacle) == [OLD, FOREIGN]


def test_a_pending_restart_is_made_up_for(world: World, tentacle: Tentacle) -> None:
    """A run that was killed between write and restart; the restart counts as a change."""
    tentacle.write(document(trust_json(OLD, NEW, FOREIGN), Octopus_Home="/srv/T1"))
    row = visited(world, PRESENT)
    assert (row["ok"], row["changed"], row["restarted"], row["before"] == row["after"]) == (True, True, True, True)
    assert world.orders() == [RESTART]
    assert world.host.writes == []


def test_probably_pending_counts_as_pending_once(world: World, tentacle: Tentacle) -> None:
    tentacle.log_level_hides_pins = True
    del world.host.files["/srv/T1/Logs/OctopusTentacle.txt"]
    world.time.time += 1
    tentacle.write(world.host.files[tentacle.path])
    assert visited(world, Wish("present", (OLD,)))["restarted"]
    assert not visited(world, Wish("present", (OLD,)))["restarted"]


def test_without_restart_the_write_is_all(world: World, tentacle: Tentacle) -> None:
    tentacle.stop()
    row = visited(world, PRESENT, restart=False)
    assert (row["ok"], row["changed"], row["restarted"]) == (True, True, False)
    assert pins(tentacle) == [OLD, FOREIGN, NEW]
    assert not world.host.orders


def test_a_respelling_that_the_process_matches_needs_no_restart(world: World) -> None:
    tentacle = world.add("T1", OLD.lower(), OLD, FOREIGN)
    row = visited(world, Wish("present", (OLD,)))
    assert (row["ok"], row["changed"], row["restarted"]) == (True, True, False)
    assert pins(tentacle) == [FOREIGN, OLD]
    assert not world.host.orders


def test_removal_by_permit(world: World, tentacle: Tentacle) -> None:
    visited(world, PRESENT)
    row = visited(world, ABSENT, permit=Permit(("T1",), NEW))
    assert (row["ok"], row["changed"], row["restarted"]) == (True, True, True)
    assert pins(tentacle) == [FOREIGN, NEW]
    assert row["pins_in_process"] == [FOREIGN, NEW]
    assert not visited(world, ABSENT, permit=Permit(("*",), NEW))["changed"]


@pytest.mark.parametrize("wish", [ABSENT, Wish("exact", (NEW, FOREIGN), (OLD,))])
def test_removal_needs_a_permit_or_a_word(world: World, tentacle: Tentacle, wish: Wish) -> None:
    refused(visited(world, wish), world, "NOT_PERMITTED")
    row = visited(world, wish, unguarded=True)
    assert row["ok"]
    assert OLD not in pins(tentacle)


def test_an_instance_of_another_server_is_left_alone_by_a_permit_for_all(world: World) -> None:
    other = world.add("T2", FOREIGN)
    (row,) = world.visit(PRESENT, "T2", permit=Permit(("*",), NEW, OLD))
    assert (row["ok"], row["code"], row["changed"]) == (True, "STRANGER", False)
    assert pins(other) == [FOREIGN]
    assert not world.host.orders
    (named,) = world.visit(PRESENT, "T2", permit=Permit(("T2",), NEW, OLD))
    assert named["changed"]


def test_a_permit_that_does_not_name_the_instance(world: World, tentacle: Tentacle) -> None:
    refused(visited(world, PRESENT, permit=Permit(("T2",))), world, "NOT_PERMITTED")
    (row,) = world.visit(PRESENT, "*", permit=Permit(("T2",)))
    assert (row["ok"], row["code"], row["changed"]) == (True, "NOT_NAMED", False)
    assert pins(tentacle) == [OLD, FOREIGN]


def test_the_last_pin_stays(world: World) -> None:
    tentacle = world.add("T1", OLD, "garbage")
    refused(visited(world, ABSENT, permit=Permit(("T1",))), world, "LAST_PIN")
    assert visited(world, ABSENT, unguarded=True)["ok"]
    assert pins(tentacle) == ["garbage"]


def test_the_old_pin_stays_where_the_new_one_is_missing(world: World, tentacle: Tentacle) -> None:
    refused(visited(world, ABSENT, permit=Permit(("T1",), NEW)), world, "NEW_NOT_TRUSTED")
    assert pins(tentacle) == [OLD, FOREIGN]


def test_a_removal_of_somebody_else_is_not_made_effective(world: World, tentacle: Tentacle) -> None:
    """Somebody took OLD off the disk; the process still lets its Server in, a restart would not."""
    data = world.host.files[tentacle.path]
    tentacle.write(data.replace(entry_json(OLD).encode() + b",", b""))
    refused(visited(world, Wish("present", (NEW,))), world, "RESTART_DROPS_PIN")
    assert visited(world, Wish("present", (OLD, NEW)))["ok"]
    assert pins(tentacle) == [FOREIGN, OLD, NEW]


def test_adding_leaves_the_restart_of_a_killed_removal_to_who_removes(world: World, tentacle: Tentacle) -> None:
    """An interrupted rotation is run again: its expanding visit finds NEW on disk and in the process, and OLD in the process only."""
    visited(world, PRESENT)
    data = world.host.files[tentacle.path]
    tentacle.write(data.replace(entry_json(OLD).encode() + b",", b""))
    before = list(world.host.orders)
    row = visited(world, Wish("present", (NEW,)))
    assert (row["ok"], row["changed"], row["restarted"], row["restart_pending"]) == (True, False, False, "yes")
    assert world.host.orders == before
    assert visited(world, ABSENT, permit=Permit(("T1",), NEW))["restarted"]


def test_a_removal_that_was_killed_before_its_restart_is_left_to_who_removes(world: World) -> None:
    """A run after the kill expands first: it has nothing to do, and must not make the removal effective."""
    tentacle = world.add("T1", OLD, NEW)
    tentacle.write(document(trust_json(NEW), Octopus_Home="/srv/T1"))
    row = visited(world, Wish("present", (NEW,)))
    assert (row["ok"], row["changed"], row["restart_pending"]) == (True, False, "yes")
    assert not world.host.orders


def test_a_removal_that_was_killed_before_its_restart_is_finished(world: World, tentacle: Tentacle) -> None:
    data = world.host.files[tentacle.path]
    tentacle.write(data.replace(entry_json(OLD).encode() + b",", b""))
    row = visited(world, ABSENT, permit=Permit(("T1",)))
    assert (row["ok"], row["restarted"]) == (True, True)


@pytest.mark.parametrize("style", [(2, "wss://h/x"), (11, "https://h"), (0, None), (7, None)])
@pytest.mark.parametrize("wish", [PRESENT, ABSENT])
def test_other_styles_are_refused_and_not_touched(world: World, style: tuple[int, str | None], wish: Wish) -> None:
    world.add("T1", trusted=f"[{entry_json(OLD)},{entry_json(OLD, *style, 'poll://x/')}]")
    refused(visited(world, wish, unguarded=True), world, "NOT_EXPANDABLE")


def test_what_is_not_ready_is_not_touched(world: World, tentacle: Tentacle) -> None:
    tentacle.stop()
    refused(visited(world, PRESENT), world, "SERVICE_STOPPED")
    tentacle.start()
    world.host.replaced.add(tentacle.pid)
    refused(visited(world, PRESENT), world, "HIDDEN_UPGRADE")
    assert visited(world, PRESENT, limits=Limits(allow_upgrade=True))["ok"]


def test_a_torn_configuration_is_not_touched(world: World, tentacle: Tentacle) -> None:
    tentacle.write(document("[]")[:700])
    refused(visited(world, PRESENT), world, "CONFIGURATION_UNREADABLE")


def test_another_run_at_work(world: World, tentacle: Tentacle) -> None:
    world.host.in_use = True
    refused(visited(world, PRESENT), world, "IN_USE")
    assert pins(tentacle) == [OLD, FOREIGN]


def old_process(tentacle: Tentacle) -> None:
    tentacle.obeys = lambda _verb: None


def dies(tentacle: Tentacle) -> None:
    tentacle.obeys = lambda _verb: tentacle.stop()


def deaf(tentacle: Tentacle) -> None:
    def restart(verb: str) -> None:
        tentacle.obey(verb)
        tentacle.world.serving.clear()

    tentacle.obeys = restart


def other_certificate(tentacle: Tentacle) -> None:
    tentacle.serves = b"another certificate"


def port_lost(tentacle: Tentacle) -> None:
    def restart(verb: str) -> None:
        tentacle.obey(verb)
        tentacle.world.host.sockets = [("::", PORT, 4242)]

    tentacle.obeys = restart


def reads_something_else(tentacle: Tentacle) -> None:
    def restart(verb: str) -> None:
        data = tentacle.world.host.files[tentacle.path]
        tentacle.write(document("[]", Octopus_Home="/srv/T1"))
        tentacle.obey(verb)
        tentacle.write(data)

    tentacle.obeys = restart


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (old_process, "RESTART_INEFFECTIVE"),
        (dies, "NOT_RUNNING"),
        (deaf, "NOT_SERVING"),
        (other_certificate, "WRONG_CERTIFICATE"),
        (port_lost, "PORT_TAKEN"),
        (reads_something_else, "RESTART_INEFFECTIVE"),
    ],
)
def test_what_the_restart_did_not_bring_is_named(world: World, tentacle: Tentacle, fault: Any, code: str) -> None:
    """The write stands, which is safe; the row says so and fails."""
    fault(tentacle)
    world.said = "Job for T1.service failed."
    row = visited(world, PRESENT)
    assert (row["ok"], row["code"], row["changed"], row["restarted"]) == (False, code, True, True)
    assert [entry["canonical"] for entry in row["after"]] == [OLD, FOREIGN, NEW]
    if fault is old_process:
        assert row["restart_pending"] == "yes"
        assert "Job for T1.service failed." in row["reason"]
        tentacle.obeys = tentacle.obey
        assert visited(world, PRESENT)["proven"]["pid"] == tentacle.pid


def test_a_slow_start_is_waited_for(world: World, tentacle: Tentacle) -> None:
    def restart(verb: str) -> None:
        tentacle.obey(verb)
        served = world.serving.pop(PORT)
        world.time.then = [lambda: None] * 30 + [lambda: world.serving.update({PORT: served})]

    tentacle.obeys = restart
    assert visited(world, PRESENT)["ok"]
    assert len(world.looks) == 33


@pytest.mark.parametrize(("certificates", "limits", "seconds"), [(0, Limits(), 15), (100, Limits(), 47.5), (0, Limits(timeout=3), 3)])
def test_how_long_is_waited(world: World, tentacle: Tentacle, certificates: int, limits: Limits, seconds: float) -> None:
    """15 seconds at least; tenfold what the stored certificates cost; or what the task says (decisions 29)."""
    deaf(tentacle)
    world.host.files |= {f"/root/.dotnet/corefx/cryptography/x509stores/my/{number}.pfx": b"" for number in range(certificates)}
    before = world.time.time
    assert visited(world, PRESENT, limits=limits)["code"] == "NOT_SERVING"
    assert world.time.time - before == pytest.approx(seconds, abs=1)


def test_one_that_is_not_to_listen_is_proved_by_its_process(world: World) -> None:
    tentacle = world.add("T1", OLD)
    tentacle.write(document(trust_json(OLD), Octopus_Home="/srv/T1", Tentacle_Services_NoListen="true"))
    row = visited(world, PRESENT)
    assert row["proven"] == {"serving": None, "pid": tentacle.pid, "started_at": "then", "polls": {"met": 0, "of": 0}}
    assert world.looks == []


def test_a_command_of_ones_own_restarts(world: World, tentacle: Tentacle) -> None:
    del world.host.services["T1.service"]
    started = tentacle.start

    def podman(_argv: Any) -> Any:
        tentacle.stop()
        started()
        del world.host.services["T1.service"]
        return world.host.run(["true"])

    world.host.when["podman"] = podman
    row = visited(world, PRESENT, installation=Installation(restart=["podman", "restart", "t1"]))
    assert row["ok"], row["reason"]
    assert row["proven"]["pid"] == tentacle.pid
    assert world.orders()[0] == "podman restart t1"


def test_all_instances_are_visited_whatever_becomes_of_one(world: World) -> None:
    world.add("T1", OLD)
    world.add("T2", OLD, port=10934).write(document("[{"))
    world.add("T3", OLD, port=10935)
    rows = world.visit(PRESENT)
    assert [(row["instance"], row["ok"]) for row in rows] == [("T1", True), ("T2", False), ("T3", True)]
    result = visit.result_of(rows, "The trust is not as it was asked for")
    assert (result["failed"], result["changed"]) == (True, True)
    assert "1 of 3" in result["msg"]
    assert f"T2: {rows[1]['reason']}" in result["msg"]
    assert set(rows[0]) == set(rows[1])


def test_the_diff_has_one_pin_a_line(world: World, tentacle: Tentacle) -> None:
    rows = world.visit(PRESENT)
    (diff,) = visit.diff_of(rows)
    assert diff["before"] == f"{OLD} listening\n{FOREIGN} listening\n"
    assert diff["after"] == diff["before"] + f"{NEW} listening\n"
    assert tentacle.path in diff["before_header"]
    assert visit.diff_of(world.visit(PRESENT)) == []


PARAMS = {
    "instance": "*",
    "state": "present",
    "thumbprints": [OLD],
    "forget": [],
    "twin_of": None,
    "polling": "overlap",
    "shadow": None,
    "shadowed": True,
    "timeout": None,
    "lock_timeout": 60.0,
    "allow_upgrade": False,
    "restart": True,
    "writer": "file",
    "backup_folder": None,
    "permit": None,
    "unguarded": False,
}


def test_options_become_a_task() -> None:
    permit = {"step": "expand", "edges": ["T1"], "new": NEW}
    task = visit.trust_task({**PARAMS, "thumbprints": [f" {OLD.lower()} ", OLD], "permit": permit}, check=True)
    assert task == visit.TrustTask("*", Wish("present", (OLD,)), Limits(check=True), permit=Permit(("T1",), NEW))


@pytest.mark.parametrize(("change", "says"), [({"thumbprints": ["ABC"]}, "not a thumbprint"), ({"forget": [OLD.lower()]}, "in one of the two")])
def test_options_that_mean_nothing(change: dict[str, Any], says: str) -> None:
    with pytest.raises(OctoError, match=says):
        visit.trust_task({**PARAMS, **change}, check=False)


@pytest.mark.parametrize(("restart", "code"), [(True, "BLANK_PIN"), (False, "TRUST_UNREADABLE")], ids=["restart", "no restart"])
def test_beside_an_entry_without_a_thumbprint_nothing_is_written(world: World, tentacle: Tentacle, restart: bool, code: str) -> None:
    """What the vendor's programs make of it at their next start is not known, so neither a write nor a restart is ordered."""
    tentacle.write(document(f"[{entry_json(OLD)},{entry_json('')}]", Octopus_Home="/srv/T1"))
    before = world.host.files[tentacle.path]
    refused(visited(world, PRESENT, restart=restart), world, code)
    assert world.host.files[tentacle.path] == before
