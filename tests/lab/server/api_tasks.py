# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes about tasks, inside a space and across spaces (octopus-server.md 3.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.server.rest import ApiError, Reply, Request, Routes, forbidden, missing, page
from lab.server.tasks import RUNNING, UNFINISHED, Task

if TYPE_CHECKING:
    from lab.server.resources import Document

ROUTES = Routes()
_BAD_REQUEST = "There was a problem with your request."


@ROUTES.on("POST", "/tasks", permission="TaskCreate")
def create(request: Request) -> Reply:
    body = request.body
    space_id = str(body.get("SpaceId") or request.space)
    if not request.someone.sees(space_id):
        raise forbidden("TaskCreate")
    name, arguments = body.get("Name"), body.get("Arguments") or {}
    if name != "Health":
        raise ApiError(400, _BAD_REQUEST, f"The task type '{name}' cannot be created by this request.")
    machines = arguments.get("MachineIds") or []
    unknown = [each for each in machines if (request.api.database.document(each) or {}).get("SpaceId") != space_id]
    if unknown:
        raise ApiError(400, _BAD_REQUEST, *(f"The machine '{each}' was not found in this space." for each in unknown))
    task = request.api.tasks.create(space_id, name, str(body.get("Description") or "Check health"), arguments, machines)
    return Reply(201, task.resource())


def _wanted(request: Request, task: Task) -> bool:
    query, ids, states = request.query, request.listed("ids"), request.listed("states")
    spaces = request.listed("spaces")
    return (
        request.someone.sees(task.space_id)
        and (not spaces or task.space_id in spaces)
        and (not ids or task.id in ids)
        and (not states or task.state in states)
        and query.get("name", "").lower() in ("", task.name.lower())
        and query.get("node", "") in ("", task.node)
        and (query.get("running", "").lower() != "true" or task.state in RUNNING)
        and (query.get("active", "").lower() != "true" or task.state in UNFINISHED)
    )


@ROUTES.on("GET", "/tasks", permission="TaskView")
def listed(request: Request) -> Document:
    """With blank or absent ids: every task that this user can see."""
    scope = request.route_space
    items = [task.resource() for task in request.api.tasks.find() if scope in (None, task.space_id) and _wanted(request, task)]
    return page(request, "Task", items, f"/api/{scope}/tasks" if scope else "/api/tasks")


def _stored(request: Request) -> Task:
    identity = request.parts["id"]
    try:
        task = request.api.tasks.get(identity)
    except LookupError as error:
        raise missing(identity) from error
    if not request.someone.sees(task.space_id) or request.route_space not in (None, task.space_id):
        raise missing(identity)
    return task


@ROUTES.on("GET", "/tasks/{id}", permission="TaskView")
def one(request: Request) -> Document:
    return _stored(request).resource()


@ROUTES.on("GET", "/tasks/{id}/details", permission="TaskView")
def details(request: Request) -> Document:
    task = _stored(request)
    status = {"Queued": "Pending", "Executing": "Running", "Cancelling": "Running"}.get(task.state, task.state)
    children = request.api.tasks.log(task.id)
    tree = {
        "Id": f"{task.id}_root",
        "Name": task.body["Description"],
        "Status": status,
        "Started": task.body["StartTime"],
        "Ended": task.body["CompletedTime"],
        "ErrorMessage": task.body["ErrorMessage"],
        "ProgressPercentage": 100 if task.is_completed else 0,
        "Children": children,
        "LogElements": [],
    }
    return {
        "Id": task.id,
        "Task": task.resource(),
        "ActivityLogs": [tree],
        "Progress": {"ProgressPercentage": tree["ProgressPercentage"], "EstimatedTimeRemaining": None},
        "Links": {"Self": f"/api/tasks/{task.id}/details"},
    }


@ROUTES.on("GET", "/tasks/{id}/raw", permission="TaskView")
def raw(request: Request) -> Reply:
    task = _stored(request)
    lines = [f"Task ID: {task.id}", f"Task status: {task.state}", f"Task queued: {task.body['QueueTime']}", ""]
    for child in request.api.tasks.log(task.id):
        lines += [f"                    | == {child['Status']}: {child['Name']} =="]
        lines += [f"{line['OccurredAt']}   {line['Category']:<8} |   {line['MessageText']}" for line in child["LogElements"]]
    return Reply(200, "\r\n".join(lines), "text/plain; charset=utf-8")


@ROUTES.on("POST", "/tasks/{id}/cancel", permission="TaskCancel")
def cancel(request: Request) -> Document:
    task = _stored(request)
    if task.is_completed:
        raise ApiError(400, _BAD_REQUEST, "The task has completed already and cannot be canceled.")
    request.api.tasks.cancel(task.id)
    return request.api.tasks.get(task.id).resource()
