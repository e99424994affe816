"""Who is in which batches, compared by number, however long their lists are. Pure.

A list that is too long to be held is gone through, some thousand numbers at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from reconciler.model import LongContacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.model import Contact

Owner = TypeVar("Owner")
_PIECE = 5_000

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


def in_several(lists: Iterable[tuple[Owner, Numbers]]) -> Iterator[tuple[Owner, ...]]:
    """Give for each number that is in more than one list whose these are.

    Lists may have the same owner. Nothing but the numbers of the short ones is held.
    """
    held: dict[str, list[Owner]] = {}
    long: list[tuple[Owner, Iterator[list[str]]]] = []
    short: list[tuple[Owner, frozenset[str]]] = []
    for owner, part in lists:
        if isinstance(part, LongContacts):
            long.append((owner, part.numbers()))
        else:
            short.append((owner, part))
    if not long and _are_apart([part for _, part in short]):
        return
    for owner, part in short:
        for number in part:
            held.setdefault(number, []).append(owner)
    if not long:
        yield from (tuple(owners) for owners in held.values() if len(owners) > 1)
        return
    ordered = sorted(held)
    pieces = (ordered[at : at + _PIECE] for at in range(0, len(ordered), _PIECE))
    streams = [*(stream for _, stream in long), pieces]
    for *cuts, rest in _side_by_side(streams):
        counts = Counter(chain(*cuts, rest))
        found = {number for number, count in counts.items() if count > 1}
        found.update(number for number in rest if len(held[number]) > 1)
        if found:
            sets = [set(cut) for cut in cuts]
            for number in sorted(found):
                theirs = (
                    owner for (owner, _), cut in zip(long, sets, strict=True) if number in cut
                )
                yield (*theirs, *held.get(number, ()))


def _are_apart(lists: Sequence[frozenset[str]]) -> bool:
    """Whether nobody is in two of them; as quick as can be, for mostly it is so."""
    return len(frozenset().union(*lists)) == sum(map(len, lists))


def _side_by_side(streams: Sequence[Iterator[list[str]]]) -> Iterator[list[list[str]]]:
    """Go through ordered numbers: of each stream what it has up to the same one, piece by piece."""
    heads = [next(stream, []) for stream in streams]
    while any(heads):
        # Up to here all are known; what is behind it may meet what comes next.
        bound = min(head[-1] for head in heads if head)
        cuts = [bisect_right(head, bound) for head in heads]
        yield [head[:cut] for head, cut in zip(heads, cuts, strict=True)]
        heads = [
            head[cut:] or next(stream, [])
            for head, cut, stream in zip(heads, cuts, streams, strict=True)
        ]


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
    return sum(
        len(set(mine).intersection(theirs)) for mine, theirs in _side_by_side([ones, others])
    )


def some_of(parts: Sequence[str], most: int, joint: str = ", ") -> str:
    """List things, and say how many more there are than `most`."""
    more = [f"and {len(parts) - most:,} more"] if len(parts) > most else []
    return joint.join([*parts[:most], *more])


def persons(count: int, which: str = "") -> str:
    """Begin a sentence about some people: `1 person is`, `3 people added to it are`."""
    who, verb = ("person", "is") if count == 1 else ("people", "are")
    return f"{count:,} {who}{which} {verb}"
