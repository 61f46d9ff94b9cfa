# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The process of a shadow, which outlives the task that starts it and not the run that it belongs to.

Its private key comes through standard input and stays in memory. It lives as long as the run of ansible-playbook, as its
record is not taken away, and as its time is not over; while it lives it holds the record's lock, which is how others know.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import resource
import socket
import sys
import time
from typing import Any, List, TextIO

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import PemIdentity, Presentable, key_text
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.rendezvous import Pace, Rendezvous

READY = "ready"
_TICK = 1.0


def question(listen: str, identity: Presentable, record: str, run: int, seconds: float) -> str:
    """What :func:`main` reads. The private key is in it, so it goes through a pipe and nowhere else."""
    certificate = base64.b64encode(identity.certificate).decode("ascii")
    return json.dumps({"listen": listen, "identity": [certificate, key_text(identity)], "record": record, "run": run, "seconds": seconds})


def _say(stdout: TextIO, line: str) -> None:
    stdout.write(f"{line}\n")
    stdout.flush()


def main(stdin: TextIO = sys.stdin, stdout: TextIO = sys.stdout) -> None:
    """Say READY, or why not, in one line; then serve."""
    asked = json.loads(stdin.read())
    _have_room()
    with contextlib.ExitStack() as stack:
        try:
            record = stack.enter_context(_Record(asked["record"]))
            shadow = Rendezvous(bound(asked["listen"]), _identity(asked["identity"]), record.tell, Pace(**asked.get("pace", {})))
            stack.callback(shadow.close)
        except OctoError as error:
            _say(stdout, error.message)
            return
        _say(stdout, READY)
        ends = time.monotonic() + asked["seconds"]
        while time.monotonic() < ends and record.is_wanted() and _lives(asked["run"]):
            shadow.step(_TICK)


def bound(listen: str) -> socket.socket:
    """A socket that listens at ``host:port``; OctoError if it cannot be had."""
    host, _colon, port = listen.rpartition(":")
    bare = host.strip("[]")
    made = socket.socket(socket.AF_INET6 if ":" in bare else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bare == "::":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind((bare, int(port)))
        made.listen(1024)
    except (OSError, ValueError, OverflowError) as error:
        made.close()
        raise OctoError(
            f"octopus_shadow cannot listen at {listen} on this controller: {getattr(error, 'strerror', None) or error}. Give octopus_shadow.listen "
            "an address of the controller and a free port, such as 0.0.0.0:11943."
        ) from None
    return made


class _Record:
    """The file that a shadow writes down what it hears in, for its owner only, and locked for as long as it runs."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def __enter__(self) -> _Record:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise OctoError(f"A shadow of this run holds {self._path} already.") from None
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._file)

    def tell(self, line: bytes) -> None:
        os.write(self._file, line)

    def is_wanted(self) -> bool:
        """Whether the file is still where it was: who takes it away ends the shadow."""
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._file))
        except OSError:
            return False


def is_held(path: str) -> bool:
    """Whether a process of a shadow lives that writes ``path``."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def lines_of(path: str) -> List[bytes]:
    """What is written down so far; a line that is still being written is not."""
    try:
        with open(path, "rb") as file:
            return file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _identity(row: Any) -> PemIdentity:
    return PemIdentity(base64.b64decode(row[0]), row[1])


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _have_room() -> None:
    """A descriptor for each Tentacle of a large fleet."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
