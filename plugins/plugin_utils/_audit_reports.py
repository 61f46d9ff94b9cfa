# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The reports of an audit as files on the controller, and its result."""

from __future__ import annotations

import json
import os
import pkgutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._audit import page, tabular
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError

NAMES = {"json": "octopus-audit.json", "csv": "octopus-audit.csv", "junit": "octopus-audit.xml", "html": "octopus-audit.html"}


def write(document: Mapping[str, Any], folder: str | None, formats: Sequence[str], fail_on: str) -> dict[str, str]:
    """The paths by format. A folder that is not there is made for its owner alone, and so is every file: a report tells an intruder where to go."""
    if not folder:
        return {}
    place = Path(folder).expanduser().absolute()
    try:
        if not place.is_dir():
            place.mkdir(mode=0o700, parents=True)
        return {name: _write(place / NAMES[name], _pieces(document, name, fail_on)) for name in NAMES if name in formats}
    except OSError as error:
        raise OctoError(f"The reports cannot be written into {place} on the controller: {error.strerror or error}.") from None


def _pieces(document: Mapping[str, Any], name: str, fail_on: str) -> Iterable[str]:
    if name == "json":
        # As it comes: put together first, 6 MB of text take 40 MB.
        return chain(json.JSONEncoder(indent=1, ensure_ascii=False).iterencode(document), "\n")
    if name == "csv":
        return (tabular.to_csv(document),)
    if name == "junit":
        return (tabular.to_junit(document, fail_on),)
    return (page.render(document, page.load_parts(_part)),)


def _part(path: str) -> bytes:
    return pkgutil.get_data(page.__package__ or "", path) or b""


def _write(path: Path, pieces: Iterable[str]) -> str:
    """Whole or not at all; made with 0600, which mkstemp promises."""
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(pieces)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
    return str(path)


def result(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the task returns of it: all but the matrix, which is in the reports and before `query`."""
    whole = ("counts", "findings", "codes", "sources", "servers", "certificates", "changes")
    codes: dict[str, list[str]] = {}
    for finding in document["findings"]:
        for subject in finding["subjects"] if not finding["accepted"] else ():
            codes.setdefault(subject, []).append(finding["code"])
    rows = [{**_row(row), "findings": sorted(set(codes.get(row["id"], ())))} for row in document["tentacles"]]
    return {**{key: document[key] for key in whole}, "tentacles": rows}


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("id", "host", "instance", "style", "endpoint", "severity", "identity", "presented", "on_disk", "restart_pending")
    not_read = {name: source["reason"] for name, source in row["sources"].items() if source["state"] == "not_read"}
    return {**{key: row[key] for key in kept}, "not_read": not_read}
