"""Weeks of calling hours, as plain values.

A week is seven days, Monday first; a day is its windows, ascending and apart: (first minute, minute
after the last) from midnight on the wall clock, so that 1440 is the end of the day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

Day = tuple[tuple[int, int], ...]
Week = tuple[Day, ...]

MIDNIGHT = 24 * 60


class Calendar(Struct, frozen=True, kw_only=True):
    """The days on which nobody is called.

    `codes` are countries (`IN`) and parts of them (`US-CA`) by ISO 3166; with `of_callee` the
    country of each number counts too. `extra` are days off besides, `excepted` none after all.
    """

    codes: tuple[str, ...] = ()
    of_callee: bool = False
    extra: frozenset[date] = frozenset()
    excepted: frozenset[date] = frozenset()

    @property
    def empty(self) -> bool:
        """Whether it has no day at all."""
        return not (self.codes or self.of_callee or self.extra)


class HoursRules(Struct, frozen=True, kw_only=True):
    """When calls may go out: a moment is allowed when everything here allows it. None: no rule.

    `callee` is on the called person's clock, `campaign` on that of the campaign's timezone, and
    the days of `calendars` are the called person's. `unknown_zones` are the timezones to take for
    a number of which none is known; without any, such a number is not called. `retries` is how
    often somebody is taken to be tried again where neither the spec nor the campaign says.
    """

    callee: Week | None = None
    campaign: Week | None = None
    calendars: tuple[Calendar, ...] = ()
    unknown_zones: tuple[str, ...] = ()
    retries: int = 0

    @property
    def needs_zones(self) -> bool:
        """Whether the timezones of numbers have to be known."""
        return self.callee is not None or bool(self.calendars)

    @property
    def needs_regions(self) -> bool:
        """Whether the countries of numbers have to be known."""
        return any(calendar.of_callee for calendar in self.calendars)


def joined(windows: Iterable[tuple[int, int]]) -> Day:
    """Put the windows of a day in order, and those that touch or overlap together."""
    day: list[tuple[int, int]] = []
    for start, end in sorted(windows):
        if day and start <= day[-1][1]:
            day[-1] = (day[-1][0], max(day[-1][1], end))
        elif end > start:
            day.append((start, end))
    return tuple(day)
