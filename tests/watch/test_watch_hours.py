"""Working hours: windows on a wall clock that jumps."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.api.models import as_batch, as_campaign
from reconciler.plan.hours import (
    FURTHEST,
    WEEKDAYS,
    Day,
    Hours,
    after_open_time,
    hours_of,
    next_opening,
    open_time,
    windows,
)

if TYPE_CHECKING:
    from reconciler.observed import Campaign

ZONES = (
    "Asia/Kolkata",
    "Europe/London",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour of daylight saving
    "Africa/Casablanca",  # daylight saving backwards
    "Pacific/Apia",
)


def day(start: str, end: str, *, enabled: bool = True) -> dict[str, Any]:
    """Give a weekday as the API sends it."""
    return {"start": start, "end": end, "enabled": enabled}


def campaign(hours: Any, zone: str | None = "Europe/London", *, enforced: Any = True) -> Campaign:
    """Give a campaign out of an answer of the API."""
    row = {"timezone": zone, "working_hours_enforced": enforced, "working_hours": hours}
    made = as_campaign(row, "cmp_1")
    assert made is not None
    return made


def hours(start: str, end: str, zone: str = "Europe/London") -> Hours:
    """Give the same hours on every day."""
    made = hours_of(campaign(dict.fromkeys(WEEKDAYS, day(start, end)), zone))
    assert made is not None
    return made


def utc(*parts: int) -> datetime:
    """Give a moment."""
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]  # the parts are all ints


def test_a_campaign_is_read_with_its_hours_and_its_limit() -> None:
    """The fields stand where the vendor documents them."""
    made = as_campaign(
        {
            "timezone": "Asia/Kolkata",
            "working_hours_enforced": True,
            "working_hours": {"monday": day("09:00", "18:00")},
            "metadata": {"concurrency_limit": 7},
        },
        "cmp_1",
    )
    assert made is not None
    assert made.working_hours_enforced is True
    assert made.working_hours == {"monday": day("09:00", "18:00")}
    assert made.concurrency_limit == 7


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"working_hours_enforced": "yes", "working_hours": [], "metadata": None},
        {"working_hours_enforced": 1, "working_hours": 9, "metadata": {"concurrency_limit": "7"}},
        {"metadata": {"concurrency_limit": -1}},
        {"metadata": {"concurrency_limit": True}},
    ],
)
def test_what_cannot_be_read_of_a_campaign_is_not_known(row: dict[str, Any]) -> None:
    """An odd field hides nothing else, and is no fact."""
    made = as_campaign(row, "cmp_1")
    assert made is not None
    assert made.working_hours_enforced is None
    assert made.working_hours is None
    assert made.concurrency_limit is None
    assert hours_of(made) is None


def test_a_batch_is_read_with_its_start_and_its_limit() -> None:
    """Both are the batch's own, and odd ones are None."""
    made = as_batch(
        {"batch_id": "b1", "scheduled_start": "2035-05-14T09:00:00", "concurrency_limit": 3}
    )
    odd = as_batch({"batch_id": "b1", "scheduled_start": 12, "concurrency_limit": "many"})
    assert made is not None
    assert odd is not None
    assert (made.scheduled_start, made.concurrency_limit) == ("2035-05-14T09:00:00", 3)
    assert (odd.scheduled_start, odd.concurrency_limit) == (None, None)


@pytest.mark.parametrize(
    ("week", "zone", "why"),
    [
        ({"monday": day("nine", "17:00")}, "Europe/London", "a time that is none"),
        ({"monday": day("25:00", "26:00")}, "Europe/London", "no such hour"),
        ({"monday": {"enabled": True}}, "Europe/London", "no times at all"),
        ({"monday": "09:00-17:00"}, "Europe/London", "another form"),
        ({"monday": day("09:00", "17:00")}, "Mars/Olympus", "a timezone nobody knows"),
        ({"monday": day("09:00", "17:00")}, None, "no timezone"),
        (None, "Europe/London", "hours enforced and not told"),
    ],
)
def test_hours_that_cannot_be_read_are_not_known(week: Any, zone: str | None, why: str) -> None:
    """Hours are known as a whole or not at all: half of them would give a wrong end."""
    assert hours_of(campaign(week, zone)) is None, why


def test_hours_that_are_not_enforced_do_not_matter() -> None:
    """Then calls may go out at any time, whatever the hours or the timezone say."""
    made = hours_of(campaign({"monday": "odd"}, None, enforced=False))
    assert made is not None
    assert made.always
    assert next_opening(made, utc(2026, 5, 10)) == utc(2026, 5, 10)


def test_days_that_are_off_or_missing_have_no_window() -> None:
    """Only days with hours count; a day off does not need times."""
    week = {"monday": day("9:00", "17:30"), "tuesday": {"enabled": False}, "friday": None}
    made = hours_of(campaign(week))
    assert made is not None
    sunday = utc(2026, 5, 10)
    assert list(islice(windows(made, sunday), 2)) == [
        (utc(2026, 5, 11, 8), utc(2026, 5, 11, 16, 30)),
        (utc(2026, 5, 18, 8), utc(2026, 5, 18, 16, 30)),
    ]


def test_a_week_without_any_hours_never_opens() -> None:
    """It is known that there is no window: that is not the same as not known."""
    made = hours_of(campaign(dict.fromkeys(WEEKDAYS, day("09:00", "17:00", enabled=False))))
    assert made is not None
    assert next_opening(made, utc(2026, 5, 10)) is None
    assert after_open_time(made, utc(2026, 5, 10), timedelta(hours=1)) is None


def test_an_end_before_the_start_is_on_the_next_day() -> None:
    """A night's window is one window, also for who looks after midnight."""
    night = hours("22:00", "06:00")
    assert next(windows(night, utc(2026, 5, 12, 1))) == (utc(2026, 5, 12, 1), utc(2026, 5, 12, 5))


@pytest.mark.parametrize("end", ["00:00", "24:00"])
def test_a_whole_day_may_be_written_either_way(end: str) -> None:
    """From midnight to midnight nothing is lost and nothing counts twice."""
    whole = hours("00:00", end)
    week = open_time(whole, utc(2026, 3, 27), utc(2026, 4, 3))
    assert week == timedelta(days=7)


@pytest.mark.parametrize(
    ("date", "length", "why"),
    [
        ((2026, 3, 28), 9, "an ordinary day"),
        ((2026, 3, 29), 8, "clocks are put forward at one o'clock"),
        ((2026, 10, 25), 10, "clocks are put back at two o'clock"),
    ],
)
def test_a_window_follows_the_wall_clock(date: tuple[int, int, int], length: int, why: str) -> None:
    """From midnight to nine is as long as that day's clocks make it."""
    night = hours("00:00", "09:00")
    start = datetime(*date, tzinfo=ZoneInfo("Europe/London"))
    day_long = open_time(night, start.astimezone(UTC), start.astimezone(UTC) + timedelta(hours=12))
    assert day_long == timedelta(hours=length), why


def test_an_end_is_found_across_a_weekend_in_which_clocks_change() -> None:
    """Ten hours of work from Friday noon end on Monday, an hour earlier in UTC than in winter."""
    week = {name: day("09:00", "17:00") for name in WEEKDAYS[:5]}
    made = hours_of(campaign(week))
    assert made is not None
    friday_noon = utc(2026, 3, 27, 12)  # five hours left, still winter time
    assert after_open_time(made, friday_noon, timedelta(hours=10)) == utc(2026, 3, 30, 13)


times = st.times(max_value=time(23, 59)).map(lambda t: t.replace(second=0, microsecond=0))
weeks = st.tuples(*[st.none() | st.builds(Day, times, times)] * 7)
any_hours = st.builds(Hours, st.sampled_from(ZONES).map(ZoneInfo), weeks)
moments = st.integers(0, 4 * 365 * 24 * 60).map(
    lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
spans = st.timedeltas(timedelta(0), timedelta(days=20))


@settings(max_examples=60, deadline=None)
@given(any_hours, moments)
def test_windows_ascend_and_never_overlap(hours: Hours, since: datetime) -> None:
    """Whatever the days say, no moment is in two windows and none lies before the question."""
    found = list(islice(windows(hours, since), 30))
    assert all(opens < closes for opens, closes in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    assert all(opens >= since for opens, _ in found)


@settings(max_examples=60, deadline=None)
@given(any_hours, moments, spans, spans)
def test_open_time_adds_up(hours: Hours, start: datetime, one: timedelta, two: timedelta) -> None:
    """Looked at in two pieces, it is as much as in one."""
    middle, end = start + one, start + one + two
    whole = open_time(hours, start, end)
    assert whole == open_time(hours, start, middle) + open_time(hours, middle, end)
    assert timedelta(0) <= whole <= end - start


@settings(max_examples=60, deadline=None)
@given(any_hours, moments, spans.filter(bool))
def test_the_end_is_the_inverse_of_open_time(
    hours: Hours, start: datetime, needed: timedelta
) -> None:
    """Up to the end that is found, calls were allowed for exactly what was needed."""
    end = after_open_time(hours, start, needed)
    if end is None:
        assert open_time(hours, start, start + FURTHEST) < needed
    else:
        assert open_time(hours, start, end) == needed


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), moments, st.integers(4, 20), st.integers(1, 3))
def test_a_moment_is_open_when_the_wall_clock_says_so(
    zone: str, moment: datetime, start: int, length: int
) -> None:
    """By day, where no clock changes, being open is a matter of the hour there and nothing else."""
    daily = hours(f"{start:02d}:00", f"{start + length:02d}:00", zone)
    there = moment.astimezone(ZoneInfo(zone))
    is_open = next_opening(daily, moment) == moment
    assert is_open == (start <= there.hour < start + length)
