"""Records of a long file that are read when somebody asks for them.

Whether the file can be trusted, its names, and what is at rest in it are found out by looking all
of it through (`reconciler.state.pieces`); of its records a plan needs few.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from reconciler.errors import StateUnusable
from reconciler.state.index import Looked, day_before
from reconciler.state.summary import Rest, SummedUp, is_lively, rest_of
from reconciler.system import without_gc

if TYPE_CHECKING:
    from array import array
    from collections.abc import (
        Callable,
        Collection,
        ItemsView,
        Iterable,
        Iterator,
        Sequence,
        ValuesView,
    )
    from datetime import datetime

    from reconciler.state.document import NameRecord
    from reconciler.state.index import Marks
    from reconciler.state.pieces import Found, Look, Piece


class Sealed(SummedUp):
    """The records of a file; `opened` waits until it is known whether they can be trusted.

    `opened` gives what was found in each of the pieces. Where that is nothing it gives all records,
    because reading them slowly showed that they can be trusted, or raises `StateUnusable`: so does
    whatever is asked here first.
    """

    def __init__(
        self,
        look: Look,
        pieces: Sequence[Piece],
        opened: Callable[[], Sequence[Found] | dict[str, NameRecord]],
    ) -> None:
        self._look = look
        self._pieces = pieces
        self._opened = opened
        self._is_open = False
        self._refused: StateUnusable | None = None
        self._found: Sequence[Found] = ()
        self._firsts: list[str] = []
        self._read: dict[int, dict[str, NameRecord]] = {}
        self._whole: dict[str, NameRecord] | None = None
        self._index: Looked | None = None

    def open(self) -> None:
        """Find out whether the records can be trusted. Raises `StateUnusable` if they cannot."""
        if self._refused is not None:
            raise self._refused
        if self._is_open:
            return
        try:
            opened = self._opened()
        except StateUnusable as error:
            self._refused = error
            raise
        if isinstance(opened, dict):
            self._hold(opened)
        else:
            self._found = opened
            self._firsts = [each.names[0] for each in opened]
        self._is_open = True

    @property
    def rest(self) -> Rest:
        """The names at rest."""
        self.open()
        if self._whole is not None:
            return rest_of(self._whole)
        names, paths, blobs, others = zip(*(each.rest for each in self._found), strict=True)
        return Rest(
            [*chain.from_iterable(names)],
            [*chain.from_iterable(paths)],
            [*chain.from_iterable(blobs)],
            [*chain.from_iterable(others)],
        )

    @property
    def lively(self) -> list[str]:
        """The names of which something is to be done or told."""
        self.open()
        if self._whole is not None:
            return [name for name, record in self._whole.items() if is_lively(record)]
        return [name for each in self._found for name in each.lively]

    @property
    def several(self) -> list[str]:
        """See `Index`."""
        if (whole := self._looked) is not None:
            return whole.several
        return [name for each in self._found for name in each.marks.several]

    def has_key(self, key: str) -> bool:
        """See `Index`."""
        if (whole := self._looked) is not None:
            return whole.has_key(key)
        if hash(key) not in self._hashed_keys:
            return False
        pieces = self._with(lambda marks: marks.keys, [key])
        return any(piece.has_key(key) for piece in pieces)

    @cached_property
    def _hashed_keys(self) -> frozenset[int]:
        return frozenset(chain.from_iterable(each.marks.keys for each in self._found))

    def recorded_as(self, digests: Collection[str]) -> list[str]:
        """See `Index`."""
        if (whole := self._looked) is not None:
            return whole.recorded_as(digests)
        pieces = self._with(lambda marks: marks.recorded, digests)
        return [name for piece in pieces for name in piece.recorded_as(digests)]

    def recorded_otherwise(self, digests: Collection[str]) -> list[str]:
        """See `Index`; a digest that only hashes like one of these would count as one."""
        if (whole := self._looked) is not None:
            return whole.recorded_otherwise(digests)
        hashes = {*map(hash, digests)}
        return [
            name
            for each in self._found
            for name, hashed in zip(each.names, each.marks.recorded, strict=True)
            if hashed not in hashes
        ]

    def created_with(self, digests: Collection[str]) -> list[str]:
        """See `Index`."""
        if (whole := self._looked) is not None:
            return whole.created_with(digests)
        pieces = self._with(lambda marks: marks.created, digests)
        return [name for piece in pieces for name in piece.created_with(digests)]

    def touched_since(self, moment: datetime) -> list[str]:
        """See `Index`."""
        if (whole := self._looked) is not None:
            return whole.touched_since(moment)
        since = day_before(moment)
        return [
            name
            for each in self._found
            for name, touched in zip(each.names, each.marks.touched, strict=True)
            if touched >= since
        ]

    @property
    def _looked(self) -> Looked | None:
        """What looks at each record, once all are read: of a file that was edited, at once."""
        self.open()
        return self._index

    def _with(
        self, marked: Callable[[Marks], array[int]], wanted: Iterable[str]
    ) -> Iterator[Looked]:
        """Read the pieces in which something is marked with the hash of one of these."""
        hashes = {*map(hash, wanted)}
        for number, each in enumerate(self._found):
            if not hashes.isdisjoint(marked(each.marks)):
                yield Looked(self._piece(number))

    def __getitem__(self, name: str) -> NameRecord:
        self.open()
        if self._whole is not None:
            return self._whole[name]
        number = bisect_right(self._firsts, name) - 1
        if number < 0:
            raise KeyError(name)
        return self._piece(number)[name]

    def __iter__(self) -> Iterator[str]:
        self.open()
        if self._whole is not None:
            return iter(self._whole)
        return chain.from_iterable(each.names for each in self._found)

    def __len__(self) -> int:
        self.open()
        if self._whole is not None:
            return len(self._whole)
        return sum(len(each.names) for each in self._found)

    def values(self) -> ValuesView[NameRecord]:
        """Give all records, as a dict does."""
        return self._all().values()

    def items(self) -> ItemsView[str, NameRecord]:
        """Give all pairs, as a dict does."""
        return self._all().items()

    def _all(self) -> dict[str, NameRecord]:
        """Read what was not read yet; what was stays the same object."""
        self.open()
        if self._whole is None:
            with without_gc():
                whole: dict[str, NameRecord] = {}
                for number in range(len(self._pieces)):
                    whole |= self._piece(number)
            self._hold(whole)
        return self._whole or {}

    def _hold(self, whole: dict[str, NameRecord]) -> None:
        """Go by all records from now on."""
        self._whole, self._index = whole, Looked(whole)
        self._read = {}

    def _piece(self, number: int) -> dict[str, NameRecord]:
        """Read one piece, once."""
        if number not in self._read:
            self._read[number] = self._look.read(self._pieces[number])
        return self._read[number]
