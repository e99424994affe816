"""What was measured, laid out for people, for programs and for the documentation.

JSON holds everything, so that the other two can be made from it later: `read` gives back the
reports that `as_json` wrote.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from bench.measure import Limit, Ratio, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
_HEAD = ("measured", "against", "median", "min", "max", "turns", "limit", "")


def table(reports: Sequence[Report]) -> str:
    """Lay out all ratios for a terminal."""
    rows = [_HEAD, *(_cells(ratio) for report in reports for ratio in report.ratios)]
    lines = []
    if len(rows) > 1:
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        laid = ["  ".join(map(_padded, row, wide, range(len(row)))).rstrip() for row in rows]
        lines = [laid[0], "-" * max(map(len, laid)), *laid[1:], ""]
    for report in reports:
        lines += [report.title, *(f"  {note}" for note in report.notes), ""]
    return "\n".join(lines).rstrip()


def as_markdown(reports: Sequence[Report]) -> str:
    """Give one section a report, as docs/performance.md holds them."""
    sections = []
    for report in reports:
        parts = [f"### {report.title}"]
        if report.ratios:
            head = f"| {' | '.join((*_HEAD[:-1], 'met'))} |\n|---|---|--:|--:|--:|--:|---|---|"
            rows = (_cells(ratio) for ratio in report.ratios)
            parts.append("\n".join([head, *(f"| {' | '.join(row)} |" for row in rows)]))
        if report.notes:
            parts.append("\n".join(f"- {' '.join(note.split())}" for note in report.notes))
        sections.append("\n\n".join(parts))
    return "\n\n".join(sections)


def put_into(document: str, reports: Sequence[Report]) -> str:
    """Give a Markdown document with these figures in place of those between its two marks.

    Raises ValueError for a document without them.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"no line {BEGIN} with a line {END} below it")
    return f"{before}{begin}\n\n{as_markdown(reports)}\n\n{end}{after}"


def as_json(reports: Sequence[Report]) -> str:
    """Give all ratios, limits and notes for programs."""
    document = {
        "python": sys.version.split()[0],
        "reports": [
            {
                "title": report.title,
                "notes": list(report.notes),
                "ratios": [_fields(ratio) for ratio in report.ratios],
            }
            for report in reports
        ],
    }
    return json.dumps(document, indent=2)


def read(text: str) -> list[Report]:
    """Give the reports that `as_json` wrote down."""
    return [
        Report(report["title"], [_ratio(fields) for fields in report["ratios"]], report["notes"])
        for report in json.loads(text)["reports"]
    ]


def _fields(ratio: Ratio) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "measured": ratio.subject,
        "against": ratio.against,
        "median": ratio.median,
        "min": min(ratio.values),
        "max": max(ratio.values),
        "values": list(ratio.values),
    }
    if ratio.limit is not None:
        kind = "at_least" if ratio.limit.least else "at_most"
        fields |= {"limit": {kind: ratio.limit.value}, "met": ratio.met}
    return fields


def _ratio(fields: dict[str, Any]) -> Ratio:
    limit = None
    for kind, value in fields.get("limit", {}).items():
        limit = Limit(value, least=kind == "at_least")
    return Ratio(fields["measured"], fields["against"], tuple(fields["values"]), limit)


def _cells(ratio: Ratio) -> tuple[str, ...]:
    met = {None: "", True: "met", False: "missed"}[ratio.met]
    return (
        ratio.subject,
        ratio.against,
        *_figures((ratio.median, min(ratio.values), max(ratio.values))),
        str(len(ratio.values)),
        "" if ratio.limit is None else str(ratio.limit),
        met,
    )


def _figures(values: Iterable[float]) -> Iterable[str]:
    return (f"{value:,.2f}" for value in values)


def _padded(cell: str, wide: int, column: int) -> str:
    return f"{cell:>{wide}}" if 2 <= column <= 5 else f"{cell:<{wide}}"  # figures to the right
