# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""show-thumbprint and show-configuration (tentacle-cli.md 2.3, 2.4)."""

from __future__ import annotations

import json
import os
from typing import ClassVar

from lab.tentacle.commands.base import Command
from lab.tentacle.commands.instances import output_format
from lab.tentacle.errors import Failure, of_os_error

_SPACE = (
    "The space from which the server data configuration will be retrieved for, - e.g. 'Finance Department' where Finance Department is the "
    "name of an existing space. The default space will be used by default if no space is specified."
)


class ShowThumbprintCommand(Command):
    """Print the thumbprint, without a newline. Loads the certificate for it."""

    suppresses_console: ClassVar[bool] = True

    def declare(self) -> None:
        self.value("e|export-file=", "Exports the Tentacle thumbprint to a file")
        self.switch("thumbprint-only", "DEPRECATED: Only print out the thumbprint, with no additional text")
        self.value("format=", "The format of the output (text,json). Defaults to text.")

    def start(self) -> int:
        as_json = output_format(self.last("format")) == "json"
        certificate = self.context.configuration.certificate()
        thumbprint = certificate.thumbprint if certificate is not None else None
        file = self.last("export-file")
        if file:
            _write(self.context.world.absolute(file), thumbprint or "")
            self.context.log.info(f"The thumbprint of this Tentacle was written to {file}")
        elif as_json:
            self.context.write(json.dumps({"Thumbprint": thumbprint}, separators=(",", ":")))
        else:
            newline = "" if self.context.settings.quirk("thumbprint_without_newline") else "\n"
            self.context.write((thumbprint or "") + newline)
        return 0


class ShowConfigurationCommand(Command):
    """Print the configuration as indented JSON; never the key, but the certificate is loaded all the same."""

    suppresses_console: ClassVar[bool] = True

    def declare(self) -> None:
        self.value("file=", "Exports the server configuration to a file. If not specified output goes to the console")
        self.value("space=", _SPACE)

    def start(self) -> int:
        text = json.dumps(self._described(), indent=2, ensure_ascii=False)
        file = self.last("file")
        if not file:
            self.context.write(text + "\n")
            return 0
        self._require_drive(file)
        _write(self.context.world.absolute(file), text)
        return 0

    def _require_drive(self, file: str) -> None:
        """The check of free space asks for the drive of the file itself, so on Linux the file must be there already."""
        if not self.context.settings.quirk("show_file_must_exist"):
            return
        if not os.path.dirname(file):
            raise Failure("The path is empty. (Parameter 'path')", "System.ArgumentException")
        if not os.path.exists(self.context.world.absolute(file)):
            text = f"Could not find the drive '{file}'. The drive might not be ready or might not be mapped."
            raise Failure(text, "System.IO.DriveNotFoundException")

    def _described(self) -> dict[str, object]:
        configuration = self.context.configuration
        certificate = configuration.certificate()
        return {
            "Octopus": {
                "Home": str(configuration.home) if configuration.home else None,
                "Watchdog": {"Enabled": False, "Instances": "*", "Interval": 0},
            },
            "Tentacle": {
                "CertificateThumbprint": certificate.thumbprint if certificate is not None else None,
                "Communication": {
                    "PollingConnectionCount": configuration.polling_connection_count,
                    "TrustedOctopusServers": [entry.as_json() for entry in configuration.trusted_servers],
                },
                "Deployment": {"ApplicationDirectory": configuration.application_directory},
                "Services": {
                    "ListenIP": configuration.listen_ip,
                    "NoListen": configuration.no_listen,
                    "PortNumber": configuration.port,
                },
            },
        }


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise of_os_error(error, path) from error
