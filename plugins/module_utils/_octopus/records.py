# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What the Octopus Server tells, as frozen records; field names of the API end here (contracts/octopus-server.md 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, List, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

TARGET = "target"
WORKER = "worker"
# The styles whose far end is a Tentacle with a certificate of its own (3.4); all others have no Tentacle thumbprint.
TENTACLE_STYLES = ("TentaclePassive", "TentacleActive", "KubernetesTentacle")
GREEN = ("Healthy", "HasWarnings")
FINISHED = ("Success", "Failed", "Canceled", "TimedOut")

_INSTANT = re.compile(r"\A(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)\Z")
_SPAN = re.compile(r"\A(?:(\d+)\.)?(\d+):(\d\d):(\d\d)(?:\.\d+)?\Z")


@dataclass(frozen=True)
class Server:
    version: str
    installation_id: str


@dataclass(frozen=True)
class ServerCertificate:
    """What REST says of the certificate. Between import and restart it may be the database's or the loaded one (3.6)."""

    thumbprint: str
    signature_algorithm: Optional[str]


@dataclass(frozen=True)
class Space:
    id: str
    name: str
    is_default: bool
    queue_stopped: bool  # new tasks stay Queued for ever


@dataclass(frozen=True)
class ServerNode:
    id: str
    name: str
    is_offline: bool
    is_draining: bool
    last_seen: Optional[str]
    running_tasks: int


@dataclass(frozen=True)
class Policy:
    """The three behaviours that change the meaning of a rotation (3.5)."""

    id: str
    name: str
    space_id: str
    deletes_unavailable_after: Optional[float]  # seconds; None: never deletes
    skips_unavailable: bool
    upgrades_tentacles: bool
    polling_queue_timeout: Optional[float]  # seconds; None: the Server's default of two minutes


@dataclass(frozen=True)
class ProxyRecord:
    """An HTTP proxy of a space, through which the Server reaches listening Tentacles. Its password is never told."""

    id: str
    name: str
    host: str
    port: int
    username: str
    has_password: bool


@dataclass(frozen=True)
class MachineRecord:
    id: str
    name: str
    kind: str  # TARGET or WORKER
    space_id: str
    space: str
    style: str
    thumbprint: Optional[str]  # as the Server spells it; nested one level deeper for Kubernetes
    uri: Optional[str]
    address: Optional[str]  # host of a listening one
    port: Optional[int]
    subscription_id: Optional[str]  # "poll://.../" of a polling one
    signature_algorithm: Optional[str]
    is_disabled: bool
    in_process: bool
    health_status: str
    status_summary: str
    policy_id: Optional[str]
    environment_ids: Tuple[str, ...]
    worker_pool_ids: Tuple[str, ...]
    roles: Tuple[str, ...]
    proxy_id: Optional[str]
    tentacle_version: Optional[str]

    @property
    def has_tentacle(self) -> bool:
        return self.style in TENTACLE_STYLES


@dataclass(frozen=True)
class Connection:
    """The last contact with a machine; ``last_checked`` is the Server's own clock."""

    machine_id: str
    status: Optional[str]
    last_checked: Optional[datetime]


@dataclass(frozen=True)
class Task:
    id: str
    name: str
    description: str
    state: str
    start_time: Optional[datetime]
    queue_time: Optional[datetime]
    error_message: Optional[str]

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


def server(document: Mapping[str, Any]) -> Server:
    return Server(str(document.get("Version") or ""), str(document.get("InstallationId") or ""))


def certificate(document: Mapping[str, Any]) -> ServerCertificate:
    return ServerCertificate(need(document, "Thumbprint", "server certificate"), document.get("SignatureAlgorithm"))


def space(document: Mapping[str, Any]) -> Space:
    return Space(
        id=need(document, "Id", "space"),
        name=need(document, "Name", "space"),
        is_default=bool(document.get("IsDefault")),
        queue_stopped=bool(document.get("TaskQueueStopped")),
    )


def node(document: Mapping[str, Any]) -> ServerNode:
    return ServerNode(
        id=need(document, "Id", "node"),
        name=need(document, "Name", "node"),
        is_offline=bool(document.get("IsOffline")),
        is_draining=bool(document.get("IsInMaintenanceMode")),
        last_seen=document.get("LastSeen"),
        running_tasks=int(document.get("RunningTaskCount") or 0),
    )


def policy(document: Mapping[str, Any], of_space: Space) -> Policy:
    cleanup = document.get("MachineCleanupPolicy") or {}
    connectivity = document.get("MachineConnectivityPolicy") or {}
    update = document.get("MachineUpdatePolicy") or {}
    deletes = cleanup.get("DeleteMachinesBehavior") == "DeleteUnavailableMachines"
    return Policy(
        id=need(document, "Id", "machine policy"),
        name=need(document, "Name", "machine policy"),
        space_id=of_space.id,
        # A policy that deletes, but whose time cannot be read, deletes at once as far as anybody can promise.
        deletes_unavailable_after=(seconds(cleanup.get("DeleteMachinesElapsedTimeSpan")) or 0.0) if deletes else None,
        skips_unavailable=connectivity.get("MachineConnectivityBehavior") == "MayBeOfflineAndCanBeSkipped",
        upgrades_tentacles=update.get("TentacleUpdateBehavior") == "Update",
        polling_queue_timeout=seconds(document.get("PollingRequestQueueTimeout")),
    )


def proxy(document: Mapping[str, Any]) -> ProxyRecord:
    return ProxyRecord(
        id=need(document, "Id", "proxy"),
        name=need(document, "Name", "proxy"),
        host=need(document, "Host", "proxy"),
        port=int(document.get("Port") or 80),
        username=str(document.get("Username") or ""),
        has_password=bool((document.get("Password") or {}).get("HasValue")),
    )


def machine(document: Mapping[str, Any], kind: str, of_space: Space) -> MachineRecord:
    endpoint = document.get("Endpoint") or {}
    nested = endpoint.get("TentacleEndpointConfiguration") or {}
    uri = nested.get("Uri") or endpoint.get("Uri")
    address, port, subscription = _place(uri)
    versions = endpoint.get("TentacleVersionDetails") or {}
    return MachineRecord(
        id=need(document, "Id", "machine"),
        name=need(document, "Name", "machine"),
        kind=kind,
        space_id=of_space.id,
        space=of_space.name,
        style=str(endpoint.get("CommunicationStyle") or "unknown"),
        thumbprint=nested.get("Thumbprint") or endpoint.get("Thumbprint"),
        uri=uri,
        address=address,
        port=port,
        subscription_id=subscription,
        signature_algorithm=nested.get("CertificateSignatureAlgorithm") or endpoint.get("CertificateSignatureAlgorithm"),
        is_disabled=bool(document.get("IsDisabled")),
        in_process=bool(document.get("IsInProcess")),
        health_status=str(document.get("HealthStatus") or "Unknown"),
        status_summary=str(document.get("StatusSummary") or ""),
        policy_id=document.get("MachinePolicyId"),
        environment_ids=tuple(document.get("EnvironmentIds") or ()),
        worker_pool_ids=tuple(document.get("WorkerPoolIds") or ()),
        roles=tuple(document.get("Roles") or ()),
        proxy_id=endpoint.get("ProxyId"),
        tentacle_version=versions.get("Version"),
    )


def connection(document: Mapping[str, Any], machine_id: str) -> Connection:
    return Connection(machine_id, document.get("Status"), instant(document.get("LastChecked")))


def task(document: Mapping[str, Any]) -> Task:
    return Task(
        id=need(document, "Id", "task"),
        name=str(document.get("Name") or ""),
        description=str(document.get("Description") or ""),
        state=need(document, "State", "task"),
        start_time=instant(document.get("StartTime")),
        queue_time=instant(document.get("QueueTime")),
        error_message=document.get("ErrorMessage") or None,
    )


def log_messages(document: Mapping[str, Any], categories: Tuple[str, ...] = ("Warning", "Error", "Fatal")) -> List[str]:
    """The messages of a task's activity tree, in order, of the given categories."""
    found: List[str] = []
    waiting = list(document.get("ActivityLogs") or [])
    while waiting:
        step = waiting.pop(0)
        found += [str(line.get("MessageText")) for line in step.get("LogElements") or [] if line.get("Category") in categories]
        waiting = list(step.get("Children") or []) + waiting
    return found


def need(document: Mapping[str, Any], field: str, what: str) -> str:
    value = document.get(field) if isinstance(document, Mapping) else None
    if not isinstance(value, str) or not value:
        raise OctoError(f"The Octopus Server sent a {what} without {field}. Is this address the Octopus Server's API, of a version from 2019 on?")
    return value


def instant(text: Any) -> Optional[datetime]:
    """An ISO 8601 time with offset; .NET writes seven digits of a second, more than ``fromisoformat`` takes before Python 3.11."""
    match = _INSTANT.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    micro = ((fraction or "") + "000000")[:6]
    return datetime.fromisoformat(f"{whole}.{micro}{'+00:00' if zone == 'Z' else zone}")


def seconds(text: Any) -> Optional[float]:
    """A .NET time span, ``hh:mm:ss`` or ``d.hh:mm:ss``, in seconds."""
    match = _SPAN.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=rest).total_seconds()


def span(duration: float) -> str:
    """The .NET spelling of a time span, rounded up to whole seconds."""
    whole = int(-(-duration // 1))
    days, rest = divmod(whole, 86400)
    text = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    return f"{days}.{text}" if days else text


def _place(uri: Optional[str]) -> Tuple[Optional[str], Optional[int], Optional[str]]:
    """Address and port of a listening Tentacle, or the subscription of a polling one."""
    if not uri:
        return None, None, None
    if uri.lower().startswith("poll:"):
        return None, None, uri
    try:
        parts = urlsplit(uri)
        return parts.hostname, parts.port or 10933, None
    except ValueError:
        return None, None, None
