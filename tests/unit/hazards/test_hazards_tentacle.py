# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hazards of the Tentacle and its tool that no other test meets: the hazard itself on the vendor's stand-in, and what our brains make of it.

tests/HAZARDS.md names the test of every hazard; `make proof` takes the guard away and expects the test to fail.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Completed
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.vendor import SERVER, VendorCli
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import instance, manage, trust, visit, writer
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.visit import Limits, TrustTask
from unit.tentacle.doubles import FOREIGN, NEW, OLD, entry_json
from unit.tentacle.test_vendor_hazards import POLLING, Killed, killing, refused
from unit.tentacle.workbench import Workbench
from unit.tentacle.world import World

SPELLED_WRONGLY = [NEW[:39], NEW + "0", ":".join(NEW[at : at + 2] for at in range(0, 40, 2)), f"\u200e{NEW}", "not a thumbprint"]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


# --- Commands of the tool -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", SPELLED_WRONGLY, ids=["short", "long", "colons", "invisible", "words"])
def test_what_is_no_thumbprint_never_reaches_the_tool(bench: Workbench, wrong: str) -> None:
    """The tool stores whatever it is given (H-06); we refuse before the first of several is written."""
    bench.trusts(OLD).serve()
    assert "is not a thumbprint" in refused(bench, thumbprints=[FOREIGN, wrong])
    assert (bench.pins(), bench.orders()) == ([OLD], [])
    assert bench.call("configure", f"--trust={wrong}").code == 0
    assert bench.pins() == [OLD, wrong]


def test_a_command_names_its_instance_on_a_host_with_several(bench: Workbench) -> None:
    """Without a name the tool takes whichever it likes, or none (H-10, 42)."""
    bench.vendor.create("T2")
    bench.trusts(OLD).serve()
    row = bench.visit("present", NEW, by_vendor=True, restart=False, limits=Limits(lock_timeout=0.2))
    assert (row["ok"], bench.pins("T1"), bench.pins("T2")) == (True, [OLD, NEW], [])
    assert bench.vendor.call("configure", f"--trust={FOREIGN}").code == 1


def test_every_option_is_a_long_one() -> None:
    """A short one means something else for each command (H-33)."""
    server, once = VendorCli(SERVER, ["Octopus.Server"], "OctopusServer"), Secret("one-use")
    entries, wanted = trust.parse(f"[{entry_json(OLD)},{entry_json(OLD)}]"), trust.parse(f"[{entry_json(NEW)}]")
    polling = trust.parse(f"[{entry_json(OLD, 2, 'https://octopus:10943', 'poll://x/')}]")
    commands = [
        server.export_certificate("/t/c.pfx", once),
        server.new_certificate("/t/c.pfx", once),
        server.import_certificate("/t/c.pfx", once),
        writer.vendor_command(["Tentacle"], "T1", entries, wanted),
        writer.vendor_command(["Tentacle"], "T1", polling, (trust.polling_entry(polling[0], NEW),)),
    ]
    assert [option for _program, _verb, *options in commands for option in options if not option.startswith("--")] == []


def test_a_verb_that_would_take_a_registration_along_is_not_given(bench: Workbench) -> None:
    """To make one entry of two it takes all with that pin away first, the one that polls among them (H-07)."""
    by_hand = [f"--remove-trust={OLD}", f"--trust={OLD}"]
    bench.trusts(OLD, OLD, POLLING).serve()
    row = bench.visit("present", OLD, by_vendor=True)
    assert (row["code"], len(bench.pins()), bench.orders()) == ("VENDOR_CANNOT", 3, [])
    assert bench.call("configure", *by_hand).code == 0
    assert [entry["style"] for entry in bench.row()["trust"]] == ["listening"]


def test_who_only_polls_gets_its_second_pin_where_it_polls(bench: Workbench) -> None:
    """The tool's verb makes an entry for a Server that calls, which is of no use to one that is called (4)."""
    bench.trusts(POLLING).serve()
    wish = trust.Wish("present", (OLD, NEW), twin_of=OLD)
    (row,) = visit.trust_rows(bench.hands, TrustTask("T1", wish, restart=False), bench.installation)
    assert [(entry["canonical"], entry.get("address")) for entry in row["after"]] == [(OLD, POLLING.address), (NEW, POLLING.address)]
    assert bench.call("configure", f"--trust={FOREIGN}").code == 0
    assert [(entry["canonical"], entry["style"]) for entry in bench.row()["trust"]][2:] == [(FOREIGN, "listening")]


def test_an_exit_code_is_looked_behind(bench: Workbench) -> None:
    """100 is said of everything (H-21), here of a lock that is gone a moment later."""
    bench.trusts(OLD).serve()
    with bench.vendor.path().open("rb") as file:

        def lock_the_first() -> None:
            fcntl.flock(file, fcntl.LOCK_EX if len(bench.calls) == 1 else fcntl.LOCK_UN)

        bench.before_call = lock_the_first
        row = bench.visit("present", NEW, by_vendor=True)
    assert (row["ok"], bench.pins()) == (True, [OLD, NEW])
    assert bench.orders() == ["Tentacle configure", "Tentacle configure", "systemctl restart"]


def test_a_command_of_ours_that_died_between_two_steps_is_given_again(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option is a write of its own (H-34): killed after the first, the pin is gone."""
    bench.trusts(OLD, OLD, FOREIGN).serve()
    between: list[list[str]] = []
    real = bench.run

    def run(argv: Sequence[str], **given: Any) -> Completed:
        if argv[0] == "Tentacle" and not between:
            with monkeypatch.context() as patch:
                patch.setattr(os, "ftruncate", killing(os.ftruncate, 2))
                with pytest.raises(Killed):
                    real(argv, **given)
            between.append(bench.pins())
            return Completed(-9, "", "")
        return real(argv, **given)

    monkeypatch.setattr(bench, "run", run)
    row = bench.visit("present", OLD, by_vendor=True)
    assert (row["ok"], between, bench.pins()) == (True, [[FOREIGN]], [FOREIGN, OLD])


# --- The configuration file -----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_cut_after_our_write_gets_the_new_pin_back(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of somebody that is killed leaves half of it (H-15). The copy that was made before lacks the new pin."""
    bench.trusts(OLD).serve()
    real, cuts = bench.replace_if_same, [700]

    def cut_after(path: str, *given: Any) -> str:
        answer = real(path, *given)
        if not answer and cuts:
            os.truncate(path, cuts.pop())
        return answer

    monkeypatch.setattr(bench, "replace_if_same", cut_after)
    row = bench.visit("present", NEW)
    assert (row["ok"], row["code"]) == (True, "")
    assert bench.pins() == [OLD, NEW]


def test_a_look_into_the_middle_of_a_write_is_taken_again(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty, cut and *being written* look the same, and to the tool all are exit code 100 (H-42)."""
    bench.trusts(OLD).serve()
    real, path, looks = bench.read, str(bench.vendor.path()), [b"", b"<?xml "]
    monkeypatch.setattr(bench, "read", lambda asked: looks.pop() if asked == path and looks else real(asked))
    row = bench.row()
    assert (row["ok"], row["code"]) == (True, "")
    assert [entry["canonical"] for entry in row["trust"]] == [OLD]


def test_a_file_that_was_closed_to_others_stays_closed(bench: Workbench) -> None:
    """With the tool's own mode, 0644, anybody on the host can have the private key (H-16, H-39): whoever has closed the file keeps it so."""
    bench.trusts(OLD).serve()
    bench.vendor.path().chmod(0o600)
    assert bench.visit("present", NEW)["changed"]
    assert mode(bench.vendor.path()) == 0o600


def test_a_copy_of_ours_is_for_nobody_else(bench: Workbench) -> None:
    bench.trusts(OLD).serve()
    bench.vendor.path().chmod(0o644)
    assert bench.visit("present", NEW)["changed"]
    (copy,) = bench.vendor.path().parent.glob("*.bak")
    assert (mode(copy), mode(bench.vendor.path())) == (0o600, 0o644)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# --- Services -------------------------------------------------------------------------------------------------------------------------


def test_an_instance_that_is_named_as_another_service_restarts_nothing() -> None:
    """The name of an instance is that of its unit (H-26)."""
    world = World()
    tentacle = world.add("ssh", OLD)
    service = world.host.services["ssh.service"]
    world.host.services["ssh.service"] = service._replace(argv=("/usr/sbin/sshd", "-D"))
    (row,) = world.visit(trust.Wish("present", (NEW,)))
    assert (row["code"], world.orders(), len(tentacle.trust())) == ("SERVICE_UNKNOWN", [], 1)
    assert "ssh.service does not run a Tentacle" in row["reason"]


def test_a_stopped_one_is_stopped_though_its_unit_failed() -> None:
    """Ended in an orderly way it has exit code 143 or 0 at random (H-40), and 143 is a failure to systemd."""
    world = World()
    tentacle = world.add("T1", OLD)

    def fails(verb: str) -> None:
        tentacle.obey(verb)
        world.host.services[tentacle.unit] = world.host.services[tentacle.unit]._replace(state="failed")

    tentacle.obeys = fails
    (row,) = manage.tentacle_rows(world.hands, "T1", "stopped", Limits(), Installation())
    assert (row["ok"], row["changed"], row["service"]["pid"]) == (True, True, 0)
    assert instance.read_instances(world.host, "T1", Installation(), world.time.clock)[0]["service"]["active"] is False
