"""Specs, records, batches and states in a few words, for the tests of everything that is pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import structs
from msgspec.structs import replace

from reconciler.digest import request_digest, request_key
from reconciler.model import Contact, Lifecycle, OnChange, Request, Spec, SpecSet
from reconciler.observed import Batch
from reconciler.plan.facts import Facts, Rules
from reconciler.plan.planner import make_plan
from reconciler.state.document import (
    Generation,
    NameRecord,
    RecordedBy,
    RequestRecord,
    Source,
    State,
    Status,
)

if TYPE_CHECKING:
    from reconciler.model import Diagnostic
    from reconciler.plan.actions import Plan

NOW = datetime(2026, 5, 12, 9, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=5)
LINEAGE = "0123456789abcdef"
CAMPAIGN = "cmp_a"


def people(n: int, *, first: int = 0) -> list[Contact]:
    """Give contacts whose numbers nobody has."""
    return [
        {"phone_number": f"+9190000{i:05d}", "call_variables": {"callee_name": f"Person {i}"}}
        for i in range(first, first + n)
    ]


def request(
    contents: int = 1, *, campaign: str = CAMPAIGN, part: int = 1, n: int = 2, **fields: Any
) -> Request:
    """Give a request; `contents` stands for everything in it: the same number, the same digest."""
    body = {"campaign_id": campaign, "call_context": {"contents": contents}, **fields}
    contacts = people(n, first=100 * part)
    return Request(part, body, contacts, request_digest(body, contacts))


def spec(
    name: str = "welcome",
    contents: int = 1,
    *,
    parts: int = 1,
    lifecycle: Lifecycle = Lifecycle.ACTIVE,
    on_change: OnChange = OnChange.REMAINING,
    campaign: str = CAMPAIGN,
    **fields: Any,
) -> Spec:
    """Give a spec that was read from a file of its name."""
    requests = tuple(
        request(contents, campaign=campaign, part=part, **fields) for part in range(1, parts + 1)
    )
    file, path = f"batches/{name}.yaml", f"{name}.yaml"
    return Spec(name, file, path, requests, lifecycle, on_change, (3, 1))


def specs(*each: Spec, diagnostics: tuple[Diagnostic, ...] = ()) -> SpecSet:
    """Give a root of these specs."""
    return SpecSet(each, diagnostics, len(each))


def key_of(of: Spec, *, generation: int = 1, part: int = 1, name: str | None = None) -> str:
    """Give the key under which a spec's request is created."""
    digest = of.requests[part - 1].digest
    return request_key(
        lineage=LINEAGE, name=name or of.name, generation=generation, part=part, digest=digest
    )


def creating(of: Spec, *, part: int = 1, generation: int = 1, **changes: Any) -> RequestRecord:
    """Give the record of a request in doubt, attempted long ago."""
    record = RequestRecord(
        part=part,
        key=key_of(of, part=part, generation=generation),
        status=Status.CREATING,
        digest=of.requests[part - 1].digest,
        contacts=len(of.requests[part - 1].contacts),
        attempt=1,
        first_attempted_at=LONG_AGO,
        attempted_at=LONG_AGO,
        run="earlier",
    )
    return structs.replace(record, **changes)


def created(
    of: Spec, batch_id: str | None = None, *, part: int = 1, generation: int = 1, **changes: Any
) -> RequestRecord:
    """Give the record of a request whose batch is known."""
    return structs.replace(
        creating(of, part=part, generation=generation),
        status=Status.CREATED,
        batch_id=batch_id or f"bat_{of.name}_{generation}_{part}",
        recorded_at=LONG_AGO,
        recorded_by=RecordedBy.CREATED,
        **changes,
    )


def generation(of: Spec, *records: RequestRecord, number: int = 1) -> Generation:
    """Give a generation of a spec; without records, all its requests are created."""
    return Generation(
        generation=number,
        campaign_id=of.campaign_id,
        fields=dict(of.requests[0].fields),
        source=Source(path=of.path),
        requests=records or tuple(created(of, part=r.part, generation=number) for r in of.requests),
    )


def recorded(*records: RequestRecord, of: Spec, lifecycle: Lifecycle | None = None) -> NameRecord:
    """Give what is recorded under a name: one generation of a spec."""
    return NameRecord(
        generations=(generation(of, *records),), lifecycle=lifecycle or Lifecycle.ACTIVE
    )


def state(**names: NameRecord) -> State:
    """Give a state that was stored before."""
    return State(lineage=LINEAGE, serial=7, batches=names)


def in_doubt(of: Spec, **changes: Any) -> State:
    """Give a state in which one request of a name is in doubt, and nothing else is recorded."""
    return state(**{of.name: recorded(creating(of, **changes), of=of)})


def batch(
    record: RequestRecord, batch_id: str, *, age: timedelta | None = None, **changes: Any
) -> Batch:
    """Give a batch that carries a record's key; without an age, one that does not tell it."""
    marker = {"key": record.key, "digest": record.digest}
    made = Batch(
        batch_id=batch_id,
        campaign_id=CAMPAIGN,
        status="in_progress",
        total_contacts=record.contacts,
        created_at=None if age is None else NOW - age,
        metadata={"reconciler": marker},
    )
    return replace(made, **changes)


def plan(
    *each: Spec,
    on: State | None = None,
    facts: Facts | None = None,
    rules: Rules | None = None,
    now: datetime = NOW,
) -> Plan:
    """Plan specs on a state; by default nothing is recorded and the API has nothing to tell."""
    return make_plan(
        specs(*each), on or State(lineage=LINEAGE), facts or Facts(), rules or Rules(), now
    )
