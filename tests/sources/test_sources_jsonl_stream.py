"""Very long JSONL lists: what is read a piece at a time is what is read whole, or both refuse."""

from __future__ import annotations

import io
import json
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.spec.lists import jsonl_stream
from reconciler.spec.lists.jsonl_list import examine_list, find_contact, read_list
from reconciler.spec.lists.jsonl_stream import read_stream
from reconciler.spec.lists.list_model import ContactsFile
from reconciler.spec.lists.list_rules import ListFile
from reconciler.spec.source import without_bom
from reconciler.spec.yaml.builder import Odd
from tests.sources.both_ways import BothWays, spool_little_at_once

SMALL = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NUMBERS = [f"+1415555{digits}" for digits in ("", "0", "00", "01", "010", "0100", "2", "20", "9")]
KEYS = ["plan", 'a "b', "é", "zz", "call_variables", "Mobile"]
VALUES = [
    "Asha",
    "",
    " ",
    'say "hi"',
    "\\",
    "é",
    "\u00a0",
    "\u2028",
    "a\nb",
    "\x7f",
    "\x00",
    "},{",
    "😀",
    None,
    None,
    True,
    False,
    0,
    17,
    1.10,
    -0.0,
    10**30,
]
"""What a value may be; those that follow are more than one text, or no number of everybody's."""
MORE = [[], ["a"], {}, {"a": "b"}, {"a": [{"b": None}]}]
HUGE = {"10000001": "1e400", "10000002": "9" * 5000, "10000003": "-1.0e-999"}
MARK = b"\xef\xbb\xbf"
PLAIN = ListFile(file="a.jsonl")
BOTH = BothWays(
    lambda data, file: read_list(without_bom(data), file),
    read_stream,
    lambda data, file, wanted: examine_list(without_bom(data), file, wanted),
)


@pytest.fixture(autouse=True, params=[70, 700])
def _small_pieces(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Make a few lines go through all that a million do: about one in a piece, and some."""
    monkeypatch.setattr(jsonl_stream, "_PIECE", request.param)
    spool_little_at_once(monkeypatch)


def same(data: bytes, file: ListFile) -> bool:
    """Compare both ways of reading, and explaining it; tell whether the list is sound."""
    if not BOTH.same(data, file):
        return False
    examined = examine_list(without_bom(data), file, set())
    assert examined.problems == []
    found = sorted(examined.contacts, key=lambda c: str(c["phone_number"]))
    assert found == BOTH.slowly(data, file)
    return True


@st.composite
def rows(draw: st.DrawFn, number: str, values: list[Any]) -> dict[str, Any]:
    """Draw one person as a program may write them, flat, nested or half of each."""
    keys = draw(st.lists(st.sampled_from(KEYS[:4]), unique=True))
    said: dict[str, Any] = {key: draw(st.sampled_from(values)) for key in keys}
    said["callee_name"] = draw(st.sampled_from(["Ravi", "Zoë", "A", "B", 'R "A"', *values[:2], 7]))
    row: dict[str, Any] = {"phone_number": number}
    match draw(st.integers(0, 3)):
        case 0:
            row |= said
        case 1:
            row["call_variables"] = said
        case 2:
            row |= {"call_variables": {"callee_name": said.pop("callee_name")}, **said}
        case _:
            row |= {**said, "call_variables": draw(st.sampled_from([None, None, {}, "", ["a"]]))}
    order = draw(st.permutations(sorted(row)))
    return {key: row[key] for key in order}


@st.composite
def lists(draw: st.DrawFn) -> tuple[bytes, ListFile]:
    """Draw a list as a person or a program may write it, now and then a wrong one."""
    numbers = draw(st.permutations(NUMBERS))[: draw(st.integers(1, 9))]
    if draw(st.integers(0, 12)) == 7:
        numbers = [*numbers, numbers[0]]  # at the far end
    values: list[Any] = draw(
        st.sampled_from(
            [VALUES[:1], VALUES[:6], VALUES[:-4], VALUES, [*VALUES, *MORE, *map(int, HUGE)]]
        )
    )
    compact = draw(st.booleans())
    lines = [
        json.dumps(
            draw(rows(number, values)),
            ensure_ascii=draw(st.booleans()),
            separators=(",", ":") if compact else None,
        )
        for number in numbers
    ]
    for short, long in HUGE.items():
        lines = [line.replace(short, long) for line in lines]
    for _ in range(draw(st.integers(0, 2))):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(["", " \t", "\r"])))
    last = draw(st.sampled_from([None] * 12 + ["{", "[]", '"a"', "null", '{"a": "b"}', "{} {}"]))
    lines += [last] if last is not None else []
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    data = draw(st.sampled_from([b"", MARK])) + end.join(lines).encode()
    data += end.encode() * draw(st.integers(0, 2))
    everybody = draw(st.sampled_from([{}, {}, {"company": 'A "B"'}, {"zz": "z"}]))
    columns = draw(st.sampled_from([{}, {}, {"tariff": "plan"}, {"callee_name": "é"}]))
    kept = draw(st.sampled_from(["keep", "keep", "drop"]))
    file = {"columns": columns, "other_columns": kept, "call_variables": everybody}
    return data, ContactsFile.model_validate({"file": "a.jsonl", **file}).plain()


@pytest.mark.parametrize("value", ['["vip"]', '{"a": [1, {}]}', "1e400", "9" * 5000, "[" * 900])
def test_what_is_dropped_may_be_anything(value: str) -> None:
    """An export has columns that are no texts; left out, they make no difference to anybody."""
    value += "]" * value.count("[") if value.startswith("[[") else ""
    file = ListFile(file="a.jsonl", other_columns="drop")
    lines = f'{a_line()[:-1]}, "tags": {value}}}\n{OTHER}}}\n'.encode()
    assert same(lines, file)
    assert BOTH.slowly(lines, file) == BOTH.slowly(f"{a_line()}\n{OTHER}}}\n".encode(), file)
    kept = same(lines, PLAIN)
    assert kept is value.replace("e", "").isdigit()


@SMALL
@given(drawn=lists())
def test_every_jsonl_list_is_read_as_it_is_read_whole(drawn: tuple[bytes, ListFile]) -> None:
    """Contacts, their number and their digest are those of the obvious way; or both refuse."""
    same(*drawn)


@SMALL
@given(
    drawn=lists(),
    where=st.integers(0, 10_000),
    what=st.sampled_from(
        [b'"', b",", b"\n", b"\r", b"{", b"}", b"\0", b"\xff", b"\\", b"", b" ", b"\x7f", b"1"]
    ),
    over=st.integers(0, 3),
)
def test_every_damaged_jsonl_list_too(
    drawn: tuple[bytes, ListFile], where: int, what: bytes, over: int
) -> None:
    """A byte too many, too few or another one: nothing is read otherwise than the slow way."""
    data, file = drawn
    at = where % (len(data) + 1)
    same(data[:at] + what + data[at + over :], file)


def a_line(**row: Any) -> str:
    """Write one line."""
    return json.dumps({"phone_number": "+14155550100", "callee_name": "Asha", **row})


OTHER = '{"phone_number":"+14155550101","callee_name":"A"'
THIRD = '{"phone_number":"+14155550102","callee_name":"A"'


@pytest.mark.parametrize(
    ("data", "sound"),
    [
        (a_line(), True),
        (f"\n \t\r\n{a_line()}\r\n\n", True),
        (a_line(plan=1.10, since=True, left=None), True),
        (a_line(plan="{}"), True),
        (a_line(call_variables={"plan": "Basic"}), True),
        (a_line(call_variables=None), True),
        (a_line(call_variables=[]), False),
        (a_line(call_variables={"callee_name": "Ravi"}), False),
        (a_line(plan=["a"]), False),
        (a_line(plan={"a": "b"}), False),
        (a_line(plan=[]), False),
        (a_line(phone_number=14155550100), False),
        (a_line(phone_number="4155550100"), False),
        (a_line(phone_number="+14155550100\n+14155550101"), False),
        (a_line(callee_name=" "), False),
        (f'{a_line()[:-1]}, "callee_name": "Ravi"}}', False),
        (f'{a_line()[:-1]}, "plan": null, "plan": null}}', False),
        (f"{a_line()}\n{a_line()}", False),
        (f"{a_line()} {a_line(phone_number='+14155550101')}", False),
        (f"{a_line()},", False),
        (f"{a_line()}\n\x00", False),
        (f"{a_line()},{a_line(phone_number='+14155550101')}\n", False),
        # As many objects as lines, but not one in each.
        (f'{a_line()},{OTHER}}}\n{THIRD}\n"zz":"b"}}\n', False),
        (f'{a_line()},{OTHER},"call_variables":{{"a":"b"}}\n,"zz":"b"}}\n', False),
        (f'{a_line()},5,{{"x":[{{"p":"q"}}\n{{"p":"q"}}\n{{"p":"q"}}]}}\n', False),
        (f'{a_line()},{{"call_variables":[{{"p":"q"}}\n{{"p":"q"}}]}}\n', False),
        (f'{a_line()},{{"a":{{"b":"c"}}\n{{"d":"e"}}}}\n', False),
        (f'{a_line()[:-1]}, "plan": "a\x7f"}}\n', False),
        (f"{a_line()}\x7f", False),
        (f"{a_line()}\n{MARK.decode()}{a_line(phone_number='+14155550101')}", False),
        ("", False),
        ("\n\n", False),
        ("[]", False),
        ("[" * 100_000, False),
    ],
)
def test_a_line_is_a_contact_or_the_list_is_refused(data: str, *, sound: bool) -> None:
    """Each case by itself, and at the end of a list that is sound up to there."""
    before = "".join(f"{a_line(phone_number=f'+9198765432{n:02}')}\n" for n in range(20))
    assert same(data.encode(), PLAIN) is sound
    assert same(before.encode() + data.encode(), PLAIN) is (sound or not data.strip())
    assert same(MARK + before.encode() + data.encode(), PLAIN) is (sound or not data.strip())


@pytest.mark.parametrize(
    ("more", "plain"),
    [
        ({}, True),
        ({"plan": "R & D}", "é": "😀 \u2028"}, True),
        ({"plan": None, "zz": None}, True),
        ({"call_variables": {"plan": "Basic", "zz": None}}, True),
        ({"call_variables": {"call_variables": "Basic"}}, True),
        ({"call_variables": None}, False),
        ({"plan": 7}, False),
        ({"plan": True}, False),
        ({"plan": 'a "b"'}, False),
        ({"plan": "\\"}, False),
    ],
)
def test_only_plain_pieces_are_read_at_once(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], *, plain: bool
) -> None:
    """What is not plain is read line by line, and what is plain is not."""
    read: list[bytes] = []
    one_by_one = jsonl_stream._one_by_one

    def counted(piece: bytes, names: Any) -> list[bytes]:
        read.append(piece)
        return one_by_one(piece, names)

    monkeypatch.setattr(jsonl_stream, "_one_by_one", counted)
    rows = [{"callee_name": "Asha", **more, "phone_number": number} for number in NUMBERS[2:]]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    assert same("\r\n".join([*lines[:3], "", *lines[3:]]).encode(), PLAIN)
    assert (read == []) is plain


def test_a_value_that_is_more_than_one_text_is_said_to_be(tmp_path: Any) -> None:
    """Nobody is sent a list or an object for a text, in however short a list."""
    from reconciler.spec.load import load_specs  # noqa: PLC0415 - here only

    (tmp_path / "a.jsonl").write_text(a_line(plan=["a"]) + "\n" + a_line(plan={"a": "b"}), "utf-8")
    (tmp_path / "a.yaml").write_text("campaign_id: cmp_1\ncontacts: {file: a.jsonl}\n", "utf-8")
    loaded = load_specs(tmp_path)
    assert not loaded.specs
    assert {one.message for one in loaded.diagnostics} >= {"call variable `plan` is not text"}


def test_a_line_that_never_ends_does_not_take_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece that has no end is given up, and the list read the way that explains."""
    monkeypatch.setattr(jsonl_stream, "_LONGEST_PIECE", 300)
    asked = 0

    class Endless(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            nonlocal asked
            asked += 1
            return b"a" * size

    with pytest.raises(Odd):
        read_stream(Endless(), PLAIN)
    assert asked < 20


@SMALL
@given(drawn=lists())
def test_everybody_is_found_in_a_jsonl_list(drawn: tuple[bytes, ListFile]) -> None:
    """By the number a contact is found where an exact reading finds it, value by value."""
    data, file = drawn
    data = without_bom(data)
    contacts = BOTH.slowly(data, file)
    exact = examine_list(data, file, set())
    for place, contact in enumerate(exact.contacts if contacts else ()):
        expected = examine_list(data, file, {("contacts", place)}).cells
        found = find_contact(data, file, contact["phone_number"], place).cells
        assert found == expected
        assert found


def test_whoever_is_not_in_the_list_any_more_is_not_found() -> None:
    """A list that was changed or broken meanwhile gives no place, and no failure."""
    for data in (b"", b"+14155550100", a_line(phone_number="+14155550199").encode(), b"\\\xff"):
        assert find_contact(data, PLAIN, "+14155550100", 0).place(("contacts", 0)) == (1, 1)


def test_a_number_is_found_whatever_way_it_is_written() -> None:
    """With an escape in it, it is the same number."""
    data = a_line(phone_number="+14155550199") + "\n" + a_line().replace("+1", "\\u002b1")
    assert orjson.loads(data.split("\n")[1])["phone_number"] == "+14155550100"
    assert find_contact(data.encode(), PLAIN, "+14155550100", 3).place(("contacts", 3)) == (2, 1)
