# Copyright (c) 2026, the octofleet.octopus authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file under the database: one sqlite file that every node and every command line call of an installation shares."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A waiting writer gives up after this long; a writer holds the file for milliseconds.
_BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE counter (kind TEXT PRIMARY KEY, last INTEGER NOT NULL);
CREATE TABLE certificate_history (
    thumbprint TEXT PRIMARY KEY, subject TEXT NOT NULL, signature_algorithm TEXT NOT NULL, installed_at TEXT NOT NULL,
    der BLOB NOT NULL, sealed_key BLOB NOT NULL);
CREATE TABLE document (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL UNIQUE, space TEXT NOT NULL, name TEXT NOT NULL,
    thumbprint TEXT, body TEXT NOT NULL);
CREATE INDEX document_by_kind ON document (kind, space);
CREATE TABLE contact (id TEXT PRIMARY KEY, checked_at REAL NOT NULL, unavailable_since REAL, status TEXT NOT NULL, log TEXT NOT NULL);
CREATE TABLE api_key (digest TEXT PRIMARY KEY, user TEXT NOT NULL, spaces TEXT NOT NULL, permissions TEXT NOT NULL);
CREATE TABLE node (
    name TEXT PRIMARY KEY, last_seen REAL NOT NULL, draining INTEGER NOT NULL DEFAULT 0, task_cap INTEGER NOT NULL DEFAULT 5, loaded TEXT);
CREATE TABLE node_history (sequence INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, what TEXT NOT NULL);
CREATE TRIGGER node_drains AFTER UPDATE OF draining ON node WHEN old.draining <> new.draining BEGIN
    INSERT INTO node_history (name, what) VALUES (new.name, CASE new.draining WHEN 0 THEN 'active' ELSE 'draining' END); END;
CREATE TRIGGER node_starts AFTER UPDATE OF loaded ON node BEGIN INSERT INTO node_history (name, what) VALUES (new.name, 'started'); END;
CREATE TABLE task (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, space TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, node TEXT,
    machines TEXT NOT NULL, body TEXT NOT NULL, log TEXT NOT NULL DEFAULT '[]');
CREATE INDEX task_by_state ON task (state);
"""


class Store:
    """One connection per process, used by all its threads in turn."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(f"The database {path} does not exist.")
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        # With a write-ahead log this keeps every commit through a kill -9; only a power cut could lose the last ones.
        self._connection.execute("PRAGMA synchronous=NORMAL")

    @classmethod
    def create(cls, path: Path) -> Store:
        connection = sqlite3.connect(path)
        # Readers and a writer in different processes do not wait for each other, and a kill -9 leaves a whole file.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        connection.close()
        return cls(path)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: Any) -> sqlite3.Row | None:
        found = self.rows(query, *values)
        return found[0] if found else None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Exclusive from its first line, so that read, change and write are one step for every other process."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def write(self, statement: str, *values: Any) -> int:
        """One statement in its own transaction; the number of rows that it changed."""
        with self._lock:
            return self._connection.execute(statement, values).rowcount
