# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same end-to-end tests with a Tentacle of which nothing is known but its argv (issue 3, B.7).

It is the stand-in, copied to a path with a space; a real one takes its place in the same way: OCTO_TENTACLE='/opt/octopus/tentacle/Tentacle'.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
AGAIN = (
    "tests/e2e/test_rotation.py::test_plan_rotation_and_the_way_back",
    "tests/e2e/test_refusals.py::test_each_case_ends_as_it_must[odd-and-rotated-all-the-same]",
)
AGENTS = 3 + 5  # of the two fleets; each of them starts anew with every pin that comes or goes


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The program of the copy."""
    home = tmp_path / "a real one" / "tests"
    shutil.copytree(TESTS / "lab", home / "lab", ignore=shutil.ignore_patterns("__pycache__"))
    return home / "lab" / "bin" / "Tentacle"


def test_the_same_tests_pass_with_a_tentacle_from_elsewhere(copied: Path, tmp_path: Path) -> None:
    """The vendor's program keeps keys in its account's home and uses the real machine id; the home is one of this test."""
    machine_id = Path("/etc/machine-id")
    if not machine_id.exists() or len(machine_id.read_text().strip()) != 32:
        pytest.skip("there is no /etc/machine-id, under which a Tentacle keeps its certificate")
    (tmp_path / "home").mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "OCTO_TENTACLE": shlex.join([sys.executable, str(copied)]),
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path),
    }
    output = tmp_path / "output"
    with output.open("wb") as out:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", *AGAIN]
        running = subprocess.Popen(command, cwd=TESTS.parent, env=environment, stdout=out, stderr=subprocess.STDOUT)
    seen = agents_of(running, tmp_path)
    assert running.returncode == 0, output.read_text(errors="replace")
    assert "2 passed" in output.read_text(errors="replace")
    assert {program for _pid, program in seen} == {str(copied)}
    assert len(seen) >= 2 * AGENTS


def agents_of(running: subprocess.Popen[bytes], folder: Path) -> set[tuple[int, str]]:
    """Process id and program of every agent whose fleet lies below ``folder``, as the kernel shows them until ``running`` has ended."""
    seen: set[tuple[int, str]] = set()
    while True:
        seen.update(agents(folder))
        try:
            running.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        return seen


def agents(folder: Path) -> Iterator[tuple[int, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = os.fsdecode((process / "cmdline").read_bytes()).split("\0")
            ours = f"OCTOLAB={folder}/".encode() in (process / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if ours and "run" in words and words[words.index("run") - 1].endswith("/Tentacle") and not words[0].endswith("sh"):
            yield int(process.name), words[words.index("run") - 1]
