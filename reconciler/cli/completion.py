"""`reconciler completion`: what a shell needs to complete commands, options and recorded names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import get_completion_class

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "reconciler"
VARIABLE = "_RECONCILER_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Write what a shell needs to complete commands and names.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, /, shell: str) -> None:
    """Write what a shell needs to complete commands, options and the names of recorded batches.

    Let your shell read it when it starts; the completion itself asks nobody and reads only the
    state that is there.

    \b
    Examples:
      reconciler completion bash > ~/.local/share/bash-completion/completions/reconciler
      reconciler completion zsh > ~/.zfunc/_reconciler      (with ~/.zfunc in fpath)
      reconciler completion fish > ~/.config/fish/completions/reconciler.fish
    """
    found = get_completion_class(shell)
    if found is None:  # click has all three
        raise click.UsageError(f"{shell} cannot be completed here.")
    script: Any = found(ctx.find_root().command, {}, PROGRAM, VARIABLE)
    click.echo(script.source().strip())


def recorded_names(root: Path, *, sandbox: bool = False) -> list[str]:
    """Give the names in a root's state file, sorted; none where it cannot be read.

    Nothing is fetched: with state on a branch of its own there is no file here.
    """
    import orjson  # noqa: PLC0415 - only when a name is completed

    directory = root / ".sandbox" if sandbox else root
    try:
        batches = orjson.loads((directory / "state.json").read_bytes())["batches"]
        return sorted(name for name in batches if isinstance(name, str))
    except (OSError, ValueError, KeyError, TypeError):
        return []
