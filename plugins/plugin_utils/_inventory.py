# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""What the inventory says, and what this run's tasks registered, of one host after the other; nothing here concludes anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.octofleet.octopus.plugins.module_utils._fleet import edges as fleet

# Registered by the role's tasks; the latest visit of a host is the one that counts.
VISITS = ("octopus_removal", "octopus_visit", "octopus_reading")
NODE_PORT = 10943
_MARKS_OF_A_TEMPLATE = ("{{", "{%", "{#")


@dataclass(frozen=True)
class Inventory:
    """Read through hostvars, so that every value is templated for its own host."""

    hostvars: Mapping[str, Mapping[str, Any]]
    tentacles: Sequence[str]
    servers: Sequence[str]
    _met: dict[str, Mapping[str, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, host: str, variable: str) -> Any:
        """None where the host or the variable is not there."""
        if host not in self._met:
            # All variables of a host are put together at each access, a quarter of a millisecond, and a gate asks for ten of every host.
            self._met[host] = self._raw(host)
        value = self._met[host].get(variable)
        # Templating a reading takes as long again, to find nothing to be templated in it.
        return value if _is_plain(value) else self.hostvars[host][variable]

    def hosts(self) -> list[fleet.InventoryHost]:
        return [fleet.InventoryHost(host, tuple(dict.fromkeys(self._addresses(host)))) for host in self.tentacles]

    def node_endpoint(self, host: str) -> str:
        return str(self.of(host, "octopus_node_endpoint") or fleet.address_of(str(self.of(host, "ansible_host") or host), NODE_PORT))

    def visits(self, host: str) -> list[fleet.Visit]:
        """All of this run, the latest first; one that was skipped if there was none."""
        found = [self.of(host, name) for name in VISITS]
        made = [result for result in found if result and not result.get("skipped")]
        return [fleet.visit_of(host, result, float(result.get("observed_at") or 0.0)) for result in made] or [fleet.visit_of(host, None, 0.0)]

    def _addresses(self, host: str) -> Iterable[str]:
        given = self.of(host, "octopus_addresses") or ()
        yield from map(str, [given] if isinstance(given, str) else given)
        yield str(self.of(host, "ansible_host") or host)
        yield host

    def _raw(self, host: str) -> Mapping[str, Any]:
        if host not in self.hostvars:
            return {}
        raw_get = getattr(self.hostvars, "raw_get", self.hostvars.__getitem__)  # ansible-core's; any mapping does
        found: Mapping[str, Any] = raw_get(host)
        return found


def _is_plain(value: Any) -> bool:
    """Whether templating would leave it as it is: no template anywhere, and nothing that has to be decrypted first."""
    if isinstance(value, str):
        return not any(mark in value for mark in _MARKS_OF_A_TEMPLATE)
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float))
