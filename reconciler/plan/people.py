"""Who is in which batches, compared by number, however long their lists are. Pure.

A list that is too long to be held is gone through, some thousand numbers at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from reconciler.model import LongContacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.model import Contact

Numbers = frozenset[str] | LongContacts
"""Who is in one request: held, but for a list that is too long for it."""


def numbers(contacts: Sequence[Contact]) -> Numbers:
    """Give who is in a request."""
    if isinstance(contacts, LongContacts):
        return contacts
    return frozenset(contact["phone_number"] for contact in contacts)


def meeting(new: Mapping[str, list[Numbers]]) -> Callable[[list[Numbers]], set[str]]:
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

    def met(parts: list[Numbers]) -> set[str]:
        found = set(long)
        for part in parts:
            if isinstance(part, LongContacts):
                return set(new)
            for number in part:
                found.update(holders.get(number, ()))
        return found

    return met


def shared(ones: Iterable[Numbers], others: Iterable[Numbers]) -> int:
    """Count who is in both. Nobody is in two requests of one spec."""
    return sum(_common(one, other) for one in ones for other in others)


def _common(one: Numbers, other: Numbers) -> int:
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


def persons(count: int, which: str = "") -> str:
    """Begin a sentence about some people: `1 person is`, `3 people added to it are`."""
    who, verb = ("person", "is") if count == 1 else ("people", "are")
    return f"{count:,} {who}{which} {verb}"
