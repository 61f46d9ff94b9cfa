# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host of the commands: which command, which instance, which exit code (octopus-server.md 1.3 to 1.5)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab.server.quirks import quirk_of
from lab.tentacle.errors import Controlled, Failure, of_os_error, report
from lab.tentacle.options import OptionSet
from lab.tentacle.world import World

if TYPE_CHECKING:
    from lab.server.database import Database
    from lab.server.instance import Instance

RESTART = "These changes require a restart of the Octopus Server."
_HIDDEN = ("console", "noninteractive", "nologo", "noconsolelogging", "monitorMutex=")


class MissingKey(Controlled):
    """What every command that needs the database ends with when there is no Master Key."""

    def __init__(self) -> None:
        super().__init__("The Octopus Master Key has not been configured on this machine. Use the set-master-key command to configure it.")


@dataclass
class Call:
    """One call of one command. ``options`` holds what was given; a switch is there or not."""

    world: World
    options: Mapping[str, str]
    _instance: Instance | None = field(default=None, repr=False)

    def say(self, line: str) -> None:
        """Info and warnings go to stdout, as bare lines."""
        print(line, file=self.world.stdout)

    def complain(self, line: str) -> None:
        """Errors go to stderr."""
        print(line, file=self.world.stderr)

    def quirk(self, name: str) -> bool:
        return quirk_of(self.world.settings)(name)

    def fault(self, name: str) -> object:
        return self.world.settings.fault(name)

    def path(self, option: str) -> Path:
        return Path(self.world.absolute(self.options[option]))

    @property
    def instance(self) -> Instance:
        if self._instance is None:
            from lab.server.instance import resolve

            self._instance = resolve(self.world.settings, self.world.cwd, self.options.get("instance"), self.options.get("config"))
        return self._instance

    def database(self) -> Database:
        """The shared database, after the check of the Master Key that every command which needs it prints first (1.2)."""
        from lab.server.database import Database
        from lab.server.masterkey import MasterKey, MasterKeyError

        instance = self.instance
        self.say("Checking the Octopus Master Key has been configured.")
        try:
            if self.fault("master_key_missing"):
                raise MasterKeyError("fault master_key_missing")
            MasterKey.read(instance.master_key_file)
        except MasterKeyError as error:
            raise MissingKey from error
        try:
            return Database(instance.database, instance.master_key_file)
        except FileNotFoundError as error:
            raise Failure("A network-related error occurred while establishing a connection to SQL Server.", "SqlException") from error


@dataclass(frozen=True)
class Command:
    """A verb: its options in the vendor's notation (`pw|pfx-password=`), whether it takes --instance and --config, and what it does."""

    options: tuple[str, ...]
    run: Callable[[Call], int | None]
    common: tuple[str, ...] = ("instance=", "config=")


def main(world: World, commands: Mapping[str, Command]) -> int:
    """Run one command line; the exit code of 1.5."""
    _record(world)
    if world.settings.cli_cost:
        world.sleep(world.settings.cli_cost)
    try:
        return _run(world, commands)
    except Controlled as error:
        print(error, file=world.stderr)
        return 1
    except Failure as error:
        print(report(error, None), file=world.stderr, end="")
        return 100
    except OSError as error:
        print(report(of_os_error(error, str(error.filename or "")), None), file=world.stderr, end="")
        return 100


def _run(world: World, commands: Mapping[str, Command]) -> int:
    arguments = list(world.argv)
    if not arguments or arguments[0] == "--help":
        _help(world, commands)
        return 2
    word = arguments[0].lstrip("-/").lower()
    command = commands.get(word)
    if word in ("help", "h", "?"):
        _help(world, commands)
        return 0
    if command is None:
        print(f"Command '{word}' is not supported", file=world.stderr)
        print("See 'Octopus.Server help'", file=world.stdout)
        return 2
    options, left = _parsed(arguments[1:], command, quirk_of(world.settings))
    if "help" in options:
        _help(world, {word: command})
        return 0
    if left:
        raise Controlled("Unrecognized command line arguments: " + " ".join(left))
    return command.run(Call(world, options)) or 0


def _parsed(arguments: list[str], command: Command, quirk: Callable[[str], bool]) -> tuple[dict[str, str], list[str]]:
    """The shared host scans the line in passes: what every command takes first, then the command's own options."""
    options: dict[str, str] = {}
    for prototypes in (("help", *_HIDDEN), (*command.common, *command.options)):
        passed = OptionSet(quirk)
        for prototype in prototypes:
            name = prototype.rstrip("=").rsplit("|", maxsplit=1)[-1]
            passed.add(prototype, "", lambda value, name=name: options.__setitem__(name, value))  # type: ignore[misc]
        arguments = passed.parse(arguments)
    return options, arguments


def _help(world: World, commands: Mapping[str, Command]) -> None:
    print("Usage: Octopus.Server <command> [<options>]\n\nWhere <command> is one of: \n", file=world.stdout)
    for name in sorted(commands):
        print(f"  {name:<15} {' '.join(_spelled(commands[name]))}".rstrip(), file=world.stdout)
    print("\nOr use <command> --help for more details.", file=world.stdout)


def _spelled(command: Command) -> Iterator[str]:
    for prototype in (*command.common, *command.options):
        yield f"--{prototype.rstrip('=').split('|')[-1]}" + ("=VALUE" if prototype.endswith("=") else "")


def _record(world: World) -> None:
    """What was started, with which arguments and environment: the secret-marker test reads it."""
    record = world.settings.record
    if record is None:
        return
    note = {"pid": os.getpid(), "program": "Octopus.Server", "argv": list(world.argv), "environ": dict(world.environ), "time": world.clock()}
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, (json.dumps(note) + "\n").encode())
        finally:
            os.close(descriptor)
