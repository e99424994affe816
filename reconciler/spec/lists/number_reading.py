"""Lists of phone numbers as text: one a line, or a column of a table. Read a piece at a time.

A list that says whom not to call is read strictly: what is not a number in E.164 is an error told
with its line, never skipped and never repaired. A number that was passed over would be called.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.spec.lists.columns import is_usual_header
from reconciler.spec.lists.number_list import NumberList, Sorting
from reconciler.spec.phones import explain
from reconciler.spec.problems import Collector, Problem, did_you_mean, quoted
from reconciler.spec.source import text_problem, without_bom

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.spec.lists.csv_stream import Readable

_PIECE = 1 << 19
_LONGEST = 1 << 24
"""A quote that is never closed must not make one piece of the whole list."""

_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_NUMBERS = re.compile(rb"(?:\+[1-9][0-9]{6,14}\n+)*+")
_MANY_DIGITS = 7
"""A header has fewer. What has so many may be a number, however odd, and is not passed over."""
_SHORT = re.compile(r"[0-9+(][0-9 ()+.,eE-]*")
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_BLANKS = " \t"
_MOST_SHOWN = 20


class Unsound(Exception):  # noqa: N818 - says what the list is
    """A list that cannot be taken at its word; carries everything that is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Read:
    """What a list says: its numbers, each once, and how many lines of it are numbers."""

    numbers: NumberList
    rows: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where in a row the number is. A list without a header has one cell a row."""

    delimiter: str
    width: int
    number: int


def read_numbers(stream: Readable, column: str | None, *, memory: bool = False) -> Read:
    """Read a list to its end. `column` is the header of the numbers' column.

    Without it, a first line that is a number begins a list of one number a line; else the only
    column is taken, or the one called `phone_number`. With `memory`, nothing is written to disk.
    Raises `Unsound`, and `OSError`.
    """
    sorting = Sorting(memory=memory)
    problems = Collector()
    layout: _Layout | None = None
    for line, piece in _pieces(stream):
        first, rest = line, piece
        if layout is None:
            layout, first, rest = _header(line, piece, column)
        if layout is None:
            continue
        numbers = _plain(rest) if layout.width == 1 else None
        if numbers is None:
            numbers = list(_rows(first, rest, layout, problems))
        if numbers and not problems:
            sorting.add(numbers)
    if not sorting.rows and not problems:
        message = "the list has no number in it"
        hint = "a list of nobody is no scrub: take it out of the policy, or mend the export"
        raise Unsound(Problem((), message, hint, place=(1, 1)))
    if problems:
        raise Unsound(*problems)
    return Read(sorting.sorted(), sorting.rows)


def _pieces(stream: Readable) -> Iterator[tuple[int, bytes]]:
    """Cut a list into pieces of whole rows, as it seems; with the line that each begins at."""
    line, left = 1, b""
    begun = False
    while data := stream.read(_PIECE):
        left += data
        cut = left.rfind(b"\n") + 1
        if not cut or left.count(b'"', 0, cut) % 2:
            if len(left) > _LONGEST:
                message = f"a row has more than {_LONGEST:,} bytes"
                hint = "look for a double quote that is never closed"
                raise Unsound(Problem((), message, hint, place=(line, 1)))
            continue
        piece = _text(line, left[:cut], first=not begun)
        begun = True
        yield line, piece
        line += piece.count(b"\n")
        left = left[cut:]
    if left:
        yield line, _text(line, left, first=not begun)


def _text(line: int, piece: bytes, *, first: bool) -> bytes:
    """Give a piece with plain line ends. Raises `Unsound` for what is no plain UTF-8 text."""
    if first:
        piece = without_bom(piece)
    problem = text_problem(piece)
    if problem is not None:
        down, column = problem.place or (1, 1)
        raise Unsound(Problem((), problem.message, problem.hint, place=(line + down - 1, column)))
    return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in piece else piece


def _plain(piece: bytes) -> list[int] | None:
    """Give the numbers of a piece that has nothing but one a line; None for any other."""
    if not piece.endswith(b"\n"):
        piece += b"\n"
    plain = _NUMBERS.fullmatch(piece.lstrip(b"\n")) is not None
    return list(map(int, piece.split())) if plain else None


def _rows(line: int, piece: bytes, layout: _Layout, problems: Collector) -> Iterator[int]:
    """Read a piece row by row, and say of each that is wrong why."""
    text = io.StringIO(piece.decode("utf-8"), newline="")
    reader = csv.reader(text, delimiter=layout.delimiter, strict=True)
    at = line
    try:
        for row in reader:
            here, at = at, line + reader.line_num
            if len(row) != layout.width:
                if any(cell.strip(_BLANKS) for cell in row):
                    problems.add(_wrong_width(here, row, layout))
                continue
            number = row[layout.number].strip(_BLANKS)
            if _NUMBER.fullmatch(number):
                yield int(number)
            elif number or any(cell.strip(_BLANKS) for cell in row):
                bad = explain(number)
                problems.add(Problem((), bad.message, bad.hint, bad.kind, place=(here, 1)))
    except csv.Error:
        message = "a double quote in this row is not closed, or text follows one that is"
        problems.add(Problem((), message, "mend the quotes", place=(at, 1)))


def _wrong_width(line: int, row: list[str], layout: _Layout) -> Problem:
    kind = f"has too {'many' if len(row) > layout.width else 'few'} cells"
    if layout.width == 1:
        hint = "write one number a line; a table needs a line of headers, and `column`"
        return Problem((), f"the row {kind}: {len(row)}, not 1", hint, kind, place=(line, 1))
    message = f"the row {kind}: {len(row)}, the header has {layout.width}"
    return Problem((), message, "mend the row", kind, place=(line, 1))


def _header(line: int, piece: bytes, column: str | None) -> tuple[_Layout | None, int, bytes]:
    """Read the header, if there is one; give the layout, and what follows with its first line."""
    rest = piece
    while rest:
        head, _, after = rest.partition(b"\n")
        written = head.decode("utf-8").strip()
        if not written:
            line, rest = line + 1, after
            continue
        if _like_a_number(written) and not any(mark in written for mark in _DELIMITERS):
            if column is not None:
                message = f"the first line is a number; it must hold the header {quoted(column)}"
                hint = "put the headers above it, or delete `column`: a list of numbers needs none"
                raise Unsound(Problem((), message, hint, place=(line, 1)))
            return _Layout(",", 1, 0), line, rest
        return _columns(line, written, column), line + 1, after
    return None, line, b""


def _like_a_number(written: str) -> bool:
    return sum(map(str.isdigit, written)) >= _MANY_DIGITS or _SHORT.fullmatch(written) is not None


def _columns(line: int, written: str, column: str | None) -> _Layout:
    """Find the numbers' column in a header. Raises `Unsound`."""
    place = (line, 1)
    outside = re.sub(r'"[^"]*"', "", written)
    found = [char for char in _DELIMITERS if char in outside]
    if len(found) > 1:
        between = " and ".join(_DELIMITERS[char] for char in found)
        message = f"the header contains {between}: which of them stands between cells is unclear"
        raise Unsound(Problem((), message, "put headers with one in double quotes", place=place))
    delimiter = found[0] if found else ","
    try:
        cells = next(csv.reader([written], delimiter=delimiter, strict=True))
    except csv.Error:
        message = "the header has a double quote that is not closed"
        raise Unsound(Problem((), message, "close it", place=place)) from None
    headers = [cell.strip() for cell in cells]
    if any(map(_like_a_number, headers)):
        message = "the first line looks like a row of numbers; it must hold the headers"
        raise Unsound(Problem((), message, "put the headers above it", place=place))
    wanted = column if column is not None else headers[0] if len(headers) == 1 else "phone_number"
    if headers.count(wanted) == 1:
        return _Layout(delimiter, len(headers), headers.index(wanted))
    # Without one of the usual names it may be no header at all, but somebody's name.
    are_names = any(map(is_usual_header, headers))
    listed = ", ".join(quoted(header) for header in headers[:_MOST_SHOWN] if are_names)
    if headers.count(wanted) > 1:
        message = f"{headers.count(wanted)} columns have the header {quoted(wanted)}"
        raise Unsound(Problem((), message, "rename or delete the others", place=place))
    meant = did_you_mean(wanted, headers) if column is not None else None
    hint = f"did you mean {quoted(meant)}? " if meant else ""
    message = (
        f"no column has the header {quoted(wanted)}, which `column` names"
        if column is not None
        else "which column holds the numbers is not said"
    )
    if listed:
        hint += f"the headers are {listed}" if column else f"write `column: …`; there are {listed}"
    else:
        hint += "the first line must hold the headers; then write which it is: `column: …`"
    raise Unsound(Problem((), message, hint, place=place))
