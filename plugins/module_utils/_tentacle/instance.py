# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""One Tentacle instance as it stands: configuration, trust, service, readiness. Files and the process table only; starts no vendor process."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import OURS, Clock, Host, Service
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import agent, configuration, exposure, index, log, readiness, trust
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Found, Installation, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.configuration import Configuration
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.index import IndexEntry

Row = Dict[str, Any]


class Seen(NamedTuple):
    """What was found of an instance that could be read."""

    subject: Subject
    settings: Configuration
    entries: trust.Entries
    found: Found
    armed: Optional[log.Armed]
    polls: List[Row]
    restart_pending: str
    reasons: List[readiness.Reason]

    @property
    def service(self) -> Service:
        return self.found.service

    @property
    def thumbprint(self) -> Optional[str]:
        return self.settings.get(configuration.THUMBPRINT).strip() or None


def read_instances(host: Host, instance: str, installation: Installation, clock: Clock) -> List[Row]:
    """A row for each instance asked for, in the index's order; a bad one is a row with a reason."""
    entries = index.read_index(host, installation.home)
    return [read_instance(host, entry, entries, installation, clock) for entry in index.select(entries, instance, installation.home)]


def read_instance(host: Host, entry: IndexEntry, entries: Sequence[IndexEntry], installation: Installation, clock: Clock) -> Row:
    """With what only a reader wants to know; the result of a visit stays as small as it can be."""
    try:
        seen = look(host, subject_of(host, entry, entries), installation, clock)
        return {**row_of(seen), **exposure.row_of(host, seen.subject, seen.found)}
    except OctoError as error:
        return {**problem_row(entry, error), **exposure.NOT_READ}


def subject_of(host: Host, entry: IndexEntry, entries: Sequence[IndexEntry]) -> Subject:
    """Whom an index entry is about; OctoError if it is one with a reason."""
    if entry.code:
        raise OctoError(entry.reason, code=entry.code)
    names = index.names_of(entries, host, entry.configuration)
    others = [one.configuration for one in entries if not one.code and one.instance not in names]
    return Subject(entry.instance, host.resolve(entry.configuration), names, others)


def look(host: Host, subject: Subject, installation: Installation, clock: Clock, found: Optional[Found] = None) -> Seen:
    """``found`` is what has just been seen of the service; another question to its manager costs a start of its program."""
    settings = _load(host, subject, clock)
    entries = trust.parse(settings.get(configuration.TRUST), subject.configuration, blank=True)
    found = found or agent.find(host, subject, installation, clock)
    told = log.story(host, log_folder(host, settings), found.service.pid)
    armed = log.armed(told)
    return Seen(
        subject,
        settings,
        entries,
        found,
        armed,
        log.poll_rows(told, entries),
        _pending(host, subject, entries, found, armed),
        readiness.reasons(host, settings, found, installation, entries),
    )


def _load(host: Host, subject: Subject, clock: Clock) -> Configuration:
    """A configuration that is damaged is refused with the way to its newest copy."""
    try:
        return configuration.load(host, subject.configuration, clock)
    except OctoError as error:
        folder, name = host.paths.split(subject.configuration)
        copies = [one for one in host.names_in(folder) if one.startswith(name + OURS) and one.endswith(".bak")]
        if copies:
            error.message += f" The newest copy of ours is {host.paths.join(folder, max(copies))}; what it lacks, the next run adds."
        raise


def row_of(seen: Seen) -> Row:
    return {
        "instance": seen.subject.instance,
        "configuration": seen.subject.configuration,
        "ok": True,
        "code": "",
        "reason": "",
        "thumbprint": seen.thumbprint,
        "communication": trust.communication(seen.entries),
        "listening": {"enabled": seen.settings.listens, "port": seen.settings.port, "ip": seen.settings.listen_ip},
        "trust": [entry.row() for entry in seen.entries],
        "service": service_row(seen.service),
        "restart_pending": seen.restart_pending,
        "pins_in_process": list(seen.armed.pins) if seen.armed else None,
        "polls": seen.polls,
        "ready": {"ok": not seen.reasons, "reasons": [reason.row() for reason in seen.reasons]},
    }


def service_row(service: Service) -> Row:
    return {
        "unit": service.unit,
        "known": service.known,
        "active": service.active,
        "pid": service.pid,
        "started_at": service.started_at,
        "started_monotonic_us": service.started_monotonic_us,
        "user": service.user,
        "argv": list(service.argv),
    }


def problem_row(entry: IndexEntry, error: OctoError) -> Row:
    """A row with every key, so that nobody has to ask which there are."""
    code = str(error.evidence.get("code") or "UNREADABLE")
    return {
        "instance": entry.instance,
        "configuration": entry.configuration,
        "ok": False,
        "code": code,
        "reason": error.message,
        "thumbprint": None,
        "communication": trust.NONE,
        "listening": {"enabled": False, "port": None, "ip": None},
        "trust": [],
        "service": service_row(Service("", False, False, 0, 0, "", "", ())),
        "restart_pending": log.UNKNOWN,
        "pins_in_process": None,
        "polls": [],
        "ready": {"ok": False, "reasons": [{"code": code, "sentence": error.message}]},
    }


def log_folder(host: Host, settings: Configuration) -> str:
    """Under the instance's home, which is the configuration's folder unless it was set (tentacle-cli.md 1.5, 3.3)."""
    folder = host.paths.dirname(settings.path)
    return str(host.paths.join(folder, settings.get(configuration.HOME).strip(), "Logs"))


def _pending(host: Host, subject: Subject, entries: trust.Entries, found: Found, armed: Optional[log.Armed]) -> str:
    service = found.service
    if not service.pid:
        return log.NO if service.known and not found.problem else log.UNKNOWN  # what does not run has nothing to catch up with
    file = host.stat(subject.configuration)
    return log.restart_pending(armed, entries, file.mtime_ns if file else 0, host.wall_ns(service.started_monotonic_us))
