"""Phrases that several renderers share: numbers, moments, spans."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from reconciler.plan.actions import ActionKind, Reason

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.plan.actions import Action, Plan

RIGHT_AWAY = "right away"
"""How a start without a time is told: a batch starts calling the moment it is created."""

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3_600, 86_400, 365 * 86_400
_PLANNED_ONLY = {ActionKind.REPLACE, ActionKind.PAUSE, ActionKind.RESUME, ActionKind.CANCEL}


NOT_CARRIED_OUT = "this version does not carry this out: apply refuses it and leaves all as it is"


def is_refused(action: Action) -> bool:
    """Tell whether apply will refuse a planned action because it cannot carry it out yet."""
    return action.kind in _PLANNED_ONLY and action.reason is not Reason.DUPLICATE


def people(count: int) -> str:
    """Say a number of people: `1 person`, `12,000 people`."""
    return f"{count:,} {'person' if count == 1 else 'people'}"


def how_soon(plan: Plan) -> str:
    """Say how many of a plan's people are called as soon as it is applied; ends a phrase."""
    soon = sum(
        action.people
        for action in plan.actions
        if action.scheduled_start is None and not action.arm_delay
    )
    if not soon:
        return ""
    return f" {RIGHT_AWAY}" if soon == plan.people else f", {soon:,} of them {RIGHT_AWAY}"


def counted(count: int, noun: str) -> str:
    """Say a number of things: `1 batch`, `3 batches`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}{'es' if noun.endswith(('s', 'ch', 'x')) else 's'}"


def span(seconds: float) -> str:
    """Say a span of time with its two largest units: `3 h 12 min`."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
    if whole < _YEAR:
        return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"
    return f"{whole // _YEAR} y {whole % _YEAR // _DAY} d"


def start(action: Action, plan: Plan, now: datetime) -> str:
    """Say when an action's first call can go out, in the campaign's time and in UTC."""
    if action.arm_delay:
        wait = span(action.arm_delay.total_seconds())
        return f"{wait} after its creation (armed: until then it can be cancelled unheard)"
    if action.scheduled_start is None:
        return f"{RIGHT_AWAY}: phones ring within seconds of its creation"
    campaign = plan.campaigns.get(action.campaign_id)
    timezone = campaign.timezone if campaign else None
    if action.starts_at is None:
        written = action.scheduled_start.replace("T", " ")
        return f"{written} in the campaign's timezone, which is not known here"
    utc = f"{action.starts_at:%a %d %b %Y %H:%M} UTC"
    wait = (
        f", in {span((action.starts_at - now).total_seconds())}" if action.starts_at > now else ""
    )
    local = _local(action.starts_at, timezone)
    return f"{local} ({utc}){wait}" if local else f"{utc}{wait}"


def _local(moment: datetime, timezone: str | None) -> str:
    if timezone is None:
        return ""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return ""
    return f"{moment.astimezone(zone):%a %d %b %Y %H:%M} {timezone}"
