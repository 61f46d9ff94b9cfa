# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same sweep with the standard library's TLS: it sees what pyOpenSSL sees, and puts a key into no file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import carriage, probe, standard
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint, Proxy, parse
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import PemIdentity, key_text
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from unit.halibut import doubles, test_probe
from unit.halibut.conftest import People

Opened = Callable[..., doubles.Port]

# Run once more, with the other library.
test_a_name_that_cannot_be_a_name_is_a_row_like_any_other = test_probe.test_a_name_that_cannot_be_a_name_is_a_row_like_any_other
test_a_port_that_asks_for_no_certificate_is_named_and_not_questioned = test_probe.test_a_port_that_asks_for_no_certificate_is_named_and_not_questioned
test_accepted_and_refused = test_probe.test_accepted_and_refused
test_an_alert_inside_the_handshake_is_told_in_openssl_s_words = test_probe.test_an_alert_inside_the_handshake_is_told_in_openssl_s_words
test_ipv6 = test_probe.test_ipv6
test_looking_at_the_certificate_asks_nothing_and_ends_politely = test_probe.test_looking_at_the_certificate_asks_nothing_and_ends_politely
test_names_are_sent_and_addresses_are_not = test_probe.test_names_are_sent_and_addresses_are_not
test_no_session_is_ever_resumed = test_probe.test_no_session_is_ever_resumed
test_the_question_is_one_write_and_the_goodbye_the_null_message = test_probe.test_the_question_is_one_write_and_the_goodbye_the_null_message
test_what_is_no_answer_has_its_own_verdict = test_probe.test_what_is_no_answer_has_its_own_verdict
test_whoever_was_accepted_too_early_calls_again_as_the_control = test_probe.test_whoever_was_accepted_too_early_calls_again_as_the_control


@pytest.fixture(autouse=True)
def _standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_openssl", lambda: standard)


def test_a_question_and_its_answer_as_text(opened: Opened, people: People) -> None:
    tentacle = opened(trusted={people.new.thumbprint})
    proxy = opened(doubles.proxy(b"HTTP/1.0 200 OK\r\n\r\n", tentacle))
    endpoints = [parse(tentacle.address, "web-01"), Endpoint("web-02", "web-02.inside", 10933, Proxy(proxy.host, proxy.port, "me", Secret("it")))]
    callers = [probe.at_random(), probe.without_certificate(), probe.presenting("old", people.old), probe.presenting("new", people.new)]
    answer = carriage.answer(carriage.question(endpoints, callers, probe.Limits()))
    assert key_text(people.new) not in answer
    sights = carriage.sights(answer, endpoints, callers)
    assert [(sight.endpoint.name, sight.identity, sight.verdict) for sight in sights] == [
        (name, who, verdict)
        for name in ("web-01", "web-02")
        for who, verdict in (("random", "refused"), ("none", "refused"), ("old", "refused"), ("new", "accepted"))
    ]
    assert {(sight.thumbprint, sight.tls) for sight in sights} == {(people.tentacle.thumbprint, "TLSv1.3")}
    assert b"Proxy-Authorization: Basic bWU6aXQ=\r\n" in proxy.settled(4)[0].heard[0]


@pytest.mark.parametrize("secret", [False, True])
def test_what_has_to_be_hidden(people: People, secret: bool) -> None:
    password = Secret("it") if secret else None
    assert carriage.is_secret([Endpoint("a", "a", 1, Proxy("p", 2, "me", password))], [probe.onlooker(), probe.without_certificate()]) is secret
    assert carriage.is_secret([Endpoint("a", "a", 1)], [probe.presenting("new", people.new)])


def test_a_key_is_in_memory_only_and_leaves_no_descriptor_behind(people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    memory = os.memfd_create
    monkeypatch.setattr(os, "memfd_create", lambda name: (made.append(name), memory(name))[1])
    monkeypatch.chdir(tmp_path)
    before = os.listdir("/proc/self/fd")
    standard.context(PemIdentity(people.new.certificate, key_text(people.new)))
    assert (made, os.listdir("/proc/self/fd"), os.listdir(tmp_path)) == (["octofleet.octopus"], before, [])


def test_without_files_in_memory_a_key_is_refused_and_a_look_is_not(opened: Opened, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(carriage._tls, "is_there", lambda: False)
    port = opened(doubles.mute)
    look = carriage.question([parse(port.address)], [probe.onlooker()], probe.Limits())
    assert '"identity"' in carriage.answer(look)
    with pytest.raises(OctoError, match="needs Linux, or the Python packages 'cryptography>=42' and 'pyOpenSSL"):
        carriage.answer(carriage.question([parse(port.address)], [probe.presenting("new", people.new)], probe.Limits()))


def test_without_files_in_memory_pyopenssl_does_it(opened: Opened, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    port = opened(trusted={people.new.thumbprint})
    answer = carriage.answer(carriage.question([parse(port.address)], [probe.presenting("new", people.new)], probe.Limits()))
    assert '"accepted"' in answer


def test_an_identity_shows_its_thumbprint_and_nothing_else(people: People) -> None:
    identity = PemIdentity(people.new.certificate, key_text(people.new))
    assert repr(identity) == f"PemIdentity({people.new.thumbprint})"
    with pytest.raises(TypeError, match="not serialised"):
        identity.__reduce__()
