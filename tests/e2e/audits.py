# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the audit over a planted fleet, and lays its findings beside the truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e import plays
from lab.planting import Planted, PlantedFleet
from lab.planting.truth import CERTIFICATE

AUDIT = "octofleet.octopus.audit_trust"
FORKS = "20"
LONGEST = 900.0  # seconds


@dataclass(frozen=True)
class Audit:
    play: plays.Play
    document: Mapping[str, Any]
    folder: Path

    @property
    def findings(self) -> list[dict[str, Any]]:
        return list(self.document["findings"])

    def codes(self) -> set[tuple[str, str]]:
        return {(row["code"], row["subject"]) for row in self.findings}

    def row(self, host: str) -> dict[str, Any]:
        found = [row for row in self.document["tentacles"] if row["host"] == host]
        assert len(found) == 1, f"{host}: {[row['id'] for row in found]}"
        return dict(found[0])


def audit(garden: PlantedFleet, *arguments: str, env: Mapping[str, str] | None = None, **variables: Any) -> Audit:
    """With everything that makes an audit better; ``variables`` with None are taken away."""
    folder = garden.fleet.root / f"play-audit-{sum(1 for _each in garden.fleet.root.glob('play-audit-*'))}"
    given = {
        "octopus_known_servers": garden.known_servers,
        "octopus_retired_thumbprints": garden.retired,
        "octopus_audit_pfx": str(garden.pfx),
        "octopus_audit_pfx_password": garden.pfx_password,
        "octopus_rotation_takes": garden.rotation_takes,
        "octopus_audit_reports": str(folder),
        **variables,
    }
    asked = {name: value for name, value in given.items() if value is not None}
    play = plays.start(garden.fleet, AUDIT, *arguments, variables=asked, env={"ANSIBLE_FORKS": FORKS, **(env or {})}).finish(LONGEST)
    report = folder / "octopus-audit.json"
    assert report.exists(), play.text
    return Audit(play, json.loads(report.read_text(encoding="utf-8")), folder)


def hits(finding: Mapping[str, Any], truth: Iterable[Planted]) -> list[Planted]:
    """What of the truth a finding is about."""
    return [each for each in truth if each.code == finding["code"] and any(_is(each, name, finding["seen"]) for name in _names(finding))]


def missed(audit_: Audit, garden: PlantedFleet) -> list[str]:
    """Recall: what was planted and is not found."""
    return [f"{each.code} {each.subject}: {each.why}" for each in garden.planted if not any(each in hits(one, [each]) for one in audit_.findings)]


def invented(audit_: Audit, garden: PlantedFleet) -> list[str]:
    """Precision: what is found of a subject and was not planted there."""
    truth = [*garden.planted, *garden.arguable]
    return [
        f"{one['code']} {name}: {one['seen']}"
        for one in audit_.findings
        for name in _names(one)
        if not any(each.code == one["code"] and _is(each, name, one["seen"]) for each in truth)
    ]


def _names(finding: Mapping[str, Any]) -> list[str]:
    return list(finding["subjects"])


def _is(each: Planted, name: str, seen: str) -> bool:
    return each.is_about(name) or each.is_about(name.partition(" (")[0]) or (each.kind == CERTIFICATE and each.subject in seen)
