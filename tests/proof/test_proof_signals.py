"""Signals, and deaths at the worst moment: while a create is in flight."""

from __future__ import annotations

import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.proof.world import KILLED, SETTLED

if TYPE_CHECKING:
    from tests.proof.world import World

SIGNALS = [signal.SIGINT, signal.SIGTERM]
GRACE = 7.0
"""Seconds after a signal by which a run has ended, whatever hangs."""


@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("arrives", ["before the next run", "after the next run"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_creates_are_in_flight(
    world: World, when: str, arrives: str, parallelism: int
) -> None:
    """SIGKILL between a create's way there and its way back; the request may arrive much later."""
    gate = world.sandbox.faults.add(operation="create", kind="hold", when=when, times=parallelism)
    run = world.begin(parallelism=parallelism)
    world.sandbox.faults.wait_held(gate, count=parallelism)
    run.kill(signal.SIGKILL)
    assert run.wait().code == KILLED
    world.check_records()
    if arrives == "before the next run":
        world.sandbox.faults.release()
        world.let_arrive()
    else:
        # What the dead run sent is on its way: the next run must not send it again.
        doubted = {name for name in world.names if name in world.state().batches}
        next_run = world.apply(parallelism=4)
        found = when == "after" and len(doubted) == parallelism
        assert next_run.code == (0 if found else 3)
        assert Counter(world.posts()).most_common(1)[0][1] == 1
        world.sandbox.faults.release()
        world.let_arrive()
    world.converge(parallelism=4)
    assert len(world.posts()) == 3
    world.check()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_lets_requests_under_way_end(world: World, number: int) -> None:
    """Nothing new is sent, what is under way is waited for and recorded, the next run goes on."""
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="before")
    run = world.begin(parallelism=1)
    world.sandbox.faults.wait_held(gate)
    run.kill(number)
    run.kill(number)
    world.wait_until_told(run, "nothing more is sent")
    world.sandbox.faults.release()
    ended = run.wait(GRACE)
    assert ended.code == 1
    assert ended.outcomes == {"spec-1": "created", "spec-2": "skipped", "spec-3": "skipped"}
    assert ended.report["interrupted"]
    assert len(world.posts()) == 1
    assert set(world.state().batches) == {"spec-1"}, "what was not sent is not in doubt"
    assert world.converge() == [0]
    world.check()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_and_a_request_that_never_ends(world: World, number: int, when: str) -> None:
    """After a few seconds a run gives up waiting, says what is in doubt, and goes: exit 3."""
    gate = world.sandbox.faults.add(
        operation="create", kind="hold", when=when, match={"name": "spec-1"}
    )
    run = world.begin(parallelism=2)
    world.sandbox.faults.wait_held(gate)
    began = time.monotonic()
    run.kill(number)
    ended = run.wait(GRACE)
    assert time.monotonic() - began < GRACE
    assert ended.code == 3
    assert ended.outcomes["spec-1"] == "unknown"
    assert world.record("spec-1").unknown
    posts = len(world.posts())
    world.sandbox.faults.release()
    world.let_arrive()
    assert len(world.posts()) == posts
    assert world.converge() == [0]
    assert len(world.posts()) == 3
    world.check()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_looking_for_a_lost_batch(world: World, number: int) -> None:
    """Looking ends at once; what was looked for stays in doubt, and the next run finds it."""
    world.sandbox.faults.add(operation="create", kind="close", when="after")
    run = world.begin(parallelism=1, verify_for=60.0)
    gate = world.sandbox.faults.add(operation="list", kind="hold", after=2)
    world.sandbox.faults.wait_held(gate)
    run.kill(number)
    ended = run.wait(GRACE)
    assert ended.code in {1, 3}
    world.check_records()
    world.sandbox.faults.clear()
    assert world.converge() == [0]
    assert len(world.posts()) == 3
    world.check()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_planning(world: World, number: int) -> None:
    """Before anything is begun nothing is recorded either."""
    gate = world.sandbox.faults.add(operation="campaign", kind="hold")
    run = world.begin()
    world.sandbox.faults.wait_held(gate)
    run.kill(number)
    ended = run.wait(GRACE)
    assert ended.code != 0
    assert world.posts() == []
    assert not world.state_file.exists()
    world.sandbox.faults.clear()
    assert world.converge() == [0]
    world.check()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_api_says_not_now(world: World, number: int) -> None:
    """A run that waits for its turn stops waiting; nothing it had not sent is in doubt."""
    storm = world.sandbox.faults.add(
        operation="create", kind="status", code=429, retry_after=0.2, times=None
    )
    run = world.begin(parallelism=1)
    while len(world.posts()) < 1:
        time.sleep(0.002)
    run.kill(number)
    ended = run.wait(GRACE)
    assert ended.code == 1
    assert set(ended.outcomes.values()) <= {"skipped", "rejected"}
    assert world.state().batches == {}
    world.sandbox.faults.remove(storm)
    assert world.converge() == [0]
    world.check()


def test_two_applies_at_once(world: World) -> None:
    """The second is refused at once and changes nothing; a death frees the lock."""
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="before")
    first = world.begin(parallelism=1)
    world.sandbox.faults.wait_held(gate)
    before = world.state_file.read_bytes()
    second = world.apply(settle=0.0)
    assert second.code == 4
    assert "another apply on this machine" in second.err
    assert "wait until it ends" in second.err
    refused = world.resolve("spec-1", "--not-created")
    assert refused.code == 4
    assert world.state_file.read_bytes() == before
    assert len(world.posts()) == 1
    assert world.start("state", "list").wait().code == 0, "reading needs no lock"
    first.kill(signal.SIGKILL)
    assert first.wait().code == KILLED
    world.sandbox.faults.release()
    world.let_arrive()
    # The second request of the dead run was only intended; nobody can know, so it is waited for.
    assert world.converge() == [3, 0]
    assert len(world.posts()) == 3
    world.check()


def test_two_applies_after_each_other(world: World) -> None:
    """The first goes on in peace while a second one is refused, and a third finds nothing to do."""
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="after")
    first = world.begin(parallelism=4)
    world.sandbox.faults.wait_held(gate)
    assert [world.apply(parallelism=4).code for _ in range(3)] == [4, 4, 4]
    world.sandbox.faults.release()
    assert first.wait().code == 0
    assert len(world.posts()) == 3
    world.pass_time(SETTLED)
    world.check()
