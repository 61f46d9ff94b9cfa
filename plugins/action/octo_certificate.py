# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the keys of an Octopus Server: the user's passwords stay here, on the controller (decisions 20, 21)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate, _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import permit as permits
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._server.keeper import Keeper, Outcome, Staging, described
from ansible_collections.octofleet.octopus.plugins.module_utils._server.options import ARGUMENTS, REQUIRED_IF
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction, this_run
from ansible_collections.octofleet.octopus.plugins.plugin_utils._keys import keys_of, refuse_windows
from ansible_collections.octofleet.octopus.plugins.plugin_utils._options import controller_file, options_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls

NEEDED = {"backed_up": ("thumbprint",), "staged": ("replaces",), "active": ("thumbprint", "replaces")}


class ActionModule(SecretCalls, OctoAction):
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        params = options_of(self, ARGUMENTS, required_if=REQUIRED_IF)
        _refuse(params, self._task.check_mode)
        refuse_windows(self, task_vars)
        old, new = _canonical(params, "replaces"), _canonical(params, "thumbprint")
        if new is not None and new == old:
            raise OctoError(f"octo_certificate was asked to replace {old} by itself. `replaces` names the old certificate, `thumbprint` the new one.")
        if params["state"] == "active" and not self._task.check_mode:
            self._demand_permit(params, old or "", new or "", task_vars)
        keeper = Keeper(keys_of(self, params, task_vars), Secret(params["backup_password"]), PosixHost(), params["backup_dir"], self._task.check_mode)
        with self._alone(params, task_vars):
            outcome = self._outcome(keeper, params, old or "", new)
        return _result_of(params, outcome)

    def _alone(self, params: Mapping[str, Any], task_vars: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """One task at a time, from the reading of the store to the end (decisions 29).

        A killed run leaves workers that go on making and importing; the next one, started at once, must find what they make, not make it again.
        """
        if self._task.check_mode:
            return contextlib.nullcontext()
        return PosixHost().exclusively(f"/{task_vars['inventory_hostname']}:{params['store']}", float(params["timeout"]))

    def _outcome(self, keeper: Keeper, params: Mapping[str, Any], old: str, new: str | None) -> Outcome:
        if params["state"] == "backed_up":
            return keeper.backed_up(new or "")
        if params["state"] == "active":
            return keeper.active(new or "", old)
        nobody = [_thumbprint.parse(text, "thumbprint in trusted_by_nobody") for text in params["trusted_by_nobody"]]
        return keeper.staged(Staging(old, new, params["source"], lambda: self._offered(params), nobody))

    def _offered(self, params: Mapping[str, Any]) -> Identity:
        """The user's PFX, a file on the controller."""
        path, data = controller_file(self, params["pfx"], "The PFX")
        password = Secret(params["pfx_password"]) if params["pfx_password"] else None
        return _certificate.open_pfx(data, password, f"the PFX {path}")

    def _demand_permit(self, params: Mapping[str, Any], old: str, new: str, task_vars: Mapping[str, Any]) -> None:
        """Decision 2; ``unguarded`` is the word that a reviewer sees. The import restarts nothing, so concurrency is not judged."""
        if params["permit"] is None:
            return
        permits.check(
            params["permit"],
            step="switch",
            host=str(task_vars["inventory_hostname"]),
            run=this_run(),
            now=time.monotonic(),
            instances=[f"server:{params['instance']}"],
            old=old,
            new=new,
        )


def _refuse(params: Mapping[str, Any], check: bool) -> None:
    state = params["state"]
    if params["hand"] is not None:
        raise OctoError("`hand` is what this action says to its own module; a task does not set it.")
    if params["application"] == "tentacle":
        raise OctoError(
            "octo_certificate does not keep a Tentacle's own certificate yet: this version backs up, stages and activates the Octopus Server's"
            " (application: server). The trust of Tentacles is kept by octofleet.octopus.octo_trust."
        )
    if state == "active" and params["permit"] is None and not (params["unguarded"] or check):
        raise OctoError(
            f"octo_certificate was asked to activate {params['thumbprint'] or 'a certificate'} without a permit. In a rotation this means that the"
            " gate before it did not run or did not allow it: run the whole playbook. By hand, and knowing that every Tentacle trusts it already,"
            " say `unguarded: true`."
        )
    missing = [name for name in (*NEEDED[state], "backup_password") if not params[name]]
    if missing:
        raise OctoError(f"octo_certificate with state={state} needs {' and '.join(missing)}.")


def _canonical(params: Mapping[str, Any], option: str) -> str | None:
    return _thumbprint.parse(params[option], option) if params[option] else None


def _result_of(params: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    state = params["state"]
    unknown = "a new certificate" if outcome.changed else None
    path = f"{params['store']}/{outcome.identity.thumbprint}.pfx" if outcome.identity else ""
    return {
        "changed": outcome.changed,
        "msg": outcome.sentence,
        "certificate": described(outcome, path),
        "before": {state: outcome.before},
        "after": {state: outcome.after},
        "diff": {"before": _line(state, outcome.before), "after": _line(state, outcome.after or unknown)},
    }


def _line(state: str, thumbprint: str | None) -> str:
    return f"{state}: {thumbprint or 'none'}\n"
