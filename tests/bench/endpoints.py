# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet of endpoints on loopback in one C process, and endpoints there that never answer."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity, make_server_certificate, write_pfx
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PASSWORD = "bench"


class Fleet(NamedTuple):
    """``folder`` holds me.pem and me.pfx, whom the fleet trusts. On ``port_for_scanners`` a caller who is silent is not waited for."""

    folder: Path
    me: Identity
    port: int
    port_for_scanners: int

    def addresses(self, count: int) -> list[str]:
        return [str(ipaddress.IPv4Address("127.0.0.0") + number) for number in range(1, count + 1)]

    def endpoints(self, count: int) -> list[Endpoint]:
        return [Endpoint(address, address, self.port) for address in self.addresses(count)]


@contextmanager
def fleet(program: Path, folder: Path, count: int) -> Iterator[Fleet]:
    me, tentacle = make_server_certificate(), make_server_certificate("Octopus Tentacle")
    (folder / "fleet.key").write_bytes(_key_pem(tentacle))
    (folder / "fleet.pem").write_bytes(b"".join(_certificates(tentacle, count)))
    (folder / "me.pem").touch(0o600)
    (folder / "me.pem").write_bytes(x509.load_der_x509_certificate(me.certificate).public_bytes(Encoding.PEM) + _key_pem(me))
    (folder / "me.pfx").write_bytes(write_pfx(me, Secret(PASSWORD)))
    command = [str(program), "0", str(folder / "fleet.key"), str(folder / "fleet.pem"), me.thumbprint]
    with _served(command) as port, _served([*command, "200"]) as port_for_scanners:
        yield Fleet(folder, me, port, port_for_scanners)


@contextmanager
def _served(command: list[str]) -> Iterator[int]:
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline().split()[1])
    finally:
        server.communicate(timeout=10)  # it ends with its standard input


def _key_pem(identity: Identity) -> bytes:
    return identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certificates(owner: Identity, count: int) -> Iterator[bytes]:
    """A certificate for each endpoint; one key for all, since a thousand would take minutes."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Octopus Tentacle")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(owner.key.public_key())
    builder = builder.not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(datetime.now(UTC) + timedelta(days=36500))
    for number in range(count):
        yield builder.serial_number(number + 1).sign(owner.key, hashes.SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def silence() -> Iterator[int]:
    """A port on every loopback address that does not answer a connection, as behind a firewall that drops.

    It needs no privilege: a listener that accepts nobody, whose queue of one is full; Linux drops what comes then.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("0.0.0.0", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _caller in range(8):  # one fills the queue; the kernel may take in a few that it never shows anybody
            try:
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=0.5))
            except TimeoutError:
                break
        else:
            raise AssertionError("A listener whose queue is full answers all the same (net.ipv4.tcp_abort_on_overflow, or no Linux).")
        yield port
