"""Why a batch's calls are not going out: every reason that can be told, the plainest first.

Pure. The first finding is the answer; the others would keep the calls back as well once the first
is out of the way. A batch that simply calls has the one finding that it does.
"""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.digest import request_key
from reconciler.model import Lifecycle
from reconciler.observed import TERMINAL
from reconciler.plan.freezing import UNFREEZE
from reconciler.plan.hours import hours_of, next_opening
from reconciler.plan.progress import (
    COMPLETE,
    GONE,
    IN_DOUBT,
    NOT_CREATED,
    UNKNOWN,
    counts,
    done_of,
    in_flight,
    started_at,
)
from reconciler.plan.stopped import how_stopped, way_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from reconciler.observed import Batch, Campaign
    from reconciler.plan.progress import Reading
    from reconciler.state.document import Generation, NameRecord, RequestRecord, State


class Cause(StrEnum):
    """Why calls do not go out, or that they do. Part of the JSON output: values never change."""

    NOT_CREATED = "not_created"
    IN_DOUBT = "in_doubt"
    GONE = "gone"
    UNREACHABLE = "unreachable"
    """The API could not be asked."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    COMPLETED = "completed"
    CAMPAIGN_PAUSED = "campaign_paused"
    CAMPAIGN_DRAFT = "campaign_draft"
    CAMPAIGN_CANCELLED = "campaign_cancelled"
    CAMPAIGN_COMPLETED = "campaign_completed"
    CAMPAIGN_NOT_ACTIVE = "campaign_not_active"
    """It is in a state that this version does not know."""
    STOPPED_BY_HAND = "stopped_by_hand"
    SPEC_PAUSED = "spec_paused"
    REPLACING = "replacing"
    """It is paused for a change that is not finished."""
    FROZEN = "frozen"
    PAUSED = "paused"
    """And nothing that is recorded says why."""
    SCHEDULED = "scheduled"
    OUTSIDE_HOURS = "outside_hours"
    NO_HOURS = "no_hours"
    """Working hours are enforced, and there are none."""
    NOBODY_LEFT = "nobody_left"
    WAITING_FOR_RETRIES = "waiting_for_retries"
    CONCURRENCY = "concurrency"
    STARTING = "starting"
    RUNNING = "running"
    UNKNOWN = "unknown"
    """The API says something that this version does not know."""


_OVER = "it will not call again: give the spec another campaign_id"
_CAMPAIGNS = {
    "paused": (Cause.CAMPAIGN_PAUSED, "resume the campaign in the vendor's console"),
    "draft": (Cause.CAMPAIGN_DRAFT, "activate the campaign in the vendor's console"),
    "cancelled": (Cause.CAMPAIGN_CANCELLED, _OVER),
    "completed": (Cause.CAMPAIGN_COMPLETED, _OVER),
}


class Finding(Struct, frozen=True):
    """One reason. `until` is when it ends by itself, aware and in UTC, None if it does not."""

    cause: Cause
    message: str
    hint: str = ""
    until: datetime | None = None


class Explanation(Struct, frozen=True):
    """All about one request: `findings` has at least one, the answer first.

    `earlier` is its generation where that is not the current one, else None.
    """

    part: int
    batch_id: str | None
    status: str
    findings: tuple[Finding, ...]
    earlier: int | None = None


def explain_name(
    name: str, record: NameRecord, reading: Reading, frozen: str | None = None
) -> tuple[Explanation, ...]:
    """Explain every request of a name's current generation, and earlier batches that still run.

    `frozen` is why nothing is created or resumed in this root, None where that may be.
    """
    generation = record.current
    if not generation.requests:
        message = "when the spec was changed, nobody was left to call: there is no batch"
        finding = Finding(Cause.NOBODY_LEFT, message, _see(name))
        return (Explanation(1, None, "completed", (finding,)),)
    explanations = [
        _explain(name, record, each, request, reading, frozen=frozen)
        for each in reversed(record.generations)
        for request in each.requests
        if each is generation or _runs(request, reading)
    ]
    explanations.extend(_missing(generation, frozen))
    number = generation.generation
    return tuple(sorted(explanations, key=lambda each: (-(each.earlier or number), each.part)))


def _missing(generation: Generation, frozen: str | None) -> Iterator[Explanation]:
    """Explain each part of a spec that is cut of which nothing is recorded."""
    finding = Finding(
        Cause.NOT_CREATED,
        "the batch of this part is not created: the API rejected it, or a run ended before",
        "see what apply would do: reconciler plan",
    )
    for part in range(1, (generation.parts or 1) + 1):
        if generation.request(part) is None:
            yield Explanation(part, None, NOT_CREATED, (finding, *_frozen(frozen)))


def _runs(request: RequestRecord, reading: Reading) -> bool:
    batch = reading.batches.get(request.batch_id or "")
    return batch is not None and batch.status not in TERMINAL


def not_recorded(
    name: str, state: State, frozen: str | None = None, *, has_spec: bool | None
) -> tuple[Finding, ...]:
    """Say that nothing is recorded under a name.

    `has_spec` tells whether a spec has it, None where some specs cannot be read.
    """
    moved = _moved_to(name, state)
    message, hint = f"nothing is recorded under {name}", "see all names: reconciler state list"
    if has_spec:
        message += ": its batch is not created yet"
        hint = "see what apply would do: reconciler plan"
    elif moved is not None:
        message += f" any more: its batches are recorded under {moved} now"
        hint = f"ask for that: reconciler explain {shlex.quote(moved)}"
    elif has_spec is None:
        message += "; a spec with mistakes may have this name"
        hint = "mend those first: reconciler validate"
    else:
        message += ", and no spec has this name"
    finding = Finding(Cause.NOT_CREATED, message, hint)
    return (finding, *(_frozen(frozen) if has_spec else ()))


def _moved_to(name: str, state: State) -> str | None:
    """Give the name that has the batches now which were created under another one.

    A key is made of the name under which its request was first recorded, and a move keeps it.
    """
    for now, generation, request in state.requests():
        key = request_key(
            lineage=state.lineage,
            name=name,
            generation=generation.generation,
            part=request.part,
            digest=request.digest,
        )
        if request.key == key:
            return now
    return None


def _explain(
    name: str,
    record: NameRecord,
    generation: Generation,
    request: RequestRecord,
    reading: Reading,
    *,
    frozen: str | None,
) -> Explanation:
    batch_id = request.batch_id
    if batch_id is None and not request.in_doubt:
        finding = Finding(
            Cause.NOBODY_LEFT,
            "nobody was left to call when the spec changed, so no batch was made",
            "see who was called: reconciler results " + name,
        )
        return Explanation(request.part, None, COMPLETE, (finding,))
    if batch_id is None:
        finding = Finding(
            Cause.IN_DOUBT,
            f"nobody can tell whether the batch exists: {request.unknown or 'a run died there'}",
            "let reconciler apply look for it again, or settle it by hand: reconciler resolve",
        )
        return Explanation(request.part, None, IN_DOUBT, (finding,))
    if batch_id not in reading.batches:
        finding = Finding(
            Cause.UNREACHABLE,
            "the API could not be asked, so nobody can tell",
            "check the connection: reconciler doctor",
        )
        return Explanation(request.part, batch_id, UNKNOWN, (finding,))
    batch = reading.batches[batch_id]
    if batch is None:
        finding = Finding(
            Cause.GONE,
            f"the API knows no batch {batch_id} any more",
            "check whose token GRAINE_API_KEY is, and ask the vendor: batches do not vanish",
        )
        return Explanation(request.part, batch_id, GONE, (finding,))
    campaign = reading.campaigns.get(generation.campaign_id)
    siblings = [
        sibling
        for sibling in reading.siblings.get(generation.campaign_id, ())
        if sibling.batch_id != batch_id
    ]
    findings = explain_batch(
        batch,
        campaign,
        siblings,
        reading.at,
        starts_at=started_at(batch, generation, campaign),
        name=name,
        record=record,
        frozen=frozen,
    )
    earlier = None if generation is record.current else generation.generation
    return Explanation(request.part, batch_id, batch.status or UNKNOWN, findings, earlier)


def explain_batch(
    batch: Batch,
    campaign: Campaign | None,
    siblings: Sequence[Batch],
    now: datetime,
    *,
    starts_at: datetime | None,
    name: str,
    record: NameRecord | None = None,
    frozen: str | None = None,
) -> tuple[Finding, ...]:
    """Explain a batch that exists. `siblings` are the campaign's other batches.

    `record` is what is recorded under its name.
    """
    if batch.status in TERMINAL:
        return (_ended(batch, name, record),)
    if _nobody_left(batch):
        message = f"there is nobody left to call{_outcomes(batch)}"
        return (Finding(Cause.NOBODY_LEFT, message, _see(name)),)
    findings = [
        *_held_by_campaign(campaign),
        *_held_on_purpose(batch, record, frozen),
        *_held_by_time(batch, campaign, now, starts_at),
    ]
    findings.extend(_held_by_others(batch, campaign, siblings, name, held=bool(findings)))
    return tuple(findings) or (_going(batch),)


def _see(name: str) -> str:
    return f"see each contact: reconciler results {shlex.quote(name)}"


def _ended(batch: Batch, name: str, record: NameRecord | None) -> Finding:
    told = _outcomes(batch)
    results = _see(name)
    stopped = record.stopped if record else None
    match batch.status:
        case "cancelled" if stopped is not None and stopped.lifecycle is Lifecycle.CANCELLED:
            message = f"it was {how_stopped(stopped)}{told}"
            return Finding(Cause.CANCELLED, message, f"the way back: {way_back(stopped)}")
        case "cancelled":
            message = f"the batch was cancelled, for good{told}"
            return Finding(Cause.CANCELLED, message, results)
        case "expired":
            message = f"the batch passed its end window and calls nobody any more{told}"
            return Finding(Cause.EXPIRED, message, results)
        case _:
            message = f"the batch is complete: everybody was called as often as allowed{told}"
            return Finding(Cause.COMPLETED, message, results)


def _held_by_campaign(campaign: Campaign | None) -> Iterator[Finding]:
    if campaign is None or campaign.status is None or campaign.status == "active":
        return
    cause, hint = _CAMPAIGNS.get(
        campaign.status, (Cause.CAMPAIGN_NOT_ACTIVE, "look it up in the vendor's console")
    )
    yield Finding(cause, f"the campaign {campaign.campaign_id} is {campaign.status}", hint)


def _held_on_purpose(
    batch: Batch, record: NameRecord | None, frozen: str | None
) -> Iterator[Finding]:
    """Say of a paused batch who wants it so, and how it goes on. Nobody's stop is to be undone."""
    if batch.status != "paused":
        return
    stopped, begun = (record.stopped, record.replacing) if record else (None, None)
    if stopped is not None:
        message = f"it was {how_stopped(stopped)}"
        yield Finding(Cause.STOPPED_BY_HAND, message, f"the way back: {way_back(stopped)}")
    elif begun is not None and batch.batch_id in begun.paused:
        yield Finding(
            Cause.REPLACING,
            "the batch is paused for a change of its spec that is not finished",
            "go on with it: reconciler apply",
        )
    elif record is not None and record.lifecycle is Lifecycle.PAUSED:
        yield Finding(
            Cause.SPEC_PAUSED,
            "its spec says `lifecycle: paused`",
            "when the calls may go on, say `lifecycle: active` there, then: reconciler apply",
        )
    elif frozen is not None:
        yield Finding(
            Cause.PAUSED,
            "the batch is paused, and nothing that is recorded says why",
            "leave it paused while everything is frozen",
        )
    else:
        yield Finding(
            Cause.PAUSED, "the batch is paused", "resume the batch in the vendor's console"
        )
    yield from _frozen(frozen)


def _frozen(why: str | None) -> Iterator[Finding]:
    if why is not None:
        message = f"everything is frozen, so nothing is created or resumed: {why}"
        yield Finding(Cause.FROZEN, message, UNFREEZE)


def _held_by_time(
    batch: Batch, campaign: Campaign | None, now: datetime, starts_at: datetime | None
) -> Iterator[Finding]:
    """Find out whether its time has not come, or not today."""
    first = now
    if batch.status == "pending" and starts_at is not None and starts_at > now:
        first = starts_at
        yield Finding(
            Cause.SCHEDULED,
            "the batch is scheduled for later",
            "nothing is wrong; a sooner start needs another batch",
            starts_at,
        )
    hours = hours_of(campaign)
    if hours is None or hours.always:
        return
    opening = next_opening(hours, first)
    if opening is None:
        yield Finding(
            Cause.NO_HOURS,
            "the campaign calls within working hours only, and has none",
            "set working hours for the campaign in the vendor's console",
        )
    elif opening > first:
        which = "it is" if first == now else "its start is"
        yield Finding(
            Cause.OUTSIDE_HOURS,
            f"{which} outside the campaign's working hours",
            "nothing is wrong: calls go on when they open, or change them in the vendor's console",
            opening,
        )


def _nobody_left(batch: Batch) -> bool:
    """Whether the counters say that everybody is done, though the batch has not ended."""
    total = batch.total_contacts
    return bool(total) and done_of(batch.counters, total or 0) == total


def _held_by_others(
    batch: Batch, campaign: Campaign | None, siblings: Sequence[Batch], name: str, *, held: bool
) -> Iterator[Finding]:
    """Find out from the counters whether anybody is due now, and a line is free for the call."""
    counted = counts(batch.counters)
    if batch.status != "in_progress" or not counted or in_flight(batch.counters):
        return
    later = counted.get("retrying", 0) + counted.get("followup_scheduled", 0)
    if later and not counted.get("pending"):
        yield Finding(
            Cause.WAITING_FOR_RETRIES,
            f"everybody was called; {later:,} wait for a retry or a follow-up",
            f"next_retry_at says when: reconciler results {shlex.quote(name)}",
        )
        return
    limit = campaign.concurrency_limit if campaign else None
    others = sum(in_flight(sibling.counters) for sibling in siblings)
    if limit is not None and others >= limit and not held:
        busy = sum(1 for sibling in siblings if in_flight(sibling.counters))
        yield Finding(
            Cause.CONCURRENCY,
            f"the campaign's {limit:,} calls at once are taken: {others:,} are under way in "
            f"{busy:,} other {'batch' if busy == 1 else 'batches'}",
            "wait for those, or raise the campaign's concurrency limit in the vendor's console",
        )


def _going(batch: Batch) -> Finding:
    """Say of a batch that nothing holds back what it does."""
    match batch.status:
        case "in_progress":
            lines = in_flight(batch.counters)
            now = f": {lines:,} {'is' if lines == 1 else 'are'} under way" if lines else ""
            return Finding(Cause.RUNNING, f"calls are going out{now}{_outcomes(batch)}")
        case "pending":
            return Finding(
                Cause.STARTING,
                "nothing that can be seen holds it back, so it should be about to start",
                "look again in a minute; if it stays so, ask the vendor",
            )
        case _:
            return Finding(
                Cause.UNKNOWN,
                f"the API says that the batch is {batch.status or 'in no known status'}",
                "look it up in the vendor's console",
            )


def _outcomes(batch: Batch) -> str:
    """Give the counters that are not zero, to end a sentence with."""
    told = [f"{count:,} {status}" for status, count in counts(batch.counters).items() if count]
    return f" ({', '.join(told)})" if told else ""
