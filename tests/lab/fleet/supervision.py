# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service manager that lives exactly as long as somebody holds its lifeline, and the folders of those that were killed with it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from lab.fleet.folders import Folders
from lab.fleet.manager import Manager
from lab.waiting import until

TESTS = Path(__file__).resolve().parents[2]
PREFIX = f"octolab-{os.getuid()}-"
_PATIENCE = 10.0
_LAST_WORD = 300.0  # seconds: hundreds of processes end, and thousands of files go, on a disk and a machine that may be busy
_MAKING = 60.0  # seconds


@dataclass
class Supervision:
    """A running supervisor, seen from its builder."""

    folders: Folders
    process: subprocess.Popen[bytes]
    lifeline: int
    lock: int

    @classmethod
    def begin(cls, folders: Folders, keep: tuple[int, ...] = ()) -> Supervision:
        """Lock the folder and start the supervisor. Descriptors in ``keep`` stay open in it: what they reserve lives as long as it does."""
        folders.make()
        lock = _locked(folders.lock)
        reader, writer = os.pipe2(os.O_CLOEXEC)
        process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", "lab.fleet.supervisor", str(folders.root), str(reader)],
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PYTHONPATH": str(TESTS), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            pass_fds=(reader, lock, *keep),
            start_new_session=True,
        )
        os.close(reader)
        (folders.run / "supervisor.pid").write_text(f"{process.pid}\n", encoding="utf-8")
        until(lambda: folders.socket.exists() or process.poll() is not None, _PATIENCE, every=0.002, what="the service manager's socket")
        return cls(folders, process, writer, lock)

    @property
    def manager(self) -> Manager:
        return Manager(self.folders.socket)

    def end(self) -> None:
        """Let go of the lifeline, wait for the supervisor, and remove what it can no longer remove when it was killed."""
        os.close(self.lifeline)
        try:
            self.process.wait(_LAST_WORD)
        finally:
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.folders.root, ignore_errors=True)
            os.close(self.lock)


def _locked(path: Path) -> int:
    """Whoever sweeps must never see the lock file without its lock."""
    unnamed = path.with_suffix(".new")
    lock = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    unnamed.rename(path)
    return lock


def fresh_root() -> Path:
    """A new folder for a fleet, after sweeping those whose builder and supervisor were both killed."""
    sweep(Path(tempfile.gettempdir()))
    return Path(tempfile.mkdtemp(prefix=PREFIX))


def sweep(parent: Path) -> list[Path]:
    """Remove the fleets below ``parent`` that nobody holds locked; the folders that were removed."""
    return [root for root in sorted(parent.glob(f"{PREFIX}*")) if abandoned(Folders(root)) and _remove(root)]


def abandoned(folders: Folders) -> bool:
    """Whether the folder is a fleet's and neither its builder nor its supervisor lives. Without a lock it is being made, or was killed then."""
    try:
        lock = os.open(folders.lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return folders.root.name.startswith(PREFIX) and time.time() - folders.root.stat().st_mtime > _MAKING
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _remove(root: Path) -> bool:
    shutil.rmtree(root, ignore_errors=True)
    return True
