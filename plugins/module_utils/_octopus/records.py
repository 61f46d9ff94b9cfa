# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What the Octopus Server tells, as frozen records; field names of the API end here (contracts/octopus-server.md 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, List, Mapping, Optional, Tuple, Type, TypeVar, cast
from urllib.parse import urlsplit

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

TARGET = "target"
WORKER = "worker"
# The styles whose far end is a Tentacle with a certificate of its own (3.4); all others have no Tentacle thumbprint.
TENTACLE_STYLES = ("TentaclePassive", "TentacleActive", "KubernetesTentacle")
GREEN = ("Healthy", "HasWarnings")
FINISHED = ("Success", "Failed", "Canceled", "TimedOut")

# .NET's first year and its last stand for never, and its longest time has eight digits of days.
_INSTANT = re.compile(r"\A((?:19|2\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)\Z")
_SPAN = re.compile(r"\A(?:(\d{1,8})\.)?(\d{1,8}):(\d\d):(\d\d)(?:\.\d+)?\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_KINDS = {type(None): "null", bool: "true or false", int: "a number", float: "a fraction", str: "text", list: "a list", dict: "an object"}
_WHICH = "Is this address the Octopus Server's API, of a version from 2019 on?"

T = TypeVar("T")


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


def kind_of(value: Any) -> str:
    """What a piece of JSON is, for a person."""
    return _KINDS[type(value)]


class _Sent:
    """An object that the API sent, as ``what``. A field is checked where it is read, and its absence is null: OctoError names object and field."""

    def __init__(self, document: Any, what: str, path: str = "", whole: Optional[Mapping[str, Any]] = None) -> None:
        if not isinstance(document, dict):
            raise OctoError(f"The Octopus Server sent {kind_of(document)} in place of {what}. {_WHICH}")
        self._fields = document
        self._what = what
        self._path = path
        self._whole = document if whole is None else whole

    def need(self, field: str) -> str:
        value = self.text(field)
        if not value:
            raise self._odd(f"without {field}")
        return value

    def text(self, field: str) -> Optional[str]:
        return self._of(field, str)

    def texts(self, field: str) -> Tuple[str, ...]:
        return tuple(self._checked(f"{field}[{place}]", one, str) for place, one in enumerate(self._of(field, list) or ()))

    def flag(self, field: str) -> bool:
        return self._of(field, bool) or False

    def number(self, field: str) -> int:
        return self._of(field, int) or 0

    def part(self, field: str) -> _Sent:
        return _Sent(self._of(field, dict) or {}, self._what, f"{self._path}{field}.", self._whole)

    def parts(self, field: str) -> List[_Sent]:
        return [_Sent(one, self._what) for one in self._of(field, list) or ()]

    def _of(self, field: str, kind: Type[T]) -> Optional[T]:
        value = self._fields.get(field)
        return None if value is None else self._checked(field, value, kind)

    def _checked(self, field: str, value: Any, kind: Type[T]) -> T:
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):  # true is a number to Python
            raise self._odd(f"whose {self._path}{field} is {kind_of(value)}")
        # Half a character, where a length limit cut one in two, cannot be written anywhere.
        return cast(T, _SURROGATE.sub("\ufffd", value)) if isinstance(value, str) else value

    def _odd(self, wrong: str) -> OctoError:
        names = ((field, self._whole.get(field)) for field in ("Id", "Name"))
        named = next((f" (its {field} is {name!a:.80})" for field, name in names if name and isinstance(name, str)), "")
        return OctoError(f"The Octopus Server sent {self._what} {wrong}{named}. {_WHICH}")


def server(document: Mapping[str, Any]) -> Server:
    return Server(str(document.get("Version") or ""), str(document.get("InstallationId") or ""))


def certificate(document: Any) -> ServerCertificate:
    sent = _Sent(document, "a server certificate")
    return ServerCertificate(sent.need("Thumbprint"), sent.text("SignatureAlgorithm"))


def space(document: Any) -> Space:
    sent = _Sent(document, "a space")
    return Space(sent.need("Id"), sent.need("Name"), is_default=sent.flag("IsDefault"), queue_stopped=sent.flag("TaskQueueStopped"))


def node(document: Any) -> ServerNode:
    sent = _Sent(document, "a node")
    return ServerNode(
        id=sent.need("Id"),
        name=sent.need("Name"),
        is_offline=sent.flag("IsOffline"),
        is_draining=sent.flag("IsInMaintenanceMode"),
        last_seen=sent.text("LastSeen"),
        running_tasks=sent.number("RunningTaskCount"),
    )


def policy(document: Any, of_space: Space) -> Policy:
    sent = _Sent(document, "a machine policy")
    cleanup = sent.part("MachineCleanupPolicy")
    deletes = cleanup.text("DeleteMachinesBehavior") == "DeleteUnavailableMachines"
    return Policy(
        id=sent.need("Id"),
        name=sent.need("Name"),
        space_id=of_space.id,
        # A policy that deletes, but whose time cannot be read, deletes at once as far as anybody can promise.
        deletes_unavailable_after=(seconds(cleanup.text("DeleteMachinesElapsedTimeSpan")) or 0.0) if deletes else None,
        skips_unavailable=sent.part("MachineConnectivityPolicy").text("MachineConnectivityBehavior") == "MayBeOfflineAndCanBeSkipped",
        upgrades_tentacles=sent.part("MachineUpdatePolicy").text("TentacleUpdateBehavior") == "Update",
        polling_queue_timeout=seconds(sent.text("PollingRequestQueueTimeout")),
    )


def environment(document: Any) -> Tuple[str, str]:
    """Id and name."""
    sent = _Sent(document, "an environment")
    return sent.need("Id"), sent.need("Name")


def proxy(document: Any) -> ProxyRecord:
    sent = _Sent(document, "a proxy")
    host, port = sent.need("Host"), sent.number("Port") or 80
    if not host.isprintable() or not 0 < port < 65536:
        raise OctoError(f"The Octopus Server sent a proxy at {host!a:.80}, port {port}, where nothing can be.")
    return ProxyRecord(
        id=sent.need("Id"),
        name=sent.need("Name"),
        host=host,
        port=port,
        username=sent.text("Username") or "",
        has_password=sent.part("Password").flag("HasValue"),
    )


def machine(document: Any, kind: str, of_space: Space) -> MachineRecord:
    sent = _Sent(document, "a machine")
    endpoint = sent.part("Endpoint")
    nested = endpoint.part("TentacleEndpointConfiguration")
    uri = nested.text("Uri") or endpoint.text("Uri")
    address, port, subscription = _place(uri)
    return MachineRecord(
        id=sent.need("Id"),
        name=sent.need("Name"),
        kind=kind,
        space_id=of_space.id,
        space=of_space.name,
        style=endpoint.text("CommunicationStyle") or "unknown",
        thumbprint=nested.text("Thumbprint") or endpoint.text("Thumbprint"),
        uri=uri,
        address=address,
        port=port,
        subscription_id=subscription,
        signature_algorithm=nested.text("CertificateSignatureAlgorithm") or endpoint.text("CertificateSignatureAlgorithm"),
        is_disabled=sent.flag("IsDisabled"),
        in_process=sent.flag("IsInProcess"),
        health_status=sent.text("HealthStatus") or "Unknown",
        status_summary=sent.text("StatusSummary") or "",
        policy_id=sent.text("MachinePolicyId"),
        environment_ids=sent.texts("EnvironmentIds"),
        worker_pool_ids=sent.texts("WorkerPoolIds"),
        roles=sent.texts("Roles"),
        proxy_id=endpoint.text("ProxyId"),
        tentacle_version=endpoint.part("TentacleVersionDetails").text("Version"),
    )


def connection(document: Any, machine_id: str) -> Connection:
    sent = _Sent(document, "a last contact")
    return Connection(machine_id, sent.text("Status"), instant(sent.text("LastChecked")))


def task(document: Any) -> Task:
    sent = _Sent(document, "a task")
    return Task(
        id=sent.need("Id"),
        name=sent.text("Name") or "",
        description=sent.text("Description") or "",
        state=sent.need("State"),
        start_time=instant(sent.text("StartTime")),
        queue_time=instant(sent.text("QueueTime")),
        error_message=sent.text("ErrorMessage") or None,
    )


def log_messages(document: Any, categories: Tuple[str, ...] = ("Warning", "Error", "Fatal")) -> List[str]:
    """The messages of a task's activity tree, in order, of the given categories."""
    found: List[str] = []
    waiting = _Sent(document, "a task log").parts("ActivityLogs")
    while waiting:
        step = waiting.pop(0)
        found += [line.text("MessageText") or "" for line in step.parts("LogElements") if line.text("Category") in categories]
        waiting = step.parts("Children") + waiting
    return found


def instant(text: Any) -> Optional[datetime]:
    """An ISO 8601 time with offset; .NET writes seven digits of a second, more than ``fromisoformat`` takes before Python 3.11."""
    match = _INSTANT.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    whole, fraction, zone = match.groups()
    micro = ((fraction or "") + "000000")[:6]
    try:
        return datetime.fromisoformat(f"{whole}.{micro}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:  # the 41st of a month
        return None


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
        host, port = parts.hostname or "", parts.port or 10933
    except ValueError:
        return None, None, None
    return (host, port, None) if host and host.isprintable() else (None, None, None)
