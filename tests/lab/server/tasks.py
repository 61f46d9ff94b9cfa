# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Server tasks: the queue in the database, and each task as REST shows it (octopus-server.md 3.7)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.server import resources
from lab.server.resources import Document

if TYPE_CHECKING:
    from lab.server.database import Database, Node

UNFINISHED = ("Queued", "Executing", "Cancelling")
RUNNING = ("Executing", "Cancelling")
KILLED = "The Octopus Server was restarted while this task was running."


@dataclass(frozen=True)
class Task:
    """One row of the queue. ``machines`` are those that it works on, so that *busy* can be asked per machine."""

    number: int
    space_id: str
    name: str
    state: str
    node: str | None
    machines: tuple[str, ...]
    body: Document

    @property
    def id(self) -> str:
        return f"ServerTasks-{self.number}"

    @property
    def is_completed(self) -> bool:
        return self.state not in UNFINISHED

    def resource(self) -> Document:
        done, space = self.is_completed, self.space_id
        return {
            "Id": self.id,
            "SpaceId": space,
            "Name": self.name,
            **self.body,
            "State": self.state,
            "Completed": self.body["CompletedTime"] or {"Queued": "Queued...", "Cancelling": "Cancelling..."}.get(self.state, "Executing..."),
            "ServerNode": self.node,
            "Duration": _duration(self.body["StartTime"], self.body["CompletedTime"]),
            "HasBeenPickedUpByProcessor": self.node is not None,
            "IsCompleted": done,
            "FinishedSuccessfully": self.state == "Success",
            "HasPendingInterruptions": False,
            "PendingInterruptionTypes": [],
            "CanRerun": done and self.name == "Health",
            "ProjectId": None,
            "EstimatedRemainingQueueDurationSeconds": 0,
            "Links": {
                "Self": f"/api/tasks/{self.id}",
                "Web": f"/app#/{space}/tasks/{self.id}",
                "Raw": f"/api/tasks/{self.id}/raw",
                "Rerun": f"/api/tasks/rerun/{self.id}",
                "Cancel": f"/api/tasks/{self.id}/cancel",
                "QueuedBehind": f"/api/tasks/{self.id}/queued-behind{{?skip,take}}",
                "Details": f"/api/tasks/{self.id}/details{{?verbose,tail}}",
                "Artifacts": f"/api/{space}/artifacts?regarding={self.id}",
                "Interruptions": f"/api/{space}/interruptions?regarding={self.id}",
            },
        }


class Tasks:
    """The queue. Every change of state is one transaction, so that two nodes never run the same task."""

    def __init__(self, database: Database) -> None:
        self._store = database.store

    def create(self, space_id: str, name: str, description: str, arguments: Mapping[str, Any], machines: Iterable[str] = ()) -> Task:
        body = {
            "Description": description,
            "Arguments": dict(arguments),
            "QueueTime": resources.moment(),
            "QueueTimeExpiry": None,
            "StartTime": None,
            "LastUpdatedTime": resources.moment(),
            "CompletedTime": None,
            "ErrorMessage": None,
            "HasWarningsOrErrors": False,
        }
        with self._store.transaction() as write:
            values = (space_id, name, "Queued", json.dumps(list(machines)), json.dumps(body))
            number = write.execute("INSERT INTO task (space, name, state, machines, body) VALUES (?, ?, ?, ?, ?)", values).lastrowid
        return self.get(f"ServerTasks-{number}")

    def get(self, identity: str) -> Task:
        """LookupError when there is none."""
        row = self._store.row("SELECT * FROM task WHERE sequence = ?", _number(identity))
        if row is None:
            raise LookupError(identity)
        return _task(row)

    def find(self, *, states: Collection[str] = (), node: str | None = None, machine: str | None = None) -> list[Task]:
        """The newest first, as the portal lists them."""
        found = [_task(row) for row in self._store.rows("SELECT * FROM task ORDER BY sequence DESC")]
        return [
            task
            for task in found
            if (not states or task.state in states) and (node is None or task.node == node) and (machine is None or machine in task.machines)
        ]

    def plant(self, space_id: str, machines: Collection[str], *, name: str = "Deploy", node: str | None = None) -> Task:
        """A deployment that works on ``machines`` until `finish`; queued, or already running on ``node``."""
        task = self.create(space_id, name, "Deploy Web release 1.0.0 to Production", {"DeploymentId": "Deployments-1"}, machines)
        if node is not None:
            self._start(task, node)
        return self.get(task.id)

    def claim(self, node: Node, stopped_spaces: Collection[str]) -> Task | None:
        """The oldest queued task, if this node has room for it; a space whose queue is stopped waits for ever (3.3)."""
        if node.draining or len(self.find(states=RUNNING, node=node.name)) >= node.task_cap:
            return None
        for task in reversed(self.find(states=("Queued",))):
            if task.space_id not in stopped_spaces and self._start(task, node.name):
                return self.get(task.id)
        return None

    def _start(self, task: Task, node: str) -> bool:
        """False when another node was quicker."""
        body = {**task.body, "StartTime": resources.moment(), "LastUpdatedTime": resources.moment()}
        statement = "UPDATE task SET state = 'Executing', node = ?, body = ? WHERE sequence = ? AND state = 'Queued'"
        return self._store.write(statement, node, json.dumps(body), task.number) == 1

    def finish(self, identity: str, state: str = "Success", *, error: str | None = None, warnings: bool = False) -> None:
        """Final; a task that somebody cancels meanwhile ends as Canceled."""
        with self._store.transaction() as write:
            row = write.execute("SELECT * FROM task WHERE sequence = ?", (_number(identity),)).fetchone()
            task, now = _task(row), resources.moment()
            final = "Canceled" if task.state == "Cancelling" else state
            ending = {"CompletedTime": now, "LastUpdatedTime": now, "ErrorMessage": error, "HasWarningsOrErrors": warnings or final != "Success"}
            body = {**task.body, **ending}
            write.execute("UPDATE task SET state = ?, body = ? WHERE sequence = ?", (final, json.dumps(body), task.number))

    def cancel(self, identity: str) -> None:
        """A queued task is gone at once; a running one is asked."""
        if self._store.write("UPDATE task SET state = 'Cancelling' WHERE sequence = ? AND state = 'Executing'", _number(identity)):
            return
        if self.get(identity).state == "Queued":
            self.finish(identity, "Canceled", error="The task was canceled.")

    def set_machines(self, identity: str, machines: Iterable[str]) -> None:
        self._store.write("UPDATE task SET machines = ? WHERE sequence = ?", json.dumps(list(machines)), _number(identity))

    def put_log(self, identity: str, activities: list[Document]) -> None:
        self._store.write("UPDATE task SET log = ? WHERE sequence = ?", json.dumps(activities), _number(identity))

    def log(self, identity: str) -> list[Document]:
        row = self._store.row("SELECT log FROM task WHERE sequence = ?", _number(identity))
        return [] if row is None else json.loads(row["log"])

    def end_those_of(self, node: str) -> None:
        """What a node's restart does to its running tasks; until it is back they show as running (3.7)."""
        for task in self.find(states=RUNNING, node=node):
            self.finish(task.id, "Failed", error=KILLED)


def _number(identity: str) -> int:
    head, _ignored, tail = identity.partition("-")
    return int(tail) if head == "ServerTasks" and tail.isdigit() else 0


def _task(row: sqlite3.Row) -> Task:
    return Task(row["sequence"], row["space"], row["name"], row["state"], row["node"], tuple(json.loads(row["machines"])), json.loads(row["body"]))


def _duration(start: str | None, end: str | None) -> str:
    if start is None:
        return "0 seconds"
    until = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return f"{max(0, round((until - datetime.fromisoformat(start)).total_seconds()))} seconds"
