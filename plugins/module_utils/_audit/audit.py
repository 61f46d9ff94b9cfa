# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The audit's document: a row for each Tentacle, the trust matrix, the findings, and what was not judged. Docs: docs/schema/audit-1.schema.json."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import facts as audit_facts
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import identity_rules, pins
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import SEVERITIES
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import SOURCES, AuditFacts, CertificateSeen, Reading, Server
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import Estate, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.judge import Judgement
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import FLEET
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import Record

SCHEMA, VERSION = "octofleet.octopus/audit", 1
FINE, NOT_JUDGED = "fine", "not_judged"


class Audited(NamedTuple):
    document: Dict[str, Any]  # as the JSON report has it
    unjudged: Mapping[str, Sequence[str]]  # by code, of whom it was not judged: what a comparison needs, and no report


def audit(facts: AuditFacts) -> Dict[str, Any]:
    return audited(facts).document


def audited(facts: AuditFacts) -> Audited:
    """The whole audit."""
    estate = Estate(facts)
    judgement = Judgement(estate)
    columns = _columns(estate)
    share = _Shared()
    rows = [_row(estate, subject, columns, share) for subject in estate.subjects]
    _rate(estate, rows, judgement.findings)
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "made_at": facts.made_at,
        "collection": facts.collection,
        "server_url": facts.server_url,
        "sources": {source: _source(facts, source, estate.subjects) for source in SOURCES},
        "servers": [_server(server) for server in (facts.server, *(facts.known or ()))],
        "certificates": [_certificate(estate, certificate, rows) for certificate in columns],
        "tentacles": rows,
        "findings": judgement.findings,
        "codes": judgement.codes(),
        "counts": {},
        "changes": None,
    }
    count(document)
    return Audited(document, judgement.unjudged())


def count(document: Dict[str, Any]) -> None:
    """The numbers at the top, from what the document has; anew after findings were accepted."""
    rows, findings = document["tentacles"], document["findings"]
    document["counts"] = {
        "tentacles": len(rows),
        "hosts": len({row["host"] for row in rows if row["host"]}),
        **{severity: sum(1 for one in findings if one["severity"] == severity and not one["accepted"]) for severity in SEVERITIES},
        "accepted": sum(1 for one in findings if one["accepted"]),
        FINE: sum(1 for row in rows if row["severity"] == FINE),
        NOT_JUDGED: sum(1 for row in rows if row["severity"] == NOT_JUDGED),
    }
    for code, tally in document["codes"].items():
        tally["accepted"] = sum(1 for one in findings if one["code"] == code and one["accepted"])


def _columns(estate: Estate) -> List[str]:
    """Server certificates: ours, other Servers', then pins that nobody presents, the most frequent first."""
    pinned: Dict[str, int] = {}
    for subject in estate.subjects:
        for pin in _pins_of(subject):
            pinned[pin] = pinned.get(pin, 0) + 1
    ghosts = sorted(set(pinned) - estate.ours - estate.theirs, key=lambda pin: (-pinned[pin], pin))
    return [*sorted(estate.ours), *sorted(estate.theirs - estate.ours), *ghosts]


def _pins_of(subject: Subject) -> Set[str]:
    """Those that are thumbprints: one that is spelled otherwise is what its cell calls spoiled, and no certificate of its own."""
    on_disk = subject.disk.pins() if subject.disk else frozenset()
    running = subject.process.pins_in_process if subject.process else None
    return {pin for pin in on_disk | (running or frozenset()) if _thumbprint.is_canonical(pin)}


class _Shared:
    """Equal parts of rows are one object: of 5,000 Tentacles nearly all were read alike. What a part is made of is shared already."""

    def __init__(self) -> None:
        self._met: Dict[Tuple[Any, ...], Dict[str, Any]] = {}
        self._lists: Dict[Tuple[str, ...], List[str]] = {}

    def __call__(self, part: Dict[str, Any]) -> Dict[str, Any]:
        key = tuple((name, id(value) if isinstance(value, dict) else value) for name, value in part.items())
        return self._met.setdefault(key, part)

    def names(self, words: Iterable[str]) -> List[str]:
        """Sorted, each once."""
        found = sorted(set(words))
        return self._lists.setdefault(tuple(found), found)


def _row(estate: Estate, subject: Subject, columns: Sequence[str], share: _Shared) -> Dict[str, Any]:
    edge, facts = subject.edge, estate.facts
    said = _said(facts.certificates.get(subject.presented or ""))
    process = subject.process
    shown = estate.ours | estate.theirs | _pins_of(subject) if subject.is_tentacle else frozenset()
    return {
        "id": subject.name,
        "host": edge.host,
        "instance": "" if edge.instance == "*" else edge.instance,
        "style": edge.style,
        "endpoint": edge.endpoint,
        "subscription": edge.subscription,
        "spaces": share.names(record.space for record in subject.records),
        "environments": share.names(name for record in subject.records for name in record.environments),
        "roles": share.names(role for record in subject.records for role in record.roles),
        "records": [_record(facts, record) for record in subject.records],
        "presented": subject.presented,
        "on_disk": subject.on_disk,
        "certificate": share(said) if said else None,
        "started_at": process.started_at if process else "",
        "restart_pending": process.restart_pending if process else "unknown",
        "sources": share({source: share(_reading(reading)) for source, reading in subject.sources.items()}),
        "identity": identity_rules.identity(subject),
        "cells": share({one: share(_cell(estate, subject, one)) for one in columns if one in shown}),
        "severity": NOT_JUDGED,
    }


def _cell(estate: Estate, subject: Subject, certificate: str) -> Dict[str, str]:
    words = pins.said(estate, subject, certificate)
    return {"state": pins.state(subject, words), **words._asdict()}


def _record(facts: AuditFacts, record: Record) -> Dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "space": record.space,
        "kind": record.kind,
        "thumbprint": record.thumbprint.upper() if record.thumbprint else None,
        "is_disabled": record.is_disabled,
        "health": record.health_status,
        "last_contact": facts.last_contact.get(f"{record.space}/{record.id}"),
    }


def _rate(estate: Estate, rows: Sequence[Dict[str, Any]], findings: Sequence[Mapping[str, Any]]) -> None:
    """Each row's worst finding; what is so by default everywhere is said once, and marks no row.

    *Fine* is said only of a Tentacle whose trust in each node's certificate some source has shown. While a node was not read or presents what is
    hardly the Server's, that is nobody; only where no node is known at all, the certificate that the database names stands for them.
    """
    worst: Dict[str, str] = {}
    for finding in reversed(findings):  # the worst come first
        for name in finding["subjects"] if finding["kind"] != FLEET else ():
            worst[name] = finding["severity"]
    server = estate.facts.server
    wanted = estate.presented if server.nodes else frozenset({server.database} - {None})
    known = wanted and not estate.disputed and all(node.reading.state != audit_facts.NOT_READ for node in server.nodes)
    for row in rows:
        trusted = all(row["cells"].get(certificate, {}).get("state") == pins.TRUSTED for certificate in wanted)
        shown = known and trusted and row["identity"] in (identity_rules.AGREES, identity_rules.SINGLE)
        row["severity"] = worst.get(row["id"]) or (FINE if shown else NOT_JUDGED)


def _source(facts: AuditFacts, source: str, subjects: Sequence[Subject]) -> Dict[str, Any]:
    whole = facts.reading_of(source)
    states = [subject.sources[source].state for subject in subjects]
    mode = ("trust" if facts.callers else "identity") if source == audit_facts.WIRE and whole.ok else ""
    return {
        "asked": whole.state != audit_facts.NOT_ASKED,
        "mode": mode,
        "read": states.count(audit_facts.READ),
        "not_read": states.count(audit_facts.NOT_READ),
        "reason": whole.reason,
    }


def _server(server: Server) -> Dict[str, Any]:
    return {
        "name": server.name,
        "ours": server.name == audit_facts.THIS_SERVER,
        "database": server.database,
        "nodes": [{"name": node.name, "address": node.address, "presented": node.presented, **_reading(node.reading)} for node in server.nodes],
    }


def _reading(reading: Reading) -> Dict[str, str]:
    return {"state": reading.state, "reason": reading.reason}


def _certificate(estate: Estate, certificate: str, rows: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    facts = estate.facts
    presenting = [(server, node.name) for server in (facts.server, *(facts.known or ())) for node in server.nodes if node.presented == certificate]
    names = list(dict.fromkeys(server.name for server, _node in presenting))
    if certificate == facts.server.database and audit_facts.THIS_SERVER not in names:
        names.insert(0, "this Server's database")
    label = ", ".join(names) or ("given" if certificate in estate.ours else "unknown")
    said = _said(facts.certificates.get(certificate))
    return {
        "thumbprint": certificate,
        "label": label,
        "presented_by": [node for _server, node in presenting],
        "ours": certificate in estate.ours,
        "retired": certificate in (facts.retired or ()),
        "pinned_by": sum(1 for row in rows if row["cells"].get(certificate, {}).get("disk") == pins.YES),
        **(said or {"signature_algorithm": None, "key": None, "not_after": None}),
    }


def _said(seen: Optional[CertificateSeen]) -> Optional[Dict[str, Optional[str]]]:
    if seen is None:
        return None
    key = f"{seen.key_algorithm} {seen.key_bits}" if seen.key_bits else seen.key_algorithm
    return {"signature_algorithm": seen.signature_algorithm or None, "key": key or None, "not_after": seen.not_after or None}
