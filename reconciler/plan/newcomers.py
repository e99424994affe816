"""What a plan is about to create, and whom that adds to those who are called. Pure.

Of a changed spec's people only those are added who are in none of its batches so far, as the API
tells. Where that was not asked, or has no answer, nobody is taken for added.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.plan.actions import ActionKind
from reconciler.plan.callees import without
from reconciler.plan.history import made
from reconciler.plan.people import in_several, meeting, numbers, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

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


class Group(Struct, frozen=True):
    """New batches with people in common: their names, and how many are in more than one."""

    names: tuple[str, ...]
    count: int


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

    @cached_property
    def _meeting(self) -> Callable[[list[Numbers]], set[str]]:
        """What tells which of them a batch meets; a first apply has no other batch to ask about."""
        return meeting({name: self.by_name[name].added for name in self.added})

    def counted(self, theirs: list[Numbers]) -> dict[str, int]:
        """Count who of a batch is added to which new ones."""
        found = {name: shared(theirs, self.by_name[name].added) for name in self._meeting(theirs)}
        return {name: count for name, count in found.items() if count}

    def groups(self) -> list[Group]:
        """Put those together that have people in common who are added to one of them at least.

        Batches with the very same contents have no part in it by that alone.
        """
        if len(self.by_name) < 2:  # noqa: PLR2004 - with itself nobody has anything in common
            return []
        together: Counter[frozenset[str]] = Counter()
        for owners, count in Counter(in_several(self._lists())).items():
            names = frozenset(name for name, _ in owners)
            contents = {self.by_name[name].digest for name in names}
            if len(contents) > 1 and any(added for _, added in owners):
                together[names] += count
        return _groups(together)

    def _lists(self) -> Iterator[tuple[tuple[str, bool], Numbers]]:
        """Give all lists, each with the name and whether its people are added."""
        for name, each in self.by_name.items():
            yield from (((name, True), part) for part in each.added)
            if each.everyone is not each.added:
                yield from (((name, False), part) for part in each.everyone)


def _groups(together: Mapping[frozenset[str], int]) -> list[Group]:
    """Put names together that meet, directly or by others; a person is counted once."""
    group_of: dict[str, set[str]] = {}
    for names in together:
        joined = set(names).union(*(group_of[name] for name in names if name in group_of))
        group_of.update(dict.fromkeys(joined, joined))
    counts: Counter[tuple[str, ...]] = Counter()
    for names, count in together.items():
        counts[tuple(sorted(group_of[next(iter(names))]))] += count
    return [Group(names, count) for names, count in sorted(counts.items())]


def repeated_calls(actions: Iterable[Action]) -> int:
    """Count the calls of new batches to people whom another new batch calls too, but for one each.

    A changed spec's people are left out of it: whom of them it calls is known when it is done.
    """
    creating = [action for action in actions if action.kind is ActionKind.CREATE]
    if len(creating) < 2:  # noqa: PLR2004 - one batch has everybody once
        return 0
    lists = (
        (action.name, numbers(creation.request.contacts))
        for action in creating
        for creation in action.creations
    )
    return sum(len(owners) - 1 for owners in in_several(lists))


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
