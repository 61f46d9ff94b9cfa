# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A page for every code, made from the table, as it is now."""

from __future__ import annotations

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES
from tools import finding_pages


def test_table_is_that_of_the_collection() -> None:
    assert {name: tuple(code) for name, code in finding_pages.table().items()} == {name: tuple(code) for name, code in CODES.items()}


@pytest.mark.parametrize("path", list(finding_pages.pages()), ids=lambda path: path.stem)
def test_page_is_up_to_date(path: finding_pages.Path) -> None:
    assert path.read_text(encoding="utf-8") == finding_pages.pages()[path], "run python tests/tools/finding_pages.py"


def test_there_is_no_page_of_a_code_that_is_none() -> None:
    assert {path.stem for path in (finding_pages.RST / "codes").iterdir()} == set(CODES)


def test_no_page_has_a_hole() -> None:
    assert [path.name for path, text in finding_pages.pages().items() if "{" in text or "}" in text] == []
