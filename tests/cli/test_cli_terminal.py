"""What only shows with a real terminal, a real pipe or a real process."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.sandbox import Sandbox
    from tests.cli.conftest import Cli

COMMAND = (sys.executable, "-m", "reconciler")
PATIENCE = 20.0
"""Seconds after which a test gives up waiting."""


class Terminal:
    """A process on a terminal of its own, 100 columns wide."""

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        controller, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm", **environment},
            start_new_session=True,
        )
        os.close(terminal)
        self._controller = controller
        self.drawn = ""
        """What came, with everything that colours and moves."""

    @property
    def shown(self) -> str:
        """What came, as letters only."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.drawn)

    def expect(self, text: str) -> None:
        """Wait until a text has been shown."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert self._read(deadline), f"{text!r} never came: {self.shown}"

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._controller, text.encode())

    def press(self, key: str) -> None:
        """Press a key at a prompt. Ctrl-C is its signal: the terminal is not the controlling one.

        A signal between the prompt and the read that follows it is noticed after that read only, so
        like a person this presses Ctrl-C once more when nothing happens.
        """
        if key != "\x03":
            self.type(key)
            return
        for _ in range(3):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(3)
                return

    def end(self) -> int:
        """Wait for the end and give the exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        os.close(self._controller)
        return self.process.wait(PATIENCE)

    def _read(self, deadline: float) -> bool:
        """Take in what is shown next; False at the end of it."""
        ready, _, _ = select.select([self._controller], [], [], deadline - time.monotonic())
        assert ready, f"nothing more came: {self.shown}"
        try:
            data = os.read(self._controller, 65_536)
        except OSError:  # how Linux tells that the last process has left the terminal
            return False
        self.drawn += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """Give a terminal whose process does not outlive the test."""
    running = Terminal(*arguments, environment=environment or {})
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.mark.parametrize("answer", ["no", "", "y", "yse"])
@pytest.mark.usefixtures("account")
def test_anything_but_yes_does_nothing(
    sandbox: Sandbox, write: Callable[..., Path], answer: str
) -> None:
    """At the prompt only the whole word counts."""
    write()
    with terminal("apply") as screen:
        screen.expect("Call 2 people right away? Type yes to go on: ")
        screen.type(f"{answer}\n")
        assert screen.end() == 4
    assert "error: the answer was not yes; nothing was done" in screen.shown
    assert sandbox.batches() == []
    assert not Path("batches/state.json").exists()


@pytest.mark.usefixtures("account")
def test_yes_creates(sandbox: Sandbox, write: Callable[..., Path]) -> None:
    """Agreed to at the prompt, it is done, with a bar for as long as it lasts."""
    write()
    rule = sandbox.faults.add(operation="create", kind="hold")
    with terminal("apply") as screen:
        screen.expect("Type yes to go on: ")
        screen.type("yes\n")
        sandbox.faults.wait_held(rule)
        screen.expect("0 of 1 request done, 1 under way")
        sandbox.faults.release()
        assert screen.end() == 0
    assert re.search(r"ok  welcome  created   batch_\w+  2 people", screen.shown)
    assert len(sandbox.batches()) == 1


@pytest.mark.usefixtures("account")
def test_a_plan_where_a_person_looks(write: Callable[..., Path]) -> None:
    """On a terminal a plan is a table in colour."""
    write(scheduled_start="2035-05-14T09:00:00")
    with terminal("plan") as screen:
        assert screen.end() == 0
    assert re.search(r"^ action +batch +people +first call", screen.shown, re.MULTILINE)
    assert "\x1b[32m+ create" in screen.drawn


@pytest.mark.parametrize("width", [100, 60, 30])
@pytest.mark.usefixtures("account")
def test_nothing_is_cut_off(write: Callable[..., Path], width: int) -> None:
    """What is too long for the terminal goes on below, under where it begins."""
    name = "renewals/a-very-long-name-that-does-not-fit-into-any-column-of-any-table"
    write(name, scheduled_start="2035-05-14T09:00:00")
    with terminal("plan", environment={"COLUMNS": str(width)}) as screen:
        assert screen.end() == 0
    lines = screen.shown.splitlines()
    assert max(map(len, lines)) <= width
    head = next((line for line in lines if "all called about" in line), "")
    column = slice(head.find("batch"), head.find("people")) if head else slice(None)
    assert name in "".join(line[column].strip() for line in lines)


@pytest.mark.parametrize(
    ("variables", "coloured", "drawn"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
    ],
    ids=["usual", "NO_COLOR", "dumb"],
)
@pytest.mark.usefixtures("account")
def test_colours_are_left_out_where_nobody_wants_them(
    write: Callable[..., Path], variables: dict[str, str], *, coloured: bool, drawn: bool
) -> None:
    """`NO_COLOR` leaves the table and takes the colours, a dumb terminal gets plain text."""
    write()
    with terminal("plan", environment=variables) as screen:
        assert screen.end() == 0
    assert ("\x1b[32m" in screen.drawn) is coloured
    assert ("first call" in screen.shown) is drawn
    assert "\x1b" not in screen.drawn or drawn


def test_a_pipe_gets_plain_text(account: Cli, write: Callable[..., Path]) -> None:
    """Whoever reads from a pipe gets the plain text, and colours only by `FORCE_COLOR`."""
    write()
    assert account.run("plan") == 0
    assert "\x1b" not in account.stdout
    account.env(FORCE_COLOR="1")
    assert account.run("plan") == 0
    assert "\x1b[32m+ create" in account.stdout
    account.env(NO_COLOR="1")
    assert account.run("plan") == 0
    assert "\x1b[32m" not in account.stdout


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.usefixtures("account")
def test_leaving_at_the_prompt(sandbox: Sandbox, write: Callable[..., Path], key: str) -> None:
    """Ctrl-C and Ctrl-D at the prompt leave, and nothing was begun."""
    write()
    with terminal("apply") as screen:
        screen.expect("Type yes to go on: ")
        screen.press(key)
        assert screen.end() == 130
    assert "stopped; nothing was begun" in screen.shown
    assert "Traceback" not in screen.shown
    assert sandbox.batches() == []


@pytest.mark.usefixtures("account")
def test_interrupted_while_creating(sandbox: Sandbox, write: Callable[..., Path]) -> None:
    """Ctrl-C while requests are under way: they end, the rest is not begun, and all is told."""
    for number in range(3):
        write(f"spec-{number}", first=3 * number)
    rule = sandbox.faults.add(operation="create", kind="hold")
    with terminal("apply", "--yes", "--parallelism", "1") as screen:
        sandbox.faults.wait_held(rule)
        screen.process.send_signal(signal.SIGINT)
        screen.expect("SIGINT: nothing more is sent")
        sandbox.faults.clear()
        assert screen.end() == 1
    assert "Stopped early: 1 created, 2 not begun" in screen.shown
    assert "hint, for 2 of them: nothing was sent for it" in screen.shown
    assert len(sandbox.batches()) == 1


@pytest.mark.usefixtures("account")
def test_nobody_reads_on(write: Callable[..., Path]) -> None:
    """A reader that has seen enough (`| head -1`) causes no traceback."""
    for number in range(20):
        write(f"spec-{number}", people=1, first=number)
    process = subprocess.Popen(
        [*COMMAND, "plan", "--offline"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(PATIENCE)


def test_names_that_the_terminal_cannot_show(cli: Cli, write: Callable[..., Path]) -> None:
    """A terminal without the letters of a name stops nothing: they are written as numbers."""
    write("नवीकरण")
    cli.env(PYTHONIOENCODING="latin-1")
    done = subprocess.run([*COMMAND, "plan", "--offline"], capture_output=True, check=True)
    assert b"+ create \\u0928\\u0935" in done.stdout


def test_the_sandbox_in_a_process_of_its_own(cli: Cli, write: Callable[..., Path]) -> None:
    """`reconciler sandbox` prints what another terminal needs, and ends with Ctrl-C."""
    write()
    process = subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline().strip() for _ in range(2)]
            assert [line.partition("=")[0] for line in lines] == [
                "export GRAINE_API_URL",
                "export GRAINE_API_KEY",
            ]
            cli.env(**dict(line.removeprefix("export ").split("=", 1) for line in lines))
            assert cli.run("apply", "--yes") == 0
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0
    assert told == "serving; stop with Ctrl-C\n"


def test_a_port_that_is_taken(cli: Cli, sandbox: Sandbox) -> None:
    """A taken port is told with the way out."""
    port = re.sub(r".*:(\d+)/.*", r"\1", sandbox.url)
    assert cli.run("sandbox", "--port", port) == 1
    assert "Address already in use" in cli.stderr
    assert "hint: choose another: reconciler sandbox --port 0" in cli.stderr
