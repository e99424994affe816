"""When a campaign may call: working hours in its own timezone, daylight saving included."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ALWAYS = (float("-inf"), float("inf"))


@dataclass(frozen=True, slots=True)
class Day:
    """The hours of one weekday on the wall clock there; an end at or before start is next day's."""

    start: time
    end: time


class Hours:
    """A week of working hours. `days` has None for a day off; `days` None means: at any time."""

    def __init__(self, zone: str, days: tuple[Day | None, ...] | None) -> None:
        self._zone = ZoneInfo(zone)
        self._days = days
        self._window = _ALWAYS if days is None else (0.0, 0.0)

    def open_at(self, moment: float) -> float | None:
        """Give the first time from `moment` on at which calls may start; None if there is none."""
        opens, closes = self._window
        if opens <= moment < closes:
            return moment
        window = self._next_window(moment)
        if window is None:
            return None
        self._window = window
        return max(moment, window[0])

    def _next_window(self, moment: float) -> tuple[float, float] | None:
        """Find the window that ends after `moment`, from yesterday's (it may pass midnight) on."""
        today = datetime.fromtimestamp(moment, self._zone).date()
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            hours = (self._days or ())[day.weekday()]
            if hours is None:
                continue
            window = self._bounds(day, hours)
            if window[1] > moment:
                return window
        return None

    def _bounds(self, day: date, hours: Day) -> tuple[float, float]:
        last = day if hours.end > hours.start else day + timedelta(days=1)
        opens = datetime.combine(day, hours.start, self._zone)
        closes = datetime.combine(last, hours.end, self._zone)
        return opens.timestamp(), closes.timestamp()


def campaign_hours(campaign: Mapping[str, Any]) -> Hours:
    """Read the hours out of a campaign in the API's shape."""
    if not campaign["working_hours_enforced"]:
        return Hours(campaign["timezone"], None)
    days = []
    for name in WEEKDAYS:
        day = campaign["working_hours"].get(name) or {"enabled": False}
        hours = Day(time.fromisoformat(day["start"]), time.fromisoformat(day["end"]))
        days.append(hours if day["enabled"] else None)
    return Hours(campaign["timezone"], tuple(days))
