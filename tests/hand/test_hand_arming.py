"""`arm_delay`: created minutes ahead, so that a duplicate or a mistake is cancelled unheard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.hand.conftest import Bench


@pytest.fixture(autouse=True)
def armed(bench: Bench) -> None:
    """Set the delay."""
    (bench.root / "reconciler.yaml").write_text("arm_delay: 2m\n")


def test_a_batch_without_a_start_waits(bench: Bench) -> None:
    """No phone rings before the delay is over, and then it does."""
    assert bench.run("apply", "--yes")[0] == 0
    assert [batch.status for batch in bench.sandbox.batches()] == ["pending"]
    bench.sandbox.advance(90)
    assert bench.sandbox.dials() == []
    bench.sandbox.advance(86_400)
    assert bench.sandbox.dials()


def test_the_plan_says_so(bench: Bench) -> None:
    """Who agrees to a plan sees that there is time to cancel."""
    assert "2 min after its creation (armed" in bench.run("plan")[1]
    action = json.loads(bench.run("plan", "--format", "json")[1])["actions"][0]
    assert action["arm_delay"] == 120


def test_a_request_that_something_sent_twice_rings_nobody_twice(bench: Bench) -> None:
    """The second batch of the key is seen and cancelled before the start passes."""
    bench.sandbox.faults.add({"operation": "create", "kind": "doubled"})
    status, said = bench.run("apply", "--yes")
    assert status == 0
    assert "second" in said
    statuses = sorted(batch.status for batch in bench.sandbox.batches())
    assert statuses == ["cancelled", "pending"]
    bench.sandbox.advance(86_400)
    assert len({dial.batch_id for dial in bench.sandbox.dials()}) == 1


def test_the_delay_is_no_part_of_the_contents(bench: Bench) -> None:
    """Changing the setting changes no spec."""
    bench.run("apply", "--yes")
    (bench.root / "reconciler.yaml").write_text("arm_delay: 30m\n")
    assert json.loads(bench.run("plan", "--format", "json")[1])["actions"] == []
    (bench.root / "reconciler.yaml").unlink()
    assert json.loads(bench.run("plan", "--format", "json")[1])["actions"] == []


def test_a_start_that_is_written_down_is_kept(bench: Bench) -> None:
    """The delay is for batches that would call at once."""
    spec = bench.root / "welcome.yaml"
    spec.write_text(spec.read_text() + "scheduled_start: 2035-01-01T09:00:00Z\n")
    bench.run("apply", "--yes")
    action = json.loads(bench.run("plan", "--format", "json")[1])
    assert action["actions"] == []
    bench.sandbox.advance(3600)
    assert [batch.status for batch in bench.sandbox.batches()] == ["pending"]
