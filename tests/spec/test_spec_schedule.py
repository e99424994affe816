"""Start times: what may be written, what is sent, which moment it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.model import Severity
from reconciler.spec.schedule import (
    BadSchedule,
    Doubt,
    dst_diagnostic,
    is_past,
    normalise,
    past_diagnostic,
    resolve,
)

if TYPE_CHECKING:
    from tests.spec.conftest import Root


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("2026-05-12T09:00:00", "2026-05-12T09:00:00"),
        ("2026-05-12 09:00:00", "2026-05-12T09:00:00"),
        ("2026-05-12T09:00", "2026-05-12T09:00:00"),
        ("2026-05-12t09:00:00z", "2026-05-12T09:00:00Z"),
        ("2026-05-12T09:00:00Z", "2026-05-12T09:00:00Z"),
        ("2026-05-12T09:00:00.000Z", "2026-05-12T09:00:00Z"),
        ("2026-05-12T09:00:00.120", "2026-05-12T09:00:00.12"),
        ("2026-05-12T09:00:00+00:00", "2026-05-12T09:00:00Z"),
        ("2026-05-12T09:00:00+05:30", "2026-05-12T03:30:00Z"),
        ("2026-05-12T20:00:00.5-0700", "2026-05-13T03:00:00.5Z"),
        ("2026-05-12 09:00 +02", "2026-05-12T07:00:00Z"),
        ("2024-02-29T00:00:00", "2024-02-29T00:00:00"),
    ],
)
def test_what_is_written_is_sent_in_one_spelling(written: str, sent: str) -> None:
    """Spaces, missing seconds, zero fractions and offsets all come to the same two forms."""
    assert normalise(written) == sent
    assert normalise(sent) == sent


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("2026-05-12", "a date without a time", "2026-05-12T09:00:00"),
        ("2026-02-30", "there is no such day", ""),
        ("2026-02-30T09:00:00", "there is no such day", ""),
        ("2026-05-12T24:00:00", "there is no such day or time", ""),
        ("2026-05-12T09:00:60", "there is no such day or time", ""),
        ("12/05/2026 09:00", "no date and time", "2026-05-12T09:00:00Z"),
        ("14.05.2035 09:00", "`14.05.2035 09:00`, which is no date", "2026-05-12T09:00:00"),
        ("2026-5-12T9:00", "no date and time", ""),
        ("1747040400", "no date and time", ""),
        ("tomorrow", "no date and time", ""),
        ("2026-05-12 09:00 IST", "no date and time", "leave the timezone's name out"),
        ("2026-05-12T09:00:00 Asia/Kolkata", "no date and time", "timezone's name"),
        ("2026-05-12T09:00:00+25:00", "no place on earth", ""),
        ("2026-05-12T09:00:00+05:75", "no place on earth", ""),
        ("2026-05-12T09:00:00.1234567", "finer than a microsecond", ""),
        ("0001-01-01T00:00:00+14:00", "out of range", ""),
        ("\uff12\uff10\uff12\uff16-05-12T09:00:00", "no date and time", ""),
        ("x" * 100_000, "no date and time", ""),
    ],
)
def test_what_is_no_start_time_is_refused(written: str, message: str, hint: str) -> None:
    """Dates alone, days that do not exist and other notations say how to write it."""
    with pytest.raises(BadSchedule) as caught:
        normalise(written)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert len(caught.value.message) < 150


@pytest.mark.parametrize(
    ("local", "timezone", "utc", "doubt"),
    [
        ("2026-05-12T09:00:00Z", None, "2026-05-12T09:00", None),
        ("2026-05-12T09:00:00Z", "Asia/Kolkata", "2026-05-12T09:00", None),
        ("2026-05-12T09:00:00", "Asia/Kolkata", "2026-05-12T03:30", None),
        ("2026-05-12T09:00:00", None, None, Doubt.NO_TIMEZONE),
        ("2026-05-12T09:00:00", "Mars/Olympus", None, Doubt.UNKNOWN_TIMEZONE),
        ("2026-05-12T09:00:00", "../etc/passwd", None, Doubt.UNKNOWN_TIMEZONE),
        ("2026-05-12T09:00:00", "", None, Doubt.UNKNOWN_TIMEZONE),
        ("2026-05-12T09:00:00", "America", None, Doubt.UNKNOWN_TIMEZONE),
        ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30", Doubt.IMAGINARY),
        ("2026-03-29T03:00:00", "Europe/Berlin", "2026-03-29T01:00", None),
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30", Doubt.AMBIGUOUS),
        ("2026-10-25T03:00:00", "Europe/Berlin", "2026-10-25T02:00", None),
        ("2026-10-04T02:15:00", "Australia/Lord_Howe", "2026-10-03T15:45", Doubt.IMAGINARY),
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45", Doubt.AMBIGUOUS),
        ("2026-04-05T02:15:00", "Australia/Lord_Howe", "2026-04-04T15:45", None),
    ],
)
def test_a_local_time_is_resolved(
    local: str, timezone: str | None, utc: str | None, doubt: Doubt | None
) -> None:
    """Each start time is one moment, or it is said why that is in doubt."""
    moment, why = resolve(local, timezone)
    assert moment == (datetime.fromisoformat(utc).replace(tzinfo=UTC) if utc else None)
    assert why == doubt


def test_without_a_timezone_past_means_past_everywhere() -> None:
    """A naive time is past only when the last place on earth, twelve hours behind, is past it."""
    noon = datetime(2026, 5, 12, 12, tzinfo=UTC)
    start = "2026-05-12T12:00:00"
    assert not is_past(start, None, noon + timedelta(hours=12))
    assert is_past(start, None, noon + timedelta(hours=12, seconds=1))
    assert is_past(start, "UTC", noon + timedelta(seconds=1))
    assert not is_past("9999-12-31T23:59:59", None, noon)
    assert not is_past("9999-12-31T23:59:59", "America/New_York", noon)


def test_a_past_start_is_an_error_at_its_line(root: Root) -> None:
    """The caller learns where the time stands, in which timezone it was read, and what to do."""
    root.spec("scheduled_start: 2026-05-12T09:00:00\n")
    (spec,) = root.load().specs
    now = datetime(2026, 5, 12, 3, 31, tzinfo=UTC)
    one = past_diagnostic(spec, spec.requests[0], now, "Asia/Kolkata")
    assert one is not None
    assert (one.severity, one.line, one.column) == (Severity.ERROR, 5, 18)
    assert one.message == "2026-05-12T09:00:00 (Asia/Kolkata) is in the past"
    assert past_diagnostic(spec, spec.requests[0], now, "UTC") is None


@pytest.mark.parametrize(
    ("start", "timezone", "said"),
    [
        ("2026-03-29T02:30:00", "Europe/Berlin", "never happens"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "happens twice"),
        ("2026-10-25T02:30:00", "Nowhere/At_All", "is not known here"),
    ],
)
def test_a_doubtful_local_time_is_a_warning(
    root: Root, start: str, timezone: str, said: str
) -> None:
    """Times that clocks skip or repeat, and unknown timezones, are warnings with a way out."""
    root.spec(f"scheduled_start: {start}\n")
    (spec,) = root.load().specs
    one = dst_diagnostic(spec, spec.requests[0], timezone)
    assert one is not None
    assert one.severity is Severity.WARNING
    assert said in one.message
    assert "`Z`" in one.hint


def test_a_plain_local_time_gets_no_warning(root: Root) -> None:
    """Nothing is said about a time that is one moment, nor about one with no time at all."""
    root.spec("scheduled_start: 2026-05-12T09:00:00\n")
    root.spec(name="b.yaml")
    later, at_once = root.load().specs
    assert dst_diagnostic(later, later.requests[0], "Europe/Berlin") is None
    assert dst_diagnostic(later, later.requests[0], None) is None
    assert dst_diagnostic(at_once, at_once.requests[0], "Europe/Berlin") is None
    assert past_diagnostic(at_once, at_once.requests[0], datetime.now(UTC), None) is None
