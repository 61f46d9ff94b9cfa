# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of entries that poll: both pins wherever one of them is, never a registration lost, and the vendor's bytes where it has a verb."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, trust
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Wish
from lab.tentacle.trust import normalise
from unit.tentacle.doubles import FOREIGN, NEW, OLD, A, B, entry_json, golden_case

NODE_1, NODE_2 = "https://node-1:10943", "https://node-2:10943"
ME, OTHER = "poll://bcdefghjklmnpqrstuvw/", "poll://zyxwvutsrqpnmlkjhgfd/"

ADD = Wish("present", (NEW,), twin_of=OLD)
BOTH = Wish("present", (OLD, NEW), twin_of=OLD)
BACK = Wish("present", (OLD, NEW), twin_of=NEW)
ABSENT = Wish("absent", (OLD,))


def polls(pin: str, address: str = NODE_1, subscription: str = ME) -> str:
    return entry_json(pin, 2, address, subscription)


def listens(pin: str) -> str:
    return entry_json(pin)


def fulfilled(wish: Wish, *raws: str, **options: Any) -> list[str]:
    before = trust.parse(f"[{','.join(raws)}]")
    after = trust.fulfil(wish, before, **options)
    assert trust.fulfil(wish, after, **options) == after, "a second call does something"
    assert trust.parse(trust.render(after)) == after
    return [entry.raw for entry in after]


def refusal(wish: Wish, *raws: str, **options: Any) -> OctoError:
    with pytest.raises(OctoError) as found:
        trust.fulfil(wish, trust.parse(f"[{','.join(raws)}]"), **options)
    return found.value


def code_of(wish: Wish, *raws: str, **options: Any) -> str:
    return str(refusal(wish, *raws, **options).evidence["code"])


# --- Both pins ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", [ADD, BOTH, BACK], ids=["add", "both", "back"])
def test_a_twin_stands_beside_each_address_that_is_polled(wish: Wish) -> None:
    after = fulfilled(wish, polls(OLD), polls(OLD, NODE_2), polls(FOREIGN))
    assert after == [polls(OLD), polls(OLD, NODE_2), polls(FOREIGN), polls(NEW), polls(NEW, NODE_2)]


@pytest.mark.parametrize("wish", [BOTH, BACK], ids=["both", "back"])
def test_either_of_the_two_may_be_the_one_that_is_missing(wish: Wish) -> None:
    assert fulfilled(wish, polls(NEW), polls(OLD, NODE_2)) == [polls(NEW), polls(OLD, NODE_2), polls(OLD), polls(NEW, NODE_2)]


def test_what_is_not_asked_for_is_not_added() -> None:
    assert fulfilled(ADD, polls(NEW)) == [polls(NEW)]


def test_without_the_name_of_the_other_one_there_is_no_place_for_a_new_pin() -> None:
    error = refusal(Wish("present", (NEW,)), polls(OLD))
    assert (error.evidence["code"], "name that one with twin_of" in error.message) == ("NOT_EXPANDABLE", True)
    assert fulfilled(Wish("present", (OLD,)), polls(OLD)) == [polls(OLD)]


def test_one_that_polls_another_server_only_has_no_place_either() -> None:
    error = refusal(BOTH, polls(FOREIGN))
    assert error.evidence["code"] == "NOT_EXPANDABLE"
    assert f"It only polls ({NODE_1}), and expects neither {NEW} nor {OLD} there" in error.message


ODD = {
    "Thumbprint": OLD,
    "CommunicationStyle": "TentacleActive",
    "KubernetesTentacleCommunicationMode": None,
    "Address": "https://Node-1:10943/ä",
    "Squid": "SQ-1",
    "SubscriptionId": ME,
    "Extra": [1.5, "x"],
}


def test_the_twin_has_whatever_else_the_entry_has() -> None:
    odd = json.dumps(ODD, indent=1, ensure_ascii=False)
    twin = json.dumps({**ODD, "Thumbprint": NEW, "CommunicationStyle": 2}, separators=(",", ":"), ensure_ascii=False)
    assert fulfilled(ADD, odd) == [odd, twin]


def test_an_old_installation_polls_with_its_squid() -> None:
    """halibut-wire.md 4."""
    old = f'{{"Thumbprint":"{OLD}","CommunicationStyle":2,"Address":"{NODE_1}","Squid":"SQ-77","SubscriptionId":null}}'
    assert fulfilled(ADD, old) == [old, old.replace(OLD, NEW)]
    assert [entry.subscription_id for entry in trust.parse(f"[{old}]")] == ["poll://sq-77/"]


SAME = [
    ("https://node-1:10943", "https://node-1:10943/"),
    ("https://node-1:10943", "HTTPS://Node-1:10943"),
    ("https://node-1", "https://node-1:443/"),
    ("https://[::1]:10943", "https://[::1]:10943/"),
    ("https://node-1:10943", " https://node-1:10943 "),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_an_address_in_another_spelling_is_the_same(one: str, other: str) -> None:
    assert normalise(one).lower() == normalise(other).lower()  # to the vendor's stand-in
    assert fulfilled(ADD, polls(OLD, one), polls(NEW, other)) == [polls(OLD, one), polls(NEW, other)]
    assert fulfilled(BOTH, polls(OLD, one), polls(OLD, other)) == [polls(OLD, one), polls(NEW, one)]


@pytest.mark.parametrize("other", ["https://node-1:10944", "http://node-1:10943", "https://node-10:10943", "https://node-1"])
def test_another_address_is_another_place(other: str) -> None:
    assert normalise(other).lower() != normalise(NODE_1).lower()
    assert fulfilled(ADD, polls(OLD), polls(NEW, other)) == [polls(OLD), polls(NEW, other), polls(NEW)]


# --- Repairs --------------------------------------------------------------------------------------------------------------------------

SPELLINGS = [NEW.lower(), f" {NEW}", ":".join(NEW[at : at + 2] for at in range(0, 40, 2)), f"\u200e{NEW}"]


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_a_twin_that_never_matches_is_repaired_where_it_stands(spelled: str) -> None:
    assert fulfilled(ADD, polls(spelled), polls(FOREIGN), polls(OLD)) == [polls(NEW), polls(FOREIGN), polls(OLD)]


def test_duplicates_become_one_in_the_same_step() -> None:
    assert fulfilled(BOTH, polls(OLD.lower()), polls(NEW), polls(OLD), polls(NEW), polls(FOREIGN.lower())) == [
        polls(OLD),
        polls(NEW),
        polls(FOREIGN.lower()),
    ]


def test_only_what_was_asked_for_is_repaired() -> None:
    """A pin in lower case lets nobody in (measured-tentacle.md 9); its twin is made all the same, and the entry itself is somebody else's."""
    assert fulfilled(ADD, polls(OLD.lower())) == [polls(OLD.lower()), polls(NEW)]


# --- Listening ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(
    ("before", "gets"),
    [
        ([polls(OLD)], False),
        ([polls(OLD), listens(FOREIGN)], True),
        ([polls(OLD), listens(OLD)], True),
        ([listens(OLD)], True),
        ([polls(OLD), entry_json(FOREIGN, 2, "wss://node-1/x", ME)], False),
    ],
    ids=["polls", "listens-to-another", "does-both", "listens", "socket"],
)
def test_who_gets_an_entry_for_listening(before: list[str], gets: bool, on: bool) -> None:
    after = fulfilled(ADD, *before, listens=on)
    assert after[: len(before)] == before
    assert (listens(NEW) in after) == gets
    assert (polls(NEW) in after) == (polls(OLD) in before)


def test_one_without_any_entry_gets_one_if_it_listens() -> None:
    assert fulfilled(ADD) == [listens(NEW)]
    error = refusal(ADD, listens=False)
    assert (error.evidence["code"], "neither listens nor polls" in error.message) == ("NOT_EXPANDABLE", True)


# --- Removal --------------------------------------------------------------------------------------------------------------------------


def test_the_old_one_goes_from_everywhere() -> None:
    assert fulfilled(ABSENT, polls(OLD), listens(OLD), polls(NEW), polls(OLD.lower()), listens(FOREIGN)) == [polls(NEW), listens(FOREIGN)]


@pytest.mark.parametrize(
    "left",
    [
        [],
        [listens(NEW)],
        [polls(NEW, NODE_2)],
        [polls(NEW, NODE_1, OTHER)],
        [polls(NEW.lower())],
        [polls("garbage")],
    ],
    ids=["none", "listening", "elsewhere", "another-subscription", "lower-case", "garbage"],
)
@pytest.mark.parametrize("wish", [ABSENT, Wish("exact", (), (OLD, NEW, "garbage"))], ids=["absent", "exact"])
def test_the_last_entry_of_a_subscription_stays(left: list[str], wish: Wish) -> None:
    assert code_of(wish, polls(OLD), *left) == "LAST_ENTRY"


def test_what_is_not_there_is_no_last_entry() -> None:
    assert fulfilled(ABSENT, polls(NEW), polls(FOREIGN.lower(), NODE_2)) == [polls(NEW), polls(FOREIGN.lower(), NODE_2)]


def test_exact_may_change_one_for_the_other() -> None:
    wish = Wish("exact", (NEW,), (OLD,), twin_of=OLD)
    assert fulfilled(wish, polls(OLD)) == [polls(NEW)]
    assert code_of(wish, polls(OLD), polls(FOREIGN)) == "UNKNOWN_PINS"


# --- The vendor's way -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thumbprints", [(NEW,), (OLD, NEW)])
def test_replacement_leaves_one_pin_at_each_place(thumbprints: tuple[str, ...]) -> None:
    wish = Wish("present", thumbprints, twin_of=OLD, polling="replace")
    assert fulfilled(wish, polls(OLD), polls(FOREIGN), polls(OLD.lower(), NODE_2)) == [polls(NEW), polls(FOREIGN), polls(NEW, NODE_2)]
    assert fulfilled(wish, polls(NEW), polls(OLD)) == [polls(NEW)]


def test_replacement_leaves_listening_entries_as_ever() -> None:
    wish = BOTH._replace(polling="replace")
    assert fulfilled(wish, polls(OLD), listens(OLD)) == [polls(NEW), listens(OLD), listens(NEW)]


def test_only_replacement_takes_something_away() -> None:
    assert (ADD.removes, ADD._replace(polling="replace").removes, ABSENT.removes) == (False, True, True)
    assert not Wish("present", (OLD,), twin_of=OLD, polling="replace").removes


GOLDEN = {
    "20-trust-37-two-polling-remove-old": Wish("absent", (A,)),
    "62-poll-update-trust": Wish(
        "present", ("2C9A111EE193ED3FAD26222A2BB6CF3695A33C45",), twin_of="2ECF43568DB70FF2CD04432A4F387FD45BE21804", polling="replace"
    ),
}


@pytest.mark.parametrize("case", sorted(GOLDEN))
def test_the_bytes_are_those_of_the_vendors_verb(case: str) -> None:
    before, after = golden_case(case)
    found = configuration.parse(case, before)
    wanted = trust.fulfil(GOLDEN[case], trust.parse(found.get(configuration.TRUST)), found.listens)
    assert configuration.with_trust(found, trust.render(wanted)) == after


def test_the_twins_of_the_recorded_session_ask_for_nothing() -> None:
    """The two entries that a real Tentacle was seen to work with, their addresses differing in a slash."""
    before, _after = golden_case("20-trust-36-two-polling-show")
    entries = trust.parse(configuration.parse("x", before).get(configuration.TRUST))
    assert [(entry.pin, entry.style) for entry in entries] == [(A, "polling"), (B, "polling")]
    assert trust.fulfil(Wish("present", (A, B), twin_of=A), entries) == entries


@pytest.mark.parametrize("wish", [ADD._replace(polling="replace"), ADD, BOTH], ids=["replace", "add", "both"])
def test_one_pin_never_gets_two_entries_at_an_address(wish: Wish) -> None:
    """To the vendor they are the same twice, and its commands fail from then on (tentacle-cli.md 2.10)."""
    stray = polls(NEW, NODE_1, OTHER)  # as `configure --trust` and `server-comms` make it
    assert code_of(wish, polls(OLD), stray) == "TWO_SUBSCRIPTIONS"
    assert code_of(wish, polls(OLD), polls(OLD, NODE_1, OTHER)) == "TWO_SUBSCRIPTIONS"


def test_two_that_are_there_already_are_kept() -> None:
    assert fulfilled(Wish("present", (OLD,)), polls(OLD.lower()), polls(OLD, NODE_1, OTHER)) == [polls(OLD), polls(OLD, NODE_1, OTHER)]


# --- Every small trust there is -------------------------------------------------------------------------------------------------------

KINDS = [
    listens(OLD),
    listens(NEW),
    listens(NEW.lower()),
    listens(FOREIGN),
    *(polls(pin, node) for pin in (OLD, NEW, OLD.lower(), NEW.lower(), FOREIGN) for node in (NODE_1, NODE_2)),
    polls(OLD, NODE_1 + "/"),
    polls(OLD, NODE_1, OTHER),
    polls(NEW, NODE_1, OTHER),
]
WISHES = {
    "add": ADD,
    "both": BOTH,
    "back": BACK,
    "alone": Wish("present", (NEW,)),
    "replace": BOTH._replace(polling="replace"),
    "absent": ABSENT,
    "absent new": Wish("absent", (NEW,)),
    "exact": Wish("exact", (NEW, FOREIGN), (OLD,), twin_of=OLD),
}


def effective(entries: trust.Entries) -> set[tuple[trust.Place, str]]:
    return {(entry.place, entry.pin) for entry in entries if entry.style == "polling" and entry.pin}


def twice(entries: trust.Entries) -> set[tuple[str, str]]:
    """What the vendor's commands fail on."""
    known = Counter((entry.thumbprint.lower(), normalise(entry.address or "").lower()) for entry in entries)
    return {key for key, number in known.items() if number > 1}


def foreign(entries: trust.Entries, wish: Wish) -> list[str]:
    return [entry.raw for entry in entries if not any(trust.means(entry, text) for text in wish.asked)]


@pytest.mark.parametrize("name", sorted(WISHES))
def test_every_small_trust(name: str) -> None:
    wish = WISHES[name]
    refused: Counter[str] = Counter()
    for number in range(4):
        for raws in itertools.combinations_with_replacement(KINDS, number):
            for order in (raws, raws[::-1]):
                before = trust.parse(f"[{','.join(order)}]")
                try:
                    after = trust.fulfil(wish, before, False)
                except OctoError as error:
                    refused[str(error.evidence["code"])] += 1
                    continue
                judge(wish, before, after)
    assert set(refused) <= {"NOT_EXPANDABLE", "TWO_SUBSCRIPTIONS"} | ({"LAST_ENTRY"} if wish.state != "present" else set())
    assert refused


def judge(wish: Wish, before: trust.Entries, after: trust.Entries) -> None:
    assert trust.fulfil(wish, after, False) == after
    assert foreign(after, wish) == foreign(before, wish)  # I10: their very bytes, in their order
    assert {place for place, _pin in effective(before)} <= {place for place, _pin in effective(after)}  # no registration lost
    assert twice(after) <= twice(before)
    wanted = [] if wish.state == "absent" else [text for text in wish.thumbprints if text != wish.twin_of or not wish.successor]
    for text in wanted:
        mine = [(entry.style, entry.place if entry.address else None) for entry in after if trust.means(entry, text)]
        assert len(mine) == len(set(mine)) > 0  # I9
        assert all(entry.thumbprint == text for entry in after if trust.means(entry, text))
    if not wish.removes:
        assert effective(before) <= effective(after)
        assert trust.removed(before, after) == []
    for text in wish.thumbprints if wish.state == "absent" else wish.forget:
        assert not [entry for entry in after if trust.means(entry, text)]
    if wish.twin_of:
        pair = {wish.twin_of, *wish.thumbprints} if wish.twin_of in wish.thumbprints else {wish.twin_of}
        ours = {entry.place for entry in before if entry.style == "polling" and any(trust.means(entry, text) for text in pair)}
        assert {(place, text) for place in ours for text in wanted if text in (OLD, NEW)} <= effective(after)
