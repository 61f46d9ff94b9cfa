# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""agent, also called run: the identity first, then the transport (tentacle-cli.md 5.1)."""

from __future__ import annotations

from lab.tentacle.commands.base import Command
from lab.tentacle.errors import Failure
from lab.tentacle.keys import Certificate


class RunAgentCommand(Command):
    """Serve until told to stop."""

    def start(self) -> int:
        try:
            self._identity()
        except Failure as failure:
            if failure.kind != "System.Security.Cryptography.CryptographicException":
                raise
            return self._stay_without_listening(failure)
        from lab.tentacle import agent

        context = self.context
        return agent.run(context.configuration, context.settings, context.log, context.noninteractive)

    def _identity(self) -> None:
        """The configured certificate; without one a new one is made, stored and served."""
        configuration, log = self.context.configuration, self.context.log
        if configuration.certificate() is not None or not self.context.settings.quirk("agent_makes_identity"):
            return
        from lab.wire.certificates import make_certificate

        certificate = Certificate.of(make_certificate("Octopus Tentacle"))
        configuration.set_certificate(certificate)
        log.info("A new certificate has been generated and installed as none were yet available. Thumbprint:")
        log.info(certificate.thumbprint)

    def _stay_without_listening(self, failure: Failure) -> int:
        """The service is active and dead: the process waits for its end, as a systemd unit for ever (measured-tentacle.md 11)."""
        from lab.tentacle import agent

        self.context.log.error(
            "The owner of the x509stores is not the current user, please change ownership of the x509stores directory or run with sudo. "
            f"Details: {failure.message}"
        )
        return agent.wait_for_end(self.context.noninteractive, self.context.settings.quirk)
