# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes about the Server itself: root, status, nodes, spaces, certificate, maintenance (octopus-server.md 3.1 to 3.3 and 3.6)."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lab.server import resources
from lab.server.rest import ApiError, Reply, Request, Routes, forbidden, missing, page
from lab.server.tasks import RUNNING

if TYPE_CHECKING:
    from lab.server.api import Api
    from lab.server.database import Certificate, Node
    from lab.server.resources import Document

ROUTES = Routes()
CERTIFICATE = "certificate-global"
_CERTIFICATES = "/api/configuration/certificates"
_TEAPOT = 418


@ROUTES.on("GET", "/", is_open=True)
def root(request: Request) -> Document:
    """Needs no key; its links point at the default space."""
    home = f"/api/{request.api.default_space or 'Spaces-1'}"
    machine_query = "{?skip,take,name,ids,partialName,roles,isDisabled,healthStatuses,commStyles,environmentIds,thumbprint}"
    return {
        "Application": "Octopus Deploy",
        "Version": request.api.database.get("version"),
        "ApiVersion": "3.0.0",
        "InstallationId": request.api.database.get("installation_id"),
        "IsEarlyAccessProgram": False,
        "HasLongTermSupport": False,
        "Links": {
            "Self": "/api",
            "Spaces": "/api/spaces{/id}{?skip,ids,take,partialName}",
            "SpaceHome": "/api/{spaceId}",
            "Machines": f"{home}/machines{{/id}}{machine_query}",
            "Workers": f"{home}/workers{{/id}}{{?skip,take,name,ids,partialName,isDisabled,healthStatuses,commStyles,workerPoolIds,thumbprint}}",
            "WorkerPools": f"{home}/workerpools{{/id}}{{?name,skip,ids,take,partialName}}",
            "MachinePolicies": f"{home}/machinepolicies{{/id}}{{?skip,take,ids,partialName}}",
            "Environments": f"{home}/environments{{/id}}{{?name,skip,ids,take,partialName}}",
            "Tasks": "/api/tasks{/id}{?skip,active,environment,name,node,running,states,ids,take,spaces,includeSystem}",
            "CertificateConfiguration": _CERTIFICATES + "{/id}{?skip,take}",
            "ServerStatus": "/api/serverstatus",
            "ServerHealthStatus": "/api/serverstatus/health",
            "MaintenanceConfiguration": "/api/maintenanceconfiguration",
            "OctopusServerNodes": "/api/octopusservernodes{/id}{?skip,ids,take,partialName}",
            "OctopusServerClusterSummary": "/api/octopusservernodes/summary",
            "CurrentUser": "/api/users/me",
        },
    }


@ROUTES.on("GET", "/serverstatus")
def server_status(request: Request) -> Document:
    return {
        "IsDatabaseEncrypted": True,
        "IsUpgradeAvailable": False,
        "IsInMaintenanceMode": request.api.database.in_maintenance,
        "IsMajorMinorUpgrade": False,
        "IsPotentialClone": False,
        "MaintenanceExpires": None,
        "MaximumAvailableVersion": request.api.database.get("version"),
        "MaximumAvailableVersionCoveredByLicense": request.api.database.get("version"),
        "Links": {"Self": "/api/serverstatus", "Health": "/api/serverstatus/health", "SystemInfo": "/api/serverstatus/system-info"},
    }


@ROUTES.on("GET", "/serverstatus/health")
def health(request: Request) -> Reply:
    nodes = request.api.database.nodes()
    drained = bool(nodes) and all(node.draining for node in nodes)
    well = not (request.api.database.in_maintenance or drained)
    body = {
        "IsOperatingNormally": well,
        "Description": "The Octopus Server is operating normally." if well else "The Octopus Server is in maintenance mode or drains its tasks.",
        "IsEntireClusterReadOnly": request.api.database.in_maintenance,
        "IsEntireClusterDrainingTasks": drained,
        "IsCompliantWithLicense": True,
        "Links": {"Self": "/api/serverstatus/health"},
    }
    return Reply(200 if well else _TEAPOT, body)


@ROUTES.on("GET", "/octopusservernodes/ping", is_open=True)
def ping(request: Request) -> Reply:
    """What a load balancer asks; needs no key."""
    node = request.api.database.node(request.api.node_name)
    away = request.api.database.in_maintenance or (node is not None and node.draining)
    return Reply(_TEAPOT if away else 200, {"Name": request.api.node_name, "IsOffline": False, "IsInMaintenanceMode": away})


def _node(node: Node) -> Document:
    link = f"/api/octopusservernodes/{node.id}"
    links = {"Self": link, "Details": link + "/details"}
    return {"Id": node.id, "Name": node.name, "MaxConcurrentTasks": node.task_cap, "IsInMaintenanceMode": node.draining, "Links": links}


def _summary(api: Api, node: Node) -> Document:
    return {
        **_node(node),
        "LastSeen": resources.moment(datetime.fromtimestamp(node.last_seen, UTC)),
        "IsOffline": time.time() - node.last_seen > api.offline_after,
        "RunningTaskCount": len(api.tasks.find(states=RUNNING, node=node.name)),
    }


@ROUTES.on("GET", "/octopusservernodes")
def nodes(request: Request) -> Document:
    return page(request, "OctopusServerNode", [_node(node) for node in request.api.database.nodes()], "/api/octopusservernodes")


@ROUTES.on("GET", "/octopusservernodes/all")
def all_nodes(request: Request) -> list[Document]:
    return [_node(node) for node in request.api.database.nodes()]


@ROUTES.on("GET", "/octopusservernodes/summary")
def cluster_summary(request: Request) -> Document:
    return {"Nodes": [_summary(request.api, node) for node in request.api.database.nodes()], "Links": {"Self": "/api/octopusservernodes/summary"}}


def _find_node(request: Request) -> Node:
    identity = request.parts["id"]
    found = next((node for node in request.api.database.nodes() if node.id.lower() == identity.lower()), None)
    if found is None:
        raise missing(identity)
    return found


@ROUTES.on("GET", "/octopusservernodes/{id}")
def one_node(request: Request) -> Document:
    return _node(_find_node(request))


@ROUTES.on("PUT", "/octopusservernodes/{id}", permission="AdministerSystem")
def put_node(request: Request) -> Document:
    """`IsInMaintenanceMode` of a node is its drain switch (3.2). A number that is left out is read as 0, as .NET does."""
    node = _find_node(request)
    kept = 0 if request.api.quirk("server_partial_put_wipes") else node.task_cap
    draining, cap = bool(request.body.get("IsInMaintenanceMode", False)), int(request.body.get("MaxConcurrentTasks", kept))
    request.api.database.put_node_option(node.name, draining=draining, task_cap=cap)
    return _node(_find_node(request))


@ROUTES.on("DELETE", "/octopusservernodes/{id}", permission="AdministerSystem")
def delete_node(request: Request) -> Document:
    request.api.database.delete_node(_find_node(request).name)
    return {}


@ROUTES.on("GET", "/octopusservernodes/{id}/details")
def node_details(request: Request) -> Document:
    """A count, whatever the name says (OctopusServerNodeDetailsResource of the vendor's client)."""
    node = _find_node(request)
    return {**_node(node), "RunningTasks": len(request.api.tasks.find(states=RUNNING, node=node.name))}


def _space(document: Document) -> Document:
    identity = document["Id"]
    return {**document, "Links": {"Self": f"/api/spaces/{identity}", "SpaceHome": f"/api/{identity}", "Web": f"/app#/spaces/{identity}"}}


def _visible_spaces(request: Request) -> list[Document]:
    """*All spaces* of the API are all spaces of this user (3.3)."""
    return [_space(each) for each in request.api.database.documents("Spaces") if request.someone.sees(each["Id"])]


@ROUTES.on("GET", "/spaces")
def spaces(request: Request) -> Document:
    wanted, partial = request.listed("ids"), request.query.get("partialName", "").lower()
    found = [each for each in _visible_spaces(request) if (not wanted or each["Id"] in wanted) and partial in each["Name"].lower()]
    return page(request, "Space", found, "/api/spaces")


@ROUTES.on("GET", "/spaces/all")
def all_spaces(request: Request) -> list[Document]:
    return _visible_spaces(request)


@ROUTES.on("GET", "/spaces/{id}")
def one_space(request: Request) -> Document:
    wanted = request.parts["id"].lower()
    for each in _visible_spaces(request):
        if wanted in (each["Id"].lower(), each["Slug"]):
            return each
    raise missing(request.parts["id"])


def _certificate(certificate: Certificate) -> Document:
    link = f"{_CERTIFICATES}/{CERTIFICATE}"
    return {
        "Id": CERTIFICATE,
        "Name": "OctopusServer",
        "Thumbprint": certificate.thumbprint,
        "SignatureAlgorithm": certificate.signature_algorithm,
        "LastModifiedOn": certificate.installed_at,
        "LastModifiedBy": None,
        "Links": {"Self": link, "PublicCer": link + "/public-cer"},
    }


@ROUTES.on("GET", "/configuration/certificates")
def certificates(request: Request) -> Document:
    return page(request, "CertificateConfiguration", [_certificate(request.api.shown_certificate())], _CERTIFICATES)


@ROUTES.on("GET", f"/configuration/certificates/{CERTIFICATE}")
@ROUTES.on("GET", f"/certificates/{CERTIFICATE}")
def certificate(request: Request) -> Document:
    return _certificate(request.api.shown_certificate())


@ROUTES.on("GET", f"/configuration/certificates/{CERTIFICATE}/public-cer")
def public_cer(request: Request) -> Reply:
    return Reply(200, request.api.shown_certificate().der, "application/x-x509-ca-cert")


@ROUTES.on("GET", "/maintenanceconfiguration", permission="AdministerSystem")
def maintenance(request: Request) -> Document:
    return _maintenance(request.api)


def _maintenance(api: Api) -> Document:
    return {"Id": "maintenance", "IsInMaintenanceMode": api.database.in_maintenance, "Links": {"Self": "/api/maintenanceconfiguration"}}


@ROUTES.on("PUT", "/maintenanceconfiguration", permission="AdministerSystem")
def put_maintenance(request: Request) -> Document:
    wanted = request.body.get("IsInMaintenanceMode")
    if not isinstance(wanted, bool):
        raise ApiError(400, "There was a problem with your request.", "IsInMaintenanceMode must be true or false.")
    request.api.database.put_maintenance(wanted)
    return _maintenance(request.api)


@ROUTES.on("GET", "/users/me")
def me(request: Request) -> Document:
    user = request.someone
    links = {"Self": f"/api/users/Users-{user.name}", "Permissions": f"/api/users/Users-{user.name}/permissions"}
    return {"Id": f"Users-{user.name}", "Username": user.name, "DisplayName": user.name, "IsActive": True, "IsService": True, "Links": links}


def refuse_in_maintenance(request: Request) -> None:
    """In maintenance only AdministerSystem users change things or queue tasks (3.2)."""
    if request.method == "GET" or request.someone.administers or not request.api.database.in_maintenance:
        return
    if request.api.quirk("server_maintenance_refuses"):
        raise ApiError(403, f"{forbidden('AdministerSystem').message} The Octopus Server is in maintenance mode.")
