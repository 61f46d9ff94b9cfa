# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`run`: the process of one node. What it serves is what the database held when it started (octopus-server.md 1.2)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.server.api import Api, RestServer
from lab.server.database import Certificate, Database
from lab.server.engine import Engine
from lab.server.health import Attempt, Health
from lab.server.host import Call, MissingKey
from lab.server.instance import Instance
from lab.server.quirks import names, quirk_of
from lab.server.tasks import Tasks
from lab.settings import Settings
from lab.tentacle.errors import Controlled
from lab.wire.bson import Document
from lab.wire.caller import call as call_tentacle
from lab.wire.certificates import Keypair
from lab.wire.limits import Limits
from lab.wire.listener import Listener
from lab.wire.messages import error_of, request
from lab.wire.proxy import Login, ProxyDetails
from lab.wire.queue import QueueError, RequestQueues

# A busy machine may need this long for an honest answer, however much the lab shortens the vendor's delays.
_SHORTEST_WAIT = 3.0
# The machine's timeout bounds all tries of a call together.
_TRIES = 5
# How often the web server looks whether it shall stop.
_STOP_LOOKS = 0.1
_SHOWN = ("INFO", "WARN", "ERROR", "FATAL")


class NodeLog:
    """OctopusServer.txt of one node, in the line format of the twin (tentacle-cli.md 1.5); verbose lines are dropped."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "OctopusServer.txt"
        self._lock = threading.Lock()

    def write(self, level: str, source: str, message: str) -> None:
        if level.upper() not in _SHOWN:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 10000):04}"
        line = f"{stamp}  {os.getpid():>5}  {threading.get_native_id():>5} {level.upper():>5}  {source:<30} {message}\n"
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(line)


class Contacts:
    """Contacts a Tentacle as this node does: with its loaded certificate, and by its own queues for polling ones."""

    def __init__(self, keypair: Keypair, queues: RequestQueues, settings: Settings, log: NodeLog, database: Database) -> None:
        self._keypair, self._queues, self._log, self._database = keypair, queues, log, database
        self._limits, self._quirk = Limits.scaled(settings.time_scale), quirk_of(settings)

    def __call__(self, endpoint: Mapping[str, Any], seconds: float) -> Attempt:
        uri = urlsplit(str(endpoint.get("Uri")))
        if uri.scheme == "poll":
            return self.ask(str(endpoint["Uri"]), min(seconds, max(_SHORTEST_WAIT, self._limits.queue_timeout)))
        # The record's thumbprint is compared as it is spelled (2.5).
        expected = str(endpoint.get("Thumbprint"))
        done = call_tentacle(
            uri.hostname or "",
            uri.port or 10933,
            self._keypair,
            expected,
            timeout=max(_SHORTEST_WAIT, seconds / _TRIES),
            proxy=self._proxy(endpoint.get("ProxyId")),
            limits=self._limits,
            log=self._log.write,
            quirk=self._quirk,
        )
        return Attempt(None if done.ok else done.error_text or "The call failed.")

    def _proxy(self, identity: str | None) -> ProxyDetails | None:
        document = self._database.document(identity) if identity else None
        if document is None:
            return None
        login = Login(document["Username"], document["Password"] or "") if document["Username"] else None
        return ProxyDetails(document["Host"], document["Port"], login)

    def ask(self, subscription: str, seconds: float) -> Attempt:
        """One request through the queue of a polling Tentacle."""
        try:
            response: Document = self._queues.send(subscription, request("ICapabilitiesServiceV2", "GetCapabilities"), seconds)
        except QueueError as error:
            return Attempt(str(error))
        return Attempt(error_of(response))


class Node:
    """Everything that a running node consists of."""

    def __init__(self, instance: Instance, settings: Settings) -> None:
        self.log = NodeLog(instance.home / "Logs")
        self._settings, self._instance, self._name = settings, instance, instance.node_name
        self.database = Database(instance.database, instance.master_key_file)
        self._limits = Limits.scaled(settings.time_scale)
        self._queues = RequestQueues(self._limits)
        self._keypair = self.database.keypair()
        self._listener = self._new_listener()
        tasks = Tasks(self.database)
        tasks.end_those_of(self._name)
        api = Api(self.database, tasks, settings, self._name, self._loaded, lambda *asked: self._contacts().ask(*asked))
        self._rest = RestServer((instance.address, instance.web_port), api, self.log.write)
        health = Health(self.database, tasks, self._contact, settings)
        self._engine = Engine(self.database, tasks, health, self._name, settings.time_scale, self.log.write, self._each_turn)

    @property
    def comms_port(self) -> int:
        return self._listener.port

    @property
    def web_port(self) -> int:
        return self._rest.server_port

    def _new_listener(self) -> Listener:
        return Listener(
            self._instance.address,
            self._instance.comms_port,
            self._keypair,
            self.database.trusted_thumbprints,
            self.log.write,
            queues=self._queues,
            limits=self._limits,
            quirk=quirk_of(self._settings),
            faults=self._wire_faults,
        )

    def _contacts(self) -> Contacts:
        return Contacts(self._keypair, self._queues, self._settings, self.log, self.database)

    def _contact(self, endpoint: Mapping[str, Any], seconds: float) -> Attempt:
        return self._contacts()(endpoint, seconds)

    def _loaded(self) -> Certificate:
        return self.database.certificate(self._keypair.thumbprint)

    def _wire_faults(self) -> Collection[str]:
        return ("accepts_anybody",) if self._name in names(self._settings.fault("server_accepts_anybody")) else ()

    def _each_turn(self) -> None:
        """What a Server does not do: take an imported certificate into use while it runs."""
        if quirk_of(self._settings)("server_certificate_at_start") or self.database.get("certificate") == self._keypair.thumbprint:
            return
        self._keypair = self.database.keypair()
        self._listener.stop()
        self._listener = self._new_listener()
        self._listener.start()
        self.database.put_node(self._name, loaded=self._keypair.thumbprint)

    def start(self) -> None:
        self._listener.start()
        threading.Thread(target=self._rest.serve_forever, args=(_STOP_LOOKS,), name="web", daemon=True).start()
        self.database.put_node(self._name, loaded=self._keypair.thumbprint)
        self._engine.start()
        self.log.write("INFO", self._name, f"Octopus Server is running with the certificate {self._keypair.thumbprint}")

    def stop(self) -> None:
        self._engine.stop()
        self._rest.shutdown()
        self._rest.server_close()
        self._listener.stop()
        self.database.close()


def run_node(call: Call) -> int:
    """Serve until SIGTERM or SIGINT. Running tasks are not waited for: a restart kills them (3.7)."""
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_ignored: ending.set())
    if call.instance.node_name in names(call.fault("node_stays_down")):
        raise Controlled(f"The node {call.instance.node_name} cannot start: the database schema is not the one that this version needs.")
    if call.fault("master_key_missing"):
        raise MissingKey
    node = Node(call.instance, call.world.settings)
    node.start()
    call.say("Running.")
    call.world.stdout.flush()
    ending.wait()
    node.log.write("INFO", call.instance.node_name, "Shutting down")
    # Health checks in flight would hold an orderly exit up for as long as their Tentacles take to answer.
    os._exit(0)
