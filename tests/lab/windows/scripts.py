# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The texts of PowerShell that the product runs, as somebody has read them: what each does, in Python, under the SHA-256 of the text.

The lab has no PowerShell, so a text that is not known to the letter is refused. Read it, bring what is here in step, and put down its SHA-256.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lab.fleet.manager import Manager, ManagerError
from lab.waiting import Late, until
from lab.windows import keys
from lab.windows.disk import Disk
from lab.windows.keys import Account
from lab.windows.machine import Machine
from lab.windows.refusal import Refused
from lab.windows.sight import sight_of, strangers

Params = Mapping[str, Any]

_TORN = 1500  # bytes (measured-tentacle.md 14.9)
_ONE_LOOK = 5.0  # seconds that a socket waits
_WATCHED: Mapping[str, type] = {"Index": str, "Files": list, "Folders": list, "Services": list, "LogFolders": list, "Logs": bool}
_STORE: Mapping[str, type] = {"Folder": str}


class Reading(NamedTuple):
    """A text: its parameters, what it does before it looks around, and whether looking is all that it does (SupportsShouldProcess)."""

    name: str
    takes: Mapping[str, type]
    does: Callable[[Machine, Params], Any]
    looks: bool = False
    keys: bool = False  # it is about the keys of an Octopus Server

    def run(self, machine: Machine, params: Params, account: Account) -> dict[str, Any]:
        """``$Ansible.Result``."""
        self._check(params)
        answer = self.does(machine, params)
        if self.keys:
            return {"answer": answer, "store": keys.store_of(machine, params, account)}
        return {"answer": answer, "sight": sight_of(machine, params, account.elevated)}

    def _check(self, params: Params) -> None:
        takes = {**self.takes, **(_STORE if self.keys else _WATCHED)}
        for name, value in params.items():
            if name not in takes:
                raise Refused(f"The text {self.name} has no parameter {name}.")
            if not _is(value, takes[name]):
                raise Refused(f"The parameter {name} of the text {self.name} is of the type {takes[name].__name__}, and {value!r} is not.")


def known(text: str) -> Reading:
    """The reading of a text; Refused where there is none."""
    number = hashlib.sha256(text.encode()).hexdigest()
    if number not in READINGS:
        raise Refused(
            f"PowerShell was given a text that nobody has read for the lab, with the SHA-256 {number}. If a constant text of the product has "
            "changed: read the new one, bring lab/windows/scripts.py and sight.py in step with what it does now, and put down this number there."
        )
    return READINGS[number]


def _is(value: Any, kind: type) -> bool:
    """As PowerShell binds it, less its conversions; a list is one of strings."""
    if kind is list:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if isinstance(value, bool):  # which Python counts among the whole numbers
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float))
    if kind is int:
        return isinstance(value, int) and abs(value) < 1 << 31
    return isinstance(value, kind)


# -- LOOK, SERVED


def _nothing(_machine: Machine, _params: Params) -> str:
    return ""


def _served(_machine: Machine, params: Params) -> dict[str, str]:
    """Handshake, a request for the page, read to the end; again until somebody serves or the time is up."""
    answer = {"certificate": "", "said": ""}

    def seen() -> bool:
        try:
            answer["certificate"] = base64.b64encode(_certificate(params["Address"], params["Port"])).decode()
        except OSError as error:
            answer["said"] = str(error)
        return bool(answer["certificate"])

    with contextlib.suppress(Late):
        until(seen, params["Seconds"], every=0.1)
    return answer


def _certificate(address: str, port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection((address, port), _ONE_LOOK) as plain, context.wrap_socket(plain, suppress_ragged_eofs=True) as tls:
        der = tls.getpeercert(binary_form=True) or b""
        with contextlib.suppress(OSError):  # how the other side leaves tells nothing
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while tls.recv(16384):
                continue
        return der


# -- ORDER


def _order(machine: Machine, params: Params) -> str:
    verb, installed = params["Verb"], machine.named(params["Name"])
    if installed is None:
        return f"there is no service {params['Name']}"
    stopped = machine.service(installed).state == "Stopped"
    manager = Manager(machine.folders.socket, patience=params["Seconds"])
    # A restart is ordered as one, so that the faults of the fleet that concern restarts concern this one, too.
    asked = "restart" if verb == "restart" and not stopped else "stop" if verb == "stop" else "start"
    try:
        failed = manager.ask(asked, installed.unit).get("error")
    except ManagerError:
        return "Time out has expired and the operation has not been completed."
    if failed:
        return f"Cannot {'stop' if asked == 'stop' else 'start'} service {installed.name} on computer '.'."
    return ""


# -- REPLACE, COPY, REMOVE


def _replace(machine: Machine, params: Params) -> str:
    """Compare and replace in one go, the file held open meanwhile."""
    known_ones = params.get("Known", [])
    source = params.get("Source", "")
    try:
        if strangers(machine.processes(), known_ones):
            return "busy"
        path = _followed(machine.disk, params["Path"])
        with _held(path) as held:
            if held:
                return held
            before = machine.disk.read(path)
            if hashlib.sha256(before).hexdigest() != params["Sha256"]:
                return "changed"
            after = machine.disk.read(machine.disk.real(source)) if source else _spliced(before, params)
            if strangers(machine.processes(), known_ones):
                return "busy"
            stat = path.stat()
            machine.disk.replace(path, after, stat.st_mode & 0o7777, (stat.st_uid, stat.st_gid))
            if not source and machine.faulty("windows_torn_after_edit"):
                os.truncate(path, _TORN)  # by a command of the vendor's that was killed while it wrote
            return ""
    finally:
        if source:
            machine.disk.real(source).unlink(missing_ok=True)


def _spliced(before: bytes, params: Params) -> bytes:
    return before[: params["Start"]] + base64.b64decode(params["Insert"], validate=True) + before[params["End"] :]


def _followed(disk: Disk, path: str) -> Path:
    real = disk.real(path)
    if real.is_symlink():
        raise Refused(f"File.Replace was given {path}, which is a link; it would replace the link and not the file.")
    return real


@contextlib.contextmanager
def _held(path: Path) -> Iterator[str]:
    """A handle that lets readers in and no writer, where the vendor's programs lock with flock; or the word for why there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield "changed"
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield "locked"
    else:
        yield ""
    finally:
        os.close(handle)


def _copy(machine: Machine, params: Params) -> str:
    source = machine.disk.real(params["Path"])
    data = machine.disk.read(source)
    if params.get("Move"):
        source.unlink()
    if hashlib.sha256(data).hexdigest() != params["Sha256"]:
        return "changed"
    target = machine.disk.real(params["To"])
    target.parent.mkdir(parents=True, exist_ok=True)
    machine.disk.replace(target, data, 0o600)
    return ""


def _remove(machine: Machine, params: Params) -> str:
    machine.disk.remove(params["Path"])
    return ""


READINGS: Mapping[str, Reading] = {
    "f88d50b1bff59d8e16abf0ecdc4742ae025d35473c5f26cbbb19642c13f68021": Reading("LOOK", {}, _nothing, looks=True),
    "820ed28d9ba6d0641db54fdc722482987d76216f23405e6fd4aa870d6e91a522": Reading(
        "SERVED", {"Address": str, "Port": int, "Seconds": float}, _served, looks=True
    ),
    "a176722cf058185e335eecaa0b63c26cb8360790cf6e0b9032e64fd773b1c28f": Reading("ORDER", {"Verb": str, "Name": str, "Seconds": int}, _order),
    "2d1ccd99da23a8920617a5dcf34c4ca8a2bcdad0294fe682d4c96550b74a016a": Reading(
        "REPLACE",
        {"Path": str, "Sha256": str, "Start": int, "End": int, "Insert": str, "Source": str, "Suffix": str, "Known": list},
        _replace,
    ),
    "a2d47b0862ac376a4172fd03fec496d7b15ae96f902a9c92529279c99eae2aa2": Reading(
        "COPY", {"Path": str, "Sha256": str, "To": str, "Suffix": str, "Move": bool}, _copy
    ),
    "333711250420190757b029e0da8c9d5515d04e28e2565f33338da42b787ea819": Reading("REMOVE", {"Path": str}, _remove),
    "6de3cef6e6dd72c4a2ea310e6dbe0689786f184d96daeb3d081eecc7ff61bdfa": Reading("STORE", {}, _nothing, looks=True, keys=True),
    "2ed6b122aa9a2fc7d5d71d354253b6c4df3a3e169a9b8a514933b2293d7266f8": Reading("PRIVATE", {"Name": str, "Mine": str}, keys.private, keys=True),
    "9212070e5018d9a22553ffda6195bcd7401791449598c0d8a05655da05e6fa09": Reading(
        "WRITE", {"Path": str, "Text": str, "Suffix": str}, keys.write, keys=True
    ),
    "e90408e0b603a1ec45c684783de0586437e41c58570e68d124cd6d6d1dca857d": Reading("KEEP", {"Source": str, "Path": str}, keys.keep, keys=True),
    "32ab6855fbaaf3405a595605cf32a46368544b245cfd7db7b9233cb7af0f324c": Reading("ERASE", {"Path": str}, keys.erase, keys=True),
}
