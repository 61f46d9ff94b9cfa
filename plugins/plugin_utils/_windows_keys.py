# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The keys of an Octopus Server on a Windows node, from the controller: constant texts, the vendor's tool, and the connection's file transfer.

No text is given a secret: what PowerShell is told may be logged there for ever (event 4104). A PFX travels as a file, into and out of a folder
that is closed to all but the system and administrators, and what opens it is the user's password, which stays here, or a one-use one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import ntpath
import os
import platform
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import OURS, Completed, FileStat, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Exposure, Store
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.vendor import SERVER, VendorCli
from ansible_collections.octofleet.octopus.plugins.module_utils._server.node import NodeKeys
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows
from ansible_collections.octofleet.octopus.plugins.plugin_utils import _windows_scripts as scripts
from ansible_collections.octofleet.octopus.plugins.plugin_utils._secret_call import SecretCalls

PROGRAM = "Octopus.Server.exe"
INSTALLED = r"C:\Program Files\Octopus Deploy\Octopus"  # unless the vendor's installer says otherwise (octopus-server.md 1.1)

_DEPTH = 8
_PRIVATE = "private-"
# The system, the group Administrators, and two that stand for whoever has made or owns a thing, which in a closed folder are the former.
_INSIDERS = frozenset(("S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4"))
_ADVICE = (
    " On Windows its cryptography needs the profile of its account, which a logon over the network may lack (become: true with become_method: runas"
    " and become_user: SYSTEM, or an administrator who may read the database, loads one)."
)

_CARRIED = " The account of the connection itself must be an administrator there: files are carried by it, whatever account the task becomes."


class Courier(Protocol):
    """What the action lends: round trips to the host. Each ends in an OctoError where the host cannot be reached."""

    def script(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of win_powershell, of which neither arguments nor result are secret."""

    def command(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """The result of win_command, of which nothing is shown or logged."""

    def put(self, data: bytes, path: str) -> None:
        """Make a file on the host."""

    def fetch(self, path: str) -> bytes:
        """The content of a file on the host."""

    def refuse_where_it_would_show(self) -> None:
        """OctoError if a secret cannot be exchanged without being shown or kept somewhere."""


class _File(NamedTuple):
    size: int
    data: bytes | None


class _Sight:
    """What a text has brought of the store."""

    def __init__(self, found: Mapping[str, Any], folder: str) -> None:
        self.machine = str(found["machine"])
        self.location = str(found["location"] or "")
        self.exposure = _exposure(found, folder) if found["exists"] else None
        self.files = {
            str(one["name"]): _File(int(one["size"]), None if one["data"] is None else base64.b64decode(one["data"])) for one in found["files"] or ()
        }
        self.private = {
            ntpath.join(folder, one["name"], file["name"]): int(file["size"]) for one in found["folders"] or () for file in one["files"] or ()
        }


class Vault:
    """The store of a Windows machine and what happens in it: the KeyHost of an Octopus Server's node."""

    paths: ModuleType = ntpath

    def __init__(self, courier: Courier, folder: str, patience: float = 300.0, locks: PosixHost | None = None) -> None:
        self._courier = courier
        self._folder = ntpath.normpath(folder)
        self._patience = patience
        self._locks = locks or PosixHost()
        self._sight: _Sight | None = None

    # -- looking

    def exposure(self, folder: str) -> Exposure | None:  # noqa: ARG002  # there is one
        """Anew each time: what is asked of the store afterwards is answered from the same sight."""
        return self._work(scripts.STORE, {}).exposure

    def names_in(self, folder: str) -> list[str]:  # noqa: ARG002
        return sorted(self._see().files)

    def stat(self, path: str) -> FileStat | None:
        found = self._see().files.get(ntpath.basename(path))
        return FileStat(-1, -1, -1, found.size, 0, 0) if found else None

    def read(self, path: str) -> bytes | None:
        if self._is_in_store(path):
            found = self._see().files.get(ntpath.basename(path))
            return found.data if found else None
        # The vendor's tool was here meanwhile. An empty file needs no fetching.
        return self._courier.fetch(path) if self._work(scripts.STORE, {}).private.get(path) else None

    def _see(self) -> _Sight:
        return self._sight or self._work(scripts.STORE, {})

    def _is_in_store(self, path: str) -> bool:
        return ntpath.normcase(ntpath.dirname(path)) == ntpath.normcase(self._folder)

    def _work(self, script: str, parameters: Mapping[str, Any]) -> _Sight:
        args = {"script": script, "parameters": {"Folder": self._folder, **parameters}, "depth": _DEPTH, "error_action": "stop"}
        result = self._courier.script(args)
        found = result.get("result")
        if result.get("failed") or not isinstance(found, Mapping) or "store" not in found:
            raise OctoError(f"PowerShell on the host failed at the key store {self._folder}: {_windows.reason_of(result)}", code="HOST_FAILED")
        _windows.refuse_unelevated(bool(found["store"]["elevated"]))
        self._sight = _Sight(found["store"], self._folder)
        return self._sight

    # -- acting

    def write_private(self, path: str, data: bytes, mode: int = 0o600) -> None:  # noqa: ARG002  # the folder is what closes it
        if not self._is_in_store(path):
            self._courier.put(data, path)
        elif path.endswith(".json"):
            # For people to read, so it may be a parameter.
            self._work(scripts.WRITE, {"Path": path, "Text": data.decode("utf-8"), "Suffix": f"{OURS}{os.urandom(4).hex()}"})
        else:
            with self.private_folder() as folder:
                source = ntpath.join(folder, ntpath.basename(path))
                self._courier.put(data, source)
                self._work(scripts.KEEP, {"Source": source, "Path": path})

    def remove(self, path: str) -> None:
        self._work(scripts.ERASE, {"Path": path})

    @contextlib.contextmanager
    def private_folder(self) -> Iterator[str]:
        """Inside the store, one at a time from this controller: so whatever else is there from here was left by a run that was killed."""
        self._courier.refuse_where_it_would_show()
        with self._locks.hold(f"{self._see().machine} {_PRIVATE}", self._folder, self._patience):
            mine = f"{_PRIVATE}{_controller()}-"
            name = f"{mine}{os.urandom(8).hex()}"
            folder = ntpath.join(self._folder, name)
            try:
                self._refuse_exposed(self._work(scripts.PRIVATE, {"Name": name, "Mine": mine}))
                yield folder
            except BaseException:
                with contextlib.suppress(OctoError):  # what went wrong first is what is told; the next run sweeps
                    self.remove(folder)
                raise
            self.remove(folder)

    def _refuse_exposed(self, sight: _Sight) -> None:
        if sight.exposure:
            raise OctoError(f"The key store {self._folder} is open to other users ({sight.exposure.how}). Close it: {sight.exposure.remedy}")

    def run(self, argv: Sequence[str], *, timeout: float = 120.0) -> Completed:  # noqa: ARG002  # win_command has none; the connection's holds
        """A program without a folder is the one that the vendor's installer has put there."""
        program = argv[0] if ntpath.dirname(argv[0]) else ntpath.join(self._see().location or INSTALLED, argv[0])
        return _windows.completed([program, *argv[1:]], self._courier.command({"argv": [program, *argv[1:]], "chdir": "C:\\"}))

    @contextlib.contextmanager
    def exclusively(self, path: str) -> Iterator[int]:
        """On the controller, one for each machine and store (decisions 29)."""
        with self._locks.hold(f"{self._see().machine} {ntpath.normcase(path)}", path, self._patience):
            self._sight = None
            yield -1


def keys_of(courier: Courier, params: Mapping[str, Any]) -> NodeKeys:
    """From the options of octo_certificate."""
    if params.get("copy_in") or params.get("copy_out"):
        raise OctoError("`copy_in` and `copy_out` are for an Octopus Server in a container on Linux. Leave them out for one on Windows.")
    patience = float(params.get("timeout") or 300)
    vault = Vault(courier, params["store"], patience)
    cli = VendorCli(SERVER, params.get("executable") or [PROGRAM], params["instance"])
    return NodeKeys(vault, cli, Store(vault, params["store"], vault.exposure), timeout=patience, advice=_ADVICE)


class Lent:
    """What an action can do on its host, for the hand."""

    def __init__(self, action: SecretCalls, task_vars: dict[str, Any]) -> None:
        self._action, self._task_vars = action, task_vars
        self._host = str(action._task.delegate_to or task_vars.get("inventory_hostname"))

    def refuse_where_it_would_show(self) -> None:
        self._action._refuse_where_it_would_show(self._host)

    def script(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._reached("asked"):
            result: dict[str, Any] = self._action._execute_module("ansible.windows.win_powershell", dict(args), task_vars=self._task_vars)
            return result

    def command(self, args: Mapping[str, Any]) -> Mapping[str, Any]:
        with self._reached("asked"), self._unlogged():
            return self._action.call_with_secret("ansible.windows.win_command", args, self._task_vars)

    def put(self, data: bytes, path: str) -> None:
        with self._reached(f"given the file {path}", _CARRIED), self._action._unseen():
            self._action._transfer_data(path, data)

    def fetch(self, path: str) -> bytes:
        with tempfile.TemporaryDirectory(dir=C.DEFAULT_LOCAL_TMP) as folder:  # type: ignore[attr-defined]
            here = Path(folder, "fetched")
            with self._reached(f"asked for the file {path}", _CARRIED), self._action._unseen():
                self._action._connection.fetch_file(path, str(here))
            return here.read_bytes()

    @contextlib.contextmanager
    def _reached(self, what: str, advice: str = "") -> Iterator[None]:
        """Not *unreachable*: that would end the play for this host, and with it what is to be done after a failure."""
        try:
            yield
        except AnsibleConnectionFailure as error:
            raise OctoError(f"{self._host} could not be {what}: {error.message}", code="UNREACHABLE") from None
        except (AnsibleError, OSError) as error:
            raise OctoError(f"{self._host} could not be {what}: {error}.{advice}", code="HOST_FAILED") from None

    @contextlib.contextmanager
    def _unlogged(self) -> Iterator[None]:
        """Modules write what they are given to the event log of Windows, unless the task says no_log."""
        task = self._action._task
        before, task.no_log = task.no_log, True
        try:
            yield
        finally:
            task.no_log = before


def _controller() -> str:
    """This account on this machine, whose lock is held: what it has left is no other's."""
    return hashlib.sha256(f"{platform.node()} {uuid.getnode()} {os.geteuid()}".encode()).hexdigest()[:12]


def _exposure(found: Mapping[str, Any], folder: str) -> Exposure | None:
    """Who but insiders and the account of the task has any right there. Files count, too: on Windows everybody may pass through a closed folder."""
    if found["link"]:
        return Exposure("it is a link, which may be led elsewhere", "give the folder itself as the store, or make it one")
    insiders = {*_INSIDERS, str(found["account"])}
    places = [found, *(found["files"] or ())]
    strangers = [one for place in places for one in place["access"]["allowed"] or () if one["sid"] not in insiders]
    owner = found["access"]["owner"]
    named = [*([f"{owner['name']}, its owner"] if owner["sid"] not in insiders else []), *sorted({str(one["name"]) for one in strangers})]
    if not named:
        return None
    closed = "/inheritance:r /grant *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F"
    return Exposure(", ".join(named), f'icacls "{folder}" /setowner *S-1-5-32-544 /T, icacls "{folder}" /reset /T, icacls "{folder}" {closed}')
