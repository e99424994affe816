"""Signs of life while the API is slow to say what exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cli import progress

if TYPE_CHECKING:
    import pytest

    from tests.hand.conftest import Bench


def test_what_is_waited_for_is_told() -> None:
    """While calls drain, a line says whose and for how long; beside requests if there are any."""
    april = "april: 2 calls still in flight, 180 s at most"
    assert progress._status(0, 1, 0, 0, [april]) == april
    assert progress._status(1, 3, 1, 0, [april]) == f"1 of 3 requests done, 1 under way; {april}"
    told = progress._status(0, 5, 0, 0, ["a", "b", "c", "d", "e"])
    assert told == "0 of 5 requests done; a; b; c; and 2 more that wait for calls in flight"


def test_planning_shows_that_it_is_alive(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that takes its time is waited for, and the waiting is told."""
    monkeypatch.setattr(progress, "HEARTBEAT", 0.05)
    bench.sandbox.faults.add(operation="campaign", kind="slow", seconds=0.4)
    status, said = bench.run("plan")
    assert status == 0
    assert "... asking the API what exists" in said
