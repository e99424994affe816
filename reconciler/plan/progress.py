"""How far recorded batches are: counters read with little faith, rates, and about when they end.

Pure. The vendor documents that batches carry "live counters", and not which. So the counters that
bear the name of a contact status are used, all others are shown as they are, and what cannot be
told is None and never a guess that looks like a fact.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.observed import IN_FLIGHT, TERMINAL
from reconciler.plan.hours import after_open_time, hours_of, open_time
from reconciler.spec.schedule import BadSchedule, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reconciler.observed import Batch, Campaign
    from reconciler.state.document import Generation, RequestRecord, State

WAITING = ("pending", "retrying", "followup_scheduled")
"""Contact statuses of those who are still owed a call."""
ENDED = ("completed", "failed", "busy", "no_answer", "max_retries_reached", "skipped")
"""Contact statuses after which nobody is called any more."""
KNOWN = frozenset({*IN_FLIGHT, *WAITING, *ENDED})

IN_DOUBT = "in_doubt"
COMPLETE = "complete"
NOT_CREATED = "not_created"
GONE = "gone"
UNKNOWN = "unknown"
"""What stands for a batch's status where the API's own does not: nobody knows if it exists; nobody
was left to call, so none was made; none was made of a part of a spec yet; the API does not know it
any more; the API could not be asked.
"""

_LEAST_TIME = timedelta(minutes=1)
"""A rate out of less time than this is noise."""


class Reading(Struct, frozen=True, kw_only=True):
    """What the API said, as far as it said anything.

    `batches` maps ids to batches, and to None for those that the API does not know. An id that is
    missing could not be asked for. `at` is when it was asked, by the API's clock.
    """

    at: datetime
    campaigns: Mapping[str, Campaign] = field(default_factory=dict)
    batches: Mapping[str, Batch | None] = field(default_factory=dict)
    siblings: Mapping[str, tuple[Batch, ...]] = field(default_factory=dict)
    """All batches of a campaign that its list shows, recorded or not."""
    problems: tuple[tuple[str, str], ...] = ()
    """What could not be read, each with a hint."""
    blind: bool = False
    """Whether batches are among that, and not only what their campaign is like."""


class BatchProgress(Struct, frozen=True, kw_only=True):
    """Where one recorded batch stands.

    `status` is the API's, or `in_doubt`, `gone` or `unknown`. `done` counts the people who will not
    be called any more. `rate_per_hour` counts them per hour in which calls were allowed. Times are
    aware, in UTC. `parts` is how many there are to be of a current generation, as far as it is cut.
    """

    name: str
    generation: int
    part: int
    batch_id: str | None
    campaign_id: str
    contacts: int
    status: str
    counters: Mapping[str, Any] = field(default_factory=dict)
    done: int | None = None
    starts_at: datetime | None = None
    created_at: datetime | None = None
    rate_per_hour: float | None = None
    ends_about: datetime | None = None
    parts: int | None = None

    @property
    def alive(self) -> bool:
        """Whether anything may still happen to it, or nobody knows."""
        return self.status not in TERMINAL | {GONE, IN_DOUBT, COMPLETE}

    @property
    def outcomes(self) -> dict[str, int]:
        """The counters of those who are done, without the zeros."""
        counted = counts(self.counters)
        return {status: counted[status] for status in ENDED if counted.get(status)}


def progress_of(state: State, reading: Reading) -> list[BatchProgress]:
    """Tell where each batch of each name's current generation stands, sorted by campaign and name.

    A batch of an earlier generation is there too while it still runs.
    """
    shown = list(shown_requests(state, reading))
    current = {name: state.batches[name].current for name, _, _ in shown}
    elsewhere: Counter[str] = Counter()
    rows = []
    for name, generation, request in sorted(shown, key=lambda each: each[1].generation):
        row = _progress(name, generation, request, reading)
        if current[name] is not generation:
            elsewhere[name] += row.contacts  # people of an earlier batch that runs on
        else:
            row = replace(row, parts=generation.parts)
        if row.status == COMPLETE:
            counted = min(elsewhere[name], row.contacts)
            elsewhere[name] -= counted
            row = replace(row, contacts=row.contacts - counted, done=row.contacts - counted)
        rows.append(row)
    return sorted(rows, key=lambda r: (r.campaign_id, r.name, r.generation, r.part))


def by_spec(rows: Iterable[BatchProgress]) -> list[BatchProgress]:
    """Give one row for all parts of a generation, where a spec was cut into several batches."""
    groups: dict[tuple[str, int], list[BatchProgress]] = {}
    for row in rows:
        groups.setdefault((row.name, row.generation), []).append(row)
    return [_as_one(group) for group in groups.values()]


def _as_one(parts: Sequence[BatchProgress]) -> BatchProgress:
    """Sum parts up. What is not known of one is not known of all; the last end is the end."""
    total = max(parts[0].parts or 1, len(parts))
    if total == 1:
        return parts[0]
    found = f"{len(parts)} of {total}" if total > len(parts) else f"{total}"
    statuses = Counter(part.status for part in parts)
    counters: Counter[str] = Counter()
    for part in parts:
        counters.update(counts(part.counters))
    done = [part.done for part in parts]
    rates = [part.rate_per_hour for part in parts if part.rate_per_hour is not None]
    running = [part.ends_about for part in parts if part.status == "in_progress"]
    return replace(
        parts[0],
        part=1,
        batch_id=f"{found} batches",
        contacts=sum(part.contacts for part in parts),
        status=next(iter(statuses))
        if len(statuses) == 1
        else ", ".join(f"{count} {status}" for status, count in statuses.items()),
        counters=dict(counters),
        done=None if None in done else sum(each or 0 for each in done),
        starts_at=min((p.starts_at for p in parts if p.starts_at), default=None),
        created_at=min((p.created_at for p in parts if p.created_at), default=None),
        rate_per_hour=sum(rates) if rates else None,
        ends_about=None if None in running else max((e for e in running if e), default=None),
    )


def shown_requests(
    state: State, reading: Reading
) -> Iterator[tuple[str, Generation, RequestRecord]]:
    """Walk what `status` is about: current generations, and what still runs of earlier ones."""
    for name, generation, request in state.requests():
        current = state.batches[name].current is generation
        batch = reading.batches.get(request.batch_id or "")
        if current or (batch is not None and batch.status not in TERMINAL):
            yield name, generation, request


def counts(counters: Mapping[str, Any] | None) -> dict[str, int]:
    """Give the counters of known contact statuses; empty when there is none of them."""
    return {
        status: value
        for status, value in (counters or {}).items()
        if status in KNOWN and isinstance(value, int) and not isinstance(value, bool) and value >= 0
    }


def done_of(counters: Mapping[str, Any] | None, total: int) -> int | None:
    """Count who will not be called any more, at most `total`; None when no counter tells.

    Where some known status is counted, those that are missing count nobody.
    """
    counted = counts(counters)
    return min(total, sum(counted.get(status, 0) for status in ENDED)) if counted else None


def in_flight(counters: Mapping[str, Any] | None) -> int:
    """Count the calls under way, as far as the counters tell."""
    counted = counts(counters)
    return sum(counted.get(status, 0) for status in IN_FLIGHT)


def started_at(
    batch: Batch, generation: Generation | None, campaign: Campaign | None
) -> datetime | None:
    """Give when a batch starts or started: its scheduled start, else its creation."""
    recorded = (generation.fields if generation else {}).get("scheduled_start")
    written = batch.scheduled_start or (recorded if isinstance(recorded, str) else None)
    if written is None:
        return batch.created_at
    try:
        moment, _ = resolve(written, campaign.timezone if campaign else None)
    except BadSchedule:
        return None
    return moment


def _progress(
    name: str,
    generation: Generation,
    request: RequestRecord,
    reading: Reading,
) -> BatchProgress:
    campaign = reading.campaigns.get(generation.campaign_id)
    batch = reading.batches.get(request.batch_id or "")
    status = _status(request, reading)
    # Where nobody was left to call, all people of the spec are done, without a batch of their own,
    # but for those whom an earlier batch that runs on has: they are counted there.
    everybody = request.spec_contacts or request.contacts
    plain = BatchProgress(
        name=name,
        generation=generation.generation,
        part=request.part,
        batch_id=request.batch_id,
        campaign_id=generation.campaign_id,
        contacts=everybody if status == COMPLETE else request.contacts,
        status=status,
        done=everybody if status == COMPLETE else None,
    )
    if batch is None:
        return plain
    total = request.contacts if batch.total_contacts is None else batch.total_contacts
    done = done_of(batch.counters, total)
    starts_at = started_at(batch, generation, campaign)
    rate, ends = None, None
    if batch.status == "in_progress" and done is not None:
        since = max((t for t in (starts_at, batch.created_at) if t is not None), default=None)
        rate = rate_per_hour(campaign, since, reading.at, done)
        ends = ends_about(campaign, reading.at, total - done, rate)
    return replace(
        plain,
        contacts=total,
        counters=batch.counters or {},
        done=done,
        starts_at=starts_at,
        created_at=batch.created_at,
        rate_per_hour=rate,
        ends_about=ends,
    )


def _status(request: RequestRecord, reading: Reading) -> str:
    if request.batch_id is None:
        return IN_DOUBT if request.in_doubt else COMPLETE
    if request.batch_id not in reading.batches:
        return UNKNOWN
    batch = reading.batches[request.batch_id]
    return GONE if batch is None else batch.status or UNKNOWN


def rate_per_hour(
    campaign: Campaign | None, since: datetime | None, now: datetime, done: int
) -> float | None:
    """Give how many people were done per hour in which calls were allowed.

    None where nobody is done, the start or the working hours are not known, or the time is short.
    """
    hours = hours_of(campaign)
    if hours is None or since is None or not done or now <= since:
        return None
    worked = open_time(hours, since, now)
    return done / (worked / timedelta(hours=1)) if worked >= _LEAST_TIME else None


def ends_about(
    campaign: Campaign | None, now: datetime, left: int, rate: float | None
) -> datetime | None:
    """Estimate when the rest is done at this rate, within the working hours; to whole minutes.

    None where it cannot be known. Retries wait on their own, so this is about the earliest.
    """
    hours = hours_of(campaign)
    if hours is None or rate is None or rate <= 0 or left < 0:
        return None
    try:
        needed = timedelta(hours=left / rate)
    except OverflowError:
        return None
    end = after_open_time(hours, now, needed)
    return None if end is None else (end + timedelta(seconds=30)).replace(second=0, microsecond=0)


class Totals(Struct, frozen=True):
    """Several batches in one: how many people, how many of them are known to be done.

    `missing` counts the parts of specs that are cut of which nothing is recorded.
    """

    batches: int
    missing: int
    alive: int
    people: int
    done: int
    ends_about: datetime | None


def totals(rows: Sequence[BatchProgress]) -> Totals:
    """Sum batches up. The end is the last one, known only if that of every running batch is."""
    running = [row.ends_about for row in rows if row.status == "in_progress"]
    ends = [end for end in running if end is not None]
    cuts = Counter((row.name, row.generation, row.parts) for row in rows)
    return Totals(
        batches=len(rows),
        missing=sum(max(0, (parts or 0) - found) for (*_, parts), found in cuts.items()),
        alive=sum(row.alive for row in rows),
        people=sum(row.contacts for row in rows),
        done=sum(row.done or 0 for row in rows),
        ends_about=max(ends, default=None) if len(ends) == len(running) else None,
    )
