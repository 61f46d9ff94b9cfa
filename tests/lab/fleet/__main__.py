# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m lab.fleet up ...``: a fleet for as long as the command runs. ``python -m lab.fleet quirks`` lists what can be odd about it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from lab.fleet.builder import Fleet
from lab.fleet.quirks import KNOWN_QUIRKS, UnknownQuirk
from lab.fleet.spec import FleetSpec


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.fleet", description="An embedded fleet of Tentacles and Octopus Servers on loopback.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("quirks", help="what can be odd about a host")
    up = verbs.add_parser("up", help="bring a fleet up; it goes with this command (Ctrl-C)")
    up.add_argument("--tentacles", type=int, default=2, help="listening ones (default: 2)")
    up.add_argument("--polling", type=int, default=0, help="polling ones (default: 0)")
    up.add_argument("--windows", type=int, default=0, help="listening ones on hosts that play Windows (default: 0)")
    up.add_argument("--nodes", type=int, default=1, help="nodes of the Server (default: 1)")
    up.add_argument("--spaces", nargs="+", default=["Default"], help="spaces; records are put into them by turns")
    up.add_argument("--environments", nargs="+", default=["Production"])
    up.add_argument("--foreign", type=int, default=0, help="how many listening Tentacles trust a second Server, too")
    up.add_argument("--quirk", action="append", default=[], metavar="NAME:HOST", help="may be repeated; see `quirks`")
    up.add_argument("--container", action="store_true", help="the Server runs in the stand-in container engine")
    up.add_argument("--time-scale", type=float, default=FleetSpec.time_scale, help="for delays only (default: %(default)s)")
    up.add_argument("--cli-cost", type=float, default=0.0, help="seconds that each vendor command takes at least")
    up.add_argument("--root", type=Path, help="the fleet's folder (default: a fresh temporary one)")
    up.add_argument("--print", action="store_true", dest="described", help="print fleet.json when it is up")
    return parser


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.verb == "quirks":
        print("\n".join(f"{name:30} {sentence}" for name, sentence in KNOWN_QUIRKS.items()))
        return 0
    given = ("tentacles", "polling", "windows", "nodes", "foreign", "container", "time_scale", "cli_cost", "root")
    spec = FleetSpec(
        spaces=tuple(options.spaces),
        environments=tuple(options.environments),
        quirks=tuple(options.quirk),
        **{name: getattr(options, name) for name in given},
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_ignored: sys.exit(0))
    try:
        with Fleet(spec) as fleet:
            print(json.dumps(fleet.description, indent=1) if options.described else fleet.inventory, flush=True)
            signal.pause()
    except (UnknownQuirk, LookupError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
