# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was seen on one edge, sample by sample, and what follows from it. Pure: times come in as arguments."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

# Seconds without a sample, or two and a half periods of who is sampled as seldom as that; also what an edge may be away without any order: less
# is the noise of sampling.
LONGEST_GAP = 1.0
AWAY_PER_RESTART = 5.0


class Verdict(enum.Enum):
    """One sample of one edge."""

    OK = "ok"
    REFUSED = "refused"  # TLS is up, trust or pin says no
    AWAY = "away"
    NOT_SAMPLED = "not_sampled"  # there is no identity to play: nobody has seen the node's certificate, or its key is nowhere


@dataclass(frozen=True)
class Sample:
    """``orders``: how many restarts of the processes on this edge had been ordered when it ended."""

    verdict: Verdict
    began: float
    ended: float
    orders: int = 0
    detail: str = ""


@dataclass
class Stretch:
    """Consecutive samples of one kind; ``orders`` are the restarts that it may be blamed on."""

    began: float
    ended: float
    orders: int
    from_the_start: bool
    detail: str

    def seconds(self, period: float) -> float:
        return self.ended - self.began + period


@dataclass
class Ledger:
    """All about one edge."""

    period: float
    began: float
    back_off: float = 0.0  # seconds on top that an edge may be away after an order, because one side sleeps off refusals
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    refused: list[Stretch] = field(default_factory=list)
    away: list[Stretch] = field(default_factory=list)
    largest_gap: float = 0.0
    slowest: float = 0.0
    last: Sample | None = None
    _open: dict[Verdict, Stretch] = field(default_factory=dict)
    _looked: float | None = None  # the end of the last look; who starts a witness waits for the first
    _known_orders: int = 0
    _unanswered: list[float] = field(default_factory=list)  # when restarts were ordered that no outage has answered for

    def add(self, sample: Sample) -> None:
        """Enter a sample. An outage of trust lasts until an accepted sample: a restart in its middle does not end it."""
        self.counts[sample.verdict] += 1
        if sample.verdict is Verdict.NOT_SAMPLED:
            return
        self.largest_gap = self._gap(sample.began) if self._looked is not None else 0.0
        self._looked = sample.ended
        self.slowest = max(self.slowest, sample.ended - sample.began)
        self._unanswered += [sample.ended] * (sample.orders - self._known_orders)
        self._known_orders = sample.orders
        if sample.verdict is Verdict.OK:
            if Verdict.AWAY in self._open:
                self._unanswered.clear()
            self._open.clear()
        else:
            if sample.verdict is Verdict.REFUSED:
                self._open.pop(Verdict.AWAY, None)
            self._extend(sample)
        self.last = sample

    def _extend(self, sample: Sample) -> None:
        stretch = self._open.get(sample.verdict)
        if stretch is None:
            stretch = Stretch(sample.began, sample.ended, 0, self.counts[Verdict.OK] == 0, sample.detail)
            self._open[sample.verdict] = stretch
            (self.refused if sample.verdict is Verdict.REFUSED else self.away).append(stretch)
        stretch.ended = sample.ended
        # A Tentacle that was told to go still answers for a moment, longer on a busy machine: the good samples in
        # between do not separate the order from the outage that it causes.
        stretch.orders = sum(ordered >= stretch.began - AWAY_PER_RESTART for ordered in self._unanswered)

    def _gap(self, now: float) -> float:
        return max(self.largest_gap, now - (self.began if self._looked is None else self._looked))

    @property
    def refused_seconds(self) -> float:
        return sum(stretch.seconds(self.period) for stretch in self.refused)

    def failures(self, now: float) -> list[str]:
        """What of this edge must fail the run, in words."""
        gap = self._gap(now)
        longest = max(LONGEST_GAP, 2.5 * self.period)
        found = [] if gap <= longest else [f"was not looked at for {gap:.1f} s (allowed: {longest:g} s)"]
        if self.refused:
            found.append(f"was refused for {self.refused_seconds:.1f} s: {self.refused[0].detail}")
        for stretch in self.away:
            seconds, allowed = stretch.seconds(self.period), self._allowed(stretch.orders)
            if seconds > allowed and not stretch.from_the_start:
                found.append(f"was away for {seconds:.1f} s with {stretch.orders} restarts ordered (allowed: {allowed:g} s): {stretch.detail}")
        return found

    def _allowed(self, orders: int) -> float:
        return AWAY_PER_RESTART * orders + self.back_off if orders else max(LONGEST_GAP, self.period)

    def report(self, now: float) -> dict[str, Any]:
        return {
            "samples": {verdict.value: count for verdict, count in self.counts.items()},
            "refused_seconds": round(self.refused_seconds, 3),
            "refused": [self._row(stretch) for stretch in self.refused],
            "away": [self._row(stretch) for stretch in self.away],
            "largest_gap": round(self._gap(now), 3),
            "slowest": round(self.slowest, 3),
            "last": self.last.verdict.value if self.last is not None else Verdict.NOT_SAMPLED.value,
            "failures": self.failures(now),
        }

    def _row(self, stretch: Stretch) -> dict[str, Any]:
        return {
            "at": round(stretch.began - self.began, 3),
            "seconds": round(stretch.seconds(self.period), 3),
            "orders": stretch.orders,
            "from_the_start": stretch.from_the_start,
            "detail": stretch.detail,
        }
