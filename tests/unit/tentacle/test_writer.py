# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The writing of the trust: decisions against a host in memory, the discipline against real processes, files and kills."""

from __future__ import annotations

import functools
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, Completed, PosixHost, Process
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, trust, writer
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation, Subject
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import Wish
from unit.tentacle.doubles import FOREIGN, MACHINE_ID, NEW, OLD, FakeHost, HandClock, document, trust_json

PATH = "/srv/T1/tentacle.config"
T1 = Subject("T1", PATH, ["T1"])
TENTACLE = Path(__file__).resolve().parents[2] / "lab" / "bin" / "Tentacle"


def wish(*thumbprints: str, state: str = "present") -> trust.Change:
    return functools.partial(trust.fulfil, Wish(state, thumbprints))


def pins(data: bytes) -> list[str]:
    return [entry.thumbprint for entry in trust.parse(configuration.parse("x", data).get(configuration.TRUST))]


@pytest.fixture
def time() -> HandClock:
    return HandClock()


@pytest.fixture
def host(time: HandClock) -> FakeHost:
    fake = FakeHost(time)
    fake.files[PATH] = document(trust_json(OLD, FOREIGN))
    return fake


def write(host: FakeHost, change: trust.Change, installation: Installation | None = None, **order: Any) -> None:
    writer.write(host, T1, change, writer.Order(**order), installation or Installation(), host.time.clock)


# --- Decisions ------------------------------------------------------------------------------------------------------------------------


def test_nothing_to_do_writes_nothing(host: FakeHost) -> None:
    write(host, wish(OLD))
    assert host.writes == []


def test_a_copy_first_then_the_configuration(host: FakeHost, time: HandClock) -> None:
    before = host.files[PATH]
    write(host, wish(NEW))
    backup, path = host.writes
    assert (host.files[backup], path) == (before, PATH)
    assert pins(host.files[PATH]) == [OLD, FOREIGN, NEW]
    for number in range(9):
        time.time += 1
        write(host, wish(f"{number:040d}"), backup_folder="/var/backups")
    copies = host.names_in("/var/backups")
    assert len(copies) == writer.BACKUPS_KEPT
    assert f"{7:040d}" in str(host.files[f"/var/backups/{copies[-1]}"])
    assert len(host.names_in("/srv/T1")) == 2


def test_left_over_files_of_a_killed_run_are_swept(host: FakeHost) -> None:
    host.files |= {f"{PATH}.octofleet-12-abcd.tmp": b"key", "/srv/T1/other.octofleet-1.tmp": b"", f"{PATH}.octofleet-T1-x.bak": b""}
    write(host, wish(OLD))
    assert host.names_in("/srv/T1") == ["other.octofleet-1.tmp", "tentacle.config", "tentacle.config.octofleet-T1-x.bak"]


def vendor(*argv: str, pid: int = 50) -> Process:
    return Process(pid, 1, 0, ("Tentacle", *argv), 1)


def test_vendor_commands_are_waited_for(host: FakeHost, time: HandClock) -> None:
    host.table = {50: vendor("configure", "--instance=T1"), 51: vendor("configure", "--instance=T2"), 52: vendor("run", "--instance=T1")}
    time.then = [lambda: None, lambda: host.table.pop(50) and None]
    write(host, wish(NEW))
    assert pins(host.files[PATH])[-1] == NEW
    assert time.time == pytest.approx(1000.01)


def test_vendor_commands_that_never_end_are_named(host: FakeHost) -> None:
    host.table = {50: vendor("configure", "--instance=T1")}
    with pytest.raises(OctoError, match="process 50") as refusal:
        write(host, wish(NEW), patience=5)
    assert refusal.value.evidence["code"] == "IN_USE"
    assert host.writes == []


def test_one_that_starts_under_the_lock_sends_us_back(host: FakeHost, time: HandClock) -> None:
    """Seen at the second look only (measured-tentacle.md 14.4)."""
    looks = iter([[], [vendor("configure", "--instance=T1")]])
    host.processes = lambda _wanted: next(looks, [])  # type: ignore[method-assign]
    write(host, wish(NEW))
    assert pins(host.files[PATH])[-1] == NEW
    assert time.time > 1000


@pytest.mark.parametrize(("why", "says"), [("locked", "holds its lock"), ("busy", "keep starting"), ("changed", "keeps changing")])
def test_what_stays_in_the_way_is_named(host: FakeHost, why: str, says: str) -> None:
    host.replace_if_same = lambda *_ignored: why  # type: ignore[method-assign]
    with pytest.raises(OctoError, match=says) as refusal:
        write(host, wish(NEW), patience=5)
    assert refusal.value.evidence["code"] == "NOT_WRITTEN"


def test_a_lost_write_is_repeated(host: FakeHost) -> None:
    """A vendor command that had read before our lock writes its old copy after it."""
    real, losses = host.replace_if_same, iter([True, True, False])

    def lose(path: str, expected: bytes, new: bytes, undisturbed: Callable[[], bool]) -> str:
        assert real(path, expected, new, undisturbed) == ""
        if next(losses):
            host.files[path] = expected
        return ""

    host.replace_if_same = lose  # type: ignore[method-assign]
    write(host, wish(NEW))
    assert pins(host.files[PATH]) == [OLD, FOREIGN, NEW]
    assert len(host.names_in("/srv/T1")) == 2


def test_what_is_torn_after_our_write_is_put_back_with_the_new_pin(host: FakeHost) -> None:
    """Never the plain copy: it lacks the pin (rotation-safety 4.5)."""
    real = host.replace_if_same
    tears = iter([True, False])

    def tear(path: str, expected: bytes, new: bytes, undisturbed: Callable[[], bool]) -> str:
        answer = real(path, expected, new, undisturbed)
        if next(tears):
            host.files[path] = new[:4096]
        return answer

    host.replace_if_same = tear  # type: ignore[method-assign]
    write(host, wish(NEW))
    assert pins(host.files[PATH]) == [OLD, FOREIGN, NEW]


def test_what_was_torn_before_us_is_refused(host: FakeHost) -> None:
    host.files[PATH] = host.files[PATH][:4096]
    with pytest.raises(OctoError) as refusal:
        write(host, wish(NEW))
    assert refusal.value.evidence["code"] == "CONFIGURATION_UNREADABLE"
    assert host.writes == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ((), (NEW,), [f"--trust={NEW}"]),
        ((OLD, FOREIGN), (FOREIGN,), [f"--remove-trust={OLD}"]),
        ((OLD.lower(),), (), [f"--remove-trust={OLD.lower()}"]),
        ((OLD.lower(), FOREIGN), (FOREIGN, OLD), [f"--trust={OLD}"]),  # respelled in one write
        ((OLD, OLD, OLD.lower()), (OLD,), [f"--remove-trust={OLD}", f"--remove-trust={OLD.lower()}", f"--trust={OLD}"]),  # --trust alone fails (H-08)
        ((OLD, "x y"), (NEW, OLD), ["--remove-trust=x y", f"--trust={NEW}"]),
    ],
)
def test_the_vendors_words(before: tuple[str, ...], after: tuple[str, ...], words: list[str]) -> None:
    argv = writer.vendor_command(["sudo", "Tentacle"], "My T", trust.parse(trust_json(*before)), trust.parse(trust_json(*after)))
    assert argv == ["sudo", "Tentacle", "configure", "--instance=My T", *words]


def test_by_the_vendor_with_our_lock_and_until_it_holds(host: FakeHost) -> None:
    calls: list[list[str]] = []

    def configure(argv: Any) -> Completed:
        calls.append(list(argv))
        if len(calls) > 1:  # the first one is lost, with exit code 0
            host.files[PATH] = document(trust_json(OLD, FOREIGN, NEW))
        return Completed(0, "Adding 1 trusted Octopus Servers", "")

    host.when["configure"] = configure
    write(host, wish(NEW), Installation(home="/elsewhere"), by_vendor=True, descriptor=9)
    assert calls == [["/opt/octopus/tentacle/Tentacle", "configure", "--instance=T1", f"--trust={NEW}"]] * 2
    assert host.inherited == [[9], [9]]
    assert host.given == [{"TentacleMachineConfigurationHomeDirectory": "/elsewhere"}] * 2
    assert writer.vendor_environment(Installation()) == {}


def test_a_vendor_command_that_never_helps_is_quoted(host: FakeHost) -> None:
    host.when["configure"] = lambda argv: Completed(100, "", f"Sequence contains more than one matching element {len(argv)}")
    with pytest.raises(OctoError, match="more than one matching element"):
        write(host, wish(NEW), by_vendor=True, patience=2)


# --- Real processes -------------------------------------------------------------------------------------------------------------------


class Lab:
    """An instance on disk, and the stand-in for the vendor's Tentacle as a real second process."""

    def __init__(self, root: Path) -> None:
        self.path = root / "T1" / "tentacle.config"
        self.path.parent.mkdir()
        self.path.write_bytes(document(trust_json(OLD, FOREIGN), Octopus_Home=str(self.path.parent)))
        self.path.chmod(0o640)
        index = root / "etc" / "Tentacle" / "Instances"
        index.mkdir(parents=True)
        (index / "t1.config").write_text(json.dumps({"Name": "T1", "ConfigurationFilePath": str(self.path)}))
        (root / "machine-id").write_bytes(MACHINE_ID)
        settings = root / "lab.json"
        places = {"machine_id_file": root / "machine-id", "home": root, "machine_key_file": root / "machinekey"}
        settings.write_text(json.dumps({name: str(path) for name, path in places.items()}))
        self.environment = {"OCTOLAB_SETTINGS": str(settings), "TentacleMachineConfigurationHomeDirectory": str(root / "etc")}
        self.host = PosixHost(lock_parents=[str(root)])
        executable = ["env", f"OCTOLAB_SETTINGS={settings}", sys.executable, str(TENTACLE)]
        self.installation = Installation(home=str(root / "etc"), executable=executable)
        self.subject = Subject("T1", str(self.path), ["T1"])

    def vendor(self, *argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, TENTACLE, *argv], env={**os.environ, **self.environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def write(self, *thumbprints: str, **order: Any) -> None:
        writer.write(self.host, self.subject, wish(*thumbprints), writer.Order(**order), self.installation, SYSTEM_CLOCK)

    def pins(self) -> list[str]:
        return pins(self.path.read_bytes())

    def left_over(self) -> list[str]:
        return [path.name for path in self.path.parent.iterdir() if path.suffix == ".tmp"]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_no_update_is_lost_beside_the_vendors_tool(lab: Lab) -> None:
    """Ours and theirs, all kept; with the vendor's verb alone parallel updates are lost (measured-tentacle.md 14.4)."""
    theirs = [f"{number:040X}" for number in range(1, 11)]
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(TENTACLE))} configure --instance=T1"
    script = "".join(f"{command} --trust={one} >/dev/null 2>&1 || echo {one}\nsleep 0.05\n" for one in theirs)
    with subprocess.Popen(["sh", "-c", script], env={**os.environ, **lab.environment}, stdout=subprocess.PIPE, text=True) as foreign:
        ours = []
        while foreign.poll() is None:
            ours.append(f"{0xF000 + len(ours):040X}")
            lab.write(ours[-1])
        assert foreign.stdout is not None
        failed = foreign.stdout.read().split()
    assert len(ours) > 2
    assert set(lab.pins()) == {OLD, FOREIGN, *ours, *(set(theirs) - set(failed))}
    assert failed == []
    assert lab.left_over() == []
    assert stat.S_IMODE(lab.path.stat().st_mode) == 0o640


def test_our_own_writers_among_themselves(lab: Lab, tmp_path: Path) -> None:
    """Four processes under our lock: nothing is lost, nothing is there twice."""
    children = []
    for child in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                for number in range(5):
                    with lab.host.exclusively(str(lab.path)):
                        lab.write(f"{child * 100 + number:040X}")
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    expected = {f"{child * 100 + number:040X}" for child in range(4) for number in range(5)}
    assert sorted(lab.pins()) == sorted({OLD, FOREIGN} | expected)
    assert tmp_path


def test_the_vendors_verb_by_our_hand(lab: Lab) -> None:
    with lab.host.exclusively(str(lab.path)) as descriptor:
        lab.write(NEW, by_vendor=True, descriptor=descriptor)
    assert lab.pins() == [OLD, FOREIGN, NEW]


def test_the_tool_reads_what_we_wrote(lab: Lab) -> None:
    lab.write(NEW)
    before = lab.path.read_bytes()
    assert lab.vendor("configure", "--instance=T1", f"--trust={NEW}").wait() == 0
    assert lab.path.read_bytes() == before  # it is last already, so the tool writes the very same bytes


CALLS = {"open": 2, "fchmod": 2, "fsync": 4, "replace": 2, "unlink": 1}
KILLS = [(name, number) for name, calls in CALLS.items() for number in range(1, calls + 1)]


@pytest.mark.parametrize(("name", "number"), KILLS)
@pytest.mark.parametrize("after", [False, True])
def test_a_killed_writer_leaves_a_whole_file_and_a_free_lock(lab: Lab, name: str, number: int, after: bool) -> None:
    before = lab.path.read_bytes()
    expected = configuration.with_trust(configuration.parse("x", before), trust_json(OLD, FOREIGN, NEW))
    pid = os.fork()
    if pid == 0:
        with lab.host.exclusively(str(lab.path)):
            kill_at(name, number, after)
            lab.write(NEW)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL or name == "unlink"
    assert lab.path.read_bytes() in (before, expected)
    for left in lab.left_over():
        assert stat.S_IMODE((lab.path.parent / left).stat().st_mode) in (0o600, 0o640)  # private, then as private as the original
    with lab.host.exclusively(str(lab.path), wait=0.1):
        lab.write(NEW)
    assert lab.path.read_bytes() == expected
    assert lab.left_over() == []


def kill_at(name: str, number: int, after: bool) -> None:
    """End this process with SIGKILL at the given call of a function of ``os``."""
    real, calls = getattr(os, name), iter(range(1, 1000))

    def killing(*arguments: Any, **named: Any) -> Any:
        mine = next(calls) == number
        if mine and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = real(*arguments, **named)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(os, name, killing)


@pytest.fixture(autouse=True)
def _no_zombies() -> Iterator[None]:
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
