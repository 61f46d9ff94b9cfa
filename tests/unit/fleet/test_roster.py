# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How records and instances become edges (decisions 3, 9 and 17)."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import (
    KUBERNETES,
    LISTENING,
    NO_TENTACLE,
    POLLING,
    UNKNOWN,
    WEBSOCKET,
    Edge,
    InventoryHost,
    Record,
    Visit,
    address_of,
    split_address,
    style_of,
    subscription_of,
    visit_of,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import Roster, build_roster, why_not_expandable
from model.sample import NEW, OLD, THIRD, own

OURS = frozenset((OLD, NEW))


def row(
    instance: str = "Tentacle", *, pins: tuple[str, ...] = (OLD,), thumbprint: str = "", port: int = 10933, pid: int = 1, **more: Any
) -> dict[str, Any]:
    """A row as octo_instance_info returns it."""
    return {
        "instance": instance,
        "configuration": f"/etc/octopus/{instance}/tentacle.config",
        "ok": True,
        "thumbprint": thumbprint,
        "communication": "listening",
        "listening": {"enabled": True, "port": port, "ip": None},
        "trust": [{"thumbprint": pin, "canonical": pin, "style": "listening", "address": None, "subscription_id": None} for pin in pins],
        "service": {"unit": instance, "pid": pid, "started_monotonic_us": pid * 1000, "started_at": "2026-03-01 11:02"},
        "restart_pending": "no",
        "ready": {"ok": True, "reasons": []},
        **more,
    }


def entry(pin: str, style: str, address: str | None = None, subscription: str | None = None) -> dict[str, Any]:
    return {"thumbprint": pin, "canonical": pin, "style": style, "address": address, "subscription_id": subscription}


def visited(**rows: list[dict[str, Any]]) -> list[Visit]:
    return [visit_of(host.replace("_", "-"), {"instances": found}, 10.0) for host, found in rows.items()]


def rec(number: int, address: str | None, thumbprint: str | None, **more: Any) -> Record:
    return Record(id=f"Machines-{number}", name=more.pop("name", f"m{number}"), space="Default", address=address, thumbprint=thumbprint, **more)


def hosts(*names: str, **addresses: tuple[str, ...]) -> list[InventoryHost]:
    given = {name.replace("_", "-"): where for name, where in addresses.items()}
    return [InventoryHost(name, given.get(name, (name,))) for name in (*names, *given)]


def build(records: list[Record], visits: list[Visit], inventory: list[InventoryHost], **more: Any) -> Roster:
    return build_roster(records, visits, inventory, ours=OURS, **more)


def names(roster: Roster) -> list[str]:
    return [edge.name for edge in roster.edges]


def codes(roster: Roster) -> list[str]:
    return [found.code for found in roster.blockers]


def test_thumbprint_and_endpoint_agree() -> None:
    roster = build([rec(1, "web-01:10933", own("a"))], visited(web_01=[row(thumbprint=own("a"))]), hosts("web-01"))
    assert names(roster) == ["web-01/Tentacle"]
    assert roster.edges[0].identity == "web-01:10933"
    assert not roster.blockers
    assert not roster.notes


def test_a_record_by_dns_name_meets_a_host_by_address() -> None:
    where = {"web.example.com": "10.0.0.1", "10.0.0.1": "10.0.0.1"}
    roster = build(
        [rec(1, "web.example.com:10933", own("a"))], visited(web_01=[row(thumbprint=own("a"))]), hosts(web_01=("10.0.0.1",)), same_place=where
    )
    assert names(roster) == ["web-01/Tentacle"]


def test_without_a_known_address_the_wire_decides() -> None:
    """Behind a translation of addresses and ports: what is presented there is this instance's certificate, and nobody else's."""
    records = [rec(1, "nat.example.com:11001", own("a")), rec(2, "nat.example.com:11002", own("b"))]
    visits = visited(web_01=[row(thumbprint=own("a"), pid=1)], web_02=[row(thumbprint=own("b"), pid=2)])
    seen = {"nat.example.com:11001": own("b"), "nat.example.com:11002": own("a")}
    by_wire = build(records, visits, hosts("web-01", "web-02"), presented=seen)
    assert [(edge.host, edge.endpoint) for edge in by_wire.edges] == [("web-02", "nat.example.com:11001"), ("web-01", "nat.example.com:11002")]
    by_record = build(records, visits, hosts("web-01", "web-02"))
    assert [(edge.host, edge.endpoint) for edge in by_record.edges] == [("web-01", "nat.example.com:11001"), ("web-02", "nat.example.com:11002")]


def test_clones_stay_two_edges() -> None:
    records = [rec(1, "web-01:10933", own("a")), rec(2, "web-02:10933", own("a"))]
    visits = visited(web_01=[row(thumbprint=own("a"), pid=1)], web_02=[row(thumbprint=own("a"), pid=2)])
    roster = build(records, visits, hosts("web-01", "web-02"))
    assert [(edge.name, edge.endpoint) for edge in roster.edges] == [("web-01/Tentacle", "web-01:10933"), ("web-02/Tentacle", "web-02:10933")]
    assert [(note.code, note.name) for note in roster.notes] == [("TWIN_CERT", "web-01/Tentacle, web-02/Tentacle")]
    assert not roster.blockers


def test_clones_whose_addresses_are_not_known_refuse() -> None:
    records = [rec(1, "10.0.0.1:10933", own("a")), rec(2, "10.0.0.2:10933", own("a"))]
    visits = visited(web_01=[row(thumbprint=own("a"), pid=1)], web_02=[row(thumbprint=own("a"), pid=2)])
    roster = build(records, visits, hosts("web-01", "web-02"), presented={"10.0.0.1:10933": own("a"), "10.0.0.2:10933": own("a")})
    assert codes(roster) == ["AMBIGUOUS_MATCH", "AMBIGUOUS_MATCH"]
    assert "web-01/Tentacle, web-02/Tentacle" in roster.blockers[0].seen
    assert "octopus_addresses" in roster.blockers[0].remedy


def test_a_clone_that_is_in_no_inventory_is_not_taken_for_its_twin() -> None:
    records = [rec(1, "web-01:10933", own("a")), rec(2, "10.0.0.2:10933", own("a"))]
    roster = build(records, visited(web_01=[row(thumbprint=own("a"))]), hosts("web-01"), presented={"10.0.0.2:10933": own("a")})
    assert names(roster) == ["web-01/Tentacle", "m2"]
    assert codes(roster) == ["AMBIGUOUS_MATCH"]


def test_one_machine_under_two_inventory_names_is_one_edge() -> None:
    visits = visited(web_01=[row(thumbprint=own("a"), pid=7)], alias=[row(thumbprint=own("a"), pid=7)])
    roster = build([rec(1, "web-01:10933", own("a"))], visits, hosts("web-01", "alias"))
    assert names(roster) == ["web-01/Tentacle"]
    assert roster.edges[0].also_known_as == ("alias",)
    assert not roster.notes


def test_two_names_of_a_stopped_tentacle_refuse() -> None:
    """Without a process there is nothing to tell one machine from two clones by."""
    visits = visited(web_01=[row(thumbprint=own("a"), pid=0)], alias=[row(thumbprint=own("a"), pid=0)])
    roster = build([rec(1, "web:10933", own("a"))], visits, hosts(web_01=("web",), alias=("web",)))
    assert codes(roster) == ["AMBIGUOUS_MATCH"]


def test_several_records_of_one_tentacle() -> None:
    records = [rec(1, "web-01:10933", own("a")), rec(2, "web-01:10933", own("a"), kind="worker", is_disabled=True)]
    roster = build(records, visited(web_01=[row(thumbprint=own("a"))]), hosts("web-01"))
    assert names(roster) == ["web-01/Tentacle"]
    assert [record.id for record in roster.edges[0].records] == ["Machines-1", "Machines-2"]
    assert not roster.edges[0].is_disabled
    assert [note.code for note in roster.notes] == ["SEVERAL_RECORDS"]


def test_two_addresses_of_one_tentacle_are_two_edges() -> None:
    records = [rec(1, "web-01:10933", own("a")), rec(2, "web-01.example.com:10933", own("a"))]
    roster = build(records, visited(web_01=[row(thumbprint=own("a"))]), hosts(web_01=("web-01", "web-01.example.com")))
    assert names(roster) == ["web-01/Tentacle", "web-01/Tentacle (web-01.example.com:10933)"]
    assert {edge.label for edge in roster.edges} == {"web-01/Tentacle"}
    assert not roster.notes


def test_two_instances_on_one_host() -> None:
    records = [rec(1, "web-01:10933", own("a")), rec(2, "web-01:10934", own("b"))]
    visits = visited(web_01=[row(thumbprint=own("a"), pid=1), row("Second", thumbprint=own("b"), port=10934, pid=2)])
    assert names(build(records, visits, hosts("web-01"))) == ["web-01/Tentacle", "web-01/Second"]


def test_an_instance_of_another_server_is_a_stranger() -> None:
    visits = visited(web_01=[row(thumbprint=own("a"), pid=1), row("Foreign", pins=(THIRD,), thumbprint=own("b"), port=10934, pid=2)])
    roster = build([rec(1, "web-01:10933", own("a"))], visits, hosts("web-01"))
    assert names(roster) == ["web-01/Tentacle"]
    assert roster.strangers == ("web-01/Foreign",)


def test_an_instance_that_trusts_us_and_is_in_no_record_is_covered_by_the_wire() -> None:
    roster = build([], visited(web_01=[row(thumbprint=own("a"))]), hosts(web_01=("10.0.0.1",)))
    assert names(roster) == ["web-01/Tentacle"]
    assert roster.endpoints() == ("10.0.0.1:10933",)
    assert [note.code for note in roster.notes] == ["ORPHAN_TENTACLE"]


def test_a_record_on_no_host_blocks() -> None:
    roster = build([rec(88, "db-02:10933", own("z"), name="db-02")], visited(web_01=[]), hosts("web-01"))
    assert names(roster) == ["db-02"]
    assert [(found.code, found.name) for found in roster.blockers] == [("UNMANAGED_TENTACLE", "db-02")]
    assert roster.blockers[0].seen == "Machines-88 (db-02) in space Default at db-02:10933 is on no host of the inventory"
    assert roster.edges[0].identity == "db-02:10933"


def test_a_record_of_a_host_that_was_not_visited() -> None:
    visits = [visit_of("web-01", {"unreachable": True, "msg": "No route to host\nmore"}, 1.0)]
    roster = build([rec(1, "web-01:10933", own("a"))], visits, hosts("web-01"))
    assert names(roster) == ["web-01/*"]
    assert roster.unvisited == (("web-01", "No route to host"),)
    assert not roster.blockers


def test_before_any_visit_records_are_placed_by_address_alone() -> None:
    roster = build([rec(1, "web-01:10933", own("a")), rec(2, "web-01:10934", own("b"))], [], hosts("web-01", "web-02"))
    assert names(roster) == ["web-01/*", "web-01/* (web-01:10934)"]
    assert [host for host, _why in roster.unvisited] == ["web-01", "web-02"]


@pytest.mark.parametrize(
    ("record", "may_be_on"),
    [
        (rec(1, "web-01:10933", own("a")), ()),
        (rec(1, "10.0.0.7:10933", own("a")), ("app-07", "app-07-alias")),
        (rec(1, "nat:10933", own("a"), name="WEB-01"), ("web-01",)),
        (rec(1, None, own("a"), style=POLLING, subscription="abc", name="web-02"), ("web-02.example.com",)),
        (rec(1, None, own("a"), style=POLLING, subscription="abc"), ("web-01", "web-02.example.com", "app-07", "app-07-alias")),
        (rec(1, None, own("a"), style=KUBERNETES), ()),
    ],
    ids=["placed", "two-names", "by-name", "polls-by-name", "polls", "kubernetes"],
)
def test_before_a_visit_it_is_known_where_it_may_be(record: Record, may_be_on: tuple[str, ...]) -> None:
    inventory = [*hosts("web-01", "web-02.example.com", app_07=("10.0.0.7",)), InventoryHost("app-07-alias", ("10.0.0.7",))]
    assert build([record], [], inventory).edges[0].may_be_on == may_be_on


def test_it_is_not_on_a_host_that_was_visited() -> None:
    (edge,) = build([rec(1, None, own("a"), style=POLLING, subscription="abc")], visited(web_01=[]), hosts("web-01", "web-02")).edges
    assert edge.may_be_on == ("web-02",)


def test_an_unmanaged_record_says_that_it_may_be_on_a_host_that_was_not_visited() -> None:
    roster = build([rec(1, "10.0.0.1:10933", own("a"))], [], hosts("web-01"))
    assert roster.blockers[0].seen.endswith("it may be on a host that was not visited (web-01)")


def test_of_many_hosts_that_were_not_visited_a_few_are_named() -> None:
    roster = build([rec(1, "10.0.0.1:10933", own("a"))], [], hosts(*(f"app-{number}" for number in range(7))))
    assert roster.blockers[0].seen.endswith("not visited (app-0, app-1, app-2, app-3, app-4 and 2 more)")
    assert len(roster.edges[0].may_be_on) == 7


def test_where_records_of_several_names_are_one_each_is_looked_for_in_the_order_of_the_inventory() -> None:
    records = [rec(number, "nat:10933", own("a"), name=name) for number, name in enumerate(("web-02", "web-01.example.com", "app-07"))]
    roster = build(records, [], hosts("web-01.example.com", "app-08", "web-02.example.com"))
    assert roster.edges[0].may_be_on == ("web-01.example.com", "web-02.example.com")


def test_a_torn_configuration_meets_its_record_by_the_host() -> None:
    torn = {"instance": "Tentacle", "ok": False, "code": "CONFIGURATION_UNREADABLE", "reason": "it ends in the middle"}
    roster = build([rec(1, "web-01:10933", own("a"))], visited(web_01=[torn]), hosts("web-01"))
    assert names(roster) == ["web-01/Tentacle"]
    assert not roster.blockers


def test_instances_whose_visit_refused_still_meet_their_records() -> None:
    refused = {"ok": False, "code": "BUSY", "reason": "its lock is held"}
    rows = [row(thumbprint=own("a"), pid=1, **refused), row("Second", thumbprint=own("b"), port=10934, pid=2, **refused)]
    roster = build([rec(1, "web-01:10933", own("a")), rec(2, "web-01:10934", own("b"))], visited(web_01=rows), hosts("web-01"))
    assert names(roster) == ["web-01/Tentacle", "web-01/Second"]
    assert not roster.blockers


def test_a_stale_record_meets_its_instance_by_the_endpoint() -> None:
    roster = build([rec(1, "web-01:10933", own("old one"))], visited(web_01=[row(thumbprint=own("a"))]), hosts("web-01"))
    assert names(roster) == ["web-01/Tentacle"]
    assert roster.edges[0].recorded_thumbprints == {own("old one")}


def test_a_disabled_record_is_an_edge() -> None:
    roster = build([rec(1, "web-01:10933", own("a"), is_disabled=True)], visited(web_01=[row(thumbprint=own("a"))]), hosts("web-01"))
    assert roster.edges[0].is_disabled


def polling_row(pin: str = OLD, style: str = "polling", subscription: str = "poll://abc/", **more: Any) -> dict[str, Any]:
    address = "wss://octopus:443/" if style == "websocket" else "https://octopus:10943/"
    trust = [entry(pin, style, address, subscription)]
    return row(thumbprint=own("p"), communication=style, listening={"enabled": False}, trust=trust, **more)


def test_a_polling_tentacle_is_found_by_its_subscription() -> None:
    roster = build([rec(1, None, own("p"), style=POLLING, subscription="abc")], visited(poll_1=[polling_row()]), hosts("poll-1"))
    assert [(edge.name, edge.style, edge.identity) for edge in roster.edges] == [("poll-1/Tentacle", POLLING, "abc")]
    assert why_not_expandable(POLLING) is None
    assert "octopus_polling_strategy=refuse" in str(why_not_expandable(POLLING, "refuse"))


def test_two_tentacles_with_one_subscription_refuse() -> None:
    visits = visited(poll_1=[polling_row(pid=1)], poll_2=[polling_row(pid=2)])
    roster = build([rec(1, None, own("p"), style=POLLING, subscription="abc")], visits, hosts("poll-1", "poll-2"))
    assert codes(roster) == ["AMBIGUOUS_MATCH"]


def test_a_websocket_that_pins_the_web_certificate_is_listed_only() -> None:
    visits = visited(poll_1=[polling_row(THIRD, "websocket")])
    roster = build([rec(1, None, own("p"), style=POLLING, subscription="abc")], visits, hosts("poll-1"))
    assert not roster.edges
    assert [(note.code, note.name) for note in roster.notes] == [("WSS_PIN", "poll-1/Tentacle")]


def test_a_websocket_that_pins_the_old_certificate_is_an_edge_that_cannot_be_expanded() -> None:
    visits = visited(poll_1=[polling_row(OLD, "websocket")])
    roster = build([rec(1, None, own("p"), style=POLLING, subscription="abc")], visits, hosts("poll-1"))
    assert [edge.style for edge in roster.edges] == [WEBSOCKET]


def test_a_listening_tentacle_that_also_polls_us_is_two_edges() -> None:
    mixed = row(thumbprint=own("a"), trust=[entry(OLD, "listening"), entry(OLD, "polling", "https://octopus:10943/", "abc")])
    roster = build([rec(1, "web-01:10933", own("a"))], visited(web_01=[mixed]), hosts("web-01"))
    assert [(edge.name, edge.style) for edge in roster.edges] == [("web-01/Tentacle", LISTENING), ("web-01/Tentacle (abc)", POLLING)]
    assert [(note.code, note.name) for note in roster.notes] == [("ORPHAN_TENTACLE", "web-01/Tentacle")]


def test_a_polling_tentacle_that_no_record_names_is_an_edge_for_each_subscription() -> None:
    trust = [entry(OLD, "polling", "https://octopus:10943/", one) for one in ("abc", "xyz")]
    roster = build([], visited(poll_1=[row(thumbprint=own("p"), listening={"enabled": False}, trust=trust)]), hosts("poll-1"))
    assert [(edge.name, edge.style, edge.identity) for edge in roster.edges] == [
        ("poll-1/Tentacle", POLLING, "abc"),
        ("poll-1/Tentacle (xyz)", POLLING, "xyz"),
    ]


def test_a_listening_tentacle_that_polls_another_server_counts_as_listening() -> None:
    mixed = row(thumbprint=own("a"), trust=[entry(OLD, "listening"), entry(THIRD, "polling", "https://other:10943/", "xyz")])
    roster = build([rec(1, "web-01:10933", own("a"))], visited(web_01=[mixed]), hosts("web-01"))
    assert [edge.style for edge in roster.edges] == [LISTENING]


def test_kubernetes_and_unknown_styles_are_edges_and_others_are_listed() -> None:
    records = [rec(1, None, own("k"), style=KUBERNETES, name="k8s-prod"), rec(2, None, None, style=UNKNOWN), rec(3, None, None, style=NO_TENTACLE)]
    roster = build(records, [], [])
    assert names(roster) == ["k8s-prod", "m2"]
    assert [record.id for record in roster.not_edges] == ["Machines-3"]
    assert not roster.blockers, "the formula refuses the switch for them; the roster only lists them"
    assert all(why_not_expandable(edge.style) for edge in roster.edges)


def test_the_digest_names_the_edges_and_not_their_order() -> None:
    records = [rec(1, "web-01:10933", own("a")), rec(2, "web-02:10933", own("b"))]
    visits = visited(web_01=[row(thumbprint=own("a"), pid=1)], web_02=[row(thumbprint=own("b"), pid=2)])
    one = build(records, visits, hosts("web-01", "web-02"))
    other = build(records[::-1], visits, hosts("web-02", "web-01"))
    assert one.digest() == other.digest()
    assert one.digest() != build(records[:1], visits, hosts("web-01", "web-02")).digest()


@pytest.mark.parametrize(
    ("communication_style", "style"),
    [
        ("TentaclePassive", LISTENING),
        ("TentacleActive", POLLING),
        ("KubernetesTentacle", KUBERNETES),
        ("Ssh", NO_TENTACLE),
        ("AzureWebApp", NO_TENTACLE),
        ("SomethingNew", UNKNOWN),
    ],
)
def test_styles(communication_style: str, style: str) -> None:
    assert style_of(communication_style) == style


def test_spellings_of_addresses_and_subscriptions() -> None:
    assert address_of("Web-01", 10933) == "web-01:10933"
    assert address_of("fe80::1", 10933) == "[fe80::1]:10933"
    assert split_address("[fe80::1]:10933") == ("fe80::1", 10933)
    assert subscription_of("poll://ABC/") == subscription_of("abc") == "abc"


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        (None, "skipped", "no task of this run visited it"),
        ({"skipped": True}, "skipped", "no task of this run visited it"),
        ({"unreachable": True, "msg": "timed out"}, "unreachable", "timed out"),
        ({"failed": True, "msg": "Refused: ...\nsecond line"}, "failed", "Refused: ..."),
        ({"failed": True, "msg": "1 of 2 instances", "instances": [{"instance": "Tentacle", "ok": True}]}, "ok", "1 of 2 instances"),
        ({"instances": []}, "ok", ""),
    ],
)
def test_visits(result: dict[str, Any] | None, outcome: str, reason: str) -> None:
    visit = visit_of("web-01", result, 1.0)
    assert (visit.outcome, visit.reason) == (outcome, reason)


def test_an_edge_without_host_and_address_is_named_by_its_record() -> None:
    assert Edge("", "", KUBERNETES, records=(rec(5, None, None, name="k8s"),)).identity == "Machines-5"
