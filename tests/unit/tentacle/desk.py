# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A controller and a Tentacle's host, the vendor's stand-in on it, and the module calls between the two: for the tests of its certificate."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Completed, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import hand, holder, opening
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.hand import RemoteKeys
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.keeper import Keeper, Outcome, Staging
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.options import ARGUMENTS
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.port import Encrypted
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, machinekey
from lab.tentacle.configuration import CERTIFICATE, THUMBPRINT
from lab.wire.certificates import Keypair, to_pfx
from unit.tentacle.doubles import OLD
from unit.tentacle.workbench import ONE, TWO, Workbench

PASSWORD = "MARKER-backup-password-0123456789"


class Bench(Workbench):
    """``afterwards`` happens right after a command of the vendor, before anybody reads what it did."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.afterwards: Callable[[], None] = lambda: None
        self.ways: list[tuple[Mapping[str, str], int]] = []

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,
        inherit_fds: Sequence[int] = (),
    ) -> Completed:
        done = super().run(argv, stdin, env, timeout, inherit_fds)
        if argv[0] == "Tentacle":
            self.ways.append((dict(env or {}), len([os.fstat(descriptor) for descriptor in inherit_fds])))
            self.afterwards()
        return done


class Desk:
    """A controller, a Tentacle's host, and the module calls between them, in which everything becomes JSON and is kept."""

    def __init__(self, root: Path) -> None:
        self.bench = Bench(root / "host")
        self.bench.trusts(OLD)
        self.root, self.store, self.copies = root, root / "store", root / "copies"
        self.sent: list[tuple[str, bool]] = []

    def keys(self, name: str = "T1") -> RemoteKeys:
        def call(asked: Mapping[str, Any], secret: bool) -> Mapping[str, Any]:
            self.sent.append((json.dumps(asked), secret))
            installation = self.bench.installation
            params = {option: spec.get("default") for option, spec in ARGUMENTS.items()} | {
                "application": "tentacle",
                "instance": name,
                "store": str(self.store),
                "executable": list(installation.executable),
                "machine_configuration_home": installation.home,
                "machine_id_file": installation.machine_id_file,
                "hand": json.loads(json.dumps(asked)),
            }
            found: Mapping[str, Any] = json.loads(json.dumps(hand.answer(self.bench, params, self.bench.time.clock)))
            return found

        return RemoteKeys(call)

    def row(self, name: str = "T1") -> Mapping[str, Any]:
        (found,) = self.keys(name).instances()
        return found

    def keeper(self, name: str = "T1", *, check: bool = False, copies: bool = False, password: str = PASSWORD) -> Keeper:
        row = self.row(name)
        of = holder.tentacle(name, row["configuration"], row["thumbprint"])
        folder = str(self.copies) if copies else None
        return Keeper(self.keys(name), of, Secret(password), PosixHost(lock_parents=()), folder, check)

    def backed_up(self, thumbprint: str | None = None, **keeper: Any) -> Outcome:
        return self.keeper(**keeper).backed_up(thumbprint or self.row()["thumbprint"])

    def staged(
        self, offer: Identity | None = None, source: str = "vendor", adopt: str | None = None, replaces: Keypair = ONE, **keeper: Any
    ) -> Outcome:
        def offered() -> Identity:
            assert offer is not None, "the user's PFX was read although nothing needed it"
            return offer

        return self.keeper(**keeper).staged(Staging(replaces.thumbprint, adopt, "pfx" if offer else source, offered))

    def ready(self) -> Desk:
        """ONE is backed up, TWO is staged in its place."""
        self.backed_up()
        self.staged(identity_of(TWO))
        return self

    def active(self, new: Keypair = TWO, old: Keypair = ONE, **keeper: Any) -> Outcome:
        return self.keeper(**keeper).active(new.thumbprint, old.thumbprint)

    def verbs(self) -> list[str]:
        return [argv[1] for argv in self.bench.calls if argv[0] == "Tentacle"]

    def identity(self, name: str = "T1") -> tuple[str | None, str]:
        """What the configuration says, and what is in it."""
        stored = self.bench.vendor.configuration(name)
        settings = configuration.parse("", Path(stored.path).read_bytes())
        text = settings.get(configuration.CERTIFICATE)
        key = machinekey.opening(self.bench, text, self.bench.installation.machine_id_file)
        assert key is not None
        return stored.thumbprint, opening.opened(Encrypted(text, Secret(key.spelled()), str(stored.thumbprint)), "it").thumbprint

    def others(self) -> list[tuple[str, str]]:
        settings = configuration.parse("", self.bench.vendor.path().read_bytes())
        return [(one.key, one.value) for one in settings.settings if one.key not in (CERTIFICATE, THUMBPRINT)]

    def stored(self) -> list[str]:
        return sorted(path.name for path in self.store.glob("*")) if self.store.exists() else []

    def copied(self) -> list[Path]:
        return sorted(self.bench.vendor.path().parent.glob("*.bak"))


def identity_of(keypair: Keypair) -> Identity:
    return _certificate.open_pfx(to_pfx(keypair, None), None)
