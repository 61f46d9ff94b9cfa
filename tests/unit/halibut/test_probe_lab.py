# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sweep against the lab's listener: two independent readings of the contracts meet on the wire."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Caller
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import parse
from lab.wire.certificates import Keypair, make_certificate
from lab.wire.listener import Listener
from unit.halibut.conftest import People

LIMITS = probe.Limits(reply=2.0)


class Tentacle:
    """A lab listener with its log in a list and its faults in a set."""

    def __init__(self, keypair: Keypair, trusted: str, newest: str) -> None:
        self.lines: list[tuple[str, str]] = []
        self.faults: set[str] = set()
        self.listener = Listener(
            "127.0.0.1",
            0,
            keypair,
            {trusted},
            lambda level, _source, message: self.lines.append((level, message)),
            faults=lambda: self.faults,
            newest=newest,  # type: ignore[arg-type]
        )
        self.listener.start()

    def errors(self) -> list[str]:
        assert self.listener.wait_until_idle(5.0)
        return [message for level, message in self.lines if level in ("WARN", "ERROR", "FATAL")]

    def ask(self, *callers: Caller) -> dict[str, str]:
        sights = probe.sweep([parse(self.listener.endpoint)], callers, LIMITS)
        return {sight.identity: sight.verdict for sight in sights}


@pytest.fixture(scope="module")
def keypair() -> Keypair:
    return make_certificate("Octopus Tentacle")


@pytest.fixture(params=["1.2", "1.3"])
def tentacle(request: pytest.FixtureRequest, keypair: Keypair, people: People) -> Iterator[Tentacle]:
    made = Tentacle(keypair, people.new.thumbprint, request.param)
    yield made
    made.listener.stop()


def test_a_whole_matrix_leaves_no_error_line(tentacle: Tentacle, people: People) -> None:
    callers = [probe.at_random(), probe.without_certificate(), probe.presenting("old", people.old), probe.presenting("new", people.new)]
    for _sweep in range(5):
        assert tentacle.ask(*callers) == {"random": "refused", "none": "refused", "old": "refused", "new": "accepted"}
        assert tentacle.ask() == {"identity": "identity"}
    assert tentacle.errors() == []
    assert [message for _level, message in tentacle.lines if "authenticated as" in message and people.new.thumbprint not in message] == []


@pytest.mark.parametrize(
    ("fault", "verdict"),
    [
        ("accepts_anybody", "accepted"),
        ("asks_no_certificate", "not_asked"),
        ("hangs_after_preamble", "timeout"),
        ("refuses_by_reset", "reset"),
        ("refuses_in_tls", "tls_failed"),
    ],
)
def test_each_fault_has_its_verdict(tentacle: Tentacle, fault: str, verdict: str) -> None:
    tentacle.faults.add(fault)
    assert tentacle.ask(probe.at_random()) == {"random": verdict}
