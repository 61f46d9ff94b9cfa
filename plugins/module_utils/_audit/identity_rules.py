# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Findings about a Tentacle's own certificate and key, and about what its process works with."""

from __future__ import annotations

from typing import Dict, Iterator, List

from ansible_collections.octofleet.octopus.plugins.module_utils._audit import facts as audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import pins
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import CertificateSeen
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import Estate, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.trust_rules import lost_by_a_restart
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import (
    Fine,
    Found,
    SubjectRule,
    Unjudged,
    Verdict,
    disk_unread,
    records_of,
)
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some

AGREES, DIFFERS, DISPUTED, SINGLE = "agrees", "differs", "disputed", "single"
_LEAST_RSA_BITS = 2048
# Reasons against a restart (readiness.py) that mean that the agent would not come up, or would not listen.
_DOWN = ("MACHINE_ID_CHANGED", "EXECUTABLE_MISSING", "STORE_OWNER", "PORT_TAKEN")
_WEAK_SIGNATURES = ("sha1", "md5", "md2")


def identity(subject: Subject) -> str:
    """How record, disk and wire agree about the Tentacle's own certificate."""
    seen = [one for one in (subject.presented, subject.on_disk) if one] + sorted(subject.recorded)
    if not seen:
        return audit.NOT_READ
    if is_disputed(subject):
        return DISPUTED
    return (AGREES if len(seen) > 1 else SINGLE) if len(set(seen)) == 1 else DIFFERS


def is_disputed(subject: Subject) -> bool:
    """The wire shows another certificate than the disk has, though nothing was changed since the process started."""
    return bool(subject.presented and subject.on_disk and subject.presented != subject.on_disk and pins.is_settled(subject))


def is_touched(subject: Subject) -> bool:
    """The configuration is newer than the process, which yet works with just what it says."""
    process = subject.process
    if process is None or not process.newer_than_process or process.restart_pending != "no":
        return False
    return subject.presented is not None and subject.presented == subject.on_disk


def is_weak(signature_algorithm: str, key_algorithm: str = "", key_bits: int = 0) -> bool:
    return signature_algorithm.lower().startswith(_WEAK_SIGNATURES) or (key_algorithm == "RSA" and 0 < key_bits < _LEAST_RSA_BITS)


def said_of(seen: CertificateSeen) -> str:
    return f"{seen.signature_algorithm}, {seen.key_algorithm} {seen.key_bits}"


def _stale_record(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if not subject.is_tentacle:
        return
    if not subject.has(audit.DATABASE):
        yield Unjudged(subject.silence(audit.DATABASE))
        return
    if not subject.records:
        return
    shown = subject.presented or subject.on_disk
    if is_disputed(subject):
        yield Unjudged("wire and disk contradict each other")
    elif shown is None:
        yield Unjudged("neither its wire nor its disk was read")
    elif subject.presented is None and _is_pending(subject):
        yield Unjudged("its configuration was changed and its service not restarted, so what it presents is not known")
    else:
        stale = [record for record in subject.records if record.thumbprint and record.thumbprint.upper() != shown]
        if not subject.recorded:
            yield Unjudged("its record has no thumbprint")
            return
        where = f"{subject.edge.endpoint} presents" if subject.presented else "its configuration has"
        for record in stale:
            recorded = (record.thumbprint or "").upper()
            values = {"record": record.label, "how": _how_to_meet(subject, record.label, recorded, shown)}
            yield Found(f"{record.label} has {recorded} on record, and {where} {shown}.", values, f"{record.space} {record.id}", (subject,))
        if not stale:
            yield Fine()


def _how_to_meet(subject: Subject, label: str, recorded: str, shown: str) -> str:
    """Record and Tentacle brought together without cutting off what works: by the one that is already as it should be."""
    if subject.presented and subject.on_disk == recorded:
        return "restart the Tentacle, whose configuration has what is on record"
    if subject.presented is None and subject.process is None:
        return (
            f"set the thumbprint of {label} to {shown} on the Server and restart the Tentacle at once, since what its process presents was not read"
        )
    return f"set the thumbprint of {label} to {shown} on the Server"


def _restart_pending(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.instance is None and not subject.edge.host:
        return
    process, presented, on_disk = subject.process, subject.presented, subject.on_disk
    differs = bool(presented and on_disk and presented != on_disk)
    if is_disputed(subject) or is_touched(subject):
        yield Unjudged("two sources contradict each other")
        return
    seen: List[str] = []
    cut = bool(on_disk and subject.recorded and on_disk not in subject.recorded)
    if differs:
        seen.append(f"it presents {presented} and its configuration has {on_disk}")
    if process is not None and _is_pending(subject):
        how = "its log names other pins than the configuration has" if process.restart_pending == "yes" else "its configuration is newer"
        changed = f" (changed {process.modified_at})" if process.modified_at else ""
        seen.append(f"its process {process.pid} started {process.started_at or 'before'} and {how}{changed}")
    if seen and cut:
        recorded = ", ".join(sorted(subject.recorded))
        seen.append(f"the Server has {recorded} on record, and would refuse {on_disk} after the restart")
    if seen:
        lost = lost_by_a_restart(estate, subject)
        risks = sorted({_risk_of(code) for code, _sentence in (subject.disk.unready if subject.disk else ()) if _risk_of(code)})
        if risks:
            how = f"Do not restart it before what {' and '.join(risks)} names is repaired; then"
        elif lost:
            how = f"Do not restart it before its configuration trusts {some(lost)} (see LOCKED_OUT_AFTER_RESTART); then"
        elif cut:
            how = f"Do not restart it before {records_of(subject)} has {on_disk} on the Server; then restart it at once"
        else:
            how = "Restart it when it is idle"
        # Whether a certificate was made anew is not in a process's log, so a polling Tentacle would not be found to be stale by that (decisions 25).
        shows = bool(presented) or (process is not None and process.restart_pending in ("yes", "probably"))
        yield Found(f"{subject.name}: {'; '.join(seen)}.", {"how": how, "state": "restarted_if_stale" if shows else "restarted"}, "", (subject,))
    elif subject.has(audit.PROCESS) or (presented and on_disk):
        yield Fine()
    else:
        yield Unjudged(subject.silence(audit.PROCESS))


def _identity_at_risk(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.disk is None:
        yield from disk_unread(subject)
        return
    sentence = next((sentence for code, sentence in subject.disk.unready if code == "IDENTITY_AT_RISK"), "")
    yield Found(sentence, {}, "", (subject,)) if sentence else Fine()


def _down_after_restart(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.disk is None:
        yield from disk_unread(subject)
        return
    sentences = [sentence for code, sentence in subject.disk.unready if code in _DOWN]
    yield Found(" ".join(sentences), {}, "", (subject,)) if sentences else Fine()


def _key_copies(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.disk is None:
        yield from disk_unread(subject)
        return
    copies = subject.disk.key_copies
    if copies is None:
        yield Unjudged("the certificate store was not read")
    elif copies > 1:
        yield Found(f"{copies} private keys lie in the certificate store of the account that runs {subject.name}; one is in use.", {}, "", (subject,))
    else:
        yield Fine()


def _weak_cert(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if not subject.is_tentacle:
        return
    seen = estate.facts.certificates.get(subject.presented or "")
    recorded = sorted({record.signature_algorithm for record in subject.records if record.signature_algorithm}) if subject.has(audit.DATABASE) else []
    if seen is not None and seen.signature_algorithm:
        weak = is_weak(seen.signature_algorithm, seen.key_algorithm, seen.key_bits)
        yield Found(f"{subject.name} presents {seen.thumbprint} ({said_of(seen)}).", {}, "", (subject,)) if weak else Fine()
    elif any(is_weak(one) for one in recorded):
        yield Found(f"{records_of(subject)}: its certificate is signed with {', '.join(recorded)}.", {}, "", (subject,))
    elif recorded:
        yield Unjudged("the record tells the signature and not the length of the key")
    else:
        yield Unjudged("no certificate of it was seen")


def _sources_disagree(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    read = sum(subject.has(source) for source in audit.SOURCES)
    if read < 2 and not _answers_in_its_place(subject):
        yield Unjudged("it takes two sources")
        return
    seen: List[str] = []
    process = subject.process
    if is_disputed(subject):
        recorded = f", the Server's record {', '.join(sorted(subject.recorded))}" if subject.recorded else ""
        seen.append(
            f"wire: {subject.edge.endpoint} presents {subject.presented}; disk: {subject.on_disk}{recorded}; process: nothing was changed since it started"
        )
    elif is_touched(subject) and process is not None:
        seen.append(
            f"process: the configuration is newer ({process.modified_at or 'changed after its start'}) than the process {process.pid} "
            f"({process.started_at}); wire and log: the process works with just what it says, so the file was touched or a clock moved"
        )
    if process is not None and process.newer_than_process is False and process.restart_pending == "yes" and subject.disk is not None:
        seen.append(
            f"process: nothing was changed since process {process.pid} started ({process.started_at}); disk and log: the configuration has other pins "
            "than the process named at its start, so a clock moved or a file was put back with its old time"
        )
    stranger = _answers_in_its_place(subject)
    if stranger:
        seen.append(stranger)
    for certificate in sorted(estate.presented) if subject.is_tentacle else ():
        words = pins.said(estate, subject, certificate)
        if pins.state(subject, words) == pins.DISAGREE:
            seen.append(f"{certificate} is trusted by: wire {words.wire}, disk {words.disk}, process {words.process}".replace("_", " "))
    yield Found(f"{subject.name}: {'; '.join(seen)}.", {}, "", (subject,)) if seen else Fine()


RULES: Dict[str, SubjectRule] = {
    "STALE_RECORD": _stale_record,
    "RESTART_PENDING": _restart_pending,
    "IDENTITY_AT_RISK": _identity_at_risk,
    "DOWN_AFTER_RESTART": _down_after_restart,
    "KEY_COPIES": _key_copies,
    "WEAK_CERT": _weak_cert,
    "SOURCES_DISAGREE": _sources_disagree,
}


def _answers_in_its_place(subject: Subject) -> str:
    """What behaves as no Tentacle does, and presents what neither the disk nor the Server's record has: something that ends TLS in between."""
    shown = subject.sight.presented if subject.sight and not subject.sight.reading.ok else None
    own = {*subject.recorded, *((subject.on_disk,) if subject.on_disk else ())}
    if shown is None or not own or shown.upper() in own or subject.sight is None:
        return ""
    return f"wire: {subject.edge.endpoint} presents {shown.upper()} ({subject.sight.reason}); disk and database: {', '.join(sorted(own))}"


def _risk_of(reason: str) -> str:
    """The code that tells of a reason against a restart."""
    return reason if reason == "IDENTITY_AT_RISK" else "DOWN_AFTER_RESTART" if reason in _DOWN else ""


def _is_pending(subject: Subject) -> bool:
    """By the times, or by what the process named at its start; the latter needs the disk, too."""
    process = subject.process
    if process is None:
        return False
    named = process.restart_pending == "yes" and subject.has(audit.DISK)
    return named or process.restart_pending == "probably" or bool(process.newer_than_process)
