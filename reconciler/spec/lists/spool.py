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
from errno import EIO
from itertools import islice
from operator import eq, itemgetter
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, overload
from weakref import finalize

import orjson

from reconciler.model import LongContacts
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from reconciler.model import Contact

NUMBER_WIDTH = 16
"""The longest number: `+` and 15 digits. Each line that is taken in begins with one, filled up."""

# Faster than a loop of our own.
_NUMBER = itemgetter(slice(NUMBER_WIDTH))
_CONTACT = itemgetter(slice(NUMBER_WIDTH, None))

_BEFORE = b',{"call_variables":{'
"""What stands before each contact's own, and nowhere else: within a text its quotes are escaped,
and what a contact says of itself are texts."""

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


class Spooled(LongContacts):
    """Contacts in the order of their numbers, read from a file as often as they are asked for.

    A slice is a view of the same file, and so is what `without` leaves. Safe to read in several
    threads. The file holds blocks: the numbers of some contacts, filled up, and the JSON of each
    behind a comma; `starts` says which contact is the first of each block, `offsets` where it lies.
    `chosen` are those of the file's contacts that are meant, ascending.
    """

    def __init__(
        self, file: File, starts: array[int], offsets: array[int], chosen: range | array[int]
    ) -> None:
        self._file = file
        self._starts = starts
        self._offsets = offsets
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[Contact]:
        for block, wanted in self._blocks():
            yield from orjson.loads(b"[" + self._json(block, wanted)[1:] + b"]")

    @overload
    def __getitem__(self, index: int) -> Contact: ...
    @overload
    def __getitem__(self, index: slice) -> Spooled: ...
    def __getitem__(self, index: int | slice) -> Contact | Spooled:
        if isinstance(index, slice):
            if index.step not in {None, 1}:
                raise ValueError("a part of a spooled list has no gaps")
            return self._of(self._chosen[index])
        at = self._chosen[index]
        (contact,) = self._of(range(at, at + 1))
        return contact

    def canonical(self) -> Iterator[bytes]:
        """Give the canonical JSON of the contacts in pieces, with `,` between but no brackets."""
        first = True
        for block, wanted in self._blocks():
            contacts = self._json(block, wanted)
            yield contacts[1:] if first else contacts
            first = False

    def size(self) -> int:
        """Give how many bytes `canonical` has."""
        size = 0
        for block, wanted in self._blocks():
            if wanted is None:
                start, stop = self._place_of_json(block)
                size += stop - start
            else:
                size += len(self._json(block, wanted))
        return max(0, size - 1)  # before the first stands no comma

    def numbers(self) -> Iterator[list[str]]:
        """Give all numbers in their order, some thousand at a time."""
        for block, wanted in self._blocks():
            numbers = self._numbers(block)
            yield numbers if wanted is None else [numbers[index] for index in wanted]

    def place(self, number: str) -> int | None:
        """Give the index of the contact with a number; None when there is none."""
        blocks = range(len(self._starts) - 1)
        block = bisect_right(blocks, number, key=self._first_number) - 1
        if block < 0:
            return None
        numbers = self._numbers(block)
        at = bisect_left(numbers, number)
        if at == len(numbers) or numbers[at] != number:
            return None
        index = self._starts[block] + at
        place = bisect_left(self._chosen, index)
        return place if place < len(self) and self._chosen[place] == index else None

    def without(self, numbers: Container[str]) -> Spooled:
        """Give the contacts that have none of these numbers."""
        kept = array("Q")
        chosen = iter(self._chosen)
        for some in self.numbers():
            kept.extend(
                index for number, index in zip(some, chosen, strict=False) if number not in numbers
            )
        return self if len(kept) == len(self) else self._of(kept)

    def _of(self, chosen: range | array[int]) -> Spooled:
        return Spooled(self._file, self._starts, self._offsets, chosen)

    def _blocks(self) -> Iterator[tuple[int, list[int] | None]]:
        """Give the blocks that have any of the contacts, and which of them; None for all."""
        at, end = 0, len(self._chosen)
        while at < end:
            block = bisect_right(self._starts, self._chosen[at]) - 1
            first, after = self._starts[block], self._starts[block + 1]
            to = bisect_left(self._chosen, after, at)
            whole = to - at == after - first
            yield block, None if whole else [index - first for index in self._chosen[at:to]]
            at = to

    def _place_of_json(self, block: int) -> tuple[int, int]:
        contacts = self._starts[block + 1] - self._starts[block]
        return self._offsets[block] + contacts * NUMBER_WIDTH, self._offsets[block + 1]

    def _json(self, block: int, wanted: list[int] | None) -> bytes:
        """Read the canonical JSON of some contacts, a comma before each."""
        data = self._file.read(*self._place_of_json(block))
        if wanted is None:
            return data
        contacts = data[len(_BEFORE) :].split(_BEFORE)
        return b"".join([_BEFORE + contacts[index] for index in wanted])

    def _numbers(self, block: int) -> list[str]:
        end = self._place_of_json(block)[0]
        text = self._file.read(self._offsets[block], end).decode()
        numbers = text.split()
        if len(numbers) * NUMBER_WIDTH < len(text):
            # Between the longest numbers and those that follow is no blank.
            ends = range(NUMBER_WIDTH, len(text) + 1, NUMBER_WIDTH)
            numbers = [text[each - NUMBER_WIDTH : each].rstrip() for each in ends]
        return numbers

    def _first_number(self, block: int) -> str:
        start = self._offsets[block]
        return self._file.read(start, start + NUMBER_WIDTH).decode().rstrip()


class File:
    """A file without a name, or memory alone where nothing may be written to disk.

    Raises `Odd` where memory is wanted and this system has no such file.
    """

    def __init__(self, *, memory: bool) -> None:
        if memory:
            if not hasattr(os, "memfd_create"):
                raise Odd
            self._handle = os.memfd_create("contacts")
        else:
            with TemporaryFile() as file:
                self._handle = os.dup(file.fileno())
        # It is open for as long as anybody has a part of the list.
        finalize(self, os.close, self._handle)
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Add to the end. Raises `OSError`."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._handle, left, self.size)
            self.size += written
            left = left[written:]

    def cut(self, size: int) -> None:
        """Take back what was added last."""
        os.ftruncate(self._handle, size)
        self.size = size

    def opened(self) -> IO[bytes]:
        """Open it once more, to be read by somebody else; one at a time."""
        file = os.fdopen(os.dup(self._handle), "rb", buffering=0)
        file.seek(0)
        return file

    def read(self, start: int, stop: int) -> bytes:
        """Read from one place up to another. Raises `OSError`, also where there is less."""
        data = os.pread(self._handle, stop - start, start)
        while len(data) < stop - start:
            more = os.pread(self._handle, stop - start - len(data), start + len(data))
            if not more:
                raise OSError(EIO, "the spooled list ends too early")
            data += more
        return data


class Reading:
    """A file as it is read from its beginning on."""

    def __init__(self, file: File) -> None:
        self.file = file
        self._at = 0

    def read(self, size: int) -> bytes:
        """Give some more bytes, at most so many; none at the end. Raises `OSError`."""
        start = self._at
        self._at = min(start + size, self.file.size)
        return self.file.read(start, self._at)


class _Run:
    """Sorted lines in the file: the numbers and places of every `_STEP`th, and what was read."""

    __slots__ = ("at", "numbers", "places", "rest")

    def __init__(self, numbers: list[bytes], places: array[int]) -> None:
        self.numbers = numbers
        self.places = places
        self.at = 0
        self.rest: list[bytes] = []


class Spooling:
    """Takes lines in and sorts them. With `memory`, nothing is written to disk.

    What is sorted is added to `shelf`, which has `memory` alike; else to a file of its own.
    """

    def __init__(self, *, memory: bool = False, shelf: File | None = None) -> None:
        self._shelf = File(memory=memory) if shelf is None else shelf
        self._file = File(memory=memory)
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
        """Give all contacts. Raises `Odd` when a number is there twice, and `OSError`."""
        if self._pending:
            self._write()
        begin = self._shelf.size
        try:
            return self._laid_out(self._shelf)
        except BaseException:
            self._shelf.cut(begin)
            raise

    def _laid_out(self, out: File) -> Spooled:
        """Write all contacts to a file, in the order of their numbers."""
        starts, offsets = array("Q", [0]), array("Q", [out.size])
        count = 0
        for bound in [*self._bounds(), None]:
            lines = self._below(bound)
            lines.sort()
            numbers = list(map(_NUMBER, lines))
            # Lines with one number are in one range: a bound is a number, and a line is more.
            if True in map(eq, numbers, islice(numbers, 1, None)):
                raise Odd
            for start in range(0, len(lines), _BLOCK):
                block = numbers[start : start + _BLOCK]
                count += len(block)
                contacts = map(_CONTACT, lines[start : start + _BLOCK])
                out.write(b",".join([b"".join(block), *contacts]))
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
