"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.wording import remember_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def state_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say where state lives; every command that reads state takes these."""
    for option in (
        click.option(
            "--sandbox",
            is_flag=True,
            callback=remember_sandbox,
            help="Use the embedded API and a state of its own: no token, nobody is called.",
        ),
        click.option("--state-branch", metavar="BRANCH", help="With --state git: the branch."),
        click.option("--state-remote", metavar="REMOTE", help="With --state git: the remote."),
        click.option(
            "--state",
            "state_kind",
            type=click.Choice(["file", "git"]),
            help="Where state lives. [default: file, or what reconciler.yaml says]",
        ),
    ):
        command = option(command)
    return command


def format_option(*choices: str) -> Decorator:
    """Choose the output's format; the first choice is the default."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(list(choices)),
        default=choices[0],
        show_default=True,
        help="How the result is written to stdout.",
    )


class Seconds(click.ParamType[float]):
    """A duration in seconds, not negative."""

    name = "S"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the number."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            self.fail(f"{value!r} is not a number of seconds (0 or more).", param, ctx)
        return seconds
