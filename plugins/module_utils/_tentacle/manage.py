# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The state of a service as a task wants it: of Tentacle instances, and of one node of an Octopus Server."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import instance, readiness, service, visit
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import LINUX, Installation, System, installation_of
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.index import IndexEntry
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.instance import Row, Seen
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Endpoint, Hands, Proof, Target
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.visit import Limits

STARTED, STOPPED, RESTARTED, IF_STALE = "started", "stopped", "restarted", "restarted_if_stale"
NODE = "OctopusServer"  # the vendor's name for the only instance of a Server on a host
NODE_PATIENCE = 300.0  # seconds: a Server looks through its database before it listens


class Outcome(NamedTuple):
    changed: bool
    restarted: bool = False
    proof: Optional[Proof] = None


class Node(NamedTuple):
    """A node of an Octopus Server, as a task names it."""

    unit: str
    endpoint: Optional[Endpoint]
    restart: Sequence[str] = ()


def service_rows(hands: Hands, params: Mapping[str, Any], limits: Limits, system: System = LINUX) -> List[Row]:
    """From the options of octo_service."""
    if params["application"] == "tentacle":
        return tentacle_rows(hands, params["instance"], params["state"], limits, installation_of(params, system))
    thumbprint = _thumbprint.parse(params["thumbprint"], "thumbprint of the Server") if params["thumbprint"] else None
    endpoint = _endpoint(params["endpoint"], thumbprint) if params["endpoint"] else None
    return [node_row(hands, Node(node_unit(params, system), endpoint, params["restart_command"] or ()), params["state"], limits)]


def node_unit(params: Mapping[str, Any], system: System = LINUX) -> str:
    """The service of a node; without a name, the one that the vendor gives it."""
    return str(params["service"] or system.node(params["instance"] or NODE))


def tentacle_rows(hands: Hands, name: str, state: str, limits: Limits, installation: Installation) -> List[Row]:
    return visit.rows(hands, name, installation, lambda entry, entries: _tentacle_row(hands, state, limits, installation, entry, entries))


def node_row(hands: Hands, node: Node, state: str, limits: Limits) -> Row:
    """The row of a node; its ``instance`` is the unit, since the node's own name is the Server's business."""
    before = hands.host.service(node.unit)
    target = Target(
        name=f"The Octopus Server node (unit {node.unit})",
        before=before,
        look=lambda: hands.host.service(node.unit),
        endpoint=node.endpoint,
        patience=limits.timeout if limits.timeout is not None else NODE_PATIENCE,
        restart=node.restart,
    )
    outcome, refusal = Outcome(False), {}
    try:
        _refuse_unmanageable(target, state)
        due = state == RESTARTED or (state == IF_STALE and _is_other(hands, node.endpoint))
        outcome = _bring(hands, target, state, limits, due)
    except OctoError as error:
        refusal, outcome = _refusal(error), Outcome(target.look() != before)
    now = target.look()
    return {
        "instance": node.unit,
        "ok": True,
        "code": "",
        "reason": "",
        "service": instance.service_row(now),
        **_outcome_row(outcome),
        **refusal,
    }


def _tentacle_row(
    hands: Hands,
    state: str,
    limits: Limits,
    installation: Installation,
    entry: IndexEntry,
    entries: Sequence[IndexEntry],
) -> Row:
    try:
        subject = instance.subject_of(hands.host, entry, entries)
        with visit.locked(hands, subject.configuration, limits):
            seen = instance.look(hands.host, subject, installation, hands.clock)
            outcome, refusal = Outcome(False), {}
            try:
                outcome = _bring_tentacle(hands, seen, state, limits, installation)
            except OctoError as error:
                refusal = _refusal(error)
            now = instance.look(hands.host, subject, installation, hands.clock)
            if refusal:
                outcome = Outcome(now.service.pid != seen.service.pid)
            return {**instance.row_of(now), **_outcome_row(outcome), **refusal}
    except OctoError as error:
        return {**instance.problem_row(entry, error), **_outcome_row(Outcome(False))}


def _bring_tentacle(hands: Hands, seen: Seen, state: str, limits: Limits, installation: Installation) -> Outcome:
    if seen.found.problem:
        raise OctoError(seen.found.problem, code="SERVICE_UNKNOWN")
    target = visit.target_of(hands, seen, installation, limits.timeout)
    _refuse_unmanageable(target, state)

    due = state == RESTARTED or (state == IF_STALE and (seen.restart_pending in visit.PENDING or _is_other(hands, target.endpoint)))
    if due:
        visit.refuse_unready(seen, limits.allow_upgrade)
    if state == STARTED and not seen.service.pid:
        _refuse_unready_to_start(seen)
    return _bring(hands, target, state, limits, due)


def _bring(hands: Hands, target: Target, state: str, limits: Limits, restart_is_due: bool) -> Outcome:
    """Make it so, unless it is so already; in check mode say only what would be done."""
    before = target.before
    runs = bool(before.pid)
    if state == STOPPED:
        if runs and not limits.check:
            service.stop(hands, target)
        return Outcome(changed=runs)
    if state == STARTED and not runs:
        return Outcome(True, False, None if limits.check else service.start(hands, target))
    if restart_is_due:
        return Outcome(True, True, None if limits.check else service.restart(hands, target))
    return Outcome(False, False, None if limits.check else service.confirm(hands, target))


def _endpoint(text: str, thumbprint: Optional[str]) -> Endpoint:
    address, _colon, port = text.rpartition(":")
    if not address or not port.isdigit() or not 0 < int(port) < 65536:
        raise OctoError(f"The endpoint {text!r} is not host:port. Give where the node takes polling Tentacles, such as octopus-1:10943.")
    return Endpoint(address.strip("[]"), int(port), thumbprint)


def _is_other(hands: Hands, endpoint: Optional[Endpoint]) -> bool:
    """Whether the wire shows another certificate than is wanted; nobody there shows none."""
    if endpoint is None or endpoint.thumbprint is None:
        return False
    return not _thumbprint.same(service.serving(hands, endpoint) or "", endpoint.thumbprint)


def _refuse_unmanageable(target: Target, state: str) -> None:
    if target.before.known or (target.restart and state in (RESTARTED, IF_STALE)):
        return
    raise OctoError(
        f"{target.name} cannot be brought to {state}: the service manager does not know the unit. "
        "Name the unit with `service`; with `restart_command`, only restarted and restarted_if_stale can be asked for.",
        code="SERVICE_UNKNOWN",
    )


def _refuse_unready_to_start(seen: Seen) -> None:
    reasons = [reason for reason in seen.reasons if reason.code != readiness.SERVICE_STOPPED]
    if reasons:
        raise OctoError(f"{seen.subject.instance} was not started. " + " ".join(reason.sentence for reason in reasons), code=reasons[0].code)


def _refusal(error: OctoError) -> Dict[str, Any]:
    return {"ok": False, "code": error.evidence.get("code", "FAILED"), "reason": error.message}


def _outcome_row(outcome: Outcome) -> Dict[str, Any]:
    return {"changed": outcome.changed, "restarted": outcome.restarted, "proven": outcome.proof.row() if outcome.proof else None}
