# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What the running process said that it trusts and whom it met, from its log (decisions 8 and 25; measured-tentacle.md 14.6).

Lines are bound to a process by its id, never by time: clocks move, and any vendor command writes to the same file.
"""

from __future__ import annotations

import re
from typing import Any, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._host import Host
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import trust

YES, NO, PROBABLY, UNKNOWN = "yes", "no", "probably", "unknown"

# What was seen of an entry that polls.
STARTED, ARMED, IDENTIFIED = "started", "armed", "identified"

# Newest first. Daily archives; a vendor command on the next day moves the lines of a running agent into them.
_FILES = ("OctopusTentacle.txt", *(f"OctopusTentacle.{number}.txt" for number in range(7)))
_LINE = re.compile(rb"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +(?P<pid>\d+) +\d+ +[A-Z]+  (?P<message>.*?)\r?$", re.MULTILINE)
_HEADER = b"==== RunAgentCommand ===="  # written at every log level
_START_UP_BYTES = 1 << 18
_TRUSTS = re.compile(r"Agent will trust Octopus Servers with the thumbprint: (.+)")
_POLLS = re.compile(r"Agent will poll Octopus Server at (\S+) for subscription (\S+) expecting thumbprint (.+)")
_TRUSTS_NOBODY = "The agent is not configured to trust any Octopus Servers."
# What follows the trust in the start-up sequence (tentacle-cli.md 5.1): before it the list may not be complete.
_COMPLETE = ("Agent listening on:", "Agent will not listen", "WorkspaceCleanerTask", "LivenessHeartbeatTask")
_NEVER = (-1, -1)  # a place in the log that is before all others
# The transport's lines begin with the address that they are about (golden/log-samples.txt).
_IDENTIFIED = re.compile(
    rb"(?P<address>\S+) +\d+  Secure connection established\. Server at \S+ identified by thumbprint: (?P<pin>[0-9A-F]{40})(?:,|$)"
)
_REFUSED = re.compile(
    rb"(?P<address>\S+) +\d+  .*?The server at \S+ presented an unexpected security certificate\. We expected the server to present a certificate "
    rb"with the thumbprint '(?P<pin>[^']*)'\. Instead, it presented a certificate with a thumbprint of '[0-9A-F]{40}'"
)

Poll = Tuple[str, str, str]  # address and subscription in the spelling of trust.place_of, pin as it is spelled


class Armed(NamedTuple):
    """The pins that a process took at its start: of all entries, and of those that poll once for each loop."""

    pins: Tuple[str, ...]
    polls: Tuple[Poll, ...]


class Story(NamedTuple):
    """What a log has of one process since its last start."""

    pid: int
    pieces: Tuple[Tuple[bytes, int], ...]  # the files, oldest first, and where in each the part after the header begins
    beginning: Tuple[str, ...]  # the process's own messages in what a start-up can fill

    @property
    def polls(self) -> Tuple[Poll, ...]:
        """Whom it said that it will poll."""
        found = (match for match in map(_POLLS.match, self.beginning) if match)
        return tuple(sorted((*trust.place_of(match.group(1), match.group(2)), match.group(3).strip()) for match in found))


def story(host: Host, folder: str, pid: int) -> Optional[Story]:
    """None if no file has the header of process ``pid``."""
    newer: List[Tuple[bytes, int]] = []
    for name in _FILES if pid else ():
        data = host.read(host.paths.join(folder, name)) or b""
        start = _after_header(data, pid)
        newer.insert(0, (data, start or 0))
        if start is not None:
            messages = (message for piece, begin in newer for message in _messages(piece, begin, pid))
            return Story(pid, tuple(newer), tuple(messages))
    return None


def armed(told: Optional[Story]) -> Optional[Armed]:
    """What the process named in its start-up lines; None without evidence (none at log levels above Info)."""
    if told is None or not any(message.startswith(_COMPLETE) for message in told.beginning):
        return None
    pins = tuple(match.group(1).strip() for match in map(_TRUSTS.match, told.beginning) if match)
    return Armed(pins, told.polls) if pins or _TRUSTS_NOBODY in told.beginning else None


def poll_rows(told: Optional[Story], entries: Sequence[trust.Entry]) -> List[Dict[str, Any]]:
    """What there is to show for each entry that polls: its start, a refusal with its pin, the Server that it expects (decisions 25)."""
    return [
        {
            "address": entry.address,
            "subscription_id": entry.subscription_id,
            "thumbprint": entry.pin,
            "seen": None if told is None else _seen(told, entry, polls_of(entries)),
        }
        for entry in entries
        if entry.style == trust.POLLING
    ]


def polls_of(entries: Iterable[trust.Entry]) -> Tuple[Poll, ...]:
    """Who is polled according to ``entries``. A polling Tentacle compares by case (measured-tentacle.md 9), so the spelling counts."""
    polling = (entry for entry in entries if entry.address and entry.style in (trust.POLLING, trust.WEBSOCKET))
    return tuple(sorted((*entry.place, entry.thumbprint.strip()) for entry in polling))


def restart_pending(process: Optional[Armed], entries: Sequence[trust.Entry], changed_ns: int, started_ns: int) -> str:
    """Whether the process works with another trust than the file has (decisions 8).

    Without lines the times decide, and only probably: the vendor's own commands move the modification time without
    changing a byte.
    """
    if process is not None:
        same = _matching(process.pins) == _matching(entry.thumbprint for entry in entries) and process.polls == polls_of(entries)
        return NO if same else YES
    if not changed_ns or not started_ns:
        return UNKNOWN
    return PROBABLY if changed_ns > started_ns else NO


def _matching(pins: Iterable[str]) -> FrozenSet[str]:
    """A listener ignores case (halibut-wire.md 1.3), so spelling alone is no reason to restart; nor is a pin that is none."""
    return frozenset(pin.strip().upper() for pin in pins if pin.strip())


def _seen(told: Story, entry: trust.Entry, on_disk: Tuple[Poll, ...]) -> List[str]:
    """A refusal and an identified Server are told without the subscription: where two share address and pin, they are nobody's.

    Whoever has identified a Server and was refused by it later has not followed the switch, or has followed one back.
    """
    address, subscription = entry.place
    seen = [STARTED] if (address, subscription, entry.thumbprint.strip()) in told.polls else []
    sharers = {poll[1] for poll in (*told.polls, *on_disk) if (poll[0], poll[2]) == (address, entry.pin)}
    if entry.pin is None or len(sharers) > 1:
        return seen
    refused = _last(told, _REFUSED, b"thumbprint '%s'. Instead, it presented", address, entry.pin)
    identified = _last(told, _IDENTIFIED, b"identified by thumbprint: %s", address, entry.pin)
    return seen + ([ARMED] if refused != _NEVER else []) + ([IDENTIFIED] if identified > refused else [])


def _last(told: Story, pattern: re.Pattern[bytes], words: bytes, address: str, pin: str) -> Tuple[int, int]:
    """Where the process last said so: the number of the piece, and where in it. The words are found before any line is looked at."""
    needle = words % pin.encode("ascii")
    for number, (data, start) in reversed(list(enumerate(told.pieces))):
        at = data.rfind(needle, start)
        while at >= 0:
            line = _LINE.match(data, data.rfind(b"\n", 0, at) + 1)
            match = pattern.match(line.group("message")) if line and int(line.group("pid")) == told.pid else None
            if (
                match
                and match.group("pin") == pin.encode("ascii")
                and trust.place_of(match.group("address").decode("utf-8", "replace"), "")[0] == address
            ):
                return number, at
            at = data.rfind(needle, start, at)
    return _NEVER


def _after_header(data: bytes, pid: int) -> Optional[int]:
    """Where the messages after the last header of ``pid`` begin."""
    at = data.rfind(_HEADER)
    while at >= 0:
        match = _LINE.match(data, data.rfind(b"\n", 0, at) + 1)
        if match and match.group("message") == _HEADER and int(match.group("pid")) == pid:
            return match.end()
        at = data.rfind(_HEADER, 0, at)
    return None


def _messages(data: bytes, start: int, pid: int) -> List[str]:
    """Those of ``pid``, from the part that a start-up can fill: a log may be large (measured-tentacle.md 14.6)."""
    found = _LINE.finditer(data, start, start + _START_UP_BYTES)
    return [match.group("message").decode("utf-8", "replace") for match in found if int(match.group("pid")) == pid]
