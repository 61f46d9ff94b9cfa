# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is never asked of the vendor's programs cannot go wrong: the verbs and options that the product knows are these, and no others.

A new one means that its hazards are looked up in tests/HAZARDS.md, where some rows say that they cannot arise because of this.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
TENTACLE = (
    "agent checkservices clear-trusted-servers configure create-instance delete-instance deregister-from deregister-worker extract import-certificate"
    " list-instances livez new-certificate poll-server polling-proxy proxy register-k8s-cluster register-k8s-worker register-with register-worker run"
    " server-comms service set-polling-connection-count show-configuration show-thumbprint update-trust version watchdog"
)
SERVER = (
    "admin builtin-worker checkservices configure create-instance database delete-instance export-certificate import-certificate license list-instances"
    " lost-master-key metrics new-certificate node path proxy rate-limiting-policy regenerate-certificate rotate-master-key run service set-master-key"
    " show-configuration show-master-key show-thumbprint ssl-certificate version watchdog"
)
# Words that mean something else in most places; none of them writes a certificate or a pin.
ORDINARY = {"admin", "agent", "database", "license", "metrics", "node", "path", "proxy", "run", "service", "version"}
OPTION = re.compile(r"--([A-Za-z][A-Za-z-]+)(?==|\Z)")
NOT_PASSED_ON = {"limit", "pw"}  # said of Ansible; and hidden when somebody else passes it


@cache
def constants() -> frozenset[str]:
    """Every text of the product, the fixed parts of composed ones too."""
    nodes = (node for file in PLUGINS.rglob("*.py") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    return frozenset(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


def test_these_verbs_are_all() -> None:
    verbs = {*TENTACLE.split(), *SERVER.split()} - ORDINARY
    assert verbs & constants() == {"configure", "export-certificate", "import-certificate", "new-certificate", "update-trust"}


def test_these_options_are_all() -> None:
    """Not --reset-trust, --replace and --from-base64, which do more than is asked for or tell more than is safe."""
    options = {match.group(1) for match in map(OPTION.match, constants()) if match}
    of_certificates = {"console", "export-pfx", "from-file", "instance", "pfx-password"}
    of_trust = {"newThumbprint", "oldThumbprint", "remove-trust", "trust"}
    assert options - NOT_PASSED_ON == of_certificates | of_trust
