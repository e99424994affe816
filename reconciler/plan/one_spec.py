"""What to do about one spec: new here, or `reconciler.plan.recorded`'s. Pure.

Whatever would ring phones goes through `Drafting.create`, where the last doubts are put.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.plan.actions import Action, ActionKind, Adoption, Reason, Refusal
from reconciler.plan.recorded import RecordedPlanner
from reconciler.plan.settling import oldest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reconciler.model import Spec
    from reconciler.observed import Batch
    from reconciler.plan.drafting import Drafting
    from reconciler.state.document import RequestRecord


class SpecPlanner(Struct, frozen=True):
    """Plans single specs against one state.

    `movable` maps new names to the old ones they were. `doubtful` maps digests in doubt to the
    names that had them, and whose specs do not say them any more.
    """

    draft: Drafting
    movable: Mapping[str, str]
    doubtful: Mapping[str, str]

    def actions(self, spec: Spec, again: Mapping[int, RequestRecord]) -> tuple[Action, ...]:
        """Plan one spec. `again` holds parts that were in doubt and are certainly not created."""
        if self._names_another_organization(spec):
            ours = self.draft.rules.organization_id
            refused = self.draft.blocked(
                spec,
                Reason.OTHER_ORGANIZATION,
                f"the spec names organisation {spec.requests[0].fields['organization_id']}, "
                f"but GRAINE_ORG_ID is {ours}",
                "mend organization_id in the spec, or run with that organisation's token and id",
            )
            return (refused,)
        record = self.draft.state.record(spec.name)
        if record is not None:
            return tuple(RecordedPlanner(self.draft).actions(spec, record, again))
        action = self._for_new(spec)
        if action.moved_from is None:
            return (action,)
        moved = self.draft.state.batches[action.moved_from]
        then = RecordedPlanner(self.draft).actions(spec, moved, {})
        return (action, *(each for each in then if each.kind is not ActionKind.NONE))

    def _names_another_organization(self, spec: Spec) -> bool:
        ours = self.draft.rules.organization_id
        theirs = spec.requests[0].fields.get("organization_id")
        return ours is not None and theirs is not None and theirs != ours

    def _for_new(self, spec: Spec) -> Action:
        if spec.name in self.movable:
            return self._move(spec, self.movable[spec.name])
        digests = (spec.digest, *(request.digest for request in spec.requests))
        was = next((self.doubtful[each] for each in digests if each in self.doubtful), None)
        if was is not None:
            refused = self.draft.blocked(
                spec,
                Reason.IN_DOUBT,
                f"its contents are those that {was} had, which may have been created: creating "
                "this could call the same people again",
                f"settle it first: reconciler apply; or: reconciler resolve {was} --created "
                "BATCH_ID or --not-created",
            )
            return replace(refused, refusal=Refusal.DOUBT)
        existing = self.draft.facts.existing.get(spec.name, ())
        adoptions = tuple(_same_contents(spec, existing))
        newest = max(existing, key=lambda batch: batch.generation or 1, default=None)
        if newest is not None and (newest.generation or 1) > 1:
            return self.draft.blocked(
                spec,
                Reason.NAME_IN_USE,
                f"the API has {len(existing)} batches of several generations of this name, up to "
                f"batch {newest.batch_id}, and the state knows none of them: the state was "
                "lost, and with it who was called by which of them",
                "restore the state (git log -p -- state.json shows its versions); without it: "
                "cancel these batches in the vendor's console, give the spec a reconcile.name of "
                "its own and only the people who are still to be called",
            )
        if len(adoptions) == len(spec.requests):
            return replace(
                self.draft.action(ActionKind.ADOPT, spec, Reason.ALREADY_EXISTS),
                adoptions=adoptions,
                batch_id=adoptions[0].batch.batch_id,
                message="the API already has this batch and the state does not know it; "
                "its id is recorded and nothing is created",
            )
        live = [batch for batch in existing if batch.status != "cancelled"]
        if live:
            return self.draft.blocked(
                spec,
                Reason.NAME_IN_USE,
                f"the API has batch {live[0].batch_id} under this name with other contents, and "
                "the state does not know it: was the state lost, or does another root use this "
                "name?",
                "restore the state; or put the spec back to what it was then, and: reconciler "
                f"adopt {spec.name} {live[0].batch_id}; or give it a reconcile.name of its own",
            )
        return self._unless_known(spec) or self.draft.create(
            spec, spec.requests, self.draft.free_generation(spec, after=0), Reason.NEW
        )

    def _unless_known(self, spec: Spec) -> Action | None:
        """Refuse what the API has under another name and the state does not know."""
        for request in spec.requests:
            same = [
                batch
                for batch in self.draft.facts.same_contents.get(request.digest, ())
                if batch.status != "cancelled"
            ]
            if same:
                name = (same[0].marker or {}).get("name")
                return self.draft.blocked(
                    spec,
                    Reason.CONTENTS_IN_USE,
                    f"the API has batch {same[0].batch_id} with these very contents under the name "
                    f"{name}, and the state does not know it: was the state lost?",
                    f"restore the state, or: reconciler adopt {spec.name} {same[0].batch_id}; to "
                    "call these people again all the same, change the spec (its metadata, say)",
                )
        return None

    def _move(self, spec: Spec, old: str) -> Action:
        current = self.draft.state.batches[old].current
        return replace(
            self.draft.action(ActionKind.MOVE, spec, Reason.RENAMED),
            generation=current.generation,
            batch_id=current.requests[0].batch_id,
            moved_from=old,
            message=f"was {old}; the contents are the same, so only the record moves and nobody "
            "is called",
        )


def _same_contents(spec: Spec, existing: Sequence[Batch]) -> Iterator[Adoption]:
    """Find batches that are what the spec says, one a request at most."""
    for request in spec.requests:
        same = [batch for batch in existing if batch.digest == request.digest and batch.key]
        if same:
            keep, _ = oldest(same)
            count = keep.total_contacts
            contacts = len(request.contacts) if count is None else count
            yield Adoption(request.part, keep, keep.key or "", request.digest, contacts)
