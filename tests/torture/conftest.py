"""Worlds to torture, and the options by which a schedule is repeated.

    TORTURE=whole pytest tests/torture         every schedule (also: make torture)
    pytest tests/torture --torture-seed=7      the schedule that is drawn from this seed, only

Without them a slice runs: which one is drawn from the seed that each failure tells.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.torture.gitworld import GitRuns, GitWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the seed."""
    parser.addoption("--torture-seed", type=int, help="Repeat the schedule drawn from this seed.")


@pytest.fixture(scope="session")
def torture_runs() -> Iterator[GitRuns]:
    """Give the fork server of this test process."""
    server = GitRuns()
    yield server
    server.close()


@pytest.fixture
def make_torture_world(torture_runs: GitRuns, tmp_path: Path) -> Iterator[Callable[[], GitWorld]]:
    """Give a maker of worlds, each of which ends when the next is made."""
    made: list[GitWorld] = []

    def maker() -> GitWorld:
        while made:
            made.pop().close()
        made.append(GitWorld(torture_runs, tmp_path / "world"))
        return made[0]

    yield maker
    for world in made:
        world.close()


@pytest.fixture
def torture_seed(request: pytest.FixtureRequest) -> int:
    """Give the seed of this run."""
    given: int | None = request.config.getoption("--torture-seed", default=None)
    if given is not None:
        return given
    return int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(10**6))
