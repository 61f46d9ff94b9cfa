# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pictures in the docs, taken anew:  PYTHONPATH=tests python -m browser.screenshots docs/images   (with PYTHONPATH also naming .venv/collections)

They are of made-up estates (unit/audit/samples.py). Inter and JetBrains Mono make them look as the page does where those are installed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from browser.conftest import rendered
from browser.devtools import browser
from unit.audit.samples import document

_CELL = 'document.querySelector(\'td[data-row="6"][data-column="5"]\').click();'
_DOWN = "window.scrollTo(0, document.querySelector('.bar').offsetTop);"
SHOTS = (
    ("audit-findings", 300, "", "light", ""),
    ("audit-matrix", 5000, "#view=matrix", "light", _DOWN),
    ("audit-details", 300, "#view=matrix", "dark", _DOWN + _CELL),
)


def take(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, browser() as one:
        one.size(1440, 900)
        for name, tentacles, hash_, scheme, script in SHOTS:
            path = Path(scratch) / f"{name}.html"
            path.write_text(rendered(document(tentacles, findings=tentacles * 6 // 10)), encoding="utf-8")
            one.prefer(scheme)
            one.open(path.as_uri() + hash_)
            one.run(script + "return new Promise((done) => setTimeout(done, 300))")
            (folder / f"{name}.webp").write_bytes(one.screenshot("webp"))


if __name__ == "__main__":
    take(Path(sys.argv[1]))
