"""Plans and reports for a person, who may be tired: what will happen, to how many, and when.

Plain text without control characters; colour is the terminal's business, see `reconciler.cli`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from reconciler.apply.report import Ending
from reconciler.plan.actions import ActionKind
from reconciler.render.diagnostics import as_text
from reconciler.render.words import counted, people, span, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from reconciler.apply.report import Report, Result
    from reconciler.plan.actions import Action, Plan

_SIGNS = {
    ActionKind.CREATE: "+",
    ActionKind.REPLACE: "~",
    ActionKind.PAUSE: "~",
    ActionKind.RESUME: "~",
    ActionKind.CANCEL: "-",
    ActionKind.MOVE: ">",
    ActionKind.ADOPT: "<",
    ActionKind.FORGET: "-",
    ActionKind.NONE: " ",
    ActionKind.BLOCKED: "!",
}
_VERBS = {
    ActionKind.CREATE: "to create",
    ActionKind.REPLACE: "to replace",
    ActionKind.PAUSE: "to pause",
    ActionKind.RESUME: "to resume",
    ActionKind.CANCEL: "to cancel",
    ActionKind.MOVE: "to move",
    ActionKind.ADOPT: "to adopt",
    ActionKind.FORGET: "to forget",
    ActionKind.BLOCKED: "blocked",
}
_ENDINGS = {
    Ending.CREATED: ("ok", "created"),
    Ending.REJECTED: ("!!", "rejected"),
    Ending.UNKNOWN: ("??", "in doubt"),
    Ending.BLOCKED: ("!!", "blocked"),
    Ending.SKIPPED: ("--", "not begun"),
    Ending.DONE: ("ok", "done"),
    Ending.FAILED: ("!!", "failed"),
}
_SHOWN = 60
"""Characters of a field's value that a plan shows."""


def plan_text(plan: Plan, now: datetime) -> str:
    """Render a plan. `now` is aware."""
    blocks = [headline(plan)]
    blocks.extend("\n".join(_action_lines(action, plan, now)) for action in plan.pending)
    if plan.diagnostics:
        blocks.append(as_text(plan.diagnostics).rstrip())
    unchanged = plan.summary()[ActionKind.NONE]
    if unchanged and plan.pending:
        blocks.append(f"{counted(unchanged, 'spec')} unchanged.")
    return "\n\n".join(blocks) + "\n"


def headline(plan: Plan) -> str:
    """Say in one line what a plan does and how many people it calls."""
    summary = plan.summary()
    parts = [f"{summary[kind]} {verb}" for kind, verb in _VERBS.items() if summary[kind]]
    if not parts:
        specs = len(plan.actions)
        return (
            f"Nothing to do: {counted(specs, 'spec')}, all as recorded."
            if specs
            else ("Nothing to do: there is no spec here.")
        )
    note = " (offline: the API was not asked)" if plan.offline else ""
    calls = f" {people(plan.people)} will be called." if plan.people else " Nobody will be called."
    return f"Plan{note}: {', '.join(parts)}.{calls}"


def _action_lines(action: Action, plan: Plan, now: datetime) -> Iterator[str]:
    yield f"  {_SIGNS[action.kind]} {action.kind.value} {action.name}"
    facts: list[tuple[str, str]] = []
    if action.creations:
        facts.append(("people", f"{action.people:,}"))
        facts.append(("starts", start(action, plan, now)))
    elif action.contacts:
        facts.append(("people", f"{action.contacts:,} in this batch, nobody is called by this"))
    facts.append(("campaign", _campaign(action, plan)))
    if action.creations and action.spec is not None:
        facts.extend(_limits(action))
    if action.batch_id:
        facts.append(("batch", action.batch_id))
    facts.extend(
        ("change", f"{change.field}: {_value(change.before)} → {_value(change.after)}")
        for change in action.changes
    )
    if action.message:
        facts.append(("why", action.message))
    if action.hint:
        facts.append(("hint", action.hint))
    for label, text in facts:
        yield f"      {label:<9} {text}"


def _campaign(action: Action, plan: Plan) -> str:
    campaign = plan.campaigns.get(action.campaign_id)
    if campaign is None:
        return action.campaign_id
    odd = f", which is {campaign.status}" if campaign.status not in {None, "active"} else ""
    name = f" ({campaign.name})" if campaign.name else ""
    return f"{action.campaign_id}{name}{odd}"


def _limits(action: Action) -> Iterator[tuple[str, str]]:
    fields = action.creations[0].request.fields
    if "concurrency_limit" in fields:
        yield "at most", f"{fields['concurrency_limit']} calls at once"
    if "max_retries_override" in fields:
        yield "retries", f"at most {fields['max_retries_override']}"


def _value(value: Any) -> str:
    if value is None:
        return "(absent)"
    text = str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def report_text(report: Report) -> str:
    """Render what an apply did: each batch and its id, and for the rest what to type next."""
    lines = [line for result in report.results for line in _result_lines(result)]
    if lines:
        lines.append("")
    notes = [*report.complaints, *report.plan.diagnostics]
    if notes:
        lines.append(as_text(notes))
    lines.append(_verdict(report))
    return "\n".join(lines) + "\n"


def _result_lines(result: Result) -> Iterator[str]:
    sign, word = _ENDINGS[result.ending]
    action = result.action
    if result.ending is Ending.CREATED and action.kind is not ActionKind.CREATE:
        word = "recorded"
    if action.kind is ActionKind.MOVE and result.ending is Ending.DONE:
        word = "moved"
    ids = f"  {', '.join(result.batch_ids)}" if result.batch_ids else ""
    size = f"  {people(action.contacts)}" if action.contacts else ""
    yield f"{sign}  {action.name}  {word}{ids}{size}"
    if result.message:
        yield f"      why       {result.message}"
    for warning in result.warnings:
        yield f"      warning   {warning}"
    if result.hint:
        yield f"      hint      {result.hint}"


def _verdict(report: Report) -> str:
    if not report.results:
        return "Nothing to do: every spec is as recorded."
    counts = Counter(_ENDINGS[result.ending][1] for result in report.results)
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    stopped = "Stopped early: " if report.interrupted else ""
    return f"{stopped}{told}, in {span(report.seconds)}."
