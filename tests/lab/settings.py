# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be set about the stand-ins, and the list of vendor quirks that they reproduce.

A fleet keeps its settings in `lab.json` under the folder that OCTOLAB names; OCTOLAB_SETTINGS names another file for a test of one
process. Without either, a stand-in behaves like an installed program: /etc/machine-id, $HOME, /etc/systemd/system.
OCTOLAB_QUIRKS_OFF names quirks to leave out, besides those in the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.server.quirks import QUIRKS as SERVER_QUIRKS
from lab.wire.quirks import QUIRKS as WIRE_QUIRKS
from lab.wire.quirks import switched_off

# Each quirk can be switched off by its name (`quirks_off`): `make proof` does so one by one and expects a test to notice.
TENTACLE_QUIRKS: Mapping[str, str] = {
    "truncate_in_place": "A write empties the configuration file and fills it again in two pieces; a reader or a kill sees it empty or cut.",
    "lock_ex_blocks": "A command that meets a foreign flock(LOCK_EX) on the configuration ends with exit code 100.",
    "mtime_moves_on_noop": "A step that changes nothing writes the file all the same, so its modification time moves.",
    "one_write_per_step": "Every step of a command is a write of its own; a later failure leaves the earlier steps applied.",
    "remove_trust_case_sensitive": "--remove-trust compares spelling; another letter case removes nothing and still succeeds.",
    "remove_trust_takes_polling": "--remove-trust also removes entries that have an address.",
    "reset_trust_takes_polling": "--reset-trust also removes entries that have an address.",
    "trust_moves_to_end": "--trust of a thumbprint that is there already moves its entry to the end.",
    "trust_unvalidated": "--trust stores any text that is not blank.",
    "update_trust_duplicates": "update-trust to a thumbprint that is there already leaves two equal entries.",
    "duplicate_entry_crashes": "--trust and server-comms end with exit code 100 when the entry that they look for is there twice.",
    "restart_line_unconditional": "The line that asks for a restart is printed even when nothing changed.",
    "clear_trusted_crashes_on_listening": "clear-trusted-servers ends with exit code 100 when any entry has no address.",
    "server_comms_new_subscription": "server-comms gives a second polling entry for an address a new subscription id.",
    "server_comms_unknown_instance_crashes": "server-comms and clear-trusted-servers end with 100, not 1, for an unknown instance.",
    "missing_value_crashes": "An option without its value ends with exit code 100, not 1.",
    "switch_value_ignored": "A switch is on whatever value it is given: --reset-trust=false resets.",
    "next_argument_is_value": "An option without = takes the next argument as its value, even one that starts with a dash.",
    "blank_instance_falls_through": "A blank --instance= means whatever instance would be meant without it.",
    "single_instance_is_default": "Without --instance the only instance is meant, whatever its name.",
    "cwd_configuration_wins": "A file Tentacle.config in the working directory wins over the instance index.",
    "bad_index_file_breaks_all": "One file in the index folder that is not JSON breaks every command.",
    "create_instance_resets_home": "create-instance for an existing instance sets its home directory again.",
    "create_instance_home_to_old_file": "create-instance with another --config writes the home directory into the old file.",
    "delete_instance_needs_configuration": "delete-instance fails when the configuration file is gone already.",
    "new_certificate_overwrites": "new-certificate replaces the identity without asking.",
    "blank_export_replaces_identity": "new-certificate --export-pfx= (blank) replaces the live identity.",
    "chain_pfx_takes_ca": "Of a PFX with a chain, import-certificate takes the last certificate, the CA, which has no key.",
    "password_for_unprotected_pfx_fails": "A password for a PFX without one is a wrong password.",
    "weak_key_imports": "An RSA key under 2048 bits is imported with a warning (and fails every TLS handshake later).",
    "base64_without_key_imports": "A certificate without a key is imported when it comes as base64.",
    "import_rewrites_same_certificate": "Importing the stored certificate once more changes the bytes of the file: the export is salted.",
    "from_base64_is_logged": "--from-base64 is written to the log in full, key included.",
    "failed_decrypt_leaves_machine_key": "A key that cannot be decrypted leaves a new, world-readable machinekey file behind.",
    "read_copies_key_to_store": "Commands that read the certificate leave a copy with its key in the caller's home directory.",
    "store_copy_wins": "The copy in the certificate store for the stored thumbprint is used, whatever certificate is stored beside it.",
    "foreign_store_owner_blocks": "A store folder that another user owns makes commands fail and the agent stay alive without listening.",
    "thumbprint_without_newline": "show-thumbprint prints no newline.",
    "show_file_must_exist": "show-configuration --file fails unless the file exists already.",
    "service_failure_exits_0": "service ends with exit code 0 when systemctl fails.",
    "service_needs_sudo": "service needs sudo even for root.",
    "service_retries_with_sudo": "A systemctl failure that says `Failed to` is tried again with sudo, as if permission were missing.",
    "proxy_off_unless_enabled": "proxy without --proxyEnable=true switches the proxy off.",
    "agent_makes_identity": "An agent without a certificate makes one, stores it and serves it.",
}
QUIRKS: Mapping[str, str] = {**TENTACLE_QUIRKS, **WIRE_QUIRKS, **SERVER_QUIRKS}

_HOME_VARIABLE = "TentacleMachineConfigurationHomeDirectory"
_PLACEHOLDER = "{configuration_home}"


@dataclass(frozen=True)
class Settings:
    """The settings of one stand-in process, read once; faults are read again at each use, so that a test can switch them."""

    machine_id_file: Path = Path("/etc/machine-id")
    home: Path = Path("/root")
    machine_configuration_home: Path = Path("/etc/octopus")
    machine_key_file: Path = Path("/etc/octopus/machinekey")
    unit_dir: Path = Path("/etc/systemd/system")
    executable: str = "/opt/octopus/tentacle/Tentacle"
    version: str = "9.2.4285"
    cli_cost: float = 0.0
    time_scale: float = 1.0
    quirks_off: frozenset[str] = field(default_factory=switched_off)
    record: Path | None = None
    lab: Path | None = None
    source: Path | None = field(default=None, compare=False)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings that the environment points to."""
        env = os.environ if environ is None else environ
        lab = Path(env["OCTOLAB"]) if env.get("OCTOLAB") else None
        source = Path(env["OCTOLAB_SETTINGS"]) if env.get("OCTOLAB_SETTINGS") else lab / "lab.json" if lab else None
        given = _read(source)
        configuration_home = env.get(_HOME_VARIABLE) or "/etc/octopus"
        defaults = _fleet_defaults(lab, env.get("HOME", "")) if lab else _host_defaults(env)

        def path(name: str) -> Path:
            return Path(os.path.normpath(str(given.get(name, defaults[name])).replace(_PLACEHOLDER, configuration_home)))

        return cls(
            machine_id_file=path("machine_id_file"),
            home=path("home"),
            machine_configuration_home=Path(configuration_home),
            machine_key_file=path("machine_key_file"),
            unit_dir=path("unit_dir"),
            executable=str(given.get("executable", defaults["executable"])),
            version=str(given.get("version", cls.version)),
            cli_cost=_number(given.get("cli_cost", 0.0)),
            time_scale=_number(given.get("time_scale", 1.0)),
            quirks_off=_names(given.get("quirks_off", ())) | switched_off(),
            record=path("record") if given.get("record", defaults["record"]) else None,
            lab=lab,
            source=source,
        )

    def quirk(self, name: str) -> bool:
        """Whether the quirk of this name is on."""
        if name not in QUIRKS:
            raise KeyError(f"no quirk is called {name}; lab.settings.QUIRKS lists them")
        return name not in self.quirks_off

    def fault(self, name: str, default: object = None) -> object:
        """The value of a fault as it stands in the settings file this moment."""
        faults = _read(self.source).get("faults", {})
        return faults.get(name, default) if isinstance(faults, dict) else default


def _read(source: Path | None) -> dict[str, object]:
    if source is None or not source.is_file():
        return {}
    loaded = json.loads(source.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        raise ValueError(f"{source} does not hold a JSON object")
    return loaded


def _fleet_defaults(lab: Path, home: str) -> dict[str, str]:
    return {
        "machine_id_file": f"{_PLACEHOLDER}/../machine-id",
        # Who acts on a fleet has a home of his own, which is no home on any of its hosts.
        "home": home if Path(home).is_relative_to(lab) else f"{_PLACEHOLDER}/../../root",
        # A fleet never touches the real /etc/octopus, where the vendor keeps this file whatever the variable says.
        "machine_key_file": f"{_PLACEHOLDER}/machinekey",
        "unit_dir": str(lab / "units"),
        "executable": str(lab / "bin" / "Tentacle"),
        "record": str(lab / "records" / "argv.jsonl"),
    }


def _host_defaults(env: Mapping[str, str]) -> dict[str, str]:
    return {
        "machine_id_file": str(Settings.machine_id_file),
        "home": env.get("HOME") or str(Settings.home),
        "machine_key_file": str(Settings.machine_key_file),
        "unit_dir": str(Settings.unit_dir),
        "executable": str(Path(__file__).resolve().parent / "bin" / "Tentacle"),
        "record": "",
    }


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{value!r} in the lab's settings is not a number")
    return float(value)


def _names(value: object) -> frozenset[str]:
    names = frozenset(str(each) for each in value) if isinstance(value, (list, tuple)) else frozenset()
    unknown = names - QUIRKS.keys()
    if unknown:
        raise ValueError(f"no such quirks: {', '.join(sorted(unknown))}")
    return names
