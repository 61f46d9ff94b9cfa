# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to the service manager: JSON lines over a socket in the fleet's folder."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class ManagerError(Exception):
    """The service manager is not there, or did not do what it was asked; the text is its reason."""


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """The socket's name through its folder's descriptor: a socket's address holds 108 bytes, a fleet's path may be longer."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listening_socket(path: Path) -> socket.socket:
    """Who sees the socket's name can connect: it gets its name when it listens."""
    door, unnamed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path.with_suffix(".new")
    with _short(unnamed) as address:
        door.bind(address)
    door.listen(64)
    unnamed.rename(path)
    return door


class Manager:
    """One conversation a request: requests are rare and a restart takes as long as it takes."""

    def __init__(self, path: Path, patience: float = 120.0) -> None:
        self._path = path
        self._patience = patience

    def ask(self, verb: str, unit: str = "", **more: object) -> dict[str, Any]:
        """The manager's answer; ManagerError when nobody answers."""
        line = json.dumps({"verb": verb, "unit": unit, **more}).encode() + b"\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer, _short(self._path) as address:
                peer.settimeout(self._patience)
                peer.connect(address)
                peer.sendall(line)
                answer = peer.makefile("rb").readline()
        except OSError as error:
            raise ManagerError(f"The service manager at {self._path} does not answer {verb!r}: {error}") from error
        if not answer:
            raise ManagerError(f"The service manager at {self._path} went away while it was asked for {verb!r}.")
        loaded: dict[str, Any] = json.loads(answer)
        return loaded

    def _do(self, verb: str, unit: str, **more: object) -> None:
        error = self.ask(verb, unit, **more).get("error")
        if error:
            raise ManagerError(f"{verb} {unit}: {error}")

    def start(self, unit: str) -> None:
        self._do("start", unit)

    def stop(self, unit: str) -> None:
        self._do("stop", unit)

    def restart(self, unit: str) -> None:
        self._do("restart", unit)

    def kill(self, unit: str, number: int = signal.SIGKILL) -> None:
        self._do("kill", unit, signal=int(number))

    def show(self, unit: str) -> dict[str, str]:
        """All properties, for an unknown unit too (LoadState=not-found)."""
        properties: dict[str, str] = self.ask("show", unit)["properties"]
        return properties
