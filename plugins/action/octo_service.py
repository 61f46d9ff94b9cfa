# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the permit of a rotation on the controller; the brain itself needs none, since a restart changes no trust."""

from __future__ import annotations

from typing import Any

from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction


class ActionModule(OctoAction):
    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        args = dict(self._task.args)
        permit = args.pop("permit", None)
        if permit:
            self.permitted(task_vars, permit, "restart_node" if args.get("application") == "server" else "expand")
        return self.on_host(task_vars, args)
