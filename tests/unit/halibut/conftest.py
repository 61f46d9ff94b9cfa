# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity, make_server_certificate
from unit.halibut import doubles


class People(NamedTuple):
    """Keys cost a tenth of a second each, so the tests share them."""

    tentacle: Identity
    clone: Identity
    old: Identity
    new: Identity


@pytest.fixture(scope="session")
def people() -> People:
    return People(*(make_server_certificate(name) for name in People._fields))


@pytest.fixture
def opened(people: People) -> Iterator[Callable[..., doubles.Port]]:
    """Opens ports that are closed when the test ends; they own the key of *tentacle* unless told otherwise."""
    ports: list[doubles.Port] = []

    def _open(behave: Callable[..., None] = doubles.tentacle, **settings: Any) -> doubles.Port:
        settings.setdefault("identity", people.tentacle)
        ports.append(doubles.Port(behave, **settings))
        return ports[-1]

    yield _open
    for port in ports:
        port.close()
