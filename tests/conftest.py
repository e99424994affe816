"""What every test can rely on, however the suite was started."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.proof.world import Runs
    from tests.torture.gitworld import GitRuns


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """Let Ctrl-C reach this process and those that it starts.

    A shell without job control starts what stands before a `&` with SIGINT ignored, and programs
    pass that on to theirs: each test of Ctrl-C would then wait for what is never noticed.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def runs() -> Iterator[Runs]:
    """Give the fork server of this test process, for state in a file."""
    from tests.proof.world import Runs  # noqa: PLC0415 - most tests need none

    server = Runs()
    yield server
    server.close()


@pytest.fixture(scope="session")
def git_runs() -> Iterator[GitRuns]:
    """Give the fork server of this test process, for state in git."""
    from tests.torture.gitworld import GitRuns  # noqa: PLC0415 - as above

    server = GitRuns()
    yield server
    server.close()
