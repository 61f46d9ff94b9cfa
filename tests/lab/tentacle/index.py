# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The instance index and how a command finds its instance (tentacle-cli.md 1.6, 3.2)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from lab.tentacle.errors import Controlled, Failure, of_os_error
from lab.tentacle.world import World

DEFAULT = "Tentacle"
_MISSING = (
    "The configuration file for instance {name} could not be located at the specified location {path}. The file might have been manually "
    "removed without properly removing the instance and as such it is still listed as present.The instance must be created again before "
    "you can interact with it."
)


@dataclass(frozen=True)
class Entry:
    """One registered instance."""

    name: str
    configuration: str


@dataclass(frozen=True)
class Request:
    """What the command line said about the instance: --instance and --config."""

    instance: str | None = None
    config: str | None = None


@dataclass(frozen=True)
class Located:
    """The instance that is meant: without a name when a file was meant rather than an entry of the index."""

    name: str | None
    configuration: str


class Index:
    """`<machine configuration home>/Tentacle/Instances/*`, whatever the files are called."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.folder = world.settings.machine_configuration_home / "Tentacle" / "Instances"

    def entries(self) -> list[Entry]:
        """All instances, sorted by name. One file that is not JSON fails everything."""
        if not self.folder.is_dir():
            return []
        found = (self._read(path) for path in sorted(self.folder.iterdir()) if path.is_file())
        return sorted((entry for entry in found if entry is not None), key=lambda entry: entry.name)

    def save(self, name: str, configuration: str) -> None:
        """Register an instance. Names that differ in letter case, blanks or hyphens only share a file; then the old name stays."""
        path = self.file_of(name)
        kept = self._read(path) if path.exists() else None
        text = json.dumps({"Name": kept.name if kept else name, "ConfigurationFilePath": configuration}, indent=2, ensure_ascii=False)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise of_os_error(error, str(self.folder)) from error
        path.write_text(text, encoding="utf-8")

    def remove(self, name: str) -> None:
        """Forget an instance; its files stay."""
        self.file_of(name).unlink(missing_ok=True)

    def file_of(self, name: str) -> Path:
        """The file that belongs to a name."""
        return self.folder / f"{name.replace(' ', '-').lower()}.config"

    def locate(self, request: Request) -> Located:
        """The instance that is meant: by name, by file, by the working directory, the default one, the only one."""
        if request.instance is not None and (request.instance.strip() or not self._world.settings.quirk("blank_instance_falls_through")):
            return self._named(request.instance)
        if request.config and request.config.strip():
            path = self._world.absolute(request.config)
            if not os.path.isfile(path):
                raise Controlled(f"The configuration file at {path} could not be located at the specified location.")
            return Located(None, path)
        here = self._world.absolute("Tentacle.config")
        if os.path.isfile(here) and self._world.settings.quirk("cwd_configuration_wins"):
            return Located(None, here)
        return self._default()

    def _named(self, name: str) -> Located:
        entries = self.entries()
        alike = [entry for entry in entries if entry.name.lower() == name.lower()]
        exact = [entry for entry in alike if entry.name == name]
        if not alike:
            raise Controlled(f"Instance {name} of Tentacle has not been configured on this machine. Available instances: {_names(entries)}.")
        if len(alike) > 1 and not exact:
            raise Controlled(f"Instance {name} of Tentacle could not be matched to one of the existing instances: {_names(alike)}.")
        return _existing((exact or alike)[0])

    def _default(self) -> Located:
        entries = self.entries()
        default = [entry for entry in entries if entry.name == DEFAULT]
        if default:
            return _existing(default[0])
        if not entries or (len(entries) == 1 and not self._world.settings.quirk("single_instance_is_default")):
            raise Controlled(f"Unable to find default instance of Tentacle. Available instances: {_names(entries)}.")
        if len(entries) > 1:
            raise Controlled(
                "There is more than one instance of Tentacle configured on this machine. Please pass --instance=INSTANCENAME when invoking "
                f"this command to target a specific instance. Available instances: {_names(entries)}."
            )
        return _existing(entries[0])

    def _read(self, path: Path) -> Entry | None:
        try:
            fields = json.loads(path.read_text(encoding="utf-8-sig"))
            return Entry(fields["Name"], fields["ConfigurationFilePath"])
        except (ValueError, KeyError, TypeError) as error:
            if not self._world.settings.quirk("bad_index_file_breaks_all"):
                return None
            first = path.read_text(encoding="utf-8", errors="replace").lstrip()[:1]
            text = f"Unexpected character encountered while parsing value: {first}. Path '', line 0, position 0."
            raise Failure(text, "Newtonsoft.Json.JsonReaderException") from error
        except OSError as error:
            raise of_os_error(error, str(path)) from error


def _existing(entry: Entry) -> Located:
    if not os.path.isfile(entry.configuration):
        raise Controlled(_MISSING.format(name=entry.name, path=entry.configuration))
    return Located(entry.name, entry.configuration)


def _names(entries: list[Entry]) -> str:
    return ", ".join(entry.name for entry in entries)
