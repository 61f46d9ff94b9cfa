# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host's variables say: as ansible-core's own hostvars has them, templated and decrypted, and without that where there is nothing to template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_collections.octofleet.octopus.plugins.plugin_utils._inventory import Inventory

READING = {"changed": False, "instances": [{"instance": "Tentacle", "reason": "", "listening": {"enabled": True, "port": 10933, "ip": None}}]}
VARIABLES = """
all:
  vars:
    domain: example.com
  hosts:
    web-01:
      ansible_host: "{{ inventory_hostname }}.{{ domain }}"
      octopus_addresses: ["10.0.0.7", "{{ ansible_host }}"]
      octopus_reading: {instances: [{instance: "{{ 'Tent' ~ 'acle' }}"}]}
      half_open: "{% if domain is defined %}yes{% endif %}"
      number: 7
    web-02:
      ansible_host: 10.0.0.8
"""


@pytest.fixture
def hostvars(tmp_path: Path) -> HostVars:
    file = tmp_path / "inventory.yml"
    file.write_text(VARIABLES)
    loader = DataLoader()
    inventory = InventoryManager(loader, [str(file)])
    variables = VariableManager(loader, inventory)
    variables.set_nonpersistent_facts("web-02", {"octopus_reading": READING})
    return HostVars(inventory, variables, loader)


class Counted(Mapping[str, Any]):
    """hostvars, and how often they were asked to template a host's."""

    def __init__(self, hostvars: HostVars) -> None:
        self._hostvars = hostvars
        self.raw_get = hostvars.raw_get
        self.templated = 0

    def __getitem__(self, host: str) -> Any:
        self.templated += 1
        return self._hostvars[host]

    def __contains__(self, host: object) -> bool:
        return host in self._hostvars

    def __iter__(self) -> Any:
        return iter(self._hostvars)

    def __len__(self) -> int:
        return len(self._hostvars)


@pytest.mark.parametrize(
    ("host", "variable", "value"),
    [
        ("web-01", "ansible_host", "web-01.example.com"),
        ("web-01", "octopus_addresses", ["10.0.0.7", "web-01.example.com"]),
        ("web-01", "octopus_reading", {"instances": [{"instance": "Tentacle"}]}),
        ("web-01", "half_open", "yes"),
    ],
)
def test_what_has_a_template_is_read_as_ansible_reads_it(hostvars: HostVars, host: str, variable: str, value: object) -> None:
    assert Inventory(hostvars, [host], []).of(host, variable) == hostvars[host][variable] == value


@pytest.mark.parametrize(
    ("host", "variable", "value"), [("web-02", "octopus_reading", READING), ("web-02", "ansible_host", "10.0.0.8"), ("web-01", "number", 7)]
)
def test_what_has_none_is_not_templated_at_all(hostvars: HostVars, host: str, variable: str, value: object) -> None:
    counted = Counted(hostvars)
    assert Inventory(counted, [host], []).of(host, variable) == value
    assert counted.templated == 0


def test_what_is_encrypted_is_not_taken_as_it_lies_there() -> None:
    class Encrypted:
        """As ansible-core has a vaulted value before it is templated: no str."""

    class HostVars(dict[str, Any]):
        def raw_get(self, host: str) -> dict[str, Any]:
            return {"octopus_addresses": ["10.0.0.7", Encrypted()]}

    assert Inventory(HostVars(db={"octopus_addresses": ["10.0.0.7", "10.0.0.8"]}), ["db"], []).of("db", "octopus_addresses") == [
        "10.0.0.7",
        "10.0.0.8",
    ]


@pytest.mark.parametrize(("host", "variable"), [("web-01", "octopus_reading_of_nobody"), ("nobody", "ansible_host")])
def test_what_is_not_there_is_none(hostvars: HostVars, host: str, variable: str) -> None:
    assert Inventory(hostvars, [host], []).of(host, variable) is None
    assert Inventory({"web-01": {}}, [host], []).of(host, variable) is None


def test_the_addresses_of_a_host_are_all_by_which_a_server_may_know_it(hostvars: HostVars) -> None:
    (host,) = Inventory(hostvars, ["web-01"], []).hosts()
    assert host.addresses == ("10.0.0.7", "web-01.example.com", "web-01")


def test_addresses_given_as_text_are_one_address() -> None:
    (host,) = Inventory({"web-01": {"octopus_addresses": "10.0.0.7"}}, ["web-01"], []).hosts()
    assert host.addresses == ("10.0.0.7", "web-01")
