"""`reconciler sandbox`: serves the embedded API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler.cli.options import Seconds
from reconciler.cli.wording import without_the_sandbox
from reconciler.errors import ReconcilerError


@click.command("sandbox", short_help="Serve the embedded API: a stand-in that calls nobody.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8377,
    show_default=True,
    metavar="N",
    help="The port to listen on; 0 takes a free one.",
)
@click.option(
    "--database",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep batches in this SQLite file. [default: in memory]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Decides how calls end.")
@click.option("--speed", type=float, metavar="X", help="Simulated seconds that pass in a real one.")
@click.option("--latency", type=Seconds(), default=0, help="Seconds every answer takes longer.")
@click.option("--any-campaign", is_flag=True, help="Let unknown campaigns appear when used.")
def command(*, port: int, database: Path | None, any_campaign: bool, **simulation: Any) -> None:
    """Serve the embedded API on 127.0.0.1: a stand-in for the vendor's that calls nobody.

    Use it from another terminal with the two lines it prints. For a quick try the other commands
    start one of their own: reconciler apply --sandbox.

    \b
    Examples:
      reconciler sandbox
      reconciler sandbox --speed 60 --database /tmp/calls.sqlite
    """
    try:
        from reconciler.sandbox import serve  # noqa: PLC0415 - the extra
    except ImportError as error:
        raise without_the_sandbox(error) from error

    def ready(url: str) -> None:
        click.echo(f"export GRAINE_API_URL={url}\nexport GRAINE_API_KEY=gat_sandbox")
        click.echo("serving; stop with Ctrl-C", err=True)

    try:
        serve(
            database,
            port=port,
            on_ready=ready,
            accept_any_campaign=any_campaign,
            **simulation,
        )
    except ValueError as error:
        raise ReconcilerError(
            str(error), hint="choose another file: reconciler sandbox --database FILE"
        ) from error
    except OSError as error:
        raise ReconcilerError(
            f"cannot serve on port {port}: {error.strerror or error}",
            hint="choose another: reconciler sandbox --port 0",
        ) from error
