"""How much is recorded at once: little, and more where storing keeps the senders waiting."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.apply.engine import Engine, Limits
from reconciler.apply.window import Window
from tests.apply.doubles import MemoryStore, World
from tests.core.builders import spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.apply.sending import Event
    from reconciler.plan.actions import Plan
    from reconciler.state.document import State

STORES = st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=30)


def width_after(window: Window, stores: Sequence[tuple[float, bool]]) -> int:
    """Give the width after stores of so many seconds, of which some kept everybody waiting."""
    for seconds, ran_dry in stores:
        window.stored(seconds, ran_dry=ran_dry)
    return window.size


@given(st.integers(1, 64), STORES)
def test_a_window_never_shrinks_and_has_an_end(
    parallelism: int, stores: list[tuple[float, bool]]
) -> None:
    """From two for each sender to sixteen."""
    window = Window(parallelism, None)
    widths = [window.size, *(width_after(window, [each]) for each in stores)]
    assert widths == sorted(widths)
    assert widths[0] == 2 * parallelism
    assert widths[-1] <= 16 * parallelism


@given(STORES)
def test_only_slow_stores_that_kept_everybody_waiting_widen_it(
    stores: list[tuple[float, bool]],
) -> None:
    """Neither a quick store nor one beside which there was enough to do."""
    fine = [(seconds, dry) for seconds, dry in stores if not dry or seconds < 0.05]
    assert width_after(Window(4, None), fine) == 8
    assert width_after(Window(4, None), [*fine, (0.5, True)]) == 16


@given(st.integers(1, 64), STORES)
def test_a_chunk_is_what_somebody_set(chunk: int, stores: list[tuple[float, bool]]) -> None:
    """Each push is as large as it says."""
    assert width_after(Window(4, chunk), stores) == chunk


def test_who_waits_for_a_chunk_does_not_keep_looking() -> None:
    """While requests are under way and others must wait, the loop sleeps until something comes."""
    world = World()
    world.limits = Limits(parallelism=2, chunk=10)
    engine = world.engine(world.plan(*(spec(f"s{i:02}", i) for i in range(30))))
    waits: list[float | None] = []
    get = engine._events.get

    def noted(block: bool = True, timeout: float | None = None) -> Event:  # noqa: FBT001, FBT002 - the base class's signature
        waits.append(timeout)
        return get(block, timeout)

    engine._events.get = noted  # type: ignore[method-assign]  # only listened to
    engine.run()
    assert waits
    assert set(waits) == {1.0}


class SlowStore(MemoryStore):
    """Takes a second for a save, in which everything that is under way comes back."""

    def __init__(self, world: World) -> None:
        super().__init__(world.store.last)
        self._clock = world.clock
        self.came_back: Callable[[], int] = lambda: 0

    def save(self, state: State, *, touched: frozenset[str], why: str) -> State:
        """Store a state when nothing is under way any more."""
        open_before = sum(request.in_doubt for _, _, request in self.last.requests())
        done = sum(not request.in_doubt for _, _, request in state.requests())
        learned = done - sum(not request.in_doubt for _, _, request in self.last.requests())
        while self.came_back() < open_before - learned:
            time.sleep(0.001)  # for what is certain to come
        self._clock.pass_by(1.0)
        return super().save(state, touched=touched, why=why)


class SlowWorld(World):
    """A world with such a store."""

    def __init__(self) -> None:
        super().__init__()
        self.store = self.slow = SlowStore(self)

    def engine(self, plan: Plan) -> Engine:
        """Give an engine, whose events the store waits for."""
        engine = super().engine(plan)
        self.slow.came_back = engine._events.qsize
        return engine


@pytest.mark.parametrize(("chunk", "at_most"), [(None, 32), (4, 4)])
def test_where_storing_is_slow_more_is_recorded_at_once(chunk: int | None, at_most: int) -> None:
    """The senders of a large state are kept busy; no more than an end is ever in doubt."""
    world = SlowWorld()
    world.limits = Limits(parallelism=2, chunk=chunk)
    world.apply(*(spec(f"s{i:03}", i) for i in range(120)))
    assert len(set(world.api.creates)) == len(world.api.creates) == len(world.recorded_ids()) == 120
    stores = world.store.saved
    assert max(sum(r.in_doubt for _, _, r in s.requests()) for s in stores) == at_most
    assert (len(stores) < 20) == (chunk is None)
