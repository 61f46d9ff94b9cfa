# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection to the listener, byte by byte (contracts/halibut-wire.md 2, measured-wire.md a and b)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from lab.wire import failures
from lab.wire.bson import Document
from lab.wire.failures import Failure
from lab.wire.limits import Limits
from lab.wire.messages import NULL_MESSAGE, pack
from lab.wire.page import Page
from lab.wire.queue import Pending, RequestQueues
from lab.wire.quirks import Faults, Quirk
from lab.wire.stream import TlsStream, thumbprint_of_peer

_LONGEST_PREAMBLE = 20_000


@dataclass(frozen=True)
class Rules:
    """What the connections of one listener have in common."""

    trusted: Callable[[], Collection[str]]
    page: Page
    serve_rpc: Callable[[Document], Document]
    queues: RequestQueues
    on_subscriber: Callable[[str, str], None] | None
    limits: Limits
    quirk: Quirk
    faults: Faults


class Exchange:
    """The listener's side of one connection; `run` ends with the connection closed, whatever happens."""

    def __init__(self, stream: TlsStream, remote: str, rules: Rules, log: Callable[[str, str], None]) -> None:
        self._stream, self._remote, self._rules, self._log = stream, remote, rules, log
        self.thumbprint: str | None = None
        self._revoked = False
        self._abandoned = False

    def run(self) -> None:
        """The whole life of the connection, from `Accepted TCP client` to its end."""
        self._log("INFO", f"Accepted TCP client: {self._remote}")
        try:
            self._converse()
        except Failure as failure:
            self._report(failure)
        finally:
            if self._revoked:
                self._stream.reset()
            else:
                self._stream.finish()

    def abandon(self) -> None:
        """The listener stops: the connection ends and nothing is logged."""
        self._abandoned = True
        self._stream.interrupt()

    def revoke(self) -> None:
        """Its trust was removed while it lived (measured-wire.md e)."""
        self._revoked = True
        self._stream.interrupt()

    def _converse(self) -> None:
        self._log("TRACE", "Performing TLS server handshake")
        self._stream.accept()
        name = self._stream.protocol()
        self._log("TRACE", f"Secure connection established, client is not yet authenticated, client connected with {name}")
        preamble = self._read_preamble()
        if not preamble:
            return self._log("TRACE", "Ignoring empty request")
        if len(preamble) == 1:
            raise Failure(failures.ONE_CHARACTER)
        if not preamble.startswith("MX"):
            return self._send_page()
        self._log("TRACE", "Begin authorization")
        if "hangs_after_preamble" in self._rules.faults():
            self._stream.drain()
            return None
        early = None if self._rules.quirk("decision_before_identity") else self._identify()
        if self._authorized():
            self._exchange_messages(early)
        return None

    def _read_preamble(self) -> str:
        """Up to two LF in a row or the end of the stream; CR does not count (halibut-wire.md 2.2)."""
        preamble = bytearray()
        while len(preamble) < _LONGEST_PREAMBLE:
            data = self._stream.receive()
            if not data:
                break
            for index, byte in enumerate(data):
                if byte != 0x0D:
                    preamble.append(byte)
                if preamble.endswith(b"\n\n"):
                    self._stream.unread(data[index + 1 :])
                    return preamble.decode(errors="replace")
        return preamble.decode(errors="replace")

    def _send_page(self) -> None:
        if not self._rules.quirk("page_ignores_certificates") and not self._authorized():
            return
        self._log("TRACE", "Appears to be a web browser, sending friendly HTML response")
        for each in self._rules.page.writes():
            self._stream.send(each)

    def _authorized(self) -> bool:
        thumbprint = thumbprint_of_peer(self._stream)
        began = f"A client at {self._remote} connected, and attempted a message exchange, but "
        if self._is_trusted(thumbprint):
            self.thumbprint = thumbprint or "(nobody)"
            self._log("INFO", f"Client at {self._remote} authenticated as {self.thumbprint}")
            return True
        if thumbprint is None:
            self._refuse(f"{began}did not present a client certificate")
        else:
            self._refuse(
                f"{began}it presented a client certificate with the thumbprint '{thumbprint}' which is not in the list of thumbprints that we trust"
            )
        return False

    def _is_trusted(self, thumbprint: str | None) -> bool:
        if "accepts_anybody" in self._rules.faults():
            return True
        trusted = self._rules.trusted()
        if self._rules.quirk("listener_ignores_case"):
            return thumbprint is not None and thumbprint.lower() in {each.lower() for each in trusted}
        return thumbprint in trusted

    def _refuse(self, message: str) -> None:
        self._log("DEBUG" if self._rules.quirk("refusal_logged_at_debug") else "INFO", message)
        if "refuses_by_reset" in self._rules.faults():
            self._stream.reset()
        elif not self._rules.quirk("refusal_is_silent"):
            self._stream.say_goodbye()

    def _exchange_messages(self, identity: list[str] | None) -> None:
        self._log("TRACE", "Begin message exchange")
        words = identity or self._identify()
        try:
            self._stream.send(b"MX-SERVER 1.0\r\n\r\n")
        except Failure as failure:
            kind = "Client" if words[0] == "MX-CLIENT" else "Subscriber"
            self._fail(f"Failed to identify as server to the previously identified remote  of type {kind}", failure)
            raise
        if words[0] == "MX-SUBSCRIBER":
            return self._serve_subscriber(words[2])
        if words[0] == "MX-SERVER":
            unexpected = Failure(failures.protocol("Unexpected remote identity: Server"))
            self._fail("Remote with identify  identified itself with an unknown identity type Server", unexpected)
            raise unexpected
        return self._serve_client()

    def _identify(self) -> list[str]:
        try:
            return self._read_identity()
        except Failure as failure:
            # A read that is cut here is a cancelled one, unlike everywhere else (measured-wire.md a, stalls).
            found = Failure(failures.CANCELLED) if failure.cause is failures.TIMED_OUT else failure
            self._fail("Remote failed to identify itself.", found)
            raise found from failure

    def _read_identity(self) -> list[str]:
        line = self._stream.read_line()
        if not line:
            raise Failure(failures.protocol("Unable to receive the remote identity; the identity line was empty."))
        if self._stream.read_line():
            raise Failure(failures.protocol("Unable to receive the remote identity; the following line was not empty."))
        words = line.split()
        if words[:1] in (["MX-CLIENT"], ["MX-SERVER"]) or (words[:1] == ["MX-SUBSCRIBER"] and len(words) > 2):
            return words
        if self._rules.quirk("mistyped_identity_stays_open"):
            self._read_on(line)
        if words[:1] == ["MX-SUBSCRIBER"]:
            text = "the client identified as a subscriber, but did not supply a subscription ID."
            raise Failure(failures.protocol(f"Unable to receive the remote identity; {text}"))
        raise Failure(failures.protocol(f"Unable to process remote identity; unknown identity type: '{words[0] if words else line}'"))

    def _read_on(self, line: str) -> None:
        """Three of the five Errors of a mistyped identity; the reading is what keeps it open."""
        self._log("ERROR", "Response:")
        self._log("ERROR", line)
        rest = bytearray()
        while data := self._stream.receive():
            rest += data
        self._log("ERROR", rest.decode(errors="replace"))

    def _serve_client(self) -> None:
        self._stream.timeout = self._rules.limits.next_request
        while True:
            request = self._stream.read_message()
            self._log("TRACE", "Received Message")
            if request is None:
                if self._rules.quirk("null_message_is_goodbye"):
                    return
                raise Failure(failures.NULL_ENVELOPE)
            self._stream.send(pack(self._rules.serve_rpc(request)))
            if not self._next_follows():
                return
            self._stream.timeout = self._rules.limits.next_request

    def _serve_subscriber(self, subscription: str) -> None:
        if self._rules.on_subscriber is not None:
            self._rules.on_subscriber(subscription, self.thumbprint or "")
        while not self._ended():
            pending = self._rules.queues.take(subscription, self._rules.limits.queue_wait, self._ended)
            if pending is None:
                try:
                    self._stream.send(NULL_MESSAGE)
                except Failure:
                    # A subscriber that was reset leaves no line (measured-wire.md i).
                    return
            else:
                self._pass_on(pending)
            if not self._next_follows():
                return

    def _pass_on(self, pending: Pending) -> None:
        self._stream.timeout = self._rules.limits.response
        try:
            self._stream.send(pack(pending.request))
            pending.complete(self._stream.read_message())
        except Failure as failure:
            pending.fail(f"Unable to read data from the transport connection: {failure.cause.text}")
            raise

    def _next_follows(self) -> bool:
        self._stream.timeout = self._rules.limits.control
        line = ""
        while not line:
            line = self._stream.read_line()
        if line == "END":
            return False
        if line != "NEXT":
            raise Failure(failures.protocol(f"Expected NEXT or END, got: {line}"))
        self._stream.send(b"PROCEED\r\n")
        return True

    def _ended(self) -> bool:
        return self._revoked or self._abandoned

    def _report(self, failure: Failure) -> None:
        if self._abandoned:
            return None
        if self._revoked:
            self._fail(f"Socket IO exception: {self._remote}", Failure(failures.ABORTED))
            leak = "This may result in a memory leak. Object reference not set to an instance of an object."
            return self._fail(f"Failed to close TcpClient for {self._remote}. {leak}", None)
        if failure.cause.kind == failures.AUTHENTICATION:
            return self._log("DEBUG", f"Client failed authentication: {self._remote}\n{failure.trace()}")
        words = "Socket IO exception" if failure.cause.socket else "Unhandled error when handling request from client"
        return self._fail(f"{words}: {self._remote}", failure)

    def _fail(self, message: str, failure: Failure | None) -> None:
        if self._rules.quirk("careless_endings_are_errors"):
            self._log("ERROR", message if failure is None else f"{message}\n{failure.trace()}")
