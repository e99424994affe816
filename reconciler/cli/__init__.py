"""The command line. `main` is the console script; each command has a module of its own.

Commands are imported when they are run, so `--version` and `--help` cost little more than Python.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, NoReturn

import click

from reconciler.errors import ExitCode, InvalidSpecs, ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Sequence

_INTERRUPTED = 130
_MISPLACED = {
    "--batches": "it stands before the command: reconciler --batches DIR plan",
    "--dry-run": "what apply would do is shown by: reconciler plan",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its status. Every error ends here, as words."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    _write_what_can_be_written()
    # Looking for pydantic's plugins reads the metadata of every installed package: a third of the
    # time it takes to import, for something nobody installs beside us.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    from reconciler.cli.app import app  # noqa: PLC0415 - so that importing this package is free

    try:
        result = app.main(args=arguments, prog_name="reconciler", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.UsageError as error:
        _tell_usage(error)
        return ExitCode.USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        click.echo("\nstopped; nothing was begun", err=True)
        return _INTERRUPTED
    except ReconcilerError as error:
        _tell(error)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python must not complain about it at exit.
        sys.stdout = None
        return ExitCode.DONE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else "cannot write the output: "
        click.echo(f"error: {place}{error.strerror}", err=True)
        sys.stdout = None
        return ExitCode.FAILED
    except Exception as error:
        if os.environ.get("RECONCILER_DEBUG"):
            raise
        _tell_of_a_bug(error)
        return ExitCode.FAILED
    return int(result or 0)


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


def _tell_of_a_bug(error: Exception) -> None:
    """Say where our own mistake is, without values: they may be people's numbers."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
    click.echo(f"error: a bug in the reconciler: {type(error).__name__} at {place}", err=True)
    click.echo(
        "hint: whatever was begun is recorded, so it is safe to run again; please report this, "
        "with the traceback that RECONCILER_DEBUG=1 shows",
        err=True,
    )


def _tell(error: ReconcilerError) -> None:
    if isinstance(error, InvalidSpecs):
        from reconciler.render.diagnostics import as_text  # noqa: PLC0415 - only for this error

        click.echo(as_text(error.diagnostics), err=True)
    failed = error.exit_code is not ExitCode.DONE
    click.echo(f"error: {error.message}" if failed else error.message, err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)
