# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""How fast a rotation may go: how many Tentacles are away at once, and until when waves are started (I12)."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, Mapping, Optional

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import Record

_CLOCK = re.compile(r"\A([01]?\d|2[0-3]):([0-5]\d)\Z")


@dataclass(frozen=True)
class Away:
    """At most so many are away at the same time: of all, and of those in an environment or with a role."""

    total: int = 1
    environments: Mapping[str, int] = field(default_factory=dict)
    roles: Mapping[str, int] = field(default_factory=dict)

    def of(self, records: Iterable[Record]) -> int:
        """The least bound that one of these records is under: whoever waits for the strictest never breaks another."""
        bounds = [self.total]
        for record in records:
            bounds += [self.environments[name] for name in record.environments if name in self.environments]
            bounds += [self.roles[name] for name in record.roles if name in self.roles]
        return min(bounds)


def away_of(asked: Any) -> Away:
    """From ``octopus_away_at_most``: a number, or ``{total: 20, environments: {Production: 2}, roles: {web-server: 1}}``."""
    if not isinstance(asked, Mapping):
        return Away(_bound("", asked))
    unknown = sorted(set(asked) - {"total", "environments", "roles"})
    if unknown:
        raise OctoError(f"octopus_away_at_most has the key {unknown[0]!r}. It is a number, or has the keys total, environments and roles.")
    groups: Dict[str, Dict[str, int]] = {}
    for kind in ("environments", "roles"):
        given = asked.get(kind) or {}
        if not isinstance(given, Mapping):
            raise OctoError(f"octopus_away_at_most.{kind} is {given!r}. Give a bound by name, such as {{Production: 2}}.")
        groups[kind] = {str(name): _bound(f".{kind}.{name}", most) for name, most in given.items()}
    return Away(_bound(".total", asked.get("total", 20)), groups["environments"], groups["roles"])


def _bound(place: str, asked: Any) -> int:
    try:
        most = int(str(asked))
    except ValueError:
        most = 0
    if most < 1:
        raise OctoError(
            f"octopus_away_at_most{place} is {asked!r}; at least one Tentacle host has to be away at a time to restart its Tentacle. Give a number from 1 on."
        )
    return most


def stop_time(asked: Optional[str], started: datetime.datetime) -> Optional[datetime.datetime]:
    """When no further wave is to be started, by ``octopus_stop_at``: ``HH:MM`` of the controller's clock, the next one after the start, or an ISO time."""
    if not asked:
        return None
    clock = _CLOCK.match(asked.strip())
    if clock:
        stop = started.replace(hour=int(clock.group(1)), minute=int(clock.group(2)), second=0, microsecond=0)
        return stop if stop > started else stop + datetime.timedelta(days=1)
    try:
        exact = datetime.datetime.fromisoformat(asked.strip().replace("Z", "+00:00"))
    except ValueError:
        raise OctoError(f"octopus_stop_at is {asked!r}. Give a clock time such as 06:00, or a time such as 2026-03-01T06:00.") from None
    return exact if exact.tzinfo else exact.replace(tzinfo=started.tzinfo)
