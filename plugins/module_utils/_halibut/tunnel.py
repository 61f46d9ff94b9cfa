# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The way through an HTTP proxy, asked for as the Server asks: Halibut's CONNECT, to the byte (H:Transport/Proxy/HttpProxyClient.cs)."""

from __future__ import annotations

import base64
import re
from typing import NamedTuple, Optional

from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import Endpoint, Proxy

OPEN, WANTS_PASSWORD = 200, 407

_END = b"\r\n\r\n"
_STATUS = re.compile(rb"\AHTTP/\d\.\d (\d{3})(?: ([^\r\n]*))?\r\n")
_LONGEST = 65536  # a proxy that has not come to the end of its headers by then never will


class Reply(NamedTuple):
    status: int  # 0: not HTTP
    said: str
    rest: bytes  # what came after the headers: the endpoint's own first bytes, if the way is open


def request(endpoint: Endpoint, proxy: Proxy) -> bytes:
    """CONNECT by name, which the proxy resolves. What is beyond ASCII becomes a question mark, as in the Server's."""
    text = f"CONNECT {endpoint.address} HTTP/1.0\r\nHost: {endpoint.address}\r\n"
    if proxy.username and proxy.password is not None:
        pair = f"{proxy.username}:{proxy.password.reveal()}"
        text += f"Proxy-Authorization: Basic {base64.b64encode(_ascii(pair)).decode('ascii')}\r\n"
    return _ascii(f"{text}\r\n")


def reply(received: bytes) -> Optional[Reply]:
    """What the proxy said; None: not all of it is there yet."""
    headers, end, rest = received.partition(_END)
    if not end and received[:5] == b"HTTP/"[: len(received)] and len(received) < _LONGEST:
        return None
    match = _STATUS.match(headers + b"\r\n") if end else None
    return Reply(int(match.group(1)), (match.group(2) or b"").decode("latin-1"), rest) if match else Reply(0, "", received)


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")
