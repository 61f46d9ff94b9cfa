# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Argument specifications with the constraints between their options, in one object that can be put together."""

from __future__ import annotations

from typing import Any, Dict, Optional

_CONSTRAINTS = ("mutually_exclusive", "required_together", "required_one_of", "required_if", "required_by")


class ArgumentSpec:
    """The options of a module and what holds between them, as keywords of AnsibleModule."""

    def __init__(self, options: Optional[Dict[str, Dict[str, Any]]] = None, **constraints: Any) -> None:
        unknown = sorted(set(constraints) - set(_CONSTRAINTS))
        if unknown:
            raise TypeError(f"no such constraint: {', '.join(unknown)}")
        self.options: Dict[str, Dict[str, Any]] = dict(options or {})
        self.constraints: Dict[str, Any] = dict(constraints)

    def merged(self, *others: ArgumentSpec) -> ArgumentSpec:
        """A specification with the options and constraints of all; a later option replaces an earlier one of the same name."""
        result = ArgumentSpec(self.options)
        result.constraints = dict(self.constraints)
        for other in others:
            result.options.update(other.options)
            for name, value in other.constraints.items():
                mine = result.constraints.get(name)
                result.constraints[name] = value if mine is None else {**mine, **value} if name == "required_by" else [*mine, *value]
        return result

    def to_kwargs(self) -> Dict[str, Any]:
        return {"argument_spec": dict(self.options), **self.constraints}


# Kept in step with plugins/doc_fragments/tentacle.py.
TENTACLE = ArgumentSpec(
    {
        "executable": {"type": "list", "elements": "str", "default": ["/opt/octopus/tentacle/Tentacle"]},
        "machine_configuration_home": {"type": "path", "default": "/etc/octopus"},
        "machine_id_file": {"type": "path", "default": "/etc/machine-id"},
        "restart_command": {"type": "list", "elements": "str"},
        "service": {"type": "str"},
    }
)

# Kept in step with the variant RESTART of plugins/doc_fragments/tentacle.py.
RESTART = ArgumentSpec(
    {
        "allow_upgrade": {"type": "bool", "default": False},
        "lock_timeout": {"type": "float", "default": 60.0},
        "permit": {"type": "dict"},
        "timeout": {"type": "float"},
    }
)
