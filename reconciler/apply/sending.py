"""Requests on worker threads: each POST at most once, each outcome back through one queue.

The threads are daemons: a request that hangs past all patience never keeps the process alive, and
its intent stays in doubt, which is the truth.
"""

from __future__ import annotations

import itertools
import math
import queue
import threading
from datetime import UTC
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import Struct, field

from reconciler.apply import errands
from reconciler.apply.draining import Draining
from reconciler.apply.errands import Controlled, Errand
from reconciler.apply.gate import Gate, Gates, Objection, objection
from reconciler.apply.preparing import CancelFirst, Held, NotPrepared, Prepared
from reconciler.apply.retry import TOO_MANY
from reconciler.errors import ApiError
from reconciler.model import LongBody, LongContacts
from reconciler.observed import TERMINAL, Rejected, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from reconciler.apply.preparing import Preparation
    from reconciler.apply.recorder import Place
    from reconciler.observed import Batch, Outcome
    from reconciler.plan.actions import Action, Creation
    from reconciler.ports import BatchApi, Clock


_MOST_LATE = 3
"""How often a request that came too late gets a new intent at once. After that it is tried again as
what found no connection: a lease that is shorter than connecting takes would have no end."""


class Job(Struct):
    """One request on its way: what to create, and where this run stands with it.

    `intended_at` is `Clock.elapsed` just before its intent was stored, `handed_at` when it was
    handed to the senders; `begun` is set by the sender once nothing but the clock can keep the POST
    from leaving any more. `refused` counts the answers that said "not now", `late` how often it was
    not sent because its intent had expired by then. After `good_until` it is not what is to be
    created any more.
    """

    action: Action
    creation: Creation
    place: Place
    intended_at: float = 0.0
    handed_at: float = 0.0
    begun: bool = False
    good_until: datetime | None = None
    first_tried_at: float | None = None
    tries: int = 0
    refused: int = 0
    late: int = 0

    def body(self, now: datetime, root: str = "") -> bytes | LongBody:
        """Build the request's JSON, with the marker by which the batch is found again.

        `root` is the name of the batches root, which tells its batches from those of another root.
        An armed batch gets a start so far after `now`; it is not part of what the digest covers.
        """
        request = self.creation.request
        marker: dict[str, Any] = {
            "key": self.creation.key,
            "digest": request.digest,
            "name": self.action.name,
            "generation": self.action.generation,
            "part": request.part,
        }
        if root:
            marker["root"] = root
        body: dict[str, Any] = dict(request.fields)
        body["metadata"] = {**(body.get("metadata") or {}), "reconciler": marker}
        if self.action.arm_delay and request.scheduled_start is None:
            armed = (now + self.action.arm_delay).astimezone(UTC)
            body["scheduled_start"] = f"{armed:%Y-%m-%dT%H:%M:%S}Z"
        contacts = request.contacts
        if isinstance(contacts, LongContacts):
            return long_body(body, contacts)
        body["contacts"] = list(contacts)
        return orjson.dumps(body)


def long_body(fields: dict[str, Any], contacts: LongContacts) -> LongBody:
    """Give a request's JSON that holds none of its contacts. There is a field at least."""
    return LongBody(orjson.dumps(fields)[:-1] + b',"contacts":[', contacts)


class Posted(Struct, frozen=True):
    """A POST ended."""

    job: Job
    outcome: Outcome


class NotSent(Struct, frozen=True):
    """A POST was not begun: the run is ending, the API busy, or it came too late."""

    job: Job


class Objected(Struct, frozen=True):
    """A POST was kept back at the last moment: it is certainly not created."""

    job: Job
    objection: Objection


class Cancelled(Struct, frozen=True):
    """A cancel of a second batch ended; `problem` is empty when the batch is over.

    `over` is the status of one that had ended before, None of one that was cancelled by this.
    """

    place: Place
    batch_id: str
    problem: str = ""
    over: str | None = None


class Seen(Struct, frozen=True):
    """The verifier saw batches of a request's key; `batches` is empty when it gave up."""

    place: Place
    key: str
    batches: tuple[Batch, ...]
    problem: str = ""


class Wakeup(Struct, frozen=True):
    """Something outside changed (a signal); look at it."""


Event = (
    Posted
    | NotSent
    | Objected
    | Cancelled
    | Seen
    | Wakeup
    | Controlled
    | Prepared
    | CancelFirst
    | NotPrepared
    | Draining
    | Held
)


_Task = tuple[bool, int, "Callable[[], Event]"]
"""Whether it can wait for others, which one it is, and what is to be done."""


def _late(job: Job, outcome: Rejected | None = None) -> NotSent | Posted:
    """Have a job whose intent expired recorded anew, a few times."""
    if job.late < _MOST_LATE:
        job.late += 1
        job.begun = False
        return NotSent(job)
    reason = "its intent expires before it can be sent: storing takes longer than the lease"
    hint = "give it more time: reconciler apply --lease SECONDS"
    return Posted(job, outcome or Rejected(reason, hint=hint, retry=True, too_late=True))


class Workers(Struct):
    """A bounded set of threads that send. `events` is where everything comes back.

    Cancels, pauses and resumes go before POSTs that wait. Before `closed_until` (of
    `Clock.elapsed`) no POST is begun. A sender that is told "not now" closes for all, until
    whoever takes in its event says for how long. `is_past` says whether a job waited too long.
    """

    api: BatchApi
    clock: Clock
    stop: threading.Event
    lease: float
    events: queue.SimpleQueue[Event]
    parallelism: int
    gate: Gate = field(default_factory=Gates)
    root: str = ""
    is_past: Callable[[Job], bool] = lambda _: False
    closed_until: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)
    _busy: set[str] = field(default_factory=set)
    _halt: Objection | None = None
    _tasks: queue.PriorityQueue[_Task] = field(default_factory=queue.PriorityQueue)
    _handed_out: itertools.count[int] = field(default_factory=itertools.count)
    _threads: int = 0

    def post(self, job: Job) -> None:
        """Send a job whose intent is stored."""
        job.handed_at = self.clock.elapsed()
        self._hand_out(lambda: self._post(job), urgent=False)

    def cancel(self, place: Place, batch_id: str) -> None:
        """Cancel a second batch of a key."""
        self._hand_out(lambda: self._cancel(place, batch_id), urgent=True)

    def control(self, errand: Errand, batch_id: str) -> None:
        """Run an errand for one batch."""
        self._hand_out(
            lambda: errands.run(errand, batch_id, self.api, self._against_resume, self.lease),
            urgent=True,
        )

    def taken_in(self, job: Job, closed_until: float) -> None:
        """Go by what was made of a job's end: before `closed_until` no POST is begun."""
        self.closed_until = max(self.closed_until, closed_until)
        self._busy.discard(job.creation.key)

    def close(self) -> None:
        """Begin no POST and no resume any more; `ended` tells those that wait."""
        self.ended.set()
        self.closed_until = math.inf

    def prepare(self, preparation: Preparation) -> None:
        """Stop and read a changed spec's old batches, on a thread of its own: it takes minutes."""
        threading.Thread(
            target=lambda: self.events.put(preparation.run()),
            name=f"prepare-{preparation.action.name}",
            daemon=True,
        ).start()

    def _hand_out(self, work: Callable[[], Event], *, urgent: bool) -> None:
        self._tasks.put((not urgent, next(self._handed_out), work))
        if self._threads < self.parallelism:
            self._threads += 1
            threading.Thread(target=self._work, name=f"send-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while True:
            *_, work = self._tasks.get()
            self.events.put(work())

    def _post(self, job: Job) -> Event:
        send_by = job.intended_at + self.lease
        try:
            now = self.clock.elapsed()
            if self._busy or now < self.closed_until or self.is_past(job):
                return NotSent(job)
            if now > send_by:
                # Unless it waited for a sender so long, storing it took longer than it is good for.
                return NotSent(job) if job.handed_at <= send_by else _late(job)
            body = job.body(self.clock.now(), self.root)
            against = self._objection(job.action, job.creation)
            if against is not None:
                return Objected(job, against)
            # It says "begun" before it looks, so that who stops the run can rely on "not begun".
            job.begun = True
            if self.stop.is_set():
                job.begun = False
                return NotSent(job)
            # A process that is suspended for longer than its intent is good for must record a new
            # one first; the API looks at the clock last, with nothing but the sending after it.
            outcome = self.api.create(body, job.creation.key, send_by=send_by)
            if isinstance(outcome, Rejected) and outcome.too_late:
                return _late(job, outcome)
            if isinstance(outcome, Rejected) and outcome.status == TOO_MANY:
                self._busy.add(job.creation.key)
            return Posted(job, outcome)
        except Exception as error:  # noqa: BLE001 - whatever happened, the batch may exist
            return Posted(job, Unknown(f"internal error: {type(error).__name__}"))

    def _against_resume(self, action: Action) -> Objection | str | None:
        """Say what keeps a resume back: the run's end, or an objection."""
        if self.ended.is_set():
            return self._halt or "the run ended first"
        return self._objection(action, None)

    def _objection(self, action: Action, creation: Creation | None) -> Objection | None:
        """Ask the gate; what it said against everything once stays said for this run."""
        if self.stop.is_set() and creation is not None:
            return None  # it is not sent anyway, and who stops a run does not wait for a network
        against = self._halt or objection(self.gate, action, creation, self.clock.now())
        if against is not None and against.everything:
            self._halt = against
        return against

    def _cancel(self, place: Place, batch_id: str) -> Event:
        try:
            self.api.cancel(batch_id)
        except ApiError as error:
            return Cancelled(place, batch_id, error.message)
        except Exception as error:  # noqa: BLE001 - told as a failed cancel, and tried next run
            return Cancelled(place, batch_id, f"internal error: {type(error).__name__}")
        return Cancelled(place, batch_id, over=self._over_before(batch_id))

    def _over_before(self, batch_id: str) -> str | None:
        """Give the status of a batch that is over and that no cancel has ended."""
        try:
            batch = self.api.batch(batch_id)
        except Exception:  # noqa: BLE001 - it is cancelled; that nobody can read it is no trouble
            return None
        return batch.status if batch and batch.status in TERMINAL - {"cancelled"} else None
