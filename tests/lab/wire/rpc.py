# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two services that the stand-in Tentacle answers: the health check's, and an echo for the witness."""

from __future__ import annotations

from collections.abc import Callable

from lab.wire.bson import Document, Value
from lab.wire.messages import error_response, response

_CAPABILITIES: Value = {
    "$type": "Octopus.Tentacle.Contracts.Capabilities.CapabilitiesResponseV2, Octopus.Tentacle.Contracts",
    "SupportedCapabilities": ["IScriptService", "IFileTransferService", "IScriptServiceV2"],
}

_METHODS: dict[str, dict[tuple[str, int], Callable[..., Value]]] = {
    "ICapabilitiesServiceV2": {("GetCapabilities", 0): lambda: _CAPABILITIES},
    "IEchoService": {("Echo", 1): lambda text: text},
}


def answer(request: Document) -> Document:
    """The response to a request; unknown services and methods come back as an error (measured-wire.md k)."""
    service, method, parameters = str(request.get("service")), str(request.get("method")), request.get("params")
    arguments = parameters if isinstance(parameters, list) else []
    methods = _METHODS.get(service)
    if methods is None:
        return error_response(request, f"Service not found: {service}")
    call = methods.get((method, len(arguments)))
    if call is None:
        return error_response(request, f"Method {service}::{method}Async not found")
    return response(request, call(*arguments))
