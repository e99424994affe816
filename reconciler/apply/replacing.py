"""Carrying out changed specs and lifecycles: what follows what, and what when it goes wrong.

The order, each step recorded before it is taken:

    journal → pause → wait until quiet → read who was called → intent → create → cancel the old

A create that is rejected resumes what was paused for it. A run that dies leaves the journal, and
the next one goes on from it. One that is stopped leaves old batches paused, never two calling.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.apply.errands import Controlled, Errand, Verb
from reconciler.apply.lifecycles import WHOLE, Lifecycles
from reconciler.apply.preparing import (
    CancelFirst,
    NotPrepared,
    Preparation,
    PreparationEnd,
    Prepared,
)
from reconciler.apply.report import Ending
from reconciler.apply.sending import Job
from reconciler.model import Lifecycle
from reconciler.plan.actions import Action, ActionKind, Reason, Role, Target
from reconciler.plan.history import leftover
from reconciler.state.document import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.apply.outcomes import Outcomes
    from reconciler.apply.preparing import Exclusion
    from reconciler.apply.reactions import Desk
    from reconciler.apply.recorder import Recorder
    from reconciler.apply.sending import Workers
    from reconciler.plan.actions import Replacement
    from reconciler.state.document import NameRecord


class _Begun(Struct, eq=False):
    """A changed spec on its way. `cancel_first` are old batches that cannot be paused."""

    action: Action
    replacement: Replacement
    cancel_first: frozenset[str] = frozenset()
    not_owed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    awaited: set[int] = field(default_factory=set)


class Replacer(Struct):
    """The part of a run that replaces, pauses, resumes and cancels."""

    desk: Desk
    recorder: Recorder
    outcomes: Outcomes
    workers: Workers
    lifecycles: Lifecycles
    drain: float
    timezones: Mapping[str, str | None]
    exclusion: Exclusion | None = None
    _waiting: deque[_Begun] = field(default_factory=deque)
    _preparing: dict[int, _Begun] = field(default_factory=dict)
    _begun: dict[int, _Begun] = field(default_factory=dict)
    _halted: bool = False

    @property
    def busy(self) -> bool:
        """Whether anything is left to do or to wait for."""
        return bool(self._waiting or self._preparing or [*self.lifecycles.errands])

    @property
    def waiting(self) -> int:
        """How many changed specs are not ready to be created."""
        return len(self._waiting) + len(self._preparing)

    # --- what the engine hands in -----------------------------------------------------------

    def accept(self, action: Action) -> None:
        """Take on an action: a changed spec, or batches to be paused, resumed or cancelled."""
        if action.replacement is not None:
            self._waiting.append(_Begun(action, action.replacement))
            return
        self.lifecycles.accept(action)

    # --- one turn of the engine: note, store, hand out --------------------------------------

    def note(self, room: int, *, ended: bool) -> _Noted:
        """Note in the recorder what is about to be done. `room` is for how many changed specs.

        Once the run has ended only what makes fewer calls is begun: cancelling an old batch.
        """
        self._give_up()
        now = self.workers.clock.elapsed()
        errands = self.lifecycles.errands.take(now, only_cancels=ended)
        begun: list[_Begun] = []
        busy = {errand.action.name for errand in (*errands, *self.lifecycles.errands.running)}
        able = deque(each for each in self._waiting if each.action.name not in busy)
        while able and not ended and len(begun) + len(self._preparing) < room:
            self._waiting.remove(able[0])
            begun.append(able.popleft())
        noted = _Noted(errands, begun)
        for name in {e.action.name for e in errands} | {b.action.name for b in begun}:
            noted.before[name] = self.recorder.keep(name)
        for errand in errands:
            if errand.verb is Verb.CANCEL:
                ids = [target.batch_id for target in errand.targets]
                self.recorder.set_out_to_cancel(errand.action.name, ids)
            if errand.verb is Verb.CANCEL and (
                errand.action.replacement or errand.action.role is Role.BEGUN
            ):
                self.recorder.took_over(errand.action.name)
        for each in begun:
            self.recorder.begin_replacing(each.action, each.replacement)
            if each.cancel_first:
                self.recorder.remember_not_owed(each.action.name, each.not_owed)
                self.recorder.set_out_to_cancel(each.action.name, each.cancel_first)
        return noted

    def take_back(self, noted: _Noted) -> None:
        """Undo what was noted and could not be stored: nothing of it was done."""
        for name, record in noted.before.items():
            self.recorder.restore(name, record)
        self._leave(noted.errands, "its record could not be stored")
        for each in noted.begun:
            self.outcomes.end(each.action, WHOLE, Ending.SKIPPED)

    def hand_out(self, noted: _Noted) -> None:
        """Do what is stored now."""
        for errand in noted.errands:
            self.lifecycles.errands.running.append(errand)
            for target in errand.targets:
                self.workers.control(errand, target.batch_id)
        for each in noted.begun:
            self._preparing[id(each.action)] = each
            self.workers.prepare(self._preparation(each, noted.before[each.action.name]))

    def skip_waiting(self, why: str = "", hint: str = "") -> None:
        """Give up the changed specs that were not begun."""
        for each in self._waiting:
            self.outcomes.end(each.action, WHOLE, Ending.SKIPPED, message=why, hint=hint)
        self._waiting.clear()

    def let_go(self) -> None:
        """Give up what was not begun, and begin nothing any more."""
        self._halted = True
        self.skip_waiting()
        self._leave(self.lifecycles.errands.drop(), "the run ended first")

    def finish(self) -> None:
        """Tell of what the run leaves undone because its time is over."""
        self._give_up()
        for each in (*self._waiting, *self._preparing.values()):
            self.outcomes.end(each.action, WHOLE, Ending.SKIPPED)
        self._leave(self.lifecycles.errands.waiting, "the run ended first")
        for errand in self.lifecycles.errands.running:
            if errand.action.replacement is None and errand.verb is not Verb.READ:
                self.outcomes.end(
                    errand.action,
                    WHOLE,
                    Ending.FAILED,
                    message="the run ended while it was under way, so it may have been done",
                    hint="look with: reconciler status; or run again: reconciler apply",
                )
            else:
                self._leave([errand], "the run ended first")

    def _give_up(self) -> None:
        """Begin nothing new where what is there already is not as it should be."""
        failed = [each for each in self._waiting if each.action.name in self.lifecycles.failed]
        for each in failed:
            self._waiting.remove(each)
            self.outcomes.end(
                each.action,
                WHOLE,
                Ending.SKIPPED,
                message="what is there already could not be put in order first",
            )

    def _leave(self, errands: Iterable[Errand], why: str) -> None:
        for errand in errands:
            if errand.action.replacement is None:
                self.outcomes.end(errand.action, WHOLE, Ending.SKIPPED)
            elif errand.verb is Verb.CANCEL:
                self._not_cancelled(errand.action, why)
            else:
                self._not_resumed(errand.action, errand.targets, why)

    def _preparation(self, each: _Begun, before: NameRecord | None) -> Preparation:
        journal = before.replacing if before else None
        by_lifecycle = before is not None and before.lifecycle is Lifecycle.PAUSED
        olds = {target.batch_id for target in each.replacement.olds}
        return Preparation(
            action=each.action,
            record=self.recorder.state.batches[each.action.name],
            api=self.workers.api,
            clock=self.workers.clock,
            stop=self.workers.ended,
            drain=self.drain,
            timezones=self.timezones,
            tell=self.workers.events.put,
            stopped=frozenset(olds if by_lifecycle else journal.paused if journal else ()),
            cancel_first=each.cancel_first,
            exclusion=self.exclusion,
        )

    # --- what comes back ----------------------------------------------------------------------

    def on_prepared(self, end: PreparationEnd) -> None:
        """Go on after the old batches of a changed spec were stopped and read, or were not."""
        begun = self._preparing.pop(id(end.action))
        match end:
            case NotPrepared(action, ending, message, hint, not_ours):
                self.recorder.disclaim(action.name, not_ours)
                self.outcomes.end(action, WHOLE, ending, message=message, hint=hint)
            case CancelFirst(_, batch_ids, not_owed):
                begun.cancel_first, begun.not_owed = batch_ids, not_owed
                self._waiting.appendleft(begun)
                if self._halted:
                    self.let_go()
            case Prepared(action, _, not_owed) if self._halted:
                self.recorder.remember_not_owed(action.name, not_owed)
                self.outcomes.end(action, WHOLE, Ending.SKIPPED)
            case Prepared():
                self._create(begun, end)
            case _:
                assert_never(end)

    def _create(self, begun: _Begun, prepared: Prepared) -> None:
        action = begun.action
        self._begun[id(action)] = begun
        self.recorder.was_cancelled(action.name, begun.cancel_first)
        self.recorder.remember_not_owed(action.name, prepared.not_owed)
        for each in prepared.left_out:
            said = f"{each.people:,} {'person is' if each.people == 1 else 'people are'}"
            self.outcomes.note(action, f"{said} left out: on the do-not-call list {each.of}")
        for creation, contacts in zip(action.creations, prepared.share.contacts, strict=True):
            request = replace(creation.request, contacts=contacts)
            of = len(creation.request.contacts)
            spec_contacts = of if of != len(contacts) else None
            sized = replace(creation, request=request, spec_contacts=spec_contacts)
            place = self.recorder.place(action, request.part)
            if contacts:
                begun.awaited.add(request.part)
                self.desk.ready.append(Job(action, sized, place, good_until=prepared.good_until))
            else:
                self.recorder.complete(place, replace(sized, spec_contacts=of))
                self.outcomes.end(
                    action,
                    request.part,
                    Ending.DONE,
                    message="nobody was left to call; no batch was created",
                )
        self._cancel_olds(begun)

    def created(self, action: Action, part: int) -> None:
        """Take note that the batch of a request is there."""
        begun = self._begun.get(id(action))
        if begun is not None:
            begun.awaited.discard(part)
            self._cancel_olds(begun)
            return
        record = self.recorder.state.record(action.name)
        left = leftover(record) if record and _is_whole(record, action) else ()
        if left and action.kind is not ActionKind.ADOPT:  # with an adoption they are planned for
            cancel = replace(
                action,
                kind=ActionKind.CANCEL,
                reason=Reason.REPLACED,
                role=Role.BEGUN,
                targets=left,
            )
            self.lifecycles.send(cancel, Verb.CANCEL)

    def _cancel_olds(self, begun: _Begun) -> None:
        """Cancel the old batches, once every request of the new generation has its batch."""
        if begun.awaited:
            return
        action = begun.action
        del self._begun[id(action)]
        olds = tuple(t for t in begun.replacement.olds if t.batch_id not in begun.cancel_first)
        if not olds:
            self.recorder.took_over(action.name)
            self.recorder.end_replacing(action.name)
            return
        ended = partial(self._olds_cancelled, action)
        self.lifecycles.errands.put(Errand(action, Verb.CANCEL, olds, ended))

    def _olds_cancelled(self, action: Action, problems: dict[str, str]) -> None:
        if not problems:
            self.recorder.end_replacing(action.name)
            return
        self._not_cancelled(action, "; ".join(sorted(problems.values())))

    def _not_cancelled(self, action: Action, problem: str) -> None:
        self.outcomes.end(
            action,
            WHOLE,
            Ending.FAILED,
            message=f"the new batch is there, and the old one is not cancelled: {problem}",
            hint="run again: reconciler apply (it cancels the old one; until then that is paused)",
        )

    def fell_through(self, action: Action, part: int, why: str = "the run ended first") -> None:
        """Resume what was paused for a batch that is certainly not created.

        Once nothing more is begun, for `why`, it stays paused: a later run goes on from there.

        Where another request of the same generation is created, or may be, the old batches stay
        paused: they still hold its people.
        """
        begun = self._begun.get(id(action))
        record = self.recorder.state.record(action.name)
        if begun is None or record is None or record.replacing is None:
            return
        journal = record.replacing
        standing = (
            request
            for generation in record.generations
            if generation.generation == action.generation
            for request in generation.requests
            if request.part != part and request.status is not Status.COMPLETE
        )
        others = {job.creation.request.part for job in self.desk.jobs() if job.action is action}
        if begun.cancel_first or any(standing) or others:
            return
        del self._begun[id(action)]
        if self._halted:
            self._not_resumed(action, begun.replacement.olds, why)
            return
        targets = tuple(t for t in begun.replacement.olds if t.batch_id in journal.paused)
        if not targets:
            self.recorder.end_replacing(action.name)
            return
        self.lifecycles.errands.put(
            Errand(action, Verb.RESUME, targets, partial(self._resumed, action, targets))
        )

    def _resumed(
        self, action: Action, targets: tuple[Target, ...], problems: dict[str, str]
    ) -> None:
        if problems:
            self._not_resumed(action, targets, "; ".join(sorted(problems.values())))
            return
        ids = ", ".join(target.batch_id for target in targets)
        self.recorder.end_replacing(action.name)
        self.outcomes.add_warning(action, f"batch {ids} goes on as before: it is resumed")

    def _not_resumed(self, action: Action, targets: tuple[Target, ...], why: str) -> None:
        ids = ", ".join(target.batch_id for target in targets)
        self.outcomes.add_warning(
            action, f"batch {ids} was paused for this and is not resumed: {why}"
        )

    def on_controlled(self, event: Controlled) -> None:
        """Take note that an errand ended for one batch."""
        if event.late and self._renew(event):
            self.workers.control(event.errand, event.batch_id)
            return
        if event.skipped is not None:
            not_owed = {event.batch_id: event.skipped}
            self.recorder.remember_not_owed(event.errand.action.name, not_owed)
        if event.errand.verb is Verb.CANCEL and not event.problem:
            self.recorder.was_cancelled(event.errand.action.name, [event.batch_id])
        errand = event.errand
        errand.objection = errand.objection or event.objection
        errand.ended(event.batch_id, event.problem)
        errand.held_back += event.held_back
        if not errand.open:
            self.lifecycles.errands.running.remove(errand)
            if errand.held_back == len(errand.targets) and errand.action.replacement is None:
                self.outcomes.end(errand.action, WHOLE, Ending.SKIPPED)
            if errand.objection is not None and errand.action.replacement is None:
                against = errand.objection
                self.outcomes.end(
                    errand.action,
                    WHOLE,
                    Ending.BLOCKED,
                    message=against.message,
                    hint=against.hint,
                )

    def _renew(self, late: Controlled) -> bool:
        """Note anew what came too late, unless somebody else may have decided otherwise since.

        That is asked of all that wait for a sender at once: it may take a look at a remote.
        """
        again = late.errand.note_late(late.batch_id)
        if not again or self._halted or self.recorder.is_outdated():
            return False
        self.lifecycles.errands.renew(self.workers.clock.elapsed())
        return True


def _is_whole(record: NameRecord, action: Action) -> bool:
    """Whether every request of an action's spec has its record in the current generation."""
    parts = {request.part for request in record.current.requests}
    return action.spec is None or {request.part for request in action.spec.requests} <= parts


class _Noted(Struct):
    """What one turn noted. `before` holds the records of its names as they were."""

    errands: list[Errand]
    begun: list[_Begun]
    before: dict[str, NameRecord | None] = field(default_factory=dict)
