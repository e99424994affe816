"""What became of each contact, as CSV or JSONL: rows for people's own use.

These rows hold phone numbers and names on purpose: they are the data that was asked for, and go
where the user sends them and nowhere else. Both forms can be read back as far as they were written,
so that an interrupted run can be continued.
"""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, Any, Protocol

import orjson

from reconciler.api.models import as_id
from reconciler.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Row = Mapping[str, Any]

CONTACT_COLUMNS = (
    "generation",
    "part",
    "batch_id",
    "contact_id",
    "phone_number",
    "callee_name",
    "status",
    "retry_count",
    "follow_up_count",
    "last_attempted_at",
    "next_retry_at",
)
CALL_COLUMNS = (
    "execution_id",
    "call_status",
    "duration_seconds",
    "sentiment",
    "summary",
    "hangup_by",
    "hangup_reason",
    "recording_url",
)
"""Fields of a contact's last call."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is run as a formula by spreadsheets."""
_CALL_LISTS = ("calls", "call_records", "executions", "call_history")
"""Under which name the calls come is not documented; these are tried first."""

Known = set[tuple[str, str]]
"""The (batch id, contact id) of rows that are written already."""


class Form(Protocol):
    """How rows are written, and read back."""

    header: bytes

    def line(self, row: Row) -> bytes:
        """Give one row as it is written."""

    def read(self, written: IO[bytes]) -> tuple[Known, int]:
        """Give the rows of a part that was written earlier, and where the last whole one ends.

        Raises `Refused` for what was not written in this form.
        """


def result_row(
    contact: Mapping[str, Any], *, generation: int, part: int, batch_id: str, calls: bool
) -> dict[str, Any]:
    """Make a row out of a contact as the API gives it; fields that it lacks are None.

    `calls` adds the last call's fields, and all calls as `calls`.
    """
    variables = contact.get("call_variables")
    fixed = {
        "generation": generation,
        "part": part,
        "batch_id": batch_id,
        "contact_id": contact_id_of(contact),
        "callee_name": variables.get("callee_name") if isinstance(variables, dict) else None,
    }
    row = {name: fixed.get(name, contact.get(name)) for name in CONTACT_COLUMNS}
    if calls:
        records = calls_of(contact)
        last = last_call(records)
        row.update({name: last.get(name) for name in CALL_COLUMNS})
        row["calls"] = records
    return row


def contact_id_of(contact: Mapping[str, Any]) -> str | None:
    """Give a contact's id, under either of the names it is known to come by."""
    return as_id(contact.get("contact_id")) or as_id(contact.get("id"))


def calls_of(contact: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Find a contact's call records, whatever the list is called."""
    candidates = [contact.get(name) for name in _CALL_LISTS]
    candidates.extend(value for value in contact.values() if isinstance(value, list))
    for value in candidates:
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            return value
    return []


def last_call(calls: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Give the latest call: by when it started if all tell, else the last one of the list."""
    if not calls:
        return {}
    starts = [call.get("started_at") for call in calls]
    if all(isinstance(start, str) for start in starts):
        return max(enumerate(calls), key=lambda each: (str(each[1]["started_at"]), each[0]))[1]
    return calls[-1]


def form_of(kind: str, *, calls: bool) -> Form:
    """Give the form for `csv` or `jsonl`."""
    columns = (*CONTACT_COLUMNS, *(CALL_COLUMNS if calls else ()))
    return Csv(columns) if kind == "csv" else Jsonl((*columns, *(["calls"] if calls else [])))


class Csv:
    """RFC 4180, UTF-8, with a header.

    A cell that a spreadsheet would run gets an apostrophe in front, phone numbers (`'+91…`) too:
    a program that reads the file takes that one character off, or reads JSONL.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self.header = _csv_line(columns)

    def line(self, row: Row) -> bytes:
        """Give a row as a line; what has no column is left out."""
        return _csv_line([guarded(_cell(row.get(name))) for name in self._columns])

    def read(self, written: IO[bytes]) -> tuple[Known, int]:
        """Give which rows are there, and where the last whole one ends."""
        first = written.readline()
        if not first.endswith(b"\n") and self.header.startswith(first):
            return set(), 0
        if first != self.header:
            raise _foreign()
        known: Known = set()
        whole = len(first)
        lines = _Lines(written, whole)
        # Strict: an end of the file within quotes, which is where a row broke off, is an error.
        reader = csv.reader(lines, strict=True)
        batch, contact = self._columns.index("batch_id"), self._columns.index("contact_id")
        try:
            for cells in reader:
                if not lines.complete or len(cells) != len(self._columns):
                    break
                known.add((_unguarded(cells[batch]), _unguarded(cells[contact])))
                whole = lines.offset
        except csv.Error:
            pass
        return known, whole


class Jsonl:
    """One JSON object a line, values as the API gave them."""

    header = b""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = tuple(fields)

    def line(self, row: Row) -> bytes:
        """Give a row as a line."""
        fields = {name: row.get(name) for name in self._fields}
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)

    def read(self, written: IO[bytes]) -> tuple[Known, int]:
        """Give which rows are there, and where the last whole one ends."""
        known: Known = set()
        whole = 0
        for line in written:
            if not line.endswith(b"\n"):
                break
            try:
                row = orjson.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict) or set(row) != set(self._fields):
                raise _foreign()
            known.add((str(row["batch_id"]), str(row["contact_id"])))
            whole += len(line)
        return known, whole


def guarded(cell: str) -> str:
    """Put an apostrophe before a cell that a spreadsheet would take for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _unguarded(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


def _foreign() -> Refused:
    return Refused(
        "what was written so far has other columns or another format, so it cannot be continued",
        hint="give the options of the interrupted run again, or leave --resume out to start anew",
    )


def _csv_line(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool() | list() | dict():
            return orjson.dumps(value).decode()
        case _:
            return str(value)


class _Lines:
    """The lines of a file as text, and how far they were taken."""

    def __init__(self, written: IO[bytes], offset: int) -> None:
        self._written = written
        self.offset = offset
        self.complete = True

    def __iter__(self) -> Iterator[str]:
        for line in self._written:
            self.offset += len(line)
            self.complete = line.endswith(b"\r\n")
            yield line.decode(errors="replace")
