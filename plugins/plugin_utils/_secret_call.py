# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Module calls that carry a secret to the target, or bring one back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from ansible import constants as C
from ansible.plugins.action import ActionBase
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError


class SecretCalls(ActionBase):
    """Adds :meth:`call_with_secret` to an action."""

    _secret_call = False

    def call_with_secret(self, module: str, args: Mapping[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run ``module`` with arguments that reach the target on standard input and in no file, and an answer that is shown nowhere.

        Without pipelining, core writes the module with its arguments, ``no_log`` ones too, into a file in the remote
        temporary folder; after kill -9 that file stays, readable (decisions 21). So pipelining is forced for this call,
        whatever the user's configuration says (ANSIBLE_KEEP_REMOTE_FILES too), or the call is not made.
        """
        self._refuse_where_it_would_show(str(task_vars.get("inventory_hostname")))
        with self._unseen():
            result: dict[str, Any] = self._execute_module(module_name=module, module_args=dict(args), task_vars=task_vars)
        return result

    def _refuse_where_it_would_show(self, host: str) -> None:
        become = self._connection.become.name if self._connection.become else ""
        if not self._connection.has_pipelining or become == "su":
            means = f"the become method {become}" if become == "su" else f"the connection {self._connection.transport}"
            raise OctoError(
                f"{self._task.action} has to exchange a one-use password with {host} on standard input and output, so that no file holds it,"
                f" but {means} cannot carry it (no pipelining). Use ssh or local, with sudo."
            )
        if C.DEFAULT_DEBUG:  # type: ignore[attr-defined]
            raise OctoError(
                f"{self._task.action} has to exchange a one-use password with {host}, and ANSIBLE_DEBUG shows and logs whatever modules are given and answer."
                " Nothing was done. Run without ANSIBLE_DEBUG; -vvvv shows nothing secret."
            )

    @contextlib.contextmanager
    def _unseen(self) -> Iterator[None]:
        """Connections show what each command printed (ssh from -vvv on, winrm and psrp from -vvvvv on) unless this attribute says no."""
        context = self._connection._play_context
        before, context.no_log, self._secret_call = context.no_log, True, True
        try:
            yield
        finally:
            context.no_log, self._secret_call = before, False

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        if self._secret_call:
            return module_style == "new"
        return bool(super()._is_pipelining_enabled(module_style, wrap_async))
