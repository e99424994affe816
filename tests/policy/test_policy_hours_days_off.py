from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import holidays as library
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.observed import Campaign
from reconciler.policy import days_off, places
from reconciler.policy.calling_hours import calling_hours
from reconciler.policy.case import Case, Crowd
from reconciler.policy.crowd import crowd_of
from reconciler.policy.days_off import holidays
from reconciler.policy.finding import Finding, Level
from reconciler.policy.public_holidays import NoCalendar, holiday
from reconciler.spec.config.week import Calendar, HoursRules
from tests.policy.launches import launch_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model import Contact

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TWO_MINUTES = timedelta(minutes=2)
NEW_YORK, KOLKATA, LOS_ANGELES = "America/New_York", "Asia/Kolkata", "America/Los_Angeles"
REPUBLIC_DAY = datetime(2026, 1, 25, 18, 30, tzinfo=UTC)
"""00:00 of 26 January 2026 in Kolkata."""
ALWAYS_OPEN = Campaign(
    "cmp_1",
    status="active",
    timezone=KOLKATA,
    working_hours_enforced=False,
    concurrency_limit=10,
    max_retries=0,
)
INDIA = HoursRules(calendars=(Calendar(codes=("IN",)),))
OF_CALLEE = HoursRules(calendars=(Calendar(of_callee=True),))


def case_of(people: Mapping[tuple[str, Any], int], start: datetime, **changes: Any) -> Case:
    """Give the launch of one batch that calls people of these countries and timezones."""
    zones: dict[tuple[str, ...], int] = {}
    for (_, where), count in people.items():
        zones[where] = zones.get(where, 0) + count
    total = sum(people.values())
    crowd = Crowd(people=total, zones=zones, places=people)
    return replace(launch_of(crowd, start, campaign=ALWAYS_OPEN), **changes)


def indians(count: int, start: datetime, **changes: Any) -> Case:
    """Give the launch of a batch that calls people in India."""
    return case_of({("IN", (KOLKATA,)): count}, start, **changes)


def found(case: Case, rules: HoursRules = INDIA) -> list[Finding]:
    """Ask the rule."""
    return list(holidays(case, rules, TWO_MINUTES))


def message_of(case: Case, rules: HoursRules = INDIA) -> str:
    """Give the one finding's message."""
    (finding,) = found(case, rules)
    assert (finding.rule, finding.level) == ("holidays", Level.REFUSE)
    return finding.message


def test_a_working_day_is_not_told_of() -> None:
    """Without a day off, or without a calendar, there is nothing to say."""
    assert found(indians(10, REPUBLIC_DAY - HOUR)) == []
    assert found(indians(10, REPUBLIC_DAY), HoursRules()) == []
    assert found(case_of({}, REPUBLIC_DAY)) == []


def test_calls_on_a_holiday_are_refused() -> None:
    """The finding says which day it is, for whom, what fits before, when it ends, and a start."""
    (finding,) = found(indians(10, REPUBLIC_DAY + 9 * HOUR))
    assert finding.message == (
        "Monday, 2026-01-26 is Republic Day (IN) for 10 people in Asia/Kolkata; calls would begin "
        "on it; the last call would be at about 2026-01-26T03:32Z"
    )
    assert "`scheduled_start: 2026-01-26T18:30:00Z`" in finding.hint
    spilling = message_of(indians(60, REPUBLIC_DAY - 10 * MINUTE))
    assert "about 50 of 60 people can be called before it" in spilling


def test_a_day_begins_and_ends_at_midnight_there() -> None:
    """The last call before midnight and the first after the day are no calls on it."""
    assert found(indians(50, REPUBLIC_DAY - 10 * MINUTE)) == []
    assert found(indians(51, REPUBLIC_DAY - 10 * MINUTE)) != []
    assert found(indians(10, REPUBLIC_DAY + 24 * HOUR - MINUTE)) != []
    assert found(indians(10, REPUBLIC_DAY + 24 * HOUR)) == []


def test_the_day_is_that_of_the_person() -> None:
    """When it is still Sunday in New York, it is Republic Day in Kolkata; a day is not a moment."""
    people = {("IN", (KOLKATA,)): 5, ("US", (NEW_YORK,)): 7}
    assert "for 5 people in Asia/Kolkata" in message_of(case_of(people, REPUBLIC_DAY))
    later = message_of(case_of(people, REPUBLIC_DAY + 23 * HOUR))
    assert "for 12 people in America/New_York, Asia/Kolkata" in later
    at_the_end = message_of(case_of(people, REPUBLIC_DAY + 24 * HOUR))
    assert "for 7 people in America/New_York" in at_the_end


def test_every_possible_zone_counts() -> None:
    """A number that may be in two timezones is not called while it is a holiday in either."""
    people = {("US", (LOS_ANGELES, NEW_YORK)): 5}
    rules = HoursRules(calendars=(Calendar(codes=("US",)),))
    christmas = datetime(2026, 12, 25, 5, 0, tzinfo=UTC)  # midnight in New York
    assert found(case_of(people, christmas - HOUR), rules) == []
    assert "for 5 people in America/New_York" in message_of(case_of(people, christmas), rules)
    ended = christmas + 24 * HOUR
    assert "for 5 people in America/Los_Angeles" in message_of(case_of(people, ended), rules)
    assert found(case_of(people, ended + 3 * HOUR), rules) == []


def test_the_country_of_each_number() -> None:
    """With `callee`, a holiday is that of those whose country has it, and no one else's."""
    people = {("IN", (KOLKATA,)): 5, ("LK", ("Asia/Colombo",)): 7}
    message = message_of(case_of(people, REPUBLIC_DAY), OF_CALLEE)
    assert "(IN) for 5 people in Asia/Kolkata" in message
    assert found(case_of({("LK", ("Asia/Colombo",)): 7}, REPUBLIC_DAY), OF_CALLEE) == []
    both = HoursRules(calendars=(Calendar(of_callee=True, codes=("IN",)),))
    assert "(IN) for 12 people" in message_of(case_of(people, REPUBLIC_DAY), both)


def test_calendars_are_apart() -> None:
    """An exception from one calendar holds, whatever countries another one is about."""
    mine = Calendar(of_callee=True, excepted=frozenset({date(2026, 1, 26)}))
    rules = HoursRules(calendars=(mine, Calendar(codes=("US",))))
    assert found(indians(10, REPUBLIC_DAY), rules) == []
    christmas = datetime(2026, 12, 25, 6, 0, tzinfo=UTC)
    assert {each.message.split("(")[1][:2] for each in found(indians(10, christmas), rules)} == {
        "IN",
        "US",
    }


def test_a_part_of_a_country() -> None:
    """Maharashtra has a day off that India as a whole has not."""
    maharashtra_day = datetime(2027, 5, 1, 6, 0, tzinfo=UTC)
    part = HoursRules(calendars=(Calendar(codes=("IN-MH",)),))
    assert "Maharashtra Day (IN-MH)" in message_of(indians(5, maharashtra_day), part)
    assert found(indians(5, maharashtra_day)) == []


def test_days_that_are_moved() -> None:
    """Where a holiday on a Saturday is kept on Friday, both are off; across years too."""
    assert holiday("US", date(2026, 7, 3)) == "Independence Day (observed)"
    assert holiday("US", date(2026, 7, 4)) == "Independence Day"
    assert holiday("US", date(2027, 12, 31)) == "New Year's Day (observed)"
    assert holiday("US", date(2026, 7, 2)) is None


def test_more_days_and_fewer() -> None:
    """Days can be added, a leap day among them, and holidays excepted."""
    excepted = Calendar(codes=("IN",), excepted=frozenset({date(2026, 1, 26)}))
    assert found(indians(10, REPUBLIC_DAY), HoursRules(calendars=(excepted,))) == []
    again = HoursRules(calendars=(excepted, Calendar(codes=("IN",))))
    assert found(indians(10, REPUBLIC_DAY), again) != []
    leap = HoursRules(calendars=(Calendar(extra=frozenset({date(2028, 2, 29)})),))
    midnight = datetime(2028, 2, 28, 18, 30, tzinfo=UTC)
    message = message_of(indians(10, midnight), leap)
    assert message.startswith("Tuesday, 2028-02-29 is a day off in the policy for 10 people")
    assert found(indians(10, midnight - HOUR), leap) == []


def test_several_days_are_few_lines() -> None:
    """The first three days are told, and how many more there are."""
    rules = HoursRules(
        calendars=(Calendar(extra=frozenset(date(2026, 3, day) for day in range(2, 8))),)
    )
    long = indians(7_200 * 7, datetime(2026, 3, 1, 12, 0, tzinfo=UTC))
    told = [each.message for each in found(long, rules)]
    assert len(told) == 4
    assert [each.split(" ")[1] for each in told[:3]] == ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert told[3] == "calls would go out on 3 more days off"


def test_what_no_calendar_knows_is_refused() -> None:
    """A country that nobody knows, a part that it has not, and a year too far: refused."""
    for codes, hint in ((("XX",), "ISO codes"), (("US-ZZ",), "US-"), (("Usa",), "`US`")):
        (finding,) = found(
            indians(10, REPUBLIC_DAY), HoursRules(calendars=(Calendar(codes=codes),))
        )
        assert finding.level is Level.REFUSE
        assert "known of" in finding.message
        assert hint in finding.hint
    far = datetime(2150, 1, 1, tzinfo=UTC)
    assert "not in 2150" in message_of(indians(10, far))
    with pytest.raises(NoCalendar):
        holiday("IN", date(1900, 1, 1))


def test_numbers_of_no_country_have_no_calendar() -> None:
    """With `callee`, who is of no known country is refused."""
    people = {("", (KOLKATA,)): 3, ("IN", (KOLKATA,)): 5}
    case = case_of(people, REPUBLIC_DAY - HOUR)
    assert "3 people of no known country" in message_of(case, OF_CALLEE)
    assert found(case, INDIA) == []


def test_people_of_no_known_timezone_are_refused() -> None:
    """Whose day nobody can tell is not called, unless the policy names a timezone."""
    people = {("IN", ()): 3, ("IN", (KOLKATA,)): 5}
    case = case_of(people, REPUBLIC_DAY - HOUR)
    assert "3 of 8 people" in message_of(case)
    assert "3 of 8 people" in message_of(case, OF_CALLEE)
    assert found(case, replace(OF_CALLEE, unknown_zones=(KOLKATA,))) == []
    uncounted = replace(case, crowd=replace(case.crowd, places={}))
    assert "8 of 8 people" in message_of(uncounted, OF_CALLEE)


def test_without_the_packages_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a package is missing, the finding says what to install; own days need no calendar."""
    case = indians(10, REPUBLIC_DAY - HOUR)
    own = HoursRules(calendars=(Calendar(extra=frozenset({date(2026, 1, 26)})),))
    with monkeypatch.context() as patch:
        patch.setattr(days_off, "installed", lambda: False)
        (finding,) = found(case)
        assert "pip install 'call-batch-reconciler[hours]'" in finding.hint
        assert found(case, own) == []
        assert found(indians(10, REPUBLIC_DAY), own) != []
    monkeypatch.setattr(places, "locator", lambda: None)
    (finding,) = found(case_of({("", ()): 3}, REPUBLIC_DAY - HOUR), own)
    assert "pip install 'call-batch-reconciler[hours]'" in finding.hint


def test_what_cannot_be_known_is_refused_or_told_once() -> None:
    """Without the API it is a warning, which the rule on hours says for both; else a refusal."""
    unknown = indians(10, REPUBLIC_DAY, campaign=None)
    assert "no such campaign" in message_of(unknown)
    offline = replace(unknown, offline=True)
    (finding,) = found(offline)
    assert finding.level is Level.LATER
    week = replace(INDIA, callee=(((0, 1440),),) * 7)
    assert found(offline, week) == []
    assert len(list(calling_hours(offline, week, TWO_MINUTES))) == 1
    assert "no such campaign" in message_of(unknown, week)


def test_a_campaign_that_is_asleep_is_warned_of_once() -> None:
    """What calls when somebody activates it is told by one of the two rules."""
    case = indians(10, REPUBLIC_DAY - HOUR, campaign=replace(ALWAYS_OPEN, status="draft"))
    (finding,) = found(case)
    assert (finding.level, "draft" in finding.message) == (Level.WARN, True)
    week = replace(INDIA, callee=(((0, 1440),),) * 7)
    assert found(case, week) == []


def test_a_better_start_keeps_clear_of_both() -> None:
    """The start that the rule on hours proposes is on no holiday."""
    rules = replace(INDIA, callee=(((540, 1260),),) * 7)
    sunday_evening = indians(1_000, REPUBLIC_DAY - 4 * HOUR)
    (finding,) = calling_hours(sunday_evening, rules, TWO_MINUTES)
    assert "`scheduled_start: 2026-01-27T03:30:00Z`" in finding.hint
    better = replace(sunday_evening, starts_at=datetime(2026, 1, 27, 3, 30, tzinfo=UTC))
    assert list(calling_hours(better, rules, TWO_MINUTES)) == []
    assert found(better, rules) == []


def test_from_numbers_to_findings() -> None:
    """A list of real numbers is counted and judged: the chain of all parts."""
    contacts: list[Contact] = [
        {"phone_number": f"+9198765432{index:02}", "call_variables": {"callee_name": "A"}}
        for index in range(20)
    ]
    crowd = crowd_of([contacts], regions=True, zones=True)
    case = replace(indians(20, REPUBLIC_DAY), crowd=crowd)
    message = message_of(case, OF_CALLEE)
    assert "Republic Day (IN) for 20 people in Asia/Calcutta" in message
    assert re.search(r"9876", message) is None


YEARS = (2026, 2027, 2028)
CODES = ("IN", "US", "US-CA", "GB-SCT", "JP", "NZ")
BOOK = {
    code: {
        day
        for year in YEARS
        for day in library.country_holidays(
            code[:2], subdiv=code[3:] or None, years=year, expand=False
        )
    }
    for code in CODES
}
ZONES = ("Pacific/Kiritimati", "Etc/GMT+12", "Africa/Cairo", "America/Havana", KOLKATA, NEW_YORK)


@settings(max_examples=300, deadline=None)
@given(
    codes=st.lists(st.sampled_from(CODES), min_size=1, max_size=2, unique=True),
    zone=st.sampled_from(ZONES),
    near=st.data(),
    people=st.integers(1, 4_000),
)
def test_as_a_calendar_on_each_wall_says(
    codes: list[str], zone: str, near: st.DataObject, people: int
) -> None:
    """A launch is refused just when a minute of calling has a day that a calendar has as well."""
    day = near.draw(st.sampled_from(sorted(BOOK[codes[0]])))
    offset = near.draw(st.integers(-40 * 60, 40 * 60))
    start = datetime(day.year, day.month, day.day, tzinfo=UTC) + offset * MINUTE
    called = {
        (start + minute * MINUTE).astimezone(ZoneInfo(zone)).date()
        for minute in range(2 * -(-people // 10))
    }
    if {each.year for each in called} - set(YEARS):
        return
    rules = HoursRules(calendars=(Calendar(codes=tuple(codes)),))
    told = found(case_of({("IN", (zone,)): people}, start), rules)
    expected = {(each, code) for each in called for code in codes if each in BOOK[code]}
    assert bool(told) == bool(expected)
    if len(expected) <= 3:
        assert len(told) == len(expected)
