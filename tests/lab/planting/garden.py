# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a fleet together with what is true of it: whoever puts a Tentacle in says at once what is to be found there, and what is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from lab.fleet import quirks
from lab.fleet.builder import Fleet
from lab.fleet.plan import Plan, Tentacle, Trust
from lab.planting.truth import CERTIFICATE, RECORD, TENTACLE
from lab.server.database import SUBJECT
from lab.wire.certificates import Keypair, make_certificate

_KEYS = 4
_PRIVATE = 0o640  # nobody but the owner and his group reads the configuration
_WORKERS = 10  # each tenth is a worker
_WINDOWS = 7  # each seventh plays Windows; 7 has no divisor in common with the others, so these are of every sort, too


class Keys:
    """Many certificates for few keys: RSA keys are the dearest part of a large fleet, and nothing depends on them but their length."""

    def __init__(self) -> None:
        self._first = [make_certificate() for _each in range(_KEYS)]
        self._turn = itertools.cycle(self._first)

    def tentacle(self, *, sha1: bool = False, key_of: Keypair | None = None) -> Keypair:
        return make_certificate("Octopus Tentacle", sha1=sha1, key_of=key_of or next(self._turn))

    def server(self) -> Keypair:
        return make_certificate(SUBJECT, key_of=next(self._turn))


@dataclass(frozen=True)
class Told:
    """What a planter says of one subject. ``who``: a Tentacle, the name of a record without one, or a certificate."""

    who: Tentacle | str | Keypair
    plants: tuple[str, ...]
    near: tuple[str, ...]
    arguable: tuple[str, ...]
    why: str
    names: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        if isinstance(self.who, Tentacle):
            return TENTACLE if self.who.in_inventory else RECORD
        return RECORD if isinstance(self.who, str) else CERTIFICATE


@dataclass
class Garden:
    """A plan that is being filled."""

    plan: Plan
    keys: Keys = field(default_factory=Keys)
    told: list[Told] = field(default_factory=list)
    retired: list[Keypair] = field(default_factory=list)
    known: dict[str, list[str]] = field(default_factory=dict)  # octopus_known_servers
    noisy: list[Tentacle] = field(default_factory=list)

    def host(self, name: str, *, polling: bool = False, quirk: Iterable[str] = (), trust: Iterable[Trust] | None = None, **fields: Any) -> Tentacle:
        """A sound Tentacle on a host of its own, but for what is asked for; ``fields`` are those of a planned Tentacle."""
        environments = self.plan.spec.environments
        # Spaces go by turns as well (Plan.add_tentacle): every second pair of neighbours makes all combinations.
        environment = environments[len(self.plan.tentacles) // len(self.plan.spec.spaces) % len(environments)]
        own = {"mode": _PRIVATE, "keypair": self.keys.tentacle(), "environment": environment, **fields}
        tentacle = self.plan.add_tentacle(name, **own)
        if polling:
            self.plan.make_polling(tentacle)
        if trust is not None:
            tentacle.trust = list(trust)
        for each in quirk:
            self.quirk(each, name)
        return tentacle

    def windows(self, name: str, **fields: Any) -> Tentacle:
        """The same on a host that plays Windows."""
        return self.host(name, quirk=["windows"], **fields)

    def quirk(self, name: str, host: str) -> None:
        """A quirk by its name."""
        quirks.apply(self.plan, f"{name}:{host}")

    def further(self, quirk: str, host: str) -> Tentacle:
        """The instance that a quirk adds to a host, with a certificate of its own."""
        self.quirk(quirk, host)
        added = self.plan.tentacles[-1]
        added.keypair = self.keys.tentacle()
        return added

    def tell(self, who: Tentacle | str | Keypair, plants: str = "", *, near: str = "", arguable: str = "", why: str, **more: tuple[str, ...]) -> None:
        """What is true of a subject: codes that are to be found, that are not to be found, and that its words allow to be found or not."""
        self.told.append(Told(who, tuple(plants.split()), tuple(near.split()), tuple(arguable.split()), why, **more))

    def after(self, act: Callable[[Fleet], None]) -> None:
        """To be done once everything runs."""
        self.plan.afterwards.append(act)

    def grow(self, size: int) -> None:
        """Sound Tentacles until there are so many: each fourth polls, some are workers, some play Windows, some trust the second Server, too."""
        self.plan.need_foreign()
        for number in range(size - len(self.plan.tentacles)):
            polling = number % 4 == 3
            tentacle = self.host(f"{'poll' if polling else 'web'}-{number + 1:03}", polling=polling)
            if number % _WORKERS == 1:
                tentacle.kind = "Workers"
            if number % _WORKERS == 2:
                self.plan.trust_foreign(tentacle)
            if number % _WINDOWS == 3:
                self.quirk("windows", tentacle.host)
