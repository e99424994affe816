"""`reconciler state`: reads what is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import format_option, name_argument, state_options
from reconciler.cli.screen import show_state
from reconciler.cli.session import Session, StateOptions
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.state.document import State


@click.group("state", short_help="Read what is recorded.")
def command() -> None:
    """Read what is recorded. Never changes it.

    \b
    Examples:
      reconciler state list
      reconciler state show renewals/2026-05
    """


@command.command("list")
@format_option("text", "json")
@state_options
@click.pass_obj
def list_(root: Path, /, output: str, **state: Any) -> None:
    """List every recorded batch: one line a request of each name's current generation.

    \b
    Example:
      reconciler state list --format json
    """
    from reconciler.render import structured  # noqa: PLC0415 - when it runs

    recorded = _load(root, state)
    if output == "json":
        click.echo(structured.dumps(structured.state_document(recorded)), nl=False)
    else:
        show_state(recorded)


@command.command("show")
@name_argument
@format_option("text", "json")
@state_options
@click.pass_obj
def show(root: Path, /, name: str, output: str, **state: Any) -> None:
    """Show everything recorded under NAME: all generations, keys, digests, times.

    \b
    Example:
      reconciler state show renewals/2026-05
    """
    from reconciler.render import structured  # noqa: PLC0415 - when it runs
    from reconciler.render.tables import record_text  # noqa: PLC0415 - as above

    recorded = _load(root, state)
    record = recorded.record(name)
    if record is None:
        raise ReconcilerError(
            f"nothing is recorded under {name}", hint="see all names: reconciler state list"
        )
    if output == "json":
        document = structured.record_document(name, record)
        click.echo(structured.dumps(document), nl=False)
    else:
        click.echo(record_text(name, record), nl=False)


def _load(root: Path, /, state: dict[str, Any]) -> State:
    return Session.open(root, StateOptions(**state)).store().load()
