# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module's options as ansible-doc puts them together."""

from __future__ import annotations

import importlib
from typing import Any

import yaml

ROOT = "ansible_collections.octofleet.octopus.plugins"


def options(module: Any) -> dict[str, dict[str, Any]]:
    page = yaml.safe_load(module.DOCUMENTATION)
    found: dict[str, dict[str, Any]] = {}
    for name in page["extends_documentation_fragment"]:
        fragment, _dot, variant = name.removeprefix("octofleet.octopus.").partition(".")
        source = importlib.import_module(f"{ROOT}.doc_fragments.{fragment}").ModuleDocFragment
        found |= yaml.safe_load(getattr(source, variant.upper() or "DOCUMENTATION"))["options"]
    return found | page["options"]
