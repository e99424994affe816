"""People of a new batch who are in another one too, active or recent. Pure.

Told and not refused: the same people may well be called about two things. It is exact, since who is
in a recorded batch stands in its spec; one whose spec is gone or has changed since is not compared.
Of specs that were left unread it may be known who is in them (`SpecSet.met`); the others are read.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.model import Diagnostic, LongContacts, Severity
from reconciler.observed import TERMINAL
from reconciler.plan.actions import ActionKind

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
    new = [a for a in actions if a.kind is ActionKind.CREATE and a.spec is not None]
    if not new:
        return
    comparing = _New(new)
    told: dict[str, list[tuple[str, int, str]]] = {action.name: [] for action in new}
    for other, counts, age in _recorded(comparing, specs, state, facts, now):
        for name, count in counts.items():
            told[name].append((other, count, age))
    for other, theirs in comparing.numbers.items():
        for name, count in comparing.counted(theirs, comparing.digests[other], after=other).items():
            told[name].append((other, count, "also to be created"))
    for action in new:
        for name, count, age in told[action.name]:
            yield _told(action, name, count, age)


def _recorded(
    new: _New, specs: SpecSet, state: State, facts: Facts, now: datetime
) -> Iterator[tuple[str, Mapping[str, int], str]]:
    """Give each recorded batch that matters, by name: how many of each new one it has, its age."""
    met, unknown = specs.met(specs.unread, new.requests)
    shared = dict(met)
    for spec in (*specs.specs, *specs.reread(_mattering(unknown, state, facts, now))):
        record = state.record(spec.name)
        if record is not None and record.current.of == spec.digest:
            shared[spec.name] = new.counted([_numbers(spec.whole.contacts)], spec.digest)
    for name in _mattering(sorted(shared), state, facts, now):
        record = state.batches[name]
        digest = record.current.of
        others = {to: n for to, n in shared[name].items() if new.digests[to] != digest}
        yield name, others, _age(record, now)


class _New:
    """What is to be created, by name."""

    def __init__(self, actions: Sequence[Action]) -> None:
        self.requests = {a.name: [each.request for each in a.creations] for a in actions}
        self.digests = {a.name: a.spec.digest for a in actions if a.spec is not None}
        self.numbers = {
            name: [_numbers(request.contacts) for request in requests]
            for name, requests in self.requests.items()
        }
        self._meeting = _meeting(self.numbers)

    def counted(self, theirs: list[_Numbers], digest: str, *, after: str = "") -> dict[str, int]:
        """Count who of a batch is in each of other contents, and of a name `after` some."""
        return {
            name: count
            for name in self._meeting(theirs)
            if name > after and digest != self.digests[name]
            if (count := _shared(theirs, self.numbers[name]))
        }


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


def _told(action: Action, name: str, count: int, age: str) -> Diagnostic:
    who = f"{count:,} {'person is' if count == 1 else 'people are'}"
    return Diagnostic(
        Severity.WARNING,
        action.spec.file if action.spec else "",
        0,
        0,
        action.name,
        f"{who} also in {name}, {age}",
        "if they are not to be called about both, take them out of one",
    )
