"""Plans and reports for a person, who may be tired: what will happen, to how many, and when.

Plain text without control characters, the same wherever it goes; for a terminal that a person looks
at, see `reconciler.render.terminal`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reconciler.apply.report import Ending
from reconciler.plan.actions import ActionKind
from reconciler.plan.estimate import estimate as estimated
from reconciler.policy.wording import people
from reconciler.render.diagnostics import as_text
from reconciler.render.outcomes import verdict, word_of
from reconciler.render.telling import (
    again_warning,
    diagnostics,
    exceptions,
    facts,
    headline,
    unchanged,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from reconciler.apply.report import Report, Result
    from reconciler.plan.actions import Plan

SIGNS = {
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
_MARKS = {
    Ending.CREATED: "ok",
    Ending.REJECTED: "!!",
    Ending.UNKNOWN: "??",
    Ending.BLOCKED: "!!",
    Ending.SKIPPED: "--",
    Ending.INTERRUPTED: "!!",
    Ending.DONE: "ok",
    Ending.FAILED: "!!",
}
_FEW = 5
"""Actions after which the headline of a plan is said again at its end."""
_WIDEST = 40
"""Characters up to which names are padded, so that one long name does not push all ids away."""


def plan_text(plan: Plan, now: datetime, average_call: timedelta | None = None) -> str:
    """Render a plan. `now` is aware. Given how long a call takes, it estimates when all are called.

    What calls people again is told first, and again at each action that does.
    """
    warning = again_warning(plan)
    blocks = [f"!!! {warning} !!!"] if warning else []
    if excepted := exceptions(plan):
        blocks.append("\n".join(f"!!! {each}" for each in excepted))
    blocks.append(headline(plan))
    estimates = estimated(plan, now, average_call) if average_call else {}
    for action in plan.pending:
        told = facts(
            action, plan, now, estimate=estimates.get(action.name), average_call=average_call
        )
        lines = [f"  {SIGNS[action.kind]} {action.kind.value} {action.name}"]
        lines.extend(f"      {fact.label:<9} {fact.text}" for fact in told)
        blocks.append("\n".join(lines))
    if odd := diagnostics(plan):
        blocks.append(as_text(odd).rstrip())
    if rest := unchanged(plan):
        blocks.append(rest)
    if len(plan.pending) > _FEW:
        # The first ones have scrolled away.
        blocks.extend([headline(plan), *([f"!!! {warning} !!!"] if warning else [])])
    return "\n\n".join(blocks) + "\n"


def report_text(report: Report) -> str:
    """Render what an apply did: each batch and its id, and for the rest what to type next.

    What is odd about the specs stands in the plan, and only here when there was no plan to show.
    """
    return "\n".join(report_lines(report)) + "\n"


def report_lines(report: Report) -> list[str]:
    """Give the lines of `report_text`. Those of a result begin with two letters: how it ended."""
    hints = Counter(result.hint for result in report.results if result.hint)
    width = min(_WIDEST, max((len(result.action.name) for result in report.results), default=0))
    lines = [
        line
        for result in report.results
        for line in _result_lines(result, width, shared={h for h, n in hints.items() if n > 1})
    ]
    for hint, n in hints.items():
        if n > 1:
            lines.extend(["", f"hint, for {n} of them: {hint}"])
    if lines:
        lines.append("")
    notes = [*report.complaints, *(() if report.plan.pending else report.plan.diagnostics)]
    if notes:
        lines.extend(as_text(notes).split("\n"))
    lines.append(verdict(report))
    return lines


def _result_lines(result: Result, width: int, shared: set[str]) -> Iterator[str]:
    action = result.action
    ids = f"  {', '.join(result.batch_ids)}" if result.batch_ids else ""
    count = result.people or action.contacts  # a changed spec calls some of its people
    size = f"  {people(count)}" if count else ""
    mark, word = _MARKS[result.ending], word_of(result)
    yield f"{mark}  {action.name:<{width}}  {word:<8}{ids}{size}".rstrip()
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
