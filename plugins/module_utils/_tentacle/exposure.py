# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Who else could get at a Tentacle's private key: the mode of its configuration, and the keys that its account's store still holds."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import FileStat, Host, iso
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle import configuration, readiness
from ansible_collections.octofleet.octopus.plugins.module_utils._tentacle.agent import Found, Subject

_NO_FILE = {"mode": None, "modified_at": None, "readable_by_others": None}
NOT_READ: Mapping[str, Any] = {"file": _NO_FILE, "key_copies": None, "newer_than_process": None}

_READ, _PASS = 0o004, 0o001  # what the mode of a file and of a folder gives to everybody
_KEY = ".pfx"


def row_of(host: Host, subject: Subject, found: Found) -> Dict[str, Any]:
    file = host.stat(subject.configuration)
    return {
        "file": _file(host, subject.configuration, file),
        "key_copies": _key_copies(host, subject, found),
        "newer_than_process": _is_newer(host, found, file),
    }


def _file(host: Host, path: str, file: Optional[FileStat]) -> Mapping[str, Any]:
    """The configuration as a file. Whoever can read it has the key, since what encrypts it is in everybody's reach (H-16, H-39)."""
    if file is None:
        return _NO_FILE
    known = file.mode >= 0
    return {
        "mode": f"{file.mode:04o}" if known else None,
        "modified_at": iso(file.mtime_ns),
        "readable_by_others": _is_open(host, path, file) if known else None,
    }


def _is_newer(host: Host, found: Found, file: Optional[FileStat]) -> Optional[bool]:
    started = found.service.started_monotonic_us
    return file.mtime_ns > host.wall_ns(started) if file is not None and found.service.pid and started else None


def _key_copies(host: Host, subject: Subject, found: Found) -> Optional[int]:
    """Keys in the store of the account that the service runs as, which the vendor only ever adds to (tentacle-cli.md 3.7).

    Those that other instances of the host use are no copies of this one's.
    """
    service = found.service
    folder = readiness.store_of(host, found) if service.pid or (service.known and not found.problem) else ""
    if not folder:
        return None
    try:
        keys = [name.upper() for name in host.names_in(folder) if name.lower().endswith(_KEY)]
        others = [_thumbprint_in(host, path) for path in subject.others] if len(keys) > 1 else []
    except OctoError:  # a folder of somebody else, for an account that may not look into it
        return None
    return sum(not name.startswith(tuple(filter(None, others))) for name in keys)


def _thumbprint_in(host: Host, path: str) -> str:
    """What another instance names as its own; "" if that cannot be told, and is its own row's matter."""
    try:
        data = host.read(path)
        return configuration.parse(path, data).get(configuration.THUMBPRINT).strip().upper() if data else ""
    except OctoError:
        return ""


def _is_open(host: Host, path: str, file: FileStat) -> bool:
    """To everybody: by the modes of the file and of its folder, the two that a person is told to set (H-16)."""
    folder = host.stat(host.paths.dirname(path))
    return bool(file.mode & _READ) and (folder is None or bool(folder.mode & _PASS))
