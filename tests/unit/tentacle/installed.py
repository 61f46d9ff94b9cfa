# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An instance on real files, and who writes it: our writer, here or in a process that can be killed, and the vendor's tool in its own.

Run as a program it is such a process of ours: each line on stdin is an order, which a child carries out; its wait status is the answer.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._host import SYSTEM_CLOCK, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, index, instance, trust, visit, writer
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Installation
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.service import Hands
from lab.tentacle.calling import Host as Vendor
from unit.tentacle.doubles import FOREIGN, OLD, document, trust_json

TENTACLE = Path(__file__).resolve().parents[2] / "lab" / "bin" / "Tentacle"
ALONE = 120.0  # seconds after which something is wrong with the test, not with what it tests


@dataclasses.dataclass(frozen=True)
class Ours:
    """Our side of it. All texts, so that another process can be told."""

    root: str  # where our lock is kept
    home: str
    machine_id_file: str
    copies: str = ""  # the folder for them; "" is beside the configuration

    @property
    def host(self) -> PosixHost:
        return PosixHost(lock_parents=[self.root])

    @property
    def installation(self) -> Installation:
        return Installation(self.home, self.machine_id_file, [str(TENTACLE)])

    def edit(self, *thumbprints: str) -> None:
        """What a visit writes, under our lock."""
        (entry,) = index.read_index(self.host, self.home)
        subject = instance.subject_of(self.host, entry, [entry])
        change = functools.partial(trust.fulfil, trust.Wish(trust.PRESENT, thumbprints))
        with self.host.exclusively(subject.configuration) as descriptor:
            order = writer.Order(backup_folder=self.copies, descriptor=descriptor)
            writer.write(self.host, subject, change, order, self.installation, SYSTEM_CLOCK)

    def visit(self, *thumbprints: str) -> instance.Row:
        """A whole visit, which leaves the service alone."""
        task = visit.TrustTask("T1", trust.Wish(trust.PRESENT, thumbprints), restart=False, backup_folder=self.copies)
        (row,) = visit.trust_rows(Hands(self.host, _nobody, SYSTEM_CLOCK), task, self.installation)
        return row


class Installed:
    """T1, which trusts OLD and FOREIGN. With ``linked`` the index names a symbolic link to its configuration."""

    def __init__(self, root: Path, *, linked: bool = False, copies: str = "", cli_cost: float = 0.0) -> None:
        self.root, self.cli_cost = root, cli_cost
        self.vendor = Vendor(root).create()
        self.named = self.path = self.vendor.path()
        if linked:
            self.path = root / "elsewhere" / "tentacle.config"
            self.path.parent.mkdir()
            self.named.rename(self.path)
            self.named.symlink_to(self.path)
        self.given = document(trust_json(OLD, FOREIGN), Octopus_Home=str(self.named.parent))
        self.path.write_bytes(self.given)
        settings = self.vendor.settings
        places = {name: str(getattr(settings, name)) for name in ("machine_id_file", "home", "machine_key_file", "unit_dir")}
        (root / "lab.json").write_text(json.dumps({**places, "cli_cost": cli_cost}))
        self.ours = Ours(str(root), str(settings.machine_configuration_home), str(settings.machine_id_file), str(root / copies) if copies else "")

    def command(self, verb: str, *words: str) -> int:
        """The exit code of the vendor's tool as a process of its own."""
        environment = {**os.environ, index.HOME_VARIABLE: self.ours.home, "OCTOLAB_SETTINGS": str(self.root / "lab.json")}
        argv = [sys.executable, str(TENTACLE), verb, "--instance=T1", *words]
        return subprocess.run(argv, env=environment, capture_output=True, timeout=ALONE, check=False).returncode

    def pins(self) -> list[str]:
        return [entry.thumbprint for entry in trust.parse(configuration.parse("", self.path.read_bytes()).get(configuration.TRUST))]

    def is_kept(self) -> bool:
        """Whether everything but the trust is as it was: every other byte, and the link."""
        expected = configuration.with_trust(configuration.parse("", self.given), trust_json(*self.pins()))
        return self.path.read_bytes() == expected and self.named.is_symlink() == (self.named != self.path)

    def left_over(self) -> list[Path]:
        """Temporary files, wherever they are."""
        return sorted(self.root.rglob("*.tmp"))


class Hand:
    """A process of ours. ``preload`` is a library that the dynamic linker puts before all others there."""

    def __init__(self, preload: Path | None = None) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **({"LD_PRELOAD": str(preload)} if preload else {})}
        command, pipe = [sys.executable, "-m", "unit.tentacle.installed"], subprocess.PIPE
        self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True, start_new_session=True)

    def order(self, ours: Ours, edits: Sequence[str], **kill: Any) -> None:
        """One edit after the other, one pin each. ``kill``: see _arm."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"ours": dataclasses.asdict(ours), "edits": edits, "kill": kill}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> int:
        """The wait status of the child that had the order."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def __enter__(self) -> Hand:
        return self

    def __exit__(self, *_ignored: object) -> None:
        try:
            self._process.communicate(timeout=ALONE)  # its stdin closes, so it ends by itself
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            raise


class Theirs:
    """The vendor's command in a loop, one Server more each time; what failed is kept."""

    def __init__(self, installed: Installed, seed: int = 0) -> None:
        self.trusted: list[str] = []
        self.failed: list[str] = []
        self._installed = installed
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._began = threading.Condition()
        self._loop = threading.Thread(target=self._go_on)

    @contextmanager
    def at_work(self) -> Iterator[Theirs]:
        self._loop.start()
        try:
            yield self
        finally:
            self._over.set()
            self._loop.join(ALONE)
            assert not self._loop.is_alive()

    def wait_for_another(self) -> None:
        """Until one more has begun."""
        with self._began:
            begun = len(self.trusted)
            assert self._began.wait_for(lambda: len(self.trusted) > begun, ALONE)

    def _go_on(self) -> None:
        while not self._over.wait(self._random.uniform(0, 0.08)):
            with self._began:
                self.trusted.append(f"{0xE000000 + len(self.trusted):040X}")
                self._began.notify_all()
            if self._installed.command("configure", f"--trust={self.trusted[-1]}") != 0:
                self.failed.append(self.trusted[-1])


def numbered(writer: int, count: int) -> list[str]:
    """Thumbprints by which one sees whose they are."""
    return [f"{(writer + 1) * 0x10000 + number:040X}" for number in range(count)]


def edit_beside(installed: Installed, rounds: int, moment: tuple[float, float] = (0, 1.5)) -> tuple[list[str], Theirs]:
    """Edits of ours, each begun at some moment of another command of the vendor, counted from its start in what one costs."""
    theirs, ours = Theirs(installed), numbered(0, rounds)
    moments, pause = random.Random(rounds), threading.Event()
    with theirs.at_work():
        for pin in ours:
            theirs.wait_for_another()
            pause.wait(moments.uniform(*moment) * installed.cli_cost)
            installed.ours.edit(pin)
    return ours, theirs


def _nobody(address: str, port: int, _timeout: float) -> bytes:
    raise ConnectionRefusedError(f"{address}:{port}")


def _arm(written: str, number: int, after: bool) -> None:
    """From now on the library (kill_points.c) writes its calls to a file, and ends this process before or after the one of that number."""
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ctypes.CDLL(None).kill_points_arm(descriptor, ctypes.c_long(number), after)


def _carry_out(order: dict[str, Any]) -> None:
    ours = Ours(**order["ours"])
    if order["kill"]:
        _arm(**order["kill"])
    for thumbprint in order["edits"]:
        ours.edit(thumbprint)


def main() -> None:
    tempfile.gettempdir()  # makes and removes a file at its first call in a process, which is no part of a write
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _carry_out(json.loads(line))
                os._exit(0)
            finally:
                os._exit(1)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
