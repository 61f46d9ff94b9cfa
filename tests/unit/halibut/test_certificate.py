# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Facts from DER against what `cryptography` reads, and every way in which a PFX cannot be used."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity, open_pfx, read, write_pfx
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from unit.halibut.conftest import People

PASSWORD = Secret("correct horse")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


WEB = ((NameOID.COMMON_NAME, "Web"),)


def certificate(key: Any, issuer: Any = None, digest: Any = None, names: Sequence[tuple[Any, str]] = WEB) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(kind, text) for kind, text in names])
    by = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Our CA")]) if issuer else name
    built = x509.CertificateBuilder().subject_name(name).issuer_name(by).public_key(key.public_key()).serial_number(0x80AB)
    built = built.not_valid_before(datetime(1999, 12, 31)).not_valid_after(datetime(2051, 1, 2, 3, 4, 5))
    return built.sign(issuer or key, digest or hashes.SHA256())


def pfx(key: Any, leaf: x509.Certificate | None, others: Sequence[x509.Certificate] = (), password: bytes | None = b"correct horse") -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"x", key, leaf, list(others), encryption)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


# ------------------------------------------------------------------------------------------------ facts


@pytest.mark.parametrize(("digest", "spelled"), [(hashes.SHA256(), "sha256RSA"), (hashes.SHA384(), "sha384RSA"), (hashes.SHA512(), "sha512RSA")])
def test_facts_of_an_rsa_certificate(rsa_key: rsa.RSAPrivateKey, digest: hashes.HashAlgorithm, spelled: str) -> None:
    made = certificate(rsa_key, digest=digest)
    facts = read(made.public_bytes(serialization.Encoding.DER))
    assert facts.thumbprint == made.fingerprint(hashes.SHA1()).hex().upper()
    assert facts.sha256 == made.fingerprint(hashes.SHA256()).hex().upper()
    assert (facts.subject, facts.issuer, facts.self_signed) == ("CN=Web", "CN=Web", True)
    assert int(facts.serial, 16) == made.serial_number
    assert (facts.not_before, facts.not_after) == (made.not_valid_before_utc, made.not_valid_after_utc)
    assert (facts.signature_algorithm, facts.key_algorithm, facts.key_bits) == (spelled, "RSA", 2048)
    assert facts.row()["not_after"] == "2051-01-02T03:04:05Z"


def test_facts_of_an_ec_certificate_of_a_ca(rsa_key: rsa.RSAPrivateKey) -> None:
    names = [(NameOID.COUNTRY_NAME, "GB"), (NameOID.ORGANIZATION_NAME, "Smith, Sons"), (NameOID.COMMON_NAME, "Web")]
    made = certificate(ec.generate_private_key(ec.SECP384R1()), issuer=rsa_key, names=names)
    facts = read(made.public_bytes(serialization.Encoding.DER))
    assert (facts.subject, facts.issuer, facts.self_signed) == ('CN=Web, O="Smith, Sons", C=GB', "CN=Our CA", False)
    assert (facts.signature_algorithm, facts.key_algorithm, facts.key_bits) == ("sha256RSA", "EC", 384)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 40, 200, -1])
def test_what_is_no_certificate_is_refused_in_a_sentence(people: People, cut: int) -> None:
    with pytest.raises(OctoError, match="not a DER-encoded certificate"):
        read(people.new.certificate[:cut])


def test_a_flipped_byte_never_raises_anything_else(people: People) -> None:
    for at in range(len(people.new.certificate)):
        for flipped in (0x00, 0x80, 0xFF):
            damaged = bytearray(people.new.certificate)
            damaged[at] ^= flipped
            try:
                read(bytes(damaged))
            except OctoError:
                continue


def test_dates_are_a_concern_and_no_refusal(people: People) -> None:
    facts = read(people.new.certificate)
    assert _certificate.concern_about_dates(facts, datetime.now(UTC)) == ""
    assert "expired on" in _certificate.concern_about_dates(facts, facts.not_after + timedelta(seconds=1))
    assert "not valid before" in _certificate.concern_about_dates(facts, facts.not_before - timedelta(seconds=1))


# ------------------------------------------------------------------------------------------------ new certificates


def test_a_server_certificate_is_of_the_vendor_s_kind() -> None:
    made = _certificate.make_server_certificate(now=datetime(2028, 2, 29, 13, 0, tzinfo=UTC))
    facts = read(made.certificate)
    assert (facts.subject, facts.issuer, facts.signature_algorithm, facts.key_bits) == ("CN=Octopus Portal", "CN=Octopus Portal", "sha256RSA", 2048)
    assert (facts.not_before, facts.not_after) == (datetime(2028, 2, 28, tzinfo=UTC), datetime(2128, 2, 29, tzinfo=UTC))
    assert 1 <= int(facts.serial, 16) < 2**63
    assert not list(x509.load_der_x509_certificate(made.certificate).extensions)


def test_random_identities_are_all_different() -> None:
    assert len({_certificate.random_identity().thumbprint for _ignored in range(3)}) == 3


def test_an_identity_shows_its_thumbprint_only_and_is_not_serialised(people: People) -> None:
    assert repr(people.new) == f"{people.new!s}" == f"Identity({people.new.thumbprint})"
    with pytest.raises(TypeError):
        pickle.dumps(people.new)


# ------------------------------------------------------------------------------------------------ PFX


def test_a_written_pfx_opens_again(people: People) -> None:
    data = write_pfx(people.new, PASSWORD, "our name")
    opened = open_pfx(data, PASSWORD)
    assert (opened.thumbprint, opened.key.private_numbers()) == (people.new.thumbprint, people.new.key.private_numbers())
    assert bytes.fromhex("060960864801650304012a") in data, "AES-256-CBC"
    entry = pkcs12.load_pkcs12(data, b"correct horse").cert
    assert entry is not None
    assert entry.friendly_name == b"our name"


def test_a_chain_is_stripped_to_the_leaf_of_the_key_wherever_it_stands(rsa_key: rsa.RSAPrivateKey) -> None:
    other = rsa.generate_private_key(65537, 2048)
    leaf, ca = certificate(rsa_key, issuer=other), certificate(other)
    for data in (pfx(rsa_key, leaf, [ca]), pfx(rsa_key, None, [ca, leaf])):
        stripped = pkcs12.load_pkcs12(_certificate.rewrap(data, PASSWORD, Secret("another")), b"another")
        assert stripped.cert is not None
        assert stripped.cert.certificate == leaf
        assert stripped.additional_certs == []


def test_a_file_without_a_password_opens_without_one(rsa_key: rsa.RSAPrivateKey) -> None:
    assert open_pfx(pfx(rsa_key, certificate(rsa_key), password=None), None).key.key_size == 2048


def test_every_unusable_file_is_refused_in_its_own_sentence(rsa_key: rsa.RSAPrivateKey, people: People) -> None:
    small, curve = rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256R1())
    good = pfx(rsa_key, certificate(rsa_key))
    pem = rsa_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    cases: list[tuple[bytes, Secret | None, str]] = [
        (good, Secret("wrong"), "The password does not open the PFX x.pfx"),
        (good, None, "protected by a password, and none was given"),
        (pfx(rsa_key, certificate(rsa_key), password=None), PASSWORD, "not protected by a password, but one was given"),
        (pfx(None, None, [certificate(rsa_key)]), PASSWORD, "no private key, only certificates"),
        (pfx(curve, certificate(curve)), PASSWORD, "an EC key"),
        (pfx(small, certificate(small)), PASSWORD, "an RSA key of 1024 bits"),
        (pfx(rsa_key, None, [certificate(small), certificate(curve)]), PASSWORD, "belongs to none of its 2 certificate"),
        (pfx(rsa_key, None), PASSWORD, "a private key and no certificate"),
        (b"", PASSWORD, "is empty"),
        (b"garbage, garbage", PASSWORD, "its bytes do not have that form"),
        (good[:700], PASSWORD, "bytes are missing at its end"),
        (pem, PASSWORD, "is PEM text"),
        (people.new.certificate, PASSWORD, "a bare certificate without its private key"),
    ]
    said = [_refusal(data, password) for data, password, _words in cases]
    for sentence, (_data, _password, words) in zip(said, cases, strict=True):
        assert words in sentence
        assert "x.pfx" in sentence
    assert len(set(said)) == len(said)


def _refusal(data: bytes, password: Secret | None) -> str:
    with pytest.raises(OctoError) as refused:
        open_pfx(data, password, "the PFX x.pfx")
    told = "".join(traceback.format_exception(refused.value))
    assert "PRIVATE KEY" not in told
    assert "horse" not in told.replace("garbage", "")
    return refused.value.message


def test_a_file_of_indefinite_length_is_a_pfx(rsa_key: rsa.RSAPrivateKey) -> None:
    """BouncyCastle, the maker of the vendor's certificates on Linux, writes such lengths unless told otherwise."""
    good = pfx(rsa_key, certificate(rsa_key))
    assert open_pfx(b"\x30\x80" + good[4:] + b"\x00\x00", PASSWORD).key.key_size == 2048


def test_without_cryptography_the_python_and_the_package_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_certificate, "_MISSING", ImportError("No module named 'cryptography'"))
    with pytest.raises(OctoError, match=r"need the Python package 'cryptography', which .*python.* cannot import"):
        open_pfx(b"x", None)


def test_a_key_of_a_legacy_identity_still_fits(rsa_key: rsa.RSAPrivateKey) -> None:
    """3DES and SHA-1, as Windows exports by default."""
    builder = serialization.PrivateFormat.PKCS12.encryption_builder()
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1())
    data = pkcs12.serialize_key_and_certificates(b"x", rsa_key, certificate(rsa_key), None, builder.build(b"correct horse"))
    assert isinstance(open_pfx(data, PASSWORD), Identity)
