from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.spec.config.policy_hours import CallingHours
from reconciler.spec.config.week import Calendar, HoursRules
from reconciler.spec.model_errors import model_problems
from reconciler.spec.yaml.documents import read_document
from reconciler.spec.yaml.scalars import Plain, Unfit

if TYPE_CHECKING:
    from reconciler.spec.config.week import Day, Week

SCHEMA = jsonschema.Draft202012Validator(CallingHours.model_json_schema())
NINE_TO_NINE = ((9 * 60, 21 * 60),)


def taken(**fields: Any) -> HoursRules:
    """Read calling hours, and see that editors take them too."""
    SCHEMA.validate(fields)
    return CallingHours.model_validate(fields).rules


def refused(**fields: Any) -> tuple[str, str]:
    """Give the message and the hint of what is wrong."""
    with pytest.raises(ValidationError) as caught:
        CallingHours.model_validate(fields)
    (problem, *_) = model_problems(caught.value, CallingHours)
    return problem.message, problem.hint


def week_of(value: Any) -> Week:
    """Read hours on the called person's clock."""
    found = taken(callee=value).callee
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("value", "monday", "sunday"),
    [
        ("09:00-21:00", NINE_TO_NINE, NINE_TO_NINE),
        ("9:00 - 21:00", NINE_TO_NINE, NINE_TO_NINE),
        ({"monday": "09:00-21:00"}, NINE_TO_NINE, ()),
        ({"saturday-monday": "09:00-21:00"}, NINE_TO_NINE, NINE_TO_NINE),
        ({"monday-sunday": "00:00-24:00"}, ((0, 1440),), ((0, 1440),)),
        ({"monday": "14:00-18:00, 09:00-12:00"}, ((540, 720), (840, 1080)), ()),
        ({"monday": ["09:00-12:00", "12:00-21:00"]}, NINE_TO_NINE, ()),
        ({"monday - tuesday": "09:00-21:00"}, NINE_TO_NINE, ()),
    ],
)
def test_hours_that_can_be_written(value: Any, monday: Day, sunday: Day) -> None:
    """A text for every day, days, ranges of days, and several windows a day."""
    week = week_of(value)
    assert (week[0], week[6]) == (monday, sunday)


HOSTILE = [
    ("22:00-02:00", "runs over midnight", "`22:00-24:00` for this day and `00:00-02:00`"),
    ("09:00-00:00", "ends before it begins", "`09:00-24:00`"),
    ("09:00-9:00", "no time at all", "leave the day out"),
    ("24:00-24:00", "no time at all", "leave the day out"),
    ("09:00-24:01", "no such time of day", "00:00 to 24:00"),
    ("09:60-10:00", "no such time of day", "00:00 to 24:00"),
    ("9am-5pm", "which are no hours", "09:00-21:00"),
    ("09:00", "which are no hours", "09:00-21:00"),
    ("09:00-21:00,", "which are no hours", "09:00-21:00"),
    ("09:00-21:00Z", "which are no hours", "09:00-21:00"),
    ("\u0660\u0669:00-21:00", "which are no hours", "09:00-21:00"),
    ("09:00-12:00, 11:59-18:00", "overlap", "once"),
    ("", "no hours", "09:00-21:00"),
    (Plain("~"), "is nothing where hours are needed", "monday-friday"),
    (["09:00-21:00"], "is a list where hours are needed", "monday-friday"),
    ({}, "nobody could ever be called", "monday-friday"),
    ({"mon": "09:00-21:00"}, "which is no day of the week", "`monday`"),
    ({"Mon-Fri": "09:00-21:00"}, "which is no day of the week", "`monday-friday`"),
    ({"weekdays": "09:00-21:00"}, "which is no day of the week", "`monday-friday`"),
    ({"mondya": "09:00-21:00"}, "which is no day of the week", "`monday`"),
    ({"monday-": "09:00-21:00"}, "which is no day of the week", "`monday`"),
    ({"-": "09:00-21:00"}, "which is no day of the week", "ranges"),
    ({"t": "09:00-21:00"}, "which is no day of the week", "ranges"),
    ({"x" * 100_000: "09:00-21:00"}, "which is no day of the week", "ranges"),
    (
        {"monday-friday": "09:00-21:00", "tuesday": "10:00-18:00"},
        "names tuesday twice: `monday-friday` and `tuesday`",
        "once",
    ),
    ({"monday": Plain("")}, "says no hours for `monday`", "leave the day out"),
    ({"monday": []}, "says no hours for `monday`", "leave the day out"),
    ({"monday": {}}, "a mapping where the hours of `monday`", "09:00-21:00"),
    ({"monday": [["09:00-21:00"]]}, "a list where the hours of `monday`", "09:00-21:00"),
    ({"monday": "09:00-21:00" * 10_000}, "110,000 characters", "09:00-21:00"),
    ({"monday": ["09:00-21:00"] * 100_000}, "100,000 windows", ""),
    ({"monday": ",".join(["1:00-1:01"] * 13)}, "13 windows", ""),
]


@pytest.mark.parametrize(("value", "message", "hint"), HOSTILE)
def test_hours_that_cannot_mean_anything(value: Any, message: str, hint: str) -> None:
    """Each is refused with what is wrong and the way to write it, in few words."""
    said, advised = refused(callee=value)
    assert message in said
    assert said.startswith("`callee` ")
    assert hint in advised
    assert len(said) < 300
    assert refused(campaign=value)[1] == advised


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({}, "says nothing about when calls may go out", "callee"),
        ({"retries": Plain("2")}, "says nothing", "callee"),
        ({"unknown_zone": "Asia/Kolkata"}, "says nothing", "callee"),
        ({"callee": Plain(""), "campaign": "9:00-21:00"}, "`callee` is nothing", "monday-friday"),
        ({"callee": "9:00-21:00", "holidays": Plain("")}, "`holidays` is empty", ""),
        ({"callee": "9:00-21:00", "unknown_zone": Plain("")}, "`unknown_zone` is empty", ""),
        ({"calle": "09:00-21:00"}, "unknown field `calle`", "`callee`"),
        ({"holidays": ["in"]}, "`in`, which is no country", "`IN`"),
        ({"holidays": ["us_ca"]}, "which is no country", "`US-CA`"),
        ({"holidays": ["India"]}, "which is no country", "ISO codes"),
        ({"holidays": ["IN", "IN"]}, "twice", "once"),
        ({"holidays": []}, "names no country", "leave the field out"),
        ({"holidays": {"IN": "yes"}}, "a mapping where a list", "[one"),
        ({"holidays": [f"A{n}" for n in range(1_000)]}, "1,000 entries", ""),
        ({"extra_holidays": ["2026-02-29"]}, "where a day is needed", "2026-05-12"),
        ({"extra_holidays": ["2026-1-1"]}, "where a day is needed", "2026-05-12"),
        ({"extra_holidays": "2026-01-01"}, "list of days", "[2026-11-08]"),
        ({"extra_holidays": ["2026-01-01"] * 2}, "2026-01-01 twice", "once"),
        ({"extra_holidays": ["2026-01-01"] * 100_000}, "100,000 entries", ""),
        ({"except_holidays": ["2026-01-26"]}, "no `holidays` to except", "delete"),
        (
            {
                "holidays": ["IN"],
                "extra_holidays": ["2026-01-26"],
                "except_holidays": ["2026-01-26"],
            },
            "2026-01-26 in `extra_holidays` and in `except_holidays`",
            "choose",
        ),
        ({"callee": "9:00-21:00", "unknown_zone": "Asia/Kolkatta"}, "no timezone", "Asia/Kolkata"),
        ({"callee": "9:00-21:00", "unknown_zone": "../../etc/passwd"}, "no timezone", "IANA"),
        ({"callee": "9:00-21:00", "unknown_zone": "Asia"}, "no timezone", "IANA"),
        ({"callee": "9:00-21:00", "unknown_zone": "x" * 100_000}, "no timezone", "IANA"),
        ({"callee": "9:00-21:00", "retries": Plain("-1")}, "is -1", ""),
        ({"callee": "9:00-21:00", "retries": Plain("9" * 1000)}, "too large", ""),
    ],
)
def test_sections_that_are_refused(fields: dict[str, Any], message: str, hint: str) -> None:
    """A section that says nothing, or something that is not known, is an error."""
    said, advised = refused(**fields)
    assert message in said
    assert hint in advised
    assert len(said) < 300


def test_all_that_can_be_said() -> None:
    """The whole section, as plain values."""
    found = taken(
        callee={"monday-friday": "09:00-21:00", "saturday": "10:00-18:00"},
        campaign="08:00-20:00",
        holidays=["IN", "US-CA", "callee"],
        extra_holidays=["2028-02-29"],
        except_holidays=["2026-01-26"],
        unknown_zone="Asia/Kolkata",
        retries=2,
    )
    assert found == HoursRules(
        callee=(*(NINE_TO_NINE,) * 5, ((600, 1080),), ()),
        campaign=(((480, 1200),),) * 7,
        calendars=(
            Calendar(
                codes=("IN", "US-CA"),
                of_callee=True,
                extra=frozenset({date(2028, 2, 29)}),
                excepted=frozenset({date(2026, 1, 26)}),
            ),
        ),
        unknown_zones=("Asia/Kolkata",),
        retries=2,
    )
    assert found.needs_zones
    assert found.needs_regions


def test_what_is_left_out_asks_for_nothing() -> None:
    """Hours on the campaign's clock need no timezone of anybody's."""
    found = taken(campaign="08:00-20:00")
    assert (found.callee, found.calendars, found.unknown_zones) == (None, (), ())
    assert not found.needs_zones
    assert not found.needs_regions
    assert found.retries == 3


@given(
    st.recursive(
        st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_is_written_gets_an_answer(value: Any) -> None:
    """Nothing that a file can hold makes reading hours fail otherwise than by a refusal."""
    for name in ("callee", "holidays", "extra_holidays", "unknown_zone"):
        try:
            CallingHours.model_validate({"campaign": "09:00-21:00", name: value})
        except ValidationError as error:
            assert all(  # noqa: PT017 - either outcome is right
                isinstance((one.get("ctx") or {}).get("error"), Unfit) for one in error.errors()
            )


def test_the_example_in_the_documentation() -> None:
    """What the documentation shows can be written, and means something."""
    page = (Path(__file__).parents[2] / "docs" / "calling-hours.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    reading = read_document(example.encode())
    assert reading.document is not None
    policy = reading.document.value["policy"]
    found = CallingHours.model_validate(policy["calling_hours"]).rules
    assert found.callee is not None
    assert found.callee[5] == ((600, 780), (840, 1080))
    assert found.callee[6] == ()
    assert found.calendars[0].of_callee
    assert all(f"| `{field}` |" in page for field in CallingHours.model_fields)
