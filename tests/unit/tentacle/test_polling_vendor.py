# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Twins beside the vendor's tool: it reads them, ends them, and would double them; and what it can do of them itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Wish
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.visit import Limits
from lab.tentacle.trust import Style, TrustEntry
from unit.tentacle.doubles import FOREIGN, NEW, OLD
from unit.tentacle.workbench import Workbench

NODE_1, NODE_2 = "https://node-1:10943", "https://node-2:10943"
ME = "poll://bcdefghjklmnpqrstuvw/"
ADD = Wish("present", (OLD, NEW), twin_of=OLD)
REPLACE = ADD._replace(polling="replace")
ABSENT = Wish("absent", (OLD,))
RESTART = "systemctl restart"


def polls(pin: str, address: str = NODE_1) -> TrustEntry:
    return TrustEntry(pin, Style.TentacleActive, address, None, ME)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """It polls two nodes and listens to nobody."""
    bench = Workbench(tmp_path)
    assert bench.call("configure", "--noListen=True").code == 0
    bench.servers = {NODE_1: OLD, NODE_2: OLD}
    return bench.trusts(polls(OLD), polls(OLD, NODE_2)).serve()


def trusted(bench: Workbench) -> list[tuple[str, str | None, str | None]]:
    return [(entry.thumbprint, entry.address, entry.subscription_id) for entry in bench.vendor.configuration().trusted_servers]


TWINS = [(OLD, NODE_1, ME), (OLD, NODE_2, ME), (NEW, NODE_1, ME), (NEW, NODE_2, ME)]


def test_the_tool_shows_what_we_have_written(bench: Workbench) -> None:
    before = bench.vendor.path().read_bytes()
    row = bench.wish(ADD)
    assert (row["ok"], row["proven"]["polls"], trusted(bench)) == (True, {"met": 4, "of": 4}, TWINS)
    shown = json.loads(bench.call("show-configuration").stdout)["Tentacle"]["Communication"]["TrustedOctopusServers"]
    assert [(entry["Thumbprint"], entry["Address"], entry["SubscriptionId"]) for entry in shown] == TWINS
    after = bench.vendor.path().read_bytes()
    assert [line for line in after.splitlines() if b"TrustedOctopusServers" not in line] == [
        line for line in before.splitlines() if b"TrustedOctopusServers" not in line
    ]
    assert bench.call("configure", f"--trust={FOREIGN}", f"--remove-trust={FOREIGN}").code == 0


def test_the_tool_ends_the_overlap_as_we_do(bench: Workbench) -> None:
    bench.wish(ADD)
    copy = bench.vendor.path().read_bytes()
    assert bench.call("configure", f"--remove-trust={OLD}").code == 0
    theirs = bench.vendor.path().read_bytes()
    bench.vendor.path().write_bytes(copy)
    assert bench.wish(ABSENT)["ok"]
    assert bench.vendor.path().read_bytes() == theirs
    assert trusted(bench) == TWINS[2:]


def test_the_tool_would_double_what_stands_side_by_side(bench: Workbench) -> None:
    """Which is why nothing of ours uses that verb there: its other commands fail from then on, until somebody repairs it in one write."""
    bench.wish(ADD)
    assert bench.call("update-trust", f"--oldThumbprint={OLD}", f"--newThumbprint={NEW}").code == 0
    assert [pin for pin, _address, _subscription in trusted(bench)] == [NEW] * 4
    comms = ["server-comms", f"--thumbprint={NEW}", "--style=TentacleActive", "--host=node-1"]
    assert bench.call(*comms).code == 100
    row = bench.wish(Wish("present", (NEW,), twin_of=OLD))
    assert (row["code"], trusted(bench)) == ("RESTART_DROPS_PIN", TWINS[2:] * 2)  # the process still has OLD
    assert bench.wish(ADD)["ok"]
    assert trusted(bench) == TWINS[2:] + TWINS[:2]
    assert bench.call(*comms).code == 0


def test_a_second_subscription_of_the_tools_making_is_named(bench: Workbench) -> None:
    """It has no other way to a second entry, and its new subscription is one that no Server knows (measured-tentacle.md 5)."""
    bench.call("configure", f"--trust={NEW}")
    bench.call("server-comms", f"--thumbprint={NEW}", "--style=TentacleActive", "--host=node-1")
    bench.serve()
    row = bench.wish(ADD)
    assert (row["code"], bench.orders(), ME.rstrip("/") in row["reason"]) == ("TWO_SUBSCRIPTIONS", [], True)
    assert bench.call("configure", f"--remove-trust={NEW}").code == 0
    assert bench.wish(ADD)["code"] == "RESTART_DROPS_PIN"  # somebody's loop until somebody restarts it
    bench.serve()
    assert bench.wish(ADD)["ok"]
    assert trusted(bench) == TWINS


@pytest.mark.parametrize("check", [False, True], ids=["act", "check"])
def test_the_tool_cannot_make_a_twin(bench: Workbench, check: bool) -> None:
    row = bench.wish(ADD, by_vendor=True, limits=Limits(check=check))
    assert (row["ok"], row["code"], row["changed"], bench.orders()) == (False, "VENDOR_CANNOT", False, [])
    assert "polling=replace" in row["reason"]


def test_the_tool_can_replace(bench: Workbench) -> None:
    row = bench.wish(REPLACE, by_vendor=True)
    assert (row["ok"], bench.orders(), trusted(bench)) == (True, ["Tentacle update-trust", RESTART], TWINS[2:])
    assert row["proven"]["polls"] == {"met": 2, "of": 2}
    bench.calls.clear()
    assert not bench.wish(REPLACE, by_vendor=True)["changed"]
    assert bench.orders() == []


@pytest.mark.parametrize(
    "beside",
    [[polls(NEW)], [polls(NEW, NODE_1 + "/")], [TrustEntry(OLD)], [TrustEntry(OLD.lower())]],
    ids=["both", "slash", "listening", "lower"],
)
def test_the_tool_may_not_replace_where_it_would_do_more(bench: Workbench, beside: list[TrustEntry]) -> None:
    bench.trusts(polls(OLD), polls(OLD, NODE_2), *beside).serve()
    before = trusted(bench)
    row = bench.wish(REPLACE, by_vendor=True)
    assert (row["code"], bench.orders(), trusted(bench)) == ("VENDOR_CANNOT", [], before)


def test_beside_a_foreign_pin_for_listening_the_tool_takes_two_steps(bench: Workbench) -> None:
    bench.trusts(polls(OLD), TrustEntry(FOREIGN)).serve()
    row = bench.wish(Wish("present", (NEW,), twin_of=OLD, polling="replace"), by_vendor=True)
    assert (row["ok"], bench.orders()) == (True, ["Tentacle update-trust", "Tentacle configure", RESTART])
    assert trusted(bench) == [(NEW, NODE_1, ME), (FOREIGN, None, None), (NEW, None, None)]


def test_the_tool_can_remove_what_has_its_twin(bench: Workbench) -> None:
    bench.wish(ADD)
    bench.servers = {NODE_1: NEW, NODE_2: NEW}
    bench.calls.clear()
    row = bench.wish(ABSENT, by_vendor=True)
    assert (row["ok"], bench.orders(), trusted(bench)) == (True, ["Tentacle configure", RESTART], TWINS[2:])


def test_the_tool_may_not_take_along_what_is_to_stay(bench: Workbench) -> None:
    """To repair two equal pins for listening it removes both, and with them whatever polls under that pin (H-07)."""
    bench.trusts(TrustEntry(NEW), TrustEntry(NEW), polls(NEW)).serve()
    before = trusted(bench)
    row = bench.visit("present", NEW, by_vendor=True)
    assert (row["code"], bench.orders(), trusted(bench)) == ("VENDOR_CANNOT", [], before)
    assert bench.visit("present", NEW)["ok"]
    assert trusted(bench) == [(NEW, NODE_1, ME), (NEW, None, None)]
