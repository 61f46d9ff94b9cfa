# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The processes of a Tentacle: its agent, the service that runs it, and vendor commands that are at work on its configuration."""

from __future__ import annotations

import re
from typing import Any, Callable, List, Mapping, NamedTuple, Optional, Sequence, Set

from ansible_collections.octofleet.octopus.plugins.module_utils._host import Clock, Host, Process, Service, iso
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import index, machinekey

_PROGRAMS = frozenset(("tentacle", "tentacle.exe", "tentacle.dll"))
_AGENT_VERBS = frozenset(("agent", "run"))
_OPTION = re.compile(r"(?:--|-|/)(?P<name>instance|config)(?:[=:](?P<value>.*))?", re.IGNORECASE | re.DOTALL)  # tentacle-cli.md 1.2
_ON_THE_WAY = ("activating", "deactivating", "reloading")


def _slug(instance: str) -> str:
    return re.sub(r"\s+", "-", re.sub(r"[/\\]", "", instance))


class System(NamedTuple):
    """What the vendor does differently on another operating system (tentacle-cli.md 2.9, 3.1)."""

    home: str = index.DEFAULT_HOME
    named: Callable[[str], str] = _slug  # an instance, as it stands in the name of its service
    unit: Callable[[str], str] = "{}.service".format  # that name
    node: Callable[[str], str] = _slug  # an instance of an Octopus Server, to its service (octopus-server.md 1.1)
    least_patience: float = 15.0  # seconds for a process to start in
    words: Sequence[str] = ()  # that every command of the vendor is given


LINUX = System()


class Installation(NamedTuple):
    """How the Tentacles of a host are set up; empty means as the vendor does it."""

    home: str = index.DEFAULT_HOME
    machine_id_file: str = machinekey.MACHINE_ID
    executable: Sequence[str] = ("/opt/octopus/tentacle/Tentacle",)
    service: str = ""  # a unit; {instance} stands for the instance
    restart: Sequence[str] = ()
    system: System = LINUX


def installation_of(params: Mapping[str, Any], system: System = LINUX) -> Installation:
    """From the options of _argspec.TENTACLE."""
    return Installation(
        home=params["machine_configuration_home"].rstrip("\\/") or "/",
        machine_id_file=params["machine_id_file"],
        executable=params["executable"],
        service=params["service"] or "",
        restart=params["restart_command"] or (),
        system=system,
    )


class Subject(NamedTuple):
    """One instance: its configuration file, links followed, every name that leads there, and the configurations of the host's others."""

    instance: str
    configuration: str
    names: Sequence[str]
    others: Sequence[str] = ()


class Command(NamedTuple):
    """A vendor process, as its arguments tell it."""

    verb: str
    instance: str
    config: str


class Found(NamedTuple):
    service: Service
    problem: str = ""  # why the service is not one to restart; "" if it is


def command_of(argv: Sequence[str]) -> Optional[Command]:
    """The vendor's command in ``argv``, behind an interpreter or sudo too; None if it is none."""
    for at, word in enumerate(argv[:4]):
        if re.split(r"[/\\]", word)[-1].lower() in _PROGRAMS and len(argv) > at + 1:
            verb = argv[at + 1].lstrip("-/").lower()
            return Command(verb, *_options(argv[at + 2 :])) if re.match(r"[a-z0-9?][a-z0-9-]*\Z", verb) else None
    return None


def commands_at_work(host: Host, subject: Subject, home: str) -> List[Process]:
    """Vendor processes that may write this configuration: any verb but the agent's; where it is not clear for which, any (decisions 29)."""
    found = []
    for process in host.processes(_is_vendors):
        command = command_of(process.argv)
        if command and command.verb not in _AGENT_VERBS and _may_concern(host, process, command, subject, home):
            found.append(process)
    return found


def find(host: Host, subject: Subject, installation: Installation, clock: Clock, patience: float = 10.0) -> Found:
    """The service of an instance; one that is on its way up or down is waited for, since a killed run may have left it so."""
    unit = unit_of(subject.instance, installation)
    deadline = clock.now() + patience
    service = host.service(unit)
    while service.state in _ON_THE_WAY and clock.now() < deadline:
        clock.sleep(0.1)
        service = host.service(unit)
    if not service.known:
        return _without_manager(host, subject, installation, service)
    other = _starts_another(host, service, subject, installation)
    return Found(service._replace(active=False, pid=0, started_monotonic_us=0, started_at=""), other) if other else Found(service)


def unit_of(instance: str, installation: Installation) -> str:
    """The vendor's rule (tentacle-cli.md 2.9): on Linux the bare instance, slashes removed, each run of white space a hyphen."""
    name = installation.system.named(instance)
    return installation.service.replace("{instance}", name) if installation.service else installation.system.unit(name)


def family_of(host: Host, pid: int) -> List[int]:
    """A process and its descendants: a wrapper may be what the manager started."""
    family: Set[int] = {pid}
    processes = host.processes()
    grown = True
    while grown:
        children = {process.pid for process in processes if process.parent in family} - family
        family |= children
        grown = bool(children)
    return sorted(family)


def _without_manager(host: Host, subject: Subject, installation: Installation, service: Service) -> Found:
    """The agent among the processes, for hosts on which something else than systemd runs it."""
    problem = (
        ""
        if installation.restart
        else (
            f"The service manager knows no unit {service.unit}. Name the unit with `service`, or what restarts this Tentacle with `restart_command`."
        )
    )
    for process in host.processes(_is_vendors):
        command = command_of(process.argv)
        if command and _is_agent(command) and _may_concern(host, process, command, subject, installation.home):
            started = process.started_monotonic_us
            seen = service._replace(active=True, pid=process.pid, started_monotonic_us=started, argv=process.argv)
            return Found(seen._replace(started_at=iso(host.wall_ns(started))), problem)
    return Found(service, problem)


def _is_vendors(argv: Sequence[str]) -> bool:
    return command_of(argv) is not None


def _is_agent(command: Command) -> bool:
    """One that says whose it is: without instance and configuration it could be anybody's."""
    return command.verb in _AGENT_VERBS and bool(command.instance or command.config)


def _starts_another(host: Host, service: Service, subject: Subject, installation: Installation) -> str:
    """Why a known unit is not this instance's: the name of an instance is a unit's name too, whatever that unit is (H-26)."""
    command = command_of(service.argv)
    if command is None:
        return (
            ""
            if installation.service or not service.argv
            else (f"The unit {service.unit} does not run a Tentacle but {' '.join(service.argv)}. Name the right unit with `service`.")
        )
    if command.instance and command.instance.lower() not in {name.lower() for name in subject.names}:
        return f"The unit {service.unit} runs the Tentacle instance {command.instance}, not {subject.instance}. Name the right unit with `service`."
    home = dict(service.environment).get(index.HOME_VARIABLE, installation.system.home)
    if not installation.service and not index.is_same(host, home, installation.home):
        return f"The unit {service.unit} reads the instance index under {home}, not under {installation.home}. Name the right unit with `service`."
    return ""


def _may_concern(host: Host, process: Process, command: Command, subject: Subject, home: str) -> bool:
    if command.instance:
        if command.instance.lower() not in {name.lower() for name in subject.names}:
            return False
        environment = host.environment_of(process.pid)
        theirs = environment.get(index.HOME_VARIABLE, index.DEFAULT_HOME if environment else home)
        return index.is_same(host, theirs, home)
    if host.paths.isabs(command.config):
        return index.is_same(host, command.config, subject.configuration)
    return True


def _options(words: Sequence[str]) -> List[str]:
    """The last --instance and --config, with their value in the same word or the next."""
    values = {"instance": "", "config": ""}
    for at, word in enumerate(words):
        match = _OPTION.fullmatch(word)
        if match:
            value = match.group("value")
            values[match.group("name").lower()] = value if value is not None else "".join(words[at + 1 : at + 2])
    return [values["instance"].strip(), values["config"].strip()]
