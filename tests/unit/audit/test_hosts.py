# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts of which little is known: each has its row, nothing is said of it that nobody told, and many of them cost no more than others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit, audited
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.compare import compare
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import DATABASE, DISK, PROCESS, WIRE, Node, Reading
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import Estate, guessed
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import InventoryHost, Record, Visit

from .estates import GHOST, OURS, World, entry, thumbprint, world

EMPTY = Visit("web-1", "ok", ())
DEAF = Visit("web-1", "unreachable", (), "Failed to connect to the host via ssh")


def rows(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in document["tentacles"]}


def findings(document: dict[str, Any], code: str = "UNREACHABLE") -> dict[str, dict[str, Any]]:
    return {finding["subject"]: finding for finding in document["findings"] if finding["code"] == code}


def without_record(visit: Visit) -> World:
    of = world()
    del of.records["web-1"]
    of.visits["web-1"] = visit
    return of


# -- a host without instances


@pytest.mark.parametrize("recorded", [True, False], ids=["with a record", "without"])
def test_host_without_instances_is_a_row_and_a_finding(recorded: bool) -> None:
    of = world() if recorded else without_record(EMPTY)
    of.visits["web-1"] = EMPTY
    document = audit(of.facts())
    assert "web-1/*" in rows(document)
    (finding,) = findings(document).values()
    assert finding["subject"] == finding["host"] == "web-1"
    assert "no Tentacle instance in its index" in finding["seen"]
    assert "octopus_machine_configuration_home" in finding["remedy"]
    assert finding["severity"] == "warning"
    assert not findings(document, "UNMANAGED_TENTACLE")
    assert "no Tentacle instance in its index" in rows(document)["web-1/*"]["sources"]["disk"]["reason"]


def test_second_name_of_a_machine_is_no_host_without_instances() -> None:
    """A stopped Tentacle is left out under the second name, and its host has one all the same."""
    of = world().instance("web-1", pid=0, started_monotonic_us=0)
    stopped = replace(of.instances["web-1"], host="alias")
    facts = of.facts()
    facts = replace(
        facts,
        hosts=(*facts.hosts, InventoryHost("alias", ("web-1",))),
        visits=(*facts.visits, Visit("alias", "ok", (stopped,))),
    )
    document = audit(facts)
    assert not [name for name in rows(document) if name.startswith("alias")]
    assert "alias" not in findings(document)


# -- guesses


@pytest.mark.parametrize("visit", [DEAF, EMPTY], ids=["unreachable", "without instances"])
def test_host_of_which_nothing_is_known_is_guessed_at_its_usual_port(visit: Visit) -> None:
    document = audit(without_record(visit).facts())
    row = rows(document)["web-1/*"]
    assert row["endpoint"] == "web-1:10933"
    assert row["presented"] == thumbprint("web-1")
    assert list(findings(document)) == ["web-1"]


def test_guess_that_nobody_answers_is_no_finding_of_its_own() -> None:
    of = without_record(DEAF).sight("web-1", presented=None, verdicts={}, reason="connection refused")
    document = audit(of.facts())
    assert list(findings(document)) == ["web-1"]
    assert document["codes"]["UNREACHABLE"]["not_judged"] == 1


@pytest.mark.parametrize("asked", [{WIRE}, {WIRE, DATABASE}, {DISK, PROCESS}, {DATABASE}], ids=lambda asked: "+".join(sorted(asked)))
def test_what_is_guessed_takes_the_wire_and_no_record(asked: set[str]) -> None:
    document = audit(without_record(DEAF).facts(asked))
    guesses = {name: row["endpoint"] for name, row in rows(document).items() if name.endswith("/*")}
    assert guesses.get("web-1/*") == ("web-1:10933" if WIRE in asked else None)
    assert ("poll-1/*" in guesses) is (asked == {WIRE})


@pytest.mark.parametrize("asked", [{WIRE, DATABASE}, {WIRE, DISK, DATABASE, PROCESS}], ids=lambda asked: "+".join(sorted(asked)))
def test_tentacle_that_is_known_under_another_address_is_guessed_at_no_second_one(asked: set[str]) -> None:
    """Records have the public address and other names, the inventory has the private address; SSH fails."""
    of = world().record("web-1", name="i-0abc", address="203.0.113.7:10933")
    of.sights["203.0.113.7:10933"] = replace(of.sights["web-1:10933"], endpoint="203.0.113.7:10933")
    of.visits["web-1"] = DEAF
    document = audit(of.facts(asked))
    assert not findings(document, "TWIN_CERT")
    assert "web-1:10933" not in {row["endpoint"] for row in rows(document).values()}
    assert ("web-1/*" in rows(document)) is (DISK in asked)


HOST = InventoryHost("web-1.example.com", ("10.0.0.1", "web-1.example.com"))


@pytest.mark.parametrize(
    ("visits", "records", "same_place"),
    [
        pytest.param([Visit(HOST.name, "ok", tuple(world().instances.values())[:1])], [], {}, id="read"),
        pytest.param([], [Record("M-1", "srv", "Default", address="10.0.0.1:10977")], {}, id="record at its address"),
        pytest.param([], [Record("M-1", "srv", "Default", address="w:10933")], {"w": "10.0.0.1"}, id="record at its place"),
        pytest.param([], [Record("M-1", "WEB-1", "Default", style="polling", subscription="abc")], {}, id="record of its name"),
    ],
)
def test_nothing_is_guessed_where_something_was_told(visits: Sequence[Visit], records: Sequence[Record], same_place: dict[str, str]) -> None:
    assert guessed([HOST], visits, records, same_place) == {}
    assert guessed([HOST], [], [], {}) == {HOST.name: "10.0.0.1:10933"}


# -- many


class Counting(str):
    """A host's name, and how often somebody looked at it."""

    looks = 0

    def lower(self) -> str:
        type(self).looks += 1
        return super().lower()

    def __eq__(self, other: object) -> bool:
        type(self).looks += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def looks_at(number: int) -> int:
    """At the hosts' names, by an audit of so many that could not be visited and as many records of other names that poll."""
    of = World()
    for index in range(number):
        of.polling(f"poll-{index}").record(f"poll-{index}", name=f"srv-{index}")
    hosts = [Counting(host) for host in of.instances]
    of.visits = {host: replace(DEAF, host=host) for host in hosts}
    Counting.looks = 0
    document = audit(of.also(hosts=tuple(InventoryHost(host, (host,)) for host in hosts)).facts())
    assert len(document["tentacles"]) == 2 * number
    return Counting.looks


def test_hosts_that_were_not_visited_are_not_gone_through_for_each_record() -> None:
    assert looks_at(80) < 3 * looks_at(40)


def test_records_that_may_be_on_any_host_share_one_list_of_them_and_name_a_few() -> None:
    of = World()
    for index in range(20):
        of.polling(f"poll-{index}").record(f"poll-{index}", name=f"srv-{index}")
    of.visits = {host: replace(DEAF, host=host) for host in of.instances}
    estate = Estate(of.facts())
    assert len({id(edge.may_be_on) for edge in estate.roster.edges}) == 1
    assert all("and 15 more" in blocker.seen for blocker in estate.roster.blockers)
    (why,) = audit(of.facts())["codes"]["UNMANAGED_TENTACLE"]["why_not"]
    assert why.startswith("20: it may be on poll-0, ")
    assert why.endswith("and 15 more, which could not be read")


def test_record_that_has_the_name_of_a_host_that_was_not_visited_may_be_there() -> None:
    of = World().polling("poll-1.example.com").polling("poll-2").record("poll-1.example.com", name="POLL-1").record("poll-2", name="srv")
    of.visits = {host: replace(DEAF, host=host) for host in of.instances}
    why_not = audit(of.facts())["codes"]["UNMANAGED_TENTACLE"]["why_not"]
    assert why_not == ["1: it may be on poll-1.example.com, which could not be read", "1: it may be on poll-2, which could not be read"]


def test_where_all_was_read_no_host_is_guessed() -> None:
    assert Estate(world().facts()).guesses == {}


def test_nobody_is_unmanaged_while_hosts_that_no_record_names_could_not_be_read() -> None:
    """Records named otherwise than their hosts, and SSH refused: any of them may be on any of these."""
    of = World().polling("poll-1").listening("web-1").listening("web-2")
    of.record("poll-1", name="SRV0815").record("web-1", address="nat.example.com:20001", name="SRV1")
    of.visits = {host: Visit(host, "unreachable", (), "ssh: no route") for host in ("poll-1", "web-1")}
    tally = audit(of.facts())["codes"]["UNMANAGED_TENTACLE"]
    assert (tally["found"], tally["not_judged"]) == (0, 2)


def test_a_record_that_nothing_unread_could_have_is_unmanaged() -> None:
    of = World().polling("poll-1").polling("poll-2").listening("web-1")
    of.instances.pop("poll-2")
    of.visits = {"web-1": Visit("web-1", "unreachable", (), "ssh: no route")}  # which its own record is on
    assert [row["subject"] for row in audit(of.facts())["findings"] if row["code"] == "UNMANAGED_TENTACLE"] == ["poll-2"]


def test_one_host_that_could_not_be_read_does_not_have_fifty_tentacles() -> None:
    of = World().listening("srv-17")
    of.records.pop("srv-17")
    for number in range(50):
        of.polling(f"gone-{number}").instances.pop(f"gone-{number}")
    of.visits = {"srv-17": DEAF}
    assert audit(of.facts())["codes"]["UNMANAGED_TENTACLE"]["found"] == 50


def test_a_host_without_a_tentacle_has_none_of_those_that_are_missed() -> None:
    of = World().listening("fresh-1").polling("gone-1")
    of.records.pop("fresh-1")
    of.instances.pop("gone-1")
    of.visits = {"fresh-1": Visit("fresh-1", "ok", ())}
    assert audit(of.facts())["codes"]["UNMANAGED_TENTACLE"]["found"] == 1


def test_what_was_found_of_a_host_that_cannot_be_read_tonight_is_not_gone() -> None:
    of = World().polling("poll-1").listening("web-1").instance("poll-1", unready=(("IDENTITY_AT_RISK", "It is missing."),))
    earlier = audit(of.facts())
    of.visits = {"poll-1": replace(DEAF, host="poll-1")}
    tonight = audited(of.facts())
    changes = compare(tonight.document, earlier, tonight.unjudged)["changes"]
    assert changes["gone"] == []
    assert {row["code"] for row in changes["not_judged"]} == {"IDENTITY_AT_RISK", "NOT_SWITCHABLE"}


def test_a_polling_tentacle_whose_host_was_left_out_is_one_row() -> None:
    of = World().polling("poll-1").listening("web-1")
    of.visits = {"poll-1": Visit("poll-1", "skipped", (), "no task of this run visited it (--limit web-1)")}
    document = audit(of.facts())
    assert [(row["id"], len(row["records"])) for row in document["tentacles"]] == [("poll-1/*", 1), ("web-1/Tentacle", 1)]
    (left_out,) = [row for row in document["findings"] if row["code"] == "UNREACHABLE"]
    assert left_out["remedy"].startswith("Audit without --limit")


def test_a_node_that_is_left_over_keeps_nothing_from_being_judged() -> None:
    of = World().listening("web-1").polling("poll-1")
    of.server = replace(of.server, nodes=(*of.server.nodes, Node("gone", None, None, Reading("not_asked", "offline, and on no host"))))
    of.instance("web-1", trust=(entry(), entry(GHOST)), pins_in_process=frozenset((OURS, GHOST)))
    document = audit(of.facts())
    assert [row["code"] for row in document["findings"]] == ["GHOST_PIN"]
    assert document["codes"]["MISSING_NODE"]["not_judged"] == 0


def test_a_name_that_cannot_be_written_is_no_end_of_the_audit() -> None:
    """Half a character in an instance's name, as a length limit leaves it."""
    of = World().listening("web-1").instance("web-1", key_copies=2)
    of.visits["web-1"] = Visit("web-1", "ok", (replace(of.instances["web-1"], name="Tentacle \ud83d"),))
    assert [row["code"] for row in audit(of.facts())["findings"]] == ["KEY_COPIES"]
