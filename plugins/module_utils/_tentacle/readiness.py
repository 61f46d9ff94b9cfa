# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Whether a Tentacle would survive a restart as what it is: everything that files and the process table can tell (decisions 15)."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional

from ansible_collections.octofleet.octopus.plugins.module_utils._host import Host, Socket
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import agent, configuration, machinekey
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Found, Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.configuration import Configuration
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Entries

BLANK_PIN = "BLANK_PIN"
HIDDEN_UPGRADE = "HIDDEN_UPGRADE"
SERVICE_STOPPED = "SERVICE_STOPPED"

_STORE = ".dotnet/corefx/cryptography/x509stores/my"  # tentacle-cli.md 3.7
_ANY = ("0.0.0.0", "::")  # noqa: S104
_STARTING_US = 60_000_000  # a process younger than this may not listen yet


class Reason(NamedTuple):
    code: str
    sentence: str

    def row(self) -> Dict[str, str]:
        return {"code": self.code, "sentence": self.sentence}


def reasons(host: Host, settings: Configuration, found: Found, installation: Installation, entries: Entries = ()) -> List[Reason]:
    """Why a restart must not be ordered; empty if nothing speaks against it."""
    return [
        *_identity(host, settings, installation),
        *_blank_pins(settings, entries),
        *_service(found),
        *_executable(host, found),
        *_store(host, found),
        *_port(host, settings, found),
    ]


def store_of(host: Host, found: Found) -> str:
    """The certificate store of the account that the service runs as; "" if that account is not known."""
    service = found.service
    home = dict(service.environment).get("HOME") or (host.environment_of(service.pid).get("HOME") if service.pid else None)
    if not home:
        account = host.account(service.user)
        home = account.home if account else ""
    return f"{home.rstrip('/')}/{_STORE}" if home else ""


def listeners(host: Host, settings: Configuration, pid: int) -> List[Socket]:
    """Who listens where this instance is to listen; those of ``pid`` and its descendants are told from others."""
    found = [one for one in host.sockets_on(settings.port, [pid] if pid else []) if _overlap(one.address, settings.listen_ip)]
    if not pid or any(one.pid for one in found):
        return found
    return [one for one in host.sockets_on(settings.port, agent.family_of(host, pid)) if _overlap(one.address, settings.listen_ip)]


def _identity(host: Host, settings: Configuration, installation: Installation) -> Iterator[Reason]:
    missing = [key for key in (configuration.CERTIFICATE, configuration.THUMBPRINT) if not settings.get(key).strip()]
    if missing:
        yield Reason(
            "IDENTITY_AT_RISK",
            f"The configuration {settings.path} has no {' and no '.join(missing)}: at its next start the agent would make itself a new identity "
            "and serve it. Restore the configuration from a copy.",
        )
    elif installation.machine_id_file and not machinekey.is_intact(host, settings.get(configuration.CERTIFICATE), installation.machine_id_file):
        yield Reason(
            "MACHINE_ID_CHANGED",
            f"The certificate in {settings.path} cannot be opened with the machine id in {installation.machine_id_file}: the agent would not "
            "start again. Restore the machine id, or import the certificate anew.",
        )


def _blank_pins(settings: Configuration, entries: Entries) -> Iterator[Reason]:
    if any(not entry.thumbprint.strip() for entry in entries):
        yield Reason(
            BLANK_PIN,
            f"An entry of the trust in {settings.path} has no thumbprint, and what the agent makes of it at its next start is not known. "
            "Take that entry out of Tentacle.Communication.TrustedOctopusServers, then run again.",
        )


def _service(found: Found) -> Iterator[Reason]:
    if found.problem:
        yield Reason("SERVICE_UNKNOWN", found.problem)
    elif not (found.service.active and found.service.pid):
        yield Reason(
            SERVICE_STOPPED,
            f"The service {found.service.unit} is not running ({found.service.state or 'no process'}), and is not started silently. "
            "Start it (octofleet.octopus.octo_service state=started), then run again.",
        )


def _executable(host: Host, found: Found) -> Iterator[Reason]:
    service = found.service
    path = service.argv[0] if service.known and service.argv and not found.problem else ""
    if not host.paths.isabs(path):
        return
    file = host.stat(path)
    if file is None:
        yield Reason("EXECUTABLE_MISSING", f"{path}, which {service.unit} starts, is not there. Install it again, or correct the unit.")
    elif service.pid and (host.is_replaced(service.pid) or file.mtime_ns > host.wall_ns(service.started_monotonic_us)):
        yield Reason(
            HIDDEN_UPGRADE,
            f"{path} is newer than the process {service.pid} that runs it: a restart would be an upgrade, too. "
            "Restart it by hand when that is wanted, or set allow_upgrade=true (in the role's variables: octopus_allow_upgrade).",
        )


def _store(host: Host, found: Found) -> Iterator[Reason]:
    folder = store_of(host, found)
    file = host.stat(folder) if folder else None
    process = host.process(found.service.pid) if found.service.pid else None
    account = host.account(found.service.user)
    uid = process.uid if process else account.uid if account else None
    if file is not None and uid is not None and file.uid != uid:
        yield Reason(
            "STORE_OWNER",
            f"The certificate store {folder} belongs to user id {file.uid}, but the service runs as {uid}: after a restart the agent would live "
            f"without listening (H-12). Give the folder x509stores back to user id {uid}.",
        )


def _port(host: Host, settings: Configuration, found: Found) -> Iterator[Reason]:
    if not settings.listens or found.problem:
        return
    pid = found.service.pid
    listening = listeners(host, settings, pid)
    if any(one.pid for one in listening):  # ours, or not to be told whose
        return
    if listening:
        yield Reason(
            "PORT_TAKEN",
            f"Port {settings.port} is held by a process that is not the service {found.service.unit}: a restarted agent could not listen. "
            "Find that process and end it.",
        )
    elif pid and host.monotonic_us() - found.service.started_monotonic_us > _STARTING_US:
        yield Reason(
            "NOT_LISTENING",
            f"The process {pid} of {found.service.unit} lives but does not listen on port {settings.port} (H-12). Its log tells why; "
            "repair that first.",
        )


def _overlap(address: str, wanted: Optional[str]) -> bool:
    """Whether a socket on ``address`` keeps another from listening on ``wanted`` (None: on any address)."""
    return wanted is None or address in _ANY or address in (wanted, f"::ffff:{wanted}")
