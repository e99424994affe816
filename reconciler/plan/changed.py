"""A changed spec: which batches its new one takes the place of, and who is called. Pure.

A batch cannot be edited, so a change makes a new generation. Whom that calls is `on_change`'s to
say and `reconciler.plan.callees`' to work out; here it is decided whether it can be done at all,
and what a reviewer has to be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.model import Diagnostic, Lifecycle, OnChange, Severity
from reconciler.plan.actions import (
    Action,
    ActionKind,
    Callees,
    FieldChange,
    Reason,
    Refusal,
    Replacement,
)
from reconciler.plan.callees import running_on, share
from reconciler.plan.diff import field_changes
from reconciler.plan.history import cancelling, leftover, living, made, rolls
from reconciler.plan.people import persons

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.model import Request, Spec
    from reconciler.plan.actions import RunningOn, Target
    from reconciler.plan.callees import Share
    from reconciler.plan.drafting import Drafting
    from reconciler.state.document import NameRecord, RequestRecord


class ChangePlanner(Struct, frozen=True):
    """Plans what becomes of one name's batches when its spec says something else."""

    draft: Drafting
    record: NameRecord

    def replace(self, spec: Spec, reason: Reason) -> Action:
        """Plan a new generation for a spec that changed, or that was cancelled and is wanted."""
        current = self.record.current
        changes = field_changes(current, spec) if reason is Reason.CHANGED else ()
        if spec.on_change is OnChange.FORBID:
            what = (
                "the spec changed"
                if reason is Reason.CHANGED
                else "its batch was cancelled and cannot be resumed"
            )
            forbidden = self.draft.blocked(
                spec,
                Reason.ON_CHANGE_FORBIDS,
                f"{what}, and its on_change is `forbid`",
                "undo the change, or set reconcile.on_change to say who is to be called",
            )
            return replace(forbidden, changes=changes, refusal=Refusal.FORBIDDEN)
        generation = self.draft.free_generation(spec, after=current.generation)
        return self._new_generation(
            spec,
            spec.requests,
            generation,
            reason,
            spec.on_change,
            changes=changes,
        )

    def go_on(
        self, spec: Spec, missing: Sequence[Request], again: Mapping[int, RequestRecord]
    ) -> Action:
        """Plan the rest of a new generation that was begun and not brought to its end."""
        begun = self.record.replacing
        on_change = spec.on_change
        if on_change is OnChange.FORBID:
            on_change = begun.on_change if begun else OnChange.REMAINING
        return self._new_generation(
            spec,
            missing,
            self.record.current.generation,
            Reason.NOT_CREATED if again else Reason.INCOMPLETE,
            on_change,
            again=again,
        )

    def _new_generation(
        self,
        spec: Spec,
        requests: Sequence[Request],
        generation: int,
        reason: Reason,
        on_change: OnChange,
        *,
        changes: tuple[FieldChange, ...] = (),
        again: Mapping[int, RequestRecord] | None = None,
    ) -> Action:
        replacement = self._replacement(spec, generation, on_change, reason)
        refused = self._refused(spec, generation, replacement)
        if refused is not None:
            return replace(refused, changes=changes)
        counted = self._share(requests, generation, on_change)
        action = self.draft.create(
            spec,
            requests,
            generation,
            reason,
            kind=ActionKind.REPLACE,
            calls=counted is None or counted.to_call > 0,
            again=again,
        )
        if action.kind is not ActionKind.REPLACE:
            return replace(action, changes=changes)
        if replacement.reverts_to is not None:
            action = replace(action, reason=Reason.REVERTED)
        olds = replacement.olds
        if counted is not None and on_change is OnChange.ADDED:
            alone = self._running_on(spec, generation, olds)
            replacement = replace(replacement, running_on=alone)
        return replace(
            action,
            batch_id=olds[-1].batch_id if olds else self.record.current.requests[0].batch_id,
            changes=changes,
            targets=olds,
            replacement=replacement,
            callees=Callees(to_call=action.contacts, at_most=True)
            if counted is None
            else Callees(
                to_call=counted.to_call,
                called=counted.called,
                again=counted.again,
                parts=tuple(len(part) for part in counted.contacts if part),
            ),
            contact_changes=counted.changes if counted is not None else None,
            message=_message(reason, replacement, counted),
        )

    def _replacement(
        self, spec: Spec, generation: int, on_change: OnChange, reason: Reason
    ) -> Replacement:
        begun = self.record.replacing
        alive = self._alive(generation)
        if on_change is OnChange.ADDED:
            ending = cancelling(self.record)
            alive = tuple(target for target in alive if target in ending)
        paused = begun.paused if begun else ()
        earlier = [
            each.generation
            for each in self.record.generations
            if each.generation < generation and each.of == spec.digest
        ]
        return Replacement(
            on_change=on_change,
            olds=alive,
            paused=self.record.lifecycle is Lifecycle.PAUSED
            or bool(alive and {target.batch_id for target in alive} <= set(paused)),
            held=tuple(t.batch_id for t in alive if self._is_held(t.batch_id)),
            reverts_to=earlier[-1] if earlier and reason is Reason.CHANGED else None,
        )

    def _running_on(self, spec: Spec, generation: int, olds: tuple[Target, ...]) -> RunningOn:
        """Count whom the batches that are left alone may still call, other than the spec says."""
        alone = {each.batch_id for each in self._alive(generation) if each not in olds}
        told = rolls(self.record, self.draft.facts.contacts, before=generation)
        return running_on(spec.requests, [roll for roll in told if roll.batch_id in alone])

    def _is_held(self, batch_id: str) -> bool:
        """Whether a batch was seen paused, and an earlier run paused it for a change."""
        begun, batch = self.record.replacing, self.draft.facts.batches.get(batch_id)
        ours = begun is not None and batch_id in begun.paused
        return ours and batch is not None and batch.status == "paused"

    def _refused(self, spec: Spec, generation: int, replacement: Replacement) -> Action | None:
        """Refuse where somebody stopped the calls, or nobody can say who was called."""
        facts = self.draft.facts
        stopped = [
            target.batch_id
            for target in self._alive(generation)
            if (batch := facts.batches.get(target.batch_id)) is not None
            and batch.status == "paused"
        ]
        ours = self.record.replacing.paused if self.record.replacing else ()
        by_hand = [batch_id for batch_id in stopped if batch_id not in ours]
        if by_hand and self.record.lifecycle is not Lifecycle.PAUSED:
            return self.draft.blocked(
                spec,
                Reason.PAUSED_BY_HAND,
                f"batch {', '.join(by_hand)} is paused and no spec asked for it: somebody stopped "
                "these calls, or their campaign, and a new batch would go on with them",
                "resume it in the vendor's console, then: reconciler apply; or say `lifecycle: "
                "paused` in the spec",
            )
        gone = [
            each.batch_id
            for each in made(self.record, before=generation)
            if each.batch_id in facts.contacts and facts.contacts[each.batch_id] is None
        ]
        if gone and replacement.on_change is not OnChange.EVERYONE:
            return self.draft.blocked(
                spec,
                Reason.CALLED_UNKNOWN,
                f"the API does not know batch {', '.join(gone)} any more, so nobody can say which "
                "of its people were called",
                "undo the change; or, to call all "
                f"{spec.contacts:,} again, set reconcile.on_change to everyone",
            )
        return None

    def _alive(self, generation: int) -> tuple[Target, ...]:
        """Give the earlier batches that may still call; what is left over is cancelled before."""
        alive = living(self.record, self.draft.facts.batches, before=generation)
        left = leftover(self.record) if generation > self.record.current.generation else ()
        return tuple(target for target in alive if target not in left)

    def _share(
        self, requests: Sequence[Request], generation: int, on_change: OnChange
    ) -> Share | None:
        """Work out who is called; None while the API has not told everything it takes."""
        contacts = self.draft.facts.contacts
        if any(
            contacts.get(each.batch_id) is None for each in made(self.record, before=generation)
        ) and (on_change is not OnChange.EVERYONE or not contacts):
            return None
        return share(requests, rolls(self.record, contacts, before=generation), on_change)


def still_called(action: Action) -> Iterator[Diagnostic]:
    """Warn where an old batch runs on and calls people other than the spec says by now."""
    alone = action.replacement.running_on if action.replacement else None
    if alone is None or not (alone.removed or alone.outdated):
        return
    old = "the old batch" if alone.batches == 1 else "the old batches"
    runs = "it runs on" if alone.batches == 1 else "they run on"
    parts = []
    if alone.removed:
        taken = "person who was" if alone.removed == 1 else "people who were"
        verb = "is" if alone.removed == 1 else "are"
        parts.append(f"{alone.removed:,} {taken} taken out {verb} still called by {old}")
    if alone.outdated:
        others = persons(alone.outdated)
        by = "" if parts else f" by {old}"
        parts.append(f"{others} still called with old variables{by}")
    yield Diagnostic(
        Severity.WARNING,
        action.spec.file if action.spec else "",
        0,
        0,
        action.name,
        f"{', and '.join(parts)}: {runs} (on_change: added)",
        "to stop that, say `on_change: remaining` before this is applied: the old batch is paused "
        "then, and a new one calls who is left, as the spec says",
    )


def _message(reason: Reason, replacement: Replacement, counted: Share | None) -> str:
    """Say in words what becomes of the old batches and why this happens."""
    parts = []
    if replacement.reverts_to is not None:
        parts.append(
            f"the spec says again what generation {replacement.reverts_to} said; that takes no "
            "call back, and whom it called stays called"
        )
    if reason is Reason.LIFECYCLE:
        parts.append("its batch was cancelled and cannot be resumed, so a new one calls the rest")
    if reason in {Reason.INCOMPLETE, Reason.NOT_CREATED}:
        parts.append("an earlier run ended before the new batch was there; this goes on with it")
    nobody = counted is not None and not counted.to_call
    if nobody:
        parts.append("nobody is left to call: no batch is created")
    if replacement.olds:
        then = "cancelled" if nobody else "cancelled once the new one is there"
        now = "is paused"
        if replacement.held:
            now = (
                f"({', '.join(replacement.held)}) is paused for this change already, by a run that "
                "ended before the new one was there, and nobody in it is called until this is "
                "applied"
            )
        then = f"its calls in flight are waited for, and it is {then}"
        parts.append(f"the old batch {now}{'; ' if replacement.held else ', '}{then}")
    elif replacement.on_change is OnChange.ADDED:
        parts.append("the old batch runs on; the new one calls only whom it does not have")
    if counted is not None and counted.odd:
        told = ", ".join(f"{status}: {count:,}" for status, count in counted.odd.items())
        parts.append(f"contacts in a status this version does not know count as called ({told})")
    return "; ".join(parts)
