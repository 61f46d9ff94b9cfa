# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""TLS as a probe needs it: pyOpenSSL, which takes a private key from memory where the standard library wants a file."""

from __future__ import annotations

import sys
from typing import Any, List, Optional

from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import require_cryptography
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import Presentable, key_object

try:
    from cryptography import x509
    from OpenSSL import SSL, crypto
    from OpenSSL import _util as _binding
except ImportError as error:
    _MISSING: Optional[ImportError] = error
else:
    _MISSING = None

# The first group's key share is the only one computed. Newer libraries would add an ML-KEM share, which no Halibut listener
# takes and which costs a tenth of the probe (performance 3.3); the others are there for listeners without X25519.
_GROUPS = b"X25519:P-256:P-384"


def is_there() -> bool:
    return _MISSING is None


def require_openssl() -> None:
    """OctoError that names the Python and the package where the probe cannot run."""
    require_cryptography()
    if _MISSING is not None:
        raise OctoError(
            f"The probe needs the Python package 'pyOpenSSL', which {sys.executable} (Python {sys.version.split()[0]}) cannot import: {_MISSING}. "
            f"Install it there: {sys.executable} -m pip install 'pyOpenSSL>=24.1'."
        )


def context(identity: Optional[Presentable]) -> SSL.Context:
    """A fresh context that presents ``identity`` (None: no certificate) and verifies nothing: the caller compares thumbprints.

    One per identity and sweep, and never shared between two: a listener resumes sessions with the identity of their first
    connection (halibut-wire 1.2), so a context that had met another identity would give false verdicts.
    """
    made = SSL.Context(SSL.TLS_CLIENT_METHOD)
    made.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    made.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 30 KB less for each connection in flight
    _prefer_cheap_groups(made)
    if identity is not None:
        present(made, identity)
    return made


def connection(made: SSL.Context, server_name: Optional[bytes]) -> SSL.Connection:
    """A client connection over memory buffers: the caller moves the bytes."""
    tls = SSL.Connection(made, None)
    tls.set_connect_state()
    if server_name:
        tls.set_tlsext_host_name(server_name)
    return tls


def peer_certificate(tls: SSL.Connection) -> bytes:
    """The DER that the other side presented; empty if it presented none."""
    certificate = tls.get_peer_certificate()
    return bytes(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)) if certificate else b""


def reasons(error: Exception) -> str:
    """What OpenSSL said, without its library and function names."""
    told: List[str] = [str(entry[-1]) for entry in error.args[0] if entry[-1]] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(dict.fromkeys(told)) or type(error).__name__


def _prefer_cheap_groups(made: SSL.Context) -> None:
    choose = getattr(_binding.lib, "SSL_CTX_set1_curves_list", None)  # not public; without it the probe is dearer, not different
    if choose is not None:
        choose(made._context, _GROUPS)


def present(made: SSL.Context, identity: Presentable) -> None:
    """Make ``identity`` what a context shows, from memory."""
    certificate: Any = x509.load_der_x509_certificate(identity.certificate)
    key: Any = key_object(identity)
    try:
        made.use_certificate(certificate)
    except TypeError:  # pyOpenSSL before 24.3 takes its own types only
        certificate, key = crypto.X509.from_cryptography(certificate), crypto.PKey.from_cryptography_key(key)
        made.use_certificate(certificate)
    made.use_privatekey(key)
