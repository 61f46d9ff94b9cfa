# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Options of octo_certificate, one object for the module on the target and the action on the controller.

Must be kept in step with the documentation in plugins/modules/octo_certificate.py; validate-modules compares them.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from ansible_collections.octofleet.octopus.plugins.module_utils._keys.journal import VERBS

# What the action asks of the module. Never given by a person; the values of a secret call travel on standard input.
_HAND: Dict[str, Any] = {
    "verb": {"type": "str", "required": True, "choices": ["instances", "entries", "inspect", "put", "drop", "export", "generate", "replace", *VERBS]},
    "thumbprint": {"type": "str"},
    "nodes": {"type": "list", "elements": "str"},
    "note": {"type": "dict"},
    "pfx": {"type": "str", "no_log": True},
    "password": {"type": "str", "no_log": True},
}

ARGUMENTS: Dict[str, Any] = {
    "application": {"type": "str", "required": True, "choices": ["server", "tentacle"]},
    "state": {"type": "str", "required": True, "choices": ["backed_up", "staged", "active"]},
    "thumbprint": {"type": "str"},
    "replaces": {"type": "str"},
    "source": {"type": "str", "default": "vendor", "choices": ["vendor", "pfx", "generated"]},
    "pfx": {"type": "path"},
    "pfx_password": {"type": "str", "no_log": True},
    "trusted_by_nobody": {"type": "list", "elements": "str", "default": []},
    "store": {"type": "path"},
    "backup_password": {"type": "str", "no_log": True},
    "backup_dir": {"type": "path"},
    "instance": {"type": "str"},
    "executable": {"type": "list", "elements": "str"},
    "machine_configuration_home": {"type": "path", "default": "/etc/octopus"},
    "machine_id_file": {"type": "path", "default": "/etc/machine-id"},
    "copy_in": {"type": "list", "elements": "str"},
    "copy_out": {"type": "list", "elements": "str"},
    "timeout": {"type": "int", "default": 300},
    "permit": {"type": "dict"},
    "unguarded": {"type": "bool", "default": False},
    "hand": {"type": "dict", "options": _HAND},
}
# The rest stays on the controller: nothing secret, and nothing large, goes to a target that has no use for it.
FOR_THE_TARGET = (
    "application",
    "state",
    "store",
    "instance",
    "executable",
    "machine_configuration_home",
    "machine_id_file",
    "copy_in",
    "copy_out",
    "timeout",
)
REQUIRED_IF = [("source", "pfx", ["pfx"])]
_INSTANCES = {"server": "OctopusServer", "tentacle": "Tentacle"}
_EXECUTABLES = {"server": ["/Octopus/Octopus.Server"], "tentacle": ["/opt/octopus/tentacle/Tentacle"]}
_STORE, _WINDOWS_STORE = "/var/lib/octopus-rotation", r"C:\ProgramData\OctopusRotation"


def completed(options: Mapping[str, Any], windows: bool) -> Dict[str, Any]:
    """With what `instance`, `executable` and `store` are where they are not given. On Windows the program is found where it was installed."""
    application = options["application"]
    meant = {
        "instance": _INSTANCES[application],
        "executable": None if windows else _EXECUTABLES[application],
        "store": _WINDOWS_STORE if windows else _STORE,
    }
    return {**options, **{name: value for name, value in meant.items() if not options.get(name)}}
