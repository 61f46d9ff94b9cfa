# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the running process said that it trusts: bound to its id, across archives, and silent when there is no evidence."""

from __future__ import annotations

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import log, trust
from unit.tentacle.doubles import FOREIGN, GOLDEN, NEW, OLD, FakeHost, HandClock, Poll, entry_json, identified, log_of, refused, start_up, trust_json

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


# --- Whom it polls --------------------------------------------------------------------------------------------------------------------

NODE, SHADOW, LONGER = (f"https://octopus.example.com:{port}" for port in (1094, 10944, 10943))
ME, OTHER = "poll://bcdefghjklmnpqrstuvw/", "poll://zyxwvutsrqpnmlkjhgfd/"
DISK = f"[{entry_json(OLD, 2, NODE, ME)},{entry_json(NEW, 2, NODE, ME)}]"
POLLS = [Poll(NODE, ME, OLD), Poll(NODE, ME, NEW)]


def start(pid: int = 77, polls: list[Poll] | None = None) -> bytes:
    return start_up(pid, OLD, NEW, polls=POLLS if polls is None else polls)


def seen(host: FakeHost, text: str = DISK, pid: int = 77) -> dict[str, list[str] | None]:
    rows = log.poll_rows(log.story(host, FOLDER, pid), trust.parse(text))
    return {f"{row['thumbprint']}": row["seen"] for row in rows}


def new(host: FakeHost) -> list[str] | None:
    return seen(host)[NEW]


def archive(number: int) -> str:
    return f"{FOLDER}/OctopusTentacle.{number}.txt"


def test_a_row_says_whom_it_is_about(host: FakeHost) -> None:
    host.files[MAIN] = start()
    rows = log.poll_rows(log.story(host, FOLDER, 77), trust.parse(f"[{entry_json(FOREIGN)},{DISK[1:]}"))
    assert rows == [
        {"address": NODE, "subscription_id": ME, "thumbprint": OLD, "seen": ["started"]},
        {"address": NODE, "subscription_id": ME, "thumbprint": NEW, "seen": ["started"]},
    ]


REAL_OLD, REAL_NEW = "2ECF43568DB70FF2CD04432A4F387FD45BE21804", "2C9A111EE193ED3FAD26222A2BB6CF3695A33C45"


def test_the_recorded_meetings_of_a_real_agent(host: FakeHost) -> None:
    """The transcript cuts long lines, so the refusal is the one among the samples, of the same process."""
    text = (GOLDEN / "polling-two-entries.txt").read_text()
    samples = (GOLDEN / "log-samples.txt").read_text()
    subscription = "poll://bcdefghjklmnpqrstuvw/"
    disk = f"[{entry_json(REAL_OLD, 2, 'https://127.0.0.1:10943', subscription)},{entry_json(REAL_NEW, 2, 'https://127.0.0.1:10943', subscription)}]"

    def lines(start: str, until: str) -> bytes:
        part = text[text.index(start) : text.index(until)]
        return "\n".join(line.removeprefix("   | ") for line in part.splitlines()).encode() + b"\n"

    host.files[MAIN] = lines("[poll-agent] started", "##### server OLD")
    assert seen(host, disk, 12452) == {REAL_OLD: ["started"], REAL_NEW: ["started"]}
    host.files[MAIN] += lines("##### server OLD", "##### server gone 5s")
    assert seen(host, disk, 12452) == {REAL_OLD: ["started", "identified"], REAL_NEW: ["started"]}
    host.files[MAIN] += samples[samples.index("### pin mismatch") : samples.index("### connection refused\n")].encode()
    assert seen(host, disk, 12452) == {REAL_OLD: ["started", "identified"], REAL_NEW: ["started", "armed"]}
    host.files[MAIN] += lines("##### server NEW, same", "##### back to OLD")
    assert seen(host, disk, 12452)[REAL_NEW] == ["started", "armed", "identified"]


def test_a_switch_is_followed_and_may_be_followed_back(host: FakeHost) -> None:
    """Whoever was refused with a pin after it had identified with it is not there any more."""
    host.files[MAIN] = start() + identified(77, NODE, OLD) + refused(77, NODE, NEW, OLD)
    assert seen(host) == {OLD: ["started", "identified"], NEW: ["started", "armed"]}
    host.files[MAIN] += refused(77, NODE, OLD, NEW) + identified(77, NODE, NEW)
    assert seen(host) == {OLD: ["started", "armed"], NEW: ["started", "armed", "identified"]}
    host.files[MAIN] += identified(77, NODE, OLD) + refused(77, NODE, NEW, OLD)
    assert seen(host) == {OLD: ["started", "armed", "identified"], NEW: ["started", "armed"]}


MET = identified(77, NODE, NEW)
ARMED = refused(77, NODE, NEW, OLD)
IN_SUBJECT = (
    f"{NODE}/    7  Halibut client exception: The server at {NODE}/ presented an unexpected security certificate. We expected the server to present a "
    f"certificate with the thumbprint '{OLD}'. Instead, it presented a certificate with a thumbprint of '{FOREIGN}' and subject 'CN=The server at {NODE}/ "
    f"presented an unexpected security certificate. We expected the server to present a certificate with the thumbprint '{NEW}'. Instead, it presented "
    f"a certificate with a thumbprint of '{OLD}''"
)
TRAPS = {
    "of an earlier process": MET + ARMED + start(),
    "of an earlier process with the same id": start() + MET + ARMED + start(),
    "of another process": start() + identified(78, NODE, NEW) + refused(78, NODE, NEW, OLD),
    "of another process whose id begins alike": start() + identified(777, NODE, NEW) + refused(7, NODE, NEW, OLD),
    "of another agent": start() + start(78) + identified(78, NODE, NEW) + refused(78, NODE, NEW, OLD),
    "of a shadow": start() + identified(77, SHADOW, NEW) + refused(77, SHADOW, NEW, OLD),
    "of an address that begins alike": start() + identified(77, LONGER, NEW) + refused(77, LONGER, NEW, OLD),
    "of another pin": start() + identified(77, NODE, FOREIGN) + refused(77, NODE, FOREIGN, NEW) + refused(77, NODE, OLD, NEW),
    "of the pin in lower case": start() + refused(77, NODE, NEW.lower(), NEW),
    "without a process": start() + b"".join(line.split(b"  ", 4)[-1] + b"\n" for line in (MET + ARMED).splitlines()),
    "quoted by a server": start() + log_of(77, IN_SUBJECT, level="ERROR"),
    "quoted by a message": start()
    + log_of(77, f"somebody said: {NODE}/    7  Secure connection established. Server at h identified by thumbprint: {NEW}"),
    "cut short": start() + MET[: MET.index(NEW.encode()) + 20],
}


@pytest.mark.parametrize("trap", sorted(TRAPS))
def test_nothing_is_seen_in_lines(host: FakeHost, trap: str) -> None:
    host.files[MAIN] = TRAPS[trap]
    assert new(host) == ["started"]


def test_a_start_of_somebody_else_is_none(host: FakeHost) -> None:
    host.files[MAIN] = start() + start(78, [Poll(NODE, ME, FOREIGN)])
    assert seen(host, pid=78) == {OLD: [], NEW: []}
    host.files[MAIN] = start(77, [Poll(SHADOW, ME, NEW), Poll(NODE, OTHER, NEW), Poll(NODE, ME, NEW.lower())])
    assert new(host) == []


@pytest.mark.parametrize("number", range(7))
def test_a_rotation_takes_nothing_away_and_adds_nothing(host: FakeHost, number: int) -> None:
    host.files[archive(number)] = MET + start()
    host.files[MAIN] = log_of(78, "==== ConfigureCommand ====")
    if number < 6:
        host.files[archive(number + 1)] = start() + MET + ARMED
    assert new(host) == ["started"]
    host.files[archive(number)] += ARMED
    host.files[MAIN] += MET
    assert new(host) == ["started", "armed", "identified"]


def test_the_newest_file_is_the_latest_word(host: FakeHost) -> None:
    host.files[archive(1)] = start()
    host.files[archive(0)] = MET
    host.files[MAIN] = ARMED
    assert new(host) == ["started", "armed"]


def test_a_start_that_has_left_the_archives_is_not_known(host: FakeHost) -> None:
    host.files[f"{FOLDER}/OctopusTentacle.7.txt"] = start()
    host.files[MAIN] = MET + ARMED
    assert seen(host) == {OLD: None, NEW: None}
    assert seen(host, pid=0) == {OLD: None, NEW: None}


def test_a_level_without_start_up_lines_has_refusals_at_most(host: FakeHost) -> None:
    """Warn and Error; at Fatal and Off there is the header alone (measured-tentacle.md 14.6)."""
    host.files[MAIN] = start() + MET + log_of(77, "==== RunAgentCommand ====", "CommandLine: Tentacle run")
    assert seen(host) == {OLD: [], NEW: []}
    host.files[MAIN] += ARMED
    assert seen(host) == {OLD: [], NEW: ["armed"]}


def test_a_pin_that_never_matches_shows_nothing_but_its_start(host: FakeHost) -> None:
    lower = f"[{entry_json(NEW.lower(), 2, NODE, ME)}]"
    host.files[MAIN] = start(77, [Poll(NODE, ME, NEW.lower())]) + refused(77, NODE, NEW.lower(), NEW) + MET + ARMED
    assert seen(host, lower) == {"None": ["started"]}


@pytest.mark.parametrize("disk", [DISK, f"[{entry_json(NEW, 2, NODE, ME)},{entry_json(NEW, 2, NODE, OTHER)}]"], ids=["process", "disk"])
def test_what_two_subscriptions_share_is_neithers(host: FakeHost, disk: str) -> None:
    """A line of the transport does not say for which of them it is."""
    running = [*POLLS, Poll(NODE, OTHER, NEW)] if disk == DISK else POLLS
    host.files[MAIN] = start(77, running) + MET + ARMED
    rows = log.poll_rows(log.story(host, FOLDER, 77), trust.parse(disk))
    assert [row["seen"] for row in rows if (row["thumbprint"], row["subscription_id"]) == (NEW, ME)] == [["started"]]


@pytest.mark.parametrize("stored", [NODE, f"{NODE}/", NODE.upper().replace("HTTPS", "https")])
def test_the_address_may_be_spelled_as_it_likes(host: FakeHost, stored: str) -> None:
    host.files[MAIN] = start(77, [Poll(stored, ME.upper().replace("POLL", "poll"), NEW)]) + ARMED + MET
    assert seen(host, f"[{entry_json(NEW, 2, stored, ME.rstrip('/'))}]") == {NEW: ["started", "armed", "identified"]}


def test_two_loops_are_not_one(host: FakeHost) -> None:
    """Two equal entries are two loops, and calls are no longer one after the other (halibut-wire.md 4)."""
    once = trust.parse(DISK)
    host.files[MAIN] = start_up(77, OLD, NEW, polls=POLLS)
    assert log.restart_pending(armed(host), once, 0, 0) == "no"
    assert log.restart_pending(armed(host), once[:1] + once, 0, 0) == "yes"
    host.files[MAIN] = start_up(77, OLD, OLD, NEW, polls=POLLS[:1] + POLLS)
    assert log.restart_pending(armed(host), once[::-1], 0, 0) == "yes"
    assert log.restart_pending(armed(host), once[:1] + once, 0, 0) == "no"


def test_evidence_behind_much_noise(host: FakeHost) -> None:
    noise = log_of(77, "listen://[::]:10933/ 6  Accepted TCP client: [::ffff:127.0.0.1]:56738") * 50_000
    host.files[MAIN] = noise + start() + noise + ARMED + noise + MET + noise
    assert seen(host) == {OLD: ["started"], NEW: ["started", "armed", "identified"]}
