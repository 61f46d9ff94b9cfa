# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long each side waits (contracts/halibut-wire.md 1.4, recommended values), shortened by the lab's time_scale."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

_GUARD_FLOOR = 5.0
_GUARDS = ("connect", "connection", "next_request", "control", "response", "poll_receive")


@dataclass(frozen=True)
class Limits:
    """Seconds. `scale` is kept beside them for delays that are computed while running (the back-off)."""

    connect: float = 60.0
    connection: float = 60.0
    next_request: float = 600.0
    control: float = 60.0
    response: float = 300.0
    poll_receive: float = 60.0
    queue_wait: float = 30.0
    queue_timeout: float = 120.0
    retry_sleep: float = 1.0
    scale: float = 1.0

    @classmethod
    def scaled(cls, time_scale: float) -> Self:
        """All limits times `time_scale`; those that only guard against silence keep five seconds, or a busy machine would trip them."""
        normal = cls()
        values = {field.name: getattr(normal, field.name) * time_scale for field in fields(cls)}
        guarded = {name: min(getattr(normal, name), max(values[name], _GUARD_FLOOR)) if time_scale < 1 else values[name] for name in _GUARDS}
        return replace(normal, **{**values, **guarded})
