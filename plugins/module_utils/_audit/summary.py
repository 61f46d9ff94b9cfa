# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What a person reads in the terminal: the numbers, the critical findings as sentences, and where the rest is. Some twenty lines."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import PurePath
from typing import Any, List, Mapping, Sequence
from typing import Counter as Counts

from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.tabular import fails
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some

Document = Mapping[str, Any]
_MOST_FINDINGS = 5
_MOST_NAMES = 3


def lines(document: Document, unused: Sequence[Mapping[str, str]] = (), paths: Sequence[str] = (), answer: Any = None) -> List[str]:
    """``unused``: acceptances that met nothing; ``paths``: of the reports; ``answer``: to the person's query."""
    return [
        *_numbers(document),
        *_sources(document),
        *_changes(document),
        *_tally(document, "critical", "Critical"),
        *_examples(document),
        *_tally(document, "warning", "Warnings"),
        *_not_judged(document),
        *([f"Accepted, and not found: {some([_label(one) for one in unused], _MOST_NAMES)}."] if unused else []),
        *([f"Reports in {PurePath(paths[0]).parent}: {', '.join(PurePath(path).name for path in paths)}"] if paths else []),
        *(json.dumps(answer, indent=1, ensure_ascii=False).splitlines() if answer is not None else []),
    ]


def failure(document: Document, fail_on: str) -> str:
    """The sentence that the task fails with; empty if it does not."""
    failing = [one for one in document["findings"] if not one["accepted"] and fails(one["severity"], fail_on)]
    if not failing:
        return ""
    named = some([_label(one) for one in failing], _MOST_NAMES)
    return f"The audit found {_counted(len(failing), 'finding')} at or above fail_on={fail_on}: {named}."


def _numbers(document: Document) -> List[str]:
    counts, server = document["counts"], document["server_url"]
    of = f"Audit of {server}: " if server else "Audit: "
    tentacles = f"{_counted(counts['tentacles'], 'Tentacle')} on {_counted(counts['hosts'], 'host')}, {counts['fine']} fine"
    unjudged = f", {counts['not_judged']} not judged" if counts["not_judged"] else ""
    severities = f"{counts['critical']} critical, {_counted(counts['warning'], 'warning')}, {counts['info']} for information"
    accepted = f", {counts['accepted']} accepted" if counts["accepted"] else ""
    return [f"{of}{tentacles}{unjudged}.", f"Findings: {severities}{accepted}."]


def _sources(document: Document) -> List[str]:
    return [f"  {name}: {_source(source)}" for name, source in document["sources"].items()]


def _source(source: Document) -> str:
    if not source["asked"] or (source["reason"] and not source["read"]):
        return str(source["reason"])
    mode = " (trust)" if source["mode"] == "trust" else " (identities only, without the PFX of the Server)" if source["mode"] else ""
    not_read = f", {source['not_read']} not read" if source["not_read"] else ""
    gaps = f". {source['reason']}" if source["reason"] else ""
    return f"{source['read']} read{not_read}{mode}{gaps}"


def _changes(document: Document) -> List[str]:
    changes = document["changes"]
    if changes is None:
        return []
    unseen = len(changes.get("not_judged") or ())
    hidden = f", {unseen} that could not be looked for" if unseen else ""
    return [f"Since {changes['since']}: {len(changes['new'])} new, {len(changes['gone'])} gone, {changes['unchanged']} unchanged{hidden}."]


def _tally(document: Document, severity: str, title: str) -> List[str]:
    found = Counter(one["code"] for one in document["findings"] if one["severity"] == severity and not one["accepted"])
    return [f"{title}: {', '.join(f'{found[code]} {code}' for code in CODES if code in found)}."] if found else []


def _examples(document: Document) -> List[str]:
    """Critical findings with their remedies: one of each code before a second of any, in the order of the table."""
    found = [one for one in document["findings"] if one["severity"] == "critical" and not one["accepted"]]
    order = list(CODES)
    met: Counts[str] = Counter()
    turns = []
    for one in found:
        turns.append((met[one["code"]], order.index(one["code"]), one))
        met[one["code"]] += 1
    shown = [one for _turn, _place, one in sorted(turns, key=lambda turn: turn[:2])[:_MOST_FINDINGS]]
    told = [line for one in shown for line in (f"{_label(one)}: {one['seen']}", f"  {one['remedy']}")]
    more = len(found) - len(shown)
    return [*told, f"... and {more} more critical ones: see the reports, or `findings` of the result."] if more > 0 else told


def _not_judged(document: Document) -> List[str]:
    names = [code for code, row in document["codes"].items() if not row["judged"] and row["not_judged"]]
    return [f"Not judged, for want of sources: {some(names, 6)}."] if names else []


def _label(one: Document) -> str:
    return f"{one['code']} {one['subject']}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
