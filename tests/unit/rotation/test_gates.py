# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often a gate looks: a fleet is swept when it is judged, not while it is waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import Roster
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.probe import Sight
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import TARGET, MachineRecord, ServerNode, Space, Task, machine
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.pace import Away
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.permit import RunIdentity
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _survey
from ansible_collections.octofleet.octopus.plugins.plugin_utils._gates import BUSY_POLL, Frame, Gate, Gates
from ansible_collections.octofleet.octopus.plugins.plugin_utils._inventory import Inventory
from ansible_collections.octofleet.octopus.plugins.plugin_utils._survey import Asked, Survey

OLD, ONE, TWO = (digit * 40 for digit in "ABC")
HOME = Space("Spaces-1", "Default", True, False)
NODE, FIRST, SECOND, ELSEWHERE = "10.0.0.9:10943", "10.0.0.1:10933", "10.0.0.2:10933", "10.0.0.7:10933"
HOSTS = ["10.0.0.1", "10.0.0.2"]  # a name would be asked of the resolver
PAUSES = 3


class Server:
    """What REST says; a deployment runs on the second machine while its tasks are looked at so many times."""

    def __init__(self, looks: int = 0, first: str = FIRST, draining: bool = False) -> None:
        self.looks, self.asked, self.draining = looks, 0, draining
        self._listed = [_machine(1, ONE, first), _machine(2, TWO, SECOND, busy=True)]

    def spaces(self) -> list[Space]:
        return [HOME]

    def nodes(self) -> list[ServerNode]:
        return [ServerNode("OctopusServerNodes-1", "node-1", False, self.draining, None, 0)]

    def policies(self, _space: Space) -> list[Any]:
        return []

    def machines(self, _space: Space) -> list[MachineRecord]:
        return self._listed

    def running_tasks(self, _machine: MachineRecord) -> list[Task]:
        self.asked += 1
        return [Task("ServerTasks-7", "Deploy", "", "Executing", None, None, None)] if self.asked <= self.looks else []


def _machine(number: int, thumbprint: str, place: str, busy: bool = False) -> MachineRecord:
    endpoint = {"CommunicationStyle": "TentaclePassive", "Uri": f"https://{place}/", "Thumbprint": thumbprint}
    return machine({"Id": f"Machines-{number}", "Name": f"web-0{number}", "Endpoint": endpoint, "IsInProcess": busy}, TARGET, HOME)


class Wire:
    """What is presented at each endpoint, and the sweeps by the endpoints that they met."""

    def __init__(self) -> None:
        self.presented = {NODE: OLD, FIRST: ONE, SECOND: TWO}
        self.sweeps: list[list[str]] = []

    def sweep(self, endpoints: Sequence[Endpoint], _callers: Sequence[Any] = ()) -> list[Sight]:
        self.sweeps.append([endpoint.address for endpoint in endpoints])
        return [Sight(one, "identity", "identity", self.presented[one.address], "TLSv1.3", 1, "", b"") for one in endpoints]


class Clock:
    """Time passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.time, self.pauses = 1000.0, 0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time, self.pauses = self.time + seconds, self.pauses + 1


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()
    monkeypatch.setattr(_survey.probe, "sweep", made.sweep)
    return made


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Roster]:
    made: list[Roster] = []
    real = _survey.build_roster

    def build(*given: Any, ours: frozenset[str], **named: Any) -> Roster:
        made.append(real(*given, ours=ours, **named))
        return made[-1]

    monkeypatch.setattr(_survey, "build_roster", build)
    return made


def inventory_of(*rows: Mapping[str, Any]) -> Inventory:
    """The first host was read, if there are rows."""
    read = {"octopus_reading": {"instances": list(rows), "observed_at": 1.0}} if rows else {}
    return Inventory({HOSTS[0]: read, HOSTS[1]: {}, "server": {"octopus_node_endpoint": NODE}}, HOSTS, ["server"])


def survey_of(server: Server, inventory: Inventory) -> Survey:
    asked = Asked(retire=OLD, adopt=None, back=False, spaces=["Default"], left_behind={}, known_servers=None, away=Away(20), limit=None)
    return Survey(server, inventory, asked, None, None, reads_database=False)  # type: ignore[arg-type]


def judged(server: Server, clock: Clock, busy: str, step: str = "expand", *, visited: Sequence[Mapping[str, Any]] = (), pause: float = 0.0) -> Gate:
    """By default the gate before the wave of both hosts, with a patience of a little under three looks."""
    inventory = inventory_of(*visited)
    frame = Frame(
        inventory=inventory,
        batch=HOSTS,
        commit=True,
        back=False,
        waves=["100%"],
        forks=5,
        busy=busy,
        busy_wait=BUSY_POLL * PAUSES - 1,
        pause=pause,
        server_url="http://octopus.example.com",
        server_instance="OctopusServer",
        run=RunIdentity(1, "run"),
        started=0.0,
        sleep=clock.sleep,
        clock=clock.now,
    )
    return Gates(survey_of(server, inventory), frame).judge(step)


@pytest.mark.parametrize(
    ("looks", "busy", "pauses", "asked", "sweeps", "left"),
    [
        (0, "wait", 0, 1, 1, []),
        (2, "wait", 2, 3, 2, []),
        (99, "wait", PAUSES, 4, 2, ["10.0.0.2/*"]),
        (99, "skip", 0, 1, 1, ["10.0.0.2/*"]),
    ],
    ids=["idle", "ends", "does-not-end", "not-waited-for"],
)
def test_a_fleet_is_swept_when_it_is_judged_and_not_while_it_is_waited_for(
    wire: Wire, looks: int, busy: str, pauses: int, asked: int, sweeps: int, left: list[str]
) -> None:
    """A look is a question to the Server; a thousand handshakes every few seconds, for half an hour, would be a burden to everybody."""
    server, clock = Server(looks), Clock()
    gate = judged(server, clock, busy)
    assert (clock.pauses, server.asked) == (pauses, asked)
    assert wire.sweeps.count([FIRST, SECOND]) == sweeps
    assert [edge.name for edge in gate.facts.edges if edge.busy] == left


@pytest.mark.parametrize(("visited", "slept"), [((), 0.0), (({"instance": "Tentacle"},), 70.0)], ids=["first-wave", "a-later-wave"])
def test_a_pause_is_made_between_waves_and_not_before_the_first(wire: Wire, visited: Sequence[Mapping[str, Any]], slept: float) -> None:
    clock = Clock()
    began = clock.now()
    judged(Server(), clock, "wait", visited=visited, pause=70.0)
    assert clock.now() - began == slept


def test_the_roster_is_built_once_where_the_wire_shows_what_the_records_say(wire: Wire, builds: list[Roster]) -> None:
    survey = survey_of(Server(), inventory_of())
    assert [edge.host for edge in survey.roster.edges] == HOSTS
    assert len(builds) == 1


def test_what_the_wire_knows_better_than_a_record_goes_into_the_roster(wire: Wire, builds: list[Roster]) -> None:
    """Behind another address and with a certificate that the record does not know: only the wire says whose it is."""
    row = {"instance": "Tentacle", "ok": True, "thumbprint": "D" * 40, "listening": {"enabled": True, "port": 10933}}
    wire.presented |= {ELSEWHERE: "D" * 40}
    survey = survey_of(Server(first=ELSEWHERE), inventory_of(row))
    assert [(edge.name, edge.endpoint) for edge in survey.roster.edges] == [("10.0.0.1/Tentacle", ELSEWHERE), ("10.0.0.2/*", SECOND)]
    assert [edge.name for edge in builds[0].edges] == ["web-01", "10.0.0.2/*"]


@pytest.mark.parametrize(("draining", "whom"), [(False, ["!all"]), (True, ["server"])], ids=["active", "draining"])
def test_a_run_begins_with_the_nodes_that_an_earlier_one_may_have_left_draining(wire: Wire, draining: bool, whom: list[str]) -> None:
    """Asked of the Server, so that the journal on a host is looked into only where there may be something to undo; whatever the verdict is."""
    assert judged(Server(draining=draining), Clock(), "wait", "open").aims["undrain"] == whom
    told = [line for line in judged(Server(draining=draining), Clock(), "wait", "close").lines if line.startswith("Still drained")]
    assert told == ["Still drained, and taking no new task: node-1. Whoever drained it makes it active again."] * draining
