# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the running process said that it trusts: bound to its id, across archives, and silent when there is no evidence."""

from __future__ import annotations

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import log, trust
from unit.tentacle.doubles import FOREIGN, GOLDEN, NEW, OLD, FakeHost, HandClock, entry_json, log_of, start_up, trust_json

FOLDER = "/srv/T1/Logs"
MAIN = f"{FOLDER}/OctopusTentacle.txt"


@pytest.fixture
def host() -> FakeHost:
    return FakeHost(HandClock())


def armed(host: FakeHost, pid: int = 77) -> log.Armed | None:
    return log.armed(log.story(host, FOLDER, pid))


def pins(host: FakeHost, pid: int = 77) -> tuple[str, ...] | None:
    found = armed(host, pid)
    return found.pins if found else None


def test_the_recorded_start_of_a_real_agent(host: FakeHost) -> None:
    lines = (line[len("  LOG| ") :] for line in (GOLDEN / "listening-trust.txt").read_text().splitlines() if line.startswith("  LOG| "))
    host.files[MAIN] = "\n".join(lines).encode()
    assert pins(host, 11868) == ("2ECF43568DB70FF2CD04432A4F387FD45BE21804",)
    assert pins(host, 11938) is None  # a configure command


def test_the_recorded_start_of_a_real_polling_agent(host: FakeHost) -> None:
    lines = (line.removeprefix("   | ") for line in (GOLDEN / "polling-two-entries.txt").read_text().splitlines())
    host.files[MAIN] = "\n".join(lines).encode()
    found = armed(host, 12452)
    assert found is not None
    assert {(address, pin) for address, _subscription, pin in found.polls} == {
        ("https://127.0.0.1:10943", "2C9A111EE193ED3FAD26222A2BB6CF3695A33C45"),
        ("https://127.0.0.1:10943", "2ECF43568DB70FF2CD04432A4F387FD45BE21804"),
    }


def test_only_the_last_start_of_this_process_counts(host: FakeHost) -> None:
    """In a container every process has the same id."""
    host.files[MAIN] = start_up(77, OLD) + start_up(78, FOREIGN) + start_up(77, OLD, NEW) + start_up(79, FOREIGN)
    assert pins(host) == (OLD, NEW)


@pytest.mark.parametrize("older", [".0", ".3", ".6"])
def test_lines_that_a_rotation_moved_away_are_found(host: FakeHost, older: str) -> None:
    host.files[f"{FOLDER}/OctopusTentacle{older}.txt"] = start_up(77, OLD)
    host.files[MAIN] = log_of(78, "==== ConfigureCommand ====")
    assert pins(host) == (OLD,)


def test_a_start_that_a_rotation_cut_in_two(host: FakeHost) -> None:
    lines = start_up(77, OLD, NEW).splitlines(keepends=True)
    host.files[f"{FOLDER}/OctopusTentacle.0.txt"] = b"".join(lines[:3])
    host.files[MAIN] = b"".join(lines[3:])
    assert pins(host) == (OLD, NEW)


def test_no_evidence_is_not_no_trust(host: FakeHost) -> None:
    assert pins(host) is None
    host.files[MAIN] = log_of(77, "==== RunAgentCommand ====")
    assert pins(host) is None  # at level Warn nothing follows the header
    host.files[MAIN] = log_of(77, "==== RunAgentCommand ====", f"Agent will trust Octopus Servers with the thumbprint: {OLD}")
    assert pins(host) is None  # not all of it may be there yet
    host.files[MAIN] = log_of(77, "==== RunAgentCommand ====", "WorkspaceCleanerTask.Start(): Starting")
    assert pins(host) is None
    host.files[MAIN] = start_up(77)
    assert pins(host) == ()
    assert pins(host, 0) is None


def test_a_message_that_quotes_the_header_is_no_header(host: FakeHost) -> None:
    host.files[MAIN] = start_up(77, OLD) + log_of(77, "somebody wrote ==== RunAgentCommand ==== here") + b"==== RunAgentCommand ====\n"
    assert pins(host) == (OLD,)


def test_much_noise_after_the_start(host: FakeHost) -> None:
    host.files[MAIN] = start_up(77, OLD) + log_of(77, "listen://[::]:10933/ 6  Accepted TCP client: [::ffff:127.0.0.1]:56738") * 20_000
    assert pins(host) == (OLD,)


def judged(process: tuple[str, ...] | None, disk: str, changed: int = 5, started: int = 9) -> str:
    return log.restart_pending(None if process is None else log.Armed(process, ()), trust.parse(disk), changed, started)


@pytest.mark.parametrize(
    ("process", "disk", "expected"),
    [
        ((OLD, NEW), (OLD, NEW), "no"),
        ((NEW, OLD), (OLD, NEW), "no"),
        ((OLD,), (OLD, NEW), "yes"),
        ((OLD, NEW), (NEW,), "yes"),
        ((), (), "no"),
        ((), (OLD,), "yes"),
        (("f" * 40,), (FOREIGN,), "no"),
        ((OLD,), (OLD, OLD), "no"),
    ],
)
def test_the_process_against_the_disk(process: tuple[str, ...], disk: tuple[str, ...], expected: str) -> None:
    assert judged(process, trust_json(*disk), changed=99) == expected


@pytest.mark.parametrize(("changed", "started", "expected"), [(9, 5, "probably"), (5, 9, "no"), (5, 5, "no"), (0, 5, "unknown"), (5, 0, "unknown")])
def test_without_lines_the_times_decide(changed: int, started: int, expected: str) -> None:
    assert judged(None, trust_json(OLD), changed, started) == expected


def test_a_polling_pin_counts_with_its_address_and_its_case(host: FakeHost) -> None:
    subscription = "poll://bcdefghjklmnpqrstuvw/"
    host.files[MAIN] = log_of(
        77,
        "==== RunAgentCommand ====",
        f"Agent will trust Octopus Servers with the thumbprint: {FOREIGN}",
        f"Agent will poll Octopus Server at https://h:10943/ for subscription {subscription} expecting thumbprint {FOREIGN}",
        "Agent will not listen on any TCP ports",
    )
    process = armed(host)

    def pending(thumbprint: str, address: str, style: int = 2) -> str:
        return log.restart_pending(process, trust.parse(f"[{entry_json(thumbprint, style, address, subscription)}]"), 0, 0)

    assert pending(FOREIGN, "https://h:10943") == "no"
    assert pending(FOREIGN, "https://other:10943") == "yes"
    assert pending(FOREIGN.lower(), "https://h:10943") == "yes"


@pytest.mark.parametrize(
    ("stored", "logged"),
    [
        ("wss://octopus:443/OctopusComms", "wss://octopus/OctopusComms/"),
        ("https://octopus:443", "https://octopus/"),
        ("https://octopus:10943/", "https://octopus:10943/"),
    ],
)
def test_an_address_is_the_same_without_the_port_that_its_scheme_has_anyway(stored: str, logged: str) -> None:
    process = log.Armed((FOREIGN,), ((*trust.place_of(logged, "poll://x/"), FOREIGN),))
    assert log.restart_pending(process, trust.parse(f"[{entry_json(FOREIGN, 2, stored, 'poll://x/')}]"), 0, 0) == log.NO
