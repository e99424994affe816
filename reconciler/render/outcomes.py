"""How an apply's results are called: the words that every renderer uses."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from reconciler.apply.report import Ending
from reconciler.plan.actions import ActionKind
from reconciler.render.words import span

if TYPE_CHECKING:
    from reconciler.apply.report import Report, Result

_ENDINGS = {
    Ending.CREATED: "created",
    Ending.REJECTED: "rejected",
    Ending.UNKNOWN: "in doubt",
    Ending.BLOCKED: "blocked",
    Ending.SKIPPED: "not begun",
    Ending.INTERRUPTED: "interrupted",
    Ending.DONE: "done",
    Ending.FAILED: "failed",
}
_DONE = {
    ActionKind.MOVE: "moved",
    ActionKind.CANCEL: "cancelled",
    ActionKind.PAUSE: "paused",
    ActionKind.RESUME: "resumed",
    ActionKind.ADOPT: "recorded",
    ActionKind.FORGET: "forgotten",
}


def word_of(result: Result) -> str:
    """Say in a word how an action ended."""
    match result.ending, result.action.kind:
        case Ending.DONE, kind if kind in _DONE:
            return _DONE[kind]
        case Ending.CREATED, ActionKind.CREATE:
            return "created"
        case Ending.CREATED, ActionKind.REPLACE:
            return "replaced"
        case Ending.CREATED, _:
            return "recorded"
    return _ENDINGS[result.ending]


def verdict(report: Report) -> str:
    """Say in one line what an apply did."""
    if not report.results:
        return "Nothing to do: every spec is as recorded."
    counts = Counter(word_of(result) for result in report.results)
    told = ", ".join(f"{count:,} {word}" for word, count in counts.items())
    stopped = "Stopped early: " if report.interrupted else ""
    return f"{stopped}{told}, in {span(report.seconds)}."
