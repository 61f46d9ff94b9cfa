# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The permit that a gate issues and every acting task shows (decision 2)."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

SCHEMA = 1


class RunIdentity(NamedTuple):
    """The run of ansible-playbook that a permit belongs to."""

    pid: int
    started: str


def issue(
    *,
    plan: str,
    old: str,
    new: str,
    thumbprints: Sequence[str],
    steps: Sequence[str],
    edges: Mapping[str, Sequence[str]],
    run: RunIdentity,
    now: float,
    away_at_most: int,
    max_age: float,
    disk_ages: Optional[Mapping[str, float]] = None,
) -> Dict[str, Any]:
    """A permit for ``steps`` on ``edges`` ({host: [instances] or ["*"]}; a Server node is {host: ["server:<instance>"]}).

    ``thumbprints`` are the pins that the step adds (to_trust()) or removes; ``disk_ages`` names readings of a disk that are
    older than half an hour, by edge, in seconds (rotation-safety 4.4).
    """
    return {
        "schema": SCHEMA,
        "plan": plan,
        "old": old,
        "new": new,
        "thumbprints": list(thumbprints),
        "steps": list(steps),
        "edges": {host: list(instances) for host, instances in edges.items()},
        "run": {"pid": run.pid, "started": run.started},
        "issued": now,
        "max_age": max_age,
        "away_at_most": away_at_most,
        "disk_ages": dict(disk_ages or {}),
    }


def check(
    permit: Any, *, step: str, host: str, run: RunIdentity, now: float,
    instances: Optional[Sequence[str]] = None, old: Optional[str] = None, new: Optional[str] = None, plan: Optional[str] = None,
) -> List[str]:
    """The instances of ``host`` that the permit names for ``step`` (possibly ``["*"]``); OctoError with one sentence otherwise.

    ``instances``, ``old``, ``new`` and ``plan`` are compared only if given.
    """
    raise NotImplementedError


def check_concurrency(permit: Mapping[str, Any], at_once: int) -> None:
    """OctoError if the task may have more Tentacles away at once than the permit allows (I12)."""
    raise NotImplementedError
