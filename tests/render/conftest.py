"""Plans with something of everything, built by hand: the renderers' own fixtures.

`everything` has every kind of action, changed specs in all their forms, campaigns that call,
that are paused and that nobody knows, and text that tries to be more than text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model import Diagnostic, OnChange, Severity, Spec
from reconciler.observed import Campaign
from reconciler.plan.actions import (
    Action,
    ActionKind,
    Callees,
    ContactChanges,
    Creation,
    FieldChange,
    Plan,
    Reason,
    Replacement,
    Target,
)
from tests.core.builders import LINEAGE, request

NOW = datetime(2026, 5, 12, 4, 30, tzinfo=UTC)
"""A Tuesday: 10:00 in Kolkata, 05:30 in London."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
NASTY = "|x|@team<img src=x>`**:tada:** #1 \x1b[31m\u202e"
"""Text that wants to be a table, a mention, a tag, code, an emoji, an issue, red and backwards."""


def weekdays(start: str, end: str) -> dict[str, Any]:
    """Give working hours on weekdays."""
    return {day: {"start": start, "end": end, "enabled": True} for day in WEEKDAYS}


CAMPAIGNS = {
    "cmp_india": Campaign(
        "cmp_india",
        "Renewals India",
        "active",
        "Asia/Kolkata",
        working_hours_enforced=True,
        working_hours=weekdays("09:00", "19:00"),
        concurrency_limit=10,
    ),
    "cmp_london": Campaign(
        "cmp_london",
        f"London {NASTY}".replace("\x1b", ""),
        "active",
        "Europe/London",
        working_hours_enforced=True,
        working_hours=weekdays("09:00", "17:30"),
        concurrency_limit=5,
    ),
    "cmp_paused": Campaign("cmp_paused", "On hold", "paused", "Asia/Kolkata", False),  # noqa: FBT003 - as the API says it
}


def action(
    name: str,
    kind: ActionKind = ActionKind.CREATE,
    reason: Reason = Reason.NEW,
    *,
    n: int = 3,
    campaign: str = "cmp_india",
    starts_at: datetime | None = None,
    fields: dict[str, Any] | None = None,
    **changes: Any,
) -> Action:
    """Give an action; those that create call `n` people."""
    start = f"{starts_at:%Y-%m-%dT%H:%M:%SZ}" if starts_at else None
    body = {**(fields or {}), **({"scheduled_start": start} if start else {})}
    asked = request(campaign=campaign, n=n, **body)
    spec = Spec(name, f"batches/{name}.yaml", f"{name}.yaml", (asked,), scheduled_start_at=(3, 1))
    calls = kind in {ActionKind.CREATE, ActionKind.REPLACE}
    made = Action(
        kind=kind,
        name=name,
        reason=reason,
        campaign_id=campaign,
        contacts=n,
        spec=spec,
        creations=(Creation(asked, f"rk1_{name}"),) if calls else (),
        scheduled_start=start,
        starts_at=starts_at,
    )
    return replace(made, **changes)


def changed(name: str, **changes: Any) -> Action:
    """Give a changed spec, some of whose people were called."""
    fields: dict[str, Any] = {
        "n": 500,
        "generation": 2,
        "batch_id": "batch_old",
        "targets": (Target("batch_old", 1, 1),),
        "replacement": Replacement(on_change=OnChange.REMAINING, olds=(Target("batch_old", 1, 1),)),
        "callees": Callees(to_call=380, called=120),
        "contact_changes": ContactChanges(
            added=2, removed=1, changed=3, examples=("+ +91********10", "- +91********11")
        ),
        "changes": (
            FieldChange("concurrency_limit", 10, 20),
            FieldChange("contacts", 499, 500),
            FieldChange("metadata.note", None, NASTY),
            FieldChange("scheduled_start", "2026-05-14T09:00:00", None),
        ),
        "message": "the old batch is paused, its calls in flight are waited for, and it is "
        "cancelled once the new one is there",
    }
    return action(name, ActionKind.REPLACE, Reason.CHANGED, **{**fields, **changes})


def plan_of(*actions: Action, diagnostics: tuple[Diagnostic, ...] = (), **changes: Any) -> Plan:
    """Give a plan of these actions."""
    plan = Plan(
        actions=actions, diagnostics=diagnostics, lineage=LINEAGE, serial=7, campaigns=CAMPAIGNS
    )
    return replace(plan, **changes)


def warning(message: str, *, file: str = "", field: str = "", hint: str = "") -> Diagnostic:
    """Give a warning."""
    return Diagnostic(Severity.WARNING, file, 4 if file else 0, 1, field, message, hint)


@pytest.fixture(scope="session")
def everything() -> Plan:
    """Give a plan with something of everything."""
    thursday = datetime(2026, 5, 14, 3, 30, tzinfo=UTC)
    return plan_of(
        action("welcome", n=40),
        action("renewals/2026-05", n=12_000, starts_at=thursday, fields={"concurrency_limit": 25}),
        action("london/saturday", n=30, campaign="cmp_london", starts_at=thursday + timedelta(2)),
        action("held/back", n=7, campaign="cmp_paused"),
        action("unknown/campaign", n=2, campaign="cmp_missing"),
        changed("renewals/2026-04"),
        changed(
            "survey",
            n=38,
            replacement=Replacement(on_change=OnChange.EVERYONE, reverts_to=1),
            callees=Callees(to_call=38, called=38, again=38),
            contact_changes=None,
            changes=(FieldChange("campaign_id", "cmp_old", "cmp_india"),),
        ),
        action(
            "winter",
            ActionKind.RESUME,
            Reason.LIFECYCLE,
            n=90,
            targets=(Target("batch_winter", 1, 1),),
            message="lifecycle changed from paused to active",
        ),
        action("old", ActionKind.CANCEL, Reason.REMOVED, n=5, targets=(Target("batch_5", 1, 1),)),
        action("new/name", ActionKind.MOVE, Reason.RENAMED, moved_from="old/name"),
        action(
            "late",
            ActionKind.BLOCKED,
            Reason.IN_DOUBT,
            n=3,
            message=f"nobody can tell what became of {NASTY}",
            hint="look, then: reconciler resolve late --not-created",
        ),
        action("same", ActionKind.NONE, Reason.UNCHANGED),
        action("the/same", ActionKind.NONE, Reason.UNCHANGED),
        diagnostics=(
            warning(f"odd: {NASTY}", file="batches/welcome.yaml", field="metadata"),
            warning("drift: batch batch_9 is paused", field="winter", hint="resume it there"),
        ),
    )
