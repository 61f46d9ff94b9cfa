# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an Octopus Server keeps in its database, with the Python surface of the fleet builder and of the witness."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab.server import resources
from lab.server.masterkey import MasterKey
from lab.server.resources import Document
from lab.server.store import Store

if TYPE_CHECKING:
    from lab.wire.certificates import Keypair

MACHINES, WORKERS = "Machines", "Workers"
SUBJECT = "Octopus Portal"
ALL_SPACES = "*"
ADMINISTER = "AdministerSystem"
# What an ordinary key may do (octopus-server.md 3.7, last line).
ORDINARY = ("SpaceView", "MachineView", "MachineEdit", "WorkerView", "WorkerEdit", "TaskView", "TaskCreate", "TaskCancel", "EnvironmentView")


@dataclass(frozen=True)
class Certificate:
    """What anybody may know of the Server's certificate."""

    thumbprint: str
    subject: str
    signature_algorithm: str
    installed_at: str
    der: bytes


@dataclass(frozen=True)
class User:
    """Who an API key belongs to."""

    name: str
    spaces: Literal["*"] | tuple[str, ...]
    permissions: frozenset[str]

    @property
    def administers(self) -> bool:
        return ADMINISTER in self.permissions

    def may(self, permission: str) -> bool:
        return self.administers or permission in self.permissions

    def sees(self, space_id: str) -> bool:
        return self.spaces == ALL_SPACES or space_id in self.spaces


@dataclass(frozen=True)
class Node:
    """One row of the cluster. ``loaded`` is the certificate that its process really holds."""

    name: str
    last_seen: float
    draining: bool
    task_cap: int
    loaded: str | None

    @property
    def id(self) -> str:
        return f"OctopusServerNodes-{self.name}"


@dataclass(frozen=True)
class Contact:
    """The last time that a health check looked at a machine."""

    checked_at: datetime
    unavailable_since: float | None
    status: str
    log: tuple[Document, ...]


class Database:
    """Shared by all nodes and commands of an installation; safe for concurrent processes and threads."""

    def __init__(self, path: str | Path, master_key_file: str | Path | None = None) -> None:
        self.path = Path(path)
        self.master_key_file = Path(master_key_file) if master_key_file else self.path.with_name("master.key")
        self.store = Store(self.path)

    @classmethod
    def create(cls, path: str | Path, *, default_space: str = "Default", keypair: Keypair | None = None, version: str = "2026.3.1234") -> Database:
        """A new installation: master key beside the file, one default space, a certificate (``keypair``, or one made now)."""
        from lab.wire.certificates import make_certificate

        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        MasterKey.generate(path.with_name("master.key"))
        Store.create(path).close()
        database = cls(path)
        database.set("installation_id", str(uuid.uuid4()))
        database.set("version", version)
        database.install_certificate(keypair or make_certificate(SUBJECT))
        database.put_space(default_space, IsDefault=True)
        return database

    def close(self) -> None:
        self.store.close()

    # Settings

    def get(self, key: str, default: str = "") -> str:
        row = self.store.row("SELECT value FROM setting WHERE key = ?", key)
        return default if row is None else str(row["value"])

    def set(self, key: str, value: str) -> None:
        self.store.write("INSERT OR REPLACE INTO setting VALUES (?, ?)", key, value)

    @property
    def in_maintenance(self) -> bool:
        return self.get("maintenance") == "true"

    def put_maintenance(self, on: bool) -> None:
        self.set("maintenance", "true" if on else "false")

    # The Server's certificate (1.2)

    def install_certificate(self, keypair: Keypair) -> None:
        """Make ``keypair`` the active one; every earlier one stays in the history, encrypted."""
        from lab.wire.certificates import signature_of, subject_of

        row = (
            keypair.thumbprint,
            subject_of(keypair.der),
            signature_of(keypair.der),
            resources.moment(),
            keypair.der,
            MasterKey.read(self.master_key_file).encrypt(keypair.key_pem),
        )
        with self.store.transaction() as write:
            write.execute("INSERT OR REPLACE INTO certificate_history VALUES (?, ?, ?, ?, ?, ?)", row)
            write.execute("INSERT OR REPLACE INTO setting VALUES ('certificate', ?)", (keypair.thumbprint,))

    def certificate(self, thumbprint: str | None = None) -> Certificate:
        """The active certificate, or any earlier one by its thumbprint."""
        row = self._certificate_row(thumbprint)
        return Certificate(row["thumbprint"], row["subject"], row["signature_algorithm"], row["installed_at"], bytes(row["der"]))

    def keypair(self, thumbprint: str | None = None) -> Keypair:
        """With its private key, for the node that loads it and for a witness that plays any node at any moment."""
        from lab.wire.certificates import Keypair

        row = self._certificate_row(thumbprint)
        return Keypair(bytes(row["der"]), MasterKey.read(self.master_key_file).decrypt(bytes(row["sealed_key"])), row["thumbprint"])

    def _certificate_row(self, thumbprint: str | None) -> sqlite3.Row:
        row = self.store.row("SELECT * FROM certificate_history WHERE thumbprint = ?", thumbprint or self.get("certificate"))
        if row is None:
            raise LookupError(f"This Server never had a certificate with the thumbprint {thumbprint or self.get('certificate')!r}.")
        return row

    # API keys; only their digest is kept

    def put_api_key(
        self,
        key: str,
        spaces: Literal["*"] | Collection[str] = ALL_SPACES,
        *,
        admin: bool = False,
        user: str = "automation",
        permissions: Iterable[str] = ORDINARY,
    ) -> None:
        """``spaces``: ids or names of what the key sees. ``admin`` adds AdministerSystem."""
        seen: Any = ALL_SPACES if spaces == ALL_SPACES else [self.space(each)["Id"] for each in spaces]
        granted = sorted({*permissions, *([ADMINISTER] if admin else [])})
        self.store.write("INSERT OR REPLACE INTO api_key VALUES (?, ?, ?, ?)", _digest(key), user, json.dumps(seen), json.dumps(granted))

    def user(self, key: str) -> User | None:
        row = self.store.row("SELECT * FROM api_key WHERE digest = ?", _digest(key))
        if row is None:
            return None
        spaces = json.loads(row["spaces"])
        return User(row["user"], spaces if spaces == ALL_SPACES else tuple(spaces), frozenset(json.loads(row["permissions"])))

    # Documents

    def documents(self, kind: str, space_id: str | None = None) -> list[Document]:
        if space_id is None:
            rows = self.store.rows("SELECT body FROM document WHERE kind = ? ORDER BY sequence", kind)
        else:
            rows = self.store.rows("SELECT body FROM document WHERE kind = ? AND space = ? ORDER BY sequence", kind, space_id)
        return [json.loads(row["body"]) for row in rows]

    def document(self, identity: str) -> Document | None:
        row = self.store.row("SELECT body FROM document WHERE id = ?", identity)
        return None if row is None else json.loads(row["body"])

    def change(self, identity: str, how: Callable[[Document], Document]) -> Document | None:
        """Read, change and write as one step; the last PUT wins, but a health check never undoes it (3.1)."""
        with self.store.transaction() as write:
            row = write.execute("SELECT kind, body FROM document WHERE id = ?", (identity,)).fetchone()
            if row is None:
                return None
            document = how(json.loads(row["body"]))
            write.execute("UPDATE document SET name = ?, thumbprint = ?, body = ? WHERE id = ?", (*_columns(row["kind"], document), identity))
            return document

    def delete(self, identity: str) -> bool:
        return self.store.write("DELETE FROM document WHERE id = ?", identity) > 0

    def put_space(self, name: str, **given: Any) -> Document:
        """A space with what each has from its first minute: a default machine policy and a default worker pool."""
        created = self._put("Spaces", "", {"Name": name, **given}, lambda identity: resources.space(identity, {"Name": name, **given}))
        if not self.documents("MachinePolicies", created["Id"]):
            self.put_policy(created["Id"], {"Name": "Default Machine Policy", "IsDefault": True})
            self.put_pool(created["Id"], {"Name": "Default Worker Pool", "IsDefault": True})
        return created

    def space(self, name_or_id: str) -> Document:
        for each in self.documents("Spaces"):
            if name_or_id in (each["Id"], each["Name"]):
                return each
        raise LookupError(f"There is no space {name_or_id!r}.")

    def put_environment(self, space: str, given: Mapping[str, Any]) -> Document:
        space_id, more = self.space(space)["Id"], {"SortOrder": 0, "UseGuidedFailure": False}
        return self._put("Environments", space_id, given, lambda identity: resources.named(identity, space_id, given, **more))

    def put_pool(self, space: str, given: Mapping[str, Any]) -> Document:
        space_id, kind = self.space(space)["Id"], {"IsDefault": False, "SortOrder": 0, "WorkerPoolType": "StaticWorkerPool"}
        return self._put("WorkerPools", space_id, given, lambda identity: resources.named(identity, space_id, given, **kind))

    def put_policy(self, space: str, given: Mapping[str, Any]) -> Document:
        space_id = self.space(space)["Id"]
        return self._put("MachinePolicies", space_id, given, lambda identity: resources.policy(identity, space_id, given))

    def put_proxy(self, space: str, given: Mapping[str, Any]) -> Document:
        """An HTTP proxy for listening Tentacles whose record names its id. ``Password`` is a text here, and shown to nobody."""
        space_id = self.space(space)["Id"]
        return self._put("Proxies", space_id, given, lambda identity: resources.proxy(identity, space_id, given))

    def put_machine(self, space: str, given: Mapping[str, Any]) -> Document:
        """A deployment target. ``Name`` and ``Endpoint`` (CommunicationStyle, Uri, Thumbprint) suffice; the same Id, or name, is replaced."""
        return self._put_machine(MACHINES, space, given)

    def put_worker(self, space: str, given: Mapping[str, Any]) -> Document:
        """A worker; without ``WorkerPoolIds`` it joins the default pool."""
        pools = [pool["Id"] for pool in self.documents("WorkerPools", self.space(space)["Id"]) if pool["IsDefault"]]
        return self._put_machine(WORKERS, space, {"WorkerPoolIds": pools, **given})

    def _put_machine(self, kind: str, space: str, given: Mapping[str, Any]) -> Document:
        space_id = self.space(space)["Id"]
        default = next(each["Id"] for each in self.documents("MachinePolicies", space_id) if each["IsDefault"])
        whole = {"MachinePolicyId": default, **given}
        return self._put(kind, space_id, whole, lambda identity: resources.machine(kind, identity, space_id, whole))

    def _put(self, kind: str, space_id: str, given: Mapping[str, Any], make: Callable[[str], Document]) -> Document:
        with self.store.transaction() as write:
            identity = given.get("Id") or _same_name(write, kind, space_id, given["Name"]) or _next_id(write, kind)
            document = make(identity)
            name, thumbprint, body = _columns(kind, document)
            write.execute("DELETE FROM document WHERE id = ?", (identity,))
            row = (kind, identity, space_id, name, thumbprint, body)
            write.execute("INSERT INTO document (kind, id, space, name, thumbprint, body) VALUES (?, ?, ?, ?, ?, ?)", row)
            return document

    def trusted_thumbprints(self) -> frozenset[str]:
        """The Tentacle certificates that a node lets in: those of all records, disabled ones too (2.5)."""
        rows = self.store.rows("SELECT DISTINCT thumbprint FROM document WHERE kind IN (?, ?) AND thumbprint IS NOT NULL", MACHINES, WORKERS)
        return frozenset(row["thumbprint"] for row in rows)

    # Contact with machines

    def put_contact(self, identity: str, *, available: bool, log: Sequence[Document], at: datetime | None = None) -> None:
        when = at or datetime.now(UTC)
        before = self.contact(identity)
        since = None if available else (before.unavailable_since if before and before.unavailable_since else when.timestamp())
        status = "Online" if available else "Offline"
        self.store.write("INSERT OR REPLACE INTO contact VALUES (?, ?, ?, ?, ?)", identity, when.timestamp(), since, status, json.dumps(list(log)))

    def contact(self, identity: str) -> Contact | None:
        row = self.store.row("SELECT * FROM contact WHERE id = ?", identity)
        if row is None:
            return None
        return Contact(datetime.fromtimestamp(row["checked_at"], UTC), row["unavailable_since"], row["status"], tuple(json.loads(row["log"])))

    # Nodes

    def put_node(self, name: str, *, loaded: str | None = None, task_cap: int = 5) -> None:
        """A node that has just started; whether it drains survives its restart."""
        self.store.write(
            "INSERT INTO node (name, last_seen, task_cap, loaded) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET last_seen = excluded.last_seen, loaded = excluded.loaded",
            name,
            time.time(),
            task_cap,
            loaded,
        )

    def heartbeat(self, name: str) -> None:
        self.store.write("UPDATE node SET last_seen = ? WHERE name = ?", time.time(), name)

    def put_node_option(self, name: str, *, draining: bool | None = None, task_cap: int | None = None) -> None:
        statement = "UPDATE node SET draining = COALESCE(?, draining), task_cap = COALESCE(?, task_cap) WHERE name = ?"
        self.store.write(statement, draining, task_cap, name)

    def nodes(self) -> list[Node]:
        rows = self.store.rows("SELECT * FROM node ORDER BY name")
        return [Node(row["name"], row["last_seen"], bool(row["draining"]), row["task_cap"], row["loaded"]) for row in rows]

    def node_history(self) -> list[tuple[str, str]]:
        """Name and what became of it, for tests: `draining`, `active`, `started` (again)."""
        return [(row["name"], row["what"]) for row in self.store.rows("SELECT * FROM node_history ORDER BY sequence")]

    def delete_node(self, name: str) -> None:
        self.store.write("DELETE FROM node WHERE name = ?", name)

    def node(self, name: str) -> Node | None:
        return next((each for each in self.nodes() if each.name == name), None)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _columns(kind: str, document: Document) -> tuple[str, str | None, str]:
    """Name, trusted thumbprint and body, as the table keeps them."""
    endpoint = resources.tentacle_endpoint(document) if kind in (MACHINES, WORKERS) else None
    return document["Name"], (endpoint or {}).get("Thumbprint"), json.dumps(document)


def _same_name(write: sqlite3.Connection, kind: str, space_id: str, name: str) -> str | None:
    row = write.execute("SELECT id FROM document WHERE kind = ? AND space = ? AND name = ? COLLATE NOCASE", (kind, space_id, name)).fetchone()
    return None if row is None else str(row["id"])


def _next_id(write: sqlite3.Connection, kind: str) -> str:
    """The next free id of its kind; a number once given is never given again, not even after a DELETE."""
    while True:
        write.execute("INSERT INTO counter VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET last = last + 1", (kind,))
        identity = f"{kind}-{write.execute('SELECT last FROM counter WHERE kind = ?', (kind,)).fetchone()['last']}"
        if write.execute("SELECT 1 FROM document WHERE id = ?", (identity,)).fetchone() is None:
            return identity
