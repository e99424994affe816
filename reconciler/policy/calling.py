"""When the calls of a launch go out: from the first to about the last, with every retry counted.

The same estimate as the plan's, laid into the campaign's working hours, but as if each person
needed every retry: a guard has to look at the late end. Pure.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from reconciler.plan.estimate import (
    calling_time,
    calls_at_once,
    laid_out,
    not_calling,
    retries_of,
)
from reconciler.plan.hours import hours_of, windows
from reconciler.policy.clocks import FIRST_YEAR, LAST_YEAR, length, merged, minus
from reconciler.policy.finding import Finding, Level
from reconciler.policy.wording import people, verb

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from reconciler.plan.hours import Hours
    from reconciler.policy.case import Case
    from reconciler.policy.clocks import Span

_AHEAD = timedelta(days=14)
"""How far ahead a better start is looked for."""


class Calling(Struct, frozen=True, kw_only=True):
    """The calls of one launch.

    `spans` are the times in which they go out, within `hours`; `needed` is how much of that it
    takes. `ends_at` is None where that is further away than a year. `batch_limit` is how many calls
    the largest batch has at once, a share of the campaign's where it has no limit of its own.
    """

    people: int
    batch_limit: float
    retries: int
    needed: timedelta
    hours: Hours
    begins_at: datetime
    spans: tuple[Span, ...]
    ends_at: datetime | None

    def called_before(self, moment: datetime) -> int:
        """Give about how many people have had all their calls before a moment."""
        if not self.needed:
            return self.people
        return min(self.people, int(self.people * (length(self.spans, moment) / self.needed)))


class Unsure(Struct, frozen=True, kw_only=True):
    """Why nobody can say when the calls of a launch go out, and what would help."""

    message: str
    hint: str
    path: tuple[str, ...] = ()

    def finding(self, rule: str, *, offline: bool) -> Finding:
        """Refuse what cannot be checked; without the API it only is not checked yet."""
        if offline:
            message = "not checked without the API: apply checks it before anything is created"
            return Finding(rule=rule, level=Level.LATER, message=message)
        return Finding(rule=rule, message=self.message, hint=self.hint, path=self.path)


def calling_of(case: Case, average_call: timedelta, retries: int) -> Calling | Unsure:
    """Estimate the calls of a launch. `retries` is for where neither spec nor campaign says."""
    hours = hours_of(case.campaign)
    if case.campaign is None:
        return Unsure(
            message=f"nobody can say when {case.campaign_id} calls: the API knows no such campaign",
            hint="correct `campaign_id`",
            path=("campaign_id",),
        )
    if hours is None:
        return Unsure(
            message=f"nobody can say when {case.campaign_id} calls: its working hours or its "
            "timezone cannot be read",
            hint="set timezone and working hours in the campaign",
            path=("campaign_id",),
        )
    if case.starts_at is None:
        return Unsure(
            message="nobody can say when calls begin: the campaign's timezone is not known",
            hint="write `scheduled_start` with a `Z`",
            path=path_of(case),
        )
    at_once = calls_at_once([case.fields] * max(1, len(case.parts)), case.campaign)
    if at_once is None:
        return Unsure(
            message="nobody can say how long calling takes: neither the spec nor the campaign says "
            "how many calls go out at once",
            hint="write `concurrency_limit: 10` in the spec",
        )
    begins_at = max(case.starts_at, case.now)
    if not FIRST_YEAR <= begins_at.year <= LAST_YEAR:
        return Unsure(
            message=f"nobody can say what hours hold in the year {begins_at.year}",
            hint="write a nearer `scheduled_start`",
            path=path_of(case),
        )
    said = retries_of(case.fields, case.campaign)
    tried = retries if said is None else said
    called = sum(case.parts) or case.crowd.people
    largest = max(case.parts, default=called) or called
    own = case.fields.get("concurrency_limit") is not None
    # Batches that have limits of their own call side by side: the largest takes longest.
    limit = at_once // max(1, len(case.parts)) if own else at_once
    needed = calling_time(largest if own else called, limit, average_call, tried)
    spans, ends_at = laid_out(hours, begins_at, needed)
    return Calling(
        people=called,
        batch_limit=limit if own else at_once * largest / called,
        retries=tried,
        needed=needed,
        hours=hours,
        begins_at=begins_at,
        spans=spans,
        ends_at=ends_at,
    )


def path_of(case: Case) -> tuple[str, ...]:
    """Say which field of the spec decides when calls begin."""
    return ("scheduled_start",) if case.fields.get("scheduled_start") is not None else ()


def asleep(case: Case, rule: str) -> Finding | None:
    """Warn of a campaign that does not call now: when it will, no rule is asked again."""
    status = not_calling(case.campaign)
    if status is None:
        return None
    return Finding(
        rule=rule,
        level=Level.WARN,
        message=f"the campaign is {status}: its calls go out when somebody activates it, which may "
        "be at any time of day",
        path=("campaign_id",),
    )


def share(calling: Calling, moment: datetime) -> str:
    """Say how many people can be called before a moment."""
    return f"about {calling.called_before(moment):,} of {people(calling.people)} can be called"


def ending(calling: Calling, zone: ZoneInfo | None) -> str:
    """Say when the last call would be, on a zone's clock or in UTC."""
    tried = f", with {calling.retries} {verb(calling.retries, 'retry', 'retries')} each,"
    last = f"the last call{tried if calling.retries else ''} would be"
    if calling.ends_at is None:
        return f"{last} more than a year away"
    if zone is None:
        return f"{last} at about {calling.ends_at:%Y-%m-%dT%H:%MZ}"
    return f"{last} at about {clock(calling.ends_at, zone)}"


def clock(moment: datetime, zone: ZoneInfo) -> str:
    """Say a moment as a clock and a calendar in a zone show it."""
    return f"{moment.astimezone(zone):%H:%M on %A, %Y-%m-%d}"


def better(calling: Calling, forbidden: Callable[[list[Span]], list[Span]]) -> str:
    """Say how all of a launch's calls would go out when they may, as far as that can be said.

    `forbidden` gives what of some spans is forbidden. Calls go on whenever the campaign may call,
    so what is looked for is a stretch of its hours that nothing forbidden interrupts.
    """
    ends = calling.begins_at + _AHEAD
    opens = []
    for begin, end in windows(calling.hours, calling.begins_at):
        if begin >= ends:
            break
        opens.append((begin, min(end, ends)))
    longest = timedelta(0)
    for run in _runs(opens, merged(forbidden(opens))):
        room = length(run)
        if room >= calling.needed:
            last = _reached(run, calling.needed)
            return (
                f"it fits with `scheduled_start: {run[0][0]:%Y-%m-%dT%H:%M:%SZ}`, and would end at "
                f"about {last:%Y-%m-%dT%H:%MZ}"
            )
        longest = max(longest, room)
    if not longest:
        return (
            "there is no moment in two weeks at which all of them may be called: "
            "make a spec for each timezone or country"
        )
    fits = int(calling.people * (longest / calling.needed))
    faster = math.ceil(calling.batch_limit * (calling.needed / longest))
    return (
        f"at most about {people(fits)} can be called without a break: make several specs, "
        f"or raise `concurrency_limit` to {faster:,}"
    )


def _runs(opens: list[Span], forbidden: list[Span]) -> list[list[Span]]:
    """Cut a campaign's hours into rows of spans that nothing forbidden lies between."""
    runs: list[list[Span]] = [[]]
    for opened in opens:
        at = opened[0]
        for span in minus([opened], forbidden):
            if span[0] > at:
                runs.append([])
            runs[-1].append(span)
            at = span[1]
        if at < opened[1]:
            runs.append([])
    return [run for run in runs if run]


def _reached(run: list[Span], needed: timedelta) -> datetime:
    left = needed
    for begin, end in run:
        if left <= end - begin:
            return begin + left
        left -= end - begin
    return run[-1][1]
