# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every code found where it is and not one step below; nothing judged of what was not read; a lie named (design/audit.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, combinations
from typing import Any, NamedTuple

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import (
    SOURCES,
    CertificateSeen,
    Node,
    PolicySeen,
    Reading,
    Server,
    Unread,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import (
    KUBERNETES,
    NO_TENTACLE,
    WEBSOCKET,
    InventoryHost,
    Poll,
    TrustEntry,
    Visit,
)

from .estates import GHOST, NODES, OURS, RETIRED, THEIRS, WHOLE, World, entry, polling_entry, thumbprint, world

UNREAD = Reading("not_read", "connection refused")
SUBSETS = [frozenset(some) for some in chain.from_iterable(combinations(SOURCES, size) for size in range(5))]


def found(of: World, asked: frozenset[str] = frozenset(SOURCES), keys: bool = True) -> set[tuple[str, str]]:
    return {(finding["code"], finding["subject"]) for finding in audit(of.facts(asked, keys))["findings"]}


class Case(NamedTuple):
    """One fact spoilt: the findings that it makes, and the sources without which the first of them is not judged."""

    name: str
    spoil: Callable[[World], object]
    expected: tuple[tuple[str, str], ...]
    needs: tuple[frozenset[str], ...]  # any one of these sets is enough for the first finding


def case(name: str, spoil: Callable[[World], object], *expected: tuple[str, str], needs: str = "") -> Case:
    """``needs``: alternatives, "wire+process or disk"."""
    sets = tuple(frozenset(one.strip().split("+")) for one in needs.split(" or ")) if needs else (frozenset(),)
    return Case(name, spoil, expected, sets)


WEB, POLL = "web-1/Tentacle", "poll-1/Tentacle"


def _trust(host: str, *entries: TrustEntry) -> Callable[[World], object]:
    """On disk and in the process, as after a restart."""

    def spoil(of: World) -> None:
        pins = frozenset(one.canonical for one in entries if one.canonical)
        polls = tuple(
            Poll((one.address or "").rstrip("/").lower(), one.subscription, _matching(one), frozenset(("started",))) for one in entries if one.address
        )
        of.instance(host, trust=entries, pins_in_process=pins, polls=polls)

    return spoil


def _matching(one: TrustEntry) -> str | None:
    return one.canonical if one.spelled == one.canonical else None


def _both(*spoils: Callable[[World], object]) -> Callable[[World], object]:
    return lambda of: [spoil(of) for spoil in spoils]


def _on_record(name: str, **changes: object) -> Callable[[World], object]:
    return lambda of: of.record(name, **changes)


def _another_record(of: World) -> None:
    of.records["again"] = replace(of.records["web-1"], id="Machines-77", name="again", space="Ops")


def _unmanaged(of: World) -> None:
    of.instances.pop("poll-2")


def _foreign(of: World) -> None:
    _trust("web-2", entry(THEIRS))(of)
    of.records.pop("web-2")
    of.sight("web-2", verdicts={"random": "refused", "none": "refused", OURS: "refused"})


def _twin(of: World) -> None:
    own = thumbprint("web-1")
    of.instance("web-2", thumbprint=own).record("web-2", thumbprint=own).sight("web-2", presented=own)


def _websocket(of: World) -> None:
    wss = TrustEntry(GHOST, GHOST, WEBSOCKET, "wss://octopus.example.com:443/OctopusComms", "sub-poll-1")
    of.instance("poll-1", trust=(wss,), pins_in_process=frozenset((GHOST,)), polls=(), communication=WEBSOCKET)


CASES = [
    case(
        "refused on the wire, for want of a restart",
        lambda of: of.says("web-1", ours="refused").instance(
            "web-1", pins_in_process=frozenset((GHOST,)), restart_pending="yes", newer_than_process=True
        ),
        ("LOCKED_OUT", WEB),
        ("RESTART_PENDING", WEB),
        needs="wire+database or wire+disk or wire+process",
    ),
    case(
        "not on disk",
        lambda of: of.instance("web-1", trust=(entry(THEIRS),), restart_pending="yes", newer_than_process=True),
        ("LOCKED_OUT_AFTER_RESTART", WEB),
        ("RESTART_PENDING", WEB),
        needs="disk+database",  # else it is taken for one of the Server that it trusts
    ),
    case(
        "not on disk, which has a pin of nobody",
        lambda of: of.instance("web-1", trust=(entry(GHOST),), restart_pending="yes", newer_than_process=True),
        ("LOCKED_OUT_AFTER_RESTART", WEB),
        ("RESTART_PENDING", WEB),
        ("GHOST_PIN", WEB),
        needs="disk+wire or disk+database",
    ),
    case(
        "a polling one, an old pin for one node",
        _trust("poll-1", polling_entry(NODES[0], "sub-poll-1"), polling_entry(NODES[1], "sub-poll-1", THEIRS)),
        ("LOCKED_OUT_AFTER_RESTART", POLL),
        ("LOCKED_OUT", POLL),
        needs="disk+wire or disk+database",
    ),
    case("random let in", lambda of: of.says("web-1", random="accepted"), ("UNCHECKED_TRUST", WEB), needs="wire"),
    case("nobody let in", lambda of: of.says("web-1", none="accepted"), ("UNCHECKED_TRUST", WEB), needs="wire"),
    case(
        "a retired certificate is presented",
        lambda of: of.__setattr__("known", (Server("dr", (Node("dr-1", "dr:10943", RETIRED, WHOLE),)),)),
        ("OLD_KEY_IN_USE", "dr (dr-1)"),
        needs="wire",
    ),
    case(
        "two Servers, one certificate",
        lambda of: of.__setattr__("known", (Server("dr", (Node("dr-1", "dr:10943", OURS, WHOLE),)),)),
        ("SHARED_PIN", OURS),
        needs="wire",
    ),
    case("a clone", _twin, ("TWIN_CERT", thumbprint("web-1")), needs="wire or disk"),
    case("readable by all", lambda of: of.instance("web-1", readable_by_others=True), ("KEY_EXPOSED", "all Tentacles"), needs="disk"),
    case("a stale record", _on_record("web-1", thumbprint=GHOST), ("STALE_RECORD", WEB), needs="database+wire or database+disk"),
    case("a stale record of a polling one", _on_record("poll-1", thumbprint=GHOST), ("STALE_RECORD", POLL), needs="database+disk"),
    case(
        "changed and not restarted",
        lambda of: of.instance("poll-1", restart_pending="probably", newer_than_process=True),
        ("RESTART_PENDING", POLL),
        needs="process",
    ),
    case(
        "its own certificate changed and not restarted",
        lambda of: of.instance("web-1", thumbprint=GHOST, newer_than_process=True),
        ("RESTART_PENDING", WEB),
        needs="process or wire+disk",
    ),
    case("a pin of nobody", _trust("web-1", entry(), entry(GHOST)), ("GHOST_PIN", WEB), needs="disk+wire"),
    case("a pin that is retired", _trust("web-1", entry(), entry(RETIRED)), ("GHOST_PIN", WEB), needs="disk+wire"),
    case("one node only", _trust("poll-1", polling_entry(NODES[0], "sub-poll-1")), ("MISSING_NODE", POLL), needs="disk"),
    case("twice in one place", _trust("web-1", entry(), entry()), ("DUPLICATE_ENTRY", WEB), needs="disk"),
    case(
        "twice at one node",
        _trust("poll-1", *(polling_entry(node, "sub-poll-1") for node in (*NODES, NODES[0]))),
        ("DUPLICATE_ENTRY", POLL),
        needs="disk",
    ),
    case("lower case", _trust("web-1", entry(OURS, OURS.lower())), ("NON_CANONICAL", WEB), needs="disk"),
    case(
        "lower case when polling",
        _trust("poll-1", polling_entry(NODES[0], "sub-poll-1"), replace(polling_entry(NODES[1], "sub-poll-1"), spelled=OURS.lower())),
        ("NON_CANONICAL", POLL),
        ("LOCKED_OUT_AFTER_RESTART", POLL),
        ("LOCKED_OUT", POLL),
        needs="disk",
    ),
    case(
        "lower case wherever it polls",
        _trust("poll-1", *(replace(polling_entry(node, "sub-poll-1"), spelled=OURS.lower()) for node in NODES)),
        ("LOCKED_OUT", POLL),
        ("NON_CANONICAL", POLL),
        ("LOCKED_OUT_AFTER_RESTART", POLL),
        needs="wire+process",
    ),
    case(
        "a character that nobody sees",
        _trust("web-1", entry(), replace(entry(), spelled="\u200e" + THEIRS, canonical=None)),
        ("NON_CANONICAL", WEB),
        needs="disk",
    ),
    case("no thumbprint", _trust("web-1", entry(), TrustEntry("", None)), ("BLANK_PIN", WEB), needs="disk"),
    case(
        "no certificate in the configuration",
        lambda of: of.instance("web-1", thumbprint=None, unready=(("IDENTITY_AT_RISK", "it has no certificate."),)),
        ("IDENTITY_AT_RISK", WEB),
        ("NOT_SWITCHABLE", WEB),
        needs="disk",
    ),
    case(
        "it would not start again",
        lambda of: of.instance("web-1", unready=(("MACHINE_ID_CHANGED", "it cannot be opened."),)),
        ("DOWN_AFTER_RESTART", WEB),
        ("NOT_SWITCHABLE", WEB),
        needs="disk",
    ),
    case("two keys", lambda of: of.instance("web-1", key_copies=2), ("KEY_COPIES", WEB), needs="disk"),
    case(
        "SHA-1 on the wire",
        lambda of: of.add_certificate(thumbprint("web-1"), "sha1RSA"),
        ("WEAK_CERT", WEB),
        needs="wire",
    ),
    case(
        "1024 bits",
        lambda of: of.add_certificate(thumbprint("web-1"), bits=1024),
        ("WEAK_CERT", WEB),
        needs="wire",
    ),
    case("SHA-1 on record", _on_record("poll-1", signature_algorithm="sha1RSA"), ("WEAK_CERT", POLL), needs="database"),
    case("a weak Server certificate", lambda of: of.add_certificate(OURS, "sha1RSA"), ("WEAK_CERT", "node-1"), ("WEAK_CERT", "node-2"), needs="wire"),
    case("disabled", _on_record("web-1", is_disabled=True), ("RECORD_DISABLED", WEB), needs="database"),
    case("unhealthy", _on_record("web-1", health_status="Unhealthy"), ("RECORD_UNHEALTHY", WEB), needs="database"),
    case("unavailable", _on_record("web-1", health_status="Unavailable"), ("RECORD_UNHEALTHY", WEB), needs="database"),
    case("two records", _another_record, ("SEVERAL_RECORDS", WEB), needs="database"),
    case("in no record", lambda of: of.records.pop("web-1"), ("ORPHAN_TENTACLE", WEB), needs="database+disk"),
    case("on no host", _unmanaged, ("UNMANAGED_TENTACLE", "poll-2"), needs="database+disk or database+process"),
    case("over a WebSocket", _both(_websocket, _on_record("poll-1", style="polling")), ("WSS_PIN", POLL), needs="disk"),
    case(
        "an SSH target",
        lambda of: of.records.update(ssh=replace(of.records["web-1"], id="m9", name="ssh-9", style=NO_TENTACLE, thumbprint=None, address=None)),
        ("NOT_COVERED", "ssh-9"),
        needs="database",
    ),
    case(
        "a Kubernetes agent",
        lambda of: of.records.update(k=replace(of.records["poll-1"], id="m8", name="k8s", style=KUBERNETES, subscription="sub-k8s")),
        ("NOT_COVERED", "k8s"),
        ("NOT_SWITCHABLE", "k8s"),
        needs="database",
    ),
    case(
        "its service is stopped",
        lambda of: of.instance("web-1", unready=(("SERVICE_STOPPED", "not running."),)),
        ("NOT_SWITCHABLE", WEB),
        needs="disk",
    ),
    case(
        "nobody answers",
        lambda of: of.sight("web-1", presented=None, reason="connection refused"),
        ("UNREACHABLE", WEB),
        needs="wire+database or wire+disk or wire+process",
    ),
    case(
        "SSH refuses",
        lambda of: of.visits.update({"web-1": Visit("web-1", "unreachable", reason="Permission denied")}),
        ("UNREACHABLE", "web-1"),
        needs="disk or process",
    ),
    case("a node is down", lambda of: of.node(2, presented=None, reading=UNREAD), ("UNREACHABLE", "node-2"), needs="wire"),
    case(
        "a policy that deletes",
        lambda of: of.__setattr__("policies", (PolicySeen("p1", "Quick", "Default", 3600.0),)),
        ("DELETION_RISK", "Quick (Default)"),
        needs="database",
    ),
]

NEAR_MISSES = [
    case("its Server is another, which is known", _foreign),
    case("a foreign pin beside ours", _trust("web-1", entry(), entry(THEIRS))),
    case("a retired certificate that nobody presents or pins", lambda of: of.__setattr__("retired", frozenset((RETIRED, GHOST)))),
    case("a policy that deletes a second later", lambda of: of.__setattr__("policies", (PolicySeen("p1", "Slow", "Default", 3601.0),))),
    case("a policy that nobody has", lambda of: of.__setattr__("policies", (PolicySeen("p9", "Unused", "Default", 60.0),))),
    case("warnings are health", _on_record("web-1", health_status="HasWarnings")),
    case("2048 bits, SHA-512", lambda of: of.add_certificate(thumbprint("web-1"), "sha512RSA")),
    case("an EC key of 256 bits", lambda of: of.add_certificate(thumbprint("web-1"), "sha256ECDSA", "EC", 256)),
    case("the same pin at two addresses", _trust("poll-1", *(polling_entry(node, "sub-poll-1") for node in NODES))),
    case(
        "an address in another spelling", _trust("poll-1", *(replace(polling_entry(node, "sub-poll-1"), address=f"HTTPS://{node}") for node in NODES))
    ),
    case("two records of two Tentacles with one name", lambda of: of.record("web-2", name="web-1", space="Ops")),
]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_found_where_it_is(one: Case) -> None:
    of = world()
    one.spoil(of)
    assert found(of) == set(one.expected)


@pytest.mark.parametrize("one", NEAR_MISSES, ids=lambda one: one.name)
def test_nothing_one_step_below(one: Case) -> None:
    of = world()
    one.spoil(of)
    assert found(of) == set()


def test_every_code_is_found_by_a_case() -> None:
    covered = {code for one in CASES for code, _subject in one.expected}
    assert set(CODES) - covered == {"SOURCES_DISAGREE", "AMBIGUOUS_MATCH", "ACCEPTANCE_EXPIRED"}  # below, and in test_accept.py


def test_a_clean_estate_has_no_finding_and_all_is_fine() -> None:
    document = audit(world().facts())
    assert document["findings"] == []
    assert document["counts"]["fine"] == document["counts"]["tentacles"] == 4


@pytest.mark.parametrize("asked", SUBSETS, ids=lambda asked: "+".join(sorted(asked)) or "none")
@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_a_code_without_its_sources_is_not_judged(one: Case, asked: frozenset[str]) -> None:
    """With them it is found, as with all four; without them it is neither found nor called fine."""
    of = world()
    one.spoil(of)
    code, subject = one.expected[0]
    document = audit(of.facts(asked))
    enough = any(needs <= asked for needs in one.needs)
    names = {
        subject,
        subject.replace("/Tentacle", "/*"),
        subject.partition("/")[0],
    }  # which instances a host has is not known without disk and process
    assert any((row["code"], row["subject"]) == (code, name) for row in document["findings"] for name in names) == enough
    if not enough and any(row["id"] in names for row in document["tentacles"]):
        assert document["codes"][code]["not_judged"] > 0 or document["codes"][code]["judged"] < audit(of.facts())["codes"][code]["judged"]


@pytest.mark.parametrize("asked", SUBSETS, ids=lambda asked: "+".join(sorted(asked)) or "none")
def test_no_colour_without_a_source_and_never_fine_unread(asked: frozenset[str]) -> None:
    document = audit(world().facts(asked))
    assert document["findings"] == []
    for row in document["tentacles"]:
        for cell in row["cells"].values():
            said = {cell[source] for source in ("wire", "disk", "process")} - {"not_read", "unknown"}
            assert bool(said) == (cell["state"] != "not_read")
        if row["severity"] == "fine":
            states = [row["cells"][OURS]["state"], row["identity"]]
            assert states[0] == "trusted"
            assert states[1] in ("agrees", "single")
    for source in SOURCES:
        assert document["sources"][source]["asked"] == (source in asked)
        assert source in asked or document["sources"][source]["read"] == 0
    if not asked & {"wire", "disk", "process"}:
        assert document["counts"]["fine"] == 0


@pytest.mark.parametrize("asked", SUBSETS, ids=lambda asked: "+".join(sorted(asked)) or "none")
@pytest.mark.parametrize("known", [True, False], ids=["known", "not given"])
def test_a_second_server_is_no_finding(known: bool, asked: frozenset[str]) -> None:
    of = world()
    _foreign(of)
    if not known:
        of.known = None
    assert found(of, asked) == set()
    if not known:
        codes = audit(of.facts(asked))["codes"]
        assert codes["GHOST_PIN"]["judged"] == codes["SHARED_PIN"]["judged"] == 0


def test_without_the_retired_ones_an_old_key_is_not_judged() -> None:
    of = world()
    of.retired = None
    tally = audit(of.facts())["codes"]["OLD_KEY_IN_USE"]
    assert (tally["judged"], tally["why_not"]) == (0, ["1: octopus_retired_thumbprints is not given"])


def test_in_identity_mode_nobody_is_called_open_or_closed() -> None:
    document = audit(world().facts(("wire", "database"), keys=False))
    assert document["sources"]["wire"]["mode"] == "identity"
    assert document["codes"]["UNCHECKED_TRUST"]["judged"] == document["codes"]["LOCKED_OUT"]["judged"] == 0
    assert {row["cells"][OURS]["state"] for row in document["tentacles"]} == {"not_read"}
    assert document["counts"]["fine"] == 0


def _one_file_for_two(of: World) -> None:
    """web-1 has a second instance whose entry of the index names the first one's file; the Server has both on record."""
    first = of.instances["web-1"]
    second = replace(first, name="Second", pid=first.pid + 1, started_monotonic_us=first.started_monotonic_us + 1)
    of.visits["web-1"] = Visit("web-1", "ok", (first, second))
    of.records["second"] = replace(of.records["web-1"], id="Machines-2nd", name="second", address="web-1:10934", thumbprint=GHOST)
    of.sights["web-1:10934"] = replace(of.sights["web-1:10933"], endpoint="web-1:10934", presented=GHOST)


LIES: list[tuple[str, Callable[[World], object], str]] = [
    ("wire: a proxy presents a certificate of its own", lambda of: of.sight("web-1", presented=GHOST), WEB),
    ("wire: a proxy refuses everybody", lambda of: of.says("web-1", ours="refused"), WEB),
    (
        "wire: a proxy that behaves as no Tentacle does",
        lambda of: of.sight("web-1", presented=GHOST, verdicts={}, reason="closed politely without a word"),
        WEB,
    ),
    ("disk: another instance was read", lambda of: of.instance("web-1", thumbprint=GHOST, trust=(entry(THEIRS),), pins_in_process=None), WEB),
    ("disk: the index gives one file to two instances", _one_file_for_two, "web-1/Second"),
    ("process: touched without a change", lambda of: of.instance("web-1", newer_than_process=True), WEB),
    ("process: a change with its old time", lambda of: of.instance("web-1", restart_pending="yes"), WEB),
    ("process: a clock moved", lambda of: of.instance("web-1", trust=(entry(), entry(THEIRS)), thumbprint=GHOST), WEB),
    ("database: changed, and the nodes not restarted", lambda of: of.__setattr__("server", replace(of.server, database=GHOST)), "node-1"),
]


@pytest.mark.parametrize(("name", "spoil", "subject"), LIES, ids=[lie[0] for lie in LIES])
def test_a_lie_is_named_as_a_disagreement(name: str, spoil: Callable[[World], object], subject: str) -> None:
    of = world()
    spoil(of)
    document = audit(of.facts())
    assert ("SOURCES_DISAGREE", subject) in {(row["code"], row["subject"]) for row in document["findings"]}
    row: dict[str, Any] | None = next((row for row in document["tentacles"] if row["id"] == subject), None)
    assert row is None or row["severity"] != "fine"


def test_what_the_database_holds_and_nobody_pins_is_a_lock_out_to_come() -> None:
    of = world()
    of.server = replace(of.server, database=GHOST)
    expected = {("LOCKED_OUT_AFTER_RESTART", f"{host}/Tentacle") for host in of.instances} | {("SOURCES_DISAGREE", f"node-{n}") for n in (1, 2)}
    assert found(of) == expected


def test_a_space_that_the_key_does_not_see_makes_no_orphans() -> None:
    of = world()
    of.records.pop("web-1")
    of.also(unseen_spaces=(("Ops", "the API key does not see it"),))
    document = audit(of.facts())
    assert [(row["code"], row["subject"]) for row in document["findings"]] == [("UNREACHABLE", "space Ops")]
    assert document["codes"]["ORPHAN_TENTACLE"]["not_judged"] == 1


def test_policies_that_are_denied_are_a_finding_and_no_reason_to_call_them_harmless() -> None:
    of = world()
    of.also(unread=(Unread("Ops", "machine policies", "the key may not see the machine policies of space Ops (403)"),))
    document = audit(of.facts())
    assert [(row["code"], row["subject"]) for row in document["findings"]] == [("UNREACHABLE", "space Ops")]
    assert "the machine policies of space Ops were not read" in document["findings"][0]["seen"]
    assert document["codes"]["DELETION_RISK"]["why_not"] == ["1: database: the machine policies of space Ops were not read"]


def test_a_source_that_fails_as_a_whole_is_one_finding() -> None:
    of = world()
    of.also(sources={"database": Reading("not_read", "no answer within 30 s")}, records=(), policies=())
    document = audit(of.facts())
    assert [(row["code"], row["subject"], row["seen"]) for row in document["findings"]] == [
        ("UNREACHABLE", "source database", "database: no answer within 30 s")
    ]
    assert document["codes"]["STALE_RECORD"]["judged"] == 0


def test_the_id_of_a_finding_stays() -> None:
    first, second = (audit(world().instance("web-1", key_copies=copies).facts())["findings"][0] for copies in (2, 3))
    assert first["id"] == second["id"]
    assert first["seen"] != second["seen"]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_sentences_are_whole(one: Case) -> None:
    """A remedy has all its values, and what was seen ends as a sentence does."""
    of = world()
    one.spoil(of)
    for finding in audit(of.facts())["findings"]:
        assert "<" not in finding["remedy"].replace("<configuration>", "").replace("<host>", ""), finding
        assert not any(brace in finding["remedy"] + finding["seen"] for brace in "{}")
        assert finding["seen"].strip()


def test_what_is_so_everywhere_marks_no_row() -> None:
    of = world()
    for host in of.instances:
        of.instance(host, readable_by_others=True)
    document = audit(of.facts())
    assert [(row["code"], row["count"]) for row in document["findings"]] == [("KEY_EXPOSED", 4)]
    assert document["counts"]["fine"] == 4


def test_a_file_that_two_instances_have_makes_no_clone_no_orphan_and_nobody_unmanaged() -> None:
    of = world()
    _one_file_for_two(of)
    assert {code for code, _subject in found(of)} == {"SOURCES_DISAGREE", "AMBIGUOUS_MATCH"}


def finding(of: World, code: str, subject: str) -> dict[str, Any]:
    return next(row for row in audit(of.facts())["findings"] if (row["code"], row["subject"]) == (code, subject))


def test_a_certificate_that_awaits_its_restart_is_not_restarted_into_a_refusal() -> None:
    """Made anew and not restarted: the Server still has the old one on record, so a restart alone would cut it off (polling and listening)."""
    for host in ("web-1", "poll-1"):
        of = world().instance(host, thumbprint=GHOST, newer_than_process=True)
        pending = finding(of, "RESTART_PENDING", f"{host}/Tentacle")
        assert pending["remedy"].startswith(f"Do not restart it before Machines-{host} ({host}) in space Default has {GHOST} on the Server")
        assert ("STALE_RECORD", f"{host}/Tentacle") not in found(of)


def test_a_record_that_is_ahead_of_its_tentacle_is_met_by_a_restart() -> None:
    of = world().instance("web-1", thumbprint=GHOST, newer_than_process=True).record("web-1", thumbprint=GHOST)
    assert "then restart the Tentacle" in finding(of, "STALE_RECORD", WEB)["remedy"]
    assert finding(of, "RESTART_PENDING", WEB)["remedy"].startswith("Restart it when it is idle")


def test_without_a_node_no_pin_is_a_ghost() -> None:
    """An inventory of Tentacles alone, and nobody else known: our own certificate is not to be removed from all of them."""
    of = world()
    of.server, of.known = Server(), ()
    of.sights.clear()
    document = audit(of.facts(("wire", "disk", "process"), keys=False))
    assert document["codes"]["GHOST_PIN"]["found"] == document["codes"]["ORPHAN_TENTACLE"]["found"] == 0
    assert document["counts"]["fine"] == 0


def test_what_answers_at_a_nodes_place_and_nobody_knows_is_not_to_be_trusted() -> None:
    """A load balancer with a web certificate: one finding at each node, and nobody is told to let it in."""
    of = world().node(1, presented=GHOST).node(2, presented=GHOST)
    document = audit(of.facts())
    assert {(row["code"], row["subject"]) for row in document["findings"]} == {("SOURCES_DISAGREE", "node-1"), ("SOURCES_DISAGREE", "node-2")}
    assert document["codes"]["LOCKED_OUT"]["not_judged"] == 4
    assert document["counts"]["fine"] == 0


def test_one_tentacle_at_two_addresses_is_no_clone() -> None:
    of = world()
    of.records["again"] = replace(of.records["web-1"], id="Machines-77", name="again", space="Ops", address="192.168.0.5:10933")
    of.sights["192.168.0.5:10933"] = replace(of.sights["web-1:10933"], endpoint="192.168.0.5:10933")
    assert found(of) == {("AMBIGUOUS_MATCH", "again")}


@pytest.mark.parametrize("stopped", [False, True], ids=["a stranger", "stopped"])
def test_one_machine_under_two_inventory_names_is_one_row(stopped: bool) -> None:
    of = world()
    if stopped:
        of.instance("web-2", pid=0, started_monotonic_us=0)
    else:
        _foreign(of)
    of.instances["alias"] = replace(of.instances["web-2"], host="alias")
    of.also(hosts=tuple(InventoryHost(host, (host if host != "alias" else "web-2", host)) for host in of.instances))
    document = audit(of.facts())
    assert document["findings"] == []
    assert sum(row["host"] in ("web-2", "alias") for row in document["tentacles"]) == 1


def test_a_list_for_several_estates_may_name_this_server_too() -> None:
    of = world()
    of.known = (Server("prod", (Node("prod", NODES[0], OURS, WHOLE),)), Server("told", (Node("as told", None, OURS, WHOLE),)))
    assert found(of) == set()
    assert audit(of.facts())["codes"]["SHARED_PIN"]["not_judged"] == 1


def test_an_answer_that_did_not_come_is_no_closed_door() -> None:
    of = world().says("web-1", random="timeout", none="timeout")
    assert audit(of.facts())["codes"]["UNCHECKED_TRUST"]["not_judged"] == 1


def test_nobody_is_fine_while_a_nodes_certificate_is_not_known() -> None:
    of = world().node(2, presented=None, reading=UNREAD)
    assert audit(of.facts(("wire", "disk", "process")))["counts"]["fine"] == 0
    assert audit(of.facts())["counts"]["fine"] == 0  # whatever the database tells


def test_a_certificate_that_could_not_be_read_is_not_called_strong() -> None:
    of = world()
    of.certificates[thumbprint("web-1")] = CertificateSeen(thumbprint("web-1"))
    assert audit(of.facts())["codes"]["WEAK_CERT"]["not_judged"] >= 1
