"""What a plan is about to create, and whom that adds to those who are called. Pure.

Of a changed spec's people only those are added who are in none of its batches so far, as the API
tells. Where that was not asked, or has no answer, nobody is taken for added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.plan.actions import ActionKind
from reconciler.plan.callees import without
from reconciler.plan.history import made
from reconciler.plan.people import meeting, numbers, shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.model import Contact
    from reconciler.plan.actions import Action
    from reconciler.plan.facts import Facts
    from reconciler.plan.people import Numbers
    from reconciler.state.document import NameRecord, State


class New:
    """A batch that is to be created: everyone in it, and who is added by that."""

    def __init__(self, action: Action, digest: str, added: Sequence[Sequence[Contact]]) -> None:
        self.action = action
        self.name = action.name
        self.digest = digest
        self.contacts = [contacts for contacts in added if contacts]
        self.added = [numbers(contacts) for contacts in self.contacts]
        self.everyone = (
            self.added
            if action.kind is ActionKind.CREATE
            else [numbers(creation.request.contacts) for creation in action.creations]
        )

    def shared(self, other: New) -> int:
        """Count who is in both, and added to one of them at least."""
        if self.everyone is self.added or other.everyone is other.added:
            return shared(self.everyone, other.everyone)
        return (
            shared(self.added, other.everyone)
            + shared(self.everyone, other.added)
            - shared(self.added, other.added)
        )


class Newcomers:
    """All that is to be created. `added` are the contacts that come with it, by name.

    `moved` maps the names of renamed specs to those under which they are recorded.
    """

    def __init__(self, actions: Iterable[Action], state: State, facts: Facts) -> None:
        actions = list(actions)
        # A spec may be renamed and changed at once; its record is under the old name until then.
        self.moved = {action.name: action.moved_from for action in actions if action.moved_from}
        new = [
            New(action, action.spec.digest, _added(action, record, facts))
            for action in actions
            if action.spec is not None and action.kind in {ActionKind.CREATE, ActionKind.REPLACE}
            for record in [state.record(self.moved.get(action.name, action.name))]
        ]
        self.by_name = {each.name: each for each in new}
        self.added = {each.name: each.contacts for each in new if each.contacts}
        self._meeting = meeting({name: self.by_name[name].added for name in self.added})

    def counted(self, theirs: list[Numbers]) -> dict[str, int]:
        """Count who of a batch is added to which new ones."""
        found = {name: shared(theirs, self.by_name[name].added) for name in self._meeting(theirs)}
        return {name: count for name, count in found.items() if count}

    def pairs(self) -> Iterator[tuple[New, New, int]]:
        """Give which two of these have somebody in common, the earlier name first, and how many."""
        pairs = {
            (min(name, other), max(name, other))
            for name, each in self.by_name.items()
            for other in self._meeting(each.everyone)
            if self.by_name[other].digest != each.digest
        }
        for earlier, later in sorted(pairs):
            one, other = self.by_name[earlier], self.by_name[later]
            if count := one.shared(other):
                yield one, other, count


def _added(action: Action, record: NameRecord | None, facts: Facts) -> list[Sequence[Contact]]:
    """Give those of an action's people who are in no earlier batch of its name."""
    everyone = [creation.request.contacts for creation in action.creations]
    if action.kind is ActionKind.CREATE or record is None:
        return everyone
    before: set[str] = set()
    for batch in made(record, before=action.generation):
        people = facts.contacts.get(batch.batch_id)
        if people is None:
            return []
        before.update(person.phone_number for person in people)
    return [without(contacts, before) for contacts in everyone]
