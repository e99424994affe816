"""A clock, a store and an API that do as they are told, and a run of the engine between them."""

from __future__ import annotations

import queue
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from msgspec.structs import replace

from reconciler.apply.engine import Engine, Limits
from reconciler.apply.facts import gather, known_keys
from reconciler.apply.lookup import Lookup
from reconciler.apply.recorder import Recorder
from reconciler.errors import ApiError, StateMoved, TooLate
from reconciler.observed import (
    Batch,
    BatchContact,
    Campaign,
    Created,
    Listing,
    Outcome,
    Rejected,
    Unknown,
)
from reconciler.plan.facts import Rules
from reconciler.plan.planner import make_plan
from reconciler.state import codec
from reconciler.state.document import Source, State, begins
from reconciler.state.merge import lay_over
from tests.core.builders import LINEAGE, NOW, specs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from reconciler.apply.report import Report
    from reconciler.apply.sending import Event
    from reconciler.errors import ReconcilerError
    from reconciler.model import LongBody, Spec
    from reconciler.plan.actions import Plan
    from reconciler.state.document import RequestRecord
    from reconciler.state.store import Aside

CREATED = "created"
"""The batch is made, and the API says so."""
LOST = "lost"
"""The batch is made, and the answer is lost."""
NEVER = "never"
"""No batch is made, and nobody is told."""
REFUSED = "refused"
"""The API says no, for good."""
BUSY = "busy"
"""The API says 429."""
DOWN = "down"
"""Nobody answers the door."""
DENIED = "denied"
"""The batch is made, and the API says no."""
CRASH = "crash"
"""The batch is made, and then our own code fails."""


class ManualClock:
    """A clock that moves only when it is told to. Both its times move together."""

    def __init__(self) -> None:
        self.passed = 1_000.0

    def now(self) -> datetime:
        """Give the wall-clock time."""
        return NOW + timedelta(seconds=self.passed - 1_000.0)

    def elapsed(self) -> float:
        """Give seconds since an arbitrary point."""
        return self.passed

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds


class Events(queue.SimpleQueue["Event"]):
    """The queue of a run. Who waits at it in vain does not wait: the clock is moved on instead."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def get(self, block: bool = True, timeout: float | None = None) -> Event:  # noqa: FBT001, FBT002 - the base class's signature
        """Give the next event, soon."""
        try:
            return super().get(block=block, timeout=0.01)
        except queue.Empty:
            self._clock.pass_by(timeout or 0.0)
            raise


class MemoryStore:
    """Keeps every state that was saved, and makes sure that each could be read again.

    `fails` maps the number of a save, from 0, to what it raises. `theirs` is what somebody else
    stored meanwhile: the next save is laid onto it, unless something is about to be begun by it.
    """

    where = "memory"

    def __init__(self, state: State, fails: dict[int, ReconcilerError] | None = None) -> None:
        self.saved: list[State] = [state]
        self.touched: list[frozenset[str]] = []
        self.tries = 0
        self.theirs: State | None = None
        self._fails = fails or {}

    @property
    def last(self) -> State:
        """The state as stored."""
        return self.saved[-1]

    def load(self, aside: Aside | None = None, *, whole: bool = True) -> State:  # noqa: ARG002 - it is beyond doubt
        """Give the state as stored."""
        return self.last

    def confirm(self) -> None:
        """Do nothing: it is known."""

    def require_current(self) -> None:
        """Do nothing."""

    def moved(self) -> bool:
        """Say that nobody else stored anything."""
        return False

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold nothing."""
        return nullcontext()

    def save(self, state: State, *, touched: frozenset[str], why: str) -> State:
        """Store a state, unless this save is to fail."""
        assert not why
        number, self.tries = self.tries, self.tries + 1
        if number in self._fails:
            raise self._fails[number]
        if self.theirs is not None:
            if begins(self.last, state, touched):
                raise StateMoved("another run was first")
            run = next((r.run for _, _, r in state.requests() if r.run.startswith("run")), "")
            state, self.theirs = lay_over(self.theirs, state, self.last, touched, run), None
        stored = replace(state, serial=state.serial + 1)
        again = codec.decode(codec.encode(stored), where=self.where)
        assert again.batches == stored.batches
        self.saved.append(stored)
        self.touched.append(touched)
        return stored


@dataclass
class FakeApi:
    """The vendor, with every batch there is in `batches`, and `script` for what creates do.

    `script` maps a name to how its creates end, one after the other; then they succeed. A batch of
    `hidden` is not listed for so many listings. `before_create` is called before anything else.
    """

    clock: ManualClock
    script: dict[str, list[str]] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    hidden: dict[str, int] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    complete: bool = True
    before_create: Callable[[str, dict[str, object]], None] = lambda _key, _body: None
    retry_after: float | None = None
    creates: list[str] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    listings: list[str] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    controls: list[tuple[str, str]] = field(default_factory=list)
    people: dict[str, tuple[BatchContact, ...]] = field(default_factory=dict)
    timezone: str | None = "UTC"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, body: bytes | LongBody, key: str, *, send_by: float | None = None) -> Outcome:
        """Do what the script says."""
        parsed = orjson.loads(body if isinstance(body, bytes) else b"".join(body))
        self.before_create(key, parsed)
        if send_by is not None and self.clock.elapsed() > send_by:
            return Rejected("its time is over", retry=True, too_late=True)
        with self._lock:
            self.creates.append(key)
            marker = parsed["metadata"]["reconciler"]
            assert marker["key"] == key
            steps = self.script.get(marker["name"], [])
            step = steps.pop(0) if steps else CREATED
            return self._end(step, parsed)

    def _end(self, step: str, body: dict[str, object]) -> Outcome:
        if step in {CREATED, LOST, CRASH, DENIED}:
            made = self.add(body)
            if step == CRASH:
                raise RuntimeError("a bug of ours")
            if step == LOST:
                return Unknown("the answer was lost")
            if step == DENIED:
                return Rejected("forbidden", 403)
            return Created(made.batch_id, "pending", made.total_contacts)
        match step:
            case "never":
                return Unknown("no answer within 60 s")
            case "busy" | "lie":
                if step == "lie":
                    self.add(body)
                return Rejected("too many requests", 429, retry=True, retry_after=self.retry_after)
            case "down":
                return Rejected("connection refused", retry=True)
            case "refused":
                return Rejected("campaign not found", 404)
            case batch_id:
                return Created(batch_id)

    def add(self, body: dict[str, object], **changes: object) -> Batch:
        """Make a batch of a request's body."""
        contacts = body["contacts"]
        assert isinstance(contacts, list)
        made = Batch(
            batch_id=f"bat_{len(self.batches) + 1}",
            campaign_id=str(body["campaign_id"]),
            status="in_progress",
            total_contacts=len(contacts),
            created_at=self.clock.now(),
            metadata=body["metadata"],  # type: ignore[arg-type]  # parsed JSON
        )
        made = replace(made, **changes)
        self.batches[made.batch_id] = made
        self.people[made.batch_id] = tuple(
            BatchContact(f"ct_{i}", person["phone_number"], "pending", person["call_variables"])
            for i, person in enumerate(contacts)
        )
        return made

    def put(self, *batches: Batch) -> None:
        """Have batches exist."""
        self.batches.update({batch.batch_id: batch for batch in batches})

    def listing(self, campaign_id: str, *, sought: Collection[str] | None = None) -> Listing:
        """List a campaign's batches without their metadata, as the vendor does."""
        with self._lock:
            self.listings.append(campaign_id)
            if campaign_id in self.broken:
                raise ApiError("the list does not answer", hint="run again")
            rows = []
            for batch in self.batches.values():
                left = self.hidden.get(batch.batch_id, 0)
                self.hidden[batch.batch_id] = max(0, left - 1)
                if batch.campaign_id == campaign_id and not left:
                    rows.append(replace(batch, metadata=None))
            return Listing(campaign_id, tuple(rows), self.complete and sought is None)

    def batch(self, batch_id: str) -> Batch | None:
        """Read one batch."""
        with self._lock:
            self.gets.append(batch_id)
            if batch_id in self.broken:
                raise ApiError("the batch does not answer")
            if batch_id in self.gone:
                return None
            batch = self.batches.get(batch_id)
            return replace(batch, metadata=None) if batch and batch_id in self.mute else batch

    def campaign(self, campaign_id: str) -> Campaign | None:
        """Read one campaign."""
        if campaign_id in self.broken:
            raise ApiError("the campaign does not answer")
        return None if campaign_id in self.gone else Campaign(campaign_id, timezone=self.timezone)

    def cancel(self, batch_id: str) -> None:
        """Cancel one batch."""
        with self._lock:
            self.cancels.append(batch_id)
            if batch_id in self.broken:
                raise ApiError("the cancel did not go through")
            if batch_id in self.gone:
                raise RuntimeError("a bug of ours")
            self.batches[batch_id] = replace(self.batches[batch_id], status="cancelled")

    def batch_contacts(
        self, batch_id: str, *, status: str | None = None
    ) -> tuple[BatchContact, ...]:
        """Read everyone in a batch."""
        with self._lock:
            self.reads.append(batch_id)
            if batch_id in self.broken:
                raise ApiError("the contacts do not answer")
            people = self.people.get(batch_id, ())
            return tuple(p for p in people if status in {None, p.status})

    def pause(self, batch_id: str) -> None:
        """Pause one batch."""
        with self._lock:
            self.controls.append(("pause", batch_id))
            if batch_id in self.broken:
                raise ApiError("the pause did not go through")
            self.batches[batch_id] = replace(self.batches[batch_id], status="paused")

    def resume(self, batch_id: str, *, send_by: float | None = None) -> None:
        """Resume one batch."""
        if send_by is not None and self.clock.elapsed() > send_by:
            raise TooLate("its time is over")
        with self._lock:
            self.controls.append(("resume", batch_id))
            if batch_id in self.broken:
                raise ApiError("the resume did not go through")
            self.batches[batch_id] = replace(self.batches[batch_id], status="in_progress")

    def live(self) -> list[Batch]:
        """Give the batches that call people."""
        return [b for b in self.batches.values() if b.status not in {"cancelled", "expired"}]


class Paths:
    """Knows of a spec's source its path."""

    def source(self, spec: Spec) -> Source:
        """Give the path."""
        return Source(path=spec.path)


@dataclass
class Told:
    """Remembers what a run said."""

    lines: list[str] = field(default_factory=list)
    updates: list[tuple[int, int, int, int]] = field(default_factory=list)

    def update(
        self,
        *,
        done: int,
        total: int,
        under_way: int,
        looking: int,
        draining: Sequence[str],  # noqa: ARG002 - the engine's word
    ) -> None:
        """Take note."""
        self.updates.append((done, total, under_way, looking))

    def say(self, line: str) -> None:
        """Take note."""
        self.lines.append(line)


class World:
    """Everything around a run. `apply` makes one; what is stored and created stays for the next."""

    def __init__(self, on: State | None = None, **script: list[str]) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(on or State(lineage=LINEAGE))
        self.api = FakeApi(self.clock, script)
        self.told = Told()
        self.stop = threading.Event()
        self.limits = Limits(parallelism=2, verify_for=0.0, grace=5.0)
        self.rules = Rules()
        self.lease: timedelta | None = None
        self.runs = 0
        self.before_create: Callable[[str], None] = lambda _key: None
        self.api.before_create = self._check_create
        self.violations: list[str] = []

    def _check_create(self, key: str, _body: dict[str, object]) -> None:
        """Hold the first promise: no POST whose intent is not stored."""
        creating = {r.key for _, _, r in self.store.last.requests() if r.in_doubt}
        if key not in creating:
            self.violations.append(f"{key} was sent, and its intent was not stored")
        self.before_create(key)

    def plan(self, *each: Spec) -> Plan:
        """Plan these specs as a command does."""
        state, now = self.store.load(), self.clock.now()
        facts = gather(specs(*each), state, self.api, self.rules, now, parallelism=2)
        return make_plan(specs(*each), state, facts, self.rules, now)

    def engine(self, plan: Plan) -> Engine:
        """Give an engine for a plan."""
        state = self.store.load()
        self.runs += 1
        return Engine(
            plan=plan,
            recorder=self.recorder(plan, state),
            api=self.api,
            lookup=Lookup(self.api, known_keys(state)),
            clock=self.clock,
            limits=self.limits,
            stop=self.stop,
            events=Events(self.clock),
            progress=self.told,
        )

    def recorder(self, plan: Plan, state: State) -> Recorder:  # noqa: ARG002 - for worlds that ask it
        """Give the recorder of this run."""
        return Recorder(
            self.store,
            state,
            clock=self.clock,
            run=f"run{self.runs}",
            provenance=Paths(),
            lease=self.lease,
        )

    def apply(self, *each: Spec) -> Report:
        """Plan and do it."""
        report = self.engine(self.plan(*each)).run()
        self.check()
        return report

    def check(self) -> None:
        """Hold what must hold after every run."""
        assert self.violations == []

    def recorded_ids(self) -> set[str]:
        """Give every id that is stored."""
        return set(self.store.last.batch_ids())

    def key_of(self, name: str) -> str:
        """Give the key under which a name's current request is recorded."""
        return self.store.last.batches[name].current.requests[0].key


def endings(report: Report) -> dict[str, str]:
    """Give how each action ended."""
    return {f"{r.action.name} {r.action.kind}": r.ending.value for r in report.results}


def ids(batches: Iterable[Batch]) -> list[str]:
    """Give the ids of batches."""
    return [batch.batch_id for batch in batches]


def markers(batches: Sequence[Batch]) -> list[str | None]:
    """Give the keys of batches."""
    return [batch.key for batch in batches]


def the_record(world: World, name: str = "welcome") -> RequestRecord:
    """Give the one current record of a name, as stored."""
    (record,) = world.store.last.batches[name].current.requests
    return record
