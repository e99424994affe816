"""The row of an action in a table of a plan: what each cell says, however it is drawn."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.plan.actions import ActionKind
from reconciler.plan.estimate import not_calling
from reconciler.render.telling import again_of, limit_words
from reconciler.render.words import OVER, RIGHT_AWAY, clocks, moment, span

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.observed import Campaign
    from reconciler.plan.actions import Action, Plan
    from reconciler.plan.estimate import Estimate

HEADINGS = ("action", "batch", "people", "first call", "all called about", "campaign")


class Look(Enum):
    """How a cell's text is drawn."""

    PLAIN = "plain"
    STRONG = "strong"
    CODE = "code"


class Cell(Struct, frozen=True):
    """One cell: what counts, what must not be missed, and what explains it."""

    main: str = ""
    small: tuple[str, ...] = ()
    look: Look = Look.PLAIN
    alarm: str = ""


def row(action: Action, plan: Plan, now: datetime, of: Estimate | None) -> tuple[Cell, ...]:
    """Give an action's cells, one for each heading. `now` is aware."""
    campaign = plan.campaigns.get(action.campaign_id)
    calls = of is not None and action.people
    return (
        Cell(action.kind.value),
        Cell(action.name, (f"was {action.moved_from}",) if action.moved_from else (), Look.CODE),
        _people(action),
        _first_call(action, campaign, of, now) if of is not None and calls else Cell(),
        _last_call(campaign, of) if of is not None and calls else Cell(),
        Cell(action.campaign_id, (*_campaign(campaign), *limit_words(action)), Look.CODE),
    )


def _people(action: Action) -> Cell:
    if action.kind is ActionKind.RESUME:
        return Cell(f"up to {action.contacts:,}", ("who still wait",))
    if not action.creations:
        return Cell()
    count = f"{action.people:,}"
    if action.callees is None:
        return Cell(count, look=Look.STRONG)
    again = f"{again_of(action):,} AGAIN" if again_of(action) else ""
    if action.callees.at_most:
        return Cell(f"up to {count}", look=Look.STRONG, alarm=again)
    called = (f"{action.callees.called:,} called already",) if action.callees.called else ()
    return Cell(count, called, Look.STRONG, again)


def _first_call(action: Action, campaign: Campaign | None, of: Estimate, now: datetime) -> Cell:
    status = not_calling(campaign)
    timezone = campaign.timezone if campaign else None
    if status:
        when = "never, as it stands" if status in OVER else "not before the campaign is active"
        return Cell(when, (f"the campaign is {status}",))
    if of.never:
        return Cell("never, as it stands", ("the campaign has no working hours",))
    if action.scheduled_start is None:
        return _soon(action, of, timezone)
    first = of.first_call or of.starts_at
    if first is None:
        written = action.scheduled_start.replace("T", " ")
        return Cell(written, ("in the campaign's timezone, which is not known here",))
    wait = (f"in {span((first - now).total_seconds())}",) if first > now else ()
    late = ("its start is outside working hours",) if of.outside_hours else ()
    return _clocks(clocks(first, timezone), *wait, *late)


def _soon(action: Action, of: Estimate, timezone: str | None) -> Cell:
    """Tell of a batch that calls as soon as it may."""
    delay = span(action.arm_delay.total_seconds())
    soon = f"{delay} after it is applied" if action.arm_delay else RIGHT_AWAY
    look = Look.PLAIN if action.arm_delay else Look.STRONG
    if of.outside_hours and of.first_call is not None:
        opens = f"applied now, from {moment(of.first_call, timezone)}"
        return Cell(f"{soon}, within working hours", (opens,), look)
    return Cell(soon, () if action.arm_delay else ("when this is applied",), look)


def _last_call(campaign: Campaign | None, of: Estimate) -> Cell:
    small = []
    if of.needed is not None:
        days = f" on {len(of.windows)} days" if len(of.windows) > 1 else ""
        small = [f"{span(of.needed.total_seconds())} of calling{days}", f"{of.at_once:,} at once"]
    if of.last_call is None:
        return Cell("", tuple(small))
    timezone = campaign.timezone if campaign else None
    return _clocks(clocks(of.last_call, timezone, short=True), *small)


def _clocks(clocks: tuple[str, str], *more: str) -> Cell:
    """Tell a moment: the campaign's wall clock, and what explains it."""
    local, utc = clocks
    return Cell(local, (utc, *more)) if local else Cell(utc, more)


def _campaign(campaign: Campaign | None) -> tuple[str, ...]:
    return (campaign.name,) if campaign is not None and campaign.name else ()
