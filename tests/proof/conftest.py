"""Worlds for the proof. See `world` for what they are, `killed_apply` for how runs are killed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.proof.world import SEED, SLICE, Runs, World, in_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator


@pytest.fixture
def make_world(runs: Runs) -> Iterator[Callable[..., World]]:
    """Give a maker of worlds, one at a time: each ends with the next one, or with the test."""
    with in_memory() as top:
        made: list[World] = []

        def maker(specs: int = 3) -> World:
            while made:
                made.pop().close()
            made.append(World(runs, Path(top) / "world", specs))
            return made[-1]

        yield maker
        for world in made:
            world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Give a world of three specs."""
    return make_world()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with each failure how to repeat it."""
    report = yield
    if report.failed:
        same = f"PROOF_SEED={SEED} PROOF_SLICE={SLICE}"
        report.sections.append(("how to repeat this", f"{same} pytest {item.nodeid!r}"))
    return report
