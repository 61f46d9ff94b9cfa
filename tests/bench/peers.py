# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benches compare with: programs of the system, and packages that are put under .build/peers the first time they are wanted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.runs import ROOT
from tools.windows_collection import PACKAGE, take

FOLDER = ROOT / ".build" / "peers"
SSLYZE = "sslyze==6.3.1"


class Missing(Exception):
    """A peer is not there; the text says what to install."""


def program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        raise Missing(f"{name} was not found: apt-get install {name}")
    return found


def sslyze() -> str:
    """The Python of a virtual environment with sslyze: it pins other versions of cryptography than we run on."""
    home = FOLDER / SSLYZE
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        _or_missing([sys.executable, "-m", "venv", "--clear", str(home)], SSLYZE)
        _or_missing([str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install", SSLYZE], SSLYZE)
        (home / "ready").touch()
    return str(python)


def community_crypto() -> Path:
    """A folder of collections with community.crypto."""
    home = FOLDER / PACKAGE
    if not (home / "ready").exists():
        try:
            take("community.crypto", home)
        except subprocess.CalledProcessError as error:
            raise Missing(f"{PACKAGE}, which holds community.crypto, could not be had from PyPI: {error}") from error
        (home / "ready").touch()
    return home


def _or_missing(command: list[str], what: str) -> None:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise Missing(f"{what} could not be installed from PyPI: {(done.stderr or done.stdout).strip()[-300:]}")
