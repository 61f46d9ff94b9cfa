# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection; may change at any time.

"""Command lines about certificates, which Octopus.Server and Tentacle share. Built, never parsed: what a command did is read from files."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence

from ansible_collections.octofleet.octopus.plugins.module_utils._errors import OctoError
from ansible_collections.octofleet.octopus.plugins.module_utils._host import Completed
from ansible_collections.octofleet.octopus.plugins.module_utils._secrets import HIDDEN, Secret

SERVER, TENTACLE = "Octopus.Server", "Tentacle"

_ENOUGH = 300  # characters of what a command said, for a person
_RULER = re.compile(r"[=-]{9,}")


class VendorCli(NamedTuple):
    program: str  # for sentences
    executable: Sequence[str]  # the program, and what reaches it: ["docker", "exec", "octopus", "/Octopus/Octopus.Server"] (decisions 30)
    instance: str

    def export_certificate(self, path: str, password: Secret) -> List[str]:
        """The one that is in use, which Octopus.Server alone can give (H-20)."""
        return self._command("export-certificate", self._option("--export-pfx", path), self._password(password))

    def new_certificate(self, path: str, password: Secret) -> List[str]:
        """Makes a certificate into a file; the active one is not touched. ``--replace`` is never given (octopus-server 6, no. 1)."""
        return self._command("new-certificate", self._option("--export-pfx", path), self._password(password))

    def import_certificate(self, path: str, password: Secret) -> List[str]:
        return self._command("import-certificate", self._option("--from-file", path), self._password(password))

    def _command(self, verb: str, *options: str) -> List[str]:
        # Without --console the program may try to run as a service (no. 41); without --instance it may choose another one (no. 42, H-10).
        return [*self.executable, verb, self._option("--instance", self.instance), "--console", *options]

    def _password(self, password: Secret) -> str:
        return self._option("--pfx-password", password.reveal())

    def _option(self, name: str, value: str) -> str:
        """``--name=value`` in one word; a blank value would count as not given, and a new-certificate without its file replaces the live one (H-20)."""
        if not value.strip():
            raise OctoError(f"{self.program} would have been started with a blank {name}. Give it a value.")
        return f"{name}={value}"


def said(completed: Completed, *hidden: Secret) -> str:
    """The end of what a command printed and the beginning of its complaint, as one line without the passwords that they may repeat.

    Behind the beginning of a complaint come a stack trace and an address of the vendor (tentacle-cli 1.4).
    """
    printed, complaint = completed.stdout, _RULER.sub(" ", completed.stderr)
    for secret in hidden:
        printed, complaint = printed.replace(secret.reveal(), HIDDEN), complaint.replace(secret.reveal(), HIDDEN)
    return f"{_end(' '.join(printed.split()))} {' '.join(complaint.split())[:_ENOUGH]}".strip() or "nothing."


def _end(text: str) -> str:
    """Whole words only."""
    return text if len(text) <= _ENOUGH else f"… {text[-_ENOUGH:].partition(' ')[2]}"
