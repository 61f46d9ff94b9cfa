# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The key of a host that opens its Tentacle's certificate, tried on the first block of it and no more (decisions 15).

The vendor encrypts with AES-256-CBC under the machine id (contracts/tentacle-cli.md 3.5). Sixteen characters of base64
show whether a PFX begins there; the key in it never passes through here. Targets have no AES in their standard library.
"""

from __future__ import annotations

import base64
import binascii
import functools
from typing import List, NamedTuple, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._host import Host

MACHINE_ID = "/etc/machine-id"
GENERATED_KEY = "/etc/octopus/machinekey"  # the vendor's fallback, wherever the machine configuration home is (tentacle-cli.md 1.8)

_IV = b"743677397A244326"  # a constant of the vendor's, published by it as not sensitive
_PFX_IN_BASE64 = b"MII"


class Key(NamedTuple):
    key: bytes
    iv: bytes

    def spelled(self) -> str:
        """As the vendor's own file spells one."""
        return ".".join(base64.b64encode(part).decode("ascii") for part in self)


def is_intact(host: Host, certificate: str, machine_id_file: str = MACHINE_ID) -> bool:
    return opening(host, certificate, machine_id_file) is not None


def opening(host: Host, certificate: str, machine_id_file: str = MACHINE_ID) -> Optional[Key]:
    """The key of this host under which ``certificate`` (the stored text) decrypts to something that begins as a PFX does."""
    try:
        block = base64.b64decode(certificate, validate=True)[:16]
    except (binascii.Error, ValueError):
        return None
    if len(block) < 16:
        return None
    keys = (_machine_id(host, machine_id_file), _generated(host))
    return next((key for key in keys if key is not None and decrypt_block(key, block).startswith(_PFX_IN_BASE64)), None)


@functools.lru_cache(maxsize=4)  # a visit looks twice, and this is its dearest computation
def decrypt_block(key: Key, block: bytes) -> bytes:
    """The first block of a CBC ciphertext under a key of 32 bytes."""
    return bytes(_xor(_decrypt(_expand(key.key), block), key.iv))


def _machine_id(host: Host, path: str) -> Optional[Key]:
    line = (host.read(path) or b"").split(b"\n", 1)[0].rstrip(b"\r")
    return Key(line, _IV) if len(line) == 32 else None


def _generated(host: Host) -> Optional[Key]:
    parts = (host.read(GENERATED_KEY) or b"").strip().split(b".")
    try:
        decoded = [base64.b64decode(part, validate=True) for part in parts]
    except (binascii.Error, ValueError):
        return None
    return Key(decoded[0], decoded[1]) if [len(part) for part in decoded] == [32, 16] else None


def _xor(one: Sequence[int], other: Sequence[int]) -> List[int]:
    return [value ^ other[at] for at, value in enumerate(one)]


def _double(value: int) -> int:
    return (value << 1 ^ 0x11B) & 0xFF if value & 0x80 else value << 1


def _times(value: int, factor: int) -> int:
    """The product in the field of AES."""
    product = 0
    while factor:
        if factor & 1:
            product ^= value
        value, factor = _double(value), factor >> 1
    return product


def _make_s_box() -> List[int]:
    box, one, inverse = [0x63] * 256, 1, 1
    for _ignored in range(255):
        one = one ^ _double(one)  # times 3, which generates the field
        inverse = _times(inverse, 0xF6)  # times 1/3
        turned = inverse
        for shift in range(1, 5):
            turned ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
        box[one] = turned ^ 0x63
    return box


def _expand(key: bytes) -> List[List[int]]:
    """Fifteen round keys of sixteen bytes."""
    box = _make_s_box()
    words = [list(key[at : at + 4]) for at in range(0, 32, 4)]
    constant = 1
    for number in range(8, 60):
        word = list(words[-1])
        if number % 8 == 0:
            word = [box[byte] for byte in word[1:] + word[:1]]
            word[0] ^= constant
            constant = _double(constant)
        elif number % 8 == 4:
            word = [box[byte] for byte in word]
        words.append(_xor(words[-8], word))
    return [[byte for word in words[at : at + 4] for byte in word] for at in range(0, 60, 4)]


def _decrypt(keys: Sequence[Sequence[int]], block: bytes) -> Sequence[int]:
    box = _make_s_box()
    back = [box.index(value) for value in range(256)]
    state = _xor(block, keys[14])
    for number in range(13, -1, -1):
        state = [back[state[(at - 4 * (at % 4)) % 16]] for at in range(16)]  # rows shifted back, bytes substituted back
        state = _xor(state, keys[number])
        if number:
            state = [
                _times(state[at], 14)
                ^ _times(state[at - at % 4 + (at + 1) % 4], 11)
                ^ _times(state[at - at % 4 + (at + 2) % 4], 13)
                ^ _times(state[at - at % 4 + (at + 3) % 4], 9)
                for at in range(16)
            ]
    return state
