"""What to believe about a request in doubt. The heart of "no batch is created twice".

An intent without an outcome means that a batch may exist. These functions look at what the API
shows and decide: it is there (adopt it), it is certainly too late for it to appear (create again,
under the same key), or nobody can know yet (leave it alone). They err on the side of not calling.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.observed import TERMINAL, Batch
from reconciler.plan.actions import Adoption, Reason, Refusal
from reconciler.state.document import WATCH, RecordedBy, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.model import Spec
    from reconciler.plan.facts import Facts, Rules
    from reconciler.state.document import Generation, RequestRecord, State

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Found(Struct, frozen=True):
    """The batch exists. `extra` are more batches of the same key, to be cancelled."""

    keep: Batch
    extra: tuple[Batch, ...]


class CreateAgain(Struct, frozen=True):
    """The batch is certainly not there and will not appear: create it, under the same key."""


class StillInDoubt(Struct, frozen=True):
    """Nobody can know yet; `message` says why and `hint` what to do."""

    reason: Reason
    message: str
    hint: str
    refusal: Refusal = Refusal.DOUBT


Verdict = Found | CreateAgain | StillInDoubt


def is_looked_for(record: RequestRecord, now: datetime) -> bool:
    """Tell whether the API is to be asked for a request: in doubt, or it may have arrived late."""
    return record.in_doubt or (record.watch_until is not None and record.watch_until > now)


def is_held(record: RequestRecord, now: datetime) -> bool:
    """Tell whether the run that recorded an intent may still act on it.

    Not once it has said that the outcome is unknown: it sends nothing more for it. What it has sent
    may still arrive, which is why nothing is created again before `gives_up_at`.
    """
    return record.expires_at is not None and now < record.expires_at and record.unknown is None


def verdict(name: str, record: RequestRecord, facts: Facts, rules: Rules, now: datetime) -> Verdict:
    """Decide what to believe about one request in doubt."""
    if is_held(record, now) and record.run != rules.run:
        return StillInDoubt(
            Reason.IN_DOUBT,
            f"run {record.run[:12]} is creating it and has until "
            f"{_clock(record.expires_at or now)} to say what came of it",
            f"run again after {_clock(record.expires_at or now)}: reconciler apply",
        )
    found = facts.found.get(record.key, ())
    foreign = [batch for batch in found if batch.digest not in {None, record.digest}]
    if foreign and record.released_at is None:
        return StillInDoubt(
            Reason.KEY_CONFLICT,
            f"batch {foreign[0].batch_id} carries this key with other contents "
            f"({foreign[0].digest}); it is neither adopted nor created again",
            f"look at it, then: reconciler resolve {name} --created {foreign[0].batch_id} "
            f"or --not-created",
            Refusal.CONFLICT,
        )
    # A person who looked at a conflict and said "not created" has settled it.
    found = tuple(batch for batch in found if batch not in foreign)
    if found:
        keep, extra = sort_out(record, found)
        return Found(keep, extra)
    if record.released_at is not None:
        return CreateAgain()
    if facts.offline:
        return StillInDoubt(
            Reason.IN_DOUBT,
            "a create was begun and its outcome is not recorded; offline nobody can tell",
            "run without --offline, or: reconciler apply",
        )
    if rules.hold:
        return StillInDoubt(
            Reason.HELD,
            "a create was begun, its outcome is unknown, and `unknown: hold` leaves it to a person",
            f"look into the vendor's console, then: reconciler resolve {name} "
            f"--created BATCH_ID or --not-created",
        )
    return _absence(name, record, facts, rules, now)


def _absence(
    name: str, record: RequestRecord, facts: Facts, rules: Rules, now: datetime
) -> Verdict:
    """Decide what it means that no batch with the key was seen."""
    suspects = facts.suspects.get(record.key, ())
    if suspects:
        return StillInDoubt(
            Reason.IN_DOUBT,
            f"the API does not show the metadata of batch {', '.join(suspects)}, which may be it",
            f"look into the vendor's console, then: reconciler resolve {name} "
            f"--created {suspects[0]} or --not-created",
        )
    if record.key not in facts.absent:
        return StillInDoubt(
            Reason.IN_DOUBT,
            "a create was begun, its outcome is unknown, and the list of batches could not be "
            "read to its end",
            "run again when the API answers: reconciler apply",
        )
    # A clock that was set back makes ages negative, which is never old enough.
    not_before = record.attempted_at + rules.settle
    if record.expires_at is not None:
        # Its run may have begun the request just before the intent expired.
        not_before = max(not_before, record.gives_up_at or record.expires_at + rules.timeout)
    if now >= not_before:
        return CreateAgain()
    return StillInDoubt(
        Reason.IN_DOUBT,
        f"a create was begun at {_clock(record.attempted_at)} and no batch of it is listed; it "
        f"may still appear, so nothing is created before {_clock(not_before)}",
        f"run again after {_clock(not_before)}: reconciler apply",
    )


def oldest(
    batches: Sequence[Batch], *, recorded: str | None = None
) -> tuple[Batch, tuple[Batch, ...]]:
    """Choose which of several batches of one key is kept: the oldest, whatever its status.

    The oldest has called the most people, and one that a person cancelled was not wanted, so its
    twin is not either. Every run chooses the same one; where an age is not told, the `recorded`
    one stays. Gives the kept one and the others that still have to be cancelled; one that ended
    calls nobody any more.
    """
    undated = any(batch.created_at is None for batch in batches)
    keep, *rest = sorted(
        batches,
        key=lambda batch: (
            undated and batch.batch_id != recorded,
            batch.created_at or _END_OF_TIME,
            batch.batch_id,
        ),
    )
    return keep, tuple(batch for batch in rest if batch.status not in TERMINAL)


def sort_out(record: RequestRecord, found: Sequence[Batch]) -> tuple[Batch, tuple[Batch, ...]]:
    """Choose which of a request's batches is kept, see `oldest`, and which are not.

    A recorded batch that the API does not list may be there all the same, of any age: it stays. A
    known duplicate is never kept, and is cancelled again where cancelling it did not work. One that
    is not recorded is given even if it has ended: a run died cancelling it, or nobody looked in
    time; its id must be known, and somebody told.
    """
    known = [batch for batch in found if batch.batch_id in record.duplicates]
    others = [batch for batch in found if batch.batch_id not in record.duplicates]
    if record.batch_id is not None and record.batch_id not in {b.batch_id for b in others}:
        others.append(Batch(record.batch_id))
    keep, _ = oldest(others, recorded=record.batch_id)
    extra = (batch for batch in others if batch is not keep)
    return keep, (*extra, *(batch for batch in known if batch.status not in TERMINAL))


def as_created(
    record: RequestRecord, batch_id: str, *, by: RecordedBy, now: datetime
) -> RequestRecord:
    """Give the record of a request whose batch is known.

    A key whose outcome was ever in doubt stays watched for a day.
    """
    was_in_doubt = record.unknown is not None or record.attempt > 1 or by is not RecordedBy.CREATED
    return replace(
        record,
        status=Status.CREATED,
        batch_id=batch_id,
        recorded_at=now,
        recorded_by=by,
        unknown=None,
        expires_at=None,
        gives_up_at=None,
        released_at=None,
        watch_until=now + WATCH if was_in_doubt else record.watch_until,
    )


class Settled(Struct, frozen=True):
    """One name's requests in doubt, sorted by what is believed of them.

    `extra` are second batches to be cancelled, each with the part it is one of.
    """

    name: str
    generation: Generation
    adoptions: tuple[Adoption, ...]
    extra: tuple[tuple[int, Batch], ...]
    again: tuple[RequestRecord, ...]
    in_doubt: tuple[StillInDoubt, ...]


def without_released(state: State, specs: Mapping[str, Spec], facts: Facts) -> State:
    """Leave out requests that a person settled as not created and that no spec asks for any more.

    One that a spec still asks for stays: it is created again under its key, and watched. So does
    one whose batch was seen: it arrived after all, and its people are not to be called again.
    """
    for name, generation, record in list(state.requests()):
        spec = specs.get(name)
        wanted = {request.digest for request in spec.requests} if spec else set()
        if spec is not None and spec.digest == generation.of:
            wanted.add(record.digest)
        seen = any(b.digest in {None, record.digest} for b in facts.found.get(record.key, ()))
        if record.in_doubt and record.released_at and not seen and record.digest not in wanted:
            state = state.without_request(name, generation.generation, record.part)
    return state


def settle(state: State, facts: Facts, rules: Rules, now: datetime) -> tuple[Settled, ...]:
    """Decide about every request in doubt, grouped by name."""
    return tuple(
        _settle_generation(name, record.current, facts, rules, now)
        for name, record in state.batches.items()
        if record.current.in_doubt
    )


def _settle_generation(
    name: str, generation: Generation, facts: Facts, rules: Rules, now: datetime
) -> Settled:
    adoptions: list[Adoption] = []
    extra: list[tuple[int, Batch]] = []
    again: list[RequestRecord] = []
    in_doubt: list[StillInDoubt] = []
    for record in (r for r in generation.requests if r.in_doubt):
        match verdict(name, record, facts, rules, now):
            case Found(keep, more):
                adoptions.append(
                    Adoption(record.part, keep, record.key, record.digest, record.contacts)
                )
                extra.extend((record.part, batch) for batch in more)
            case CreateAgain():
                again.append(record)
            case StillInDoubt() as doubt:
                in_doubt.append(doubt)
    return Settled(name, generation, tuple(adoptions), tuple(extra), tuple(again), tuple(in_doubt))


def with_adoption(
    state: State, name: str, generation: Generation, adoption: Adoption, *, now: datetime
) -> State:
    """Record an adopted batch in place of its intent."""
    record = generation.request(adoption.part)
    if record is None:
        return state
    created = as_created(record, adoption.batch.batch_id, by=RecordedBy.FOUND, now=now)
    return state.with_request(name, generation, created)


def _clock(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
