# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quirks for who looks at a fleet from several sides: endpoints at which no Tentacle answers, and sides that do not tell the truth."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.fleet.plan import MAIN, Plan, Tentacle, Trust
from lab.fleet.tentacles import configuration_of, paths_of
from lab.server.database import SUBJECT, Database
from lab.wire.certificates import make_certificate
from lab.wire.fronts import Front, Silent, SlowLine, TlsProxy, WebServer

if TYPE_CHECKING:
    from lab.fleet.builder import Fleet

Apply = Callable[[Plan, str], None]
UNRESOLVABLE = "no-such-host.invalid"  # a name of a domain that never exists (RFC 2606)
_SLOW = 1.0  # seconds; far below every limit of the wire


# -- what answers in a Tentacle's place


def _fronted(make: Callable[[str, Tentacle], Front]) -> Apply:
    """The record has an address at which something else answers; the Tentacle itself listens at its own."""

    def apply_to(plan: Plan, host: str) -> None:
        tentacle, address = plan.at(host), plan.front_address()
        tentacle.advertised = address
        plan.fronts.append(lambda fleet: make(address, tentacle))

    return apply_to


def _behind_tls(asks: bool) -> Apply:
    def make(address: str, tentacle: Tentacle) -> Front:
        return TlsProxy(address, tentacle.port, make_certificate("proxy.example.com"), (tentacle.address, tentacle.port), asks=asks)

    return _fronted(make)


def _refused(plan: Plan, host: str) -> None:
    plan.at(host).advertised = plan.front_address()


def _unresolvable(plan: Plan, host: str) -> None:
    plan.at(host).advertised = UNRESOLVABLE


# -- disk


def _index_points_elsewhere(plan: Plan, host: str) -> None:
    """Both entries of the index name the second instance's configuration, as after `create-instance` with another one's file."""
    first, second = (tentacle for tentacle in plan.tentacles if tentacle.host == host)

    def point(fleet: Fleet) -> None:
        index = paths_of(fleet.folders, first).machine_configuration_home / "Tentacle" / "Instances"
        entry = next(each for each in index.iterdir() if json.loads(each.read_text(encoding="utf-8"))["Name"] == first.instance)
        told = {"Name": first.instance, "ConfigurationFilePath": str(paths_of(fleet.folders, second).configuration)}
        entry.write_text(json.dumps(told, indent=2), encoding="utf-8")

    plan.afterwards.append(point)


# -- process


def _touched(plan: Plan, host: str) -> None:
    plan.afterwards.append(lambda fleet: os.utime(paths_of(fleet.folders, plan.at(host)).configuration))


def _backdated(plan: Plan, host: str) -> None:
    tentacle = plan.at(host)

    def change(fleet: Fleet) -> None:
        file = paths_of(fleet.folders, tentacle).configuration
        with undated(file):
            configuration = configuration_of(fleet.folders, tentacle)
            extra = Trust(thumbprint=secrets.token_hex(20).upper()).entry(plan)
            configuration.set_trusted_servers([*configuration.trusted_servers, extra])

    plan.afterwards.append(change)


@contextmanager
def undated(file: Path) -> Iterator[None]:
    """What is written in here leaves the file's time of modification as it was: a restored copy, a clock that was moved."""
    before = file.stat().st_mtime_ns
    yield
    os.utime(file, ns=(before, before))


# -- database


def _database_ahead(plan: Plan, _node: str) -> None:
    def install(fleet: Fleet) -> None:
        database = Database(fleet.database_file(MAIN))
        database.install_certificate(make_certificate(SUBJECT))
        database.close()

    plan.afterwards.append(install)


ODDITIES: Mapping[str, tuple[str, Apply]] = {
    "silent_endpoint": (
        "At its record's address something accepts connections and never speaks.",
        _fronted(lambda address, tentacle: Silent(address, tentacle.port)),
    ),
    "web_endpoint": (
        "At its record's address a web server answers, without TLS.",
        _fronted(lambda address, tentacle: WebServer(address, tentacle.port)),
    ),
    "slow_endpoint": (
        "At its record's address a line answers that keeps everybody waiting for a second.",
        _fronted(lambda address, tentacle: SlowLine(address, tentacle.port, (tentacle.address, tentacle.port), _SLOW)),
    ),
    "tls_proxy": ("At its record's address a proxy ends TLS and asks nobody for a certificate.", _behind_tls(asks=False)),
    "impostor_proxy": ("The same, but the proxy asks for a client certificate, as a Tentacle does.", _behind_tls(asks=True)),
    "refused_endpoint": ("At its record's address nothing listens.", _refused),
    "unresolvable_name": ("Its record has a name that nobody can resolve.", _unresolvable),
    "index_points_elsewhere": (
        "Its entry in the index points to the second instance's configuration (needs second_instance).",
        _index_points_elsewhere,
    ),
    "touched_configuration": ("Its configuration is newer than its process, and not a byte of it has changed.", _touched),
    "backdated_change": ("Its configuration has changed since its process started, and has an older time of modification.", _backdated),
    "database_ahead": ("(of a node) The Server's certificate was replaced in the database, and no node restarted since.", _database_ahead),
}
