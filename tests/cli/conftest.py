"""Commands run in this process as a user would run them, and what they said kept as text files.

A test calls `cli.run(...)` a few times and ends with `cli.said("name")`: everything that was
printed must be what `tests/cli/said/name.txt` holds. There, a line that begins with `2> ` went to
stderr, and `[exit 1]` is the exit status. To accept what is printed now, and then read the
difference in git:

    UPDATE_SAID=1 .venv/bin/pytest tests/cli

What differs from run to run is replaced by `normalised`, and nothing else is. Each test has an
empty environment but what it sets, and a directory of its own; the width is 100 columns.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from reconciler import cli as command_line
from reconciler.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
SAID = HERE / "said"

NUMBERS = tuple(f"+9198123456{n:02d}" for n in range(20))
NAME = "Asha Testperson"
VARIABLE = "Gold 7788"
TOKEN = "gat_t0ken-of-the-tests"  # noqa: S105 - opens a sandbox only
SECRETS = ("98123456", NAME, VARIABLE, TOKEN)
"""What no command may ever print or record: numbers, call variables, the token."""


_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d \w{3}"


def normalised(text: str) -> str:
    """Replace what differs from run to run: ids, keys, lineages, ports, versions, times, spans.

    Batch ids are numbered in the order in which they first appear, so that it still shows where the
    same one is meant, and keep their width, because tables are aligned. Times are those of this
    decade; specs of these tests start in 2035 or 2020, and those are left as they are.
    """
    ids: dict[str, str] = {}
    text = re.sub(
        r"batch_[0-9a-f]{20}", lambda m: ids.setdefault(m[0], f"batch_{len(ids) + 1:020}"), text
    )
    for pattern, instead in (
        (r"rk1_[0-9a-f]{40}", "rk1_KEY"),
        (r'"(lineage|run)": "[a-z0-9]+"', r'"\1": "ID"'),
        (r'"tool_version": "[^"]+"', '"tool_version": "VERSION"'),
        (r"clock is \d s off the API's", "clock is in step with the API's"),
        (r"superseded by [0-9a-f]{7,40}", "superseded by COMMIT"),
        (r"git \d+(?:\.\d+)+", "git VERSION"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
        (r"\b20(?:2[4-9]|3[0-4])-\d\d-\d\d \d\d:\d\d(?::\d\d)? UTC", "TIME"),
        (r"\b20(?:2[4-9]|3[0-4])-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "TIME"),
        (
            rf"about {_DAY} 20(?:2[4-9]|3[0-4]) [\d:]+ \S+ \((?:{_DAY} )?[\d:]+ UTC\)",
            "about MOMENT",
        ),
        (r", in \d+ [yd](?: \d+ [dh])?\b", ", in SPAN"),
        (r"\bp1:[0-9a-f]{12,64}\b", "p1:HASH"),
        (r"(?<=plan-actions batches)(?: [0-9a-f]{40})+", " HASHES"),
        (r", in \d+ s\.", ", in SPAN."),
    ):
        text = re.sub(pattern, instead, text)
    return text


class _Tape(io.BytesIO):
    """One of the two streams; both write onto one tape, so that their order is kept."""

    def __init__(self, tape: list[tuple[int, str]], number: int) -> None:
        super().__init__()
        self._tape = tape
        self._number = number

    def write(self, data: Any, /) -> int:
        self._tape.append((self._number, bytes(data).decode()))
        return len(data)


class Cli:
    """Runs commands and remembers what they printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._transcript: list[str] = []
        self.stdout = ""
        self.stderr = ""
        self.printed = ""

    def env(self, **variables: str) -> None:
        """Set variables for all further commands."""
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)

    def run(self, *arguments: str) -> int:
        """Run one command and give its exit status."""
        tape: list[tuple[int, str]] = []
        with self._monkeypatch.context() as patch:
            for name, number in (("stdout", 1), ("stderr", 2)):
                stream = io.TextIOWrapper(_Tape(tape, number), "utf-8", write_through=True)
                patch.setattr(sys, name, stream)
            patch.setattr(sys, "stdin", io.StringIO())
            status = command_line.run(list(arguments))
        self.stdout = "".join(text for number, text in tape if number == 1)
        self.stderr = "".join(text for number, text in tape if number == 2)
        self.printed = "".join(text for _, text in tape)
        self._transcript.append(_told(arguments, tape, status))
        for secret in SECRETS:
            assert secret not in self.stdout + self.stderr, f"{secret!r} was printed"
        return status

    def prepare(self, *arguments: str) -> int:
        """Run one command that only leads up to what is tested, and keep its output out."""
        status = self.run(*arguments)
        self._transcript.pop()
        return status

    def json(self) -> Any:
        """Give what the last command wrote to stdout, as JSON."""
        return orjson.loads(self.stdout)

    def said(self, name: str) -> None:
        """Compare everything printed so far with the file of that name."""
        text = normalised("\n".join(self._transcript))
        path = SAID / f"{name}.txt"
        if os.environ.get("UPDATE_SAID"):
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"nothing to compare with: see {__file__}"
        assert text == path.read_text("utf-8"), f"to accept it, see {__file__}"


def _told(arguments: tuple[str, ...], tape: list[tuple[int, str]], status: int) -> str:
    """Write one command, its output and its exit status; lines of stderr are marked."""
    lines = [shlex.join(["$", "reconciler", *arguments]).replace("'$'", "$")]
    merged: list[tuple[int, str]] = []
    for number, text in tape:
        if merged and merged[-1][0] == number:
            merged[-1] = (number, merged[-1][1] + text)
        else:
            merged.append((number, text))
    for number, text in merged:
        mark = "2> " if number == 2 else ""
        lines.extend(f"{mark}{line}".rstrip() for line in text.splitlines())
    return "\n".join([*lines, f"[exit {status}]", ""])


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give a command line in an empty directory and an empty environment."""
    for name in list(os.environ):
        if not name.startswith(("PYTEST_", "COV", "UPDATE_SAID")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("GITHUB_ACTOR", "tester")
    monkeypatch.chdir(tmp_path)
    return Cli(monkeypatch)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Give a running sandbox in memory that takes no token but ours."""
    with Sandbox(token=TOKEN) as running:
        yield running


@pytest.fixture
def account(cli: Cli, sandbox: Sandbox) -> Cli:
    """Give a command line with a token for the sandbox, as with a real account."""
    cli.env(GRAINE_API_URL=sandbox.url, GRAINE_API_KEY=TOKEN)
    return cli


@pytest.fixture
def write(cli: Cli) -> Callable[..., Path]:  # noqa: ARG001 - it is the directory of the command line
    """Give a function that writes a spec: its name, then fields in place of the usual ones."""

    def write(name: str = "welcome", *, people: int = 2, first: int = 0, **fields: str) -> Path:
        lines = {"campaign_id": "cmp_abc123", **fields}
        contacts = "".join(
            f'  - phone_number: "{number}"\n'
            f"    call_variables: {{callee_name: {NAME}, plan: {VARIABLE}}}\n"
            for number in NUMBERS[first : first + people]
        )
        path = Path("batches", f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        head = "".join(f"{field}: {value}\n" for field, value in lines.items())
        path.write_text(f"{head}contacts:\n{contacts}", encoding="utf-8")
        return path

    return write
