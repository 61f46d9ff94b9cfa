# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that play Windows beside those that do not: same playbooks, same variables, same two visits (issue 4, B).

They are reached through what ansible-core really sends to a Windows host, and a door that refuses whatever Windows would not do.
"""

from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e import plays
from e2e.looks import Looks, Starts, others, pins
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.windows.building import STORE
from lab.windows.door import record_of
from lab.windows.machine import TEMP, Machine
from lab.wire.certificates import make_certificate

pytestmark = pytest.mark.estate  # too long for `make test`

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "docsite" / "rst" / "guide_windows.rst"
GAP = 12.0  # the vendor's longest back-off at the fleet's time scale
VISIT = ["LOOK", "LOOK", "SERVED", "COPY", "REPLACE", "ORDER", "SERVED"]
LISTENING, POLLING = ("win-01", "win-02"), "win-03"
WINDOWS = (*LISTENING, POLLING)


class Trips:
    """The round trips to Windows hosts since this object was made, by host: the name of the text, or of the module, or what else it was."""

    def __init__(self, fleet: Fleet) -> None:
        self._file = record_of(fleet.root)
        self._seen = len(self._lines())

    def to(self, host: str) -> list[str]:
        notes = [json.loads(line) for line in self._lines()[self._seen :]]
        return [note["given"].get("script") or note["what"] for note in notes if note["host"] == host]

    def _lines(self) -> list[str]:
        return self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []


def documented(task: str) -> int:
    """The round trips of a task, as the guide has them."""
    found = re.search(rf"\* - {re.escape(task)}\n +- (\d+)", GUIDE.read_text(encoding="utf-8"))
    assert found is not None, task
    return int(found[1])


def settled(fleet: Fleet, play: plays.Play, on: str) -> None:
    """Reached, on Windows as everywhere; nothing that Windows would refuse was tried, nothing is left in the temporary folders."""
    assert play.rc == 0, play.text
    hosts = [tentacle.host for tentacle in fleet.tentacles]
    assert {host: pins(fleet, host) for host in hosts} == {host: [on] for host in hosts}, play.text
    assert refusals(fleet) == []
    assert {host: Machine(fleet.root, host).disk.names(TEMP) for host in WINDOWS} == {host: [] for host in WINDOWS}


def refusals(fleet: Fleet) -> list[str]:
    notes = map(json.loads, record_of(fleet.root).read_text(encoding="utf-8").splitlines())
    return [note["given"]["why"] for note in notes if note["what"] == "refused"]


def test_a_mixed_fleet_there_and_back() -> None:
    """Two hosts of Linux, three of Windows, one of which polls; one trusts a second Server, too."""
    with Fleet(FleetSpec(tentacles=2, windows=3, quirks=(f"polling:{POLLING}", "foreign_server:win-02"))) as fleet:
        fleet.start_witness(back_off=GAP)
        old = fleet.server.certificate.thumbprint
        foreign, certificates = others(fleet, "win-02"), [certificate(fleet, host) for host in WINDOWS]
        assert len(foreign) == 1

        _a_plan_only_looks(fleet, old)
        new = _the_way_there(fleet, old)
        _a_second_run_only_looks(fleet, old, new)
        settled(fleet, plays.commit(fleet, new, playbook=plays.ROLL_BACK), on=old)

        assert others(fleet, "win-02") == foreign
        assert [certificate(fleet, host) for host in WINDOWS] == certificates
        record = record_of(fleet.root).read_text(encoding="utf-8")
        assert not [sealed for sealed in certificates if sealed[:64] in record], "an encrypted key travelled"
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures
        assert witness.refused_seconds == 0


def certificate(fleet: Fleet, host: str) -> str:
    """The encrypted key as it stands in the configuration."""
    found = re.search(rb'<set key="Tentacle.Certificate">([^<]{64,})<', fleet.paths(host).configuration.read_bytes())
    assert found is not None
    return found[1].decode()


def _a_plan_only_looks(fleet: Fleet, old: str) -> None:
    before, starts, trips = Looks.of(fleet), Starts(fleet), Trips(fleet)
    plan, check = plays.play(fleet, plays.ROTATE), plays.commit(fleet, old, "--check")
    for play in (plan, check):
        assert (play.rc, play.changed) == (0, []), play.text
    assert {host: trips.to(host) for host in WINDOWS} == {host: ["LOOK", "LOOK"] for host in WINDOWS}
    assert documented("``octo_instance_info``, all instances of a host") == 1
    assert starts.writing() == []
    assert Looks.of(fleet).since(before) == []


def _the_way_there(fleet: Fleet, old: str) -> str:
    trips = Trips(fleet)
    play = plays.commit(fleet, old)
    settled(fleet, play, on=play.report["new"])
    assert {host: play.visits(host) for host in WINDOWS} == {host: ["octo_trust", "octo_trust"] for host in WINDOWS}
    assert {host: trips.to(host) for host in LISTENING} == dict.fromkeys(LISTENING, VISIT * 2)
    assert documented("``octo_trust`` that writes and restarts") == len(VISIT)
    assert [trip for trip in trips.to(POLLING) if trip not in ("LOOK", "SERVED")] == ["COPY", "REPLACE", "ORDER"] * 2
    return str(play.report["new"])


def _a_second_run_only_looks(fleet: Fleet, old: str, new: str) -> None:
    before, trips = Looks.of(fleet), Trips(fleet)
    play = plays.commit(fleet, old)
    settled(fleet, play, on=new)
    assert play.changed == []
    assert {trip for host in WINDOWS for trip in trips.to(host)} <= {"LOOK"}
    after = Looks.of(fleet)
    assert (after.files, after.processes) == (before.files, before.processes)


# -- what is odd, and what goes wrong: the same words on both systems

PAIRS = ("symlinked_configuration", "torn_configuration", "stopped_service", "duplicate_entry", "second_instance", "lower_case_pin")
SAME = ("ok", "code", "changed", "restarted", "communication", "restart_pending")


def by_hand(fleet: Fleet, *arguments: str, hosts: str = "octopus_tentacles", **more: Any) -> tuple[plays.Play, dict[str, list[dict[str, Any]]]]:
    """One octo_trust of its own; the rows of each host."""
    variables = ("executable", "machine_configuration_home", "machine_id_file")
    own = {name: f"{{{{ octopus_{name.replace('executable', 'tentacle_executable')} | default(omit) }}}}" for name in variables}
    task = {"name": "Trust another Server", "octofleet.octopus.octo_trust": {"instance": "*", **own, **more}}
    playbook = fleet.root / "by_hand.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": hosts, "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    play = plays.play(fleet, str(playbook), *arguments)
    return play, {each["host"]: each["result"].get("instances") or [] for each in play.results("octo_trust")}


def neutral(row: dict[str, Any]) -> dict[str, Any]:
    """What the two systems must have in common: all but names, places, numbers, and what the system's own service manager says."""
    reason, service = row["reason"], row.get("service") or {}
    for name, neutral_name in ((service.get("unit"), "UNIT"), (row["configuration"], "PATH"), (row["instance"], "Tentacle")):
        reason = reason.replace(name, neutral_name) if name else reason
    for number in (r"column \d+", r"\(\d+, started \S+\)", r"The service manager said: .*(?= See its log)"):
        reason = re.sub(number, "N", reason, flags=re.DOTALL)
    return {**{key: row[key] for key in SAME}, "reason": reason, "trust": len(row["trust"])}


def test_the_same_words_for_what_is_odd() -> None:
    """Six hosts of Linux and six of Windows, odd in the same ways."""
    linux = [f"web-{number:02}" for number in range(1, len(PAIRS) + 1)]
    windows = [f"win-{number:02}" for number in range(1, len(PAIRS) + 1)]
    quirks = tuple(f"{quirk}:{host}" for hosts in (linux, windows) for quirk, host in zip(PAIRS, hosts, strict=True))
    pin = make_certificate("Another Server").thumbprint
    with Fleet(FleetSpec(tentacles=len(PAIRS), windows=len(PAIRS), quirks=quirks)) as fleet:
        first, rows = by_hand(fleet, thumbprints=[pin], lock_timeout=3)
        for quirk, ours, theirs in zip(PAIRS, windows, linux, strict=True):
            assert list(map(neutral, rows[ours])) == list(map(neutral, rows[theirs])), (quirk, first.text)
        assert refusals(fleet) == []


def test_the_same_words_for_what_goes_wrong() -> None:
    """A file that somebody holds, restarts that fail or come to nothing, and then the vendor's own command as the writer."""
    pin = make_certificate("Another Server").thumbprint
    with Fleet(FleetSpec(tentacles=2, windows=2)) as fleet:
        fleet.start_witness()
        before = Looks.of(fleet)
        with open(fleet.paths("web-01").configuration, "rb") as one, open(fleet.paths("win-01").configuration, "rb") as other:
            for held in (one, other):
                fcntl.flock(held, fcntl.LOCK_EX)
            same(fleet, "NOT_WRITTEN", hosts="*-01", thumbprints=[pin], lock_timeout=2)
        copies = [line for line in Looks.of(fleet).since(before) if not line.endswith(".bak") and "by_hand" not in line]
        assert copies == []
        for fault, number in (("restart_fails", "01"), ("restart_ok_but_old", "02")):
            fleet.fault(fault, [fleet.tentacle(f"{kind}-{number}").unit for kind in ("web", "win")])
            same(fleet, "RESTART_INEFFECTIVE", hosts=f"*-{number}", thumbprints=[pin], timeout=5)
            fleet.fault(fault, None)
        rows = same(fleet, "", thumbprints=[pin])
        assert [row["restarted"] for row in rows] == [True] * 4
        trips, starts = Trips(fleet), Starts(fleet)
        rows = same(fleet, "", thumbprints=[pin], state="absent", unguarded=True, writer="vendor")
        assert [row["restarted"] for row in rows] == [True] * 4
        assert [trips.to(host).count("win_command") for host in ("win-01", "win-02")] == [1, 1]
        assert (
            sorted("--console" in argv for program, argv in starts.all() if program == "Tentacle" and argv[0] == "configure")
            == [False] * 2 + [True] * 2
        )
        assert refusals(fleet) == []
        assert fleet.stop_witness().refused() == {}


def same(fleet: Fleet, code: str, hosts: str = "octopus_tentacles", **more: Any) -> list[dict[str, Any]]:
    """The rows of a task whose outcome has that code on every host, in the same words."""
    play, rows = by_hand(fleet, hosts=hosts, **more)
    flat = [row for host in sorted(rows) for row in rows[host]]
    assert [row["code"] for row in flat] == [code] * len(fleet.tentacles if hosts == "octopus_tentacles" else "12"), play.text
    assert len({json.dumps(neutral(row), sort_keys=True) for row in flat}) == 1, [row["reason"] for row in flat]
    return flat


def test_an_account_without_its_rights_is_told_so() -> None:
    """Filtered rights would see neither the processes nor the files of others; become with runas has them all."""
    with Fleet(FleetSpec(tentacles=0, windows=1, faults={"windows_filtered_token": ["win-01"]})) as fleet:
        before = Looks.of(fleet)
        play, _rows = by_hand(fleet, thumbprints=["A" * 40])
        assert play.rc == 2
        assert "is not an administrator with all its rights" in play.text
        assert [line for line in Looks.of(fleet).since(before) if "by_hand" not in line] == []
        become = {"ansible_become": True, "ansible_become_method": "ansible.builtin.runas", "ansible_become_user": "SYSTEM"}
        play, rows = by_hand(fleet, "-e", json.dumps(become), thumbprints=["A" * 40])
        assert (play.rc, rows["win-01"][0]["restarted"]) == (0, True), play.text


def test_a_file_that_is_torn_right_after_our_edit_is_put_back_whole() -> None:
    """What holds the encrypted key goes as a file into the account's temporary folder, which is gone afterwards, and never as a parameter."""
    pin = make_certificate("Another Server").thumbprint
    with Fleet(FleetSpec(tentacles=0, windows=1, faults={"windows_torn_after_edit": ["win-01"]})) as fleet:
        old, sealed, trips = fleet.server.certificate.thumbprint, certificate(fleet, "win-01"), Trips(fleet)
        play, rows = by_hand(fleet, thumbprints=[pin])
        assert (play.rc, rows["win-01"][0]["restarted"]) == (0, True), play.text
        assert pins(fleet, "win-01") == sorted([old, pin])
        assert certificate(fleet, "win-01") == sealed
        sent = [trip for trip in trips.to("win-01") if trip not in ("LOOK", "SERVED")]
        assert sent == ["COPY", "REPLACE", "make folder", "put file", "REPLACE", "ORDER", "remove folder"]
        assert Machine(fleet.root, "win-01").disk.names(TEMP) == []
        assert sealed[:64] not in record_of(fleet.root).read_text(encoding="utf-8")


def test_a_server_on_windows_there_and_back() -> None:
    """A PFX travels as a file and no secret as a parameter; the store stays closed, and nothing is left in it but what is kept."""
    with Fleet(FleetSpec(tentacles=1, windows=1, quirks=("windows:node-1",))) as fleet:
        fleet.start_witness()
        old, trips = fleet.server.certificate.thumbprint, Trips(fleet)
        plan = plays.play(fleet, plays.ROTATE)
        assert plan.rc == 0, plan.text
        there = plays.commit(fleet, old)
        assert there.rc == 0, there.text
        new = there.report["new"]
        assert {host: pins(fleet, host) for host in ("web-01", "win-01")} == {"web-01": [new], "win-01": [new]}
        again = plays.commit(fleet, old)
        assert (again.rc, again.changed) == (0, []), again.text
        back = plays.commit(fleet, new, playbook=plays.ROLL_BACK)
        assert back.rc == 0, back.text
        assert {host: pins(fleet, host) for host in ("web-01", "win-01")} == {"web-01": [old], "win-01": [old]}

        machine = Machine(fleet.root, "node-1")
        kept = machine.disk.names(STORE)
        assert {name for name in kept if name.endswith(".pfx")} == {f"{old}.pfx", f"{new}.pfx"}
        assert not [name for name in kept if not name.endswith((".pfx", ".json"))]
        assert machine.disk.names(TEMP) == []
        assert refusals(fleet) == []
        _no_text_was_told_a_secret(fleet)
        assert {"STORE", "PRIVATE", "put file", "fetch file", "KEEP", "ERASE", "win_command", "ORDER"} <= set(trips.to("node-1"))
        witness = fleet.stop_witness()
        assert witness.ok, witness.failures
        assert witness.refused_seconds == 0


def _no_text_was_told_a_secret(fleet: Fleet) -> None:
    """What PowerShell is told may be logged there for ever; the vendor's program gets a password that is good for one file that is gone."""
    notes = [json.loads(line) for line in record_of(fleet.root).read_text(encoding="utf-8").splitlines()]
    once = {word.partition("=")[2] for note in notes for word in note["given"].get("argv", ()) if word.startswith("--pfx-password=")}
    told = json.dumps([note["given"] for note in notes if note["what"] == "win_powershell"])
    assert once
    assert not [secret for secret in (*once, fleet.backup_password, fleet.server.api_key) if secret in told]
    assert fleet.backup_password not in record_of(fleet.root).read_text(encoding="utf-8")
