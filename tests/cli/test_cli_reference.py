"""docs/commands.md is what the commands' own help says, always.

To write it anew: `UPDATE_SAID=1 .venv/bin/pytest tests/cli/test_cli_reference.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
WIDTH = 100


def reference() -> str:
    """Give the page: every command's help, those below a group too, in the order of the help."""
    head = (
        "# Commands\n\n"
        "What `--help` says of each command, on one page. It is generated from there: see "
        "`tests/cli/test_cli_reference.py`. Global options come before the command: "
        "`reconciler --batches DIR plan`. What goes wrong and what to do then: "
        "[operations](operations.md).\n"
    )
    helps = [f"## {title}\n\n```text\n{shown}\n```\n" for title, shown in _helps("reconciler", app)]
    return "\n".join([head, *helps])


def _helps(
    path: str, command: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    context = click.Context(
        command,
        info_name=path.rpartition(" ")[2],
        parent=parent,
        terminal_width=WIDTH,
        **command.context_settings,
    )
    yield path, "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _helps(f"{path} {name}", inner, context)


def test_the_reference_is_current() -> None:
    """A changed help text changes the page in the same commit."""
    if os.environ.get("UPDATE_SAID"):
        PAGE.write_text(reference(), encoding="utf-8")
    assert PAGE.read_text("utf-8") == reference(), "docs/commands.md is out of date: see this file"
