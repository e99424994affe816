"""Many phone numbers, each once: sorted in a file without a name, looked up a block at a time.

A number is an integer of eight bytes (E.164 has 15 digits at most), so that looking up is exact.
What is taken in is sorted a run at a time; then, one range of numbers after the other, what all the
runs have of it is sorted together. In memory are one run or one range, and of what is sorted every
512th number: 16 KB for a million.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Protocol

from reconciler.spec.lists.spool import File
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WIDTH = 8
_BLOCK = 512
"""Numbers that are read at a time when some are looked up."""
_RUN = 1 << 17
"""Numbers of a run, or some more."""
_STEP = 1 << 10
"""Of each run the place of every so-many'th number is known."""
_RANGE = 1 << 16
"""About as many numbers are sorted together …"""
_EACH = 1 << 11
"""… unless there are so many runs that of each there would be fewer than this."""
_FEW = 24
"""So few numbers are looked up one by one; more are compared with all of a block at once."""


class _Bytes(Protocol):
    """Where numbers lie; see `reconciler.spec.lists.spool.File`."""

    @property
    def size(self) -> int: ...
    def write(self, data: bytes, /) -> None: ...
    def read(self, start: int, stop: int, /) -> bytes: ...


class NumberList:
    """Numbers in ascending order, each once. Safe to read in several threads.

    `firsts` are the first numbers of the blocks. See `reconciler.spec.lists.listed.Numbers`.
    """

    def __init__(self, file: _Bytes, firsts: array[int], count: int) -> None:
        self._file = file
        self._firsts = firsts
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for block in range(len(self._firsts)):
            yield from self._block(block)

    def common(self, numbers: Sequence[str]) -> list[int]:
        """Give those of some E.164 numbers that are on the list. Raises `OSError`."""
        wanted = sorted(map(int, numbers))
        found: list[int] = []
        at = bisect_left(wanted, self._firsts[0]) if self._firsts else len(wanted)
        while at < len(wanted):
            block = bisect_right(self._firsts, wanted[at]) - 1
            last = block + 1 == len(self._firsts)
            to = len(wanted) if last else bisect_left(wanted, self._firsts[block + 1], at)
            held = self._block(block)
            if to - at < _FEW:
                found += [number for number in wanted[at:to] if _holds(held, number)]
            else:
                found += sorted(set(held).intersection(wanted[at:to]))
            at = to
        return found

    def _block(self, block: int) -> array[int]:
        start = block * _BLOCK
        stop = min(start + _BLOCK, self._count)
        return _numbers(self._file, start, stop)


def _holds(numbers: array[int], number: int) -> bool:
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number


def _numbers(file: _Bytes, start: int, stop: int) -> array[int]:
    numbers = array("Q")
    numbers.frombytes(file.read(start * _WIDTH, stop * _WIDTH))
    return numbers


class _Run:
    """Sorted numbers in a file: where they begin, how many, every `_STEP`th, and what was read."""

    __slots__ = ("at", "count", "rest", "samples", "start")

    def __init__(self, start: int, numbers: array[int]) -> None:
        self.start = start
        self.count = len(numbers)
        self.samples = numbers[::_STEP]
        self.at = 0
        self.rest = array("Q")


class Sorting:
    """Takes numbers in, in any order and as often as they come, and sorts them.

    With `memory`, nothing is written to disk.
    """

    def __init__(self, *, memory: bool = False) -> None:
        self._memory = memory
        self._file = _storage(memory=memory)
        self._runs: list[_Run] = []
        self._pending: list[int] = []
        self.rows = 0
        """How many were taken in, those included that were there before."""

    def add(self, numbers: list[int]) -> None:
        """Take numbers in. Some ten thousand at a time are a good measure. Raises `OSError`."""
        self.rows += len(numbers)
        self._pending += numbers
        if len(self._pending) >= _RUN:
            self._write()

    def sorted(self) -> NumberList:
        """Give all that were taken in, each once. Raises `OSError`."""
        if self._pending:
            self._write()
        out = _storage(memory=self._memory)
        firsts = array("Q")
        count = 0
        for bound in [*self._bounds(), None]:
            numbers = self._below(bound)
            numbers.sort()
            # The same number twice is in one range: a bound is a number, and ends its range.
            once = array("Q", dict.fromkeys(numbers))
            firsts += once[-count % _BLOCK :: _BLOCK]
            count += len(once)
            out.write(once.tobytes())
        return NumberList(out, firsts, count)

    def _write(self) -> None:
        run = array("Q", sorted(self._pending))
        self._pending = []
        self._runs.append(_Run(self._file.size // _WIDTH, run))
        self._file.write(run.tobytes())

    def _bounds(self) -> list[int]:
        """Give numbers that cut all there are into ranges of about the same length."""
        samples = sorted(number for run in self._runs for number in run.samples)
        every = max(_RANGE, len(self._runs) * _EACH) // _STEP
        return samples[every::every]

    def _below(self, bound: int | None) -> list[int]:
        """Take from each run the numbers below a bound, or all that are left."""
        taken: list[int] = []
        for run in self._runs:
            stop = run.count
            if bound is not None:
                stop = min(stop, bisect_left(run.samples, bound) * _STEP)
            if stop > run.at:
                run.rest += _numbers(self._file, run.start + run.at, run.start + stop)
                run.at = stop
            cut = len(run.rest) if bound is None else bisect_left(run.rest, bound)
            taken += run.rest[:cut]
            run.rest = run.rest[cut:]
        return taken


class _Held:
    """Bytes in memory, where the system has no file there."""

    def __init__(self) -> None:
        self._data = bytearray()

    @property
    def size(self) -> int:
        return len(self._data)

    def write(self, data: bytes) -> None:
        self._data += data

    def read(self, start: int, stop: int) -> bytes:
        return bytes(self._data[start:stop])


def _storage(*, memory: bool) -> File | _Held:
    try:
        return File(memory=memory)
    except Odd:
        return _Held()
