# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of commands and of playbooks, and what they cost."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COLLECTIONS = ROOT / ".venv" / "collections"
SCALE = float(os.environ.get("OCTO_BENCH_SCALE", "1"))  # for whoever works on a bench; figures count at 1 only


def sized(count: int, least: int = 2) -> int:
    return max(least, round(count * SCALE))


class Run(NamedTuple):
    """``memory``: the peak of the largest process, in MB."""

    cpu: float
    wall: float
    memory: float
    out: str
    err: str


def run(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> Run:
    costs = folder / "costs.json"
    measured = [sys.executable, "-I", "-S", str(HERE / "measure.py"), str(costs), *map(str, command)]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}  # design/performance.md 4.6
    done = subprocess.run(measured, cwd=folder, env={**env, **(environment or {})}, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Run(**json.loads(costs.read_text()), out=done.stdout, err=done.stderr)


def rounds(count: int, variants: Mapping[str, Callable[[], Run]]) -> dict[str, list[Run]]:
    """Each variant once a round, in a shuffled order; the same place in two lists is the same round."""
    runs: dict[str, list[Run]] = {name: [] for name in variants}
    for _round in range(count):
        for name in random.sample(list(variants), len(variants)):
            runs[name].append(variants[name]())
    return runs


class Controller(NamedTuple):
    """A folder from which playbooks are run, over an inventory of local hosts that have the addresses of endpoints for names."""

    folder: Path
    collections: tuple[Path, ...] = (COLLECTIONS,)

    def inventory(self, addresses: Sequence[str], port: int, of_each: Callable[[str], dict[str, object]] = lambda _address: {}) -> None:
        """In INI: 5,000 hosts in YAML or JSON take 150 MB while they are read, and whatever a task takes afterwards would not show."""
        hosts = (" ".join((address, *(f"{name}={json.dumps(repr(value))}" for name, value in of_each(address).items()))) for address in addresses)
        common = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "endpoint_port": port}
        lines = ["[octopus_tentacles]", *hosts, "[all:vars]", *(f"{name}={value}" for name, value in common.items())]
        (self.folder / "inventory").write_text("\n".join(lines) + "\n")
        (self.folder / "vars.json").write_text(json.dumps({"endpoints": [f"{address}:{port}" for address in addresses]}))

    def play(self, tasks: str) -> Run:
        play = self.folder / "play.yml"
        play.write_text(f"- hosts: all\n  gather_facts: false\n  tasks: {tasks}\n")
        environment = {"ANSIBLE_HOME": str(self.folder / "home"), "ANSIBLE_COLLECTIONS_PATH": ":".join(map(str, self.collections))}
        command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory", "-e", "@vars.json", play.name]
        return run(command, self.folder, {**environment, "ANSIBLE_PIPELINING": "true"})
