# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person writes as an endpoint, and how names become addresses."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Directory, Endpoint, parse


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("web-01", "web-01", 10933),
        ("web-01:10943", "web-01", 10943),
        ("10.0.0.7:1", "10.0.0.7", 1),
        ("[fd00::7]:10943", "fd00::7", 10943),
        ("fd00::7", "fd00::7", 10933),
        (" https://Web-01.example.com:10933/ ", "web-01.example.com", 10933),
        ("https://[::1]:10944/", "::1", 10944),
    ],
)
def test_endpoints_are_understood(text: str, host: str, port: int) -> None:
    found = parse(text)
    assert (found.host, found.port, found.name) == (host, port, found.address)
    assert parse(found.address, "me") == Endpoint("me", host, port)


@pytest.mark.parametrize("text", ["", ":10933", "web-01:ten", "web-01:99999", "user@web-01:1", "web 01:1", "[::1:10933"])
def test_what_is_no_endpoint_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(OctoError, match="An endpoint is host:port"):
        parse(text)


def test_a_resolver_that_hangs_holds_up_neither_other_names_nor_the_sweep() -> None:
    never = threading.Event()

    def look_up(name: str, *_more: Any, **_how: Any) -> list[tuple[object, ...]]:
        if name.startswith("dead"):
            never.wait(5.0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    directory = Directory(0.2, look_up)
    directory.learn([f"dead-{number}" for number in range(16)] + ["web-01"])
    never.set()
    assert directory.addresses(Endpoint("", "web-01", 7)) == [(socket.AF_INET, ("127.0.0.1", 7))]
    assert directory.addresses(Endpoint("", "dead-1", 7)) == []
    assert directory.reason(Endpoint("", "dead-1", 7)) == "the resolver did not answer within 0.2 s"


def test_a_resolver_that_is_dead_is_given_up_after_a_few_patiences_however_many_names_there_are() -> None:
    never = threading.Event()
    asked: list[str] = []

    def look_up(name: str, *_more: Any, **_how: Any) -> list[tuple[object, ...]]:
        asked.append(name)
        never.wait(30.0)
        return []

    began = time.monotonic()
    Directory(0.1, look_up).learn(f"web-{number:04}" for number in range(1000))
    took = time.monotonic() - began
    never.set()
    assert len(asked) == 1000
    assert took < 3.0  # 16 at a time, it would take 62 patiences


def test_a_name_that_no_resolver_takes_does_not_resolve() -> None:
    directory = Directory(1.0)
    directory.learn(["web\0-01"])
    assert directory.addresses(Endpoint("", "web\0-01", 7)) == []
    assert directory.reason(Endpoint("", "web\0-01", 7))
