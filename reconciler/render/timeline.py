"""When calls go out, as a mermaid diagram: one bar for each batch and each day that it calls on.

Times are on the wall clock of the campaigns' timezone where they share one, else in UTC. What is
so short that its bar would be a hair is drawn as a milestone, where it begins.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.plan.hours import zone_of
from reconciler.policy.wording import people
from reconciler.render.escape import mermaid, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import tzinfo

    from reconciler.plan.actions import Action, Plan
    from reconciler.plan.estimate import Estimate

MOST_BATCHES = 20
MOST_DAYS = 4
"""Bars of one batch; the days after them are one bar."""
_HAIR = 60
"""A bar that is shorter than this part of the whole is a milestone."""
_SHORT, _FORTNIGHT, _LONG = timedelta(days=3), timedelta(days=14), timedelta(days=120)
_LEFT, _LABEL = 150, 22
"""Pixels left of the bars, and the letters that fit there."""
_NAME = 40
"""Letters of a name that stand in or beside a bar."""


class _Bar(Struct, frozen=True):
    campaign_id: str
    label: str
    opens: datetime
    closes: datetime


def timeline(plan: Plan, estimates: Mapping[str, Estimate]) -> str:
    """Draw the calls whose times are known; empty where there are none.

    Ends with a sentence about what is not drawn, if anything is not.
    """
    known = sorted(
        (
            (action, estimates[action.name])
            for action in plan.pending
            if action.name in estimates and estimates[action.name].windows
        ),
        key=lambda pair: (pair[1].windows[0][0], pair[0].name),
    )
    if not known:
        return ""
    bars = [bar for action, of in known[:MOST_BATCHES] for bar in _bars(action, of)]
    zone, where = _zone(plan, [action for action, _ in known])
    lines = ["```mermaid", *_chart(plan, bars, zone, where), "```"]
    left_out = len(known) - MOST_BATCHES
    if left_out > 0:
        begin = "begins later and is" if left_out == 1 else "begin later and are"
        lines.append(f"The first {MOST_BATCHES} batches; {left_out:,} more {begin} not drawn.")
    return "\n".join(lines)


def _bars(action: Action, of: Estimate) -> Iterator[_Bar]:
    """Give a batch's bars: a day each, and one for what is left when these are many."""
    name, count = shortened(action.name, _NAME), people(of.people)
    if action.callees is not None and action.callees.at_most:
        count = f"up to {count}"
    if of.needed is None:  # how many go out at once is not known, so only the beginning is
        opens = of.windows[0][0]
        yield _Bar(action.campaign_id, f"{name}, {count}", opens, opens)
        return
    days = of.windows if len(of.windows) <= MOST_DAYS + 1 else of.windows[:MOST_DAYS]
    for number, (opens, closes) in enumerate(days, start=1):
        what = count if number == 1 else f"day {number}"
        yield _Bar(action.campaign_id, f"{name}, {what}", opens, closes)
    if len(days) < len(of.windows):
        rest = of.windows[MOST_DAYS:]
        label = f"{name}, {len(rest):,} more days"
        yield _Bar(action.campaign_id, label, rest[0][0], rest[-1][1])


def _chart(plan: Plan, bars: Sequence[_Bar], zone: tzinfo, where: str) -> Iterator[str]:
    opens, closes = min(bar.opens for bar in bars), max(bar.closes for bar in bars)
    whole = closes - opens
    # Names of campaigns stand left of the bars, and would run into them.
    yield f"%%{{init: {{'gantt': {{'leftPadding': {_LEFT}}}}}}}%%"
    yield "gantt"
    yield f"    title {mermaid(f'When calls go out ({where})')}"
    yield "    dateFormat YYYY-MM-DD HH:mm"
    yield from _axis(whole)
    yield "    todayMarker off"
    for campaign_id in dict.fromkeys(bar.campaign_id for bar in bars):
        campaign = plan.campaigns.get(campaign_id)
        name = (campaign.name if campaign else None) or campaign_id
        yield f"    section {mermaid(shortened(name, _LABEL))}"
        for bar in bars:
            if bar.campaign_id == campaign_id:
                yield f"    {mermaid(bar.label)} :{_times(bar, whole, zone)}"


def _axis(whole: timedelta) -> Iterator[str]:
    """Choose how times are written along the axis, and how many of them."""
    if whole <= _SHORT:
        yield "    axisFormat %a %H:%M"
        return
    yield f"    axisFormat {'%d %b' if whole <= _LONG else '%b %Y'}"
    if whole <= _FORTNIGHT:
        yield "    tickInterval 1day"


def _times(bar: _Bar, whole: timedelta, zone: tzinfo) -> str:
    begins = f"{bar.opens.astimezone(zone):%Y-%m-%d %H:%M}"
    length = bar.closes - bar.opens
    if length * _HAIR < whole or length < timedelta(minutes=1):
        return f"milestone, {begins}, 0m"
    return f"{begins}, {bar.closes.astimezone(zone):%Y-%m-%d %H:%M}"


def _zone(plan: Plan, actions: Sequence[Action]) -> tuple[tzinfo, str]:
    """Give the one timezone of all these campaigns and its name; UTC where there are several."""
    names = {
        campaign.timezone if campaign else None
        for action in actions
        for campaign in [plan.campaigns.get(action.campaign_id)]
    }
    name = names.pop() if len(names) == 1 else None
    zone = zone_of(name)
    return (zone, str(name)) if zone is not None else (UTC, "UTC")
