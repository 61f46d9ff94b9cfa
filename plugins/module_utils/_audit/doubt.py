# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Whether what is presented at a node's place is this Server's certificate: a load balancer, another Server or a thief may answer there.

Nobody is told to trust a doubtful certificate, and nobody is called locked out for not trusting it.
"""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, Mapping
from typing import Counter as Counts

from ansible_collections.octofleet.octopus.plugins.module_utils._audit.facts import DISK, AuditFacts

# Without a database a certificate is a stranger's if hardly anybody trusts it: fewer than a tenth of those who trust the most frequent one of nobody
# else. Beside a database that has another one, it is if nobody does, or if another known Server presents it and few of ours trust it. That some
# trust it is enough otherwise: it may be what a node was left behind with, and those who dropped it are cut off from that node.
_HARDLY_ANYBODY, _FEW = 10, 2


def doubts(facts: AuditFacts, place: Callable[[str], str]) -> Dict[str, str]:
    """By certificate, what speaks against it, to follow "which"; ``place`` gives an address its one spelling."""
    others = _presented_elsewhere(facts, place)
    pinned = Counter(pin for visit in facts.visits for one in visit.instances for pin in one.pins()) if DISK in facts.asked else Counter()
    for certificate in {pin for server in facts.known or () for pin in server.presented} - facts.server.presented:
        del pinned[certificate]
    found = {certificate: _doubt(facts, certificate, others, pinned) for certificate in sorted(facts.server.presented)}
    return {certificate: why for certificate, why in found.items() if why}


def _doubt(facts: AuditFacts, certificate: str, others: Mapping[str, str], pinned: Counts[str]) -> str:
    database, many = facts.server.database, pinned[certificate]
    if certificate in (facts.retired or ()):
        return ""  # it was this Server's; that it is presented has a code of its own
    if certificate == database or certificate in facts.callers:
        return ""
    if database is None:
        strange = many * _HARDLY_ANYBODY < max(pinned.values(), default=0)
        return f"{many or 'no'} Tentacles trust, while most trust another; the Server's database was not read" if strange else ""
    if certificate in others and many * _FEW < max(pinned[database], 1):
        return f"{others[certificate]} presents, while this Server's database has {database}"
    if many:
        return ""
    return f"the Server's database does not have{', nor any Tentacle' if pinned else ''}"


def _presented_elsewhere(facts: AuditFacts, place: Callable[[str], str]) -> Dict[str, str]:
    """What known Servers present, and their names; one that stands at a node of ours is ours under the name that a list for several estates gives it."""
    ours = {place(one) for node in facts.server.nodes for one in node.places}
    return {
        node.presented: server.name
        for server in facts.known or ()
        for node in server.nodes
        if node.presented and node.places and ours.isdisjoint(map(place, node.places))
    }
