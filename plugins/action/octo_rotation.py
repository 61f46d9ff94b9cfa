# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judges the fleet on the controller; delegated to the first Server node, whose store it reads."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.utils.display import Display
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.options import CONTROLLER
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import report, words
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation.pace import away_of, stop_time
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction, forks_of, this_run
from ansible_collections.octofleet.octopus.plugins.plugin_utils._api import API_ARGUMENTS, client_from
from ansible_collections.octofleet.octopus.plugins.plugin_utils._gates import Frame, Gate, Gates
from ansible_collections.octofleet.octopus.plugins.plugin_utils._inventory import Inventory
from ansible_collections.octofleet.octopus.plugins.plugin_utils._keys import keys_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._options import options_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls
from ansible_collections.octofleet.octopus.plugins.plugin_utils._shadow import shadow_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._survey import Asked, Survey
from ansible_collections.octofleet.octopus.plugins.plugin_utils._vantage import sweep_from

ARGUMENTS: dict[str, Any] = {
    **API_ARGUMENTS,
    "step": {"type": "str", "required": True, "choices": ["open", "expand", "switch", "restart_node", "nudge", "verify", "contract", "close"]},
    "direction": {"type": "str", "default": "forward", "choices": ["forward", "back"]},
    "retire": {"type": "str"},
    "adopt": {"type": "str"},
    "commit": {"type": "bool", "default": False},
    "spaces": {"type": "list", "elements": "str"},
    "store": {"type": "path"},
    "backup_password": {"type": "str", "no_log": True},
    "instance": {"type": "str", "default": "OctopusServer"},
    "executable": {"type": "list", "elements": "str"},
    "copy_in": {"type": "list", "elements": "str"},
    "copy_out": {"type": "list", "elements": "str"},
    "known_servers": {"type": "dict"},
    "leave_behind": {"type": "dict", "default": {}},
    "away_at_most": {"type": "raw", "default": 20},
    "stop_at": {"type": "str"},
    "pause": {"type": "float", "default": 0.0},
    "busy": {"type": "str", "default": "wait", "choices": ["wait", "skip", "refuse"]},
    "busy_wait": {"type": "int", "default": 1800},
    "waves": {"type": "list", "elements": "raw", "default": [1, "5%", "25%", "100%"]},
    "polling": {"type": "str", "default": "overlap", "choices": ["overlap", "replace", "refuse"]},
    "polling_waves": {"type": "list", "elements": "raw", "default": [2, "100%"]},
    "polling_gap": {"type": "float", "default": 120.0},
    "polling_nudge": {"type": "bool", "default": False},
    "probe_from": {"type": "str", "default": CONTROLLER},
    "proxies": {"type": "dict", "default": {}, "no_log": True},
    "shadow": {"type": "dict", "options": {"listen": {"type": "str"}, "address": {"type": "str"}}},
    "report": {"type": "path"},
}
display = Display()


class ActionModule(SecretCalls, OctoAction):
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        params = options_of(self, ARGUMENTS)
        commit = params["commit"] and not self._task.check_mode
        try:
            gate = self._judged(params, commit, task_vars)
        except OctoError as error:
            self._leave_word(params, error, task_vars)
            raise
        for line in gate.lines:
            display.display(line)
        if params["step"] == "close":
            self._keep(params["report"], gate.aims["report"])
        return gate.result()

    def _judged(self, params: Mapping[str, Any], commit: bool, task_vars: dict[str, Any]) -> Gate:
        inventory = _inventory(task_vars)
        _refuse(params, commit, inventory, task_vars)
        survey = Survey(
            client_from(params),
            inventory,
            _asked(params, task_vars),
            keys_of(self, params, task_vars),
            Secret(params["backup_password"]) if params["backup_password"] else None,
            reads_database=commit,
            sweep=sweep_from(self, params["probe_from"], task_vars),
            shadow=shadow_of(params["shadow"] or {}, this_run().pid),
        )
        return Gates(survey, _frame(params, commit, inventory, task_vars)).judge(params["step"])

    def _leave_word(self, params: Mapping[str, Any], error: OctoError, task_vars: Mapping[str, Any]) -> None:
        """A gate that cannot judge ends the run before its last play, so it leaves the report itself, with the two commands if it knows them."""
        opened = _opened(task_vars)
        old, new = params["retire"] or opened.get("retire"), opened.get("adopt")
        ways = words.way_lines(old, new, params["direction"] == "back") if params["commit"] and old else []
        for line in ways:
            display.display(line)
        self._keep(params["report"], report.make_word(params["step"], old, new, [error.message, *ways]))

    def _keep(self, path: str | None, report: Mapping[str, Any]) -> None:
        if not path:
            return
        place = Path(path).expanduser().absolute()
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.{os.getpid()}")
        part.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(place)
        display.display(f"Report: {place}")


def _inventory(task_vars: Mapping[str, Any]) -> Inventory:
    groups = task_vars["groups"]
    for group in ("octopus_server", "octopus_tentacles"):
        if not groups.get(group):
            raise OctoError(
                f"The inventory has no host in the group {group}. Put the nodes of the Octopus Server into octopus_server and the hosts of the Tentacles"
                " into octopus_tentacles."
            )
    return Inventory(task_vars["hostvars"], list(groups["octopus_tentacles"]), list(groups["octopus_server"]))


def _refuse(params: Mapping[str, Any], commit: bool, inventory: Inventory, task_vars: Mapping[str, Any]) -> None:
    """What is wrong with the question itself; nothing was read yet."""
    if task_vars.get("ansible_limit"):
        # Under --limit a later play may find no host to report on, so this is no verdict but a failure (decisions 2).
        raise OctoError(
            f"The rotation was started with --limit {task_vars['ansible_limit']}. It judges the whole fleet, and a part of the inventory would leave"
            " Tentacles out silently. Nothing was changed by this step. Run it without --limit."
        )
    tags = [tag for tag in task_vars.get("ansible_run_tags") or () if tag != "all"]
    if tags:
        raise OctoError(
            f"The rotation was started with --tags {','.join(tags)}. No tag selects a part of it: each step leans on the gates before it. Nothing was changed."
            " Run the whole playbook."
        )
    wanted = [name for name in ("retire", "spaces", "backup_password") if commit and not params[name]]
    if wanted:
        named = " and ".join(f"octopus_{name}" for name in wanted)
        raise OctoError(f"octopus_commit=true needs {named}. Run the playbook without octopus_commit: the plan prints the whole command.")
    if params["step"] not in ("open", "close") and not inventory.of(inventory.servers[0], "octopus_gate"):
        raise OctoError(
            f"The gate `{params['step']}` was reached without the gate that opens the rotation (--tags, --skip-tags or --start-at-task). Nothing was changed"
            " by this step. Run the whole playbook."
        )


def _opened(task_vars: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the latest gate of this run found, if there was one."""
    servers = task_vars["groups"].get("octopus_server")
    found = task_vars["hostvars"][servers[0]].get("octopus_gate") if servers else None
    return found if isinstance(found, Mapping) else {}


def _asked(params: Mapping[str, Any], task_vars: Mapping[str, Any]) -> Asked:
    return Asked(
        retire=params["retire"],
        adopt=params["adopt"],
        back=params["direction"] == "back",
        spaces=params["spaces"],
        left_behind=params["leave_behind"],
        known_servers=params["known_servers"],
        away=away_of(params["away_at_most"]),
        limit=task_vars.get("ansible_limit"),
        polling=params["polling"],
        proxies=params["proxies"],
    )


def _frame(params: Mapping[str, Any], commit: bool, inventory: Inventory, task_vars: Mapping[str, Any]) -> Frame:
    opened = inventory.of(inventory.servers[0], "octopus_gate") or {}
    started = float(opened.get("started") or time.time())
    return Frame(
        inventory=inventory,
        batch=list(task_vars.get("ansible_play_batch") or []),
        commit=commit,
        back=params["direction"] == "back",
        waves=params["waves"],
        polling_waves=params["polling_waves"],
        polling_gap=params["polling_gap"],
        nudge=params["polling_nudge"],
        forks=forks_of(task_vars),
        stop_at=stop_time(params["stop_at"], datetime.fromtimestamp(started).astimezone()),
        pause=params["pause"],
        busy=params["busy"],
        busy_wait=float(params["busy_wait"]),
        server_url=params["server_url"],
        server_instance=params["instance"],
        run=this_run(),
        started=started,
    )
