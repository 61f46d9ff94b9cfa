# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in service manager and its systemctl, with /bin/sh scripts as services."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.fleet.folders import Folders
from lab.fleet.processes import birth
from lab.fleet.supervision import TESTS, Supervision, abandoned
from lab.waiting import until


class Lab:
    """A supervisor with a folder of units, and the systemctl that talks to it."""

    def __init__(self, root: Path) -> None:
        self.supervision = Supervision.begin(Folders(root))
        self.folders = self.supervision.folders
        self.manager = self.supervision.manager

    def unit(self, name: str, script: str = "exec sleep 600", extra: str = "", restart: str = "always") -> None:
        program = self.folders.root / f"{name}.sh"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        unit = f"[Unit]\nDescription=Test of {name}\n\n[Service]\nType=simple\nUser=root\n"
        service = f'ExecStart="{program}" run --instance={name}\nRestart={restart}\n{extra}\n[Install]\nWantedBy=multi-user.target\n'
        (self.folders.units / f"{name}.service").write_text(unit + service, encoding="utf-8")

    def set(self, **settings: object) -> None:
        self.folders.settings_file.write_text(json.dumps(settings), encoding="utf-8")

    def systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OCTOLAB": str(self.folders.root)}
        return subprocess.run(
            [sys.executable, "-S", TESTS / "lab/bin/systemctl", *arguments], env=environment, capture_output=True, text=True, check=False
        )

    def show(self, unit: str, name: str) -> str:
        return self.manager.show(unit)[name]

    def pid(self, unit: str) -> int:
        """Of a unit that must run; 0 would be everybody to ``os.kill``."""
        pid = int(self.show(unit, "MainPID"))
        assert pid > 0
        return pid


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "fleet with a space")
    yield lab
    lab.supervision.end()


def test_a_service_starts_once_and_a_restart_gives_another_process(lab: Lab) -> None:
    lab.unit("T1")
    assert lab.systemctl("start", "T1").returncode == 0
    first = lab.pid("T1.service")
    assert lab.systemctl("start", "T1.service").returncode == 0
    assert lab.pid("T1") == first
    assert Path(f"/proc/{first}/cmdline").read_bytes().startswith(b"sleep")
    assert lab.systemctl("restart", "T1").returncode == 0
    assert lab.pid("T1") != first
    assert birth(first) is None


def test_show_gives_systemds_order_and_formats(lab: Lab) -> None:
    lab.unit("T1")
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    lab.manager.start("T1")
    shown = lab.systemctl(
        "show", "-p", "User,FragmentPath,MainPID", "--property=ExecMainStartTimestampMonotonic,ActiveState,SubState,NRestarts", "T1"
    )
    names = [line.partition("=")[0] for line in shown.stdout.splitlines()]
    assert names == ["MainPID", "NRestarts", "ExecMainStartTimestampMonotonic", "User", "ActiveState", "SubState", "FragmentPath"]
    values = dict(line.split("=", 1) for line in shown.stdout.splitlines())
    assert before < int(values["ExecMainStartTimestampMonotonic"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert (values["User"], values["ActiveState"], values["SubState"]) == ("root", "active", "running")
    assert lab.systemctl("show", "--value", "-p", "MainPID", "T1").stdout == f"{lab.pid('T1')}\n"
    line = lab.systemctl("show", "-pExecStart", "T1").stdout
    assert "/T1.sh run --instance=T1 ; ignore_errors=no ; start_time=[" in line


def test_states_and_exit_codes_of_the_small_verbs(lab: Lab) -> None:
    lab.unit("T1")
    stopped = lab.systemctl("is-active", "T1")
    assert (stopped.returncode, stopped.stdout) == (3, "inactive\n")
    lab.manager.start("T1")
    running = lab.systemctl("is-active", "T1")
    assert (running.returncode, running.stdout) == (0, "active\n")
    assert lab.systemctl("is-enabled", "T1").stdout == "disabled\n"
    enabled = lab.systemctl("enable", "T1")
    assert enabled.returncode == 0
    assert enabled.stderr.startswith("Created symlink ")
    assert lab.systemctl("is-enabled", "T1").returncode == 0
    assert lab.systemctl("disable", "T1").stderr.startswith('Removed "')
    assert "ExecStart=" in lab.systemctl("cat", "T1").stdout
    assert lab.systemctl("cat", "T1").stdout.startswith(f"# {lab.folders.units}/T1.service\n")


@pytest.mark.parametrize(
    ("arguments", "code", "stdout", "stderr"),
    [
        (["start", "X"], 5, "", "Failed to start X.service: Unit X.service not found.\n"),
        (["restart", "X.service"], 5, "", "Failed to restart X.service: Unit X.service not found.\n"),
        (["stop", "X"], 5, "", "Failed to stop X.service: Unit X.service not loaded.\n"),
        (["is-active", "X"], 4, "inactive\n", ""),
        (["is-enabled", "X"], 1, "", "Failed to get unit file state for X.service: No such file or directory\n"),
        (["show", "-p", "LoadState,MainPID,ActiveState", "X"], 0, "MainPID=0\nLoadState=not-found\nActiveState=inactive\n", ""),
        (["cat", "X"], 1, "", "No files found for X.service.\n"),
        (["enable", "X"], 1, "", "Failed to enable unit: Unit file X.service does not exist.\n"),
        (["daemon-reload"], 0, "", ""),
        (["frobnicate"], 1, "", "Unknown command verb frobnicate.\n"),
    ],
)
def test_answers_for_an_unknown_unit(lab: Lab, arguments: list[str], code: int, stdout: str, stderr: str) -> None:
    answer = lab.systemctl(*arguments)
    assert (answer.returncode, answer.stdout, answer.stderr) == (code, stdout, stderr)


def test_a_service_that_dies_comes_back_unless_it_was_stopped(lab: Lab) -> None:
    lab.unit("T1")
    lab.manager.start("T1")
    first = lab.pid("T1")
    os.kill(first, signal.SIGKILL)
    until(lambda: lab.show("T1", "MainPID") not in ("0", str(first)))
    assert (lab.show("T1", "NRestarts"), lab.show("T1", "Result")) == ("1", "success")
    lab.manager.stop("T1")
    assert (lab.show("T1", "ActiveState"), lab.show("T1", "MainPID"), lab.show("T1", "ExecMainStatus")) == ("inactive", "0", "15")


def test_exit_status_143_after_a_stop_reads_as_failed(lab: Lab) -> None:
    lab.unit("T1", script='trap "exit 143" TERM; sleep 600 & echo ready; wait')
    lab.manager.start("T1")
    until(lambda: "ready" in lab.folders.journal("T1").read_text())
    lab.manager.stop("T1")
    assert (lab.show("T1", "ActiveState"), lab.show("T1", "Result"), lab.show("T1", "ExecMainStatus")) == ("failed", "exit-code", "143")
    assert lab.systemctl("is-failed", "T1").returncode == 0


def test_a_service_that_ignores_sigterm_is_killed(lab: Lab) -> None:
    lab.unit("T1", script='trap "" TERM; echo ready; exec sleep 600', extra="TimeoutStopSec=100ms\n")
    lab.manager.start("T1")
    until(lambda: "ready" in lab.folders.journal("T1").read_text())
    lab.manager.stop("T1")
    assert (lab.show("T1", "Result"), lab.show("T1", "ExecMainStatus")) == ("timeout", "9")


def test_the_environment_of_a_unit_is_its_own(lab: Lab) -> None:
    lab.unit("T1", script="env; exec sleep 600", extra='Environment="ONE=a b" TWO=c\n')
    drop_in = lab.folders.units / "T1.service.d" / "host.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nEnvironment=THREE=d\n", encoding="utf-8")
    lab.manager.start("T1")
    until(lambda: "PATH=" in lab.folders.journal("T1").read_text())
    lines = lab.folders.journal("T1").read_text().splitlines()
    assert {"ONE=a b", "TWO=c", "THREE=d"} <= set(lines)
    assert "PYTHONPATH" not in "".join(lines)
    assert "host.conf" in lab.systemctl("cat", "T1").stdout


def test_a_changed_unit_needs_a_reload_while_its_process_runs(lab: Lab) -> None:
    lab.unit("T1")
    lab.manager.start("T1")
    lab.unit("T1", extra="Environment=NEW=1\n")
    assert lab.show("T1", "NeedDaemonReload") == "yes"
    assert "Run 'systemctl daemon-reload'" in lab.systemctl("restart", "T1").stderr
    assert lab.show("T1", "Environment") == ""
    lab.systemctl("daemon-reload")
    assert (lab.show("T1", "NeedDaemonReload"), lab.show("T1", "Environment")) == ("no", "NEW=1")


def test_faults_are_switched_while_the_fleet_runs(lab: Lab) -> None:
    lab.unit("T1")
    lab.manager.start("T1")
    first = lab.pid("T1")
    lab.set(faults={"restart_ok_but_old": ["T1"]})
    assert lab.systemctl("restart", "T1").returncode == 0
    assert lab.pid("T1") == first
    lab.set(faults={"restart_fails": ["T1.service"]})
    assert lab.systemctl("restart", "T1").returncode == 1
    assert lab.pid("T1") == first
    lab.set(faults={"start_fails": ["T1"]})
    failed = lab.systemctl("restart", "T1")
    assert (failed.returncode, failed.stderr.splitlines()[0]) == (1, "Job for T1.service failed because the control process exited with error code.")
    assert lab.show("T1", "ActiveState") == "failed"
    lab.set()
    assert lab.systemctl("start", "T1").returncode == 0


def test_a_program_that_does_not_exist_is_tried_again_and_again(lab: Lab) -> None:
    lab.unit("T1")
    (lab.folders.root / "T1.sh").unlink()
    assert lab.systemctl("start", "T1").returncode == 0
    until(lambda: int(lab.show("T1", "NRestarts")) > 1)
    assert lab.show("T1", "ExecMainStatus") == "203"


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "fleet")
    lab.unit("T1")
    lab.manager.start("T1")
    pid = lab.pid("T1")
    lab.supervision.process.kill()
    until(lambda: birth(pid) is None)
    lab.supervision.end()
    assert not lab.folders.root.exists()


def test_a_killed_builder_takes_everything_with_it(tmp_path: Path) -> None:
    root = tmp_path / "fleet"
    script = (
        "import sys, signal; from pathlib import Path; from lab.fleet.folders import Folders; from lab.fleet.supervision import Supervision\n"
        f"s = Supervision.begin(Folders(Path({str(root)!r})))\n"
        "print(s.process.pid, flush=True); signal.pause()"
    )
    builder = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(TESTS)}, stdout=subprocess.PIPE, text=True)
    assert builder.stdout is not None
    supervisor = int(builder.stdout.readline())
    assert not abandoned(Folders(root))
    builder.kill()
    builder.communicate()
    until(lambda: birth(supervisor) is None)
    assert not root.exists()


def test_a_folder_whose_builder_and_supervisor_are_gone_is_abandoned(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "fleet")
    folders.make()
    assert not abandoned(folders)
    folders.lock.touch()
    assert abandoned(folders)
