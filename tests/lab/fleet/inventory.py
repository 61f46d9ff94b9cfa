# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the fleet tells others of itself: the inventory for Ansible, and fleet.json for the witness and the tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from lab.fleet.container import SERVER
from lab.fleet.folders import Folders
from lab.fleet.plan import MAIN, Node, Plan, Server, Tentacle
from lab.fleet.servers import INSTANCE, database_file
from lab.fleet.servers import paths_of as node_paths
from lab.fleet.tentacles import paths_of
from lab.windows import building as windows

Document = dict[str, Any]
_LONGEST_BACK_OFF = 120.0  # seconds of a polling Tentacle (halibut-wire.md)


def inventory(folders: Folders, plan: Plan, password: str, machine_id_file: str | None) -> Document:
    """Groups and variables as a person would write them for this fleet (README). ``machine_id_file``: of a real Tentacle, the machine's own."""
    server = plan.server(MAIN)
    tentacles = {tentacle.host: tentacle for tentacle in reversed(plan.tentacles) if tentacle.in_inventory}
    hosts = {name: _tentacle_host(folders, tentacles[name], machine_id_file) for name in sorted(tentacles)}
    hosts |= {alias: hosts[name] for alias, name in plan.aliases.items()}
    return {
        "all": {
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
                "ansible_become": False,
                "octopus_server_url": server.nodes[0].url,
                "octopus_api_key": server.api_key,
                "octopus_spaces": list(plan.spec.spaces),
                "octopus_store": str(folders.root / "store"),
                "octopus_backup_password": password,
                "octopus_health_poll_interval": 0.5,
                "octopus_polling_gap": _LONGEST_BACK_OFF * plan.spec.time_scale,
                "octopus_backup_dir": str(folders.root / "backup"),
            },
            "children": {
                "octopus_server": {"hosts": {node.host: _node_host(folders, node) for node in server.nodes}},
                "octopus_tentacles": {"hosts": hosts},
            },
        }
    }


def _tentacle_host(folders: Folders, tentacle: Tentacle, machine_id_file: str | None) -> Document:
    paths = paths_of(folders, tentacle)
    unreachable = {"ansible_connection": "ssh", "ansible_ssh_executable": str(folders.bin / "unreachable-ssh")}
    way = {} if tentacle.reachable else unreachable
    # Where else the Server's records know it (octopus_addresses).
    further = {"octopus_addresses": [tentacle.address, tentacle.advertised]} if tentacle.advertised else {}
    if tentacle.windows:
        return {"ansible_host": tentacle.address, **further, **windows.variables(folders, tentacle.host), **way}
    return {
        "ansible_host": tentacle.address,
        **further,
        **way,
        "octopus_tentacle_executable": [str(folders.bin / "Tentacle")],
        "octopus_machine_configuration_home": str(paths.machine_configuration_home),
        "octopus_machine_id_file": machine_id_file or str(paths.machine_id),
    }


def _node_host(folders: Folders, node: Node) -> Document:
    engine = str(folders.bin / "container")
    home = node_paths(folders, node).machine_configuration_home
    # Several nodes share this machine, so each has an index of its own (decisions 33), which a real Server has no need of.
    program = ["env", f"TentacleMachineConfigurationHomeDirectory={home}", str(folders.bin / "Octopus.Server")]
    own: Document = {"octopus_server_executable": program, "octopus_server_service": node.unit.removesuffix(".service")}
    if node.container is not None:
        own = {
            "octopus_server_executable": [engine, "exec", node.container, SERVER],
            "octopus_server_restart": [engine, "restart", node.container],
            "octopus_server_copy_in": [engine, "cp", "{src}", f"{node.container}:{{dest}}"],
            "octopus_server_copy_out": [engine, "cp", f"{node.container}:{{src}}", "{dest}"],
        }
    if node.windows:
        own = {**windows.variables(folders, node.host), "octopus_store": windows.STORE}
    return {
        "ansible_host": node.address,
        "octopus_server_instance": INSTANCE,
        "octopus_node_name": node.name,
        "octopus_node_endpoint": f"{node.address}:{node.comms_port}",
        **own,
    }


def description(folders: Folders, plan: Plan) -> Document:
    """The fleet as it was built; what changes later is read from disk, process and wire, never from here."""
    return {
        "root": str(folders.root),
        "servers": [_server(folders, server) for server in plan.servers],
        "tentacles": [_tentacle(folders, plan, tentacle) for tentacle in plan.tentacles],
        "edges": [
            _edge(folders, server, node, tentacle)
            for server in plan.servers
            for tentacle in plan.tentacles
            if tentacle.trusts(server.name)
            for node in server.nodes
        ],
    }


def _server(folders: Folders, server: Server) -> Document:
    nodes = [{**vars(node), "url": node.url, "log": str(_node_log(folders, server, node))} for node in server.nodes]
    return {
        "name": server.name,
        "foreign": server.name != MAIN,
        "database": str(database_file(folders, server)),
        "thumbprint": server.certificate.thumbprint,
        "api_key": server.api_key,
        "spaces": server.spaces,
        "nodes": nodes,
    }


def _node_log(folders: Folders, server: Server, node: Node) -> Path:
    return folders.server(server.name) / "nodes" / node.name / "Logs" / "OctopusServer.txt"


def _tentacle(folders: Folders, plan: Plan, tentacle: Tentacle) -> Document:
    paths = paths_of(folders, tentacle)
    return {
        "id": tentacle.id,
        "host": tentacle.host,
        "instance": tentacle.instance,
        "style": "polling" if tentacle.polling else "listening",
        "address": tentacle.address,
        "port": tentacle.port,
        "uri": tentacle.uri,
        "unit": tentacle.unit,
        "thumbprint": tentacle.thumbprint,
        "trust": [trust.entry(plan).as_json() for trust in tentacle.trust],
        "configuration": str(paths.configuration),
        "machine_configuration_home": str(paths.machine_configuration_home),
        "machine_id_file": str(paths.machine_id),
        "log": str(paths.log),
        "runs": tentacle.runs,
        "quirks": tentacle.quirks,
    }


def _edge(folders: Folders, server: Server, node: Node, tentacle: Tentacle) -> Document:
    main = next(trust for trust in tentacle.trust if trust.pins(server.name))
    return {
        "id": f"{node.name} {tentacle.id}",
        "server": server.name,
        "node": node.name,
        "host": tentacle.host,
        "instance": tentacle.instance,
        "style": "polling" if main.address else "listening",
        "address": tentacle.address,
        "port": tentacle.port,
        "subscription_id": main.subscription_id,
        "unit": tentacle.unit,
        "log": str(paths_of(folders, tentacle).log),
    }
