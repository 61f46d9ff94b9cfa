# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The options of a task whose action does all the work on the controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost


def options_of(action: ActionBase, spec: Mapping[str, Any], **constraints: Any) -> dict[str, Any]:
    """Checked, converted and with their defaults, by core's own rules and in its words."""
    _result, options = ActionBase.validate_argument_spec(action, dict(spec), **constraints)
    return dict(options)


def controller_file(action: ActionBase, path: str, what: str) -> tuple[str, bytes]:
    """Path and content of a file on the controller, found as core finds the source of a copy."""
    try:
        found = str(ActionBase._find_needle(action, "files", path))
    except AnsibleError:
        raise OctoError(f"{what} {path} is not on the controller. Give its path there, absolute or beside the playbook.") from None
    return found, PosixHost().read(found) or b""
