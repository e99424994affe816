"""The log of every request: what came, what was done to it, what was answered.

Kept in the database at arrival, so that a request whose client or server dies is in it. Bodies,
phone numbers and the token are not.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.sandbox.database import Database


@dataclass(slots=True)
class Entry:
    """One request. `status` is what was answered, None while or when nothing was.

    `finished` is set before the answer's first byte is sent or the connection broken: whatever the
    request does has then been done. It stays False for what hung until the sandbox stopped.

    `operation` is empty for what is no endpoint (redirects, unknown paths). `key` and `name` come
    from `metadata.reconciler`, `idempotency_key` is the header. `fault` is the kind that decided
    about the answer. `batch_id` is the batch concerned or made. `wall` is the time of arrival in
    seconds since 1970, real time.
    """

    id: int
    wall: float
    method: str
    path: str
    query: str
    operation: str = ""
    campaign_id: str | None = None
    batch_id: str | None = None
    name: str | None = None
    key: str | None = None
    idempotency_key: str | None = None
    contacts: int | None = None
    fault: str | None = None
    status: int | None = None
    finished: bool = False


class Journal:
    """Append and read log entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, method: str, path: str, query: str) -> Entry:
        """Log a request that has just arrived."""
        entry = Entry(0, time.time(), method, path, query)
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO log (wall, entry) VALUES (?, ?)", (entry.wall, "{}")
            )
            entry.id = int(cursor.lastrowid or 0)
            self.update(entry)
        return entry

    def update(self, entry: Entry) -> None:
        """Write down what has become known of a request."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE log SET entry = ? WHERE id = ?", (json.dumps(asdict(entry)), entry.id)
            )

    def entries(self) -> list[Entry]:
        """Give all requests, in the order they arrived."""
        rows = self._database.rows("SELECT entry FROM log ORDER BY id")
        return [Entry(**json.loads(row["entry"])) for row in rows]
