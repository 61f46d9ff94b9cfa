# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Command lines as the contract wants them, and none that could replace a live certificate."""

from __future__ import annotations

import pytest
from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._keys.vendor import SERVER, VendorCli
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret

CLI = VendorCli(SERVER, ["docker", "exec", "octopus", "/Octopus/Octopus.Server"], "Octopus Server 2")
REACHES = ["docker", "exec", "octopus", "/Octopus/Octopus.Server"]


def test_every_command_names_its_instance_and_stays_on_the_console() -> None:
    once = Secret("oneuse")
    instance = ["--instance=Octopus Server 2", "--console"]
    written = ["--export-pfx=/t/c.pfx", "--pfx-password=oneuse"]
    assert CLI.export_certificate("/t/c.pfx", once) == [*REACHES, "export-certificate", *instance, *written]
    assert CLI.new_certificate("/t/c.pfx", once) == [*REACHES, "new-certificate", *instance, *written]
    assert CLI.import_certificate("/t/c.pfx", once) == [*REACHES, "import-certificate", *instance, "--from-file=/t/c.pfx", "--pfx-password=oneuse"]


@pytest.mark.parametrize(("instance", "path", "password"), [("", "/t/c.pfx", "x"), ("I", " ", "x"), ("I", "/t/c.pfx", "")])
def test_a_blank_value_is_never_passed_on(instance: str, path: str, password: str) -> None:
    with pytest.raises(OctoError, match="blank"):
        VendorCli(SERVER, ["x"], instance).new_certificate(path, Secret(password))
