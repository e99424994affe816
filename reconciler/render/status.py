"""Where recorded batches stand, as text and as JSON; as bars, see `reconciler.render.live`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from reconciler.model import without_numbers
from reconciler.plan.hours import zone_of
from reconciler.plan.progress import (
    COMPLETE,
    IN_DOUBT,
    NOT_CREATED,
    UNKNOWN,
    BatchProgress,
    by_spec,
    totals,
)
from reconciler.policy.wording import people
from reconciler.render.structured import FORMAT_VERSION
from reconciler.render.tables import columns
from reconciler.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from reconciler.plan.progress import Reading

HEAD = ("NAME", "BATCH", "STATUS", "DONE", "PER HOUR", "WHEN", "ENDS ABOUT", "OUTCOMES")
_WORDS = {IN_DOUBT: "in doubt", UNKNOWN: "not known", NOT_CREATED: "not created"}
NOTHING = "Nothing is recorded yet.\n"


def status_text(rows: Sequence[BatchProgress], reading: Reading) -> str:
    """Show all batches, grouped by campaign, and their sum."""
    if not rows:
        return NOTHING
    blocks = []
    for campaign_id, group in groupby(rows, key=lambda row: row.campaign_id):
        campaign = reading.campaigns.get(campaign_id)
        timezone = campaign.timezone if campaign else None
        table = columns([HEAD, *(cells(row, timezone, reading.at) for row in by_spec(group))])
        indented = "".join(f"  {line}\n" for line in table.splitlines())
        blocks.append(f"{campaign_line(campaign_id, reading)}\n{indented}")
    return "\n".join([*blocks, f"{summary(rows, reading)}\n"])


def campaign_line(campaign_id: str, reading: Reading) -> str:
    """Say which campaign: id, name, status and timezone, as far as known."""
    campaign = reading.campaigns.get(campaign_id)
    if campaign is None:
        return f"{campaign_id}, about which nothing is known"
    name = f" ({campaign.name})" if campaign.name else ""
    facts = [fact for fact in (campaign.status, campaign.timezone) if fact]
    return ", ".join([f"{campaign_id}{name}", *facts])


def summary(rows: Sequence[BatchProgress], reading: Reading) -> str:
    """Say in one line how far everything is."""
    statuses: dict[str, int] = {}
    for row in rows:
        statuses[row.status] = statuses.get(row.status, 0) + 1
    told = ", ".join(f"{count} {status_word(status)}" for status, count in statuses.items())
    total = totals(rows)
    line = (
        f"{counted(total.batches, 'batch')}: {told}. {total.done:,} of {people(total.people)} done"
    )
    if total.ends_about:
        line += f", all of what runs about {moment(total.ends_about, _common_zone(rows, reading))}"
    if total.missing:
        line += f"; {counted(total.missing, 'more batch')} not created"
    return f"{line}."


def status_word(status: str) -> str:
    """Give the word for a status."""
    return _WORDS.get(status, status)


def done_words(row: BatchProgress) -> str:
    """Say how many of how many are done: `1,200 of 5,000`."""
    return f"{'?' if row.done is None else f'{row.done:,}'} of {row.contacts:,}"


def when(row: BatchProgress, timezone: str | None, now: datetime) -> str:
    """Say when a batch starts, or since when it runs, on the campaign's wall clock."""
    since = row.starts_at or row.created_at
    if since is None:
        return ""
    return f"{_when_word(row, since > now)} {_clock(since, timezone)}"


def _when_word(row: BatchProgress, ahead: bool) -> str:  # noqa: FBT001 - one of two words
    match row.status:
        case "pending":
            return "starts"
        case "in_progress":
            return "since"
    if not ahead:
        return "started"
    return "would start" if row.alive else "was to start"


def ends(row: BatchProgress, timezone: str | None) -> str:
    """Say about when a batch ends, on the campaign's wall clock; empty where nobody can tell."""
    return _clock(row.ends_about, timezone) if row.ends_about else ""


def _clock(value: datetime, timezone: str | None) -> str:
    """Give a moment below a campaign whose timezone stands above it."""
    return moment(value, timezone).removesuffix(f" {timezone}")


def moment(value: datetime, timezone: str | None) -> str:
    """Give a moment on the campaign's wall clock, or in UTC where its timezone is not known."""
    zone = zone_of(timezone)
    if zone is None:
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return f"{value.astimezone(zone):%Y-%m-%d %H:%M} {timezone}"


def rate_words(row: BatchProgress) -> str:
    """Give the rate, rounded as far as it deserves."""
    if row.rate_per_hour is None:
        return ""
    precise = row.rate_per_hour < 10  # noqa: PLR2004 - below ten, a whole number says too little
    return f"{row.rate_per_hour:.1f}" if precise else f"{row.rate_per_hour:,.0f}"


def status_document(rows: Sequence[BatchProgress], reading: Reading) -> dict[str, Any]:
    """Give all of it for programs. Times are in UTC; null is what cannot be told."""
    return {
        "format_version": FORMAT_VERSION,
        "campaigns": [_campaign(each, reading) for each in sorted({r.campaign_id for r in rows})],
        "batches": [_document(row) for row in rows],
        "problems": [{"message": message, "hint": hint} for message, hint in reading.problems],
    }


def _campaign(campaign_id: str, reading: Reading) -> dict[str, Any]:
    campaign = reading.campaigns.get(campaign_id)
    return {
        "campaign_id": campaign_id,
        "name": campaign.name if campaign else None,
        "timezone": campaign.timezone if campaign else None,
        "status": campaign.status if campaign else None,
    }


def _document(row: BatchProgress) -> dict[str, Any]:
    rate = row.rate_per_hour
    return {
        "name": row.name,
        "batch_id": row.batch_id,
        "status": row.status,
        "campaign_id": row.campaign_id,
        "contacts": row.contacts,
        "generation": row.generation,
        "part": row.part,
        # They come from elsewhere: whatever else they may hold, it must be no number.
        "counters": without_numbers(dict(row.counters)),
        "done": row.done,
        "starts_at": row.starts_at,
        "created_at": row.created_at,
        "rate_per_hour": None if rate is None else round(rate, 1),
        "ends_about": row.ends_about,
        **({"parts": row.parts} if row.parts else {}),
    }


def cells(row: BatchProgress, timezone: str | None, now: datetime) -> tuple[str, ...]:
    """Give a batch's row; times are on its campaign's wall clock. `now` is when it was asked."""
    outcomes = ", ".join(f"{count:,} {status}" for status, count in row.outcomes.items())
    if row.status == COMPLETE:
        outcomes = (
            "by earlier batches: nobody was left to call"
            if row.contacts
            else "nobody was left to call: an earlier batch runs on"
        )
    return (
        row.name,
        row.batch_id or "-",
        status_word(row.status),
        done_words(row),
        rate_words(row),
        when(row, timezone, now),
        ends(row, timezone),
        outcomes,
    )


def _common_zone(rows: Sequence[BatchProgress], reading: Reading) -> str | None:
    """Give the one timezone of all that runs; None where there are several."""
    zones = {
        campaign.timezone
        for row in rows
        if row.status == "in_progress" and (campaign := reading.campaigns.get(row.campaign_id))
    }
    return zones.pop() if len(zones) == 1 else None
