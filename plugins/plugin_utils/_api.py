# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""From the options of a task to a client of the REST API; used by actions, on the controller."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.client import OctopusClient, Patience
from ansible_collections.octofleet.octopus.plugins.module_utils._octopus.transport import Https
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret

# Must be kept in step with plugins/doc_fragments/api.py.
API_ARGUMENTS: dict[str, Any] = {
    "server_url": {"type": "str", "required": True},
    "api_key": {"type": "str", "required": True, "no_log": True},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
    "timeout": {"type": "int", "default": 30},
    "patience": {"type": "int", "default": 120},
}


def client_from(params: Mapping[str, Any]) -> OctopusClient:
    transport = Https(params["validate_certs"], params["ca_path"], float(params["timeout"]))
    return OctopusClient(params["server_url"], Secret(params["api_key"]), transport, time.monotonic, time.sleep, Patience(float(params["patience"])))
