# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The friendly page (contracts/halibut-wire.md 2.5, golden/wire-probe.txt: 1216 bytes from a Tentacle, Content-Length 842)."""

from __future__ import annotations

from dataclasses import dataclass

_TENTACLE_LENGTH = 842
_TENTACLE_BODY = """
<!doctype html>
<html>
<head>
<title>Octopus Tentacle</title>
</head>
<body>
<h1>Octopus Tentacle configured successfully</h1>
<p>A stand-in from the lab of octofleet.octopus answered here. It is shown to whoever does not begin with MX.</p>
"""
_TENTACLE_TAIL = "</body>\n</html>"


@dataclass(frozen=True)
class Page:
    """A body and the headers that go before it."""

    body: str
    headers: tuple[tuple[str, str], ...] = ()

    def writes(self) -> list[bytes]:
        """The page as the listener sends it: many small writes, and one more line end than Content-Length says."""
        head = (("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(self.body))), *self.headers)
        lines = ["HTTP/1.0 200 OK\r\n", *(f"{name}: {value}\r\n" for name, value in head), "\r\n", self.body, "\r\n\r\n"]
        return [line.encode() for line in lines]


def _padded() -> str:
    """Our own words, brought to the length that was measured: probes may look at it."""
    room = _TENTACLE_LENGTH - len(_TENTACLE_BODY) - len(_TENTACLE_TAIL) - len("<!---->\n")
    return f"{_TENTACLE_BODY}<!--{'.' * room}-->\n{_TENTACLE_TAIL}"


BARE = Page("<html><body><p>Hello!</p></body></html>")
TENTACLE = Page(
    _padded(),
    (
        ("Content-Security-Policy", "default-src 'none'; style-src 'sha256-Og27Evh417GekW0LSWwdTR+KDPHniSjRY3CDgH5olCw='; img-src 'self'"),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("X-XSS-Protection", "1; mode=block"),
        ("Strict-Transport-Security", "max-age=31536000"),
    ),
)
