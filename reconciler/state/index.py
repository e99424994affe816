"""What can be looked up of all records: by contents, by key, by time.

Of a long file few records are ever read (`reconciler.state.sealed`): it answers from marks that
were made while it was looked through. Of any other mapping each record is looked at. The answers
are the same, and whoever needs more of a name than that asks for its record.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from reconciler.state.document import NameRecord, Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from reconciler.state.document import RequestRecord


class Index(ABC):
    """Answers about all records. Names come in no order that anybody may rely on."""

    @property
    @abstractmethod
    def several(self) -> list[str]:
        """The names with more than one generation."""

    @abstractmethod
    def has_key(self, key: str) -> bool:
        """Whether any request has this key."""

    @abstractmethod
    def recorded_as(self, digests: Collection[str]) -> list[str]:
        """Give the names whose current generation is of a spec with one of these digests."""

    @abstractmethod
    def recorded_otherwise(self, digests: Collection[str]) -> list[str]:
        """Give the names whose current generation is of a spec with none of these digests."""

    @abstractmethod
    def created_with(self, digests: Collection[str]) -> list[str]:
        """Give the names that have a batch whose request has one of these digests."""

    @abstractmethod
    def touched_since(self, moment: datetime) -> list[str]:
        """Give the names with a request that was attempted or recorded then or later.

        By days, so names are among them that were not touched for a day or two more.
        """


class Looked(Index):
    """Looks at each record."""

    def __init__(self, batches: Mapping[str, NameRecord]) -> None:
        self._batches = batches

    @property
    def several(self) -> list[str]:
        """See `Index`."""
        return [name for name, record in self._batches.items() if len(record.generations) > 1]

    def has_key(self, key: str) -> bool:
        """See `Index`."""
        return key in self._keys

    @cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(request.key for _, request in self._requests())

    def recorded_as(self, digests: Collection[str]) -> list[str]:
        """See `Index`."""
        return [name for name, record in self._batches.items() if record.current.of in digests]

    def recorded_otherwise(self, digests: Collection[str]) -> list[str]:
        """See `Index`."""
        # In the order of the records, which is how they lie in memory; no calls: there are many.
        found = []
        for name, record in self._batches.items():
            current = record.generations[-1]
            if (current.digest or current.requests[0].digest) not in digests:
                found.append(name)
        return found

    def created_with(self, digests: Collection[str]) -> list[str]:
        """See `Index`."""
        created = Status.CREATED
        found = {
            name: None
            for name, request in self._requests()
            if request.digest in digests and request.status is created
        }
        return [*found]

    def touched_since(self, moment: datetime) -> list[str]:
        """See `Index`."""
        since = day_before(moment)
        return [*{name: None for name, request in self._requests() if _day(request) >= since}]

    def _requests(self) -> Iterator[tuple[str, RequestRecord]]:
        for name, record in self._batches.items():
            for generation in record.generations:
                for request in generation.requests:
                    yield name, request


class Indexed(Index, Mapping[str, NameRecord]):
    """Records that answer by themselves."""


class Laid(Indexed):
    """Records that answer by themselves, and some laid over them that are looked at."""

    def __init__(self, below: Indexed, above: Mapping[str, NameRecord]) -> None:
        self._below = below
        self._above = above
        self._indexes = below, Looked(above)

    def __getitem__(self, name: str) -> NameRecord:
        above = self._above.get(name)
        return self._below[name] if above is None else above

    def __iter__(self) -> Iterator[str]:
        yield from self._below
        yield from (name for name in self._above if name not in self._below)

    def __len__(self) -> int:
        return len(self._below) + sum(name not in self._below for name in self._above)

    @property
    def several(self) -> list[str]:
        """See `Index`."""
        below, above = self._indexes
        return self._together(below.several, above.several)

    def has_key(self, key: str) -> bool:
        """See `Index`; a key of what another record was laid over counts: it was used."""
        return any(index.has_key(key) for index in self._indexes)

    def recorded_as(self, digests: Collection[str]) -> list[str]:
        """See `Index`."""
        return self._together(*(index.recorded_as(digests) for index in self._indexes))

    def recorded_otherwise(self, digests: Collection[str]) -> list[str]:
        """See `Index`."""
        return self._together(*(index.recorded_otherwise(digests) for index in self._indexes))

    def created_with(self, digests: Collection[str]) -> list[str]:
        """See `Index`."""
        return self._together(*(index.created_with(digests) for index in self._indexes))

    def touched_since(self, moment: datetime) -> list[str]:
        """See `Index`."""
        return self._together(*(index.touched_since(moment) for index in self._indexes))

    def _together(self, below: Iterable[str], above: Iterable[str]) -> list[str]:
        return [*(name for name in below if name not in self._above), *above]


def index_of(batches: Mapping[str, NameRecord]) -> Index:
    """Give what answers about these records."""
    return batches if isinstance(batches, Indexed) else Looked(batches)


def laid(
    below: Mapping[str, NameRecord], above: Mapping[str, NameRecord]
) -> Mapping[str, NameRecord]:
    """Give records with some laid over them, and read no more of them for that."""
    return Laid(below, above) if isinstance(below, Indexed) else {**below, **above}


class Marks(NamedTuple):
    """What answers about some records that need not be kept for it, by their order.

    `recorded` are hashes of the digests of their current specs, `touched` the days on which each
    was attempted or recorded last, as `date.toordinal` counts them. `created` are hashes of the
    digests of whatever was created, `keys` of all keys; both in no order. Hashes are those of this
    process and its forks.
    """

    recorded: array[int]
    touched: array[int]
    created: array[int]
    keys: array[int]
    several: list[str]


def marks_of(batches: Mapping[str, NameRecord], keys: Iterable[str]) -> Marks:
    """Look at each record, once. `keys` are all of theirs."""
    recorded: list[int] = []
    touched: list[int] = []
    created: list[int] = []
    several: list[str] = []
    is_created = Status.CREATED
    for name, record in batches.items():
        generations = record.generations
        current = generations[-1]
        first = current.requests[0]
        hashed = hash(current.digest or first.digest)
        recorded.append(hashed)
        if len(generations) == len(current.requests) == 1 and current.digest is None:
            # As most are; hardly a call for each of very many.
            if first.status is is_created:
                created.append(hashed)
            touched.append(_day(first))
            continue
        if len(generations) > 1:
            several.append(name)
        requests = [request for each in generations for request in each.requests]
        created += [hash(each.digest) for each in requests if each.status is is_created]
        touched.append(max(map(_day, requests)))
    return Marks(
        array("q", recorded),
        array("q", touched),
        array("q", created),
        array("q", map(hash, keys)),
        several,
    )


def day_before(moment: datetime) -> int:
    """Give the day before that of a moment: wherever its clock stands, nothing since is earlier."""
    return moment.toordinal() - 1


def _day(request: RequestRecord) -> int:
    moment, attempted = request.recorded_at, request.attempted_at
    return (attempted if moment is None or moment < attempted else moment).toordinal()
