# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""REST documents with every field that octopus-server.md 3.3 to 3.5 lists; pure functions from what is given to the whole resource."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]

TENTACLE_STYLES = ("TentaclePassive", "TentacleActive", "KubernetesTentacle")
NEVER_CHECKED = "This machine was recently added. Please perform a health check."

_VERSION_DETAILS = {
    "UpgradeLocked": False,
    "Version": "9.2.4003",
    "UpgradeSuggested": False,
    "UpgradeRequired": False,
    "UpgradeAvailable": False,
}
_TENTACLE: Document = {"Uri": None, "Thumbprint": None, "TentacleVersionDetails": _VERSION_DETAILS, "CertificateSignatureAlgorithm": None}
_ENDPOINTS: dict[str, Document] = {
    "TentaclePassive": {**_TENTACLE, "ProxyId": None},
    "TentacleActive": _TENTACLE,
    "KubernetesTentacle": {
        "TentacleEndpointConfiguration": {"CommunicationMode": "Polling", "Thumbprint": None, "Uri": None, "CertificateSignatureAlgorithm": None},
        "KubernetesAgentDetails": {"AgentVersion": "2.24.1", "TentacleVersion": "9.2.4003", "HelmReleaseName": "agent"},
        "UpgradeLocked": False,
        "DefaultNamespace": "default",
    },
    "Ssh": {"AccountId": None, "Host": None, "Port": 22, "Uri": None, "Fingerprint": None, "HostKeyAlgorithm": "ssh-ed25519", "ProxyId": None},
    "AzureWebApp": {"AccountId": None, "ResourceGroupName": None, "WebAppName": None, "WebAppSlotName": None, "DefaultWorkerPoolId": None},
    "None": {"DefaultWorkerPoolId": None},
}
_COMMON = {
    "TenantedDeploymentParticipation": "Untenanted",
    "IsDisabled": False,
    "MachinePolicyId": None,
    "Status": "Unknown",
    "HealthStatus": "Unknown",
    "HasLatestCalamari": True,
    "StatusSummary": NEVER_CHECKED,
    "OperatingSystem": "Unknown",
    "OperatingSystemVersion": None,
    "ShellName": "Bash",
    "ShellVersion": None,
    "Architecture": None,
    "SkipInitialHealthCheck": False,
    "LastModifiedOn": None,
    "LastModifiedBy": None,
}
_ARRAYS = {"Machines": ("EnvironmentIds", "Roles", "TenantIds", "TenantTags"), "Workers": ("WorkerPoolIds",)}
# What a client cannot change by a PUT (marked * in octopus-server.md 3.4).
READ_ONLY = (
    "Id",
    "SpaceId",
    "Status",
    "HealthStatus",
    "HasLatestCalamari",
    "StatusSummary",
    "OperatingSystem",
    "OperatingSystemVersion",
    "ShellName",
    "ShellVersion",
    "Architecture",
    "Slug",
    "LastModifiedOn",
    "LastModifiedBy",
)
_POLICY: Document = {
    "Description": None,
    "IsDefault": False,
    "MachineHealthCheckPolicy": {
        "HealthCheckInterval": "01:00:00",
        "HealthCheckCron": None,
        "HealthCheckType": "RunScript",
        "PowerShellHealthCheckPolicy": {"RunType": "InheritFromDefault", "ScriptBody": None},
        "BashHealthCheckPolicy": {"RunType": "InheritFromDefault", "ScriptBody": None},
    },
    "MachineConnectivityPolicy": {"MachineConnectivityBehavior": "ExpectedToBeOnline"},
    "MachineCleanupPolicy": {"DeleteMachinesBehavior": "DoNotDelete", "DeleteMachinesElapsedTimeSpan": "00:00:00"},
    "MachineUpdatePolicy": {
        "CalamariUpdateBehavior": "UpdateOnDeployment",
        "TentacleUpdateBehavior": "NeverUpdate",
        "KubernetesAgentUpdateBehavior": "Update",
        "TentacleUpdateAccountId": None,
    },
    "MachineRpcCallRetryPolicy": {"Enabled": True, "RetryDuration": "00:02:30", "HealthCheckRetryDuration": "00:02:30"},
    "PollingRequestQueueTimeout": "00:02:00",
    "ConnectionRetryCountLimit": 5,
    "ConnectionRetrySleepInterval": "00:00:01",
    "ConnectionRetryTimeLimit": "00:05:00",
    "ConnectionConnectTimeout": "00:01:00",
}


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def moment(when: datetime | None = None) -> str:
    """ISO 8601 with offset, as every date of the REST API is written."""
    return (when or datetime.now(UTC)).isoformat(timespec="milliseconds")


def long_date(when: datetime) -> str:
    """The date inside a StatusSummary; it ends at the minute, so two checks within one minute give the same text."""
    hour = when.hour % 12 or 12
    return f"{when:%A}, {when.day} {when:%B %Y} {hour}:{when:%M %p} +00:00"


def merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> Document:
    """``given`` laid over ``base``, field by field where both are objects."""
    result = dict(base)
    for key, value in given.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def space(identity: str, given: Mapping[str, Any]) -> Document:
    base = {
        "Id": identity,
        "Name": identity,
        "Slug": slug(str(given.get("Name", identity))),
        "Description": None,
        "IsDefault": False,
        "IsPrivate": False,
        "TaskQueueStopped": False,
        "SpaceManagersTeams": ["teams-administrators"],
        "SpaceManagersTeamMembers": [],
        "Icon": None,
    }
    return merged(base, given)


def named(identity: str, space_id: str, given: Mapping[str, Any], **more: Any) -> Document:
    """An environment, a pool: little more than a name in a space."""
    name = str(given.get("Name", identity))
    return merged({"Id": identity, "SpaceId": space_id, "Name": name, "Slug": slug(name), "Description": None, **more}, given)


def policy(identity: str, space_id: str, given: Mapping[str, Any]) -> Document:
    return merged(named(identity, space_id, {}, **_POLICY), {"Name": identity, **given})


def proxy(identity: str, space_id: str, given: Mapping[str, Any]) -> Document:
    """As it is stored, with its password; see :func:`shown_proxy`."""
    base = {"Id": identity, "SpaceId": space_id, "Name": identity, "Host": None, "Port": 80, "ProxyType": "HTTP", "Username": None, "Password": None}
    return merged(base, given)


def shown_proxy(document: Mapping[str, Any]) -> Document:
    """A sensitive value is told of, and never told (SensitiveValue of the clients)."""
    links = {"Self": f"/api/{document['SpaceId']}/proxies/{document['Id']}"}
    return {**document, "Password": {"HasValue": document["Password"] is not None, "NewValue": None, "Hint": None}, "Links": links}


def machine(kind: str, identity: str, space_id: str, given: Mapping[str, Any]) -> Document:
    """A deployment target or a worker. An array that is not given is empty, also in a PUT: a partial document wipes (hazard 25)."""
    style = str(given.get("Endpoint", {}).get("CommunicationStyle", "None"))
    endpoint = {"Id": None, "LastModifiedOn": None, "LastModifiedBy": None, "Links": {}, "CommunicationStyle": style, **_ENDPOINTS.get(style, {})}
    base = {"Id": identity, "SpaceId": space_id, "Name": identity, "Thumbprint": None, "Uri": None, **_COMMON, "Endpoint": endpoint}
    base.update({array: [] for array in _ARRAYS[kind]})
    document = merged(base, {key: value for key, value in given.items() if key not in ("Links", "IsInProcess")})
    document["Slug"] = slug(document["Name"])
    if style in TENTACLE_STYLES[:2]:
        # Obsolete since 3.4 but still filled; null for everything else (3.4).
        document["Thumbprint"], document["Uri"] = document["Endpoint"]["Thumbprint"], document["Endpoint"]["Uri"]
    else:
        document["Thumbprint"] = document["Uri"] = None
    return document


def tentacle_endpoint(document: Mapping[str, Any]) -> Document | None:
    """The object that holds Uri and Thumbprint of a Tentacle: one level deeper for a Kubernetes agent. None for everything else."""
    endpoint: Document = document["Endpoint"]
    style = endpoint.get("CommunicationStyle")
    if style not in TENTACLE_STYLES:
        return None
    return endpoint["TentacleEndpointConfiguration"] if style == "KubernetesTentacle" else endpoint


def updated(stored: Mapping[str, Any], kind: str, given: Mapping[str, Any], *, partial_wipes: bool) -> Document:
    """What a PUT of ``given`` makes of ``stored``: the last writer wins, read-only fields stay."""
    kept = {key: stored[key] for key in READ_ONLY if key in stored}
    document = machine(kind, stored["Id"], stored["SpaceId"], {**({} if partial_wipes else stored), **given, **kept})
    document["Slug"] = stored["Slug"]
    if document["IsDisabled"] != stored["IsDisabled"]:
        document["StatusSummary"] = "This machine has been disabled." if document["IsDisabled"] else "This target is enabled."
        document["Status"] = "Disabled" if document["IsDisabled"] else "Unknown"
        document["HealthStatus"] = stored["HealthStatus"] if document["IsDisabled"] else "Unknown"
    return document
