"""Recorded state as a value: which batches exist or may exist, and under which key.

Nothing here knows about bytes or disks. Every change gives a new `State`; only the store counts
the serial. No phone number and no call variable has a place to go in these types.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec resolves annotations at run time
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from reconciler.model import Lifecycle, OnChange
from reconciler.state.overlay import laid_over

if TYPE_CHECKING:
    from collections.abc import Iterator


WATCH = timedelta(days=1)
"""How long later runs look for a second batch of a key: a given-up request can still arrive."""

# What the parser checks beyond the kind of a value.
Moment = Annotated[datetime, Meta(tz=True)]
"""A time with its offset. Ours are in UTC."""
Text = Annotated[str, Meta(min_length=1)]
LARGEST = 2**63 - 1
"""Of whole numbers: every JSON library that we write or read with has these."""
Count = Annotated[int, Meta(ge=0, le=LARGEST)]
Ordinal = Annotated[int, Meta(ge=1, le=LARGEST)]
Digest = Annotated[str, Meta(extra_json_schema={"pattern": r"^v1:[0-9a-f]{64}$(?!\n)"})]
"""See `reconciler.digest`. One of a version that is not known here would make every spec look
changed, so `reconciler.state.sound` refuses a state that has it. The parser would take a fifth of
its time for that, each time that a state is read."""


class Status(StrEnum):
    """What is known of a request."""

    CREATING = "creating"
    """An intent is recorded and no outcome: the batch may exist (it is in doubt)."""
    CREATED = "created"
    """The batch exists, and `batch_id` is its id."""
    COMPLETE = "complete"
    """Nobody was left to call when the spec changed: no batch was needed."""


class RecordedBy(StrEnum):
    """How an id came into state."""

    CREATED = "created"
    """The API answered the create with it."""
    FOUND = "found"
    """The create's answer was lost; looking through the campaign found the key."""
    ADOPTED = "adopted"
    """The batch existed without a record of ours."""
    RESOLVED = "resolved"
    """A person said so."""


class Recorded(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
):
    """What all records have in common. `msgspec.structs.replace` gives a changed one.

    A field we do not know is a newer format or an edit, and is refused. What is absent or empty is
    left out of the text. No record can hold itself, so the garbage collector need not look at them.
    """


class Audit(Recorded, frozen=True, kw_only=True, omit_defaults=False):
    """What a person said about a request: who, when, what and why."""

    who: str
    at: Moment
    said: str
    why: str = ""


class RequestRecord(Recorded, frozen=True, kw_only=True):
    """One request of a generation: the intent to create it, and what came of it.

    Times are aware and in UTC. `first_attempted_at` and `attempted_at` are when the intents of the
    first and of the latest attempt were recorded, so before their POSTs. `expires_at` is until when
    the intent is its run's alone, and `gives_up_at` until when a request that was begun by then may
    be under way; None where a lock plays that part. `unknown` says why the outcome is not known,
    None while the run is still at it (or died there). Until `watch_until` every run looks for
    second batches of this key; `duplicates` are their ids, cancelled by us. `released_at` is when a
    person said of a request in doubt that it made no batch, and `audit` all that people said of it.

    `contacts` counts those that were sent, `spec_contacts` those of the spec where some of them had
    been called already. `cancelled_at` is when a run set out to cancel the batch: from then on its
    contacts read `skipped` because of us, but for `not_owed`. Those are the API's contact ids of
    whom a person skipped before, or who had a call in flight; nobody calls them again. While
    `cancelling`, the API has not said yet that it is cancelled, and it may still call.
    """

    part: Ordinal
    key: Text
    status: Status
    digest: Digest
    contacts: Count
    attempt: Count
    first_attempted_at: Moment
    attempted_at: Moment
    run: str
    expires_at: Moment | None = None
    gives_up_at: Moment | None = None
    unknown: str | None = None
    batch_id: str | None = None
    recorded_at: Moment | None = None
    recorded_by: RecordedBy | None = None
    watch_until: Moment | None = None
    released_at: Moment | None = None
    duplicates: tuple[str, ...] = ()
    audit: tuple[Audit, ...] = ()
    spec_contacts: Count | None = None
    cancelled_at: Moment | None = None
    cancelling: bool = False
    not_owed: tuple[str, ...] = ()

    @property
    def in_doubt(self) -> bool:
        """Whether nobody can say yet if the batch exists."""
        return self.status is Status.CREATING


class Source(Recorded, frozen=True, kw_only=True):
    """Where a generation's spec came from: path below the root, commit and git blob if known.

    With `lifecycle`, it also says what is in that blob: a spec of this name and this generation's
    digest, which asks for that lifecycle (whatever was made of it since), with its contacts from
    the file at `contacts_path` as `contacts_blob` has it; or in itself, or from elsewhere, without.
    """

    path: str
    commit: str | None = None
    blob: str | None = None
    lifecycle: Lifecycle | None = None
    contacts_path: str | None = None
    contacts_blob: str | None = None


class Generation(Recorded, frozen=True, kw_only=True):
    """The n-th set of requests created for a name. `fields` are the spec's but its contacts.

    Of a spec that was cut into several, `digest` is that of the whole, `parts` how many requests
    there are to be, and `max_contacts` how many contacts each may have.
    """

    generation: Ordinal
    campaign_id: str
    fields: Mapping[str, Any]
    source: Source
    requests: tuple[RequestRecord, ...]
    digest: str | None = None
    parts: Count | None = None
    max_contacts: Count | None = None

    @property
    def of(self) -> str:
        """The digest of the spec that this generation is of."""
        return self.digest or self.requests[0].digest

    def request(self, part: int) -> RequestRecord | None:
        """Give the record of a part, None when it was never attempted."""
        return next((r for r in self.requests if r.part == part), None)

    @property
    def in_doubt(self) -> bool:
        """Whether any request of this generation is in doubt."""
        return any(r.in_doubt for r in self.requests)


class Replacing(Recorded, frozen=True, kw_only=True):
    """A replacement that was begun: recorded before the first old batch is paused.

    `generation` is the new one. `olds` are the batches it takes the place of, `paused` those that
    it may have paused: they are resumed should it come to nothing. `begun_at` is aware, in UTC.
    """

    generation: Count
    on_change: OnChange
    begun_at: Moment
    olds: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


class Stopped(Recorded, frozen=True, kw_only=True):
    """What a person stopped by hand, whatever the spec says: nothing of it is created or resumed.

    `lifecycle` is what was made of it: paused or cancelled. `batches` are those that were stopped
    then; what comes to light of the name later is to be stopped as well. It ends with a spec that
    says the same. `audit` are the other stops of it, the oldest first.
    """

    lifecycle: Lifecycle
    by: Audit
    batches: tuple[str, ...] = ()
    audit: tuple[Audit, ...] = ()


class NameRecord(Recorded, frozen=True, kw_only=True):
    """Everything recorded under one name, oldest generation first.

    `replacing` is there while a new generation is taking the place of earlier ones, `stopped` while
    a person has stopped it by hand.
    """

    generations: tuple[Generation, ...]
    # From a factory, so that it is written even where it is the default.
    lifecycle: Lifecycle = field(default_factory=lambda: Lifecycle.ACTIVE)
    replacing: Replacing | None = None
    stopped: Stopped | None = None

    @property
    def current(self) -> Generation:
        """The latest generation: what a spec is compared with."""
        return self.generations[-1]


class State(Struct, frozen=True, kw_only=True):
    """All that is recorded for one batches root.

    `lineage` names this state among all others, `serial` counts how often it was stored (0: never).
    """

    lineage: str
    serial: int = 0
    batches: Mapping[str, NameRecord] = field(default_factory=dict)

    def record(self, name: str) -> NameRecord | None:
        """Give what is recorded under a name, or None."""
        return self.batches.get(name)

    def requests(self) -> Iterator[tuple[str, Generation, RequestRecord]]:
        """Walk all requests of all generations."""
        for name, record in self.batches.items():
            for generation in record.generations:
                for request in generation.requests:
                    yield name, generation, request

    def batch_ids(self) -> dict[str, str]:
        """Map every recorded batch id, cancelled duplicates included, to its name."""
        ids: dict[str, str] = {}
        for name, _, request in self.requests():
            if request.batch_id is not None:
                ids[request.batch_id] = name
            ids.update(dict.fromkeys(request.duplicates, name))
        return ids

    def with_record(self, name: str, record: NameRecord | None) -> State:
        """Give this state with a name's record replaced, or dropped for None."""
        return replace(self, batches=laid_over(self.batches, name, record))

    def with_request(self, name: str, generation: Generation, request: RequestRecord) -> State:
        """Give this state with one request's record put in place.

        `generation` says which generation it belongs to; it is added when it is not recorded yet.
        """
        record = self.batches.get(name) or NameRecord(generations=())
        kept = [g for g in record.generations if g.generation != generation.generation]
        mine = next(
            (g for g in record.generations if g.generation == generation.generation),
            replace(generation, requests=()),
        )
        others = tuple(r for r in mine.requests if r.part != request.part)
        merged = replace(mine, requests=tuple(sorted((*others, request), key=lambda r: r.part)))
        ordered = tuple(sorted((*kept, merged), key=lambda g: g.generation))
        return self.with_record(name, replace(record, generations=ordered))

    def without_request(self, name: str, generation: int, part: int) -> State:
        """Give this state without one request's record; what becomes empty by that goes too."""
        record = self.batches.get(name)
        if record is None:
            return self
        generations = []
        for each in record.generations:
            if each.generation != generation:
                generations.append(each)
                continue
            left = tuple(r for r in each.requests if r.part != part)
            if left:
                generations.append(replace(each, requests=left))
        if not generations:
            return self.with_record(name, None)
        return self.with_record(name, replace(record, generations=tuple(generations)))


def begins(before: State, after: State, names: frozenset[str]) -> bool:
    """Whether the later version holds a decision that is new: something is about to be done.

    That is an intent to create, a replacement, or a cancel that no newer batch is the reason of. An
    intent recorded anew because it had become too old to act on is new. An earlier attempt that was
    put back, because a later one certainly made no batch, is not.
    """
    known = {request.key: request for name in names for request in _in_doubt(before, name)}
    return any(
        request.unknown is None and _is_new(request, known.get(request.key))
        for name in names
        for request in _in_doubt(after, name)
    ) or any(_decides(before.record(name), after.record(name)) for name in names)


def _decides(before: NameRecord | None, after: NameRecord | None) -> bool:
    """Whether batches of a name are newly about to be paused or cancelled.

    Once the new generation is there, cancelling the old one follows from a fact.
    """
    if after is None:
        return False
    if after.stopped is not None and after.stopped != (before.stopped if before else None):
        return False  # a person has stopped it already: a fact, whoever recorded what meanwhile
    begun = after.replacing
    if begun is not None and begun.generation == after.current.generation:
        return False
    if begun is not None and begun != (before.replacing if before else None):
        return True
    return bool(_cancelled(after) - _cancelled(before))


def _cancelled(record: NameRecord | None) -> set[str]:
    generations = record.generations if record else ()
    return {r.key for g in generations for r in g.requests if r.cancelled_at is not None}


def _is_new(intent: RequestRecord, known: RequestRecord | None) -> bool:
    if known is None:
        return True
    same = (intent.run, intent.attempted_at) == (known.run, known.attempted_at)
    return intent.attempt >= known.attempt and not same


def _in_doubt(state: State, name: str) -> list[RequestRecord]:
    record = state.record(name)
    generations = record.generations if record else ()
    return [r for generation in generations for r in generation.requests if r.in_doubt]
