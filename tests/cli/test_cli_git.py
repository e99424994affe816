"""What the commands say when state lives in git."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import NAME, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Cli


def git(*arguments: str) -> str:
    """Run git here, as somebody."""
    who = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
    done = subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def clone(account: Cli, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give a command line in a clone whose one spec is pushed."""
    git("init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git("init", "--quiet", "--initial-branch=main", "clone")
    monkeypatch.chdir("clone")
    account.env(GIT_AUTHOR_NAME="tester", GIT_AUTHOR_EMAIL="tester@example.com")
    account.env(GIT_COMMITTER_NAME="tester", GIT_COMMITTER_EMAIL="tester@example.com")
    write()
    git("remote", "add", "origin", "../remote.git")
    git("add", ".")
    git("commit", "--quiet", "--message", "A spec")
    git("push", "--quiet", "origin", "main")
    return account


def test_applying(clone: Cli) -> None:
    """Intents and outcomes are commits, and the work tree is left alone."""
    assert clone.run("plan", "--state", "git") == 0
    assert clone.run("apply", "--state", "git", "--yes") == 0
    assert clone.run("state", "list", "--state", "git") == 0
    assert clone.run("apply", "--state", "git", "--yes") == 0
    assert git("status", "--porcelain") == ""
    assert git("log", "--format=%s", "origin/main").splitlines()[-1] == "A spec"
    clone.said("git_apply")


def test_a_branch_that_nobody_pushed_yet(clone: Cli) -> None:
    """Its state is empty, so that all looks new; the plan says so."""
    assert clone.prepare("apply", "--state", "git", "--yes") == 0
    git("checkout", "--quiet", "-b", "feature")
    assert clone.run("plan", "--state", "git") == 0
    assert "origin has no branch feature yet" in clone.stdout
    assert clone.run("plan", "--state", "git", "--state-branch", "main") == 0
    assert "has no branch" not in clone.printed
    clone.said("git_unpushed_branch")


def test_a_checkout_that_is_behind(clone: Cli, write: Callable[..., Path]) -> None:
    """A checkout that the branch has moved past applies nothing, and that is no failure."""
    write("hello", first=5)
    git("add", ".")
    git("commit", "--quiet", "--message", "Another spec")
    git("push", "--quiet", "origin", "main")
    git("checkout", "--quiet", "-B", "main", "HEAD~1")
    assert clone.run("apply", "--state", "git", "--yes") == 0
    assert "superseded" in clone.stderr
    assert clone.run("plan", "--state", "git") == 0
    assert "apply would do nothing from this checkout" in clone.stdout
    assert clone.run("plan", "--state", "git", "--offline") == 0
    assert "superseded" not in clone.printed
    clone.said("git_superseded")


def test_a_checkout_that_is_not_pushed(clone: Cli, write: Callable[..., Path]) -> None:
    """What is ahead of the branch, as a pull request is, is planned without a warning."""
    git("checkout", "--quiet", "-b", "more")
    write("hello", first=5)
    git("add", ".")
    git("commit", "--quiet", "--message", "Another spec")
    clone.env(GITHUB_BASE_REF="main")
    git("checkout", "--quiet", "--detach")
    assert clone.run("plan", "--state", "git") == 0
    assert "warning" not in clone.printed


LISTED = """\
campaign_id: cmp_abc123
contacts: {file: contacts/z.csv}
"""


@pytest.mark.parametrize(
    "kind", ["committed", "pinned", "edited", "staged", "untracked", "ignored"]
)
def test_a_list_that_is_not_committed(clone: Cli, kind: str) -> None:
    """People of a list that only this machine has are told of like a spec that nobody else has."""
    contacts = Path("batches/contacts/z.csv")
    contacts.parent.mkdir()
    contacts.write_text(f"phone_number,callee_name\n{NUMBERS[9]},{NAME}\n", encoding="utf-8")
    Path("batches/n.yaml").write_text(LISTED, encoding="utf-8")
    if kind == "pinned":  # and in no commit: what is reviewed is its pin
        assert clone.run("pin", "batches/n.yaml") == 0
    if kind in {"ignored", "pinned"}:
        Path(".gitignore").write_text("contacts/\n", encoding="utf-8")
    git("add", *(["batches/n.yaml"] if kind == "untracked" else ["."]))
    git("commit", "--quiet", "--message", "A list")
    git("push", "--quiet", "origin", "main")
    if kind in {"edited", "staged"}:
        contacts.write_text(f"{contacts.read_text('utf-8')}{NUMBERS[10]},{NAME}\n", "utf-8")
    if kind == "staged":
        git("add", ".")
    assert clone.run("apply", "--state", "git", "--yes") == 0
    said = [line for line in clone.stderr.splitlines() if line.startswith("warning: ")]
    warning = (
        "warning: batches/contacts/z.csv is not as the commit has it; what is created from it is "
        "what only you can see"
    )
    reviewed = kind in {"committed", "pinned"}
    assert said == ([] if reviewed else [warning])
    git("fetch", "--quiet", "origin")
    recorded = git("show", "origin/main:batches/state.json")
    assert recorded.count('"commit": ') == (2 if reviewed else 1)


def test_no_remote_yet(account: Cli, write: Callable[..., Path]) -> None:
    """A repository without any remote is told how to get one, or to do without."""
    write()
    git("init", "--quiet", "--initial-branch=main", ".")
    hint = "hint: git remote add origin URL; or, on one machine: --state file\n"
    for command in (["plan"], ["apply", "--yes"], ["state", "list"]):
        assert account.run(*command, "--state", "git") == 1
        assert account.stderr.startswith("error: no remote yet")
        assert account.stderr.endswith(hint)
    git("init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    address = f"{Path.cwd()}/remote.git"
    assert account.run("plan", "--state", "git", "--state-remote", address) == 0
    git("remote", "add", "elsewhere", address)
    assert account.run("plan", "--state", "git") == 1
    assert "name the remote with --state-remote" in account.stderr


def test_not_in_a_repository(account: Cli, write: Callable[..., Path]) -> None:
    """State in git needs a repository, and says so."""
    write()
    assert account.run("plan", "--state", "git") == 1
    assert "not a git repository" in account.stderr
    assert account.stderr.endswith("hint: run inside a clone, or use --state file\n")
