# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The instance index: every file is a row, and a name is found as the vendor finds it (tentacle-cli.md 1.6)."""

from __future__ import annotations

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import index
from unit.tentacle.doubles import GOLDEN, FakeHost, HandClock

FOLDER = "/etc/octopus/Tentacle/Instances"


@pytest.fixture
def host() -> FakeHost:
    return FakeHost(HandClock())


def put(host: FakeHost, name: str, text: bytes) -> None:
    host.files[f"{FOLDER}/{name}"] = text


def entry(name: str, path: str = "/srv/x.config") -> bytes:
    return f'{{"Name": "{name}", "ConfigurationFilePath": "{path}"}}'.encode()


def test_the_vendors_own_bytes(host: FakeHost) -> None:
    put(host, "t1.config", (GOLDEN / "index-T1.config").read_bytes())
    assert index.read_index(host) == [index.IndexEntry("T1", "/srv/tentacle/T1/tentacle.config")]


def test_no_index_no_instances(host: FakeHost) -> None:
    assert index.read_index(host) == []


def test_any_extension_and_a_byte_order_mark(host: FakeHost) -> None:
    put(host, "b.json", b"\xef\xbb\xbf" + entry("b"))
    put(host, "a", entry("a").replace(b"Name", b"name").replace(b"ConfigurationFilePath", b"configurationfilepath"))
    assert [one.instance for one in index.read_index(host)] == ["a", "b"]


@pytest.mark.parametrize("text", [b"", b"not json", b"[]", b'{"Name": "x"}', b'{"Name": 1, "ConfigurationFilePath": "/x"}', b"\xff\xfe"])
def test_a_bad_file_is_a_row_with_its_name(host: FakeHost, text: bytes) -> None:
    put(host, "bad.txt", text)
    put(host, "t.config", entry("T"))
    bad, good = index.read_index(host)
    assert (bad.instance, bad.code) == ("bad.txt", "INDEX_UNREADABLE")
    assert FOLDER in bad.reason
    assert (good.instance, good.code) == ("T", "")


def test_a_file_that_may_not_be_read_is_a_row(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    put(host, "t.config", entry("T"))

    def refuse(path: str) -> bytes:
        raise OctoError(f"{path} could not be read: Permission denied.", code="UNREADABLE")

    monkeypatch.setattr(host, "read", refuse)
    (row,) = index.read_index(host)
    assert row.code == "INDEX_UNREADABLE"
    assert "Permission denied" in row.reason


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        (["T1", "T2"], "*", ["T1", "T2"]),
        (["T1", "T2"], "t1", ["T1"]),
        (["T1", "t1"], "t1", ["t1"]),
        (["T1", "t1"], "T1", ["T1"]),
        (["Tentacle"], "Tentacle", ["Tentacle"]),
    ],
)
def test_names_ignore_case_until_they_are_ambiguous(names: list[str], asked: str, found: list[str]) -> None:
    entries = [index.IndexEntry(name, "/x") for name in names]
    assert [(one.instance, one.code) for one in index.select(entries, asked)] == [(name, "") for name in found]


@pytest.mark.parametrize(
    ("names", "asked", "says"),
    [
        (["T1"], "T2", "has: T1"),
        ([], "T2", "has: none"),
        (["TA", "Ta"], "ta", "differ in case only"),
        (["T1"], " ", "blank"),
    ],
)
def test_a_name_that_leads_nowhere_is_a_row(names: list[str], asked: str, says: str) -> None:
    (row,) = index.select([index.IndexEntry(name, "/x") for name in names], asked)
    assert (row.instance, row.code) == (asked, "INSTANCE_UNKNOWN")
    assert says in row.reason


def test_instances_that_share_a_configuration(host: FakeHost) -> None:
    entries = [index.IndexEntry("T1", "/x"), index.IndexEntry("T2", "/y"), index.IndexEntry("T3", "/x")]
    entries.append(index.IndexEntry("bad", "", "INDEX_UNREADABLE"))
    assert index.names_of(entries, host, "/x") == ["T1", "T3"]
