# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Which Tentacle instances a host has: the instance index, read as files (contracts/tentacle-cli.md 1.6, 3.2)."""

from __future__ import annotations

import json
from typing import Any, List, NamedTuple, Optional, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Host

DEFAULT_HOME = "/etc/octopus"
HOME_VARIABLE = "TentacleMachineConfigurationHomeDirectory"  # the vendor's own (tentacle-cli.md 1.8)
ALL = "*"


class IndexEntry(NamedTuple):
    """A file of the index. With a ``code`` it could not be read, and ``instance`` is the file's name."""

    instance: str
    configuration: str
    code: str = ""
    reason: str = ""


def read_index(host: Host, home: str = DEFAULT_HOME) -> List[IndexEntry]:
    """Every file of the index, whatever its extension, sorted by the instance's name."""
    folder = folder_of(host, home)
    found = [_entry(host, folder, name) for name in host.names_in(folder)]
    entries = [entry for entry in found if entry is not None]
    known = {entry.instance for entry in entries}
    entries += (IndexEntry(instance, path) for instance, path in host.unindexed() if instance not in known)
    return sorted(entries, key=lambda entry: (entry.instance.lower(), entry.instance))


def folder_of(host: Host, home: str) -> str:
    return str(host.paths.join(home, "Tentacle", "Instances"))


def select(entries: Sequence[IndexEntry], instance: str, home: str = DEFAULT_HOME) -> List[IndexEntry]:
    """The entries that ``instance`` asks for; one that is not there is an entry with a reason, never an empty answer."""
    if instance == ALL:
        return list(entries)
    if not instance.strip():
        # The vendor's tool would silently take another instance (H-09).
        reason = 'The name of the instance is blank. Give its name, or "*" for all instances of the host.'
        return [IndexEntry(instance, "", "INSTANCE_UNKNOWN", reason)]
    same = [entry for entry in entries if entry.instance.lower() == instance.lower()]
    exact = [entry for entry in same if entry.instance == instance]
    if len(same) == 1 or exact:
        return (exact or same)[:1]
    names = ", ".join(entry.instance for entry in entries) or "none"
    what = "could be any of several that differ in case only" if same else "is not configured on this host"
    reason = f"The Tentacle instance {instance} {what} (the instance index under {home} has: {names})."
    return [IndexEntry(instance, "", "INSTANCE_UNKNOWN", reason)]


def names_of(entries: Sequence[IndexEntry], host: Host, configuration: str) -> List[str]:
    """Every instance name that leads to the same configuration file: two may share one (tentacle-cli.md 2.8)."""
    return [entry.instance for entry in entries if entry.configuration and is_same(host, entry.configuration, configuration)]


def is_same(host: Host, one: str, other: str) -> bool:
    """Whether two paths lead to the same file."""
    return bool(host.paths.normcase(host.resolve(one)) == host.paths.normcase(host.resolve(other)))


def _entry(host: Host, folder: str, file: str) -> Optional[IndexEntry]:
    path = host.paths.join(folder, file)
    try:
        data = host.read(path)
        if data is None:  # a folder, or gone meanwhile
            return None
        fields = _fields(json.loads(data.decode("utf-8-sig")))
        return IndexEntry(str(fields["name"]), str(fields["configurationfilepath"]))
    except OctoError as error:
        return IndexEntry(file, "", "INDEX_UNREADABLE", error.message)
    except (ValueError, KeyError, TypeError):
        reason = f"The file {path} of the instance index is not what the vendor writes there; its own commands fail on it, too (H-32). Move it away."
        return IndexEntry(file, "", "INDEX_UNREADABLE", reason)


def _fields(value: Any) -> Any:
    fields = {str(name).lower(): field for name, field in value.items()} if isinstance(value, dict) else {}
    if not (isinstance(fields.get("name"), str) and isinstance(fields.get("configurationfilepath"), str)):
        raise ValueError("no name or no path")
    return fields
