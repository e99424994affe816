"""Asking the command line what it can do, and asking it for something it cannot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from reconciler import __version__
from reconciler.cli.app import COMMANDS, app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Cli


def commands() -> Iterator[tuple[str, click.Command]]:
    """Walk all commands, those below a group too."""
    context = click.Context(app)
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                inner = command.get_command(context, below)
                assert inner is not None
                yield f"{name} {below}", inner


def test_without_a_command_it_shows_the_help(cli: Cli) -> None:
    """A bare `reconciler` is a usage error that shows the way."""
    assert cli.run() == 64
    assert cli.run("state") == 64
    cli.said("no_command")


def test_help(cli: Cli) -> None:
    """`--help` shows the usual way, all commands, the environment and the exit codes."""
    assert cli.run("--help") == 0
    shown = cli.stdout
    assert cli.run("-h") == 0
    assert cli.stdout == shown


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_the_help_of_a_command_has_an_example(cli: Cli, name: str) -> None:
    """Each command's help shows one it can be copied from, and its status is success."""
    assert cli.run(*name.split(), "--help") == 0
    assert re.search(r"^  Examples?:\n    reconciler ", cli.stdout, re.MULTILINE)
    assert all(len(line) <= 100 for line in cli.stdout.splitlines())


@pytest.mark.parametrize("name", ["", *(name for name, _ in commands())])
def test_help_needs_nothing(cli: Cli, name: str) -> None:
    """Without a token and without the directory of specs, every help is shown."""
    assert cli.run("--batches", "nowhere", *name.split(), "--help") == 0
    assert cli.stdout.startswith(f"Usage: reconciler {name}".rstrip())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_line_in_the_table_is_the_commands_own(name: str) -> None:
    """What `reconciler --help` says of a command is what the command says of itself."""
    assert dict(commands())[name].short_help == COMMANDS[name]


def test_every_option_says_what_it_does() -> None:
    """No option is left to be guessed at."""
    silent = [
        f"{name} {option.name}"
        for name, command in [("", app), *commands()]
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert silent == []


def test_version(cli: Cli) -> None:
    """`--version` gives the name and the version on one line."""
    assert cli.run("--version") == 0
    assert cli.stdout == f"reconciler {__version__}\n"


def test_slips_of_the_keyboard(cli: Cli) -> None:
    """A wrong command, option or value says what was meant and where help is."""
    assert cli.run("validte") == 64
    assert cli.run("frobnicate") == 64
    assert cli.run("state", "shw") == 64
    assert cli.run("plan", "--sandbx") == 64
    assert cli.run("plan", "--format", "xml") == 64
    assert cli.run("plan", "now") == 64
    assert cli.run("apply", "--parallelism", "0") == 64
    assert cli.run("apply", "--verify-for", "soon") == 64
    assert cli.run("apply", "--plan", "plan.json") == 64
    assert cli.run("resolve") == 64
    cli.said("slips")


def test_no_batches_directory(cli: Cli) -> None:
    """A root that does not exist is a usage error of every command that needs one."""
    for command in ("validate", "plan", "apply --yes"):
        assert cli.run("--batches", "nowhere", *command.split()) == 64
    cli.said("no_batches_directory")


def test_schema(cli: Cli) -> None:
    """`schema` writes all schemas and names them."""
    assert cli.run("schema", "--out", "there/schemas") == 0
    cli.said("schema")


def test_a_root_further_up(
    cli: Cli, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory of the repository the root above is named, and none above the repository."""
    write()
    Path("docs/pages").mkdir(parents=True)
    monkeypatch.chdir("docs/pages")
    assert cli.run("validate") == 64
    assert "or make it" in cli.stderr
    Path("../../.git").mkdir()
    assert cli.run("validate") == 64
    assert cli.stderr.endswith(
        "hint: there is one further up: `reconciler --batches ../../batches …`\n"
    )
    assert cli.run("--batches", "../../batches", "validate") == 0
    Path("../.git").mkdir()
    assert cli.run("plan") == 64
    assert "or make it" in cli.stderr
