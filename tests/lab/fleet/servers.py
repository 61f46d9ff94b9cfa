# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Octopus Server installations on disk: database, records, nodes, units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.fleet.folders import Folders
from lab.fleet.plan import MAIN, Node, Plan, Server, Tentacle
from lab.fleet.tentacles import HOME_VARIABLE, Paths, prepare_host, write_unit
from lab.server import instance
from lab.server.database import Database
from lab.settings import Settings
from lab.wire.certificates import signature_of

INSTANCE = "OctopusServer"


def paths_of(folders: Folders, node: Node) -> Paths:
    return Paths(folders.host(node.host), INSTANCE, node.windows)


def database_file(folders: Folders, server: Server) -> Path:
    return folders.server(server.name) / "database.sqlite"


def write_server(folders: Folders, server: Server) -> None:
    """The installation without records: certificate, spaces, environments, the key that the product uses, its nodes."""
    path = database_file(folders, server)
    database = Database.create(path, default_space=server.spaces[0], keypair=server.certificate)
    for space in server.spaces:
        database.put_space(space, **({"IsDefault": True} if space == server.spaces[0] else {}))
        for environment in server.environments:
            database.put_environment(space, {"Name": environment})
    database.put_api_key(server.api_key, server.visible_spaces, admin=True)
    database.close()
    for node in server.nodes:
        _write_node(folders, path, node, server.name)


def _write_node(folders: Folders, database: Path, node: Node, server: str) -> None:
    paths = paths_of(folders, node)
    prepare_host(paths.host, paths.machine_id)
    home = paths.machine_configuration_home
    settings = Settings.load({"OCTOLAB": str(folders.root), HOME_VARIABLE: str(home)})
    instance.create(
        home,
        INSTANCE,
        folders.server(server) / "nodes" / node.name / f"{INSTANCE}.config",
        node_name=node.name,
        database=database,
        address=node.address,
        web_port=node.http_port,
        comms_port=node.comms_port,
        unit=node.unit.removesuffix(".service"),
        settings=settings,
    )
    write_unit(folders, node.unit, folders.bin / "Octopus.Server", INSTANCE, {HOME_VARIABLE: str(home)}, "Octopus Server")


def write_records(folders: Folders, plan: Plan) -> None:
    """What each Server knows of the Tentacles that trust it. Only the main Server's records take the wishes of quirks."""
    for server in plan.servers:
        database = Database(database_file(folders, server))
        proxies = _put_proxies(database, plan, server)
        for tentacle in plan.tentacles:
            if not _is_on_record(tentacle, server.name):
                continue
            wishes = {**tentacle.record, **_policy(database, plan, tentacle)} if server.name == MAIN else {}
            for kind, space in _places(tentacle) if server.name == MAIN else [(tentacle.kind, "Default")]:
                _put(database, kind, space, {**_record(database, space, tentacle, server.name, proxies), **wishes})
        if server.name == MAIN:
            for kind, space, document in plan.records:
                _put(database, kind, space, document)
        database.close()


def _is_on_record(tentacle: Tentacle, server: str) -> bool:
    if server != MAIN:
        return tentacle.trusts(server)
    return tentacle.known or (tentacle.recorded and tentacle.trusts(server))


def _places(tentacle: Tentacle) -> list[tuple[str, str]]:
    """Kind and space of each record of one Tentacle."""
    spaces = [(tentacle.kind, space) for space in (tentacle.space, *tentacle.more_spaces)]
    return [*spaces, *((kind, tentacle.space) for kind in tentacle.more_kinds)]


def _policy(database: Database, plan: Plan, tentacle: Tentacle) -> dict[str, Any]:
    wanted = plan.policies.get(tentacle.host)
    return {"MachinePolicyId": database.put_policy(tentacle.space, wanted)["Id"]} if wanted else {}


def _put(database: Database, kind: str, space: str, document: dict[str, Any]) -> None:
    (database.put_worker if kind == "Workers" else database.put_machine)(space, document)


def _put_proxies(database: Database, plan: Plan, server: Server) -> dict[tuple[str, str], str]:
    """Every proxy in every space: its id by space and name."""
    ids = {}
    for name, proxy in plan.proxies.items():
        login = {"Username": proxy.login.user, "Password": proxy.login.password} if proxy.login else {}
        for space in server.spaces:
            ids[space, name] = str(database.put_proxy(space, {"Name": name, "Host": proxy.host, "Port": proxy.port, **login})["Id"])
    return ids


def _record(database: Database, space: str, tentacle: Tentacle, server: str, proxies: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """A record as it looks after the last of many health checks."""
    known = database.documents("Environments", database.space(space)["Id"])
    environments = [each["Id"] for each in known if tentacle.environment in (None, each["Name"])]
    uri = tentacle.uri_at(server)
    style = "TentacleActive" if uri.startswith("poll:") else "TentaclePassive"
    algorithm = signature_of(tentacle.keypair.der) if tentacle.runs and tentacle.keypair is not None else None
    health = ("Healthy", "Online") if tentacle.runs else ("Unavailable", "Offline")
    return {
        "Name": tentacle.host if tentacle.instance == f"Tentacle-{tentacle.host}" else tentacle.instance,
        "EnvironmentIds": environments[:1],
        "Roles": ["web-server"],
        "HealthStatus": health[0],
        "Status": health[1],
        "Thumbprint": tentacle.thumbprint,
        "Uri": uri,
        "Endpoint": {
            "CommunicationStyle": style,
            "Uri": uri,
            "Thumbprint": tentacle.thumbprint,
            "CertificateSignatureAlgorithm": algorithm,
            **({"ProxyId": proxies[space, tentacle.proxy]} if tentacle.proxy else {}),
        },
    }
