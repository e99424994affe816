"""Contact lists in CSV: a fast pass that takes sound lists, and an exact one that explains.

The format: UTF-8 (a BOM is fine), a header line, `,` `;` or tab between the cells, quotes as in
RFC 4180. Surrounding spaces and tabs of a cell do not count, as in YAML; nor do lines without any
content. An empty cell is an absent call variable, so that the campaign's default applies. Line
breaks within a cell count as a line feed, whatever git made of them on this machine.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from reconciler.spec.lists.columns import (
    NUMBER,
    Examined,
    Unusable,
    Wording,
    is_usual_header,
    matched,
    turned_round,
)
from reconciler.spec.problems import Path, Problem, quoted
from reconciler.spec.source import text_problem
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.model import Contact
    from reconciler.spec.lists.list_rules import ListFile

_BLANKS = " \t"
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
CONTROLS = bytes(code for code in (*range(32), 127) if code not in b"\t\n\r")
_SEP_LINE = re.compile(r'"?sep=(.)"?\Z', re.IGNORECASE)
_PHONE_LIKE = re.compile(
    r"\A\+?[0-9][0-9 ().-]{5,}[0-9]\Z"  # nothing but a number
    r"|(?<![0-9A-Za-z_])\+?\(?(?:[0-9][ ().-]*){8,}[0-9](?![0-9A-Za-z_])"  # a long one in a text
)
_WORDING = Wording(lacking="no column has the header", plural="headers")


reader = partial(csv.reader, strict=True, skipinitialspace=True)
"""Cuts lines into cells. A quote opens a cell also after spaces, for these do not count."""


class Layout(Struct, frozen=True):
    """Which cell of a row is what: `variables` are pairs of our name and the cell's index."""

    delimiter: str
    width: int
    number: int
    variables: tuple[tuple[str, int], ...]


def read_list(data: bytes, file: ListFile) -> list[Contact]:
    """Read a list in which everything is as it should be; contacts are not checked here.

    `data` comes without a BOM. Raises `Odd` when `examine_list` should say what is wrong.
    """
    if len(data.translate(None, CONTROLS)) != len(data):
        raise Odd
    try:
        rows = Rows(data)
        layout = read_layout(rows, file)
        return sound_contacts(rows.lines, layout, file.call_variables)
    except (UnicodeDecodeError, csv.Error, Unusable) as error:
        raise Odd from error


def sound_contacts(
    lines: Iterable[str], layout: Layout, everybody: dict[str, str]
) -> list[Contact]:
    """Give the contact of each row that has any content. Raises `Odd`, `csv.Error`."""
    contacts: list[Contact] = []
    number, variables, width = layout.number, layout.variables, layout.width
    for row in reader(lines, delimiter=layout.delimiter):
        if len(row) != width:
            if any(cell.strip(_BLANKS) for cell in row):
                raise Odd
            continue
        said = {name: cell for name, i in variables if (cell := row[i].strip(_BLANKS))}
        phone = row[number].strip(_BLANKS)
        if phone or said:
            if everybody:
                said.update(everybody)
            contacts.append({"phone_number": phone, "call_variables": said})
        elif any(cell.strip(_BLANKS) for cell in row):
            raise Odd
    return contacts


def examine_list(data: bytes, file: ListFile, wanted: set[Path]) -> Examined:
    """Read a list row by row, telling what is wrong with rows, and where the wanted paths stand.

    Paths are as in the YAML form: `("contacts", 17, "phone_number")`, and
    `("contacts", 17, "call_variables", "callee_name")`. A row that cannot be read is no contact.
    """
    problem = text_problem(data)
    if problem is not None:
        return Examined(problems=[problem])
    rows = Rows(data)
    try:
        layout = read_layout(rows, file)
    except Unusable as error:
        return Examined(problems=[error.problem])
    examined = Examined()
    rows_wanted = {path[1] for path in wanted if len(path) > 1}
    count = 0
    try:
        for line, raw, row in rows.records(layout.delimiter):
            problem = _row_problem(layout, line, row)
            if problem is not None:
                examined.problems.append(problem)
            elif _is_contact(layout, row):
                if count in rows_wanted:
                    _note_cells(examined, layout, count, (line, raw))
                count += 1
    except Unusable as error:
        examined.problems.append(error.problem)
    return replace(examined, contacts=_Contacts(data, file, layout, count))


class _Contacts(Collection["Contact"]):
    """The contacts of a list that is examined, sound or not: made as they are asked for."""

    def __init__(self, data: bytes, file: ListFile, layout: Layout, count: int) -> None:
        self._data = data
        self._file = file
        self._layout = layout
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __contains__(self, contact: object) -> bool:
        return any(each == contact for each in self)

    def __iter__(self) -> Iterator[Contact]:
        rows = Rows(self._data)
        layout = read_layout(rows, self._file)
        records = rows.records(layout.delimiter)
        # What cannot be read comes after the last of them.
        for _, _, row in islice(
            (each for each in records if _is_contact(layout, each[2])), len(self)
        ):
            said = {name: value for name, i in layout.variables if (value := row[i].strip(_BLANKS))}
            said |= self._file.call_variables
            yield {"phone_number": row[layout.number].strip(_BLANKS), "call_variables": said}


def find_contact(data: bytes, file: ListFile, number: str, index: int) -> Examined:
    """Find where the contact with a number stands, in a list that is sound; `index` is its own."""
    examined = Examined()
    rows = Rows(data)
    try:
        layout = read_layout(rows, file)
        records = rows.records(layout.delimiter)
        if b'"' not in data and b"\r" not in data:
            records = _records_with(data, number, layout.delimiter)
        for line, raw, row in records:
            if len(row) == layout.width and row[layout.number].strip(_BLANKS) == number:
                _note_cells(examined, layout, index, (line, raw))
                break
    except (UnicodeDecodeError, Unusable):
        pass  # it is another list by now
    return examined


def _records_with(data: bytes, text: str, delimiter: str) -> Iterator[tuple[int, str, list[str]]]:
    """Give the records in which a text stands, of a list without quotes: a line each."""
    end = -1
    while (found := data.find(text.encode(), end + 1)) >= 0:
        begin = data.rfind(b"\n", 0, found) + 1
        end = data.find(b"\n", found)
        end = len(data) if end < 0 else end
        raw = data[begin:end].decode("utf-8")
        yield data.count(b"\n", 0, begin) + 1, raw, raw.split(delimiter)


def _is_contact(layout: Layout, row: list[str]) -> bool:
    """Tell whether a row is a contact: it has any content, and as many cells as the header."""
    return len(row) == layout.width and any(cell.strip(_BLANKS) for cell in row)


def _row_problem(layout: Layout, line: int, row: list[str]) -> Problem | None:
    """Say what is wrong with a row that has any content but another width than the header."""
    if len(row) == layout.width or not any(cell.strip(_BLANKS) for cell in row):
        return None
    more = len(row) > layout.width
    kind = f"has too {'many' if more else 'few'} cells"
    mark = _DELIMITERS[layout.delimiter]
    return Problem(
        ("contacts",),
        f"the row {kind}: {len(row)}, the header has {layout.width}",
        f"a cell with {mark} in it needs double quotes" if more else "add the missing ones",
        kind,
        place=(line, 1),
    )


def _note_cells(examined: Examined, layout: Layout, index: int, record: tuple[int, str]) -> None:
    """Remember where the cells of one contact stand."""
    line, raw = record
    starts = list(_cell_starts(raw, layout.delimiter))
    path: Path = ("contacts", index)
    examined.cells[path] = (line, 1)

    def place(cell: int) -> tuple[int, int]:
        down, column = starts[cell] if cell < len(starts) else (0, 1)
        return (line + down, column)

    examined.cells[(*path, NUMBER)] = place(layout.number)
    for name, cell in layout.variables:
        examined.cells[(*path, "call_variables", name)] = place(cell)


def _cell_starts(raw: str, delimiter: str) -> Iterator[tuple[int, int]]:
    """Give where each cell of a record begins: (lines further down, column from 1)."""
    down, line_start, in_quotes, at_start = 0, 0, False, True
    yield (0, 1)
    for offset, char in enumerate(raw):
        if char == '"' and (in_quotes or at_start):
            in_quotes = not in_quotes
        elif char == "\n":
            down, line_start = down + 1, offset + 1
        elif char == delimiter and not in_quotes:
            yield (down, offset + 2 - line_start)
            at_start = True
            continue
        # A doubled quote closes and opens again; only what follows a delimiter opens anew.
        at_start = not in_quotes and (char == '"' or (at_start and char == " "))


class Rows:
    """The lines of a list, and the record that is being read, for its place.

    Reading raises `UnicodeDecodeError` where the list is not UTF-8.
    """

    def __init__(self, data: bytes) -> None:
        # Decoded as it is read: whole, text takes up to four times the room.
        self.lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline=None)
        self.line = 0
        """How many lines were read before the records (the header, `sep=`, blank lines)."""

    def records(self, delimiter: str) -> Iterator[tuple[int, str, list[str]]]:
        """Give each record: its first line, its raw text, its cells. Raises `Unusable`."""
        raw: list[str] = []

        def remembered() -> Iterator[str]:
            for line in self.lines:
                raw.append(line)
                yield line

        cells = reader(remembered(), delimiter=delimiter)
        line = self.line + 1
        while True:
            try:
                row = next(cells, None)
            except csv.Error as error:
                raise _broken(error, line, delimiter) from error
            if row is None:
                return
            yield line, "".join(raw), row
            line = self.line + cells.line_num + 1
            raw.clear()


def _broken(error: csv.Error, line: int, delimiter: str) -> Unusable:
    """Say what the CSV reader stumbled over."""
    said = str(error)
    if "expected after" in said:
        message = "text follows a closing quote"
        hint = 'a quote within a quoted cell is written twice (`"the ""big"" one"`)'
    elif "limit" in said:
        message = f"a cell has more than {csv.field_size_limit():,} characters"
        hint = "look for a double quote that is never closed"
    else:
        message = "a double quote in this row is never closed"
        hint = f"close it, before the next {_DELIMITERS[delimiter][2:]} or line end"
    return Unusable(message, hint, (line, 1))


def read_layout(rows: Rows, file: ListFile) -> Layout:
    """Read the header: delimiter, columns, which of them is what. Raises `Unusable`."""
    delimiter = None
    first = ""
    for first in rows.lines:
        rows.line += 1
        declared = _SEP_LINE.match(first.strip()) if rows.line == 1 else None
        if declared:
            delimiter = declared[1]
            if delimiter not in _DELIMITERS:
                raise Unusable(
                    f"`sep=` declares {quoted(delimiter)}; a comma, a semicolon or"
                    " a tab can stand between cells",
                    "delete the line",
                    (1, 1),
                )
            first = ""  # noqa: PLW2901 - the header is still to come
        elif first.strip():
            break
    if not first.strip():
        raise Unusable(
            "the list is empty",
            "its first line holds the headers, such as `phone_number,callee_name`",
            (1, 1),
        )
    line = rows.line
    # A quoted header may hold a line break.
    while first.count('"') % 2 and (more := rows.lines.readline()):
        first += more
        rows.line += 1
    if delimiter is None:
        delimiter = _delimiter(first, line)
    try:
        cells = next(reader(io.StringIO(first), delimiter=delimiter))
    except csv.Error as error:
        raise _broken(error, line, delimiter) from error
    headers = [cell.strip() for cell in cells]
    _check_headers(headers, file, line)
    indexes = matched(headers, file, _WORDING, (line, 1))
    number = indexes.pop(NUMBER)
    return Layout(delimiter, len(headers), number, tuple(indexes.items()))


def _delimiter(header: str, line: int) -> str:
    """Find what stands between the headers, outside of quotes."""
    outside = re.sub(r'"[^"]*"', "", header)
    found = [char for char in _DELIMITERS if char in outside]
    if len(found) > 1:
        names = " and ".join(_DELIMITERS[char] for char in found)
        raise Unusable(
            f"the header contains {names}: which of them stands between cells is unclear",
            "put headers that contain one of them in double quotes",
            (line, 1),
        )
    return found[0] if found else ","


def _check_headers(headers: list[str], file: ListFile, line: int) -> None:
    """Refuse headers that are no names: data, blanks, duplicates.

    What may be somebody's name is not shown: a first line that has no header which is looked for.
    """
    if any(map(_PHONE_LIKE.search, headers)):
        raise Unusable(
            "the first line looks like a contact; it must hold the headers",
            "put a line such as `phone_number,callee_name` above it",
            (line, 1),
        )
    known = any(is_usual_header(each) or each in file.columns.values() for each in headers)
    if not known and turned_round(headers, file) is None:
        raise Unusable(
            "the first line names no column that could hold phone numbers or names; it must hold "
            "the headers",
            "put a line such as `phone_number,callee_name` above it; or say which columns they are:"
            " `columns: {phone_number: …, callee_name: …}` in the spec",
            (line, 1),
        )
    for index, header in enumerate(headers):
        if not header:
            raise Unusable(
                f"column {index + 1} has no header",
                "name it, or delete the column (spreadsheets leave empty ones at the end)",
                (line, 1),
            )
        if header in headers[:index]:
            raise Unusable(
                f"two columns have the header {quoted(header)}", "rename or delete one", (line, 1)
            )
