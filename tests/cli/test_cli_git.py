"""What the commands say when state lives in git."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


def test_a_checkout_that_is_behind(clone: Cli, write: Callable[..., Path]) -> None:
    """A checkout that the branch has moved past applies nothing, and that is no failure."""
    write("hello", first=5)
    git("add", ".")
    git("commit", "--quiet", "--message", "Another spec")
    git("push", "--quiet", "origin", "main")
    git("checkout", "--quiet", "-B", "main", "HEAD~1")
    assert clone.run("apply", "--state", "git", "--yes") == 0
    assert "superseded" in clone.stderr
    clone.said("git_superseded")


def test_not_in_a_repository(account: Cli, write: Callable[..., Path]) -> None:
    """State in git needs a repository, and says so."""
    write()
    assert account.run("plan", "--state", "git") == 1
    assert "not a git repository" in account.stderr
    assert account.stderr.endswith("hint: run inside a clone, or use --state file\n")
