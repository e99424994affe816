"""The rule `holidays`: nobody is called on a public holiday, or another day off, of theirs.

A day is that of the person who is called: it begins and ends on the clock of each timezone that
their number may be in. Pure; what cannot be known is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from reconciler.policy.calling import Unsure, asleep, better, calling_of, ending, path_of, share
from reconciler.policy.clocks import stretches
from reconciler.policy.finding import Finding
from reconciler.policy.numbers import NEEDS
from reconciler.policy.places import limits_of, places_of
from reconciler.policy.public_holidays import NoCalendar, holiday, installed
from reconciler.policy.wording import people, verb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date, datetime, timedelta

    from reconciler.policy.calling import Calling
    from reconciler.policy.case import Case
    from reconciler.policy.clocks import Span
    from reconciler.policy.places import Limit, Places
    from reconciler.spec.config.week import Calendar, HoursRules

RULE = "holidays"
_MOST_SHOWN = 3
_EXTRA = "a day off in the policy"


def holidays(case: Case, rules: HoursRules, average_call: timedelta) -> Iterator[Finding]:
    """Refuse a launch with calls on a day off of a person who is called."""
    if not rules.calendars or not case.crowd.people:
        return
    coded = any(calendar.codes or calendar.of_callee for calendar in rules.calendars)
    if coded and not installed():
        message = "nobody can tell which days are holidays: `holidays` is not installed"
        yield Finding(rule=RULE, message=message, hint=NEEDS)
        return
    places = places_of(case, rules)
    yield from places.unknown(RULE)
    weekly = rules.callee is not None or rules.campaign is not None
    calling = calling_of(case, average_call, rules.retries)
    if isinstance(calling, Unsure):
        if not (case.offline and weekly):  # the other rule says so already
            yield calling.finding(RULE, offline=case.offline)
        return
    if not weekly and (warning := asleep(case, RULE)):
        yield warning
    found = _look(places, rules, calling.spans)
    for message, hint in found.unsure.items():
        yield Finding(rule=RULE, message=message, hint=hint)
    days = sorted(found.days.values(), key=lambda one: (one.day, -one.people(places), one.code))
    if not days:
        return
    hint = better(calling, forbidden(limits_of(case, rules, places), places, rules))
    for each in days[:_MOST_SHOWN]:
        message = each.told(calling, places)
        yield Finding(rule=RULE, message=message, hint=hint, path=path_of(case))
    rest = len(days) - _MOST_SHOWN
    if rest > 0:
        message = f"calls would go out on {rest:,} more {verb(rest, 'day off', 'days off')}"
        yield Finding(rule=RULE, message=message, path=path_of(case))


def forbidden(
    limits: Sequence[Limit], places: Places, rules: HoursRules
) -> Callable[[list[Span]], list[Span]]:
    """Give the function that says what of some spans is outside hours, or on a day off."""

    def inner(spans: list[Span]) -> list[Span]:
        off = _look(places, rules, spans).spans if rules.calendars and installed() else []
        return [*off, *(span for limit in limits for span in limit.outside(spans))]

    return inner


class _DayOff(Struct, kw_only=True):
    """One day that is off for some groups of people, by one country's calendar."""

    day: date
    code: str
    name: str
    begin: datetime
    groups: set[int] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)

    def people(self, places: Places) -> int:
        """Count whom it concerns, each once."""
        return sum(places.groups[index].people for index in self.groups)

    def told(self, calling: Calling, places: Places) -> str:
        """Say which day it is and for whom, what fits before it, and when calling would end."""
        count = self.people(places)
        zones = sorted(self.zones)
        more = f" and {len(zones) - _MOST_SHOWN} more" if len(zones) > _MOST_SHOWN else ""
        where = f"in {', '.join(zones[:_MOST_SHOWN])}{more}"
        what = f"{self.name} ({self.code})" if self.code else self.name
        begins = (
            "calls would begin on it"
            if self.begin <= calling.spans[0][0]
            else f"{share(calling, self.begin)} before it"
        )
        whom = f"for {people(count)} {where}"
        return f"{self.day:%A, %Y-%m-%d} is {what} {whom}; {begins}; {ending(calling, None)}"


class _Found(Struct):
    """Days off among the days of calling, the spans they cover, and what nobody can say."""

    days: dict[tuple[date, str], _DayOff] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    unsure: dict[str, str] = field(default_factory=dict)


def _look(places: Places, rules: HoursRules, spans: Iterable[Span]) -> _Found:
    """Find the days off that spans touch, of everybody."""
    found = _Found()
    called = list(spans)
    walked = {
        zone: [stretch for span in called for stretch in stretches(zone, span)]
        for zone in places.zones()
    }
    days = {stretch.day for each in walked.values() for stretch in each}
    for calendar in rules.calendars:
        tables: dict[str, dict[date, list[tuple[str, str]]]] = {}
        for index, group in enumerate(places.groups):
            region = group.region if calendar.of_callee else ""
            if calendar.of_callee and not region:
                message = f"no holidays are known for {people(group.people)} of no known country"
                found.unsure[message] = "correct the numbers"
                continue
            if region not in tables:
                tables[region] = _table(calendar, region, days, found.unsure)
            for zone in group.zones:
                for stretch in walked[zone]:
                    for code, name in tables[region].get(stretch.day, ()):
                        begin = stretch.begin
                        day = found.days.setdefault(
                            (stretch.day, code),
                            _DayOff(day=stretch.day, code=code, name=name, begin=begin),
                        )
                        day.begin = min(day.begin, begin)
                        day.groups.add(index)
                        day.zones.add(zone.key)
                        found.spans.append((begin, stretch.end))
    return found


def _table(
    calendar: Calendar, region: str, days: Iterable[date], unsure: dict[str, str]
) -> dict[date, list[tuple[str, str]]]:
    """Say which of some days are off for people of a country, by whose calendar, and why."""
    codes = dict.fromkeys((*calendar.codes, region) if region else calendar.codes)
    table: dict[date, list[tuple[str, str]]] = {}
    for day in days:
        if day in calendar.excepted:
            continue
        if day in calendar.extra:
            table[day] = [("", _EXTRA)]
            continue
        for code in codes:
            try:
                name = holiday(code, day)
            except NoCalendar as error:
                unsure[error.message] = error.hint
            else:
                if name is not None:
                    table.setdefault(day, []).append((code, name))
    return table
