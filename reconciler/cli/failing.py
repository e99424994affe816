"""An error that ends a command: in words for people, and as a document for programs.

With `--format json` a program reads stdout, so it finds there why the command has failed; people
read stderr. What is wrong with the command line itself is told to people only: it may be the very
option that says what is read.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from reconciler.errors import STOPPED, ExitCode, InvalidSpecs, ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model import Diagnostic


class Words(NamedTuple):
    """An error in words."""

    message: str
    hint: str = ""


def in_words(error: Exception) -> Words:
    """Say what happened and what to do."""
    if isinstance(error, ReconcilerError):
        return Words(error.message, error.hint)
    if isinstance(error, click.Abort):
        return Words(STOPPED)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else "cannot write the output: "
        return Words(f"{place}{error.strerror}")
    return _bug(error)


def _bug(error: Exception) -> Words:
    """Say where our own mistake is, without values: they may be people's numbers."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
    return Words(
        f"a bug in the reconciler: {type(error).__name__} at {place}",
        "whatever was begun is recorded, so it is safe to run again; please report this, "
        "with the traceback that RECONCILER_DEBUG=1 shows",
    )


def tell_programs(ctx: click.Context, error: Exception) -> None:
    """Write the document that stands for a failed command, unless something was written already.

    `ctx` is the command's own. That nothing can be written changes nothing about the error.
    """
    if getattr(sys.stdout, "written", True):
        return
    if isinstance(error, ReconcilerError) and error.exit_code is ExitCode.DONE:
        return  # nothing has failed
    from reconciler.render.failures import failed  # noqa: PLC0415 - only for an error
    from reconciler.render.structured import dumps  # noqa: PLC0415 - as above

    command = ctx.command_path.partition(" ")[2]
    document = failed(command, ctx.params.get("name"), _diagnostics(error))
    if document is not None:
        try:
            click.echo(dumps(document), nl=False)
        except OSError:
            sys.stdout = None


def _diagnostics(error: Exception) -> Sequence[Diagnostic]:
    from reconciler.render.failures import of_no_file  # noqa: PLC0415 - only for an error

    return error.diagnostics if isinstance(error, InvalidSpecs) else [of_no_file(*in_words(error))]
