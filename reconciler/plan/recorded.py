"""What to do about a recorded spec: go on, change, pause, resume, cancel, or nothing. Pure.

`lifecycle` is three-way: a batch is paused, resumed or cancelled only when the *spec* changed its
mind since the record was made. What an operator did in the vendor's console is drift, and is told
and left alone; see `reconciler.plan.drift`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import Lifecycle
from reconciler.plan.actions import Action, ActionKind, Reason, Role, Target
from reconciler.plan.changed import ChangePlanner
from reconciler.plan.history import cancelling, leftover, living, made
from reconciler.plan.stopped import how_stopped, way_back
from reconciler.spec.split import split_as
from reconciler.state.document import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.model import Request, Spec
    from reconciler.plan.drafting import Drafting
    from reconciler.state.document import Generation, NameRecord, Replacing, RequestRecord, Stopped


class RecordedPlanner(Struct, frozen=True):
    """Plans specs whose names are recorded."""

    draft: Drafting

    def actions(
        self, spec: Spec, record: NameRecord, again: Mapping[int, RequestRecord]
    ) -> Iterator[Action]:
        """Plan one spec. `again` holds parts that were in doubt and are certainly not created."""
        current = record.current
        spec = as_recorded(spec, current)
        missing = [r for r in spec.requests if not _is_settled(current, r)]
        complete = matches(current, spec) and not missing
        leftovers = () if matches(current, spec) and missing else leftover(record)
        if leftovers:
            yield self._cancel_leftovers(spec, record, leftovers)
        if record.stopped is not None:
            yield self._stopped(spec, record, record.stopped, leftovers, complete=complete)
            return
        if spec.lifecycle is not Lifecycle.ACTIVE:
            yield self._not_active(spec, record, leftovers, complete=complete)
            return
        main = self._main(spec, record, again, missing)
        if _lifecycle_of(record) is Lifecycle.PAUSED and main.kind is not ActionKind.BLOCKED:
            touched = {t.batch_id for t in (*leftovers, *_olds(main), *main.targets)}
            others = tuple(t for t in self._living(record) if t.batch_id not in touched)
            if others:
                yield self._lifecycle(spec, record, ActionKind.RESUME, others)
                if main.kind is ActionKind.NONE:
                    return
        if not leftovers or main.kind is not ActionKind.NONE:
            yield main

    def _main(
        self,
        spec: Spec,
        record: NameRecord,
        again: Mapping[int, RequestRecord],
        missing: list[Request],
    ) -> Action:
        current, replacing = record.current, record.replacing
        change = ChangePlanner(self.draft, record)
        if not matches(current, spec):
            return change.replace(spec, Reason.CHANGED)
        if missing and any(True for _ in made(record, before=current.generation)):
            return change.go_on(spec, missing, again)
        if missing and again:
            return self.draft.create(
                spec,
                missing,
                current.generation,
                Reason.NOT_CREATED,
                message="an earlier create did not go through: no batch of it exists; "
                "it is created again under the same key",
                again=again,
            )
        if missing:
            return self.draft.create(
                spec,
                missing,
                current.generation,
                Reason.INCOMPLETE,
                message="an earlier run ended before all of it was created",
            )
        if _lifecycle_of(record) is Lifecycle.CANCELLED or _is_being_cancelled(record):
            return change.replace(spec, Reason.LIFECYCLE)
        if replacing is not None and replacing.generation > current.generation:
            return self._abandon(spec, record, replacing)
        return self._nothing(spec, record, Reason.UNCHANGED)

    def _not_active(
        self,
        spec: Spec,
        record: NameRecord,
        leftovers: tuple[Target, ...],
        *,
        complete: bool,
    ) -> Action:
        gone = {target.batch_id for target in leftovers}
        targets = tuple(t for t in self._living(record) if t.batch_id not in gone)
        if spec.lifecycle is not _lifecycle_of(record) and targets:
            paused = spec.lifecycle is Lifecycle.PAUSED
            kind = ActionKind.PAUSE if paused else ActionKind.CANCEL
            return self._lifecycle(spec, record, kind, targets)
        if complete:
            return self._nothing(spec, record, Reason.UNCHANGED)
        waits = self._nothing(spec, record, Reason.NOT_WANTED)
        return replace(
            waits,
            message=f"lifecycle is {spec.lifecycle}, so nothing new is created for what changed",
        )

    def _stopped(
        self,
        spec: Spec,
        record: NameRecord,
        stopped: Stopped,
        leftovers: tuple[Target, ...],
        *,
        complete: bool,
    ) -> Action:
        """Keep what a person stopped by hand stopped, until the spec says the same."""
        gone = {target.batch_id for target in leftovers}
        alive = tuple(t for t in self._living(record) if t.batch_id not in gone)
        if spec.lifecycle in {stopped.lifecycle, Lifecycle.CANCELLED}:
            paused = spec.lifecycle is Lifecycle.PAUSED
            return replace(
                self.draft.action(
                    ActionKind.PAUSE if paused else ActionKind.CANCEL, spec, Reason.LIFECYCLE
                ),
                generation=record.current.generation,
                batch_id=next((t.batch_id for t in reversed(alive)), None),
                targets=alive,
                message=f"it was {how_stopped(stopped)}; from now on its spec says so too",
            )
        unchanged = complete and (
            record.lifecycle in {Lifecycle.ACTIVE, stopped.lifecycle}
            or spec.lifecycle is record.lifecycle
        )
        if unchanged or spec.lifecycle is not Lifecycle.ACTIVE:
            return self._nothing(spec, record, Reason.UNCHANGED)
        what = "the spec changed" if not matches(record.current, spec) else "the spec asks for more"
        return self.draft.blocked(
            spec,
            Reason.STOPPED_BY_HAND,
            f"it was {how_stopped(stopped)}; {what}, and nothing of it is created or resumed",
            way_back(stopped),
        )

    def _living(self, record: NameRecord) -> tuple[Target, ...]:
        return living(record, self.draft.facts.batches)

    def _lifecycle(
        self, spec: Spec, record: NameRecord, kind: ActionKind, targets: tuple[Target, ...]
    ) -> Action:
        return replace(
            self.draft.action(kind, spec, Reason.LIFECYCLE),
            generation=record.current.generation,
            batch_id=targets[-1].batch_id,
            targets=targets,
            message=f"lifecycle changed from {_lifecycle_of(record)} to {spec.lifecycle}"
            + _consequence(spec.lifecycle),
        )

    def _cancel_leftovers(
        self, spec: Spec, record: NameRecord, leftovers: tuple[Target, ...]
    ) -> Action:
        return replace(
            self.draft.action(ActionKind.CANCEL, spec, Reason.REPLACED),
            role=Role.BEGUN,
            generation=record.current.generation,
            batch_id=leftovers[-1].batch_id,
            targets=leftovers,
            message="a newer batch took its place, and an earlier run ended before it was "
            "cancelled",
        )

    def _abandon(self, spec: Spec, record: NameRecord, replacing: Replacing) -> Action:
        targets = tuple(each.target for each in made(record) if each.batch_id in replacing.paused)
        if not targets:
            return self._nothing(spec, record, Reason.UNCHANGED)
        return replace(
            self.draft.action(ActionKind.RESUME, spec, Reason.ABANDONED),
            role=Role.BEGUN,
            generation=record.current.generation,
            batch_id=targets[-1].batch_id,
            targets=targets,
            message="it was paused for a change of its spec that was taken back before the new "
            "batch was created",
        )

    def _nothing(self, spec: Spec, record: NameRecord, reason: Reason) -> Action:
        return replace(
            self.draft.action(ActionKind.NONE, spec, reason),
            generation=record.current.generation,
            batch_id=record.current.requests[0].batch_id,
        )


def matches(current: Generation, spec: Spec) -> bool:
    """Whether a generation is of what the spec says, however that is cut."""
    return current.of == spec.digest


def as_recorded(spec: Spec, current: Generation) -> Spec:
    """Give a spec cut as its generation was: a changed setting does not change what is created."""
    return split_as(spec, current.max_contacts) if matches(current, spec) else spec


def _is_settled(current: Generation, request: Request) -> bool:
    record = current.request(request.part)
    return record is not None and record.status is not Status.CREATING


def _is_being_cancelled(record: NameRecord) -> bool:
    """Whether a run set out to cancel a batch and nobody knows if it did; not for a newer one.

    It may be over, and cannot be resumed then: who is owed a call there gets it from a new batch.
    """
    left = {target.batch_id for target in leftover(record)}
    return any(target.batch_id not in left for target in cancelling(record))


def _lifecycle_of(record: NameRecord) -> Lifecycle:
    """Give what was last made of a name's batches: a new generation that is there is active."""
    replacing = record.replacing
    if replacing is not None and replacing.generation == record.current.generation:
        return Lifecycle.ACTIVE
    return record.lifecycle


def _olds(action: Action) -> tuple[Target, ...]:
    return action.replacement.olds if action.replacement else ()


def _consequence(lifecycle: Lifecycle) -> str:
    match lifecycle:
        case Lifecycle.ACTIVE:
            return ": those who still wait are called again from now on"
        case Lifecycle.PAUSED:
            return ": nobody new is called, calls in flight end by themselves"
        case Lifecycle.CANCELLED:
            return ": for good, nobody who still waits is called"
        case _:
            assert_never(lifecycle)
