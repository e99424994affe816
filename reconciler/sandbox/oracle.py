"""What tests may know and clients may not: every batch that exists, every phone that rang."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.sandbox.database import Database
    from reconciler.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Dial:
    """One time that a phone rang. `at` is aware, in simulated time; `attempt` counts from 0."""

    at: datetime
    batch_id: str
    campaign_id: str
    phone_number: str = field(repr=False)
    attempt: int


@dataclass(frozen=True, slots=True)
class KnownBatch:
    """A batch that exists, whether lists show it or not. `created_at` is aware, simulated time.

    `key` and `name` come out of `metadata.reconciler`; `counters` are live.
    """

    batch_id: str
    campaign_id: str
    organization_id: str
    key: str | None
    name: str | None
    idempotency_key: str | None
    status: str
    created_at: datetime
    total_contacts: int
    counters: Mapping[str, int]
    metadata: Mapping[str, Any]
    scheduled_start: str | None
    contacts: Sequence[Mapping[str, Any]] = field(repr=False)

    @property
    def phone_numbers(self) -> list[str]:
        """Whom the batch calls, in the order they were sent."""
        return [contact["phone_number"] for contact in self.contacts]


class Oracle:
    """Reads the truth out of the store."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    def dials(self) -> list[Dial]:
        """Give every ring so far, in the order they happened."""
        return [
            Dial(
                at=_moment(row["ring_at"]),
                batch_id=row["batch_id"],
                campaign_id=row["campaign_id"],
                phone_number=row["phone_number"],
                attempt=row["attempt"],
            )
            for row in self._store.dials()
        ]

    def batches(self) -> list[KnownBatch]:
        """Give every batch that exists, the oldest first."""
        found = []
        for row in sorted(self._store.batches(hidden=True), key=lambda row: row.number):
            metadata = row.request["metadata"] or {}
            marker = metadata.get("reconciler")
            marker = marker if isinstance(marker, dict) else {}
            contacts = [
                {
                    "phone_number": contact["phone_number"],
                    "call_variables": json.loads(contact["call_variables"]),
                    "status": contact["live"],
                }
                for contact in self._store.contacts(row.number)
            ]
            found.append(
                KnownBatch(
                    batch_id=row.batch_id,
                    campaign_id=row.campaign_id,
                    organization_id=row.organization_id,
                    key=marker.get("key"),
                    name=marker.get("name"),
                    idempotency_key=row.idempotency_key,
                    status=row.status,
                    created_at=_moment(row.created_at),
                    total_contacts=row.total,
                    counters=row.counters,
                    metadata=metadata,
                    scheduled_start=row.request["scheduled_start"],
                    contacts=contacts,
                )
            )
        return found

    def now(self) -> datetime:
        """Give the simulated time."""
        return _moment(self._database.now())

    def skip(self, batch_id: str, phone_number: str) -> bool:
        """Take out somebody who waits, as a person can in the vendor's console."""
        return self._store.skip(batch_id, phone_number)

    def advance(self, seconds: float) -> datetime:
        """Move the simulated time on and give what it is now."""
        self._database.advance(seconds)
        # Let things happen now rather than in whoever asks next.
        with self._store.moment():
            return self.now()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
