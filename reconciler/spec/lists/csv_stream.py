"""Very long CSV lists, a piece at a time: what `csv_list` reads, without keeping it.

Most pieces of most lists are plain: no quotes, or around each cell, no blanks at the edges of
cells, as many cells in each line as in the header. Such a piece becomes JSON by cutting it at every
delimiter at once and filling in a pattern, nothing in it being looked at one by one; it is shown of
every piece that it is plain, never assumed. Of any other piece the rows that are not plain are read
by the csv module, as shorter lists are; and where one of those goes on in the next line, or they
are many, all of it is.

Promises: the same contacts as `csv_list.read_list` gives, or `Odd`. Where a piece ends within
quotes without this being seen, the csv module says so, and the list is read the slow way.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from itertools import chain, compress
from operator import not_
from typing import TYPE_CHECKING, Protocol

import orjson

from reconciler.spec.contacts import all_sound
from reconciler.spec.lists.columns import NAME, Unusable
from reconciler.spec.lists.csv_list import CONTROLS, Rows, read_layout, sound_contacts
from reconciler.spec.lists.spool import NUMBER_WIDTH, Spooling, as_lines
from reconciler.spec.source import without_bom
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model import Contact
    from reconciler.spec.lists.csv_list import Layout
    from reconciler.spec.lists.list_rules import ListFile
    from reconciler.spec.lists.spool import File, Spooled

_PIECE = 1 << 19
_LONGEST_PIECE = 1 << 24
"""A quote that is never closed must not make one piece of the whole list."""

_FEW = 0.2
"""Which part of a piece's rows may be read one by one, until reading all of them is faster."""

_NUMBERS = re.compile(rb"(?:\+[1-9][0-9]{6,14}\n)*+")
_NOT_PLAIN = bytes(sorted({*CONTROLS, *b'"\\\t\r'}))


class Readable(Protocol):
    """What a list is read from."""

    def read(self, size: int, /) -> bytes:
        """Give some more bytes, at most so many; none at the end."""


def read_stream(
    stream: Readable, file: ListFile, *, memory: bool = False, shelf: File | None = None
) -> Spooled:
    """Read a list, all contacts of which must be sound. With `memory`, write nothing to disk.

    The contacts are added to `shelf`, if one is given (see `Spooling`). Raises `Odd` when
    `csv_list.examine_list` should say what is wrong, and `OSError`.
    """
    pieces = _pieces(stream)
    spooling = Spooling(memory=memory, shelf=shelf)
    try:
        first = without_bom(next(pieces, b""))
        if len(first.translate(None, CONTROLS)) != len(first):
            raise Odd
        rows = Rows(first)
        layout = read_layout(rows, file)
        pattern = _Pattern.of(layout, file.call_variables)
        for piece in chain([rows.lines.read().encode()], pieces):
            lines = pattern.lines(piece)
            if lines is None:
                lines = _read_apart(piece, layout, file.call_variables, pattern)
            if lines is None:
                lines = _read_exactly(piece, layout, file.call_variables)
            if lines:
                spooling.add(lines)
    except (UnicodeDecodeError, csv.Error, Unusable) as error:
        raise Odd from error
    if not spooling.count:
        raise Odd
    return spooling.sorted()


def _pieces(stream: Readable) -> Iterator[bytes]:
    """Cut a list into pieces of whole lines, and as it seems of whole rows. Raises `Odd`."""
    left = b""
    while data := stream.read(_PIECE):
        left += data
        cut = left.rfind(b"\n") + 1
        if not cut or left.count(b'"', 0, cut) % 2:
            if len(left) > _LONGEST_PIECE:
                raise Odd
            continue
        yield left[:cut]
        left = left[cut:]
    if left:
        yield left


def _read_apart(
    piece: bytes, layout: Layout, everybody: dict[str, str], pattern: _Pattern
) -> list[bytes] | None:
    """Read the rows that are not plain one by one, and all others at once.

    None when there are many of them, or other things are wrong than a few rows; or when one of them
    does not end with its line. Where all do, a line is a row, and the others are rows too. Raises
    `Odd`, `UnicodeDecodeError`.
    """
    piece = piece.replace(b"\r\n", b"\n")
    if b"\r" in piece:
        return None
    if len(piece.translate(None, CONTROLS)) != len(piece):
        raise Odd
    delimiter = layout.delimiter.encode()
    before, after = b" " + delimiter, delimiter + b" "
    rows = piece.split(b"\n")
    odd = [b'"' in row for row in rows]
    lines = pattern.lines(b"\n".join(compress(rows, map(not_, odd))))
    if lines is None:
        odd = [
            quoted or before in row or after in row or row[:1] == b" " or row[-1:] == b" "
            for row, quoted in zip(rows, odd, strict=True)
        ]
        lines = pattern.lines(b"\n".join(compress(rows, map(not_, odd))))
    if lines is None or sum(odd) > len(rows) * _FEW:
        return None
    contacts: list[Contact] = []
    try:
        for row in compress(rows, odd):
            contacts += sound_contacts([row.decode("utf-8")], layout, everybody)
    except csv.Error:
        return None
    if contacts and not all_sound(contacts):
        raise Odd
    return lines + as_lines(contacts)


def _read_exactly(piece: bytes, layout: Layout, everybody: dict[str, str]) -> list[bytes]:
    """Read a piece row by row. Raises `Odd`, `csv.Error`, `UnicodeDecodeError`."""
    if len(piece.translate(None, CONTROLS)) != len(piece):
        raise Odd
    text = io.StringIO(piece.decode("utf-8"), newline=None)
    contacts = sound_contacts(text, layout, everybody)
    if contacts and not all_sound(contacts):
        raise Odd
    return as_lines(contacts)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What a plain piece's cells are filled into, to be lines for `Spooling`.

    `cells` are the indexes of the cells that are filled in, the number's before and after the
    others; what stands behind each of them is `between`. `name` is the index of the name. `absent`
    is what an empty cell leaves behind, to be taken out again; None when that cannot be told from
    something else.
    """

    layout: Layout
    between: tuple[bytes, ...]
    cells: tuple[int, ...]
    name: int | None
    absent: tuple[bytes, ...] | None

    @classmethod
    def of(cls, layout: Layout, everybody: dict[str, str]) -> _Pattern:
        """Make the pattern: canonical JSON, cut where the cells go."""
        indexes = dict(layout.variables)
        said = dict.fromkeys(indexes, "") | everybody
        # In the order in which canonical JSON has them.
        names = list(orjson.loads(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)))
        middle = names.index(NAME)
        between = [b'{"call_variables":{']
        absent = []
        for place, name in enumerate(names):
            key = orjson.dumps(name)
            # `callee_name` is never absent, so commas stand on the side that is towards it.
            before, after = (b"," * (place > middle), b"," * (place < middle))
            if name in everybody:
                between[-1] += before + key + b":" + orjson.dumps(everybody[name]) + after
                continue
            between[-1] += before + key + b':"'
            between.append(b'"' + after)
            if place != middle:
                absent.append(before + key + b':""' + after)
        between[-1] += b'},"phone_number":"'
        between.append(b'"}\n')
        # In `"b\"a":""` there is `"a":""` too: a quote in a name would be taken for its beginning.
        quoted = any(b"\\" in orjson.dumps(name) for name in names)
        cells = [indexes[name] for name in names if name not in everybody]
        return cls(
            layout,
            tuple(between),
            (layout.number, *cells, layout.number),
            indexes.get(NAME),
            None if quoted else tuple(absent),
        )

    def lines(self, piece: bytes) -> list[bytes] | None:
        """Give a line for each row of a plain piece; None when the piece is not plain."""
        delimiter = self.layout.delimiter.encode()
        step = self.layout.width + 1
        cells = self._cells(piece, delimiter, step)
        if not cells:
            return None
        numbers = cells[self.layout.number :: step]
        if _NUMBERS.fullmatch(b"\n".join(numbers) + b"\n") is None:
            return None
        if not self._named(cells, step, ascii_only=piece.isascii()):
            return None
        if b"" in cells and self.absent is None:
            return None
        joined = self._filled(cells, step, numbers)
        if b"" in cells:
            for nothing in self.absent or ():
                joined = joined.replace(nothing, b"")
        lines = joined.split(b"\n")
        lines.pop()
        # The csv module takes no cell that is longer.
        return lines if max(map(len, lines)) < csv.field_size_limit() else None

    def _filled(self, cells: list[bytes], step: int, numbers: list[bytes]) -> bytes:
        """Write the lines of all rows, each with a line feed at its end."""
        rows = len(numbers)
        widths = set(map(len, numbers))
        first, *others = self.between
        # The number that a line begins with is filled up.
        if len(widths) == 1:
            heads = numbers
            first = b" " * (NUMBER_WIDTH - widths.pop()) + first
        else:
            heads = [number.ljust(NUMBER_WIDTH) for number in numbers]
        parts = 2 * len(self.cells)
        laid = [first] * (parts * rows)
        laid[::parts] = heads
        for place, (index, behind) in enumerate(zip(self.cells[1:], others, strict=True), start=1):
            laid[2 * place :: parts] = cells[index::step]
            laid[2 * place + 1 :: parts] = [behind] * rows
        return b"".join(laid)

    def _cells(self, piece: bytes, delimiter: bytes, step: int) -> list[bytes]:
        """Cut a piece at every delimiter and line end. No cells when it is not plain.

        Between rows stands a cell that is a line feed; when there is one in each place where a row
        must end, and nowhere else, all rows have the width of the header.
        """
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n")
        if not piece.endswith(b"\n"):
            piece += b"\n"
        if piece.startswith(b'"'):
            piece = _unquoted(piece, delimiter, step - 1)
        if len(piece.translate(None, _NOT_PLAIN.replace(delimiter, b""))) != len(piece):
            return []
        spread = delimiter + piece.replace(b"\n", delimiter + b"\n" + delimiter)
        if b" " + delimiter in spread or delimiter + b" " in spread:
            return []
        piece.decode("utf-8")
        cells = spread.split(delimiter)[1:-1]
        ends = cells[step - 1 :: step]
        rows = piece.count(b"\n")
        return cells if ends.count(b"\n") == rows and len(cells) == rows * step else []

    def _named(self, cells: list[bytes], step: int, *, ascii_only: bool) -> bool:
        """Tell whether each row has a name that is not blank."""
        if self.name is None:
            return True
        names = cells[self.name :: step]
        if b"" in names:
            return False
        return ascii_only or all(map(str.strip, b"\n".join(names).decode("utf-8").split("\n")))


def _unquoted(piece: bytes, delimiter: bytes, width: int) -> bytes:
    """Take the quotes off a piece, if they stand around each of its cells and nowhere else.

    Counted are two for each cell that there should be. When none is left and what is given is
    plain, then each separator in it stood between two quotes, and all of them are accounted for.
    """
    if piece.count(b'"') != 2 * width * piece.count(b"\n") or not piece.endswith(b'"\n'):
        return piece
    bare = piece[1:-2].replace(b'"' + delimiter + b'"', delimiter)
    return bare.replace(b'"\n"', b"\n") + b"\n"
