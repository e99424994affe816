"""Worlds to torture, and the options by which a schedule is repeated.

    TORTURE=whole pytest tests/torture                 every schedule (also: make torture)
    pytest tests/torture --torture-seed=7 -k row       the life that is drawn from this seed, only
    TORTURE_SEED=7 pytest tests/torture                the slice of this seed

Without them a slice runs, and each failure tells its seed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.torture.gitworld import GitRuns, GitWorld
from tests.torture.schedules import WHOLE, Played, Schedule, play

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

Maker = Callable[[], GitWorld]

SEED = int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(10**6))
collect_ignore = [] if WHOLE else ["test_torture_whole.py"]


class Judge(Protocol):
    """Plays a schedule in a world of its own."""

    def __call__(self, schedule: Schedule, *, content: bool = True) -> Played:
        """Play it; a failure says which one it was."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the seed."""
    parser.addoption("--torture-seed", type=int, help="Repeat the schedule drawn from this seed.")


@pytest.fixture
def make_torture_world(git_runs: GitRuns, tmp_path: Path) -> Iterator[Maker]:
    """Give a maker of worlds, each of which ends when the next is made."""
    made: list[GitWorld] = []

    def maker() -> GitWorld:
        while made:
            made.pop().close()
        made.append(GitWorld(git_runs, tmp_path / "world"))
        return made[0]

    yield maker
    for world in made:
        world.close()


@pytest.fixture
def judge(make_torture_world: Maker, record_property: Callable[[str, object], None]) -> Judge:
    """Give a judge of schedules, who counts them."""

    def judged(schedule: Schedule, *, content: bool = True) -> Played:
        record_property("schedule", 1)
        try:
            return play(make_torture_world(), schedule, content=content)
        except AssertionError as error:
            error.add_note(f"schedule: {schedule}")
            raise

    return judged


@pytest.fixture
def torture_seed(request: pytest.FixtureRequest) -> int:
    """Give the seed of this run."""
    given: int | None = request.config.getoption("--torture-seed", default=None)
    if given is not None:
        return given
    return SEED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say with each failure how to repeat it."""
    report = yield
    if report.failed:
        command = f"TORTURE_SEED={SEED} pytest {item.nodeid!r}"
        report.sections.append(("how to repeat this", command))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many schedules were played."""
    reports = (
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
    )
    played = sum(name == "schedule" for r in reports for name, _ in r.user_properties)
    if WHOLE and played:
        terminalreporter.write_line(f"tortured: {played} schedules")
