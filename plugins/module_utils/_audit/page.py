# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The audit as one HTML page that needs nothing but itself (design/audit.md, Output).

The page is written by hand rather than with a table library: what it needs of one is a window over rows of one height (60 lines), and none of the
well-kept ones brings the rest, a grid that is walked by keyboard, prints whole and runs under Trusted Types, in less than three times its size.

Its parts are in the folder ``html``, not ``page``: Ansible's loader takes a folder for the module of the same name.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from typing import Any, Callable, Dict, List, Mapping, Tuple

FOLDER = "html"
PARTS = ("page.html", "page.css", "page.js")
# Where a finding's `page` is read by people.
DOCUMENTATION = "https://github.com/octofleet/octopus/blob/main/docs/docsite/rst/{page}.rst"

_HOLE = re.compile(r"@@([a-z]+)@@")


def load_parts(read: Callable[[str], bytes]) -> Dict[str, str]:
    """The texts of the page; ``read`` is given their paths below this package, as pkgutil.get_data wants them."""
    return {name: read(f"{FOLDER}/{name}").decode("utf-8").replace("\r\n", "\n") for name in PARTS}


def render(document: Mapping[str, Any], parts: Mapping[str, str]) -> str:
    """The page of an audit's document. Pure; the same document gives the same page."""
    title = f"Trust audit of {document['server_url']}" if document["server_url"] else "Trust audit"
    fill = {
        "policy": html.escape(policy(parts["page.js"], parts["page.css"])),
        "title": html.escape(title),
        "summary": html.escape(summary(document)),
        "documentation": html.escape(DOCUMENTATION),
        "style": parts["page.css"],
        "script": parts["page.js"],
        "data": as_script_data(pack(document)),
    }
    # One pass, so that nothing in the document can be taken for a hole.
    return _HOLE.sub(lambda hole: fill[hole[1]], parts["page.html"])


def policy(script: str, style: str) -> str:
    """What the page may do: run this script, apply this style, and ask nobody for anything.

    Trusted Types take innerHTML and its like away from the script itself: text of the document can only ever become text.
    """
    allowed = f"script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"


def summary(document: Mapping[str, Any]) -> str:
    """For who has switched scripts off."""
    counts = document["counts"]
    order = ("critical", "warning", "info", "accepted", "fine", "not_judged")
    numbers = ", ".join(f"{name.replace('_', ' ')} {counts[name]}" for name in order)
    return f"Tentacles {counts['tentacles']}, {numbers}."


def pack(document: Any) -> Dict[str, Any]:
    """The document with every value once: 5,000 Tentacles share most of what is said of them, so it shrinks to a fifth.

    ``values`` are in an order in which each is built from earlier ones, the document is the last: scalars as they are, ``[0, ...]`` a list of
    places in ``values``, ``[n, ...]`` an object with the keys ``shapes[n - 1]``.
    """
    packer = _Packer()
    packer.place(document)
    return {"shapes": packer.shapes, "values": packer.values}


def as_script_data(value: Any) -> str:
    """JSON that no name in it can end or start an element or a line with."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


class _Packer:
    def __init__(self) -> None:
        self.shapes: List[Tuple[str, ...]] = []
        self.values: List[Any] = []
        self._places: Dict[Tuple[Any, ...], int] = {}
        self._shapes: Dict[Tuple[str, ...], int] = {}

    def place(self, value: Any) -> int:
        """Where the value is; it is put there when it is new."""
        if isinstance(value, Mapping):
            node: Any = (self._shape(tuple(value)), *[self.place(member) for member in value.values()])
            key = node
        elif isinstance(value, (list, tuple)):
            node = (0, *[self.place(member) for member in value])
            key = node
        else:
            node = value
            key = (type(value), value)  # True is not 1
        place = self._places.setdefault(key, len(self.values))
        if place == len(self.values):
            self.values.append(node)
        return place

    def _shape(self, keys: Tuple[str, ...]) -> int:
        place = self._shapes.setdefault(keys, len(self.shapes) + 1)
        if place > len(self.shapes):
            self.shapes.append(keys)
        return place
