# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scripted HTTP conversations: order and completeness are enforced, and time passes only when somebody sleeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient, Patience
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import NoAnswer, Request, Response
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret

URL = "https://octopus.example.com"
KEY = "API-MARKERMARKERMARKER1234567"


@dataclass
class Clock:
    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Turn:
    """One expected request and the answer to it."""

    method: str
    url: str
    answer: Response | NoAnswer
    body: Any = None


def get(path: str, document: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None, raw: bytes | None = None) -> Turn:
    return turn("GET", path, document, status=status, headers=headers, raw=raw)


def turn(
    method: str,
    path: str,
    document: Any = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    raw: bytes | None = None,
    body: Any = None,
) -> Turn:
    data = raw if raw is not None else json.dumps(document).encode()
    return Turn(method, path if "://" in path else URL + path, Response(status, dict(headers or {}), data), body)


def silent(method: str, path: str, answer: NoAnswer) -> Turn:
    return Turn(method, URL + path, answer)


REFUSED = NoAnswer("the connection is refused", passing=True, reached=False)


class Conversation:
    def __init__(self, *turns: Turn) -> None:
        self._turns = list(turns)
        self.seen: list[Request] = []

    def __call__(self, request: Request) -> Response:
        assert self._turns, f"one request too many: {request.method} {request.url}"
        expected = self._turns.pop(0)
        self.seen.append(request)
        assert (request.method, request.url) == (expected.method, expected.url)
        assert request.headers["X-Octopus-ApiKey"] == KEY
        assert KEY not in request.url
        if expected.body is not None:
            assert json.loads(request.body or b"null") == expected.body
        if isinstance(expected.answer, NoAnswer):
            raise expected.answer
        return expected.answer

    def finished(self) -> bool:
        return not self._turns


def client_of(conversation: Conversation, clock: Clock | None = None, *, url: str = URL, patience: Patience | None = None) -> OctopusClient:
    clock = clock or Clock()
    return OctopusClient(url, Secret(KEY), conversation, clock, clock.sleep, patience or Patience(60.0, 1.0, 8.0))


def machine(identity: str = "Machines-1", name: str = "web-01", **changed: Any) -> dict[str, Any]:
    """A listening target as the Server sends it (contracts/octopus-server.md 3.4)."""
    document: dict[str, Any] = {
        "Id": identity,
        "SpaceId": "Spaces-1",
        "Name": name,
        "EnvironmentIds": ["Environments-1"],
        "Roles": ["web"],
        "Thumbprint": "A" * 40,
        "Uri": "https://10.0.0.7:10933/",
        "IsDisabled": False,
        "MachinePolicyId": "MachinePolicies-1",
        "HealthStatus": "Healthy",
        "StatusSummary": "Octopus was able to successfully establish a connection with this machine on Monday, 1 June 2026 9:00 AM",
        "IsInProcess": False,
        "Endpoint": {
            "CommunicationStyle": "TentaclePassive",
            "Uri": "https://10.0.0.7:10933/",
            "Thumbprint": "A" * 40,
            "ProxyId": None,
            "CertificateSignatureAlgorithm": "sha256RSA",
            "TentacleVersionDetails": {"Version": "8.1.2000"},
        },
        "AFieldOfTomorrow": {"IsTolerated": True},
    }
    document.update(changed)
    return document
