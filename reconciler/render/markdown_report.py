"""What an apply did, as a comment on the merged pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.apply.report import Ending
from reconciler.render import markers
from reconciler.render.escape import code
from reconciler.render.markdown_parts import (
    LIMIT,
    callout,
    diagnostic,
    fitting,
    prose,
    remark,
    size,
)
from reconciler.render.outcomes import verdict, word_of
from reconciler.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.apply.report import Report, Result

_SIGNS = {
    Ending.CREATED: "✅",
    Ending.DONE: "✅",
    Ending.UNKNOWN: "❓",
    Ending.REJECTED: "❌",
    Ending.FAILED: "❌",
    Ending.BLOCKED: "⛔",
    Ending.SKIPPED: "⏭️",
    Ending.INTERRUPTED: "⏸️",
}
_WELL = frozenset({Ending.CREATED, Ending.DONE})
_HEAD = "| outcome | batch | people | id |\n|:--|:--|--:|:--|"


def report_markdown(report: Report, *, root: str = "batches", limit: int = LIMIT) -> str:
    """Render what an apply did: what needs somebody first, then every batch and its id.

    `root` is as given on the command line.
    """
    # What went wrong must be in sight, however long the rest is.
    ordered = sorted(report.results, key=lambda result: result.ending in _WELL)
    table = [_row(result) for result in ordered]
    warnings = list(_warnings(report))
    head = "\n".join(
        [markers.marker(markers.REPORT, root), f"### {verdict(report)}", "", f"In {code(root)}."]
    )
    room = limit - len(head) - 1_000
    shown_warnings = fitting(warnings, room // 2)
    shown = fitting(table, room - size(shown_warnings))
    missing = [
        counted(count, noun)
        for count, noun in (
            (len(warnings) - len(shown_warnings), "line"),
            (len(table) - len(shown), "result"),
        )
        if count
    ]
    left_out = (
        f"Too long for a comment: {' and '.join(missing)} left out. The job's log has them all."
    )
    blocks = [
        head,
        "\n".join(shown_warnings).rstrip(),
        "\n".join([_HEAD, *shown]) if table else "",
        f"**{left_out}**" if missing else "",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _row(result: Result) -> str:
    action = result.action
    ids = ", ".join(code(batch_id) for batch_id in result.batch_ids)
    count = result.people or action.contacts
    told = f"{_SIGNS[result.ending]} {word_of(result)}"
    return f"| {told} | {code(action.name)} | {f'{count:,}' if count else ''} | {ids} |"


def _warnings(report: Report) -> Iterator[str]:
    """Give the lines about what needs somebody, each with what to do."""
    bad = [
        remark(f"{code(result.action.name)} is {word_of(result)}", result.message, result.hint)
        for result in report.results
        if result.ending not in _WELL
    ]
    yield from callout("CAUTION", [*bad, *map(diagnostic, report.complaints)])
    odd = (
        f"- {code(result.action.name)}: {prose(text)}"
        for result in report.results
        for text in result.warnings
    )
    yield from callout("WARNING", odd)
