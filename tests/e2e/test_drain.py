# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nodes are drained before their restart, so that it kills nothing, and active afterwards, whatever happened between (issue 4, C.1; hazard 10)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2e import plays, processes
from e2e.looks import pins
from e2e.test_stopped import PATIENCE, RESTART
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.server.database import Database
from lab.server.tasks import Tasks
from lab.waiting import until

pytestmark = pytest.mark.estate  # too long for `make test`

COMMIT = {"octopus_commit": True}
LASTS = 6.0  # seconds for which the deployment goes on in a drained node: longer than what a gate has seen stays fresh (tasks/restart.yml)


@contextmanager
def database_of(fleet: Fleet) -> Iterator[Database]:
    database = fleet.database()
    try:
        yield database
    finally:
        database.close()


def test_a_running_task_is_waited_for_and_the_nodes_end_as_they_began() -> None:
    """node-1 runs a deployment, which ends while the rotation waits; node-2 is drained by an operator, who wants it so."""
    with Fleet(FleetSpec(tentacles=1, nodes=2)) as fleet, database_of(fleet) as database:
        fleet.start_witness()
        retire = {"octopus_retire": fleet.server.certificate.thumbprint}
        tasks = Tasks(database)
        deployment = tasks.plant("Spaces-1", [], node="node-1")
        database.put_node_option("node-2", draining=True)
        planned = plays.play(fleet, plays.ROTATE, "--check", variables={**COMMIT, **retire})
        assert (planned.rc, database.node_history()) == (0, [("node-2", "draining")]), planned.text

        running = plays.start(fleet, plays.ROTATE, variables={**COMMIT, **retire})
        until(lambda: ("node-1", "draining") in database.node_history() or running.process.poll() is not None, PATIENCE, what="node-1 to be drained")
        ends = time.monotonic() + LASTS
        until(lambda: time.monotonic() > ends, LASTS + 5, what="the deployment to end")
        tasks.finish(deployment.id)
        play = running.finish(PATIENCE)
        assert play.rc == 0, play.text
        assert tasks.get(deployment.id).state == "Success"
        assert play.text.count("Allowed: restart the node node-1.") == 2, "what was seen before the wait is old"
        assert play.text.count("Allowed: restart the node node-2.") == 1
        assert database.node_history()[1:] == [("node-1", "draining"), ("node-1", "started"), ("node-1", "active"), ("node-2", "started")]
        assert {node.name: node.draining for node in database.nodes()} == {"node-1": False, "node-2": True}
        assert "Still drained, and taking no new task: node-2." in play.text
        assert [path.name for path in (fleet.root / "store").iterdir() if path.suffix == ".json" and path.stem == "draining"] == []
        seen = fleet.stop_witness()
        assert (seen.refused_seconds, seen.failures) == (0, ())


def test_neither_a_task_that_does_not_end_nor_a_kill_leaves_a_node_drained_or_restarted_upon_a_task() -> None:
    with Fleet(FleetSpec(tentacles=1)) as fleet, database_of(fleet) as database:
        fleet.start_witness()
        old, note = fleet.server.certificate.thumbprint, fleet.root / "store" / "draining.json"
        tasks = Tasks(database)
        deployment = tasks.plant("Spaces-1", [], node="node-1")

        refused = plays.commit(fleet, old, octopus_drain_wait=1)
        assert refused.rc == 2, refused.text
        assert (
            f"Went wrong on node-1: node-1 still runs {deployment.id} (Deploy Web release 1.0.0 to Production), after 1 s of draining."
            in refused.text
        )
        assert (tasks.get(deployment.id).state, database.node_history()) == ("Executing", [("node-1", "draining"), ("node-1", "active")])
        assert pins(fleet, "web-01") == sorted([old, database.certificate().thumbprint])
        assert not note.exists()

        tasks.finish(deployment.id)
        running = plays.start(fleet, plays.ROTATE, variables={**COMMIT, "octopus_retire": old})
        until(
            lambda: any(event["event"] == "start" and event["task"] == RESTART for event in running.events()) or running.process.poll() is not None,
            PATIENCE,
            every=0.005,
            what="the restart to begin",
        )
        processes.kill_tree(running.process.pid)
        assert running.process.wait() == -9
        assert (database.nodes()[0].draining, note.exists()) == (True, True)

        fleet.unit("node-1").restart()  # by somebody, so that the next run finds nothing to restart
        ended = plays.commit(fleet, old)
        assert ended.rc == 0, ended.text
        assert ended.results("octo_service") == []
        assert ended.changed.count("node-1: octofleet.octopus.rotate_server_certificate : Make the nodes active that a rotation has drained") == 1
        assert (database.nodes()[0].draining, note.exists()) == (False, False)
        seen = fleet.stop_witness()
        assert (seen.refused_seconds, seen.failures) == (0, ())
