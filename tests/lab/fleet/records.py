# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every stand-in leaves a note of each start: what was passed to it, for the test that looks for secrets there."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path


def record_start(program: str, arguments: Sequence[str]) -> None:
    """One line in the fleet's argv.jsonl; nothing without a fleet, or when its folder is being removed."""
    root = os.environ.get("OCTOLAB")
    if root is None:
        return
    note = {"pid": os.getpid(), "program": program, "argv": list(arguments), "environ": dict(os.environ), "time": time.time()}
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(Path(root, "records", "argv.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, (json.dumps(note) + "\n").encode())
        finally:
            os.close(descriptor)
