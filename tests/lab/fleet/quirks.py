# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The odd fleets that one meets: each quirk by its name and the host that has it (``lower_case_pin:web-03``)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lab.fleet.oddities import ODDITIES
from lab.fleet.plan import MAIN, Plan, Tentacle, Trust
from lab.fleet.tentacles import configuration_of, paths_of, settings_of
from lab.server.database import Database
from lab.server.tasks import Tasks
from lab.tentacle import configuration as keys
from lab.tentacle.keys import CertificateStore
from lab.tentacle.trust import Style
from lab.wire.proxy import Login

if TYPE_CHECKING:
    from lab.fleet.builder import Fleet

_TORN_AT = 1500  # bytes (measured-tentacle.md 14.9)
_NOBODY = 65534


class UnknownQuirk(ValueError):
    """No quirk of that name, or no host for it."""


def apply(plan: Plan, quirk: str) -> None:
    """Change the plan; what can only be done to a running fleet is put on ``plan.afterwards``."""
    name, _colon, host = quirk.partition(":")
    if name not in _QUIRKS or not host:
        raise UnknownQuirk(f"{quirk!r} is not <quirk>:<host>; the quirks are {', '.join(sorted(_QUIRKS))}.")
    _QUIRKS[name][1](plan, host)
    for tentacle in plan.tentacles:
        if tentacle.host == host:
            tentacle.quirks.append(name)


# -- identity


def _cloned_certificate(plan: Plan, host: str) -> None:
    clone = plan.at(host)
    clone.clone_of = next(tentacle for tentacle in plan.tentacles if tentacle is not clone and tentacle.clone_of is None)


def _missing(key: str) -> Callable[[Plan, str], None]:
    """Well-formed XML without the key: the agent would make itself a NEW identity at its next start (measured-tentacle.md 14.9)."""

    def apply_to(plan: Plan, host: str) -> None:
        tentacle = plan.at(host)

        def remove(fleet: Fleet) -> None:
            path = paths_of(fleet.folders, tentacle).configuration
            lines = path.read_bytes().split(b"\n")
            path.write_bytes(b"\n".join(line for line in lines if f'key="{key}"'.encode() not in line))

        plan.afterwards.append(remove)

    return apply_to


def _other_machine_id(plan: Plan, host: str) -> None:
    tentacle = plan.at(host)

    def renew(fleet: Fleet) -> None:
        file = paths_of(fleet.folders, tentacle).machine_id
        file.chmod(0o644)
        file.write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")
        file.chmod(0o444)

    plan.afterwards.append(renew)


def _foreign_store_owner(plan: Plan, host: str) -> None:
    tentacle = plan.at(host)

    def give_away(fleet: Fleet) -> None:
        folder = CertificateStore(settings_of(fleet.folders, paths_of(fleet.folders, tentacle)), os.geteuid()).folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for copy in folder.iterdir():  # a copy that is there already is read without a look at the folder's owner
            copy.unlink()
        os.chown(folder, _NOBODY, _NOBODY)

    plan.afterwards.append(give_away)


# -- trust


def _lower_case_pin(plan: Plan, host: str) -> None:
    plan.at(host).trust = [replace(trust, lower=True) if trust.pins(MAIN) else trust for trust in plan.at(host).trust]


def _duplicate_entry(plan: Plan, host: str) -> None:
    plan.at(host).trust += [trust for trust in plan.at(host).trust if trust.pins(MAIN)]


def _foreign_server(plan: Plan, host: str) -> None:
    plan.trust_foreign(plan.at(host))


def _foreign_polling(plan: Plan, host: str) -> None:
    plan.trust_foreign(plan.at(host), polling=True)


def _polling(plan: Plan, host: str) -> None:
    plan.make_polling(plan.at(host))


def _websocket_entry(plan: Plan, host: str) -> None:
    """It pins the web certificate, not the Server's (octopus-server.md 2.5)."""
    subscription = "poll://" + "w" * 20 + "/"
    node = plan.server(MAIN).nodes[0]
    address = f"wss://{node.address}:443/OctopusComms"
    plan.at(host).trust.append(
        Trust(style=Style.TentacleActive, address=address, subscription_id=subscription, thumbprint=secrets.token_hex(20).upper())
    )


def _behind(name: str, login: Login | None) -> Callable[[Plan, str], None]:
    return lambda plan, host: plan.put_behind(plan.at(host), name, login)


def _open_door(plan: Plan, host: str) -> None:
    plan.faults.setdefault("tentacle_accepts_anybody", []).append(plan.at(host).id)


# -- configuration and process


def _torn_configuration(plan: Plan, host: str) -> None:
    tentacle = plan.at(host)
    plan.afterwards.append(lambda fleet: os.truncate(paths_of(fleet.folders, tentacle).configuration, _TORN_AT))


def _unknown_key(plan: Plan, host: str) -> None:
    plan.at(host).extra_keys["Octopus.Something.Unknown"] = "42"


def _windows(plan: Plan, host: str) -> None:
    """A Tentacle's host, or a node by its name."""
    nodes = plan.server(MAIN).nodes
    if any(node.name == host for node in nodes):
        nodes[:] = [replace(node, windows=node.windows or node.name == host) for node in nodes]
    else:
        plan.make_windows(plan.at(host))


def _symlinked(plan: Plan, host: str) -> None:
    plan.at(host).symlinked = True


def _non_default_port(plan: Plan, host: str) -> None:
    plan.at(host).port += 54


def _second_instance(plan: Plan, host: str) -> None:
    _further(plan, host, "Second")


def _polling_instance(plan: Plan, host: str) -> None:
    plan.make_polling(_further(plan, host, "Polling"))


def _foreign_instance(plan: Plan, host: str) -> None:
    stranger = _further(plan, host, "Foreign")
    stranger.trust = []
    plan.trust_foreign(stranger)


def _further(plan: Plan, host: str, kind: str) -> Tentacle:
    first = plan.at(host)
    port = max(tentacle.port for tentacle in plan.tentacles if tentacle.host == host) + 1
    own = {"trust": list(first.trust), "record": dict(first.record), "more_spaces": [], "more_kinds": [], "quirks": []}
    plan.tentacles.append(replace(first, instance=f"{kind}-{host}", port=port, **own))  # type: ignore[arg-type]
    return plan.tentacles[-1]


def _own_account(plan: Plan, host: str) -> None:
    plan.at(host).account = True


def _stopped_service(plan: Plan, host: str) -> None:
    plan.at(host).runs = False


def _restart_without_effect(plan: Plan, host: str) -> None:
    plan.faults.setdefault("restart_ok_but_old", []).append(plan.at(host).unit)


def _restart_pending(plan: Plan, host: str) -> None:
    """The disk names one pin more than the process that runs."""
    tentacle = plan.at(host)

    def add(fleet: Fleet) -> None:
        configuration = configuration_of(fleet.folders, tentacle)
        extra = Trust(thumbprint=secrets.token_hex(20).upper()).entry(plan)
        configuration.set_trusted_servers([*configuration.trusted_servers, extra])

    plan.afterwards.append(add)


# -- records and inventory


def _disabled_record(plan: Plan, host: str) -> None:
    plan.at(host).record["IsDisabled"] = True


def _kubernetes_record(plan: Plan, name: str) -> None:
    subscription = f"poll://{secrets.token_hex(10)}/"
    endpoint = {"CommunicationMode": "Polling", "Thumbprint": secrets.token_hex(20).upper(), "Uri": subscription}
    kubernetes = {"CommunicationStyle": "KubernetesTentacle", "TentacleEndpointConfiguration": endpoint}
    plan.records.append(("Machines", plan.spec.spaces[0], {"Name": name, "HealthStatus": "Healthy", "Status": "Online", "Endpoint": kubernetes}))


def _unmanaged_record(plan: Plan, host: str) -> None:
    """A Tentacle that works and is in the Server, but on no host of the inventory: it would be cut off."""
    plan.add_tentacle(host, in_inventory=False)


def _unrecorded_tentacle(plan: Plan, host: str) -> None:
    plan.at(host).recorded = False


def _hidden_space_record(plan: Plan, host: str) -> None:
    """In a space that the key does not see."""
    server = plan.server(MAIN)
    if "Hidden" not in server.spaces:
        server.spaces.append("Hidden")
    plan.at(host).space = "Hidden"


def _second_record(plan: Plan, host: str) -> None:
    """The same Tentacle in a further space."""
    tentacle = plan.at(host)
    tentacle.more_spaces += [space for space in plan.spec.spaces if space != tentacle.space][:1]


def _worker(plan: Plan, host: str) -> None:
    plan.at(host).kind = "Workers"


def _worker_too(plan: Plan, host: str) -> None:
    plan.at(host).more_kinds.append("Workers")


def _last_environment(plan: Plan, host: str) -> None:
    plan.at(host).environment = plan.spec.environments[-1]


def _other_role(plan: Plan, host: str) -> None:
    plan.at(host).record["Roles"] = ["database"]


def _two_names(plan: Plan, host: str) -> None:
    plan.aliases[f"{host}-alias"] = plan.at(host).host


def _unreachable_host(plan: Plan, host: str) -> None:
    plan.at(host).reachable = False


def _busy(plan: Plan, host: str) -> None:
    """A deployment runs on it until somebody calls ``fleet.finish_tasks()``."""

    def plant(fleet: Fleet) -> None:
        database = Database(fleet.database_file(MAIN))
        document = next(each for each in (*database.documents("Machines"), *database.documents("Workers")) if each["Name"] == host)
        Tasks(database).plant(document["SpaceId"], [document["Id"]], node=plan.server(MAIN).nodes[0].name)
        database.close()

    plan.at(host)
    plan.afterwards.append(plant)


def _policy(name: str, **parts: Mapping[str, Any]) -> Callable[[Plan, str], None]:
    def apply_to(plan: Plan, host: str) -> None:
        plan.policies[plan.at(host).host] = {"Name": name, **parts}

    return apply_to


_SKIP = {"MachineConnectivityPolicy": {"MachineConnectivityBehavior": "MayBeOfflineAndCanBeSkipped"}}
_DELETE = {"MachineCleanupPolicy": {"DeleteMachinesBehavior": "DeleteUnavailableMachines", "DeleteMachinesElapsedTimeSpan": "00:05:00"}}
_UPGRADE = {"MachineUpdatePolicy": {"TentacleUpdateBehavior": "Update"}}

_QUIRKS: Mapping[str, tuple[str, Callable[[Plan, str], None]]] = {
    "cloned_certificate": ("It has the certificate of the first other Tentacle, as a cloned machine image.", _cloned_certificate),
    "missing_certificate": ("Its configuration has lost the certificate: the next start would make a new identity.", _missing(keys.CERTIFICATE)),
    "missing_thumbprint": ("Its configuration has lost the thumbprint key: the next start would make a new identity.", _missing(keys.THUMBPRINT)),
    "other_machine_id": ("Its machine id has changed since: the certificate can no longer be decrypted.", _other_machine_id),
    "foreign_store_owner": ("Its certificate store belongs to another user: the next start would listen on nothing.", _foreign_store_owner),
    "lower_case_pin": ("Its pin of the Server is spelled in lower case.", _lower_case_pin),
    "duplicate_entry": ("Its pin of the Server stands there twice.", _duplicate_entry),
    "foreign_server": ("It trusts a second, foreign Server, too.", _foreign_server),
    "foreign_polling": ("It polls a second, foreign Server, too.", _foreign_polling),
    "polling": ("It polls the Server instead of listening.", _polling),
    "windows": ("It plays Windows: Ansible reaches it through the modules of ansible.windows only.", _windows),
    "websocket_entry": ("It has a WebSocket entry, too, which pins a web certificate.", _websocket_entry),
    "behind_proxy": ("Its record has a name that only an HTTP proxy can resolve, and names that proxy.", _behind("open", None)),
    "behind_guarded_proxy": ("The same, and the proxy wants a user and a password.", _behind("guarded", Login("octopus", "the proxy's password"))),
    "open_door": ("It accepts every client.", _open_door),
    "torn_configuration": ("Its configuration file was cut off while it was written.", _torn_configuration),
    "unknown_key_in_configuration": ("Its configuration has a key that nobody knows.", _unknown_key),
    "symlinked_configuration": ("Its configuration is a symbolic link.", _symlinked),
    "non_default_port": ("It listens on another port.", _non_default_port),
    "second_instance": ("A second instance runs on the host.", _second_instance),
    "polling_instance": ("A further instance on the host polls the Server.", _polling_instance),
    "foreign_instance": ("A further instance on the host serves a foreign Server only.", _foreign_instance),
    "own_account": ("Its unit names the account that it runs as, whose home holds its certificate store.", _own_account),
    "stopped_service": ("Its service is stopped, and its record says Unavailable.", _stopped_service),
    "restart_without_effect": ("The service manager says that it restarted, but the old process goes on.", _restart_without_effect),
    "restart_pending": ("Its configuration has changed since its process started.", _restart_pending),
    "disabled_record": ("Its record is disabled.", _disabled_record),
    "kubernetes_record": ("There is a record of a Kubernetes agent of this name, on no host.", _kubernetes_record),
    "unmanaged_record": ("There is a Tentacle of this name with a record, but it is on no host of the inventory.", _unmanaged_record),
    "unrecorded_tentacle": ("It trusts the Server, which has no record of it.", _unrecorded_tentacle),
    "hidden_space_record": ("Its record is in a space that the API key does not see.", _hidden_space_record),
    "second_record": ("It has a record in a second space, too.", _second_record),
    "worker": ("Its record is a worker's.", _worker),
    "worker_too": ("It has a worker's record, too.", _worker_too),
    "last_environment": ("Its record is in the last environment.", _last_environment),
    "other_role": ("Its record has the role of a database, not that of a web server.", _other_role),
    "two_names": ("The inventory has the machine under a second name, too.", _two_names),
    "unreachable_host": ("Ansible does not reach the host; the Server does.", _unreachable_host),
    "busy": ("A deployment is running on it.", _busy),
    "skip_policy": ("Its machine policy lets health checks succeed while it is offline.", _policy("Skip", **_SKIP)),
    "delete_policy": ("Its machine policy deletes it when it is unavailable for 5 minutes.", _policy("Delete", **_DELETE)),
    "upgrade_policy": ("Its machine policy upgrades the Tentacle after a health check.", _policy("Upgrade", **_UPGRADE)),
    **ODDITIES,
}

KNOWN_QUIRKS: Mapping[str, str] = {name: sentence for name, (sentence, _apply) in _QUIRKS.items()}
