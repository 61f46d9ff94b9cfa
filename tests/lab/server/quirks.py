# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The odd things that octopus-server.md tells of a Server, each with a switch, and the faults that a test can plant in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.settings import Settings

QUIRKS: Mapping[str, str] = {
    "server_certificate_at_start": "A node loads its certificate at start only: after an import it presents the old one until its restart.",
    "server_skipped_is_success": "A health task succeeds although a machine was unavailable, when its policy lets it be offline.",
    "server_pages_of_30": "A list without `take` ends after 30 items and goes on at Page.Next.",
    "server_partial_put_wipes": "An array that a PUT leaves out is empty afterwards, and a number is 0.",
    "server_maintenance_refuses": "In maintenance mode a key without AdministerSystem can queue no task.",
    "server_disabled_unchecked": "A health check skips disabled machines and does not fail because of them.",
}
# Values stand in `faults` of the fleet's lab.json and are read at each use.
FAULTS: Mapping[str, str] = {
    "import_no_effect": "true: import-certificate prints success and changes nothing.",
    "import_third": "true, or the thumbprint of which it is true: import-certificate installs a fresh third certificate, and names the given one.",
    "import_crashes": '"before" or "after": import-certificate ends with exit code 100 before or after it wrote the database.',
    "export_fails": "true: export-certificate ends with exit code 100.",
    "unelevated": "true: the private key cannot be read; export-certificate warns, exits 0 and writes a PFX without key.",
    "master_key_missing": "true: commands find no Master Key (exit code 1), nodes do not start.",
    "node_stays_down": "list of node names: such a node exits at start.",
    "starting_seconds": "number: for so long after its start a node answers 503 with an HTML page.",
    "rate_limit": '{"every": n, "retry_after": seconds}: each n-th request gets a 429.',
    "certificate_rest_shows": '"loaded": REST shows the certificate of the process instead of the database\'s.',
    "health_status": "{machine name: status}: what a health check makes of a machine that it reached.",
    "server_accepts_anybody": "list of node names: port 10943 takes every client for trusted.",
}


def quirk_of(settings: Settings) -> Callable[[str], bool]:
    """Whether a quirk is on; asked by names of this module and of the wire."""
    return lambda name: name not in settings.quirks_off


def names(value: object) -> tuple[str, ...]:
    """A fault that is a list of names."""
    return tuple(str(each) for each in value) if isinstance(value, (list, tuple)) else ()
