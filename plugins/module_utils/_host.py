# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The Host port: what a brain may ask of the machine that it looks at or changes.

A brain is handed a ``Host`` and knows nothing of Ansible. ``PosixHost`` (below) runs on the target; ``WindowsHost``
(plugin_utils/_windows.py) drives the same brain from the controller, so nothing here may assume that a file handle or a
lock survives between two calls, other than through :meth:`Host.exclusively`.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from types import ModuleType
from typing import IO, Callable, ContextManager, Dict, Iterator, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

OURS = ".octofleet-"  # in the name of every file that we put beside another one
_PRIVATE = "octofleet-private-"  # begins the name of every private folder


class Clock(NamedTuple):
    """Seconds that never go back, and a way to let some pass."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


SYSTEM_CLOCK = Clock(time.monotonic, time.sleep)


class Completed(NamedTuple):
    """What a finished program left. Never evidence of success: state is read back (architecture.md)."""

    rc: int
    stdout: str
    stderr: str


class FileStat(NamedTuple):
    mode: int  # permission bits only; -1: the system has none
    uid: int
    gid: int
    size: int
    inode: int
    mtime_ns: int


class Service(NamedTuple):
    """A service as its manager and the process table tell it; ``None`` and ``0`` mean *not known*."""

    unit: str
    known: bool  # the manager has a definition of it
    active: bool
    pid: int  # 0: no process
    started_monotonic_us: int  # the host's own clock, see Host.monotonic_us (decisions 8); 0: no process
    started_at: str  # for people, ISO 8601 UTC
    user: str
    argv: Sequence[str]
    environment: Sequence[Tuple[str, str]] = ()  # what the definition sets
    state: str = ""  # the manager's own word: active, activating, deactivating, inactive, failed


class Process(NamedTuple):
    pid: int
    parent: int
    uid: int
    argv: Sequence[str]
    started_monotonic_us: int


class Account(NamedTuple):
    uid: int
    home: str


class Socket(NamedTuple):
    """A listening TCP socket. ``pid`` is 0 when it belongs to none of the processes asked about, and -1 when that could not be seen."""

    address: str
    pid: int


class Host(Protocol):
    paths: ModuleType  # what os.path is there: how paths are put together, taken apart and compared

    def run(
        self,
        argv: Sequence[str],
        stdin: Optional[bytes] = None,
        env: Optional[Mapping[str, str]] = None,
        timeout: float = 120.0,
        inherit_fds: Sequence[int] = (),
    ) -> Completed:
        """Run a program in a neutral folder with a scrubbed environment (H-10, H-31) plus ``env``.

        OctoError if it cannot start or exceeds ``timeout`` seconds.
        """

    def read(self, path: str) -> Optional[bytes]:
        """The whole file, or None if there is none; OctoError if it cannot be read."""

    def stat(self, path: str) -> Optional[FileStat]:
        """What the file system says of a path; None if there is nothing."""

    def names_in(self, folder: str) -> List[str]:
        """Names in a folder, sorted; empty if there is none."""

    def unindexed(self) -> Sequence[Tuple[str, str]]:
        """Instances, with their configurations, that are recorded elsewhere than in the index: old ones in the registry of Windows."""

    def resolve(self, path: str) -> str:
        """The path with symbolic links followed (measured-tentacle 14.5)."""

    def write_private(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Create or replace a file atomically, private from its first byte; missing parent folders are made 0700."""

    def replace_if_same(self, path: str, expected: bytes, new: bytes, undisturbed: Callable[[], bool]) -> str:
        """Replace a file that the vendor's tool writes too, by the discipline of measured-tentacle 14.10.

        One call, because the vendor-visible lock is held for milliseconds only. Answers "" when it was done, else why
        it was not: ``locked`` (somebody holds the vendor-visible lock), ``busy`` (``undisturbed()`` said no under the
        lock) or ``changed`` (the file is not ``expected`` any more). Mode and owner are kept.
        """

    def remove(self, path: str) -> None:
        """Remove a file or folder with all it holds; nothing to remove is not an error."""

    def private_folder(self) -> ContextManager[str]:
        """A fresh 0700 folder that is gone afterwards; after kill -9 the next one to be made takes it away."""

    def service(self, unit: str) -> Service:
        """The service as it is now."""

    def order(self, verb: str, unit: str, timeout: float) -> Completed:
        """Tell the service manager to start, stop or restart; what comes of it is looked at, not believed (H-03)."""

    def process(self, pid: int) -> Optional[Process]:
        """A running process; None if there is none of that id."""

    def processes(self, wanted: Optional[Callable[[Sequence[str]], bool]] = None) -> List[Process]:
        """All running processes, or those whose arguments are ``wanted``: a host has hundreds, and a visit looks several times."""

    def environment_of(self, pid: int) -> Mapping[str, str]:
        """What a process was started with; empty if it may not be read."""

    def is_replaced(self, pid: int) -> bool:
        """Whether the program file that a process runs has been replaced or removed since."""

    def account(self, user: str) -> Optional[Account]:
        """The account that a service runs as; "" is the manager's default, root."""

    def sockets_on(self, port: int, pids: Sequence[int]) -> List[Socket]:
        """Who listens on a TCP port; only ``pids`` are told from others. Need not be complete once one of them was found."""

    def monotonic_us(self) -> int:
        """The host's clock in microseconds, comparable with :attr:`Service.started_monotonic_us`.

        On POSIX the monotonic one. Windows tells when a process started by its wall clock only, so that is it there.
        """

    def wall_ns(self, monotonic_us: int) -> int:
        """The time of day at a moment of that clock, comparable with :attr:`FileStat.mtime_ns`."""

    def exclusively(self, path: str, wait: float = 60.0) -> ContextManager[int]:
        """Our own lock for a configuration (decisions 29): yields a descriptor to hand to vendor commands through ``inherit_fds``."""


_PROPERTIES = ("LoadState", "ActiveState", "MainPID", "ExecMainStartTimestampMonotonic", "User", "ExecStart", "Environment")
_ACTIVE = ("active", "reloading")
_EXEC_START = re.compile(r"path=(?P<path>.*?) ; argv\[\]=(?P<argv>.*?) ; ignore_errors=", re.DOTALL)
_VENDOR_VARIABLE = re.compile(r"(OCTOPUS_|TENTACLE|DEFAULTLOGDIRECTORY$)", re.IGNORECASE)  # tentacle-cli 1.8
_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp
_OTHERS = ""


class PosixHost:
    """The machine that this process runs on."""

    paths: ModuleType = os.path

    def __init__(self, clock: Clock = SYSTEM_CLOCK, lock_parents: Sequence[str] = ("/run", "/run/lock", "/var/lock"), proc: str = "/proc") -> None:
        self._clock = clock
        self._lock_parents = (*lock_parents, tempfile.gettempdir())
        self._proc = proc

    def run(
        self,
        argv: Sequence[str],
        stdin: Optional[bytes] = None,
        env: Optional[Mapping[str, str]] = None,
        timeout: float = 120.0,
        inherit_fds: Sequence[int] = (),
    ) -> Completed:
        # Output goes to memory, not through pipes: a daemon that inherits them would keep us waiting for ever. And the brain has no module
        # at hand whose run_command it could call: the controller drives it, too.
        with _memory() as stdout, _memory() as stderr:
            try:
                process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                    list(argv),
                    stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                    stdout=stdout,
                    stderr=stderr,
                    cwd="/",
                    env={**_scrubbed_environment(), **(env or {})},
                    pass_fds=tuple(inherit_fds),
                    start_new_session=True,
                )
            except OSError as error:
                raise OctoError(f"{argv[0]} could not be started: {error.strerror}.", code="EXECUTABLE_MISSING", argv=_shown(argv)) from error
            try:
                process.communicate(stdin, timeout)
            except subprocess.TimeoutExpired:
                _end_group(process)
                raise OctoError(
                    f"{argv[0]} did not end within {timeout:g} seconds and was ended.", code="TIMEOUT", argv=_shown(argv), stderr=_text(stderr)
                ) from None
            return Completed(process.returncode, _text(stdout), _text(stderr))

    def read(self, path: str) -> Optional[bytes]:
        try:
            with open(path, "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise OctoError(f"{path} could not be read: {error.strerror}.", code="UNREADABLE", path=path) from error

    def stat(self, path: str) -> Optional[FileStat]:
        try:
            found = os.stat(path)
        except OSError:
            return None
        return FileStat(found.st_mode & 0o7777, found.st_uid, found.st_gid, found.st_size, found.st_ino, found.st_mtime_ns)

    def names_in(self, folder: str) -> List[str]:
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise OctoError(f"The folder {folder} could not be read: {error.strerror}.", code="UNREADABLE", path=folder) from error

    def unindexed(self) -> Sequence[Tuple[str, str]]:
        return ()

    def resolve(self, path: str) -> str:
        return os.path.realpath(path)

    def write_private(self, path: str, data: bytes, mode: int = 0o600) -> None:
        try:
            _make_private_folders(os.path.dirname(path))
            with _beside(path) as temporary:
                _write_new(temporary, data, lambda descriptor: os.fchmod(descriptor, mode))
                os.replace(temporary, path)
            _sync_folder(path)
        except OSError as error:
            raise OctoError(f"{path} could not be written: {error.strerror}.", code="NOT_WRITABLE", path=path) from error

    def replace_if_same(self, path: str, expected: bytes, new: bytes, undisturbed: Callable[[], bool]) -> str:
        path = os.path.realpath(path)
        try:
            with open(path, "rb") as original, _beside(path) as temporary:
                if not _lock(original.fileno()):
                    return "locked"
                if not undisturbed():
                    return "busy"
                if not _holds(original, path, expected):
                    return "changed"
                _write_new(temporary, new, lambda descriptor: _dress_like(original, descriptor))
                if not _holds(original, path, expected):
                    return "changed"
                os.replace(temporary, path)
                _sync_folder(path)
                return ""
        except FileNotFoundError:
            return "changed"
        except OSError as error:
            raise OctoError(f"{path} could not be replaced: {error.strerror}. Nothing was changed.", code="NOT_WRITABLE", path=path) from error

    def remove(self, path: str) -> None:
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise OctoError(f"{path} could not be removed: {error.strerror}.", code="NOT_WRITABLE", path=path) from error

    @contextlib.contextmanager
    def private_folder(self) -> Iterator[str]:
        parent = tempfile.gettempdir()
        with self.exclusively(parent):  # nobody sweeps a folder between its making and its lock
            _sweep_private_folders(parent)
            folder = tempfile.mkdtemp(prefix=_PRIVATE, dir=parent)
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _lock(held)
        try:
            yield folder
        finally:
            self.remove(folder)
            os.close(held)

    def service(self, unit: str) -> Service:
        try:
            completed = self.run(["systemctl", "show", "-p", ",".join(_PROPERTIES), unit], timeout=30)
        except OctoError:  # no systemd here: not an error of the service, so the process table is what is left
            return Service(unit, False, False, 0, 0, "", "", ())
        shown = dict(line.partition("=")[::2] for line in completed.stdout.splitlines() if "=" in line)
        process = self.process(int(shown.get("MainPID") or 0))
        started = int(shown.get("ExecMainStartTimestampMonotonic") or 0) or (process.started_monotonic_us if process else 0)
        return Service(
            unit=unit,
            known=shown.get("LoadState") == "loaded",
            active=shown.get("ActiveState") in _ACTIVE,
            pid=process.pid if process else 0,
            started_monotonic_us=started if process else 0,
            started_at=iso(self.wall_ns(started)) if process else "",
            user=shown.get("User") or "root",
            argv=_exec_start(shown.get("ExecStart") or ""),
            environment=_assignments(shown.get("Environment") or ""),
            state=shown.get("ActiveState") or "",
        )

    def order(self, verb: str, unit: str, timeout: float) -> Completed:
        return self.run(["systemctl", verb, unit], timeout=timeout)

    def process(self, pid: int) -> Optional[Process]:
        folder = f"{self._proc}/{pid}"
        try:
            argv = self._argv(pid)
            with open(f"{folder}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            uid = os.stat(folder).st_uid
        except OSError:
            return None
        if fields[0] in (b"Z", b"X"):  # ended, and only remembered by its parent
            return None
        return Process(pid, int(fields[1]), uid, argv, self._since_boot(int(fields[19])))

    def processes(self, wanted: Optional[Callable[[Sequence[str]], bool]] = None) -> List[Process]:
        pids = [int(name) for name in self.names_in(self._proc) if name.isdigit()]
        found = (self.process(pid) for pid in pids if wanted is None or self._is(wanted, pid))
        return [process for process in found if process is not None]

    def _is(self, wanted: Callable[[Sequence[str]], bool], pid: int) -> bool:
        try:
            return wanted(self._argv(pid))
        except OSError:  # ended meanwhile
            return False

    def _argv(self, pid: int) -> List[str]:
        # Without a file object, which costs as much again as the reading does.
        descriptor = os.open(f"{self._proc}/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
        try:
            pieces = list(iter(lambda: os.read(descriptor, 1 << 16), b""))
        finally:
            os.close(descriptor)
        return os.fsdecode(b"".join(pieces)).split("\0")[:-1]

    def environment_of(self, pid: int) -> Mapping[str, str]:
        try:
            with open(f"{self._proc}/{pid}/environ", "rb") as file:
                words = [os.fsdecode(word) for word in file.read().split(b"\0")]
        except OSError:
            return {}
        return dict(word.partition("=")[::2] for word in words if "=" in word)

    def is_replaced(self, pid: int) -> bool:
        try:
            return os.readlink(f"{self._proc}/{pid}/exe").endswith(" (deleted)")
        except OSError:
            return False

    def account(self, user: str) -> Optional[Account]:
        try:
            found = pwd.getpwnam(user or "root") if not user.isdigit() else pwd.getpwuid(int(user))
        except KeyError:
            return None
        return Account(found.pw_uid, found.pw_dir)

    def sockets_on(self, port: int, pids: Sequence[int]) -> List[Socket]:
        owners: Optional[Mapping[str, int]] = None
        found: List[Socket] = []
        for table in ("tcp", "tcp6"):
            for address, inode in self._listening(table, port):
                owners = self._owners(pids) if owners is None else owners
                found.append(Socket(address, owners.get(f"socket:[{inode}]", owners[_OTHERS])))
            if any(one.pid > 0 for one in found):  # the second table is dear where many connections have just ended
                break
        return found

    def _listening(self, table: str, port: int) -> Iterator[Tuple[str, str]]:
        with contextlib.suppress(FileNotFoundError), open(f"{self._proc}/net/{table}", encoding="ascii", buffering=4096) as file:
            next(file, None)
            for line in file:
                fields = line.split()
                # The kernel lists listening sockets first; what follows them may be ten thousand lines that take it a while.
                if fields[3] != _LISTENING:
                    break
                address, _colon, hexadecimal = fields[1].partition(":")
                if int(hexadecimal, 16) == port:
                    yield _address(address), fields[9]

    def _owners(self, pids: Sequence[int]) -> Mapping[str, int]:
        """Open files by name; what to say of others is under ``_OTHERS``, since some processes may not be looked into."""
        owners = {_OTHERS: 0}
        for pid in pids:
            folder = f"{self._proc}/{pid}/fd"
            try:
                names = os.listdir(folder)
            except OSError:
                owners[_OTHERS] = -1
                continue
            for name in names:
                with contextlib.suppress(OSError):  # closed meanwhile
                    owners[os.readlink(f"{folder}/{name}")] = pid
        return owners

    def monotonic_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000

    def wall_ns(self, monotonic_us: int) -> int:
        return time.time_ns() - (self.monotonic_us() - monotonic_us) * 1000

    def _since_boot(self, ticks: int) -> int:
        """/proc counts from boot with the time asleep, the monotonic clock without it; in ticks of 10 ms, so that two looks agree."""
        asleep = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 - self.monotonic_us()
        return ticks * 1_000_000 // os.sysconf("SC_CLK_TCK") - round(asleep, -4)

    def exclusively(self, path: str, wait: float = 60.0) -> ContextManager[int]:
        path = os.path.realpath(path)
        return self.hold(path, path, wait)

    @contextlib.contextmanager
    def hold(self, what: str, path: str, wait: float) -> Iterator[int]:
        """The lock on ``what``; ``path`` is what a person is told. The lock on a file of another machine is held here, too (decisions 29)."""
        name = hashlib.sha256(os.fsencode(what)).hexdigest()[:32] + ".lock"
        descriptor = os.open(os.path.join(self._lock_folder(), name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            deadline = self._clock.now() + wait
            while not _lock(descriptor):
                if self._clock.now() >= deadline:
                    raise OctoError(
                        f"{path} is being changed by another run ({_holder(descriptor)}), which did not end within {wait:g} seconds. "
                        "Nothing was changed here. Wait for the other run to end, then run again.",
                        code="IN_USE",
                        path=path,
                    )
                self._clock.sleep(0.05)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} since {iso(time.time_ns())}".encode("ascii"), 0)
            yield descriptor
        finally:
            # Closed, not unlocked: a vendor command that outlives us still holds it (decisions 29).
            os.close(descriptor)

    def _lock_folder(self) -> str:
        for parent in self._lock_parents:
            folder = os.path.join(parent, f"octofleet-octopus-{os.geteuid()}")
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, 0o700)
                found = os.lstat(folder)
            except OSError:
                continue
            # A folder of somebody else in a world-writable parent is not one to trust.
            if found.st_uid == os.geteuid() and found.st_mode & 0o170077 == 0o040000:
                return folder
        raise OctoError(
            f"No folder for the lock could be made in any of {', '.join(self._lock_parents)}. Make one of them writable for this account.",
            code="NO_LOCK_FOLDER",
        )


def iso(wall_ns: int) -> str:
    """A time of day for people, in UTC."""
    return datetime.datetime.fromtimestamp(wall_ns // 1000 / 1e6, datetime.timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _shown(argv: Sequence[str]) -> List[str]:
    """For an error only, so what it takes is not loaded by the visits that go well."""
    from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import redact

    return redact(argv)


def _scrubbed_environment() -> Dict[str, str]:
    """Without the variables that change what the vendor's tools do, and with the home of who we are: they keep keys there (H-14, H-31)."""
    kept = {name: value for name, value in os.environ.items() if not _VENDOR_VARIABLE.match(name)}
    with contextlib.suppress(KeyError):  # an account without an entry keeps what it was given
        kept["HOME"] = pwd.getpwuid(os.geteuid()).pw_dir
    return kept


def _memory() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("octofleet"), "w+b")
    return tempfile.TemporaryFile()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _make_private_folders(folder: str) -> None:
    """os.makedirs gives its mode to the last folder only."""
    if not os.path.isdir(folder):
        _make_private_folders(os.path.dirname(folder))
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)


def _sweep_private_folders(parent: str) -> None:
    """Those of killed runs: nobody holds their lock. They may hold a PFX whose one-use password stood in a process list."""
    for name in os.listdir(parent):
        if not name.startswith(_PRIVATE):
            continue
        try:
            descriptor = os.open(os.path.join(parent, name), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # of another account, or gone meanwhile
            continue
        if os.fstat(descriptor).st_uid == os.geteuid() and _lock(descriptor):
            shutil.rmtree(os.path.join(parent, name), ignore_errors=True)
        os.close(descriptor)


@contextlib.contextmanager
def _beside(path: str) -> Iterator[str]:
    """The name for a temporary file in the same folder, gone afterwards whether it was used or not."""
    temporary = f"{path}{OURS}{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _write_new(path: str, data: bytes, dress: Callable[[int], None]) -> None:
    """Private from the first byte (it holds the encrypted key), and on the disk before anybody sees it under another name."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        dress(file.fileno())
        os.fsync(file.fileno())


def _dress_like(original: IO[bytes], descriptor: int) -> None:
    """Owner, mode, and labels (SELinux, access lists) of the file that will be replaced."""
    found = os.fstat(original.fileno())
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (found.st_uid, found.st_gid):
        os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, found.st_mode & 0o7777)
    with contextlib.suppress(OSError):  # a file system without labels has none to lose
        for name in os.listxattr(original.fileno()):
            with contextlib.suppress(PermissionError):  # one that only root may set is given to a new file by its folder
                os.setxattr(descriptor, name, os.getxattr(original.fileno(), name))


def _holds(original: IO[bytes], path: str, expected: bytes) -> bool:
    """Whether the name still leads to the open file, and the file holds what we have read."""
    original.seek(0)
    return os.stat(path).st_ino == os.fstat(original.fileno()).st_ino and original.read() == expected


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode("ascii", "replace") or "unknown"


def _exec_start(text: str) -> Sequence[str]:
    """systemd shows the arguments joined by spaces; the path is told apart, so that at least it may hold some."""
    match = _EXEC_START.search(text)
    if match is None:
        return ()
    path, joined = match.group("path"), match.group("argv")
    return (path, *joined[len(path) :].split()) if joined.startswith(path) else tuple(joined.split())


def _assignments(text: str) -> Sequence[Tuple[str, str]]:
    try:
        words = shlex.split(text)
    except ValueError:
        return ()
    return tuple((name, value) for name, _equals, value in (word.partition("=") for word in words))


def _address(hexadecimal: str) -> str:
    """/proc/net writes each 32-bit word of an address in the machine's own order."""
    words = (int(hexadecimal[at : at + 8], 16) for at in range(0, len(hexadecimal), 8))
    packed = b"".join(struct.pack("=I", word) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
