"""What follows from what came back: records, further looking, cancelling second batches.

The engine's other half. It never waits and never stores: it notes in the recorder, which the engine
makes durable at its next turn.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.apply.draining import Draining, Drains
from reconciler.apply.errands import Controlled
from reconciler.apply.lookup import Lookup, Wanted
from reconciler.apply.preparing import CancelFirst, Held, NotPrepared, Prepared
from reconciler.apply.report import Ending
from reconciler.apply.retry import TOO_MANY
from reconciler.apply.sending import (
    Cancelled,
    Event,
    Job,
    NotSent,
    Objected,
    Posted,
    Seen,
    Wakeup,
    Workers,
)
from reconciler.apply.verifier import Search, Verifier
from reconciler.model import LongContacts
from reconciler.observed import Batch, Created, FieldProblem, Rejected, Unknown
from reconciler.plan.settling import sort_out
from reconciler.state.document import RecordedBy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.apply.engine import Progress
    from reconciler.apply.gate import Objection
    from reconciler.apply.outcomes import Outcomes
    from reconciler.apply.recorder import Place, Recorder
    from reconciler.apply.replacing import Replacer
    from reconciler.apply.retry import Retry
    from reconciler.plan.actions import Action
    from reconciler.ports import Clock
    from reconciler.state.document import RequestRecord


class Desk(Struct):
    """Where every request of a run lies: each in exactly one of these places, or ended.

    `later` is a heap of (time of `Clock.elapsed`, tie-breaker, job). `looking` maps the keys that
    the verifier looks for to their actions. `drains` are the calls in flight that are waited for.
    """

    ready: deque[Job] = field(default_factory=deque)
    later: list[tuple[float, int, Job]] = field(default_factory=list)
    under_way: dict[str, Job] = field(default_factory=dict)
    looking: dict[str, Action] = field(default_factory=dict)
    cancelling: int = 0
    drains: Drains = field(default_factory=Drains)
    _ticks: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def busy(self) -> bool:
        """Whether anything is left to do or to wait for."""
        return bool(self.ready or self.later or self.under_way or self.looking or self.cancelling)

    def jobs(self) -> Iterator[Job]:
        """Walk all that have not come to an end."""
        yield from self.ready
        yield from (job for _, _, job in self.later)
        yield from self.under_way.values()

    @property
    def waiting(self) -> int:
        """How many requests have not come to an end."""
        return len(self.ready) + len(self.later) + len(self.under_way)

    def postpone(self, job: Job, until: float) -> None:
        """Put a job aside until a time of `Clock.elapsed`."""
        heapq.heappush(self.later, (until, next(self._ticks), job))

    def ripen(self, now: float) -> None:
        """Put jobs back in front whose time has come."""
        while self.later and self.later[0][0] <= now:
            self.ready.appendleft(heapq.heappop(self.later)[2])


class RejectedJob(Struct, frozen=True):
    """A request that was answered with a no of this status, and is looked for once even so."""

    job: Job
    status: int | None


class Reactions(Struct):
    """Takes in one event after the other."""

    desk: Desk
    recorder: Recorder
    lookup: Lookup
    outcomes: Outcomes
    retry: Retry
    workers: Workers
    verifier: Verifier
    clock: Clock
    progress: Progress
    replacing: Replacer
    verify_for: float
    halted: Objection | None = None
    refusals: dict[str, RejectedJob] = field(default_factory=dict)

    def on(self, event: Event) -> None:
        """React to one event."""
        match event:
            case Posted() | NotSent() | Objected():
                del self.desk.under_way[event.job.creation.key]
                self._on_sender(event)
            case Cancelled(place, batch_id, problem, over):
                self.desk.cancelling -= 1
                self.outcomes.cancelled(place.name, batch_id, problem, over)
            case Seen(place, key, batches, problem):
                self._on_seen(self.desk.looking.pop(key), place, batches, problem)
            case Controlled():
                self._on_controlled(event)
            case Prepared() | CancelFirst() | NotPrepared():
                self.desk.drains.over(event.action)
                self.replacing.on_prepared(event)
            case Draining():
                self.desk.drains.note(event, self.clock.elapsed())
                if not event.again:
                    self.progress.say(str(event))
            case Held():
                self.outcomes.held(event)
            case Wakeup():
                pass
            case _:
                assert_never(event)

    def _on_sender(self, event: Posted | NotSent | Objected) -> None:
        """React to what a sender says of a request that was handed to it."""
        match event:
            case Posted(job, outcome):
                self._on_outcome(job, outcome)
                self.workers.taken_in(job, self.retry.closed_until)
            case NotSent(job):
                self.recorder.withdraw(job.place, job.creation.previous)
                self.desk.ready.append(job)
                if self.workers.stop.is_set():
                    self.let_go()
            case Objected(job, objection):
                self._on_objected(job, objection)
            case _:
                assert_never(event)

    def _on_controlled(self, event: Controlled) -> None:
        if event.objection is not None and event.objection.everything:
            self.halt(event.objection)
        self.replacing.on_controlled(event)

    def _on_outcome(self, job: Job, outcome: Created | Rejected | Unknown) -> None:
        if isinstance(outcome, Created) and self.recorder.owner(outcome.batch_id):
            other = self.recorder.owner(outcome.batch_id)
            outcome = Unknown(
                f"the API answered with batch {outcome.batch_id}, which is {other}'s already"
            )
        match outcome:
            case Created():
                self.retry.success()
                self._on_created(job, outcome)
            case Rejected():
                self._on_rejected(job, outcome)
            case Unknown():
                self.recorder.doubt(job.place, outcome.reason)
                self.outcomes.end(
                    job.action, job.place.part, Ending.UNKNOWN, message=outcome.reason
                )
                own = self.recorder.batch_at(job.place)  # another run's
                self.look(job.action, job.place, self.verify_for, own=own)
            case _:
                assert_never(outcome)

    def _on_created(self, job: Job, created: Created) -> None:
        theirs = self.recorder.batch_at(job.place)
        if theirs is not None and theirs != created.batch_id:
            # Theirs is on record; ours is stored as the second one before it is cancelled.
            self.cancel(job.place, created.batch_id)
            self.outcomes.end(
                job.action,
                job.place.part,
                Ending.CREATED,
                batch_id=theirs,
                message="another run had created it meanwhile; that batch is kept",
                people=len(job.creation.request.contacts),
            )
            self.replacing.created(job.action, job.place.part)
            return
        self.recorder.created(job.place, created.batch_id, RecordedBy.CREATED)
        self.lookup.learn(created.batch_id, job.creation.key)
        sent = len(job.creation.request.contacts)
        warnings = []
        if created.total_contacts not in {None, sent}:
            warnings.append(
                f"the API counts {created.total_contacts} contacts in batch {created.batch_id}, "
                f"{sent} were sent"
            )
        self.outcomes.end(
            job.action,
            job.place.part,
            Ending.CREATED,
            batch_id=created.batch_id,
            warnings=warnings,
            people=sent,
        )
        self.replacing.created(job.action, job.place.part)
        if job.creation.previous is not None or job.refused or job.action.arm_delay:
            # An attempt that was given up may have arrived after all, just before this one, and so
            # may one that was answered "not now"; and while nothing rings yet there is time to see
            # what a proxy sent twice.
            self.look(job.action, job.place, 0.0, own=created.batch_id)

    def _on_rejected(self, job: Job, rejected: Rejected) -> None:
        again_at = self.retry.again_at(job, rejected)
        if again_at is None:
            self._on_refused(job, rejected)
            return
        self.recorder.withdraw(job.place, job.creation.previous)
        job.refused += rejected.status is not None
        if self.workers.stop.is_set():
            self._skip(job)
        else:
            self.desk.postpone(job, again_at)

    def _on_refused(self, job: Job, rejected: Rejected) -> None:
        """Take a no for what it is, once one look has not shown the batch.

        A gateway may have said it that let the create through: people would be called by a batch
        that nobody knows of. Until then the intent stands.
        """
        self.outcomes.end(
            job.action,
            job.place.part,
            Ending.REJECTED,
            message=rejected.reason,
            hint=rejected.hint or "mend it, then run: reconciler apply",
            problems=_as_in_the_spec(job, rejected.problems),
        )
        self.refusals[job.creation.key] = RejectedJob(job, rejected.status)
        if rejected.status is None:  # it never arrived anywhere
            self._turned_down(job.creation.key)
        else:
            self.look(job.action, job.place, 0.0, own=self.recorder.batch_at(job.place))

    def _turned_down(self, key: str) -> None:
        """Forget the intent of a request that came to nothing."""
        if (refused := self.refusals.pop(key, None)) is not None:
            job = refused.job
            self.recorder.withdraw(job.place, job.creation.previous)
            self.replacing.fell_through(job.action, job.place.part)

    def finish(self) -> None:
        """Forget the intents of what was refused and not looked for to the end."""
        for key in tuple(self.refusals):
            self._turned_down(key)

    def _on_objected(self, job: Job, objection: Objection) -> None:
        self.recorder.withdraw(job.place, job.creation.previous)
        self.outcomes.end(
            job.action,
            job.place.part,
            Ending.BLOCKED,
            message=objection.message,
            hint=objection.hint,
        )
        if objection.everything:
            self.halt(objection)
        self.replacing.fell_through(job.action, job.place.part, objection.message)

    def halt(self, objection: Objection) -> None:
        """Begin nothing more in this run. What is under way is waited for and recorded."""
        if self.halted is None:
            self.halted = objection
            self.progress.say(f"{objection.message}; nothing more is sent")
        self.let_go()

    def _on_seen(
        self, action: Action, place: Place, batches: tuple[Batch, ...], problem: str
    ) -> None:
        record = self.recorder.record(place)
        if record is None or not batches:
            if record is not None and record.key in self.refusals:
                self._turned_down(record.key)
            elif record is not None and record.in_doubt and problem:
                self.outcomes.add_reason(action, place.part, problem)
            return
        refused = self.refusals.pop(record.key, None)
        foreign = [b for b in batches if b.digest not in {None, record.digest}]
        batches = tuple(b for b in batches if b not in foreign)
        if foreign and record.in_doubt:
            self.outcomes.block(
                action,
                f"batch {foreign[0].batch_id} carries this key with other contents",
                f"look at it, then: reconciler resolve {place.name} "
                f"--created {foreign[0].batch_id} or --not-created",
            )
            return
        if not batches:
            return
        keep, extra = sort_out(record, batches)
        if keep.batch_id != record.batch_id:
            self.recorder.created(place, keep.batch_id, RecordedBy.FOUND)
            self.lookup.learn(keep.batch_id, record.key)
            self.outcomes.end(
                action,
                place.part,
                Ending.CREATED,
                batch_id=keep.batch_id,
                message=_how_found(record, refused),
                people=record.contacts,
            )
            if record.in_doubt:
                self.replacing.created(action, place.part)
        for batch in extra:
            self.cancel(place, batch.batch_id)

    def look(self, action: Action, place: Place, seconds: float, own: str | None = None) -> None:
        """Have the verifier look for a request's key, for so many seconds.

        With `own`, the id that is known already, it looks for second batches.
        """
        record = self.recorder.record(place)
        if record is None:
            return
        wanted = Wanted(
            record.key, place.generation.campaign_id, record.contacts, record.first_attempted_at
        )
        self.desk.looking[record.key] = action
        self.verifier.add(Search(place, wanted, self.clock.elapsed() + seconds, own))

    def cancel(self, place: Place, batch_id: str) -> None:
        """Have a second batch of a key cancelled, once it is stored that it is one."""
        self.recorder.contest(place, batch_id)
        self.lookup.learn(batch_id, "")

    def cancel_contested(self) -> None:
        """Cancel, loudly, what is stored as a second batch."""
        for place, batch_id in self.recorder.take_contested():
            self.progress.say(
                f"{place.name}: batch {batch_id} is a second one of the same key; cancelling it"
            )
            self.desk.cancelling += 1
            self.workers.cancel(place, batch_id)

    def turn_down_the_rest(self) -> None:
        """Give up what was not begun because the API says "not now" for too long."""
        why = 'not sent: the API kept saying "not now" (HTTP 429)'
        hint = "run again later: reconciler apply"
        jobs = [*self.desk.ready, *(job for _, _, job in self.desk.later)]
        self.desk.ready.clear()
        self.desk.later.clear()
        # First those that may exist all the same: nothing is resumed while a part of it does.
        for job in sorted(jobs, key=lambda each: not each.refused):
            self.outcomes.end(job.action, job.place.part, Ending.REJECTED, message=why, hint=hint)
            if job.refused:
                self._look_after_all(job)
            else:
                self.replacing.fell_through(job.action, job.place.part)
        self.replacing.skip_waiting(why, hint)

    def let_go(self) -> None:
        """Give up what was not begun."""
        self.workers.close()
        jobs = (*self.desk.ready, *(job for _, _, job in self.desk.later))
        self.desk.ready.clear()
        self.desk.later.clear()
        for job in jobs:
            self._skip(job)
        self.replacing.let_go()

    def _skip(self, job: Job) -> None:
        self.outcomes.end(job.action, job.place.part, Ending.SKIPPED)
        if job.refused:
            self._look_after_all(job)

    def _look_after_all(self, job: Job) -> None:
        """Look once for what was answered "not now" and is not sent again, as after every no.

        Until then it has an intent; as nothing is begun by that, it says what is not known.
        """
        theirs = self.recorder.batch_at(job.place)
        if theirs is not None:
            self.recorder.watch(job.place)
        else:
            self.recorder.intend(job.place, job.creation, refused=job.refused - 1)
            self.recorder.doubt(job.place, f"HTTP {TOO_MANY}")
            self.refusals[job.creation.key] = RejectedJob(job, TOO_MANY)
        self.look(job.action, job.place, 0.0, own=theirs)


def _how_found(record: RequestRecord, refused: RejectedJob | None) -> str:
    """Say why a batch of ours had to be found."""
    if refused is not None:
        said = f"the API answered HTTP {refused.status}, and created the batch all the same"
        return f"{said}; it was found by its key"
    if record.in_doubt:
        return "the create's answer was lost; the batch was found by its key"
    return "an earlier request had arrived after all; its batch, the older, is kept"


def _as_in_the_spec(job: Job, problems: tuple[FieldProblem, ...]) -> tuple[FieldProblem, ...]:
    """Point complaints about contacts at where those stand in the spec's own list.

    A request that has only some of them counts from its own first.
    """
    spec, sent = job.action.spec, job.creation.request.contacts
    if spec is None or not problems or len(sent) == len(spec.whole.contacts):
        return problems
    whole = spec.whole.contacts
    if isinstance(whole, LongContacts):
        place_of: Callable[[str], int | None] = whole.place
    else:
        place_of = {person["phone_number"]: i for i, person in enumerate(whole)}.get

    def moved(problem: FieldProblem) -> FieldProblem:
        match problem.path:
            case ("contacts", int(index), *rest) if 0 <= index < len(sent):
                place = place_of(sent[index]["phone_number"])
                if place is not None:
                    return replace(problem, path=("contacts", place, *rest))
        return problem

    return tuple(moved(problem) for problem in problems)
