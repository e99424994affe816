"""Start times: what people may write, what is sent, and which moment that is.

The API reads a naive time in the campaign's timezone and a `Z` time as UTC; other offsets are not
documented, so they are sent as `Z`. Pure: the time of day and the timezone are arguments.
"""

from __future__ import annotations

import re
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from datetime import timezone as fixed_offset
from enum import StrEnum

from reconciler.model import Diagnostic, Request, Severity, Spec, SpecSet
from reconciler.spec.problems import quoted

_FIELD = "scheduled_start"
_FORM = (
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?P<time>\d{2}:\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d+))?)?"
    r" ?(?P<offset>[Zz]|[+-]\d{2}(?::?\d{2})?)?)?"
)
PATTERN = (
    r"^ *[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
    r" ?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)? *$"
)
"""The form of a start time for JSON Schema."""

_EXAMPLE = "2026-05-12T09:00:00"
_WRITE = f"write `{_EXAMPLE}` (the campaign's timezone) or `{_EXAMPLE}Z` (UTC)"
_MAX_OFFSET = timedelta(hours=14)
_MAX_FRACTION = 6
_LONGEST = 100

FIRST_TIMEZONE = "Pacific/Kiritimati"
"""The first place on earth where a day begins: a naive time is never over earlier than there."""

# The last place on earth where a day ends: a naive time that is past there is past everywhere.
_LAST_TIMEZONE = fixed_offset(timedelta(hours=-12))


class BadSchedule(ValueError):  # noqa: N818 - reads better where it is caught
    """A text that is no start time; `hint` says how to write it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Doubt(StrEnum):
    """Why a local time is not simply one moment."""

    NO_TIMEZONE = "no-timezone"
    """The time is naive and the campaign's timezone is not known."""
    UNKNOWN_TIMEZONE = "unknown-timezone"
    """The campaign names a timezone that the database does not have."""
    IMAGINARY = "imaginary"
    """Clocks jump over this time: it never happens."""
    AMBIGUOUS = "ambiguous"
    """Clocks are put back: this time happens twice."""


def normalise(text: str) -> str:
    """Give a start time as it is sent: `2026-05-12T09:00:00` (naive) or `…Z` (UTC).

    Takes a space for the `T`, leaves out seconds and zero fractions, and turns offsets into `Z`.
    Raises `BadSchedule`.
    """
    match = re.fullmatch(_FORM, text.strip(), re.ASCII)
    if match is None:
        raise BadSchedule(f"is {quoted(text)}, which is no date and time", _hint_for(text))
    if match["time"] is None:
        try:
            date.fromisoformat(match["date"])
        except ValueError as error:
            raise BadSchedule(f"is {quoted(text)}: there is no such day", _WRITE) from error
        raise BadSchedule(
            f"is {quoted(text)}, a date without a time",
            f"write the time of day too: `{match['date']}T09:00:00`",
        )
    try:
        moment = datetime.fromisoformat(
            f"{match['date']}T{match['time']}:{match['second'] or '00'}"
        )
    except ValueError as error:
        raise BadSchedule(f"is {quoted(text)}: there is no such day or time", _WRITE) from error
    fraction = (match["fraction"] or "").rstrip("0")
    if len(fraction) > _MAX_FRACTION:
        raise BadSchedule(f"is {quoted(text)}, finer than a microsecond", _WRITE)
    offset = match["offset"]
    if offset and offset not in "Zz":
        moment = _to_utc(moment, offset, text)
    spelled = moment.isoformat() + (f".{fraction}" if fraction else "")
    return spelled + ("Z" if offset else "")


def _to_utc(moment: datetime, offset: str, text: str) -> datetime:
    hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
    distance = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or distance > _MAX_OFFSET:  # noqa: PLR2004 - minutes of an hour
        raise BadSchedule(f"is {quoted(text)}: no place on earth has the offset {offset}", _WRITE)
    try:
        return moment - distance if offset[0] == "+" else moment + distance
    except OverflowError as error:
        raise BadSchedule(f"is {quoted(text)}: the year is out of range", _WRITE) from error


def _hint_for(text: str) -> str:
    """Guess what was meant by a text that is no time."""
    if len(text) < _LONGEST and re.search(r"\d ?[A-Za-z]{2,}(?:[/_][A-Za-z_]+)?$", text.strip()):
        return (
            "leave the timezone's name out: a time without `Z` is read in the campaign's timezone"
        )
    return _WRITE


def resolve(scheduled_start: str, timezone: str | None) -> tuple[datetime | None, Doubt | None]:
    """Find the moment (aware, UTC) of a normalised start time, and why it may be in doubt.

    `timezone` is the campaign's IANA name, None when it is not known. The moment is None where no
    timezone can be used. An imaginary time is read with the offset before the jump, an ambiguous
    one as the first of the two. Raises `BadSchedule` for text that is no start time.
    """
    moment = _parsed(scheduled_start)
    if moment.tzinfo is not None:
        return moment, None
    if timezone is None:
        return None, Doubt.NO_TIMEZONE
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - few starts are naive

    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None, Doubt.UNKNOWN_TIMEZONE
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    try:
        utc = first.astimezone(UTC)
    except OverflowError:
        utc = moment.replace(tzinfo=UTC)
    if before is None or after is None or before == after:
        return utc, None
    return utc, Doubt.IMAGINARY if before < after else Doubt.AMBIGUOUS


def is_past(scheduled_start: str, timezone: str | None, now: datetime) -> bool:
    """Tell whether a start time lies before `now` (aware).

    Where the timezone is not known, a naive time is past only when it is past everywhere on earth.
    """
    moment, _ = resolve(scheduled_start, timezone)
    if moment is None:
        naive = _parsed(scheduled_start)
        if naive.year == MAXYEAR:
            return False
        moment = naive.replace(tzinfo=_LAST_TIMEZONE)
    return moment < now


def past_diagnostic(
    spec: Spec, request: Request, now: datetime, timezone: str | None
) -> Diagnostic | None:
    """Give the error for a request whose start lies in the past, or None.

    Not part of loading: a batch that was created in time may well have started since.
    """
    start = request.scheduled_start
    if start is None or not is_past(start, timezone, now):
        return None
    return _diagnostic(
        spec,
        Severity.ERROR,
        f"{start} ({_zone(start, timezone)}) is in the past",
        "write a later time, or delete the field to start calling at once",
    )


def unsound_and_past(specs: SpecSet, now: datetime) -> list[Diagnostic]:
    """Tell of starts that are over everywhere in specs that have errors: all mistakes at once."""
    return [
        Diagnostic(
            Severity.ERROR, file, *place, _FIELD, f"`{start}` is over", "set a time in the future"
        )
        for file, place, start in specs.unsound_starts
        if is_past(start, None, now)
    ]


def dst_diagnostic(spec: Spec, request: Request, timezone: str | None) -> Diagnostic | None:
    """Give the warning for a start time that never happens, happens twice, or has no timezone."""
    start = request.scheduled_start
    if start is None:
        return None
    moment, doubt = resolve(start, timezone)
    hint = "choose a time an hour earlier or later, or write the moment with `Z`"
    match doubt:
        case Doubt.IMAGINARY:
            message = f"{start} never happens in {timezone}: clocks are put forward over it"
        case Doubt.AMBIGUOUS:
            message = f"{start} happens twice in {timezone}: clocks are put back over it"
        case Doubt.UNKNOWN_TIMEZONE:
            message = f"the campaign's timezone {quoted(str(timezone))} is not known here"
            hint = "correct it in the campaign, or write the moment with `Z`"
        case Doubt.NO_TIMEZONE | None:
            return None
    if moment is not None:
        message += f" (read as {moment:%Y-%m-%dT%H:%M:%SZ})"
    return _diagnostic(spec, Severity.WARNING, message, hint)


def _diagnostic(spec: Spec, severity: Severity, message: str, hint: str) -> Diagnostic:
    line, column = spec.scheduled_start_at
    return Diagnostic(severity, spec.file, line, column, _FIELD, message, hint)


def _zone(scheduled_start: str, timezone: str | None) -> str:
    if scheduled_start.endswith("Z"):
        return "UTC"
    return timezone or "in every timezone"


def _parsed(scheduled_start: str) -> datetime:
    return datetime.fromisoformat(normalise(scheduled_start))
