# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The Host port: what a brain may ask of the machine that it looks at or changes.

A brain is handed a ``Host`` and knows nothing of Ansible. ``PosixHost`` (below) runs on the target; a Windows hand
drives the same brain from the controller later, so nothing here may assume that a file handle or a lock survives
between two calls, other than through :meth:`Host.exclusively`.
"""

from __future__ import annotations

from typing import ContextManager, List, Mapping, NamedTuple, Optional, Protocol, Sequence


class Completed(NamedTuple):
    """What a finished program left. Never evidence of success: state is read back (architecture.md)."""

    rc: int
    stdout: str
    stderr: str


class FileStat(NamedTuple):
    mode: int  # permission bits only
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
    started_monotonic_us: int  # the host's own monotonic clock (decisions 8); 0: no process
    started_at: str  # for people, ISO 8601 UTC
    user: str
    argv: Sequence[str]


class Host(Protocol):
    def run(
        self,
        argv: Sequence[str],
        stdin: Optional[bytes] = None,
        env: Optional[Mapping[str, str]] = None,
        timeout: float = 120.0,
        inherit_fds: Sequence[int] = (),
    ) -> Completed:
        """Run a program in a neutral folder with a scrubbed environment (H-10, H-31) plus ``env``; OctoError if it cannot start or exceeds ``timeout`` seconds."""

    def read(self, path: str) -> Optional[bytes]:
        """The whole file, or None if there is none; OctoError if it cannot be read."""

    def stat(self, path: str) -> Optional[FileStat]: ...

    def names_in(self, folder: str) -> List[str]:
        """Names in a folder, sorted; empty if there is none."""

    def resolve(self, path: str) -> str:
        """The path with symbolic links followed (measured-tentacle 14.5)."""

    def write_private(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Create or replace a file atomically, private from its first byte; missing parent folders are made 0700."""

    def remove(self, path: str) -> None:
        """Remove a file or folder with all it holds; nothing to remove is not an error."""

    def private_folder(self) -> ContextManager[str]:
        """A fresh 0700 folder that is gone afterwards."""

    def service(self, unit: str) -> Service: ...

    def monotonic_us(self) -> int:
        """The host's monotonic clock, comparable with :attr:`Service.started_monotonic_us`."""

    def exclusively(self, path: str, wait: float = 60.0) -> ContextManager[int]:
        """Our own lock for a configuration (decisions 29): yields a descriptor to hand to vendor commands through ``inherit_fds``."""
