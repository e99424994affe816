"""Stretches of time on the clocks of other places.

A span is a pair of moments, aware and in UTC: the first that belongs to it, and the first that does
not any more. Spans in a row are ascending and apart. Every moment has one date and one time of day
in a zone, also where clocks change: an hour that is put forward over does not happen, one that is
put back over happens twice, and each time counts.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

    from reconciler.spec.config.week import Week

Span = tuple[datetime, datetime]

TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
FIRST_YEAR, LAST_YEAR = 1970, 9990
"""Years whose moments can be told on every clock, with room for a year of calling."""


class Stretch(Struct, frozen=True):
    """A span within one day of a zone, in which its clock runs on evenly.

    `midnight` is where the clock would have shown 00:00, had it always run so on that `day`.
    """

    day: date
    begin: datetime
    end: datetime
    midnight: datetime


def stretches(zone: ZoneInfo, span: Span) -> Iterator[Stretch]:
    """Walk a span by the days of a zone, cut where its clock is put forward or back.

    No clock on earth was ever changed twice on a day, which is what this relies on.
    """
    at, end = span
    while at < end:
        offset = _offset(zone, at)
        local = at.replace(tzinfo=None) + offset
        midnight = (datetime.combine(local.date(), time()) - offset).replace(tzinfo=UTC)
        stop = min(end, midnight + _DAY)
        if _offset(zone, stop - TICK) != offset:
            stop = _change(zone, at, stop)
        yield Stretch(local.date(), at, stop, midnight)
        at = stop


def outside(zone: ZoneInfo, week: Week, spans: Iterable[Span]) -> list[Span]:
    """Give what of some spans is outside a week's hours in a zone."""
    found: list[Span] = []
    for span in spans:
        for stretch in stretches(zone, span):
            at = stretch.begin
            for start, stop in week[stretch.day.weekday()]:
                opens = max(stretch.midnight + start * _MINUTE, at)
                closes = min(stretch.midnight + stop * _MINUTE, stretch.end)
                if opens < closes:
                    _add(found, (at, opens))
                    at = closes
            _add(found, (at, stretch.end))
    return found


def next_inside(zone: ZoneInfo, week: Week, span: Span) -> datetime | None:
    """Give the first moment of a span within a week's hours in a zone."""
    at, end = span
    for begin, stop in outside(zone, week, [span]):
        if begin > at:
            return at
        at = stop
    return at if at < end else None


def merged(spans: Iterable[Span]) -> list[Span]:
    """Put spans in order, and those that touch or overlap together."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif begin < end:
            found.append((begin, end))
    return found


def minus(spans: Iterable[Span], taken: list[Span]) -> Iterator[Span]:
    """Give what is left of spans in a row without others in a row."""
    index = 0
    for begin, end in spans:
        at = begin
        while index < len(taken) and taken[index][1] <= at:
            index += 1
        each = index
        while each < len(taken) and taken[each][0] < end:
            if taken[each][0] > at:
                yield at, taken[each][0]
            at = max(at, taken[each][1])
            each += 1
        if at < end:
            yield at, end


def length(spans: Iterable[Span], until: datetime | None = None) -> timedelta:
    """Add up how long spans are, as far as they lie before a moment."""
    total = timedelta(0)
    for begin, end in spans:
        stop = end if until is None else min(end, until)
        total += max(stop - begin, timedelta(0))
    return total


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Find the moment between two at which a zone's offset changes."""
    offset = _offset(zone, before)
    while after - before > TICK:
        middle = before + (after - before) // 2
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _add(spans: list[Span], span: Span) -> None:
    """Add a span at the end of a row, if it is any."""
    if span[0] >= span[1]:
        return
    if spans and spans[-1][1] == span[0]:
        spans[-1] = (spans[-1][0], span[1])
    else:
        spans.append(span)
