"""Phrases that several renderers share: numbers, moments, spans, and when a batch's calls begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.plan.estimate import not_calling
from reconciler.plan.hours import zone_of

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.observed import Campaign
    from reconciler.plan.actions import Action, Plan

RIGHT_AWAY = "right away"
"""How a start without a time is told: a batch starts calling the moment it is created."""

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3_600, 86_400, 365 * 86_400
OVER = frozenset({"cancelled", "completed"})
"""Statuses that a campaign does not leave."""


def soonness(plan: Plan) -> list[tuple[int, str]]:
    """Count the people who are called as soon as a plan is applied, and those who are kept waiting.

    Those of a campaign that is not active are not called, whatever their batch's start says.
    """
    soon = waiting = 0
    for action in plan.actions:
        if not_calling(plan.campaigns.get(action.campaign_id)):
            waiting += action.people
        elif action.scheduled_start is None and not action.arm_delay:
            soon += action.people
    told = [(soon, RIGHT_AWAY), (waiting, "not before their campaign is active")]
    return [(count, phrase) for count, phrase in told if count]


def how_soon(plan: Plan) -> str:
    """Say how many of a plan's people are called as soon as it is applied; ends a phrase."""
    parts = soonness(plan)
    first = ""
    if len(parts) == 1 and parts[0][0] == plan.people:
        first, parts = f" {parts[0][1]}", []
    if unseen := _unseen(plan):
        parts.append(unseen)
    told = ((f"{count:,}" if count < plan.people else "all", phrase) for count, phrase in parts)
    return first + "".join(f", {count} of them {phrase}" for count, phrase in told)


def _unseen(plan: Plan) -> tuple[int, str] | None:
    """Count the people in campaigns that the API was asked for and did not show.

    They are counted as called: that their batches will be rejected is only likely.
    """
    if plan.offline:
        return None
    calling = [action for action in plan.actions if action.people]
    unseen = [action for action in calling if action.campaign_id not in plan.campaigns]
    if not unseen:
        return None
    one = len({action.campaign_id for action in unseen}) == 1
    which = "a campaign" if one else "campaigns"
    return sum(action.people for action in unseen), f"in {which} that the API does not show"


def counted(count: int, noun: str) -> str:
    """Say a number of things: `1 batch`, `3 batches`."""
    if count == 1:
        return f"1 {noun}"
    head, of, rest = noun.partition(" of ")
    return f"{count:,} {head}{'es' if head.endswith(('s', 'ch', 'x')) else 's'}{of}{rest}"


def span(seconds: float) -> str:
    """Say a span of time with its two largest units: `3 h 12 min`."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return _units(whole, _HOUR, "h", _MINUTE, "min")
    if whole < _YEAR:
        return _units(whole, _DAY, "d", _HOUR, "h")
    return _units(whole, _YEAR, "y", _DAY, "d")


def _units(seconds: int, large: int, name: str, small: int, small_name: str) -> str:
    rest = seconds % large // small
    return (
        f"{seconds // large} {name} {rest} {small_name}" if rest else f"{seconds // large} {name}"
    )


def start(action: Action, plan: Plan, now: datetime) -> str:
    """Say when an action's first call can go out, in the campaign's time and in UTC."""
    campaign = plan.campaigns.get(action.campaign_id)
    when = _start(action, campaign, now)
    status = not_calling(campaign)
    if status is None:
        return when
    if status in OVER:
        return f"never, as it stands: its campaign is {status}"
    if action.scheduled_start is None:
        return f"not before its campaign is active: it is {status}, and nothing goes out"
    return f"{when}, if its campaign is active by then: it is {status}"


def _start(action: Action, campaign: Campaign | None, now: datetime) -> str:
    if action.arm_delay:
        wait = span(action.arm_delay.total_seconds())
        return f"{wait} after its creation (armed: until then it can be cancelled unheard)"
    if action.scheduled_start is None:
        return f"{RIGHT_AWAY}: phones ring within seconds of its creation"
    if action.starts_at is None:
        written = action.scheduled_start.replace("T", " ")
        return f"{written} in the campaign's timezone, which is not known here"
    wait = (
        f", in {span((action.starts_at - now).total_seconds())}" if action.starts_at > now else ""
    )
    return f"{moment(action.starts_at, campaign.timezone if campaign else None)}{wait}"


def moment(value: datetime, timezone: str | None) -> str:
    """Say a moment on the campaign's wall clock and in UTC; only in UTC where that is not known.

    `Mon 14 May 2035 09:00 Asia/Kolkata (03:30 UTC)`.
    """
    local, utc = clocks(value, timezone)
    return f"{local} ({utc})" if local else utc


def clocks(value: datetime, timezone: str | None, *, short: bool = False) -> tuple[str, str]:
    """Give a moment on the campaign's wall clock, and in UTC without a day that is the same.

    The first is empty where the timezone is not known, or is UTC. `short` leaves out the year and
    the timezone's name, for where they stand beside it.
    """
    zone = zone_of(timezone)
    if zone is None or timezone == "UTC":
        return "", f"{value:%a %d %b{'' if short else ' %Y'} %H:%M} UTC"
    local = value.astimezone(zone)
    day = "" if local.date() == value.date() else f"{value:%a %d %b} "
    here = f"{local:%a %d %b %H:%M}" if short else f"{local:%a %d %b %Y %H:%M} {timezone}"
    return here, f"{day}{value:%H:%M} UTC"
