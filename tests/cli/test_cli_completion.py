"""Completing commands and names in a shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import BashComplete

from reconciler.cli.app import app
from reconciler.cli.completion import PROGRAM, SHELLS, VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli


def completed(line: str) -> list[str]:
    """Give what a shell would offer for the last word of a line."""
    _, *words, last = line.split(" ")
    offers = BashComplete(app, {}, PROGRAM, VARIABLE).get_completions(words, last)
    return [offer.value for offer in offers]


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(cli: Cli, shell: str) -> None:
    """The script names the program and the variable by which it asks."""
    assert cli.run("completion", shell) == 0
    assert VARIABLE in cli.stdout
    assert "reconciler" in cli.stdout


def test_another_shell_is_a_usage_error(cli: Cli) -> None:
    """A shell that there is no script for is told which there are."""
    assert cli.run("completion", "cmd") == 64
    assert "'bash', 'zsh', 'fish'" in cli.stderr


def test_in_a_real_bash(account: Cli, write: Callable[..., Path], tmp_path: Path) -> None:
    """A real bash reads the script, asks the real program, and gets the recorded names."""
    write("welcome", scheduled_start="2035-05-14T09:00:00")
    account.prepare("apply", "--yes")
    account.prepare("completion", "bash")
    script = tmp_path / "completion.bash"
    script.write_text(account.stdout, encoding="utf-8")
    program = tmp_path / "bin" / PROGRAM
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    ask = (
        f"source {script}; COMP_WORDS=(reconciler results w); COMP_CWORD=2; "
        f'_reconciler_completion {program}; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", ask], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("welcome\n", "")


@pytest.mark.usefixtures("cli")
def test_commands_and_options() -> None:
    """Commands, options and their choices."""
    assert {"plan", "apply", "results", "completion"} <= set(completed("reconciler "))
    assert completed("reconciler resu") == ["results"]
    assert "--detailed-exitcode" in completed("reconciler plan --d")
    assert completed("reconciler plan --format m") == ["markdown"]


@pytest.mark.parametrize("command", ["results", "explain", "resolve", "state show"])
def test_recorded_names(account: Cli, write: Callable[..., Path], command: str) -> None:
    """What takes a recorded name offers those of the root at hand, without asking anybody."""
    write("welcome", scheduled_start="2035-05-14T09:00:00")
    write("renewals/2035-05", first=2, scheduled_start="2035-05-14T09:00:00")
    account.prepare("apply", "--yes")
    account.env(GRAINE_API_URL="http://127.0.0.1:9/api/v1")
    assert completed(f"reconciler {command} ") == ["renewals/2035-05", "welcome"]
    assert completed(f"reconciler {command} w") == ["welcome"]
    assert completed(f"reconciler {command} --sandbox ") == []
    Path("batches").rename("staging")
    assert completed(f"reconciler --batches staging {command} ren") == ["renewals/2035-05"]


@pytest.mark.parametrize("content", [None, "", "[]", '{"batches": 3}', "\x00"])
@pytest.mark.usefixtures("cli")
def test_a_state_that_cannot_be_read_completes_nothing(content: str | None) -> None:
    """No state, or one that is none, offers nothing and says nothing into somebody's prompt."""
    Path("batches").mkdir()
    if content is not None:
        Path("batches/state.json").write_text(content, encoding="utf-8")
    assert completed("reconciler results ") == []
