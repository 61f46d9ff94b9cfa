# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of the trust: the bytes that the vendor's verb gives, and never more than was asked for."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, trust
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Wish
from hypothesis import given
from hypothesis import strategies as st
from unit.tentacle.doubles import FOREIGN, GOLDEN, NEW, OLD, A, B, C, entry_json, few, golden_case, trust_json

D = "D" * 40


def edited(data: bytes, wish: Wish) -> bytes:
    found = configuration.parse("golden", data)
    entries = trust.parse(found.get(configuration.TRUST))
    wanted = trust.fulfil(wish, entries)
    return data if wanted == entries else configuration.with_trust(found, trust.render(wanted))


def present(*thumbprints: str) -> Wish:
    return Wish("present", thumbprints)


def absent(*thumbprints: str) -> Wish:
    return Wish("absent", thumbprints)


AS_THE_VENDOR = {
    "05-configure-trust": present("AAAABBBBCCCCDDDDEEEEFFFF0000111122223333"),
    "20-trust-02-add-A": present(A),
    "20-trust-03-add-A-again": present(A),
    "20-trust-04-add-B": present(B),
    "20-trust-07-remove-a-exact": absent(A),  # as it is spelled there, in lower case
    "20-trust-08-remove-unknown": absent(C),
    "20-trust-09-add-two": present(A, D),
    "20-trust-13-remove-B": absent(A),  # two equal entries
    "20-trust-22-trim": present(B),
    "20-trust-23-remove-last": Wish("exact", (), (A, "not a thumbprint", "ABC", B)),
    "83-other-machine-id-configure": present("2C9A111EE193ED3FAD26222A2BB6CF3695A33C45"),
}


@pytest.mark.parametrize("case", sorted(AS_THE_VENDOR))
def test_the_bytes_are_those_of_the_vendors_verb(case: str) -> None:
    before, after = golden_case(case)
    assert edited(before, AS_THE_VENDOR[case]) == after


def test_a_respelled_pin_goes_to_the_end_as_the_vendor_puts_it() -> None:
    """20-trust-05 with the canonical spelling in place of the lower one, and the same step backwards."""
    before, after = golden_case("20-trust-05-add-a-lower")
    canonical = after.replace(A.lower().encode(), A.encode())
    assert edited(before.replace(A.encode(), A.lower().encode()), present(A)) == canonical
    assert edited(after, present(A)) == canonical


def test_the_handmade_file_gets_the_vendors_value() -> None:
    thumbprint = "2ECF43568DB70FF2CD04432A4F387FD45BE21804"
    before, after = golden_case("90-handmade-configure")
    written = configuration.parse("ours", edited(before, present(thumbprint))).get(configuration.TRUST)
    assert written == configuration.parse("theirs", after).get(configuration.TRUST)


def test_order_stays_when_there_is_nothing_to_do() -> None:
    before, _after = golden_case("20-trust-05-add-a-lower")
    assert edited(before, present(A)) == before


POLLING = entry_json(A, 2, "https://h:10943", "poll://bcdefghjklmnpqrstuvw/")
STYLES = [
    (entry_json(A), "listening"),
    (entry_json(A, "TentaclePassive"), "listening"),
    (entry_json(A, "1"), "listening"),
    (POLLING, "polling"),
    (entry_json(A, "tentacleactive", "https://h:10943", "poll://x/"), "polling"),
    (entry_json(A, 2, "wss://h:443/OctopusComms", "poll://x/"), "websocket"),
    (entry_json(A, 11, "https://h", "poll://x/"), "kubernetes"),
    (entry_json(A, "KubernetesTentacle", "https://h", "poll://x/"), "kubernetes"),
    (f'{{"Thumbprint":"{A}","CommunicationStyle":9,"KubernetesTentacleCommunicationMode":1,"Address":null}}', "kubernetes"),
    (entry_json(A, 0), "unknown"),
    (entry_json(A, 2), "unknown"),
    (entry_json(A, 1, "https://h:10943"), "unknown"),
    (entry_json(A, 3), "unknown"),
    (entry_json(A, None), "unknown"),
    (entry_json(A, [1]), "unknown"),
    (f'{{"Thumbprint":"{A}"}}', "unknown"),
]


@pytest.mark.parametrize(("raw", "style"), STYLES)
def test_styles_are_recognised(raw: str, style: str) -> None:
    (entry,) = trust.parse(f"[{raw}]")
    assert (entry.style, entry.raw) == (style, raw)
    assert trust.communication([entry]) == style


def test_one_word_for_an_instance() -> None:
    assert trust.communication(trust.parse("")) == "none"
    assert trust.communication(trust.parse(trust_json(A, B))) == "listening"
    assert trust.communication(trust.parse(f"[{entry_json(A)},{POLLING}]")) == "mixed"


OTHERS = [(raw, style) for raw, style in STYLES if style != "listening"]


WISHES = [present(NEW), present(A), absent(A), Wish("exact", (A,), (B,)), Wish("exact", (B,), (A.lower(),)), present(NEW)._replace(twin_of=A)]


def code_of(wish: Wish, text: str) -> str:
    """Why it is refused."""
    with pytest.raises(OctoError) as refusal:
        trust.fulfil(wish, trust.parse(text))
    assert str(refusal.value)
    return str(refusal.value.evidence["code"])


@pytest.mark.parametrize(("raw", "style"), OTHERS)
@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("company", ["", entry_json(B) + ","])
def test_another_style_is_refused_and_left_alone(raw: str, style: str, wish: Wish, company: str) -> None:
    """With the strategy of who will not have polling entries changed, as every version has done it."""
    if wish == present(NEW) and style in ("polling", "websocket"):
        company = ""  # beside a listening one it would be foreign, as below
    assert code_of(wish._replace(polling="refuse"), f"[{company}{raw}]") == "NOT_EXPANDABLE"
    if style != "polling":
        assert code_of(wish, f"[{company}{raw}]") == "NOT_EXPANDABLE"


@pytest.mark.parametrize("polling", ["overlap", "replace", "refuse"])
@pytest.mark.parametrize("raw", [raw for raw, style in OTHERS if style in ("polling", "websocket")])
def test_one_that_listens_to_us_may_poll_another(raw: str, polling: str) -> None:
    entries = trust.parse(f"[{entry_json(B)},{raw}]")
    both = trust.fulfil(Wish("present", (B, NEW), twin_of=B, polling=polling), entries)
    assert trust.render(both) == f"[{entry_json(B)},{raw},{entry_json(NEW)}]"
    assert trust.render(trust.fulfil(absent(B)._replace(polling=polling), both)) == f"[{raw},{entry_json(NEW)}]"


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[{}]",
        "{}",
        "null",
        "[1]",
        '[{"Thumbprint":null}]',
        '[{"Thumbprint":" "}]',
        "[]x",
        "[,]",
        f"[{entry_json(A)}{entry_json(B)}]",
        f"[{entry_json(A)},]",
        '[{"Thumbprint":"AAA',
    ],
)
def test_damaged_trust_is_refused(text: str) -> None:
    with pytest.raises(OctoError) as refusal:
        trust.parse(text, "/x")
    assert refusal.value.evidence["code"] == "TRUST_UNREADABLE"


def test_the_damaged_trust_of_the_golden_samples() -> None:
    before, _after = golden_case("70-damaged-halfjson-configure")
    with pytest.raises(OctoError, match="cannot be read"):
        edited(before, present(A))


def test_handmade_entries_keep_their_bytes() -> None:
    odd = f'{{ "SubscriptionId" : null, "Thumbprint": "{FOREIGN}", "communicationstyle":1, "Extra": [1.50, "\\u00e9"] }}'
    entries = trust.parse(f"[ {odd} ,\n {entry_json(OLD)} ]")
    assert trust.render(trust.fulfil(present(NEW), entries)) == f"[{odd},{entry_json(OLD)},{entry_json(NEW)}]"
    assert trust.render(trust.fulfil(absent(OLD), entries)) == f"[{odd}]"


ODD_SPELLINGS = [
    NEW.lower(),
    f" {NEW}",
    ":".join(NEW[at : at + 2] for at in range(0, 40, 2)),
    f"\u200e{NEW}",
    f"{NEW[:20]}-{NEW[20:]}",
    f"{NEW[:39]} {NEW[39:]}",
]


@pytest.mark.parametrize("spelled", ODD_SPELLINGS)
def test_odd_spellings_of_a_given_one_are_repaired_and_removed(spelled: str) -> None:
    entries = trust.parse(f"[{entry_json(spelled)},{entry_json(FOREIGN)}]")
    assert trust.render(trust.fulfil(present(NEW), entries)) == trust_json(FOREIGN, NEW)
    assert trust.render(trust.fulfil(absent(NEW), entries)) == trust_json(FOREIGN)
    assert trust.render(trust.fulfil(present(FOREIGN), entries)) == trust.render(entries)


def test_what_can_never_match_has_no_canonical_spelling() -> None:
    lower, colons, garbage = trust.parse(f"[{entry_json(B.lower())},{entry_json('AA:BB:CC')},{entry_json('not a thumbprint')}]")
    assert [lower.canonical, colons.canonical, garbage.canonical] == [B, None, None]


def test_duplicates_of_a_given_one_become_one_in_a_single_step() -> None:
    entries = trust.parse(trust_json(B, FOREIGN, B, B.lower()))
    assert trust.render(trust.fulfil(present(B, NEW), entries)) == trust_json(FOREIGN, B, NEW)
    assert trust.fulfil(present(FOREIGN), entries) == entries  # not the given one, so not ours to repair


def test_exact_removes_only_what_is_named() -> None:
    entries = trust.parse(trust_json(OLD, FOREIGN, "not a thumbprint"))
    with pytest.raises(OctoError) as refusal:
        trust.fulfil(Wish("exact", (NEW,), (OLD,)), entries)
    assert refusal.value.evidence["unknown"] == [FOREIGN, "not a thumbprint"]
    wish = Wish("exact", (NEW, FOREIGN), (OLD.lower(), "not a thumbprint"))
    assert trust.render(trust.fulfil(wish, entries)) == trust_json(FOREIGN, NEW)


def test_what_loses_its_last_entry() -> None:
    before = trust.parse(trust_json(OLD, OLD.lower(), FOREIGN))
    assert trust.removed(before, trust.parse(trust_json(FOREIGN, OLD))) == []
    assert trust.removed(before, trust.parse(trust_json(FOREIGN))) == [OLD]


PINS = st.sampled_from([OLD, NEW, FOREIGN, OLD.lower(), NEW.lower(), f"{NEW} ", "garbage", "AA:BB", A])
GIVEN = st.lists(st.sampled_from([OLD, NEW, A, B]), min_size=1, max_size=3, unique=True).map(tuple)


def entries_of(pins: list[str]) -> trust.Entries:
    return trust.parse(trust_json(*pins))


@few
@given(st.lists(PINS, max_size=6), GIVEN, st.sampled_from(["present", "absent"]))
def test_foreign_pins_keep_their_bytes_and_their_order(pins: list[str], given_ones: tuple[str, ...], state: str) -> None:
    before = entries_of(pins)
    after = trust.fulfil(Wish(state, given_ones), before)

    def foreign(entries: trust.Entries) -> list[str]:
        return [entry.raw for entry in entries if not any(trust.means(entry, one) for one in given_ones)]

    assert foreign(after) == foreign(before)


@few
@given(st.lists(PINS, max_size=6), GIVEN, st.sampled_from(["present", "absent"]))
def test_a_wish_that_is_fulfilled_asks_for_nothing(pins: list[str], given_ones: tuple[str, ...], state: str) -> None:
    once = trust.fulfil(Wish(state, given_ones), entries_of(pins))
    assert trust.fulfil(Wish(state, given_ones), once) == once
    assert trust.parse(trust.render(once)) == once
    for one in given_ones:
        mine = [entry for entry in once if trust.means(entry, one)]
        assert [entry.thumbprint for entry in mine] == ([one] if state == "present" else [])


@few
@given(st.lists(PINS, max_size=6), GIVEN)
def test_present_alone_never_takes_a_pin_away(pins: list[str], given_ones: tuple[str, ...]) -> None:
    before = entries_of(pins)
    assert trust.removed(before, trust.fulfil(present(*given_ones), before)) == []


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3))


@few
@given(JSON)
def test_any_json_is_entries_or_a_refusal(value: Any) -> None:
    is_empty = value == [] and isinstance(value, list)
    with contextlib.nullcontext() if is_empty else pytest.raises(OctoError) as refusal:
        assert trust.parse(json.dumps(value, ensure_ascii=False)) == ()
    assert is_empty or refusal.value.evidence["code"] == "TRUST_UNREADABLE"


def test_the_golden_cases_are_all_weighed() -> None:
    """Every recorded --trust or --remove-trust with exit code 0 is compared above, or differs on purpose."""
    on_purpose = {
        "20-trust-05-add-a-lower": "we write no lower case",
        "20-trust-06-remove-A-othercase": "we remove whatever the spelling",
        "20-trust-17-garbage": "refused as no thumbprint",
        "20-trust-18-short": "refused",
        "20-trust-27-xmlchars": "refused",
        "20-trust-29-colons": "refused",
        "20-trust-25-reset-and-trust-same-call": "nothing of ours resets",
        "90-handmade-configure": "the vendor drops the comment",
        "72-config-option-configure": "it is there already, and stays where it is",
        "78-locked-sh-configure": "the same",
    }
    for folder in sorted(GOLDEN.iterdir()):
        argv = json.loads((folder / "argv.json").read_text()) if (folder / "argv.json").is_file() else []
        if argv[:1] != ["configure"] or not any("trust" in word for word in argv) or (folder / "exitcode").read_text().strip() != "0":
            continue
        before = (folder / "config.before.xml").read_bytes()
        styles = {entry.style for entry in trust.parse(configuration.parse("x", before).get(configuration.TRUST))}
        resets = any("reset-trust" in word for word in argv)
        assert folder.name in AS_THE_VENDOR or folder.name in on_purpose or resets or styles - {"listening"}, folder.name
