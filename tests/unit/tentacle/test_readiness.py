# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every reason not to order a restart, by its code; and rows for instances that cannot be read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Account, FileStat, Process, Socket
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from unit.tentacle.doubles import FOREIGN, NEW, OLD, document, entry_json
from unit.tentacle.world import EXECUTABLE, PORT, World

STORE = "/root/.dotnet/corefx/cryptography/x509stores/my"


@pytest.fixture
def world() -> World:
    return World()


def codes(world: World, **installation: str | list[str]) -> list[str]:
    (row,) = world.read("T1", Installation(**installation))  # type: ignore[arg-type]
    assert row["ok"]
    assert row["ready"]["ok"] == (not row["ready"]["reasons"])
    return [reason["code"] for reason in row["ready"]["reasons"]]


def test_a_whole_row(world: World) -> None:
    tentacle = world.add("T1", OLD, FOREIGN.lower())
    (row,) = world.read()
    assert row == {
        "instance": "T1",
        "configuration": tentacle.path,
        "ok": True,
        "code": "",
        "reason": "",
        "thumbprint": row["thumbprint"],
        "communication": "listening",
        "listening": {"enabled": True, "port": PORT, "ip": None},
        "trust": [
            {"thumbprint": OLD, "canonical": OLD, "style": "listening", "address": None, "subscription_id": None},
            {"thumbprint": FOREIGN.lower(), "canonical": FOREIGN, "style": "listening", "address": None, "subscription_id": None},
        ],
        "service": {
            "unit": "T1.service",
            "known": True,
            "active": True,
            "pid": tentacle.pid,
            "started_at": "then",
            "started_monotonic_us": world.host.table[tentacle.pid].started_monotonic_us,
            "user": "root",
            "argv": list(tentacle.argv),
        },
        "restart_pending": "no",
        "pins_in_process": [OLD, FOREIGN.lower()],
        "polls": [],
        "ready": {"ok": True, "reasons": []},
        "file": {"mode": "0644", "modified_at": "1970-01-01T00:16:40.000000Z", "readable_by_others": True},
        "key_copies": 0,
        "newer_than_process": False,
    }
    assert not world.host.orders
    assert not world.host.writes


def without(key: str) -> Callable[[World], None]:
    return lambda world: world.tentacles["T1"].write(document("[]", **{key: ""}))


def other_machine(world: World) -> None:
    world.host.files["/etc/machine-id"] = b"f" * 32


def blank(world: World) -> None:
    """As somebody's script may have left it; the log of the process does not name it."""
    world.tentacles["T1"].write(document(f"[{entry_json(OLD)},{entry_json('')}]", Octopus_Home="/srv/T1"))


def stopped(world: World) -> None:
    world.tentacles["T1"].stop()


def gone(world: World) -> None:
    del world.host.stats[EXECUTABLE]


def newer(world: World) -> None:
    world.time.time += 1
    world.host.stats[EXECUTABLE] = FileStat(0o755, 0, 0, 1, 1, world.host.wall_ns(world.host.monotonic_us()))


def replaced(world: World) -> None:
    world.host.replaced.add(world.tentacles["T1"].pid)


def foreign_store(world: World) -> None:
    world.host.stats[STORE] = FileStat(0o700, 1000, 1000, 1, 1, 0)


def taken(world: World) -> None:
    world.host.sockets = [("127.0.0.1", PORT, 4242)]


def deaf(world: World) -> None:
    world.host.sockets = []
    world.time.time += 61


def unknown(world: World) -> None:
    del world.host.services["T1.service"]


def somebody_elses(world: World) -> None:
    service = world.host.services["T1.service"]
    world.host.services["T1.service"] = service._replace(argv=("/usr/sbin/sshd",))


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (without("Tentacle_Certificate"), ["IDENTITY_AT_RISK"]),
        (without("Tentacle_CertificateThumbprint"), ["IDENTITY_AT_RISK"]),
        (blank, ["BLANK_PIN"]),
        (other_machine, ["MACHINE_ID_CHANGED"]),
        (stopped, ["SERVICE_STOPPED"]),
        (gone, ["EXECUTABLE_MISSING"]),
        (newer, ["HIDDEN_UPGRADE"]),
        (replaced, ["HIDDEN_UPGRADE"]),
        (foreign_store, ["STORE_OWNER"]),
        (taken, ["PORT_TAKEN"]),
        (deaf, ["NOT_LISTENING"]),
        (unknown, ["SERVICE_UNKNOWN"]),
        (somebody_elses, ["SERVICE_UNKNOWN"]),
    ],
)
def test_reasons(world: World, break_it: Callable[[World], None], expected: list[str]) -> None:
    world.add("T1", OLD)
    assert codes(world) == []
    break_it(world)
    assert codes(world) == expected


def test_an_entry_without_a_thumbprint_is_shown_and_nothing_to_restart_for(world: World) -> None:
    world.add("T1", OLD)
    blank(world)
    (row,) = world.read()
    assert [(entry["thumbprint"], entry["canonical"]) for entry in row["trust"]] == [(OLD, OLD), ("", None)]
    assert (row["ok"], row["restart_pending"]) == (True, "no")


def test_what_another_address_holds_is_no_conflict(world: World) -> None:
    tentacle = world.add("T1", OLD)
    tentacle.write(document("[]", Tentacle_Services_ListenIP="127.0.1.7"))
    stopped(world)
    world.host.sockets = [("127.0.1.8", PORT, 4242)]
    assert codes(world) == ["SERVICE_STOPPED"]
    world.host.sockets.append(("::", PORT, 4243))
    assert codes(world) == ["SERVICE_STOPPED", "PORT_TAKEN"]


def test_a_descendant_may_hold_the_port(world: World) -> None:
    tentacle = world.add("T1", OLD)
    world.host.table[4242] = Process(4242, tentacle.pid, 0, ("dotnet",), 1)
    world.host.sockets = [("::", PORT, 4242)]
    assert codes(world) == []


def test_who_holds_the_port_may_not_be_visible(world: World) -> None:
    world.add("T1", OLD)
    world.host.sockets_on = lambda *_ignored: [Socket("::", -1)]  # type: ignore[method-assign]
    assert codes(world) == []


def test_a_young_process_need_not_listen_yet(world: World) -> None:
    world.add("T1", OLD)
    world.host.sockets = []
    assert codes(world) == []


def test_one_that_is_not_to_listen_needs_no_port(world: World) -> None:
    tentacle = world.add("T1", OLD)
    tentacle.write(document("[]", Tentacle_Services_NoListen="true"))
    world.host.sockets = [("::", PORT, 4242)]
    assert codes(world) == []


def test_the_store_is_that_of_the_service_account(world: World) -> None:
    tentacle = world.add("T1", OLD)
    service = world.host.services["T1.service"]
    world.host.accounts["octo"] = Account(1000, "/home/octo")
    world.host.services["T1.service"] = service._replace(user="octo")
    world.host.table[tentacle.pid] = world.host.table[tentacle.pid]._replace(uid=1000)
    store = STORE.replace("/root", "/home/octo")
    world.host.stats[store] = FileStat(0o700, 0, 0, 1, 1, 0)  # root ran a read command with this HOME (H-14)
    assert codes(world) == ["STORE_OWNER"]
    world.host.services["T1.service"] = service._replace(environment=(("HOME", "/elsewhere"),))
    assert codes(world) == []
    world.host.services["T1.service"] = service
    world.host.environments[tentacle.pid] = {"HOME": "/home/octo"}
    assert codes(world) == ["STORE_OWNER"]


def test_with_a_command_that_restarts_no_unit_is_needed(world: World) -> None:
    world.add("T1", OLD)
    unknown(world)
    assert codes(world, restart=["docker", "restart", "t1"]) == []


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (b"", "CONFIGURATION_UNREADABLE"),
        (document("[]")[:1000], "CONFIGURATION_UNREADABLE"),
        (document("[{"), "TRUST_UNREADABLE"),
        (document("[]", Tentacle_Services_PortNumber="abc"), "CONFIGURATION_UNREADABLE"),
    ],
)
def test_a_bad_instance_is_a_row_among_good_ones(world: World, write: bytes, code: str) -> None:
    world.add("T1", OLD).write(write)
    world.add("T2", OLD, port=10934)
    bad, good = world.read()
    assert (bad["instance"], bad["ok"], bad["code"]) == ("T1", False, code)
    assert bad["reason"]
    assert bad["ready"]["reasons"] == [{"code": code, "sentence": bad["reason"]}]
    assert set(bad) == set(good)
    assert set(bad["service"]) == set(good["service"])
    assert set(bad["file"]) == set(good["file"])
    assert ({*bad["file"].values()}, bad["key_copies"], bad["newer_than_process"]) == ({None}, None, None)
    assert good["ok"]


def test_a_damaged_configuration_is_shown_the_way_to_its_copy(world: World) -> None:
    tentacle = world.add("T1", OLD)
    world.host.files |= {f"{tentacle.path}.octofleet-T1-2026112{day}T000000.bak": b"" for day in (1, 2)}
    tentacle.write(b"")
    (row,) = world.read()
    assert f"{tentacle.path}.octofleet-T1-20261122T000000.bak" in row["reason"]


def test_a_missing_configuration_and_an_unknown_name(world: World) -> None:
    tentacle = world.add("T1", OLD)
    del world.host.files[tentacle.path]
    assert [row["code"] for row in world.read()] == ["CONFIGURATION_MISSING"]
    assert [row["code"] for row in world.read("T9")] == ["INSTANCE_UNKNOWN"]


def test_styles_and_listening(world: World) -> None:
    polling = entry_json(OLD, 2, "https://h:10943", "poll://x/")
    world.add("T1", trusted=f"[{polling}]")
    world.add("T2", trusted=f"[{polling},{entry_json(NEW)}]", port=10934)
    world.add("T3", trusted="", port=10935)
    assert [row["communication"] for row in world.read()] == ["polling", "mixed", "none"]


def test_pending(world: World) -> None:
    tentacle = world.add("T1", OLD)
    world.time.time += 5
    tentacle.write(world.host.files[tentacle.path])  # a command that changed no byte
    assert world.read()[0]["restart_pending"] == "no"
    tentacle.write(document(f"[{entry_json(OLD)},{entry_json(NEW)}]", Octopus_Home="/srv/T1"))
    assert world.read()[0]["restart_pending"] == "yes"
    del world.host.files["/srv/T1/Logs/OctopusTentacle.txt"]
    tentacle.write(document(f"[{entry_json(OLD)}]", Octopus_Home="/srv/T1"))
    assert world.read()[0]["restart_pending"] == "probably"
    tentacle.stop()
    assert world.read()[0]["restart_pending"] == "no"
    unknown(world)
    assert world.read()[0]["restart_pending"] == "unknown"


def test_a_relative_home_is_beside_the_configuration(world: World) -> None:
    tentacle = world.add("T1", OLD)
    tentacle.write(document(f"[{entry_json(OLD)}]", Octopus_Home="."))
    world.host.files["/srv/T1/./Logs/OctopusTentacle.txt"] = world.host.files.pop("/srv/T1/Logs/OctopusTentacle.txt")
    assert world.read()[0]["pins_in_process"] == [OLD]
