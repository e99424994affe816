"""Worlds with state in git, see `tests.torture.gitworld`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.state import git_store
from tests.torture.gitworld import GitRuns, GitWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_git_world(git_runs: GitRuns, tmp_path: Path) -> Iterator[Callable[..., GitWorld]]:
    """Give a maker of worlds; all end with the test."""
    made: list[GitWorld] = []

    def maker(*arguments: object, **named: object) -> GitWorld:
        world = GitWorld(git_runs, tmp_path / f"world-{len(made)}", *arguments, **named)  # type: ignore[arg-type] # passed on as given
        made.append(world)
        return world

    yield maker
    for world in made:
        world.close()


@pytest.fixture
def git_world(make_git_world: Callable[..., GitWorld]) -> GitWorld:
    """Give a world of three specs and chunks of two."""
    return make_git_world()


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch, git_world: GitWorld) -> None:
    """Let nothing of the user's git settings count, and no time be waited."""
    for name, value in git_world.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("GITHUB_REF_TYPE", "GITHUB_REF_NAME", "GITHUB_BASE_REF"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(git_store, "_pause", lambda _: None)
