"""What to do about one spec, given what is recorded under its name. Pure.

Whatever would ring phones goes through `_create`, which is where the last doubts are put.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.digest import request_key
from reconciler.model import Lifecycle, OnChange
from reconciler.plan.actions import AT_ONCE, Action, ActionKind, Adoption, Creation, Reason
from reconciler.plan.diff import field_changes
from reconciler.plan.settling import oldest
from reconciler.spec.schedule import FIRST_TIMEZONE, is_past, past_diagnostic, resolve
from reconciler.state.document import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from reconciler.model import Request, Spec
    from reconciler.observed import Batch
    from reconciler.plan.facts import Facts, Rules
    from reconciler.state.document import Generation, NameRecord, RequestRecord, State

_LIFECYCLE_ACTIONS = {
    Lifecycle.ACTIVE: ActionKind.RESUME,
    Lifecycle.PAUSED: ActionKind.PAUSE,
    Lifecycle.CANCELLED: ActionKind.CANCEL,
}


@dataclass(frozen=True)
class SpecPlanner:
    """Plans single specs against one state.

    `movable` maps new names to the old ones they were. `doubtful` maps digests in doubt to the
    names that had them, and whose specs do not say them any more. `taken` are the keys ever used.
    """

    state: State
    facts: Facts
    rules: Rules
    now: datetime
    movable: Mapping[str, str]
    doubtful: Mapping[str, str]
    taken: frozenset[str] = frozenset()

    def action(self, spec: Spec, again: Mapping[int, RequestRecord]) -> Action:
        """Plan one spec. `again` holds parts that were in doubt and are certainly not created."""
        if self._names_another_organization(spec):
            return self._blocked(
                spec,
                Reason.OTHER_ORGANIZATION,
                f"the spec names organisation {spec.requests[0].fields['organization_id']}, "
                f"but GRAINE_ORG_ID is {self.rules.organization_id}",
                "mend organization_id in the spec, or run with that organisation's token and id",
            )
        record = self.state.record(spec.name)
        if record is None:
            return self._for_new(spec)
        if not _matches(record.current, spec):
            return self._for_changed(spec, record)
        missing = [r for r in spec.requests if not _is_created(record.current, r)]
        if not missing:
            return self._for_unchanged(spec, record)
        generation = record.current.generation
        if again:
            return self._create(
                spec,
                missing,
                generation,
                Reason.NOT_CREATED,
                message="an earlier create did not go through: no batch of it exists; "
                "it is created again under the same key",
                again=again,
            )
        return self._create(
            spec,
            missing,
            generation,
            Reason.INCOMPLETE,
            message="an earlier run ended before all of it was created",
        )

    def _names_another_organization(self, spec: Spec) -> bool:
        ours = self.rules.organization_id
        theirs = spec.requests[0].fields.get("organization_id")
        return ours is not None and theirs is not None and theirs != ours

    def _for_new(self, spec: Spec) -> Action:
        if spec.name in self.movable:
            return self._move(spec, self.movable[spec.name])
        was = next(
            (self.doubtful[r.digest] for r in spec.requests if r.digest in self.doubtful), None
        )
        if was is not None:
            return self._blocked(
                spec,
                Reason.IN_DOUBT,
                f"its contents are those that {was} had, which may have been created: creating "
                "this could call the same people again",
                f"settle it first: reconciler apply; or: reconciler resolve {was} --created "
                "BATCH_ID or --not-created",
            )
        existing = self.facts.existing.get(spec.name, ())
        adoptions = tuple(_same_contents(spec, existing))
        if len(adoptions) == len(spec.requests):
            return replace(
                self._action(ActionKind.ADOPT, spec, Reason.ALREADY_EXISTS),
                adoptions=adoptions,
                batch_id=adoptions[0].batch.batch_id,
                message="the API already has this batch and the state does not know it; "
                "its id is recorded and nothing is created",
            )
        live = [batch for batch in existing if batch.status != "cancelled"]
        if live:
            return self._blocked(
                spec,
                Reason.NAME_IN_USE,
                f"the API has batch {live[0].batch_id} under this name with other contents, and "
                "the state does not know it: was the state lost, or does another root use this "
                "name?",
                "restore the state; or put the spec back to what it was then, and: reconciler "
                f"adopt {spec.name} {live[0].batch_id}; or give it a reconcile.name of its own",
            )
        return self._unless_known(spec) or self._create(
            spec, spec.requests, self._first_generation(spec), Reason.NEW
        )

    def _unless_known(self, spec: Spec) -> Action | None:
        """Refuse what the API has under another name and the state does not know."""
        for request in spec.requests:
            same = [
                batch
                for batch in self.facts.same_contents.get(request.digest, ())
                if batch.status != "cancelled"
            ]
            if same:
                name = (same[0].marker or {}).get("name")
                return self._blocked(
                    spec,
                    Reason.CONTENTS_IN_USE,
                    f"the API has batch {same[0].batch_id} with these very contents under the name "
                    f"{name}, and the state does not know it: was the state lost?",
                    f"restore the state, or: reconciler adopt {spec.name} {same[0].batch_id}; to "
                    "call these people again all the same, change the spec (its metadata, say)",
                )
        return None

    def _first_generation(self, spec: Spec) -> int:
        """Give the number a new name begins with: one, but no key is ever used for two batches.

        A record that was moved to another name keeps the key of its first one.
        """
        generation = 1
        while any(self._key(spec, request, generation) in self.taken for request in spec.requests):
            generation += 1
        return generation

    def _move(self, spec: Spec, old: str) -> Action:
        current = self.state.batches[old].current
        return replace(
            self._action(ActionKind.MOVE, spec, Reason.RENAMED),
            generation=current.generation,
            batch_id=current.requests[0].batch_id,
            moved_from=old,
            message=f"was {old}; the contents are the same, so only the record moves and nobody "
            "is called",
        )

    def _for_changed(self, spec: Spec, record: NameRecord) -> Action:
        changes = field_changes(record.current, spec)
        if spec.on_change is OnChange.FORBID:
            forbidden = self._blocked(
                spec,
                Reason.ON_CHANGE_FORBIDS,
                "the spec changed, and its on_change is `forbid`",
                "undo the change, or set reconcile.on_change to say who is to be called",
            )
            return replace(forbidden, changes=changes)
        return replace(
            self._action(ActionKind.REPLACE, spec, Reason.CHANGED),
            generation=record.current.generation + 1,
            batch_id=record.current.requests[0].batch_id,
            changes=changes,
            message="a batch cannot be edited: a changed spec needs a new batch in place of the "
            "old one",
        )

    def _for_unchanged(self, spec: Spec, record: NameRecord) -> Action:
        changed = spec.lifecycle is not record.lifecycle
        action = (
            self._action(_LIFECYCLE_ACTIONS[spec.lifecycle], spec, Reason.LIFECYCLE)
            if changed
            else self._action(ActionKind.NONE, spec, Reason.UNCHANGED)
        )
        return replace(
            action,
            generation=record.current.generation,
            batch_id=record.current.requests[0].batch_id,
            message=f"lifecycle changed from {record.lifecycle} to {spec.lifecycle}"
            if changed
            else "",
        )

    def _create(
        self,
        spec: Spec,
        requests: Sequence[Request],
        generation: int,
        reason: Reason,
        *,
        message: str = "",
        again: Mapping[int, RequestRecord] | None = None,
    ) -> Action:
        if spec.lifecycle is not Lifecycle.ACTIVE:
            return replace(
                self._action(ActionKind.NONE, spec, Reason.NOT_WANTED),
                generation=generation,
                message=f"lifecycle is {spec.lifecycle} and no batch exists; none is created",
            )
        timezone = self.facts.timezone(spec.campaign_id)
        if any(past_diagnostic(spec, request, self.now, timezone) for request in requests):
            return self._blocked(
                spec,
                Reason.STARTS_IN_THE_PAST,
                f"scheduled_start {requests[0].scheduled_start} is over, and a batch created now "
                "would call at once",
                "set a scheduled_start in the future, or remove it to call at once",
            )
        if timezone is None and not self.facts.offline and self._may_be_past(requests):
            return self._blocked(
                spec,
                Reason.START_NOT_KNOWN,
                f"scheduled_start {requests[0].scheduled_start} may be over: it is in the "
                "campaign's timezone, and the campaign cannot be read",
                "run again when the API shows the campaign, or write the time with `Z`",
            )
        earlier = again or {}
        creations = tuple(
            Creation(
                request,
                earlier[request.part].key
                if request.part in earlier
                else self._key(spec, request, generation),
                earlier.get(request.part),
            )
            for request in requests
        )
        return replace(
            self._action(ActionKind.CREATE, spec, reason),
            generation=generation,
            creations=creations,
            message=message,
        )

    def _may_be_past(self, requests: Sequence[Request]) -> bool:
        return any(
            request.scheduled_start is not None
            and is_past(request.scheduled_start, FIRST_TIMEZONE, self.now)
            for request in requests
        )

    def _key(self, spec: Spec, request: Request, generation: int) -> str:
        return request_key(
            lineage=self.state.lineage,
            name=spec.name,
            generation=generation,
            part=request.part,
            digest=request.digest,
        )

    def _action(self, kind: ActionKind, spec: Spec, reason: Reason) -> Action:
        start = spec.requests[0].scheduled_start
        timezone = self.facts.timezone(spec.campaign_id)
        return Action(
            kind=kind,
            name=spec.name,
            reason=reason,
            campaign_id=spec.campaign_id,
            contacts=spec.contacts,
            spec=spec,
            scheduled_start=start,
            starts_at=resolve(start, timezone)[0] if start else None,
            arm_delay=AT_ONCE if start else self.rules.arm_delay,
        )

    def _blocked(self, spec: Spec, reason: Reason, message: str, hint: str) -> Action:
        action = self._action(ActionKind.BLOCKED, spec, reason)
        return replace(action, message=message, hint=hint)


def _same_contents(spec: Spec, existing: Sequence[Batch]) -> Iterator[Adoption]:
    """Find batches that are what the spec says, one a request at most."""
    for request in spec.requests:
        same = [batch for batch in existing if batch.digest == request.digest and batch.key]
        if same:
            keep, _ = oldest(same)
            yield Adoption(
                request.part, keep, keep.key or "", request.digest, len(request.contacts)
            )


def _matches(current: Generation, spec: Spec) -> bool:
    """Whether what is recorded of a generation agrees with the spec, as far as it goes."""
    wanted = {request.part: request.digest for request in spec.requests}
    return all(wanted.get(record.part) == record.digest for record in current.requests)


def _is_created(current: Generation, request: Request) -> bool:
    record = current.request(request.part)
    return record is not None and record.status is Status.CREATED
