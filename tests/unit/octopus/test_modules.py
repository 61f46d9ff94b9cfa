# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doors to the Server: documentation and the arguments of the actions behind them say the same."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _audit_options
from unit import documented

ACTIONS = ["octo_audit", "octo_health_check", "octo_machine_info", "octo_node", "octo_rotation"]
CHECKED = ("type", "required", "choices", "default", "elements")


def checked(options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: option[key] for key in CHECKED if key in option} for name, option in options.items()}


@pytest.mark.parametrize("name", ACTIONS)
def test_documentation_and_arguments_agree(name: str) -> None:
    module = importlib.import_module(f"{documented.ROOT}.modules.{name}")
    action = importlib.import_module(f"{documented.ROOT}.action.{name}")
    arguments = _audit_options.ARGUMENTS if name == "octo_audit" else action.ARGUMENTS
    options = documented.options(module)
    assert checked(options) == checked(arguments)
    assert all(option["description"] for option in options.values())
