# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Acceptances: findings that somebody has decided to live with, for a reason and until a day (a file of the user's).

An acceptance that has run out accepts nothing, and is a finding of its own while what it was about still stands.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Collection, Dict, Mapping, Optional, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._audit import audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import SEVERITIES
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import WHOLE_ESTATE
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

Unjudged = Mapping[str, Sequence[str]]
NOBODY: Unjudged = MappingProxyType({})
EXPIRED = "ACCEPTANCE_EXPIRED"
_KEYS = ("code", "subject", "reason", "until")
_WANTED = "The file is a list of entries with code, subject (exact, or with * and ?), reason, and until, a date such as 2027-01-31."

Finding = Mapping[str, Any]


@dataclass(frozen=True)
class Acceptance:
    code: str
    subject: str  # exact, or a pattern with * and ?
    reason: str
    until: date  # the last day on which it holds

    @property
    def label(self) -> str:
        return f"{self.code} {self.subject}"

    def covers(self, finding: Finding) -> bool:
        """A finding about a group is covered by its own name, or if each of the group is."""
        if finding["code"] != self.code:
            return False
        return self._means(finding["subject"]) or all(self._means(subject) for subject in finding["subjects"])

    def concerns(self, names: Sequence[str]) -> bool:
        """Of a host that could not be read, any of its Tentacles."""
        hosts = {name.partition("/")[0] for name in names if name.endswith("/*")}
        return self.subject.partition("/")[0] in hosts or any(name == WHOLE_ESTATE or self._means(name) for name in names)

    def holds_on(self, day: date) -> bool:
        return day <= self.until

    def row(self) -> Dict[str, str]:
        return {"code": self.code, "subject": self.subject, "reason": self.reason, "until": self.until.isoformat()}

    def _means(self, subject: str) -> bool:
        # A bracket is part of an IPv6 address here, and no set of characters.
        return subject == self.subject or fnmatchcase(subject, self.subject.replace("[", "[[]"))


@dataclass(frozen=True)
class Outcome:
    findings: Tuple[Dict[str, Any], ...]  # all of them, marked, with the ones about expired acceptances at the end
    unused: Tuple[Dict[str, str], ...]  # entries that met nothing: a note, so that the file does not rot


def parse(entries: Any, where: str, codes: Collection[str]) -> Tuple[Acceptance, ...]:
    """The acceptances of a file's content; OctoError with one sentence that names the first entry that is wrong. An empty file has none."""
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise OctoError(f"The acceptances {where} are no list. {_WANTED}")
    return tuple(_entry(entry, f"Entry {number} of the acceptances {where}", codes) for number, entry in enumerate(entries, 1))


def mark(document: Dict[str, Any], acceptances: Sequence[Acceptance], unjudged: Unjudged = NOBODY) -> Tuple[Dict[str, str], ...]:
    """Mark the document's findings, add those about what has run out on the day of the audit, and count anew; what was not used is returned.

    ``unjudged``: by code, of whom it was not judged. What is accepted of them may well stand, so it is no entry to be taken out.
    """
    outcome = apply(document["findings"], acceptances, date.fromisoformat(document["made_at"][:10]), unjudged)
    document["findings"] = sorted(outcome.findings, key=lambda one: (SEVERITIES.index(one["severity"]), one["code"], one["subject"], one["id"]))
    expired = sum(one["code"] == EXPIRED for one in outcome.findings)
    document["codes"][EXPIRED].update(found=expired, judged=len(acceptances))
    audit.count(document)
    return outcome.unused


def apply(findings: Sequence[Finding], acceptances: Sequence[Acceptance], today: date, unjudged: Unjudged = NOBODY) -> Outcome:
    """Mark what is accepted today. Of several acceptances of one finding the one that holds longest is shown."""
    marked = [{**finding, "accepted": _mark(finding, acceptances, today)} for finding in findings]
    more, unused = [], []
    for one in acceptances:
        met = [finding for finding in marked if one.covers(finding)]
        standing = [finding for finding in met if not finding["accepted"]]
        if one.holds_on(today) and met:
            continue
        if standing:
            more.append(_expired(one, standing))
        elif not one.concerns(unjudged.get(one.code, ())):
            unused.append(one.row())
    return Outcome((*marked, *more), tuple(unused))


def _mark(finding: Finding, acceptances: Sequence[Acceptance], today: date) -> Optional[Dict[str, str]]:
    holding = [one for one in acceptances if one.holds_on(today) and one.covers(finding)]
    if not holding:
        return None
    longest = max(holding, key=lambda one: one.until)
    return {"reason": longest.reason, "until": longest.until.isoformat()}


def _expired(one: Acceptance, standing: Sequence[Finding]) -> Dict[str, Any]:
    """In the shape of every finding (the JSON Schema holds it to that)."""
    hosts = {finding["host"] for finding in standing}
    named = standing[0]["subject"] if len(standing) == 1 else f"{len(standing)} findings"
    return {
        "id": hashlib.sha256(f"{EXPIRED}\n{one.code}\n{one.subject}".encode("utf-8", "surrogatepass")).hexdigest()[:12],
        "code": EXPIRED,
        "severity": "warning",
        "subject": one.label,
        "kind": standing[0]["kind"] if len(standing) == 1 else "fleet",
        "host": hosts.pop() if len(hosts) == 1 else "",
        "spaces": sorted({space for finding in standing for space in finding["spaces"]}),
        "environments": sorted({name for finding in standing for name in finding["environments"]}),
        "count": len(standing),
        "seen": f"{one.code} of {named} was accepted until {one.until.isoformat()} ({one.reason}), and still stands.",
        "remedy": f"Mend it (see {one.code}), or decide anew: give the entry of {one.subject} a later `until` and a reason that is still true.",
        "subjects": [finding["subject"] for finding in standing],
        "page": f"codes/{EXPIRED}",
        "accepted": None,
        "status": None,
    }


def _entry(entry: Any, what: str, codes: Collection[str]) -> Acceptance:
    if not isinstance(entry, Mapping):
        raise OctoError(f"{what} is no dictionary. {_WANTED}")
    strange = sorted(str(key) for key in entry if key not in _KEYS)
    if strange:
        raise OctoError(f"{what} has {', '.join(strange)}, which means nothing here. {_WANTED}")
    missing = [key for key in _KEYS if not str(entry.get(key) or "").strip()]
    if missing:
        raise OctoError(f"{what} has no {' and no '.join(missing)}. {_WANTED}")
    code = str(entry["code"]).strip()
    if code == EXPIRED:
        raise OctoError(f"{what} accepts {EXPIRED}. An acceptance that has run out is given a later day, or taken out.")
    if code not in codes:
        raise OctoError(f"{what} accepts {code}, which is no code of a finding. They are {', '.join(sorted(codes))}.")
    return Acceptance(code, str(entry["subject"]).strip(), str(entry["reason"]).strip(), _day(entry["until"], what))


def _day(value: Any, what: str) -> date:
    """YAML reads 2027-01-31 as a date and "2027-01-31" as text."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise OctoError(f"{what} is until {value!r}, which is no date. {_WANTED}") from None
