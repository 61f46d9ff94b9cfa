# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""All rules over all subjects: what was found, how often each code was judged, and why it was not where it was not."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

from ansible_collections.octofleet.octopus.plugins.module_utils._audit import estate_rules, identity_rules, record_rules, trust_rules, verdicts
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES, SEVERITIES
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import Estate
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import Found, SubjectRule, Unjudged, Verdict

SUBJECT_RULES: Dict[str, SubjectRule] = {**trust_rules.RULES, **identity_rules.RULES, **record_rules.RULES}
ESTATE_RULES = estate_rules.RULES
_MOST_REASONS = 5  # of a code that was not judged, the most frequent first


class Tally:
    """What became of one code."""

    def __init__(self) -> None:
        self.found = 0
        self.judged = 0
        self.reasons: Dict[str, int] = {}
        self.unjudged: List[str] = []  # of whom

    def row(self, code: str) -> Dict[str, Any]:
        frequent = sorted(self.reasons, key=lambda reason: (-self.reasons[reason], reason))
        return {
            "severity": CODES[code].severity,
            "title": CODES[code].title,
            "found": self.found,
            "accepted": 0,
            "judged": self.judged,
            "not_judged": len(self.unjudged),
            "why_not": [f"{self.reasons[reason]}: {reason}" for reason in frequent[:_MOST_REASONS]],
        }


class Judgement:
    def __init__(self, estate: Estate) -> None:
        self.findings: List[Dict[str, Any]] = []
        self.tallies = {code: Tally() for code in CODES}
        for code, rules in ESTATE_RULES.items():
            for rule in rules:
                self._take(code, rule(estate))
        for subject in estate.subjects:
            for code, judge in SUBJECT_RULES.items():
                self._take(code, judge(estate, subject), subject.name)
        self.findings.sort(key=lambda row: (SEVERITIES.index(row["severity"]), row["code"], row["subject"], row["id"]))

    def _take(self, code: str, answers: Iterable[Verdict], of: str = verdicts.WHOLE_ESTATE) -> None:
        tally = self.tallies[code]
        for answer in answers:
            if isinstance(answer, Found):
                tally.found += 1
                tally.judged += 1
                self.findings.append(verdicts.row(code, answer))
            elif isinstance(answer, Unjudged):
                tally.reasons[answer.reason] = tally.reasons.get(answer.reason, 0) + 1
                tally.unjudged.append(answer.name or of)
            else:
                tally.judged += answer.times

    def codes(self) -> Dict[str, Any]:
        return {code: tally.row(code) for code, tally in self.tallies.items()}

    def unjudged(self) -> Dict[str, List[str]]:
        """By code, of whom it was not judged; WHOLE_ESTATE among them where that may be anybody."""
        return {code: tally.unjudged for code, tally in self.tallies.items() if tally.unjudged}
