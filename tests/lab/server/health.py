# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The health check: contacts each machine for real, with the certificate that this node has loaded (octopus-server.md 3.7)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.server import resources
from lab.server.database import MACHINES, WORKERS, Database
from lab.server.quirks import quirk_of
from lab.server.resources import Document
from lab.server.tasks import Task, Tasks
from lab.settings import Settings

AT_ONCE = 16
_TIMESPAN = re.compile(r"(?:(?P<days>\d+)\.)?(?P<hours>\d+):(?P<minutes>\d+):(?P<seconds>\d+(?:\.\d+)?)\Z")
_DEFAULT_TIMEOUT, _DEFAULT_MACHINE_TIMEOUT = "00:05:00", "00:01:00"


@dataclass(frozen=True)
class Attempt:
    """How one contact ended; ``error`` is Halibut's sentence."""

    error: str | None


# Endpoint (the object with Uri and Thumbprint) and seconds -> Attempt.
Contact = Callable[[Mapping[str, Any], float], Attempt]


def seconds_of(timespan: object, default: str) -> float:
    """A .NET timespan, `hh:mm:ss` or `d.hh:mm:ss`."""
    match = _TIMESPAN.match(str(timespan or default)) or _TIMESPAN.match(default)
    if match is None:
        raise ValueError(f"{default!r} is no timespan")
    return timedelta(**{unit: float(value or 0) for unit, value in match.groupdict().items()}).total_seconds()


@dataclass(frozen=True)
class _Outcome:
    document: Document
    available: bool
    activity: Document


class Health:
    """Runs Health tasks of one node, and deletes what a policy says must not stay unavailable."""

    def __init__(self, database: Database, tasks: Tasks, contact: Contact, settings: Settings) -> None:
        self._database, self._tasks, self._contact, self._settings = database, tasks, contact, settings
        self._quirk = quirk_of(settings)

    def run(self, task: Task) -> None:
        arguments = task.body["Arguments"]
        machines = self._chosen(task.space_id, arguments)
        self._tasks.set_machines(task.id, [each["Id"] for each in machines])
        deadline = time.monotonic() + seconds_of(arguments.get("Timeout"), _DEFAULT_TIMEOUT)
        limit = seconds_of(arguments.get("MachineTimeout"), _DEFAULT_MACHINE_TIMEOUT)
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="health")
        futures = [pool.submit(self._check, task, machine, limit) for machine in machines]
        outcomes = list(self._collected(task, futures, deadline))
        pool.shutdown(wait=False, cancel_futures=True)
        self._conclude(task, outcomes, complete=len(outcomes) == len(futures))

    def _collected(self, task: Task, futures: Iterable[Future[_Outcome | None]], deadline: float) -> Iterable[_Outcome]:
        activities: list[Document] = []
        for future in futures:
            try:
                outcome = future.result(max(0.0, deadline - time.monotonic()))
            except FutureTimeout:
                return
            if outcome is None:
                return
            activities.append(outcome.activity)
            self._tasks.put_log(task.id, activities)
            yield outcome

    def _conclude(self, task: Task, outcomes: list[_Outcome], *, complete: bool) -> None:
        failed = [each.document for each in outcomes if not each.available]
        fatal = [each["Name"] for each in failed if not self._may_be_offline(each)]
        if not complete:
            self._tasks.finish(task.id, "TimedOut", error="The health check did not end within its timeout.")
        elif fatal:
            self._tasks.finish(task.id, "Failed", error=f"The health check failed. One or more machines are not available: {', '.join(fatal)}.")
        else:
            self._tasks.finish(task.id, "Success", warnings=bool(failed))

    def _chosen(self, space_id: str, arguments: Mapping[str, Any]) -> list[Document]:
        """The machines that the arguments name; without any, everything in the space (3.7)."""
        machines, workers = self._database.documents(MACHINES, space_id), self._database.documents(WORKERS, space_id)
        wanted = arguments.get("MachineIds") or []
        environment = arguments.get("EnvironmentId")
        pool = arguments.get("WorkerpoolId") or arguments.get("WorkerPoolId")
        if wanted:
            return [each for each in (*machines, *workers) if each["Id"] in wanted]
        if environment or pool:
            return [
                *(each for each in machines if environment in each["EnvironmentIds"]),
                *(each for each in workers if pool in each["WorkerPoolIds"]),
            ]
        restricted = arguments.get("RestrictedTo")
        return [*(machines if restricted != "Workers" else []), *(workers if restricted != "DeploymentTargets" else [])]

    def _check(self, task: Task, document: Document, limit: float) -> _Outcome | None:
        """None when the task was cancelled meanwhile."""
        if self._tasks.get(task.id).state != "Executing":
            return None
        endpoint = resources.tentacle_endpoint(document)
        if document["IsDisabled"] and self._quirk("server_disabled_unchecked"):
            return _Outcome(document, True, _activity(document, "Skipped", "Info", "The machine is disabled and was not checked."))
        if endpoint is None:
            return _Outcome(document, True, _activity(document, "Success", "Info", "The machine has no Tentacle; nothing was contacted."))
        attempt, now = self._contact(endpoint, limit), datetime.now(UTC)
        text = attempt.error or "Octopus was able to successfully establish a connection with this machine."
        activity = _activity(document, "Failed" if attempt.error else "Success", "Fatal" if attempt.error else "Info", text)
        self._database.change(document["Id"], lambda stored: self._judged(stored, attempt, now))
        self._database.put_contact(document["Id"], available=attempt.error is None, log=activity["LogElements"], at=now)
        return _Outcome(document, attempt.error is None, activity)

    def _judged(self, document: Document, attempt: Attempt, now: datetime) -> Document:
        if attempt.error is not None:
            status = ("Unavailable", "Offline", f"There was a problem communicating with this machine (last checked: {resources.long_date(now)})")
        else:
            planted = self._settings.fault("health_status", {})
            verdict = planted.get(document["Name"], "Healthy") if isinstance(planted, dict) else "Healthy"
            summary = f"Octopus was able to successfully establish a connection with this machine on {resources.long_date(now)}"
            status = (verdict, "Online", summary)
        document["HealthStatus"], document["Status"], document["StatusSummary"] = status
        endpoint = resources.tentacle_endpoint(document)
        if attempt.error is None and endpoint is not None:
            # Blank before the first contact (3.4); what the fleet builder wrote for an old certificate stays.
            endpoint["CertificateSignatureAlgorithm"] = endpoint["CertificateSignatureAlgorithm"] or "sha256RSA"
        return document

    def _may_be_offline(self, document: Document) -> bool:
        policy = self._database.document(document["MachinePolicyId"] or "") or {}
        behaviour = policy.get("MachineConnectivityPolicy", {}).get("MachineConnectivityBehavior")
        return bool(behaviour == "MayBeOfflineAndCanBeSkipped") and self._quirk("server_skipped_is_success")

    def delete_unavailable(self) -> None:
        """What the policy DeleteUnavailableMachines does, for ever, to a record that stays unreachable (3.5)."""
        spans = {
            policy["Id"]: seconds_of(policy["MachineCleanupPolicy"]["DeleteMachinesElapsedTimeSpan"], "00:00:00") * self._settings.time_scale
            for policy in self._database.documents("MachinePolicies")
            if policy["MachineCleanupPolicy"]["DeleteMachinesBehavior"] == "DeleteUnavailableMachines"
        }
        if not spans:
            return
        for document in (*self._database.documents(MACHINES), *self._database.documents(WORKERS)):
            contact = self._database.contact(document["Id"])
            span = spans.get(document["MachinePolicyId"])
            if span is not None and contact is not None and contact.unavailable_since is not None and time.time() - contact.unavailable_since >= span:
                self._database.delete(document["Id"])


def _activity(document: Document, status: str, category: str, text: str) -> Document:
    now = resources.moment()
    return {
        "Id": document["Id"],
        "Name": f"Check {document['Name']}",
        "Status": status,
        "Started": now,
        "Ended": now,
        "ErrorMessage": text if status == "Failed" else None,
        "ProgressPercentage": 100,
        "Children": [],
        "LogElements": [{"Category": category, "OccurredAt": now, "MessageText": text, "Detail": None}],
    }
