# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The search for secrets: which bytes give one away, where they were looked for, and where they may stand.

A secret is hunted in every spelling that a program might give it. For keys and other bytes parts of them are hunted: what lies
about in pieces, or within something larger, is as bad.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lab.wire.certificates import Keypair

_PART = 24  # bytes; 32 characters of base64, so that of two neighbours one lies within a line of PEM
_PASSWORD_OPTION = "--pfx-password="


class Marker(NamedTuple):
    """A secret, and the bytes by which it is recognised, by the name of their spelling."""

    name: str
    spellings: Mapping[str, bytes]


class Trace(NamedTuple):
    place: str
    marker: str
    spelling: str


class Allowed(NamedTuple):
    """A place (a path below the fleet's folder, with wildcards) where markers may stand, and why."""

    place: str
    markers: frozenset[str]
    reason: str

    def covers(self, trace: Trace) -> bool:
        return trace.marker in self.markers and fnmatch(trace.place, self.place)


# What whoever hunts in a fleet's folder will find there by its nature.
OF_THE_LAB = (
    Allowed("inventory.yml", frozenset({"the API key", "the backup password"}), "the person's own variables, who would keep them in a vault"),
    Allowed("fleet.json", frozenset({"the API key"}), "the lab's description of itself for its tests; no program of the product knows it"),
)


def text(name: str, secret: str) -> Marker:
    """A password or an API key; letters, digits, ``-`` and ``_`` only, which no program quotes."""
    if not secret.replace("-", "").replace("_", "").isalnum():
        raise ValueError(f"The secret `{name}` would be spelled in too many ways. Give it letters and digits.")
    data = secret.encode()
    return Marker(name, {"raw": data, "utf-16": secret.encode("utf-16-le"), **_hex("", data), **_base64("", data)})


def key(name: str, pair: Keypair) -> Marker:
    """A private key, by its private numbers: they are the same in PKCS#1, PKCS#8, PEM and XML."""
    loaded = load_pem_private_key(pair.key_pem, None)
    if not isinstance(loaded, RSAPrivateKey):
        raise TypeError(f"The key `{name}` is no RSA key.")
    numbers = loaded.private_numbers()
    half = (loaded.key_size + 7) // 16
    return _binary(name, {"d": numbers.d.to_bytes(2 * half, "big"), "p": numbers.p.to_bytes(half, "big"), "q": numbers.q.to_bytes(half, "big")})


def file(name: str, data: bytes) -> Marker:
    """A file that is a secret as a whole, however well it is encrypted."""
    return _binary(name, {"middle": data[len(data) // 2 :]})


def _binary(name: str, sources: Mapping[str, bytes]) -> Marker:
    spellings: dict[str, bytes] = {}
    for source, data in sources.items():
        for number in (1, 2):
            part, label = data[number * _PART : (number + 1) * _PART], f"{source}{number} "
            spellings |= {f"{label}raw": part, f"{label}repr": repr(part)[2:-1].encode(), **_hex(label, part), **_base64(label, part)}
    return Marker(name, spellings)


def _hex(label: str, data: bytes) -> dict[str, bytes]:
    found = {"hex": data.hex(), "colons": data.hex(":")}
    return {f"{label}{name}{case}": turn(spelled).encode() for name, spelled in found.items() for case, turn in (("", str), (" upper", str.upper))}


def _base64(label: str, data: bytes) -> dict[str, bytes]:
    """However far within something larger the bytes begin; what depends on their neighbours is left out."""
    found: dict[str, bytes] = {}
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).rstrip(b"=")
        inner = encoded[(0, 2, 3)[before] : len(encoded) - bool((before + len(data)) % 3)]
        found |= {f"{label}base64+{before}": inner, f"{label}base64url+{before}": inner.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def traces(place: str, data: bytes, markers: Iterable[Marker]) -> Iterator[Trace]:
    for marker in markers:
        for spelling, needle in marker.spellings.items():
            if needle in data:
                yield Trace(place, marker.name, spelling)


class Hunt:
    """``one_use`` are the passwords that the vendor's tool was given, which it takes in its arguments only (decisions 20, hazard H-02)."""

    def __init__(self, root: Path, markers: Sequence[Marker], one_use: Iterable[str] = ()) -> None:
        self._root = root
        self._one_use = frozenset(one_use)
        self._markers = [*markers, *(text("a one-use password", password) for password in sorted(self._one_use))]

    def files(self) -> list[Trace]:
        """In every file below the root, whatever it is."""
        found: list[Trace] = []
        for path in sorted(self._root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                name = str(path.relative_to(self._root))
                reader: Callable[[bytes], bytes] = self._record if name == "records/argv.jsonl" else bytes
                found += traces(name, reader(path.read_bytes()), self._markers)
        return found

    def arguments(self, seen: Iterable[Sequence[bytes]]) -> list[Trace]:
        lines = b"\n".join(b" ".join(self._without_one_use(word) for word in argv) for argv in seen)
        return list(traces("the arguments of a process", lines, self._markers))

    def environments(self, seen: Iterable[bytes]) -> list[Trace]:
        return list(traces("the environment of a process", b"\n".join(seen), self._markers))

    def _record(self, data: bytes) -> bytes:
        notes = [json.loads(line) for line in data.splitlines() if line]
        for note in notes:
            note["argv"] = [self._without_one_use(word.encode()).decode() for word in note["argv"]]
        return json.dumps(notes).encode()

    def _without_one_use(self, word: bytes) -> bytes:
        option, value = word[: len(_PASSWORD_OPTION)], word[len(_PASSWORD_OPTION) :]
        return option if option == _PASSWORD_OPTION.encode() and value.decode("latin-1") in self._one_use else word


def one_use_passwords(root: Path) -> set[str]:
    """Those that the stand-ins recorded in their own arguments."""
    record = root / "records" / "argv.jsonl"
    notes = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines() if line]
    return {word.removeprefix(_PASSWORD_OPTION) for note in notes for word in note["argv"] if word.startswith(_PASSWORD_OPTION)}
