# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the helper that ansible-test downloads: installs pip from what Python itself ships (conventions 2.3)."""

from __future__ import annotations

import subprocess
import sys

wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel", "--disable-pip-version-check")]
subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], check=True)
if wanted:
    subprocess.run([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--upgrade", *wanted], check=True)
