"""The shape of `calling_hours` in a policy: when people may be called, on whose clock.

Read as strictly as everything else: hours that cannot mean anything, or might mean two things, are
an error with the way to write them, never a guess. Nothing here grows with what is written: a week
has seven days, a day a few windows, and every list and text is short.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from reconciler.spec.clearance import DAY_SCHEMA, MOST_NAMES, day, names
from reconciler.spec.config.week import MIDNIGHT, Calendar, HoursRules, joined
from reconciler.spec.fields import BARE, Model
from reconciler.spec.problems import did_you_mean, quoted
from reconciler.spec.yaml.scalars import fail, is_null, kind_of, text, whole_number

if TYPE_CHECKING:
    from datetime import date

    from reconciler.spec.config.week import Day, Week

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
RETRIES = 3
"""How often somebody is taken to be tried again where nobody says."""

_MOST_WINDOWS = 12
_LONGEST = 200
_MOST_RETRIES = 100
_MOST_DAYS = 400
_OF_CALLEE = "callee"
_WINDOW = re.compile(r"([0-9]{1,2}):([0-9]{2}) ?- ?([0-9]{1,2}):([0-9]{2})", re.ASCII)
_CODE = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?", re.ASCII)
_EXAMPLE = 'write it like `"09:00-21:00"`, or `"09:00-12:00, 14:00-18:00"`'
_DAYS_EXAMPLE = 'write `monday-friday: "09:00-21:00"` lines below it'
_INSTEAD = {
    "weekdays": "monday-friday",
    "workdays": "monday-friday",
    "weekend": "saturday-sunday",
    "weekends": "saturday-sunday",
    "daily": "monday-sunday",
    "everyday": "monday-sunday",
    "all": "monday-sunday",
}

_DAY_NAME = f"(?:{'|'.join(WEEKDAYS)})"
_HOURS_PATTERN = (
    r"^ *[0-9]{1,2}:[0-9]{2} ?- ?[0-9]{1,2}:[0-9]{2}"
    r"( *, *[0-9]{1,2}:[0-9]{2} ?- ?[0-9]{1,2}:[0-9]{2})* *$"
)
_HOURS_SCHEMA: dict[str, Any] = {
    "type": "string",
    "pattern": _HOURS_PATTERN,
    "maxLength": _LONGEST,
    "examples": ["09:00-21:00", "09:00-12:00, 14:00-18:00"],
}
_DAY_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _HOURS_SCHEMA,
        {"type": "array", "items": _HOURS_SCHEMA, "minItems": 1, "maxItems": _MOST_WINDOWS},
    ]
}
_WEEK_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _HOURS_SCHEMA,
        {
            "type": "object",
            "patternProperties": {f"^{_DAY_NAME}( ?- ?{_DAY_NAME})?$": _DAY_SCHEMA},
            "additionalProperties": False,
            "minProperties": 1,
            "examples": [{"monday-friday": "09:00-21:00", "saturday": "10:00-18:00"}],
        },
    ]
}
_CODES_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "pattern": rf"^({_OF_CALLEE}|{_CODE.pattern})$"},
    "minItems": 1,
    "maxItems": MOST_NAMES,
    "uniqueItems": True,
    "examples": [["IN", "US-CA", _OF_CALLEE]],
}
_DAYS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": DAY_SCHEMA,
    "maxItems": _MOST_DAYS,
    "uniqueItems": True,
}


def week(value: Any) -> Week:
    """Take a week: hours for every day, or a mapping of days to their hours."""
    if isinstance(value, str) and not is_null(value):
        return (_day(value, "every day"),) * 7
    if not isinstance(value, dict):
        fail(f"is {kind_of(value)} where hours are needed", _DAYS_EXAMPLE)
    if not value:
        fail("names no day, so that nobody could ever be called", _DAYS_EXAMPLE)
    days: list[Day] = [()] * 7
    named: dict[int, str] = {}
    for key, hours in value.items():
        for index in _indexes(key):
            if index in named:
                fail(
                    f"names {WEEKDAYS[index]} twice: {quoted(named[index])} and {quoted(key)}",
                    "each day has its hours once",
                )
            named[index] = key
            days[index] = _day(hours, key)
    return tuple(days)


def _indexes(key: str) -> list[int]:
    """Read `monday` or `monday-friday`; a range may run over the end of the week."""
    first, dash, last = (part.strip() for part in key.partition("-"))
    if first not in WEEKDAYS or (dash and last not in WEEKDAYS):
        _no_day(key, first, last)
    start = WEEKDAYS.index(first)
    length = (WEEKDAYS.index(last) - start) % 7 + 1 if dash else 1
    return [(start + offset) % 7 for offset in range(length)]


def _no_day(key: str, *parts: str) -> NoReturn:
    meant = _INSTEAD.get(key.strip().lower())
    if meant is None:
        found = [_weekday(part) for part in parts if part]
        meant = "-".join(each for each in found if each) if all(found) and found else None
    fail(
        f"has {quoted(key)}, which is no day of the week",
        f"did you mean `{meant}`?" if meant else "days are `monday` to `sunday`, or ranges of them",
    )


def _weekday(part: str) -> str | None:
    plain = part.lower().rstrip(".")
    if 2 <= len(plain) <= len("wednesday"):  # noqa: PLR2004 - `mo`, `tue`
        begun = [name for name in WEEKDAYS if name.startswith(plain)]
        if len(begun) == 1:
            return begun[0]
    return did_you_mean(plain, WEEKDAYS)


def _day(value: Any, key: str) -> Day:
    """Read the hours of a day: a text with windows, or a list of them."""
    if is_null(value) or (isinstance(value, list) and not value):
        fail(f"says no hours for {quoted(key)}", "leave the day out: then nobody is called on it")
    texts = value if isinstance(value, list) else [value]
    if len(texts) > _MOST_WINDOWS:
        _too_many(key, len(texts))
    written = [_hours_text(each, key) for each in texts]
    parts = [part.strip() for each in written for part in each.split(",")]
    if len(parts) > _MOST_WINDOWS:
        _too_many(key, len(parts))
    windows = sorted(_window(part, key) for part in parts)
    for (_, end), (start, _) in pairwise(windows):
        if start < end:
            fail(f"has hours for {quoted(key)} that overlap", "write each time of day once")
    return joined(windows)


def _hours_text(value: Any, key: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        what = f"{len(value):,} characters" if isinstance(value, str) else kind_of(value)
        fail(f"has {what} where the hours of {quoted(key)} are needed", _EXAMPLE)
    return value


def _too_many(key: str, count: int) -> NoReturn:
    fail(f"has {count:,} windows for {quoted(key)}; {_MOST_WINDOWS} are the most")


def _window(part: str, key: str) -> tuple[int, int]:
    """Read `09:00-21:00`; minutes from midnight on."""
    match = _WINDOW.fullmatch(part)
    if match is None:
        fail(f"has {quoted(part)} for {quoted(key)}, which are no hours", _EXAMPLE)
    start = _minute(match[1], match[2], part)
    end = _minute(match[3], match[4], part)
    if start == end:
        fail(
            f"has {quoted(part)} for {quoted(key)}, which is no time at all",
            "write `00:00-24:00` for the whole day, or leave the day out for none of it",
        )
    if end == 0:
        fail(
            f"has {quoted(part)} for {quoted(key)}, which ends before it begins",
            f"the end of the day is `24:00`: write `{_clock(start)}-24:00`",
        )
    if start > end:
        opens, closes = _clock(start), _clock(end)
        fail(
            f"has {quoted(part)} for {quoted(key)}, which runs over midnight",
            f"write `{opens}-24:00` for this day and `00:00-{closes}` for the next one",
        )
    return start, end


def _minute(hour: str, minute: str, part: str) -> int:
    total = int(hour) * 60 + int(minute)
    if int(minute) > 59 or total > MIDNIGHT:  # noqa: PLR2004 - minutes of an hour
        fail(f"has {quoted(part)}, and there is no such time of day", "times are 00:00 to 24:00")
    return total


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _codes(value: Any) -> tuple[str, ...]:
    """Take what holidays are looked up for."""
    taken = names([value] if isinstance(value, str) else value)
    if not taken:
        fail("names no country", "write `[IN]`, or leave the field out")
    for code in taken:
        if code == _OF_CALLEE or _CODE.fullmatch(code):
            continue
        upper = code.upper().replace("_", "-")
        fail(
            f"has {quoted(code)}, which is no country",
            f"did you mean `{upper}`?"
            if _CODE.fullmatch(upper)
            else "write ISO codes: `IN`, `US-CA`, or `callee` for that of each number",
        )
    return taken


def _days(value: Any) -> frozenset[date]:
    if not isinstance(value, list):
        fail(f"is {kind_of(value)} where a list of days is needed", "write `[2026-11-08]`")
    if len(value) > _MOST_DAYS:
        fail(f"has {len(value):,} entries; {_MOST_DAYS} are the most")
    taken = [day(each) for each in value]
    days = frozenset(taken)
    if len(days) < len(taken):
        twice = next(each for each in taken if taken.count(each) > 1)
        fail(f"says {twice} twice", "each day counts once")
    return days


def _zone(value: Any) -> str:
    name = text(value).strip()
    try:
        known = len(name) <= _LONGEST and bool(ZoneInfo(name).key)
    except (KeyError, ValueError, OSError):  # not found, no path below the database, a directory
        known = False
    if not known:
        meant = did_you_mean(name, available_timezones())
        fail(
            f"is {quoted(name)}, which is no timezone",
            f"did you mean `{meant}`?" if meant else "write an IANA name, such as `Asia/Kolkata`",
        )
    return name


def _retries(value: Any) -> int:
    number = whole_number(value)
    if not 0 <= number <= _MOST_RETRIES:
        fail(f"is {number}; it can be 0 to {_MOST_RETRIES}")
    return number


_Week = Annotated[
    tuple[tuple[tuple[int, int], ...], ...], BeforeValidator(week), WithJsonSchema(_WEEK_SCHEMA)
]
_Days = Annotated[frozenset[Any], BeforeValidator(_days), WithJsonSchema(_DAYS_SCHEMA)]


class CallingHours(Model):
    """When people may be called. Without a day's name, nobody is called on that day."""

    callee: _Week | None = None
    """On the clock of the person who is called, by their number; of several possible timezones
    each must allow it."""
    campaign: _Week | None = None
    """On the clock of the campaign's timezone."""
    holidays: Annotated[
        tuple[str, ...], BeforeValidator(_codes), WithJsonSchema(_CODES_SCHEMA)
    ] = ()
    """Nobody is called on public holidays of these countries and parts of them, by ISO 3166: `IN`,
    `US-CA`; `callee` is the country of each number. The day is that of the person who is called."""
    extra_holidays: _Days = frozenset()
    """More days on which nobody is called."""
    except_holidays: _Days = frozenset()
    """Public holidays on which people may be called."""
    unknown_zone: Annotated[str, BeforeValidator(_zone), WithJsonSchema(BARE)] | None = None
    """The timezone to take for numbers of which none is known. Absent: they are not called."""
    retries: Annotated[int, Field(ge=0, le=_MOST_RETRIES), BeforeValidator(_retries)] = RETRIES
    """How often people are taken to be tried again where neither spec nor campaign says."""

    @classmethod
    def _needs(cls, name: str) -> bool:
        """Take no null for an absence: a rule must not be lost with the lines below its name."""
        return name in cls.model_fields

    @model_validator(mode="after")
    def _sensible(self) -> CallingHours:
        either = self.extra_holidays & self.except_holidays
        if either:
            fail(f"has {min(either)} in `extra_holidays` and in `except_holidays`", "choose one")
        if self.except_holidays and not self.holidays:
            fail("has `except_holidays` and no `holidays` to except them from", "delete them")
        if self.callee is self.campaign is None and self._calendar.empty:
            fail("says nothing about when calls may go out", 'write `callee: "09:00-21:00"`')
        return self

    @property
    def _calendar(self) -> Calendar:
        return Calendar(
            codes=tuple(code for code in self.holidays if code != _OF_CALLEE),
            of_callee=_OF_CALLEE in self.holidays,
            extra=self.extra_holidays,
            excepted=self.except_holidays,
        )

    @property
    def rules(self) -> HoursRules:
        """What this says, as plain values for the rules to work on."""
        return HoursRules(
            callee=self.callee,
            campaign=self.campaign,
            calendars=() if self._calendar.empty else (self._calendar,),
            unknown_zones=(self.unknown_zone,) if self.unknown_zone else (),
            retries=self.retries,
        )
