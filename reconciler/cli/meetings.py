"""Who of new batches is in recorded specs that are left unread or gone, told without reading them.

Behind `SpecSet.met`, and only to save time: whatever goes wrong with what is kept, the specs are
read as they would be without it. It lies in the repository's git directory, which all its work
trees share and nothing of which is ever pushed.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING

from reconciler.model import LongContacts
from reconciler.state.index import index_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from reconciler.cli.hashed_file import Hashing
    from reconciler.cli.hashed_people import HashedPeople
    from reconciler.model import Contact, Spec
    from reconciler.state.document import State

    Lists = Mapping[str, Sequence[Sequence[Contact]]]
    """Contacts of new batches, by name."""
    Met = tuple[Mapping[str, Mapping[str, int]], Collection[str]]

DIRECTORY = "call-batch-reconciler"
_SECONDS_A_DAY = 86_400


class Meetings:
    """What is known of who is in the specs of one repository.

    `git_directory` gives where it is kept, None for nowhere; it is asked when something is to be
    looked up.
    """

    def __init__(self, git_directory: Callable[[], Path | None]) -> None:
        self._git_directory = git_directory
        self._kept: HashedPeople | None = None
        self._answered: tuple[State, Lists, Met] | None = None

    def met(self, state: State, names: Collection[str], new: Lists) -> Met:
        """Count who is in recorded specs and in new batches, see `SpecSet.met`; `state` has both.

        One run plans several times, mostly about the same: that is answered once.
        """
        answered = self._answered
        if answered is None or answered[0] is not state or not _are_the_same(answered[1], new):
            answered = self._answered = (state, new, self._looked_up(state, new))
        counts, unknown = answered[2]
        return (
            {name: each for name, each in counts.items() if name in names},
            [name for name in unknown if name in names],
        )

    def _looked_up(self, state: State, new: Lists) -> Met:
        """Answer for all recorded names."""
        try:
            kept = self._open()
            if kept is None or kept.hashing is None:
                return {}, state.batches
            shared, known = _shared(kept, kept.hashing, new)
        except OSError:
            return {}, state.batches
        recorded = index_of(state.batches)
        counts = {
            name: shared[state.batches[name].current.of] for name in recorded.recorded_as(shared)
        }
        return counts, recorded.recorded_otherwise(known)

    def remember(self, specs: Iterable[Spec], now: datetime) -> None:
        """Keep who is in specs that were read, for the next run; where that fails, do not."""
        by_digest = {spec.digest: spec for spec in specs}
        if not by_digest:
            return
        try:
            kept = self._open()
            missing = kept.missing(by_digest) if kept is not None else ()
            if kept is not None and missing:
                people = ((spec, by_digest[spec].whole.contacts) for spec in missing)
                day = int(now.timestamp()) // _SECONDS_A_DAY
                kept.add(((spec, len(them), _numbers(them)) for spec, them in people), day)
        except (OSError, MemoryError, KeyboardInterrupt):
            return  # what the command was run for is done

    def _open(self) -> HashedPeople | None:
        if self._kept is None and (directory := self._git_directory()) is not None:
            from reconciler.cli.hashed_people import HashedPeople  # noqa: PLC0415 - in a repository

            self._kept = HashedPeople(directory / DIRECTORY)
        return self._kept


def _numbers(contacts: Sequence[Contact]) -> Iterator[Collection[str]]:
    """Give the numbers of contacts, each once, some at a time. Raises `OSError`."""
    if isinstance(contacts, LongContacts):
        yield from contacts.numbers()
    else:
        yield frozenset(contact["phone_number"] for contact in contacts)


def _are_the_same(ones: Lists, others: Lists) -> bool:
    """Whether these are the very same lists, under the same names."""
    return ones.keys() == others.keys() and all(
        len(mine) == len(others[name]) and all(map(is_, mine, others[name]))
        for name, mine in ones.items()
    )


def _shared(
    kept: HashedPeople, hashing: Hashing, new: Lists
) -> tuple[dict[str, dict[str, int]], frozenset[str]]:
    """Count for each spec who is in each new one, by digest; and give those that are known.

    Nobody is in two requests of one spec.
    """
    from reconciler.cli.hashed_file import Draft  # noqa: PLC0415 - when somebody is looked up

    draft = Draft()
    names = list(new)
    for index, name in enumerate(names):
        for contacts in new[name]:
            for some in _numbers(contacts):
                draft.put(hashing.each(some), index)
    counts, known = kept.met(draft)
    shared: dict[str, dict[str, int]] = {}
    for (spec, index), count in counts.items():
        shared.setdefault(spec, {})[names[index]] = count
    return shared, known
