"""The command line. `main` is the console script; each command has a module of its own.

Commands are imported when they are run, so `--version` and `--help` cost little more than Python.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from reconciler.errors import INTERRUPTED, STOPPED, ExitCode, InvalidSpecs, ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GARBAGE = 50_000
"""Objects made before garbage is looked for. Imports make many, and leave none."""
_MISPLACED = {
    "--batches": "it stands before the command: reconciler --batches DIR plan",
    "--dry-run": "what apply would do is shown by: reconciler plan",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its status. Every error ends here, as words."""
    gc.set_threshold(_GARBAGE)
    _survive_readers()
    status = run(arguments)
    gc.freeze()  # what is left goes with the process: nobody has to search it for garbage first
    sys.exit(status)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    _write_what_can_be_written()
    with _noticing():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    # Looking for pydantic's plugins reads the metadata of every installed package: a third of the
    # time it takes to import, for something nobody installs beside us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    # httpx comes with a command of its own, and imports rich and pygments for it wherever they are
    # installed: half of what its import takes, for what nobody calls here.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: not to be had
    try:
        from reconciler.cli.app import app  # noqa: PLC0415 - so that importing this package is free

        result = app.main(args=arguments, prog_name="reconciler", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.UsageError as error:
        _tell_usage(error)
        return ExitCode.USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):  # the latter while the commands are imported
        click.echo(f"\n{STOPPED}", err=True)
        return INTERRUPTED
    except ReconcilerError as error:
        _tell(error)
        return error.exit_code
    except OSError as error:
        _tell_in_words(error)
        sys.stdout = None
        return ExitCode.FAILED
    except Exception as error:
        if os.environ.get("RECONCILER_DEBUG"):
            raise
        _tell_in_words(error)
        return ExitCode.FAILED
    return int(result or 0)


# What happens when nobody reads any more (`reconciler plan | head -1`, a pager that was left):
# nothing. The command goes on to its end, says the rest to nobody, and its exit status is what it
# would have been, had all been read. Not the 141 of a program that SIGPIPE ends: whether the reader
# is still there when something is written is a race, since a pipe takes 64 KiB, and a status must
# not depend on it. And apply, which shows its plan before it begins, and tells of second batches
# while requests are under way, must be ended by no write before it has recorded all it did. Only
# what would go on until somebody has seen enough (`status --watch`) ends there: done.


class _Told(TextIOWrapper):
    """stdout. What is written after its reader has gone is lost without a word.

    What cannot be written for another reason (a full disk) raises `OSError` as ever: a plan of
    which half is missing must not look like one.
    """

    forgiven: type[OSError] = BrokenPipeError
    written = False
    """Whether anything was written, be there a reader or not."""

    def write(self, text: str, /) -> int:
        """Write to whoever is there."""
        self.written = self.written or bool(text)
        try:
            return super().write(text)
        except self.forgiven:
            self._tell_nobody()
            return len(text)

    def flush(self) -> None:
        """Hand over what was written, to whoever is there."""
        try:
            super().flush()
        except self.forgiven:
            self._tell_nobody()

    def _tell_nobody(self) -> None:
        # The descriptor itself, for what is still in the buffer must not fail again at exit.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        context = click.get_current_context(silent=True)
        if self is sys.stdout and context is not None and context.params.get("watch"):
            raise click.exceptions.Exit(ExitCode.DONE)


class _Remarked(_Told):
    """stderr. Whatever keeps a remark from being written, the work it is about goes on."""

    forgiven = OSError


def _survive_readers() -> None:
    """Put streams into place that outlive their readers; ones that were closed lead nowhere."""
    for name, mode, kind in (
        ("stdin", "r", None),
        ("stdout", "w", _Told),
        ("stderr", "w", _Remarked),
    ):
        stream = getattr(sys, name)
        if stream is None:
            # It takes the lowest descriptor, the closed one: no file of ours can get that instead,
            # and be written into by a program that we start.
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - until the end
        elif kind is not None and isinstance(stream, TextIOWrapper):
            stream = _over(stream, kind)
        setattr(sys, name, stream)


def _over(stream: TextIOWrapper, kind: type[_Told]) -> _Told:
    return kind(
        stream.buffer,
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


@contextmanager
def _noticing() -> Iterator[None]:
    """See to it that stdout knows whether anything was written, also where `main` does not run."""
    before = sys.stdout
    if isinstance(before, _Told) or not isinstance(before, TextIOWrapper):
        yield
        return
    before.flush()
    sys.stdout = noticing = _over(before, _Told)
    try:
        yield
    finally:
        if sys.stdout is noticing:
            sys.stdout = before
        noticing.detach()


def _write_what_can_be_written() -> None:
    """Keep a terminal that lacks a letter of some name from stopping a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell_usage(error: click.UsageError) -> None:
    command = error.ctx.command_path if error.ctx else "reconciler"
    option = error.option_name if isinstance(error, click.NoSuchOption) else ""
    hint = _MISPLACED.get(option)
    # A near miss among other options is no help where the option meant is a well-known one.
    message = f"No such option '{option}'." if hint else error.format_message()
    click.echo(f"error: {message}", err=True)
    click.echo(f"hint: {hint or f'see: {command} --help'}", err=True)


def _tell_in_words(error: Exception) -> None:
    from reconciler.cli.failing import in_words  # noqa: PLC0415 - only for an error

    message, hint = in_words(error)
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)


def _tell(error: ReconcilerError) -> None:
    if isinstance(error, InvalidSpecs):
        from reconciler.cli.screen import show_diagnostics  # noqa: PLC0415 - only for this error

        show_diagnostics(error.diagnostics, err=True)
        click.echo(err=True)
    failed = error.exit_code is not ExitCode.DONE
    click.echo(f"error: {error.message}" if failed else error.message, err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
