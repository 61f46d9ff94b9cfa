# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes about machines, workers and what surrounds them (octopus-server.md 3.4 and 3.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lab.server import resources
from lab.server.database import MACHINES, WORKERS
from lab.server.rest import ApiError, Reply, Request, Routes, missing, page
from lab.server.tasks import RUNNING

if TYPE_CHECKING:
    from lab.server.api import Api
    from lab.server.resources import Document

ROUTES = Routes()
_BAD_REQUEST = "There was a problem with your request."


def _shown(api: Api, kind: str, *documents: Document) -> list[Document]:
    busy = {machine for task in api.tasks.find(states=RUNNING) if task.name != "Health" for machine in task.machines}

    def shown(document: Document) -> Document:
        link = f"/api/{document['SpaceId']}/{kind.lower()}/{document['Id']}"
        links = {"Self": link, "Connection": link + "/connection", "TasksTemplate": link + "/tasks{?skip,take,type}"}
        return {**document, "IsInProcess": document["Id"] in busy, "Links": links}

    return [shown(each) for each in documents]


def _matches(request: Request, document: Document) -> bool:
    """The filters of 3.4; a parameter that is absent or blank filters nothing."""
    query, endpoint = request.query, resources.tentacle_endpoint(document) or {}
    lists: dict[str, Callable[[], list[str]]] = {
        "ids": lambda: [document["Id"]],
        "roles": lambda: document.get("Roles", []),
        "healthStatuses": lambda: [document["HealthStatus"]],
        "commStyles": lambda: [document["Endpoint"]["CommunicationStyle"]],
        "environmentIds": lambda: document.get("EnvironmentIds", []),
        "tenantIds": lambda: document.get("TenantIds", []),
        "workerPoolIds": lambda: document.get("WorkerPoolIds", []),
    }
    if any(wanted and not set(wanted) & set(values()) for wanted, values in ((request.listed(name), values) for name, values in lists.items())):
        return False
    name = document["Name"].lower()
    return (
        query.get("name", name).strip().lower() in ("", name)
        and query.get("partialName", "").lower() in name
        and query.get("isDisabled", "").lower() in ("", str(document["IsDisabled"]).lower())
        and (not query.get("thumbprint") or query["thumbprint"].upper() == str(endpoint.get("Thumbprint")).upper())
    )


def _found(request: Request, kind: str) -> list[Document]:
    return _shown(request.api, kind, *(each for each in request.api.database.documents(kind, request.space) if _matches(request, each)))


def _stored(request: Request, kind: str) -> Document:
    document = request.api.database.document(request.parts["id"])
    if document is None or document.get("SpaceId") != request.space or not document["Id"].startswith(kind):
        raise missing(request.parts["id"])
    return document


def _validate(given: Document) -> None:
    errors = []
    if not str(given.get("Name") or "").strip():
        errors.append("Please provide a name for this machine.")
    endpoint = given.get("Endpoint")
    if not isinstance(endpoint, dict) or not endpoint.get("CommunicationStyle"):
        errors.append("Please provide an endpoint for this machine.")
    else:
        tentacle = resources.tentacle_endpoint(given)
        if tentacle is not None and not tentacle.get("Thumbprint"):
            errors.append("Please provide a thumbprint for this machine.")
    if errors:
        raise ApiError(400, _BAD_REQUEST, *errors)


def _machine_routes(kind: str, view: str, edit: str) -> None:
    base = f"/{kind.lower()}"

    @ROUTES.on("GET", base, permission=view)
    def listed(request: Request) -> Document:
        return page(request, kind[:-1], _found(request, kind), f"/api/{request.space}{base}")

    @ROUTES.on("GET", base + "/all", permission=view)
    def everything(request: Request) -> list[Document]:
        return _found(request, kind)

    @ROUTES.on("POST", base, permission=edit)
    def create(request: Request) -> Reply:
        _validate(request.body)
        given = {key: value for key, value in request.body.items() if key not in resources.READ_ONLY}
        if any(each["Name"].lower() == given["Name"].lower() for each in request.api.database.documents(kind, request.space)):
            raise ApiError(400, _BAD_REQUEST, f"A machine named '{given['Name']}' already exists in this space.")
        put = request.api.database.put_machine if kind == MACHINES else request.api.database.put_worker
        return Reply(201, _shown(request.api, kind, put(request.space, given))[0])

    @ROUTES.on("GET", base + "/{id}", permission=view)
    def one(request: Request) -> Document:
        return _shown(request.api, kind, _stored(request, kind))[0]

    @ROUTES.on("PUT", base + "/{id}", permission=edit)
    def change(request: Request) -> Document:
        identity = _stored(request, kind)["Id"]
        _validate(request.body)
        wipes = request.api.quirk("server_partial_put_wipes")
        changed = request.api.database.change(identity, lambda stored: resources.updated(stored, kind, request.body, partial_wipes=wipes))
        if changed is None:
            raise missing(identity)
        return _shown(request.api, kind, changed)[0]

    @ROUTES.on("DELETE", base + "/{id}", permission=edit)
    def delete(request: Request) -> Document:
        request.api.database.delete(_stored(request, kind)["Id"])
        return {}

    @ROUTES.on("GET", base + "/{id}/connection", permission=view)
    def connection(request: Request) -> Document:
        return _connection(request.api, kind, _stored(request, kind))

    @ROUTES.on("GET", base + "/{id}/tasks", permission=view)
    def tasks(request: Request) -> Document:
        document = _stored(request, kind)
        items = [task.resource() for task in request.api.tasks.find(machine=document["Id"])]
        return page(request, "Task", items, f"/api/{request.space}{base}/{document['Id']}/tasks")


def _connection(api: Api, kind: str, document: Document) -> Document:
    contact = api.database.contact(document["Id"])
    return {
        "Id": document["Id"],
        "MachineId": document["Id"],
        "Status": contact.status if contact else "Unknown",
        "Logs": list(contact.log) if contact else [],
        "CurrentTentacleVersion": "9.2.4003" if contact and contact.status == "Online" else None,
        "LastChecked": resources.moment(contact.checked_at) if contact else None,
        "Links": {"Self": f"/api/{document['SpaceId']}/{kind.lower()}/{document['Id']}/connection"},
    }


def _named_routes(kind: str, permission: str) -> None:
    """Collections that are only read here: pools, policies, environments."""
    base = f"/{kind.lower()}"

    def found(request: Request) -> list[Document]:
        wanted, name = request.listed("ids"), request.query.get("name", "").lower()
        return [
            {**each, "Links": {"Self": f"/api/{each['SpaceId']}{base}/{each['Id']}"}}
            for each in request.api.database.documents(kind, request.space)
            if (not wanted or each["Id"] in wanted) and name in ("", each["Name"].lower())
        ]

    @ROUTES.on("GET", base, permission=permission)
    def listed(request: Request) -> Document:
        return page(request, kind[:-1], found(request), f"/api/{request.space}{base}")

    @ROUTES.on("GET", base + "/all", permission=permission)
    def everything(request: Request) -> list[Document]:
        return found(request)

    @ROUTES.on("GET", base + "/{id}", permission=permission)
    def one(request: Request) -> Document:
        for each in found(request):
            if each["Id"].lower() == request.parts["id"].lower():
                return each
        raise missing(request.parts["id"])


def _policy_members(kind: str) -> None:
    @ROUTES.on("GET", f"/machinepolicies/{{id}}/{kind.lower()}", permission="MachineView")
    def members(request: Request) -> Document:
        items = [each for each in _found(request, kind) if each["MachinePolicyId"].lower() == request.parts["id"].lower()]
        return page(request, kind[:-1], items, f"/api/{request.space}/machinepolicies/{request.parts['id']}/{kind.lower()}")


@ROUTES.on("GET", "/proxies/all", permission="ProxyView")
def proxies(request: Request) -> list[Document]:
    return [resources.shown_proxy(each) for each in request.api.database.documents("Proxies", request.space)]


_machine_routes(MACHINES, "MachineView", "MachineEdit")
_machine_routes(WORKERS, "WorkerView", "WorkerEdit")
_policy_members(MACHINES)
_policy_members(WORKERS)
_named_routes("WorkerPools", "WorkerView")
_named_routes("MachinePolicies", "MachineView")
_named_routes("Environments", "EnvironmentView")
