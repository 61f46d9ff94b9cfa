# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The keys on a host, seen from an action on the controller; used by every action that reads a key store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.hand import RemoteKeys
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.journal import VERBS, Journal, RemoteJournal
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.options import FOR_THE_TARGET, completed
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Keys
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls

MODULE = "octofleet.octopus.octo_certificate"
_HARMLESS = ("instances", "entries", *VERBS)


def is_windows(action: ActionBase) -> bool:
    return ".ps1" in action._connection.module_implementation_preferences


def keys_of(action: SecretCalls, params: Mapping[str, Any], task_vars: dict[str, Any]) -> Keys:
    """On the host that ``action`` is connected to, of a Server unless told otherwise; one brain, two hands (architecture.md)."""
    if not is_windows(action):
        return remote_keys_of(action, params, task_vars)
    from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows_keys, _windows_task

    _windows_task.refuse_unsupported(action)
    return _windows_keys.keys_of(_windows_keys.Lent(action, task_vars), completed({"application": "server", **params}, windows=True))


def remote_keys_of(action: SecretCalls, params: Mapping[str, Any], task_vars: dict[str, Any]) -> RemoteKeys:
    """Through the module on a POSIX host. Of ``params`` only what the target needs goes there."""
    meant = completed({"application": "server", **params}, windows=False)
    common = {"state": "backed_up", **{name: meant[name] for name in FOR_THE_TARGET if meant.get(name) is not None}}

    def call(hand: Mapping[str, Any], secret: bool) -> Mapping[str, Any]:
        args = {**common, "hand": dict(hand)}
        found = action.call_with_secret(MODULE, args, task_vars) if secret else action._execute_module(MODULE, args, task_vars=task_vars)
        if found.get("failed"):
            raise _failure(found, hand["verb"], str(task_vars.get("inventory_hostname")))
        return found

    return RemoteKeys(call)


def journal_of(action: SecretCalls, folder: str, task_vars: dict[str, Any]) -> Journal | RemoteJournal:
    """The journal on the host that ``action`` is connected to; without a folder, in that of its key store."""
    store = completed({"application": "server", "store": folder}, is_windows(action))["store"]
    if is_windows(action):
        from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows_keys, _windows_task

        _windows_task.refuse_unsupported(action)
        return Journal(_windows_keys.Vault(_windows_keys.Lent(action, task_vars), store), store)
    host = str(action._task.delegate_to or task_vars.get("inventory_hostname"))

    def call(hand: Mapping[str, Any]) -> Mapping[str, Any]:
        args = {"application": "server", "state": "backed_up", "store": store, "hand": dict(hand)}
        try:
            found: dict[str, Any] = action._execute_module(MODULE, args, task_vars=task_vars)
        except AnsibleConnectionFailure as error:
            # Not *unreachable*: that would end the play for this host, and with it the way back.
            raise OctoError(f"{host} could not be reached for the journal in {store}: {error.message}") from None
        if found.get("failed"):
            raise _failure(found, hand["verb"], host)
        return found

    return RemoteJournal(call)


def _failure(found: Mapping[str, Any], verb: str, host: str) -> OctoError:
    """The module's sentence. What it printed besides is shown for harmless readings only.

    Elsewhere a broken answer may hold a PFX together with its password.
    """
    shown = {"module_stderr": found["module_stderr"]} if verb in _HARMLESS and found.get("module_stderr") else {}
    known = {name: found[name] for name in ("code", "rc") if name in found}
    return OctoError(str(found.get("msg") or f"octo_certificate ended on {host} without a word."), **known, **shown)


def refuse_windows(action: SecretCalls, task_vars: Mapping[str, Any]) -> None:
    if is_windows(action):
        host = task_vars.get("inventory_hostname")
        raise OctoError(
            f"{host} is a Windows host. This version keeps the keys of Tentacles on Linux only, those of an Octopus Server on Windows, too."
        )
