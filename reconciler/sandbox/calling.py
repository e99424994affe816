"""Simulated calling: whom a batch rings, when, and how it ends.

A discrete-event simulation without timers. `advance` brings one batch to a point in time; asking
often or seldom gives the same calls, because every draw is a pure function of (seed, batch number,
contact position, attempt) and events are worked off in the order of time. What pausing, resuming
and cancelling do is applied at their own moment, after advancing to it, and changes nothing before.

A call is *dispatched* for a few seconds, then *rings* (only from there on somebody's phone rings:
that is when the dial log has it), then ends. Cancelling drops dispatched calls and lets ringing
ones finish.
"""

from __future__ import annotations

import hashlib
import heapq
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.sandbox.hours import Hours

WAITING = ("pending", "retrying", "followup_scheduled")
TERMINAL = ("completed", "cancelled", "expired")
CONTACT_STATUSES = (
    "pending",
    "dispatched",
    "in_progress",
    "retrying",
    "followup_scheduled",
    "completed",
    "failed",
    "busy",
    "no_answer",
    "skipped",
    "max_retries_reached",
)
OUTCOMES = ("completed", "followup", "no_answer", "busy", "failed", "invalid")
"""How a call can end. `followup` was answered and wants another call, `invalid` is hopeless."""

EXPIRES_AFTER = 30 * 86_400.0
"""How long after its start a batch passes its end window. The vendor does not say; our choice."""

_FOLLOW_UP_AFTER = 3_600.0
_ODDS = ((150, "completed"), (166, "followup"), (212, "no_answer"), (232, "busy"), (250, "failed"))


class Call(NamedTuple):
    """A call in flight. Sorts by its end."""

    end: float
    ring: float
    position: int
    attempt: int
    retries: int
    follow_ups: int
    outcome: str
    begun: float


class Again(NamedTuple):
    """A contact that is to be called again at `due`. Sorts by that."""

    due: float
    position: int
    attempt: int
    retries: int
    follow_ups: int


class ContactChange(NamedTuple):
    """What became of one contact: the columns of its row, and then its position."""

    status: str
    retry_count: int
    follow_up_count: int
    latest_retry_count: int
    last_attempted_at: float | None
    next_retry_at: float | None
    ring_at: float | None
    position: int


class Dial(NamedTuple):
    """One time that somebody's phone rang."""

    position: int
    attempt: int
    ring_at: float
    end_at: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Plan:
    """How one batch calls: fixed when it is created.

    `scripts` gives outcomes that a test or a user prescribed, by contact position: one per attempt,
    the last one for all that follow.
    """

    seed: int
    number: int
    total: int
    limit: int
    start: float
    max_retries: int
    cooldown: float
    exponential: bool
    hours: Hours
    scripts: Mapping[int, Sequence[str]]


@dataclass(slots=True)
class Progress:
    """Where one batch stands. `clock` is the time of the last event; `cursor` the next contact.

    `skipped` are positions from the cursor on whom a person took out.
    """

    status: str
    clock: float
    cursor: int = 0
    active: list[Call] = field(default_factory=list)
    queue: list[Again] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)

    def pass_over(self) -> None:
        """Move the cursor to the next contact that nobody took out."""
        while self.cursor in self.skipped:
            self.skipped.discard(self.cursor)
            self.cursor += 1

    def count(self, status: str, by: int) -> None:
        """Move one status's counter."""
        self.counts[status] = self.counts.get(status, 0) + by


@dataclass(slots=True)
class Effects:
    """What an advance changed, for the tables: apply in the order of these fields."""

    contacts: dict[int, ContactChange] = field(default_factory=dict)
    dials: list[Dial] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    ended_at: float | None = None
    """Set when the batch was cancelled or expired: whoever still waits is skipped."""


def next_event(plan: Plan, progress: Progress) -> float | None:
    """Give the time of the next thing to happen by itself, or None."""
    times = [progress.active[0].end] if progress.active else []
    if progress.status not in TERMINAL:
        times.append(plan.start + EXPIRES_AFTER)
    if progress.status == "pending":
        times.append(plan.start)
    if progress.status == "in_progress" and len(progress.active) < plan.limit:
        ready = _ready(plan, progress)
        opening = None if ready is None else plan.hours.open_at(ready)
        if opening is not None:
            times.append(opening)
    return min(times, default=None)


def advance(plan: Plan, progress: Progress, now: float) -> Effects:
    """Let happen everything up to and including `now`."""
    effects = Effects()
    while (moment := next_event(plan, progress)) is not None and moment <= now:
        progress.clock = max(progress.clock, moment)
        if progress.status not in TERMINAL and progress.clock >= plan.start + EXPIRES_AFTER:
            _end(progress, effects, "expired")
            continue
        if progress.status == "pending" and progress.clock >= plan.start:
            progress.status = "in_progress"
        while progress.active and progress.active[0].end <= progress.clock:
            _finish(plan, progress, effects, heapq.heappop(progress.active))
        if progress.status == "in_progress":
            _dispatch(plan, progress, effects)
        if progress.status in {"in_progress", "paused"} and _exhausted(plan, progress):
            progress.status = "completed"
    return effects


def pause(progress: Progress, now: float) -> None:
    """Stop dispatching; calls in flight go on. Advance to `now` first."""
    progress.status, progress.clock = "paused", max(progress.clock, now)


def resume(plan: Plan, progress: Progress, now: float) -> None:
    """Dispatch again from `now` on. Advance to `now` first, and again afterwards."""
    progress.status = "pending" if now < plan.start else "in_progress"
    progress.clock = max(progress.clock, now)


def cancel(progress: Progress, now: float) -> Effects:
    """End the batch: nobody is dialled any more. Advance to `now` first."""
    effects = Effects()
    progress.clock = max(progress.clock, now)
    _end(progress, effects, "cancelled")
    return effects


def skip(progress: Progress, position: int) -> Effects | None:
    """Take out one contact who waits, as a person does in the console; None when nobody waits."""
    effects = Effects()
    again = next((each for each in progress.queue if each.position == position), None)
    if again is not None:
        progress.queue.remove(again)
        heapq.heapify(progress.queue)
        progress.count("followup_scheduled" if again.retries == 0 else "retrying", -1)
    elif position >= progress.cursor and position not in progress.skipped:
        again = Again(0.0, position, 0, 0, 0)
        progress.skipped.add(position)
        progress.pass_over()
        progress.count("pending", -1)
    else:
        return None
    progress.count("skipped", 1)
    tried = max(0, again.attempt - 1)
    effects.contacts[position] = ContactChange(
        status="skipped",
        retry_count=max(0, tried - again.follow_ups),
        follow_up_count=again.follow_ups,
        latest_retry_count=again.retries,
        last_attempted_at=None,
        next_retry_at=None,
        ring_at=None,
        position=position,
    )
    return effects


def counters(
    counts: Mapping[str, int], active: Sequence[Sequence[Any]], now: float
) -> dict[str, int]:
    """Give every contact status with its count, calls in flight split by whether they ring yet."""
    shown = {status: counts.get(status, 0) for status in CONTACT_STATUSES}
    shown["dispatched"] = sum(1 for call in active if call[1] > now)
    shown["in_progress"] = len(active) - shown["dispatched"]
    return shown


def _ready(plan: Plan, progress: Progress) -> float | None:
    """Give the time from which somebody could be dispatched, working hours left aside."""
    if progress.cursor < plan.total:
        return max(progress.clock, plan.start)
    if progress.queue:
        return max(progress.queue[0].due, progress.clock)
    return None


def _exhausted(plan: Plan, progress: Progress) -> bool:
    return progress.cursor >= plan.total and not progress.active and not progress.queue


def _dispatch(plan: Plan, progress: Progress, effects: Effects) -> None:
    """Fill the free lines, those who are due again first."""
    now = progress.clock
    if plan.hours.open_at(now) != now:
        return
    while len(progress.active) < plan.limit:
        if progress.queue and progress.queue[0].due <= now:
            again = heapq.heappop(progress.queue)
            source = "followup_scheduled" if again.retries == 0 else "retrying"
        elif progress.cursor < plan.total:
            again = Again(now, progress.cursor, 0, 0, 0)
            progress.cursor += 1
            progress.pass_over()
            source = "pending"
        else:
            return
        progress.count(source, -1)
        progress.count("in_progress", 1)
        call = _place(plan, again, now)
        heapq.heappush(progress.active, call)
        effects.dials.append(Dial(call.position, call.attempt, call.ring, call.end, call.outcome))
        effects.contacts[call.position] = _change(call, "in_progress", ring_at=call.ring)


def _place(plan: Plan, again: Again, now: float) -> Call:
    """Draw how this call goes."""
    packed = struct.pack(">qqqq", plan.seed, plan.number, again.position, again.attempt)
    draw = hashlib.blake2b(packed, digest_size=4).digest()
    script = plan.scripts.get(again.position)
    if script:
        outcome = script[min(again.attempt, len(script) - 1)]
    else:
        outcome = next((name for odds, name in _ODDS if draw[0] < odds), "invalid")
    if outcome == "followup" and again.follow_ups:
        outcome = "completed"
    talk = 20 + draw[2] / 2
    lasts = {"completed": talk, "followup": talk, "no_answer": 30.0, "busy": 3.0}.get(outcome, 2.0)
    ring = now + 1 + draw[1] / 128
    _, position, attempt, retries, follow_ups = again
    return Call(ring + lasts, ring, position, attempt, retries, follow_ups, outcome, now)


def _finish(plan: Plan, progress: Progress, effects: Effects, call: Call) -> None:
    """Decide what becomes of the contact whose call just ended."""
    ended = progress.status in TERMINAL
    status, due = call.outcome, None
    if status == "invalid":
        status = "failed"
    elif status == "followup":
        status = "completed" if ended else "followup_scheduled"
        due = None if ended else call.end + _FOLLOW_UP_AFTER
    elif status != "completed" and not ended and plan.max_retries:
        status = "retrying" if call.retries < plan.max_retries else "max_retries_reached"
        wait = plan.cooldown * (2**call.retries if plan.exponential else 1)
        due = call.end + wait if status == "retrying" else None
    progress.count("in_progress", -1)
    progress.count(status, 1)
    follow_ups = call.follow_ups
    if due is not None:
        retries = call.retries + 1 if status == "retrying" else 0
        follow_ups += status == "followup_scheduled"
        again = Again(due, call.position, call.attempt + 1, retries, follow_ups)
        heapq.heappush(progress.queue, again)
    effects.contacts[call.position] = _change(call, status, next_retry_at=due)


def _change(
    call: Call, status: str, *, next_retry_at: float | None = None, ring_at: float | None = None
) -> ContactChange:
    return ContactChange(
        status=status,
        retry_count=call.attempt - call.follow_ups,
        follow_up_count=call.follow_ups,
        latest_retry_count=call.retries,
        last_attempted_at=call.begun,
        next_retry_at=next_retry_at,
        ring_at=ring_at,
        position=call.position,
    )


def _undone(call: Call) -> Call:
    """Count the attempts before this one only: it was dropped before it rang."""
    if call.attempt == 0:
        return call
    if call.retries:
        return call._replace(attempt=call.attempt - 1, retries=call.retries - 1)
    return call._replace(attempt=call.attempt - 1, follow_ups=call.follow_ups - 1)


def _end(progress: Progress, effects: Effects, status: str) -> None:
    """Skip whoever waits or is dispatched and does not ring yet; ringing calls finish."""
    now = progress.clock
    progress.status = status
    effects.ended_at = now
    for name in WAITING:
        progress.count("skipped", progress.counts.get(name, 0))
        progress.counts[name] = 0
    progress.queue.clear()
    progress.cursor = 1 << 60  # nobody is pending any more
    for call in [call for call in progress.active if call.ring > now]:
        progress.active.remove(call)
        progress.count("in_progress", -1)
        progress.count("skipped", 1)
        effects.dropped.append(call.position)
        effects.contacts[call.position] = _change(_undone(call), "skipped")
    heapq.heapify(progress.active)
