"""What each endpoint of the API does, as plain functions from a request to an answer.

No HTTP here: `app` reads requests and sends answers, `injection` breaks them on command.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from reconciler.sandbox import bodies, calling
from reconciler.sandbox.bodies import InvalidRequest
from reconciler.sandbox.store import FOREVER, BatchRow, NotAllowed, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.sandbox.faultbook import Fault

BATCH_STATUSES = ("pending", "in_progress", "paused", "completed", "cancelled", "expired")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request to an endpoint. `batch_id` and `campaign_id` are those of the path."""

    query: Mapping[str, str]
    body: bytes = b""
    batch_id: str = ""
    campaign_id: str = ""
    idempotency_key: str | None = None
    shaping: Sequence[Fault] = ()
    log_id: int = 0

    def shaped(self, kind: str) -> Mapping[str, Any] | None:
        """Give the fields of the shaping fault of this kind, None when there is none."""
        return next((f.rule.own for f in self.shaping if f.rule.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, JSON body, more headers. `batch_id` is for the log."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    batch_id: str | None = None


class Endpoints:
    """The operations over one store; `organization` given, others' ids are refused."""

    def __init__(self, store: Store, *, organization: str | None) -> None:
        self._store = store
        self._organization = organization
        self._operations: dict[str, Callable[[Incoming], Answer]] = {
            "create": self._create,
            "list": self._list,
            "get": self._get,
            "contacts": self._contacts,
            "pause": lambda incoming: self._control(incoming, "pause"),
            "resume": lambda incoming: self._control(incoming, "resume"),
            "cancel": lambda incoming: self._control(incoming, "cancel"),
            "campaign": self._campaign,
            "campaign_stats": self._stats,
            "campaign_batches": self._campaign_batches,
            "validate_token": self._validate_token,
        }

    def perform(self, operation: str, incoming: Incoming) -> Answer:
        """Do what the request asks, effect included; never raises for anything a client sends."""
        try:
            return self._operations[operation](incoming)
        except InvalidRequest as error:
            return Answer(error.status, {"detail": error.detail})
        except NotAllowed as error:
            return Answer(400, {"detail": str(error)})

    def create_later(self, incoming: Incoming, seconds: float) -> None:
        """Let a create take effect in so many simulated seconds; nothing when it is invalid."""
        try:
            draft = self._draft(incoming)
        except InvalidRequest:
            return
        self._store.create_later(draft, seconds, incoming.idempotency_key)

    def _create(self, incoming: Incoming) -> Answer:
        draft = self._draft(incoming)
        hiding = incoming.shaped("invisible")
        hidden_for, gettable = 0.0, True
        if hiding is not None:
            hidden_for = FOREVER if hiding["seconds"] is None else hiding["seconds"]
            gettable = hiding["gettable"]
        for _ in range(1 if incoming.shaped("doubled") is None else 2):
            row = self._store.create(
                draft,
                idempotency_key=incoming.idempotency_key,
                hidden_for=hidden_for,
                gettable=gettable,
            )
        body = {
            "batch_id": row.batch_id,
            "campaign_id": row.campaign_id,
            "organization_id": row.organization_id,
            "status": row.status,
            "total_contacts": row.total,
            "created_at": _created_at(row, incoming),
        }
        return Answer(200, body, batch_id=row.batch_id)

    def _draft(self, incoming: Incoming) -> bodies.Draft:
        body = bodies.read_json(incoming.body)
        campaign = self._store.campaign(bodies.campaign_id_of(body))
        if campaign is None:
            raise InvalidRequest(404, "Campaign not found or does not belong to this org")
        if campaign["status"] not in {"active", "paused"}:
            raise InvalidRequest(400, f"Campaign is {campaign['status']}, not active")
        draft = bodies.read_draft(body, campaign["timezone"])
        self._check_organization(draft.fields["organization_id"])
        return draft

    def _check_organization(self, named: str | None) -> None:
        if self._organization is not None and named not in {None, self._organization}:
            raise InvalidRequest(403, "Token does not belong to this organization")

    def _list(self, incoming: Incoming) -> Answer:
        self._check_organization(incoming.query.get("organization_id"))
        return self._rows(incoming, incoming.query.get("campaign_id"))

    def _campaign_batches(self, incoming: Incoming) -> Answer:
        self._campaign(incoming)
        return self._rows(incoming, incoming.campaign_id)

    def _rows(self, incoming: Incoming, campaign_id: str | None) -> Answer:
        skip = bodies.page_number(incoming.query, "skip", 0, 0, 10**9)
        limit = bodies.page_number(incoming.query, "limit", 50, 1, bodies.MAX_PAGE)
        status = bodies.one_of(incoming.query, "status", BATCH_STATUSES)
        rows = self._store.batches(campaign_id, status)
        return Answer(200, [_listed(row, incoming) for row in _page(rows, skip, limit, incoming)])

    def _get(self, incoming: Incoming) -> Answer:
        row = self._known(incoming)
        body = _row(row, incoming) | {
            "max_retries_override": row.request["max_retries_override"],
            "call_context": row.request["call_context"],
            "metadata": row.request["metadata"] or {},
        }
        return Answer(200, body)

    def _known(self, incoming: Incoming) -> BatchRow:
        row = self._store.batch(incoming.batch_id)
        if row is None:
            raise InvalidRequest(404, "Batch not found")
        return row

    def _contacts(self, incoming: Incoming) -> Answer:
        row = self._known(incoming)
        skip = bodies.page_number(incoming.query, "skip", 0, 0, 10**9)
        limit = bodies.page_number(incoming.query, "limit", 100, 1, bodies.MAX_PAGE)
        status = bodies.one_of(incoming.query, "status", calling.CONTACT_STATUSES)
        contacts = self._store.contacts(row.number, status=status, skip=skip, limit=limit)
        shown = [
            {
                "contact_id": f"contact_{row.batch_id[6:18]}_{contact['position']}",
                "phone_number": contact["phone_number"],
                "call_variables": json.loads(contact["call_variables"]),
                "status": contact["live"],
                "retry_count": contact["retry_count"],
                "follow_up_count": contact["follow_up_count"],
                "last_attempted_at": as_text(contact["last_attempted_at"]),
                "next_retry_at": as_text(contact["next_retry_at"]),
                "latest_retry_count": contact["latest_retry_count"],
            }
            for contact in contacts
        ]
        if incoming.query.get("include_calls", "false").lower() in {"true", "1", "yes", "on"}:
            records: dict[int, list[dict[str, Any]]] = {}
            for dial in self._store.dials(row.number):
                records.setdefault(dial["position"], []).append(_call_record(row, dial))
            for contact, fields in zip(contacts, shown, strict=True):
                fields["calls"] = records.get(contact["position"], [])
        return Answer(200, shown)

    def _control(self, incoming: Incoming, verb: str) -> Answer:
        row = self._store.control(incoming.batch_id, verb)
        if row is None:
            raise InvalidRequest(404, "Batch not found")
        done = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}[verb]
        body = {"batch_id": row.batch_id, "status": row.status, "message": f"Batch {done}"}
        return Answer(200, body)

    def _campaign(self, incoming: Incoming) -> Answer:
        campaign = self._store.campaign(incoming.campaign_id)
        if campaign is None:
            raise InvalidRequest(404, "Campaign not found")
        return Answer(200, campaign)

    def _stats(self, incoming: Incoming) -> Answer:
        self._campaign(incoming)
        rows = self._store.batches(incoming.campaign_id)
        counters = Counter[str]()
        for row in rows:
            counters.update(row.counters)
        body = {
            "campaign_id": incoming.campaign_id,
            "total_batches": len(rows),
            "batches": dict(Counter(row.status for row in rows)),
            "total_contacts": sum(row.total for row in rows),
            "counters": {status: counters[status] for status in calling.CONTACT_STATUSES},
        }
        return Answer(200, body)

    def _validate_token(self, incoming: Incoming) -> Answer:  # noqa: ARG002 - one signature for all
        return Answer(200, {"valid": True, "organization_id": self._organization})


def as_text(moment: float | None) -> str | None:
    """Write a time as the API does: ISO 8601 in UTC with `Z`, microseconds; None stays None."""
    if moment is None:
        return None
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def _created_at(row: BatchRow, incoming: Incoming) -> str | None:
    naive = incoming.shaped("naive_created_at")
    if naive is None:
        return as_text(row.created_at)
    moment = datetime.fromtimestamp(row.created_at, ZoneInfo(naive["timezone"]))
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def _row(row: BatchRow, incoming: Incoming) -> dict[str, Any]:
    """Build what the list and the single batch have in common."""
    return {
        "batch_id": row.batch_id,
        "campaign_id": row.campaign_id,
        "organization_id": row.organization_id,
        "status": row.status,
        "scheduled_start": as_text(row.start) if row.scheduled else None,
        "concurrency_limit": row.concurrency_limit,
        "total_contacts": row.total,
        "created_at": _created_at(row, incoming),
        "counters": {"total": row.total, **row.counters},
    }


def _listed(row: BatchRow, incoming: Incoming) -> dict[str, Any]:
    """Build a row of a list: without metadata, unless a fault says otherwise."""
    shown = _row(row, incoming)
    if incoming.shaped("with_metadata") is not None:
        shown["metadata"] = row.request["metadata"] or {}
    dropped = (incoming.shaped("drop_fields") or {}).get("fields", [])
    return {name: value for name, value in shown.items() if name not in dropped}


def _page(rows: list[BatchRow], skip: int, limit: int, incoming: Incoming) -> list[BatchRow]:
    """Cut one page out of the rows, as the faults upon the list have it."""
    if incoming.shaped("empty_list") is not None:
        return []
    shuffle = incoming.shaped("shuffle")
    order = random.Random(incoming.log_id)  # noqa: S311 - a fault, to be repeatable
    if shuffle is not None and shuffle["within"] == "all":
        order.shuffle(rows)
    if incoming.shaped("ignore_skip") is not None:
        skip = 0
    cap = incoming.shaped("cap")
    if cap is not None:
        limit = min(limit, cap["rows"])
    repeat = incoming.shaped("repeat_rows")
    if repeat is not None:
        skip = max(0, skip - repeat["rows"])
    page = rows[skip : skip + limit]
    if shuffle is not None and shuffle["within"] == "page":
        order.shuffle(page)
    return page


def _call_record(row: BatchRow, dial: Any) -> dict[str, Any]:
    """Build one call of a contact, as `include_calls` shows it."""
    outcome = {"followup": "completed", "invalid": "failed"}.get(dial["outcome"], dial["outcome"])
    talked = bool(dial["over"]) and outcome == "completed"
    return {
        "execution_id": f"exec_{row.batch_id[6:18]}_{dial['position']}_{dial['attempt']}",
        "call_status": outcome if dial["over"] else "in_progress",
        "started_at": as_text(dial["ring_at"]),
        "ended_at": as_text(dial["end_at"]) if dial["over"] else None,
        "duration_seconds": round(dial["end_at"] - dial["ring_at"]) if talked else 0,
        "recording_url": None,
        "transcript": "Simulated conversation." if talked else None,
        "summary": "Simulated call." if talked else None,
        "sentiment": "neutral" if talked else None,
        "hangup_by": "callee" if talked else None,
        "hangup_reason": outcome if dial["over"] else None,
    }
