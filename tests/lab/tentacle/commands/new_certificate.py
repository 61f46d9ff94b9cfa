# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""new-certificate (tentacle-cli.md 2.1, 4)."""

from __future__ import annotations

import base64

from lab.tentacle.commands.base import Command
from lab.tentacle.errors import Controlled, of_os_error
from lab.tentacle.keys import Certificate

_EXPORTS = (
    "Exports a new certificate to the specified file as {}, but does not save it to the Tentacle configuration; for use with the "
    "import-certificate command"
)
_CONFLICT = "Invalid command: --{} and --{} cannot be specified together"


class NewCertificateCommand(Command):
    """Make an identity, into the configuration or, leaving that alone, into a file."""

    def declare(self) -> None:
        self.switch("b|if-blank", "Generates a new certificate only if there is none")
        self.value("e|export-file=", _EXPORTS.format("unprotected base64 text"))
        self.value("export-pfx=", _EXPORTS.format("a PFX"))
        self.value("pfx-password=", "The password to use for the exported pfx file", sensitive=True)

    def start(self) -> int:
        blank_only, text_file, pfx_file = "if-blank" in self.switched, self.last("export-file"), self.last("export-pfx")
        self._refuse_conflicts(blank_only, text_file, pfx_file)
        if text_file:
            certificate = _generated()
            return self._export(text_file, certificate, b"\xef\xbb\xbf" + base64.b64encode(certificate.to_pfx()))
        if pfx_file:
            certificate = _generated()
            return self._export(pfx_file, certificate, certificate.to_pfx(self.last("pfx-password")))
        return self._install(blank_only)

    def _refuse_conflicts(self, blank_only: bool, text_file: str, pfx_file: str) -> None:
        if blank_only and text_file:
            raise Controlled(_CONFLICT.format("if-blank", "export-file"))
        if blank_only and pfx_file:
            raise Controlled(_CONFLICT.format("if-blank", "export-pfx"))
        if text_file and pfx_file:
            raise Controlled(_CONFLICT.format("export-file", "export-pfx"))
        blank = bool(self.given.keys() & {"export-file", "export-pfx"}) and not (text_file or pfx_file)
        if blank and not self.context.settings.quirk("blank_export_replaces_identity"):
            raise Controlled("Please specify the file to export the certificate to.")

    def _install(self, blank_only: bool) -> int:
        configuration = self.context.configuration
        keep = blank_only or not self.context.settings.quirk("new_certificate_overwrites")
        if keep and configuration.certificate() is not None:
            self.context.log.info("A certificate already exists, no changes will be applied.")
            return 0
        certificate = _generated()
        with configuration.store.steps():
            configuration.set_certificate(certificate)
        self.context.vote_restart()
        self.context.log.info("A new certificate has been generated and installed. Thumbprint:")
        self.context.log.info(certificate.thumbprint)
        return 0

    def _export(self, file: str, certificate: Certificate, data: bytes) -> int:
        path = self.context.world.absolute(file)
        try:
            with open(path, "wb") as target:
                target.write(data)
        except OSError as error:
            raise of_os_error(error, path) from error
        self.context.log.info(f"A new certificate has been generated and written to {file}. Thumbprint:")
        self.context.log.info(certificate.thumbprint)
        return 0


def _generated() -> Certificate:
    from lab.wire.certificates import make_certificate

    return Certificate.of(make_certificate("Octopus Tentacle"))
