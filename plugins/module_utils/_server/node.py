# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The keys of an Octopus Server, on one of its nodes.

The vendor's tool takes a PFX password on its command line only. So every file that it writes or reads here lies in a fresh
private folder, is protected by a one-use password, and is gone when the command has ended (decisions 20).
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Any, Callable, Iterator, List, Mapping, NamedTuple, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Completed
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Imported, KeysOnHost, Sealed
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import KeyHost, Store
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.vendor import SERVER, VendorCli, said
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret, one_use_password


class Copying(NamedTuple):
    """Argument lists that copy ``{src}`` to ``{dest}`` into the Server's container and out of it; both empty where there is none."""

    into: Sequence[str] = ()
    out: Sequence[str] = ()


class _Place(NamedTuple):
    here: str  # the file as this host names it
    there: str  # the same as Octopus.Server names it


class NodeKeys(KeysOnHost):
    """``advice`` is what helps on this kind of host when the vendor's tool complains."""

    def __init__(
        self,
        host: KeyHost,
        cli: VendorCli,
        store: Store,
        copying: Copying = Copying(),  # noqa: B008
        timeout: float = 300.0,
        advice: str = "",
    ) -> None:
        if bool(copying.into) != bool(copying.out):
            raise OctoError("A Server in a container needs both copy_in and copy_out; one of them is missing.")
        super().__init__(store)
        self._host = host
        self._cli = cli
        self._copying = copying
        self._timeout = timeout
        self._advice = advice

    def export(self) -> Sealed:
        return self._written(self._cli.export_certificate, "the certificate in the Octopus Server's database was to be exported")

    def generate(self) -> Sealed:
        return self._written(self._cli.new_certificate, "a new Octopus Server certificate was to be made")

    def replace(self, certificate: Sealed) -> Imported:
        """Import, and read back whatever the import said or did: only what can be exported is certain."""
        try:
            with self._place() as place:
                # Readable inside a container for the user that the Server runs as; here the folder around it is private.
                self._host.write_private(place.here, certificate.pfx, 0o644 if self._copying.into else 0o600)
                self._copy(self._copying.into, place.here, place.there)
                completed = self._run(self._cli.import_certificate(place.there, certificate.password))
                words = said(completed, certificate.password) + (self._advice if completed.rc else "")
        except OctoError as error:
            words = error.message
        try:
            return Imported(self.export(), words)
        except OctoError as error:
            return Imported(None, f"{words} {error.message}")

    def _written(self, command: Callable[[str, Secret], List[str]], purpose: str) -> Sealed:
        password = one_use_password()
        with self._place() as place:
            completed = self._run(command(place.there, password))
            if self._copying.out and completed.rc == 0:
                self._copy(self._copying.out, place.there, place.here)
            pfx = self._host.read(place.here)
        if not pfx:
            raise OctoError(
                f"{purpose[:1].upper()}{purpose[1:]}, but Octopus.Server (instance {self._cli.instance}) wrote no file and ended with {completed.rc}."
                f" It says: {said(completed, password)} Run it as an administrator of the Server, where its database and Master Key can be read."
                f"{self._advice}",
                rc=completed.rc,
            )
        return Sealed(pfx, password)

    @contextlib.contextmanager
    def _place(self) -> Iterator[_Place]:
        with self._host.private_folder() as folder:
            here = str(self._host.paths.join(folder, "certificate.pfx"))
            if not self._copying.into:
                yield _Place(here, here)
                return
            place = _Place(here, f"/tmp/octofleet-{secrets.token_hex(8)}.pfx")  # noqa: S108  # in the container, where no other folder is known
            try:
                yield place
            finally:
                self._empty(folder, place.there)

    def _empty(self, folder: str, there: str) -> None:
        """Empty the file in the container; an image without a shell has no ``rm`` (octopus-server 1.6).

        Where even that fails, what stays there is a PFX whose one-use password nobody has.
        """
        empty = str(self._host.paths.join(folder, "empty"))
        self._host.write_private(empty, b"", 0o644)
        with contextlib.suppress(OctoError):
            self._copy(self._copying.into, empty, there)

    def _copy(self, template: Sequence[str], source: str, destination: str) -> None:
        if not template:
            return
        completed = self._run([argument.replace("{src}", source).replace("{dest}", destination) for argument in template])
        if completed.rc != 0:
            raise OctoError(f"{template[0]} could not copy {source} to {destination}: {said(completed)} Check copy_in and copy_out.", rc=completed.rc)

    def _run(self, argv: Sequence[str]) -> Completed:
        return self._host.run(argv, timeout=self._timeout)


def keys_of(host: KeyHost, params: Mapping[str, Any]) -> NodeKeys:
    """From the options of octo_certificate."""
    cli = VendorCli(SERVER, params["executable"], params["instance"])
    copying = Copying(params["copy_in"] or (), params["copy_out"] or ())
    return NodeKeys(host, cli, Store(host, params["store"]), copying, float(params["timeout"]))
