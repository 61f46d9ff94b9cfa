# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration of one instance: typed keys over the XML store (tentacle-cli.md 3.3)."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lab.settings import Settings
from lab.tentacle import trust
from lab.tentacle.errors import Failure, cryptographic, invalid_format
from lab.tentacle.keys import Certificate, CertificateStore, MachineKey
from lab.tentacle.trust import TrustEntry
from lab.tentacle.xml_store import XmlStore

HOME = "Octopus.Home"
CERTIFICATE = "Tentacle.Certificate"
THUMBPRINT = "Tentacle.CertificateThumbprint"
TRUST = "Tentacle.Communication.TrustedOctopusServers"
POLLING_CONNECTIONS = "Tentacle.Communication.PollingConnectionCount"
APPLICATIONS = "Tentacle.Deployment.ApplicationDirectory"
PORT = "Tentacle.Services.PortNumber"
LISTEN_IP = "Tentacle.Services.ListenIP"
NO_LISTEN = "Tentacle.Services.NoListen"

_DEFAULT_PORT = 10933
_DEFAULT_APPLICATIONS = "/home/Octopus/Applications"

Value = TypeVar("Value")


class TentacleConfiguration:
    """What an instance is configured to do. Setters write the file at once."""

    def __init__(self, path: str, settings: Settings, uid: int) -> None:
        self.store = XmlStore(path, settings)
        self._settings = settings
        self._machine_key = MachineKey(settings)
        self._certificates = CertificateStore(settings, uid)

    @property
    def path(self) -> str:
        """The configuration file."""
        return self.store.path

    @property
    def home(self) -> Path | None:
        """The home directory; a relative one starts at the configuration file."""
        text = self.store.get(HOME)
        return Path(os.path.normpath(os.path.join(os.path.dirname(self.path), text))) if text else None

    @property
    def thumbprint(self) -> str | None:
        """The thumbprint as it is stored, which need not be the stored certificate's."""
        return self.store.get(THUMBPRINT)

    @property
    def port(self) -> int:
        """The port to listen on."""
        return self._typed(PORT, "Int32", integer) or _DEFAULT_PORT

    @property
    def listen_ip(self) -> str | None:
        """The address to listen on; None means any."""
        return self.store.get(LISTEN_IP)

    @property
    def no_listen(self) -> bool:
        """Whether listening is switched off."""
        return bool(self._typed(NO_LISTEN, "Boolean", boolean))

    @property
    def polling_connection_count(self) -> int | None:
        """Connections per polling entry; None when it was never set, which means one."""
        return self._typed(POLLING_CONNECTIONS, "Nullable`1", integer)

    @property
    def application_directory(self) -> str:
        """Where deployments go."""
        return self.store.get(APPLICATIONS) or _DEFAULT_APPLICATIONS

    @property
    def trusted_servers(self) -> tuple[TrustEntry, ...]:
        """The trust list in the order of the file."""
        text = self.store.get(TRUST)
        try:
            return tuple(trust.read(text))
        except ValueError as error:
            raise self._unparsable(TRUST, "IEnumerable`1", text or "", _json_failure(text or "", error)) from error

    def set_trusted_servers(self, entries: Sequence[TrustEntry]) -> None:
        """Store the trust list."""
        self.store.set(TRUST, trust.write(entries))

    def certificate(self) -> Certificate | None:
        """The certificate of the instance, copied into the caller's store on the way; None when there is none.

        The stored bytes are decrypted in any case, but a copy in the store for the stored thumbprint wins over them.
        """
        thumbprint = self.thumbprint
        stored = self._decrypted() if thumbprint else None
        if not thumbprint or stored is None:
            return None
        found = self._certificates.find(thumbprint) if self._settings.quirk("store_copy_wins") else None
        if found is not None:
            return found
        certificate = _of_stored(stored)
        if self._settings.quirk("read_copies_key_to_store"):
            self._certificates.add(certificate)
        return certificate

    def set_certificate(self, certificate: Certificate) -> None:
        """Store a certificate: key and thumbprint are two writes."""
        self.set_encrypted(CERTIFICATE, base64.b64encode(certificate.to_pfx()).decode())
        self.store.set(THUMBPRINT, certificate.thumbprint)

    def set_encrypted(self, key: str, text: str) -> None:
        """Store a text encrypted with the machine's key; a blank one plain."""
        self.store.set(key, self._machine_key.encrypt(text) if text else None)

    def _decrypted(self) -> bytes | None:
        ciphertext = self.store.get(CERTIFICATE)
        try:
            return self._machine_key.decrypt(ciphertext) if ciphertext else None
        except Failure as cause:
            raise invalid_format(f"Unable to parse configuration key '{CERTIFICATE}' as a 'String'.", cause) from cause

    def _typed(self, key: str, type_name: str, convert: Callable[[str], Value]) -> Value | None:
        text = self.store.get(key, type_name)
        try:
            return convert(text) if text is not None else None
        except ValueError as error:
            raise self._unparsable(key, type_name, text or "", invalid_format(str(error))) from error

    @staticmethod
    def _unparsable(key: str, type_name: str, text: str, cause: Failure) -> Failure:
        return invalid_format(f"Unable to parse configuration key '{key}' as a '{type_name}'. Value was '{text}'.", cause)


def boolean(text: str) -> bool:
    """bool.Parse of .NET."""
    lower = text.strip().lower()
    if lower not in {"true", "false"}:
        raise ValueError(f"String '{text}' was not recognized as a valid Boolean.")
    return lower == "true"


def integer(text: str) -> int:
    """int.Parse of .NET: 32 bits, no range of its own for ports."""
    try:
        value = int(text)
    except ValueError:
        raise ValueError(f"The input string '{text}' was not in a correct format.") from None
    if not -(2**31) <= value < 2**31:
        raise ValueError("Value was either too large or too small for an Int32.")
    return value


def _of_stored(data: bytes) -> Certificate:
    try:
        return Certificate.of_pfx(data)
    except ValueError as error:
        raise cryptographic("ASN1 corrupted data.") from error


def _json_failure(text: str, error: ValueError) -> Failure:
    """Newtonsoft's words for damaged JSON."""
    unterminated = isinstance(error, json.JSONDecodeError) and error.msg.startswith("Unterminated string")
    what = 'Unterminated string. Expected delimiter: ".' if unterminated else "Unexpected end when reading JSON."
    lines = text.split("\n")
    return Failure(f"{what} Path '{_json_path(text)}', line {len(lines)}, position {len(lines[-1])}.", "Newtonsoft.Json.JsonReaderException")


def _json_path(text: str) -> str:
    """Which element of the list the reader was in when the text ended."""
    depth = text.count("{") - text.count("}")
    return f"[{text.count('}')}]" if depth > 0 else ""
