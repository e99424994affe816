"""Very long lists: what is read a piece at a time is what is read whole, to the last byte."""

from __future__ import annotations

import csv
import io
import tempfile
from itertools import pairwise
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.spec.lists import csv_stream, spool
from reconciler.spec.lists.csv_list import Rows, examine_list, read_layout, read_list
from reconciler.spec.lists.csv_stream import read_stream
from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.lists.list_rules import ListFile
from reconciler.spec.lists.spool import Spooled, Spooling, as_lines
from reconciler.spec.source import without_bom
from reconciler.spec.yaml.builder import Odd
from tests.sources.both_ways import BothWays, spool_little_at_once

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.model import Contact

SMALL = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = [f"+1415555{digits}" for digits in ("", "0", "00", "01", "010", "0100", "2", "20", "9")]
HEADERS = ["callee_name", "phone_number", "plan", 'a "b', "%b", "é", "zz"]
CELLS = [
    "Asha",
    "R & D",
    "",
    "a,b",
    "a;b",
    'say "hi"',
    "\\",
    " a",
    "a\t",
    "é",
    "\u00a0",
    "%s",
    "a\nb",
]
PLAIN = ListFile(file="a.csv")
BOTH = BothWays(
    lambda data, file: read_list(without_bom(data), file),
    read_stream,
    lambda data, file, wanted: examine_list(without_bom(data), file, wanted),
)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a few lines go through all that a million do."""
    monkeypatch.setattr(csv_stream, "_PIECE", 60)
    monkeypatch.setattr(csv_stream, "_FEW", 1)
    spool_little_at_once(monkeypatch)


def same(data: bytes, file: ListFile, *, damaged: bool = False) -> bool:
    """Compare both ways of reading in every respect; tell whether the list is sound."""
    if damaged and b'"' in data and BOTH.streamed(data, file) is None:
        return False  # a quote that quotes nothing hides where rows end; the slow way then decides
    return BOTH.same(data, file)


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, ListFile]:
    """Draw a list as a person or a program may write it, now and then a wrong one."""
    headers = draw(st.permutations(HEADERS))[: draw(st.integers(3, len(HEADERS)))]
    headers = list(dict.fromkeys([*headers, "phone_number", "callee_name"]))
    numbers = draw(st.permutations(NUMBERS))[: draw(st.integers(1, 9))]
    texts = draw(st.sampled_from([CELLS[:3], CELLS[:5], CELLS]))
    rows = [
        [
            number
            if header == "phone_number"
            else draw(st.sampled_from(texts))
            or (draw(st.sampled_from(["Ravi", "Ravi", "Ravi", ""])) * (header == "callee_name"))
            for header in headers
        ]
        for number in numbers
    ]
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=draw(st.sampled_from(",;\t")),
        lineterminator=draw(st.sampled_from(["\n", "\n", "\r\n"])),
        quoting=csv.QUOTE_ALL if draw(st.integers(0, 2)) == 2 else csv.QUOTE_MINIMAL,
    )
    writer.writerows([headers, *rows])
    text = out.getvalue()
    if draw(st.integers(0, 3)) == 3:  # as somebody lines the cells up
        text = text.replace(',"', ', "')
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.encode()
    if draw(st.booleans()):
        data = data.rstrip(b"\r\n")
    kept = draw(st.sampled_from(["keep", "keep", "drop"]))
    everybody = draw(st.sampled_from([{}, {}, {"company": 'A "B" 100%'}, {"zz": "z"}]))
    file = {"file": "a.csv", "other_columns": kept, "call_variables": everybody}
    return data, ContactsFile.model_validate(file).plain()


@SMALL
@given(table=tables())
def test_every_list_is_read_as_it_is_read_whole(table: tuple[bytes, ListFile]) -> None:
    """Contacts, their number and their digest are those of the obvious way; or both refuse."""
    same(*table)


@SMALL
@given(
    table=tables(),
    where=st.integers(0, 10_000),
    what=st.sampled_from(
        [b'"', b",", b"\n", b"\r", b" ", b"\0", b"\xff", b"+", b"", b"\t,", b"\x7f"]
    ),
    over=st.integers(0, 3),
)
def test_every_damaged_list_too(
    table: tuple[bytes, ListFile], where: int, what: bytes, over: int
) -> None:
    """A byte too many, too few or another one: nothing is read otherwise than the slow way."""
    data, file = table
    at = where % (len(data) + 1)
    same(data[:at] + what + data[at + over :], file, damaged=True)


@pytest.mark.parametrize(
    ("row", "plain"),
    [
        ("+14155550100,Asha,Basic", True),
        ("+14155550100,Asha,", True),
        ("+14155550100,Zoë,Basic", True),
        ('+14155550100,"Asha",Basic', False),
        ('+14155550100, "Asha",Basic', False),
        ('  "+14155550100",  "Asha, R",Basic', False),
        ('"+14155550100","Asha","Basic"', True),
        ('"+14155550100","",""', False),
        ('"+14155550100","Asha",""\r', True),
        ('"+14155550100","Asha","Basic"\n+14155550101,Ravi,Plus', False),
        ('"+14155550100","As""ha","Basic"', False),
        ('"+14155550100","Asha,Basic"', False),
        ('"+14155550100","Asha","a,b"', False),
        ('"+14155550100",",","Basic"', False),
        ('"+14155550100","A\nB","Basic"', False),
        ('"+14155550100","Asha"," Basic"', False),
        # As many quotes as there should be, elsewhere: what looks like three cells is two.
        ('"+14155550100","Asha,""Basic"', False),
        ('"+14155550100",Asha,"Ba""si""c"\n"+14155550101","Ravi,x"', False),
        ("+14155550100, Asha,Basic", False),
        ("+14155550100,Asha,Basic ", False),
        ("+14155550100,Asha\\,Basic", False),
        ("\n+14155550100,Asha,Basic", False),
        ("+14155550100,Asha", False),
        ("+14155550100,Asha,Basic,", False),
        ("+14155550100,,Basic", False),
        ("+14155550100,\u00a0,Basic", False),
        ("4155550100,Asha,Basic", False),
        (",,", False),
        # Two rows that together have as many cells as two rows should.
        ("+14155550100,Asha\n+14155550101,+14155550102,Ravi,Basic", False),
    ],
)
def test_only_plain_pieces_go_the_fast_way(row: str, *, plain: bool) -> None:
    """What is not plain is left to the csv module, and what is plain is not."""
    file = ListFile(file="a.csv")
    rows = Rows(b"phone_number,callee_name,plan\n")
    pattern = csv_stream._Pattern.of(read_layout(rows, file), {})
    assert (pattern.lines(f"{row}\n".encode()) is not None) is plain
    same(f"phone_number,callee_name,plan\n{row}\n".encode(), file)


def test_a_list_is_plain_as_a_rule() -> None:
    """The comparison above really compared the fast way with the slow one."""
    rows = "".join(f"{number},Asha,\n" for number in NUMBERS[2:])
    assert same(f"phone_number,callee_name,plan\n{rows}".encode(), ListFile(file="a.csv"))


def test_a_quote_in_a_name_is_told_from_the_beginning_of_another() -> None:
    """Where `b` and `c"b` are both empty, neither leaves anything behind."""
    data = b'callee_name,phone_number,b,"c""b",z,"y""z"\nAsha,+14155550100,,,,\n'
    assert same(data, ListFile(file="a.csv"))


def test_a_quote_that_is_never_closed_does_not_take_all_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A piece that has no end is given up, and the list read the way that explains."""
    monkeypatch.setattr(csv_stream, "_LONGEST_PIECE", 300)
    asked = 0

    class Endless(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            nonlocal asked
            asked += 1
            return b"phone_number,callee_name\n" if asked == 1 else b'"' + b"a" * (size - 1)

    with pytest.raises(Odd):
        read_stream(Endless(), ListFile(file="a.csv"))
    assert asked < 20


def people(numbers: list[str]) -> list[Contact]:
    """Give a contact for each number."""
    return [{"phone_number": n, "call_variables": {"callee_name": n}} for n in numbers]


_NUMBERS = st.lists(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), unique=True, max_size=60)
CONTACTS: list[Contact] = [
    {"phone_number": number, "call_variables": {"z": str(place), "callee_name": "é"}}
    for place, number in enumerate(NUMBERS)
    if len(number) > 7
]


def spooled(lists: list[list[Contact]], *, memory: bool = False) -> Spooled:
    """Take contacts in, some at a time, and give them back sorted."""
    spooling = Spooling(memory=memory)
    for contacts in lists:
        spooling.add(as_lines(contacts))
    return spooling.sorted()


@SMALL
@given(
    numbers=st.lists(
        st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), unique=True, max_size=60
    ),
    cuts=st.lists(st.integers(0, 60), max_size=8).map(sorted),
    part=st.tuples(st.integers(-5, 65), st.integers(-5, 65)),
)
def test_what_is_spooled_is_sorted_and_whole(
    numbers: list[str], cuts: list[int], part: tuple[int, int]
) -> None:
    """All contacts come back, in the order of their numbers, whole and in every part."""
    contacts = people(numbers)
    edges = [0, *cuts, len(contacts)]
    found = spooled([contacts[a:b] for a, b in pairwise(edges) if a < b])
    expected = sorted(contacts, key=lambda contact: contact["phone_number"])
    low, high = part
    assert list(found) == expected
    assert list(found) == expected  # and again
    assert list(found[low:high]) == expected[low:high]
    assert [found[i] for i in range(len(found))] == expected
    assert list(found[low:][: max(high, 0)]) == expected[low:][: max(high, 0)]
    joined = b"[" + b"".join(found.canonical()) + b"]"
    assert joined == orjson.dumps(expected, option=orjson.OPT_SORT_KEYS)
    with pytest.raises(IndexError):
        found[len(expected)]


@SMALL
@given(
    numbers=st.lists(st.sampled_from(NUMBERS[1:]), min_size=1, max_size=12),
    size=st.integers(1, 5),
)
def test_a_number_that_is_there_twice_is_found(numbers: list[str], size: int) -> None:
    """In whichever runs the two stand."""
    contacts = people(numbers)
    lists = [contacts[at : at + size] for at in range(0, len(contacts), size)]
    if len(set(numbers)) == len(numbers):
        assert len(spooled(lists)) == len(numbers)
    else:
        with pytest.raises(Odd):
            spooled(lists)


def test_a_part_with_gaps_is_refused() -> None:
    """A view is of contacts that stand together."""
    with pytest.raises(ValueError, match="no gaps"):
        spooled([CONTACTS])[::2]


def test_in_memory_means_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists that were encrypted are spooled in memory; others in files without a name."""
    monkeypatch.setattr(spool, "TemporaryFile", None)
    assert list(spooled([CONTACTS], memory=True)) == sorted(
        CONTACTS, key=lambda contact: contact["phone_number"]
    )
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = spooled([CONTACTS])
    assert len(kept) == len(CONTACTS)
    assert list(tmp_path.iterdir()) == []


def test_spaces_before_a_quoted_cell_do_not_count() -> None:
    """Nobody is greeted with quotes: such a cell is the same as without the spaces."""
    head = b"phone_number,callee_name\n"
    assert BOTH.slowly(head + b'+14155550100,  "Raj, Jr"\n', PLAIN) == BOTH.slowly(
        head + b'+14155550100,"Raj, Jr"\n', PLAIN
    )
    data = b'phone_number, "callee_name"\n  "+14155550100",  "Raj, ""Jr"""\n'
    assert BOTH.slowly(data, PLAIN) == [
        {"phone_number": "+14155550100", "call_variables": {"callee_name": 'Raj, "Jr"'}}
    ]
    examined = examine_list(data, PLAIN, {("contacts", 0, "call_variables", "callee_name")})
    assert examined.place(("contacts", 0, "call_variables", "callee_name")) == (2, 18)
