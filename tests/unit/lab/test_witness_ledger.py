# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the witness makes of a row of samples."""

from __future__ import annotations

import pytest
from lab.witness.ledger import Ledger, Sample, Verdict

PERIOD = 0.2


def ledger_of(text: str, orders: dict[int, int] | None = None) -> Ledger:
    """One letter a sample, one sample each 0.2 s: o(k), r(efused), a(way), n(ot sampled). ``orders``: from which sample on how many."""
    ledger, ordered = Ledger(PERIOD, 0.0), 0
    for position, letter in enumerate(text):
        ordered = (orders or {}).get(position, ordered)
        verdict = {"o": Verdict.OK, "r": Verdict.REFUSED, "a": Verdict.AWAY, "n": Verdict.NOT_SAMPLED}[letter]
        ledger.add(Sample(verdict, position * PERIOD, position * PERIOD, ordered, letter))
    return ledger


def failures(text: str, orders: dict[int, int] | None = None) -> list[str]:
    return ledger_of(text, orders).failures(len(text) * PERIOD)


def test_a_quiet_run_has_nothing_to_say() -> None:
    assert failures("ooooo") == []


def test_refused_counts_from_the_first_to_the_last_sample_and_one_period_more() -> None:
    assert ledger_of("oorrroo").refused_seconds == pytest.approx(0.6)
    assert failures("orooo") == ["was refused for 0.2 s: r"]


def test_a_restart_in_the_middle_of_an_outage_does_not_end_it() -> None:
    assert ledger_of("orraarroo").refused_seconds == pytest.approx(1.2)


def test_two_outages_are_added_up() -> None:
    assert ledger_of("orroorro").refused_seconds == pytest.approx(0.8)


def test_away_is_allowed_as_long_as_the_ordered_restarts_last() -> None:
    assert failures("oo" + "a" * 20 + "oo", {2: 1}) == []
    assert failures("oo" + "a" * 26 + "oo", {2: 1}) == ["was away for 5.2 s with 1 restarts ordered (allowed: 5 s): a"]
    assert failures("oo" + "a" * 26 + "oo", {2: 1, 12: 2}) == []


def test_an_order_may_be_older_than_the_last_answer_of_the_old_process() -> None:
    assert failures("ooooo" + "a" * 10 + "oo", {2: 1}) == []
    assert failures("o" * 30 + "a" * 10 + "oo", {2: 1}) == ["was away for 2.0 s with 0 restarts ordered (allowed: 1 s): a"]


def test_an_order_answers_for_one_outage_only() -> None:
    assert failures("oo" + "a" * 7 + "oo" + "a" * 7 + "oo", {2: 1}) == ["was away for 1.4 s with 0 restarts ordered (allowed: 1 s): a"]


def test_away_without_an_order_is_noise_for_a_second_only() -> None:
    assert failures("ooaaaoo") == []
    assert failures("oo" + "a" * 7 + "oo") == ["was away for 1.4 s with 0 restarts ordered (allowed: 1 s): a"]


def test_an_edge_that_was_away_from_the_start_is_not_the_runs_doing() -> None:
    assert failures("a" * 100) == []


def test_a_gap_fails_the_run_whoever_could_not_look() -> None:
    assert failures("oo" + "n" * 6 + "oo") == ["was not looked at for 1.4 s (allowed: 1 s)"]
    assert failures("n" * 10) == ["was not looked at for 2.0 s (allowed: 1 s)"]


def test_a_slow_conversation_is_no_gap() -> None:
    ledger = Ledger(PERIOD, 0.0)
    ledger.add(Sample(Verdict.AWAY, 0.1, 3.1, 1))
    ledger.add(Sample(Verdict.OK, 3.2, 3.3, 1))
    assert ledger.largest_gap == pytest.approx(0.1)
    assert ledger.slowest == pytest.approx(3.0)
