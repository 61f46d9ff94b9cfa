# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

r"""Drive C: of a host, which is the host's folder of the fleet: backslashes only, letter case of no matter.

The stand-ins write there as they do everywhere, and whoever looks through Windows sees what Windows' Tentacles write: paths that begin with
C:\, lines that end in CRLF, a certificate that DPAPI has encrypted, process ids that are multiples of four.
"""

from __future__ import annotations

import json
import ntpath
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lab.windows.refusal import Failed, Refused

PID = 4  # Windows' process ids are multiples of it

_DRIVE = "C:\\"
_WHOLE = re.compile(r'[A-Za-z]:\\[^/<>:"|?*\x00-\x1f]*')
# What every host of a fleet has for its stand-ins, and no Windows has: the store of certificates, the machine's id, the key made without one.
_HIDDEN = frozenset({("root",), ("programdata", "machine-id"), ("programdata", "octopus", "machinekey")})
_DPAPI = b"AQAAANCMnd8BFdERjHoAwE/Cl+sBAAAA"  # how all that it encrypts begins, in base64; a multiple of four characters
_CERTIFICATE = b'<set key="Tentacle.Certificate">'
_LOG_LEAD = re.compile(rb"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) +(\d+)(?= )", re.MULTILINE)
_LOG = re.compile(r"OctopusTentacle(\.\d)?\.txt", re.IGNORECASE)


class Translation(NamedTuple):
    """Of a kind of file: as Windows shows it, and back."""

    shown: Callable[[bytes], bytes]
    stored: Callable[[bytes], bytes]


class Disk:
    """``folder`` is C:\\."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = str(folder)

    # -- paths

    def real(self, path: str) -> Path:
        """The file or folder of that name, in whatever letter case it is there; where it is not, as it was asked for."""
        if not _WHOLE.fullmatch(path):
            raise Refused(f"{path!r} is no whole path of Windows, with a drive and backslashes.")
        drive, rest = ntpath.splitdrive(ntpath.normpath(path))
        if drive.upper() != "C:":
            raise Failed(f"Could not find a part of the path '{path}'.")
        parts = [part for part in rest.split("\\") if part]
        if any(tuple(map(str.lower, parts[: len(hidden)])) == hidden for hidden in _HIDDEN):
            return self.folder / "nothing of that name"
        found = self.folder
        for part in parts:
            found = found / _spelled(found, part)
        return found

    def shown(self, real: Path) -> str:
        """The path that Windows has for it."""
        return _DRIVE + "\\".join(real.relative_to(self.folder).parts)

    def exists(self, path: str) -> bool:
        """Of a drive that is not there, nothing exists."""
        try:
            return self.real(path).exists()
        except Failed:
            return False

    def names(self, path: str) -> list[str]:
        folder = self.real(path)
        inside = tuple(part.lower() for part in folder.relative_to(self.folder).parts)
        return [each.name for each in sorted(folder.iterdir()) if (*inside, each.name.lower()) not in _HIDDEN]

    # -- contents

    def read(self, real: Path) -> bytes:
        return self._translation(real).shown(real.read_bytes())

    def replace(self, real: Path, data: bytes, mode: int, owner: tuple[int, int] | None = None) -> None:
        """A new file of that name, whole or not at all, as MoveFile and ReplaceFile do it."""
        translation = self._translation(real)
        stored = translation.stored(data)
        if translation.shown(stored) != data:
            raise Refused(f"{self.shown(real)} was to be written as no program of Windows writes it: with bare line feeds, or with paths of POSIX.")
        fresh = real.with_name(f"{real.name}.{os.getpid()}.lab")
        fresh.write_bytes(stored)
        fresh.chmod(mode)
        if owner is not None:
            os.chown(fresh, *owner)
        fresh.replace(real)

    def remove(self, path: str) -> None:
        real = self.real(path)
        if real.is_dir() and not real.is_symlink():
            shutil.rmtree(real)
        elif real.parent.is_dir():
            real.unlink(missing_ok=True)
        else:
            raise Failed(f"Could not find a part of the path '{path}'.")

    def words(self, text: str) -> str:
        """What a stand-in printed, as the same program prints it on Windows."""
        return self._said(text.encode()).decode()

    def argument(self, word: str) -> str:
        """A word of a command line, with the path in it as the stand-ins need it."""
        name, equals, value = word.partition("=")
        if _WHOLE.fullmatch(word):
            return str(self.real(word))
        return f"{name}={self.real(value)}" if equals and _WHOLE.fullmatch(value) else word

    def _translation(self, real: Path) -> Translation:
        if _LOG.fullmatch(real.name):
            return Translation(self._log, self._nobody_writes)
        if real.suffix.lower() != ".config":
            return Translation(_same, _same)
        return Translation(self._entry, self._nobody_writes) if real.parent.name == "Instances" else Translation(self._settings, self._settings_back)

    def _log(self, data: bytes) -> bytes:
        return _LOG_LEAD.sub(lambda found: b"%s  %5d" % (found[1], int(found[2]) * PID), self._said(data).replace(b"\r\n", b"\n")).replace(
            b"\n", b"\r\n"
        )

    def _said(self, data: bytes) -> bytes:
        """Paths may have blanks, so one ends where a quote, a line or a sentence does."""
        path = re.escape(self._root.encode()) + rb"(/[^'\"\n,]*?)?(?=['\"\n,]|\. |\Z)"
        return re.sub(path, lambda found: _backwards(found[1] or b"/"), data).replace(b"\n", b"\r\n")

    def _settings(self, data: bytes) -> bytes:
        root = re.escape(self._root.encode())
        data = re.sub(rb"(?<=>)" + root + rb"(/[^<]*)(?=<)", lambda found: _backwards(found[1]), data)
        return data.replace(_CERTIFICATE, _CERTIFICATE + _DPAPI).replace(b"\n", b"\r\n")

    def _settings_back(self, data: bytes) -> bytes:
        data = data.replace(b"\r\n", b"\n").replace(_CERTIFICATE + _DPAPI, _CERTIFICATE)
        return re.sub(rb"(?<=>)C:(\\[^<]*)(?=<)", lambda found: self._root.encode() + found[1].replace(b"\\", b"/"), data)

    def _entry(self, data: bytes) -> bytes:
        path = json.dumps(self._root)[1:-1].encode()
        data = re.sub(rb'"' + re.escape(path) + rb'(/[^"]*)"', lambda found: b'"' + _backwards(found[1]).replace(b"\\", b"\\\\") + b'"', data)
        return data.replace(b"\n", b"\r\n")

    def _nobody_writes(self, data: bytes) -> bytes:
        raise Refused("The index and the logs of Tentacles are theirs to write.")


def _spelled(folder: Path, name: str) -> str:
    """The name in the letter case that it has there."""
    if not folder.is_dir() or os.path.lexists(folder / name):
        return name
    return next((each for each in os.listdir(folder) if each.lower() == name.lower()), name)


def _backwards(path: bytes) -> bytes:
    return b"C:" + path.replace(b"/", b"\\")


def _same(data: bytes) -> bytes:
    return data
