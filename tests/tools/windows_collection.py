# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible.windows for the tests, into the folder of collections that is given: out of the Python package of all collections, where pip finds it.

The benches take another collection out of the same package, to compare with (tests/bench/peers.py).
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGE = "ansible==12.3.0"  # holds ansible.windows 3.3.0 and community.crypto 3.0.5; some 50 MB, of which 2 are kept


def take(name: str, collections: Path) -> None:
    kept = f"ansible_collections/{name.replace('.', '/')}/"
    with TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--dest", folder, PACKAGE], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            package.extractall(collections, [name for name in package.namelist() if name.startswith(kept)])


if __name__ == "__main__":
    take("ansible.windows", Path(sys.argv[1]))
