# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The naive order: import first, then the Tentacles. The witness must see a lock-out, or it sees nothing at all."""

from __future__ import annotations

import secrets

from lab.fleet.builder import Fleet
from lab.fleet.servers import INSTANCE
from lab.waiting import until


class Naive(Exception):
    """A step of the naive rotation did not work."""


def import_first(fleet: Fleet) -> str:
    """Replace the Server's certificate on all nodes at once; the new thumbprint. Every Tentacle is locked out from here on."""
    pfx, password, host = str(fleet.root / "naive.pfx"), secrets.token_hex(16), fleet.server.nodes[0].host
    for verb, option in (("new-certificate", "--export-pfx"), ("import-certificate", "--from-file")):
        argv = [str(fleet.folders.bin / "Octopus.Server"), verb, "--instance", INSTANCE, "--console", f"{option}={pfx}", f"--pfx-password={password}"]
        done = fleet.run(argv, host=host)
        if done.returncode != 0:
            raise Naive(f"{verb} ended with exit code {done.returncode}: {done.stderr or done.stdout}")
    for node in fleet.server.nodes:
        fleet.unit(node.name).restart()
    database = fleet.database()
    new = database.certificate().thumbprint
    database.close()
    return new


def trust_afterwards(fleet: Fleet, old: str, new: str) -> None:
    """The vendor's verb on every Tentacle, and its restart."""
    for tentacle in fleet.tentacles:
        argv = [
            str(fleet.folders.bin / "Tentacle"),
            "update-trust",
            f"--instance={tentacle.instance}",
            f"--oldThumbprint={old}",
            f"--newThumbprint={new}",
        ]
        done = fleet.run(argv, host=tentacle.host)
        if done.returncode != 0:
            raise Naive(f"update-trust on {tentacle.id} ended with exit code {done.returncode}: {done.stderr or done.stdout}")
        fleet.unit(tentacle.host, tentacle.instance).restart()


def rotate(fleet: Fleet, seen: float = 0.5) -> None:
    """The whole wrong way round; the Tentacles follow when the running witness has seen every edge of the Server refused for ``seen`` seconds."""
    old = fleet.server.certificate.thumbprint
    new = import_first(fleet)
    edges = [edge["id"] for edge in fleet.edges if edge["server"] == fleet.server.name]
    until(
        lambda: all(fleet.witness.report().edges[name]["refused_seconds"] >= seen for name in edges), 30, every=0.1, what="a lock-out of every edge"
    )
    trust_afterwards(fleet, old, new)
