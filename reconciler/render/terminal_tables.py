"""Tables and lists on a terminal that a person looks at: they fold, and nothing is cut off.

Imports rich: import it where a person looks, see `reconciler.cli.screen`.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from msgspec import Struct
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from reconciler.model import Severity
from reconciler.render.diagnostics import place
from reconciler.render.escape import printable
from reconciler.render.status import HEAD, NOTHING, campaign_line, cells, summary
from reconciler.render.tables import STATE_HEAD, state_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from reconciler.model import Diagnostic
    from reconciler.plan.progress import BatchProgress, Reading
    from reconciler.state.document import State

_STATUSES = {
    "in_progress": "green",
    "created": "green",
    "paused": "yellow",
    "creating": "bold magenta",
    "in doubt": "bold magenta",
    "not known": "bold magenta",
    "gone": "bold red",
    "cancelled": "red",
    "expired": "red",
    "completed": "dim",
}


_ENDLESS = 10_000
"""Columns of a terminal on which everything fits."""


def state_view(state: State) -> RenderableType:
    """Draw every request of each name's current generation."""
    rows = state_cells(state)
    return _Rows(STATE_HEAD, rows) if rows else Text(NOTHING.rstrip())


def status_view(rows: Sequence[BatchProgress], reading: Reading) -> RenderableType:
    """Draw all batches, grouped by campaign, and their sum."""
    if not rows:
        return Text(NOTHING.rstrip())
    blocks: list[RenderableType] = []
    for campaign_id, group in groupby(rows, key=lambda row: row.campaign_id):
        campaign = reading.campaigns.get(campaign_id)
        timezone = campaign.timezone if campaign else None
        blocks.append(Text(campaign_line(campaign_id, reading), style="bold"))
        blocks.append(_Rows(HEAD, [cells(row, timezone, reading.at) for row in group]))
    return Group(*blocks, Text(summary(rows, reading), style="bold"))


def diagnostics_view(
    found: Iterable[Diagnostic], *, typed: Callable[[str], str] = str
) -> RenderableType:
    """Draw diagnostics: errors red, warnings yellow, hints below them."""
    lines: list[RenderableType] = []
    for one in found:
        colour = "bold red" if one.severity is Severity.ERROR else "yellow"
        parts = [
            (printable(place(one)), "bold"),
            (one.severity.value, colour),
            (one.field, ""),
            (printable(one.message), ""),
        ]
        line = Text(": ").join(Text(text, style=style) for text, style in parts if text)
        lines.append(line)
        if one.hint:
            lines.append(grid([("  hint:", Text(typed(printable(one.hint))))]))
    return Group(*lines)


class _Rows(Struct, frozen=True):
    """Rows under their headings; one below the other where not even the longest words fit."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = empty_table()
        for heading in self.head:
            # An id is copied: it does not fold.
            table.add_column(heading.lower(), overflow="fold", no_wrap=heading == "BATCH")
        for row in self.rows:
            table.add_row(*map(_cell, row))
        needed = console.measure(table, options=options.update_width(_ENDLESS)).minimum
        if needed <= options.max_width:
            yield table
            return
        for row in self.rows:
            pairs = zip(self.head, row, strict=True)
            yield grid((heading.lower(), _cell(cell)) for heading, cell in pairs if cell)
            yield ""


def _cell(text: str) -> Text:
    """Draw a cell; one that is a status has the colour of it."""
    return Text(text, style=_STATUSES.get(text, ""), overflow="fold")


def empty_table() -> Table:
    """Give a table that is as wide as it needs to be, with a line below its head."""
    return Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, expand=False)


def grid(facts: Iterable[tuple[str, Text]]) -> Table:
    """Draw labels and texts; a text that is too long folds under where it begins."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=10, justify="right", style="dim")
    grid.add_column(overflow="fold", ratio=1)
    for label, text in facts:
        text.overflow = "fold"
        grid.add_row(label, text)
    return grid
