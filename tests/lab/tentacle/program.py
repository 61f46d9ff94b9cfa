# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call of the stand-in from its arguments to its exit code (tentacle-cli.md 1.1 to 1.7)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable

from lab.settings import Settings
from lab.tentacle import commands
from lab.tentacle.commands.base import Command
from lab.tentacle.commands.help import general_help
from lab.tentacle.context import Context
from lab.tentacle.errors import Controlled, Failure, activation_failure, of_os_error, report
from lab.tentacle.index import Request
from lab.tentacle.log import Level, Log
from lab.tentacle.options import OptionSet
from lab.tentacle.world import World

# Shares of a call's cost before and after the configuration is first read: what the strace in golden/ shows. Two calls that overlap in
# the second share lose each other's changes.
_COST_BEFORE_READING = 0.7
_SHORTEST_MASKED = 4
_MASK = "********"


class ExitCode:
    """tentacle-cli.md 1.4."""

    SUCCESS = 0
    CONTROLLED = 1
    UNKNOWN_COMMAND = 2
    GENERAL = 100


def main() -> int:
    """The process that bin/Tentacle is."""
    settings = Settings.load()
    return run(World(sys.argv[1:], os.environ, os.getcwd(), sys.stdin, sys.stdout, sys.stderr, settings))


def run(world: World) -> int:
    """Run one call; every failure becomes words and an exit code."""
    _record(world)
    context = Context(world, Log(world))
    try:
        return _run(context)
    except Controlled as failure:
        context.log.fatal(str(failure))
        return ExitCode.CONTROLLED
    except Failure as failure:
        return _terminate(context, failure)
    except OSError as error:
        return _terminate(context, of_os_error(error, str(error.filename or "")))


def _terminate(context: Context, failure: Failure) -> int:
    context.log.file_only(Level.FATAL, "\n".join(failure.lines()))
    context.world.stderr.write(report(failure, context.log_directories))
    context.world.stderr.flush()
    return ExitCode.GENERAL


def _run(context: Context) -> int:
    world, log = context.world, context.log
    log.trace("Processing common command-line options")
    arguments, after_dashes = _split_at_dashes(list(world.argv))
    asked: set[str] = set()
    arguments = _switches(context, asked, "nologo", "noconsolelogging", "help").parse(arguments)
    log.console = "noconsolelogging" not in asked
    name = arguments.pop(0) if arguments else ""
    context.request = _peek(context, arguments)
    context.world.sleep(world.settings.cli_cost * _COST_BEFORE_READING)
    kind = commands.find(name)
    if kind is None:
        return _unknown(context, name)
    if "help" in asked:
        kind, arguments = commands.load("help"), [name, *arguments]
    log.trace("Creating and configuring the Autofac container")
    hosting = _switches(context, asked, "console", "noninteractive")
    hosting.add("monitorMutex=", "", lambda _ignored: None)
    arguments = hosting.parse(arguments)
    context.noninteractive = "noninteractive" in asked
    if kind.has_instance:
        _open_log(context)
    if not context.noninteractive:
        context.log_directories = list(dict.fromkeys([log.directory, log.fallback]))
    world.sleep(world.settings.cli_cost * (1 - _COST_BEFORE_READING))
    return _start(context, kind, arguments, after_dashes)


def _start(context: Context, kind: type[Command], arguments: list[str], after_dashes: list[str]) -> int:
    if kind.resolves_configuration:
        _resolve(context)
    command = kind(context)
    command.left = [*command.options.parse(arguments), *after_dashes]
    if command.left and not kind.ignores_unknown:
        raise Controlled(f"Unrecognized command line arguments: {' '.join(command.left)}")
    if kind.suppresses_console:
        context.log.console = False
    if kind.has_instance:
        context.log.start_command(kind.__name__, _masked(context.world, command))
    if kind.needs_instance:
        _ignored = context.located
    code = command.start()
    if context.restart_voted:
        named = context.located.name is not None
        context.log.warn(f"These changes require a restart of the {'Tentacle' if named else 'service'}.")
    return code


def _split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """`--` is dropped and everything after it is left over."""
    if "--" not in arguments:
        return arguments, []
    position = arguments.index("--")
    return arguments[:position], arguments[position + 1 :]


def _switches(context: Context, asked: set[str], *names: str) -> OptionSet:
    options = OptionSet(context.settings.quirk)
    for name in names:
        options.add(name, "", _adder(asked, name))
    return options


def _adder(asked: set[str], name: str) -> Callable[[str], None]:
    return lambda _ignored: asked.add(name)


def _peek(context: Context, arguments: list[str]) -> Request:
    """Look for --instance and --config and take nothing away; a trailing one fails here, before any host is chosen."""
    found: dict[str, str] = {}
    options = OptionSet(context.settings.quirk)
    options.add("instance=", "", lambda value: found.update(instance=value))
    options.add("config=", "", lambda value: found.update(config=value))
    options.parse(arguments)
    return Request(found.get("instance"), found.get("config"))


def _open_log(context: Context) -> None:
    """Start logging in the instance's home. A configuration that cannot be read ends the call here; a missing instance does not yet."""
    try:
        located = context.located
    except (Controlled, Failure):
        return
    home = context.configuration.home
    if home is not None:
        context.log.open_home(str(home), located.name)


def _resolve(context: Context) -> None:
    """Two commands get the configuration from the container, where an unknown instance is no controlled failure any more."""
    try:
        _ignored = context.located
    except Controlled as failure:
        if not context.settings.quirk("server_comms_unknown_instance_crashes"):
            raise
        raise activation_failure(str(failure)) from failure


def _unknown(context: Context, name: str) -> int:
    if not name:
        context.write(general_help())
    else:
        context.world.stderr.write(f"Command '{name.lower().lstrip('-/')}' is not supported\n")
        context.world.stdout.write("See 'Tentacle help'\n")
    return ExitCode.UNKNOWN_COMMAND


def _masked(world: World, command: Command) -> str:
    """The command line as it is logged: the last value of each sensitive option is masked, if it is not too short."""
    line = " ".join([f"{world.settings.executable}.dll", *world.argv])
    for value in command.sensitive_values():
        if len(value) >= _SHORTEST_MASKED:
            line = line.replace(value, _MASK)
    return line


def _record(world: World) -> None:
    """Leave a note of this start, so that a test can look for secrets in what was passed."""
    if world.settings.record is None:
        return
    note = {
        "pid": os.getpid(),
        "program": "Tentacle",
        "argv": list(world.argv),
        "environ": dict(world.environ),
        "time": world.clock(),
    }
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(world.settings.record, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, (json.dumps(note) + "\n").encode())
        finally:
            os.close(descriptor)
