from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.models import as_campaign
from reconciler.observed import Campaign
from reconciler.plan.estimate import (
    Estimate,
    calling_time,
    calls_at_once,
    estimate,
    laid_out,
    retries_of,
)
from reconciler.plan.facts import Facts
from reconciler.plan.hours import WEEKDAYS, hours_of
from tests.core.builders import CAMPAIGN, plan, spec

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


def estimated(of: Campaign, **fields: Any) -> Estimate:
    """Estimate a batch of 500 people."""
    planned = plan(spec(n=500, **fields), facts=Facts(campaigns={CAMPAIGN: of}), now=TUESDAY)
    return estimate(planned, TUESDAY, TWO_MINUTES)["welcome"]


def test_the_last_retry_is_later_than_the_last_call() -> None:
    """Everybody is called once in 100 minutes; with two retries each it is 300."""
    found = estimated(campaign(2))
    assert found.needed == timedelta(minutes=100)
    assert found.last_call == TUESDAY + timedelta(minutes=100)
    assert (found.retries, found.last_retry) == (2, TUESDAY + timedelta(minutes=300))


def test_a_spec_has_retries_of_its_own() -> None:
    """`max_retries_override` counts before the campaign's policy, also when it is 0."""
    found = estimated(campaign(2), max_retries_override=0)
    assert (found.retries, found.last_retry) == (0, found.last_call)


def test_retries_that_nobody_knows() -> None:
    """Where nobody says how often people are tried again, there is no such figure."""
    found = estimated(campaign(None))
    assert (found.retries, found.last_retry) == (None, None)
    assert found.last_call is not None


def test_retries_keep_to_working_hours() -> None:
    """What does not fit into a day goes on when calling is allowed again."""
    found = estimated(campaign(2, ("09:00", "11:00")))
    assert found.last_call == TUESDAY + timedelta(minutes=100)
    assert found.last_retry == TUESDAY + timedelta(days=2, minutes=60)


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
