"""Carrying out a plan: the loop that keeps "no pushed intent, no POST".

One thread decides and records; others send and look. Each turn of the loop

1. takes as many requests as fit and records their intents,
2. stores those together with every outcome learned since the last turn,
3. only then hands them to the senders, and
4. waits for whatever comes back first.

So whenever the process dies, each request that may have left is `creating` on disk, and the next
run settles it. One request's failure never stops the others; a store that fails stops everything
that has not been sent, because nothing may be sent that is not on disk.
"""

from __future__ import annotations

import heapq
import itertools
import queue
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, assert_never

from reconciler.apply import immediate
from reconciler.apply.ledger import Ledger, Place
from reconciler.apply.lookup import Lookup, Wanted
from reconciler.apply.outcomes import Outcomes
from reconciler.apply.report import Ending, Report
from reconciler.apply.retry import Retry
from reconciler.apply.sending import (
    Cancelled,
    Event,
    Job,
    NotSent,
    Posted,
    Seen,
    Wakeup,
    Workers,
)
from reconciler.apply.verifier import Search, Verifier
from reconciler.errors import ReconcilerError
from reconciler.observed import Batch, Created, Rejected, Unknown
from reconciler.plan.actions import Action, ActionKind, Plan, Reason
from reconciler.plan.settling import oldest
from reconciler.spec.schedule import past_diagnostic
from reconciler.state.document import RecordedBy, Status

if TYPE_CHECKING:
    import threading

    from reconciler.ports import BatchApi, Clock

_TURN = 1.0
"""Seconds after which the loop looks around even if nothing happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard and how long an apply tries. Seconds, but `parallelism`.

    `grace` is how long requests under way may take after a signal.
    """

    parallelism: int = 4
    verify_for: float = 60.0
    lease: float = 300.0
    grace: float = 5.0

    @property
    def window(self) -> int:
        """How many intents may stand without an outcome: enough to keep every sender busy."""
        return self.parallelism * 2


class Progress(Protocol):
    """Somebody who watches."""

    def update(self, *, done: int, total: int, under_way: int, looking: int) -> None:
        """Take note of how far things are. Called after each turn, at least once a second."""

    def say(self, line: str) -> None:
        """Tell something loudly, at once."""


class Engine:
    """Carries out one plan. Use once."""

    def __init__(
        self,
        *,
        plan: Plan,
        ledger: Ledger,
        api: BatchApi,
        lookup: Lookup,
        clock: Clock,
        limits: Limits,
        stop: threading.Event,
        events: queue.SimpleQueue[Event],
        progress: Progress,
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._clock = clock
        self._limits = limits
        self._lookup = lookup
        self._stop = stop
        self._events = events
        self._progress = progress
        self._outcomes = Outcomes()
        self._retry = Retry(clock)
        self._workers = Workers(api, clock, stop, limits.lease, events, limits.parallelism)
        self._verifier = Verifier(lookup, clock=clock, stop=stop, events=events)
        self._ready: deque[Job] = deque()
        self._later: list[tuple[float, int, Job]] = []
        self._tick = itertools.count()
        self._under_way: dict[str, Job] = {}
        self._cancelling = 0
        self._looking: dict[str, Action] = {}
        self._jobs = 0
        self._store_error: ReconcilerError | None = None

    def run(self) -> Report:
        """Do it. Raises `StateError` or `StateUnusable` when outcomes could not be stored."""
        started = self._clock.elapsed()
        for action in self._plan.pending:
            self._dispatch(action)
        self._jobs = len(self._ready)
        grace_ends: float | None = None
        while True:
            if self._stop.is_set() and grace_ends is None:
                grace_ends = self._clock.elapsed() + self._limits.grace
                self._let_go()
            self._turn()
            if not self._pending() or (grace_ends and self._clock.elapsed() >= grace_ends):
                break
            self._await(grace_ends)
        self._finish()
        return Report(
            plan=self._plan,
            results=self._outcomes.results(self._plan),
            interrupted=self._stop.is_set() and self._store_error is None,
            seconds=self._clock.elapsed() - started,
        )

    # -- beginning ----------------------------------------------------------------------------

    def _dispatch(self, action: Action) -> None:
        match action.kind:
            case ActionKind.CREATE:
                for creation in action.creations:
                    place = self._ledger.place(action, creation.request.part)
                    self._ready.append(Job(action, creation, place))
            case ActionKind.ADOPT:
                immediate.adopt(action, self._ledger, self._lookup, self._outcomes)
            case ActionKind.MOVE:
                immediate.move(action, self._ledger, self._outcomes)
            case ActionKind.CANCEL if action.reason is Reason.DUPLICATE and action.batch_id:
                self._cancel(self._ledger.place(action, action.part), action.batch_id)
            case ActionKind.BLOCKED:
                self._block(action)
            case ActionKind.REPLACE | ActionKind.PAUSE | ActionKind.RESUME | ActionKind.CANCEL:
                immediate.refuse(action, self._outcomes)
            case ActionKind.FORGET | ActionKind.NONE:
                pass
            case _:
                assert_never(action.kind)

    def _cancel(self, place: Place, batch_id: str) -> None:
        self._ledger.duplicate(place, batch_id)
        self._lookup.learn(batch_id, "")
        self._progress.say(
            f"{place.name}: batch {batch_id} is a second one of the same key; cancelling it"
        )
        self._cancelling += 1
        self._workers.cancel(place, batch_id)

    def _block(self, action: Action) -> None:
        """Refuse an action; what an earlier run left in doubt is looked for like our own."""
        record = self._ledger.state.record(action.name)
        if action.reason is not Reason.IN_DOUBT or record is None or self._plan.offline:
            self._outcomes.block(action, action.message, action.hint)
            return
        for request in record.current.requests:
            if request.in_doubt:
                self._outcomes.end(
                    action, request.part, Ending.BLOCKED, message=action.message, hint=action.hint
                )
                place = Place(action.name, record.current, request.part)
                self._look(action, place, self._limits.verify_for)

    def _look(self, action: Action, place: Place, seconds: float, own: str | None = None) -> None:
        record = self._ledger.record(place)
        if record is None:
            return
        wanted = Wanted(
            record.key, place.generation.campaign_id, record.contacts, record.first_attempted_at
        )
        self._looking[record.key] = action
        self._verifier.add(Search(place, wanted, self._clock.elapsed() + seconds, own))

    # -- the loop -----------------------------------------------------------------------------

    def _turn(self) -> None:
        jobs = self._take()
        intended_at = self._clock.elapsed()
        for job in jobs:
            job.intended_at, job.begun = intended_at, False
            self._ledger.intend(job.place, job.creation)
        if not self._store(f"create {len(jobs)}" if jobs else "record outcomes"):
            for job in jobs:
                self._ledger.withdraw(job.place, job.creation.previous)
                self._outcomes.end(job.action, job.place.part, Ending.SKIPPED)
            self._let_go()
            return
        for job in jobs:
            self._under_way[job.creation.key] = job
            self._workers.post(job)

    def _take(self) -> list[Job]:
        """Choose which requests to begin now."""
        now = self._clock.elapsed()
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        if self._stop.is_set() or self._store_error or self._retry.closed_until > now:
            return []
        jobs: list[Job] = []
        while self._ready and len(self._under_way) + len(jobs) < self._limits.window:
            job = self._ready.popleft()
            if not self._too_late(job):
                jobs.append(job)
        return jobs

    def _too_late(self, job: Job) -> bool:
        """Drop a request whose start passed while it waited: created now, it would call at once."""
        spec, campaign = job.action.spec, self._plan.campaigns.get(job.action.campaign_id)
        if spec is None:
            return False
        timezone = campaign.timezone if campaign else None
        late = past_diagnostic(spec, job.creation.request, self._clock.now(), timezone)
        if late is not None:
            self._outcomes.end(
                job.action,
                job.place.part,
                Ending.REJECTED,
                message="its scheduled_start passed while it waited to be created",
                hint=late.hint,
            )
        return late is not None

    def _store(self, why: str) -> bool:
        try:
            self._ledger.store(why)
        except ReconcilerError as error:
            if self._store_error is None:
                self._progress.say(f"{error.message}; nothing more is sent")
            self._store_error = error
            return False
        return True

    def _pending(self) -> bool:
        return bool(
            self._ready or self._later or self._under_way or self._cancelling or self._looking
        )

    def _await(self, grace_ends: float | None) -> None:
        """Take in the next event, and all that came with it."""
        until = self._clock.elapsed() + _TURN
        if self._later:
            until = min(until, self._later[0][0])
        if self._ready and len(self._under_way) < self._limits.window:
            until = min(until, self._retry.closed_until)
        if grace_ends is not None:
            until = min(until, grace_ends)
        try:
            event = self._events.get(timeout=max(0.0, until - self._clock.elapsed()))
            while True:
                self._on(event)
                event = self._events.get_nowait()
        except queue.Empty:
            pass
        self._progress.update(
            done=self._jobs - len(self._ready) - len(self._later) - len(self._under_way),
            total=self._jobs,
            under_way=len(self._under_way),
            looking=len(self._looking),
        )

    # -- what comes back ----------------------------------------------------------------------

    def _on(self, event: Event) -> None:
        match event:
            case Posted(job, outcome):
                del self._under_way[job.creation.key]
                self._on_outcome(job, outcome)
            case NotSent(job):
                del self._under_way[job.creation.key]
                self._ledger.withdraw(job.place, job.creation.previous)
                self._ready.append(job)
                if self._stop.is_set():
                    self._let_go()
            case Cancelled(place, batch_id, problem):
                self._cancelling -= 1
                self._outcomes.cancelled(place.name, batch_id, problem)
            case Seen(place, key, batches, problem):
                self._on_seen(self._looking.pop(key), place, batches, problem)
            case Wakeup():
                pass
            case _:
                assert_never(event)

    def _on_outcome(self, job: Job, outcome: Created | Rejected | Unknown) -> None:
        if isinstance(outcome, Created) and self._ledger.owner(outcome.batch_id):
            other = self._ledger.owner(outcome.batch_id)
            outcome = Unknown(
                f"the API answered with batch {outcome.batch_id}, which is {other}'s already"
            )
        match outcome:
            case Created():
                self._retry.success()
                self._on_created(job, outcome)
            case Rejected():
                self._on_rejected(job, outcome)
            case Unknown():
                self._ledger.doubt(job.place, outcome.reason)
                self._outcomes.end(
                    job.action, job.place.part, Ending.UNKNOWN, message=outcome.reason
                )
                self._look(job.action, job.place, self._limits.verify_for)
            case _:
                assert_never(outcome)

    def _on_created(self, job: Job, created: Created) -> None:
        self._ledger.created(job.place, created.batch_id, RecordedBy.CREATED)
        self._lookup.learn(created.batch_id, job.creation.key)
        sent = len(job.creation.request.contacts)
        warnings = []
        if created.total_contacts not in {None, sent}:
            warnings.append(
                f"the API counts {created.total_contacts} contacts in batch {created.batch_id}, "
                f"{sent} were sent"
            )
        self._outcomes.end(
            job.action,
            job.place.part,
            Ending.CREATED,
            batch_id=created.batch_id,
            warnings=warnings,
        )
        if job.creation.previous is not None:
            # The attempt that was given up may have arrived after all, just before this one.
            self._look(job.action, job.place, 0.0, own=created.batch_id)

    def _on_rejected(self, job: Job, rejected: Rejected) -> None:
        self._ledger.withdraw(job.place, job.creation.previous)
        again_at = self._retry.again_at(job, rejected)
        if again_at is not None and self._stop.is_set():
            self._outcomes.end(job.action, job.place.part, Ending.SKIPPED)
            return
        if again_at is not None:
            heapq.heappush(self._later, (again_at, next(self._tick), job))
            return
        self._outcomes.end(
            job.action,
            job.place.part,
            Ending.REJECTED,
            message=rejected.reason,
            hint=rejected.hint or "mend it, then run: reconciler apply",
            problems=rejected.problems,
        )

    def _on_seen(
        self, action: Action, place: Place, batches: tuple[Batch, ...], problem: str
    ) -> None:
        record = self._ledger.record(place)
        if record is None or not batches:
            if record is not None and record.in_doubt and problem:
                self._outcomes.add_reason(action, place.part, problem)
            return
        foreign = [b for b in batches if b.digest not in {None, record.digest}]
        if foreign:
            self._outcomes.block(
                action,
                f"batch {foreign[0].batch_id} carries this key with other contents",
                f"look at it, then: reconciler resolve {place.name} "
                f"--created {foreign[0].batch_id} or --not-created",
            )
            return
        if record.status is Status.CREATED:
            for batch in batches:
                if batch.status != "cancelled":
                    self._cancel(place, batch.batch_id)
            return
        keep, extra = oldest(batches)
        self._ledger.created(place, keep.batch_id, RecordedBy.FOUND)
        self._lookup.learn(keep.batch_id, record.key)
        self._outcomes.end(
            action,
            place.part,
            Ending.CREATED,
            batch_id=keep.batch_id,
            message="the create's answer was lost; the batch was found by its key",
        )
        for batch in extra:
            self._cancel(place, batch.batch_id)

    # -- ending -------------------------------------------------------------------------------

    def _let_go(self) -> None:
        """Give up what was not begun."""
        for job in (*self._ready, *(job for _, _, job in self._later)):
            self._outcomes.end(job.action, job.place.part, Ending.SKIPPED)
        self._ready.clear()
        self._later.clear()

    def _finish(self) -> None:
        for job in self._under_way.values():
            if not job.begun:  # still in the queue, and the senders begin nothing any more
                self._ledger.withdraw(job.place, job.creation.previous)
                self._outcomes.end(job.action, job.place.part, Ending.SKIPPED)
                continue
            reason = "the run was stopped while the request was under way"
            self._ledger.doubt(job.place, reason)
            self._outcomes.end(job.action, job.place.part, Ending.UNKNOWN, message=reason)
        self._store("record outcomes")
        if self._store_error is not None and self._ledger.dirty:
            error = self._store_error
            ids = self._outcomes.created_ids()
            lost = "".join(f"\n  {name}: {batch_id}" for name, batch_id in ids)
            raise type(error)(
                f"{error.message}\nthese batches exist, and their ids may not be recorded:{lost}"
                if ids
                else error.message,
                hint=f"{error.hint or 'mend that, then run: reconciler apply'}; "
                "it finds each batch by its key and records it, nothing is created twice",
            ) from error
