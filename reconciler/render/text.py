"""Plans and reports for a person, who may be tired: what will happen, to how many, and when.

Plain text without control characters; colour is the terminal's business, see `reconciler.cli`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from reconciler.apply.report import Ending
from reconciler.plan.actions import ActionKind
from reconciler.render.diagnostics import as_text
from reconciler.render.words import (
    NOT_CARRIED_OUT,
    counted,
    how_soon,
    is_refused,
    people,
    span,
    start,
)

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
_FEW = 5
"""Actions after which the headline of a plan is said again at its end."""
_WIDEST = 40
"""Characters up to which names are padded, so that one long name does not push all ids away."""


def plan_text(plan: Plan, now: datetime) -> str:
    """Render a plan. `now` is aware."""
    blocks = [headline(plan)]
    blocks.extend("\n".join(_action_lines(action, plan, now)) for action in plan.pending)
    if plan.diagnostics:
        blocks.append(as_text(plan.diagnostics).rstrip())
    unchanged = plan.summary()[ActionKind.NONE]
    if unchanged and plan.pending:
        blocks.append(f"{counted(unchanged, 'spec')} unchanged.")
    if len(plan.pending) > _FEW:
        blocks.append(headline(plan))  # the first one has scrolled away
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
    calls = f"{people(plan.people)} will be called{how_soon(plan)}"
    return f"Plan{note}: {', '.join(parts)}. {calls if plan.people else 'Nobody will be called'}."


def _action_lines(action: Action, plan: Plan, now: datetime) -> Iterator[str]:
    yield f"  {_SIGNS[action.kind]} {action.kind.value} {action.name}"
    facts: list[tuple[str, str]] = []
    if action.creations:
        facts.append(("people", f"{action.people:,}"))
        facts.append(("starts", start(action, plan, now)))
    elif action.contacts:
        facts.append(("people", f"{action.contacts:,}, none of whom is called by this"))
    facts.append(("campaign", _campaign(action, plan)))
    if action.creations and action.spec is not None:
        facts.extend(_limits(action))
    if action.batch_id:
        facts.append(("batch", action.batch_id))
    facts.extend(
        ("change", f"{change.field}: {_value(change.before)} -> {_value(change.after)}")
        for change in action.changes
    )
    if action.message:
        facts.append(("why", action.message))
    if is_refused(action):
        facts.append(("but", NOT_CARRIED_OUT))
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
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def report_text(report: Report) -> str:
    """Render what an apply did: each batch and its id, and for the rest what to type next.

    What is odd about the specs stands in the plan, and only here when there was no plan to show.
    """
    hints = Counter(result.hint for result in report.results if result.hint)
    width = min(_WIDEST, max((len(result.action.name) for result in report.results), default=0))
    lines = [
        line
        for result in report.results
        for line in _result_lines(result, width, shared={h for h, n in hints.items() if n > 1})
    ]
    lines.extend(f"\nhint, for {n} of them: {hint}" for hint, n in hints.items() if n > 1)
    if lines:
        lines.append("")
    notes = [*report.complaints, *(() if report.plan.pending else report.plan.diagnostics)]
    if notes:
        lines.append(as_text(notes))
    lines.append(_verdict(report))
    return "\n".join(lines) + "\n"


def _result_lines(result: Result, width: int, shared: set[str]) -> Iterator[str]:
    action = result.action
    ids = f"  {', '.join(result.batch_ids)}" if result.batch_ids else ""
    size = f"  {people(action.contacts)}" if action.contacts else ""
    sign, _ = _ENDINGS[result.ending]
    yield f"{sign}  {action.name:<{width}}  {_word(result):<8}{ids}{size}".rstrip()
    if result.message and not _goes_without_saying(result):
        yield f"      why       {result.message}"
    for warning in result.warnings:
        yield f"      warning   {warning}"
    if result.hint and result.hint not in shared:
        yield f"      hint      {result.hint}"


def _goes_without_saying(result: Result) -> bool:
    """Whether a result went as the plan, shown just before, explained it."""
    well = result.ending in {Ending.CREATED, Ending.DONE}
    return well and result.message == result.action.message


def _word(result: Result) -> str:
    """Say in a word how an action ended."""
    match result.action.kind, result.ending:
        case ActionKind.MOVE, Ending.DONE:
            return "moved"
        case ActionKind.CANCEL, Ending.DONE:
            return "cancelled"
        case ActionKind.CREATE, Ending.CREATED:
            return "created"
        case _, Ending.CREATED:
            return "recorded"
    return _ENDINGS[result.ending][1]


def _verdict(report: Report) -> str:
    if not report.results:
        return "Nothing to do: every spec is as recorded."
    counts = Counter(_word(result) for result in report.results)
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    stopped = "Stopped early: " if report.interrupted else ""
    return f"{stopped}{told}, in {span(report.seconds)}."
