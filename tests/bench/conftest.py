# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One table of all figures at the end of the run, and what the benches build alike."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import endpoints
from bench.figures import Figure, Report, Section, table
from bench.runs import SCALE, sized

HERE = Path(__file__).resolve().parent
SECTIONS = pytest.StashKey[list[Section]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SECTIONS] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[SECTIONS]:
        terminalreporter.section("figures")
        for line in table(config.stash[SECTIONS]):
            terminalreporter.write_line(line)
        if SCALE != 1:
            terminalreporter.write_line(f"OCTO_BENCH_SCALE={SCALE:g}: not the sizes that the targets are for")
        load, cores = os.getloadavg()[0], os.cpu_count()
        terminalreporter.write_line(f"load average {load:.1f} on {cores} cores: wall times mean little above the number of cores")


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Report:
    """Puts a bench's figures into the table, and fails it for those that fall short."""

    def reported(title: str, figures: list[Figure], notes: list[str]) -> None:
        request.config.stash[SECTIONS].append(Section(title, figures, notes))
        assert [figure.line() for figure in figures if figure.short] == []

    return reported


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C programs, compiled; skips and names what is missing."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("the benches compile C programs of their own: no C compiler (cc) was found; apt-get install gcc libssl-dev")
    headers = subprocess.run([compiler, "-E", "-x", "c", "-"], input="#include <openssl/ssl.h>\n", text=True, capture_output=True, check=False)
    if headers.returncode:
        pytest.skip("the benches compile C programs of their own: the headers of libssl are missing; apt-get install libssl-dev")
    folder = tmp_path_factory.mktemp("programs")
    for source in HERE.glob("*.c"):
        subprocess.run([compiler, "-O2", "-o", folder / source.stem, source, "-lssl", "-lcrypto", "-lpthread"], check=True)
    return folder


@pytest.fixture(scope="session")
def fleet(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[endpoints.Fleet]:
    """As many endpoints as any bench asks for."""
    with endpoints.fleet(programs / "fleet", tmp_path_factory.mktemp("fleet"), sized(5000)) as fleet:
        yield fleet
