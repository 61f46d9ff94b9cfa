# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m lab.witness F/fleet.json``: watches until SIGTERM, then writes its final report; exit code 1 when the run must fail."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path

from lab.fleet.folders import Folders
from lab.witness.watch import PATIENCE, watch_over


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.witness", description="Tries every edge of a fleet several times a second.")
    parser.add_argument("fleet", type=Path, help="the fleet.json of a running fleet")
    parser.add_argument("--rate", type=float, default=5.0, help="samples a second and edge (default: 5)")
    parser.add_argument("--patience", type=float, default=PATIENCE, help="seconds that an answer may take (default: 5)")
    parser.add_argument("--back-off", type=float, default=0.0, help="seconds that a polling Tentacle may sleep after a node's restart (default: 0)")
    options = parser.parse_args(arguments)
    with contextlib.suppress(PermissionError):  # a starved witness would report its own gaps
        os.setpriority(os.PRIO_PROCESS, 0, -5)
    watch = watch_over(options.fleet, options.rate, options.patience, options.back_off)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_ignored: watch.end())
    report = watch.run()
    folders = Folders(options.fleet.parent)
    if folders.run.is_dir():
        folders.publish(folders.run / "witness.json", report)
        folders.publish(folders.run / "witness-report.json", report)
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
