"""Do-not-call lists: found exactly, however long; read strictly, whatever they hold; never too old.

The reference is a set of texts. Blocks and runs are made tiny, so that every edge between two of
them is met.
"""

from __future__ import annotations

import io
import random
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from reconciler.errors import Refused
from reconciler.model import Contact, Diagnostic, LongContacts, Severity
from reconciler.policy import suppression
from reconciler.policy.case import Case, Crowd
from reconciler.policy.finding import Finding, Level
from reconciler.policy.suppression import Suppression, matches, without
from reconciler.spec.config.policy_suppression import Suppressions, day_in
from reconciler.spec.lists import number_list, number_reading
from reconciler.spec.lists.list_rules import ListFile
from reconciler.spec.lists.listed import DoNotCall
from reconciler.spec.lists.number_list import NumberList, Sorting
from reconciler.spec.lists.number_reading import Unsound, read_numbers
from reconciler.spec.lists.reader import Shelves
from reconciler.spec.lists.suppression_lists import read_suppressions
from reconciler.spec.yaml.scalars import Plain
from tests.policy.launches import launch_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reconciler.policy.suppression import Matches

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MONTH = timedelta(days=30)

E164 = st.one_of(
    # Close together, so that they meet; of all lengths, so that one begins like another.
    st.integers(1_000_000, 1_000_060),
    st.integers(10_000_000, 10_000_400),
    st.integers(919_810_000_000, 919_810_000_300),
    st.integers(10**14, 10**14 + 50),
).map(lambda number: f"+{number}")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"_BLOCK": 4, "_RUN": 16, "_STEP": 2, "_RANGE": 4, "_EACH": 2}.items():
        monkeypatch.setattr(number_list, name, size)
    monkeypatch.setattr(number_list, "_FEW", 3)
    monkeypatch.setattr(suppression, "_BLOCK", 5)
    monkeypatch.setattr(number_reading, "_PIECE", 64)


def listed(numbers: Sequence[str], *, memory: bool = False) -> NumberList:
    """Keep numbers, taken in a few at a time."""
    sorting = Sorting(memory=memory)
    for start in range(0, len(numbers), 7):
        sorting.add([int(number) for number in numbers[start : start + 7]])
    return sorting.sorted()


def people(numbers: Sequence[str]) -> list[Contact]:
    """Give contacts with these numbers."""
    return [{"phone_number": n, "call_variables": {"callee_name": "Asha"}} for n in numbers]


def long(numbers: Sequence[str]) -> LongContacts:
    """Give contacts that are read from a file whenever they are asked for."""
    text = "phone_number,callee_name\n" + "".join(f"{number},Asha\n" for number in numbers)
    file = ListFile(file="long.csv")
    spooled = Shelves().spooled(io.BytesIO(text.encode()), file, memory=False)
    assert spooled is not None
    return spooled


def texts(found: Matches) -> set[str]:
    """Give matches as texts."""
    return {f"+{number}" for number in found.numbers}


# -- finding ---------------------------------------------------------------------------------------


@given(st.lists(E164, max_size=120), st.lists(E164, min_size=1, max_size=120, unique=True))
@example(["+1000000"], ["+10000000"])
@example(["+10000000", "+1000000"], ["+1000000", "+10000001"])
@example(["+100000000000001"], ["+100000000000000", "+100000000000001", "+1000001"])
def test_matches_are_those_of_two_sets(blocked: list[str], called: list[str]) -> None:
    """Nobody is missed, nobody is taken for anybody else, whatever lies next to whom."""
    for contacts in (people(called), long(called)):
        found = matches(contacts, listed(blocked))
        assert texts(found) == set(blocked) & set(called)
        left = without(contacts, found)
        assert {c["phone_number"] for c in left} == set(called) - set(blocked)
        assert isinstance(left, LongContacts) == isinstance(contacts, LongContacts)
    assert [c["phone_number"] for c in without(people(called), found)] == [
        number for number in called if number not in blocked
    ]


@given(st.lists(E164, max_size=200), st.booleans())
def test_a_list_is_kept_sorted_and_each_number_once(numbers: list[str], memory: bool) -> None:  # noqa: FBT001 - drawn
    """However often and in whatever order numbers come, the list is what a sorted set is."""
    kept = listed(numbers, memory=memory)
    assert list(kept) == sorted({int(number) for number in numbers})
    assert len(kept) == len(set(numbers))


def test_several_lists_together_and_one_after_the_other() -> None:
    """Leaving out two lists at once leaves the same people as one after the other."""
    called = [f"+9198100{n:05}" for n in range(100)]
    some, others = listed(called[:30]), listed(called[20:50])
    contacts = people(called)
    at_once = without(contacts, matches(contacts, some), matches(contacts, others))
    assert [c["phone_number"] for c in at_once] == called[50:]
    assert without(contacts, matches(contacts, listed([]))) is contacts


def test_many_matches_are_as_exact_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """More matches than are held as texts are looked up as numbers, with the same result."""
    called = [f"+9198100{n:05}" for n in range(300)]
    contacts = people(called)
    found = matches(contacts, listed(called[::3]))
    monkeypatch.setattr(suppression, "_FEW", 10)
    assert [c["phone_number"] for c in without(contacts, found)] == [
        number for n, number in enumerate(called) if n % 3
    ]


def test_a_long_list_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a list of 60,000, blocks are read, and never more than a few numbers at a time."""
    monkeypatch.undo()
    source = random.Random(7)  # noqa: S311 - guards nothing
    numbers = [f"+91{n}" for n in source.sample(range(9_000_000_000, 9_999_999_999), 60_000)]
    kept = listed(numbers)
    read: list[int] = []
    whole = kept._file.read

    def noted(start: int, stop: int) -> bytes:
        read.append(stop - start)
        return whole(start, stop)

    monkeypatch.setattr(kept._file, "read", noted)
    assert len(matches(people(numbers[:50]), kept)) == 50
    assert max(read) <= 8 * 512
    assert sum(read) <= 50 * 8 * 512


# -- reading ---------------------------------------------------------------------------------------

TWO = {"+919810000001", "+14155550100"}
SOUND = {
    "one a line": (None, "+919810000001\n+14155550100\n"),
    "without a last line end": (None, "+919810000001\n+14155550100"),
    "Windows line ends": (None, "+919810000001\r\n+14155550100\r\n"),
    "old line ends": (None, "+919810000001\r+14155550100\r"),
    "a byte order mark": (None, "\ufeff+919810000001\n+14155550100\n"),
    "blank lines": (None, "\n\n+919810000001\n\n \n+14155550100\n\n"),
    "the same number twice": (None, "+919810000001\n+14155550100\n+919810000001\n"),
    "a header": (None, "phone\n+919810000001\n+14155550100\n"),
    "quotes": (None, '"phone"\n"+919810000001"\n"+14155550100"\n'),
    "spaces around": (None, "phone\n +919810000001\t\n+14155550100 \n"),
    "the usual header": (None, "state,phone_number\nMH,+919810000001\nCA,+14155550100\n"),
    "a column by name": ("Mobile", "Mobile;State\n+919810000001;MH\n+14155550100;CA\n"),
    "tabs": ("n", "a\tn\n1\t+919810000001\n2\t+14155550100\n"),
    "a delimiter in quotes": ("n", 'a,n\n"x,\ny",+919810000001\n"",+14155550100\n'),
    "rows of nothing": ("n", "a,n\n,\n1,+919810000001\n,,\n2,+14155550100\n"),
}


@pytest.mark.parametrize(("column", "text"), SOUND.values(), ids=SOUND)
def test_a_sound_list(column: str | None, text: str) -> None:
    """Every usual way to write a list is read, with a column's name or without."""
    read = read_numbers(io.BytesIO(text.encode()), column)
    assert {f"+{number}" for number in read.numbers} == TWO
    assert read.rows == text.count("+")


UNSOUND = {
    "nothing": (None, "", 1, "no number"),
    "a header alone": (None, "phone_number\n", 1, "no number"),
    "a national number": (None, "+919810000001\n09810000002\n", 2, "no country code"),
    "a national number first": (None, "9810000001\n+919810000002\n", 1, "country code"),
    "a telephone link first": (None, "tel:+919810000001\n", 1, "letters"),
    "two numbers first": (None, "98100-00001 / 98100-00002\n", 1, "more than one"),
    "two zeros": (None, "+919810000001\n\n00919810000002\n", 3, "00 in place of `+`"),
    "dashes": (None, "phone\n+91 98100-00002\n", 2, "spaces, dashes"),
    "a word": (None, "phone\n+919810000001\nunknown\n", 3, "letters"),
    "a comment": (None, "+919810000001\n# drawn in May\n", 2, "letters"),
    "scientific notation": (None, "phone\n9.1981E+11\n", 2, "scientific"),
    "too short": (None, "phone\n+12345\n", 2, "too short"),
    "too long": (None, "phone\n+1234567890123456\n", 2, "too long"),
    "a zero": (None, "phone\n+0919810000001\n", 2, "begins with 0"),
    "two in one": (None, "phone\n+919810000001/+919810000002\n", 2, "more than one"),
    "another cell": (None, "+919810000001\n+919810000002,MH\n", 2, "too many cells"),
    "a cell too few": ("n", "a,n\n1,+919810000001\n2\n", 3, "too few cells"),
    "an empty number": ("n", "a,n\n1,\n", 2, "empty"),
    "a row further down": ("n", 'a,n\n"x\n\ny",+919810000001\nz,no\n', 5, "letters"),
    "no such column": ("mobil", "Mobile,State\n+919810000001,MH\n", 1, "no column has"),
    "no column said": (None, "a,b\n+919810000001,+919810000002\n", 1, "not said"),
    "people for headers": (None, "Raj Rao,n/a\nAnn Rao,n/a\n", 1, "not said"),
    "people for a column": ("n", "Raj Rao,n/a\nAnn Rao,n/a\n", 1, "no column has"),
    "two such columns": ("n", "n,n\n+919810000001,+919810000002\n", 1, "2 columns"),
    "no header for a column": ("n", "+919810000001\n", 1, "must hold the header"),
    "numbers for headers": (None, "+919810000001,+919810000002\n", 1, "row of numbers"),
    "two delimiters": ("n", "a;b,n\n1;2,+919810000001\n", 1, "a comma and a semicolon"),
    "a quote left open": ("n", 'a,n\n"1,+919810000001\n', 2, "double quote"),
    "a header's quote left open": ("n", '"a,n\n1,+919810000001\n', 1, "double quote"),
    "text after a quote": ("n", 'a,n\n"1"2,+919810000001\n', 2, "double quote"),
    "a zero byte": (None, "+919810000001\n+9198\x0010000002\n", 2, "U+0000"),
}


@pytest.mark.parametrize(("column", "text", "line", "said"), UNSOUND.values(), ids=UNSOUND)
def test_an_unsound_list(column: str | None, text: str, line: int, said: str) -> None:
    """A list about which anything is wrong is no list: told with its line, masked."""
    with pytest.raises(Unsound) as caught:
        read_numbers(io.BytesIO(text.encode()), column)
    problem = caught.value.problems[0]
    assert problem.place is not None
    assert problem.place[0] == line
    assert said in problem.message
    assert problem.hint
    for each in caught.value.problems:
        assert "98100000" not in each.message + each.hint
        assert "Rao" not in each.message + each.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("+919810000001\n".encode("utf-16"), "UTF-16"),
        (b"+919810000001\n+9198100\xff0002\n", "not UTF-8"),
        (b'+919810000001\n"' + b"+919810000002\n" * 900, "never closed"),
        (b"+9" * 900, "bytes"),
    ],
    ids=["utf-16", "latin-1", "open quote", "one line"],
)
def test_bytes_that_are_no_text(data: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no text, or one endless row, is refused without being taken in whole."""
    monkeypatch.setattr(number_reading, "_LONGEST", 1_000)
    with pytest.raises(Unsound) as caught:
        read_numbers(io.BytesIO(data), None)
    problem = caught.value.problems[0]
    assert said in problem.message + problem.hint


@given(st.lists(st.sampled_from([b"+919810000001", b"+14155550100", b"9810000001", b"x", b"", b'"',
                                 b",", b"\n", b"\r\n", b"\t", b"phone", b"\xef\xbb\xbf", b"\x85"]),
                max_size=30))  # fmt: skip
def test_no_number_is_ever_passed_over(parts: list[bytes]) -> None:
    """Whatever a list holds: it is refused, or each line with anything on it is in it."""
    data = b"".join(parts)
    try:
        read = read_numbers(io.BytesIO(data), None)
    except Unsound:
        return
    lines = data.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n").split("\n")
    written = [line.strip(' \t",') for line in lines if line.strip(' \t",')]
    assert {f"+{number}" for number in read.numbers} == {w for w in written if w.startswith("+")}
    assert all(w.startswith("+") for w in written[1:])


def test_many_mistakes_are_summed_up() -> None:
    """A list of national numbers is told in a few lines, not in thousands."""
    text = "phone\n" + "".join(f"0981000{n:04}\n" for n in range(5_000))
    with pytest.raises(Unsound) as caught:
        read_numbers(io.BytesIO(text.encode()), None)
    assert len(caught.value.problems) < 60
    assert any("more like this" in problem.message for problem in caught.value.problems)


# -- what is written in reconciler.yaml ------------------------------------------------------------


def written(**fields: Any) -> dict[str, Any]:
    """Give a list of a policy as it is read from the file."""
    plain = {"name": "dnd", "file": "dnd.csv", "date": "2026-11-20"}
    return {
        name: Plain(value) if isinstance(value, str) else value
        for name, value in {**plain, **fields}.items()
        if value is not None
    }


def settings(*lists: dict[str, Any]) -> Any:
    """Take some lists as `policy.suppression`."""
    return TypeAdapter(Suppressions).validate_python(list(lists))


def test_what_a_list_says_for_itself() -> None:
    """A name, a file and a date are enough; the rest has careful defaults."""
    (one,) = settings(written())
    assert (one.drawn, one.max_age, one.action) == (date(2026, 11, 20), 30 * 86_400, "exclude")
    (one,) = settings(written(max_age="12h", action="refuse", campaigns=[Plain("cmp_1")]))
    assert (one.max_age, one.action, one.campaigns) == (43_200, "refuse", ("cmp_1",))


@pytest.mark.parametrize(
    ("file", "day"),
    [
        ("lists/dnd-2026-11-20.csv", date(2026, 11, 20)),
        ("s3://lists/dnd_20261120.csv.age", date(2026, 11, 20)),
        ("2026-11-20/dnd.csv", None),
        ("dnd-2026-13-20.csv", None),
        ("dnd-2026-11-20-to-2026-11-21.csv", None),
        ("dnd-120261120.csv", None),
    ],
)
def test_a_date_in_the_name_of_a_file(file: str, day: date | None) -> None:
    """A file's name may say the day; where it says two, or none, it must be written."""
    assert day_in(file) == day
    if day is None:
        with pytest.raises(ValidationError, match="without a date"):
            settings(written(file=file, date=None))
    else:
        assert settings(written(file=file, date=None))[0].drawn == day


@pytest.mark.parametrize(
    "wrong",
    [
        {"date": "20.11.2026"},
        {"date": "2026-02-30"},
        {"max_age": "0s"},
        {"max_age": "a month"},
        {"action": "warn"},
        {"name": "two words"},
        {"name": "`x`"},
        {"sha256": "abc"},
        {"count": "0"},
        {"campaigns": "cmp_1"},
        {"maxage": "30d"},
    ],
)
def test_a_slip_of_the_pen_is_an_error(wrong: dict[str, Any]) -> None:
    """No rule is lost because it was written wrongly."""
    with pytest.raises(ValidationError):
        settings(written(**wrong))


def test_two_lists_of_one_name() -> None:
    """People are counted by the list's name, so each has its own."""
    with pytest.raises(ValidationError, match="two lists"):
        settings(written(), written(file="other.csv"))


# -- the rule --------------------------------------------------------------------------------------


def case(campaign: str = "cmp_1", now: datetime = NOW, *, offline: bool = False) -> Case:
    """Give a launch."""
    fields = {"campaign_id": campaign}
    return launch_of(Crowd(people=3), now, fields=fields, offline=offline)


CALLED = ["+919810000001", "+919810000002", "+14155550100"]


def blocked(*numbers: str, **fields: Any) -> DoNotCall:
    """Give a list that was drawn today."""
    plain = {"name": "dnd", "drawn": NOW.date(), "max_age": MONTH, "numbers": listed(numbers)}
    return DoNotCall(**{**plain, **fields})


def findings(listed: DoNotCall, **of: Any) -> list[Finding]:
    """Judge a launch of three people by one list."""
    return list(Suppression((listed,)).findings(case(**of), [people(CALLED)]))


def test_who_is_left_out_stops_nothing() -> None:
    """People on a list to exclude are left out and counted; the launch goes on."""
    rule = Suppression((blocked(CALLED[0], "+919810000009"),))
    contacts = people(CALLED)
    kept, (left_out,) = rule.without("cmp_1", contacts)
    assert [c["phone_number"] for c in kept] == CALLED[1:]
    assert (left_out.of, left_out.people) == ("dnd", 1)
    assert not list(rule.findings(case(), [contacts]))


def test_who_is_on_two_lists_is_counted_once() -> None:
    """The counts of several lists add up to the people who are not called."""
    rule = Suppression((blocked(*CALLED[:2], name="one"), blocked(*CALLED[1:], name="two")))
    kept, left_out = rule.without("cmp_1", people(CALLED))
    assert not kept
    assert [(each.of, each.people) for each in left_out] == [("one", 2), ("two", 1)]


def test_a_list_that_refuses() -> None:
    """One person on it stops the launch, and is shown masked; nobody is left out."""
    listed = blocked(CALLED[0], refuses=True)
    (found,) = findings(listed)
    assert found.level is Level.REFUSE
    assert "1 person is on the do-not-call list dnd: +91********01" in found.message
    assert CALLED[0] not in found.message
    assert Suppression((listed,)).without("cmp_1", people(CALLED)) == (people(CALLED), ())
    assert not findings(blocked("+919810000009", refuses=True))


def test_a_list_for_some_campaigns() -> None:
    """A list that is for other campaigns neither leaves anybody out nor stops anything."""
    others = blocked(*CALLED, campaigns=frozenset({"cmp_2"}), refuses=True, drawn=None)
    assert not findings(others)
    assert len(findings(others, campaign="cmp_2")) == 2
    excluding = Suppression((blocked(*CALLED, campaigns=frozenset({"cmp_2"})),))
    assert len(excluding.without("cmp_1", people(CALLED))[0]) == 3
    assert not excluding.without("cmp_2", people(CALLED))[0]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (datetime(2026, 12, 20, tzinfo=UTC), None),
        (datetime(2026, 12, 20, 0, 0, 1, tzinfo=UTC), "too old"),
        (datetime(2027, 12, 20, tzinfo=UTC), "too old"),
        (datetime(2026, 11, 19, 10, tzinfo=UTC), None),
        (datetime(2026, 11, 19, 9, 59, 59, tzinfo=UTC), "still to come"),
    ],
)
def test_how_old_a_list_may_be(now: datetime, said: str | None) -> None:
    """To the second it may be old; a day that nobody on earth has yet is a wrong date."""
    told = findings(blocked(drawn=date(2026, 11, 20)), now=now)
    assert [finding.level for finding in told] == ([Level.REFUSE] if said else [])
    assert all(said in finding.message for finding in told if said)


def test_a_list_without_a_date_is_too_old() -> None:
    """Where nobody can tell how old a list is, it stops the launch."""
    (found,) = findings(blocked(drawn=None))
    assert "too old" in found.message


def test_a_list_that_cannot_be_read() -> None:
    """It stops every launch that it is for, and leaves out nobody rather than too few."""
    wrong = Diagnostic(Severity.ERROR, "batches/dnd.csv", 7, 1, "", "is wrong", "mend it")
    unread = blocked(numbers=None, problems=(wrong, wrong))
    (found,) = findings(unread)
    assert found.level is Level.REFUSE
    assert "batches/dnd.csv:7: is wrong, and 1 more" in found.message
    assert found.hint == "mend it"
    with pytest.raises(Refused, match="cannot be read"):
        Suppression((unread,)).without("cmp_1", people(CALLED))


def test_a_list_that_was_not_to_be_opened() -> None:
    """Offline and without secrets it is only told; apply has to read it, or refuses."""
    unread = blocked(numbers=None, withheld=True)
    assert [each.level for each in findings(unread, offline=True)] == [Level.LATER]
    assert [each.level for each in findings(unread)] == [Level.REFUSE]


class _Broken:
    def __len__(self) -> int:
        return 1

    def common(self, numbers: Sequence[str]) -> list[int]:
        raise OSError(5, "Input/output error", len(numbers))


def test_a_disk_that_fails() -> None:
    """A list that breaks off while it is compared stops the launch too."""
    (found,) = findings(blocked(numbers=_Broken(), refuses=True))
    assert "input/output error" in found.message
    with pytest.raises(Refused, match="input/output error"):
        Suppression((blocked(numbers=_Broken()),)).without("cmp_1", people(CALLED))


# -- files -----------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with a list of two numbers."""
    (tmp_path / "dnd.csv").write_text("phone_number\n+919810000001\n+14155550100\n", "utf-8")
    return tmp_path


def read(root: Path, **fields: Any) -> DoNotCall:
    """Read one list of a root."""
    (found,) = read_suppressions(root, "batches", settings(written(**fields)))
    return found


SHA256 = "30ae5b9f4b4b8cfd1ee5a4dbbd5a8b3e1f0ec4e7a1c0b7b0f2ac7b6b4b2b9f00"


def test_a_list_below_the_root(root: Path) -> None:
    """It is read, pinned or not."""
    found = read(root, count="2")
    assert found.numbers is not None
    assert len(found.numbers) == 2
    assert not found.problems
    assert "numbers" not in repr(found)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"count": "3"}, "has 2 numbers, not 3"),
        ({"sha256": SHA256}, "not the list that was pinned"),
        ({"file": "../dnd.csv"}, "leads out of"),
        ({"file": "missing.csv"}, "there is no file"),
        ({"file": "dnd.xlsx"}, "no list of numbers"),
        ({"file": "s3://lists/dnd.csv"}, "must be pinned"),
        ({"file": "http://example.com/dnd.csv"}, "not encrypted"),
        ({"column": "mobile"}, "no column has"),
    ],
)
def test_a_list_that_is_not_what_was_reviewed(
    root: Path, fields: dict[str, Any], said: str
) -> None:
    """Any such list has no numbers, only why."""
    found = read(root, **fields)
    assert found.numbers is None
    (problem,) = found.problems
    assert said in problem.message
    assert problem.hint
    assert "98100000" not in str(problem)


def test_a_list_that_is_another_is_not_told_of(root: Path) -> None:
    """Of a list that is not the pinned one nothing is shown, not even its mistakes."""
    (root / "dnd.csv").write_text("phone\n0123456789\n" * 50, "utf-8")
    (problem,) = read(root, sha256=SHA256).problems
    assert "not the list that was pinned" in problem.message


def test_a_named_pipe_is_not_waited_for(root: Path) -> None:
    """What is no file is refused at once."""
    import os  # noqa: PLC0415 - for this test alone

    os.mkfifo(root / "pipe.csv")
    assert "named pipe" in read(root, file="pipe.csv").problems[0].message
