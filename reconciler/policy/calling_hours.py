"""The rule `calling_hours`: every call goes out when people may be called, on their own clock.

Looks at all the time in which calls would go out, from the first to about the last, at every
timezone that a number may be in. What cannot be known is refused. Pure; the cost is in days times
timezones, never in people.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.plan.hours import zone_of
from reconciler.policy.calling import (
    Unsure,
    asleep,
    better,
    calling_of,
    clock,
    ending,
    path_of,
    share,
)
from reconciler.policy.clocks import length, next_inside
from reconciler.policy.days_off import forbidden
from reconciler.policy.finding import Finding
from reconciler.policy.places import limits_of, places_of
from reconciler.policy.wording import verb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.policy.calling import Calling
    from reconciler.policy.case import Case
    from reconciler.policy.clocks import Span
    from reconciler.policy.places import Limit
    from reconciler.spec.config.week import HoursRules

RULE = "calling_hours"
_MOST_SHOWN = 3
_AHEAD = timedelta(days=14)
"""How far ahead the next moment is looked for at which calls may go out."""


def calling_hours(case: Case, rules: HoursRules, average_call: timedelta) -> Iterator[Finding]:
    """Refuse a launch with calls outside of the hours of a person's or the campaign's timezone."""
    if (rules.callee is None and rules.campaign is None) or not case.crowd.people:
        return
    places = places_of(case, rules)
    if rules.callee is not None:
        yield from places.unknown(RULE)
    calling = calling_of(case, average_call, rules.retries)
    if isinstance(calling, Unsure):
        yield calling.finding(RULE, offline=case.offline)
        return
    if warning := asleep(case, RULE):
        yield warning
    timezone = case.campaign.timezone if case.campaign else None
    if rules.campaign is not None and zone_of(timezone) is None:
        yield Finding(
            rule=RULE,
            message="nobody can say what time it is for the campaign: its timezone is not known",
            hint="set the campaign's timezone",
            path=("campaign_id",),
        )
    limits = limits_of(case, rules, places)
    breaches = [(limit, found) for limit in limits if (found := limit.outside(calling.spans))]
    if not breaches:
        return
    breaches.sort(key=lambda one: (-one[0].people * length(one[1]), one[0].zone.key))
    hint = better(calling, forbidden(limits, places, rules))
    for limit, found in breaches[:_MOST_SHOWN]:
        message = _told(calling, limit, found)
        yield Finding(rule=RULE, message=message, hint=hint, path=path_of(case))
    rest = [limit.zone.key for limit, _ in breaches[_MOST_SHOWN:]]
    if rest:
        shown = ", ".join(rest[:_MOST_SHOWN]) + (", …" if len(rest) > _MOST_SHOWN else "")
        message = (
            f"the same goes for {len(rest):,} more {verb(len(rest), 'timezone', 'timezones')}: "
            f"{shown}"
        )
        yield Finding(rule=RULE, message=message, path=path_of(case))


def _told(calling: Calling, limit: Limit, found: list[Span]) -> str:
    """Say what is wrong on one clock, what fits there, and when calling would end."""
    begin, zone = found[0][0], limit.zone
    end = ending(calling, zone)
    if begin > calling.spans[0][0]:
        return f"{share(calling, begin)} before {clock(begin, zone)} {limit.where()}; {end}"
    inside = next_inside(zone, limit.week, (begin, begin + _AHEAD))
    allowed = (
        "no calls may go out there"
        if inside is None
        else f"they may go out there from {clock(inside, zone)} on"
    )
    return f"calls would begin at {clock(begin, zone)} {limit.where()}; {allowed}; {end}"
