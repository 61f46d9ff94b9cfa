# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the vendor's tool does to a host, and what our brains make of it: each test shows the hazard itself and that it is met.

`make proof` switches each quirk of the stand-in off and expects the test that is about it to fail (tests/proof).
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Process
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import agent, instance, visit
from lab.tentacle import agent as vendors_agent
from lab.tentacle.configuration import THUMBPRINT
from lab.tentacle.trust import Style, TrustEntry
from lab.wire.certificates import make_certificate, to_pfx
from unit.tentacle.doubles import FOREIGN, NEW, OLD
from unit.tentacle.test_visit import PARAMS
from unit.tentacle.workbench import ONE, TWO, Workbench

POLLED = "https://127.0.0.1:10943"
POLLING = TrustEntry(OLD, Style.TentacleActive, POLLED, None, "poll://bcdfghjklmnpqrstvwxz/")
LONG_AGO = 1_000_000_000


class Killed(BaseException):
    """kill -9, in the middle of a call."""


def killing(real: Any, number: int) -> Any:
    """``real``, but its n-th call is the end of the process."""
    calls = iter(range(1, 1000))

    def call(*arguments: Any) -> Any:
        if next(calls) == number:
            raise Killed
        return real(*arguments)

    return call


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def codes(row: instance.Row) -> list[str]:
    return [reason["code"] for reason in row["ready"]["reasons"]]


def disturbed(bench: Workbench, monkeypatch: pytest.MonkeyPatch, beside: Callable[[], object]) -> list[str]:
    """Something happens between our reading and our first edit; how each edit went is kept in the list."""
    answers: list[str] = []
    real = bench.replace_if_same

    def replace(path: str, expected: bytes, new: bytes, undisturbed: Any) -> str:
        if not answers:
            beside()
        answers.append(real(path, expected, new, undisturbed))
        return answers[-1]

    monkeypatch.setattr(bench, "replace_if_same", replace)
    return answers


# --- How it writes --------------------------------------------------------------------------------------------------------------------


def test_a_write_that_was_cut_is_told_and_never_restarted_into(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes in two pieces over the file itself: killed between them it leaves half of it, which no agent starts from (H-01)."""
    bench.trusts(OLD).serve()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", killing(os.pwrite, 2))
        with pytest.raises(Killed):
            bench.call("configure", f"--trust={NEW}")
    assert bench.row()["code"] == "CONFIGURATION_UNREADABLE"
    assert bench.visit("present", NEW)["code"] == "CONFIGURATION_UNREADABLE"
    assert bench.orders() == []


def test_a_command_that_meets_our_lock_fails_and_loses_nothing(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.trusts(OLD).serve()
    beside: list[int] = []
    real = bench.replace_if_same

    def with_company(path: str, expected: bytes, new: bytes, undisturbed: Any) -> str:
        return real(path, expected, new, lambda: bool(beside.append(bench.call("configure", f"--trust={FOREIGN}").code)) or undisturbed())

    monkeypatch.setattr(bench, "replace_if_same", with_company)
    assert bench.visit("present", NEW)["ok"]
    assert (beside, bench.pins()) == ([100], [OLD, NEW])


def test_a_touched_file_is_no_change(bench: Workbench) -> None:
    """A command without effect writes all the same: by time alone a restart would be due; the agent's own lines know better (decision 8)."""
    bench.trusts(OLD)
    os.utime(bench.vendor.path(), (LONG_AGO, LONG_AGO))
    bench.serve()
    assert bench.call("configure", f"--trust={OLD}").code == 0
    assert bench.row()["restart_pending"] == "no"
    (bench.root / "T1/Logs/OctopusTentacle.txt").unlink()
    assert bench.row()["restart_pending"] == "probably"


def test_a_proxy_that_was_switched_off_beside_us_stays_off(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever only names a user switches the proxy off (H-27): our edit starts again from what that left and brings no setting back."""
    bench.trusts(OLD).serve()
    assert bench.call("proxy", "--proxyEnable=true", "--proxyHost=http://proxy:8080").code == 0
    answers = disturbed(bench, monkeypatch, lambda: bench.call("proxy", "--proxyUsername=me"))
    assert bench.visit("present", NEW)["ok"]
    stored = bench.vendor.configuration().store
    assert (answers, stored.get("Octopus.Proxy.ProxyHost"), stored.get("Octopus.Proxy.ProxyUsername")) == (["changed", ""], None, "me")
    assert bench.pins() == [OLD, NEW]


def test_a_command_that_died_between_two_steps_is_finished(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is a write of its own: here the pin is gone before it comes back."""
    bench.trusts(OLD, OLD, FOREIGN).serve()
    between: list[list[str]] = []

    def kill_the_first() -> None:
        if len(bench.calls) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(os, "ftruncate", killing(os.ftruncate, 2))
                with pytest.raises(Killed):
                    bench.vendor.call(*bench.calls[0][1:])
            between.append(bench.pins())

    bench.before_call = kill_the_first
    assert bench.visit("present", OLD, by_vendor=True)["ok"]
    assert between == [[FOREIGN]]
    assert bench.pins() == [FOREIGN, OLD]


# --- What it does to the trust --------------------------------------------------------------------------------------------------------


def test_a_pin_is_removed_as_it_is_spelled(bench: Workbench) -> None:
    """Another letter case removes nothing and still succeeds (H-04)."""
    bench.trusts(OLD.lower(), FOREIGN).serve()
    assert bench.call("configure", f"--remove-trust={OLD}").code == 0
    assert bench.pins() == [OLD.lower(), FOREIGN]
    assert bench.visit("absent", OLD, by_vendor=True)["changed"]
    assert bench.pins() == [FOREIGN]


@pytest.mark.parametrize(
    ("state", "by_hand"),
    [
        ("absent", [f"--remove-trust={OLD}"]),
        ("exact", ["--reset-trust", f"--trust={FOREIGN}"]),
    ],
    ids=["remove", "reset"],
)
def test_a_polling_entry_is_never_taken_along(bench: Workbench, state: str, by_hand: list[str]) -> None:
    """The verb that a person would reach for takes the polling entry and its subscription id with it (H-07)."""
    bench.trusts(OLD, FOREIGN, POLLING).serve()
    wanted = OLD if state == "absent" else FOREIGN
    row = bench.visit(state, wanted, forget=[OLD] if state == "exact" else [], by_vendor=True)
    assert (row["code"], bench.orders(), len(bench.pins())) == ("LAST_ENTRY", [], 3)
    assert bench.call("configure", *by_hand).code == 0
    assert bench.pins() == [FOREIGN]


def test_another_order_is_no_change(bench: Workbench) -> None:
    bench.trusts(OLD, FOREIGN).serve()
    bench.call("configure", f"--trust={OLD}")
    assert bench.pins() == [FOREIGN, OLD]
    row = bench.visit("present", OLD)
    assert (row["changed"], row["restarted"], row["restart_pending"], bench.orders()) == (False, False, "no", [])


def test_a_pin_that_lets_nobody_in_is_replaced(bench: Workbench) -> None:
    """Whatever is pasted is stored: with colons between the bytes it matches no certificate."""
    pasted = ":".join(NEW[at : at + 2] for at in range(0, 40, 2))
    bench.trusts(OLD)
    assert bench.call("configure", f"--trust={pasted}").code == 0
    bench.serve()
    assert [entry["canonical"] for entry in bench.row()["trust"]] == [OLD, None]
    assert bench.visit("present", NEW)["changed"]
    assert bench.pins() == [OLD, NEW]


def test_duplicates_of_update_trust_are_repaired(bench: Workbench) -> None:
    bench.trusts(OLD, NEW)
    assert bench.vendor.call("update-trust", "--instance=T1", f"--oldThumbprint={OLD}", f"--newThumbprint={NEW}").code == 0
    bench.serve()
    row = bench.visit("present", NEW)
    assert (row["changed"], row["restarted"], bench.pins()) == (True, False, [NEW])


def test_the_vendors_verb_alone_fails_on_duplicates_ours_does_not(bench: Workbench) -> None:
    bench.trusts(NEW, NEW, FOREIGN).serve()
    assert bench.call("configure", f"--trust={NEW}").code == 100
    assert bench.visit("present", NEW, by_vendor=True)["ok"]
    assert bench.pins() == [FOREIGN, NEW]


def test_its_call_for_a_restart_is_no_reason_for_one(bench: Workbench) -> None:
    bench.trusts(OLD).serve()
    assert "require a restart" in bench.call("configure", f"--remove-trust={NEW}").stdout
    assert bench.row()["restart_pending"] == "no"
    assert not bench.visit("absent", NEW)["changed"]
    assert bench.orders() == []


def test_a_clearing_that_crashed_costs_nobody_the_pin(bench: Workbench) -> None:
    """It crashes on the first listening entry before it writes (H-36): our row shows every pin, and the next visit keeps them."""
    bench.trusts(OLD, FOREIGN).serve()
    assert bench.call("clear-trusted-servers").code == 100
    row = bench.row()
    assert ([entry["canonical"] for entry in row["trust"]], row["restart_pending"]) == ([OLD, FOREIGN], "no")
    assert bench.visit("present", NEW)["ok"]
    assert bench.pins() == [OLD, FOREIGN, NEW]


def test_a_reset_that_said_false_is_not_restarted_into(bench: Workbench) -> None:
    """A switch is on whatever it is given (H-09): only the running process still trusts the old Server, and our restart would end that."""
    bench.trusts(OLD, FOREIGN).serve()
    assert bench.call("configure", "--reset-trust=false", f"--trust={FOREIGN}").code == 0
    row = bench.visit("present", NEW)
    assert (row["code"], bench.orders(), f"still trusts {OLD}, which somebody has taken out" in row["reason"]) == ("RESTART_DROPS_PIN", [], True)


def test_two_subscriptions_at_one_address_are_two(bench: Workbench) -> None:
    bench.trusts(OLD, NEW)
    for pin in (OLD, NEW):
        bench.call("server-comms", f"--thumbprint={pin}", "--style=TentacleActive", "--host=127.0.0.1")
    polling = [entry for entry in bench.row()["trust"] if entry["style"] == "polling"]
    assert len({entry["subscription_id"] for entry in polling}) == 2


# --- What it tells --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "options", "told"),
    [
        (["server-comms", "--instance=T2"], {"instance": "T2"}, "The Tentacle instance T2 is not configured on this host"),
        (["configure", "--instance=T1", "--trust"], {"thumbprints": [""]}, "The Server thumbprint is blank"),
    ],
    ids=["instance", "value"],
)
def test_a_slip_of_ones_own_is_told_from_a_damaged_file(bench: Workbench, words: list[str], options: dict[str, Any], told: str) -> None:
    """To the tool both are exit code 100, by which nobody knows whether to correct the playbook or to restore the file."""
    assert bench.vendor.call(*words).code == 100
    assert told in refused(bench, **options)
    os.truncate(bench.vendor.path(), 200)
    assert bench.call("configure", f"--trust={NEW}").code == 100
    assert "is not whole XML" in refused(bench)


def refused(bench: Workbench, **options: Any) -> str:
    """What octo_trust says of these options."""
    try:
        task = visit.trust_task({**PARAMS, "instance": "T1", **options}, check=False)
    except OctoError as error:
        return error.message
    (row,) = visit.trust_rows(bench.hands, task, bench.installation)
    return str(row["reason"])


def test_the_thumbprint_of_a_row_is_what_the_tool_shows(bench: Workbench) -> None:
    """To the byte, so that what a playbook registered by either can be compared with the other, and with the Server's record."""
    bench.trusts(OLD).serve()
    assert bench.call("show-thumbprint").stdout == bench.row()["thumbprint"]


def test_a_row_tells_what_the_tool_would_write_into_a_file(bench: Workbench) -> None:
    """Its file must be there before (H-35); the row needs none."""
    bench.call("configure", "--port=10944", "--listenIpAddress=127.0.0.1")
    bench.trusts(OLD, POLLING).serve()
    file = bench.root / "shown.json"
    assert (bench.call("show-configuration", f"--file={file}").code, file.exists()) == (100, False)
    file.touch()
    assert bench.call("show-configuration", f"--file={file}").code == 0
    shown, row = json.loads(file.read_text())["Tentacle"], bench.row()
    told = [(entry["Thumbprint"], entry["Address"], entry["SubscriptionId"]) for entry in shown["Communication"]["TrustedOctopusServers"]]
    assert told == [(entry["thumbprint"], entry["address"], entry["subscription_id"]) for entry in row["trust"]]
    services = shown["Services"]
    assert row["listening"] == {"enabled": not services["NoListen"], "port": services["PortNumber"], "ip": services["ListenIP"]}
    assert row["thumbprint"] == shown["CertificateThumbprint"]


# --- Which instance it means ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name", "alone", "here"),
    [
        (["--instance", "-odd"], "-odd", False, False),
        (["--instance="], "T1", True, False),
        ([], "T1", True, False),
        ([], "T1", False, True),
    ],
    ids=["dash", "blank", "only", "folder"],
)
def test_whose_configuration_a_command_may_write(bench: Workbench, words: list[str], name: str, alone: bool, here: bool) -> None:
    """What the tool makes of odd arguments and folders is what we wait for before we write (decision 29)."""
    if not alone:
        bench.vendor.create("-odd")
    if here:
        (bench.root / "cwd/Tentacle.config").symlink_to(bench.vendor.path())
    argv = ["configure", *words, f"--trust={NEW}"]
    assert bench.vendor.call(*argv).code == 0
    assert bench.pins(name) == [NEW]
    bench.table = {1: Process(1, 0, 0, ("Tentacle", *argv), 1)}
    subject = agent.Subject(name, str(bench.vendor.path(name)), [name])
    assert agent.commands_at_work(bench, subject, bench.installation.home) == bench.processes()


def test_we_always_say_whom_we_mean(bench: Workbench) -> None:
    """A blank name would silently be another instance (H-09)."""
    bench.trusts(OLD).serve()
    assert bench.vendor.call("configure", "--instance=", f"--trust={FOREIGN}").code == 0
    assert bench.pins() == [OLD, FOREIGN]
    assert bench.row("")["code"] == "INSTANCE_UNKNOWN"


def test_one_bad_file_in_the_index_breaks_the_tool_and_one_row(bench: Workbench) -> None:
    bench.trusts(OLD).serve()
    (bench.root / "etc/octopus/Tentacle/Instances/backup").write_text("not json")
    assert bench.call("show-thumbprint").code == 100
    assert [(row["instance"], row["code"]) for row in bench.rows()] == [("backup", "INDEX_UNREADABLE"), ("T1", "")]
    assert bench.visit("present", NEW)["ok"]
    assert bench.pins() == [OLD, NEW]


def test_an_instance_whose_file_is_gone_stays_a_row(bench: Workbench) -> None:
    bench.vendor.path().unlink()
    assert bench.call("delete-instance").code != 0
    assert [(row["instance"], row["code"]) for row in bench.rows()] == [("T1", "CONFIGURATION_MISSING")]


def test_a_home_that_moved_takes_the_evidence_with_it(bench: Workbench) -> None:
    """The running agent goes on logging in the old place: nothing is known then, rather than something wrong."""
    bench.call("configure", f"--home={bench.root}/elsewhere")
    bench.trusts(OLD).serve()
    assert bench.row()["pins_in_process"] == [OLD]
    bench.vendor.create("T1")
    assert (bench.row()["pins_in_process"], bench.row()["restart_pending"]) == (None, "probably")


def test_a_home_meant_for_another_file_moves_ours(bench: Workbench) -> None:
    """Two names share a file; one of them is made anew with another file, and its home lands in the shared one."""
    bench.vendor.call("create-instance", "--instance=T2", f"--config={bench.vendor.path()}")
    bench.trusts(OLD).serve()
    assert bench.row()["pins_in_process"] == [OLD]
    bench.vendor.call("create-instance", "--instance=T2", f"--config={bench.root}/new/tentacle.config", f"--home={bench.root}/new")
    assert bench.row()["pins_in_process"] is None


# --- Its keys -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("--export-pfx=",)], ids=["new", "blank"])
def test_an_identity_that_was_replaced_is_not_restarted_into(bench: Workbench, words: tuple[str, ...]) -> None:
    """The new one would be served from our restart on, and the Server that has the old one on record refuses it."""
    bench.trusts(OLD).serve()
    assert bench.row()["thumbprint"] == ONE.thumbprint
    assert bench.call("new-certificate", *words).code == 0
    assert bench.row()["thumbprint"] != ONE.thumbprint
    row = bench.visit("present", NEW)
    assert (row["code"], bench.pins(), bench.orders()) == ("IDENTITY_CHANGED", [OLD], [])


def test_an_import_of_the_same_certificate_beside_us_is_kept(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same identity in other bytes: our edit starts again from them and puts nothing back."""
    bench.trusts(OLD).serve()
    before = bench.vendor.path().read_bytes()
    answers = disturbed(bench, monkeypatch, lambda: bench.given(ONE))
    row = bench.visit("present", NEW)
    assert (row["ok"], row["thumbprint"], answers) == (True, ONE.thumbprint, ["changed", ""])
    assert bench.vendor.path().read_bytes() != before


def test_a_key_in_the_log_goes_no_further(bench: Workbench) -> None:
    text = base64.b64encode(to_pfx(TWO, None)).decode()
    assert bench.call("import-certificate", f"--from-base64={text}").code == 0
    bench.trusts(OLD).serve()
    assert text in (bench.root / "T1/Logs/OctopusTentacle.txt").read_text()
    assert text[:40] not in str(bench.rows())


def test_a_changed_machine_id_is_seen_behind_the_tools_own_repair(bench: Workbench) -> None:
    """A failed command leaves a fresh fallback key, which opens nothing."""
    bench.trusts(OLD).serve()
    bench.vendor.settings.machine_id_file.write_text("f" * 32)
    assert bench.call("show-thumbprint").code == 100
    assert bench.vendor.settings.machine_key_file.exists()
    assert codes(bench.row()) == ["MACHINE_ID_CHANGED"]


def test_reading_leaves_no_key_behind(bench: Workbench) -> None:
    store = bench.vendor.settings.home
    bench.trusts(OLD)
    assert bench.row()["thumbprint"] == ONE.thumbprint
    assert list(store.rglob("*.pfx")) == []
    bench.call("show-thumbprint")
    assert [path.stem for path in store.rglob("*.pfx")] == [ONE.thumbprint]


def test_the_copy_that_wins_is_the_one_we_expect_on_the_wire(bench: Workbench) -> None:
    """The thumbprint on record leads to the copy in the account's store, whatever certificate stands beside it."""
    bench.trusts(OLD).serve()
    bench.given(TWO)
    bench.vendor.configuration().store.set(THUMBPRINT, ONE.thumbprint)
    row = bench.visit("present", NEW)
    assert row["proven"]["serving"] == row["thumbprint"] == ONE.thumbprint


def test_a_store_of_somebody_else_is_a_reason_not_to_restart(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by a reading command of root under the service's HOME (H-14): the agent would live without listening (H-12)."""
    bench.uid = os.geteuid() + 1
    bench.trusts(OLD).serve()
    (copy,) = bench.vendor.settings.home.rglob("*.pfx")
    copy.unlink()
    assert codes(bench.row()) == ["STORE_OWNER"]
    listening: list[str] = []
    monkeypatch.setattr(vendors_agent, "run", lambda *_ignored: listening.append("it listens") or 0)
    monkeypatch.setattr(vendors_agent, "wait_for_end", lambda *_ignored: 0)
    bench.vendor.uid = bench.uid
    bench.call("agent", "--noninteractive")
    assert listening == []


def test_an_agent_without_an_identity_is_not_restarted(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would make itself a new one and serve it (decision 15)."""
    bench.trusts(OLD).serve()
    bench.vendor.configuration().store.set(THUMBPRINT, None)
    assert codes(bench.row()) == ["IDENTITY_AT_RISK"]
    row = bench.visit("present", NEW)
    assert (row["ok"], row["code"], bench.pins(), bench.orders()) == (False, "IDENTITY_AT_RISK", [OLD], [])
    monkeypatch.setattr(vendors_agent, "run", lambda *_ignored: 0)
    bench.call("agent", "--noninteractive")
    assert bench.vendor.configuration().thumbprint not in (None, ONE.thumbprint)


@pytest.mark.parametrize(
    "data",
    [
        base64.b64encode(make_certificate("bare").der),
        base64.b64encode(to_pfx(make_certificate("weak", 1024), None)),
    ],
    ids=["keyless", "weak"],
)
def test_a_certificate_that_cannot_serve_is_imported_all_the_same(bench: Workbench, data: bytes) -> None:
    """No agent would listen with it, so the one that runs is left to run."""
    bench.trusts(OLD).serve()
    (bench.root / "given.txt").write_bytes(data)
    assert bench.call("import-certificate", f"--from-file={bench.root}/given.txt").code == 0
    assert bench.row()["thumbprint"] != ONE.thumbprint
    row = bench.visit("present", NEW)
    assert (row["code"], bench.pins(), bench.orders()) == ("IDENTITY_CHANGED", [OLD], [])


# --- Its verb for services ------------------------------------------------------------------------------------------------------------


def tools(bench: Workbench, monkeypatch: pytest.MonkeyPatch, **programs: str) -> Path:
    """PATH, for the tool and for us, is a folder with these programs; what systemctl is asked for is kept in the file."""
    folder, asked = bench.root / "bin", bench.root / "asked"
    folder.mkdir()
    asked.touch()
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body.format(asked=asked)}\n")
        (folder / name).chmod(0o755)
    bench.vendor.environ["PATH"] = str(folder)
    monkeypatch.setenv("PATH", str(folder))
    return asked


SUDO = '[ "$1" = -vn ] || exec "$@"'
FAILING = 'echo "$@" >> {asked}; echo "Failed to restart $2: Connection timed out" >&2; exit 5'


def test_a_failed_restart_is_told_though_the_tool_succeeds(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code says nothing (H-03): the process that is still the old one does."""
    bench.trusts(OLD).serve()
    tools(bench, monkeypatch, sudo=SUDO, systemctl=FAILING)
    assert bench.call("service", "--restart").code == 0
    bench.manager = bench.really
    row = bench.visit("present", NEW)
    assert (row["ok"], row["code"], row["proven"]) == (False, "RESTART_INEFFECTIVE", None)
    assert "Failed to restart T1.service: Connection timed out" in row["reason"]


def test_a_failed_order_is_given_once(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any failure that is worded like a lack of permission makes the tool try again by sudo."""
    bench.trusts(OLD).serve()
    asked = tools(bench, monkeypatch, sudo=SUDO, systemctl=FAILING)
    bench.call("service", "--restart")
    assert asked.read_text() == "restart T1\n" * 2
    bench.manager = bench.really
    bench.visit("present", NEW)
    assert asked.read_text() == "restart T1\n" * 2 + "restart T1.service\n"


def test_no_sudo_is_needed_where_there_is_none(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool wants it of root, too; images often lack it."""
    bench.trusts(OLD).serve()
    asked = tools(bench, monkeypatch, systemctl='echo "$@" >> {asked}')
    assert bench.call("service", "--restart").code == 1
    assert asked.read_text() == ""

    def restart(argv: Any) -> Any:
        done = bench.really(argv)
        bench.serve()
        return done

    bench.manager = restart
    assert bench.visit("present", NEW)["proven"]["serving"] == ONE.thumbprint
    assert asked.read_text() == "restart T1.service\n"
