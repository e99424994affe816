"""One file of keyed hashes: who is in some specs, so that a few numbers are looked up quickly.

Its bytes: its head and a seal of that, made with the key; then the rows, a number's hash and which
of the specs has it, in ascending order and in one part for each first byte. The head says what it
is and of which version, how much there is, by which day half of the specs had been written, their
digests in ascending order, the day of each, and of every part how long it is and its hash.

So whoever looks up a few numbers reads and checks no more than the head and the parts that may have
them. What is not as it was written raises `DamagedError` when it is read, and nothing comes of it.
Two numbers with the same hash of 128 bits do not happen, so what is counted by them is exact.
"""

from __future__ import annotations

import hmac
import os
from bisect import bisect_left
from collections import Counter
from hashlib import blake2b
from itertools import accumulate, chain
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

DIGEST = len("v1:") + 64
"""How long the digest of a spec is that can be kept: all that there are so far."""
_WIDTH = 16
_MAGIC = b"people of specs2"
_BEGIN = Struct(f"<{len(_MAGIC)}sIII")
_LINE = DIGEST + len("\n")
_DAY = Struct("<I")
_PARTS = 256
_PART = Struct("<I32s")
_ROW = Struct(f"<{_WIDTH}sI")
"""A number's hash, and which of the file's specs has it."""
_INDEX = Struct("<I")
_ROWS = Struct(f"{_ROW.size}s")
_SEAL = 32
_SEARCH = 16
"""Looking up one number in a file takes about as long as going past so many."""


class DamagedError(OSError):
    """A file is not, to the last bit, what this key and version wrote."""


class Hashing:
    """A key, and what is made with it."""

    def __init__(self, secret: bytes) -> None:
        self._number = blake2b(key=secret, digest_size=_WIDTH, person=b"number")
        self._file = blake2b(key=secret, digest_size=_SEAL, person=b"file")
        self._part = blake2b(key=secret, digest_size=_SEAL, person=b"part")

    def each(self, numbers: Iterable[str]) -> Iterator[bytes]:
        """Give the hash of each phone number."""
        begun = self._number.copy
        for number in numbers:
            one = begun()
            one.update(number.encode())
            yield one.digest()

    def seal(self, head: bytes) -> bytes:
        """Give what only these bytes have, and only with this key."""
        one = self._file.copy()
        one.update(head)
        return one.digest()

    def part(self, rows: bytes) -> bytes:
        """Give what only these rows have, and only with this key."""
        one = self._part.copy()
        one.update(rows)
        return one.digest()


class Begin(NamedTuple):
    """What a file says of itself at its beginning; its size goes with that, and nothing is sure.

    `day` is that by which half of its specs had been written, counted from 1970.
    """

    specs: int
    numbers: int
    day: int

    @property
    def days(self) -> int:
        """Where the days begin."""
        return _BEGIN.size + self.specs * _LINE

    @property
    def parts(self) -> int:
        """Where it says what the parts are."""
        return self.days + self.specs * _DAY.size

    @property
    def seal(self) -> int:
        """Where the head ends, and its seal begins."""
        return self.parts + _PARTS * _PART.size

    @property
    def rows(self) -> int:
        """Where the rows begin."""
        return self.seal + _SEAL

    @property
    def size(self) -> int:
        """How many bytes such a file has."""
        return self.rows + self.numbers * _ROW.size


def _begin(file: BinaryIO) -> Begin:
    """Read what a file says of itself."""
    begun = file.read(_BEGIN.size)
    if len(begun) == _BEGIN.size:
        magic, *said = _BEGIN.unpack(begun)
        begin = Begin(*said)
        if magic == _MAGIC and begin.size == os.fstat(file.fileno()).st_size:
            return begin
    raise DamagedError


class Glimpse:
    """A file that is looked at in a few places only, however long it is.

    For want of a seal it may be anything: whoever goes by this must not mind. Raises `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb", buffering=0) as file:
            self.begin = _begin(file)

    def seems_to_have(self, digests: Iterable[str]) -> set[str]:
        """Give those of some specs that it says it has."""
        every = range(self.begin.specs)
        with self._path.open("rb", buffering=0) as file:
            handle = file.fileno()

            def line(at: int) -> bytes:
                return os.pread(handle, DIGEST, _BEGIN.size + at * _LINE)

            def has(wanted: bytes) -> bool:
                at = bisect_left(every, wanted, key=line)
                return at < len(every) and line(at) == wanted

            return {digest for digest in digests if has(digest.encode())}


class File:
    """A file whose head is as it was written. All that reads it raises `OSError`."""

    def __init__(self, path: Path, hashing: Hashing) -> None:
        self.path = path
        self._hashing = hashing
        with path.open("rb") as file:
            begin = _begin(file)
            file.seek(0)
            head, seal = file.read(begin.seal), file.read(_SEAL)
        if not hmac.compare_digest(hashing.seal(head), seal):
            raise DamagedError
        self.count = begin.numbers
        self.specs: list[str] = head[_BEGIN.size : begin.days].decode("ascii").split("\n")[:-1]
        self._days = head[begin.days : begin.parts]
        self._parts = list(_PART.iter_unpack(head[begin.parts :]))
        sizes = (count * _ROW.size for count, _ in self._parts)
        self._held: list[bytes] = []
        self._starts = list(accumulate(sizes, initial=begin.rows))

    def dated(self) -> Iterator[tuple[str, int]]:
        """Give each spec with the day when it was written, counted from 1970."""
        return zip(self.specs, chain.from_iterable(_DAY.iter_unpack(self._days)), strict=True)

    def hold(self) -> None:
        """Read all of it, so that `rows` needs nothing more: somebody may remove it any time."""
        with self.path.open("rb", buffering=0) as file:
            self._held = [self._part(file, first) for first in range(_PARTS)]

    def rows(self) -> Iterator[tuple[bytes, int]]:
        """Give all rows of a file that is held: a number's hash, and which of the specs has it."""
        return chain.from_iterable(map(_ROW.iter_unpack, self._held))

    def met(self, new: Draft) -> Counter[tuple[int, int]]:
        """Count the hashes that a spec here and one of `new` both have, by which those two are."""
        counts: Counter[tuple[int, int]] = Counter()
        with self.path.open("rb", buffering=0) as file:
            for first, part in enumerate(new.parts):
                if not part:
                    continue
                mine = self._part(file, first)
                pairs = list(_ROW.iter_unpack(part))
                while pairs:
                    # Who is in several new ones is looked for again, for each of those.
                    wanted: dict[bytes, int] = {}
                    again = [(one, of) for one, of in pairs if wanted.setdefault(one, of) != of]
                    counts.update((spec, wanted[one]) for one, spec in _having(mine, wanted))
                    pairs = again
        return counts

    def _part(self, file: BinaryIO, first: int) -> bytes:
        """Read the rows of one part."""
        file.seek(self._starts[first])
        rows = file.read(self._starts[first + 1] - self._starts[first])
        if not hmac.compare_digest(self._hashing.part(rows), self._parts[first][1]):
            raise DamagedError
        return rows


def _having(rows: bytes, wanted: Mapping[bytes, int]) -> Iterator[tuple[bytes, int]]:
    """Give those of a part's rows that have a wanted hash."""
    count = len(rows) // _ROW.size
    if len(wanted) * _SEARCH > count:
        yield from (row for row in _ROW.iter_unpack(rows) if row[0] in wanted)
        return

    def hash_at(at: int) -> bytes:
        return rows[at * _ROW.size : at * _ROW.size + _WIDTH]

    for one in wanted:
        at = bisect_left(range(count), one, key=hash_at)
        while at < count and hash_at(at) == one:
            yield _ROW.unpack_from(rows, at * _ROW.size)
            at += 1


class Draft:
    """Hashes that are being put together, by whose they are: for a file, or to be looked up.

    `parts` are the rows by the first byte of their hashes, so that less is in hand at a time.
    """

    def __init__(self) -> None:
        self.count = 0
        self.parts = [bytearray() for _ in range(_PARTS)]

    def put(self, hashes: Iterable[bytes], spec: int) -> None:
        """Take in who is in a spec."""
        parts, whose = self.parts, _INDEX.pack(spec)
        for one in hashes:
            parts[one[0]] += one + whose
            self.count += 1

    def take(self, file: File, places: Mapping[int, int]) -> None:
        """Take in the rows of some specs of a file, by which of this one they are."""
        parts = self.parts
        for one, spec in file.rows():
            if spec in places:
                parts[one[0]] += one + _INDEX.pack(places[spec])
                self.count += 1

    def written(self, specs: Sequence[tuple[str, int]], hashing: Hashing) -> Iterator[bytes]:
        """Give a file's bytes: of these specs, in order, each with its day."""
        parts = [b"".join(sorted(row for (row,) in _ROWS.iter_unpack(p))) for p in self.parts]
        days = [day for _, day in specs]
        head = b"".join(
            [
                _BEGIN.pack(_MAGIC, len(specs), self.count, sorted(days)[len(days) // 2]),
                "".join([f"{digest}\n" for digest, _ in specs]).encode(),
                *map(_DAY.pack, days),
                *(_PART.pack(len(rows) // _ROW.size, hashing.part(rows)) for rows in parts),
            ]
        )
        return chain([head, hashing.seal(head)], parts)
