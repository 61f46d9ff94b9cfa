# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the permit on the controller and hands the module this host's edges (decisions 2)."""

from __future__ import annotations

from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction

STEP_OF = {"present": "expand", "absent": "contract"}


class ActionModule(OctoAction):
    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        args = dict(self._task.args)
        permit = args.pop("permit", None)
        state = str(args.get("state", "present"))
        if permit:
            step = STEP_OF.get(state)
            if step is None:
                raise OctoError(
                    f"octo_trust was given a permit with state={state}, which no rotation uses. Leave out `permit`, or use present or absent."
                )
            named = self.permitted(task_vars, permit, step)
            args["thumbprints"] = permit["thumbprints"]
            args["permit"] = {"step": step, "edges": named, "old": permit["old"], "new": permit["new"]}
            if step == STEP_OF["present"]:
                args["twin_of"] = permit["old"]
        elif not args.get("thumbprints"):
            raise OctoError(
                f"octo_trust was asked for state={state} on {task_vars['inventory_hostname']} with neither a permit nor thumbprints. In a rotation this"
                " means that the gate before it did not run (--tags, --skip-tags, --start-at-task): run the whole playbook. By hand, give `thumbprints`."
            )
        return self.on_host(task_vars, args)
