# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of a Server that runs in a container, through the lab's container engine (decisions 30)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.octofleet.octopus.plugins.module_utils import _certificate
from ansible_collections.octofleet.octopus.plugins.module_utils._host import PosixHost
from ansible_collections.octofleet.octopus.plugins.module_utils._keys import holder
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.keeper import Keeper, Staging
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.store import Store
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.vendor import SERVER, VendorCli
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret
from ansible_collections.octofleet.octopus.plugins.module_utils._server.node import Copying, NodeKeys
from lab.fleet.builder import Fleet
from lab.fleet.spec import FleetSpec


def test_certificates_go_in_and_out_by_copies_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Fleet(FleetSpec(tentacles=1, container=True, root=tmp_path / "fleet")) as fleet:
        monkeypatch.setenv("PATH", fleet.env["PATH"])
        (node,) = yaml.safe_load(fleet.inventory.read_text())["all"]["children"]["octopus_server"]["hosts"].values()
        host = PosixHost(lock_parents=())
        cli = VendorCli(SERVER, node["octopus_server_executable"], node["octopus_server_instance"])
        copying = Copying(node["octopus_server_copy_in"], node["octopus_server_copy_out"])
        keeper = Keeper(NodeKeys(host, cli, Store(host, str(tmp_path / "store")), copying), holder.SERVER, Secret("a backup password"), host)
        old, wanted = fleet.server.certificate.thumbprint, _certificate.make_server_certificate()
        assert keeper.backed_up(old).changed
        assert keeper.staged(Staging(old, None, "pfx", lambda: wanted)).after == wanted.thumbprint
        assert keeper.active(wanted.thumbprint, old).changed
        assert not keeper.active(wanted.thumbprint, old).changed
        left = list(fleet.root.glob("containers/*/rootfs/tmp/octofleet-*"))
        assert len(left) == 5
        assert all(path.stat().st_size == 0 for path in left)
