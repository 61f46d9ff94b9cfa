# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The permit that a gate issues and every acting task shows (decision 2).

It is no secret and no signature: it keeps a task from running where no gate of this very run has judged it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

SCHEMA = 1
_GET_ONE = "Run the playbook octofleet.octopus.rotate_server_certificate as a whole, without --limit, --tags, --skip-tags and --start-at-task."
_KEYS = frozenset(("schema", "plan", "old", "new", "thumbprints", "steps", "edges", "run", "issued", "max_age", "away_at_most", "disk_ages"))


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

    ``thumbprints`` are the pins that the step adds (``Facts.to_trust()``), removes or activates; ``disk_ages`` names readings
    of a disk that are older than half an hour, by edge, in seconds (rotation-safety 4.4).
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
    permit: Any,
    *,
    step: str,
    host: str,
    run: RunIdentity,
    now: float,
    instances: Sequence[str] = (),
    old: Optional[str] = None,
    new: Optional[str] = None,
    plan: Optional[str] = None,
) -> List[str]:
    """The instances of ``host`` that the permit names for ``step`` (``["*"]``: all); OctoError with one sentence otherwise.

    ``instances``, ``old``, ``new`` and ``plan`` are compared if given. The Server's certificate is the instance
    ``server:<name>`` of a node's host.
    """
    asked = f"{step} on {host}"
    if not permit:
        raise OctoError(f"Refused: {asked} needs a permit, and no gate of this run has issued one. {_GET_ONE}")
    if not isinstance(permit, Mapping) or set(permit) != _KEYS or permit["schema"] != SCHEMA:
        raise OctoError(f"Refused: {asked} was shown a permit that octo_rotation of this version did not issue. {_GET_ONE}")
    if permit["run"] != {"pid": run.pid, "started": run.started}:
        raise OctoError(f"Refused: {asked} was shown the permit of another run (process {permit['run'].get('pid')}). {_GET_ONE}", permit=dict(permit))
    _check_age(permit, asked, now)
    _check_rotation(permit, asked, plan=plan, old=old, new=new)
    if step not in permit["steps"]:
        raise OctoError(f"Refused: {asked}: the permit is for {', '.join(permit['steps']) or 'no step'} only. {_GET_ONE}", permit=dict(permit))
    named = [str(instance) for instance in permit["edges"].get(host, ())]
    missing = [instance for instance in instances if instance not in named] if "*" not in named else []
    if not named or missing:
        what = ", ".join(f"{host}/{instance}" for instance in missing) or host
        raise OctoError(f"Refused: {asked}: the gate that issued the permit did not name {what}. {_GET_ONE}", permit=dict(permit))
    return named


def check_concurrency(permit: Mapping[str, Any], at_once: int) -> None:
    """OctoError if the task may have more Tentacles away at once than the permit allows (I12)."""
    most = permit["away_at_most"]
    if at_once > most:
        raise OctoError(
            f"Refused: the task would have up to {at_once} Tentacles away at once, and the permit allows {most} (octopus_away_at_most). "
            f"Give the task throttle: {most}, or run with --forks {most}."
        )


def _check_age(permit: Mapping[str, Any], asked: str, now: float) -> None:
    age = now - permit["issued"]
    if not 0 <= age <= permit["max_age"]:
        ages = f"{age:.0f} s old and was good for {permit['max_age']:.0f} s"
        raise OctoError(f"Refused: {asked}: the permit is {ages}, so the evidence behind it is stale. Run it again.", permit=dict(permit))


def _check_rotation(permit: Mapping[str, Any], asked: str, **expected: Optional[str]) -> None:
    for word, value in expected.items():
        if value is not None and permit[word] != value:
            raise OctoError(f"Refused: {asked}: the permit is for the {word} {permit[word]}, not for {value}. {_GET_ONE}", permit=dict(permit))
