"""Campaigns, batches and their contacts: what the sandbox knows, always brought up to now.

Every method lets happen first what is due by the simulated time (arrivals, calls), in one
transaction with its own reading or writing; so nobody sees a state between two moments.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.sandbox import calling, campaigns, ledger
from reconciler.sandbox.bodies import Draft

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from reconciler.sandbox.database import Database

FOREVER = 1e15
_COLUMNS = (
    "number, batch_id, campaign_id, organization_id, created_at, request, idempotency_key, total, "
    "status, active, plan, counts"
)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch as stored; `counters` are live, `start` and `created_at` seconds since 1970."""

    number: int
    batch_id: str
    campaign_id: str
    organization_id: str
    created_at: float
    start: float
    scheduled: bool
    concurrency_limit: int
    status: str
    total: int
    counters: Mapping[str, int]
    request: Mapping[str, Any]
    idempotency_key: str | None


class NotAllowed(Exception):  # noqa: N818 - the API's answer to a control call
    """A batch's status does not allow what was asked; the text is the API's `detail`."""


class Store:
    """The API's data over one database. Safe to use from several threads and processes."""

    def __init__(
        self, database: Database, *, organization: str, accept_any_campaign: bool = False
    ) -> None:
        self._database = database
        self._organization = organization
        self._accept_any = accept_any_campaign
        with database.transaction() as connection:
            for campaign in campaigns.seeded():
                _insert_campaign(connection, campaign)

    @contextmanager
    def moment(self, campaign_id: str | None = None) -> Iterator[tuple[sqlite3.Connection, float]]:
        """Open a transaction in which everything due has happened; gives it and the time.

        With `campaign_id`, calls in other campaigns may lag behind.
        """
        with self._database.transaction() as connection:
            now = self._database.now()
            self._let_arrive(connection, now)
            ledger.settle(connection, now, campaign_id)
            yield connection, now

    def campaign(self, campaign_id: str) -> dict[str, Any] | None:
        """Read a campaign in the API's shape; makes it appear when any id is accepted."""
        rows = self._database.rows("SELECT body FROM campaigns WHERE campaign_id = ?", campaign_id)
        if rows:
            body: dict[str, Any] = json.loads(rows[0]["body"])
            return body
        if not self._accept_any or campaign_id.startswith(campaigns.MISSING_PREFIX):
            return None
        body = campaigns.campaign(campaign_id, f"Campaign {campaign_id}")
        with self._database.transaction() as connection:
            _insert_campaign(connection, body)
        return body

    def add_campaign(self, body: Mapping[str, Any]) -> None:
        """Put a campaign there, or put it in the place of the one with its id."""
        with self._database.transaction() as connection:
            _insert_campaign(connection, body, replace=True)

    def create(
        self,
        draft: Draft,
        *,
        idempotency_key: str | None = None,
        hidden_for: float = 0.0,
        gettable: bool = True,
    ) -> BatchRow:
        """Make a batch; it calls from its start on. Durable once this returns."""
        with self.moment(draft.campaign_id) as (connection, now):
            number = self._insert(
                connection, draft, now, idempotency_key, hidden_for=hidden_for, gettable=gettable
            )
            ledger.settle(connection, now, draft.campaign_id)
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM batches WHERE number = ?",  # noqa: S608 - our constant
                (number,),
            ).fetchone()
            return _batch_row(row, now)

    def create_later(self, draft: Draft, seconds: float, idempotency_key: str | None) -> None:
        """Make a batch come into being in so many seconds of simulated time. Durable already."""
        saved = {
            "campaign_id": draft.campaign_id,
            "fields": draft.fields,
            "contacts": draft.contacts,
            "start": draft.start,
            "idempotency_key": idempotency_key,
        }
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO arrivals (due, draft) VALUES (?, ?)",
                (self._database.now() + seconds, json.dumps(saved)),
            )

    def batch(self, batch_id: str) -> BatchRow | None:
        """Read one batch; None when there is none, or it is hidden even from reading by id."""
        with self.moment() as (connection, now):
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM batches "  # noqa: S608 - our constant
                "WHERE batch_id = ? AND (gettable OR hidden_until <= ?)",
                (batch_id, now),
            ).fetchone()
            return None if row is None else _batch_row(row, now)

    def batches(
        self, campaign_id: str | None = None, status: str | None = None, *, hidden: bool = False
    ) -> list[BatchRow]:
        """Read batches, the newest first; with `hidden` also those that lists do not show yet."""
        with self.moment(campaign_id) as (connection, now):
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM batches "  # noqa: S608 - our constant
                "WHERE (:campaign IS NULL OR campaign_id = :campaign) "
                "AND (:status IS NULL OR status = :status) AND (:hidden OR hidden_until <= :now) "
                "ORDER BY created_at DESC, number DESC",
                {"campaign": campaign_id, "status": status, "hidden": hidden, "now": now},
            ).fetchall()
            return [_batch_row(row, now) for row in rows]

    def control(self, batch_id: str, verb: str) -> BatchRow | None:
        """Pause, resume or cancel a batch now; None when there is none, NotAllowed when it cannot.

        Doing again what is already so is no error, except that an ended batch takes no order.
        """
        row = self.batch(batch_id)
        if row is None:
            return None
        with self.moment(row.campaign_id) as (connection, now):
            plan, progress = ledger.load(connection, row.number)
            effects = calling.Effects()
            if progress.status in calling.TERMINAL:
                raise NotAllowed(f"Cannot {verb} a batch that is {progress.status}")
            if verb == "pause" and progress.status != "paused":
                calling.pause(progress, now)
            elif verb == "resume" and progress.status == "paused":
                campaign = self.campaign(row.campaign_id)
                if campaign is not None and campaign["status"] == "paused":
                    raise NotAllowed("Cannot resume a batch while its campaign is paused")
                calling.resume(plan, progress, now)
            elif verb == "cancel":
                effects = calling.cancel(progress, now)
            ledger.save(connection, plan, progress, effects)
            ledger.settle(connection, now, row.campaign_id)
        return self.batch(batch_id)

    def skip(self, batch_id: str, phone_number: str) -> bool:
        """Take one contact out of a batch who waits to be called; False when there is none."""
        row = self.batch(batch_id)
        if row is None:
            return False
        with self.moment(row.campaign_id) as (connection, now):
            found = connection.execute(
                "SELECT position FROM contacts WHERE batch = ? AND phone_number = ?",
                (row.number, phone_number),
            ).fetchone()
            plan, progress = ledger.load(connection, row.number)
            effects = None
            if found is not None and progress.status not in calling.TERMINAL:
                effects = calling.skip(progress, found["position"])
            if effects is None:
                return False
            ledger.save(connection, plan, progress, effects)
            ledger.settle(connection, now, row.campaign_id)
        return True

    def contacts(
        self, number: int, *, status: str | None = None, skip: int = 0, limit: int = -1
    ) -> list[sqlite3.Row]:
        """Read a page of a batch's contacts, in the order they were sent, with live statuses."""
        with self.moment() as (connection, now):
            return connection.execute(
                "SELECT * FROM (SELECT *, CASE WHEN status = 'in_progress' AND ring_at > :now "
                "THEN 'dispatched' ELSE status END AS live FROM contacts WHERE batch = :batch) "
                "WHERE :status IS NULL OR live = :status "
                "ORDER BY position LIMIT :limit OFFSET :skip",
                {"now": now, "batch": number, "status": status, "limit": limit, "skip": skip},
            ).fetchall()

    def dials(self, number: int | None = None) -> list[sqlite3.Row]:
        """Read every ring so far, of one batch or all, in the order they happened."""
        with self.moment() as (connection, now):
            return connection.execute(
                "SELECT dials.*, batches.batch_id, batches.campaign_id, contacts.phone_number, "
                "dials.end_at <= :now AS over FROM dials "
                "JOIN batches ON batches.number = dials.batch "
                "JOIN contacts ON contacts.batch = dials.batch "
                "AND contacts.position = dials.position "
                "WHERE dials.ring_at <= :now AND (:batch IS NULL OR dials.batch = :batch) "
                "ORDER BY dials.ring_at, dials.batch, dials.position",
                {"now": now, "batch": number},
            ).fetchall()

    def _let_arrive(self, connection: sqlite3.Connection, now: float) -> None:
        due = connection.execute(
            "SELECT id, due, draft FROM arrivals WHERE due <= ? ORDER BY due, id", (now,)
        ).fetchall()
        for row in due:
            connection.execute("DELETE FROM arrivals WHERE id = ?", (row["id"],))
            saved = json.loads(row["draft"])
            key = saved.pop("idempotency_key")
            self._insert(connection, Draft(**saved), row["due"], key)

    def _insert(
        self,
        connection: sqlite3.Connection,
        draft: Draft,
        now: float,
        idempotency_key: str | None,
        *,
        hidden_for: float = 0.0,
        gettable: bool = True,
    ) -> int:
        """Insert a batch and its contacts as of `now`; gives its number."""
        row = connection.execute("SELECT coalesce(max(number), 0) + 1 FROM batches").fetchone()
        number = int(row[0])
        campaign = self.campaign(draft.campaign_id) or {}
        plan = ledger.plan_of(draft, campaign, number, self._database.seed, now)
        status = "pending" if plan["start"] > now else "in_progress"
        if campaign.get("status") == "paused":
            status = "paused"
        progress = calling.Progress(status, now, counts={"pending": len(draft.contacts)})
        connection.execute(
            "INSERT INTO batches (number, batch_id, campaign_id, organization_id, created_at, "
            "hidden_until, gettable, request, idempotency_key, total, plan, status, next_event, "
            "active, counts, progress) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '[]', ?, ?)",
            (
                number,
                self._batch_id(number),
                draft.campaign_id,
                draft.fields.get("organization_id") or self._organization,
                now,
                now + hidden_for,
                gettable,
                json.dumps(draft.fields),
                idempotency_key,
                len(draft.contacts),
                json.dumps(plan),
                status,
                now,
                json.dumps(progress.counts),
                ledger.dumped(progress),
            ),
        )
        connection.executemany(
            "INSERT INTO contacts (batch, position, phone_number, call_variables) "
            "VALUES (?, ?, ?, ?)",
            (
                (number, place, contact["phone_number"], json.dumps(contact.get("call_variables")))
                for place, contact in enumerate(draft.contacts)
            ),
        )
        return number

    def _batch_id(self, number: int) -> str:
        text = f"{self._database.seed}/{self._database.nonce}/{number}"
        return "batch_" + hashlib.sha256(text.encode()).hexdigest()[:20]


def _insert_campaign(
    connection: sqlite3.Connection, body: Mapping[str, Any], *, replace: bool = False
) -> None:
    verb = "REPLACE" if replace else "INSERT OR IGNORE"
    connection.execute(
        f"{verb} INTO campaigns VALUES (?, ?)",
        (body["campaign_id"], json.dumps(body)),
    )


def _batch_row(row: sqlite3.Row, now: float) -> BatchRow:
    plan = json.loads(row["plan"])
    live = calling.counters(json.loads(row["counts"]), json.loads(row["active"]), now)
    return BatchRow(
        number=row["number"],
        batch_id=row["batch_id"],
        campaign_id=row["campaign_id"],
        organization_id=row["organization_id"],
        created_at=row["created_at"],
        start=plan["start"],
        scheduled=plan["scheduled_start"] is not None,
        concurrency_limit=plan["limit"],
        status=row["status"],
        total=row["total"],
        counters=live,
        request=json.loads(row["request"]),
        idempotency_key=row["idempotency_key"],
    )
