# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Two audits of one fleet: which findings are new, which are gone, and which are gone from sight only."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import SCHEMA, VERSION
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import READ, SOURCES
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import CERTIFICATE, NODE, SPACE, WHOLE_ESTATE
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

_UNREACHABLE, _SOURCES_DISAGREE = "UNREACHABLE", "SOURCES_DISAGREE"
# Of an earlier audit, what a comparison needs.
_NEEDED = {
    "made_at": str,
    "sources": {source: {"asked": bool, "mode": str, "read": int} for source in SOURCES},
    "servers": [{"name": str}],
    "tentacles": [{"id": str, "host": str, "sources": {source: {"state": str} for source in SOURCES}}],
    "findings": [{"id": str, "code": str, "kind": str, "subject": str, "subjects": [str], "spaces": [str]}],
}

Document = Mapping[str, Any]


def read(data: bytes, where: str) -> Dict[str, Any]:
    """An earlier report; OctoError with one sentence if it is none, or of another version than this collection writes."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except ValueError:
        raise OctoError(f"{where} is no JSON, so no earlier audit to compare with. Name the JSON report of one.") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA or "version" not in document:
        raise OctoError(f"{where} is no report of an audit (its schema is not {SCHEMA}). Name the JSON report of an earlier one.")
    if document["version"] != VERSION:
        raise OctoError(
            f"{where} is an audit of schema version {document['version']}, and this collection compares version {VERSION}."
            " Make an audit anew, and compare later ones with that."
        )
    lack = _lack(document, _NEEDED)
    if lack:
        raise OctoError(f"{where} is not whole: it has no {lack} as an audit writes it. Name the JSON report of an earlier one, as it was written.")
    return document


def compare(document: Document, earlier: Document, unjudged: Mapping[str, Sequence[str]]) -> Dict[str, Any]:
    """``document`` with the status of its findings and with ``changes``; ``unjudged``: by code, of whom this audit did not judge it.

    A finding that is not there any more is gone only if somebody looked (a fleet does not get well by not being read).
    """
    before = {finding["id"] for finding in earlier["findings"]}
    again = _under_another_name(document, earlier)
    now = {again.get(finding["id"], finding["id"]) for finding in document["findings"]}
    absent = [finding for finding in earlier["findings"] if finding["id"] not in now]
    blindness = _Blindness(document, earlier, unjudged)
    unseen = {finding["id"] for finding in absent if blindness.hides(finding)}
    changes = {
        "since": earlier["made_at"],
        "new": [finding["id"] for finding in document["findings"] if finding["id"] not in before and finding["id"] not in again],
        "gone": [finding for finding in absent if finding["id"] not in unseen],
        "not_judged": [finding for finding in absent if finding["id"] in unseen],
        "unchanged": len(now & before),
    }
    unchanged = before | again.keys()
    findings = [{**finding, "status": "unchanged" if finding["id"] in unchanged else "new"} for finding in document["findings"]]
    return {**document, "findings": findings, "changes": changes}


def _under_another_name(document: Document, earlier: Document) -> Dict[str, str]:
    """By id of a finding, its id in the earlier audit, where one of both could not tell the host's instance, and the code is found once of that host."""
    alone = []
    for one, other in ((document, earlier), (earlier, document)):
        there = {finding["id"] for finding in other["findings"]}
        found: Dict[Tuple[str, str], List[Tuple[str, str]]] = {}
        for finding in one["findings"]:
            host, slash, instance = finding["subject"].partition("/")
            if slash and finding["id"] not in there:
                found.setdefault((finding["code"], host), []).append((instance, finding["id"]))
        alone.append({key: names[0] for key, names in found.items() if len(names) == 1})
    now, then = alone
    return {now[key][1]: then[key][1] for key in now.keys() & then.keys() if "*" in (now[key][0], then[key][0])}


class _Blindness:
    """What an audit did not judge, and what an earlier one had seen that it does not: a source, a space, a Server, of all or of one Tentacle."""

    def __init__(self, document: Document, earlier: Document, unjudged: Mapping[str, Sequence[str]]) -> None:
        self._document, self._earlier = document, earlier
        self._unjudged = {code: frozenset(names) for code, names in unjudged.items()}
        self._rows, self._earlier_rows = ({row["id"]: row for row in one["tentacles"]} for one in (document, earlier))
        self._sources = _answering(earlier) - _answering(document)
        self._asks_no_more = [one["sources"]["wire"]["mode"] == "trust" for one in (earlier, document)] == [True, False]
        self._spaces = _unread_spaces(document) - _unread_spaces(earlier)
        self._servers = {server["name"] for server in earlier["servers"]} - {server["name"] for server in document["servers"]}

    def hides(self, finding: Document) -> bool:
        return (
            not self._unjudged.get(finding["code"], frozenset()).isdisjoint((WHOLE_ESTATE, finding["subject"], *finding["subjects"]))
            or any(space in finding["spaces"] for space, _part in self._spaces)
            or self._is_of_a_server_not_named(finding)
            or (finding["code"] == _UNREACHABLE and bool(self._sources))  # what was not asked was not reached either
            or (finding["code"] == _SOURCES_DISAGREE and self._asks_no_more)  # whom a Tentacle lets in, contrary to its configuration
            or any(self._was_read_of(subject, source) for subject in finding["subjects"] for source in self._document["sources"])
        )

    def _is_of_a_server_not_named(self, finding: Document) -> bool:
        """A certificate that two Servers present may be that one's."""
        of_node = finding["kind"] == NODE and any(finding["subject"].startswith(f"{server} (") for server in self._servers)
        return of_node or (finding["kind"] == CERTIFICATE and bool(self._servers))

    def _was_read_of(self, subject: str, source: str) -> bool:
        """And is not any more."""
        return _was_read(source, self._earlier, self._earlier_rows.get(subject)) and not _was_read(source, self._document, self._now(subject))

    def _now(self, subject: str) -> Optional[Document]:
        """The row of a Tentacle. Of a host that could not be read it is not known which instances it has: there the host's row speaks for it."""
        if subject in self._rows or subject not in self._earlier_rows:
            return self._rows.get(subject)
        host = self._earlier_rows[subject]["host"]
        return self._rows.get(f"{host}/*") if host else None


def _answering(document: Document) -> Set[str]:
    """The sources that did not fail as a whole."""
    failed = {finding["subject"] for finding in document["findings"] if finding["code"] == _UNREACHABLE}
    return {name for name, source in document["sources"].items() if source["asked"] and f"source {name}" not in failed}


def _unread_spaces(document: Document) -> Set[Tuple[str, str]]:
    """With the finding that says so, which is another for each part of a space."""
    unread = (finding for finding in document["findings"] if finding["code"] == _UNREACHABLE and finding["kind"] == SPACE)
    return {(space, finding["id"]) for finding in unread for space in finding["spaces"]}


def _was_read(source: str, document: Document, row: Optional[Document]) -> bool:
    """Of the Tentacle; of whatever is no Tentacle, or is none any more, as far as the source was read at all."""
    return bool(row["sources"][source]["state"] == READ if row else document["sources"][source]["read"])


def _lack(found: Any, needed: Any, place: str = "") -> str:
    """The first place where a document has not what a comparison needs; empty if it has all."""
    kind: Any = needed if isinstance(needed, type) else type(needed)
    if not isinstance(found, kind):
        return place.lstrip(".")
    parts: Iterable[Tuple[Any, Any, str]] = ()
    if isinstance(needed, dict):
        parts = ((found.get(name), one, f"{place}.{name}") for name, one in needed.items())
    elif isinstance(needed, list):
        parts = ((one, needed[0], f"{place}[{number}]") for number, one in enumerate(found))
    return next(filter(None, (_lack(*part) for part in parts)), "")
