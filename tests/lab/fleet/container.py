# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``container exec | cp | restart | start | stop | inspect``: a Server in a container, without any container.

Paths inside are below a folder of their own, so that a file gets in and out by ``cp`` only: arguments of ``exec`` that are
absolute paths (``--export-pfx=/tmp/x``, too) are moved below it, and what the program prints is moved back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.fleet.folders import Folders
from lab.fleet.manager import Manager, ManagerError
from lab.fleet.records import record_start

_ENGINE_FAILED, _NOT_FOUND_INSIDE = 125, 127
_WITH_VALUE = frozenset({"-u", "--user", "-w", "--workdir", "-e", "--env"})
_INSIDE = re.compile(r"(?P<option>--?[A-Za-z][\w-]*=)?(?P<path>/.*)", re.DOTALL)
SERVER = "/Octopus/Octopus.Server"


class EngineError(Exception):
    """The engine, not the program inside, says no."""


class Container:
    """A container that the builder described in ``containers/<name>/container.json``: {unit, environment}."""

    def __init__(self, folders: Folders, name: str) -> None:
        folder = folders.container(name)
        if not folder.is_dir():
            raise EngineError(f"Error response from daemon: No such container: {name}")
        described = json.loads((folder / "container.json").read_text(encoding="utf-8"))
        self.name, self.unit, self.environment = name, str(described["unit"]), dict(described["environment"])
        self.inside = folder / "rootfs"
        self.folders = folders
        self.manager = Manager(folders.socket)

    @property
    def running(self) -> bool:
        return self.manager.show(self.unit)["ActiveState"] == "active"

    def path(self, text: str) -> Path:
        """A path of the container as it lies on this machine."""
        return self.inside / os.path.normpath(text).lstrip("/")

    def argument(self, text: str) -> str:
        match = _INSIDE.fullmatch(text)
        return text if match is None else f"{match['option'] or ''}{self.path(match['path'])}"

    def outward(self, output: bytes) -> bytes:
        return output.replace(str(self.inside).encode(), b"")


def main(arguments: Sequence[str]) -> int:
    record_start("container", arguments)
    try:
        folders = Folders(Path(os.environ["OCTOLAB"]))
        return _VERBS[arguments[0]](folders, list(arguments[1:]))
    except EngineError as error:
        sys.stderr.write(f"{error}\n")
    except ManagerError as error:
        sys.stderr.write(f"Error response from daemon: {error}\n")
    except (IndexError, KeyError):
        sys.stderr.write(f"container: {' '.join(arguments)!r} is not a container command.\n")
        return _ENGINE_FAILED
    return 1


def _exec(folders: Folders, rest: list[str]) -> int:
    while rest[0].startswith("-"):
        del rest[: 2 if rest[0] in _WITH_VALUE else 1]
    container, command = Container(folders, rest[0]), rest[1:]
    if not container.running:
        raise EngineError(f"Error response from daemon: container {container.name} is not running")
    program = str(folders.bin / "Octopus.Server") if command[0] == SERVER else shutil.which(command[0]) if "/" not in command[0] else None
    if program is None:
        sys.stderr.write(
            f'OCI runtime exec failed: exec failed: unable to start container process: exec: "{command[0]}": no such file or directory\n'
        )
        return _NOT_FOUND_INSIDE
    done = subprocess.run(
        [program, *map(container.argument, command[1:])],
        cwd=container.inside,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(container.path("/root")), **container.environment},
        capture_output=True,
        check=False,
    )
    sys.stdout.buffer.write(container.outward(done.stdout))
    sys.stderr.buffer.write(container.outward(done.stderr))
    return done.returncode


def _cp(folders: Folders, rest: list[str]) -> int:
    source, target = (_side(folders, each) for each in [each for each in rest if not each.startswith("-")][:2])
    if not source.exists():
        raise EngineError(f"Could not find the file {source.name}")
    target = target / source.name if target.is_dir() else target
    if not target.parent.is_dir():
        raise EngineError(f"The folder of {target.name} does not exist")
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
    return 0


def _side(folders: Folders, text: str) -> Path:
    """``name:/path`` is inside, anything else is outside."""
    name, colon, path = text.partition(":")
    return Container(folders, name).path(path) if colon and "/" not in name else Path(text)


def _order(verb: str) -> Callable[[Folders, list[str]], int]:
    def run(folders: Folders, rest: list[str]) -> int:
        while rest[0].startswith("-"):
            del rest[: 2 if rest[0] in ("-t", "--time") else 1]
        for name in rest:
            container = Container(folders, name)
            {"start": container.manager.start, "stop": container.manager.stop, "restart": container.manager.restart}[verb](container.unit)
            sys.stdout.write(f"{name}\n")
        return 0

    return run


def _inspect(folders: Folders, rest: list[str]) -> int:
    template = None
    if rest[0].partition("=")[0] in ("-f", "--format"):
        template = rest.pop(0).partition("=")[2] or rest.pop(0)
    found = [_description(Container(folders, name)) for name in rest]
    if template is None:
        sys.stdout.write(json.dumps(found, indent=4) + "\n")
        return 0
    for described in found:
        sys.stdout.write(re.sub(r"{{\s*\.([\w.]+)\s*}}", lambda match: _go(described, match[1]), template) + "\n")  # noqa: B023
    return 0


def _description(container: Container) -> dict[str, object]:
    shown = container.manager.show(container.unit)
    running = shown["ActiveState"] == "active"
    state = {
        "Status": "running" if running else "exited",
        "Running": running,
        "Pid": int(shown["MainPID"]),
        "StartedAt": shown["ExecMainStartTimestamp"],
    }
    return {"Name": f"/{container.name}", "State": state, "RestartCount": int(shown["NRestarts"]), "Path": SERVER}


def _go(value: object, path: str) -> str:
    for part in path.split("."):
        value = value[part] if isinstance(value, dict) else "<no value>"
    return str(value).lower() if isinstance(value, bool) else str(value)


_VERBS: dict[str, Callable[[Folders, list[str]], int]] = {
    "exec": _exec,
    "cp": _cp,
    "start": _order("start"),
    "stop": _order("stop"),
    "restart": _order("restart"),
    "inspect": _inspect,
}
