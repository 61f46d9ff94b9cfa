# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What the running process said that it trusts, from its log (decisions 8 and 25; measured-tentacle.md 14.6).

Lines are bound to a process by its id, never by time: clocks move, and any vendor command writes to the same file.
"""

from __future__ import annotations

import re
from typing import FrozenSet, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._host import Host
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import trust

YES, NO, PROBABLY, UNKNOWN = "yes", "no", "probably", "unknown"

# Newest first. Daily archives; a vendor command on the next day moves the lines of a running agent into them.
_FILES = ("OctopusTentacle.txt", *(f"OctopusTentacle.{number}.txt" for number in range(7)))
_LINE = re.compile(rb"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ +(?P<pid>\d+) +\d+ +[A-Z]+  (?P<message>.*?)\r?$", re.MULTILINE)
_HEADER = b"==== RunAgentCommand ===="  # written at every log level
_START_UP_BYTES = 1 << 18
_TRUSTS = re.compile(r"Agent will trust Octopus Servers with the thumbprint: (.+)")
_POLLS = re.compile(r"Agent will poll Octopus Server at (\S+) for subscription (\S+) expecting thumbprint (.+)")
_OWN_PORT = re.compile(r"^((?:https|wss)://[^/]*):443(?=/|$)|^((?:http|ws)://[^/]*):80(?=/|$)")
_TRUSTS_NOBODY = "The agent is not configured to trust any Octopus Servers."
# What follows the trust in the start-up sequence (tentacle-cli.md 5.1): before it the list may not be complete.
_COMPLETE = ("Agent listening on:", "Agent will not listen", "WorkspaceCleanerTask", "LivenessHeartbeatTask")


class Armed(NamedTuple):
    """The pins that a process took at its start: of all entries, and of polling ones with their address and subscription."""

    pins: Tuple[str, ...]
    polls: FrozenSet[Tuple[str, str, str]]


def armed(host: Host, folder: str, pid: int) -> Optional[Armed]:
    """What process ``pid`` named in its start-up lines; None without evidence (none at log levels above Info)."""
    if not pid:
        return None
    messages = _since_start(host, folder, pid)
    if not any(message.startswith(_COMPLETE) for message in messages):
        return None
    pins = tuple(match.group(1).strip() for match in map(_TRUSTS.match, messages) if match)
    if not pins and _TRUSTS_NOBODY not in messages:
        return None
    polls = frozenset((_place(match.group(1)), match.group(2), match.group(3).strip()) for match in map(_POLLS.match, messages) if match)
    return Armed(pins, polls)


def restart_pending(process: Optional[Armed], entries: Sequence[trust.Entry], changed_ns: int, started_ns: int) -> str:
    """Whether the process works with another trust than the file has (decisions 8).

    Without lines the times decide, and only probably: the vendor's own commands move the modification time without
    changing a byte.
    """
    if process is not None:
        same = _matching(process.pins) == _matching(entry.thumbprint for entry in entries) and process.polls == _polls(entries)
        return NO if same else YES
    if not changed_ns or not started_ns:
        return UNKNOWN
    return PROBABLY if changed_ns > started_ns else NO


def _matching(pins: Iterable[str]) -> FrozenSet[str]:
    """A listener ignores case (halibut-wire.md 1.3), so spelling alone is no reason to restart."""
    return frozenset(pin.strip().upper() for pin in pins)


def _polls(entries: Sequence[trust.Entry]) -> FrozenSet[Tuple[str, str, str]]:
    """A polling Tentacle compares by case (measured-tentacle.md 9), so the spelling counts."""
    return frozenset(
        (_place(entry.address), entry.subscription_id or "", entry.thumbprint.strip())
        for entry in entries
        if entry.address and entry.style in (trust.POLLING, trust.WEBSOCKET)
    )


def _place(address: str) -> str:
    """The log has an address as .NET prints it: with a slash that was not stored, and without the port that its scheme has anyway."""
    return _OWN_PORT.sub(r"\1\2", address.lower()).rstrip("/")


def _since_start(host: Host, folder: str, pid: int) -> List[str]:
    """The messages of ``pid`` after its last header, oldest first; none if no file has the header."""
    newer: List[str] = []
    for name in _FILES:
        data = host.read(f"{folder}/{name}") or b""
        start = _after_header(data, pid)
        if start is not None:
            return _messages(data, start, pid) + newer
        newer = _messages(data, 0, pid) + newer
    return []


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
