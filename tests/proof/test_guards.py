# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every guard against a known hazard carries weight (issue 4, D.2): taken away, one by one, the test of its hazard fails.

Each time the plugins are copied into collections of their own, in which one piece of text is replaced, and the test runs against
the copy. It must come to a verdict of its own: an assertion that does not hold, and no other error. With nothing taken away, all pass.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from proof.guards import GUARDS, Guard

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = Path("ansible_collections", "octofleet", "octopus", "plugins")
EACH = {f"{hazard}.{number}": guard for hazard, guards in GUARDS.items() for number, guard in enumerate(guards, 1)}
# How pytest's messages begin for what a test itself has stated.
VERDICTS = ("AssertionError", "assert ", "Failed: DID NOT RAISE")


class Ran(NamedTuple):
    """What became of the tests, by the kind of their end: the messages of those that failed, of those in error, of those skipped."""

    count: int
    failures: list[str]
    errors: list[str]
    skipped: list[str]
    output: str


def run(collections: Path, tests: Iterable[str]) -> Ran:
    """These tests in a pytest of their own, against the copy."""
    report = collections / "report.xml"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    environment |= {"ANSIBLE_COLLECTIONS_PATH": str(collections), "PYTHONPATH": str(ROOT / "tests")}
    # The paths of pyproject.toml would come first, and they lead to the collection itself.
    paths = f"pythonpath={shlex.join([str(collections), 'tests'])}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-o", paths, f"--junitxml={report}", *sorted(set(tests))]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    output = done.stdout + done.stderr
    assert report.exists(), output
    suites = ElementTree.parse(report).getroot()
    ends = ([end.get("message") or "" for end in suites.iter(kind)] for kind in ("failure", "error", "skipped"))
    return Ran(len(list(suites.iter("testcase"))), *ends, output)


@pytest.fixture
def collections(tmp_path: Path) -> Path:
    """A copy of the plugins. What Python has compiled of them goes along, but for what it writes just now, and serves every file that stays as it is."""
    shutil.copytree(ROOT / "plugins", tmp_path / PLUGINS, ignore=shutil.ignore_patterns("*.pyc.*"))
    return tmp_path


def take_away(collections: Path, guard: Guard) -> None:
    file = collections / PLUGINS / guard.file
    text = file.read_text(encoding="utf-8")
    assert text.count(guard.text) == 1, f"{guard.file} has this {text.count(guard.text)} times:\n{guard.text}"
    file.write_text(text.replace(guard.text, guard.without), encoding="utf-8")
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
        compiled.unlink()  # Python would take it for current, if the file had the same length and second


def test_with_every_guard_all_of_them_pass(collections: Path) -> None:
    tests = {guard.test for guard in EACH.values()}
    ran = run(collections, tests)
    assert (ran.failures, ran.errors, ran.skipped) == ([], [], []), ran.output
    assert ran.count >= len(tests)


@pytest.mark.parametrize("name", EACH)
def test_without_it_its_test_fails(name: str, collections: Path) -> None:
    guard = EACH[name]
    take_away(collections, guard)
    ran = run(collections, [guard.test])
    assert ran.count, f"{guard.test} is not the name of a test:\n{ran.output}"
    assert ran.failures, f"{guard.test} does not notice that {guard.file} lacks this:\n{guard.text}\n{ran.output}"
    strange = [message for message in ran.failures if not message.startswith(VERDICTS)]
    assert (strange, ran.errors) == ([], []), f"{guard.test} came to no verdict of its own:\n{ran.output}"
