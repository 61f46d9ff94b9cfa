# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""create-instance, delete-instance, list-instances (tentacle-cli.md 2.8)."""

from __future__ import annotations

import getpass
import json
import os
from typing import ClassVar

from lab.tentacle import index
from lab.tentacle.commands.base import Command
from lab.tentacle.configuration import HOME, TentacleConfiguration
from lab.tentacle.errors import Controlled, of_os_error
from lab.tentacle.xml_store import INITIAL


class CreateInstanceCommand(Command):
    """Make an empty configuration, register it, set its home directory."""

    needs_instance: ClassVar[bool] = False

    def declare(self) -> None:
        self.value("home=", "Path to the home directory")

    def start(self) -> int:
        loaded = self._loaded()
        name, home = self.last("instance"), self.last("home")
        configuration, registered = self._configuration_path(home), bool(name or self.last("config"))
        self._create(configuration)
        if registered:
            self.context.log.info(f"Saving instance: {name or index.DEFAULT}")
            self._save(name or index.DEFAULT, configuration)
        home = home or (os.path.dirname(configuration) if registered else ".")
        self.context.log.info(f"Setting home directory to: {home}")
        self._set_home(home, configuration, loaded)
        return 0

    def _loaded(self) -> TentacleConfiguration | None:
        """The instance as it was before this call, if there was one."""
        try:
            return self.context.configuration
        except Controlled:
            return None

    def _configuration_path(self, home: str) -> str:
        given = self.last("config") or "Tentacle.config"
        return self.context.world.absolute(os.path.join(home, given))

    def _create(self, path: str) -> None:
        if os.path.exists(path):
            self.context.log.info(f"Configuration file at {path} already exists.")
            return
        self.context.log.info(f"Creating empty configuration file: {path}")
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "x", encoding="utf-8") as file:
                file.write(INITIAL)
        except OSError as error:
            raise of_os_error(error, path) from error

    def _save(self, name: str, configuration: str) -> None:
        try:
            self.context.index.save(name, configuration)
        except PermissionError as error:
            path = self.context.index.file_of(name)
            self.context.log.warn(f"Access to the path '{path}' is denied.")
            raise Controlled(f"Unable to write file '{path}' as user '{getpass.getuser()}'. Please check file permissions.") from error

    def _set_home(self, home: str, configuration: str, loaded: TentacleConfiguration | None) -> None:
        """Into the file that was loaded first, were it another one than the instance's new file."""
        settings = self.context.settings
        if loaded is None or not settings.quirk("create_instance_home_to_old_file"):
            loaded = TentacleConfiguration(configuration, settings, self.context.world.uid)
        if loaded.home is None or settings.quirk("create_instance_resets_home"):
            loaded.store.set(HOME, home)


class DeleteInstanceCommand(Command):
    """Take an instance out of the index; its files stay."""

    needs_instance: ClassVar[bool] = False

    def start(self) -> int:
        try:
            name = self.context.located.name
        except Controlled:
            registered = [entry.name for entry in self.context.index.entries() if entry.name == self.last("instance")]
            if not registered or self.context.settings.quirk("delete_instance_needs_configuration"):
                raise
            name = registered[0]
        if name is not None:
            self.context.index.remove(name)
            self.context.log.info(f"Deleted instance: {name}")
        return 0


class ListInstancesCommand(Command):
    """List the index. Configuration files are not looked at."""

    has_instance: ClassVar[bool] = False
    needs_instance: ClassVar[bool] = False
    suppresses_console: ClassVar[bool] = True

    def declare(self) -> None:
        self.value("format=", "The format of the output (text,json). Defaults to text.")

    def start(self) -> int:
        as_json = output_format(self.last("format")) == "json"
        entries = self.context.index.entries()
        if as_json:
            rows = [{"InstanceName": entry.name, "ConfigurationFilePath": entry.configuration} for entry in entries]
            self.context.write(json.dumps(rows, indent=2, ensure_ascii=False))
        else:
            text = "".join(f"Instance '{entry.name}' uses configuration '{entry.configuration}'.\n" for entry in entries)
            self.context.write(text or "No instances installed")
        return 0


def output_format(text: str) -> str:
    """text or json."""
    if text.lower() not in {"", "text", "json"}:
        raise Controlled(f"The format '{text}' is not supported. Try text or json.")
    return text.lower() or "text"
