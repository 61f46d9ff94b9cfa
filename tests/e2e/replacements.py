# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often files were written, as the kernel counted it (inotify): independent of everything that writes them."""

from __future__ import annotations

import ctypes
import os
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

_MODIFY, _MOVED_TO = 0x2, 0x80
_HEADER = struct.Struct("iIII")  # struct inotify_event: watch, mask, cookie, length of the name


class Replacements:
    """From its making on: which files were put in place by a rename, and which were written where they lie."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._files = set(files)
        self._folders = {self._watch(folder): folder for folder in {file.parent for file in self._files}}
        self.replaced: Counter[Path] = Counter()
        self.written_in_place: Counter[Path] = Counter()

    def __enter__(self) -> Replacements:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        os.close(self._descriptor)

    def _watch(self, folder: Path) -> int:
        watch: int = self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _MODIFY | _MOVED_TO)
        if watch < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch", str(folder))
        return watch

    def of(self, file: Path) -> int:
        """How often ``file`` has been replaced by now."""
        self._drain()
        return self.replaced[file]

    def in_place(self, file: Path) -> int:
        """How often ``file`` has been written where it lies by now."""
        self._drain()
        return self.written_in_place[file]

    def _drain(self) -> None:
        while events := self._read():
            while events:
                watch, mask, _cookie, length = _HEADER.unpack_from(events)
                name = events[_HEADER.size : _HEADER.size + length].rstrip(b"\0")
                events = events[_HEADER.size + length :]
                file = self._folders[watch] / os.fsdecode(name)
                if file in self._files:
                    (self.replaced if mask & _MOVED_TO else self.written_in_place)[file] += 1

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return b""
