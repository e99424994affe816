"""Worlds for the brake and for stops by hand: runs against a real API, which can be held."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.proof.world import Runs, World, in_memory
from tests.torture.gitworld import GitRuns, GitWorld

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(runs: Runs) -> Iterator[World]:
    """Give a world of three specs with state in a file."""
    with in_memory() as top:
        made = World(runs, Path(top) / "world")
        yield made
        made.close()


@pytest.fixture
def git_world(git_runs: GitRuns, tmp_path: Path) -> Iterator[GitWorld]:
    """Give a world of four specs with state in git, recorded two at a time."""
    made = GitWorld(git_runs, tmp_path / "world", 4)
    yield made
    made.close()
