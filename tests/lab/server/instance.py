# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Instances of Octopus.Server: the index that names them, and the configuration file of a node (octopus-server.md 1.1)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lab.settings import Settings
from lab.tentacle.errors import Controlled, Failure
from lab.tentacle.xml_store import INITIAL, XmlStore

APPLICATION = "OctopusServer"
_INDEX = Path(APPLICATION) / "Instances"
_HOME, _NODE_NAME = "Octopus.Home", "Octopus.Server.NodeName"
_COMMS, _WEB = "Octopus.Communications.ServicesPort", "Octopus.WebPortal.ListenPrefixes"
# Keys of the lab: a real Server has a connection string to a database server and its Master Key in this place, and listens everywhere.
_DATABASE, _MASTER_KEY_FILE = "Octopus.Lab.Database", "Octopus.Lab.MasterKeyFile"
_ADDRESS, _UNIT = "Octopus.Lab.ListenAddress", "Octopus.Lab.Unit"


@dataclass(frozen=True)
class Instance:
    """One node of a Server, as its configuration file describes it."""

    name: str
    configuration: Path
    home: Path
    node_name: str
    database: Path
    master_key_file: Path
    address: str
    web_port: int
    comms_port: int
    unit: str

    @classmethod
    def read(cls, name: str, configuration: Path, settings: Settings) -> Instance:
        store = XmlStore(str(configuration), settings)
        home = configuration.parent / (store.get(_HOME) or "")
        web = (store.get(_WEB) or "http://127.0.0.1:8080/").rstrip("/").rpartition(":")[2]
        database = Path(store.get(_DATABASE) or home / "database.sqlite")
        return cls(
            name=name,
            configuration=configuration,
            home=home,
            node_name=store.get(_NODE_NAME) or name,
            database=database,
            master_key_file=Path(store.get(_MASTER_KEY_FILE) or database.with_name("master.key")),
            address=store.get(_ADDRESS) or "127.0.0.1",
            web_port=int(web),
            comms_port=int(store.get(_COMMS) or 10943),
            unit=store.get(_UNIT) or unit_name(name),
        )


def unit_name(instance: str) -> str:
    """The shared host names a unit after the bare instance (1.1)."""
    return "-".join(instance.replace("/", "").split())


def create(
    machine_configuration_home: Path,
    name: str,
    configuration: Path,
    *,
    home: Path | None = None,
    node_name: str | None = None,
    database: Path | None = None,
    master_key_file: Path | None = None,
    address: str | None = None,
    web_port: int | None = None,
    comms_port: int | None = None,
    unit: str | None = None,
    settings: Settings | None = None,
) -> Instance:
    """Write the configuration file of a node and enter it in the index; what is not given keeps its default."""
    settings = settings or Settings.load()
    configuration.parent.mkdir(parents=True, exist_ok=True)
    if not configuration.exists():
        configuration.write_text(INITIAL, encoding="utf-8")
    store = XmlStore(str(configuration), settings)
    web = f"http://{address or '127.0.0.1'}:{web_port}/" if web_port is not None else None
    given = {
        _HOME: home or configuration.parent,
        _NODE_NAME: node_name,
        _DATABASE: database,
        _MASTER_KEY_FILE: master_key_file,
        _ADDRESS: address,
        _WEB: web,
        _COMMS: comms_port,
        _UNIT: unit,
    }
    for key, value in given.items():
        if value is not None:
            store.set(key, str(value))
    index = machine_configuration_home / _INDEX
    index.mkdir(parents=True, exist_ok=True)
    entry = {"Name": name, "ConfigurationFilePath": str(configuration)}
    (index / f"{name.replace(' ', '-')}.config").write_text(json.dumps(entry, indent=2), encoding="utf-8")
    return Instance.read(name, configuration, settings)


def registered(settings: Settings) -> dict[str, Path]:
    """All instances of this machine, by name."""
    found = {}
    index = settings.machine_configuration_home / _INDEX
    for file in sorted(index.iterdir()) if index.is_dir() else ():
        try:
            entry = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise Failure(f"Unexpected character encountered while parsing value: {error}", "Newtonsoft.Json.JsonReaderException") from error
        found[str(entry["Name"])] = Path(entry["ConfigurationFilePath"])
    return dict(sorted(found.items()))


def resolve(settings: Settings, cwd: str, name: str | None, configuration: str | None) -> Instance:
    """The instance that the options mean, by the rules of the shared host (tentacle-cli.md 1.6)."""
    known = registered(settings)
    if name:
        return _named(settings, known, name)
    if configuration:
        return _unnamed(settings, Path(cwd, configuration))
    beside = Path(cwd, f"{APPLICATION}.config")
    if beside.is_file() and settings.quirk("cwd_configuration_wins"):
        return _unnamed(settings, beside)
    if APPLICATION in known or len(known) == 1:
        return _named(settings, known, APPLICATION if APPLICATION in known else next(iter(known)))
    available = f"Available instances: {', '.join(known)}."
    if not known:
        raise Controlled(f"Unable to find default instance of {APPLICATION}. {available}")
    raise Controlled(
        f"There is more than one instance of {APPLICATION} configured on this machine. Please pass --instance=INSTANCENAME when invoking this"
        f" command to target a specific instance. {available}"
    )


def _named(settings: Settings, known: dict[str, Path], name: str) -> Instance:
    matches = [each for each in known if each.lower() == name.lower()]
    chosen = name if name in known else matches[0] if len(matches) == 1 else None
    if chosen is None:
        available = f"Available instances: {', '.join(known)}."
        if matches:
            raise Controlled(f"Instance {name} of {APPLICATION} could not be matched to one of the existing instances: {', '.join(matches)}.")
        raise Controlled(f"Instance {name} of {APPLICATION} has not been configured on this machine. {available}")
    if not known[chosen].is_file():
        raise Controlled(
            f"The configuration file for instance {chosen} could not be located at the specified location {known[chosen]}. The file might have been"
            " manually removed without properly removing the instance and as such it is still listed as present."
            "The instance must be created again before you can interact with it."
        )
    return Instance.read(chosen, known[chosen], settings)


def _unnamed(settings: Settings, configuration: Path) -> Instance:
    if not configuration.is_file():
        raise Controlled(f"The configuration file at {configuration} could not be located at the specified location.")
    return Instance.read("", configuration, settings)
