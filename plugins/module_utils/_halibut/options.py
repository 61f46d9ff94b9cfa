# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The options of octo_probe, and its result: what a playbook writes and reads, apart from Ansible."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set

from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import open_pfx
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import call as _call
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.call import Caller
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint, Proxy, parse
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret

CONTROLLER = "controller"

# Paired with the documentation in plugins/modules/octo_probe.py.
SPEC: Dict[str, Dict[str, Any]] = {
    "endpoints": {"type": "list", "elements": "raw", "required": True},
    "identities": {"type": "list", "elements": "raw", "default": []},
    "control": {"type": "bool", "default": True},
    "in_flight": {"type": "int", "default": 256},
    "connect_timeout": {"type": "float", "default": 5.0},
    "reply_timeout": {"type": "float", "default": 10.0},
    "threads": {"type": "int", "default": 0},
    "vantage": {"type": "str", "default": CONTROLLER},
    # One text, so that core masks the whole of it and nothing that is also in the answer.
    "hand": {"type": "str", "no_log": True},
}

_IDENTITY_KEYS = {"name", "pfx", "pfx_password"}
_ENDPOINT_KEYS = {"name", "address", "port", "proxy"}
_PROXY_KEYS = {"host", "port", "username", "password"}
_PROXY_PORT = 80  # what the Server's own form proposes


def endpoints(items: Sequence[Any]) -> List[Endpoint]:
    """Endpoints from texts and dictionaries; OctoError names the item that cannot be understood."""
    return [_endpoint(item) for item in items]


def callers(items: Sequence[Any], read: Callable[[str], bytes]) -> List[Caller]:
    """Callers from the words *random* and *none* and from dictionaries with a PFX, whose bytes come through ``read``."""
    return [_caller(item, read) for item in items]


def limits(options: Mapping[str, Any]) -> probe.Limits:
    for name in ("in_flight", "connect_timeout", "reply_timeout"):
        if options[name] <= 0:
            raise OctoError(f"octo_probe: {name} is {options[name]:g}; it must be more than 0.")
    return probe.Limits(options["in_flight"], options["connect_timeout"], options["reply_timeout"], max(0, options["threads"]), options["control"])


def result(sights: Sequence[probe.Sight], given: Sequence[Caller]) -> Dict[str, Any]:
    """The result of the task: a row for each endpoint, in the order asked, and the verdicts counted."""
    per_row = max(1, len(given))
    foreign = {caller.name for caller in given if caller.foreign}
    counts: Dict[str, Dict[str, int]] = {}
    for sight in sights:
        of_identity = counts.setdefault(sight.identity, {})
        of_identity[sight.verdict] = of_identity.get(sight.verdict, 0) + 1
    return {
        "changed": False,
        "endpoints": [_row(sights[at : at + per_row], foreign) for at in range(0, len(sights), per_row)],
        "identities": {caller.name: caller.identity.thumbprint if caller.identity else None for caller in given},
        "counts": counts,
    }


def _endpoint(item: Any) -> Endpoint:
    if isinstance(item, str):
        return parse(item)
    if not isinstance(item, Mapping) or not item.get("address") or set(item) - _ENDPOINT_KEYS:
        raise OctoError(
            f"octo_probe: the endpoint {_shown(item)!r} is neither host:port nor a dictionary of address and, if need be, name, port and proxy."
        )
    found = parse(str(item["address"]))
    if item.get("port"):
        found = found._replace(port=_port(item["port"], f"the endpoint {item['address']}"))
    if item.get("proxy"):
        found = found._replace(proxy=_proxy(item["proxy"], found.address))
    return found._replace(name=str(item.get("name") or found.address))


def _proxy(item: Any, where: str) -> Proxy:
    if not isinstance(item, Mapping) or not item.get("host") or set(item) - _PROXY_KEYS:
        raise OctoError(
            f"octo_probe: the proxy {_shown(item)!r} of the endpoint {where} is no dictionary of host and, if need be, port, username and password."
        )
    host, port = str(item["host"]), _port(item.get("port") or _PROXY_PORT, f"the proxy {item['host']}")
    password = Secret(str(item["password"])) if item.get("password") is not None else None
    return Proxy(parse(host).host, port, str(item.get("username") or ""), password)


def _port(given: Any, of: str) -> int:
    try:
        return int(given)
    except (TypeError, ValueError):
        raise OctoError(f"octo_probe: the port {given!r} of {of} is not a number.") from None


def _shown(item: Any) -> Any:
    """Without the values of a dictionary, which may be secret."""
    return sorted(map(str, item)) if isinstance(item, Mapping) else item


def _caller(item: Any, read: Callable[[str], bytes]) -> Caller:
    if item == "random":
        return probe.at_random()
    if item == "none":
        return probe.without_certificate()
    if not isinstance(item, Mapping) or not item.get("pfx") or set(item) - _IDENTITY_KEYS:
        raise OctoError(
            f"octo_probe: the identity {_shown(item)!r} is neither 'random' nor 'none' nor a dictionary of pfx and, if need be, pfx_password and name."
        )
    path = str(item["pfx"])
    password = Secret(str(item["pfx_password"])) if item.get("pfx_password") else None
    return probe.presenting(str(item.get("name") or path), open_pfx(read(path), password, f"the PFX {path}"))


def _row(sights: Sequence[probe.Sight], foreign: Set[str]) -> Dict[str, Any]:
    first, error = sights[0], _remark(sights, foreign)
    presented = [sight for sight in sights if sight.thumbprint]
    return {
        "name": first.endpoint.name,
        "address": first.endpoint.address,
        "presented": presented[-1].thumbprint if presented else None,
        "tls": presented[-1].tls if presented else None,
        "verdicts": {sight.identity: _verdict(sight, error) for sight in sights},
        "elapsed_ms": sum(sight.elapsed_ms for sight in sights),
        "error": error,
    }


def _verdict(sight: probe.Sight, error: Optional[str]) -> Dict[str, Any]:
    shown: Dict[str, Any] = {"verdict": sight.verdict, "elapsed_ms": sight.elapsed_ms}
    if sight.detail and sight.detail != error:  # said once for the row
        shown["detail"] = sight.detail
    return shown


def _remark(sights: Sequence[probe.Sight], foreign: Set[str]) -> Optional[str]:
    """What is wrong with the endpoint as a whole, if anything is."""
    thumbprints = sorted({sight.thumbprint for sight in sights if sight.thumbprint})
    if len(thumbprints) > 1:
        return f"different certificates were presented one after the other, so several servers stand behind this address: {', '.join(thumbprints)}"
    strangers = [sight.identity for sight in sights if sight.identity in foreign and sight.verdict == _call.ACCEPTED]
    if strangers:
        return f"a caller whom nobody can know was accepted ({', '.join(strangers)}): an open door or a proxy, whose verdicts mean nothing"
    return next((sight.detail for sight in sights if sight.verdict not in (_call.ACCEPTED, _call.REFUSED, _call.IDENTITY)), None)
