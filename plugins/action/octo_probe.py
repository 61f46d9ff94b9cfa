# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes a whole fleet in one task: from the controller, with one fork and no payload, or from one inventory host (decisions 23, 24)."""

from __future__ import annotations

from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import options
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls
from ansible_collections.octofleet.octopus.plugins.plugin_utils._vantage import sweep_from


class ActionModule(SecretCalls, OctoAction):
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        validate: Any = self.validate_argument_spec  # core is not typed
        _validation, args = validate(argument_spec=options.SPEC)
        if args["hand"] is not None:
            raise OctoError("octo_probe: `hand` is for the collection's own use. Leave it out.")
        sweep = sweep_from(self, args["vantage"], task_vars)
        limits = options.limits(args)
        endpoints = options.endpoints(args["endpoints"])
        callers = options.callers(args["identities"], self._read)
        return options.result(sweep(endpoints, callers, limits), callers)

    def _read(self, path: str) -> bytes:
        """A file on the controller. Never through core's loader, which decrypts vaulted files into temporary ones."""
        try:
            with open(self._loader.path_dwim(path), "rb") as file:
                data = file.read()
        except OSError as error:
            raise OctoError(f"The PFX {path} cannot be read on the controller: {error.strerror}.") from None
        if data.startswith(b"$ANSIBLE_VAULT"):
            raise OctoError(
                f"The PFX {path} is encrypted with Ansible Vault. A PFX is encrypted by its own password: "
                "leave the file as it is, and put its password into the vault."
            )
        return data
