# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""One HTTP exchange: what goes out, what comes back, and in which of a few ways nothing came back at all."""

from __future__ import annotations

import socket
import ssl
from email.message import Message
from http.client import HTTPException
from typing import Callable, Mapping, NamedTuple, Optional
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import SSLValidationError, open_url


class Request(NamedTuple):
    method: str
    url: str
    headers: Mapping[str, str]  # holds the API key: never shown, never logged
    body: Optional[bytes]


class Response(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class NoAnswer(Exception):
    """No HTTP answer came. ``passing`` tells whether a Server that is starting gives this too; ``reached`` whether the request may have arrived."""

    def __init__(self, reason: str, passing: bool, reached: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing
        self.reached = reached


Transport = Callable[[Request], Response]


class Https:
    """The real transport, on ansible-core's ``open_url`` (proxies, authorities and old Pythons are its business)."""

    def __init__(self, validate_certs: bool = True, ca_path: Optional[str] = None, timeout: float = 30.0) -> None:
        self._validate_certs = validate_certs
        self._ca_path = ca_path
        self._timeout = timeout

    def __call__(self, request: Request) -> Response:
        try:
            with self._reply(request) as reply:
                return Response(reply.getcode(), _lower(reply.headers), reply.read())
        except (URLError, SSLValidationError, HTTPException, OSError) as error:
            raise no_answer(error) from None

    def _reply(self, request: Request):  # type: ignore[no-untyped-def]
        """Of any status: an error's body can break off like any other."""
        try:
            return self._open(request)
        except HTTPError as error:
            return error

    def _open(self, request: Request):  # type: ignore[no-untyped-def]  # open_url has no types
        return open_url(
            request.url,
            data=request.body,
            headers=dict(request.headers),
            method=request.method,
            timeout=self._timeout,
            validate_certs=self._validate_certs,
            ca_path=self._ca_path,
            http_agent="octofleet.octopus",
            # urllib would carry the API key along to wherever a redirect points.
            follow_redirects="none",
            # A ~/.netrc entry would add another user's password to the API key.
            use_netrc=False,
        )


def no_answer(error: Exception) -> NoAnswer:
    """Sort an exception of the socket, TLS or HTTP layer; its text is shown, and holds addresses and errno texts only."""
    cause = getattr(error, "reason", error)
    if isinstance(cause, (ssl.SSLCertVerificationError, SSLValidationError)):
        return NoAnswer(f"its HTTPS certificate is not accepted ({_text(cause)})", passing=False, reached=False)
    if isinstance(cause, ConnectionRefusedError):
        return NoAnswer("the connection is refused", passing=True, reached=False)
    if isinstance(cause, socket.gaierror):
        return NoAnswer(f"the name cannot be resolved ({_text(cause)})", passing=False, reached=False)
    if isinstance(cause, (socket.timeout, TimeoutError)):
        return NoAnswer("no answer came in time", passing=True, reached=True)
    if isinstance(cause, (ConnectionError, HTTPException)):
        return NoAnswer(f"the connection broke ({_text(cause)})", passing=True, reached=True)
    if isinstance(cause, ssl.SSLError):
        return NoAnswer(f"TLS failed ({_text(cause)})", passing=False, reached=False)
    return NoAnswer(_text(cause), passing=False, reached=False)


def _text(error: object) -> str:
    return str(error) or type(error).__name__


def _lower(headers: Optional[Message]) -> Mapping[str, str]:
    return {name.lower(): str(value) for name, value in headers.items()} if headers else {}
