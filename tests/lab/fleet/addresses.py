# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loopback addresses: every fleet has a block 127.x.0.0/16 of its own, so port 10933 may repeat and fleets may run side by side."""

from __future__ import annotations

import contextlib
import os
import random
import socket
from dataclasses import dataclass

TENTACLE, WEB, COMMS, PROXY = 10933, 8080, 10943, 3128
_BLOCKS = range(2, 255)
_PER_ROW = 250
_SERVERS = 255  # the last row is the Servers'
_FRONTS = 254  # the one before it is of what stands in front of a Tentacle


class NoAddress(Exception):
    """There is no loopback block, or no port, that a fleet could have."""


@dataclass(frozen=True)
class Block:
    """A block of addresses. Who holds ``token`` (an abstract socket, gone with its last holder) owns it."""

    number: int
    token: int
    shift: int  # added to every port, when something on this machine listens on the usual ones everywhere

    @classmethod
    def reserve(cls) -> Block:
        numbers = list(_BLOCKS)
        random.shuffle(numbers)
        for number in numbers:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as token, contextlib.suppress(OSError):
                token.bind(f"\0octolab-{number}")
                return cls(number, token.detach(), _free_shift(f"127.{number}.{_SERVERS}.1"))
        raise NoAddress("Every block 127.x.0.0/16 is taken by another fleet.")

    def release(self) -> None:
        os.close(self.token)

    def tentacle(self, index: int) -> str:
        """The address of the host with this index, from 0 on."""
        return f"127.{self.number}.{index // _PER_ROW}.{index % _PER_ROW + 1}"

    def server(self, index: int) -> str:
        return f"127.{self.number}.{_SERVERS}.{index + 1}"

    def front(self, index: int) -> str:
        return f"127.{self.number}.{_FRONTS}.{index + 1}"

    def proxy(self, index: int) -> str:
        return f"127.{self.number}.{_SERVERS}.{200 + index}"

    def port(self, usual: int) -> int:
        return usual + self.shift


def _free_shift(address: str) -> int:
    """0, unless a listener on 0.0.0.0 or [::] holds one of the usual ports; the lab must not disturb it, nor be disturbed."""
    for shift in (0, 10000, 20000):
        if all(_free(address, port + shift) for port in (TENTACLE, TENTACLE + 1, WEB, COMMS)):
            return shift
    raise NoAddress(f"Ports {TENTACLE}, {WEB} and {COMMS}, and those 10000 and 20000 above, are taken on this machine.")


def _free(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
