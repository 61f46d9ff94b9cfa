# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The options of octo_audit, and what they are turned into before anything is read: whatever is wrong with them ends the task at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import accept, compare
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import SOURCES
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity, open_pfx
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.options import CONTROLLER
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient, Patience, base_of
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import Https
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _audit_reports as reports
from ansible_collections.octofleet.octopus.plugins.plugin_utils._api import API_ARGUMENTS
from ansible_collections.octofleet.octopus.plugins.plugin_utils._audit_sources import Bounded, Question, known_places
from ansible_collections.octofleet.octopus.plugins.plugin_utils._options import controller_file

try:
    import jmespath  # type: ignore[import-untyped]
except ImportError:
    jmespath = None

# Paired with the documentation in plugins/modules/octo_audit.py.
ARGUMENTS: dict[str, Any] = {
    **API_ARGUMENTS,
    "server_url": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    "sources": {"type": "list", "elements": "str", "choices": list(SOURCES), "default": list(SOURCES)},
    "spaces": {"type": "list", "elements": "str", "default": []},
    "pfx": {"type": "raw"},
    "pfx_password": {"type": "str", "no_log": True},
    "known_servers": {"type": "dict"},
    "retired_thumbprints": {"type": "list", "elements": "str"},
    "readings": {"type": "str", "default": "octopus_reading"},
    "tentacles": {"type": "list", "elements": "str"},
    "servers": {"type": "list", "elements": "str"},
    "vantage": {"type": "str", "default": CONTROLLER},
    "proxies": {"type": "dict", "default": {}, "no_log": True},
    "reports": {"type": "list", "elements": "str", "choices": ["json", "csv", "junit", "html"], "default": ["json", "csv", "junit", "html"]},
    "report_folder": {"type": "path"},
    "fail_on": {"type": "str", "choices": ["critical", "warning", "never"], "default": "never"},
    "query": {"type": "str"},
    "accept": {"type": "path"},
    "since": {"type": "path"},
    "rotation_takes": {"type": "float", "default": 3600.0},
    "only_check": {"type": "bool", "default": False},
}
_MOST_IDENTITIES = 3  # beside a random certificate and none: five connections to an endpoint are the most (halibut-wire 6)


def question_of(params: Mapping[str, Any], task_vars: Mapping[str, Any]) -> Question:
    tentacles = _hosts(params, "tentacles", "octopus_tentacles", task_vars)
    if not tentacles and not params["server_url"]:
        raise OctoError(
            "There is nothing to audit: the inventory has no host in the group octopus_tentacles, and no server_url was given. Put the hosts of the"
            " Tentacles into that group, or name the Octopus Server whose records are to be audited."
        )
    for name in ("rotation_takes", "timeout", "patience"):
        if params[name] < (0 if name == "patience" else 1):
            raise OctoError(f"{name} is {params[name]:g}, which is no time that anything could take. Give seconds.")
    retired = params["retired_thumbprints"]
    return Question(
        asked=frozenset(params["sources"]),
        tentacles=tentacles,
        servers=_hosts(params, "servers", "octopus_server", task_vars),
        readings=params["readings"],
        server_url=base_of(params["server_url"]) if params["server_url"] else None,
        spaces=[name.strip() for name in params["spaces"]],
        known=known_places(params["known_servers"]),
        retired=None if retired is None else frozenset(_thumbprint.parse(one, "thumbprint in retired_thumbprints") for one in retired),
        proxies=params["proxies"],
        rotation_takes=params["rotation_takes"],
        limit=task_vars.get("ansible_limit"),
    )


def _hosts(params: Mapping[str, Any], option: str, group: str, task_vars: Mapping[str, Any]) -> Sequence[str]:
    if params[option] is None:
        return list(task_vars["groups"].get(group) or ())
    strange = [name for name in params[option] if name not in task_vars["hostvars"]]
    if strange:
        raise OctoError(f"{option} names {', '.join(strange)}, which the inventory does not have.")
    return list(params[option])


def connection_of(params: Mapping[str, Any]) -> tuple[Callable[[float | None], OctopusClient] | None, str]:
    """A maker of clients that together wait no longer than ``patience``, or None and why the database is not read."""
    missing = [option for option in ("server_url", "api_key") if not params[option]]
    if missing:
        return None, f"no {' and no '.join(missing)} was given"
    key, longest = Secret(params["api_key"]), float(params["patience"])
    transport = Https(params["validate_certs"], params["ca_path"], float(params["timeout"]))
    wait = Bounded(longest)

    def connect(patience: float | None) -> OctopusClient:
        return OctopusClient(params["server_url"], key, transport, time.monotonic, wait, Patience(longest if patience is None else patience))

    connect(None)  # an address that is none is refused now
    return connect, ""


def identities_of(action: ActionBase, params: Mapping[str, Any]) -> list[Identity]:
    """The Server's certificates with their keys, from PFX files on the controller."""
    given = params["pfx"] or []
    entries = [{"pfx": given, "pfx_password": params["pfx_password"]}] if isinstance(given, str) else given
    if not isinstance(entries, list) or not all(
        isinstance(one, Mapping) and one.get("pfx") and set(one) <= {"pfx", "pfx_password"} for one in entries
    ):
        raise OctoError("pfx is neither a path nor a list of dictionaries of pfx and pfx_password.")
    if len(entries) > _MOST_IDENTITIES:
        raise OctoError(f"pfx names {len(entries)} files; each is a connection to every Tentacle, and {_MOST_IDENTITIES} are the most.")
    found: dict[str, Identity] = {}
    for one in entries:
        path, data = near(action, str(one["pfx"]), "The PFX")
        if data.startswith(b"$ANSIBLE_VAULT"):
            raise OctoError(
                f"The PFX {path} is encrypted with Ansible Vault. Leave it as it is, encrypted by its own password; that goes into the vault."
            )
        password = one.get("pfx_password") or params["pfx_password"]
        identity = open_pfx(data, Secret(str(password)) if password else None, f"the PFX {path}")
        found[identity.thumbprint] = identity
    return list(found.values())


def acceptances_of(action: ActionBase, path: str | None) -> tuple[accept.Acceptance, ...]:
    if not path:
        return ()
    found, _data = near(action, path, "The file of acceptances")
    loader: Any = action._loader
    try:
        content = loader.load_from_file(found, cache="none")
    except AnsibleError as error:
        raise OctoError(f"The acceptances {found} are no YAML: {error}") from None
    return accept.parse(content, found, CODES)


def earlier_of(action: ActionBase, path: str | None, folder: str | None) -> dict[str, Any] | None:
    """None on the first night, too: when it is the report that this audit writes into ``folder``, and it is not there yet."""
    own = Path(folder).expanduser().absolute() / reports.NAMES["json"] if folder else None
    if not path or (Path(path).expanduser().absolute() == own and not own.exists()):
        return None
    found, data = near(action, path, "The earlier report")
    return compare.read(data, found)


def searching(expression: str | None) -> Callable[[Any], Any]:
    """A JMESPath expression as a function; refused now if it cannot be understood."""
    if not expression:
        return _nothing
    if jmespath is None:
        raise OctoError("query needs the Python package jmespath on the controller, which is not there. Install it, or leave query out.")
    try:
        compiled = jmespath.compile(expression)
    except ValueError as error:
        raise OctoError(f"query is no JMESPath expression: {' '.join(str(error).split())}") from None

    def search(document: Any) -> Any:
        try:
            return compiled.search(document)
        except ValueError as error:
            raise OctoError(f"query cannot be answered from this audit: {' '.join(str(error).split())}") from None

    return search


def _nothing(document: Any) -> None:  # noqa: ARG001  # a search that was not asked for
    return None


def near(action: ActionBase, path: str, what: str) -> tuple[str, bytes]:
    """A file on the controller: where the command was given, or beside the playbook or role, as core finds the source of a copy."""
    here = Path(path).expanduser().absolute()
    return controller_file(action, str(here) if here.is_file() else path, what)
