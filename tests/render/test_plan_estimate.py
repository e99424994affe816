from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.observed import Campaign
from reconciler.plan.estimate import Estimate, estimate, estimate_action
from reconciler.plan.facts import Facts
from tests.core.builders import CAMPAIGN, plan, spec

TUESDAY = datetime(2026, 5, 12, 3, 30, tzinfo=UTC)
"""09:00 in Kolkata."""
TWO_MINUTES = timedelta(minutes=2)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")


def campaign(*, hours: tuple[str, str] | None = ("09:00", "17:00"), **changes: Any) -> Campaign:
    """Give an active campaign in Kolkata, ten calls at once, with these hours on weekdays."""
    made = Campaign(
        CAMPAIGN,
        status="active",
        timezone="Asia/Kolkata",
        concurrency_limit=10,
        working_hours_enforced=hours is not None,
        working_hours=None
        if hours is None
        else {day: {"start": hours[0], "end": hours[1], "enabled": True} for day in WEEKDAYS},
    )
    return replace(made, **changes)


def estimated(of: Campaign | None, now: datetime = TUESDAY, *, n: int, **fields: Any) -> Estimate:
    """Estimate the one batch of a plan."""
    facts = Facts(campaigns={CAMPAIGN: of} if of else {})
    planned = plan(spec(n=n, **fields), facts=facts, now=now)
    return estimate(planned, now, TWO_MINUTES)["welcome"]


def test_people_times_minutes_by_calls_at_once() -> None:
    """500 people, 2 minutes each, 10 at once: 100 minutes."""
    found = estimated(campaign(hours=None), n=500)
    assert found.needed == timedelta(minutes=100)
    assert (found.first_call, found.last_call) == (TUESDAY, TUESDAY + timedelta(minutes=100))


def test_a_batch_has_a_limit_of_its_own() -> None:
    """A spec's `concurrency_limit` counts before its campaign's."""
    found = estimated(campaign(hours=None), n=500, concurrency_limit=100)
    assert found.at_once == 100
    assert found.needed == timedelta(minutes=10)


def test_a_spec_that_is_split_calls_from_all_its_batches() -> None:
    """Each batch has the limit that the spec says; without one they share the campaign's."""
    whole = spec(n=250, parts=2, concurrency_limit=50)
    facts = Facts(campaigns={CAMPAIGN: campaign(hours=None)})
    found = estimate(plan(whole, facts=facts, now=TUESDAY), TUESDAY, TWO_MINUTES)["welcome"]
    assert (found.at_once, found.needed) == (100, timedelta(minutes=10))
    whole = spec(n=250, parts=2)
    found = estimate(plan(whole, facts=facts, now=TUESDAY), TUESDAY, TWO_MINUTES)["welcome"]
    assert (found.at_once, found.needed) == (10, timedelta(minutes=100))


def test_it_keeps_to_working_hours() -> None:
    """What does not fit into a day goes on when calling is allowed again, in local time."""
    found = estimated(campaign(), n=3_000)  # 600 minutes; a day has 480
    assert found.windows == (
        (TUESDAY, TUESDAY + timedelta(hours=8)),
        (TUESDAY + timedelta(days=1), TUESDAY + timedelta(days=1, hours=2)),
    )
    assert found.last_call == TUESDAY + timedelta(days=1, hours=2)
    assert not found.outside_hours


def test_a_start_outside_working_hours() -> None:
    """A start on a Saturday rings nobody before Monday."""
    found = estimated(campaign(), n=3, scheduled_start="2026-05-16T09:00:00")
    assert found.outside_hours
    assert found.starts_at == datetime(2026, 5, 16, 3, 30, tzinfo=UTC)
    assert found.first_call == datetime(2026, 5, 18, 3, 30, tzinfo=UTC)


def test_hours_that_never_come() -> None:
    """A campaign without a single open day never calls."""
    found = estimated(campaign(working_hours={"monday": {"enabled": False}}), n=3)
    assert found.never
    assert found.outside_hours
    assert found.first_call is None


@pytest.mark.parametrize(
    ("of", "fields", "known", "reason"),
    [
        (None, {}, {"starts_at": TUESDAY}, "a campaign that was not read"),
        (
            campaign(status="paused"),
            {},
            {"starts_at": TUESDAY, "at_once": 10, "needed": TWO_MINUTES},
            "a paused campaign calls nobody, and nobody knows until when",
        ),
        (
            campaign(timezone=None),
            {"scheduled_start": "2026-05-14T09:00:00"},
            {"at_once": 10, "needed": TWO_MINUTES},
            "a local time without a place",
        ),
        (
            campaign(working_hours_enforced=None),
            {},
            {"starts_at": TUESDAY, "at_once": 10, "needed": TWO_MINUTES},
            "a campaign that does not tell its hours",
        ),
    ],
)
def test_what_cannot_be_known_is_left_out(
    of: Campaign | None, fields: dict[str, Any], known: dict[str, Any], reason: str
) -> None:
    """Nothing is guessed."""
    assert estimated(of, n=3, **fields) == Estimate(people=3, **known), reason


def test_without_a_limit_the_end_is_open() -> None:
    """Where nobody knows how many calls go out at once, the first is known and the last is not."""
    found = estimated(campaign(hours=None, concurrency_limit=None), n=3)
    assert found.first_call == TUESDAY
    assert found.last_call is None
    assert found.needed is None


def test_an_armed_batch_begins_later() -> None:
    """A batch that is armed calls when its delay is over."""
    (action,) = plan(spec()).pending
    armed = replace(action, arm_delay=timedelta(minutes=5))
    found = estimate_action(armed, campaign(hours=None), TUESDAY, TWO_MINUTES)
    assert found.first_call == TUESDAY + timedelta(minutes=5)


def test_nobody_called_nothing_estimated() -> None:
    """Actions that call nobody have no estimate."""
    assert estimate(plan(), TUESDAY, TWO_MINUTES) == {}


@given(
    n=st.integers(1, 50),
    at_once=st.integers(1, 20),
    minutes=st.integers(1, 600),
    hour=st.integers(0, 24 * 14),
)
def test_windows_hold_exactly_the_time_that_is_needed(
    n: int, at_once: int, minutes: int, hour: int
) -> None:
    """The windows follow one another, lie in working hours, and add up to what is needed."""
    now = TUESDAY + timedelta(hours=hour)
    of = campaign(concurrency_limit=at_once)
    (action,) = plan(spec(n=n), facts=Facts(campaigns={CAMPAIGN: of}), now=now).pending
    found = estimate_action(action, of, now, timedelta(minutes=minutes))
    assert sum((closes - opens for opens, closes in found.windows), timedelta()) == found.needed
    assert all(opens >= now for opens, _ in found.windows)
    moments = [moment for window in found.windows for moment in window]
    assert moments == sorted(moments)
    assert (found.first_call, found.last_call) == (moments[0], moments[-1])
