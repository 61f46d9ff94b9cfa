# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make demo``: rotates a Server certificate over an embedded fleet while an independent witness tries every edge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec
from lab.fleet.witnessing import WitnessReport

TENTACLES, FOREIGN, RATE, FORKS = 20, 6, 5.0, 10
PLAYBOOK = "octofleet.octopus.rotate_server_certificate"
FOLDER = Path("demo")


def main() -> int:
    began = time.monotonic()
    with Fleet(FleetSpec(tentacles=TENTACLES, foreign=FOREIGN)) as fleet:
        print(
            f"Embedded fleet: 1 Octopus Server (1 node), {TENTACLES} Tentacles, 1 foreign Server (trusted by {FOREIGN} of them)."
            " Everything runs on loopback and is gone afterwards."
        )
        fleet.start_witness(RATE)
        print(f"Witness started: every edge is tried {RATE:g} times a second.")
        retire = fleet.server.certificate.thumbprint
        told = rotate(fleet, retire)
        witnessed = fleet.stop_witness()
    return conclude(told, witnessed, time.monotonic() - began)


def rotate(fleet: Fleet, retire: str) -> dict[str, Any]:
    """Run the playbook as a person would, with its output as it comes; the report that it left."""
    FOLDER.mkdir(exist_ok=True)
    report = FOLDER / "report.json"
    report.unlink(missing_ok=True)
    command = ["ansible-playbook", PLAYBOOK, "-e", f"octopus_retire={retire}", "-e", "octopus_commit=true"]
    print(f"$ {' '.join(command)}", flush=True)
    environment = {**fleet.env, "ANSIBLE_FORKS": str(FORKS)}
    environment.pop("PYTHONUNBUFFERED", None)  # design/performance.md 4.6
    subprocess.run([*command, "-e", f"octopus_report={report.absolute()}"], env=environment, stdin=subprocess.DEVNULL, check=False)
    loaded: dict[str, Any] = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    return loaded


def conclude(told: dict[str, Any], witnessed: WitnessReport, seconds: float) -> int:
    """The last line, and whether the demonstration showed what it is there to show."""
    report = FOLDER / "report.json"
    report.write_text(json.dumps({**told, "witness": witnessed.whole}, indent=2, ensure_ascii=False) + os.linesep, encoding="utf-8")
    for failure in witnessed.failures:
        print(f"Witness: {failure}")
    if not told.get("reached"):
        print(f"The rotation did not reach its end; the witness saw {witnessed.refused_seconds:.1f} s of lock-out. Report: {report}")
        return 1
    print(
        f"{brief(told['old'])} -> {brief(told['new'])} on {len(told['tentacles'])} Tentacles in {told['seconds']:.0f} s"
        f" ({seconds:.0f} s with the fleet), {witnessed.refused_seconds:.1f} s of lock-out. Report: {report}"
    )
    return 0 if witnessed.ok else 1


def brief(thumbprint: str) -> str:
    return f"{thumbprint[:4]}…{thumbprint[-4:]}"


if __name__ == "__main__":
    sys.exit(main())
