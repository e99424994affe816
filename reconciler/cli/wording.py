"""Hints as the user would have to type them here, and what is said about the embedded API.

A hint such as `reconciler apply` is copied and run. After `--sandbox` it must not lead to a real
account, nor to another root than the one at hand, so the options that decide that are put in.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from reconciler.errors import Usage

ROOT = Path("batches")
"""The batches root when none is given."""

FOR_PROGRAMS = "reconciler.for_programs"
"""Where a run keeps the context of a command that was asked for JSON."""

_SANDBOX = "reconciler.sandbox"
_COMMAND = (
    r"\breconciler (?P<command>"
    r"(?:validate|plan|apply|status|results|explain|resolve|adopt|doctor|state list|state show)\b)"
    r"(?! --sandbox)"
)


def remember_sandbox(ctx: click.Context, _: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's signature
    """Take note that a command runs with `--sandbox`, for the hints it gives."""
    ctx.meta[_SANDBOX] = value
    return value


def remember_format(ctx: click.Context, _: click.Parameter, value: str) -> str:
    """Take note that a command was asked for JSON, for what is said of an error."""
    if value == "json":
        ctx.meta[FOR_PROGRAMS] = ctx
    return value


def as_typed(text: str) -> str:
    """Put this run's `--batches` and `--sandbox` into the commands that a text tells to type."""
    ctx = click.get_current_context(silent=True)
    if ctx is None:
        return text
    root = ctx.find_root().obj
    before = f" --batches {shlex.quote(str(root))}" if root not in {None, ROOT} else ""
    after = " --sandbox" if ctx.meta.get(_SANDBOX) else ""
    return re.sub(_COMMAND, lambda found: f"reconciler{before} {found['command']}{after}", text)


def without_the_sandbox(error: ImportError) -> Usage:
    """Say that the embedded API is an extra, which is not there."""
    return Usage(
        f"the embedded API is not installed ({error})",
        hint="pip install 'call-batch-reconciler[sandbox]'",
    )


def tell_of_the_sandbox(directory: Path) -> None:
    """Say on stderr that nothing of this is real. `directory` holds what is pretended."""
    click.echo(
        f"note: --sandbox: calls are only simulated; their batches and state lie in {directory}",
        err=True,
    )
