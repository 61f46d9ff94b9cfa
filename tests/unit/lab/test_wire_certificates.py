# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificates of the stand-ins are the vendor's kind (contracts/tentacle-cli.md 4, measured-tentacle.md 3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lab.wire.certificates import Keypair, PfxError, PfxPasswordError, from_pfx, make_certificate, rsa_bits, subject_of, thumbprint_of, to_pfx


@pytest.fixture(scope="module")
def leaf() -> Keypair:
    return make_certificate()


def test_the_default_is_what_a_tentacle_generates(leaf: Keypair) -> None:
    seen = x509.load_der_x509_certificate(leaf.der)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert seen.subject == seen.issuer
    assert subject_of(leaf.der) == "CN=Octopus Tentacle"
    assert list(seen.extensions) == []
    assert seen.not_valid_before_utc == midnight - timedelta(days=1)
    assert seen.not_valid_after_utc > midnight + timedelta(days=36500)
    assert 1 <= seen.serial_number <= 2**63 - 1
    assert isinstance(seen.signature_hash_algorithm, hashes.SHA256)
    assert rsa_bits(leaf.key_pem) == 2048
    assert leaf.thumbprint == thumbprint_of(leaf.der) == seen.fingerprint(hashes.SHA1()).hex().upper()


def test_odd_certificates_can_be_made() -> None:
    expired = make_certificate(not_before=datetime(2017, 1, 1, tzinfo=UTC), not_after=datetime(2018, 1, 1, tzinfo=UTC))
    assert x509.load_der_x509_certificate(expired.der).not_valid_after_utc.year == 2018
    assert rsa_bits(make_certificate(bits=1024).key_pem) == 1024
    assert rsa_bits(make_certificate(algorithm="ec").key_pem) is None


def test_a_sha1_signature_is_a_real_one() -> None:
    old = x509.load_der_x509_certificate(make_certificate("Octopus Portal", sha1=True).der)
    assert isinstance(old.signature_hash_algorithm, hashes.SHA1)
    public = old.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(old.signature, old.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA1())


def test_an_issuer_signs() -> None:
    authority = make_certificate("An authority")
    issued = x509.load_der_x509_certificate(make_certificate("issued", issuer=authority).der)
    issued.verify_directly_issued_by(x509.load_der_x509_certificate(authority.der))


@pytest.mark.parametrize("password", [None, "", "pass word \u00e9"])
def test_a_pfx_returns_what_went_in(leaf: Keypair, password: str | None) -> None:
    other = make_certificate("An authority")
    contents = from_pfx(to_pfx(leaf, password, [other]), password)
    assert contents.keypair() == leaf
    assert contents.others == (other.der,)


@pytest.mark.parametrize(("written", "given"), [("secret", "wrong"), ("secret", None), (None, "secret")])
def test_a_password_that_does_not_fit_is_told_from_garbage(leaf: Keypair, written: str | None, given: str | None) -> None:
    with pytest.raises(PfxPasswordError):
        from_pfx(to_pfx(leaf, written), given)


@pytest.mark.parametrize("data", [b"", b"garbage"])
def test_garbage_is_no_pfx(data: bytes) -> None:
    with pytest.raises(PfxError) as caught:
        from_pfx(data, None)
    assert not isinstance(caught.value, PfxPasswordError)


def test_the_key_stays_out_of_reprs(leaf: Keypair) -> None:
    assert "PRIVATE" not in repr(leaf)
