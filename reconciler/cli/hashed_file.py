"""One file of keyed hashes: who is in some specs, so that a few numbers are looked up quickly.

Its bytes: what it is and its version; how many specs and rows there are; the specs, each with a
day; the rows, a number's hash and which of the specs has it, in ascending order; and a seal of it
all, made with the key. Who opens a file has asked `is_sound`: all else relies on that.

Two numbers with the same hash of 128 bits do not happen, so what is counted by them is exact.
"""

from __future__ import annotations

import hmac
from bisect import bisect_left, bisect_right
from collections import Counter
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

_WIDTH = 16
_MAGIC = b"people of specs1"
_COUNTS = Struct("<II")
_SPEC = Struct(f"<{_WIDTH}sI")
"""A spec's hash, and the day when it was last needed or written, counted from 1970."""
_ROW = Struct(f"<{_WIDTH}sI")
"""A number's hash, and which of the file's specs has it."""
_INDEX = Struct("<I")
_ROWS = Struct(f"{_ROW.size}s")
_HIGHEST = b"\xff" * (_WIDTH - 1)
_SEAL = 32
_SEARCH = 16
"""Looking up one number in a file takes about as long as going past so many."""


class Hashing:
    """A key, and what is made with it."""

    def __init__(self, secret: bytes) -> None:
        self._number = blake2b(key=secret, digest_size=_WIDTH, person=b"number")
        self._spec = blake2b(key=secret, digest_size=_WIDTH, person=b"spec")
        self._file = blake2b(key=secret, digest_size=_SEAL, person=b"file")

    def each(self, numbers: Iterable[str]) -> Iterator[bytes]:
        """Give the hash of each phone number."""
        begun = self._number.copy
        for number in numbers:
            one = begun()
            one.update(number.encode())
            yield one.digest()

    def spec(self, what: str) -> bytes:
        """Give the hash of what tells a spec from any other."""
        one = self._spec.copy()
        one.update(what.encode())
        return one.digest()

    def seal(self, parts: Iterable[bytes | memoryview]) -> bytes:
        """Give what only these bytes have, and only with this key."""
        one = self._file.copy()
        for part in parts:
            one.update(part)
        return one.digest()


class File:
    """A file that is as it was written."""

    def __init__(self, path: Path, data: bytes) -> None:
        specs, self.count = _COUNTS.unpack_from(data, len(_MAGIC))
        start = len(_MAGIC) + _COUNTS.size
        self.path = path
        self.rows = memoryview(data)[start + specs * _SPEC.size : -_SEAL]
        listed = memoryview(data)[start : start + specs * _SPEC.size]
        self.specs: list[tuple[bytes, int]] = list(_SPEC.iter_unpack(listed))

    def met(self, new: Draft) -> Counter[tuple[int, int]]:
        """Count the hashes that a spec here and one of `new` both have, by which those two are."""
        counts: Counter[tuple[int, int]] = Counter()
        every = range(self.count)
        for first, part in enumerate(new.parts):
            if not part:
                continue
            low = bisect_left(every, bytes([first]), key=self._hash)
            high = bisect_right(every, bytes([first]) + _HIGHEST, low, key=self._hash)
            pairs = list(_ROW.iter_unpack(part))
            while pairs:
                # Who is in several new ones is looked for again, for each of those.
                wanted: dict[bytes, int] = {}
                again = [(one, of) for one, of in pairs if wanted.setdefault(one, of) != of]
                rows = self._having(wanted, low, high)
                counts.update((spec, wanted[one]) for one, spec in rows)
                pairs = again
        return counts

    def _having(
        self, wanted: Collection[bytes], low: int, high: int
    ) -> Iterator[tuple[bytes, int]]:
        """Give those of some rows that have a wanted hash."""
        if len(wanted) * _SEARCH > high - low:
            rows = _ROW.iter_unpack(self.rows[low * _ROW.size : high * _ROW.size])
            yield from (row for row in rows if row[0] in wanted)
            return
        for one in wanted:
            at = bisect_left(range(self.count), one, low, high, key=self._hash)
            while at < high and self._hash(at) == one:
                yield _ROW.unpack_from(self.rows, at * _ROW.size)
                at += 1

    def owners(self) -> Counter[bytes]:
        """Count who is in each spec."""
        counts = Counter(index for _, index in _ROW.iter_unpack(self.rows))
        return Counter({self.specs[index][0]: count for index, count in counts.items()})

    def _hash(self, at: int) -> bytes:
        start = at * _ROW.size
        return bytes(self.rows[start : start + _WIDTH])


class Draft:
    """Hashes that are being put together, by whose they are: for a file, or to be looked up.

    `parts` are the rows by the first byte of their hashes, so that less is in hand at a time.
    """

    def __init__(self) -> None:
        self.specs: list[tuple[bytes, int]] = []
        self.count = 0
        self.parts = [bytearray() for _ in range(256)]

    def add(self, spec: bytes, day: int) -> int:
        """Take in a spec, and give which one of the file it is."""
        self.specs.append((spec, day))
        return len(self.specs) - 1

    def put(self, hashes: Iterable[bytes], spec: int) -> None:
        """Take in who is in a spec."""
        parts, whose = self.parts, _INDEX.pack(spec)
        for one in hashes:
            parts[one[0]] += one + whose
            self.count += 1

    def take(self, file: File, places: dict[int, int]) -> None:
        """Take in the rows of some specs of a file, by which of this one they are."""
        parts = self.parts
        for one, spec in _ROW.iter_unpack(file.rows):
            if spec in places:
                parts[one[0]] += one + _INDEX.pack(places[spec])
                self.count += 1

    def pieces(self) -> Iterator[bytes]:
        """Give the file's bytes but for the seal."""
        yield _MAGIC + _COUNTS.pack(len(self.specs), self.count)
        yield b"".join([_SPEC.pack(*spec) for spec in self.specs])
        for part in self.parts:
            yield b"".join(sorted(row for (row,) in _ROWS.iter_unpack(part)))


def is_sound(data: bytes, hashing: Hashing) -> bool:
    """Whether a file is, to the last bit, what this key and version wrote."""
    if not data.startswith(_MAGIC) or len(data) < len(_MAGIC) + _COUNTS.size + _SEAL:
        return False
    sealed = memoryview(data)[:-_SEAL]
    return hmac.compare_digest(hashing.seal([sealed]), data[-_SEAL:])
