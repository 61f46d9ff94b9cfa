# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""tests/HAZARDS.md answers every hazard of the contracts, and says of each what is so: the guard, the test, or why there is none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from proof.guards import GUARDS, Guard

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
WHY_NONE = ("Cannot arise", "Not yet met")
_CODE = re.compile(r"`([^`]*)`")


class Row(NamedTuple):
    section: str
    cells: tuple[str, ...]


def rows_of(file: Path) -> Mapping[str, Row]:
    """The rows of the tables in a file, by their ids; the same id twice would be one too few."""
    section, rows = "", {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif re.match(r"\| (H-)?\d", line):
            identity, *cells = (cell.strip() for cell in line.strip("| ").split(" | "))
            assert identity not in rows, identity
            rows[identity] = Row(section, tuple(cells))
    return rows


CONTRACTS, ANSWERS = rows_of(HERE / "contracts.md"), rows_of(ROOT / "tests" / "HAZARDS.md")


def test_no_hazard_is_missing_and_none_is_invented() -> None:
    assert [(identity, row.section) for identity, row in ANSWERS.items()] == [(identity, row.section) for identity, row in CONTRACTS.items()]
    assert len(CONTRACTS) == 42 + 42
    assert {len(row.cells) for row in ANSWERS.values()} == {3}
    assert GUARDS.keys() <= CONTRACTS.keys()


@pytest.mark.parametrize("hazard", CONTRACTS)
def test_a_row_has_its_guards_and_tests_or_says_why_not(hazard: str) -> None:
    named, guards, tests = ANSWERS[hazard].cells
    assert named
    if hazard not in GUARDS:
        assert guards == "none"
        assert tests.startswith(WHY_NONE), tests
        assert tests.endswith(".")
    else:
        assert _CODE.findall(guards) == list(dict.fromkeys(f"{guard.file}::{function_of(guard)}" for guard in GUARDS[hazard]))
        shown = list(dict.fromkeys(guard.test for guard in GUARDS[hazard]))
        assert _CODE.findall(tests)[: len(shown)] == shown


@pytest.mark.parametrize("hazard", CONTRACTS)
def test_whatever_a_row_names_is_there(hazard: str) -> None:
    for name in _CODE.findall(" ".join(ANSWERS[hazard].cells[1:])):
        file, _colons, function = name.partition("::")
        if not file.endswith(".py"):
            continue
        path = ROOT / file if file.startswith("tests/") else ROOT / "plugins" / file
        assert path.is_file(), name
        assert not function or function.partition("[")[0] in {found.name for found in places(path)}, name


def function_of(guard: Guard) -> str:
    """Where in its file the text of a guard stands; it must stand there once."""
    path = ROOT / "plugins" / guard.file
    before, *after = path.read_text(encoding="utf-8").split(guard.text)
    assert len(after) == 1, f"{guard.file} has this {len(after)} times:\n{guard.text}"
    line = (before + guard.text[: len(guard.text) - len(guard.text.lstrip())]).count("\n") + 1
    return [place.name for place in places(path) if place.first <= line <= place.last][-1]


class Place(NamedTuple):
    name: str
    first: int
    last: int


@cache
def places(path: Path) -> tuple[Place, ...]:
    """Functions and classes, methods with their class, and what is assigned outside of them, with their lines; outer ones first."""

    def inside(parent: ast.AST, prefix: str) -> Iterator[Place]:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield Place(prefix + node.name, node.lineno, node.end_lineno or 0)
                yield from inside(node, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign) and not prefix and isinstance(node.targets[0], ast.Name):
                yield Place(node.targets[0].id, node.lineno, node.end_lineno or 0)

    return tuple(inside(ast.parse(path.read_text(encoding="utf-8")), ""))
