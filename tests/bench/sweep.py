# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""python sweep.py FILE: probes the host:port of each line, prints what octo_probe would answer, and on stderr the CPU seconds without the start."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import options, probe


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(file: str) -> None:
    spent = cpu()
    sights = probe.sweep(options.endpoints(Path(file).read_text().split()))
    json.dump(options.result(sights, []), sys.stdout)
    print(cpu() - spent, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
