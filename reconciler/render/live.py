"""Recorded batches as progress bars on a terminal. Imports rich: import it where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reconciler.plan.progress import by_spec
from reconciler.render.status import done_words, moment, rate_words, status_word, summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from reconciler.plan.progress import BatchProgress, Reading

_AROUND = 4
"""Lines of a screen that are not for batches."""


def live_view(rows: Sequence[BatchProgress], reading: Reading, *, height: int) -> RenderableType:
    """Draw one bar a spec, those that still run first, as many as fit, and the sum below."""
    specs = by_spec(rows)
    shown = sorted(specs, key=lambda row: not row.alive)[: max(1, height - _AROUND)]
    table = Table.grid(padding=(0, 2), expand=False)
    table.add_column(no_wrap=True)
    table.add_column(width=24)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    for row in shown:
        campaign = reading.campaigns.get(row.campaign_id)
        facts = [status_word(row.status)]
        if rate_words(row):
            facts.append(f"{rate_words(row)} an hour")
        timezone = campaign.timezone if campaign else None
        if row.ends_about:
            facts.append(f"ends about {moment(row.ends_about, timezone)}")
        elif row.status == "pending" and row.starts_at:
            facts.append(f"starts {moment(row.starts_at, timezone)}")
        table.add_row(
            Text(row.name),
            ProgressBar(total=max(1, row.contacts), completed=row.done or 0, width=24),
            Text(done_words(row)),
            Text(", ".join(facts)),
        )
    lines: list[RenderableType] = [table]
    if len(specs) > len(shown):
        lines.append(Text(f"... and {len(specs) - len(shown)} more"))
    lines.append(Text(summary(rows, reading)))
    lines.extend(Text(f"warning: {message}") for message, _ in reading.problems)
    return Group(*lines)
