"""A pause that shows later than it is answered: waited for, and not for ever."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconciler.apply import preparing
from reconciler.apply.preparing import NotPrepared, Preparation, Prepared
from reconciler.apply.report import Ending
from tests.apply.doubles import ManualClock, World
from tests.core.builders import spec

if TYPE_CHECKING:
    from reconciler.observed import Batch

SPEC = spec()
CHANGED = spec(concurrency_limit=3)


class Ticking(ManualClock):
    """A clock on which every look takes a second."""

    def elapsed(self) -> float:
        """Give seconds since an arbitrary point."""
        self.pass_by(1)
        return super().elapsed()


def prepared(
    monkeypatch: pytest.MonkeyPatch, *, looks: int, drain: float
) -> tuple[object, list[str]]:
    """Prepare a changed spec whose batch shows its pause after so many looks, and count reads."""
    monkeypatch.setattr(preparing, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(preparing, "_LONGEST_PAUSE", 0.0)
    world = World()
    world.apply(SPEC)
    (made,) = world.api.batches
    world.api.batches[made] = replace(world.api.batches[made], status="in_progress")
    (action,) = world.plan(CHANGED).pending
    read = world.api.batch
    left = [looks]

    def slowly(batch_id: str) -> Batch | None:
        found = read(batch_id)
        if found is not None and found.status == "paused" and left[0]:
            left[0] -= 1
            return replace(found, status="in_progress")
        return found

    monkeypatch.setattr(world.api, "batch", slowly)
    world.api.gets.clear()
    told: queue.SimpleQueue[object] = queue.SimpleQueue()
    end = Preparation(
        action=action,
        record=world.store.last.batches["welcome"],
        api=world.api,
        clock=Ticking(),
        stop=threading.Event(),
        drain=drain,
        timezones={},
        tell=told.put,
    ).run()
    return end, world.api.gets


@pytest.mark.parametrize("looks", [0, 1, 2, 40])
def test_a_pause_that_shows_late_is_waited_for(monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    """Nothing is read of who was called before the batch has stopped calling."""
    end, gets = prepared(monkeypatch, looks=looks, drain=300)
    assert isinstance(end, Prepared)
    assert end.share.to_call == 2
    assert len(gets) >= looks


def test_a_pause_that_never_shows_fails_the_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old batch may still call, so there is no new one beside it."""
    end, gets = prepared(monkeypatch, looks=1_000, drain=0)
    assert isinstance(end, NotPrepared)
    assert end.ending is Ending.FAILED
    assert "the pause takes long" in end.message
    assert len(gets) < 20


def test_a_batch_that_began_before_its_cancel_ends_its_calls_first() -> None:
    """Whoever is being dialled then would read as skipped on our account, and be called again."""
    world = World()
    world.apply(SPEC)
    (made,) = world.api.batches
    (action,) = world.plan(CHANGED).pending
    one, *others = world.api.people[made]
    world.api.people[made] = (replace(one, status="in_progress"), *others)
    seen: list[str] = []
    read, cancel = world.api.batch_contacts, world.api.cancel

    def rings_twice(batch_id: str, *, status: str | None = None) -> object:
        found = read(batch_id, status=status)
        if status is not None and found and len(seen) < 2:
            seen.append(status)
        elif len(seen) == 2:
            people = world.api.people[made]
            world.api.people[made] = (replace(people[0], status="completed"), *people[1:])
            found = read(batch_id, status=status)
        return found

    def cancelled(batch_id: str) -> None:
        assert all(each.status != "in_progress" for each in world.api.people[batch_id])
        assert world.api.controls == [("pause", batch_id)]
        cancel(batch_id)

    world.api.batch_contacts = rings_twice  # type: ignore[method-assign,assignment]  # a double of a double
    world.api.cancel = cancelled  # type: ignore[method-assign]  # a double of a double
    told: queue.SimpleQueue[object] = queue.SimpleQueue()
    end = Preparation(
        action=action,
        record=world.store.last.batches["welcome"],
        api=world.api,
        clock=Ticking(),
        stop=threading.Event(),
        drain=300,
        timezones={},
        tell=told.put,
        cancel_first=frozenset({made}),
    ).run()
    assert isinstance(end, Prepared)
    assert world.api.batches[made].status == "cancelled"
    assert end.share.to_call == 1
