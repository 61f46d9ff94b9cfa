# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One Octopus Server installation for a test: made in a folder, its commands and nodes run inside the test's own process."""

from __future__ import annotations

import io
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from lab.server.commands import COMMANDS
from lab.server.database import Database
from lab.server.host import main
from lab.server.instance import Instance, create
from lab.server.node import Node
from lab.settings import Settings
from lab.tentacle.world import World
from lab.wire.certificates import make_certificate
from lab.wire.quirks import switched_off

ADMIN, ORDINARY = "API-ADMINISTRATOR", "API-ORDINARY"
# A key costs a tenth of a second, so the tests share these.
OLD, NEW, TENTACLE, STRANGER = (make_certificate(name) for name in ("Octopus Portal", "Octopus Portal", "Octopus Tentacle", "CN"))


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Answer(NamedTuple):
    """A reply of the REST API; ``body`` is parsed when it is JSON."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Trial:
    """Ports are chosen by the system; the delays of a real Server are shortened to the least."""

    def __init__(self, folder: Path, *nodes: str, quirks_off: tuple[str, ...] = (), **settings: object) -> None:
        self.folder, self._quirks_off = folder, frozenset(quirks_off)
        self._given: dict[str, Any] = {"time_scale": 0.001, "record": str(folder / "argv.jsonl"), "home": str(folder), **settings}
        self._given |= {"faults": {}, "quirks_off": sorted(switched_off())}
        self.environ = {"OCTOLAB_SETTINGS": str(folder / "lab.json"), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
        self.environ["TentacleMachineConfigurationHomeDirectory"] = str(folder / "etc")
        self._write()
        self.database = Database.create(folder / "server" / "database.sqlite", keypair=OLD)
        self.database.put_api_key(ADMIN, admin=True, user="admin")
        self.database.put_api_key(ORDINARY, ["Default"], user="ordinary")
        self.instances = {name: self._instance(name) for name in nodes or ("node-1",)}
        self.running: dict[str, Node] = {}

    def _instance(self, name: str) -> Instance:
        configuration = self.folder / "server" / name / "OctopusServer.config"
        ports: dict[str, Any] = {"web_port": 0, "comms_port": 0}
        return create(self.folder / "etc", name, configuration, node_name=name, database=self.database.path, settings=self.settings, **ports)

    @property
    def settings(self) -> Settings:
        loaded = Settings.load(self.environ)
        return replace(loaded, quirks_off=loaded.quirks_off | self._quirks_off)

    def fault(self, name: str, value: object = True) -> None:
        self._given["faults"][name] = value
        self._write()

    def _write(self) -> None:
        (self.folder / "lab.json").write_text(json.dumps(self._given), encoding="utf-8")

    def cli(self, *argv: str, instance: str | None = "node-1") -> Done:
        out, err = io.StringIO(), io.StringIO()
        chosen = (f"--instance={instance}",) if instance else ()
        code = main(World([*argv, *chosen], self.environ, str(self.folder), io.StringIO(), out, err, self.settings), COMMANDS)
        return Done(code, out.getvalue(), err.getvalue())

    def start(self, name: str = "node-1") -> Node:
        self.running[name] = node = Node(self.instances[name], self.settings)
        node.start()
        return node

    def stop(self, name: str = "node-1") -> None:
        self.running.pop(name).stop()

    def close(self) -> None:
        for name in list(self.running):
            self.stop(name)
        self.database.close()

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: object = None,
        *,
        key: str | None = ADMIN,
        node: str = "node-1",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        request = urllib.request.Request(f"http://127.0.0.1:{self.running[node].web_port}{path}", method=method)
        request.data = None if body is None else json.dumps(body).encode()
        for name, value in {**({"X-Octopus-ApiKey": key} if key else {}), **(headers or {})}.items():
            request.add_header(name, value)
        try:
            reply = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as error:
            reply = error
        with reply:
            raw = reply.read()
            is_json = reply.headers.get_content_type() == "application/json"
            return Answer(reply.status, json.loads(raw) if is_json else raw, dict(reply.headers))
