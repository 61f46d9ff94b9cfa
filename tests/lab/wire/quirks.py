# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The odd things that the contracts measured on the wire, each with a switch, and the faults that no real program has."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

# Level (TRACE, DEBUG, INFO, ERROR), source (listen://[::]:10933/), message (its exception, if any, on the lines below).
Log = Callable[[str, str, str], None]
Quirk = Callable[[str], bool]
Faults = Callable[[], Collection[str]]

QUIRKS = {
    "decision_before_identity": "The listener judges after the preamble, before the identity and before its first byte (halibut-wire.md 0.1.3).",
    "refusal_is_silent": "A refused client sees the end of the stream and not a byte: no alert, no close_notify (measured-wire.md a).",
    "refusal_logged_at_debug": "A refusal is a Debug line, so a default log does not show it (halibut-wire.md 2.4).",
    "resumption_keeps_identity": "A resumed TLS session carries the certificate of the session's first connection (measured-wire.md a).",
    "listener_ignores_case": "A listening Tentacle compares thumbprints ignoring letter case (measured-wire.md c).",
    "null_message_is_goodbye": "A null message after MX-SERVER ends the conversation quietly; END there does not (measured-wire.md b).",
    "mistyped_identity_stays_open": "An identity with an unknown word is not closed: the listener reads on (measured-wire.md a).",
    "weak_key_fails_handshakes": "The owner of an RSA 1024 key listens and answers every handshake with alert protocol_version (measured-wire.md f).",
    "page_ignores_certificates": "Whatever does not begin with MX gets the page, certificate or not (halibut-wire.md 2.5).",
    "careless_endings_are_errors": "A bare TCP connect and other rude endings leave an Error with a stack trace (measured-wire.md b).",
    "polling_pin_case_sensitive": "A poller compares the Server's thumbprint exactly, so a pin in lower case never matches (measured-wire.md c).",
    "mismatch_leaves_socket_open": "A polling Tentacle that refuses a Server leaves the connection open; the Server times out (measured-wire.md d).",
    "polling_back_off": "A refused polling loop waits longer each time, up to two minutes (measured-wire.md d).",
    "five_tries_before_tls": "Failures before TLS is up get five tries a second apart inside a round (measured-wire.md g).",
    "snapshot_at_start": "Trust is read once, at start: later edits have no effect before a restart (measured-tentacle.md 7).",
    "style_none_is_rewritten": "At start the agent gives an entry without a style the listening one, in the file (tentacle-cli.md 5.1).",
    "sigterm_exit_code_varies": "SIGTERM ends the agent with exit code 143 or 0, at random (measured-tentacle.md 10).",
}

FAULTS = {
    "accepts_anybody": "Every client is taken for trusted.",
    "asks_no_certificate": "TLS without a CertificateRequest: nobody presents a certificate.",
    "hangs_after_preamble": "After the preamble nothing more is said and nothing is closed.",
    "refuses_by_reset": "A refusal is a reset instead of an end of stream.",
    "serves_weak_key": "An RSA key of 1024 bits is served, as on a machine whose OpenSSL was told to take anything (SECLEVEL=0).",
    "refuses_in_tls": "TLS itself rejects client certificates with an alert, as a proxy in between would.",
}


def switched_off() -> frozenset[str]:
    """The quirks that OCTOLAB_QUIRKS_OFF names, separated by commas: `make proof` leaves out one at a time, whoever makes the stand-in."""
    return frozenset(filter(None, os.environ.get("OCTOLAB_QUIRKS_OFF", "").split(",")))


def every_quirk(name: str) -> bool:
    """The faithful stand-in: nothing is switched off, but for what the environment says."""
    return name not in switched_off()


def no_faults() -> Collection[str]:
    """The sound stand-in."""
    return ()


def no_log(_level: str, _source: str, _message: str) -> None:
    """For callers that do not read the log."""
