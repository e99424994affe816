"""Signs of life while the API is slow to say what exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cli import progress

if TYPE_CHECKING:
    import pytest

    from tests.hand.conftest import Bench


def test_planning_shows_that_it_is_alive(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that takes its time is waited for, and the waiting is told."""
    monkeypatch.setattr(progress, "HEARTBEAT", 0.05)
    bench.sandbox.faults.add(operation="campaign", kind="slow", seconds=0.4)
    status, said = bench.run("plan")
    assert status == 0
    assert "... asking the API what exists" in said
