# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The JSON Schema of the report: what the collection writes satisfies it, and what differs does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._audit import accept, compare
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.audit import audit
from ansible_collections.octofleet.octopus.plugins.module_utils._audit.codes import CODES
from jsonschema import Draft202012Validator
from unit.audit import estates, samples
from unit.audit.test_judge import CASES

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/schema/audit-1.schema.json").read_text(encoding="utf-8"))


def complaints(document: Any) -> list[str]:
    clean = json.loads(json.dumps(document))
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(clean)]


def objects(node: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, value in node.items():
            yield from objects(value, f"{path}.{key}")
    elif isinstance(node, list):
        for place, value in enumerate(node):
            yield from objects(value, f"{path}[{place}]")


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_no_object_is_open() -> None:
    found = dict(objects(SCHEMA))
    assert len(found) > 10
    assert [path for path, node in found.items() if "additionalProperties" not in node or node["additionalProperties"] is True] == []


def test_version_is_the_one_that_is_compared() -> None:
    assert SCHEMA["properties"]["version"]["const"] == compare.VERSION
    assert SCHEMA["properties"]["schema"]["const"] == compare.SCHEMA


@pytest.mark.parametrize("asked", [samples.SOURCES, ("wire",), ("database",), ()], ids=["all", "wire", "database", "none"])
def test_documents_satisfy_it(asked: tuple[str, ...]) -> None:
    assert complaints(samples.document(50, asked=asked)) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_audits_satisfy_it(case: Any) -> None:
    """With each finding that there is, from all sources and from each alone."""
    world = estates.world()
    case.spoil(world)
    for asked in (samples.SOURCES, *((source,) for source in samples.SOURCES)):
        assert complaints(audit(world.facts(asked))) == []


def test_marked_audit_satisfies_it_and_its_numbers_are_those_of_its_findings() -> None:
    world = estates.world().instance("web-1", readable_by_others=True).instance("web-2", key_copies=7)
    document = audit(world.facts())
    entries = [
        {"code": "KEY_EXPOSED", "subject": "*", "reason": "r", "until": "2026-11-22"},
        {"code": "KEY_COPIES", "subject": "*", "reason": "r", "until": "2026-11-21"},
        {"code": "WEAK_CERT", "subject": "*", "reason": "r", "until": "2027-01-31"},
    ]
    unused = accept.mark(document, accept.parse(entries, "f", CODES))
    assert complaints(document) == []
    assert [one["code"] for one in unused] == ["WEAK_CERT"]
    assert {one["code"]: bool(one["accepted"]) for one in document["findings"]} == {
        "ACCEPTANCE_EXPIRED": False,
        "KEY_EXPOSED": True,
        "KEY_COPIES": False,
    }
    assert (document["counts"]["warning"], document["counts"]["info"], document["counts"]["accepted"]) == (1, 1, 1)
    assert document["codes"]["KEY_EXPOSED"]["accepted"] == 1
    assert document["codes"]["ACCEPTANCE_EXPIRED"]["found"] == 1


def test_comparison_satisfies_it() -> None:
    earlier = samples.document(50, since=False)
    document = {**earlier, "findings": earlier["findings"][3:]}
    document["sources"] = {**earlier["sources"], "wire": {**earlier["sources"]["wire"], "read": 0}}
    compared = compare.compare(document, earlier, {})
    assert compared["changes"]["gone"] or compared["changes"]["not_judged"]
    assert complaints(compared) == []


def test_expired_acceptance_satisfies_it() -> None:
    document = samples.document(50)
    entry = {"code": "WEAK_CERT", "subject": "*", "reason": "r", "until": "2020-01-01"}
    outcome = accept.apply(document["findings"], accept.parse([entry], "f", CODES), date(2026, 11, 22))
    assert outcome.findings[-1]["code"] == "ACCEPTANCE_EXPIRED"
    assert complaints({**document, "findings": list(outcome.findings)}) == []


def _lower(document: dict[str, Any]) -> None:
    document["tentacles"][0]["presented"] = "ab" * 20


def _colour(document: dict[str, Any]) -> None:
    next(iter(document["tentacles"][0]["cells"].values()))["state"] = "fine"


def _more(document: dict[str, Any]) -> None:
    document["findings"][0]["url"] = "https://example.com"


def _less(document: dict[str, Any]) -> None:
    del document["counts"]["not_judged"]


def _version(document: dict[str, Any]) -> None:
    document["version"] = 2


def _source(document: dict[str, Any]) -> None:
    del document["sources"]["process"]


@pytest.mark.parametrize("spoil", [_lower, _colour, _more, _less, _version, _source])
def test_what_differs_does_not(spoil: Callable[[dict[str, Any]], None]) -> None:
    document = samples.document(10)
    spoil(document)
    assert complaints(document)
