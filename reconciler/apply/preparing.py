"""What goes before a new generation: the old batches are stopped, quiet, and read.

Runs on a thread of its own for each changed spec, because calls in flight take minutes. Creates
nothing. Wherever it breaks off, an old batch is paused at worst, and the next run goes on.

A batch that still waits for its start may refuse to be paused. One that starts much later is left
alone until the new one is there. One that may start any moment must be cancelled first, so that the
two do not call side by side; that is the engine's to record before it is done (`CancelFirst`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from reconciler.apply.draining import Draining
from reconciler.apply.report import Ending
from reconciler.errors import ApiError, Refused
from reconciler.model import OnChange
from reconciler.observed import IN_FLIGHT, TERMINAL
from reconciler.plan.actions import LeftOut
from reconciler.plan.callees import Roll, share
from reconciler.plan.history import made
from reconciler.spec.schedule import resolve

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from reconciler.model import Contact
    from reconciler.observed import Batch
    from reconciler.plan.actions import Action, Target
    from reconciler.plan.callees import Share
    from reconciler.plan.history import Made
    from reconciler.ports import BatchApi, Clock
    from reconciler.state.document import NameRecord

FAR_AHEAD = timedelta(minutes=10)
"""A batch that starts so much later does not start between a create and the cancel after it."""
_TOO_NEAR = FAR_AHEAD / 2
"""Before so near to that start it must be created, or else be prepared anew."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0
_PAUSED_WITHIN = 3.0
"""Seconds that a pause may take to show, where calls in flight are not waited for."""
_AGAIN = "run again: reconciler apply (the old batch may be paused until then)"


class Exclusion(Protocol):
    """Knows who is on a do-not-call list."""

    def without(
        self, campaign_id: str, contacts: Sequence[Contact]
    ) -> tuple[Sequence[Contact], tuple[LeftOut, ...]]:
        """Give the contacts whom no list leaves out, and how many each list does.

        Raises `Refused` where nobody can tell. Safe to call in several threads at once.
        """


class Prepared(Struct, frozen=True):
    """The old batches are quiet. `not_owed` maps their ids to contacts to be remembered.

    `share` is without those whom do-not-call lists leave out; `left_out` counts them. From
    `good_until` on an old batch that could not be paused may be calling.
    """

    action: Action
    share: Share
    not_owed: Mapping[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...] = ()
    good_until: datetime | None = None


class CancelFirst(Struct, frozen=True):
    """Some old batches can only be cancelled; see `Prepared` for `not_owed`."""

    action: Action
    batch_ids: frozenset[str]
    not_owed: Mapping[str, tuple[str, ...]]


class Held(Struct, frozen=True):
    """The calls of an old batch are stopped for a change, or may be: `done` tells which.

    `verb` is how: `paused`, or `cancelled` where it cannot be paused.
    """

    action: Action
    batch_id: str
    verb: str
    done: bool


class NotPrepared(Struct, frozen=True):
    """It broke off, or must not go on. `not_ours` are batches that somebody else has paused."""

    action: Action
    ending: Ending
    message: str
    hint: str
    not_ours: frozenset[str] = frozenset()


PreparationEnd = Prepared | CancelFirst | NotPrepared


class _Halt(Exception):  # noqa: N818 - not an error: how a preparation says that it is over
    def __init__(
        self, ending: Ending, message: str, hint: str, not_ours: Iterable[str] = ()
    ) -> None:
        super().__init__(message)
        self.ending, self.message, self.hint = ending, message, hint
        self.not_ours = frozenset(not_ours)


class Preparation(Struct, frozen=True):
    """Prepares one changed spec. `record` is its name's as it stands, journal included.

    `stopped` are old batches that we paused or were asked to pause before; of any other that is
    found paused, somebody else stopped the calls. `cancel_first` are cancelled instead of paused;
    that is recorded already. `drain` is for how many seconds calls in flight are waited for.
    """

    action: Action
    record: NameRecord
    api: BatchApi
    clock: Clock
    stop: threading.Event
    drain: float
    timezones: Mapping[str, str | None]
    tell: Callable[[Draining | Held], None]
    stopped: frozenset[str] = frozenset()
    cancel_first: frozenset[str] = frozenset()
    exclusion: Exclusion | None = None

    def run(self) -> PreparationEnd:
        """Do it. Never raises."""
        try:
            return self._run()
        except _Halt as halt:
            return NotPrepared(self.action, halt.ending, halt.message, halt.hint, halt.not_ours)
        except Refused as error:
            return NotPrepared(self.action, Ending.BLOCKED, error.message, error.hint)
        except ApiError as error:
            if self.stop.is_set():
                return NotPrepared(self.action, Ending.SKIPPED, "", "")
            return NotPrepared(self.action, Ending.FAILED, error.message, _AGAIN)
        except Exception as error:  # noqa: BLE001 - told like any other failure; nothing was created
            problem = f"internal error: {type(error).__name__}"
            return NotPrepared(self.action, Ending.FAILED, problem, _AGAIN)

    def _run(self) -> PreparationEnd:
        replacement = self.action.replacement
        if replacement is None:
            raise AssertionError(f"{self.action.name} replaces nothing")
        # Asked for nobody first: where a list cannot be asked, no batch is paused for nothing.
        self._without_listed(((),))
        for target in replacement.olds:
            self._require_running(self.api.batch(target.batch_id))
        pending = [t.batch_id for t in replacement.olds if not self._stop_calls(t)]
        for target in replacement.olds:
            if target.batch_id not in pending:
                self._await_pause(target.batch_id)
        earlier = list(made(self.record, before=self.action.generation))
        olds = {target.batch_id for target in replacement.olds}
        if replacement.on_change is OnChange.EVERYONE:
            earlier = [each for each in earlier if each.batch_id in olds]
        rolls = self._when_quiet(earlier, olds)
        not_owed = {r.batch_id: r.to_remember() for r in rolls if r.batch_id in olds}
        soon = frozenset(each for each in pending if not self._starts_much_later(each))
        if soon:
            return CancelFirst(self.action, soon, not_owed)
        requests = [creation.request for creation in self.action.creations]
        chosen = share(requests, rolls, replacement.on_change)
        contacts, left_out = self._without_listed(chosen.contacts)
        starts = [start for each in pending if (start := self._start_of(each)) is not None]
        good_until = min(starts) - _TOO_NEAR if starts else None
        share_left = replace(chosen, contacts=contacts)
        return Prepared(self.action, share_left, not_owed, left_out, good_until)

    def _without_listed(
        self, parts: tuple[Sequence[Contact], ...]
    ) -> tuple[tuple[Sequence[Contact], ...], tuple[LeftOut, ...]]:
        """Leave out who is on a do-not-call list; see `Exclusion`. Raises `Refused`."""
        if self.exclusion is None:
            return parts, ()
        kept: list[Sequence[Contact]] = []
        counts: dict[str, int] = {}
        for part in parts:
            contacts, left_out = self.exclusion.without(self.action.campaign_id, part)
            kept.append(contacts)
            for each in left_out:
                counts[each.of] = counts.get(each.of, 0) + each.people
        return tuple(kept), tuple(LeftOut(of=of, people=n) for of, n in counts.items())

    def _require_running(self, batch: Batch | None) -> None:
        """Make sure that nobody stopped these calls since the plan was made."""
        if batch and batch.status == "paused" and batch.batch_id not in self.stopped:
            raise _Halt(
                Ending.BLOCKED,
                f"batch {batch.batch_id} was paused meanwhile, and not by us: somebody stopped "
                "these calls",
                "resume it in the vendor's console, then: reconciler apply; or say `lifecycle: "
                "paused` in the spec",
                [batch.batch_id],
            )

    def _stop_calls(self, target: Target) -> bool:
        """Pause one old batch; False for one that waits for its start and cannot be paused."""
        batch_id = target.batch_id
        if self.stop.is_set():
            raise _Halt(Ending.SKIPPED, "", "")
        if batch_id in self.cancel_first:
            self._cancel_waiting(batch_id)
            return True
        batch = self.api.batch(batch_id)
        self._require_running(batch)
        if batch is not None and batch.status in TERMINAL | {"paused"}:
            if batch.status == "paused":
                self._tell_held(batch_id, "paused", done=True)
            return True
        self._tell_held(batch_id, "paused", done=False)
        try:
            self.api.pause(batch_id)
        except ApiError:
            found = self.api.batch(batch_id)
            if found is None and batch is None:
                return True  # it is gone: one such answer alone may be a mistake
            if found is None or found.status != "pending":
                raise
            return False
        self._tell_held(batch_id, "paused", done=True)
        return True

    def _cancel_waiting(self, batch_id: str) -> None:
        """Cancel a batch that waited for its start when it was decided.

        It may have begun since. A cancel then would make `skipped` of those who are just being
        dialled, and they would seem to be owed a call; so it is paused after all, and their calls
        end first.
        """
        self._tell_held(batch_id, "cancelled", done=False)
        batch = self.api.batch(batch_id)
        if batch is not None and batch.status == "in_progress":
            self.api.pause(batch_id)
            self._await_pause(batch_id)
            over_at, pause = self.clock.elapsed() + self.drain, _FIRST_PAUSE
            while (calls := self._calling(batch_id)) and (
                left := over_at - self.clock.elapsed()
            ) > 0:
                self.tell(Draining(self.action, calls, left))
                if self.stop.wait(min(pause, left)):
                    raise _Halt(Ending.SKIPPED, "", "")
                pause = min(pause * 2, _LONGEST_PAUSE)
        self.api.cancel(batch_id)
        self._tell_held(batch_id, "cancelled", done=True)

    def _await_pause(self, batch_id: str) -> None:
        """Wait until a batch shows that it was paused: an API may do so after it has answered.

        No longer than calls in flight are waited for, or a moment where they are not. One that is
        still calling by then is told by whoever reads it next.
        """
        over_at = self.clock.elapsed() + max(self.drain, _PAUSED_WITHIN)
        pause = _FIRST_PAUSE
        while (batch := self.api.batch(batch_id)) is not None and batch.status == "in_progress":
            left = over_at - self.clock.elapsed()
            if left <= 0:
                return
            if self.stop.wait(min(pause, left)):
                raise _Halt(Ending.SKIPPED, "", "")
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _tell_held(self, batch_id: str, verb: str, *, done: bool) -> None:
        """Tell before and after a batch is stopped, so that a run that ends then can say so."""
        self.tell(Held(self.action, batch_id, verb, done))

    def _when_quiet(self, earlier: Iterable[Made], olds: set[str]) -> list[Roll]:
        """Read everyone in the batches before, once no call of the old ones is in flight.

        Whose call outlasts the wait counts as called.
        """
        rolls = [self._roll(each) for each in earlier]
        over_at = self.clock.elapsed() + self.drain
        pause = _FIRST_PAUSE
        while not self.stop.is_set():
            busy = [r for r in rolls if r.batch_id in olds and r.in_flight()]
            left = over_at - self.clock.elapsed()
            if not busy or left <= 0:
                return rolls
            calls = {roll.batch_id: roll.in_flight() for roll in busy}
            self.tell(Draining(self.action, sum(calls.values()), left))
            for roll in busy:
                while (left := over_at - self.clock.elapsed()) > 0:
                    calls[roll.batch_id] = self._calling(roll.batch_id)
                    if not calls[roll.batch_id]:
                        break
                    self.tell(Draining(self.action, sum(calls.values()), left, again=True))
                    if self.stop.wait(min(pause, left)):
                        raise _Halt(Ending.SKIPPED, "", "")
                    pause = min(pause * 2, _LONGEST_PAUSE)
            again = {roll.batch_id for roll in busy}
            known = {each.batch_id: each for each in made(self.record)}
            rolls = [self._roll(known[r.batch_id]) if r.batch_id in again else r for r in rolls]
        raise _Halt(Ending.SKIPPED, "", "")

    def _calling(self, batch_id: str) -> int:
        """Ask only for the calls in flight: cheaper than everyone. A filter may be ignored."""
        found = {
            contact.contact_id
            for status in IN_FLIGHT
            for contact in self.api.batch_contacts(batch_id, status=status)
            if contact.status in IN_FLIGHT
        }
        return len(found)

    def _roll(self, each: Made) -> Roll:
        batch_id = each.batch_id
        batch = self.api.batch(batch_id)
        if batch is None:
            if self.action.replacement and self.action.replacement.on_change is OnChange.EVERYONE:
                return Roll(batch_id, ())
            raise _Halt(
                Ending.BLOCKED,
                f"the API does not know batch {batch_id} any more, so nobody can say which of its "
                "people were called",
                "undo the change; or, to call everyone again, set reconcile.on_change to everyone",
            )
        if batch.status == "in_progress" and self._is_old(batch_id):
            raise _Halt(
                Ending.FAILED,
                f"batch {batch_id} is calling, although it was told to pause or had not begun: the "
                "pause takes long, somebody resumed it, or its start came",
                "run again: reconciler apply",
            )
        return Roll(
            batch_id,
            self.api.batch_contacts(batch_id),
            each.cancelled or batch_id in self.cancel_first,
            frozenset() if each.extra else frozenset(each.record.not_owed),
        )

    def _is_old(self, batch_id: str) -> bool:
        replacement = self.action.replacement
        olds = replacement.olds if replacement else ()
        return any(target.batch_id == batch_id for target in olds)

    def _starts_much_later(self, batch_id: str) -> bool:
        """Whether a pending batch certainly starts too late to matter."""
        moment = self._start_of(batch_id)
        return moment is not None and moment - self.clock.now() >= FAR_AHEAD

    def _start_of(self, batch_id: str) -> datetime | None:
        """Give when a batch starts by its record, None where that is not known."""
        for generation in self.record.generations:
            if any(request.batch_id == batch_id for request in generation.requests):
                start = generation.fields.get("scheduled_start")
                timezone = self.timezones.get(generation.campaign_id)
                return resolve(str(start), timezone)[0] if start else None
        return None
