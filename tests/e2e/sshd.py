# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real sshd on the loopback addresses of a fleet, for the user who runs the tests, with keys that live as long as the fleet."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from lab.fleet.builder import Fleet
from lab.waiting import until

PROGRAM = Path("/usr/sbin/sshd")
PORT = 2222  # on the fleet's own addresses
_SEPARATION = Path("/run/sshd")  # root's sshd wants it; Debian's service makes it

_CONFIGURATION = """\
{addresses}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile {folder}/sshd.pid
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PrintMotd no
MaxStartups 100
SetEnv PATH={path} TMPDIR={temporary}
"""


class Sshd:
    """Up and answering inside ``with``; the inventory of the fleet then leads through it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._folder = fleet.root / "ssh"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Sshd:
        self._folder.mkdir(mode=0o700)
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / name)], check=True, stdin=subprocess.DEVNULL)
        addresses = self._lead_inventory_here()
        configuration = self._folder / "sshd_config"
        configuration.write_text(
            _CONFIGURATION.format(
                addresses="\n".join(f"ListenAddress {address}:{PORT}" for address in sorted(addresses)),
                folder=self._folder,
                path=self._fleet.env["PATH"],
                temporary=self._temporary,
            ),
            encoding="utf-8",
        )
        if os.geteuid() == 0:
            _SEPARATION.mkdir(mode=0o755, exist_ok=True)
        self._process = subprocess.Popen(
            [str(PROGRAM), "-D", "-f", str(configuration), "-E", str(self.log)], stdin=subprocess.DEVNULL, start_new_session=True
        )
        until(lambda: self._answers(max(addresses)), what=f"the answer of sshd; see {self.log}")
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    @property
    def log(self) -> Path:
        return self._folder / "sshd.log"

    @property
    def env(self) -> Mapping[str, str]:
        """For ansible-playbook. The folder of the control sockets is short, for a socket's path must be."""
        return {
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._fleet.root / "cp"),
            "ANSIBLE_SSH_ARGS": "-C -o ControlMaster=auto -o ControlPersist=20s",
            "SSH_AUTH_SOCK": "",
        }

    def connections(self) -> int:
        """How often somebody has logged in."""
        return self.log.read_text(encoding="utf-8").count("Accepted publickey")

    @property
    def _temporary(self) -> Path:
        folder = self._fleet.root / "tmp" / "remote"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _lead_inventory_here(self) -> set[str]:
        """Every host by ssh, at its own address; the addresses."""
        inventory: dict[str, Any] = yaml.safe_load(self._fleet.inventory.read_text(encoding="utf-8"))
        inventory["all"]["vars"] |= {
            "ansible_connection": "ssh",
            "ansible_port": PORT,
            "ansible_user": getpass.getuser(),
            "ansible_ssh_private_key_file": str(self._folder / "user_key"),
            "ansible_ssh_common_args": f"-F none -o IdentitiesOnly=yes -o IdentityAgent=none -o UserKnownHostsFile={self._folder}/known_hosts",
        }
        self._fleet.inventory.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
        return {host["ansible_host"] for group in inventory["all"]["children"].values() for host in group["hosts"].values()}

    def _answers(self, address: str) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise ChildProcessError(f"sshd ended with {self._process.returncode}: {self.log.read_text(encoding='utf-8')}")
        with socket.socket() as probe:
            return probe.connect_ex((address, PORT)) == 0
