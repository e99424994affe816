"""Readers that go: a pipe into `head`, a pager that was left, streams that were closed.

Real processes, because what is tested are their descriptors and how the interpreter ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reconciler.sandbox import Sandbox
    from tests.cli.conftest import Cli

COMMAND = (sys.executable, "-m", "reconciler")
PATIENCE = 30.0
"""Seconds after which a test gives up waiting."""


@pytest.fixture
def unread() -> Iterator[int]:
    """Give the writing end of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def start(*arguments: str, stdout: int, stderr: int = subprocess.PIPE) -> tuple[int, str]:
    """Run a command to its end; give its exit status and what it said on stderr, if that is read.

    Output is buffered as it is in a pipe: what is left over at the end must not complain either.
    """
    done = subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, (done.stderr or b"").decode()


def recorded() -> list[str | None]:
    """Give the id of each request in the state, None for one in doubt."""
    state = json.loads(Path("batches/state.json").read_bytes())
    return [
        request.get("batch_id")
        for record in state["batches"].values()
        for generation in record["generations"]
        for request in generation["requests"]
    ]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("--help", 0),
        ("validate", 0),
        ("plan", 0),
        ("plan --format json", 0),
        ("plan --detailed-exitcode", 2),
        ("plan --no-such-option", 64),
        ("status", 0),
        ("explain known", 0),
        ("results known", 0),
        ("state list", 0),
        ("state list --format json", 0),
        ("doctor", 0),
    ],
)
@pytest.mark.usefixtures("sandbox")
def test_nobody_reads(
    account: Cli, write: Callable[..., Path], unread: int, arguments: str, status: int
) -> None:
    """Nothing is said of it, and the exit status is the one that a reader would have seen."""
    write("known")
    account.prepare("apply", "--yes")
    write("new", first=5)
    code, said = start(*arguments.split(), stdout=unread)
    assert code == status
    assert "Traceback" not in said
    assert "roken pipe" not in said
    if status != 64:
        assert said == ""


@pytest.mark.usefixtures("account")
def test_a_mistake_is_still_told(write: Callable[..., Path], unread: int) -> None:
    """Specs that are wrong fail, whoever reads the list of mistakes."""
    write(concurrency_limit="none")
    code, said = start("validate", stdout=unread)
    assert code == 1
    assert "Traceback" not in said


@pytest.mark.parametrize("silent", ["stdout", "stderr", "both", "both, in colour"])
def test_an_apply_that_nobody_reads(
    account: Cli, sandbox: Sandbox, write: Callable[..., Path], unread: int, silent: str
) -> None:
    """It goes on to its end: what it created is recorded, and its status says how that went.

    The first write, the plan, fails before anything is begun; a remark on stderr while requests are
    under way, about a second batch. What draws in colour has an idea of its own of broken pipes.
    """
    account.env(FORCE_COLOR="1" if "colour" in silent else "")
    for number in range(3):
        write(f"spec-{number}", first=3 * number)
    sandbox.faults.add(operation="create", kind="doubled", match={"name": "spec-1"})
    sandbox.faults.add(operation="create", kind="reset", when="after", match={"name": "spec-1"})
    code, _ = start(
        "apply",
        "--yes",
        stdout=subprocess.DEVNULL if silent == "stderr" else unread,
        stderr=subprocess.DEVNULL if silent == "stdout" else unread,
    )
    assert code == 0
    live = {batch.batch_id for batch in sandbox.batches() if batch.status != "cancelled"}
    assert len(sandbox.batches()) == 4
    assert set(recorded()) == live
    assert len(live) == 3


@pytest.mark.parametrize(("fault", "status"), [(422, 1), (500, 3)])
@pytest.mark.usefixtures("account")
def test_the_status_of_an_apply_that_nobody_reads(
    sandbox: Sandbox, write: Callable[..., Path], unread: int, fault: int, status: int
) -> None:
    """A create that was refused, or whose end is unknown, shows in the status all the same."""
    write()
    sandbox.faults.add(operation="create", kind="status", code=fault)
    code, _ = start("apply", "--yes", "--verify-for=0", stdout=unread, stderr=unread)
    assert code == status
    assert sandbox.batches() == []
    assert recorded() == ([] if fault == 422 else [None])


@pytest.mark.usefixtures("account")
def test_a_remark_that_cannot_be_written(sandbox: Sandbox, write: Callable[..., Path]) -> None:
    """A stderr that takes nothing (a log on a full disk) keeps no outcome from being recorded."""
    write()
    sandbox.faults.add(operation="create", kind="doubled")
    sandbox.faults.add(operation="create", kind="reset", when="after")
    with Path(os.devnull).open("rb") as unwritable:
        code, _ = start("apply", "--yes", stdout=subprocess.DEVNULL, stderr=unwritable.fileno())
    assert code == 0
    assert len(sandbox.batches()) == 2
    assert [batch.status for batch in sandbox.batches()].count("cancelled") == 1
    assert set(recorded()) < {batch.batch_id for batch in sandbox.batches()}


@pytest.mark.usefixtures("account")
def test_a_result_that_cannot_be_written(write: Callable[..., Path]) -> None:
    """A stdout that takes nothing fails, in words: half a plan must not pass for a whole one."""
    write()
    with Path(os.devnull).open("rb") as unwritable:
        code, said = start("plan", stdout=unwritable.fileno())
    assert code == 1
    assert said.startswith("error: cannot write the output: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.usefixtures("account")
def test_streams_that_were_closed(
    sandbox: Sandbox, write: Callable[..., Path], closed: str
) -> None:
    """Started without some of its streams, apply does all its work, and writes into no other file.

    The first file that is opened would otherwise get the number of the missing stream.
    """
    write()
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {closed}', *COMMAND, "apply", "--yes"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr.decode() in {
        "",
        "Recorded in batches/state.json: commit it with the specs.\n",
    }
    assert recorded() == [batch.batch_id for batch in sandbox.batches()]
    refused = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" "$@" {closed}', *COMMAND, "apply"],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert refused.returncode == 4, "without a terminal nobody can be asked"


@pytest.mark.usefixtures("account")
def test_watching_ends_with_the_reader(write: Callable[..., Path], sandbox: Sandbox) -> None:
    """`status --watch` goes on for nobody: it ends at the first line that is not read, done."""
    write()
    code, _ = start("apply", "--yes", stdout=subprocess.DEVNULL)
    assert code == 0
    watching = subprocess.Popen(
        [*COMMAND, "status", "--watch", "--interval", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert watching.stdout.readline()
        watching.stdout.close()
        sandbox.advance(120)
        assert watching.stderr.read() == b""
        assert watching.wait(PATIENCE) == 0
