"""`reconciler results`: what became of each contact."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from reconciler.cli.options import format_option, name_argument, state_options
from reconciler.cli.session import Session, StateOptions
from reconciler.cli.wording import as_typed, tell_of_the_sandbox
from reconciler.errors import ExitCode, ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.api.client import HttpBatchApi
    from reconciler.render.results import Form, Known
    from reconciler.state.document import NameRecord

_OFTEN = 100
"""Rows after which what was written is handed over: a page of the API."""


@click.command("results", short_help="Write what became of each contact, as CSV or JSONL.")
@name_argument
@format_option("csv", "jsonl")
@click.option("--include-calls", is_flag=True, help="Add the last call; in JSONL all calls.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE, readable by you alone, once all is there; until then to FILE.part.",
)
@click.option("--resume", is_flag=True, help="Go on with the FILE.part of an interrupted run.")
@state_options
@click.pass_obj
def command(
    root: Path,
    /,
    *,
    name: str,
    output: str,
    include_calls: bool,
    out: Path | None,
    resume: bool,
    **state: Any,
) -> int:
    """Write what became of each contact of NAME: all its generations and parts, oldest first.

    The rows hold phone numbers and names. They go to stdout or FILE and nowhere else.

    In CSV, a cell that a spreadsheet would run as a formula gets an apostrophe in front: every
    phone number (it begins with +) is written '+91... A program takes that character off, or reads
    JSONL, where values are as the API gives them.

    Rows that --resume finds in FILE.part are left as they are, even if calls were made since.

    \b
    Examples:
      reconciler results renewals/2026-05 --out outcomes.csv
      reconciler results renewals/2026-05 --format jsonl --include-calls
    """
    from reconciler.render.results import form_of  # noqa: PLC0415 - when it runs

    if resume and out is None:
        raise click.UsageError("--resume continues a file: say which one with --out FILE.")
    session = Session.open(root, StateOptions(**state))
    record = session.store().load().record(name)
    if record is None:
        raise ReconcilerError(
            f"nothing is recorded under {name}", hint="see all names: reconciler state list"
        )
    if session.options.sandbox:
        tell_of_the_sandbox(session.sandbox_directory())
    form = form_of(output, calls=include_calls)
    with session.api() as api, shown_rows(_people(record), to_file=out is not None) as count:
        source = _Source(api, record, form, count, calls=include_calls)
        if out is None:
            _to_stdout(source, form)
        else:
            _to_file(source, form, out, name, resume=resume)
    return source.exit_code


def _people(record: NameRecord) -> int:
    return sum(r.contacts for g in record.generations for r in g.requests if r.batch_id)


class _Target(Protocol):
    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


class _Source:
    """Reads the contacts of every batch of a name and hands them on, page by page."""

    def __init__(
        self,
        api: HttpBatchApi,
        record: NameRecord,
        form: Form,
        count: Callable[[], None],
        *,
        calls: bool,
    ) -> None:
        self._api = api
        self._record = record
        self._form = form
        self._count = count
        self._calls = calls
        self.rows = 0
        self.exit_code = ExitCode.DONE

    def write_to(self, target: _Target, known: Known) -> None:
        """Write every row but those known already. Raises `ApiError` where some may be missing."""
        for generation in self._record.generations:
            for request in sorted(generation.requests, key=lambda r: r.part):
                which = f"generation {generation.generation}, part {request.part}"
                if request.batch_id is None and not request.in_doubt:
                    continue  # nobody was left to call: there is no batch
                if request.batch_id is None:
                    self._miss(f"{which} is in doubt: it may have contacts that are not here")
                    self.exit_code = ExitCode.UNKNOWN_OUTCOME
                elif self._api.batch(request.batch_id) is None:
                    self._miss(f"{which}: the API knows no batch {request.batch_id} any more")
                    self.exit_code = self.exit_code or ExitCode.FAILED
                else:
                    self._batch(
                        target, known, generation.generation, request.part, request.batch_id
                    )

    def _batch(
        self, target: _Target, known: Known, generation: int, part: int, batch_id: str
    ) -> None:
        from reconciler.render.results import contact_id_of, result_row  # noqa: PLC0415 - as above

        for contact in self._api.contacts(batch_id, include_calls=self._calls):
            self._count()
            if (batch_id, contact_id_of(contact)) in known:
                continue
            row = result_row(
                contact, generation=generation, part=part, batch_id=batch_id, calls=self._calls
            )
            target.write(self._form.line(row))
            self.rows += 1
            if not self.rows % _OFTEN:
                target.flush()
        target.flush()

    @staticmethod
    def _miss(message: str) -> None:
        click.echo(f"warning: {message}", err=True)


def _to_stdout(source: _Source, form: Form) -> None:
    # Bytes: the rows are UTF-8 whatever the terminal's own encoding is.
    stdout = sys.stdout.buffer
    try:
        stdout.write(form.header)
        source.write_to(stdout, set())
        stdout.flush()
    except BrokenPipeError:
        # Whoever read the rows has seen enough. What is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _to_file(source: _Source, form: Form, out: Path, name: str, *, resume: bool) -> None:
    from reconciler.cli.partial import PartialFile  # noqa: PLC0415 - only with --out

    with PartialFile(out, form, resume=resume) as file:
        try:
            source.write_to(file, file.known)
        except BaseException:
            again = f"reconciler results {shlex.quote(name)} --out {shlex.quote(str(out))} --resume"
            click.echo(f"note: the rows so far are in {file.part}", err=True)
            click.echo(f"hint: go on with: {as_typed(again)}", err=True)
            raise
        file.finish()
    earlier = f", {len(file.known):,} of them from the interrupted run" if file.known else ""
    rows = source.rows + len(file.known)
    click.echo(f"{rows:,} {'row' if rows == 1 else 'rows'} written to {out}{earlier}", err=True)


@contextmanager
def shown_rows(total: int, *, to_file: bool) -> Iterator[Callable[[], None]]:
    """Show on a terminal how many rows of `total` were read; gives what counts one more."""
    if not sys.stderr.isatty() or (sys.stdout.isatty() and not to_file):
        # No terminal, or one that shows the rows themselves.
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - 50 ms, and only for a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress  # noqa: PLC0415 - as above

    columns = (BarColumn(bar_width=30), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total)
        yield lambda: bars.advance(task)
