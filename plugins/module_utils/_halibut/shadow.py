# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What a shadow has received, as it writes it down and as a gate reads it (rotation-safety 3.1). Nothing in it is secret."""

from __future__ import annotations

import json
from typing import Any, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Set, Tuple

# What is written down, one JSON object a line, with the time of the monotonic clock that all processes of the controller share.
LISTENING = "listening"  # it has begun, and presents this
SUBSCRIBED = "subscribed"  # who came with this certificate named this subscription, so it has accepted what was presented
REFUSED = "refused"  # who came with this certificate was shown a random one, and said nothing
LEFT = "left"  # that connection has ended, and with it all that is known of that process


class Subscriber(NamedTuple):
    """A Tentacle that named its subscription. ``live``: it is connected now, so it is the process that came ``since``."""

    subscription: str  # poll://.../
    thumbprint: str  # of the certificate that it has the key of
    since: float
    live: bool
    to_random: bool = False  # it accepted a certificate that nobody can have told it to accept


class Heard(NamedTuple):
    """All that a shadow has received. ``discriminating``: the certificates of those who refused a random one and accepted the new one."""

    presents: Optional[str] = None
    subscribers: Tuple[Subscriber, ...] = ()
    discriminating: FrozenSet[str] = frozenset()


def line(event: str, **more: Any) -> bytes:
    return json.dumps({"event": event, **more}, sort_keys=True).encode("ascii") + b"\n"


def heard(lines: Iterable[bytes], is_running: bool) -> Heard:
    """What the lines say. Of a shadow that has ended or was started anew, nobody is connected any more."""
    presents: Optional[str] = None
    found: Dict[int, Subscriber] = {}
    earlier: List[Subscriber] = []
    refused: Set[str] = set()
    for text in lines:
        event = json.loads(text)
        kind, guest = event["event"], event.get("guest", 0)
        if kind == LISTENING:
            earlier += [one._replace(live=False) for one in found.values()]
            found, presents = {}, event["presents"]
        elif kind == SUBSCRIBED:
            found[guest] = Subscriber(event["subscription"], event["thumbprint"], event["at"], is_running, event["random"])
        elif kind == REFUSED:
            refused.add(event["thumbprint"])
        elif kind == LEFT and guest in found:
            found[guest] = found[guest]._replace(live=False)
    subscribers = (*earlier, *found.values())
    return Heard(presents, subscribers, frozenset(refused & {one.thumbprint for one in subscribers if not one.to_random}))
