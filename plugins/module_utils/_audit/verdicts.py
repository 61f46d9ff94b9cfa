# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The words of the judging: what a rule may answer, and a finding as it is shown."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple, Union

from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import DISK
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import Estate, Subject

TENTACLE, NODE, SERVER, CERTIFICATE, SPACE, FLEET, HOST = "tentacle", "node", "server", "certificate", "space", "fleet", "host"


class Fine(NamedTuple):
    """Judged, and nothing was found."""

    times: int = 1


WHOLE_ESTATE = ""  # as the name of what was not judged: anything may be concerned


class Unjudged(NamedTuple):
    """A source that the code needs was not read. ``name``: of whom or what, as a finding would have it; the rule's own subject by default."""

    reason: str
    name: str = WHOLE_ESTATE


class Found(NamedTuple):
    """``values`` fill the code's remedy; ``of`` are the subjects concerned, the rule's own by default; ``key`` tells two findings of one subject apart."""

    seen: str
    values: Mapping[str, str] = {}
    key: str = ""
    of: Tuple[Subject, ...] = ()
    name: str = ""  # of what is no Tentacle
    kind: str = TENTACLE
    spaces: Tuple[str, ...] = ()
    remedy: str = ""  # in place of the code's, where that would not do


Verdict = Union[Fine, Unjudged, Found]
SubjectRule = Callable[[Estate, Subject], Iterator[Verdict]]
EstateRule = Callable[[Estate], Iterator[Verdict]]


def disk_unread(subject: Subject) -> Iterator[Verdict]:
    """For a code that needs the disk: whoever is no Tentacle has none."""
    if subject.is_tentacle:
        yield Unjudged(subject.silence(DISK), subject.name)


def row(code: str, found: Found) -> Dict[str, Any]:
    """The finding in the document; its id is the same in each audit that finds it again."""
    subjects = found.of
    first = subjects[0] if subjects else None
    name = found.name or (first.name if first else "")
    hosts = {subject.edge.host for subject in subjects}
    return {
        "id": hashlib.sha256("\n".join((code, name, found.key)).encode("utf-8", "surrogatepass")).hexdigest()[:12],
        "code": code,
        "severity": CODES[code].severity,
        "subject": name,
        "kind": found.kind,
        "host": hosts.pop() if len(hosts) == 1 else found.values.get("host", "") if found.kind == HOST else "",
        "spaces": sorted({record.space for subject in subjects for record in subject.records} | set(found.spaces)),
        "environments": sorted({environment for subject in subjects for record in subject.records for environment in record.environments}),
        "count": max(1, len(subjects)),
        "seen": found.seen,
        "remedy": _remedy(found.remedy or CODES[code].remedy, first, found.values),
        "subjects": [subject.name for subject in subjects] or [name],
        "page": f"codes/{code}",
        "accepted": None,
        "status": None,
    }


def records_of(subject: Subject) -> str:
    return ", ".join(record.label for record in subject.records)


class _Values(Dict[str, str]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


def _remedy(template: str, subject: Optional[Subject], values: Mapping[str, str]) -> str:
    known = _Values(twin="")
    if subject is not None:
        edge = subject.edge
        known.update(
            host=edge.host or "<its host>",
            instance=_quoted(edge.instance) if edge.instance not in ("", "*") else f"<the one that is {edge.identity}>",
            endpoint=edge.endpoint or "its address",
            record=records_of(subject),
            name=subject.name,
            configuration=(subject.instance.configuration if subject.instance else "") or "its configuration",
        )
    known.update(values)
    remedy = template.format_map(known)
    blank = subject is not None and subject.disk is not None and any(not entry.spelled.strip() for entry in subject.disk.trust)
    # With an entry without a thumbprint the module changes nothing of the trust.
    return f"First repair what BLANK_PIN names. {remedy}" if blank and "octo_trust" in remedy else remedy


def _quoted(name: str) -> str:
    """As a shell of either kind, and ansible, take it for one word."""
    return name if re.fullmatch(r"[\w.-]+", name, re.ASCII) else '"' + name.replace("'", "'\\''") + '"'
