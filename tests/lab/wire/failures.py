# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What .NET would throw, with the words it would log (contracts/measured-wire.md b, golden/log-samples.txt)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """An exception of .NET: its type, its text, and whether Halibut finds a SocketException inside (that decides the log line)."""

    kind: str
    text: str
    socket: bool = False

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.kind else self.text


class Failure(Exception):
    """Ends a conversation. `cause` is what goes to the log and, on the client's side, into the sentence for a person."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause

    def trace(self) -> str:
        """The lines below a log line: the exception, then frames (no contract fixes their number)."""
        return f"{self.cause}\n   at Halibut.Transport.Lab.Conversation()\n--- End of stack trace from previous location ---"


END_OF_STREAM = Cause("System.IO.EndOfStreamException", "Attempted to read past the end of the stream.")
HANDSHAKE_EOF = Cause("System.IO.IOException", "Received an unexpected EOF or 0 bytes from the transport stream.")
RESET = Cause("System.Net.Sockets.SocketException (104)", "Connection reset by peer", socket=True)
BROKEN_PIPE = Cause("System.Net.Sockets.SocketException (32)", "Broken pipe", socket=True)
TIMED_OUT = Cause("System.Net.Sockets.SocketException (110)", "Connection timed out", socket=True)
REFUSED = Cause("System.Net.Sockets.SocketException (111)", "Connection refused", socket=True)
ABORTED = Cause("System.Net.Sockets.SocketException (125)", "Operation canceled", socket=True)
CANCELLED = Cause("System.OperationCanceledException", "The ReadAsync operation was cancelled.")
BAD_DEFLATE = Cause("System.IO.InvalidDataException", "The archive entry was compressed using an unsupported compression method.")
NULL_ENVELOPE = Cause("System.Exception", "messageEnvelope is null")
ONE_CHARACTER = Cause("System.ArgumentOutOfRangeException", "Index and length must refer to a location within the string. (Parameter 'length')")
AUTHENTICATION = "System.Security.Authentication.AuthenticationException"
NOT_TLS = Cause(AUTHENTICATION, "Cannot determine the frame size or a corrupted frame was received.")
WEAK_KEY = Cause(AUTHENTICATION, "Using SSL certificate failed with OpenSSL error - ee key too small.")
NO_SHARED_CIPHER = Cause(AUTHENTICATION, "error:0A0000C1:SSL routines::no shared cipher")


def authentication(text: str) -> Cause:
    """A failure of TLS itself."""
    return Cause(AUTHENTICATION, text)


def protocol(text: str) -> Cause:
    """The peer speaks Halibut wrongly."""
    return Cause("Halibut.Transport.Protocol.ProtocolException", text)


def of_os_error(error: OSError) -> Cause:
    """The SocketException that .NET makes of an errno."""
    known = {cause.kind: cause for cause in (RESET, BROKEN_PIPE, TIMED_OUT, REFUSED, ABORTED)}
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    kind = f"System.Net.Sockets.SocketException ({error.errno})"
    return known.get(kind, Cause(kind, error.strerror or str(error), socket=True))
