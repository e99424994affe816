from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.models import as_campaign
from reconciler.observed import Campaign
from reconciler.plan.estimate import (
    calling_time,
    calls_at_once,
    laid_out,
    retries_of,
)
from reconciler.plan.hours import WEEKDAYS, hours_of
from tests.core.builders import CAMPAIGN

TUESDAY = datetime(2026, 5, 12, 3, 30, tzinfo=UTC)
"""09:00 in Kolkata."""
TWO_MINUTES = timedelta(minutes=2)


def campaign(max_retries: int | None, hours: tuple[str, str] | None = None) -> Campaign:
    """Give an active campaign in Kolkata, ten calls at once."""
    return Campaign(
        CAMPAIGN,
        status="active",
        timezone="Asia/Kolkata",
        working_hours_enforced=hours is not None,
        working_hours={day: {"start": hours[0], "end": hours[1]} for day in WEEKDAYS}
        if hours
        else None,
        concurrency_limit=10,
        max_retries=max_retries,
    )


@pytest.mark.parametrize(
    ("fields", "of_campaign", "expected"),
    [({"max_retries_override": 0}, 2, 0), ({}, 2, 2), ({}, None, None)],
)
def test_a_spec_has_retries_of_its_own(
    fields: dict[str, int], of_campaign: int | None, expected: int | None
) -> None:
    """`max_retries_override` counts before the campaign's policy, also when it is 0."""
    assert retries_of(fields, campaign(of_campaign)) == expected


@given(st.integers(1, 10**7), st.integers(1, 1_000), st.integers(0, 20))
def test_calling_takes_its_time(people: int, at_once: int, retries: int) -> None:
    """The time is never too short for all calls, and less than one call longer than needed."""
    calls = people * (1 + retries)
    rounds = calling_time(people, at_once, TWO_MINUTES, retries) // TWO_MINUTES
    assert (rounds - 1) * at_once < calls <= rounds * at_once


def test_what_takes_for_ever() -> None:
    """Numbers that are too large for any calendar are a very long time, not an error."""
    assert calling_time(10**6, 1, TWO_MINUTES, 10**18) == timedelta.max
    hours = hours_of(campaign(0))
    assert hours is not None
    used, end = laid_out(hours, TUESDAY, timedelta.max)
    assert (len(used), end) == (1, None)
    assert laid_out(hours, TUESDAY, None)[1] is None


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([{}], 10),
        ([{}, {}], 10),
        ([{"concurrency_limit": 4}, {"concurrency_limit": 4}], 8),
        ([], 10),
    ],
)
def test_calls_at_once(requests: list[dict[str, int]], expected: int) -> None:
    """As each batch has it, or what they share of the campaign's."""
    assert calls_at_once(requests, campaign(0)) == expected
    assert calls_at_once([{}], None) is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"retry_policy": {"max_retries": 2}}, 2),
        ({"retry_policy": {"max_retries": 0}}, 0),
        ({"retry_policy": {"max_retries": "2"}}, None),
        ({"retry_policy": {"max_retries": -1}}, None),
        ({"retry_policy": 2}, None),
        ({}, None),
    ],
)
def test_retries_as_the_api_says_them(row: dict[str, Any], expected: int | None) -> None:
    """The campaign's retry policy is read, and what is odd in it is not believed."""
    found = as_campaign(row, CAMPAIGN)
    assert found is not None
    assert found.max_retries == expected
    assert retries_of({}, found) == expected
    assert retries_of({}, None) is None
