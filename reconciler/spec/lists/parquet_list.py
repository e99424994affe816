"""Contact lists in Parquet, read by pyarrow, which is imported here only.

Columns hold texts, whole numbers, booleans, dates or decimals, and `call_variables` may be a struct
of such: its fields are columns then. What has no one way to be written as text (floating-point
numbers, times, lists) is refused, because another version of a library would write it otherwise,
and the batch would look changed. A null is an absent call variable.

A row number stands where other lists have a line, a column's number in place of a column.
"""

from __future__ import annotations

from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

from reconciler.spec.lists.columns import NUMBER, Examined, Unusable, Wording, matched, our_name
from reconciler.spec.problems import Path, Problem, quoted
from reconciler.spec.source import Unreadable
from reconciler.spec.yaml.builder import Odd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.model import Contact
    from reconciler.spec.lists.list_rules import ListFile

MAX_ROWS = 10_000_000
"""How many rows a list may have: a few bytes of Parquet can stand for any number of them."""

_BATCH = 10_000
_BUFFER = 1 << 18
_MAX_BYTES = 4 * 1024 * 1024 * 1024
_NESTED = "call_variables"
WORDING = Wording(lacking="there is no column", plural="columns")
_TEXT_HINT = "write the column as text"


def read_list(data: bytes, file: ListFile) -> list[Contact]:
    """Read a list in which everything is as it should be; contacts are not checked here.

    Raises `Odd` when `examine_list` should say what is wrong, `Unreadable` without pyarrow.
    """
    try:
        return [contact for _, contact in _contacts(Table(data, file), file)]
    except Unusable as error:
        raise Odd from error


def examine_list(data: bytes, file: ListFile, wanted: set[Path]) -> Examined:
    """Read a list again, telling why it cannot be read, and in which rows wanted paths stand.

    Paths are as in `reconciler.spec.lists.csv_list`. Raises `Unreadable` without pyarrow.
    """
    contacts: list[Contact] = []
    examined = Examined(contacts=contacts)
    rows_wanted = {path[1] for path in wanted if len(path) > 1}
    try:
        table = Table(data, file)
        indexes = matched(table.names, file, WORDING, (1, 1))
        for row, contact in _contacts(table, file):
            index = len(contacts)
            contacts.append(contact)
            if index in rows_wanted:
                _note_cells(examined, indexes, index, row)
    except Unusable as error:
        examined.problems.append(error.problem)
    return examined


def find_contact(data: bytes, file: ListFile, number: str, index: int) -> Examined:
    """Find where the contact with a number stands, in a list that is sound; `index` is its own.

    Raises `Unreadable` without pyarrow.
    """
    examined = Examined()
    try:
        table = Table(data, file)
        indexes = matched(table.names, file, WORDING, (1, 1))
        for row, contact in _contacts(table, file):
            if contact["phone_number"] == number:
                _note_cells(examined, indexes, index, row)
                break
    except Unusable:
        pass  # it is another list by now
    return examined


def _note_cells(examined: Examined, indexes: dict[str, int], index: int, row: int) -> None:
    """Remember where the cells of one contact stand."""
    examined.cells[("contacts", index)] = (row, 1)
    for name, column in indexes.items():
        below = (NUMBER,) if name == NUMBER else (_NESTED, name)
        examined.cells[("contacts", index, *below)] = (row, column + 1)


class Table:
    """A Parquet file: the names of its columns, and its rows as texts. Raises `Unusable`.

    `source` is the whole of it, or a file that is open, which is read as rows are asked for. A
    column that `file` drops may hold what cannot be written as text.
    """

    def __init__(self, source: bytes | IO[bytes], file: ListFile) -> None:
        arrow, _, parquet = pyarrow()
        self._arrow = arrow
        self._broken = (arrow.ArrowException, OSError, UnicodeDecodeError)
        try:
            if isinstance(source, bytes):
                self._file = parquet.ParquetFile(arrow.BufferReader(source))
            else:
                # With a buffer, a column is read bit by bit: a row group may be the whole file.
                self._file = parquet.ParquetFile(source, buffer_size=_BUFFER)
            schema = self._file.schema_arrow
            rows = self._file.metadata.num_rows
            groups = range(self._file.metadata.num_row_groups)
            size = sum(self._file.metadata.row_group(group).total_byte_size for group in groups)
        except self._broken as error:
            raise _no_parquet(error) from error
        if rows > MAX_ROWS or size > _MAX_BYTES:
            message = f"the list has {rows:,} rows and {size:,} bytes"
            raise Unusable(message, "split the list and its spec in two")
        self._fields = [
            _Column(arrow, field, place, file) for place, field in enumerate(schema, start=1)
        ]
        self.names = [name for column in self._fields for name in column.names]
        for index, name in enumerate(self.names):
            if name in self.names[:index]:
                message = f"two columns have the name {quoted(name)}"
                raise Unusable(message, "rename or delete one", (1, index + 1))

    def rows(self) -> Iterator[tuple[str | None, ...]]:
        """Give the cells of each row, in the order of `names`."""
        try:
            for arrays in self.batches():
                texts = [_texts(self._arrow, array) for array in arrays]
                yield from zip(*texts, strict=True)
        except self._broken as error:  # a damaged dictionary shows only now
            raise _no_parquet(error) from error

    def batches(self) -> Iterator[list[Any]]:
        """Give the columns of some thousand rows at a time, in the order of `names`, as arrays."""
        batches = self._file.iter_batches(batch_size=_BATCH)
        while True:
            try:
                batch = next(batches, None)
            except self._broken as error:
                raise _no_parquet(error) from error
            if batch is None:
                return
            pairs = zip(self._fields, batch.columns, strict=True)
            yield [array for column, whole in pairs for array in column.parts(whole)]


class _Column:
    """One column of the file, or the fields of a struct `call_variables`."""

    def __init__(self, arrow: Any, field: Any, place: int, file: ListFile) -> None:
        self._arrow = arrow
        self._struct = field.name == _NESTED and arrow.types.is_struct(field.type)
        inner = list(field.type) if self._struct else [field]
        self.names = [str(one.name) for one in inner]
        self._wordless: set[int] = set()
        for index, one in enumerate(inner):
            try:
                _check_type(arrow, one, (1, place))
            except Unusable:
                if our_name(self.names[index], file) is not None:
                    raise
                self._wordless.add(index)

    def parts(self, array: Any) -> list[Any]:
        """Give the array of each of `names`; of one without words, where there is anything."""
        arrays = list(array.flatten()) if self._struct else [array]
        for index in self._wordless:
            there = arrays[index].is_valid().to_pylist()
            texts = ["…" if each else None for each in there]
            arrays[index] = self._arrow.array(texts, self._arrow.string())
        return arrays


def _contacts(table: Table, file: ListFile) -> Iterator[tuple[int, Contact]]:
    """Give each row that is not empty: its number from 1, and its contact. Raises `Unusable`."""
    indexes = matched(table.names, file, WORDING, (1, 1))
    for row, cells in enumerate(table.rows(), start=1):
        contact = contact_of(cells, indexes, file.call_variables)
        if contact is not None:
            yield row, contact


def contact_of(
    cells: tuple[str | None, ...], indexes: dict[str, int], everybody: dict[str, str]
) -> Contact | None:
    """Make a contact of a row, or none of an empty one; `indexes` are as `matched` gives them."""
    said = {name: cell for name, i in indexes.items() if (cell := cells[i]) is not None}
    phone = said.pop(NUMBER, None)
    if phone is None and not said and not any(cells):
        return None
    return {"phone_number": phone or "", "call_variables": {**said, **everybody}}


def text_array(arrow: Any, array: Any) -> Any:
    """Write a column's cells as text, as an array of texts. Raises `Unusable`, `ArrowException`."""
    if arrow.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if arrow.types.is_null(array.type):
        return arrow.nulls(len(array), arrow.string())
    if _is_text(arrow, array.type):
        texts = array.cast(arrow.string())
        texts.validate(full=True)
        return texts
    try:
        array = array.dictionary_encode()
    except arrow.ArrowNotImplementedError:
        return arrow.array(_texts(arrow, array), arrow.string())
    # Each value is written once, and by the same rule as one by one.
    return arrow.array(_texts(arrow, array.dictionary), arrow.string()).take(array.indices)


def _texts(arrow: Any, array: Any) -> list[str | None]:
    """Write a column's cells as text. Raises `Unusable`, `UnicodeDecodeError`."""
    kind = array.type
    if arrow.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    try:
        values = array.to_pylist()
    except OverflowError as error:
        raise Unusable("a date lies outside of the years 1 to 9999", _TEXT_HINT) from error
    if _is_text(arrow, kind) or arrow.types.is_null(kind):
        return list(values)
    if arrow.types.is_boolean(kind):
        return [None if value is None else str(value).lower() for value in values]
    # Of a whole number there is one way to write it, of a date ISO's.
    return [
        None if v is None else format(v, "f") if isinstance(v, Decimal) else str(v) for v in values
    ]


def _check_type(arrow: Any, field: Any, place: tuple[int, int]) -> None:
    """Refuse a column whose values have no one way to be written as text. Raises `Unusable`."""
    kind = field.type.value_type if arrow.types.is_dictionary(field.type) else field.type
    types = arrow.types
    sound = _is_text(arrow, kind) or any(
        test(kind)
        for test in (
            types.is_null,
            types.is_boolean,
            types.is_integer,
            types.is_date32,
            types.is_decimal,
        )
    )
    if sound:
        return
    what = "floating-point numbers" if types.is_floating(kind) else f"values of the type {kind}"
    message = f"the column {quoted(field.name)} holds {what}, which can be written in several ways"
    raise Unusable(message, _TEXT_HINT, place)


def _is_text(arrow: Any, kind: Any) -> bool:
    types = arrow.types
    tests = (types.is_string, types.is_large_string, types.is_string_view)
    return any(test(kind) for test in tests)


def _no_parquet(error: Exception) -> Unusable:
    if isinstance(error, UnicodeDecodeError):
        return Unusable("a text of the list is not UTF-8", "write the list anew")
    message = "the list is no Parquet file, or a damaged one"
    return Unusable(message, "take it anew from where it was written")


def pyarrow() -> tuple[Any, Any, Any]:
    """Import pyarrow, its `compute` and its `parquet`. Raises `Unreadable` without the extra."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415 - no types; an extra
        from pyarrow import compute, parquet  # noqa: PLC0415 - as above
    except ImportError:
        hint = "pip install 'call-batch-reconciler[parquet]'"
        message = "reading Parquet lists needs the extra `parquet`"
        raise Unreadable(Problem((), message, hint)) from None
    return pa, compute, parquet
