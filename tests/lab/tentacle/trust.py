# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of trusted Octopus Servers and what the commands do to it (tentacle-cli.md 2.5, 2.6, 2.10)."""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from lab.settings import Settings
from lab.tentacle.errors import Controlled, Failure

_SUBSCRIPTION_ALPHABET = "bcdefghjklmnpqrstuvwxyz23456789"
_SUBSCRIPTION_LENGTH = 20
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Style(enum.IntEnum):
    """CommunicationStyle; some older versions wrote the names."""

    NoStyle = 0
    TentaclePassive = 1
    TentacleActive = 2
    Ssh = 3
    OfflineDrop = 4
    AzureWebApp = 5
    Ftp = 6
    AzureCloudService = 7
    AzureServiceFabricCluster = 8
    Kubernetes = 9
    StepPackage = 10
    KubernetesTentacle = 11


@dataclass(frozen=True)
class TrustEntry:
    """One entry of the list, spelled as it is stored."""

    thumbprint: str
    style: int = Style.TentaclePassive
    address: str | None = None
    squid: str | None = None
    subscription_id: str | None = None
    kubernetes_mode: object = None

    @property
    def uri(self) -> str:
        """The address as the vendor prints and compares it: normalised, with a trailing slash; empty without an address."""
        return normalise(self.address) if self.address else ""

    @property
    def kind(self) -> str:
        """How `update-trust` calls the entry."""
        if self.style == Style.KubernetesTentacle:
            listening = str(self.kubernetes_mode).lower() in {"1", "listening"}
            return f"kubernetes tentacle ({'listening' if listening else 'polling'})"
        return {Style.TentaclePassive.value: "listening tentacle", Style.TentacleActive.value: "polling tentacle"}.get(self.style, "")

    def is_for(self, thumbprint: str, address: str | None) -> bool:
        """The identity of an entry: thumbprint and address, both ignoring letter case; two missing addresses are equal."""
        uri = normalise(address) if address else ""
        return self.thumbprint.lower() == thumbprint.lower() and self.uri.lower() == uri.lower()

    def as_json(self) -> dict[str, object]:
        """The fields in the vendor's order."""
        fields: dict[str, object] = {"Thumbprint": self.thumbprint, "CommunicationStyle": int(self.style)}
        if self.style == Style.Kubernetes:
            fields["KubernetesTentacleCommunicationMode"] = self.kubernetes_mode
        return {**fields, "Address": self.address, "Squid": self.squid, "SubscriptionId": self.subscription_id}


def normalise(address: str) -> str:
    """A URI as .NET prints it: scheme and host in lower case, no default port, a path of at least one slash."""
    parts = urlsplit(address.strip())
    if not parts.scheme or not parts.hostname:
        return address
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port and parts.port != _DEFAULT_PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def read(text: str | None) -> list[TrustEntry]:
    """The stored list; ValueError (of json) when it is damaged."""
    return [_entry(each) for each in json.loads(text) or [] if isinstance(each, dict)] if text else []


def write(entries: Sequence[TrustEntry]) -> str:
    """The list as it is stored: compact JSON, one entry after the other."""
    return json.dumps([entry.as_json() for entry in entries], separators=(",", ":"), ensure_ascii=False)


def added(entries: Sequence[TrustEntry], new: TrustEntry, settings: Settings) -> list[TrustEntry]:
    """The list with an entry added, or, when its like is there, replaced (which moves it to the end)."""
    thumbprint = new.thumbprint.strip()
    if not thumbprint or not (settings.quirk("trust_unvalidated") or _is_thumbprint(thumbprint)):
        raise Failure("A valid thumbprint must be supplied", "System.ArgumentException")
    alike = [entry for entry in entries if entry.is_for(thumbprint, new.address)]
    if len(alike) > 1 and settings.quirk("duplicate_entry_crashes"):
        raise Failure("Sequence contains more than one matching element", "System.InvalidOperationException")
    new = replace(new, thumbprint=thumbprint)
    if alike and not settings.quirk("trust_moves_to_end"):
        return [new if entry in alike else entry for entry in entries]
    return [*(entry for entry in entries if entry not in alike), new]


def removed(entries: Sequence[TrustEntry], thumbprint: str, settings: Settings) -> list[TrustEntry]:
    """The list without the entries for a thumbprint: every style, spelled exactly so."""
    exact = settings.quirk("remove_trust_case_sensitive")
    return [
        entry
        for entry in entries
        if (entry.thumbprint != thumbprint if exact else entry.thumbprint.lower() != thumbprint.lower())
        or (entry.address and not settings.quirk("remove_trust_takes_polling"))
    ]


def reset(entries: Sequence[TrustEntry], settings: Settings) -> list[TrustEntry]:
    """The empty list: polling entries go too, and with them their subscription ids."""
    return [] if settings.quirk("reset_trust_takes_polling") else [entry for entry in entries if entry.address]


def updated(entries: Sequence[TrustEntry], old: str, new: str, settings: Settings) -> list[TrustEntry]:
    """The list with another thumbprint in the entries for ``old``, whatever that makes of it."""
    changed = [replace(entry, thumbprint=new.strip()) if entry.thumbprint.lower() == old.lower() else entry for entry in entries]
    if settings.quirk("update_trust_duplicates"):
        return changed
    return list({(entry.thumbprint.lower(), entry.uri.lower()): entry for entry in changed}.values())


def polling(entries: Sequence[TrustEntry], thumbprint: str, address: str, settings: Settings) -> list[TrustEntry]:
    """What `server-comms --style=TentacleActive` makes: the entry with that address, else one of no style, else a new one."""
    alike = [entry for entry in entries if entry.is_for(thumbprint, address)]
    unset = [entry for entry in entries if entry.thumbprint == thumbprint and entry.style == Style.NoStyle]
    found = (alike or unset or [TrustEntry(thumbprint)])[0]
    known = [found.subscription_id, *(entry.subscription_id for entry in entries if _may_share(entry, thumbprint, address, settings))]
    subscription = next((each for each in known if each), None) or _new_subscription()
    base = [entry for entry in entries if entry is not found] if not alike else list(entries)
    return added(base, replace(found, style=Style.TentacleActive, address=address, subscription_id=subscription), settings)


def _may_share(entry: TrustEntry, thumbprint: str, address: str, settings: Settings) -> bool:
    """Whose subscription id a new polling entry takes over: the same Server's only, so another pin gets a new one."""
    if settings.quirk("server_comms_new_subscription"):
        return entry.thumbprint == thumbprint
    return entry.thumbprint == thumbprint or entry.uri.lower() == normalise(address).lower()


def one_thumbprint(entries: Sequence[TrustEntry], asked: str) -> str:
    """The thumbprint that `server-comms` means: the asked one, spelled as stored, or the only one there is."""
    if not entries:
        raise Controlled("Before server communications can be modified, trust must be established with the configure command")
    stored = list(dict.fromkeys(entry.thumbprint for entry in entries))
    if not asked.strip():
        if len(stored) > 1:
            raise Controlled("Please specify the thumbprint of the server, more than one is trusted, e.g., --thumbprint=VALUE")
        return stored[0]
    if asked not in stored:
        raise Controlled("No trusted server was found with the supplied thumbprint")
    return asked


def _entry(fields: dict[str, object]) -> TrustEntry:
    style = fields.get("CommunicationStyle", 0)
    if isinstance(style, str):
        style = Style.__members__.get(style, Style.NoStyle)
    return TrustEntry(
        thumbprint=str(fields.get("Thumbprint") or ""),
        style=style if isinstance(style, int) else 0,
        address=_text(fields.get("Address")),
        squid=_text(fields.get("Squid")),
        subscription_id=_text(fields.get("SubscriptionId")),
        kubernetes_mode=fields.get("KubernetesTentacleCommunicationMode"),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _is_thumbprint(text: str) -> bool:
    return len(text) == 40 and not set(text) - set("0123456789abcdefABCDEF")


def _new_subscription() -> str:
    import secrets

    return f"poll://{''.join(secrets.choice(_SUBSCRIPTION_ALPHABET) for _each in range(_SUBSCRIPTION_LENGTH))}/"
