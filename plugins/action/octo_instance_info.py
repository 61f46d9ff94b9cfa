# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads on the target where that is POSIX, and from here where it is Windows."""

from __future__ import annotations

from typing import Any

from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction


class ActionModule(OctoAction):
    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        return self.on_host(task_vars)
