# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has the Octopus Server check the health of machines, and judges each of them, on the controller."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import endpoint
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.options import CONTROLLER
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus import health
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient, choose_spaces
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.health import HealthCheck, HealthRow, Limits, TaskEnd
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction
from ansible_collections.octofleet.octopus.plugins.plugin_utils._api import API_ARGUMENTS, client_from
from ansible_collections.octofleet.octopus.plugins.plugin_utils._options import options_of
from ansible_collections.octofleet.octopus.plugins.plugin_utils._vantage import sweep_from

DEFAULTS = Limits()
ARGUMENTS: dict[str, Any] = {
    **API_ARGUMENTS,
    "spaces": {"type": "list", "elements": "str"},
    "machines": {"type": "list", "elements": "str"},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "vantage": {"type": "str", "default": CONTROLLER},
    "machine_timeout": {"type": "int", "default": int(DEFAULTS.machine_timeout)},
    "poll_interval": {"type": "float", "default": DEFAULTS.poll},
    "batch_size": {"type": "int", "default": DEFAULTS.batch},
    "attempts": {"type": "int", "default": DEFAULTS.attempts},
    "fail": {"type": "bool", "default": True},
}
MESSAGES_SHOWN = 20


class ActionModule(OctoAction):
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        params = options_of(self, ARGUMENTS)
        client = client_from(params)
        spaces = choose_spaces(client.spaces(), params["spaces"])
        machines = health.choose([one for space in spaces for one in client.machines(space)], params["machines"])
        if self._task.check_mode:
            return _result_of([health.expected_row(one) for one in machines], [], client, fail=False)
        limits = Limits(
            machine_timeout=float(params["machine_timeout"]),
            poll=max(0.1, params["poll_interval"]),
            batch=max(1, params["batch_size"]),
            attempts=max(1, params["attempts"]),
        )
        sweep = sweep_from(self, params["vantage"], task_vars)
        presented = sorted({sight.thumbprint or "" for sight in sweep([endpoint.parse(place) for place in params["nodes"]])}) if machines else []
        check = HealthCheck(client, time.monotonic, time.sleep, limits)
        return {**_result_of(check.check(spaces, machines), check.tasks, client, params["fail"]), "presented": presented}


def _result_of(rows: list[HealthRow], ends: list[TaskEnd], client: OctopusClient, fail: bool) -> dict[str, Any]:
    complaint = health.verdict(rows)
    return {
        "changed": False,
        "machines": [asdict(row) for row in rows],
        "tasks": [_task(end, client if complaint else None) for end in ends],
        "healthy": complaint is None,
        "failed": fail and complaint is not None,
        "msg": complaint or f"{sum(row.healthy is True for row in rows)} machines are healthy.",
    }


def _task(end: TaskEnd, client: OctopusClient | None) -> dict[str, Any]:
    """A task for the result; what its log complains of is fetched when there is something to explain."""
    messages = client.task_messages(end.task.id)[:MESSAGES_SHOWN] if client and end.task.state != "Success" else []
    return {"id": end.task.id, "space": end.space, "state": end.task.state, "machines": end.machines, "overdue": end.overdue, "messages": messages}
