"""When a campaign may call: its working hours, on the wall clock of its own timezone.

Pure. A window is a pair of moments, aware and in UTC: the first at which calls may go out, and the
first at which they may not any more. Windows are ascending and never overlap. Where clocks change,
the window follows the wall clock there: a day of nine hours may have eight or ten.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from zoneinfo import ZoneInfo

    from reconciler.observed import Campaign

    Window = tuple[datetime, datetime]

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FURTHEST = timedelta(days=400)
"""How far windows are walked: what ends later than in a year is not worth a guess."""

_TIME = r"(\d{1,2}):(\d{2})(?::\d{2}(?:\.\d+)?)?"
_MIDNIGHT = time(0, 0)


class Day(Struct, frozen=True):
    """The hours of one weekday. An end at or before the start is on the next day."""

    start: time
    end: time


class Hours(Struct, frozen=True):
    """A week of working hours: seven days, None for a day off. `days` None: at any time."""

    zone: tzinfo
    days: tuple[Day | None, ...] | None

    @property
    def always(self) -> bool:
        """Whether calls may go out at any time."""
        return self.days is None


def hours_of(campaign: Campaign | None) -> Hours | None:
    """Give a campaign's hours; None where they cannot be known, which is no word on them."""
    if campaign is None or campaign.working_hours_enforced is None:
        return None
    zone = zone_of(campaign.timezone)
    if not campaign.working_hours_enforced:
        return Hours(zone or UTC, None)
    if zone is None or not campaign.working_hours:
        return None
    try:
        days = tuple(_day(campaign.working_hours.get(name)) for name in WEEKDAYS)
    except ValueError:
        return None
    return Hours(zone, days)


def zone_of(timezone: str | None) -> ZoneInfo | None:
    """Give the timezone of an IANA name; None for one that nobody knows."""
    if not timezone:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - with a first campaign

    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def windows(hours: Hours, since: datetime) -> Iterator[Window]:
    """Walk the windows that end after `since`, the first one cut to begin there at the earliest.

    Ends with the last that begins within `FURTHEST`.
    """
    furthest = _shifted(since, FURTHEST)
    if hours.days is None:
        yield since, furthest
        return
    reached = since
    today = since.astimezone(hours.zone).date()
    for offset in range(-1, FURTHEST.days + 1):
        day = today + timedelta(days=offset)
        times = hours.days[day.weekday()]
        if times is None:
            continue
        opens, closes = _bounds(day, times, hours.zone)
        opens = max(opens, reached)
        if opens >= furthest:
            return
        if closes > opens:
            reached = closes
            yield opens, closes


def next_opening(hours: Hours, moment: datetime) -> datetime | None:
    """Give the first moment from `moment` on at which calls may go out, None if there is none."""
    return next((opens for opens, _ in windows(hours, moment)), None)


def open_time(hours: Hours, start: datetime, end: datetime) -> timedelta:
    """Give how long calls were allowed between two moments, at most `FURTHEST` from the first."""
    total = timedelta(0)
    for opens, closes in windows(hours, start):
        if opens >= end:
            break
        total += min(closes, end) - opens
    return total


def after_open_time(hours: Hours, start: datetime, needed: timedelta) -> datetime | None:
    """Give the moment at which calls were allowed for `needed` since `start`.

    None when that is further away than `FURTHEST`, or never.
    """
    left = needed
    for opens, closes in windows(hours, start):
        if left <= closes - opens:
            return opens + left
        left -= closes - opens
    return None


def _shifted(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _bounds(day: date, times: Day, zone: tzinfo) -> Window:
    last = day if times.end > times.start else day + timedelta(days=1)
    opens = datetime.combine(day, times.start, zone).astimezone(UTC)
    return opens, datetime.combine(last, times.end, zone).astimezone(UTC)


def _day(value: Any) -> Day | None:
    """Read one weekday; None for a day off. ValueError for what cannot be read."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("a day is an object")  # noqa: TRY004 - one error for all that is unreadable
    if value.get("enabled") is False:
        return None
    return Day(_time(value.get("start")), _time(value.get("end")))


def _time(value: Any) -> time:
    match = re.fullmatch(_TIME, value.strip(), re.ASCII) if isinstance(value, str) else None
    if match is None:
        raise ValueError("no time of day")
    hour, minute = int(match[1]), int(match[2])
    # 24:00 is the next midnight, which an end at or before the start means anyway.
    return _MIDNIGHT if (hour, minute) == (24, 0) else time(hour, minute)
