# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The POSIX hand against the machine that the tests run on: real files, processes, locks and sockets."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _host
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost


@pytest.fixture
def host(tmp_path: Path) -> PosixHost:
    (tmp_path / "locks").mkdir()
    return PosixHost(lock_parents=[str(tmp_path / "locks")])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_environment_is_scrubbed(host: PosixHost, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = ("OCTOPUS__TENTACLE__LOGLEVEL", "DefaultLogDirectory")
    for name in (*logs, "OCTOPUS_CONTRIBUTE_ENV_SETTINGS", "TENTACLE_X", "TentaclePollingConnectionCount"):
        monkeypatch.setenv(name, "must not pass")
    monkeypatch.setenv("HOME", "/somebody/else")
    monkeypatch.setenv("OCTOFLEET_KEPT", "yes")
    seen = host.run(["env"], env={"TentacleMachineConfigurationHomeDirectory": "/given"}).stdout.splitlines()
    assert "must not pass" not in "\n".join(seen)
    assert {"TentacleMachineConfigurationHomeDirectory=/given", "OCTOFLEET_KEPT=yes"} <= set(seen)
    assert "HOME=/somebody/else" not in seen


def test_a_neutral_folder_both_streams_and_standard_input(host: PosixHost) -> None:
    done = host.run(["sh", "-c", "pwd; cat; echo $0 >&2; exit 3", "a b;'c"], stdin=b"given\n" * 20_000)
    assert (done.rc, done.stdout, done.stderr) == (3, "/\n" + "given\n" * 20_000, "a b;'c\n")
    assert host.run(["cat"]).stdout == ""


@pytest.mark.parametrize(("argv", "code"), [(["/nowhere/Tentacle", "--pfx-password=hush"], "EXECUTABLE_MISSING"), (["sleep", "60"], "TIMEOUT")])
def test_what_does_not_start_or_end(host: PosixHost, argv: list[str], code: str) -> None:
    with pytest.raises(OctoError) as refusal:
        host.run(argv, timeout=0.2)
    assert refusal.value.evidence["code"] == code
    assert "hush" not in str(refusal.value.evidence)


def test_a_time_out_ends_the_children_too(host: PosixHost, tmp_path: Path) -> None:
    with pytest.raises(OctoError):
        host.run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout=0.5)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while host.process(pid) is not None and time.monotonic() < deadline:
        os.sched_yield()
    assert host.process(pid) is None


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for(host: PosixHost) -> None:
    pid = int(host.run(["sh", "-c", "sleep 60 & echo $!"], timeout=5).stdout)
    os.kill(pid, signal.SIGKILL)


def test_reading(host: PosixHost, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert host.read(str(tmp_path / "file")) == b"x"
    assert host.read(str(tmp_path)) is None
    assert host.read(str(tmp_path / "gone")) is None
    assert host.read(str(tmp_path / "file" / "below")) is None
    assert host.names_in(str(tmp_path)) == ["file", "locks"]
    assert host.names_in(str(tmp_path / "gone")) == []
    assert host.stat(str(tmp_path / "gone")) is None
    with pytest.raises(OctoError):
        host.read("/proc/self/mem")


def test_private_files_are_private_from_the_first_byte(host: PosixHost, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    host.write_private(str(path), b"one")
    host.write_private(str(path), b"two", 0o640)
    assert (path.read_bytes(), mode(path), mode(path.parent), mode(path.parent.parent)) == (b"two", 0o640, 0o700, 0o700)
    assert os.listdir(path.parent) == ["file"]
    with host.private_folder() as folder:
        assert mode(Path(folder)) == 0o700
        Path(folder, "inside").write_text("x")
    assert not Path(folder).exists()
    host.remove(folder)
    with pytest.raises(OctoError):
        host.write_private("/proc/nowhere/file", b"")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tentacle.config"
    path.write_bytes(b"old")
    path.chmod(0o640)
    return path


def quiet() -> bool:
    return True


def test_a_replacement_keeps_mode_and_owner(host: PosixHost, config: Path) -> None:
    before = config.stat()
    assert host.replace_if_same(str(config), b"old", b"new", quiet) == ""
    after = config.stat()
    assert config.read_bytes() == b"new"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert [path.name for path in config.parent.iterdir() if path.is_file()] == [config.name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_replacement_belongs_to_whom_the_file_belonged(host: PosixHost, config: Path) -> None:
    os.chown(config, 65534, 65534)
    assert host.replace_if_same(str(config), b"old", b"new", quiet) == ""
    assert (config.stat().st_uid, config.stat().st_gid, mode(config)) == (65534, 65534, 0o640)


def test_a_link_is_followed_and_stays(host: PosixHost, config: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(config)
    assert host.replace_if_same(str(link), b"old", b"new", quiet) == ""
    assert link.is_symlink()
    assert config.read_bytes() == b"new"
    assert host.resolve(str(link)) == str(config)


def test_a_replacement_gives_way(host: PosixHost, config: Path) -> None:
    def answer(expected: bytes = b"old", calm: bool = True) -> str:
        return host.replace_if_same(str(config), expected, b"new", lambda: calm)

    assert answer(b"other") == "changed"
    assert answer(calm=False) == "busy"
    with config.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert answer() == "locked"
    with config.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # the vendor's own
        assert answer() == "locked"
    assert host.replace_if_same(str(config) + "x", b"", b"", quiet) == "changed"
    assert config.read_bytes() == b"old"
    assert answer() == ""


def test_the_file_is_compared_once_more_before_it_is_replaced(host: PosixHost, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = _host._write_new

    def write_and_be_overtaken(*arguments: object) -> None:
        written(*arguments)  # type: ignore[arg-type]
        config.write_bytes(b"theirs")  # in place, as the vendor writes

    monkeypatch.setattr(_host, "_write_new", write_and_be_overtaken)
    assert host.replace_if_same(str(config), b"old", b"new", quiet) == "changed"
    monkeypatch.setattr(_host, "_write_new", written)

    def be_replaced() -> bool:
        other = config.with_name("other")
        other.write_bytes(b"theirs")
        other.replace(config)
        return True

    assert host.replace_if_same(str(config), b"theirs", b"new", be_replaced) == "changed"  # same bytes, another file
    assert config.read_bytes() == b"theirs"


def test_one_at_a_time(host: PosixHost, tmp_path: Path) -> None:
    path = str(tmp_path / "tentacle.config")
    (tmp_path / "link").symlink_to(path)
    with host.exclusively(path) as descriptor:
        lock = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        assert (mode(lock), mode(lock.parent)) == (0o600, 0o700)
        with pytest.raises(OctoError) as refusal, host.exclusively(str(tmp_path / "link"), wait=0.1):
            pass
        assert refusal.value.evidence["code"] == "IN_USE"
        assert f"process {os.getpid()} since" in refusal.value.message
        with host.exclusively(str(tmp_path / "another"), wait=0.1):
            pass
    with host.exclusively(path, wait=0.1):
        pass


def test_a_vendor_command_that_outlives_us_still_holds_the_lock(host: PosixHost, tmp_path: Path) -> None:
    path = str(tmp_path / "tentacle.config")
    with host.exclusively(path) as descriptor:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[descriptor])
    with pytest.raises(OctoError), host.exclusively(path, wait=0.1):
        pass
    child.communicate()
    with host.exclusively(path, wait=0.1):
        pass


def test_the_private_folder_of_a_killed_run_is_taken_away_by_the_next(host: PosixHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, other, linked = (tmp_path / name for name in ("octofleet-private-left", "somebody-elses", "octofleet-private-link"))
    left.mkdir(0o700)
    other.mkdir()
    (left / "certificate.pfx").write_bytes(b"sealed")
    linked.symlink_to(other)
    with host.private_folder() as first:
        assert not left.exists()
        with host.private_folder() as second:
            assert Path(first).is_dir()
            assert first != second
    assert (Path(first).exists(), other.exists(), linked.exists()) == (False, True, True)


def test_a_lock_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    (first / f"octofleet-octopus-{os.geteuid()}").mkdir(0o777)
    (first / f"octofleet-octopus-{os.geteuid()}").chmod(0o777)
    host = PosixHost(lock_parents=["/nowhere", str(first), str(second)])
    with host.exclusively("/x") as descriptor:
        assert os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(second))


def test_processes(host: PosixHost) -> None:
    argv = ["sh", "-c", "echo up; read -r line", "a b", ""]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # before that it may be in the middle of its exec, and have no arguments
        seen = host.process(child.pid)
        assert seen is not None
        assert seen in host.processes()
        assert host.processes(lambda words: words == argv) == [seen]
        assert seen.argv == argv
        assert (seen.parent, seen.uid) == (os.getpid(), os.geteuid())
        assert abs(host.monotonic_us() - seen.started_monotonic_us) < 20_000_000
        assert abs(host.wall_ns(seen.started_monotonic_us) - time.time_ns()) < 20e9
        assert not host.is_replaced(child.pid)
        child.kill()
    assert host.process(child.pid) is None
    assert host.environment_of(child.pid) == {}
    assert host.environment_of(os.getpid())["PATH"]


def test_a_program_that_was_replaced_is_noticed(host: PosixHost, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/cat").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as child:
        assert not host.is_replaced(child.pid)
        program.unlink()
        assert host.is_replaced(child.pid)


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.7"), (socket.AF_INET6, "::1")])
def test_who_listens(host: PosixHost, family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as door:
        try:
            door.bind((address, 0))
        except OSError:
            pytest.skip(f"this machine has no address {address}")
        door.listen()
        port = door.getsockname()[1]
        assert host.sockets_on(port, [os.getpid()]) == [_host.Socket(address, os.getpid())]
        assert host.sockets_on(port, []) == [_host.Socket(address, 0)]
        assert host.sockets_on(port, [2**22]) == [_host.Socket(address, -1)]  # whose descriptors cannot be seen
    assert host.sockets_on(port, [os.getpid()]) == []


SHOWN = """MainPID={pid}
ExecMainStartTimestampMonotonic=123456789
ExecStart={{ path=/opt/a b/Tentacle ; argv[]=/opt/a b/Tentacle run --instance=T1 ; ignore_errors=no ; start_time=[n/a] ; pid=0 ; status=0/0 }}
Environment=HOME=/home/octo "NOTE=a b"
User=octo
LoadState=loaded
ActiveState=active
"""


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that prints a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "systemctl"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/asked\ncat {tmp_path}/shown\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path / "shown"


def test_a_service(host: PosixHost, shown: Path) -> None:
    shown.write_text(SHOWN.format(pid=os.getpid()))
    service = host.service("T1.service")
    assert service._replace(started_at="") == _host.Service(
        "T1.service",
        True,
        True,
        os.getpid(),
        123456789,
        "",
        "octo",
        ("/opt/a b/Tentacle", "run", "--instance=T1"),
        (("HOME", "/home/octo"), ("NOTE", "a b")),
        "active",
    )
    assert service.started_at.endswith("Z")
    asked = (shown.parent / "asked").read_text().split()
    assert asked[:2] == ["show", "-p"]
    assert asked[-1] == "T1.service"


def test_a_service_whose_manager_tells_little(host: PosixHost, shown: Path) -> None:
    shown.write_text(f"LoadState=loaded\nActiveState=failed\nMainPID={2**22}\n")
    service = host.service("T1.service")
    assert (service.known, service.active, service.pid, service.user, service.state) == (True, False, 0, "root", "failed")
    shown.write_text(f"LoadState=not-found\nActiveState=inactive\nMainPID={os.getpid()}\nExecStart=nonsense\nEnvironment='\n")
    service = host.service("T1.service")
    assert (service.known, service.argv, service.environment) == (False, (), ())
    assert service.started_monotonic_us > 0  # from /proc


def test_no_systemd_is_no_error(host: PosixHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert host.service("T1.service") == _host.Service("T1.service", False, False, 0, 0, "", "", ())


def test_accounts(host: PosixHost) -> None:
    assert host.account("root") == host.account("") == host.account("0") == _host.Account(0, "/root")
    assert host.account("nobody-of-that-name") is None
