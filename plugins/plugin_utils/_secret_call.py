# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Module calls whose arguments hold a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError


class SecretCalls(ActionBase):
    """Adds :meth:`call_with_secret` to an action."""

    _secret_call = False

    def call_with_secret(self, module: str, args: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run ``module`` with arguments that reach the target on standard input and in no file.

        Without pipelining, core writes the module with its arguments, ``no_log`` ones too, into a file in the remote
        temporary folder; after kill -9 that file stays, readable (decisions 21). So pipelining is forced for this call,
        whatever the user's configuration says (ANSIBLE_KEEP_REMOTE_FILES too), or the call is not made.
        """
        become = self._connection.become.name if self._connection.become else ""
        if not self._connection.has_pipelining or become == "su":
            means = f"the become method {become}" if become == "su" else f"the connection {self._connection.transport}"
            raise OctoError(
                f"{module} has to hand a one-use password to {task_vars.get('inventory_hostname')} on standard input, so that no file holds it,"
                f" but {means} cannot carry it (no pipelining). Use ssh or local, with sudo."
            )
        self._secret_call = True
        try:
            result: dict[str, Any] = self._execute_module(module_name=module, module_args=dict(args), task_vars=task_vars)
        finally:
            self._secret_call = False
        return result

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        if self._secret_call:
            return module_style == "new"
        return bool(super()._is_pipelining_enabled(module_style, wrap_async))
