# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""One connection of a probe, from dialling to a quiet end (halibut-wire 2, 5.3 and 8.1).

The bytes between socket and TLS are moved here, not by OpenSSL: so the preamble leaves in one segment with the end of the
handshake, the size of that flight shows whether our certificate went out, and a drained goodbye costs no decryption.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Callable, NamedTuple, Optional

from ansible_collections.octofleet.octopus.plugins.module_utils import _thumbprint
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import tunnel
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Address, Endpoint
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.engine import CLOSED_POLITELY, FAILED, WANTS_MORE, Engine, Stream
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import Presentable

QUESTION = b"MX\r\n\r\nMX-CLIENT 1.0\r\n\r\n"  # preamble and identity: one write, or Nagle adds 40 ms (halibut-wire 1.4)
ANSWER = b"MX-SERVER 1.0\r\n\r\n"
NULL_MESSAGE = bytes.fromhex("e3636060e0f24d2d2e4e4c4f65600000")  # the polite goodbye of an accepted caller (5.2)

# Verdicts of a trust question.
ACCEPTED, REFUSED, UNPROVEN, NOT_ASKED = "accepted", "refused", "unproven", "not_asked"
# The certificate was seen; no question was put.
IDENTITY = "identity"
# The endpoint did not come as far as TLS; these are facts of the endpoint, the same for every identity.
DNS, CONNECTION_REFUSED, UNREACHABLE, TIMEOUT, NOT_TLS, CLOSED = "dns", "connection_refused", "unreachable", "timeout", "not_tls", "closed"
# Its proxy did not open the way; nothing is known of the endpoint.
PROXY_DENIED, PROXY_FAILED = "proxy_denied", "proxy_failed"
# It did, or may have, and then something went wrong.
RESET, TLS_FAILED, UNEXPECTED = "reset", "tls_failed", "unexpected"

DIALLING, TUNNELLING, SHAKING, ASKING, LEAVING, OVER = range(6)

_CHUNK = 65536
_HANDSHAKE, _ALERT = 0x16, 0x15  # the first byte of what a TLS server says
_SIGNATURE_OF_2048_BITS = 256
_CLOSED_WITHOUT_A_BYTE = (
    "the connection was closed without a byte: no TLS port, a load balancer without a server behind it, or a TLS version that is refused"
)
_IN_PROGRESS = (0, errno.EINPROGRESS, errno.EWOULDBLOCK)
_VERDICT_OF = {
    errno.ECONNREFUSED: CONNECTION_REFUSED,
    errno.ECONNRESET: RESET,
    errno.EPIPE: RESET,
    errno.ETIMEDOUT: TIMEOUT,
    errno.EHOSTUNREACH: UNREACHABLE,
    errno.ENETUNREACH: UNREACHABLE,
}


class Caller(NamedTuple):
    """Who calls: the name under which its verdicts stand, what it presents, whether it asks to be trusted."""

    name: str
    identity: Optional[Presentable] = None  # None: no client certificate
    asks: bool = True  # False: looks at the certificate and leaves
    foreign: bool = False  # made up for this sweep: a listener that accepts it is an open door


class Answer(NamedTuple):
    verdict: str
    detail: str = ""
    certificate: bytes = b""
    thumbprint: str = ""
    tls: str = ""
    elapsed_ms: int = 0
    before_tls: bool = False  # the endpoint failed before TLS was up


class Call:
    """A connection that is moved on by :meth:`ready` whenever its socket is, and gives its :attr:`answer` before it has left."""

    __slots__ = (
        "_address",
        "_began",
        "_caller",
        "_clock",
        "_endpoint",
        "_engine",
        "_flight",
        "_heard",
        "_hello",
        "_outbox",
        "_said",
        "_seen",
        "_socket",
        "_tls",
        "answer",
        "stage",
        "wants_write",
    )

    def __init__(self, caller: Caller, endpoint: Endpoint, address: Address, tls: Stream, engine: Engine, clock: Callable[[], float]) -> None:
        self.answer: Optional[Answer] = None
        self.stage = DIALLING
        self.wants_write = True
        self._caller = caller
        self._endpoint = endpoint
        self._address = address  # of the endpoint, or of its proxy
        self._clock = clock
        self._began = clock()
        self._flight = 0  # bytes of the largest flight since the hello
        self._heard = False
        self._said = b""
        self._seen = Answer("")  # certificate, thumbprint and version, once known
        self._outbox = b""
        self._hello = b""  # kept until the proxy has opened the way
        self._tls = tls
        self._engine = engine
        self._socket = socket.socket(address[0], socket.SOCK_STREAM)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        """The end. A finished call may wait in a queue of deadlines behind one that hangs; its buffers must not."""
        self.stage = OVER
        self._socket.close()
        self._let_go_of_tls()

    def dial(self) -> None:
        """Connect. The hello is made meanwhile; a proxy is asked for the way first."""
        code = self._socket.connect_ex(self._address[1])
        if code not in _IN_PROGRESS:
            self._fail(code)
            return
        try:
            self._tls.do_handshake()
        except WANTS_MORE:
            self._outbox = self._tls.bio_read(_CHUNK)
        if self._endpoint.proxy:
            self._hello, self._outbox = self._outbox, tunnel.request(self._endpoint, self._endpoint.proxy)

    def ready(self) -> None:
        if self.wants_write:
            if self.stage == DIALLING:
                code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    self._fail(code)
                    return
                self.stage = TUNNELLING if self._endpoint.proxy else SHAKING
            self._flush()
        else:
            self._receive()

    def expire(self, seconds: float) -> None:
        """The deadline of this stage has passed."""
        if self.stage == DIALLING:
            self._end_dialling(TIMEOUT, f"no answer to the connection within {seconds:g} s: a firewall, or the host is down")
        elif self.stage == TUNNELLING:
            self._end_tunnelling(PROXY_FAILED, f"did not open the way within {seconds:g} s")
        elif self.stage == SHAKING:
            self._end(TIMEOUT, f"the port accepts connections, but TLS was not up within {seconds:g} s", before_tls=True)
        elif self.stage == ASKING:  # silence is never a No: a refusal comes at once (halibut-wire 8, row 15)
            self._end(TIMEOUT, f"TLS is up, and the question was not answered within {seconds:g} s; that is no refusal, which comes at once")
        else:
            self.stage = OVER

    # ------------------------------------------------------------------------------------------------ moving bytes

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error.errno or 0)
            return
        if self.stage == LEAVING:
            if not data:
                self.stage = OVER
        elif not data:
            self._ended()
        elif self.stage == ASKING:
            self._tls.bio_write(data)
            self._listen()
        elif self.stage == TUNNELLING:
            self._heed_proxy(data)
        else:
            self._negotiate(data)

    def _negotiate(self, data: bytes) -> None:
        if not self._heard and data[0] not in (_HANDSHAKE, _ALERT):
            self._end(NOT_TLS, f"the port does not speak TLS; it says {_printable(data)}", before_tls=True)
        else:
            self._heard = True
            self._tls.bio_write(data)
            self._shake()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._outbox)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._fail(error.errno or 0)
            return
        self._outbox = self._outbox[sent:]
        self.wants_write = bool(self._outbox)

    def _collect(self) -> int:
        try:
            flight = self._tls.bio_read(_CHUNK)
        except WANTS_MORE:  # nothing to send
            return 0
        self._outbox += flight
        return len(flight)

    # ------------------------------------------------------------------------------------------------ the conversation

    def _heed_proxy(self, data: bytes) -> None:
        self._said += data
        reply = tunnel.reply(self._said)
        if reply is None:
            return
        if reply.status == tunnel.OPEN:
            self._said = b""
            self.stage = SHAKING
            self._outbox = self._hello
            self._flush()
            if reply.rest and self.stage == SHAKING:
                self._negotiate(reply.rest)
        elif reply.status == tunnel.WANTS_PASSWORD:
            given = self._endpoint.proxy is not None and self._endpoint.proxy.password is not None
            why = "does not accept the user and the password that were given" if given else "wants a user and a password, and none were given"
            self._end_tunnelling(PROXY_DENIED, f"{why} (407)")
        else:
            said = (
                f"says {reply.status} {_printable(reply.said.encode('latin-1'))}"
                if reply.status
                else f"does not speak HTTP; it says {_printable(self._said)}"
            )
            self._end_tunnelling(PROXY_FAILED, said)

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except WANTS_MORE:
            self._flight = max(self._flight, self._collect())
            if self._outbox:
                self._flush()
            return
        except FAILED as error:
            self._tls_failed(error)
            return
        self._flight = max(self._flight, self._collect())
        certificate = self._engine.peer_certificate(self._tls)
        self._seen = Answer("", certificate=certificate, thumbprint=_thumbprint.of_der(certificate), tls=self._tls.get_protocol_version_name())
        if not self._caller.asks:
            self._decide(IDENTITY)
            self._leave()
        elif not self._certificate_went_out():
            self._decide(NOT_ASKED, "the port asked for no client certificate, so nobody is judged by one: not a Tentacle, or a proxy in between")
            self._leave()
        else:
            self.stage = ASKING
            self._tls.send(QUESTION)
            self._collect()
            self._flush()

    def _certificate_went_out(self) -> bool:
        """Our certificate and its signature fill a flight; without a CertificateRequest ours is an exchanged key and a Finished."""
        identity = self._caller.identity
        return identity is None or self._flight > len(identity.certificate) + _SIGNATURE_OF_2048_BITS

    def _listen(self) -> None:
        try:
            self._said += self._tls.recv(_CHUNK)
        except WANTS_MORE:  # tickets, or half an answer
            return
        except CLOSED_POLITELY:
            self._end(UNEXPECTED, "the TLS session was closed politely without a word, which a Tentacle never does: a proxy?")
            return
        except FAILED as error:
            self._tls_failed(error)
            return
        if self._said == ANSWER:
            self._decide(ACCEPTED)
            self._leave(NULL_MESSAGE)
        elif len(self._said) >= len(ANSWER) or not ANSWER.startswith(self._said):
            self._decide(UNEXPECTED, f"the question was answered with {_printable(self._said)}")
            self._leave()

    def _leave(self, goodbye: bytes = b"") -> None:
        """With these words, or politely without. What still comes is not read, so TLS need not stay in memory until the other side has closed."""
        if goodbye:
            self._tls.send(goodbye)
        else:
            self._tls.shutdown()
        self._collect()
        self._let_go_of_tls()
        self._flush()

    def _let_go_of_tls(self) -> None:
        if hasattr(self, "_tls"):
            del self._tls

    def _ended(self) -> None:
        """The other side ended the connection."""
        if self.stage == TUNNELLING:
            self._end_tunnelling(PROXY_FAILED, f"closed the connection{f' after {_printable(self._said)}' if self._said else ' without a word'}")
        elif self.stage == ASKING:
            self._listen()  # an alert may have come in one piece with the end of the handshake
            if self.answer is None and not self._said:
                self._end(REFUSED)
            elif self.answer is None:
                self._end(UNEXPECTED, f"the answer was cut off after {_printable(self._said)}")
        elif self._heard:
            self._end(TLS_FAILED, "the connection was closed in the middle of the handshake")
        else:
            self._end(CLOSED, _CLOSED_WITHOUT_A_BYTE, before_tls=True)

    # ------------------------------------------------------------------------------------------------ verdicts

    def _decide(self, verdict: str, detail: str = "", before_tls: bool = False) -> None:
        elapsed_ms = round((self._clock() - self._began) * 1000)
        self.answer = self._seen._replace(verdict=verdict, detail=detail, elapsed_ms=elapsed_ms, before_tls=before_tls)
        self.stage = LEAVING

    def _end(self, verdict: str, detail: str = "", before_tls: bool = False) -> None:
        self._decide(verdict, detail, before_tls)
        self.stage = OVER

    def _fail(self, code: int) -> None:
        if self.stage == LEAVING:
            self.stage = OVER
            return
        verdict = _VERDICT_OF.get(code, UNEXPECTED)
        detail = {
            CONNECTION_REFUSED: "nothing listens there: a stopped service, a polling Tentacle, or another port",
            RESET: "the connection was reset, which is no verdict",
        }.get(verdict, os.strerror(code))
        if self.stage == DIALLING:
            self._end_dialling(verdict, detail)
        elif self.stage == TUNNELLING:
            self._end_tunnelling(PROXY_FAILED, f"broke the connection: {os.strerror(code)}")
        else:
            self._end(verdict, detail)

    def _end_dialling(self, verdict: str, detail: str) -> None:
        if self._endpoint.proxy:
            self._end_tunnelling(PROXY_FAILED, f"cannot be reached: {detail}")
        else:
            self._end(verdict, detail, before_tls=True)

    def _end_tunnelling(self, verdict: str, why: str) -> None:
        self._end(verdict, f"{via(self._endpoint)} {why}", before_tls=True)

    def _tls_failed(self, error: Exception) -> None:
        told = self._engine.reasons(error)
        hint = "; no common version, or the listener's own key is below 2048 bits" if "protocol version" in told else ""
        self._collect()
        if self._outbox:
            self._flush()
        if self.stage != OVER:
            self._end(TLS_FAILED, f"TLS failed: {told}{hint}")


def via(endpoint: Endpoint) -> str:
    return f"the proxy {endpoint.hop.address} on the way to {endpoint.address}"


def _printable(data: bytes) -> str:
    return ascii(data[:60].decode("latin-1"))
