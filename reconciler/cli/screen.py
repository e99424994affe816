"""Whether a person looks, and what they see then: colour and tables. Elsewhere it is plain text.

A person looks where the stream is a terminal that can do more than write letters. `FORCE_COLOR`
(not empty) says so where that cannot be seen, such as a CI's log; `NO_COLOR` takes the colours, and
`TERM=dumb` all of it. rich is imported only then: it takes 50 ms.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from reconciler.cli.wording import as_typed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from rich.console import Console, RenderableType

    from reconciler.apply.report import Report
    from reconciler.model import Diagnostic
    from reconciler.plan.actions import Plan
    from reconciler.plan.progress import BatchProgress, Reading
    from reconciler.state.document import State

_WIDTH = 100
"""Columns where nobody knows how many there are."""


def looked_at(*, err: bool = False) -> bool:
    """Whether a person looks at stdout, or at stderr."""
    if os.environ.get("TERM") == "dumb":
        return False
    stream = sys.stderr if err else sys.stdout
    return bool(os.environ.get("FORCE_COLOR")) or (stream is not None and stream.isatty())


def show(what: RenderableType, *, err: bool = False) -> None:
    """Draw something on a screen that is looked at."""
    _console(err=err).print(what)


def _console(*, err: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415 - 50 ms, and only where a person looks

    stream = sys.stderr if err else sys.stdout
    return Console(
        file=stream,
        force_terminal=True,
        width=None if stream.isatty() or os.environ.get("COLUMNS") else _WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def show_plan(
    plan: Plan, now: datetime, average_call: timedelta | None = None, *, err: bool = False
) -> None:
    """Show a plan: drawn where a person looks, else as plain text."""
    if looked_at(err=err):
        from reconciler.render.terminal import plan_view  # noqa: PLC0415 - it imports rich

        show(plan_view(plan, now, average_call, typed=as_typed), err=err)
        return
    from reconciler.render.text import plan_text  # noqa: PLC0415 - when it runs

    click.echo(as_typed(plan_text(plan, now, average_call)), err=err, nl=False)


def show_report(report: Report) -> None:
    """Show what an apply did: in colour where a person looks."""
    if looked_at():
        from reconciler.render.terminal import report_view  # noqa: PLC0415 - it imports rich

        show(report_view(report, typed=as_typed))
        return
    from reconciler.render.text import report_text  # noqa: PLC0415 - when it runs

    click.echo(as_typed(report_text(report)), nl=False)


def show_diagnostics(found: Sequence[Diagnostic], *, err: bool = False) -> None:
    """Show diagnostics; nothing for none."""
    if not found:
        return
    if looked_at(err=err):
        from reconciler.render.terminal_tables import diagnostics_view  # noqa: PLC0415 - rich

        show(diagnostics_view(found), err=err)
        return
    from reconciler.render.diagnostics import as_text  # noqa: PLC0415 - when it runs

    click.echo(as_text(found), err=err, nl=False)


def show_state(recorded: State) -> None:
    """Show what is recorded."""
    if looked_at():
        from reconciler.render.terminal_tables import state_view  # noqa: PLC0415 - rich

        show(state_view(recorded))
        return
    from reconciler.render.tables import state_table  # noqa: PLC0415 - when it runs

    click.echo(state_table(recorded), nl=False)


def show_status(rows: Sequence[BatchProgress], reading: Reading) -> None:
    """Show where batches stand."""
    if looked_at():
        from reconciler.render.terminal_tables import status_view  # noqa: PLC0415 - rich

        show(status_view(rows, reading))
        return
    from reconciler.render.status import status_text  # noqa: PLC0415 - when it runs

    click.echo(status_text(rows, reading), nl=False)
