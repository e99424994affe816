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

import contextlib
import queue
from typing import TYPE_CHECKING, Protocol, assert_never

from msgspec import Struct

from reconciler.apply import immediate
from reconciler.apply.gate import Gates
from reconciler.apply.lifecycles import Lifecycles
from reconciler.apply.outcomes import Outcomes
from reconciler.apply.reactions import Desk, Reactions
from reconciler.apply.recorder import Place, Recorder
from reconciler.apply.replacing import Replacer
from reconciler.apply.report import Ending, Report, with_sent
from reconciler.apply.retry import Retry
from reconciler.apply.sending import Event, Job, Workers
from reconciler.apply.verifier import Verifier
from reconciler.apply.window import Window
from reconciler.errors import ReconcilerError, StateMoved, Unrecorded
from reconciler.plan.actions import Action, ActionKind, Plan, Refusal, Role
from reconciler.spec.schedule import past_diagnostic

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from datetime import datetime

    from reconciler.apply.gate import Gate
    from reconciler.apply.lookup import Lookup
    from reconciler.apply.preparing import Exclusion
    from reconciler.ports import BatchApi, Clock

_TURN = 1.0
"""Seconds after which the loop looks around even if nothing happened."""


class Limits(Struct, frozen=True, kw_only=True):
    """How hard and how long an apply tries. Seconds, but `parallelism`.

    `grace` is how long requests under way may take after a signal. `chunk` is how many requests
    are recorded and sent together where storing is slow; None stores after every outcome. `drain`
    is how long the calls in flight of a batch that is replaced are waited for.
    """

    parallelism: int = 4
    verify_for: float = 60.0
    lease: float = 300.0
    grace: float = 5.0
    drain: float = 300.0
    chunk: int | None = None


class Progress(Protocol):
    """Somebody who watches."""

    def update(
        self, *, done: int, total: int, under_way: int, looking: int, draining: Sequence[str]
    ) -> None:
        """Take note of how far things are. Called after each turn, at least once a second.

        `draining` says which calls in flight are waited for.
        """

    def say(self, line: str) -> None:
        """Tell something loudly, at once."""


class Engine:
    """Carries out one plan. Use once."""

    def __init__(
        self,
        *,
        plan: Plan,
        recorder: Recorder,
        api: BatchApi,
        lookup: Lookup,
        clock: Clock,
        limits: Limits,
        stop: threading.Event,
        events: queue.SimpleQueue[Event],
        progress: Progress,
        exclusion: Exclusion | None = None,
        gate: Gate | None = None,
        root: str = "",
    ) -> None:
        """`exclusion` leaves out of changed specs who is on a do-not-call list.

        `gate` is asked immediately before each POST and each resume. `root` is the name of the
        batches root, which each new batch carries.
        """
        self._plan = plan
        self._recorder = recorder
        self._clock = clock
        self._limits = limits
        self._window = Window(limits.parallelism, limits.chunk)
        self._lookup = lookup
        self._stop = stop
        self._events = events
        self._progress = progress
        self.report: Report | None = None
        self._outcomes = Outcomes()
        self._retry = Retry(clock)
        self._workers = Workers(
            api,
            clock,
            stop,
            limits.lease,
            events,
            limits.parallelism,
            gate or Gates(),
            root,
            lambda job: self._past(job, clock.now()) is not None,
        )
        self._desk = Desk()
        self._replacing = Replacer(
            desk=self._desk,
            recorder=recorder,
            outcomes=self._outcomes,
            workers=self._workers,
            lifecycles=Lifecycles(recorder, self._outcomes),
            drain=limits.drain,
            timezones={each: plan.campaigns[each].timezone for each in plan.campaigns},
            exclusion=exclusion,
        )
        self._reactions = Reactions(
            desk=self._desk,
            recorder=recorder,
            lookup=lookup,
            outcomes=self._outcomes,
            retry=self._retry,
            workers=self._workers,
            verifier=Verifier(lookup, clock=clock, stop=stop, events=events),
            clock=clock,
            progress=progress,
            replacing=self._replacing,
            verify_for=limits.verify_for,
        )
        self._jobs = 0
        self._store_error: ReconcilerError | None = None
        self._moved = False

    def run(self) -> Report:
        """Do it.

        When outcomes could not be stored it raises `Unrecorded`, or the store's own error where no
        batch was created; `report` tells what was done all the same.
        """
        started = self._clock.elapsed()
        for action in self._plan.pending:
            self._dispatch(action)
        self._jobs = len(self._desk.ready) + self._replacing.waiting
        grace_ends: float | None = None
        while True:
            if self._stop.is_set() and grace_ends is None:
                grace_ends = self._clock.elapsed() + self._limits.grace
                self._reactions.let_go()
            self._turn()
            busy = self._desk.busy or self._replacing.busy
            if not busy or (grace_ends and self._clock.elapsed() >= grace_ends):
                break
            self._await(grace_ends)
        self._finish()
        self.report = self._reported(started)
        self._require_stored()
        return self.report

    def _reported(self, started: float) -> Report:
        report = Report(
            plan=self._plan,
            results=tuple(
                with_sent(each, self._recorder.state) for each in self._outcomes.results(self._plan)
            ),
            interrupted=self._stop.is_set() and self._store_error is None,
            moved=self._moved,
            stored=self._recorder.has_stored,
            seconds=self._clock.elapsed() - started,
        )
        halted = self._reactions.halted
        return report if halted is None else report.halted_by(halted)

    def _dispatch(self, action: Action) -> None:
        match action.kind:
            case ActionKind.CREATE:
                for creation in action.creations:
                    place = self._recorder.place(action, creation.request.part)
                    if creation.request.contacts:
                        self._desk.ready.append(Job(action, creation, place))
                    else:
                        immediate.complete(action, creation, place, self._recorder, self._outcomes)
            case ActionKind.ADOPT:
                immediate.adopt(action, self._recorder, self._lookup, self._outcomes)
            case ActionKind.MOVE:
                immediate.move(action, self._recorder, self._outcomes)
            case ActionKind.CANCEL if action.role is Role.DUPLICATE and action.batch_id:
                self._reactions.cancel(self._recorder.place(action, action.part), action.batch_id)
            case ActionKind.BLOCKED:
                self._block(action)
            case ActionKind.REPLACE | ActionKind.PAUSE | ActionKind.RESUME | ActionKind.CANCEL:
                self._replacing.accept(action)
            case ActionKind.FORGET | ActionKind.NONE:
                pass
            case _:
                assert_never(action.kind)

    def _block(self, action: Action) -> None:
        """Refuse an action; what an earlier run left in doubt is looked for like our own."""
        record = self._recorder.state.record(action.name)
        if action.refusal is not Refusal.DOUBT or record is None or self._plan.offline:
            self._outcomes.block(action, action.message, action.hint)
            return
        for request in record.current.requests:
            if request.in_doubt:
                self._outcomes.end(
                    action, request.part, Ending.BLOCKED, message=action.message, hint=action.hint
                )
                if not self._recorder.is_anothers(request):
                    place = Place(action.name, record.current, request.part)
                    self._reactions.look(action, place, self._limits.verify_for)

    def _turn(self) -> None:
        if self._awaits_chunk:
            return  # a push for every single outcome would take longer than the requests
        if self._retry.gave_up:
            self._reactions.turn_down_the_rest()
        jobs = self._take()
        intended_at = self._clock.elapsed()
        for job in jobs:
            job.intended_at, job.begun = intended_at, False
            starts_at = job.action.starts_at
            self._recorder.intend(job.place, job.creation, refused=job.refused, starts_at=starts_at)
        room = min(self._window.usual, self._window.size - len(self._desk.under_way))
        noted = self._replacing.note(room, ended=self._ended)
        if not self._store():
            self._replacing.take_back(noted)
            for job in jobs:
                self._recorder.withdraw(job.place, job.creation.previous)
                self._outcomes.end(job.action, job.place.part, Ending.SKIPPED)
            jobs = []
        else:
            if self._recorder.overtaken and (self._desk.waiting or self._replacing.busy):
                self._note_moved(f"{self._recorder.where} was changed by somebody else meanwhile")
            self._replacing.hand_out(noted)  # cancels; what makes phones ring is kept back now
            self._reactions.cancel_contested()
        if self._moved or self._store_error is not None or self._reactions.halted is not None:
            self._reactions.let_go()  # and so in later turns: what came back is not sent again
        for job in jobs:
            self._desk.under_way[job.creation.key] = job
            self._workers.post(job)

    def _take(self) -> list[Job]:
        """Choose which requests to begin now."""
        now, moment = self._clock.elapsed(), self._clock.now()
        self._desk.ripen(now)
        if self._ended or self._retry.closed_until > now:
            return []
        jobs: list[Job] = []
        while self._desk.ready and len(self._desk.under_way) + len(jobs) < self._window.size:
            job = self._desk.ready.popleft()
            if self._recorder.batch_at(job.place):
                self._note_moved(f"another run has created {job.action.name} meanwhile")
                self._desk.ready.extendleft((job, *reversed(jobs)))
                return []
            past = self._past(job, moment)
            if past is None:
                jobs.append(job)
                continue
            why, hint = past
            self._outcomes.end(job.action, job.place.part, Ending.REJECTED, message=why, hint=hint)
            self._replacing.fell_through(job.action, job.place.part)
        return jobs

    def _past(self, job: Job, now: datetime) -> tuple[str, str] | None:
        """Say why a request must not be created any more, and what to do; None while it may.

        Created after its start, it would call at once. What it was made of may have begun to call.
        """
        if job.good_until is not None and now >= job.good_until:
            why = "the batch that it replaces was about to start while it waited to be created"
            return why, "run again: reconciler apply"
        spec, campaign = job.action.spec, self._plan.campaigns.get(job.action.campaign_id)
        if spec is None:
            return None
        timezone = campaign.timezone if campaign else None
        late = past_diagnostic(spec, job.creation.request, now, timezone)
        if late is None:
            return None
        return "its scheduled_start passed while it waited to be created", late.hint

    @property
    def _awaits_chunk(self) -> bool:
        """Whether nothing is begun before all of a chunk came back."""
        return self._limits.chunk is not None and bool(self._desk.under_way)

    @property
    def _ended(self) -> bool:
        """Whether nothing new may begin."""
        ended = self._stop.is_set() or self._moved or self._store_error is not None
        return ended or self._reactions.halted is not None

    def _store(self) -> bool:
        under_way, before = len(self._desk.under_way), self._clock.elapsed()
        try:
            self._recorder.store()
        except StateMoved as error:
            self._note_moved(error.message)
            return False
        except ReconcilerError as error:
            self._workers.close()
            if self._store_error is None:
                self._progress.say(f"{error.message}; nothing more is sent")
            self._store_error = error
            return False
        ran_dry = 0 < under_way <= self._events.qsize()
        self._window.stored(self._clock.elapsed() - before, ran_dry=ran_dry)
        return True

    def _note_moved(self, why: str) -> None:
        """Begin nothing more of this plan: it was made by a state that is past."""
        self._workers.close()
        if not self._moved:
            self._progress.say(f"{why}; planning again")
        self._moved = True

    def _await(self, grace_ends: float | None) -> None:
        """Take in the next event, and all that came with it."""
        until = self._clock.elapsed() + _TURN
        if self._desk.later and not self._awaits_chunk:
            until = min(until, self._desk.later[0][0])
        if self._desk.ready and self._retry.closed_until > self._clock.elapsed():
            until = min(until, self._retry.closed_until)
        if grace_ends is not None:
            until = min(until, grace_ends)
        with contextlib.suppress(queue.Empty):
            self._reactions.on(self._events.get(timeout=max(0.0, until - self._clock.elapsed())))
        self._take_in()
        self._progress.update(
            done=self._jobs - self._desk.waiting - self._replacing.waiting,
            total=self._jobs,
            under_way=sum(job.begun for job in self._desk.under_way.values()),
            looking=len(self._desk.looking),
            draining=self._desk.drains.told(self._clock.elapsed()),
        )

    def _take_in(self) -> None:
        """React to all that came back already."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._reactions.on(self._events.get_nowait())

    def _finish(self) -> None:
        self._take_in()
        self._reactions.finish()
        for job in self._desk.under_way.values():
            if not job.begun:  # still in the queue, and the senders begin nothing any more
                self._recorder.withdraw(job.place, job.creation.previous)
                self._outcomes.end(job.action, job.place.part, Ending.SKIPPED)
                continue
            reason = "the run was stopped while the request was under way"
            self._recorder.doubt(job.place, reason)
            self._outcomes.end(job.action, job.place.part, Ending.UNKNOWN, message=reason)
        self._replacing.finish()
        self._recorder.release()
        self._store()

    def _require_stored(self) -> None:
        """Raise if what this run learned is not in the state."""
        if self._store_error is not None and self._recorder.dirty:
            error = self._store_error
            ids = self._outcomes.created_ids()
            lost = "".join(f"\n  {name}: {batch_id}" for name, batch_id in ids)
            kind = Unrecorded if ids else type(error)
            raise kind(
                f"{error.message}\nthese batches exist, and their ids may not be recorded:{lost}"
                if ids
                else error.message,
                hint=f"{error.hint or 'mend that, then run: reconciler apply'}; "
                "it finds each batch by its key and records it, nothing is created twice",
            ) from error
