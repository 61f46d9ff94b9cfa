# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Command lines of ``Octopus.Server``, built and never parsed: what a command did is read from files (octopus-server 1.3)."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import Secret


class ServerCli(NamedTuple):
    executable: Sequence[str]  # the program, and what reaches it: ["docker", "exec", "octopus", "/Octopus/Octopus.Server"] (decisions 30)
    instance: str

    def export_certificate(self, path: str, password: Secret) -> List[str]:
        return self._command("export-certificate", _option("--export-pfx", path), _option("--pfx-password", password.reveal()))

    def new_certificate(self, path: str, password: Secret) -> List[str]:
        """Makes a certificate into a file; the active one is not touched. ``--replace`` is never given (hazard 1)."""
        return self._command("new-certificate", _option("--export-pfx", path), _option("--pfx-password", password.reveal()))

    def import_certificate(self, path: str, password: Secret) -> List[str]:
        return self._command("import-certificate", _option("--from-file", path), _option("--pfx-password", password.reveal()))

    def _command(self, verb: str, *options: str) -> List[str]:
        # Without --console the program may try to run as a service (hazard 41); without --instance it may choose another one (42).
        return [*self.executable, verb, _option("--instance", self.instance), "--console", *options]


def _option(name: str, value: str) -> str:
    """``--name=value``; a blank value would count as not given, and a new-certificate without its file replaces the live one (tentacle-cli 2.1)."""
    if not value.strip():
        raise OctoError(f"Octopus.Server would have been started with a blank {name}. Give it a value.")
    return f"{name}={value}"
