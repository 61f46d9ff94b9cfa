# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import page
from browser import devtools

HERE = Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "_audit"
Show = Callable[..., devtools.Browser]


def rendered(document: Mapping[str, Any]) -> str:
    return page.render(document, page.load_parts(lambda name: (HERE / name).read_bytes()))


@pytest.fixture(scope="session")
def chromium() -> Iterator[devtools.Browser]:
    lacking = devtools.missing()
    if lacking:
        pytest.skip(lacking)
    with devtools.browser() as one:
        one.size(1440, 900)
        # The clipboard of a page from a file is asked for its contents below; a person grants that with a click.
        one.grant("clipboardReadWrite", "clipboardSanitizedWrite")
        yield one


@pytest.fixture
def show(chromium: devtools.Browser, tmp_path: Path) -> Show:
    """Opens the page of a document as a person does, from a file."""

    def open_page(document: Mapping[str, Any], hash_: str = "", scheme: str = "light") -> devtools.Browser:
        path = tmp_path / "audit of 100% #1.html"
        path.write_text(rendered(document), encoding="utf-8")
        chromium.prefer(scheme)
        chromium.size(1440, 900)
        chromium.open("about:blank")
        chromium.open(path.as_uri() + hash_)
        return chromium

    return open_page
