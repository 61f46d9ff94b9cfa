# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The document as tables: CSV with a row for each edge, and JUnit XML with a case for each finding and each code without one."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import Any, Dict, Iterable, List, Mapping, Sequence
from xml.etree import ElementTree

Document = Mapping[str, Any]

SEVERITIES = ("critical", "warning", "info")
NEVER = "never"
COLUMNS = (
    "id",
    "host",
    "instance",
    "style",
    "severity",
    "findings",
    "accepted",
    "endpoint",
    "subscription",
    "spaces",
    "environments",
    "roles",
    "records",
    "identity",
    "presented",
    "on_disk",
    "signature_algorithm",
    "key",
    "not_after",
    "started_at",
    "restart_pending",
    "trust",
    "wire",
    "disk",
    "database",
    "process",
)
_SOURCES = ("wire", "disk", "database", "process")
# XML 1.0 has no way to say these at all.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fails(severity: str, fail_on: str) -> bool:
    """Whether a finding of this severity is a failure; ``fail_on``: critical, warning or never."""
    return fail_on in SEVERITIES and severity in SEVERITIES[: SEVERITIES.index(fail_on) + 1]


# ---------------------------------------------------------------------------------------------------- CSV


def to_csv(document: Document) -> str:
    """One row an edge, every cell quoted, none that a spreadsheet would take for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    codes = _codes_by_subject(document)
    for row in document["tentacles"]:
        cells = _cells(row, codes.get(row["id"], []))
        writer.writerow([_harmless(cells[column]) for column in COLUMNS])
    return text.getvalue()


def _codes_by_subject(document: Document) -> Dict[str, List[Document]]:
    found: Dict[str, List[Document]] = {}
    for finding in document["findings"]:
        for subject in dict.fromkeys((finding["subject"], *finding["subjects"])):
            found.setdefault(subject, []).append(finding)
    return found


def _cells(row: Document, findings: Sequence[Document]) -> Dict[str, str]:
    certificate = row["certificate"] or {}
    cells = {name: _listed(row[name]) for name in COLUMNS if name in row}
    cells.update({name: str(certificate.get(name) or "") for name in ("signature_algorithm", "key", "not_after")})
    cells.update({name: _reading(row["sources"][name]) for name in _SOURCES})
    cells["records"] = _listed(f"{record['id']} ({record['name']}, {record['kind']}) in {record['space']}" for record in row["records"])
    cells["trust"] = _listed(f"{thumbprint}={cell['state']}" for thumbprint, cell in row["cells"].items())
    cells["findings"] = _listed(dict.fromkeys(finding["code"] for finding in findings if not finding["accepted"]))
    cells["accepted"] = _listed(dict.fromkeys(finding["code"] for finding in findings if finding["accepted"]))
    return cells


def _reading(source: Document) -> str:
    return f"{source['state']}: {source['reason']}" if source["reason"] else str(source["state"])


def _listed(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else "; ".join(map(str, value))


def _harmless(text: str) -> str:
    """Spreadsheets run what begins with one of these, after blanks too; names of machines are whatever somebody registered."""
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@") or text[:1] in ("\t", "\r", "\n") else text


# ---------------------------------------------------------------------------------------------------- JUnit XML


def to_junit(document: Document, fail_on: str) -> str:
    """A suite for each severity. A finding is a case that fails as ``fail_on`` says; an accepted one and a code that was not judged are skipped."""
    root = ElementTree.Element("testsuites", name="octofleet.octopus audit")
    for severity in SEVERITIES:
        cases = [case for code, row in document["codes"].items() for case in _cases(document, code, row, severity, fail_on)]
        suite = ElementTree.SubElement(root, "testsuite", name=severity, timestamp=document["made_at"].rstrip("Z"), time="0")
        suite.extend(cases)
        _count(suite, cases)
    _count(root, [case for suite in root for case in suite])
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _cases(document: Document, code: str, row: Document, severity: str, fail_on: str) -> List[ElementTree.Element]:
    """Those of a code in the suite of a severity; a finding's own severity counts, which need not be its code's."""
    own = [found for found in document["findings"] if found["code"] == code]
    alike = Counter(found["subject"] for found in own)
    cases = [_of_finding(found, fail_on, alike[found["subject"]] > 1) for found in own if found["severity"] == severity]
    if row["severity"] == severity and not row["found"] and not row["accepted"]:
        cases.append(_of_code(code, row))
    return cases


def _of_finding(finding: Document, fail_on: str, is_one_of_several: bool) -> ElementTree.Element:
    """Whoever keeps a history of tests knows a case by its name, so of several findings of one code and subject each has its id in it."""
    case = _case(finding["code"], f"{finding['subject']} ({finding['id']})" if is_one_of_several else finding["subject"])
    told = f"{finding['seen']}\n{finding['remedy']}"
    accepted = finding["accepted"]
    if accepted:
        ElementTree.SubElement(case, "skipped", message=_clean(f"accepted until {accepted['until']}: {accepted['reason']}"))
    elif fails(finding["severity"], fail_on):
        failure = ElementTree.SubElement(case, "failure", type=finding["code"], message=_clean(finding["seen"]))
        failure.text = _clean(told)
        return case
    ElementTree.SubElement(case, "system-out").text = _clean(told)
    return case


def _of_code(code: str, row: Document) -> ElementTree.Element:
    case = _case(code, row["title"])
    why = "; ".join(row["why_not"])
    if not row["judged"]:
        ElementTree.SubElement(case, "skipped", message=_clean(f"not judged: {why or 'there is nothing that it is about'}"))
    elif row["not_judged"]:
        ElementTree.SubElement(case, "system-out").text = _clean(f"Judged {row['judged']}; not judged {row['not_judged']}: {why}")
    return case


def _case(code: str, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=code, name=_clean(name), time="0")


def _count(element: ElementTree.Element, cases: Iterable[ElementTree.Element]) -> None:
    cases = list(cases)
    element.set("tests", str(len(cases)))
    element.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    element.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    element.set("errors", "0")


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
