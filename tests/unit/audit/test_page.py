# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page as a text: packed without loss, small, and with nothing in it that could break out. tests/browser/ opens it."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import pkgutil
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import page
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES
from unit.audit.samples import document

PACKAGE = "ansible_collections.octofleet.octopus.plugins.module_utils._audit"
HOSTILE = '</script><img src=x onerror="window.broken=1">\u2028<!--\'@@script@@&amp;'


def parts() -> dict[str, str]:
    return page.load_parts(lambda name: pkgutil.get_data(PACKAGE, name) or b"")


def unpacked(packed: dict[str, Any]) -> Any:
    """What page.js does with it, said once more."""
    built: list[Any] = []
    for value in packed["values"]:
        if not isinstance(value, list):
            built.append(value)
        elif value[0] == 0:
            built.append([built[place] for place in value[1:]])
        else:
            built.append({key: built[place] for key, place in zip(packed["shapes"][value[0] - 1], value[1:], strict=True)})
    return built[-1]


class _Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = f"{tag} {dict(attrs).get('type', '')}".strip()

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        self.texts[self._in] = self.texts.get(self._in, "") + data


@pytest.mark.parametrize(
    "value", [{"a": [1, True, "1", None, 1.5, [], {}], "b": {"a": [1, True], "x": ""}}, [], "text", 0], ids=["nested", "list", "text", "zero"]
)
def test_what_is_packed_comes_out_as_it_was(value: Any) -> None:
    out = unpacked(json.loads(json.dumps(page.pack(value))))
    assert json.dumps(out) == json.dumps(value)


def test_an_audit_comes_out_as_it_was_in_a_third_of_its_size() -> None:
    audit = document(500)
    plain = json.dumps(audit, separators=(",", ":"))
    packed = page.as_script_data(page.pack(audit))
    assert json.dumps(unpacked(json.loads(packed)), separators=(",", ":")) == plain
    assert len(packed) < len(plain) / 3


def test_the_same_audit_gives_the_same_page_and_is_not_changed() -> None:
    audit = document(12)
    before = copy.deepcopy(audit)
    assert page.render(audit, parts()) == page.render(copy.deepcopy(audit), parts())
    assert audit == before


def test_5000_tentacles_are_less_than_8_mb() -> None:
    text = page.render(document(5000, findings=3000), parts())
    assert len(text.encode()) < 8_000_000


def test_the_policy_lets_run_what_is_there_and_nothing_else() -> None:
    found = _Elements(page.render(document(5), parts()))
    policy = next(attributes["content"] or "" for tag, attributes in found.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert (rules["require-trusted-types-for"], rules["trusted-types"]) == ("'script'", "'none'")
    for rule, element in (("script-src", "script"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(found.texts[element].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe" not in policy
    assert "http:" not in policy


def test_nothing_is_fetched_from_anywhere() -> None:
    found = _Elements(page.render(document(5), parts()))
    addresses = [str(attributes[name]) for tag, attributes in found.tags for name in ("src", "href", "srcset", "action") if name in attributes]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|sendBeacon|import\(", parts()["page.css"] + parts()["page.js"])


def test_a_name_cannot_break_out() -> None:
    audit = document(3)
    audit["server_url"] = HOSTILE
    audit["tentacles"][0]["id"] = HOSTILE
    audit["findings"][0]["seen"] = HOSTILE
    text = page.render(audit, parts())
    found = _Elements(text)
    assert [tag for tag, attributes in found.tags if tag == "img" or "onerror" in attributes] == []
    assert [tag for tag, _attributes in found.tags].count("script") == 2
    assert found.texts["title"] == f"Trust audit of {HOSTILE}"
    assert unpacked(json.loads(found.texts["script application/json"]))["findings"][0]["seen"] == HOSTILE
    assert "\u2028" not in found.texts["script application/json"]


def test_without_scripts_the_numbers_are_told() -> None:
    audit = document(40, asked=("wire",))
    assert page.summary(audit).startswith(f"Tentacles 40, critical {audit['counts']['critical']}, ")
    assert f"not judged {audit['counts']['not_judged']}" in page.render(audit, parts())


def test_findings_link_to_pages_that_are_there() -> None:
    published = page.DOCUMENTATION.split("/blob/main/", 1)[1]
    root = Path(__file__).parents[3]
    assert [code for code in CODES if not (root / published.format(page=f"codes/{code}")).is_file()] == []


def test_ansible_finds_the_module_and_its_parts() -> None:
    """A folder of the module's name would be taken for it (Ansible's collection loader)."""
    folder = page.FOLDER
    assert folder != page.__name__.rsplit(".", 1)[1]
    assert set(parts()) == set(page.PARTS)
    assert all("SPDX-License-Identifier" in text for text in parts().values())
    assert all(text.isascii() for text in parts().values())  # or a report's encoding could change what the policy has the hash of
