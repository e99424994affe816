"""When the calls of a plan go out, and about how long they take. Pure, and an estimate.

A batch of 500 people, 2 minutes each and 10 calls at once, needs 500 x 2 / 10 = 100 minutes in
which its campaign may call. They are laid into the campaign's working hours, from the batch's start
on. Calls to people who do not answer and are tried again come on top, and so does whatever else the
campaign calls at the same time: the end is about the earliest. Counted with all retries, as if
everybody needed every one of them, it is about the latest.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reconciler.plan.hours import hours_of, windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from reconciler.observed import Campaign
    from reconciler.plan.actions import Action, Plan
    from reconciler.plan.hours import Hours, Window

AVERAGE_CALL = timedelta(minutes=2)
"""How long a call takes where the settings do not say (`average_call`)."""

ACTIVE = "active"
"""The status of a campaign whose batches call."""


class Estimate(Struct, frozen=True, kw_only=True):
    """When an action's calls go out. Times are aware, in UTC.

    `starts_at` is when its batch begins: its scheduled start, or now (and `arm_delay`) for one that
    calls at once. None when that cannot be known. `first_call` is the first moment from then on at
    which its campaign may call: None where nobody can tell, or there is none within a year.
    `last_call` is about when everybody has been called once. `at_once` is how many calls go out at
    the same time, `needed` the time of calling that takes. `windows` are the working hours that are
    used for it. `outside_hours` tells that calling is not allowed at `starts_at`.
    """

    people: int
    starts_at: datetime | None = None
    first_call: datetime | None = None
    last_call: datetime | None = None
    at_once: int | None = None
    needed: timedelta | None = None
    windows: tuple[Window, ...] = ()
    outside_hours: bool = False
    never: bool = False
    """The campaign may not call at any time within a year."""


def estimate(plan: Plan, now: datetime, average_call: timedelta) -> Mapping[str, Estimate]:
    """Estimate every action that calls people, by name. `now` is aware."""
    return {
        action.name: estimate_action(
            action, plan.campaigns.get(action.campaign_id), now, average_call
        )
        for action in plan.pending
        if action.people
    }


def estimate_action(
    action: Action, campaign: Campaign | None, now: datetime, average_call: timedelta
) -> Estimate:
    """Estimate one action. Of a campaign that is not active nothing is known but the capacity."""
    requests = [creation.request.fields for creation in action.creations]
    at_once = calls_at_once(requests, campaign)
    needed = None if at_once is None else calling_time(action.people, at_once, average_call)
    starts_at = _starts_at(action, now)
    plain = Estimate(people=action.people, starts_at=starts_at, at_once=at_once, needed=needed)
    if starts_at is None or not_calling(campaign):
        return plain
    hours = hours_of(campaign)
    if hours is None:
        return plain
    return _within(hours, plain, starts_at)


def calling_time(people: int, at_once: int, average_call: timedelta, retries: int = 0) -> timedelta:
    """Give how long it takes to call people, each of them once and `retries` times again.

    `timedelta.max` for what takes longer than that.
    """
    try:
        return average_call * -(-people * (1 + retries) // at_once)
    except OverflowError:
        return timedelta.max


def calls_at_once(requests: Iterable[Mapping[str, Any]], campaign: Campaign | None) -> int | None:
    """Give how many calls go out at once: as each batch has it, or the campaign that they share.

    `requests` are the fields of each batch's request. None when nobody says.
    """
    own = [fields.get("concurrency_limit") for fields in requests]
    limits = [limit for limit in own if isinstance(limit, int) and limit > 0]
    if limits:
        return sum(limits)
    limit = campaign.concurrency_limit if campaign else None
    return limit if limit is not None and limit > 0 else None


def retries_of(fields: Mapping[str, Any], campaign: Campaign | None) -> int | None:
    """Give how often somebody is tried again: as the request says, or its campaign.

    None when nobody says.
    """
    own = fields.get("max_retries_override")
    if isinstance(own, int) and own >= 0:
        return own
    return campaign.max_retries if campaign else None


def laid_out(
    hours: Hours, starts_at: datetime, needed: timedelta | None
) -> tuple[tuple[Window, ...], datetime | None]:
    """Lay a time of calling into working hours: the windows that are used, and when it is over.

    The end is None where `needed` is, or where that is further away than windows are walked.
    """
    used: list[Window] = []
    left = needed
    for opens, closes in windows(hours, starts_at):
        if left is None:
            return ((opens, closes),), None
        if left <= closes - opens:
            return (*used, (opens, opens + left)), opens + left
        used.append((opens, closes))
        left -= closes - opens
    return tuple(used), None


def not_calling(campaign: Campaign | None) -> str | None:
    """Give the status of a campaign that keeps its batches from calling; None where it does not."""
    status = campaign.status if campaign else None
    return None if status in {None, ACTIVE} else status


def _within(hours: Hours, plain: Estimate, starts_at: datetime) -> Estimate:
    """Lay the needed time of calling into the working hours."""
    used, last_call = laid_out(hours, starts_at, plain.needed)
    return Estimate(
        people=plain.people,
        starts_at=starts_at,
        first_call=used[0][0] if used else None,
        last_call=last_call,
        at_once=plain.at_once,
        needed=plain.needed,
        windows=used,
        outside_hours=not used or used[0][0] > starts_at,
        never=not used,
    )


def _starts_at(action: Action, now: datetime) -> datetime | None:
    if action.scheduled_start is None:
        return now + action.arm_delay
    if action.starts_at is None:
        return None
    return max(action.starts_at, now)
