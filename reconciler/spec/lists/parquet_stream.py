"""Very long Parquet lists, some rows at a time: what `parquet_list` reads, without keeping it.

The file is copied first, to where nobody else can change it, and the copy is read: what was hashed
while it was copied is what was read, whatever becomes of the file meanwhile. A hash taken before
and another after would not show bytes that were changed and changed back.

Columns become JSON whole, nothing in them being looked at one by one: of what comes out, quotes,
backslashes and control characters are counted, and when there are no more than was put between the
cells, no cell held any. Rows that hold some are read one by one.

Promises: the same contacts as `parquet_list.read_list` gives, all of them sound, or `Odd`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from reconciler.spec.contacts import all_sound
from reconciler.spec.lists.columns import NAME, NUMBER, Unusable, matched
from reconciler.spec.lists.parquet_list import WORDING, Table, contact_of, pyarrow, text_array
from reconciler.spec.lists.spool import NUMBER_WIDTH, File, Reading, Spooling, as_lines
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from reconciler.model import Contact
    from reconciler.spec.lists.csv_stream import Readable
    from reconciler.spec.lists.list_rules import ListFile
    from reconciler.spec.lists.spool import Spooled

_PIECE = 1 << 20
_NUMBERS = re.compile(rb"(?:\+[1-9][0-9]{6,14}\n)*+")
_CONTROLS = bytes(range(32))
_ESCAPED = r'[\x00-\x1f"\\]'
"""What JSON writes otherwise than it is."""


def read_stream(
    stream: Readable, file: ListFile, *, memory: bool = False, shelf: File | None = None
) -> Spooled:
    """Read a list, all contacts of which must be sound. With `memory`, write nothing to disk.

    The contacts are added to `shelf`, if one is given (see `Spooling`). Raises `Odd` when
    `parquet_list.examine_list` should say what is wrong, `OSError`, and `Unreadable` without
    pyarrow.
    """
    arrow, compute, _ = pyarrow()
    spooling = Spooling(memory=memory, shelf=shelf)
    with _copied(stream, memory=memory).opened() as source:
        try:
            table = Table(source, file)
            writer = _Writer(compute, table.names, file)
            for arrays in table.batches():
                spooling.add(writer.lines([text_array(arrow, array) for array in arrays]))
        except (arrow.ArrowException, Unusable, UnicodeDecodeError) as error:
            raise Odd from error
    if not spooling.count:
        raise Odd
    return spooling.sorted()


def _copied(stream: Readable, *, memory: bool) -> File:
    """Copy a list to where nobody else can change it, unless that is where it is."""
    if isinstance(stream, Reading):
        return stream.file
    copy = File(memory=memory)
    while data := stream.read(_PIECE):
        copy.write(data)
    return copy


class _Writer:
    """Writes columns of texts as the lines that `Spooling` takes."""

    def __init__(self, compute: Any, names: list[str], file: ListFile) -> None:
        """Say what is to be between the cells. Raises `Unusable`."""
        self._indexes = matched(names, file, WORDING, (1, 1))
        self._everybody = file.call_variables
        self._compute = compute
        said = dict.fromkeys(self._indexes.keys() - {NUMBER}, "") | self._everybody
        # In the order in which canonical JSON has them.
        ordered = list(orjson.loads(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)))
        middle = ordered.index(NAME)
        self._cells: list[tuple[int | None, str, str]] = []
        """Which column, or none, what stands before each cell of it, and what behind."""
        for place, name in enumerate(ordered):
            # `callee_name` is never absent, so commas stand on the side that is towards it.
            before, after = "," * (place > middle), "," * (place < middle)
            key = orjson.dumps(name).decode()
            if name in self._everybody:
                value = orjson.dumps(self._everybody[name]).decode()
                self._cells.append((None, f"{before}{key}:{value}{after}", ""))
            else:
                self._cells.append((self._indexes[name], f'{before}{key}:"', f'"{after}'))

    def lines(self, columns: list[Any]) -> list[bytes]:
        """Give a line for each row that is not empty. Raises `Odd`, `ArrowException`."""
        lines = self._plain(columns)
        if lines is not None:
            return lines
        odd = self._odd(columns)
        plain = self._compute.invert(odd)
        lines = self._plain([column.filter(plain) for column in columns])
        if lines is None:
            return self._one_by_one(columns)
        return lines + self._one_by_one([column.filter(odd) for column in columns])

    def _plain(self, columns: list[Any]) -> list[bytes] | None:
        """Give a line for each row where no row is empty and no cell needs to be escaped."""
        numbers = columns[self._indexes[NUMBER]]
        rows = len(numbers)
        if not self._sound(columns):
            return None
        pc = self._compute
        laid: list[Any] = [pc.ascii_rpad(numbers, NUMBER_WIDTH), '{"call_variables":{']
        escaped = 0
        for index, before, behind in self._cells:
            if index is None:
                laid.append(before)
                escaped += _escapes(before) * rows
                continue
            column = columns[index]
            escaped += _escapes(before + behind) * (rows - column.null_count)
            if column.null_count:
                options = {"null_handling": "emit_null"}
                cell = pc.binary_join_element_wise(before, column, behind, "", **options)
                laid.append(pc.fill_null(cell, ""))
            else:
                laid += [before, column, behind]
        laid += ['},"phone_number":"', numbers, '"}\n']
        escaped += _escapes("".join((laid[1], laid[-3], laid[-1]))) * rows
        data = self._joined(*laid)
        if data.count(b'"') + data.count(b"\\") != escaped:
            return None
        if len(data) - len(data.translate(None, _CONTROLS)) != rows:
            return None
        lines = data.split(b"\n")
        lines.pop()
        return lines

    def _joined(self, *parts: Any) -> bytes:
        """Put texts and columns of texts together, row after row."""
        joined = self._compute.binary_join_element_wise(*parts, "")
        size = self._compute.sum(self._compute.binary_length(joined)).as_py() or 0
        return bytes(joined.buffers()[2][:size]) if size else b""

    def _sound(self, columns: list[Any]) -> bool:
        """Tell whether each row has a number, and a name that is not blank."""
        numbers = columns[self._indexes[NUMBER]]
        if numbers.null_count:
            return False
        # A line break in one would make it look like two; it is seen when all is put together.
        if _NUMBERS.fullmatch(self._joined(numbers, "\n")) is None:
            return False
        if NAME in self._everybody:
            return True
        names = columns[self._indexes[NAME]]
        return not names.null_count and all(map(str.strip, names.to_pylist()))

    def _odd(self, columns: list[Any]) -> Any:
        """Mark the rows that are not plain: an array of booleans."""
        pc = self._compute
        odd = pc.is_null(columns[self._indexes[NUMBER]])
        for index, _, _ in self._cells:
            if index is not None:
                found = pc.match_substring_regex(columns[index], _ESCAPED)
                odd = pc.or_(odd, pc.fill_null(found, fill_value=False))
        return odd

    def _one_by_one(self, columns: list[Any]) -> list[bytes]:
        """Read rows one by one. Raises `Odd`."""
        contacts: list[Contact] = []
        for cells in zip(*(column.to_pylist() for column in columns), strict=True):
            contact = contact_of(cells, self._indexes, self._everybody)
            if contact is not None:
                contacts.append(contact)
        if contacts and not all_sound(contacts):
            raise Odd
        return as_lines(contacts)


def _escapes(text: str) -> int:
    return text.count('"') + text.count("\\")
