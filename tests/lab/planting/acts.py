# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to a running fleet behind the back of whoever looks at it later."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.fleet import readiness
from lab.fleet.builder import Fleet
from lab.fleet.oddities import undated
from lab.fleet.plan import MAIN, Plan, Tentacle, Trust
from lab.fleet.tentacles import configuration_of, paths_of, settings_of
from lab.planting.logs import Logs
from lab.server.database import Database
from lab.tentacle.keys import Certificate, CertificateStore
from lab.waiting import until
from lab.wire.certificates import Keypair

Act = Callable[[Fleet], None]
_TORN_AT = 1500  # bytes (measured-tentacle.md 14.9)
_PATIENCE = 60.0  # seconds


def trust_on_disk(plan: Plan, tentacle: Tentacle, trust: Iterable[Trust]) -> Act:
    """Another list in the file, and no restart."""
    return lambda fleet: configuration_of(fleet.folders, tentacle).set_trusted_servers([each.entry(plan) for each in trust])


def certificate_on_disk(tentacle: Tentacle, keypair: Keypair) -> Act:
    return lambda fleet: configuration_of(fleet.folders, tentacle).set_certificate(Certificate.of(keypair))


def restart(tentacle: Tentacle) -> Act:
    """It is at work again when this ends."""

    def act(fleet: Fleet) -> None:
        fleet.unit(tentacle.host, tentacle.instance).restart()
        if tentacle.polling:
            readiness.await_polling(fleet.server.nodes, [tentacle])
        else:
            readiness.await_listeners(fleet.folders, {(tentacle.address, tentacle.port): tentacle.unit})

    return act


def restart_in_vain(tentacle: Tentacle) -> Act:
    """Of one that polls, and is turned away: it has complained of it when this ends."""

    def act(fleet: Fleet) -> None:
        logs = Logs(fleet)
        fleet.unit(tentacle.host, tentacle.instance).restart()
        until(lambda: any(each.tentacle == tentacle.id for each in logs.complaints()), _PATIENCE, every=0.1, what=f"{tentacle.id} to be turned away")

    return act


def present(node: str, keypair: Keypair) -> Act:
    """A node goes on with another certificate than the Server has: as if it had not been restarted since that one was replaced."""

    def act(fleet: Fleet) -> None:
        place = next(each for each in fleet.server.nodes if each.name == node)
        with open_database(fleet) as database:
            database.install_certificate(keypair)
            fleet.unit(node).restart()
            readiness.await_listeners(fleet.folders, {(place.address, place.comms_port): place.unit})
            database.install_certificate(fleet.server.certificate)
        readiness.await_polling([place], [each for each in fleet.tentacles if each.polling and each.runs])

    return act


def lose_key(tentacle: Tentacle, key: str) -> Act:
    """As if a copy from another time had been put back: the file is no newer than the process."""

    def act(fleet: Fleet) -> None:
        file = paths_of(fleet.folders, tentacle).configuration
        with undated(file):
            lines = file.read_bytes().split(b"\n")
            file.write_bytes(b"\n".join(line for line in lines if f'key="{key}"'.encode() not in line))

    return act


def tear(tentacle: Tentacle) -> Act:
    def act(fleet: Fleet) -> None:
        file = paths_of(fleet.folders, tentacle).configuration
        with undated(file):
            os.truncate(file, _TORN_AT)

    return act


def copies_in_store(tentacle: Tentacle, keypairs: Iterable[Keypair], home: Callable[[Fleet], Path] | None = None) -> Act:
    """Private keys beside the one in use; ``home``: of another account than the lab's stand-ins run as."""

    def act(fleet: Fleet) -> None:
        settings = settings_of(fleet.folders, paths_of(fleet.folders, tentacle))
        store = CertificateStore(settings if home is None else replace(settings, home=home(fleet)), os.geteuid())
        for keypair in keypairs:
            store.add(Certificate.of(keypair))

    return act


def record_says(name: str, space: str, server: str = MAIN, **fields: Any) -> Act:
    """Fields of the record of that name; ``Thumbprint`` is the endpoint's, too."""

    def changed(document: dict[str, Any]) -> dict[str, Any]:
        expected = {"Thumbprint": fields["Thumbprint"]} if "Thumbprint" in fields else {}
        return {**document, **fields, "Endpoint": {**document["Endpoint"], **expected}}

    def act(fleet: Fleet) -> None:
        with open_database(fleet, server) as database:
            place = database.space(space)["Id"]
            documents = (*database.documents("Machines", place), *database.documents("Workers", place))
            database.change(next(each["Id"] for each in documents if each["Name"] == name), changed)

    return act


@contextmanager
def open_database(fleet: Fleet, server: str = MAIN) -> Iterator[Database]:
    database = fleet.database(server)
    try:
        yield database
    finally:
        database.close()
