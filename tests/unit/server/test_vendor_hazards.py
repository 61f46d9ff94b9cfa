# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Octopus.Server's own commands make of a certificate, and what the keeper gives them instead: the hazard itself, and that it is met.

`make proof` switches each quirk of the stand-in off and expects the test that is about it to fail (tests/proof).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._certificate import Identity
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut import probe
from ansible_collections.octofleet.octopus.plugins.module_utils._halibut.endpoint import parse
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Completed, PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import holder
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.keeper import Keeper, Staging
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Store
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.vendor import SERVER, VendorCli
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._server.node import NodeKeys
from lab.wire.certificates import make_certificate, to_pfx
from unit.lab.server_trial import NEW, OLD, Trial

PASSWORD = "of the user"
CA = make_certificate("Our CA")
LEAF = make_certificate("Octopus Portal", issuer=CA)


class Controller(PosixHost):
    """A host on which Octopus.Server runs inside this process."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(lock_parents=())
        self.trial = trial

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120.0,
        inherit_fds: Sequence[int] = (),
    ) -> Completed:
        return Completed(*self.trial.cli(*argv[1:], instance=None))


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    made = Trial(tmp_path)
    yield made
    made.close()


def adopt(trial: Trial, offered: Identity) -> None:
    """Stage the user's certificate and make it the Server's."""
    host = Controller(trial)
    keeper = Keeper(
        NodeKeys(host, VendorCli(SERVER, ["Octopus.Server"], "node-1"), Store(host, str(trial.folder / "store"))),
        holder.SERVER,
        Secret("of the store"),
        host,
    )
    keeper.backed_up(OLD.thumbprint)
    staged = keeper.staged(Staging(OLD.thumbprint, None, "pfx", lambda: offered))
    assert staged.identity is not None
    keeper.active(staged.identity.thumbprint, OLD.thumbprint)


def as_it_is(trial: Trial, data: bytes, password: str) -> int:
    """The exit code of an import of the user's own file."""
    file = trial.folder / "user.pfx"
    file.write_bytes(data)
    return trial.cli("import-certificate", f"--from-file={file}", f"--pfx-password={password}").code


def test_a_chain_is_stripped_before_the_tool_takes_its_ca(trial: Trial) -> None:
    chain = to_pfx(LEAF, PASSWORD, [CA])
    assert as_it_is(trial, chain, PASSWORD) == 100
    adopt(trial, _certificate.open_pfx(chain, Secret(PASSWORD)))
    assert trial.database.certificate().thumbprint == LEAF.thumbprint


def test_a_file_without_a_password_gets_one(trial: Trial) -> None:
    """The tool takes a password for a file that has none as a wrong one; ours always has one of a single use."""
    bare = to_pfx(NEW, None)
    assert as_it_is(trial, bare, PASSWORD) == 100
    adopt(trial, _certificate.open_pfx(bare, None))
    assert trial.database.certificate().thumbprint == NEW.thumbprint


def test_a_weak_key_is_refused_before_the_tool_takes_it(trial: Trial) -> None:
    weak = to_pfx(make_certificate("Octopus Portal", 1024), PASSWORD)
    with pytest.raises(OctoError, match="2048"):
        adopt(trial, _certificate.open_pfx(weak, Secret(PASSWORD)))
    assert trial.database.certificate().thumbprint == OLD.thumbprint
    assert as_it_is(trial, weak, PASSWORD) == 0


def test_an_import_is_no_switch_until_the_node_has_restarted(trial: Trial) -> None:
    """What a node presents is asked on the wire: its database alone says nothing of it."""
    node = trial.start()
    adopt(trial, _certificate.open_pfx(to_pfx(NEW, PASSWORD), Secret(PASSWORD)))
    assert presented(node.comms_port) == OLD.thumbprint
    trial.stop()
    assert presented(trial.start().comms_port) == NEW.thumbprint


def presented(port: int) -> str | None:
    (sight,) = probe.sweep([parse(f"127.0.0.1:{port}")], [], probe.Limits())
    return sight.thumbprint
