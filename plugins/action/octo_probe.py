# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes a whole fleet from the controller: one fork, no payload, keys in memory (decisions 23, performance 1.1)."""

from __future__ import annotations

from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import options, probe
from ansible_collections.octofleet.octopus.plugins.plugin_utils._action import OctoAction


class ActionModule(OctoAction):
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_async = False

    def act(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        del task_vars  # the fleet is in the options, whichever hosts the play has
        validate: Any = self.validate_argument_spec  # core is not typed
        _validation, args = validate(argument_spec=options.SPEC)
        limits = options.limits(args)
        endpoints = options.endpoints(args["endpoints"])
        callers = options.callers(args["identities"], self._read)
        return options.result(probe.sweep(endpoints, callers, limits), callers)

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
