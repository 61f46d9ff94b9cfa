# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""python -I -S measure.py COSTS COMMAND...: run a command, and write down what it and all that it waited for cost.

A small process of its own, because a child's peak of memory begins with that of the process that starts it: pytest's would be in it.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main(costs: str, *command: str) -> int:
    began = time.monotonic()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _pid, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - began
    with open(costs, "w") as file:
        json.dump({"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "memory": usage.ru_maxrss / 1024}, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
