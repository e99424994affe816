"""Who may be called, by whom, on what ground, and when a launch is too late. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from reconciler.policy.finding import Finding, Level
from reconciler.policy.numbers import NEEDS, locator, regions_of
from reconciler.policy.wording import people, span, verb
from reconciler.spec.schedule import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.policy.case import Case
    from reconciler.spec.config.policy import Policy

_MOST_SHOWN = 5


def campaigns(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse a campaign that is not on the list."""
    if policy.campaigns is not None and case.campaign_id not in policy.campaigns:
        yield Finding(
            rule="campaigns",
            message=f"the campaign {case.campaign_id} may not call from here",
            hint="it can be: " + (", ".join(policy.campaigns[:_MOST_SHOWN]) or "none at all"),
            path=("campaign_id",),
        )


def organizations(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse an organisation that is not on the list, or that nobody can tell."""
    if policy.organizations is None or case.organization_id in policy.organizations:
        return
    allowed = ", ".join(policy.organizations[:_MOST_SHOWN]) or "none at all"
    if case.organization_id is None:
        message = "the spec names no organisation, and only some may call from here"
        hint = f"write `organization_id: …`; it can be: {allowed}"
    else:
        message = f"the organisation {case.organization_id} may not call from here"
        hint = f"it can be: {allowed}"
    yield Finding(rule="organizations", message=message, hint=hint, path=("organization_id",))


def countries(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse numbers of countries that are not on the list, and of none."""
    if policy.countries is None:
        return
    allowed = {
        region
        for country in policy.countries
        for region in (regions_of(country) if country.startswith("+") else (country,))
    }
    outside = {
        region: count
        for region, count in case.crowd.regions.items()
        if count and region not in allowed
    }
    if outside and locator() is None:
        yield Finding(
            rule="countries",
            message="nobody can tell of which countries these numbers are: `phonenumbers` is not "
            "installed",
            hint=NEEDS,
        )
    elif outside:
        shown = sorted(outside.items(), key=lambda one: (-one[1], one[0]))
        which = ", ".join(
            f"{count:,} in {region or 'no country that is known'}"
            for region, count in shown[:_MOST_SHOWN]
        )
        total = sum(outside.values())
        yield Finding(
            rule="countries",
            message=f"{people(total)} {verb(total)} outside of {', '.join(policy.countries)}: "
            f"{which}{' …' * (len(shown) > _MOST_SHOWN)}",
            hint="take them out of the list, or allow the country in reconciler.yaml",
            path=("contacts",),
        )


def call_variables(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse contacts that lack a variable, or have one that nobody may be told."""
    asked = policy.call_variables
    if asked is None:
        return
    for name in asked.required:
        lacking = case.crowd.people - case.crowd.variables.get(name, 0)
        if lacking:
            yield Finding(
                rule="call_variables",
                message=f"{people(lacking)} {verb(lacking, 'lacks', 'lack')} the call variable "
                f"{name}, which everybody needs",
                hint=f"give each contact `{name}`",
                path=("contacts",),
            )
    for name in asked.forbidden:
        having = case.crowd.variables.get(name, 0)
        if having:
            yield Finding(
                rule="call_variables",
                message=f"{people(having)} {verb(having, 'has', 'have')} the call variable {name}, "
                "which nobody may",
                hint=f"take `{name}` out of the list; `columns` with `other_columns: drop` leaves "
                "columns of a file out",
                path=("contacts",),
            )


def scheduled_start(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse a batch that does not say when it starts, where all must."""
    if (
        policy.scheduled_start is not None
        and policy.scheduled_start.required
        and case.fields.get("scheduled_start") is None
    ):
        yield Finding(
            rule="scheduled_start",
            message="it would call at once; here every batch says when it starts",
            hint="write `scheduled_start: …`",
        )


def lead_time(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse a batch that starts too soon for anybody to stop it."""
    seconds = policy.scheduled_start.lead_time if policy.scheduled_start else None
    if seconds is None:
        return
    needed = timedelta(seconds=seconds)
    if case.starts_at is None:
        yield _unknowable("lead_time", "when it starts", case)
        return
    left = case.starts_at - case.now
    if left < needed:
        start = case.fields.get("scheduled_start")
        soon = f"it starts in {span(left)}" if left > timedelta(0) else "it would call at once"
        yield Finding(
            rule="lead_time",
            message=f"{soon}; here a batch is created at least {span(needed)} before it starts",
            hint="write a later `scheduled_start`" if start else "write `scheduled_start: …`",
            path=("scheduled_start",) if start else (),
        )


def not_after(case: Case, _: Policy | None) -> Iterator[Finding]:
    """Refuse to launch what the spec says is too late to launch. Needs no policy."""
    last = case.clearance.not_after
    if last is None:
        return
    moment, _doubt = resolve(last, case.timezone)
    if moment is None:
        yield _unknowable("not_after", f"whether `not_after` {last} is over", case)
    elif case.now > moment:
        yield Finding(
            rule="not_after",
            message=f"the spec says to launch nothing after {last}, and that is over",
            hint="write a later `not_after`, if it still is to be",
            path=("reconcile", "not_after"),
        )


def consent(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse a spec that does not say on what ground its people may be called."""
    asked, said = policy.consent, case.clearance.consent
    if asked is None:
        return
    allowed = f"; grounds that count: {', '.join(asked.bases)}" if asked.bases else ""
    if said is None:
        yield Finding(
            rule="consent",
            message="the spec does not say on what ground these people may be called" + allowed,
            hint="write `reconcile: {consent: {basis: …, evidence: …}}`",
        )
    elif asked.bases and said.basis not in asked.bases:
        yield Finding(
            rule="consent",
            message=f"the ground {said.basis} does not count here" + allowed,
            hint="call only whom one of these covers",
            path=("reconcile", "consent", "basis"),
        )


def scrubbed(case: Case, policy: Policy) -> Iterator[Finding]:
    """Refuse a launch whose people are compared with no do-not-call list that is new enough."""
    if policy.scrubbed is None:
        return
    within = timedelta(seconds=policy.scrubbed.within)
    newest = max(case.scrubs, default=None)
    if newest is None:
        message = "nobody compared these numbers with a do-not-call list"
    else:
        age = case.now - datetime.combine(newest, time(0), UTC)
        if age <= within:
            return
        message = f"the newest do-not-call list for the campaign is of {newest}, {span(age)} old"
    yield Finding(
        rule="scrubbed",
        message=f"{message}; here one of the last {span(within)} is needed",
        hint="draw a new one, and name it in `policy.suppression` of reconciler.yaml",
    )


def _unknowable(rule: str, what: str, case: Case) -> Finding:
    """Say that a rule cannot be checked: told where apply will, else a refusal."""
    return Finding(
        rule=rule,
        level=Level.LATER if case.offline else Level.REFUSE,
        message=f"nobody can tell {what}: the campaign's timezone is not known"
        + ("; apply will look" if case.offline else ""),
        hint="write the time with `Z`",
    )
