# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drains the nodes of an Octopus Server or makes them active, on the controller; a journal lies on the host that the task is called for."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._octopus import drain
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction
from ansible_collections.octofleet.octopus.plugins.plugin_utils._api import API_ARGUMENTS, client_from
from ansible_collections.octofleet.octopus.plugins.plugin_utils._keys import journal_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._options import options_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls

ARGUMENTS: dict[str, Any] = {
    **API_ARGUMENTS,
    "name": {"type": "str"},
    "state": {"type": "str", "required": True, "choices": [drain.DRAINED, drain.ACTIVE]},
    "wait": {"type": "int", "default": 600},
    "journal": {"type": "path"},
}


class ActionModule(SecretCalls, OctoAction):
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        params = options_of(self, ARGUMENTS)
        client = client_from(params)
        nodes = drain.choose(client.nodes(), params["name"])
        journal = journal_of(self, params["journal"], task_vars) if params["journal"] is not None else None
        draining = drain.Drain(client, time.monotonic, time.sleep, journal)
        if self._task.check_mode:
            found = draining.expected(nodes, params["state"])
        elif params["state"] == drain.DRAINED:
            found = draining.drained(nodes, float(params["wait"]))
        else:
            found = draining.active(nodes)
        return {
            "changed": found.changed,
            "nodes": [asdict(row) for row in found.rows],
            "waited": round(found.waited, 1),
            "judge_again": found.judge_again,
            "diff": {
                "before": {row.name: _shown(row.was_draining) for row in found.rows},
                "after": {row.name: _shown(row.is_draining) for row in found.rows},
            },
        }


def _shown(is_draining: bool) -> str:
    return drain.DRAINED if is_draining else drain.ACTIVE
