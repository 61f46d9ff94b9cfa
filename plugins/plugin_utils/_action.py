# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What the collection's actions share: one border that turns an OctoError into a result, and the permit of a gate."""

from __future__ import annotations

import gc
import os
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from ansible import constants as C
from ansible.plugins.action import ActionBase
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._rotation import permit as permits


def this_run() -> permits.RunIdentity:
    """The ansible-playbook process that forked this worker: its id, and the folder that core makes anew for each run.

    A permit of another run is foreign however young it is (decisions 2); the folder's random name tells two runs apart
    whose process ids happen to be equal.
    """
    return permits.RunIdentity(pid=os.getppid(), started=os.path.basename(C.DEFAULT_LOCAL_TMP))  # type: ignore[attr-defined]


def forks_of(task_vars: Mapping[str, Any]) -> int:
    return int(task_vars.get("ansible_forks") or C.DEFAULT_FORKS)  # type: ignore[attr-defined]


class OctoAction(ActionBase):
    """An action whose body is :meth:`act`; an :class:`OctoError` from it becomes ``failed`` with the sentence and its evidence."""

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        # The heap of a controller with 5,000 hosts takes half a second to go through, and this process was forked for one task.
        gc.freeze()
        result: dict[str, Any] = super().run(tmp, task_vars)
        result["begun_at"] = time.monotonic()
        try:
            result.update(self.act(task_vars or {}))
            # For the gates: how old a reading is, by the controller's own clock (decisions 8).
            result["observed_at"] = time.monotonic()
        except OctoError as error:
            result.update(error.evidence)
            result.update(failed=True, msg=error.message)
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)  # type: ignore[no-untyped-call]
        return result

    @abstractmethod
    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The task's result; raises OctoError with one sentence."""

    def module(self, task_vars: dict[str, Any], name: str | None = None, args: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run the same-named module on the target with ``args`` (those of the task by default)."""
        result: dict[str, Any] = self._execute_module(
            module_name=name or self._task.action,
            module_args=dict(self._task.args if args is None else args),
            task_vars=task_vars,
            wrap_async=self._task.async_val,
        )
        return result

    def on_host(self, task_vars: dict[str, Any], args: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One brain, two hands (architecture.md): in the same-named module on POSIX; on a Windows host here, through ansible.windows."""
        if ".ps1" not in self._connection.module_implementation_preferences:
            return self.module(task_vars, args=args)
        from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows_task

        return _windows_task.act(self, task_vars, self._task.args if args is None else args)

    def permitted(self, task_vars: Mapping[str, Any], permit: Any, step: str) -> list[str]:
        """The edges of this host that ``permit`` names for ``step``; OctoError with one sentence if it does not hold (decisions 2)."""
        host = str(task_vars["inventory_hostname"])
        named = permits.check(permit, step=step, host=host, run=this_run(), now=time.monotonic())
        permits.check_concurrency(permit, at_once=int(self._task.throttle or forks_of(task_vars)))
        return named
