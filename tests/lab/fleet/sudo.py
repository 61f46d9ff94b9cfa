# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``sudo`` for somebody who is allowed everything: ``-vn`` succeeds, a command runs as it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from lab.fleet.records import record_start

_WITH_VALUE = frozenset({"-u", "--user", "-g", "--group", "-p", "--prompt"})


def main(arguments: Sequence[str]) -> int:
    record_start("sudo", arguments)
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        rest = rest[2 if rest[0] in _WITH_VALUE else 1 :]
    command = rest[1:] if rest[:1] == ["--"] else rest
    if not command:
        return 0
    try:
        os.execvp(command[0], command)
    except OSError:
        sys.stderr.write(f"sudo: {command[0]}: command not found\n")
    return 1
