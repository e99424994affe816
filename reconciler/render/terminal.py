"""Plans, reports and tables for a person at a terminal: colour, and as wide as the terminal is.

What is said is what the plain text says, see `reconciler.render.telling`; here it is only drawn.
Long lines fold under where they begin and nothing is cut off; a terminal too narrow for a table
gets the same as a list. Imports rich: import it where a person looks, see `reconciler.cli.screen`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from reconciler.plan.actions import ActionKind
from reconciler.plan.estimate import estimate as estimated
from reconciler.render.cells import HEADINGS, Cell, Look, row
from reconciler.render.escape import printable
from reconciler.render.telling import (
    Fact,
    Tone,
    again_warning,
    diagnostics,
    exceptions,
    facts,
    headline,
    unchanged,
)
from reconciler.render.terminal_tables import diagnostics_view, empty_table, grid
from reconciler.render.text import SIGNS, report_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime, timedelta

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

    from reconciler.apply.report import Report
    from reconciler.plan.actions import Action, Plan
    from reconciler.plan.estimate import Estimate

    Typed = Callable[[str], str]

NARROW = 84
"""Columns below which a plan is a list."""
_KINDS = {
    ActionKind.CREATE: "green",
    ActionKind.REPLACE: "yellow",
    ActionKind.PAUSE: "yellow",
    ActionKind.RESUME: "green",
    ActionKind.CANCEL: "red",
    ActionKind.MOVE: "cyan",
    ActionKind.ADOPT: "cyan",
    ActionKind.FORGET: "red",
    ActionKind.NONE: "dim",
    ActionKind.BLOCKED: "bold red",
}
_TONES = {
    Tone.PLAIN: "",
    Tone.QUIET: "",
    Tone.WARNING: "yellow",
    Tone.ALARM: "bold white on red",
}
_MARKS = {"ok": "green", "!!": "bold red", "??": "bold magenta", "--": "dim"}
_IN_TABLE = frozenset({"starts", "calls", "campaign", "split", "at most", "retries"})
"""Facts that the table has already; of people it has all there is but for changed specs."""
_FEW = 5


class _PlanView(Struct, frozen=True):
    """A plan, laid out when the width is known."""

    plan: Plan
    now: datetime
    average_call: timedelta | None
    typed: Typed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        estimates = estimated(self.plan, self.now, self.average_call) if self.average_call else {}
        wide = options.max_width >= NARROW
        warning = again_warning(self.plan)
        alarm = [Panel(Text(warning), style="bold white on red", box=box.HEAVY)]
        if warning:
            yield from alarm
            yield ""
        for each in exceptions(self.plan):
            yield Panel(Text(each), style="bold yellow", box=box.HEAVY)
            yield ""
        yield Text(headline(self.plan), style="bold")
        if self.plan.pending and not wide:
            yield ""
        elif self.plan.pending:
            yield _table(self.plan, self.now, estimates)
        for action in self.plan.pending:
            told = facts(
                action,
                self.plan,
                self.now,
                estimate=estimates.get(action.name),
                average_call=self.average_call,
            )
            yield from self._details(action, told, wide=wide)
        odd = diagnostics(self.plan)
        if odd:
            yield diagnostics_view(odd, typed=self.typed)
            yield ""
        rest = unchanged(self.plan)
        if rest:
            yield Text(rest, style="dim")
        if len(self.plan.pending) > _FEW:
            yield Text(f"\n{headline(self.plan)}", style="bold")
            if warning:
                yield from alarm

    def _details(
        self, action: Action, told: Iterable[Fact], *, wide: bool
    ) -> Iterator[RenderableType]:
        in_table = _IN_TABLE if action.callees else _IN_TABLE | {"people"}
        shown = [fact for fact in told if not (wide and fact.label in in_table)]
        if not shown:
            return
        yield Text(
            f"{SIGNS[action.kind]} {action.kind.value} {action.name}", style=_KINDS[action.kind]
        )
        yield grid(
            (fact.label, Text(self.typed(fact.text), style=_TONES[fact.tone])) for fact in shown
        )
        yield ""


def plan_view(
    plan: Plan, now: datetime, average_call: timedelta | None = None, *, typed: Typed = str
) -> RenderableType:
    """Draw a plan. `now` is aware; `typed` puts commands as they are typed here."""
    return _PlanView(plan, now, average_call, typed)


def report_view(report: Report, *, typed: Typed = str) -> RenderableType:
    """Draw what an apply did."""
    lines: list[RenderableType] = []
    for line in report_lines(report):
        mark = line[:2]
        text = Text(typed(line), overflow="fold")
        if mark in _MARKS:
            text.stylize(_MARKS[mark], 0, 2)
        lines.append(text)
    return Group(*lines)


def _table(plan: Plan, now: datetime, estimates: Mapping[str, Estimate]) -> Table:
    table = empty_table()
    for heading in HEADINGS:
        table.add_column(
            heading,
            justify="right" if heading == "people" else "left",
            overflow="fold",
            min_width=len(heading) if heading == "people" else None,
        )
    for action in plan.pending:
        kind, *others = row(action, plan, now, estimates.get(action.name))
        sign = Text(f"{SIGNS[action.kind]} {kind.main}", style=_KINDS[action.kind])
        table.add_row(sign, *map(_cell, others))
    return table


def _cell(of: Cell) -> Text:
    text = Text(printable(of.main), style="bold" if of.look is Look.STRONG else "", overflow="fold")
    if of.alarm:
        text.append(f"\n{of.alarm}", style="bold white on red")
    if of.small:
        small = printable(", ".join(of.small))
        text.append(f"\n{small}" if of.main else small, style="not bold dim")
    return text
