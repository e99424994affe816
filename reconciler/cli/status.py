"""`reconciler status`: recorded batches with live counters."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import Seconds, format_option, state_options
from reconciler.cli.screen import show_status
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import as_typed, tell_of_the_sandbox
from reconciler.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.plan.progress import BatchProgress, Reading
    from reconciler.state.document import State

    Look = Callable[[], tuple[list[BatchProgress], Reading]]


@click.command("status", short_help="Show recorded batches with live counters.")
@click.option("--watch", is_flag=True, help="Show progress until every batch has ended.")
@click.option(
    "--interval",
    type=Seconds(),
    default=5.0,
    show_default=True,
    help="With --watch: how long to wait before asking again.",
)
@format_option("text", "json")
@state_options
@click.pass_obj
def command(
    root: Path,
    /,
    *,
    output: str,
    watch: bool,
    interval: float,
    **state: Any,
) -> int:
    """Show recorded batches with live counters, grouped by campaign. Changes nothing.

    The rate counts people per hour in which the campaign may call, and the end is an estimate
    from it within the campaign's working hours. What cannot be told is left out. The exit status is
    1 when a batch could not be read; a campaign that could not be is a warning.

    With --watch it shows progress bars on a terminal, and elsewhere a line whenever something has
    changed. It ends when every batch has ended; Ctrl-C ends it earlier.

    \b
    Examples:
      reconciler status
      reconciler status --watch
      reconciler status --format json
    """
    from reconciler.cli.readings import Reader  # noqa: PLC0415 - when it runs
    from reconciler.plan.progress import progress_of  # noqa: PLC0415 - as above

    if watch and output == "json":
        raise click.UsageError("--watch shows text: leave --format json out, or ask repeatedly.")
    session = Session.open(root, StateOptions(**state))
    recorded = session.store().load()
    if not recorded.batches:
        return _nothing(output, session)
    if session.options.sandbox:
        tell_of_the_sandbox(session.sandbox_directory())
    _tell_stopped(recorded)
    stop = threading.Event()
    with session.api(stop=stop) as api:
        reader = Reader(api, session.clock, parallelism=session.settings.parallelism, stop=stop)

        def look() -> tuple[list[BatchProgress], Reading]:
            reading = reader.read(recorded)
            return progress_of(recorded, reading), reading

        if watch:
            return _watch(look, max(interval, 0.1), stop)
        return _show(*look(), output)


def _nothing(output: str, session: Session) -> int:
    """Show that nothing is recorded, for which nobody has to be asked."""
    from reconciler.plan.progress import Reading  # noqa: PLC0415 - when it runs

    return _show([], Reading(at=session.clock.now()), output)


def _show(rows: list[BatchProgress], reading: Reading, output: str) -> int:
    from reconciler.render import status, structured  # noqa: PLC0415 - when it runs

    _warn(reading)
    if output == "json":
        click.echo(structured.dumps(status.status_document(rows, reading)), nl=False)
    else:
        show_status(rows, reading)
    return ExitCode.FAILED if reading.blind else ExitCode.DONE


def _warn(reading: Reading) -> None:
    for message, hint in reading.problems:
        click.echo(f"warning: {message}", err=True)
        if hint:
            click.echo(f"hint: {as_typed(hint)}", err=True)


def _tell_stopped(recorded: State) -> None:
    from reconciler.plan.stopped import stop_warnings, stopped_names  # noqa: PLC0415 - when it runs

    for each in stop_warnings(stopped_names(recorded, recorded)):
        click.echo(f"note: {each.field}: {each.message}", err=True)


def _watch(look: Look, interval: float, stop: threading.Event) -> int:
    """Look until all has ended, or Ctrl-C, and show the last of it."""
    seen: list[tuple[list[BatchProgress], Reading]] = []
    try:
        if sys.stdout.isatty():
            _watch_on_a_terminal(look, interval, stop, seen)
        else:
            _watch_in_lines(look, interval, stop, seen)
    except KeyboardInterrupt:
        if seen and sys.stdout.isatty():
            _show(*seen[-1], "text")
        return ExitCode.DONE
    if sys.stdout.isatty():
        return _show(*seen[-1], "text")
    return ExitCode.FAILED if seen[-1][1].blind else ExitCode.DONE


def _watch_on_a_terminal(
    look: Look,
    interval: float,
    stop: threading.Event,
    seen: list[tuple[list[BatchProgress], Reading]],
) -> None:
    from rich.live import Live  # noqa: PLC0415 - 50 ms, and only for a terminal

    from reconciler.render.live import live_view  # noqa: PLC0415 - as above

    with Live(auto_refresh=False, transient=True) as live:
        while True:
            rows, reading = look()
            seen[:] = [(rows, reading)]
            live.update(live_view(rows, reading, height=live.console.height), refresh=True)
            if not any(row.alive for row in rows) or stop.wait(interval):
                return


def _watch_in_lines(
    look: Look,
    interval: float,
    stop: threading.Event,
    seen: list[tuple[list[BatchProgress], Reading]],
) -> None:
    """Write a line whenever something changed: how far people are, not how rates move."""
    from reconciler.render.status import summary  # noqa: PLC0415 - when it runs

    before: object = None
    problems: object = None
    while True:
        rows, reading = look()
        seen[:] = [(rows, reading)]
        if reading.problems != problems:
            problems = reading.problems
            _warn(reading)
        now = [(row.status, row.done, dict(row.counters)) for row in rows]
        if now != before:
            before = now
            click.echo(f"{reading.at:%Y-%m-%d %H:%M:%S} UTC  {summary(rows, reading)}")
            sys.stdout.flush()
        if not any(row.alive for row in rows) or stop.wait(interval):
            return
