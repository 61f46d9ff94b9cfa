# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 at named points of a rotation, and run again at once (issue 3, E.4).

One rotation is killed at every point in turn, each time by a run that was started the moment after the last one died, and then
left to end. So each run but the first begins from what a kill left, and the counts at the end are those of the whole story: a
second key, a second import or a second write by any of the resumptions would be seen. All of one victim's runs together cost
about three undisturbed rotations; a story for each point would cost twenty.

*The parent only* leaves workers that go on. They are held where they are until the next run comes to the same task, so that
the two are certain to meet there: the locks of the configuration (decisions 29) and of the key store keep them apart. *The
tree* stops everything in the middle of what it does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from e2e import plays, processes
from e2e.replacements import Replacements
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.waiting import until
from lab.wire.certificates import from_pfx

ROLE = "octofleet.octopus.rotate_server_certificate : "
BACK_UP = ROLE + "Back up the certificate that is to be retired"
STAGE = ROLE + "Stage the certificate that is to be adopted"
EXPAND = ROLE + "Trust the new certificate, restart, prove"
ACTIVATE = ROLE + "Activate the new certificate"
RESTART = ROLE + "Restart the node and wait until it presents the new certificate"
HEALTH = ROLE + "Check the health of the Tentacles"
CONTRACT = ROLE + "Stop trusting the old certificate, restart, prove"
LAST_GATE = ROLE + "Judge: close"
CANARY, SECOND = "web-01", "web-02"
PATIENCE = 600.0  # for a point to be reached, and for workers that were left behind to end; a busy machine is no failure


class Point(NamedTuple):
    """Where a run is killed: a task has started for a host and, where it matters how far it is, something has happened outside."""

    name: str
    task: str
    host: str
    happened: Callable[[Story], bool] = lambda story: True
    meets: str = ""  # the task in which the next run comes upon what the workers hold, if it is another one


Kill = Callable[[int], list[processes.Born]]


def _has_begun(events: list[dict[str, Any]], task: str, host: str) -> bool:
    return any(event["event"] == "start" and (event["task"], event["host"]) == (task, host) for event in events)


class Story:
    """A fleet, the runs over it, and what was written meanwhile."""

    def __init__(self, fleet: Fleet, replacements: Replacements) -> None:
        self.fleet, self.replacements = fleet, replacements
        self.old = fleet.server.certificate.thumbprint
        self._killed_at: Point | None = None
        self._left: list[processes.Born] = []  # held since the last kill
        self._orphans: list[processes.Born] = []

    def kill_at(self, point: Point, kill: Kill) -> None:
        """Run until ``point``, and kill."""
        running = self._start()
        until(lambda: self._is_at(running, point), PATIENCE, every=0.005, what=f"the point `{point.name}`")
        self._left = kill(running.process.pid)
        self._killed_at = point
        assert running.process.wait() == -9

    def end(self) -> plays.Play:
        """Run to the end, and see that the last worker ended, too."""
        running = self._start()
        until(lambda: self._let_go(running.events()) or running.process.poll() is not None, PATIENCE, what="the task of the last kill")
        play = running.finish(PATIENCE)
        until(lambda: not any(worker.lives for worker in self._orphans), PATIENCE, what="the end of the workers that a killed parent left behind")
        return play

    def _start(self) -> plays.Running:
        return plays.start(self.fleet, plays.ROTATE, variables={"octopus_retire": self.old, "octopus_commit": True})

    def _is_at(self, running: plays.Running, point: Point) -> bool:
        events = running.events()
        self._let_go(events)
        if running.process.poll() is not None:
            pytest.fail(f"The run ended before `{point.name}`:\n{running.finish().text}")
        return _has_begun(events, point.task, point.host) and point.happened(self)

    def _let_go(self, events: list[dict[str, Any]]) -> bool:
        """Let the workers go on that the last kill left, as soon as this run is where they are; whether nobody is held any more."""
        point = self._killed_at
        if point is not None and self._left and _has_begun(events, point.meets or point.task, point.host):
            processes.resume(self._left)
            self._orphans += self._left
            self._left = []
        return not self._left

    def starts(self, verb: str) -> int:
        """How often Octopus.Server was started with a verb."""
        record = self.fleet.root / "records" / "argv.jsonl"
        notes = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
        return sum(verb in note["argv"][:1] for note in notes if note["program"] == "Octopus.Server")

    def writes(self, host: str) -> int:
        return self.replacements.of(self.fleet.paths(host).configuration)

    def pins(self, host: str) -> list[str]:
        return [entry.thumbprint for entry in self.fleet.trust(host)]


BOTH = (
    Point("in the middle of expand", EXPAND, SECOND, lambda story: story.writes(SECOND) == 1),
    Point("between import and restart", RESTART, "node-1"),
    Point("during the health check", HEALTH, "node-1"),
    Point("in the middle of contract", CONTRACT, SECOND, lambda story: story.writes(SECOND) == 2, meets=EXPAND),
    Point("in the last gate", LAST_GATE, "node-1"),
)
# A certificate that is being made when everything dies is lost with its one-use password, and rightly made again; so the tree
# dies just before, and the parent while a worker makes it.
STAGING = Point("staging has begun", STAGE, "node-1")
MAKING = Point("a new certificate is being made", STAGE, "node-1", lambda story: story.starts("new-certificate") == 1, meets=BACK_UP)
IMPORTING = Point("the import is under way", ACTIVATE, "node-1", lambda story: story.starts("import-certificate") == 1, meets=BACK_UP)


@pytest.mark.parametrize(
    ("kill", "points"),
    [
        pytest.param(processes.kill_parent, (MAKING, BOTH[0], IMPORTING, *BOTH[1:]), id="parent"),
        pytest.param(processes.kill_tree, (STAGING, *BOTH), id="tree", marks=pytest.mark.proof),
    ],
)
def test_killed_at_every_point_and_run_again_at_once(kill: Kill, points: tuple[Point, ...]) -> None:
    with Fleet(FleetSpec(tentacles=2, foreign=1)) as fleet, Replacements(fleet.paths(host).configuration for host in (CANARY, SECOND)) as counted:
        story = Story(fleet, counted)
        before = {host: story.pins(host) for host in (CANARY, SECOND)}
        fleet.start_witness()
        for point in points:
            story.kill_at(point, kill)
        play = story.end()
        seen = fleet.stop_witness()
        assert play.rc == 0, play.text
        assert play.report["reached"], play.text
        assert (seen.refused_seconds, seen.failures) == (0, ())
        new = play.report["new"]
        database = fleet.database()
        assert database.certificate().thumbprint == new
        database.close()
        assert seen.whole["presents"]["octopus/node-1"] == new
        for host, pins in before.items():
            assert sorted(story.pins(host)) == sorted(new if pin == story.old else pin for pin in pins)
            assert (story.writes(host), counted.in_place(fleet.paths(host).configuration)) == (2, 0), "once the new pin, once without the old one"
        assert (story.starts("new-certificate"), story.starts("import-certificate")) == (1, 1)
        _refuse_leavings(fleet, story.old, new)


def _refuse_leavings(fleet: Fleet, old: str, new: str) -> None:
    """The store holds the two certificates and opens, and no half-written file lies about."""
    store = fleet.root / "store"
    kept = {path.stem: from_pfx(path.read_bytes(), fleet.backup_password).keypair() for path in store.glob("*.pfx")}
    assert {name: key.thumbprint if key else None for name, key in kept.items()} == {old: old, new: new}
    assert [str(path) for path in fleet.root.rglob("*.octofleet-*.tmp")] == []
