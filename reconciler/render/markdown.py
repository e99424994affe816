"""Plans as GitHub-flavoured markdown. Everything a person wrote is escaped and stays text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.render.telling import headline
from reconciler.render.words import NOT_CARRIED_OUT, is_refused, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from reconciler.plan.actions import Action, Plan

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>&@:])")


def plan_markdown(plan: Plan, now: datetime) -> str:
    """Render a plan: a headline, a table of actions, and what is odd. `now` is aware."""
    return "\n".join(_lines(plan, now)) + "\n"


def escaped(text: str) -> str:
    """Give text that renders as itself: no links, mentions, tables, tags or emphasis."""
    flat = " ".join(text.split())
    # An entity, not a backslash: GitHub still makes a mention of an escaped at sign.
    return _SPECIAL.sub(lambda match: f"&#{ord(match[1])};", flat)


def _why(action: Action) -> tuple[str, ...]:
    return action.message, NOT_CARRIED_OUT if is_refused(action) else "", action.hint


def _lines(plan: Plan, now: datetime) -> Iterator[str]:
    yield f"### {escaped(headline(plan))}"
    if plan.pending:
        yield ""
        yield "| action | batch | people called | starts | campaign | why |"
        yield "|---|---|---:|---|---|---|"
        for action in plan.pending:
            when = start(action, plan, now) if action.creations else ""
            cells = (
                action.kind.value,
                action.name,
                f"{action.people:,}",
                when,
                action.campaign_id,
                "; ".join(part for part in _why(action) if part),
            )
            yield "| " + " | ".join(escaped(cell) for cell in cells) + " |"
    if plan.diagnostics:
        yield ""
        for one in plan.diagnostics:
            place = f"{one.file}:{one.line}: " if one.file else ""
            hint = f" — {one.hint}" if one.hint else ""
            yield f"- **{one.severity.value}** {escaped(f'{place}{one.field} {one.message}{hint}')}"
