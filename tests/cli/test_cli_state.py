"""`reconciler state`, `resolve` and `adopt`: reading what is recorded, and settling by hand."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.cli.conftest import NAME, NUMBERS, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.sandbox import Sandbox
    from tests.cli.conftest import Cli


def test_listing(account: Cli, write: Callable[..., Path]) -> None:
    """`state list` has one line a batch, and the same as JSON with the promised fields."""
    write("welcome", people=1)
    write("renewals/2035-05", people=3, scheduled_start="2035-05-14T09:00:00")
    account.prepare("apply", "--yes", "--format", "json")
    assert account.run("state", "list") == 0
    assert account.run("state", "list", "--format", "json") == 0
    row = account.json()["batches"][0]
    assert set(row) >= {
        "name",
        "batch_id",
        "status",
        "campaign_id",
        "contacts",
        "generation",
        "key",
    }
    account.said("state_list")


def test_showing(account: Cli, write: Callable[..., Path]) -> None:
    """`state show` has everything about one name."""
    write(concurrency_limit="10")
    account.prepare("apply", "--yes", "--format", "json")
    assert account.run("state", "show", "welcome") == 0
    assert account.run("state", "show", "welcome", "--format", "json") == 0
    assert account.run("state", "show", "wellcome") == 1
    account.said("state_show")


@pytest.mark.parametrize(
    "damage",
    ["conflict", "newer", "truncated", "edited", "empty"],
)
def test_a_state_that_cannot_be_trusted(
    account: Cli, write: Callable[..., Path], damage: str
) -> None:
    """A state that is not sound stops everything that reads it, and is left as it is."""
    write()
    account.prepare("apply", "--yes")
    path = Path("batches/state.json")
    sound = path.read_text("utf-8")
    broken = {
        "conflict": sound.replace('  "batches"', '<<<<<<< HEAD\n  "batches"', 1),
        "newer": sound.replace('"version": 1', '"version": 2').replace(
            '"tool_version": "', '"tool_version": "9'
        ),
        "truncated": sound[:100],
        "edited": sound.replace('"status": "created"', '"status": "creating"'),
        "empty": "",
    }[damage]
    assert broken != sound
    path.write_text(broken, encoding="utf-8")
    for command in ("plan", "apply --yes", "state list"):
        assert account.run(*command.split()) == 4
    assert path.read_text("utf-8") == broken
    account.said(f"state_{damage}")


@pytest.fixture
def make(sandbox: Sandbox) -> Callable[..., str]:
    """Give a function that makes a batch past the reconciler, as the vendor's console would."""

    def make(*, people: int = 2, **fields: Any) -> str:
        contacts = [
            {"phone_number": number, "call_variables": {"callee_name": NAME}}
            for number in NUMBERS[:people]
        ]
        body = {"campaign_id": "cmp_abc123", "contacts": contacts, **fields}
        answer = httpx.post(
            f"{sandbox.url}/batches/",
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
        )
        return str(answer.raise_for_status().json()["batch_id"])

    return make


@pytest.fixture
def doubtful(account: Cli, sandbox: Sandbox, write: Callable[..., Path]) -> Cli:
    """Give a command line with one batch in doubt that exists and that no list shows."""
    sandbox.faults.add(operation="create", kind="invisible")
    sandbox.faults.add(operation="create", kind="close", when="after", times=1)
    write()
    assert account.prepare("apply", "--yes", "--verify-for", "0", "--format", "json") == 3
    return account


def test_it_was_created(doubtful: Cli, sandbox: Sandbox) -> None:
    """A person who found the batch gives its id, and the doubt is over."""
    (batch,) = sandbox.batches()
    assert doubtful.run("state", "list") == 0
    assert doubtful.run("state", "show", "welcome") == 0
    assert doubtful.run("resolve", "welcome", "--created", batch.batch_id) == 0
    assert doubtful.run("plan") == 0
    doubtful.said("resolve_created")


def test_it_was_not_created(account: Cli, sandbox: Sandbox, write: Callable[..., Path]) -> None:
    """A person who knows that there is no batch says so, and the next apply creates it."""
    sandbox.faults.add(operation="create", kind="close", when="before", times=1)
    write()
    account.prepare("apply", "--yes", "--verify-for", "0", "--format", "json")
    assert account.run("resolve", "welcome", "--not-created") == 0
    assert account.run("plan") == 0
    assert account.run("apply", "--yes") == 0
    assert len(sandbox.batches()) == 1
    account.said("resolve_not_created")


def test_what_cannot_be_resolved(
    doubtful: Cli, sandbox: Sandbox, write: Callable[..., Path], make: Callable[..., str]
) -> None:
    """An id that cannot be this batch's, a name that is not in doubt, and half a command."""
    sandbox.faults.clear()
    write("hello", first=5)
    doubtful.prepare("apply", "--yes", "--verify-for", "0")
    hello = sandbox.batches()[-1].batch_id
    elsewhere = make(campaign_id="cmp_london")
    foreign = make(metadata={"reconciler": {"key": "rk1_another"}})
    for arguments in (
        ["welcome"],
        ["welcome", "--created", hello, "--not-created"],
        ["welcome", "--created", "batch_none"],
        ["welcome", "--created", hello],
        ["welcome", "--created", elsewhere],
        ["welcome", "--created", foreign],
        ["hello", "--not-created"],
        ["nobody", "--not-created"],
    ):
        assert doubtful.run("resolve", *arguments) in {4, 64}
    doubtful.said("resolve_refused")


def test_adopting(account: Cli, write: Callable[..., Path], make: Callable[..., str]) -> None:
    """A batch that was made by hand is recorded as a spec's, with who said so and why."""
    write()
    batch = make()
    assert account.run("adopt", "welcome", batch, "--why", "made in the console") == 0
    assert account.run("plan") == 0
    assert account.run("state", "show", "welcome") == 0
    account.said("adopt")


def test_what_cannot_be_adopted(
    account: Cli, write: Callable[..., Path], make: Callable[..., str]
) -> None:
    """A batch that is not what the spec says is not recorded as if it were."""
    write()
    for arguments in (
        ["welcome"],
        ["nobody", make()],
        ["welcome", "batch_none"],
        ["welcome", make(people=3)],
        ["welcome", make(campaign_id="cmp_london")],
    ):
        assert account.run("adopt", *arguments) in {4, 64}
    account.prepare("adopt", "welcome", make())
    assert account.run("adopt", "welcome", make()) == 4
    account.said("adopt_refused")


def test_the_lock_is_nothing_to_commit(account: Cli, write: Callable[..., Path]) -> None:
    """In a repository git does not show the lock that an apply leaves, nor what hides it.

    A `.gitignore` that is there is not touched, and where the lock is ignored none is written.
    """
    git = ("git", "-c", "user.name=tester", "-c", "user.email=tester@example.com")

    def shown() -> set[str]:
        command = [*git, "status", "--porcelain", "--untracked-files=all"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return {line.partition("batches/")[2] for line in done.stdout.splitlines()}

    write()
    hidden = Path("batches/.gitignore")
    assert account.run("apply", "--yes") == 0
    assert not hidden.exists(), "there is no repository"
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert account.run("plan") == 0
    assert not hidden.exists(), "a plan writes nothing"
    assert "lock" in " ".join(shown())
    assert account.run("apply", "--yes") == 0
    assert shown() == {"state.json", "welcome.yaml"}
    assert Path("batches/.state.json.lock").exists()

    hidden.write_text("mine.csv\n", encoding="utf-8")
    assert account.run("apply", "--yes") == 0
    assert hidden.read_text("utf-8") == "mine.csv\n"
    hidden.unlink()
    Path(".gitignore").write_text(".state.json.lock\n", encoding="utf-8")
    assert account.run("apply", "--yes") == 0
    assert not hidden.exists(), "it is ignored already"
