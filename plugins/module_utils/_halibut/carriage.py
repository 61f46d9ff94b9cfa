# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""A sweep that is made on another host: the question as one text, private keys and passwords in it, and the answer as another.

One text each way, since core looks for secrets in every value that a module is given, and for each of them in all that it
answers. The question is for standard input only.
"""

from __future__ import annotations

import base64
import json
from typing import Any, List, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe, standard
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import tls as _tls
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Caller
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint, Proxy
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.engine import Engine
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import PemIdentity, Presentable, key_text
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret


def question(endpoints: Sequence[Endpoint], callers: Sequence[Caller], limits: probe.Limits) -> str:
    document = {
        "endpoints": [[*endpoint[:3], _proxy_out(endpoint.proxy)] for endpoint in endpoints],
        "callers": [[caller.name, _identity_out(caller.identity), caller.asks, caller.foreign] for caller in callers],
        "limits": list(limits),
    }
    return json.dumps(document)


def is_secret(endpoints: Sequence[Endpoint], callers: Sequence[Caller]) -> bool:
    """Whether the question holds anything that nobody may see."""
    return any(caller.identity for caller in callers) or any(endpoint.proxy and endpoint.proxy.password for endpoint in endpoints)


def answer(text: str) -> str:
    """Make the sweep that ``text`` asks for, from here."""
    document = json.loads(text)
    endpoints = [Endpoint(name, host, port, _proxy_in(proxy)) for name, host, port, proxy in document["endpoints"]]
    callers = [Caller(name, _identity_in(identity), asks, foreign) for name, identity, asks, foreign in document["callers"]]
    sights = probe.sweep(endpoints, callers, probe.Limits(*document["limits"]), engine=_engine(callers))
    return json.dumps([[sight.verdict, sight.thumbprint, sight.tls, sight.elapsed_ms, sight.detail] for sight in sights])


def sights(text: str, endpoints: Sequence[Endpoint], callers: Sequence[Caller]) -> List[probe.Sight]:
    """The answer to the question about ``endpoints`` and ``callers``."""
    pairs = [(endpoint, caller) for endpoint in endpoints for caller in callers]
    return [probe.Sight._make([endpoint, caller.name, *seen, b""]) for (endpoint, caller), seen in zip(pairs, json.loads(text))]


def _engine(callers: Sequence[Caller]) -> Optional[Engine]:
    """The standard library wherever it will do; what else is installed on somebody's host is not asked for."""
    if standard.takes_keys() or not any(caller.identity for caller in callers):
        return standard
    return _tls if _tls.is_there() else standard  # which says what is missing


def _proxy_out(proxy: Optional[Proxy]) -> Any:
    return [*proxy[:3], proxy.password.reveal() if proxy.password is not None else None] if proxy else None


def _proxy_in(row: Any) -> Optional[Proxy]:
    return Proxy._make([*row[:3], None if row[3] is None else Secret(row[3])]) if row else None


def _identity_out(identity: Optional[Presentable]) -> Any:
    return [base64.b64encode(identity.certificate).decode("ascii"), key_text(identity)] if identity else None


def _identity_in(row: Any) -> Optional[PemIdentity]:
    return PemIdentity(base64.b64decode(row[0]), row[1]) if row else None
