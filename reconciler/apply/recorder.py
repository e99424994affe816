"""The records of one run: intents before, outcomes after, and the one place that stores them.

Changes gather in memory and go to the store together: the outcomes of some requests ride with the
intents of the next. The rule that everything rests on is the caller's: nothing is POSTed before
`store` has returned with its intent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.apply import journal
from reconciler.apply.calls import NotLogged
from reconciler.apply.records import as_complete, let_go
from reconciler.apply.sources import with_source, with_sources
from reconciler.errors import StateError, StateMoved
from reconciler.model import kept_fields
from reconciler.plan.settling import as_created
from reconciler.state.document import (
    WATCH,
    Generation,
    NameRecord,
    RecordedBy,
    RequestRecord,
    State,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from reconciler.apply.calls import CallLog
    from reconciler.apply.sources import Provenance
    from reconciler.model import Lifecycle, Spec
    from reconciler.plan.actions import Action, Adoption, Creation, Replacement
    from reconciler.ports import Clock
    from reconciler.state.store import StateStore


class Place(Struct, frozen=True):
    """Where a request's record stands: name, generation and part."""

    name: str
    generation: Generation
    part: int


class Recorder:
    """The state of a run, its changes since the last store, and the store."""

    def __init__(
        self,
        store: StateStore,
        state: State,
        *,
        clock: Clock,
        run: str,
        provenance: Provenance,
        lease: timedelta | None = None,
        timeout: timedelta = timedelta(seconds=60),
        calls: CallLog | None = None,
        unchanged: Sequence[Spec] = (),
    ) -> None:
        """`lease` is for how long an intent is this run's alone; None where a lock says so.

        `timeout` is how long a request may take. `calls` is told whom each intent calls.
        Of specs that are `unchanged` it is recorded from which bytes they were read, in passing.
        """
        self._calls = calls or NotLogged()
        self._lease = lease
        self._timeout = timeout
        self._store = store
        self._provenance = provenance
        self._unchanged = unchanged
        self._clock = clock
        self._run = run
        self._touched: set[str] = set()
        self._stored: set[str] = set()
        self._loaded = state
        self._moved = False
        self._contested: list[tuple[Place, str]] = []
        self._owner = state.batch_ids()
        self.state = state
        self.dirty = False
        self.overtaken = False
        """Whether `state` has what somebody else stored since it was planned by. Nothing of that
        plan may be begun any more: it may have been done."""

    def store(self) -> None:
        """Make everything recorded so far durable. Raises what the store raises."""
        touched = self._to_store() if self.dirty else frozenset()
        if touched:
            # No reason to store anything, and forgone where somebody else stored something.
            ours = with_sources(self.state, self._unchanged, self._provenance)
            self._calls.lay(self._clock.now())
            try:
                self.state = self._store.save(ours, touched=touched, why="")
            except StateMoved:
                self._moved = True
                raise
            self._calls.laid()
            self.overtaken = self.overtaken or self.state.batches is not ours.batches
            self._note_contested(ours, touched)
            self._stored |= touched
            self._unchanged = ()
        self.dirty = False

    @property
    def where(self) -> str:
        """Where the state lies, as people know it."""
        return self._store.where

    @property
    def has_stored(self) -> bool:
        """Whether what this run stored says anything else than what was loaded."""
        return any(self.state.record(n) != self._loaded.record(n) for n in self._stored)

    def is_outdated(self) -> bool:
        """Whether somebody else has stored a state since, or may have: nobody can tell."""
        if self._moved or self.overtaken:
            return True
        try:
            return self._store.moved()
        except StateError:
            return True

    def _note_contested(self, ours: State, touched: frozenset[str]) -> None:
        """Find batches of this run that storing found to be second ones, made beside another's."""
        if self.state.batches is ours.batches:
            return  # nothing of anybody else's came in, and this is asked at every turn
        known = {i for _, _, request in ours.requests() for i in request.duplicates}
        for name in touched:
            record = self.state.record(name)
            for generation in record.generations if record else ():
                for request in generation.requests:
                    place = Place(name, generation, request.part)
                    self._contested.extend((place, i) for i in request.duplicates if i not in known)

    def contest(self, place: Place, batch_id: str) -> None:
        """Record a second batch of a key, to be cancelled once that is stored.

        Only what is on record as a second one is cancelled: of two runs that each see another one
        as that, whoever stores first is right, and the other learns it by storing.
        """
        self.duplicate(place, batch_id)
        self._contested.append((place, batch_id))

    def take_contested(self) -> list[tuple[Place, str]]:
        """Give the second batches that are stored as such since the last time, once."""
        taken, self._contested = self._contested, []
        return [(place, each) for place, each in taken if self._is_second(place.name, each)]

    def _is_second(self, name: str, batch_id: str) -> bool:
        record = self.state.record(name)
        requests = [r for g in record.generations for r in g.requests] if record else []
        return any(batch_id in r.duplicates for r in requests) and all(
            r.batch_id != batch_id for r in requests
        )

    def _to_store(self) -> frozenset[str]:
        """Give the names whose records are this run's to store.

        Where somebody was first, a name of which this run stored nothing and learned nothing is
        theirs: laying our idea of it onto theirs would undo what they recorded.
        """
        if not self._moved:
            return frozenset(self._touched)
        return frozenset(
            name
            for name in self._touched
            if name in self._stored or self.state.record(name) != self._loaded.record(name)
        )

    def is_anothers(self, request: RequestRecord) -> bool:
        """Whether another run may still be at it, and will say what came of it."""
        expires = request.expires_at
        return expires is not None and request.run != self._run and self._clock.now() < expires

    def owner(self, batch_id: str) -> str | None:
        """Give the name a batch id is recorded under, None when it is not recorded."""
        return self._owner.get(batch_id)

    def place(self, action: Action, part: int) -> Place:
        """Say where the record of one of an action's requests stands, or is to stand.

        An action about a name that is not recorded has a spec.
        """
        self._forget_released(action)
        record = self.state.record(action.name)
        for generation in record.generations if record else ():
            if generation.generation == action.generation:
                return Place(action.name, generation, part)
        if action.spec is None:
            raise AssertionError(f"{action.name} is neither recorded nor specified")
        fields = kept_fields(action.spec.requests[part - 1].fields)
        source = self._provenance.source(action.spec)
        generation = Generation(
            generation=action.generation,
            campaign_id=action.campaign_id,
            fields=fields,
            source=source,
            requests=(),
            digest=action.spec.digest if len(action.spec.requests) > 1 else None,
            parts=len(action.spec.requests) if len(action.spec.requests) > 1 else None,
            max_contacts=action.spec.max_contacts if len(action.spec.requests) > 1 else None,
        )
        return Place(action.name, generation, part)

    def _forget_released(self, action: Action) -> None:
        """Drop what a person settled as not created and the spec no longer says.

        Its fields and its campaign are not those of what is created in its place, and the campaign
        is where a create without an answer is looked for.
        """
        wanted = {creation.key for creation in action.creations}
        record = self.state.record(action.name)
        for generation in record.generations if record and wanted else ():
            for request in generation.requests:
                if request.in_doubt and request.released_at and request.key not in wanted:
                    number = generation.generation
                    self._calls.forget(request.key)
                    kept = self.state.without_request(action.name, number, request.part)
                    self._changed(action.name, kept)

    def intend(
        self,
        place: Place,
        creation: Creation,
        *,
        refused: int = 0,
        starts_at: datetime | None = None,
    ) -> None:
        """Record that a request is about to be created, whose calls begin at `starts_at`, or now.

        `refused` is how often this run was told "not now". That counts as attempts, because a key
        that was tried more than once is watched for a second batch.
        """
        now = self._clock.now()
        self._calls.intend(creation.key, creation.request.contacts, starts_at, now)
        earlier = creation.previous
        intent = RequestRecord(
            part=place.part,
            key=creation.key,
            status=Status.CREATING,
            digest=creation.request.digest,
            contacts=len(creation.request.contacts),
            attempt=(earlier.attempt if earlier else 0) + 1 + refused,
            first_attempted_at=earlier.first_attempted_at if earlier else now,
            attempted_at=now,
            run=self._run,
            expires_at=now + self._lease if self._lease is not None else None,
            gives_up_at=now + self._lease + self._timeout if self._lease is not None else None,
            duplicates=earlier.duplicates if earlier else (),
            audit=earlier.audit if earlier else (),
            spec_contacts=creation.spec_contacts,
        )
        self._put(place, intent)

    def withdraw(self, place: Place, previous: RequestRecord | None) -> None:
        """Take back an intent that certainly made no batch: put back what was there before.

        What another run recorded there meanwhile stays.
        """
        record = self.record(place)
        if record is not None and not (record.in_doubt and record.run == self._run):
            return
        if record is not None:
            self._calls.withdraw(record.key)
        if previous is not None:
            self._put(place, previous)
            return
        self._changed(
            place.name,
            self.state.without_request(place.name, place.generation.generation, place.part),
        )

    def release(self) -> None:
        """Record that this run begins nothing more; see `let_go`."""
        for name in self._touched:
            record = self.state.record(name)
            after = record and let_go(record, run=self._run, now=self._clock.now())
            if after and after != record:
                self._changed(name, self.state.with_record(name, after))

    def doubt(self, place: Place, reason: str) -> None:
        """Record why nobody can say what became of a request.

        Of an answer only its status is kept: what the API says may quote people.
        """
        if reason.startswith("HTTP "):
            reason = reason.split(":", maxsplit=1)[0]
        record = self.record(place)
        if record is not None and record.in_doubt:
            self._put(place, replace(record, unknown=reason))

    def watch(self, place: Place) -> None:
        """Have later runs look for a second batch of a key, for a day."""
        record = self.record(place)
        if record is not None:
            until = self._clock.now() + WATCH
            watched = until if record.watch_until is None else max(until, record.watch_until)
            self._put(place, replace(record, watch_until=watched))

    def batch_at(self, place: Place) -> str | None:
        """Give the id of the batch that is recorded at a place, None without one."""
        record = self.record(place)
        return record.batch_id if record is not None else None

    def created(self, place: Place, batch_id: str, by: RecordedBy) -> None:
        """Record the batch of a request. One recorded before it becomes a known duplicate."""
        record = self.record(place)
        if record is None or record.batch_id == batch_id:
            return
        if record.batch_id is not None:
            record = replace(record, duplicates=(*record.duplicates, record.batch_id))
        record = replace(record, duplicates=tuple(d for d in record.duplicates if d != batch_id))
        self._put(place, as_created(record, batch_id, by=by, now=self._clock.now()))
        self._owner[batch_id] = place.name
        self._close_journal(place)

    def _close_journal(self, place: Place) -> None:
        """End a replacement that takes no old batch's place, once its new batch is there."""
        replacing = self.state.batches[place.name].replacing
        number = place.generation.generation
        if replacing is not None and replacing.generation == number and not replacing.olds:
            self.took_over(place.name)
            self.end_replacing(place.name)

    def duplicate(self, place: Place, batch_id: str) -> None:
        """Record a second batch of a key, so that its id is known like every other.

        The key is watched for a day: whether it was cancelled is seen again by then.
        """
        record = self.record(place)
        if record is None or batch_id in {record.batch_id, *record.duplicates}:
            return
        self._put(place, replace(record, duplicates=(*record.duplicates, batch_id)))
        self.watch(place)
        self._owner[batch_id] = place.name

    def adopt(self, place: Place, adoption: Adoption, by: RecordedBy) -> None:
        """Record a batch that exists: in place of its intent, or where nothing was recorded."""
        if self.record(place) is None:
            now = self._clock.now()
            self._put(
                place,
                RequestRecord(
                    part=place.part,
                    key=adoption.key,
                    status=Status.CREATING,
                    digest=adoption.digest,
                    contacts=adoption.contacts,
                    attempt=0,
                    first_attempted_at=now,
                    attempted_at=now,
                    run=self._run,
                ),
            )
        self.created(place, adoption.batch.batch_id, by)

    def move(self, old: str, new: str, spec: Spec) -> None:
        """Carry everything recorded under one name to another."""
        record = self.state.batches[old]
        current = replace(record.current, source=self._provenance.source(spec))
        moved = replace(record, generations=(*record.generations[:-1], current))
        self._changed(old, self.state.with_record(old, None))
        self._changed(new, self.state.with_record(new, moved))

    def begin_replacing(self, action: Action, replacement: Replacement) -> None:
        """Record that old batches are about to be paused for a new generation."""
        now = self._clock.now()
        self._amend(
            action.name, lambda r: journal.replacing_begun(r, replacement, action.generation, now)
        )

    def remember_not_owed(self, name: str, not_owed: Mapping[str, tuple[str, ...]]) -> None:
        """Record which contacts of old batches must not count as owed once those are cancelled."""
        self._amend(name, lambda r: journal.with_not_owed(r, not_owed))

    def set_out_to_cancel(self, name: str, batch_ids: Iterable[str]) -> None:
        """Record that batches are about to be cancelled by us."""
        now = self._clock.now()
        self._amend(name, lambda r: journal.cancelling_begun(r, batch_ids, now))

    def was_cancelled(self, name: str, batch_ids: Iterable[str]) -> None:
        """Record that the API said of batches that they are cancelled."""
        self._amend(name, lambda r: journal.cancelled(r, batch_ids))

    def disclaim(self, name: str, batch_ids: Iterable[str]) -> None:
        """Record that it was not we who paused some of the batches noted for a replacement."""
        self._amend(name, lambda r: journal.disclaimed(r, batch_ids))

    def end_replacing(self, name: str) -> None:
        """Record that nothing of a replacement is left to be done, or to be undone."""
        self._amend(name, journal.replacing_over)

    def took_over(self, name: str) -> None:
        """Record that the new generation is there: its batches are calling, or about to."""
        self._amend(name, journal.taken_over)

    def set_lifecycle(self, name: str, lifecycle: Lifecycle, spec: Spec | None = None) -> None:
        """Record what the batches of a name were made to do, as `spec` asks, if there is one."""

        def change(record: NameRecord) -> NameRecord:
            record = journal.with_lifecycle(record, lifecycle)
            return with_source(record, spec, self._provenance) if spec else record

        self._amend(name, change)

    def complete(self, place: Place, creation: Creation) -> None:
        """Record that nobody was left to call for a request; see `as_complete`."""
        now = self._clock.now()
        self._put(place, as_complete(creation, place.part, run=self._run, now=now))

    def keep(self, name: str) -> NameRecord | None:
        """Give a name's record as it stands, for `restore`."""
        return self.state.record(name)

    def restore(self, name: str, record: NameRecord | None) -> None:
        """Take back what was noted and could not be stored."""
        self._changed(name, self.state.with_record(name, record))

    def _amend(self, name: str, change: Callable[[NameRecord], NameRecord]) -> None:
        before = self.state.batches[name]
        after = change(before)
        if after != before:
            self._changed(name, self.state.with_record(name, after))

    def record(self, place: Place) -> RequestRecord | None:
        """Give what is recorded at a place, None for nothing."""
        name = self.state.record(place.name)
        number = place.generation.generation
        for generation in name.generations if name else ():
            if generation.generation == number:
                return generation.request(place.part)
        return None

    def _put(self, place: Place, record: RequestRecord) -> None:
        self._changed(place.name, self.state.with_request(place.name, place.generation, record))

    def _changed(self, name: str, state: State) -> None:
        self.state = state
        self._touched.add(name)
        self.dirty = True
