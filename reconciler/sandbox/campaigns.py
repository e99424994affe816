"""The campaigns every sandbox starts with, in the shape `GET /campaigns/{id}` gives them.

`cmp_abc123` is the vendor's own example. It calls at any hour, so that a first try at night is no
disappointment; the others show timezones, working hours and a paused campaign.
"""

from __future__ import annotations

from typing import Any

from reconciler.sandbox.hours import WEEKDAYS

MISSING_PREFIX = "cmp_missing"
"""Ids that stay unknown even when any campaign is accepted."""

DEFAULT_CONCURRENCY = 10


def seeded() -> list[dict[str, Any]]:
    """Give the campaigns a new sandbox has."""
    return [
        campaign("cmp_abc123", "Renewals India", "Asia/Kolkata"),
        campaign("cmp_london", "Renewals UK", "Europe/London", hours=("09:00", "17:30")),
        campaign("cmp_new_york", "Renewals US", "America/New_York", hours=("10:00", "18:00")),
        campaign("cmp_lord_howe", "Island survey", "Australia/Lord_Howe"),
        campaign("cmp_paused", "On hold", "Asia/Kolkata", status="paused"),
        campaign("cmp_draft", "Not yet launched", "Asia/Kolkata", status="draft"),
        # One hour on Wednesdays: most of the time this one waits.
        campaign("cmp_narrow", "One hour a week", hours=("11:00", "12:00"), days=("wednesday",)),
    ]


def campaign(
    campaign_id: str,
    name: str,
    timezone: str = "Asia/Kolkata",
    *,
    hours: tuple[str, str] | None = None,
    days: tuple[str, ...] = WEEKDAYS[:5],
    status: str = "active",
) -> dict[str, Any]:
    """Build one campaign; `hours` (HH:MM, HH:MM) are enforced when given, on `days`."""
    start, end = hours or ("09:00", "18:00")
    return {
        "campaign_id": campaign_id,
        "name": name,
        "status": status,
        "timezone": timezone,
        "working_hours_enforced": hours is not None,
        "working_hours": {
            day: {"start": start, "end": end, "enabled": day in days} for day in WEEKDAYS
        },
        "retry_policy": {"max_retries": 2, "strategy": "fixed", "cooldown_minutes": 30},
        "default_call_variables": {"company": "Example Insurance"},
        "phone_numbers": ["+15550100001", "+15550100002"],
        "phone_number_strategy": "round_robin",
        "metadata": {"concurrency_limit": DEFAULT_CONCURRENCY},
    }
