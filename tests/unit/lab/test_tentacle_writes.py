# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes and logs: lost updates, torn files, what is said where (contracts/tentacle-cli.md 1.5, 3.4; measured-tentacle.md 10, 14.6)."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab.settings import Settings
from lab.tentacle.calling import MACHINE_ID, Host
from lab.tentacle.keys import MachineKey
from lab.wire.certificates import make_certificate, to_pfx

A, B = "A" * 40, "B" * 40
ONE = make_certificate("one")
TESTS = Path(__file__).resolve().parents[2]
UNREADABLE = "Unable to parse configuration key 'Octopus.Home' as a 'String'. Value was ''."
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{4}  +\d+  +\d+ (TRACE|DEBUG| INFO| WARN|ERROR|FATAL)  (.*)")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path).create()


def log_of(host: Host) -> list[str]:
    return (host.root / "T1/Logs/OctopusTentacle.txt").read_text().splitlines()


# --- Writes --------------------------------------------------------------------------------------------------------------------------


def test_overlapping_calls_lose_a_change(host: Host) -> None:
    """A call that read before another one wrote puts its old copy back, and both report success."""
    other = Host(host.root)
    pauses: Iterator[Callable[[], object]] = iter([lambda: None, lambda: other.trust(B)])
    host.sleep = lambda _seconds: next(pauses)()
    assert host.call("configure", "--instance=T1", f"--trust={A}").code == 0
    assert host.trusted() == [A]


def test_parallel_processes_lose_changes(host: Host) -> None:
    """Of 8 parallel calls some are lost; exit codes are 0, or 100 for who read a truncated file; the file stays whole."""
    settings = {"machine_id_file": str(host.settings.machine_id_file), "home": str(host.settings.home), "cli_cost": 0.5}
    (host.root / "settings.json").write_text(json.dumps(settings))
    environ = {
        "OCTOLAB_SETTINGS": str(host.root / "settings.json"),
        "TentacleMachineConfigurationHomeDirectory": str(host.settings.machine_configuration_home),
    }
    command = [sys.executable, str(TESTS / "lab/bin/Tentacle"), "configure", "--instance=T1"]
    quiet = subprocess.DEVNULL
    calls = [subprocess.Popen([*command, f"--trust={number:040}"], env=environ, stdout=quiet, stderr=quiet) for number in range(8)]
    assert {call.wait() for call in calls} <= {0, 100}
    assert 1 <= len(host.trusted()) < 8


@pytest.mark.parametrize(("write", "left"), [(0, 0), (1, 4096)])
def test_kill_in_a_write(host: Host, monkeypatch: pytest.MonkeyPatch, write: int, left: int) -> None:
    """Before the first piece the file is empty, before the second it is cut; then every command ends with 100 and leaves it alone."""
    (host.root / "given.pfx").write_bytes(to_pfx(ONE, None))
    assert host.call("import-certificate", "--instance=T1", f"--from-file={host.root}/given.pfx").code == 0
    host.trust(*(f"{number:040}" for number in range(20)))
    assert host.path().stat().st_size > 4096
    pieces = iter(range(2))
    genuine = os.pwrite

    def killed(descriptor: int, data: bytes, offset: int) -> int:
        if next(pieces) == write:
            raise KeyboardInterrupt
        return genuine(descriptor, data, offset)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", killed)
        with pytest.raises(KeyboardInterrupt):
            host.call("configure", "--instance=T1", f"--trust={A}")
    assert host.path().stat().st_size == left
    torn = host.path().read_bytes()
    for command in ("show-thumbprint", "configure", "create-instance", "delete-instance", "agent"):
        called = host.call(command, "--instance=T1")
        assert (called.code, called.stderr.splitlines()[1]) == (100, UNREADABLE)
    assert host.path().read_bytes() == torn


def test_rewriting_keeps_inode_and_mode(host: Host) -> None:
    host.path().chmod(0o600)
    before = host.path().stat()
    after = host.trust(A).path().stat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_writing_through_a_symbolic_link(host: Host) -> None:
    real = host.root / "real.config"
    host.path().rename(real)
    host.path().symlink_to(real)
    host.trust(A)
    assert host.path().is_symlink()
    assert A in real.read_text()


def test_no_lock_is_left(host: Host) -> None:
    host.trust(A)
    with host.path().open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_lock_taken_between_reading_and_writing(host: Host) -> None:
    """A write under a foreign lock fails as such, and the file stays."""
    with host.path().open("rb") as file:
        pauses: Iterator[Callable[[], object]] = iter([lambda: None, lambda: fcntl.flock(file, fcntl.LOCK_EX)])
        host.sleep = lambda _seconds: next(pauses)()
        called = host.call("configure", "--instance=T1", f"--trust={A}")
    assert called.code == 100
    assert called.stderr.splitlines()[1] == f"The process cannot access the file '{host.path()}' because it is being used by another process."
    assert host.trusted() == []


def test_handmade_file(host: Host) -> None:
    """The last duplicate wins, keys ignore letter case and keep their spelling, what nobody knows stays, comments go."""
    keys = f'<set key="zeta">1</set><!-- c --><set key="octopus.home">{host.root}/T1</set><set key="ZETA">2</set><junk/>'
    host.path().write_text(f"<octopus-settings>{keys}</octopus-settings>")
    host.call("configure", "--instance=T1", "--port=1", "--listenIpAddress=any")
    rows = re.findall(r"  (<set .*)\n", host.path().read_text(encoding="utf-8-sig"))
    assert rows == [
        '<set key="Tentacle.Services.ListenIP" />',
        '<set key="Tentacle.Services.PortNumber">1</set>',
        f'<set key="octopus.home">{host.root}/T1</set>',
        '<set key="zeta">2</set>',
    ]


def test_machine_key_recipe(tmp_path: Path) -> None:
    """The published vector of tentacle-cli.md 3.5."""
    file = tmp_path / "machine-id"
    file.write_text(f"{MACHINE_ID}\n")
    assert MachineKey(Settings(machine_id_file=file)).encrypt("FooBar") == "yspqcK7xCvd5c+1OSB7kxw=="


@pytest.mark.parametrize("machine_id", [None, "", "short", "0" * 33])
def test_machine_key_file_without_a_machine_id(host: Host, machine_id: str | None) -> None:
    """Made on demand, `base64(key).base64(iv)`, and then good for reading too."""
    host.settings.machine_id_file.unlink()
    if machine_id is not None:
        host.settings.machine_id_file.write_text(machine_id)
    assert host.call("new-certificate", "--instance=T1").code == 0
    assert re.fullmatch(r"[\w+/]{43}=\.[\w+/]{22}==", host.settings.machine_key_file.read_text())
    assert host.call("show-thumbprint", "--instance=T1").stdout == host.configuration().thumbprint


# --- Logs ----------------------------------------------------------------------------------------------------------------------------


def test_six_first_lines_at_every_level(host: Host) -> None:
    host.environ["OCTOPUS__TENTACLE__LOGLEVEL"] = "Off"
    host.call("configure", "--instance=T1", "--port=1")
    messages = [match[2] for match in map(LINE.fullmatch, log_of(host)) if match]
    assert messages[-6:] == [
        "=" * 80,
        f"Changed log folder from Octopus/Logs to {host.root}/T1/Logs",
        "Tentacle version 9.2.4285 (9.2.4285) instance T1",
        "Environment Information:",
        "==== ConfigureCommand ====",
        f"CommandLine: {host.settings.executable}.dll configure --instance=T1 --port=1",
    ]


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        ("Info", ["Services listen port: 1", "These changes require a restart of the Tentacle."]),
        ("warn", ["Services listen port: 1", "These changes require a restart of the Tentacle."]),
        ("Warn", ["These changes require a restart of the Tentacle."]),
        ("Error", []),
        ("Off", []),
    ],
)
def test_levels_on_stdout(host: Host, level: str, lines: list[str]) -> None:
    """golden/misc.txt: the exact spelling counts."""
    host.environ["OCTOPUS__TENTACLE__LOGLEVEL"] = level
    assert host.call("configure", "--instance=T1", "--port=1").stdout.splitlines() == lines


def test_trace_lines_precede_the_payload(host: Host) -> None:
    """golden/misc.txt."""
    host.call("new-certificate", "--instance=T1")
    host.environ["OCTOPUS__TENTACLE__LOGLEVEL"] = "Trace"
    assert host.call("show-thumbprint", "--instance=T1").stdout.splitlines() == [
        "Processing common command-line options",
        "Creating and configuring the Autofac container",
        f"Machine configuration home directory is {host.root}/etc/octopus",
        f"Loading configuration from {host.path()}",
        host.configuration().thumbprint,
    ]


def test_no_console_logging_has_no_lasting_effect(host: Host) -> None:
    assert host.call("configure", "--instance=T1", "--port=1", "--noconsolelogging").stdout.startswith("Services listen port: 1\n")


@pytest.mark.parametrize(("password", "shown"), [("Secret123", "********"), ("abc", "abc")])
def test_masking(host: Host, password: str, shown: str) -> None:
    """Short values are not masked."""
    host.call("new-certificate", "--instance=T1", "--export-pfx=x.pfx", f"--pfx-password={password}")
    assert log_of(host)[-3].endswith(f"new-certificate --instance=T1 --export-pfx=x.pfx --pfx-password={shown}")


def test_failures_are_fatal_entries(host: Host) -> None:
    host.call("configure", "--instance=T1", "--trust=")
    assert any(line.endswith(" FATAL  A valid thumbprint must be supplied") for line in log_of(host))
    host.call("show-thumbprint", "--instance=T1", "--format=xml")
    assert log_of(host)[-1].endswith(" FATAL  The format 'xml' is not supported. Try text or json.")


def test_daily_archives(host: Host) -> None:
    """The first writer of a day moves the file to .0; seven are kept."""
    file = host.root / "T1/Logs/OctopusTentacle.txt"
    for number in range(10):
        host.call("configure", "--instance=T1", f"--port={number + 1}")
        if number < 9:
            os.utime(file, (file.stat().st_mtime - 24 * 3600,) * 2)
    folder = host.root / "T1/Logs"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["OctopusTentacle.txt", *(f"OctopusTentacle.{n}.txt" for n in range(7))])
    assert "--port=10" in file.read_text()
    assert "--port=9" in (folder / "OctopusTentacle.0.txt").read_text()
    assert "--port=3" in (folder / "OctopusTentacle.6.txt").read_text()


def test_fallback_folder(host: Host) -> None:
    """Before the instance is known: under ~/.local/share, or, when that does not exist, under the working directory."""
    host.call("show-thumbprint", "--instance=NOPE")
    assert (host.root / "cwd/Octopus/Logs/OctopusTentacle.txt").exists()
    (host.root / "root/.local/share").mkdir(parents=True)
    host.call("show-thumbprint", "--instance=NOPE")
    assert (host.root / "root/.local/share/Octopus/Logs/OctopusTentacle.txt").exists()


def test_starts_are_recorded(host: Host) -> None:
    """For the test that looks for secrets in what was passed."""
    from dataclasses import replace

    record = host.root / "argv.jsonl"
    host.settings = replace(host.settings, record=record)
    host.environ["SECRET"] = "marker"
    host.call("configure", "--instance=T1", f"--trust={A}")
    noted = json.loads(record.read_text())
    assert (noted["argv"], noted["environ"]["SECRET"], noted["pid"]) == (["configure", "--instance=T1", f"--trust={A}"], "marker", os.getpid())
