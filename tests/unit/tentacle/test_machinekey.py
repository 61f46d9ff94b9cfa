# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""AES in pure Python against the published vector, real files, and another implementation."""

from __future__ import annotations

import base64
import os

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, machinekey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from unit.tentacle.doubles import GOLDEN, MACHINE_ID, FakeHost, HandClock, few


@pytest.fixture
def host() -> FakeHost:
    fake = FakeHost(HandClock())
    fake.files["/etc/machine-id"] = MACHINE_ID
    return fake


def certificate_of(case: str) -> str:
    return configuration.parse(case, (GOLDEN / case / "config.after.xml").read_bytes()).get(configuration.CERTIFICATE)


def test_the_published_vector() -> None:
    """tentacle-cli.md 3.5."""
    key = machinekey.Key(MACHINE_ID.strip(), b"743677397A244326")
    assert machinekey.decrypt_block(key, base64.b64decode("yspqcK7xCvd5c+1OSB7kxw==")) == b"FooBar" + bytes([10]) * 10


@few
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_as_another_implementation_does_it(key: bytes, iv: bytes, plain: bytes) -> None:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    assert machinekey.decrypt_block(machinekey.Key(key, iv), encryptor.update(plain)) == plain


@pytest.mark.parametrize("case", ["03-new-certificate-if-blank", "13-import-rsa2048", "20-trust-02-add-A"])
def test_real_certificates_are_intact(host: FakeHost, case: str) -> None:
    assert machinekey.is_intact(host, certificate_of(case))


def test_another_machine_id_opens_nothing(host: FakeHost) -> None:
    host.files["/other"] = b"f" * 32
    assert not machinekey.is_intact(host, certificate_of("20-trust-02-add-A"), "/other")


@pytest.mark.parametrize("machine_id", [None, b"", b"short\n", b"816490f1-17f1-4c7a-8fa2-697781ed795b\n"])
def test_the_generated_key_stands_in_for_a_machine_id(host: FakeHost, machine_id: bytes | None) -> None:
    key, iv = os.urandom(32), os.urandom(16)
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    stored = base64.b64encode(encryptor.update(b"MIIKYgIBAzCCCh4G" * 2)).decode()
    if machine_id is None:
        del host.files["/etc/machine-id"]
    else:
        host.files["/etc/machine-id"] = machine_id
    assert not machinekey.is_intact(host, stored)
    host.files[machinekey.GENERATED_KEY] = base64.b64encode(key) + b"." + base64.b64encode(iv)
    assert machinekey.is_intact(host, stored)


@pytest.mark.parametrize("stored", ["", "no base64!", base64.b64encode(b"short").decode()])
def test_what_is_no_ciphertext_is_not_intact(host: FakeHost, stored: str) -> None:
    assert not machinekey.is_intact(host, stored)


@pytest.mark.parametrize("content", [b"", b"x.y", base64.b64encode(b"1" * 31) + b"." + base64.b64encode(b"2" * 16)])
def test_a_damaged_generated_key_is_none(host: FakeHost, content: bytes) -> None:
    host.files[machinekey.GENERATED_KEY] = content
    assert machinekey.is_intact(host, certificate_of("20-trust-02-add-A"))
