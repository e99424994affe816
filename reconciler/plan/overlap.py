"""People of a new batch who are in another one too, active or recent. Pure.

Told and not refused: the same people may well be called about two things. It is exact, since who is
in a recorded batch stands in its spec; one whose spec is gone or has changed since is not compared.
Of specs that were left unread it may be known who is in them (`SpecSet.met`); the others are read.

Of a changed spec's people only those are told of who were added: who is in none of its batches so
far, as the API tells. Where that was not asked, or has no answer, nobody is taken for added.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.model import Diagnostic, LongContacts, Severity
from reconciler.observed import TERMINAL
from reconciler.plan.actions import ActionKind
from reconciler.plan.callees import without
from reconciler.plan.history import made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from reconciler.model import Contact, SpecSet
    from reconciler.plan.actions import Action
    from reconciler.plan.facts import Facts
    from reconciler.state.document import Generation, NameRecord, State

RECENT = timedelta(days=30)
"""For how long a batch that has ended counts as one whose people were called just now."""
_DAY = timedelta(days=1)


def overlaps(
    actions: Iterable[Action], specs: SpecSet, state: State, facts: Facts, now: datetime
) -> Iterator[Diagnostic]:
    """Tell of everyone who is about to be called and is in another batch of this root.

    Batches with the very same contents are not told here: see `reconciler.plan.planner`.
    """
    new = [
        _New(action, action.spec.digest, _added(action, state, facts))
        for action in actions
        if action.spec is not None and action.kind in {ActionKind.CREATE, ActionKind.REPLACE}
    ]
    comparing = _Comparing(new)
    if not comparing.added:
        return
    told: dict[str, list[Diagnostic]] = {each.name: [] for each in new}
    for other, counts, age in _recorded(comparing, specs, state, facts, now):
        for name, count in counts.items():
            action = comparing.by_name[name].action
            added = " added to it" if action.kind is ActionKind.REPLACE else ""
            told[name].append(_told(action, count, added, f"{other}, {age}"))
    for earlier, later, count in comparing.pairs():
        created = earlier.action.kind is ActionKind.CREATE
        to_come = "also to be created" if created else "about to be replaced"
        told[later.name].append(_told(later.action, count, "", f"{earlier.name}, {to_come}"))
    for each in new:
        yield from told[each.name]


def _added(action: Action, state: State, facts: Facts) -> list[Sequence[Contact]]:
    """Give those of an action's people who are in no earlier batch of its name."""
    everyone = [creation.request.contacts for creation in action.creations]
    record = state.record(action.name)
    if action.kind is ActionKind.CREATE or record is None:
        return everyone
    before: set[str] = set()
    for batch in made(record, before=action.generation):
        people = facts.contacts.get(batch.batch_id)
        if people is None:
            return []
        before.update(person.phone_number for person in people)
    return [without(contacts, before) for contacts in everyone]


def _recorded(
    new: _Comparing, specs: SpecSet, state: State, facts: Facts, now: datetime
) -> Iterator[tuple[str, Mapping[str, int], str]]:
    """Give each recorded batch that matters, by name: how many of each new one it has, its age."""
    met, unknown = specs.met(specs.unread, new.added)
    shared = dict(met)
    for spec in (*specs.specs, *specs.reread(_mattering(unknown, state, facts, now))):
        record = state.record(spec.name)
        if record is not None and record.current.of == spec.digest:
            shared[spec.name] = new.counted([_numbers(spec.whole.contacts)])
    for name in _mattering(sorted(shared), state, facts, now):
        record = state.batches[name]
        digest = record.current.of
        others = {to: n for to, n in shared[name].items() if new.by_name[to].digest != digest}
        yield name, others, _age(record, now)


class _New:
    """A batch that is to be created: everyone in it, and who is added by that."""

    def __init__(self, action: Action, digest: str, added: Sequence[Sequence[Contact]]) -> None:
        self.action = action
        self.name = action.name
        self.digest = digest
        self.contacts = [contacts for contacts in added if contacts]
        self.added = [_numbers(contacts) for contacts in self.contacts]
        self.everyone = (
            self.added
            if action.kind is ActionKind.CREATE
            else [_numbers(creation.request.contacts) for creation in action.creations]
        )

    def shared(self, other: _New) -> int:
        """Count who is in both, and added to one of them at least."""
        if self.everyone is self.added or other.everyone is other.added:
            return _shared(self.everyone, other.everyone)
        return (
            _shared(self.added, other.everyone)
            + _shared(self.everyone, other.added)
            - _shared(self.added, other.added)
        )


class _Comparing:
    """All that is to be created. `added` are the contacts that come with it, by name."""

    def __init__(self, new: Iterable[_New]) -> None:
        self.by_name = {each.name: each for each in new}
        self.added = {each.name: each.contacts for each in self.by_name.values() if each.contacts}
        self._meeting = _meeting({name: self.by_name[name].added for name in self.added})

    def counted(self, theirs: list[_Numbers]) -> dict[str, int]:
        """Count who of a batch is added to which new ones."""
        found = {name: _shared(theirs, self.by_name[name].added) for name in self._meeting(theirs)}
        return {name: count for name, count in found.items() if count}

    def pairs(self) -> Iterator[tuple[_New, _New, int]]:
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


def _meeting(new: Mapping[str, list[_Numbers]]) -> Callable[[list[_Numbers]], set[str]]:
    """Give what tells which new batches somebody of a batch may be in, without asking each of them.

    A thousand new batches would otherwise be half a million pairs. Whatever is too long to be held
    may meet any.
    """
    holders: dict[str, list[str]] = {}
    long = set()
    for name, parts in new.items():
        for part in parts:
            if isinstance(part, LongContacts):
                long.add(name)
                continue
            for number in part:
                holders.setdefault(number, []).append(name)

    def meeting(parts: list[_Numbers]) -> set[str]:
        found = set(long)
        for part in parts:
            if isinstance(part, LongContacts):
                return set(new)
            for number in part:
                found.update(holders.get(number, ()))
        return found

    return meeting


_Numbers = frozenset[str] | LongContacts
"""Who is in one request: held, but for a list that is too long for it."""


def _numbers(contacts: Sequence[Contact]) -> _Numbers:
    if isinstance(contacts, LongContacts):
        return contacts
    return frozenset(contact["phone_number"] for contact in contacts)


def _shared(ones: Iterable[_Numbers], others: Iterable[_Numbers]) -> int:
    """Count who is in both. Nobody is in two requests of one spec."""
    return sum(_common(one, other) for one in ones for other in others)


def _common(one: _Numbers, other: _Numbers) -> int:
    if isinstance(one, LongContacts):
        if isinstance(other, LongContacts):
            return _merged(one.numbers(), other.numbers())
        return sum(len(other.intersection(some)) for some in one.numbers())
    if isinstance(other, LongContacts):
        return _common(other, one)
    return len(one & other)


def _merged(ones: Iterator[list[str]], others: Iterator[list[str]]) -> int:
    """Count the numbers that both have, each being in order: no more is held than some of each."""
    count = 0
    mine, theirs = next(ones, []), next(others, [])
    while mine and theirs:
        # Up to here both are known; what is behind it may meet what comes next.
        bound = min(mine[-1], theirs[-1])
        cut, cut_theirs = bisect_right(mine, bound), bisect_right(theirs, bound)
        count += len(set(mine[:cut]).intersection(theirs[:cut_theirs]))
        mine = mine[cut:] or next(ones, [])
        theirs = theirs[cut_theirs:] or next(others, [])
    return count


def _mattering(names: Iterable[str], state: State, facts: Facts, now: datetime) -> list[str]:
    """Give the names whose batch is told of: it is recent, or may still call."""
    since = now - RECENT
    batches, asked = state.batches, bool(facts.batches)
    found = []
    for name in names:  # all that is done with each of very many: hardly a call
        record = batches[name]
        current = record.generations[-1]
        for request in current.requests:
            created = request.recorded_at if request.batch_id else None
            if created is not None and created >= since:
                found.append(name)
                break
        else:
            if asked and _times(record) and _is_active(record, current, facts):
                found.append(name)
    return found


def is_recent(record: NameRecord, now: datetime) -> bool:
    """Whether a name's batch was created so lately that it matters even if it is over."""
    since = now - RECENT
    return any(created >= since for created in _times(record))


def _times(record: NameRecord) -> list[datetime]:
    return [r.recorded_at for r in record.current.requests if r.recorded_at and r.batch_id]


def _age(record: NameRecord, now: datetime) -> str:
    """Say how long ago the batch of a name that matters was created."""
    days = (now - max(_times(record))) // _DAY
    return "created today" if days < 1 else f"created {days} day{'s' * (days > 1)} ago"


def _is_active(record: NameRecord, current: Generation, facts: Facts) -> bool:
    """Whether a batch may still call; one that nobody was asked about is taken for over."""
    if record.lifecycle == "cancelled":
        return False
    found = [facts.batches.get(request.batch_id or "") for request in current.requests]
    return any(batch is not None and batch.status not in TERMINAL for batch in found)


def _told(action: Action, count: int, added: str, other: str) -> Diagnostic:
    who, verb = ("person", "is") if count == 1 else ("people", "are")
    return Diagnostic(
        Severity.WARNING,
        action.spec.file if action.spec else "",
        0,
        0,
        action.name,
        f"{count:,} {who}{added} {verb} also in {other}",
        "if they are not to be called about both, take them out of one",
    )
