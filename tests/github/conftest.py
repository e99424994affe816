"""Repositories on GitHub, see `tests.github.world`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.github.double import GitHubDouble
from tests.github.world import Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_hub(tmp_path: Path) -> Iterator[Callable[..., Hub]]:
    """Give a maker of repositories; all end with the test."""
    made: list[Hub] = []

    def maker(**how: object) -> Hub:
        hub = Hub(tmp_path / f"hub-{len(made)}", **how)  # type: ignore[arg-type] # passed on as given
        made.append(hub)
        return hub

    yield maker
    for hub in made:
        hub.close()


@pytest.fixture
def hub(make_hub: Callable[..., Hub]) -> Hub:
    """Give a repository without specs."""
    return make_hub()


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    """Give GitHub's API alone."""
    running = GitHubDouble()
    yield running
    running.close()
