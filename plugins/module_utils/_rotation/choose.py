# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Which certificate takes the place of the retired one: seen, staged, backed up, or yet to be made (decision 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import AbstractSet, FrozenSet, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

GENERATE = "generate"
ADOPT = "adopt"


@dataclass(frozen=True)
class Stored:
    """A PFX of the store. ``replaces``: the certificate that it was staged to take the place of; None for a mere backup."""

    thumbprint: str
    replaces: Optional[str] = None


@dataclass(frozen=True)
class Choice:
    """``new`` is None when it has yet to be made. ``is_retired``: no node presents the old one any more, nor does the database."""

    kind: str  # GENERATE | ADOPT
    old: str
    new: Optional[str]
    source: str  # how it was found, for the plan
    is_retired: bool = False


def choose(
    retire: Optional[str],
    *,
    presented: AbstractSet[str],
    db: AbstractSet[str],
    store: Sequence[Stored],
    pinned: Optional[AbstractSet[str]] = None,
    adopt: Optional[str] = None,
    back: bool = False,
) -> Choice:
    """The rotation that ``retire`` names; OctoError with one sentence where it is unknown or more than one thing could be meant.

    ``presented``: by any node, on the wire. ``db``: what the database may hold. ``pinned``: what visited Tentacles trust;
    None before a visit. ``back``: go back to a certificate that the store holds; never make one.
    """
    old = _thumbprint.parse(retire, "thumbprint to retire (octopus_retire)") if retire else _only_presented(presented)
    seen = frozenset(presented) | frozenset(db)
    held = frozenset(stored.thumbprint for stored in store)
    if old not in seen:
        _must_be_known(old, seen, held | frozenset(stored.replaces or "" for stored in store) | frozenset(pinned or ()))
    if adopt:
        return _adopted(old, _thumbprint.parse(adopt, "thumbprint to adopt (octopus_adopt)"), frozenset(presented), seen, held)
    _must_be_ours(frozenset(presented) - {old}, frozenset(db), held)
    others = sorted((frozenset(presented) | (frozenset(db) & held)) - {old})
    if others:
        return Choice(
            ADOPT, old, _one(old, others, "are presented by nodes or held by the database"), "in use on the Server already", old not in seen
        )
    candidates = _backups(old, store) if back else _staged(old, store)
    if not candidates and back:
        raise OctoError(f"There is no certificate to go back to from {old}: the store holds none that it replaced. Name one with octopus_adopt.")
    strange = sorted(seen - {old})
    if not candidates and strange:
        raise OctoError(
            f"The Server's database holds {' or '.join(strange)}, which no node presents and the store does not hold. "
            "Name it with octopus_adopt if it is to stay, or import the certificate that the nodes present again."
        )
    if not candidates:
        return Choice(GENERATE, old, None, "nothing is staged")
    return Choice(ADOPT, old, _one(old, candidates, "are in the store", pinned), "backed up in the store" if back else "staged in the store")


def _only_presented(presented: AbstractSet[str]) -> str:
    if len(presented) == 1:
        return next(iter(presented))
    seen = f"the nodes present {' and '.join(sorted(presented))}" if presented else "no node of the Server answers"
    raise OctoError(f"Which certificate is to be retired is not certain: {seen}. Name it with octopus_retire.", presented=sorted(presented))


def _must_be_known(old: str, seen: FrozenSet[str], known: FrozenSet[str]) -> None:
    if old in known:
        return
    presented = " and ".join(sorted(seen)) or "nothing that could be read"
    raise OctoError(
        f"{old} is unknown: no node presents it (they present {presented}), and the store does not hold it. Correct octopus_retire.",
        presented=sorted(seen),
    )


def _must_be_ours(presented: FrozenSet[str], db: FrozenSet[str], held: FrozenSet[str]) -> None:
    """What a node presents came out of the database at its start; what has never been there is no certificate to adopt."""
    strange = sorted(presented - db - held)
    if db and strange:
        raise OctoError(
            f"A node presents {' and '.join(strange)}, which neither the Server's database holds (it holds {' or '.join(sorted(db))}) nor the store. "
            "Either another Server answers at one octopus_node_endpoint, or a node runs since before its database got another certificate. "
            "Correct the address, or restart that node; then run it again.",
            presented=sorted(presented),
        )


def _adopted(old: str, new: str, presented: FrozenSet[str], seen: FrozenSet[str], held: FrozenSet[str]) -> Choice:
    if new == old:
        raise OctoError(f"octopus_adopt names the certificate that octopus_retire retires, {old}. Name another one.")
    if new not in held | seen:
        raise OctoError(f"octopus_adopt names {new}, which the store does not hold (it holds {', '.join(sorted(held)) or 'nothing'}). Correct it.")
    others = sorted(presented - {old, new})
    if others:
        raise OctoError(f"octopus_adopt names {new}, but nodes of the Server present {' and '.join(others)}. Retire that one first.")
    return Choice(ADOPT, old, new, "named by octopus_adopt", old not in seen)


def _staged(old: str, store: Sequence[Stored]) -> Sequence[str]:
    """What was staged to replace ``old``. A certificate that was itself replaced by ``old`` is never taken up again by going forward."""
    return sorted({stored.thumbprint for stored in store if stored.replaces == old})


def _backups(old: str, store: Sequence[Stored]) -> Sequence[str]:
    held = {stored.thumbprint for stored in store}
    return sorted({stored.replaces for stored in store if stored.thumbprint == old and stored.replaces in held and stored.replaces})


def _one(old: str, candidates: Sequence[str], where: str, pinned: Optional[AbstractSet[str]] = None) -> str:
    if len(candidates) == 1:
        return candidates[0]
    shown = ", ".join(f"{one} (trusted by Tentacles already)" if one in (pinned or ()) else one for one in candidates)
    raise OctoError(
        f"More than one certificate could take the place of {old}: {shown} {where}. Name the one to adopt with octopus_adopt.",
        candidates=list(candidates),
    )
