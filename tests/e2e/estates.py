# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to a larger estate between two runs, and what of it is seen from outside afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from e2e import plays
from e2e.test_refusals import await_start
from lab.fleet import inventory
from lab.fleet.builder import Fleet
from lab.fleet.plan import FOREIGN
from lab.fleet.tentacles import settings_of
from lab.server.database import MACHINES, WORKERS
from lab.server.tasks import Tasks
from lab.tentacle.keys import CertificateStore
from lab.waiting import until
from lab.wire.certificates import Keypair

Act = Callable[[Fleet], None]
GONE, BACK = "stop-sigterm", "running"


def together(*acts: Act) -> Act:
    def act(fleet: Fleet) -> None:
        for each in acts:
            each(fleet)

    return act


def start_and_await_refusal(host: str) -> Act:
    """Whoever was left behind comes back, and is cut off as the report said."""

    def act(fleet: Fleet) -> None:
        fleet.unit(host).start()
        until(lambda: any(host in edge for edge in fleet.witness.report().refused()), 30, every=0.1, what=f"the edge of {host} to be refused")

    return act


# -- the inventory


def inventory_of(fleet: Fleet, change: Callable[[dict[str, Any]], None]) -> None:
    """Write the inventory anew, as it was built but for ``change``, which gets the group of the Server's nodes by name."""
    document = inventory.inventory(fleet.folders, fleet.plan, fleet.backup_password, None)
    change(document["all"]["children"]["octopus_server"]["hosts"])
    fleet.inventory.write_text(yaml.safe_dump(document), encoding="utf-8")


def inventory_with(host: str, variable: str, value: Callable[[Fleet], str]) -> Act:
    return lambda fleet: inventory_of(fleet, lambda hosts: hosts[host].update({variable: value(fleet)}))


def inventory_without(host: str) -> Act:
    return lambda fleet: inventory_of(fleet, lambda hosts: hosts.pop(host))


def as_it_was(fleet: Fleet) -> None:
    inventory_of(fleet, lambda hosts: None)


# -- the Server's records


def record_says(host: str, **fields: Any) -> Act:
    return _change(host, lambda known: {**known, **fields})


def record_expects(host: str, thumbprint: str) -> Act:
    """The Server then takes the Tentacle for somebody else."""
    expected = {"Thumbprint": thumbprint}
    return _change(host, lambda known: {**known, **expected, "Endpoint": {**known["Endpoint"], **expected}})


def _change(host: str, how: Callable[[dict[str, Any]], dict[str, Any]]) -> Act:
    def act(fleet: Fleet) -> None:
        database = fleet.database()
        document = next(each for each in database.documents("Machines") if each["Name"] == host)
        database.change(document["Id"], how)
        database.close()

    return act


def checked(fleet: Fleet) -> list[set[str]]:
    """The machines and workers of each health check, by id."""
    database = fleet.database()
    found = [set(task.machines) for task in Tasks(database).find() if task.name == "Health"]
    database.close()
    return found


def records(fleet: Fleet) -> set[str]:
    """The ids of all machines and workers."""
    database = fleet.database()
    found = {document["Id"] for kind in (MACHINES, WORKERS) for document in database.documents(kind)}
    database.close()
    return found


# -- another Server

ELSEWHERE = "elsewhere"  # a file of the fleet that says where the foreign Server takes polling Tentacles


def foreign_presents(certificate: Callable[[Fleet], Keypair]) -> Act:
    """As a Server does that was cloned with its certificate, or that has got one of its own."""

    def act(fleet: Fleet) -> None:
        node, wanted = fleet.foreign_server.nodes[0], certificate(fleet)
        (fleet.root / ELSEWHERE).write_text(f"{node.address}:{node.comms_port}", encoding="utf-8")
        database = fleet.database(FOREIGN)
        database.install_certificate(wanted)
        fleet.unit(node.name).restart()
        until(lambda: [each.loaded for each in database.nodes()] == [wanted.thumbprint], 30, every=0.1, what="the foreign Server")
        database.close()

    return act


# -- a host's files


def store_of_account(fleet: Fleet, host: str) -> Path:
    paths = fleet.paths(host)
    settings = replace(settings_of(fleet.folders, paths), home=paths.home_of_account)
    return CertificateStore(settings, os.geteuid()).folder


def give_store_to(uid: int, host: str) -> Act:
    return lambda fleet: os.chown(store_of_account(fleet, host), uid, uid)


# -- the time

CLOCK = "stop-at"  # a file of the fleet: when a run is to begin no further step
_IN_TIME, _LATE = "2999-01-01T00:00", "2000-01-01T00:00"


def there_is_time(fleet: Fleet) -> None:
    (fleet.root / CLOCK).write_text(_IN_TIME, encoding="utf-8")


def late_with(task: str, host: str) -> Callable[[Fleet, plays.Running], None]:
    """The time is over as soon as a task has begun on a host."""

    def act(fleet: Fleet, running: plays.Running) -> None:
        await_start(running, task, host)
        (fleet.root / CLOCK).write_text(_LATE, encoding="utf-8")

    return act


# -- the service manager's events


class Event(NamedTuple):
    monotonic: float
    unit: str
    event: str


def events(fleet: Fleet) -> list[Event]:
    lines = fleet.folders.events.read_text(encoding="utf-8").splitlines()
    return [Event(row["monotonic"], row["unit"], row["event"]) for row in map(json.loads, lines)]


def absences(fleet: Fleet, *hosts: str, since: float = 0.0) -> list[tuple[float, float]]:
    """From when to when each process of these hosts, or of these nodes, was gone, in the order of going."""
    units = {fleet.unit(host).name for host in hosts}
    went: dict[str, float] = {}
    found = []
    for event in events(fleet):
        if event.unit in units and event.monotonic >= since and event.event == GONE:
            went[event.unit] = event.monotonic
        elif event.event == BACK and event.unit in went:
            found.append((went.pop(event.unit), event.monotonic))
    return sorted(found)


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """How many of these spans overlap at the worst moment."""
    edges = sorted([(began, 1) for began, _ended in spans] + [(ended, -1) for _began, ended in spans])
    return max(_sums(step for _when, step in edges), default=0)


def _sums(steps: Iterable[int]) -> Iterator[int]:
    total = 0
    for step in steps:
        total += step
        yield total
