"""Very long contact lists: taken in as they are read, given back sorted by number, never whole.

A contact is a line of canonical JSON from the beginning to the end: sorted, compared, digested and
sent as bytes. Lines are sorted a run at a time and written to a file without a name; then, one
range of numbers after the other, what all the runs have of it is sorted together. So no more is
held than the lines of one range and the edges of the runs, however long the list is.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import islice
from operator import eq, itemgetter
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, overload
from weakref import finalize

import orjson

from reconciler.spec.yaml import Odd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model import Contact

NUMBER_WIDTH = 16
"""The longest number: `+` and 15 digits. Each line that is taken in begins with one, filled up."""

# Faster than a loop of our own.
_NUMBER = itemgetter(slice(NUMBER_WIDTH))
_CONTACT = itemgetter(slice(NUMBER_WIDTH, None))

_RUN = 32_000
"""Lines of a run, or some more."""

_STEP = 128
"""Lines of a run that are read at a time: of each run as many may be held."""

_RANGE = 12_000
"""Lines that are sorted together: few enough to stay in the processor's cache …"""

_EACH = 96
"""… unless there are so many runs that of each there would be fewer than this."""

_BLOCK = 2_048
"""Contacts that are read at a time from the sorted file."""


class Spooled(Sequence["Contact"]):
    """Contacts in the order of their numbers, read from a file as often as they are asked for.

    A slice is a view of the same file. Safe to read in several threads.
    """

    def __init__(self, file: _File, starts: array[int], offsets: array[int], part: range) -> None:
        self._file = file
        self._starts = starts
        self._offsets = offsets
        self._part = part

    def __len__(self) -> int:
        return len(self._part)

    def __iter__(self) -> Iterator[Contact]:
        for contacts in self._blocks():
            yield from orjson.loads(b"[" + contacts + b"]")

    @overload
    def __getitem__(self, index: int) -> Contact: ...
    @overload
    def __getitem__(self, index: slice) -> Spooled: ...
    def __getitem__(self, index: int | slice) -> Contact | Spooled:
        part = self._part[index]
        if isinstance(part, range):
            if part.step != 1:
                raise ValueError("a part of a spooled list has no gaps")
            return Spooled(self._file, self._starts, self._offsets, part)
        (contact,) = Spooled(self._file, self._starts, self._offsets, range(part, part + 1))
        return contact

    def canonical(self) -> Iterator[bytes]:
        """Give the canonical JSON of the contacts in pieces, with `,` between but no brackets."""
        separator = b""
        for contacts in self._blocks():
            yield separator + contacts
            separator = b","

    def _blocks(self) -> Iterator[bytes]:
        """Give the canonical JSON of some contacts at a time."""
        at, end = self._part.start, self._part.stop
        while at < end:
            block = bisect_right(self._starts, at) - 1
            first, after = self._starts[block], self._starts[block + 1]
            data = self._file.read(self._offsets[block], self._offsets[block + 1] - 1)
            if first < at or end < after:
                data = b"\n".join(data.split(b"\n")[at - first : end - first])
            yield data.replace(b"\n", b",")
            at = after


class _File:
    """A file without a name, or memory alone where nothing may be written to disk."""

    def __init__(self, *, memory: bool) -> None:
        if memory:
            self._handle = os.memfd_create("contacts")
        else:
            with TemporaryFile() as file:
                self._handle = os.dup(file.fileno())
        # It is open for as long as anybody has a part of the list.
        finalize(self, os.close, self._handle)
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add to the end."""
        left = memoryview(data)
        while left:
            left = left[os.write(self._handle, left) :]
        self.size += len(data)

    def read(self, start: int, stop: int) -> bytes:
        """Read from one place up to another."""
        return os.pread(self._handle, stop - start, start)


class _Run:
    """Sorted lines in the file: the numbers and places of every `_STEP`th, and what was read."""

    __slots__ = ("at", "numbers", "places", "rest")

    def __init__(self, numbers: list[bytes], places: array[int]) -> None:
        self.numbers = numbers
        self.places = places
        self.at = 0
        self.rest: list[bytes] = []


class Spooling:
    """Takes lines in and sorts them. With `memory`, nothing is written to disk."""

    def __init__(self, *, memory: bool = False) -> None:
        self._memory = memory
        self._file = _File(memory=memory)
        self._runs: list[_Run] = []
        self._pending: list[bytes] = []
        self.count = 0

    def add(self, lines: list[bytes]) -> None:
        """Take in lines: a number filled up to `NUMBER_WIDTH`, and a contact's canonical JSON.

        Some ten thousand at a time are a good measure.
        """
        self.count += len(lines)
        # Sorted at once, while they are in the processor's cache; putting runs together is cheap.
        lines.sort()
        self._pending += lines
        if len(self._pending) >= _RUN:
            self._write()

    def _write(self) -> None:
        """Write what was taken in as a run."""
        lines, self._pending = self._pending, []
        lines.sort()
        places = array("Q")
        blocks = []
        place = self._file.size
        for start in range(0, len(lines), _STEP):
            block = b"\n".join(lines[start : start + _STEP])
            places.append(place)
            place += len(block) + 1
            blocks.append(block)
        places.append(place)
        blocks.append(b"")
        self._file.write(b"\n".join(blocks))
        self._runs.append(_Run(list(map(_NUMBER, lines[::_STEP])), places))

    def sorted(self) -> Spooled:
        """Give all contacts. Raises `Odd` when a number is there twice."""
        if self._pending:
            self._write()
        out = _File(memory=self._memory)
        starts, offsets = array("Q", [0]), array("Q", [0])
        count = 0
        for bound in [*self._bounds(), None]:
            lines = self._below(bound)
            lines.sort()
            numbers = list(map(_NUMBER, lines))
            # Lines with one number are in one range: a bound is a number, and a line is more.
            if True in map(eq, numbers, islice(numbers, 1, None)):
                raise Odd
            for start in range(0, len(lines), _BLOCK):
                block = list(map(_CONTACT, lines[start : start + _BLOCK]))
                count += len(block)
                block.append(b"")
                out.write(b"\n".join(block))
                starts.append(count)
                offsets.append(out.size)
        return Spooled(out, starts, offsets, range(count))

    def _bounds(self) -> list[bytes]:
        """Give numbers that cut the list into ranges of about the same length."""
        samples = sorted(number for run in self._runs for number in run.numbers)
        every = max(_RANGE, len(self._runs) * _EACH) // _STEP
        return samples[every::every]

    def _below(self, bound: bytes | None) -> list[bytes]:
        """Take from each run the lines below a number, or all that are left."""
        lines: list[bytes] = []
        for run in self._runs:
            end = len(run.numbers) if bound is None else bisect_left(run.numbers, bound, run.at)
            rest = run.rest
            if end > run.at:
                rest += self._file.read(run.places[run.at], run.places[end] - 1).split(b"\n")
                run.at = end
            cut = len(rest) if bound is None else bisect_left(rest, bound)
            lines += rest[:cut]
            run.rest = rest[cut:]
        return lines


def as_lines(contacts: list[Contact]) -> list[bytes]:
    """Write sound contacts as the lines that `Spooling` takes."""
    sort = orjson.OPT_SORT_KEYS
    return [
        b"%-16b%b" % (contact["phone_number"].encode(), orjson.dumps(contact, option=sort))
        for contact in contacts
    ]
