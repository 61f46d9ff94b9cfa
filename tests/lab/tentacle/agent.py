# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running Tentacle: trust and certificate as they are at the start, then the wire (contracts/tentacle-cli.md 5.1 to 5.4).

The identity is made, or its store found foreign, by the command that calls this (commands/agent.py).
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lab.settings import Settings
from lab.tentacle.commands.plain import HEARTBEAT
from lab.tentacle.configuration import TentacleConfiguration
from lab.tentacle.errors import Failure
from lab.tentacle.log import Log
from lab.tentacle.trust import Style, TrustEntry
from lab.wire.certificates import Keypair
from lab.wire.limits import Limits
from lab.wire.listener import Listener
from lab.wire.page import TENTACLE
from lab.wire.poller import Poller, PollingEntry
from lab.wire.quirks import FAULTS, Quirk, every_quirk

# Of eight measured stops six ended with 143 and two with 0 (measured-tentacle.md 10).
_SHARE_OF_143 = 0.75
_TERMINATED = 128 + signal.SIGTERM
_HEARTBEAT_SECONDS = 10.0
# Only the Windows build is a client of WebSockets (halibut-wire.md 4); what this one says about such an entry was not measured.
_WEB_SOCKET = "wss:"
# A shorter beat would cost a busy lab more than anybody learns from it.
_SHORTEST_BEAT = 1.0


def run(configuration: TentacleConfiguration, settings: Settings, log: Log, noninteractive: bool) -> int:
    """Starts, says so in the vendor's words, and serves until told to end; the exit code."""
    _end_on_sigterm(settings.quirk)
    keypair = _keypair(configuration)
    entries = _with_styles(configuration, settings, log)
    _tell_trust(entries, log)
    pollers = _pollers(configuration, entries, keypair, settings, log)
    listener = None if configuration.no_listen else _listener(configuration, entries, keypair, settings, log)
    if listener is None:
        log.info("Agent will not listen on any TCP ports")
    else:
        log.info(f"Agent listening on: {listener.endpoint}")
    log.info("WorkspaceCleanerTask.Start(): Starting")
    log.info("LivenessHeartbeatTask.Start(): Starting")
    for poller in pollers:
        poller.start()
    home = configuration.home
    return wait_for_end(noninteractive, settings.quirk, None if home is None else home / HEARTBEAT, settings.time_scale)


def wait_for_end(noninteractive: bool, quirk: Quirk = every_quirk, heartbeat: Path | None = None, time_scale: float = 1.0) -> int:
    """Under --noninteractive until a signal; otherwise until a line or the end of the standard input."""
    _end_on_sigterm(quirk)
    ended = threading.Event()
    if not noninteractive:
        print("Running. Press <enter> to shut down...", flush=True)
        threading.Thread(target=_read_a_line, args=(ended.set,), daemon=True).start()
    beat = max(_SHORTEST_BEAT, _HEARTBEAT_SECONDS * time_scale)
    _touch(heartbeat)
    while not ended.wait(beat):
        _touch(heartbeat)
    return 0


def _end_on_sigterm(quirk: Quirk) -> None:
    """Gone at once, without a line; SIGINT, SIGQUIT and SIGHUP end the process by themselves."""

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        os._exit(_TERMINATED if quirk("sigterm_exit_code_varies") and random.random() < _SHARE_OF_143 else 0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _read_a_line(then: Callable[[], None]) -> None:
    if sys.stdin is not None:
        sys.stdin.readline()
    then()


def _touch(heartbeat: Path | None) -> None:
    # A folder that cannot be written costs the beat, never the service.
    if heartbeat is not None:
        with contextlib.suppress(OSError):
            heartbeat.touch(mode=0o644)


def _keypair(configuration: TentacleConfiguration) -> Keypair:
    certificate = configuration.certificate()
    keypair = certificate.keypair if certificate is not None else None
    if keypair is None:
        text = "The X509 certificate provided does not have a private key, and so it cannot be used for listening."
        raise Failure(text, "System.Exception")
    return keypair


def _with_styles(configuration: TentacleConfiguration, settings: Settings, log: Log) -> tuple[TrustEntry, ...]:
    """Entries without a style become listening ones, in the file too (tentacle-cli.md 5.1, step 3)."""
    entries = configuration.trusted_servers
    unset = [entry for entry in entries if entry.style == Style.NoStyle]
    if not unset or configuration.no_listen or not settings.quirk("style_none_is_rewritten"):
        return entries
    fixed = tuple(replace(entry, style=Style.TentaclePassive) if entry.style == Style.NoStyle else entry for entry in entries)
    configuration.set_trusted_servers(fixed)
    for entry in unset:
        log.info(f"Fixed communication style for: {entry.thumbprint}")
    return fixed


def _tell_trust(entries: Collection[TrustEntry], log: Log) -> None:
    for entry in entries:
        log.info(f"Agent will trust Octopus Servers with the thumbprint: {entry.thumbprint}")
    if not entries:
        log.info("The agent is not configured to trust any Octopus Servers.")


def _pollers(configuration: TentacleConfiguration, entries: Collection[TrustEntry], keypair: Keypair, settings: Settings, log: Log) -> list[Poller]:
    """One loop per polling entry and connection, each with a back-off of its own."""
    asked = configuration.polling_connection_count
    pollers: list[Poller] = []
    for entry in entries:
        if entry.style != Style.TentacleActive:
            continue
        if not entry.address:
            log.warn(f"The polling entry for {entry.thumbprint} has no address and is skipped")
            continue
        subscription = entry.subscription_id or f"poll://{(entry.squid or '').lower()}/"
        log.info(f"Agent will poll Octopus Server at {entry.uri} for subscription {subscription} expecting thumbprint {entry.thumbprint}")
        if asked is not None:
            log.info(f"Requested polling connection count (from Tentacle configuration): {asked}")
        log.info(f"Starting {asked or 1} polling connections")
        if entry.uri.startswith(_WEB_SOCKET):
            continue
        found = PollingEntry(entry.uri, entry.thumbprint, subscription)
        pollers += [Poller(found, keypair, log.halibut, settings.time_scale, quirk=settings.quirk) for _ignored in range(asked or 1)]
    return pollers


def _listener(configuration: TentacleConfiguration, entries: Collection[TrustEntry], keypair: Keypair, settings: Settings, log: Log) -> Listener:
    """The listener, started. Polling entries' thumbprints are trusted here too."""
    path = configuration.path
    snapshot = frozenset(entry.thumbprint for entry in entries)

    def live() -> Collection[str]:
        now = TentacleConfiguration(path, settings, os.geteuid()).trusted_servers
        return {entry.thumbprint for entry in now}

    listener = Listener(
        configuration.listen_ip,
        configuration.port,
        keypair,
        snapshot if settings.quirk("snapshot_at_start") else live,
        log.halibut,
        TENTACLE,
        limits=Limits.scaled(settings.time_scale),
        quirk=settings.quirk,
        faults=lambda: _faults(settings, path),
    )
    try:
        listener.start()
    except OSError as error:
        raise Failure(error.strerror or str(error), "System.Net.Sockets.SocketException") from error
    except OverflowError as error:
        # configure --port takes any number (measured-tentacle.md 13.14).
        text = "Specified argument was out of the range of valid values. (Parameter 'port')"
        raise Failure(text, "System.ArgumentOutOfRangeException") from error
    return listener


def _faults(settings: Settings, path: str) -> set[str]:
    """`tentacle_<name>` in the settings: true for every Tentacle, or a list that names this one as <host>/<instance> or by its file."""
    mine = {path, "/".join(Path(path).parts[-3:-1])}
    found = {name: settings.fault(f"tentacle_{name}", False) for name in FAULTS}
    return {name for name, value in found.items() if value is True or (isinstance(value, list) and mine & set(value))}
