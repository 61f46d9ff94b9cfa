# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages about the audit's findings, made from the table that the audit judges by: ``python tests/tools/finding_pages.py`` writes them anew."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RST = ROOT / "docs/docsite/rst"
TABLE = ROOT / "plugins/module_utils/_audit/codes.py"
HEAD = """..
  SPDX-FileCopyrightText: 2026 the octofleet.octopus authors
  SPDX-License-Identifier: GPL-3.0-or-later
  Made by tests/tools/finding_pages.py from plugins/module_utils/_audit/codes.py.

.. _ansible_collections.octofleet.octopus.docsite.{label}:

"""
SEVERITIES = {
    "critical": "somebody is cut off now or at the next restart, or anyone is let in",
    "warning": "drift, weak or fragile",
    "info": "to know, not to repair",
}


def table() -> dict[str, Any]:
    """The codes, without the collection being installed: the table imports nothing of it."""
    spec = importlib.util.spec_from_file_location("octofleet_codes", TABLE)
    if spec is None or spec.loader is None:
        raise LookupError(f"{TABLE} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.CODES)


def pages() -> dict[Path, str]:
    """Every page by its path."""
    codes = table()
    return {RST / "codes.rst": _index(codes), **{RST / "codes" / f"{name}.rst": _page(code) for name, code in codes.items()}}


def _page(code: Any) -> str:
    head = HEAD.format(label=f"codes.{code.name}")
    needs = f"{_prose(code.needs)}. Where a source was not read, this finding is *not judged*, and the audit says so."
    if code.needs == "none":
        needs = "the file of acceptances, and what was found."
    remedy = _prose(re.sub(r"\{(\w+)\}", r"<\1>", code.remedy.replace("{twin}", "")))
    return f"""{head}{code.name}
{"=" * len(code.name)}

{_prose(code.title)}.

{_prose(code.meaning)}

:Severity: {code.severity} ({SEVERITIES[code.severity]})
:Judged from: {needs}
:What to do: {remedy}

To live with it for a time, :ref:`accept it <ansible_collections.octofleet.octopus.docsite.guide_audit.accept>` with a reason and a day. All codes:
:ref:`ansible_collections.octofleet.octopus.docsite.codes`.
"""


def _index(codes: dict[str, Any]) -> str:
    title = "Findings of an audit"
    rows = "".join(
        f"   * - :ref:`ansible_collections.octofleet.octopus.docsite.codes.{code.name}`\n     - {code.severity}\n     - {_prose(code.title)}\n"
        for code in codes.values()
    )
    listed = "".join(f"   codes/{name}\n" for name in codes)
    return f"""{HEAD.format(label="codes")}{title}
{"=" * len(title)}

Codes are an interface: they never change meaning. What each source tells is in :ref:`ansible_collections.octofleet.octopus.docsite.guide_audit`.

.. list-table::
   :header-rows: 1

   * - code
     - severity
     - seen
{rows}
.. toctree::
   :hidden:

{listed}"""


def _prose(text: str) -> str:
    """Commands in backticks are code; other signs that mean something to reStructuredText stand for themselves."""
    parts = text.split("`")
    return "".join(f"``{part}``" if place % 2 else re.sub(r"([\\*|])", r"\\\1", part) for place, part in enumerate(parts))


def main() -> None:
    made = pages()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for stale in set((RST / "codes").glob("*.rst")) - made.keys():
        stale.unlink()


if __name__ == "__main__":
    main()
