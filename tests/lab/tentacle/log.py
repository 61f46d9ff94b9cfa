# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OctopusTentacle.txt and the console: levels, line format, daily archives (tentacle-cli.md 1.5, measured-tentacle.md 14.6)."""

from __future__ import annotations

import contextlib
import enum
import os
import threading
import time
from collections.abc import Iterator

from lab.tentacle.world import World

_FILE = "OctopusTentacle.txt"
_ARCHIVE = "OctopusTentacle.{}.txt"
_ARCHIVES_KEPT = 7
_SOURCE_WIDTH = 30


class Level(enum.IntEnum):
    """NLog's levels; only these very spellings, in NLog's letter case, are understood in OCTOPUS__TENTACLE__LOGLEVEL."""

    TRACE = 0
    DEBUG = 1
    INFO = 2
    WARN = 3
    ERROR = 4
    FATAL = 5
    OFF = 6


class Log:
    """The log of one process. Safe for threads; every entry is one write to a file opened for it, so that it is readable at its stamp."""

    def __init__(self, world: World) -> None:
        self._world = world
        names = {level.name.capitalize(): level for level in Level}
        self.threshold = names.get(world.environ.get("OCTOPUS__TENTACLE__LOGLEVEL", ""), Level.INFO)
        self.console = True
        self.fallback = _fallback_directory(world)
        self.home_directory: str | None = None
        self._lock = threading.Lock()
        self._threads: dict[int, int] = {}

    @property
    def directory(self) -> str:
        """Where entries go now, as the vendor names the folder (it may be relative to the working directory)."""
        return self.home_directory or self.fallback

    def open_home(self, home: str, instance: str | None) -> None:
        """Change over to `<home>/Logs`, with the first of the lines that every start writes at whatever level."""
        self.home_directory = f"{home}/Logs"
        # Loading NLog's configuration again brings the console back: --noconsolelogging has no lasting effect.
        self.console = True
        version = self._world.settings.version
        self._write(Level.INFO, "=" * 80)
        self._write(Level.INFO, f"Changed log folder from {self.fallback} to {self.home_directory}")
        self._write(Level.INFO, f"Tentacle version {version} ({version})" + (f" instance {instance}" if instance else ""))
        self._write(Level.INFO, "\n".join(["Environment Information:", *_environment(self._world)]))

    def start_command(self, class_name: str, command_line: str) -> None:
        """The other lines that every start writes at whatever level."""
        self._write(Level.INFO, f"==== {class_name} ====")
        self._write(Level.INFO, f"CommandLine: {command_line}")

    def trace(self, message: str) -> None:
        """Shown with OCTOPUS__TENTACLE__LOGLEVEL=Trace."""
        self.entry(Level.TRACE, message)

    def debug(self, message: str) -> None:
        """Shown with OCTOPUS__TENTACLE__LOGLEVEL=Debug."""
        self.entry(Level.DEBUG, message)

    def info(self, message: str) -> None:
        """To stdout and the file."""
        self.entry(Level.INFO, message)

    def warn(self, message: str) -> None:
        """To stdout and the file."""
        self.entry(Level.WARN, message)

    def error(self, message: str) -> None:
        """To stderr and the file."""
        self.entry(Level.ERROR, message)

    def fatal(self, message: str) -> None:
        """To stderr and the file."""
        self.entry(Level.FATAL, message)

    def halibut(self, level: str, source: str, message: str) -> None:
        """An entry of the transport: endpoint and thread before the message. ``level`` is a name of Level in any letter case."""
        self.entry(Level[level.upper()], f"{source:<{_SOURCE_WIDTH}}{self._thread():>5}  {message}")

    def entry(self, level: Level, message: str) -> None:
        """One entry at a level, to the console and the file as far as the threshold allows."""
        if level >= self.threshold:
            self._write(level, message)
        if level >= Level.ERROR:
            # Errors reach stderr, and so the journal, at every threshold, Off included.
            self._say(self._world.stderr, message)
        elif level >= self.threshold and self.console:
            self._say(self._world.stdout, message)

    def file_only(self, level: Level, message: str) -> None:
        """An entry whose console form somebody else prints."""
        if level >= self.threshold:
            self._write(level, message)

    def _say(self, stream: object, message: str) -> None:
        with self._lock:
            print(message, file=stream, flush=True)  # type: ignore[call-overload]

    def _write(self, level: Level, message: str) -> None:
        now = self._world.clock()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 10000):04}"
        line = f"{stamp}  {os.getpid():>5}  {self._thread():>5} {level.name:>5}  {message}\n"
        # A folder that cannot be written costs the entry, never the command.
        with self._lock, contextlib.suppress(OSError):
            directory = self._world.absolute(self.directory)
            os.makedirs(directory, exist_ok=True)
            path = os.path.join(directory, _FILE)
            _archive(path, now)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)

    def _thread(self) -> int:
        """Small numbers as .NET has them: 1 is the main thread."""
        if threading.current_thread() is threading.main_thread():
            return 1
        return self._threads.setdefault(threading.get_ident(), len(self._threads) + 4)


def _archive(path: str, now: float) -> None:
    """Move yesterday's file to .0 and the older ones up; whoever writes first on a new day does it, a command line call too."""
    try:
        written = os.stat(path).st_mtime
    except FileNotFoundError:
        return
    if time.localtime(written)[:3] == time.localtime(now)[:3]:
        return
    folder = os.path.dirname(path)
    names = [os.path.join(folder, _ARCHIVE.format(number)) for number in range(_ARCHIVES_KEPT)]
    for older, newer in reversed(list(zip(names[1:], names, strict=False))):
        if os.path.exists(newer):
            os.replace(newer, older)
    os.replace(path, names[0])


def _fallback_directory(world: World) -> str:
    """Where entries go before the instance is known: relative to the working directory when ~/.local/share does not exist."""
    given = world.environ.get("DefaultLogDirectory")
    if given:
        return given
    data = world.settings.home / ".local" / "share"
    return f"{data}/Octopus/Logs" if data.is_dir() else "Octopus/Logs"


def _environment(world: World) -> Iterator[str]:
    yield "  OperatingSystem: Debian GNU/Linux 12 (bookworm)"
    yield "  OsBitVersion: x64"
    yield "  Is64BitProcess: True"
    yield f"  CurrentUser: {world.environ.get('USER', 'root')}"
    yield f"  MachineName: {os.uname().nodename}"
    yield f"  ProcessorCount: {os.cpu_count()}"
    yield f"  CurrentDirectory: {world.cwd}"
    yield f"  TempDirectory: {world.environ.get('TMPDIR', '/tmp')}/"
    yield "  HostProcessName: Tentacle"
    yield f"  PID: {os.getpid()}"
