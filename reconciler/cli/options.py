"""Options that several commands share, so that they are spelled and explained alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from reconciler.cli.wording import ROOT, remember_format, remember_sandbox
from reconciler.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.plan.actions import Plan
    from reconciler.state.document import State

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


def name_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take the name of a recorded batch; shells complete it."""
    return click.argument("name", shell_complete=_names)(command)


def names_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Take names of recorded batches; shells complete them."""
    return click.argument("names", nargs=-1, shell_complete=_names)(command)


def _names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from reconciler.cli.completion import recorded_names  # noqa: PLC0415 - for a shell only

    root = ctx.find_root().params.get("root") or ROOT
    names = recorded_names(root, sandbox=bool(ctx.params.get("sandbox")))
    return [name for name in names if name.startswith(incomplete)]


def prune_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say what becomes of batches whose specs were removed."""
    for option in (
        click.option(
            "--prune-limit",
            type=click.IntRange(0),
            metavar="N",
            help="With --prune: allow cancelling up to N batches, even if that is more than a "
            "third of all.",
        ),
        click.option("--prune", is_flag=True, help="Cancel batches whose spec was removed."),
    ):
        command = option(command)
    return command


def cache_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Say that everything is to be read, whatever is recorded of it."""
    return click.option(
        "--no-cache",
        is_flag=True,
        help="Read every spec, also those that are as they were when they were recorded.",
    )(command)


class Pruning(NamedTuple):
    """The options of `prune_options`, as given."""

    prune: bool
    limit: int | None

    def require(self, plan: Plan, state: State) -> None:
        """Raise `Refused` for a plan that cancels too much at once."""
        from reconciler.plan.removed import (  # noqa: PLC0415 - with the planner
            count_pruned,
            too_many_pruned,
        )

        why = too_many_pruned(plan, state, self.limit) if self.prune else None
        if why is not None:
            typed = click.get_current_context().info_name
            raise Refused(
                why,
                hint="is this the right directory, and the whole checkout? If all of these may "
                f"go: reconciler {typed} --prune --prune-limit {count_pruned(plan)}",
            )


def format_option(*choices: str) -> Decorator:
    """Choose the output's format; the first choice is the default."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(list(choices)),
        default=choices[0],
        show_default=True,
        callback=remember_format,
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
