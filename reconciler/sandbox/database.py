"""The sandbox's memory: one SQLite file that several processes may have open, and its clock.

Promises: a write that returned survives the death of the process (not a power cut: nothing here is
worth an fsync); transactions of two processes never interleave; and all processes that share a file
share one simulated clock.

Simulated time is wall time times speed counted from an epoch, plus whatever was advanced. It runs
on while no process has the file open, as a server elsewhere would. All times in the tables are
seconds since 1970 in simulated time unless a column says wall.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

_BUSY_SECONDS = 30.0
_FORMAT = "1"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS campaigns (campaign_id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id TEXT NOT NULL UNIQUE,
    campaign_id TEXT NOT NULL,
    organization_id TEXT NOT NULL,
    created_at REAL NOT NULL,
    hidden_until REAL NOT NULL,      -- absent from lists before this
    gettable INTEGER NOT NULL,       -- readable by id while hidden
    request TEXT NOT NULL,           -- the body's fields but contacts
    idempotency_key TEXT,            -- the header, which has no effect
    total INTEGER NOT NULL,
    plan TEXT NOT NULL,              -- how the batch calls: fixed at creation
    status TEXT NOT NULL,
    next_event REAL,                 -- when the simulation has something to do; NULL for never
    active TEXT NOT NULL,            -- calls in flight
    counts TEXT NOT NULL,            -- contacts by status, calls in flight as in_progress
    progress TEXT NOT NULL           -- the rest of the simulation's state; last, for it may be long
);
CREATE INDEX IF NOT EXISTS batches_by_campaign ON batches (campaign_id, created_at);
CREATE INDEX IF NOT EXISTS batches_by_event ON batches (next_event);
CREATE TABLE IF NOT EXISTS contacts (
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    phone_number TEXT NOT NULL,
    call_variables TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    retry_count INTEGER NOT NULL DEFAULT 0,
    follow_up_count INTEGER NOT NULL DEFAULT 0,
    latest_retry_count INTEGER NOT NULL DEFAULT 0,
    last_attempted_at REAL,
    next_retry_at REAL,
    ring_at REAL,
    PRIMARY KEY (batch, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dials (
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    ring_at REAL NOT NULL,
    end_at REAL NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (batch, position, attempt)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrivals (
    id INTEGER PRIMARY KEY AUTOINCREMENT, due REAL NOT NULL, draft TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rules (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL,
    seen INTEGER NOT NULL DEFAULT 0,
    applied INTEGER NOT NULL DEFAULT 0,
    first_at REAL
);
CREATE TABLE IF NOT EXISTS holds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    rule INTEGER NOT NULL,
    request INTEGER NOT NULL,
    released INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, wall REAL NOT NULL, entry TEXT NOT NULL
);
"""


class Database:
    """One connection, shared by the threads of this process under a lock.

    `path` None keeps everything in memory. `seed` and `now` count only for a database that is new;
    `speed` None keeps the speed the database has (1 when new), another value changes it from now
    on for every process that shares the file. ValueError when the file is no sandbox's database.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        seed: int = 0,
        speed: float | None = None,
        now: datetime | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        if path is not None:
            _create_private(path)
        self._connection = sqlite3.connect(
            ":memory:" if path is None else path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        self._connection.row_factory = sqlite3.Row
        try:
            self._open(path, seed=seed, speed=speed, now=now)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ValueError(f"{path} is not a sandbox's database: {error}") from error
        except ValueError:
            self._connection.close()
            raise

    def _open(
        self, path: Path | None, *, seed: int, speed: float | None, now: datetime | None
    ) -> None:
        _switch_to_wal(self._connection)
        # In-memory databases name their batches by the seed alone, so that tests see the same ids
        # every time. A file gets a nonce: after deleting it, old ids must not name new batches.
        nonce = "" if path is None else secrets.token_hex(8)
        with self.transaction():
            start = now.timestamp() if now else time.time()
            self._prepare(seed=seed, nonce=nonce, start=start, speed=speed)
            if speed is not None:
                self._change_speed(speed)
        self.seed = int(self._meta("seed") or 0)
        self.nonce = self._meta("nonce") or ""

    def close(self) -> None:
        """Close the connection; using the database afterwards is an error."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the database alone, across threads and processes; commits unless the block raises.

        A transaction inside another one joins it.
        """
        with self._lock:
            if self._depth:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth -= 1

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """Read all rows of one query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def now(self) -> float:
        """Give the simulated time."""
        clock = json.loads(self._meta("clock") or "{}")
        return float(clock["simulated"] + (time.time() - clock["wall"]) * clock["speed"])

    def advance(self, seconds: float) -> float:
        """Move the simulated time on and give what it is now; ValueError for going back."""
        if seconds < 0:
            raise ValueError("simulated time only goes forward")
        with self.transaction():
            clock = json.loads(self._meta("clock") or "{}")
            clock["simulated"] += seconds
            self._set_meta("clock", json.dumps(clock))
        return self.now()

    def _prepare(self, *, seed: int, nonce: str, start: float, speed: float | None) -> None:
        for statement in _SCHEMA.split(";\n"):
            self._connection.execute(statement)
        clock = {"wall": time.time(), "simulated": start, "speed": 1.0 if speed is None else speed}
        defaults = {
            "format": _FORMAT,
            "seed": str(seed),
            "nonce": nonce,
            "clock": json.dumps(clock),
        }
        self._connection.executemany(
            "INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)", defaults.items()
        )
        if self._meta("format") != _FORMAT:
            raise ValueError("the database was made by another version: delete it and start anew")

    def _change_speed(self, speed: float) -> None:
        if speed < 0:
            raise ValueError("speed must not be negative")
        if json.loads(self._meta("clock") or "{}")["speed"] == speed:
            return
        clock = {"wall": time.time(), "simulated": self.now(), "speed": speed}
        self._set_meta("clock", json.dumps(clock))

    def _meta(self, name: str) -> str | None:
        rows = self.rows("SELECT value FROM meta WHERE name = ?", name)
        return str(rows[0]["value"]) if rows else None

    def _set_meta(self, name: str, value: str) -> None:
        self._connection.execute("UPDATE meta SET value = ? WHERE name = ?", (value, name))


def _create_private(path: Path) -> None:
    """Make the file readable by its owner only before SQLite does: it will hold phone numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch on the write-ahead log; two processes that do so at once are refused without waiting.

    The busy timeout does not cover this one statement, hence the loop of our own.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
