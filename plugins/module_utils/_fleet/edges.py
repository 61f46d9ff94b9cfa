# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The nouns of a fleet: what the Server has on record, what a visit found on a host, and the edge that both describe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from sys import intern
from typing import AbstractSet, Any, FrozenSet, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.records import MachineRecord
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import trust

LISTENING = "listening"
POLLING = "polling"
WEBSOCKET = "websocket"
KUBERNETES = "kubernetes"
NO_TENTACLE = "no tentacle"
UNKNOWN = "unknown"

NOT_VISITED = "no task of this run visited it"
_STYLES = {"TentaclePassive": LISTENING, "TentacleActive": POLLING, "KubernetesTentacle": KUBERNETES}
# contracts/octopus-server.md 3.4: no Tentacle thumbprint, so no edge. A style that is not in either list is unknown, and blocks.
_NO_TENTACLE = frozenset(
    (
        "Ssh",
        "None",
        "OfflineDrop",
        "Kubernetes",
        "AzureWebApp",
        "AzureCloudService",
        "AzureServiceFabricCluster",
        "StepPackage",
        "AwsEcsCluster",
        "Ftp",
    )
)


def style_of(communication_style: str) -> str:
    """Our word for the Server's ``CommunicationStyle``."""
    return _STYLES.get(communication_style, NO_TENTACLE if communication_style in _NO_TENTACLE else UNKNOWN)


@dataclass(frozen=True)
class Record:
    """A deployment target or worker as the Server has it (contracts/octopus-server.md 3.4)."""

    id: str
    name: str
    space: str
    kind: str = "target"  # target | worker
    style: str = LISTENING
    thumbprint: Optional[str] = None
    address: Optional[str] = None  # "host:port", lower case
    subscription: Optional[str] = None  # as subscription_of() spells it
    is_disabled: bool = False
    health_status: str = "Unknown"
    policy: str = ""
    signature_algorithm: Optional[str] = None  # of the Tentacle's certificate, as the Server last saw it
    environments: Tuple[str, ...] = ()  # by name where it is known, else by id
    roles: Tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.id} ({self.name}) in space {self.space}"


@dataclass(frozen=True)
class TrustEntry:
    """One entry of a Tentacle's trust, as spelled in its configuration."""

    spelled: str
    canonical: Optional[str]
    style: str = LISTENING
    address: Optional[str] = None
    subscription: Optional[str] = None


@dataclass(frozen=True)
class Poll:
    """What the log of the running process says of one polling entry; ``seen`` is None where the log has nothing of that process (decision 25)."""

    place: str
    subscription: Optional[str]
    pin: Optional[str]
    seen: Optional[FrozenSet[str]] = None  # of started, armed, identified


@dataclass(frozen=True)
class Instance:
    """A row of octo_instance_info or octo_trust, parsed; ``code`` says why it was not as it was asked for, or could not be read."""

    host: str
    name: str
    code: str = ""
    reason: str = ""
    configuration: str = ""
    thumbprint: Optional[str] = None
    communication: str = LISTENING
    listens: bool = True
    port: Optional[int] = None
    ip: Optional[str] = None
    trust: Tuple[TrustEntry, ...] = ()
    pid: int = 0
    started_at: str = ""
    started_monotonic_us: int = 0
    restart_pending: str = "unknown"  # yes | no | probably | unknown
    pins_in_process: Optional[FrozenSet[str]] = None
    unready: Tuple[Tuple[str, str], ...] = ()  # (code, sentence)
    polls: Tuple[Poll, ...] = ()
    foreign_lost: Tuple[str, ...] = ()  # pins of others that stood before our write and do not stand after it (I10)
    changed: bool = False
    restarted: bool = False
    was_read: bool = False  # in spite of ``code``: the visit refused, or went wrong, and the rest of the row is what it found
    readable_by_others: Optional[bool] = None  # None in these, and "": not read
    modified_at: str = ""
    key_copies: Optional[int] = None  # the key in use included
    newer_than_process: Optional[bool] = None

    @property
    def label(self) -> str:
        return f"{self.host}/{self.name}"

    @property
    def readable(self) -> bool:
        return self.was_read or not self.code

    def pins(self) -> FrozenSet[str]:
        return frozenset(entry.canonical for entry in self.trust if entry.canonical)


@dataclass(frozen=True)
class Visit:
    """What the registered result of a host's task says; ``begun`` and ``at`` are the controller's monotonic clock before and after it."""

    host: str
    outcome: str  # ok | failed | unreachable | skipped
    instances: Tuple[Instance, ...] = ()
    reason: str = ""
    at: float = 0.0
    begun: float = 0.0

    def under(self, host: str) -> Visit:
        """The same visit, for another inventory name of the machine."""
        return self if host == self.host else replace(self, host=host, instances=tuple(replace(one, host=host) for one in self.instances))


@dataclass(frozen=True)
class InventoryHost:
    """An inventory host of the rotation. ``addresses``: every name or address by which the Server may know it."""

    name: str
    addresses: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """One Tentacle as the Server reaches it. Its identity is the endpoint or the subscription, never the thumbprint (decision 9)."""

    host: str  # inventory name; empty: on no host of the inventory
    instance: str  # "*": the host was not visited yet, so its instances are not known
    style: str = LISTENING
    endpoint: Optional[str] = None
    subscription: Optional[str] = None
    thumbprint: Optional[str] = None
    records: Tuple[Record, ...] = ()
    also_known_as: Tuple[str, ...] = ()  # other inventory names of the same machine
    is_further: bool = False  # a further endpoint of an instance that has an edge already
    may_be_on: Tuple[str, ...] = ()  # without a host: those on which the next visit could meet it

    @property
    def name(self) -> str:
        if not self.host:
            return self.records[0].name if self.records else self.identity
        return f"{self.label} ({self.identity})" if self.is_further else self.label

    @property
    def label(self) -> str:
        return f"{self.host}/{self.instance}"

    @property
    def identity(self) -> str:
        return self.endpoint or self.subscription or (self.label if self.host else self.records[0].id)

    @property
    def is_disabled(self) -> bool:
        return bool(self.records) and all(record.is_disabled for record in self.records)

    @property
    def recorded_thumbprints(self) -> FrozenSet[str]:
        return frozenset(record.thumbprint.upper() for record in self.records if record.thumbprint)


def address_of(host: str, port: int) -> str:
    """``host:port`` as an endpoint is spelled everywhere: lower case, IPv6 in brackets."""
    return f"[{host.lower()}]:{port}" if ":" in host else f"{host.lower()}:{port}"


def split_address(address: str) -> Tuple[str, int]:
    host, _colon, port = address.rpartition(":")
    return host.strip("[]").lower(), int(port)


def names_of(host: str) -> FrozenSet[str]:
    """What the host is called, with and without its domain, in lower case."""
    return frozenset((host.lower(), host.lower().partition(".")[0]))


def is_called(host: str, names: AbstractSet[str]) -> bool:
    """Whether one of ``names`` (lower case) is the host's, with or without its domain."""
    return bool(names_of(host) & names)


def place_of(address: str) -> str:
    """Where a polling entry calls, however it is spelled."""
    return trust.place_of(address, "")[0]


def subscription_of(uri: Optional[str]) -> Optional[str]:
    """The subscription id inside ``poll://<id>/``, which records and configurations spell with and without the wrapping."""
    return uri.lower().replace("poll://", "").strip("/") if uri else None


def record_of(machine: MachineRecord, environments: Mapping[str, str]) -> Record:
    """The fleet's record of a machine or worker that REST listed; ``environments``: names by id."""
    return Record(
        id=machine.id,
        name=machine.name,
        space=machine.space,
        kind=machine.kind,
        style=style_of(machine.style),
        thumbprint=machine.thumbprint,
        address=address_of(machine.address, machine.port) if machine.address and machine.port else None,
        subscription=subscription_of(machine.subscription_id),
        is_disabled=machine.is_disabled,
        health_status=machine.health_status,
        policy=machine.policy_id or "",
        signature_algorithm=machine.signature_algorithm,
        environments=tuple(environments.get(one, one) for one in machine.environment_ids),
        roles=machine.roles,
    )


def visit_of(host: str, result: Optional[Mapping[str, Any]], at: float) -> Visit:
    """The visit that a registered result describes; results of failed and unreachable hosts are registered too (decision 6)."""
    if not result or result.get("skipped"):
        return Visit(host, "skipped", reason=NOT_VISITED, at=at)
    if result.get("unreachable"):
        return Visit(host, "unreachable", reason=_first_line(result.get("msg")), at=at)
    rows = result.get("instances")
    instances = tuple(instance_of(host, row) for row in rows) if isinstance(rows, list) else ()
    if result.get("failed") and not instances:
        return Visit(host, "failed", reason=_first_line(result.get("msg")), at=at)
    reason = _first_line(result.get("msg")) if result.get("failed") else ""
    return Visit(host, "ok", instances, reason, at, float(result.get("begun_at") or 0.0))


def instance_of(host: str, row: Mapping[str, Any]) -> Instance:
    """An instance from its row; a row that is not ok keeps what could be read of it."""
    listening = row.get("listening") or {}
    service = row.get("service") or {}
    pins = row.get("pins_in_process")
    ready = row.get("ready") or {}
    file = row.get("file") or {}
    return Instance(
        host=host,
        name=_word(row.get("instance") or "?"),
        code="" if row.get("ok", True) else _word(row.get("code") or "UNREADABLE"),
        reason=str(row.get("reason") or ""),
        configuration=_word(row.get("configuration")),
        thumbprint=_upper(row.get("thumbprint")),
        communication=_word(row.get("communication") or UNKNOWN),
        listens=bool(listening.get("enabled", True)),
        port=listening.get("port"),
        ip=listening.get("ip"),
        trust=_trust(row.get("trust") or ()),
        pid=int(service.get("pid") or 0),
        started_at=str(service.get("started_at") or ""),
        started_monotonic_us=int(service.get("started_monotonic_us") or 0),
        restart_pending=_word(row.get("restart_pending") or "unknown"),
        pins_in_process=None if pins is None else _set_of(tuple(str(pin).upper() for pin in pins)),
        polls=tuple(_poll(one) for one in row.get("polls") or ()),
        unready=tuple((str(why.get("code")), str(why.get("sentence"))) for why in ready.get("reasons") or () if not ready.get("ok", True)),
        foreign_lost=tuple(sorted(_canonicals(row.get("before")) - _canonicals(row.get("after")))),
        changed=bool(row.get("changed")),
        restarted=bool(row.get("restarted")),
        was_read=listening.get("port") is not None,  # every configuration that could be read has one
        readable_by_others=file.get("readable_by_others"),
        modified_at=str(file.get("modified_at") or ""),
        key_copies=row.get("key_copies"),
        newer_than_process=row.get("newer_than_process"),
    )


def _trust(entries: Sequence[Mapping[str, Any]]) -> Tuple[TrustEntry, ...]:
    found: List[TrustEntry] = []
    for entry in entries:
        spelled = str(entry.get("thumbprint") or "")
        canonical = str(entry.get("canonical") or "") or (spelled.upper() if _thumbprint.is_canonical(spelled.upper()) else None)
        style = str(entry.get("style") or UNKNOWN)
        address = str(entry["address"]) if entry.get("address") else None
        found.append(_entry(spelled, canonical, style, address, subscription_of(entry.get("subscription_id"))))
    return tuple(found)


# Thousands of Tentacles trust the same certificates and are spelled with the same words: one object for all that are alike.


@lru_cache(maxsize=4096)
def _entry(spelled: str, canonical: Optional[str], style: str, address: Optional[str], subscription: Optional[str]) -> TrustEntry:
    return TrustEntry(spelled, canonical, style, address, subscription)


@lru_cache(maxsize=4096)
def _set_of(pins: Tuple[str, ...]) -> FrozenSet[str]:
    return frozenset(pins)


def _word(text: Any) -> str:
    return intern(str(text or ""))


def _poll(row: Mapping[str, Any]) -> Poll:
    seen = row.get("seen")
    where = (place_of(str(row.get("address") or "")), subscription_of(row.get("subscription_id")), _upper(row.get("thumbprint")))
    return Poll(*where, None if seen is None else frozenset(str(word) for word in seen))


def _canonicals(entries: Any) -> FrozenSet[str]:
    return frozenset(str(entry["canonical"]) for entry in entries or () if entry.get("canonical"))


def _upper(text: Any) -> Optional[str]:
    return str(text).upper() if text else None


def _first_line(text: Any) -> str:
    lines = str(text or "").strip().splitlines()
    return lines[0][:300] if lines else "no reason was given"
