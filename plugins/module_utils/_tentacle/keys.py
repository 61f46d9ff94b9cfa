# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The keys of a Tentacle, on its own host.

The vendor's tool gives a Tentacle's certificate to nobody, and even its reading commands leave the key behind (H-13, H-20). So
it is read from the configuration, encrypted as it stands there, and no vendor process starts for that. A new one is made, and
another one imported, by the vendor's verbs, with a one-use password for a file in a private folder (decisions 20, 29).
"""

from __future__ import annotations

from typing import Any, ContextManager, Dict, List, Mapping

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Clock, Host
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Encrypted, Imported, KeysOnHost, Sealed
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Store
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.vendor import TENTACLE, VendorCli, said
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret, one_use_password
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, index, instance, machinekey, writer
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation, Subject, installation_of
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.configuration import CERTIFICATE, THUMBPRINT, Configuration
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.guard import Guard
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.index import IndexEntry


class TentacleKeys(KeysOnHost):
    def __init__(self, host: Host, subject: Subject, installation: Installation, store: Store, clock: Clock, timeout: float = 300.0) -> None:
        super().__init__(store)
        self._host, self._subject, self._installation, self._clock, self._timeout = host, subject, installation, clock, timeout
        self._cli = VendorCli(TENTACLE, installation.executable, subject.instance)
        self._guard = Guard(host, subject, installation.home, clock, timeout)

    def export(self) -> Encrypted:
        return _certificate_in(self._host, configuration.load(self._host, self._subject.configuration, self._clock), self._installation)

    def generate(self) -> Sealed:
        """The verb that makes one also replaces the live one if it is misunderstood: what stands in the configuration is compared (H-20)."""
        password = one_use_password()
        with self._alone() as descriptor, self._host.private_folder() as folder:
            before = self._guard.backed_up()
            path = f"{folder}/certificate.pfx"
            words = self._run(self._cli.new_certificate(path, password), descriptor, password)
            pfx = self._host.read(path)
            harm = self._guard.mend(before)
        if harm or not pfx:
            wrong = f"went further than to a file: {harm}" if harm else "wrote no file."
            raise OctoError(
                f"A new certificate was to be made for {self._subject.instance}, but Tentacle {wrong} It says: {words}"
                " Nothing was staged. Give a PFX (source: pfx), or have it made on the controller (source: generated).",
                code="NOT_GENERATED",
            )
        return Sealed(pfx, password)

    def replace(self, certificate: Sealed) -> Imported:
        """Import, and read back whatever the import said or did; what it tore is put back before anybody can restart into it."""
        with self._alone() as descriptor, self._host.private_folder() as folder:
            before = self._guard.backed_up()
            path = f"{folder}/certificate.pfx"  # with this extension it is never taken for base64 (tentacle-cli.md 2.2)
            self._host.write_private(path, certificate.pfx)
            words = self._run(self._cli.import_certificate(path, certificate.password), descriptor, certificate.password)
            try:
                words = f"{words} {self._guard.mend(before, (CERTIFICATE, THUMBPRINT))}".strip()
                return Imported(self.export(), words)
            except OctoError as error:
                return Imported(None, f"{words} {error.message}")

    def _alone(self) -> ContextManager[int]:
        return self._host.exclusively(self._subject.configuration, self._timeout)

    def _run(self, argv: List[str], descriptor: int, password: Secret) -> str:
        """What the command said. A command that outlives us still holds our lock (decisions 29)."""
        try:
            completed = self._host.run(argv, env=writer.vendor_environment(self._installation), timeout=self._timeout, inherit_fds=[descriptor])
        except OctoError as error:
            return error.message
        return said(completed, password)


def keys_of(host: Host, params: Mapping[str, Any], clock: Clock) -> TentacleKeys:
    """Of one instance, from the options of octo_certificate."""
    installation = _installation(params)
    entries = index.read_index(host, installation.home)
    subject = instance.subject_of(host, index.select(entries, params["instance"], installation.home)[0], entries)
    return TentacleKeys(host, subject, installation, Store(host, params["store"]), clock, float(params["timeout"]))


def instances(host: Host, params: Mapping[str, Any], clock: Clock) -> List[Dict[str, Any]]:
    """The instances that the options mean, each with the thumbprint that it has; one whose certificate cannot be read has a code and a reason."""
    installation = _installation(params)
    entries = index.read_index(host, installation.home)

    def row(entry: IndexEntry) -> Dict[str, Any]:
        path, thumbprint, code, reason = entry.configuration, None, "", ""
        try:
            path = instance.subject_of(host, entry, entries).configuration
            thumbprint = _certificate_in(host, configuration.load(host, path, clock), installation).thumbprint
        except OctoError as error:
            code, reason = str(error.evidence.get("code") or "UNREADABLE"), error.message
        return {"instance": entry.instance, "configuration": path, "thumbprint": thumbprint, "code": code, "reason": reason}

    return [row(entry) for entry in index.select(entries, params["instance"], installation.home)]


def _installation(params: Mapping[str, Any]) -> Installation:
    return installation_of({**params, "service": None, "restart_command": None})


def _certificate_in(host: Host, settings: Configuration, installation: Installation) -> Encrypted:
    missing = [key for key in (CERTIFICATE, THUMBPRINT) if not settings.get(key).strip()]
    if missing:
        raise OctoError(
            f"The configuration {settings.path} has no {' and no '.join(missing)}, so there is no certificate to keep, and at its next start the"
            " agent would make itself a new identity. Restore the configuration from a copy.",
            code="IDENTITY_AT_RISK",
        )
    text = settings.get(CERTIFICATE).strip()
    key = machinekey.opening(host, text, installation.machine_id_file)
    if key is None:
        raise OctoError(
            f"The certificate in {settings.path} cannot be opened with the machine id in {installation.machine_id_file}: that has changed, as on a"
            " clone or after a new image. Restore the machine id, or import the certificate anew from its backup.",
            code="MACHINE_ID_CHANGED",
        )
    return Encrypted(text, Secret(key.spelled()), _thumbprint.parse(settings.get(THUMBPRINT), f"{THUMBPRINT} in {settings.path}"))
