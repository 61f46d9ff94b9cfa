# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Host whose files are real and whose Octopus.Server is a dictionary with faults."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Completed, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import hand
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.hand import RemoteKeys
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.options import ARGUMENTS
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret

PASSWORD = "MARKER-backup-password-0123456789"
PFX_PASSWORD = "MARKER-pfx-password-0123456789"


@dataclass
class Vendor(PosixHost):
    """``faults``: no_effect, unreadable, silent (verbs that write no file), third (what every import but one of the first certificate installs)."""

    database: Identity
    made: list[Identity] = field(default_factory=list)
    faults: dict[str, Any] = field(default_factory=dict)
    container: Path | None = None
    calls: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(lock_parents=())
        self.first = self.database.thumbprint

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes | None = None,  # the port's signature
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,
        inherit_fds: Sequence[int] = (),
    ) -> Completed:
        argv = list(argv)
        self.calls.append(argv)
        if argv[0] == "cp-in":
            shutil.copyfile(argv[1], self._inside(argv[2]))
            return Completed(0, "", "")
        if argv[0] == "cp-out":
            shutil.copyfile(self._inside(argv[1]), argv[2])
            return Completed(0, "", "")
        return self._vendor(argv)

    def verbs(self) -> list[str]:
        return [argv[1] for argv in self.calls if argv[0] == "Octopus.Server"]

    def passwords(self) -> set[str]:
        return {argument.partition("=")[2] for argv in self.calls for argument in argv if argument.startswith("--pfx-password=")}

    def _inside(self, path: str) -> Path:
        if self.container is None:
            return Path(path)
        assert path.startswith("/tmp/octofleet-"), path
        return self.container / path.rpartition("/")[2]

    def _vendor(self, argv: list[str]) -> Completed:
        program, verb, *rest = argv
        options = dict(argument.partition("=")[::2] for argument in rest)
        assert (program, options["--instance"]) == ("Octopus.Server", "OctopusServer")
        assert "--console" in options
        password = Secret(options["--pfx-password"])
        if verb in self.faults.get("silent", ()):
            return Completed(1, f"Unrecognized command line arguments: --pfx-password={password.reveal()}", "")
        if verb == "import-certificate":
            data = self._inside(options["--from-file"]).read_bytes()
            self._import(_certificate.open_pfx(data, password))
            return Completed(0, "Certificate imported successfully.", "")
        if verb == "new-certificate":
            self.made.append(_certificate.make_server_certificate())
            return self._write(options["--export-pfx"], self.made[-1], password)
        assert verb == "export-certificate"
        if self.faults.get("unreadable") and "import-certificate" in self.verbs():
            self._inside(options["--export-pfx"]).write_bytes(b"garbage")
            return Completed(0, "", "")
        return self._write(options["--export-pfx"], self.database, password)

    def _import(self, wanted: Identity) -> None:
        if self.faults.get("no_effect"):
            return
        third = self.faults.get("third")
        self.database = third if third is not None and (wanted.thumbprint != self.first or self.faults.get("for_ever")) else wanted

    def _write(self, path: str, identity: Identity, password: Secret) -> Completed:
        self._inside(path).write_bytes(_certificate.write_pfx(identity, password))
        return Completed(0, f"The certificate has been written to {path}.", "")


@dataclass
class Wire:
    """Both ends of the module call without Ansible: everything becomes JSON on its way, and is recorded."""

    host: Vendor
    store: Path
    options: dict[str, Any] = field(default_factory=dict)
    sent: list[tuple[str, bool]] = field(default_factory=list)

    def keys(self) -> RemoteKeys:
        return RemoteKeys(self._call)

    def _call(self, args: Mapping[str, Any], secret: bool) -> Mapping[str, Any]:
        self.sent.append((json.dumps(args), secret))
        params = {name: option.get("default") for name, option in ARGUMENTS.items()}
        params.update(application="server", instance="OctopusServer", executable=["Octopus.Server"], store=str(self.store), **self.options)
        result: Mapping[str, Any] = json.loads(json.dumps(hand.answer(self.host, {**params, "hand": json.loads(json.dumps(args))})))
        return result
