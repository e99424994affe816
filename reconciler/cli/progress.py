"""Showing that long work goes on: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from reconciler.render.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.progress import Progress as Bars

    from reconciler.apply.engine import Progress

HEARTBEAT = 10.0
"""Seconds between two lines where there is no terminal: CI logs show life, not noise."""


_MOST_DRAINS = 3
"""Changed specs whose calls in flight are told one by one."""


def _status(
    done: int, total: int, under_way: int, looking: int, draining: Sequence[str] = ()
) -> str:
    """Say how far a run is; where it only waits for calls in flight, say just that."""
    waits = list(draining[:_MOST_DRAINS])
    if len(draining) > _MOST_DRAINS:
        waits.append(f"and {len(draining) - _MOST_DRAINS:,} more that wait for calls in flight")
    if waits and total == 1:
        return "; ".join(waits)
    return "; ".join([_counts(done, total, under_way, looking), *waits])


def _counts(done: int, total: int, under_way: int, looking: int) -> str:
    parts = [f"{done} of {counted(total, 'request')} done"]
    if under_way:
        parts.append(f"{under_way} under way")
    if looking:
        parts.append(f"looking for {looking} whose answer was lost")
    return ", ".join(parts)


class Heartbeat:
    """Writes one line to stderr every ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def update(
        self, *, done: int, total: int, under_way: int, looking: int, draining: Sequence[str]
    ) -> None:
        """Write a line if it is time."""
        now = time.monotonic()
        if now - self._last >= HEARTBEAT:
            self._last = now
            click.echo(f"... {_status(done, total, under_way, looking, draining)}", err=True)

    @staticmethod
    def say(line: str) -> None:
        """Write a line at once."""
        click.echo(line, err=True)


@contextmanager
def heartbeat(what: str) -> Iterator[None]:
    """Write a line to stderr every ten seconds while something without steps to count goes on."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT):
            click.echo(f"... {what}", err=True)

    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        over.set()


class _Bar:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("creating", total=None)

    def update(
        self, *, done: int, total: int, under_way: int, looking: int, draining: Sequence[str]
    ) -> None:
        self._bars.update(
            self._task,
            completed=done,
            total=total,
            description=_status(done, total, under_way, looking, draining),
        )

    def say(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False)


@contextmanager
def shown_progress(people: int) -> Iterator[Progress]:
    """Show progress on stderr while the context lasts; a bar if a person looks and it may last."""
    if not (sys.stderr.isatty() and people):
        yield Heartbeat()
        return
    from rich.console import Console  # noqa: PLC0415 - 50 ms, and only for a terminal
    from rich.progress import (  # noqa: PLC0415 - as above
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bar(bars)
