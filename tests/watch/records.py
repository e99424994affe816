"""Records, batches and readings in a few words, for the tests of what is pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.observed import Batch, Campaign
from reconciler.plan.progress import Reading
from reconciler.state.document import (
    Generation,
    NameRecord,
    RequestRecord,
    Source,
    State,
    Status,
)

NOW = datetime(2035, 5, 15, 12, 0, tzinfo=UTC)
ALWAYS = Campaign("cmp_1", timezone="Europe/London", working_hours_enforced=False)
OFFICE = Campaign(
    "cmp_1",
    timezone="Europe/London",
    working_hours_enforced=True,
    working_hours={
        name: {"start": "09:00", "end": "17:00", "enabled": True}
        for name in ("monday", "tuesday", "wednesday", "thursday", "friday")
    },
)


def request(batch_id: str | None = "b1", *, part: int = 1) -> RequestRecord:
    """Give a record, in doubt without an id."""
    return RequestRecord(
        part=part,
        key=f"rk1_{part}",
        status=Status.CREATED if batch_id else Status.CREATING,
        digest="v1:0",
        contacts=100,
        attempt=1,
        first_attempted_at=NOW,
        attempted_at=NOW,
        run="r",
        batch_id=batch_id,
    )


def state(*generations: tuple[RequestRecord, ...], **fields: Any) -> State:
    """Give a state with one name and these generations."""
    made = tuple(
        Generation(
            generation=number,
            campaign_id="cmp_1",
            fields=fields,
            source=Source(path="a.yaml"),
            requests=requests,
        )
        for number, requests in enumerate(generations, start=1)
    )
    return State(lineage="l", batches={"a": NameRecord(generations=made)})


def batch(batch_id: str = "b1", **fields: Any) -> Batch:
    """Give a batch of a hundred people that runs since ten o'clock."""
    usual: dict[str, Any] = {
        "status": "in_progress",
        "total_contacts": 100,
        "created_at": NOW - timedelta(hours=2),
        "counters": {"completed": 40, "pending": 60},
    }
    return Batch(batch_id, "cmp_1", **{**usual, **fields})


def reading(
    *batches: Batch,
    campaign: Campaign | None = ALWAYS,
    more: dict[str, Batch | None] | None = None,
) -> Reading:
    """Give what the API said."""
    found: dict[str, Batch | None] = {each.batch_id: each for each in batches}
    campaigns = {} if campaign is None else {"cmp_1": campaign}
    return Reading(at=NOW, campaigns=campaigns, batches={**found, **(more or {})})
