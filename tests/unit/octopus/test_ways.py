# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From records that name a proxy to the way that a probe takes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Proxy
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus import records
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import MachineRecord, Space
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.plugin_utils._vantage import ways
from unit.octopus.conversation import Conversation, client_of, get, machine

DEFAULT, FINANCE = Space("Spaces-1", "Default", True, False), Space("Spaces-2", "Finance", False, False)
PROXY = {"Id": "Proxies-1", "Name": "Zone A", "Host": "proxy", "Port": 3128, "Username": "octopus", "Password": {"HasValue": True}}


def record(host: str, proxy: str | None, **changed: Any) -> MachineRecord:
    endpoint = {"CommunicationStyle": "TentaclePassive", "Uri": f"https://{host}:10933/", "ProxyId": proxy, **changed}
    return records.machine(machine(Endpoint=endpoint), records.TARGET, DEFAULT)


def asked(*documents: dict[str, Any]) -> Conversation:
    return Conversation(get("/api/Spaces-1/proxies/all", list(documents)))


def test_proxies_are_read_once_and_only_where_a_record_names_one() -> None:
    talk = Conversation()
    ssh = record("c", "Proxies-1", CommunicationStyle="Ssh")
    assert ways(client_of(talk), [DEFAULT, FINANCE], [record("a", None), ssh], {}) == {}
    talk = asked(PROXY)
    found = ways(
        client_of(talk), [DEFAULT, FINANCE], [record("Web-01.example.com", "Proxies-1"), record("fd00::7", None), record("b", "Proxies-1")], {}
    )
    assert found == {"web-01.example.com:10933": Proxy("proxy", 3128, "octopus"), "b:10933": Proxy("proxy", 3128, "octopus")}
    assert talk.finished()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"Zone A": {"password": "it"}}, Proxy("proxy", 3128, "octopus", Secret("it"))),
        ({"Proxies-1": {"username": "me", "password": 1234}}, Proxy("proxy", 3128, "me", Secret("1234"))),
        ({"Zone B": {"password": "it"}}, Proxy("proxy", 3128, "octopus")),
    ],
    ids=["name", "id", "another"],
)
def test_user_and_password_come_from_the_person(given: dict[str, Any], wanted: Proxy) -> None:
    assert ways(client_of(asked(PROXY)), [DEFAULT], [record("a", "Proxies-1")], given) == {"a:10933": wanted}


def test_a_user_without_a_password_is_said_as_the_server_says_it() -> None:
    bare = {**PROXY, "Password": {"HasValue": False}}
    assert ways(client_of(asked(bare)), [DEFAULT], [record("a", "Proxies-1")], {}) == {"a:10933": Proxy("proxy", 3128, "octopus", Secret(""))}


@pytest.mark.parametrize(
    ("documents", "given", "words"),
    [
        ([], {}, "The record web-01 in space Default goes through the proxy Proxies-1, which the API key does not see."),
        ([PROXY], {"Zone A": "it"}, "what is given for Zone A is no dictionary of username and password"),
        ([PROXY], {"Zone A": {"pass": "it"}}, "what is given for Zone A is no dictionary of username and password"),
    ],
    ids=["unseen", "text", "unknown-key"],
)
def test_what_is_refused(documents: list[dict[str, Any]], given: dict[str, Any], words: str) -> None:
    with pytest.raises(OctoError, match=words):
        ways(client_of(asked(*documents)), [DEFAULT], [record("a", "Proxies-1")], given)
