from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.observed import Campaign
from reconciler.plan.hours import WEEKDAYS, hours_of, windows
from reconciler.policy import clocks, places
from reconciler.policy.calling_hours import calling_hours
from reconciler.policy.case import Case, Crowd
from reconciler.policy.clocks import merged, minus, outside, stretches
from reconciler.policy.finding import Finding, Level
from reconciler.spec.config.week import MIDNIGHT, HoursRules, joined
from tests.policy.launches import launch_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.policy.clocks import Span
    from reconciler.spec.config.week import Week

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TWO_MINUTES = timedelta(minutes=2)
NEW_YORK, KOLKATA = "America/New_York", "Asia/Kolkata"
FRIDAY = datetime(2026, 5, 15, 13, 0, tzinfo=UTC)
"""09:00 in New York, 18:30 in Kolkata."""
NINE_TO_NINE: Week = (((540, 1260),),) * 7
WEEKDAYS_ONLY: Week = (*(((540, 1260),),) * 5, (), ())
ZONES = (
    "Pacific/Kiritimati",  # +14
    "Etc/GMT+12",  # -12
    "Pacific/Pago_Pago",
    "Pacific/Chatham",  # +12:45 and +13:45
    "Australia/Lord_Howe",  # clocks change by half an hour
    "America/Havana",  # clocks change at midnight
    "Africa/Cairo",  # clocks change at midnight
    "Africa/Casablanca",
    "America/Nuuk",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Europe/London",
    KOLKATA,
    NEW_YORK,
    "UTC",
)
EDGES = (
    datetime(2026, 3, 8, 6, 30, tzinfo=UTC),  # New York puts clocks forward
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),  # … and back
    datetime(2026, 4, 4, 14, 30, tzinfo=UTC),  # Lord Howe, Chatham
    datetime(2026, 10, 3, 15, 0, tzinfo=UTC),
    datetime(2026, 3, 8, 4, 30, tzinfo=UTC),  # Havana, at midnight
    datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
    datetime(2026, 4, 23, 21, 30, tzinfo=UTC),  # Cairo, at midnight
    datetime(2026, 10, 29, 20, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),  # London
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2028, 2, 28, 12, 0, tzinfo=UTC),  # before a leap day
    datetime(2028, 2, 29, 12, 0, tzinfo=UTC),
    datetime(2027, 2, 28, 12, 0, tzinfo=UTC),
    datetime(2026, 12, 31, 12, 0, tzinfo=UTC),
    FRIDAY,
)


def campaign(**changes: Any) -> Campaign:
    """Give an active campaign in New York that may call at any time, ten calls at once."""
    made = Campaign(
        "cmp_1",
        status="active",
        timezone=NEW_YORK,
        working_hours_enforced=False,
        concurrency_limit=10,
        max_retries=0,
    )
    return replace(made, **changes)


def case_of(zones: Mapping[Any, int], start: datetime = FRIDAY, **changes: Any) -> Case:
    """Give the launch of one batch that calls these people from `start` on."""
    people = sum(zones.values())
    fields = {"campaign_id": "cmp_1", **changes.pop("fields", {})}
    crowd = Crowd(people=people, zones=zones)
    return replace(launch_of(crowd, start, campaign=campaign(), fields=fields), **changes)


def found(
    case: Case, rules: HoursRules | None = None, average_call: timedelta = TWO_MINUTES
) -> list[Finding]:
    """Ask the rule."""
    return list(calling_hours(case, rules or HoursRules(callee=NINE_TO_NINE), average_call))


def message_of(case: Case, rules: HoursRules | None = None) -> str:
    """Give the one finding's message."""
    (finding,) = found(case, rules)
    assert (finding.rule, finding.level) == ("calling_hours", Level.REFUSE)
    return finding.message


def allowed(moment: datetime, zone: str, week: Week) -> bool:
    """Tell by the clock on a wall whether calls may go out."""
    local = moment.astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in week[local.weekday()])


def minutes_of_calling(case: Case, average_call: timedelta, retries: int) -> list[datetime]:
    """Go through a launch minute by minute: those in which calls go out."""
    assert case.campaign is not None
    assert case.campaign.concurrency_limit is not None
    calls = case.crowd.people * (1 + retries)
    left = average_call // MINUTE * -(-calls // case.campaign.concurrency_limit)
    hours = hours_of(case.campaign)
    assert hours is not None
    assert case.starts_at is not None
    used: list[datetime] = []
    for opens, closes in windows(hours, max(case.starts_at, case.now)):
        at = opens
        while at < closes:
            if not left:
                return used
            used.append(at)
            left -= 1
            at += MINUTE
    return used


times = st.tuples(st.integers(0, 96), st.integers(0, 96)).map(
    lambda both: (min(both) * 15, max(both) * 15)
)
weeks = st.tuples(*[st.lists(times, max_size=2).map(joined)] * 7)
starts = st.tuples(st.sampled_from(EDGES), st.integers(-900, 900)).map(
    lambda one: one[0] + one[1] * MINUTE
)
office = st.sampled_from([None, ("09:00", "17:00"), ("00:30", "23:30"), ("22:00", "03:00")])


@settings(max_examples=400, deadline=None)
@given(
    callee=st.none() | weeks | st.just(NINE_TO_NINE),
    of_campaign=st.none() | st.just(NINE_TO_NINE) | weeks,
    start=starts,
    people=st.integers(1, 4_000),
    retries=st.integers(0, 2),
    where=st.lists(
        st.lists(st.sampled_from(ZONES), min_size=1, max_size=3), min_size=1, max_size=3
    ),
    hours=office,
    of=st.sampled_from(ZONES),
)
def test_as_a_clock_on_each_wall_says(
    *,
    callee: Week | None,
    of_campaign: Week | None,
    start: datetime,
    people: int,
    retries: int,
    where: list[list[str]],
    hours: tuple[str, str] | None,
    of: str,
) -> None:
    """A launch is refused for just those timezones where a minute of calling is not allowed."""
    zones = {tuple(sorted(set(each))): people for each in where}
    asked = campaign(
        timezone=of,
        max_retries=retries,
        working_hours_enforced=hours is not None,
        working_hours={day: {"start": hours[0], "end": hours[1]} for day in WEEKDAYS}
        if hours
        else None,
    )
    case = case_of(zones, start, campaign=asked)
    rules = HoursRules(callee=callee, campaign=of_campaign)
    used = minutes_of_calling(case, TWO_MINUTES, retries)
    expected = {
        zone
        for zone in {zone for each in zones for zone in each}
        if callee and not all(allowed(moment, zone, callee) for moment in used)
    }
    told = found(case, rules)
    by_campaign = bool(of_campaign) and not all(
        allowed(each, of, of_campaign or ()) for each in used
    )
    assert bool(told) == bool(expected or by_campaign)
    assert all(each.level is Level.REFUSE for each in told)
    if len(expected) + by_campaign <= 3:
        named = {
            match[1]
            for each in told
            if (match := re.search(r" in ([\w/+-]+), where ", each.message))
        }
        assert named == expected
        assert by_campaign == any("the campaign's timezone" in each.message for each in told)


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    start=starts,
    seconds=st.integers(1, 300_000),
    micro=st.integers(0, 999_999),
)
def test_days_are_those_of_the_zone(
    zone: ZoneInfo, start: datetime, seconds: int, micro: int
) -> None:
    """A span is cut into days without gaps, and every moment has the date the zone says."""
    begin = start + timedelta(microseconds=micro)
    end = begin + timedelta(seconds=seconds)
    cut = list(stretches(zone, (begin, end)))
    assert [each.begin for each in cut] == [begin, *(each.end for each in cut[:-1])]
    assert cut[-1].end == end
    for each in cut:
        middle = each.begin + (each.end - each.begin) / 2
        for moment in (each.begin, middle, each.end - clocks.TICK):
            local = moment.astimezone(zone)
            assert local.date() == each.day
            clock = timedelta(
                hours=local.hour,
                minutes=local.minute,
                seconds=local.second,
                microseconds=local.microsecond,
            )
            assert moment - each.midnight == clock


spans = st.lists(
    st.tuples(st.integers(0, 200), st.integers(1, 20)).map(
        lambda one: (FRIDAY + one[0] * HOUR, FRIDAY + (one[0] + one[1]) * HOUR)
    ),
    max_size=8,
)


@given(spans, spans)
def test_spans_without_others(some: list[Span], others: list[Span]) -> None:
    """What is left of spans without others is in the ones and not in the others."""
    left = list(minus(merged(some), merged(others)))
    assert left == merged(left)
    for hour in range(225):
        moment = FRIDAY + hour * HOUR

        def within(rows: list[Span], moment: datetime = moment) -> bool:
            return any(begin <= moment < end for begin, end in rows)

        assert within(left) == (within(some) and not within(others))


def test_a_launch_within_hours_is_not_told_of() -> None:
    """3,600 people of New York, 2 minutes each, ten at once: from 09:00 to 21:00 sharp."""
    assert found(case_of({(NEW_YORK,): 3_600})) == []
    assert found(case_of({})) == []
    assert found(case_of({(NEW_YORK,): 9_999}), HoursRules()) == []


def test_what_fits_and_when_it_would_end() -> None:
    """The end is looked at, not the start: one person too many is told with all that helps."""
    (finding,) = found(case_of({(NEW_YORK,): 4_000}))
    assert finding.message == (
        "about 3,600 of 4,000 people can be called before 21:00 on Friday, 2026-05-15 in "
        "America/New_York, where 4,000 people are or may be; the last call would be at about "
        "22:20 on Friday, 2026-05-15"
    )
    assert finding.hint == (
        "at most about 3,600 people can be called without a break: make several specs, or raise "
        "`concurrency_limit` to 12"
    )
    limit = {"concurrency_limit": 12}
    assert found(case_of({(NEW_YORK,): 4_000}, fields=limit)) == []


def test_a_better_start_is_named() -> None:
    """What fits at another time is told with the first such start, which then is not refused."""
    late = case_of({(NEW_YORK,): 1_000}, FRIDAY + 11 * HOUR, fields={"scheduled_start": "…"})
    (finding,) = found(late)
    assert finding.path == ("scheduled_start",)
    start = re.search(r"scheduled_start: ([\dTZ:-]+)`", finding.hint)
    assert start is not None
    better = datetime.fromisoformat(start[1])
    assert better == FRIDAY + timedelta(days=1)
    assert found(replace(late, starts_at=better)) == []
    assert "end at about 2026-05-16T16:20Z" in finding.hint


@settings(max_examples=150, deadline=None)
@given(
    week=weeks,
    start=starts,
    people=st.integers(1, 3_000),
    zone=st.sampled_from(ZONES),
    of=st.sampled_from(ZONES),
    hours=office,
)
def test_a_start_that_is_proposed_is_never_refused(
    *, week: Week, start: datetime, people: int, zone: str, of: str, hours: tuple[str, str] | None
) -> None:
    """Whatever the hours are: a launch at the start that a hint names is within all of them."""
    asked = campaign(
        timezone=of,
        working_hours_enforced=hours is not None,
        working_hours={day: {"start": hours[0], "end": hours[1]} for day in WEEKDAYS}
        if hours
        else None,
    )
    case = case_of({(zone,): people}, start, campaign=asked)
    rules = HoursRules(callee=week)
    for finding in found(case, rules):
        named = re.search(r"scheduled_start: ([\dTZ:-]+)`", finding.hint)
        if named is not None:
            assert found(replace(case, starts_at=datetime.fromisoformat(named[1])), rules) == []


def test_what_lies_between_two_days_is_no_room() -> None:
    """Where the campaign calls for longer than people may be called, a day is all that fits."""
    hours = {day: {"start": "09:00", "end": "22:00"} for day in WEEKDAYS}
    asked = campaign(working_hours_enforced=True, working_hours=hours)
    (finding,) = found(case_of({(NEW_YORK,): 4_000}, campaign=asked))
    assert finding.hint.startswith("at most about 3,600 people")


def test_a_start_before_hours() -> None:
    """A launch that begins too early is told when calls may go out there."""
    message = message_of(case_of({(NEW_YORK,): 10}, FRIDAY - MINUTE))
    assert message.startswith(
        "calls would begin at 08:59 on Friday, 2026-05-15 in America/New_York"
    )
    assert "they may go out there from 09:00 on Friday, 2026-05-15 on" in message


def test_a_weekend_is_run_into() -> None:
    """Days that are not named have no hours: what is left on Friday evening is refused."""
    rules = HoursRules(callee=WEEKDAYS_ONLY)
    message = message_of(case_of({(NEW_YORK,): 10}, FRIDAY + timedelta(days=1)), rules)
    assert "from 09:00 on Monday, 2026-05-18 on" in message


def test_campaign_hours_pause_calling_overnight() -> None:
    """Where the campaign itself stops at night, a launch of several days is within hours."""
    hours = {day: {"start": "09:00", "end": "21:00"} for day in WEEKDAYS[:5]}
    asked = campaign(working_hours_enforced=True, working_hours=hours)
    case = case_of({(NEW_YORK,): 10_000}, campaign=asked)
    assert found(case, HoursRules(callee=WEEKDAYS_ONLY)) == []
    rules = HoursRules(callee=WEEKDAYS_ONLY)
    assert "before 21:00 on Friday" in message_of(replace(case, campaign=campaign()), rules)
    fewer = tuple(day if index != 1 else () for index, day in enumerate(WEEKDAYS_ONLY))
    assert "before 09:00 on Tuesday" in message_of(case, HoursRules(callee=fewer))


def test_every_possible_zone_must_allow() -> None:
    """A number that may be in several timezones is called only when all of them allow it."""
    zones = {(NEW_YORK, "Pacific/Honolulu"): 10}
    message = message_of(case_of(zones))
    assert "Pacific/Honolulu, where 10 people" in message
    assert "07:00" not in message  # 09:00 in New York is 03:00 in Honolulu
    assert "at 03:00 on Friday" in message
    assert found(case_of(zones, FRIDAY + 6 * HOUR)) == []


def test_zones_without_a_common_hour() -> None:
    """People at +14 and at -12 are never both awake: the hint is to make several specs."""
    zones = {("Pacific/Kiritimati",): 10, ("Etc/GMT+12",): 20}
    rules = HoursRules(callee=(((540, 600),),) * 7)
    told = found(case_of(zones), rules)
    assert "no moment in two weeks" in told[0].hint
    assert "a spec for each timezone" in told[0].hint


def test_the_worst_zones_come_first_and_few_are_told() -> None:
    """Twelve timezones make four findings: the three with most people, and the others' names."""
    zones = {(zone,): index * 10 for index, zone in enumerate(ZONES[:12], start=1)}
    told = found(case_of(zones), HoursRules(callee=((),) * 7))
    assert len(told) == 4
    assert [re.findall(r"where (\d+) people", each.message) for each in told] == [
        ["120"],
        ["110"],
        ["100"],
        [],
    ]
    assert told[-1].message.startswith("the same goes for 9 more timezones: ")
    assert told[-1].message.endswith(", …")


def test_retries_count() -> None:
    """Each retry takes as long as a call: as the spec says, else the campaign, else the policy."""
    case = case_of({(NEW_YORK,): 1_801})
    assert found(case) == []
    asked = campaign(max_retries=1)
    assert "with 1 retry each" in message_of(replace(case, campaign=asked))
    fields = {"campaign_id": "cmp_1", "max_retries_override": 0}
    assert found(replace(case, campaign=asked, fields=fields)) == []
    silent = campaign(max_retries=None)
    rules = HoursRules(callee=NINE_TO_NINE, retries=3)
    assert "with 3 retries each" in message_of(replace(case, campaign=silent), rules)
    assert found(replace(case, campaign=silent)) == []
    many = {"campaign_id": "cmp_1", "max_retries_override": 10**18}
    assert "more than a year away" in message_of(replace(case, fields=many))


def test_batches_with_limits_of_their_own_call_side_by_side() -> None:
    """The largest batch of a spec takes longest; without own limits they share the campaign's."""
    limited = {"concurrency_limit": 10}
    zones = {(NEW_YORK,): 7_200}
    assert found(case_of(zones, parts=(3_600, 3_600), fields=limited)) == []
    message = message_of(case_of({(NEW_YORK,): 3_611}, parts=(3_601, 10), fields=limited))
    assert "21:02" in message
    (shared,) = found(case_of(zones, parts=(3_600, 3_600)))
    assert "`concurrency_limit` to 10" in shared.hint


def test_the_campaigns_own_clock() -> None:
    """Hours of the campaign are on the clock of its timezone, wherever people are."""
    rules = HoursRules(campaign=NINE_TO_NINE)
    case = case_of({(): 10}, campaign=campaign(timezone=KOLKATA))
    assert found(case, rules) == []
    message = message_of(replace(case, starts_at=FRIDAY + 3 * HOUR), rules)
    assert "21:30 on Friday, 2026-05-15 in Asia/Kolkata, the campaign's timezone" in message


def test_now_counts_where_the_start_is_over() -> None:
    """A start that is over means now."""
    case = case_of({(NEW_YORK,): 10})
    assert found(replace(case, now=FRIDAY + HOUR)) == []
    assert "begin at 21:00" in message_of(replace(case, now=FRIDAY + 12 * HOUR))


@pytest.mark.parametrize(
    ("start", "zone", "people", "refused"),
    [
        # New York loses the hour from 2 to 3 on 8 March: from 00:30 to 03:00 it is 90 minutes.
        (datetime(2026, 3, 8, 5, 30, tzinfo=UTC), NEW_YORK, 450, False),
        (datetime(2026, 3, 8, 5, 30, tzinfo=UTC), NEW_YORK, 455, True),
        # It has the hour from 1 to 2 twice on 1 November: from 00:30 to 03:30 it is four hours.
        (datetime(2026, 11, 1, 4, 30, tzinfo=UTC), NEW_YORK, 1_200, False),
        (datetime(2026, 11, 1, 4, 30, tzinfo=UTC), NEW_YORK, 1_205, True),
    ],
)
def test_days_with_an_hour_more_or_less(
    start: datetime, zone: str, people: int, *, refused: bool
) -> None:
    """Hours end by the clock on the wall, in a night in which it is put forward or back."""
    end = 180 if start.month == 3 else 210
    rules = HoursRules(callee=(((0, end),),) * 7)
    assert bool(found(case_of({(zone,): people}, start), rules)) == refused


def test_an_hour_that_happens_twice_is_twice_within_hours() -> None:
    """Hours up to 01:30 are open again when clocks go back to 01:00, not from 01:30 to 02:00."""
    week: Week = (((0, 90),),) * 7
    midnight = datetime(2026, 11, 1, 4, 0, tzinfo=UTC)
    shut = outside(ZoneInfo(NEW_YORK), week, [(midnight, midnight + 4 * HOUR)])
    half = timedelta(minutes=30)
    assert shut == [
        (midnight + 3 * half, midnight + 4 * half),
        (midnight + 5 * half, midnight + 8 * half),
    ]


def test_a_leap_day_has_hours() -> None:
    """29 February 2028 is a Tuesday like any other."""
    only_tuesday: Week = ((), ((0, 1440),), (), (), (), (), ())
    leap = datetime(2028, 2, 29, 5, 0, tzinfo=UTC)
    assert leap.astimezone(ZoneInfo(NEW_YORK)).date() == date(2028, 2, 29)
    rules = HoursRules(callee=only_tuesday)
    assert found(case_of({(NEW_YORK,): 7_200}, leap), rules) == []
    message = message_of(case_of({(NEW_YORK,): 7_201}, leap), rules)
    assert (
        "about 7,191 of 7,201 people can be called before 00:00 on Wednesday, 2028-03-01" in message
    )


def test_people_of_no_known_timezone_are_refused() -> None:
    """Who may be anywhere is not called, unless the policy says which timezone to take."""
    case = case_of({(NEW_YORK,): 10, (): 2, ("Mars/Olympus",): 1})
    (finding,) = found(case)
    assert "3 of 13 people" in finding.message
    assert "`unknown_zone`" in finding.hint
    rules = HoursRules(callee=NINE_TO_NINE, unknown_zones=(NEW_YORK,))
    (finding,) = found(case, rules)
    assert "1 of 13 people" in finding.message
    (finding,) = found(case_of({(NEW_YORK, "Mars/Olympus"): 4}), rules)
    assert "4 of 4 people" in finding.message
    assert found(case_of({(): 2}), rules) == []
    kolkata = HoursRules(callee=NINE_TO_NINE, unknown_zones=(KOLKATA,))
    assert KOLKATA in message_of(case_of({(): 2}, FRIDAY + 4 * HOUR), kolkata)


def test_people_whom_nobody_counted_are_refused() -> None:
    """A crowd whose timezones were not asked for is as good as unknown."""
    case = case_of({(NEW_YORK,): 10})
    assert "10 of 10 people" in message_of(replace(case, crowd=Crowd(people=10)))


def test_without_the_package_everybody_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `phonenumbers` is missing, the finding says what to install."""
    monkeypatch.setattr(places, "locator", lambda: None)
    (finding,) = found(replace(case_of({(): 10})))
    assert "pip install 'call-batch-reconciler[hours]'" in finding.hint
    assert finding.level is Level.REFUSE


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"campaign": None}, "knows no such campaign", "campaign_id"),
        ({"campaign": campaign(working_hours_enforced=None)}, "working hours", "in the campaign"),
        (
            {"campaign": campaign(working_hours_enforced=True, working_hours={"monday": 3})},
            "working hours",
            "in the campaign",
        ),
        (
            {"campaign": campaign(concurrency_limit=None)},
            "calls go out at once",
            "concurrency_limit",
        ),
        ({"starts_at": None}, "timezone is not known", "`Z`"),
        ({"starts_at": datetime(9999, 12, 31, tzinfo=UTC)}, "year 9999", "nearer"),
    ],
)
def test_what_cannot_be_known_is_refused(changes: dict[str, Any], message: str, hint: str) -> None:
    """Without hours, start or capacity nobody can say when calls go out: refused, with the way."""
    case = case_of({(NEW_YORK,): 10}, **changes)
    (finding,) = found(case)
    assert message in finding.message
    assert hint in finding.hint
    assert finding.level is Level.REFUSE


def test_offline_it_only_is_not_checked_yet() -> None:
    """A plan without the API says that apply will check it."""
    case = case_of({(NEW_YORK,): 10}, campaign=None, starts_at=None, offline=True)
    (finding,) = found(case)
    assert finding.level is Level.LATER
    assert "apply checks it" in finding.message


def test_a_campaign_without_timezone_has_no_hours_of_its_own() -> None:
    """Hours of the campaign need its timezone."""
    case = case_of({(): 10}, campaign=campaign(timezone=None))
    assert "its timezone is not known" in message_of(
        case, HoursRules(campaign=(((0, MIDNIGHT),),) * 7)
    )


def test_a_campaign_that_is_asleep_is_warned_of() -> None:
    """What calls only when somebody activates it is judged as if it called now, and told."""
    case = case_of({(NEW_YORK,): 10}, campaign=campaign(status="paused"))
    (finding,) = found(case)
    assert finding.level is Level.WARN
    assert "the campaign is paused" in finding.message
    assert len(found(replace(case, starts_at=FRIDAY - HOUR, now=FRIDAY - HOUR))) == 2


def test_a_campaign_that_never_calls() -> None:
    """Where no call can go out, none is outside of hours."""
    never = campaign(working_hours_enforced=True, working_hours={"monday": {"enabled": False}})
    assert found(case_of({(NEW_YORK,): 10}, campaign=never)) == []


def test_a_year_of_calling_costs_days_not_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows with days and timezones, never with people."""
    walked: list[object] = []
    original = clocks.stretches

    def counted(zone: ZoneInfo, span: Span) -> Any:
        for each in original(zone, span):
            walked.append(each)
            yield each

    monkeypatch.setattr(clocks, "stretches", counted)
    zones = {(zone,): 10**6 for zone in ZONES}
    assert len(found(case_of(zones))) == 4
    assert len(walked) < len(ZONES) * 450
