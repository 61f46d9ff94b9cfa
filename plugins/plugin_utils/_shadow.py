# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""The shadow of a run (octopus_shadow), as its gates see it: started once, read by each, ended by the last."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible import constants as C
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import shadow_process
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.pem import Presentable
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.shadow import Heard, heard
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.trust import place_of

LONGEST = 24 * 3600.0  # seconds; a run takes less, and one that is gone has its shadow end with it
_START = 20.0
# A new interpreter does not have core's loader, and where core's community package is installed `ansible_collections` is a package of its own.
_PROGRAM = """
import os, sys, types
root = sys.argv[1]
for name in ("ansible_collections", "ansible_collections.octofleet", "ansible_collections.octofleet.octopus"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [root] if name.endswith(".octopus") else []
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.shadow_process import main
if os.fork() == 0:  # nobody has to wait for it
    main()
"""


class Shadow:
    """Where it listens ("" for not at all), the address under which Tentacles reach it, and its record of this run."""

    def __init__(self, listen: str, address: str, record: str, run: int) -> None:
        self.listen, self.address = listen, address
        self._record, self._run = record, run

    @property
    def place(self) -> str:
        return place_of(self.address, "")[0]

    def is_running(self) -> bool:
        return shadow_process.is_held(self._record)

    def heard(self) -> Heard:
        """Who has come so far."""
        is_running = self.is_running()  # asked first: one that ends while its record is read has nobody connected
        return heard(shadow_process.lines_of(self._record), is_running)

    def try_port(self) -> None:
        """OctoError if the shadow could not listen where it is to."""
        if self.listen and not self.is_running():
            shadow_process.bound(self.listen).close()

    def has_port(self) -> bool:
        try:
            self.try_port()
        except OctoError:
            return False
        return True

    def present(self, identity: Presentable) -> None:
        """Have it run, presenting ``identity``; OctoError if it does not start."""
        if self.is_running():
            return
        asked = shadow_process.question(self.listen, identity, self._record, self._run, LONGEST)
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(Path(__file__).resolve().parents[2])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for ansible-playbook, and the end of this task is not its end
        )
        with process.stdin as stdin, process.stdout as stdout:  # type: ignore[union-attr]
            with contextlib.suppress(BrokenPipeError):
                stdin.write(asked.encode("ascii"))
                stdin.close()
            ready, _writable, _failed = select.select([stdout], [], [], _START)
            said = stdout.readline().decode("utf-8", "replace").strip() if ready else ""
        process.wait()
        if said != shadow_process.READY:
            self.end()
            raise OctoError(said or f"The process of the shadow ({sys.executable}) did not start within {_START:.0f} s.")

    def end(self) -> None:
        """It ends by itself once its record is gone."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._record)


def shadow_of(given: Mapping[str, Any], run: int) -> Shadow | None:
    """From octopus_shadow; None if there is to be none. Its record lies in the folder that core makes for each run, and removes after it."""
    listen, address = str(given.get("listen") or "").strip(), str(given.get("address") or "").strip()
    if not listen and not address:
        return None
    parts = urlsplit(address)
    if parts.scheme.lower() != "https" or not parts.hostname or parts.path.strip("/") or parts.query or "@" in parts.netloc:
        raise OctoError(
            f"octopus_shadow.address is {address!r}. It is the address under which the Tentacles reach the shadow, such as"
            " https://controller.example.com:11943."
        )
    folder = str(C.DEFAULT_LOCAL_TMP)  # type: ignore[attr-defined]
    return Shadow(listen, address, os.path.join(folder, "octofleet.octopus.shadow"), run)
