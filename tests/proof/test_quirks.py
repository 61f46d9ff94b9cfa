# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every quirk of the stand-ins carries weight (issue 3, B.6): switched off, one by one, a test of the product fails.

The named tests pass as long as nothing is switched off; that is shown once, for all of them together.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from lab.settings import QUIRKS
from proof.quirks import NOTICED

ROOT = Path(__file__).resolve().parents[2]
FAILED, PASSED = 1, 0  # pytest's exit codes; 2 to 5 are its own troubles, such as a test that is not there


def run(tests: Iterable[str], *, off: str = "") -> subprocess.CompletedProcess[str]:
    """These tests in a pytest of their own, without the quirk ``off``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *sorted(set(tests))]
    return subprocess.run(command, cwd=ROOT, env={**environment, "OCTOLAB_QUIRKS_OFF": off}, capture_output=True, text=True, timeout=300, check=False)


def test_every_quirk_has_its_test() -> None:
    assert NOTICED.keys() == QUIRKS.keys()
    assert len(QUIRKS) == 67
    assert not [test for test in NOTICED.values() if "/unit/lab/" in test]


def test_with_every_quirk_all_of_them_pass() -> None:
    done = run(NOTICED.values())
    assert done.returncode == PASSED, done.stdout
    assert not re.search(r"\d+ (skipped|xfailed|deselected)", done.stdout), done.stdout


@pytest.mark.parametrize("quirk", NOTICED)
def test_without_it_a_test_fails(quirk: str) -> None:
    done = run([NOTICED[quirk]], off=quirk)
    assert done.returncode == FAILED, f"{NOTICED[quirk]} does not notice that {quirk} is missing: {QUIRKS[quirk]}\n{done.stdout}{done.stderr}"
    assert not re.search(r"\d+ error", done.stdout), f"{NOTICED[quirk]} came to no verdict of its own:\n{done.stdout}"
