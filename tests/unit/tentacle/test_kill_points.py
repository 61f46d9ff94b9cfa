# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kill -9 of our writer at every call of a write that changes files or locks, before it and after it (measured-tentacle.md 14.5, issue 4 D.4)."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, writer
from unit.tentacle.doubles import FOREIGN, NEW, OLD, trust_json
from unit.tentacle.installed import Hand, Installed

THEIRS = "7E1CC0DE" * 5  # what the vendor's tool adds once we are dead
OWNER = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())  # another account than ours where we may give files away
UNDISTURBED = 0

# What the library must have seen of a write; where it sees less, it proves nothing. The order is that of measured-tentacle.md 14.10.
EDIT = ("flock", "open", "write", "fchmod", "fsync", "close", "rename", "fsync", "unlink", "close")


class Kills:
    """Our writer in a process that ends at a call of a given number. ``calls`` are those of the last one, each with the path it is about."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.calls: list[tuple[str, str]] = []

    def write(self, installed: Installed, number: int, after: bool = False) -> int:
        """The wait status of the process that wrote NEW, or was to."""
        written = installed.root / "calls"
        self.hand.order(installed.ours, [NEW], written=str(written), number=number, after=after)
        status = self.hand.answer()
        pairs = (line.partition(" ")[::2] for line in written.read_text().splitlines())
        self.calls = [(name.removesuffix("64"), path) for name, path in pairs]
        return status

    def commit(self) -> int:
        """The number of the call with which the configuration becomes the new one."""
        renamed = [number for number, (name, path) in enumerate(self.calls, 1) if name == "rename" and path.endswith("/tentacle.config")]
        assert len(renamed) == 1
        return renamed[0]


@pytest.fixture(scope="module")
def kills(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kills]:
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("the kill points are counted by a C library of this test: no C compiler (cc) was found; apt-get install gcc libc6-dev")
    source, library = Path(__file__).with_name("kill_points.c"), tmp_path_factory.mktemp("library") / "kill_points.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    with Hand(library) as hand:
        yield Kills(hand)


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., Installed]:
    """A fresh instance each time, with as many old copies as are kept, so that one of them goes."""

    def fresh(**options: bool | str) -> Installed:
        installed = Installed(tmp_path / str(len(list(tmp_path.iterdir()))), **options)  # type: ignore[arg-type]
        os.chown(installed.path, *OWNER)
        installed.path.chmod(0o640)
        folder = Path(installed.ours.copies or installed.path.parent)
        folder.mkdir(exist_ok=True)
        for number in range(writer.BACKUPS_KEPT):
            (folder / f"tentacle.config.octofleet-T1-2020010{number + 1}T000000.000000Z.bak").write_bytes(b"an old copy")
        return installed

    return fresh


LAYOUTS = {"plain": {}, "link": {"linked": True}, "copies-elsewhere": {"copies": "copies"}}
layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def with_pins(data: bytes, *pins: str) -> bytes:
    return configuration.with_trust(configuration.parse("", data), trust_json(*pins))


def test_an_undisturbed_write_is_what_the_contract_asks_for(kills: Kills, install: Callable[..., Installed]) -> None:
    installed = install()
    before = installed.path.read_bytes()
    assert kills.write(installed, UNDISTURBED) == 0
    assert installed.path.read_bytes() == with_pins(before, OLD, FOREIGN, NEW)
    assert installed.left_over() == []
    names = [name for name, _path in kills.calls if name != "fchown"]
    start = len(names) - len(EDIT) - 1  # the last call of all is the end of our own lock
    assert tuple(names[start:-1]) == EDIT
    assert names[-1] == "close"
    assert {"open", "flock", "ftruncate", "pwrite", "rename", "unlink"} <= set(names[:start])  # our lock, and the copy


@layouts
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_writer_that_is_killed_leaves_a_whole_file_and_no_lock(
    kills: Kills, install: Callable[..., Installed], layout: dict[str, bool | str], after: bool
) -> None:
    assert kills.write(install(**layout), UNDISTURBED) == 0
    undisturbed, commit = kills.calls, kills.commit()
    assert len(undisturbed) >= 20
    for number, (name, _path) in enumerate(undisturbed, 1):
        where = f"killed {'after' if after else 'before'} call {number}, {name}"
        installed = install(**layout)
        before = installed.path.read_bytes()
        assert kills.write(installed, number, after) == signal.SIGKILL, where
        assert [one for one, _path in kills.calls] == [one for one, _path in undisturbed[:number]], where
        written = number >= commit if after else number > commit
        expected = with_pins(before, OLD, FOREIGN, NEW) if written else before
        assert installed.path.read_bytes() == expected, where
        look_at_what_is_left(installed, where, expected)
        go_on(installed, where, [OLD, FOREIGN, NEW] if written else [OLD, FOREIGN])


def look_at_what_is_left(installed: Installed, where: str, expected: bytes) -> None:
    """The links, the owner and the mode; both locks; the files that hold the key."""
    assert installed.named.is_symlink() == (installed.named != installed.path), where
    found = installed.path.stat()
    assert (stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid)) == (0o640, OWNER), where
    with installed.ours.host.exclusively(str(installed.path), wait=0), installed.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for left in installed.left_over():
        # Private from its first byte; the moment before it takes the place of the configuration, it is as private as that.
        dressed = left.stat().st_uid == OWNER[0] and left.read_bytes() == with_pins(expected, OLD, FOREIGN, NEW)
        assert stat.S_IMODE(left.stat().st_mode) in ({0o600, 0o640} if dressed else {0o600}), where


def go_on(installed: Installed, where: str, pins: Sequence[str]) -> None:
    """The vendor's tool reads and writes it, and the next visit of ours finishes what was begun and leaves nothing behind."""
    before = installed.path.read_bytes()
    said = installed.vendor.call("configure", "--instance=T1", f"--trust={THEIRS}")
    assert (said.code, said.stderr) == (0, ""), where
    assert installed.path.read_bytes() == with_pins(before, *pins, THEIRS), where
    row = installed.ours.visit(NEW)
    assert (row["ok"], row["reason"], row["changed"]) == (True, "", NEW not in pins), where
    ended = [*pins, THEIRS] if NEW in pins else [*pins, THEIRS, NEW]
    assert installed.path.read_bytes() == with_pins(before, *ended), where
    assert installed.left_over() == [], where


@layouts
def test_a_visit_that_has_nothing_to_write_sweeps_too(kills: Kills, install: Callable[..., Installed], layout: dict[str, bool | str]) -> None:
    """Whoever killed the writer may have changed their mind: the next visit then finds its wish fulfilled."""
    assert kills.write(install(**layout), UNDISTURBED) == 0
    for number in [at for at, (name, _path) in enumerate(kills.calls, 1) if name == "rename"]:
        installed = install(**layout)
        assert kills.write(installed, number) == signal.SIGKILL
        assert len(installed.left_over()) == 1
        assert installed.ours.visit(OLD)["changed"] is False
        assert installed.left_over() == []


def test_copies_of_another_instance_in_the_same_folder_are_left_alone(install: Callable[..., Installed]) -> None:
    """T1-2 keeps its own there, and may be in the middle of writing one: its lock is another."""
    installed = install(copies="copies")
    copies = installed.root / "copies"
    stem = "tentacle.config.octofleet-T1-2-2099010{}T000000.000000Z.bak"
    theirs = {*(stem.format(day) for day in range(1, 8)), stem.format(8) + ".octofleet-77-0badcafe.tmp"}
    for name in theirs:
        (copies / name).write_bytes(b"of T1-2")
    before = installed.path.read_bytes()
    installed.ours.edit(NEW)
    names = {path.name for path in copies.iterdir()}
    assert theirs <= names
    assert len(names - theirs) == writer.BACKUPS_KEPT
    assert (copies / max(names - theirs)).read_bytes() == before
