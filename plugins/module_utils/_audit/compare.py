# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Two audits of one fleet: which findings are new, which are gone, and which are gone from sight only."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import SPACE
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

SCHEMA = "octofleet.octopus/audit"
VERSION = 1
_READ = "read"

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
    return document


def compare(document: Document, earlier: Document) -> Dict[str, Any]:
    """``document`` with the status of its findings and with ``changes``.

    A finding that is not there any more is gone only if somebody looked: with a source less than the earlier audit had, of its
    subject or as a whole, it is not judged (a fleet does not get well by not being read).
    """
    before = {finding["id"]: finding for finding in earlier["findings"]}
    now = {finding["id"] for finding in document["findings"]}
    absent = [finding for finding in earlier["findings"] if finding["id"] not in now]
    rows = tuple({row["id"]: row for row in one["tentacles"]} for one in (document, earlier))
    unseen = [finding for finding in absent if _is_out_of_sight(finding, document, earlier, *rows)]
    changes = {
        "since": earlier["made_at"],
        "new": [finding["id"] for finding in document["findings"] if finding["id"] not in before],
        "gone": [finding for finding in absent if finding not in unseen],
        "not_judged": unseen,
        "unchanged": len(now & before.keys()),
    }
    findings = [{**finding, "status": "unchanged" if finding["id"] in before else "new"} for finding in document["findings"]]
    return {**document, "findings": findings, "changes": changes}


def _is_out_of_sight(finding: Document, document: Document, earlier: Document, rows: Document, earlier_rows: Document) -> bool:
    code = document["codes"].get(finding["code"])
    if code is not None and not code["judged"] and code["not_judged"]:
        return True
    if finding["code"] == "UNREACHABLE" and any(earlier["sources"][name]["asked"] and not one["asked"] for name, one in document["sources"].items()):
        return True  # what was not asked this time was not reached either
    if finding["code"] != "UNREACHABLE" and finding["kind"] == SPACE and any(_is_unread(one, finding["spaces"]) for one in document["findings"]):
        return True
    return any(
        _was_read(source, earlier, earlier_rows.get(subject)) and not _was_read(source, document, _same(rows, subject, earlier_rows))
        for subject in finding["subjects"]
        for source in document["sources"]
    )


def _is_unread(finding: Document, spaces: Sequence[str]) -> bool:
    return finding["code"] == "UNREACHABLE" and finding["kind"] == SPACE and not set(finding["spaces"]).isdisjoint(spaces)


def _same(rows: Document, subject: str, earlier_rows: Document) -> Optional[Document]:
    """The row of a Tentacle now. Of a host that could not be read it is not known which instances it has: there the host's row speaks for it."""
    if subject in rows or subject not in earlier_rows:
        return rows.get(subject)
    host = earlier_rows[subject]["host"]
    return rows.get(f"{host}/*") if host else None


def _was_read(source: str, document: Document, row: Optional[Document]) -> bool:
    """Of the Tentacle; of whatever is no Tentacle, or is none any more, as far as the source was read at all."""
    return bool(row["sources"][source]["state"] == _READ if row else document["sources"][source]["read"])
