"""The promises, under outcomes that hypothesis chooses: the vendor, the network and the disk."""

from __future__ import annotations

import contextlib
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.apply.engine import Limits
from reconciler.errors import StateError
from tests.apply.doubles import BUSY, CRASH, CREATED, DOWN, LOST, NEVER, REFUSED, World
from tests.core.builders import spec

STEPS = [CREATED, LOST, NEVER, REFUSED, BUSY, DOWN, CRASH]
NAMES = "abcde"
RUNS = 4

chosen = settings(
    max_examples=60,
    deadline=None,
    # The fixture keeps the verifier from waiting, and is the same for every example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
scripts = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(STEPS), max_size=4), max_size=len(NAMES)
)


def attempt(world: World) -> None:
    """Run once; a store that fails ends the run, and the next one goes on."""
    each = [spec(name, i) for i, name in enumerate(NAMES)]
    with contextlib.suppress(StateError):
        world.engine(world.plan(*each)).run()
    world.check()


def live_by_key(world: World) -> Counter[str | None]:
    """Count the batches that call people, by key."""
    return Counter(batch.key for batch in world.api.live())


@chosen
@given(
    script=scripts,
    parallelism=st.integers(1, 5),
    chunk=st.none() | st.integers(1, 5),
    failures=st.sets(st.integers(0, 8), max_size=3),
    settled=st.lists(st.booleans(), min_size=RUNS, max_size=RUNS),
)
def test_whatever_happens_each_is_created_once_and_none_is_lost(
    script: dict[str, list[str]],
    parallelism: int,
    chunk: int | None,
    failures: set[int],
    settled: list[bool],
) -> None:
    """No POST without its stored intent, one batch a spec in the end, and every id recorded."""
    world = World(None, **script)
    world.limits = Limits(parallelism=parallelism, chunk=chunk, verify_for=0.0)
    world.store._fails = {n: StateError("the disk is full") for n in failures}
    for wait in settled:
        attempt(world)
        assert max(live_by_key(world).values(), default=0) <= 1
        world.clock.pass_by(700 if wait else 1)
    world.api.script.clear()
    world.store._fails.clear()
    for _ in range(2):
        world.clock.pass_by(700)
        attempt(world)
    assert sorted(live_by_key(world).values()) == [1] * len(NAMES)
    assert world.recorded_ids() == set(world.api.batches)
    assert not any(record.in_doubt for _, _, record in world.store.last.requests())
    assert world.plan(*(spec(name, i) for i, name in enumerate(NAMES))).pending == ()


@chosen
@given(
    arrives=st.lists(st.integers(0, 12), min_size=3, max_size=3),
    again=st.lists(st.sampled_from([CREATED, LOST, NEVER]), max_size=3),
)
def test_a_request_that_arrives_late_calls_nobody_twice_for_long(
    arrives: list[int], again: list[str]
) -> None:
    """A given-up request that arrives within a day is found, and one of the two is cancelled."""
    world = World(a=[LOST], b=[LOST], c=[LOST])
    for name in "abc":
        world.api.script[name] += again
    for i, listings in enumerate(arrives):
        world.api.hidden[f"bat_{i + 1}"] = listings
    each = [spec(name, i) for i, name in enumerate("abc")]
    for _ in range(30):
        world.clock.pass_by(700)
        world.apply(*each)
    assert sorted(live_by_key(world).values()) == [1, 1, 1]
    assert world.recorded_ids() == set(world.api.batches)
    kept = {b.batch_id for b in world.api.live()}
    recorded = {r.batch_id for _, _, r in world.store.last.requests()}
    assert kept == recorded


@chosen
@given(script=scripts, stop_at=st.integers(0, 6), parallelism=st.integers(1, 3))
def test_a_signal_at_any_request_loses_nothing(
    script: dict[str, list[str]], stop_at: int, parallelism: int
) -> None:
    """Whenever the signal comes, what was sent is recorded and the rest is untouched."""
    world = World(None, **script)
    world.limits = Limits(parallelism=parallelism)

    def count(_key: str) -> None:
        if len(world.api.creates) >= stop_at:
            world.stop.set()

    world.before_create = count
    attempt(world)
    known = {r.key for _, _, r in world.store.last.requests()}
    assert {batch.key for batch in world.api.batches.values()} <= known
    assert known <= set(world.api.creates)
    world.stop.clear()
    world.before_create = lambda _key: None
    world.api.script.clear()
    for _ in range(2):
        world.clock.pass_by(700)
        attempt(world)
    assert sorted(live_by_key(world).values()) == [1] * len(NAMES)


@chosen
@given(order=st.permutations(NAMES), script=scripts)
def test_a_rename_at_any_time_calls_nobody_twice(
    order: list[str], script: dict[str, list[str]]
) -> None:
    """Every spec gets a new name while some are in doubt: still one batch each, at most."""
    world = World(None, **script)
    attempt(world)
    world.api.script.clear()
    renamed = [spec(f"new-{name}", i) for i, name in enumerate(NAMES)]
    for _ in range(3):
        world.clock.pass_by(700)
        world.engine(world.plan(*(renamed[NAMES.index(name)] for name in order))).run()
        world.check()
    digests = Counter(batch.digest for batch in world.api.live())
    assert max(digests.values(), default=0) <= 1
    assert replace(world.store.last).batch_ids().keys() >= {b.batch_id for b in world.api.live()}
