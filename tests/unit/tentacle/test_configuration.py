# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration as bytes: whatever surrounds the trust stays as it is, and what is not whole is refused."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration
from hypothesis import given
from hypothesis import strategies as st
from unit.tentacle.doubles import GOLDEN, FakeHost, HandClock, document, few

PATH = "/srv/tentacle.config"
TRUST = configuration.TRUST
BOM = b"\xef\xbb\xbf"
WHOLE = sorted(path.parent.name for path in GOLDEN.glob("*/config.after.xml") if b"</octopus-settings>" in path.read_bytes()[-30:])


def parse(data: bytes) -> configuration.Configuration:
    return configuration.parse(PATH, data)


@pytest.mark.parametrize("case", WHOLE)
def test_every_golden_configuration_reads_as_another_parser_reads_it(case: str) -> None:
    data = (GOLDEN / case / "config.after.xml").read_bytes()
    expected = [(one.attrib["key"], one.text or "") for one in ElementTree.fromstring(data.removeprefix(BOM))]
    assert [(one.key, one.value) for one in parse(data).settings] == expected


@pytest.mark.parametrize("case", WHOLE)
def test_spans_are_exact(case: str) -> None:
    data = (GOLDEN / case / "config.after.xml").read_bytes()
    for one in parse(data).settings:
        outer = data[slice(*one.outer)]
        assert outer.startswith(b"<set ")
        assert outer.endswith(b"/>" if one.inner is None else b"</set>")
        assert outer.count(b"<set") == 1


def test_keys_ignore_case_and_the_last_duplicate_wins() -> None:
    homes = b'<set key="octopus.home">/a</set><set key="Octopus.Home">/b</set><set key="OCTOPUS.HOME">/c</set>'
    found = parse(b"<octopus-settings>" + homes + b"</octopus-settings>")
    assert found.get("Octopus.Home") == "/c"
    assert found.get("absent") == ""
    twice = b'<octopus-settings><set key="%s">[]</set><set key="%s">[1]</set></octopus-settings>' % ((TRUST.encode(),) * 2)
    edited = configuration.with_trust(parse(twice), "[2]")
    assert edited.count(b"[]") == 1
    assert parse(edited).get(TRUST) == "[2]"


def test_the_handmade_file_of_the_golden_samples() -> None:
    data = (GOLDEN / "90-handmade-configure" / "config.before.xml").read_bytes()
    found = parse(data)
    assert (found.get("Octopus.Home"), found.get("custom.key")) == ("/srv/tentacle/T5", "x")
    edited = configuration.with_trust(found, "[]")
    assert edited.replace(b'<set key="%s">[]</set>' % TRUST.encode(), b"") == data


def test_the_inserted_line_stands_where_the_vendor_sorts_it() -> None:
    data = document(None)
    assert configuration.with_trust(parse(data), "[]") == document("[]")
    only = (GOLDEN / "01-create-instance" / "config.after.xml").read_bytes()
    assert configuration.with_trust(parse(only), "[]") == only.replace(b"</set>\n</oct", b'</set>\n  <set key="%s">[]</set>\n</oct' % TRUST.encode())


BARE = [
    b"<octopus-settings></octopus-settings>",
    b"<octopus-settings/>",
    b"<octopus-settings >\n</octopus-settings>",
    b"<octopus-settings><!-- c --></octopus-settings>",
]


@pytest.mark.parametrize("data", BARE)
def test_a_configuration_without_settings_takes_one(data: bytes) -> None:
    edited = configuration.with_trust(parse(data), "[]")
    assert [one.key for one in parse(edited).settings] == [TRUST]
    assert (b"<!-- c -->" in edited) == (b"<!-- c -->" in data)


@pytest.mark.parametrize("empty", [b'<set key="%s" />', b'<set key="%s"/>', b"<set\n key='%s'\n/>", b'<set key="%s"></set>'])
def test_an_empty_element_is_filled(empty: bytes) -> None:
    data = b"<octopus-settings>\n  " + empty % TRUST.encode() + b"\n</octopus-settings>\n"
    edited = configuration.with_trust(parse(data), '[{"a":"<&>"}]')
    assert parse(edited).get(TRUST) == '[{"a":"<&>"}]'
    assert b'[{"a":"&lt;&amp;&gt;"}]</set>\n</octopus-settings>\n' in edited


def test_a_greater_than_sign_in_an_attribute_ends_no_tag() -> None:
    data = b'<octopus-settings note="a>b"><set note=">" key="%s">[]</set></octopus-settings>' % TRUST.encode()
    assert configuration.with_trust(parse(data), "[1]") == data.replace(b"[]", b"[1]")


@pytest.mark.parametrize("inside", [b"[]<!-- c -->", b"<a/>[]", b"[]<?pi x?>"])
def test_what_stands_beside_the_trust_is_not_thrown_away(inside: bytes) -> None:
    found = parse(b'<octopus-settings><set key="%s">%s</set></octopus-settings>' % (TRUST.encode(), inside))
    assert found.get(TRUST) == "[]"
    with pytest.raises(OctoError) as refusal:
        configuration.with_trust(found, "[1]")
    assert refusal.value.evidence["code"] == "EDIT_NOT_EXACT"


def test_character_data_sections_and_entities_are_text() -> None:
    found = parse(b'<octopus-settings><set key="%s"><![CDATA[[]]]>&#32;&lt;</set></octopus-settings>' % TRUST.encode())
    assert found.get(TRUST) == "[] <"
    assert parse(configuration.with_trust(found, "[1]")).get(TRUST) == "[1]"


DAMAGED = {
    "empty": b"",
    "mark only": BOM,
    "blank": b" \n",
    "no root end": b"<octopus-settings>",
    "cut": document("[]")[:-20],
    "half": document("[]")[:1500],
    "tail": document("[]") + b"</set>",
    "other root": b"<configuration/>",
    "text": b"hello",
    "doctype": b'<!DOCTYPE x [<!ENTITY a "b">]><octopus-settings/>',
    "utf-16": "<octopus-settings/>".encode("utf-16"),
    "latin": b'<?xml version="1.0" encoding="iso-8859-1"?><octopus-settings/>',
    "invalid utf-8": b'<octopus-settings><set key="a">\xff</set></octopus-settings>',
}


@pytest.mark.parametrize("name", sorted(DAMAGED))
def test_what_is_not_whole_is_refused(name: str) -> None:
    with pytest.raises(OctoError) as refusal:
        parse(DAMAGED[name])
    assert refusal.value.evidence["code"] == "CONFIGURATION_UNREADABLE"
    assert PATH in refusal.value.message


@few
@given(st.integers(0, len(document("[]")) - 1))
def test_a_cut_file_is_never_taken_for_a_whole_one(length: int) -> None:
    with pytest.raises(OctoError):
        parse(document("[]")[:length])


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30)
KEYS = st.text("abcXYZ.Tt", min_size=1, max_size=20)
SPACES = st.text(" \t\n", max_size=3)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Handmade configurations, with and without the trust key, in any case and more than once."""
    parts = []
    keys = draw(st.lists(KEYS | st.just(TRUST) | st.just(TRUST.lower()), max_size=6))
    for key in keys:
        value = draw(TEXT).replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "")
        parts.append(draw(SPACES) + draw(st.sampled_from(["", "<!-- é -->", "<junk a='>'/>"])) + draw(SPACES))
        parts.append(f"<set key='{key}'/>" if not value else f'<set  key="{key}" >{value}</set >')
    start = draw(st.sampled_from(["", "\ufeff"])) + draw(st.sampled_from(["", '<?xml version="1.0" encoding="utf-8"?>\r\n']))
    return (start + "<octopus-settings>" + "".join(parts) + draw(SPACES) + "</octopus-settings>" + draw(SPACES)).encode()


@few
@given(documents(), TEXT)
def test_every_other_byte_stays(data: bytes, text: str) -> None:
    before = parse(data)
    edited = configuration.with_trust(before, text)
    after = parse(edited)
    assert after.get(TRUST) == text
    mine = after.setting(TRUST)
    assert mine is not None
    # Taking our element out of both leaves the same bytes, but for the white space of an inserted line.
    theirs = before.setting(TRUST)
    rest = edited[: mine.outer[0]] + edited[mine.outer[1] :]
    if theirs is not None:
        assert rest == data[: theirs.outer[0]] + data[theirs.outer[1] :]
    else:
        assert b"".join(rest.split()) == b"".join(data.split())


@few
@given(documents(), TEXT)
def test_an_edit_to_the_same_value_changes_nothing(data: bytes, text: str) -> None:
    once = configuration.with_trust(parse(data), text)
    assert configuration.with_trust(parse(once), text) == once


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, (True, None, 10933)),
        ({"Tentacle_Services_NoListen": "TRUE"}, (False, None, 10933)),
        ({"Tentacle_Services_ListenIP": "127.0.0.7", "Tentacle_Services_PortNumber": "10999"}, (True, "127.0.0.7", 10999)),
        ({"Tentacle_Services_ListenIP": "", "Tentacle_Services_PortNumber": ""}, (True, None, 10933)),
    ],
)
def test_where_it_listens(keys: dict[str, str], expected: tuple[bool, str | None, int]) -> None:
    found = parse(document("[]", **keys))
    assert (found.listens, found.listen_ip, found.port) == expected


@pytest.mark.parametrize("port", ["abc", "0", "99999", "-1"])
def test_a_port_that_is_none(port: str) -> None:
    with pytest.raises(OctoError) as refusal:
        _ignored = parse(document("[]", Tentacle_Services_PortNumber=port)).port
    assert refusal.value.evidence["code"] == "CONFIGURATION_UNREADABLE"


def test_a_reader_that_meets_a_write_looks_again() -> None:
    time = HandClock()
    host = FakeHost(time)
    host.files[PATH] = b""
    time.then = [lambda: host.files.update({PATH: document("[]")[:900]}), lambda: host.files.update({PATH: document("[]")})]
    assert configuration.load(host, PATH, time.clock).get(TRUST) == "[]"


def test_damage_that_stays_and_a_file_that_is_gone() -> None:
    time = HandClock()
    host = FakeHost(time)
    host.files[PATH] = b""
    with pytest.raises(OctoError, match="is empty"):
        configuration.load(host, PATH, time.clock)
    assert time.time == pytest.approx(1001.0, abs=0.2)
    with pytest.raises(OctoError) as refusal:
        configuration.load(host, "/gone", time.clock)
    assert refusal.value.evidence["code"] == "CONFIGURATION_MISSING"
