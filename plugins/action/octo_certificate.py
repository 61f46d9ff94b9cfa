# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the keys of an Octopus Server or a Tentacle: the user's passwords stay here, on the controller (decisions 20, 21)."""

from __future__ import annotations

import contextlib
import ntpath
import posixpath
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate, _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import holder as holders
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.holder import Holder
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.keeper import Keeper, Outcome, Staging, described
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.options import ARGUMENTS, REQUIRED_IF, completed
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import permit as permits
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction, this_run
from ansible_collections.octofleet.octopus.plugins.plugin_utils._keys import is_windows, keys_of, refuse_windows, remote_keys_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._options import controller_file, options_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls

ALL = "*"
NEEDED: Mapping[tuple[str, str], Sequence[str]] = {
    ("server", "backed_up"): ("thumbprint",),
    ("server", "staged"): ("replaces",),
    ("server", "active"): ("thumbprint", "replaces"),
    ("tentacle", "backed_up"): (),
    ("tentacle", "staged"): ("replaces",),
    ("tentacle", "active"): ("thumbprint", "replaces"),
}

_OF_A_ROW = ("instance", "configuration", "ok", "code", "reason", "sentence")


class Asked(NamedTuple):
    """A task's options, with its thumbprints in canonical spelling."""

    params: Mapping[str, Any]
    old: str
    new: str | None
    windows: bool = False

    @property
    def state(self) -> str:
        return str(self.params["state"])


class ActionModule(SecretCalls, OctoAction):
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        asked = _asked(options_of(self, ARGUMENTS, required_if=REQUIRED_IF), is_windows(self))
        _refuse(asked.params, self._task.check_mode)
        if asked.params["application"] == "tentacle":
            refuse_windows(self, task_vars)
        if asked.old and asked.new == asked.old:
            raise OctoError(
                f"octo_certificate was asked to replace {asked.old} by itself. `replaces` names the old certificate, `thumbprint` the new one."
            )
        if asked.state == "active" and not self._task.check_mode:
            self._demand_permit(asked.params, asked.old, asked.new or "", task_vars)
        with self._alone(asked.params, task_vars):
            rows = [self._row(asked, found, task_vars) for found in self._instances(asked, task_vars)]
        return _result_of(asked, rows)

    def _alone(self, params: Mapping[str, Any], task_vars: Mapping[str, Any]) -> AbstractContextManager[Any]:
        """One task at a time, from the reading of the store to the end (decisions 29).

        A killed run leaves workers that go on making and importing; the next one, started at once, must find what they make, not make it again.
        """
        if self._task.check_mode:
            return contextlib.nullcontext()
        return PosixHost().exclusively(f"/{task_vars['inventory_hostname']}:{params['store']}", float(params["timeout"]))

    def _instances(self, asked: Asked, task_vars: dict[str, Any]) -> list[Mapping[str, Any]]:
        """Whose certificates are meant. Those of Tentacles are looked up: they tell what they have, and "*" may mean several."""
        name = asked.params["instance"]
        if asked.params["application"] == "server":
            return [{"instance": name, "code": ""}]
        found = remote_keys_of(self, asked.params, task_vars).instances()
        if name != ALL or asked.state == "backed_up":
            return found
        return [_the_one(found, self._meant(asked, found, task_vars), str(task_vars["inventory_hostname"]))]

    def _meant(self, asked: Asked, found: Sequence[Mapping[str, Any]], task_vars: dict[str, Any]) -> set[str | None]:
        """What the one instance has that "*" means: the old certificate or, on a second run, the one that has taken its place."""
        meant = {asked.old, asked.new} - {None}
        readable = [row["instance"] for row in found if not row["code"]]
        if asked.state == "staged" and readable:
            entries = keys_of(self, {**asked.params, "instance": readable[0]}, task_vars).entries()
            meant |= {entry.thumbprint for entry in entries if entry.is_staged_for(asked.old)}
        return meant

    def _row(self, asked: Asked, found: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The one border at which what is wrong with one instance becomes a row, so that the others are still looked after."""
        named = {name: found[name] for name in ("instance", "configuration") if name in found}
        try:
            if found["code"]:
                raise OctoError(found["reason"], code=found["code"])
            return {**named, "ok": True, "code": "", "reason": "", **_done(asked, self._outcome(asked, found, task_vars))}
        except OctoError as error:
            return {**named, **_not_done(asked, error)}

    def _outcome(self, asked: Asked, found: Mapping[str, Any], task_vars: dict[str, Any]) -> Outcome:
        params = asked.params
        holder = _holder(params["application"], found)
        keys = keys_of(self, {**params, "instance": found["instance"]}, task_vars)
        keeper = Keeper(keys, holder, Secret(params["backup_password"]), PosixHost(), params["backup_dir"], self._task.check_mode)
        if asked.state == "backed_up":
            return keeper.backed_up(asked.new or holder.present or "")
        if asked.state == "active":
            return keeper.active(asked.new or "", asked.old)
        nobody = [_thumbprint.parse(text, "thumbprint in trusted_by_nobody") for text in params["trusted_by_nobody"]]
        return keeper.staged(Staging(asked.old, asked.new, params["source"], lambda: self._offered(params), nobody))

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


def _asked(options: Mapping[str, Any], windows: bool) -> Asked:
    params = completed(options, windows)
    old, new = (_thumbprint.parse(params[name], name) if params[name] else None for name in ("replaces", "thumbprint"))
    return Asked(params, old or "", new, windows)


def _refuse(params: Mapping[str, Any], check: bool) -> None:
    application, state = params["application"], params["state"]
    if params["hand"] is not None:
        raise OctoError("`hand` is what this action says to its own module; a task does not set it.")
    if application == "tentacle":
        _refuse_what_tentacles_have_not(params)
    elif params["instance"] == ALL:
        raise OctoError('octo_certificate was asked for all instances ("*") of an Octopus Server, which has one certificate. Name its instance.')
    if state == "active" and params["permit"] is None and not (params["unguarded"] or check):
        raise OctoError(_unpermitted(application, params["thumbprint"] or "a certificate"))
    missing = [name for name in (*NEEDED[application, state], "backup_password") if not params[name]]
    if missing:
        raise OctoError(f"octo_certificate with state={state} needs {' and '.join(missing)}.")


def _refuse_what_tentacles_have_not(params: Mapping[str, Any]) -> None:
    if params["permit"] is not None:
        raise OctoError("octo_certificate was given a permit for a Tentacle's certificate, which no gate of this version issues. Leave `permit` out.")
    if params["copy_in"] or params["copy_out"]:
        raise OctoError("`copy_in` and `copy_out` are for an Octopus Server in a container; the keys of a Tentacle are kept on its own host only.")
    if params["state"] == "backed_up" and params["instance"] == ALL and params["thumbprint"]:
        raise OctoError(
            'octo_certificate was asked to back up all instances ("*") and one `thumbprint`. Leave it out, or name the instance that has it.'
        )


def _unpermitted(application: str, what: str) -> str:
    if application == "tentacle":
        return (
            f"octo_certificate was asked to activate {what} on a Tentacle. From its next restart on, the Tentacle is refused by the Server until its"
            " record there has the new thumbprint, and no gate of this version judges that. Knowing it, say `unguarded: true`."
        )
    return (
        f"octo_certificate was asked to activate {what} without a permit. In a rotation this means that the gate before it did not run or did not"
        " allow it: run the whole playbook. By hand, and knowing that every Tentacle trusts it already, say `unguarded: true`."
    )


def _the_one(found: Sequence[Mapping[str, Any]], meant: set[str | None], host: str) -> Mapping[str, Any]:
    """The instance with one of these thumbprints; two names of one configuration are one."""
    having = [row for row in found if row["thumbprint"] in meant]
    if len({row["configuration"] for row in having}) == 1:
        return having[0]
    if having:
        names = " and ".join(f"{row['instance']} ({row['thumbprint']})" for row in having)
        raise OctoError(f"Several Tentacle instances of {host} can be meant: {names}. They are clones. Name one of them in `instance`.")
    names = "; ".join(f"{row['instance']} has {row['thumbprint']}" if row["thumbprint"] else f"{row['instance']}: {row['reason']}" for row in found)
    raise OctoError(
        f"No Tentacle instance of {host} has the certificate to be replaced ({names or 'there is none'}). Name in `replaces` what one has."
    )


def _holder(application: str, found: Mapping[str, Any]) -> Holder:
    if application == "server":
        return holders.SERVER
    return holders.tentacle(found["instance"], found["configuration"], found["thumbprint"])


def _done(asked: Asked, outcome: Outcome) -> dict[str, Any]:
    paths = ntpath if asked.windows else posixpath
    path = paths.join(asked.params["store"], f"{outcome.identity.thumbprint}.pfx") if outcome.identity else ""
    return {
        "changed": outcome.changed,
        "sentence": outcome.sentence,
        "certificate": described(outcome, path),
        "before": {asked.state: outcome.before},
        "after": {asked.state: outcome.after},
    }


def _not_done(asked: Asked, error: OctoError) -> dict[str, Any]:
    nothing = {"changed": False, "sentence": "", "certificate": None, "before": {asked.state: None}, "after": {asked.state: None}}
    return {**nothing, "code": "FAILED", **error.evidence, "ok": False, "reason": error.message}


def _result_of(asked: Asked, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Most tasks have one row; what stands in it stands beside it, too."""
    only = {name: value for row in rows for name, value in row.items() if name not in _OF_A_ROW} if len(rows) == 1 else {}
    result = {**only, "changed": any(row["changed"] for row in rows), "instances": rows, "diff": [_diff(asked.state, row) for row in rows]}
    return {**result, "failed": not all(row["ok"] for row in rows), "msg": _said(asked, rows)}


def _said(asked: Asked, rows: Sequence[Mapping[str, Any]]) -> str:
    if len(rows) == 1:
        return str(rows[0]["reason"] or rows[0]["sentence"])
    bad = [f"{row['instance']}: {row['reason']}" for row in rows if not row["ok"]]
    if bad:
        return f"Of {len(rows)} instances {len(bad)} could not be brought to {asked.state}. {' '.join(bad)}"
    return " ".join(f"{row['instance']}: {row['sentence']}" for row in rows) or "There is no Tentacle instance on this host."


def _diff(state: str, row: Mapping[str, Any]) -> dict[str, str]:
    unknown = "a new certificate" if row["changed"] else None
    return {
        "before_header": row["instance"],
        "after_header": row["instance"],
        "before": f"{state}: {row['before'][state] or 'none'}\n",
        "after": f"{state}: {row['after'][state] or unknown or 'none'}\n",
    }
