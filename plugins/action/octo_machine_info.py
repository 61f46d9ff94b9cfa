# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads an Octopus Server's records, on the controller."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import choose_spaces
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction
from ansible_collections.octofleet.octopus.plugins.plugin_utils._api import API_ARGUMENTS, client_from
from ansible_collections.octofleet.octopus.plugins.plugin_utils._options import options_of

ARGUMENTS: dict[str, Any] = {**API_ARGUMENTS, "spaces": {"type": "list", "elements": "str"}}


class ActionModule(OctoAction):
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002  # nothing of the host is needed
        params = options_of(self, ARGUMENTS)
        client = client_from(params)
        server, certificate, visible = client.server(), client.certificate(), client.spaces()
        chosen = choose_spaces(visible, params["spaces"])
        return {
            "changed": False,
            "server": {**asdict(server), "certificate": asdict(certificate), "in_maintenance": client.in_maintenance()},
            "nodes": [asdict(node) for node in client.nodes()],
            "spaces": [{**asdict(space), "chosen": space in chosen} for space in visible],
            "policies": [asdict(policy) for space in chosen for policy in client.policies(space)],
            "machines": [{**asdict(machine), "has_tentacle": machine.has_tentacle} for space in chosen for machine in client.machines(space)],
        }
