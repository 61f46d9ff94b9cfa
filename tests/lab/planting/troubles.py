# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may keep an audit from reading: endpoints and hosts, as seeds of small fleets; and what happens to a Server while it is asked."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from lab.fleet import readiness
from lab.fleet.builder import Fleet
from lab.planting.acts import open_database
from lab.planting.garden import Garden


def host_of(name: str) -> str:
    """The host that has the trouble."""
    return f"troubled-{name.replace('_', '-')}"


def _troubled(quirk: str, arguable: str = "NOT_SWITCHABLE") -> Callable[[Garden], None]:
    def seed(garden: Garden) -> None:
        garden.tell(garden.host(host_of(quirk), quirk=[quirk]), "UNREACHABLE", arguable=arguable, why=f"quirk {quirk}")

    return seed


# One host each; an endpoint behind a proxy that ends TLS is among the lies.
TROUBLES: Mapping[str, Callable[[Garden], None]] = {
    "silent_endpoint": _troubled("silent_endpoint"),
    "web_endpoint": _troubled("web_endpoint"),
    "refused_endpoint": _troubled("refused_endpoint"),
    "unresolvable_name": _troubled("unresolvable_name"),
    "unreachable_host": _troubled("unreachable_host"),
}


def key_of_one_space(fleet: Fleet, space: str = "Default") -> str:
    """An API key of its own that sees one space of the Server, for `-e octopus_api_key=`."""
    key = f"API-{secrets.token_hex(16).upper()}"
    with open_database(fleet) as database:
        database.put_api_key(key, [space], user="one-space")
    return key


@contextmanager
def storm(fleet: Fleet, every: int = 1, retry_after: float | None = None) -> Iterator[None]:
    """The Server turns each ``every``-th request away with 429; with 1 all of them."""
    fleet.fault("rate_limit", {"every": every, **({} if retry_after is None else {"retry_after": retry_after})})
    try:
        yield
    finally:
        fleet.fault("rate_limit", None)


@contextmanager
def server_down(fleet: Fleet) -> Iterator[None]:
    """No node of the Server runs; polling Tentacles say so in their logs."""
    for node in fleet.server.nodes:
        fleet.unit(node.name).stop()
    try:
        yield
    finally:
        for node in fleet.server.nodes:
            fleet.unit(node.name).start()
        readiness.await_listeners(fleet.folders, {(node.address, node.comms_port): node.unit for node in fleet.server.nodes})
