# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what ansible-playbook does as JSON lines, one an event, for the end-to-end tests."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: aggregate
short_description: Records events as JSON lines
description: For the end-to-end tests; writes to the file that OCTO_RECORD names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, **event: Any) -> None:
        with open(os.environ["OCTO_RECORD"], "a", encoding="utf-8") as file:
            file.write(json.dumps(event, default=str) + "\n")

    def _result(self, kind: str, result: Any) -> None:
        task = result._task
        self._write(
            event=kind, host=result._host.get_name(), task=task.get_name(), action=task.action, run_once=bool(task.run_once), result=result._result
        )

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._write(event="play", play=play.get_name())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._write(event="task", task=task.get_name(), action=task.action)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._write(event="start", host=host.get_name(), task=task.get_name(), action=task.action)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._result("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._result("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._result("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._result("skipped", result)
