# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gates do about a shadow: its port before anything is touched, patience for whom it has not received, and no entry where it is not reached."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.permit import RunIdentity
from ansible_collections.octofleet.octopus.plugins.plugin_utils._gates import SHADOW_ENDS, SHADOW_POLL, Frame, Gate, Gates
from model import sample
from model.sample import NEW, polling
from unit.rotation.test_gates import Clock, inventory_of

GAP = 20.0


class Shadow:
    """One that has its port, and has received everybody, after so many looks."""

    def __init__(self, listen: str = "0.0.0.0:11943", address: str = "https://controller:11943", looks: int = 0, starts: bool = True) -> None:
        self.listen, self.address, self.place, self.looks, self.starts = listen, address, address, looks, starts
        self.presented: list[Any] = []

    def has_port(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def try_port(self) -> None:
        if self.looks >= 0:
            raise OctoError("octopus_shadow cannot listen")

    def is_running(self) -> bool:
        return True

    def present(self, identity: Any) -> None:
        self.presented.append(identity)
        if not self.starts:
            raise OctoError("its process did not start")


class Survey:
    def __init__(self, shadow: Shadow | None, late: list[tuple[str, float]] | None = None, after: int = 0) -> None:
        self.shadow, self.identities = shadow, {NEW: "the new one"}
        self._late, self._after, self.looked_again = late or [], after, 0

    def unreceived(self) -> list[tuple[str, float]]:
        self._after -= 1
        return self._late if self._after >= 0 else []

    def later(self) -> Survey:
        self.looked_again += 1
        return self


@pytest.fixture
def clock() -> Clock:
    return Clock()


def gates(survey: Survey, clock: Clock) -> Gates:
    frame = Frame(
        inventory=inventory_of(),
        batch=["10.0.0.1"],
        commit=True,
        back=False,
        waves=["100%"],
        forks=5,
        busy="wait",
        busy_wait=0.0,
        server_url="http://octopus.example.com",
        server_instance="OctopusServer",
        run=RunIdentity(1, "run"),
        started=0.0,
        polling_gap=GAP,
        sleep=clock.sleep,
        clock=clock.now,
    )
    return Gates(survey, frame)  # type: ignore[arg-type]


FACTS = sample.before_switch(edges=(polling("p"),))


def test_the_address_of_a_node_is_refused(clock: Clock) -> None:
    with pytest.raises(OctoError, match="where Tentacles poll the node node-2"):
        gates(Survey(Shadow(address="https://node-2:10943")), clock)._try_shadow(FACTS)


def test_the_shadow_of_a_run_that_was_killed_is_waited_for(clock: Clock) -> None:
    gates(Survey(Shadow(looks=2)), clock)._try_shadow(FACTS)
    assert clock.pauses == 2
    with pytest.raises(OctoError, match="cannot listen"):
        gates(Survey(Shadow(looks=1000)), clock)._try_shadow(FACTS)
    assert clock.pauses == 2 + SHADOW_ENDS / SHADOW_POLL


def test_who_was_visited_gets_as_long_as_its_back_off(clock: Clock) -> None:
    survey = Survey(Shadow(), [("p/Tentacle", clock.time)], after=3)
    gates(survey, clock)._let_polling_ones_subscribe()
    assert (clock.pauses, survey.looked_again) == (3, 1), "what is judged is seen after the wait"
    never = Survey(Shadow(), [("p/Tentacle", clock.time)], after=1000)
    began = clock.time
    gates(never, clock)._let_polling_ones_subscribe()
    assert clock.time - began == GAP
    for other in (Survey(None), Survey(Shadow())):
        gates(other, clock)._let_polling_ones_subscribe()
        assert other.looked_again == 0
    assert clock.time - began == GAP


@pytest.mark.parametrize(
    ("survey", "listens", "line"),
    [
        (Survey(Shadow()), True, ""),
        (Survey(Shadow(listen="")), False, ""),
        (Survey(Shadow(starts=False)), False, "Without a shadow: its process did not start"),
        (Survey(Shadow(), [("p/Tentacle", 0.0)], after=1), False, "Not received at https://controller:11943: p/Tentacle."),
    ],
    ids=["there", "address alone", "not started", "not reached"],
)
def test_entries_are_given_only_where_they_prove_something(survey: Survey, listens: bool, line: str, clock: Clock) -> None:
    gate = Gate(FACTS)
    gates(survey, clock)._cast_shadow(gate)
    assert gate.aims["shadow"] == {"address": "https://controller:11943", "listens": listens}
    assert (line in " ".join(gate.lines)) if line else gate.lines == []


@pytest.mark.parametrize(
    "facts", [sample.before_switch(), sample.before_switch(edges=(polling("p"),), polling="replace")], ids=["listening", "replace"]
)
def test_nothing_is_cast_where_nobody_would_subscribe(facts: Any, clock: Clock) -> None:
    survey = Survey(Shadow())
    gates(survey, clock)._cast_shadow(Gate(facts))
    assert survey.shadow is not None
    assert survey.shadow.presented == []
