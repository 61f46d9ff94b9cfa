# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine of one node: heartbeat, picking up queued tasks, ending cancelled ones, the clean-up of machine policies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lab.server.database import Database
from lab.server.health import Health
from lab.server.tasks import RUNNING, Task, Tasks

# A queued task is picked up within about this time by any node below its task cap (octopus-server.md 3.7).
_PICK_UP_SECONDS = 20.0
_HEARTBEAT_SECONDS = 10.0
_SHORTEST_TURN = 0.05


class Engine:
    """One thread that turns at the pace of the task queue, and one more for each running health check."""

    def __init__(
        self,
        database: Database,
        tasks: Tasks,
        health: Health,
        node_name: str,
        time_scale: float,
        log: Callable[[str, str, str], None],
        each_turn: Callable[[], None],
    ) -> None:
        self._database, self._tasks, self._health, self._node_name, self._log, self._each_turn = database, tasks, health, node_name, log, each_turn
        self._turn = max(_SHORTEST_TURN, _PICK_UP_SECONDS * time_scale)
        self._beat = max(0.5, _HEARTBEAT_SECONDS * time_scale)
        self._last_beat = 0.0
        self._mine: set[str] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(self._turn):
            self._heartbeat()
            self._pick_up()
            self._end_cancelled()
            self._health.delete_unavailable()
            self._each_turn()

    def _heartbeat(self) -> None:
        now = time.monotonic()
        if now - self._last_beat >= self._beat:
            self._last_beat = now
            self._database.heartbeat(self._node_name)

    def _pick_up(self) -> None:
        stopped = [space["Id"] for space in self._database.documents("Spaces") if space["TaskQueueStopped"]]
        # Its own row is read before each task: a node that is told to drain takes not one more.
        while (node := self._database.node(self._node_name)) is not None and (task := self._tasks.claim(node, stopped)) is not None:
            self._log("INFO", "tasks", f"{self._node_name} picked up {task.id}: {task.name}")
            if task.name == "Health":
                self._mine.add(task.id)
                threading.Thread(target=self._work, args=(task,), name=task.id, daemon=True).start()

    def _work(self, task: Task) -> None:
        try:
            self._health.run(task)
        except Exception as error:
            # The border of a task: whatever goes wrong becomes its error message.
            self._log("ERROR", "tasks", f"{task.id} failed: {error!r}")
            self._tasks.finish(task.id, "Failed", error=str(error))
        finally:
            self._mine.discard(task.id)

    def _end_cancelled(self) -> None:
        """Planted deployments have no thread that could notice that it is cancelled."""
        for task in self._tasks.find(states=RUNNING, node=self._node_name):
            if task.state == "Cancelling" and task.id not in self._mine:
                self._tasks.finish(task.id, "Canceled", error="The task was canceled.")
