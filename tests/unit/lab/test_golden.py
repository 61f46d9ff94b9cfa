# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every recorded call of the real Tentacle, run through the stand-in: same output, exit code and configuration file.

What may differ is NORMALISATIONS, nothing else. What each case found when it was recorded (files, locks, users, tools) is WORLDS.
"""

from __future__ import annotations

import base64
import fcntl
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import pkcs12
from lab.settings import Settings
from lab.tentacle.program import run
from lab.tentacle.world import World
from lab.wire.certificates import Keypair, make_certificate, thumbprint_of, to_pfx

TESTS = Path(__file__).resolve().parents[2]
GOLDEN = TESTS / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())
RECORDED = 173

MACHINE_ID = "816490f117f14c7a8fa2697781ed795b"
OTHER_MACHINE_ID = "f" * 32
NOW = 1_795_305_600.0
PASSWORD = "P4ss word"
BOM = b"\xef\xbb\xbf"
STORE = "root/.dotnet/corefx/cryptography/x509stores/my"


# --- What a case recorded ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a call leaves behind, recorded or produced."""

    code: int
    stdout: str
    stderr: str
    configuration: bytes | None
    changed: str | None


@cache
def recorded(case: str) -> Outcome:
    folder = GOLDEN / case
    changed = folder / "config.changed"
    return Outcome(
        int((folder / "exitcode").read_text()),
        text_of(folder / "stdout"),
        text_of(folder / "stderr"),
        bytes_of(folder / "config.after.xml"),
        changed.read_text().strip() if changed.exists() else None,
    )


def text_of(path: Path) -> str:
    return path.read_bytes().decode()


def bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def argv_of(case: str) -> list[str]:
    argv: list[str] = json.loads((GOLDEN / case / "argv.json").read_text())
    return argv


def instance_of(case: str) -> str:
    """The instance that a case is about; T1 where none is named."""
    named = re.search(r"--instance[= ](T\d)", " ".join(argv_of(case)))
    return named[1] if named else "T1"


# --- What may differ -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """What the normalisations may use: the folder that stands for /, and the configuration before the call."""

    root: str
    before: bytes


Normalisation = Callable[[Outcome, Difference], Outcome]


def paths(outcome: Outcome, difference: Difference) -> Outcome:
    """The stand-in ran under a temporary folder instead of /."""
    configuration = outcome.configuration
    return replace(
        outcome,
        stdout=outcome.stdout.replace(difference.root, ""),
        stderr=outcome.stderr.replace(difference.root, ""),
        configuration=configuration.replace(difference.root.encode(), b"") if configuration is not None else None,
    )


def stack_frames(outcome: Outcome, _difference: Difference) -> Outcome:
    """The recordings leave them out."""
    return replace(outcome, stderr=re.sub(r"(?m)(?:^   at .*\n)+", "   at (stack frames left out)\n", outcome.stderr))


def salts_of_keys(outcome: Outcome, difference: Difference) -> Outcome:
    """A key that the call stored is compared by the certificate that it decrypts to; one that was there before, byte for byte."""

    def whose(match: re.Match[bytes]) -> bytes:
        return match[0] if match[1] in difference.before else b'"Tentacle.Certificate">KEY OF ' + owner_of(match[1]).encode() + b"<"

    configuration = outcome.configuration
    return replace(outcome, configuration=re.sub(rb'"Tentacle\.Certificate">([^<]+)<', whose, configuration) if configuration else configuration)


def subscription_ids(outcome: Outcome, difference: Difference) -> Outcome:
    """New ones are random."""

    def known(match: re.Match[bytes]) -> bytes:
        return match[0] if match[0] in difference.before else b"poll://RANDOM/"

    configuration = outcome.configuration
    pattern = rb"poll://[bcdefghjklmnpqrstuvwxyz23456789]{20}/"
    return replace(outcome, configuration=re.sub(pattern, known, configuration) if configuration else configuration)


def generated_thumbprints(outcome: Outcome, _difference: Difference) -> Outcome:
    """The thumbprint of a certificate that this very call made and announced."""
    found = re.search(r"A new certificate has been generated and .*\. Thumbprint:\n([0-9A-F]{40})\n", outcome.stdout)
    if found is None:
        return outcome
    configuration = outcome.configuration
    return replace(
        outcome,
        stdout=outcome.stdout.replace(found[1], "GENERATED"),
        configuration=configuration.replace(found[1].encode(), b"GENERATED") if configuration is not None else None,
    )


# Process ids, times and the version need none: no recorded output holds a process id, and the clock and the version are settings.
NORMALISATIONS: tuple[Normalisation, ...] = (paths, stack_frames, salts_of_keys, subscription_ids, generated_thumbprints)


def decrypted(ciphertext: bytes, machine_id: str) -> bytes:
    """The PFX in a stored key, by the recipe of tentacle-cli.md 3.5 and not by the stand-in's code; empty when the key does not fit."""
    decryptor = Cipher(algorithms.AES(machine_id.encode()), modes.CBC(b"743677397A244326")).decryptor()
    plain = decryptor.update(base64.b64decode(ciphertext)) + decryptor.finalize()
    return base64.b64decode(plain[: -plain[-1]]) if plain.startswith(b"MI") else b""


def owner_of(ciphertext: bytes) -> str:
    data = decrypted(ciphertext, MACHINE_ID) or decrypted(ciphertext, OTHER_MACHINE_ID)
    contents = pkcs12.load_pkcs12(data, None)
    found = contents.cert or contents.additional_certs[0]
    return thumbprint_of(found.certificate.public_bytes(serialization.Encoding.DER))


# --- The PFX files of the recordings: imported ones from what they left in the configuration, the others of the same kind -----------


@cache
def imported(case: str) -> Keypair:
    found = re.search(rb'"Tentacle\.Certificate">([^<]+)<', recorded(case).configuration or b"")
    assert found is not None
    contents = pkcs12.load_pkcs12(decrypted(found[1], MACHINE_ID), None)
    assert contents.cert is not None
    assert contents.key is not None
    der = contents.cert.certificate.public_bytes(serialization.Encoding.DER)
    form = serialization.PrivateFormat.PKCS8
    key = contents.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return Keypair(der, key, thumbprint_of(der))


def without_key(keypair: Keypair, password: str) -> bytes:
    certificate = x509.load_der_x509_certificate(keypair.der)
    return pkcs12.serialize_key_and_certificates(None, None, certificate, None, serialization.BestAvailableEncryption(password.encode()))


def with_triple_des(keypair: Keypair, password: str) -> bytes:
    builder = serialization.PrivateFormat.PKCS12.encryption_builder()
    old = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1())
    key = serialization.load_pem_private_key(keypair.key_pem, None)
    certificate = x509.load_der_x509_certificate(keypair.der)
    return pkcs12.serialize_key_and_certificates(None, key, certificate, None, old.build(password.encode()))  # type: ignore[arg-type]


def pem(keypair: Keypair) -> bytes:
    return x509.load_der_x509_certificate(keypair.der).public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="session")
def pfx_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pfx")
    rsa2048, ca = imported("14-import-final"), make_certificate("lab CA")
    leaf = make_certificate("lab leaf", issuer=ca)
    files = {
        "rsa2048.pfx": to_pfx(rsa2048, PASSWORD),
        "rsa2048.p12": to_pfx(rsa2048, PASSWORD),
        "rsa2048-nopw.pfx": to_pfx(rsa2048, None),
        "rsa2048-legacy.pfx": with_triple_des(rsa2048, PASSWORD),
        "rsa2048.pem": rsa2048.key_pem + pem(rsa2048),
        "rsa1024.pfx": to_pfx(imported("13-import-rsa1024"), PASSWORD),
        "rsa4096.pfx": to_pfx(imported("13-import-rsa4096"), PASSWORD),
        "expired.pfx": to_pfx(imported("13-import-expired"), PASSWORD),
        "nokey.pfx": without_key(rsa2048, PASSWORD),
        "ecp256.pfx": to_pfx(make_certificate("lab ec", algorithm="ec"), PASSWORD),
        "chain.pfx": to_pfx(leaf, PASSWORD, [ca]),
        "chain-openssl.pfx": to_pfx(leaf, "x", [ca]),
        "chain-openssl2.pfx": to_pfx(leaf, "x", [ca]),
        "certonly.b64": base64.b64encode(rsa2048.der),
        "garbage.pfx": b"this is not a PFX file",
        "empty.pfx": b"",
        "exported.pfx": to_pfx(imported("12-import-exported"), "Secret123"),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


# --- What each case found ------------------------------------------------------------------------------------------------------------


@dataclass
class Place:
    """A folder that stands for /, and what else a call takes from its surroundings."""

    root: Path
    pfx: Path
    stack: ExitStack
    path: str = ""
    uid: int = field(default_factory=os.geteuid)

    def file(self, name: str, content: bytes) -> Path:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def configuration(self, instance: str) -> Path:
        return self.root / f"srv/tentacle/{instance}/tentacle.config"

    def index(self, *instances: str) -> None:
        folder = self.root / "etc/octopus/Tentacle/Instances"
        for file in folder.glob("*"):
            file.unlink()
        for name in instances:
            entry = {"Name": name, "ConfigurationFilePath": str(self.configuration(name))}
            self.file(f"etc/octopus/Tentacle/Instances/{name.lower()}.config", json.dumps(entry, indent=2).encode())

    def script(self, name: str, body: str) -> None:
        note = f'echo "{name} $*" >> "{self.root}/calls"\n'
        self.file(f"usr/bin/{name}", f"#!/bin/sh\n{note}{body}\n".encode()).chmod(0o755)
        self.path = f"{self.root}/usr/bin:/usr/bin:/bin"

    def calls(self) -> list[str]:
        log = self.root / "calls"
        return log.read_text().splitlines() if log.exists() else []


Furnish = Callable[[Place], object]
FINAL = "14-import-final"


def standing(*instances: str, of: str = FINAL) -> Furnish:
    """Instances in the index; the first one has its configuration, as another case left it."""

    def furnish(place: Place) -> None:
        place.index(*instances)
        place.file(str(place.configuration(instances[0]).relative_to(place.root)), rooted(recorded(of).configuration or b"", place.root))

    return furnish


def empty_configuration(place: Place) -> None:
    place.index("T1", "T2", "T3", "T5")
    place.file("srv/tentacle/T5/tentacle.config", b"")


def locked(kind: int) -> Furnish:
    def furnish(place: Place) -> None:
        file = place.stack.enter_context(place.configuration("T1").open("rb"))
        fcntl.flock(file, kind)

    return furnish


def other_machine(place: Place) -> None:
    place.file("etc/machine-id", f"{OTHER_MACHINE_ID}\n".encode())


def foreign_store(place: Place) -> None:
    standing("T1", "T2", "T3")(place)
    (place.root / STORE).mkdir(parents=True)
    place.uid = os.geteuid() + 1


def bad_index_file(place: Place) -> None:
    standing("T1", "T2", "T3")(place)
    place.file("etc/octopus/Tentacle/Instances/backup.txt", b"not json")


def old_heartbeat(place: Place) -> None:
    standing("T1", "T2", "T3")(place)
    os.utime(place.file("srv/tentacle/T1/livez.heartbeat", b""), (NOW - 300, NOW - 300))


def missing_home(place: Place) -> None:
    standing("T1", "T2", "T3")(place)
    (place.root / "root").rmdir()


def service_manager(place: Place) -> None:
    standing("T1", "T2", "T3")(place)
    place.script("sudo", 'test "$1" = -vn || exec "$@"')
    place.script("systemctl", "exit 0")


def failing_service_manager(place: Place) -> None:
    service_manager(place)
    place.script("systemctl", 'echo "Failed to $1 $2: Unit could not be changed" >&2; exit 5')


def no_sudo(place: Place) -> None:
    standing("T1", "T2", "T3")(place)
    place.script("systemctl", "exit 0")
    place.path = f"{place.root}/usr/bin"


WORLDS: dict[str, Furnish] = {
    "00-*": lambda place: place.index(),
    "01-create-instance": lambda place: place.index(),
    "12-*": lambda place: place.file("srv/tentacle/exp.pfx", (place.pfx / "exported.pfx").read_bytes()),
    "60-*": lambda place: place.index("T1", "T2"),
    "60-poll-create": lambda place: place.index("T1"),
    "61-*": lambda place: place.index("T1", "T2"),
    "62-*": lambda place: place.index("T1", "T2"),
    "63-*": lambda place: place.index("T1", "T2"),
    "71-*": lambda place: place.index("T1", "T2", "T3"),
    "72-config-option": standing("T1", "T2", "T3"),
    "73-*": lambda place: place.index("T1", "T2", "T3"),
    "73-instance-case": standing("T1", "T2", "T3"),
    "74-*": no_sudo,
    "75-*": old_heartbeat,
    "78-locked-ex-*": locked(fcntl.LOCK_EX),
    "78-locked-sh-configure": locked(fcntl.LOCK_SH),
    "80-*": lambda place: place.file("srv/tentacle/sc.json", b"{}"),
    "81-*": service_manager,
    "81-*-failing": failing_service_manager,
    "83-*": other_machine,
    "84-*": missing_home,
    "85-*": foreign_store,
    "86-*": bad_index_file,
    "87-delete-instance": standing("T4", "T1", "T2", "T3"),
    "87-delete-instance-again": lambda place: place.index("T1", "T2", "T3"),
    "88-*-unknown-instance": lambda place: place.index("T1", "T2", "T3"),
    "89-*": lambda place: place.index("T1", "T2", "T3", "T5"),
    "89-empty-*": empty_configuration,
    "90-*": lambda place: place.index("T1", "T2", "T3", "T5"),
}


def furnish(case: str, root: Path, pfx: Path, stack: ExitStack) -> Place:
    """The state of the world before a case: what all have, the recorded configuration, then the case's own."""
    place = Place(root, pfx, stack)
    for folder in ("srv/cwd", "srv/tentacle", "root", "etc/octopus/Tentacle/Instances", "units"):
        (root / folder).mkdir(parents=True)
    (root / "srv/pfx").symlink_to(pfx)
    place.file("etc/machine-id", f"{MACHINE_ID}\n".encode())
    place.index("T1")
    before = bytes_of(GOLDEN / case / "config.before.xml")
    if before is not None:
        name = place.configuration(instance_of(case)).relative_to(root)
        place.file(str(name), rooted(before, root))
    for pattern, own in WORLDS.items():
        if Path(case).match(pattern):
            own(place)
    return place


def rooted(data: bytes, root: Path) -> bytes:
    return data.replace(b">/srv/", f">{root}/srv/".encode())


def world_of(case: str, place: Place) -> World:
    root = place.root
    argv = [re.sub(r"(^|=)/(srv|root)/", rf"\1{root}/\2/", argument) for argument in argv_of(case)]
    settings = Settings(
        machine_id_file=root / "etc/machine-id",
        home=root / "root",
        machine_configuration_home=root / "etc/octopus",
        machine_key_file=root / "etc/octopus/machinekey",
        unit_dir=root / "units",
        version="0.0.0-local",
    )
    return World(
        argv, {"PATH": place.path}, f"{root}/srv/cwd", io.StringIO(), io.StringIO(), io.StringIO(), settings, uid=place.uid, clock=lambda: NOW
    )


def produced(case: str, place: Place, call: Callable[[World], tuple[int, str, str]]) -> Outcome:
    file = place.configuration(instance_of(case))
    before = bytes_of(file)
    code, stdout, stderr = call(world_of(case, place))
    after = bytes_of(file)
    if recorded(case).changed is None:
        return Outcome(code, stdout, stderr, None, None)
    return Outcome(code, stdout, stderr, after, "same-bytes" if before == after else "changed")


def in_process(world: World) -> tuple[int, str, str]:
    code = run(world)
    assert isinstance(world.stdout, io.StringIO)
    assert isinstance(world.stderr, io.StringIO)
    return code, world.stdout.getvalue(), world.stderr.getvalue()


def as_a_program(world: World) -> tuple[int, str, str]:
    """The same through bin/Tentacle, settings by file."""
    settings = world.settings
    names = ("machine_id_file", "home", "machine_key_file", "unit_dir", "version")
    file = settings.home / "settings.json"
    file.write_text(json.dumps({name: str(getattr(settings, name)) for name in names}))
    environ = {
        "OCTOLAB_SETTINGS": str(file),
        "TentacleMachineConfigurationHomeDirectory": str(settings.machine_configuration_home),
        "PATH": world.environ["PATH"] or os.defpath,
    }
    command = [sys.executable, str(TESTS / "lab/bin/Tentacle"), *world.argv]
    done = subprocess.run(command, env=environ, cwd=world.cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def same(case: str, place: Place, call: Callable[[World], tuple[int, str, str]]) -> None:
    before = rooted(bytes_of(GOLDEN / case / "config.before.xml") or b"", place.root)
    expected, found = recorded(case), produced(case, place, call)
    for normalisation in NORMALISATIONS:
        expected = normalisation(expected, Difference("/nowhere", before))
        found = normalisation(found, Difference(str(place.root), before))
    assert found == expected


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


@pytest.mark.parametrize("case", CASES)
def test_case(case: str, tmp_path: Path, pfx_files: Path, stack: ExitStack) -> None:
    """The stand-in does what the real Tentacle did."""
    same(case, furnish(case, tmp_path, pfx_files, stack), in_process)


def test_every_recorded_folder_is_a_case() -> None:
    """Nothing is left out: the copy is whole, each folder has a call, and each exception of WORLDS is for some case."""
    assert len(CASES) == RECORDED
    assert all((GOLDEN / case / name).is_file() for case in CASES for name in ("argv.json", "stdout", "stderr", "exitcode"))
    assert [pattern for pattern in WORLDS if not any(Path(case).match(pattern) for case in CASES)] == []


@pytest.mark.parametrize(
    "case",
    [
        "01-create-instance",
        "07-show-configuration-file",
        "13-import-rsa2048",
        "20-trust-27-xmlchars",
        "70-damaged-half-show",
        "73-no-command",
        "83-other-machine-id-agent",
    ],
)
def test_case_as_a_program(case: str, tmp_path: Path, pfx_files: Path, stack: ExitStack) -> None:
    """bin/Tentacle is the same stand-in."""
    same(case, furnish(case, tmp_path, pfx_files, stack), as_a_program)


@pytest.mark.parametrize(
    ("case", "calls"),
    [
        ("81-service-install", ["sudo -vn", "systemctl enable T1"]),
        ("81-service-install-start", ["sudo -vn", "systemctl enable T1", "systemctl start T1"]),
        ("81-service-start", ["sudo -vn", "systemctl start T1"]),
        ("81-service-start-failing", ["sudo -vn", "systemctl start T1", "sudo systemctl start T1", "systemctl start T1"]),
        ("81-service-reconfigure", ["sudo -vn", "systemctl stop T1", "systemctl disable T1", "systemctl enable T1"]),
        ("81-service-uninstall", ["sudo -vn", "systemctl stop T1", "systemctl disable T1"]),
    ],
)
def test_calls_of_the_service_manager(case: str, calls: list[str], tmp_path: Path, pfx_files: Path, stack: ExitStack) -> None:
    """kill-lock-signals-service.txt: which programs `service` starts, in order."""
    place = furnish(case, tmp_path, pfx_files, stack)
    in_process(world_of(case, place))
    assert place.calls() == calls


def test_unit_file(tmp_path: Path, pfx_files: Path, stack: ExitStack) -> None:
    """T1.service, byte for byte."""
    place = furnish("81-service-install", tmp_path, pfx_files, stack)
    in_process(world_of("81-service-install", place))
    unit = tmp_path / "units/T1.service"
    assert unit.read_bytes() == (GOLDEN / "T1.service").read_bytes()
    assert unit.stat().st_mode & 0o777 == 0o644


def test_index_file(tmp_path: Path, pfx_files: Path, stack: ExitStack) -> None:
    """index-T1.config, byte for byte, under its lower-case name."""
    place = furnish("01-create-instance", tmp_path, pfx_files, stack)
    in_process(world_of("01-create-instance", place))
    written = (tmp_path / "etc/octopus/Tentacle/Instances/t1.config").read_text()
    assert written.replace(str(tmp_path), "") == (GOLDEN / "index-T1.config").read_text()


def test_exported_files(tmp_path: Path, pfx_files: Path, stack: ExitStack) -> None:
    """What lands in the files of --export-file and --export-pfx."""
    for number, case in enumerate(("06-show-thumbprint-export", "11-new-certificate-export-file", "11-new-certificate-export-pfx")):
        in_process(world_of(case, furnish(case, tmp_path / str(number), pfx_files, stack)))
    assert (tmp_path / "0/srv/tentacle/tp.txt").read_bytes() == recorded("06-show-thumbprint").stdout.encode()
    text = (tmp_path / "1/srv/tentacle/exp.txt").read_bytes()
    assert text.startswith(BOM)
    assert pkcs12.load_pkcs12(base64.b64decode(text[len(BOM) :]), None).key is not None
    assert pkcs12.load_pkcs12((tmp_path / "2/srv/tentacle/exp.pfx").read_bytes(), b"Secret123").key is not None
