"""Very long Parquet lists: what is read some rows at a time is what is read whole, or none."""

from __future__ import annotations

import io
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from reconciler.spec.lists import parquet_list, parquet_stream, spool
from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.lists.list_rules import ListFile
from reconciler.spec.lists.parquet_list import examine_list, find_contact, read_list
from reconciler.spec.lists.parquet_stream import read_stream
from reconciler.spec.lists.spool import File, Reading
from tests.sources.both_ways import BothWays, spool_little_at_once

if TYPE_CHECKING:
    from reconciler.model import Contact

SMALL = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = [f"+1415555{digits}" for digits in ("", "0", "00", "01", "010", "0100", "2", "20", "9")]
NAMES = ["Asha", "Zoë", "R & D", 'say "hi"', "\\", "a\nb", "\x7f", "\x00", "é\u00a0", "😀", "%s"]
PLAIN = ListFile(file="a.parquet")
BOTH = BothWays(read_list, read_stream, examine_list)
same = BOTH.same
TEXTS = ["Basic", "", " ", "é", None, *NAMES]
COLUMNS: list[tuple[str, list[Any], pa.DataType]] = [
    ("plan", TEXTS, pa.string()),
    ('a "b', TEXTS[:5], pa.string()),
    ("é", TEXTS, pa.large_string()),
    ("zz", TEXTS[:5], pa.string()),
    ("group", TEXTS, pa.dictionary(pa.int32(), pa.string())),
    ("since", [date(2026, 7, 1), date(33, 1, 2), date(9999, 12, 31), None], pa.date32()),
    ("premium", [Decimal("1.10"), Decimal("-0.00"), Decimal("1E+3"), None], pa.decimal128(9, 2)),
    ("tiny", [Decimal("0.0000000001"), Decimal(0), None], pa.decimal128(12, 10)),
    ("large", [Decimal("1.5"), None], pa.decimal256(50, 2)),
    ("age", [0, -7, 10**12, None], pa.int64()),
    ("children", [0, 3, None], pa.uint8()),
    ("insured", [True, False, None], pa.bool_()),
    ("nothing", [None], pa.null()),
    ("score", [0.5, None], pa.float64()),
    ("tags", [["vip"], [], None], pa.list_(pa.string())),
]


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a few rows go through all that a million do."""
    monkeypatch.setattr(parquet_list, "_BATCH", 3)
    monkeypatch.setattr(parquet_stream, "_PIECE", 100)
    spool_little_at_once(monkeypatch)


def written(table: pa.Table, **options: Any) -> bytes:
    """Write a table as a file."""
    out = io.BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


@st.composite
def lists(draw: st.DrawFn) -> tuple[bytes, ListFile]:
    """Draw a list as a program may write it, now and then a wrong one."""
    numbers: list[str | None] = list(draw(st.permutations(NUMBERS))[: draw(st.integers(1, 9))])
    if draw(st.integers(0, 9)) == 9:
        wrong = [numbers[0], None, "", "4155550100", '+1"', "+14155550100\n+14155550101"]
        numbers.append(draw(st.sampled_from(wrong)))
    empty = draw(st.integers(0, 4)) == 4
    names: list[Any] = draw(
        st.sampled_from([NAMES[:1], NAMES[:3], NAMES, [*NAMES, *NAMES, "", " ", None]])
    )
    said = [draw(st.sampled_from(names)) for _ in numbers]
    if empty:
        at = draw(st.integers(0, len(numbers)))
        numbers.insert(at, None)
        said.insert(at, None)
    arrays: dict[str, Any] = {
        "phone_number": pa.array(numbers, draw(st.sampled_from([pa.string(), pa.large_string()]))),
        "callee_name": pa.array(said, pa.string()),
    }
    for name, values, kind in draw(st.lists(st.sampled_from(COLUMNS), unique_by=lambda c: c[0])):
        cells = [draw(st.sampled_from(values)) for _ in numbers]
        if empty:
            cells[at] = None
        arrays[name] = pa.array(cells, kind)
    if draw(st.integers(0, 3)) == 3:
        inner = {name: arrays.pop(name) for name in list(arrays) if name != "phone_number"}
        gone = pa.array([draw(st.integers(0, 15)) == 15 for _ in numbers])
        struct = pa.StructArray.from_arrays(list(inner.values()), list(inner), mask=gone)
        arrays["call_variables"] = struct
    order = draw(st.permutations(sorted(arrays)))
    data = written(
        pa.table({name: arrays[name] for name in order}),
        row_group_size=draw(st.sampled_from([2, 5, None])),
        compression=draw(st.sampled_from(["none", "snappy", "zstd"])),
        use_dictionary=draw(st.booleans()),
    )
    everybody = draw(st.sampled_from([{}, {}, {"company": 'A "B" \\ 100%'}, {"zz": "z"}]))
    columns = draw(st.sampled_from([{}, {}, {"tariff": "plan"}, {"callee_name": "é"}]))
    kept = draw(st.sampled_from(["keep", "keep", "drop"]))
    file = {"columns": columns, "other_columns": kept, "call_variables": everybody}
    return data, ContactsFile.model_validate({"file": "a.parquet", **file}).plain()


@SMALL
@given(drawn=lists())
def test_every_parquet_list_is_read_as_it_is_read_whole(drawn: tuple[bytes, ListFile]) -> None:
    """Contacts, their number and their digest are those of the obvious way; or both refuse."""
    same(*drawn)


@SMALL
@given(
    drawn=lists(),
    where=st.integers(0, 10_000),
    what=st.sampled_from([b"\0", b"\xff", b"", b"PAR1", b'"', b"\n"]),
    over=st.integers(0, 3),
)
def test_every_damaged_parquet_list_too(
    drawn: tuple[bytes, ListFile], where: int, what: bytes, over: int
) -> None:
    """A byte too many, too few or another one: nothing is read otherwise than the slow way."""
    data, file = drawn
    at = where % (len(data) + 1)
    same(data[:at] + what + data[at + over :], file)


def people(names: list[Any], **more: Any) -> bytes:
    """Write a list of people of these names, in the order of their numbers."""
    numbers = [f"+9198765432{place:02}" for place in range(len(names))]
    return written(pa.table({"phone_number": numbers, "callee_name": names, **more}))


@pytest.mark.parametrize(
    ("names", "alone"),
    [
        (["Asha"] * 3, 0),
        (["Asha", "Zoë", "\x7f"], 0),
        (["Asha", 'R "A" B', "Ravi"], 1),
        (["\\", "Ravi", "a\tb"], 2),
    ],
)
def test_only_rows_that_need_it_are_read_alone(
    monkeypatch: pytest.MonkeyPatch, names: list[str], alone: int
) -> None:
    """What JSON writes as it is goes all at once; the comparisons above compared that."""
    read: list[Any] = []
    contact_of = parquet_list.contact_of

    def counted(*arguments: Any) -> Contact | None:
        read.append(arguments)
        return contact_of(*arguments)

    monkeypatch.setattr(parquet_stream, "contact_of", counted)
    assert same(people(names), PLAIN)
    assert len(read) == alone


@pytest.mark.parametrize(
    "names", [["Asha", " ", "Ravi"], ["", "Asha"], ["Asha", None], ["\u00a0"], ["\x1f"], []]
)
def test_nobody_without_a_name(names: list[str | None]) -> None:
    """A name that is blank, or none, or a list of nobody, is left to what explains it."""
    assert not same(people(names), PLAIN)


def test_a_row_is_empty_only_if_all_of_it_is() -> None:
    """Somebody without a number and a name is no blank row because the rest is left out."""
    people = {"phone_number": ["+14155550100", None], "callee_name": ["Asha", None]}
    file = ListFile(file="a.parquet", other_columns="drop")
    for plan, sound in (([None, None], True), (["a", None], True), ([None, "a"], False)):
        assert (
            same(written(pa.table({**people, "plan": pa.array(plan, pa.string())})), file) is sound
        )


def test_texts_of_another_kind_are_texts() -> None:
    """A library may lay texts out in a way of its own."""
    assert same(people(["Asha", "Ravi"], plan=pa.array(["Basic", None], pa.string_view())), PLAIN)


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    """In a column that is used and in one that is not."""
    bad = pa.array([b"\xff", b"a"], pa.binary()).view(pa.string())
    data = people(["Asha", "Ravi"], plan=bad)
    assert not same(data, PLAIN)
    assert not same(data, ListFile(file="a.parquet", other_columns="drop"))
    halves = pa.array([b"\xc3", b"\xa9"], pa.binary()).view(pa.string())
    assert not same(people(["Asha", "Ravi"], plan=halves), PLAIN)


def test_a_date_that_no_calendar_has_is_said() -> None:
    """A day after the year 9999 is a mistake of the list, in both ways of reading."""
    data = people(["Asha"], since=pa.array([10**7], pa.int32()).cast(pa.date32()))
    assert not same(data, PLAIN)
    (problem,) = examine_list(data, PLAIN, set()).problems
    assert problem.message == "a date lies outside of the years 1 to 9999"


def test_a_copy_is_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed out for hashing is what is read, whatever the list is afterwards."""
    data = people(["Asha"])
    given_out = []

    class Once(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            given_out.append(piece := super().read(size))
            return piece

    monkeypatch.setattr(Once, "seek", None)
    (contact,) = read_stream(Once(data), PLAIN)
    assert contact["call_variables"] == {"callee_name": "Asha"}
    assert b"".join(given_out) == data


def test_what_is_in_memory_already_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was decrypted or fetched into memory is read from there."""
    kept = File(memory=True)
    kept.write(people(["Asha", "Ravi"]))
    monkeypatch.setattr(spool, "TemporaryFile", None)
    assert len(read_stream(Reading(kept), PLAIN, memory=True)) == 2


@SMALL
@given(drawn=lists())
def test_everybody_is_found_in_a_parquet_list(drawn: tuple[bytes, ListFile]) -> None:
    """By the number a contact is found where an exact reading finds it, cell by cell."""
    data, file = drawn
    contacts = examine_list(data, file, set()).contacts if BOTH.slowly(data, file) else ()
    for place, contact in enumerate(contacts):
        expected = examine_list(data, file, {("contacts", place)}).cells
        assert find_contact(data, file, contact["phone_number"], place).cells == expected
        assert expected


def test_whoever_is_not_in_a_parquet_list_any_more_is_not_found() -> None:
    """A list that was changed or broken meanwhile gives no place, and no failure."""
    for data in (b"", b"PAR1", people(["Asha"])):
        assert find_contact(data, PLAIN, "+14155550100", 0).place(("contacts", 0)) == (1, 1)


def test_what_is_dropped_may_be_anything() -> None:
    """A column that has no one way to be written is no reason to refuse a list without it."""
    people = {"phone_number": pa.array(["+14155550100", None]), "callee_name": ["Asha", None]}
    odd = {"score": pa.array([0.5, None]), "tags": pa.array([["vip"], None])}
    data = written(pa.table({**people, **odd}))
    assert same(data, ListFile(file="a.parquet", other_columns="drop"))
    assert not same(data, ListFile(file="a.parquet"))
    more = {"score": pa.array([0.5, 0.5]), "tags": pa.array([["vip"], None])}
    assert not same(
        written(pa.table({**people, **more})), ListFile(file="a.parquet", other_columns="drop")
    ), "a row that holds something, and nobody"
