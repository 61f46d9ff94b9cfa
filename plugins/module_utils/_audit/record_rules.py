# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Findings about the Server's records, and about how records and Tentacles meet."""

from __future__ import annotations

from typing import Dict, Iterator, List

from ansible_collections.octofleet.octopus.plugins.module_utils._audit import facts as audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.join import Estate, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.trust_rules import belongs
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.verdicts import Fine, Found, SubjectRule, Unjudged, Verdict, records_of
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.edges import KUBERNETES, NO_TENTACLE, WEBSOCKET, is_called, split_address
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.names import some
from ansible_collections.octofleet.octopus.plugins.module_utils._fleet.roster import why_not_expandable

_ILL = ("Unhealthy", "Unavailable")


def _disabled(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    yield from _of_records(subject, "is disabled", [record.label for record in subject.records if record.is_disabled])


def _unhealthy(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    ill = [f"{record.label} ({record.health_status})" for record in subject.records if record.health_status in _ILL and not record.is_disabled]
    yield from _of_records(subject, "is not healthy", ill)


def _of_records(subject: Subject, what: str, labels: List[str]) -> Iterator[Verdict]:
    if not subject.has(audit.DATABASE):
        yield Unjudged(subject.silence(audit.DATABASE))
    elif labels:
        yield Found(f"The Server says that {', '.join(labels)} {what}.", {}, "", (subject,))
    elif subject.records:
        yield Fine()


def _several(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if not subject.has(audit.DATABASE):
        yield Unjudged(subject.silence(audit.DATABASE))
    elif len(subject.records) > 1:
        yield Found(f"{records_of(subject)} are one Tentacle.", {}, "", (subject,))
    elif subject.records:
        yield Fine()


def _orphan(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.instance is None or subject.edge.is_further:
        return
    if not subject.has(audit.DATABASE) or subject.disk is None:
        source = audit.DISK if subject.has(audit.DATABASE) else audit.DATABASE
        yield Unjudged(subject.silence(source))
        return
    if subject.records:
        yield Fine()
        return
    if estate.is_confused(subject):
        yield Unjudged("the index gives its configuration to several instances")
        return
    trusted = subject.disk.pins()
    if trusted & estate.ours:
        yield Found(f"{subject.name} trusts this Server and is in no record that the API key sees.", {}, "", (subject,))
    elif trusted & estate.theirs:
        yield Fine()
    elif trusted and (estate.facts.known is None or estate.unread_nodes()):
        unread = some(estate.unread_nodes())
        yield Unjudged(f"it trusts another Server; {f'not read: {unread}' if estate.facts.known else 'octopus_known_servers is not given'}")
    else:
        whom = f"trusts {some(sorted(trusted))}, which no known Server presents," if trusted else "trusts nobody"
        yield Found(f"{subject.name} {whom} and is in no record that the API key sees.", {}, "", (subject,))


def _unmanaged(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if not subject.is_tentacle or not subject.records:
        return
    if not estate.reads_hosts or not estate.facts.hosts:
        yield Unjudged("disk and process were not asked for" if not estate.reads_hosts else "the inventory has no hosts")
    elif subject.edge.host and not subject.edge.may_be_on:
        yield Fine()
    elif subject.edge.endpoint and split_address(subject.edge.endpoint)[0] in estate.confused_places:
        yield Unjudged("the index of its host gives one configuration to several instances")
    elif subject.records[0].name in estate.ambiguous_names:
        yield Unjudged("it fits several Tentacles")
    else:
        names = {record.name.lower() for record in subject.records}
        alike = [host for host in subject.edge.may_be_on if is_called(host, names)] if names & estate.absent_names else []
        if alike:
            yield Unjudged(f"it may be on {some(alike)}, which could not be read")
            return
        if subject.edge.may_be_on and 0 < estate.floating <= len(estate.unclaimed):
            yield Unjudged(f"it may be on {some(sorted(estate.unclaimed))}, which could not be read")
            return
        where = subject.edge.endpoint or f"subscription {subject.edge.subscription}"
        perhaps = f" that was read; not read: {some(subject.edge.may_be_on)}" if subject.edge.may_be_on else ""
        yield Found(f"{records_of(subject)} at {where} is on no host of the inventory{perhaps}.", {}, "", (subject,))


def _not_covered(_estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if not subject.has(audit.DATABASE):
        yield Unjudged(subject.silence(audit.DATABASE))
    elif subject.edge.style in (NO_TENTACLE, KUBERNETES):
        what = "a Kubernetes agent" if subject.edge.style == KUBERNETES else "no Tentacle"
        remedy = "" if subject.edge.style == KUBERNETES else "Nothing to do: it has no Tentacle certificate."
        yield Found(f"{records_of(subject)} is {what}.", {}, "", (subject,), remedy=remedy)
    elif subject.records:
        yield Fine()


def _not_switchable(estate: Estate, subject: Subject) -> Iterator[Verdict]:
    if subject.edge.style == NO_TENTACLE or belongs(estate, subject) is False:
        return
    style = why_not_expandable(subject.edge.style)
    if subject.edge.style == WEBSOCKET and not (subject.instance and subject.instance.pins() & estate.ours):
        yield Fine()  # it pins the web certificate only, which a rotation does not touch
        return
    instance = subject.instance
    reasons = [style] if style else []
    if instance is not None and audit.DISK in estate.facts.asked:
        reasons += [f"{code}: {sentence}" for code, sentence in instance.unready]
        if instance.code and not instance.unready:
            reasons.append(f"{instance.code}: {instance.reason}")
    if reasons:
        yield Found(f"{subject.name} could not be rotated today: {' '.join(dict.fromkeys(reasons))}", {}, "", (subject,))
    elif subject.disk is not None:
        yield Fine()
    else:
        yield Unjudged(subject.silence(audit.DISK))


RULES: Dict[str, SubjectRule] = {
    "RECORD_DISABLED": _disabled,
    "RECORD_UNHEALTHY": _unhealthy,
    "SEVERAL_RECORDS": _several,
    "ORPHAN_TENTACLE": _orphan,
    "UNMANAGED_TENTACLE": _unmanaged,
    "NOT_COVERED": _not_covered,
    "NOT_SWITCHABLE": _not_switchable,
}
