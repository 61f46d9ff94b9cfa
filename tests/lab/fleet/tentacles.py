# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tentacles on disk: index entry, configuration, identity, unit. By the stand-in's own writer, or by the command line of a real one."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.fleet.folders import Folders
from lab.fleet.plan import Plan, Tentacle
from lab.fleet.units import drop_in_folder
from lab.settings import Settings
from lab.tentacle import configuration as keys
from lab.tentacle.configuration import TentacleConfiguration
from lab.tentacle.keys import Certificate
from lab.wire.certificates import Keypair, to_pfx

HOME_VARIABLE = "TentacleMachineConfigurationHomeDirectory"
# The vendor's bytes (golden/T1.service); what the lab needs besides stands in a drop-in, which `service --reconfigure` leaves alone.
_UNIT = """[Unit]
Description=Octopus Deploy: {description}
After=network.target

[Service]
Type=simple
User=root
ExecStart={program} run --instance={instance} --noninteractive
Restart=always

[Install]
WantedBy=multi-user.target
"""


class CommandFailed(Exception):
    """A vendor command did not end with exit code 0 while the fleet was built."""


@dataclass(frozen=True)
class Paths:
    """Where one instance lies."""

    host: Path
    instance: str
    windows: bool = False

    @property
    def machine_configuration_home(self) -> Path:
        return self.host / ("ProgramData/Octopus" if self.windows else "etc/octopus")

    @property
    def machine_id(self) -> Path:
        """Of a Windows, what the stand-ins have in the place of DPAPI."""
        return self.machine_configuration_home.parent / "machine-id"

    @property
    def home(self) -> Path:
        return self.host / self.instance

    @property
    def home_of_root(self) -> Path:
        return self.host / "root"

    @property
    def home_of_account(self) -> Path:
        return self.host / "home"

    @property
    def configuration(self) -> Path:
        return self.home / "tentacle.config"

    @property
    def log(self) -> Path:
        return self.home / "Logs" / "OctopusTentacle.txt"


def paths_of(folders: Folders, tentacle: Tentacle) -> Paths:
    return Paths(folders.host(tentacle.host), tentacle.instance, tentacle.windows)


def settings_of(folders: Folders, paths: Paths) -> Settings:
    """The settings that a process of this host would load."""
    return Settings.load({"OCTOLAB": str(folders.root), HOME_VARIABLE: str(paths.machine_configuration_home)})


def configuration_of(folders: Folders, tentacle: Tentacle) -> TentacleConfiguration:
    """The configuration as it stands on disk now."""
    paths = paths_of(folders, tentacle)
    return TentacleConfiguration(str(paths.configuration), settings_of(folders, paths), os.geteuid())


def prepare_host(host: Path, machine_id: Path | None = None) -> None:
    """What a machine has before anything is installed."""
    machine_id = machine_id or host / "etc" / "machine-id"
    if machine_id.exists():
        return
    machine_id.parent.mkdir(parents=True)
    (host / "root").mkdir(mode=0o700)
    machine_id.write_text(f"{secrets.token_hex(16)}\n", encoding="ascii")
    machine_id.chmod(0o444)


def write_by_library(folders: Folders, plan: Plan, tentacle: Tentacle, keypair: Keypair) -> None:
    """What create-instance, import-certificate and configure leave, without their starts."""
    paths = paths_of(folders, tentacle)
    prepare_host(paths.host, paths.machine_id)
    _make_home(paths, tentacle)
    _register(paths)
    tentacle.keypair = keypair
    configuration = configuration_of(folders, tentacle)
    configuration.store.set(keys.HOME, str(paths.home))
    configuration.set_certificate(Certificate.of(keypair))
    _configure(configuration, plan, tentacle)
    configuration.store.set(keys.APPLICATIONS, str(paths.home / "Applications"))
    _set_mode(paths, tentacle)


def write_by_command(folders: Folders, plan: Plan, tentacle: Tentacle, environment: Mapping[str, str]) -> None:
    """By the executable in the fleet's bin folder; then the trust as planned, which no verb can write in every shape."""
    paths = paths_of(folders, tentacle)
    prepare_host(paths.host, paths.machine_id)
    _make_home(paths, tentacle, empty=True)
    environment = {**environment, HOME_VARIABLE: str(paths.machine_configuration_home)}

    def command(verb: str, *arguments: str) -> str:
        argv = [str(folders.bin / "Tentacle"), verb, "--instance", tentacle.instance, *arguments]
        done = subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(f"{' '.join(argv)} ended with exit code {done.returncode}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    command("create-instance", "--config", str(paths.configuration), "--home", str(paths.home))
    if tentacle.clone_of is not None and tentacle.clone_of.keypair is not None:
        _import(command, paths, tentacle.clone_of.keypair)
    else:
        command("new-certificate", "--if-blank")
    command(
        "configure", "--port", str(tentacle.port), "--noListen", str(tentacle.polling), "--app", str(paths.home / "Applications"), "--reset-trust"
    )
    configuration = configuration_of(folders, tentacle)
    certificate = configuration.certificate()
    tentacle.keypair = certificate.keypair if certificate is not None else None
    _configure(configuration, plan, tentacle)
    _set_mode(paths, tentacle)


def _set_mode(paths: Paths, tentacle: Tentacle) -> None:
    """Rewritten in place, a file keeps its mode (tentacle-cli.md 3.1)."""
    if tentacle.mode is not None:
        paths.configuration.chmod(tentacle.mode)


def _import(command: object, paths: Paths, keypair: Keypair) -> None:
    pfx, password = paths.host / "clone.pfx", secrets.token_hex(16)
    pfx.write_bytes(to_pfx(keypair, password))
    assert callable(command)
    command("import-certificate", f"--from-file={pfx}", f"--pfx-password={password}")
    pfx.unlink()


def _make_home(paths: Paths, tentacle: Tentacle, empty: bool = False) -> None:
    (paths.home / "Logs").mkdir(parents=True)
    (paths.home / "Applications").mkdir()
    if tentacle.symlinked:
        real = paths.host / "srv" / f"{paths.instance}.config"
        real.parent.mkdir()
        paths.configuration.symlink_to(real)
    if not empty:
        from lab.tentacle.xml_store import INITIAL

        paths.configuration.write_text(INITIAL, encoding="utf-8")


def _register(paths: Paths) -> None:
    index = paths.machine_configuration_home / "Tentacle" / "Instances"
    index.mkdir(parents=True, exist_ok=True)
    entry = {"Name": paths.instance, "ConfigurationFilePath": str(paths.configuration)}
    (index / f"{paths.instance.lower().replace(' ', '-')}.config").write_text(json.dumps(entry, indent=2), encoding="utf-8")


def _configure(configuration: TentacleConfiguration, plan: Plan, tentacle: Tentacle) -> None:
    store = configuration.store
    store.set(keys.LISTEN_IP, tentacle.address)
    store.set(keys.PORT, str(tentacle.port))
    store.set(keys.NO_LISTEN, str(tentacle.polling).lower())
    configuration.set_trusted_servers([trust.entry(plan) for trust in tentacle.trust])
    for key, value in tentacle.extra_keys.items():
        store.set(key, value)


def name_account(folders: Folders, unit: str) -> None:
    """The unit says who it runs as. The only account that a lab without root can play is the one that it runs under."""
    name = pwd.getpwuid(os.getuid()).pw_name
    (drop_in_folder(folders.units, unit) / "account.conf").write_text(f"[Service]\nUser={name}\n", encoding="utf-8")


def write_unit(folders: Folders, unit: str, program: Path, instance: str, environment: Mapping[str, str], description: str) -> None:
    """A unit as the vendor's `service --install` writes it, with the lab's environment in a drop-in."""
    quoted = [f'"{word}"' if " " in word else word for word in (str(program), instance)]
    text = _UNIT.format(description=description, program=quoted[0], instance=quoted[1])
    (folders.units / unit).write_text(text, encoding="utf-8")
    drop_in = drop_in_folder(folders.units, unit)
    drop_in.mkdir()
    lines = "".join(f'Environment="{name}={value}"\n' for name, value in environment.items())
    (drop_in / "lab.conf").write_text(f"[Service]\n{lines}", encoding="utf-8")
    wants = folders.units / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / unit).symlink_to(folders.units / unit)
