# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in service manager: one daemon a fleet, ``python -m lab.fleet.supervisor <root> <lifeline>``.

It has one thread and blocks nowhere but in ``select``. It is bound to its builder by the lifeline (a pipe that ends with
the builder, kill -9 included): then it kills its children and removes the fleet's folder. Its children are bound to it
by the kernel (PR_SET_PDEATHSIG), so nothing is left either when it is killed itself.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.fleet.folders import Folders
from lab.fleet.manager import listening_socket
from lab.fleet.processes import signal_group, start
from lab.fleet.service import Phase, Service, environment_of, unknown
from lab.fleet.units import Definition, full_name, read_unit, stamp_of

_LAST_WORD = 1.5  # seconds that killed processes get to be gone
Reply = Callable[[dict[str, Any]], None]


class Supervisor:
    """Units, timers and conversations, all driven by one selector."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.services: dict[str, Service] = {}
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._ending = False

    # -- the loop

    def run(self, lifeline: int) -> None:
        """Serve until the builder is gone or asks for the end."""
        with listening_socket(self.folders.socket) as door:
            door.setblocking(False)
            self._selector.register(door, selectors.EVENT_READ, lambda: self._accept(door))
            self._selector.register(lifeline, selectors.EVENT_READ, self.end)
            self._wake_on_signals()
            while not self._ending:
                self._once()

    def _wake_on_signals(self) -> None:
        """A handler runs between two Python instructions, and a blocked ``select`` needs a byte to come back to them."""
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        self._selector.register(reader, selectors.EVENT_READ, lambda: os.read(reader, 64))

    def _once(self) -> None:
        pause = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        for key, _mask in self._selector.select(pause):
            key.data()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def end(self) -> None:
        self._ending = True

    def kill_everything(self) -> None:
        """SIGKILL to every session and wait until the processes are gone: a fleet is disposable, its end must be quick."""
        living = [service.life.process for service in self.services.values() if service.life is not None and service.life.process is not None]
        for process in living:
            signal_group(process.pid, signal.SIGKILL)
        for process in living:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LAST_WORD)

    # -- what a service asks for (service.Hands)

    def launch(self, definition: Definition) -> subprocess.Popen[bytes]:
        environment = environment_of(definition, f"{self.folders.bin}:/usr/local/bin:/usr/bin:/bin")
        return start(definition.argv, environment, self.folders.journal(definition.name))

    def watch(self, process: subprocess.Popen[bytes], ended: Callable[[], None]) -> None:
        handle = os.pidfd_open(process.pid)

        def readable() -> None:
            self._selector.unregister(handle)
            os.close(handle)
            ended()

        self._selector.register(handle, selectors.EVENT_READ, readable)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._number), act))

    def tell(self, event: str, service: Service) -> None:
        """For the witness and the tests: what happened to which process, and how many restarts were ordered."""
        line = {"monotonic": time.monotonic(), "unit": service.definition.name, "event": event, "pid": service.pid, "orders": service.orders}
        with self.folders.events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.folders.publish(self.folders.units_state, {name: _snapshot(each) for name, each in self.services.items()})

    # -- conversations

    def _accept(self, door: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            peer, _address = door.accept()
            buffer = bytearray()
            self._selector.register(peer, selectors.EVENT_READ, lambda: self._read(peer, buffer))

    def _read(self, peer: socket.socket, buffer: bytearray) -> None:
        try:
            data = peer.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(peer)
            peer.close()
            return
        buffer += data
        while b"\n" in buffer:
            line, _newline, rest = bytes(buffer).partition(b"\n")
            buffer[:] = rest
            self._answer(json.loads(line), lambda answer: _send(peer, answer))

    def _answer(self, request: dict[str, Any], reply: Reply) -> None:
        verb, name = str(request["verb"]), full_name(str(request.get("unit", "")))
        if verb == "reload":
            self._reload()
            reply({})
        elif verb == "shutdown":
            self.end()
            reply({})
        elif verb == "list":
            reply({"units": sorted(self.services)})
        elif (service := self._service(name)) is None:
            reply({"error": "not-found", "properties": unknown(name)})
        else:
            self._act(verb, service, request, reply)

    def _act(self, verb: str, service: Service, request: dict[str, Any], reply: Reply) -> None:
        if verb == "show":
            reply({"properties": self._properties(service), "files": service.definition.files})
        elif verb == "start":
            self._start(service, reply)
        elif verb == "stop":
            service.orders += 1
            service.stop(lambda: reply({}))
        elif verb == "restart":
            self._restart(service, reply)
        elif verb == "kill":
            signal_group(service.pid, int(request["signal"])) if service.pid else None
            reply({})
        elif verb in ("enable", "disable"):
            reply({"links": self._link(service.definition, enable=verb == "enable")})

    def _start(self, service: Service, reply: Reply) -> None:
        if service.phase is not Phase.RUNNING and self._fault("start_fails", service):
            service.stop(lambda: self._fail(service, reply))
            return
        service.start()
        reply({})

    def _restart(self, service: Service, reply: Reply) -> None:
        if self._fault("restart_fails", service):
            reply({"error": "failed"})
            return
        if self._fault("restart_ok_but_old", service):
            reply({})
            return
        service.orders += 1
        pause = float(self.folders.settings().get("faults", {}).get("restart_takes", 0))
        service.stop(lambda: self.later(pause, lambda: self._start(service, reply)))

    def _fail(self, service: Service, reply: Reply) -> None:
        service.phase, service.result = Phase.FAILED, "exit-code"
        self.tell("failed", service)
        reply({"error": "failed"})

    def _fault(self, name: str, service: Service) -> bool:
        """Faults are read at each use: a test switches them while the fleet runs."""
        return service.definition.name in map(full_name, self.folders.settings().get("faults", {}).get(name, ()))

    # -- units

    def _service(self, name: str) -> Service | None:
        """A unit without process is read anew at each mention (systemd collects such units); one with a process only at daemon-reload."""
        known = self.services.get(name)
        if known is not None and known.phase in (Phase.RUNNING, Phase.STOPPING, Phase.KILLING, Phase.WAITING):
            return known
        definition = read_unit(self.folders.units, name)
        if definition is None:
            return None
        if known is None:
            known = self.services[name] = Service(definition, self)
        known.definition = definition
        return known

    def _reload(self) -> None:
        for name, service in self.services.items():
            service.definition = read_unit(self.folders.units, name) or service.definition

    def _properties(self, service: Service) -> dict[str, str]:
        stale = stamp_of(self.folders.units, service.definition.name) != service.definition.stamp
        enabled = any(link.exists() for link in self._links(service.definition))
        return {**service.properties(enabled), "NeedDaemonReload": "yes" if stale else "no"}

    def _links(self, definition: Definition) -> list[Path]:
        return [self.folders.units / f"{target}.wants" / definition.name for target in definition.wanted_by]

    def _link(self, definition: Definition, enable: bool) -> list[list[str]]:
        changed = []
        for link in self._links(definition):
            if enable and not link.is_symlink():
                link.parent.mkdir(exist_ok=True)
                link.symlink_to(definition.files[0])
                changed.append([str(link), definition.files[0]])
            elif not enable and link.is_symlink():
                link.unlink()
                changed.append([str(link), definition.files[0]])
        return changed


def _snapshot(service: Service) -> dict[str, Any]:
    life = service.life
    return {
        "state": service.phase.value[0],
        "pid": service.pid,
        "birth": life.birth if life is not None and service.pid else None,
        "started_monotonic_us": life.started_monotonic_us if life is not None else 0,
        "orders": service.orders,
    }


def _send(peer: socket.socket, answer: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # who asked may have been killed meanwhile
        peer.sendall(json.dumps(answer).encode() + b"\n")


def main(arguments: list[str]) -> int:
    """``<root> <descriptor of the lifeline>``: ends with the fleet's folder removed."""
    folders, lifeline = Folders(Path(arguments[0])), int(arguments[1])
    supervisor = Supervisor(folders)
    signal.signal(signal.SIGTERM, lambda *_ignored: supervisor.end())
    try:
        supervisor.run(lifeline)
    finally:
        supervisor.kill_everything()
        shutil.rmtree(folders.root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
