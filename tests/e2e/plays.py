# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the collection's playbooks over a fleet of the lab, as a person would, and keeps what happened."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROTATE = "octofleet.octopus.rotate_server_certificate"
ROLL_BACK = "octofleet.octopus.roll_back_server_certificate"


@dataclass(frozen=True)
class Play:
    """One finished ansible-playbook: exit code, what it printed, what the callback recorded, the report that it left."""

    rc: int
    text: str
    events: list[dict[str, Any]] = field(repr=False)
    report: dict[str, Any] = field(repr=False)

    def results(self, action: str, *, host: str | None = None) -> list[dict[str, Any]]:
        """Results of an action, by its short name, that were not skipped."""
        return [
            event
            for event in self.events
            if event["event"] in ("ok", "failed", "unreachable") and event["action"].endswith("." + action) and host in (None, event["host"])
        ]

    def visits(self, host: str) -> list[str]:
        """The tasks that reached a Tentacle host, by action."""
        reaching = ("octo_trust", "octo_instance_info")
        return [
            event["action"].rsplit(".", 1)[-1]
            for event in self.events
            if event["event"] in ("ok", "failed") and event["host"] == host and event["action"].endswith(reaching)
        ]

    @property
    def changed(self) -> list[str]:
        return [f"{event['host']}: {event['task']}" for event in self.events if event.get("result", {}).get("changed")]


@dataclass(frozen=True)
class Running:
    """An ansible-playbook that is under way."""

    process: subprocess.Popen[bytes]
    output: Path
    record: Path
    report: Path

    def events(self) -> list[dict[str, Any]]:
        if not self.record.exists():
            return []
        lines = self.record.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def finish(self, timeout: float = 300) -> Play:
        self.process.wait(timeout)
        report = json.loads(self.report.read_text(encoding="utf-8")) if self.report.exists() else {}
        return Play(self.process.returncode, self.output.read_text(encoding="utf-8", errors="replace"), self.events(), report)


def start(fleet: Any, playbook: str, *arguments: str, variables: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Running:
    """Start a playbook; ``variables`` go as JSON through ``-e``."""
    folder = Path(tempfile.mkdtemp(prefix="play-", dir=fleet.root))
    record, report, output = folder / "events.jsonl", folder / "report.json", folder / "output"
    given = {"octopus_report": str(report), **(variables or {})}
    environment = {
        **fleet.env,
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "record",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "8",
        "OCTO_RECORD": str(record),
        **(env or {}),
    }
    environment.pop("PYTHONUNBUFFERED", None)
    with output.open("wb") as out:
        process = subprocess.Popen(
            ["ansible-playbook", "-i", str(fleet.inventory), playbook, "-e", json.dumps(given), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    return Running(process, output, record, report)


def play(fleet: Any, playbook: str, *arguments: str, variables: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Play:
    return start(fleet, playbook, *arguments, variables=variables, env=env).finish()


def commit(fleet: Any, retire: str, *arguments: str, playbook: str = ROTATE, env: Mapping[str, str] | None = None, **variables: Any) -> Play:
    return play(fleet, playbook, *arguments, variables={"octopus_retire": retire, "octopus_commit": True, **variables}, env=env)
