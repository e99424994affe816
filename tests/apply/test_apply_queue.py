"""Requests that are recorded and wait for a sender: what may keep them from being sent."""

from __future__ import annotations

import queue
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.apply.engine import Limits
from reconciler.apply.replacing import Replacer
from reconciler.apply.sending import Cancelled, Job, NotSent, Posted, Workers
from reconciler.errors import ApiError, ExitCode, StateError
from reconciler.observed import Batch, BatchContact
from tests.apply.doubles import BUSY, CREATED, DOWN, MemoryStore, World, endings
from tests.core.builders import CAMPAIGN, NOW, recorded, spec, state

if TYPE_CHECKING:
    from reconciler.apply.engine import Engine
    from reconciler.apply.preparing import Preparation
    from reconciler.apply.sending import Event
    from reconciler.plan.actions import Action
    from reconciler.state.document import State

MANY = [f"s{number:03}" for number in range(70)]
WIDE = 64
"""As wide as the window becomes with four senders, where storing takes long."""


def wide(world: World, start: str | None = None) -> Engine:
    """Give an engine that is about to create many, and hands out as many as it ever does."""
    specs = (spec(name, number, scheduled_start=start) for number, name in enumerate(MANY))
    engine = world.engine(world.plan(*specs))
    engine._window.size = WIDE
    return engine


def jobs(engine: Engine) -> list[Job]:
    """Give all that is to be created, recorded, to be handed to the senders by hand."""
    made = []
    for action in engine._plan.pending:
        job = Job(action, action.creations[0], engine._recorder.place(action, 1))
        engine._recorder.intend(job.place, job.creation)
        job.intended_at = engine._clock.elapsed()
        made.append(job)
    engine._recorder.store()
    return made


def next_event(engine: Engine) -> Event:
    """Wait for what comes back next."""
    return queue.SimpleQueue.get(engine._events, timeout=10)


def test_after_a_store_that_failed_nothing_is_sent_that_is_not_under_way() -> None:
    """Not even what is recorded already: its id could not be."""
    world = World()
    world.limits = Limits(parallelism=4)
    full = StateError("No space left on device")
    world.store = MemoryStore(world.store.last, dict.fromkeys(range(1, 1_000), full))
    engine = wide(world)
    said = threading.Event()
    say, first = world.told.say, [True]

    def heard(line: str) -> None:
        say(line)
        said.set()

    def wait(_key: str) -> None:
        if not first or not first.pop():
            said.wait(10)

    world.told.say = heard  # type: ignore[method-assign]  # only listened to
    world.before_create = wait
    with pytest.raises(StateError, match="No space left"):
        engine.run()
    assert len(world.api.creates) == 4
    assert world.told.lines == ["No space left on device; nothing more is sent"]


def test_a_start_that_passes_in_the_queue_is_not_created() -> None:
    """Created after its start, a batch would call at once."""
    world = World()
    world.limits = Limits(parallelism=1)
    start = NOW + timedelta(seconds=30)
    sent = []

    def take_four_seconds(_key: str) -> None:
        sent.append(world.clock.now())
        world.clock.pass_by(4.0)

    world.before_create = take_four_seconds
    report = wide(world, f"{start:%Y-%m-%dT%H:%M:%S}Z").run()
    assert max(sent) < start
    assert report.counts()["created"] == len(sent) == 8
    assert report.counts()["rejected"] == len(MANY) - len(sent)


def test_a_cancel_does_not_wait_behind_creates() -> None:
    """A second batch is cancelled at once: it is calling people."""
    world = World()
    world.limits = Limits(parallelism=1)
    engine = world.engine(world.plan(*(spec(name, n) for n, name in enumerate("abc"))))
    begun, go_on = threading.Event(), threading.Event()

    def hold(_key: str) -> None:
        begun.set()
        assert go_on.wait(10)

    world.before_create = hold
    world.api.put(Batch("bat_second", CAMPAIGN, "in_progress"))
    mine = jobs(engine)
    for job in mine:
        engine._workers.post(job)
    assert begun.wait(10)
    engine._workers.cancel(mine[0].place, "bat_second")
    go_on.set()
    assert [type(next_event(engine)) for _ in range(4)] == [Posted, Cancelled, Posted, Posted]


def test_one_that_is_told_not_now_closes_for_all_until_that_is_taken_in() -> None:
    """What another sender's request came to does not open again."""
    world = World(a=[BUSY, CREATED])
    engine = world.engine(world.plan(*(spec(name, n) for n, name in enumerate("abc"))))
    workers, (a, b, c) = engine._workers, jobs(engine)
    workers.post(a)
    assert isinstance(next_event(engine), Posted)
    workers.taken_in(b, 0.0)
    workers.post(c)
    assert next_event(engine) == NotSent(c)
    workers.taken_in(a, world.clock.elapsed() + 5)
    workers.post(c)
    assert next_event(engine) == NotSent(c)
    world.clock.pass_by(5)
    workers.post(c)
    assert isinstance(next_event(engine), Posted)


def test_a_store_that_takes_longer_than_the_lease_comes_to_an_end() -> None:
    """It is tried a few times, and then said; it is certain that nothing was created."""

    class Slow(MemoryStore):
        def save(self, state: State, *, touched: frozenset[str], why: str) -> State:
            world.clock.pass_by(6.0)
            return super().save(state, touched=touched, why=why)

    world = World()
    world.store = Slow(world.store.last)
    world.limits = Limits(parallelism=4, chunk=8, lease=5.0)
    report = world.apply(spec())
    assert world.api.creates == []
    assert world.store.last.batches == {}
    assert report.exit_code is ExitCode.FAILED
    assert "storing takes longer than the lease" in report.results[0].message
    assert "--lease" in report.results[0].hint


@pytest.mark.parametrize("asked", [None, 5.0, 90.0])
def test_an_api_that_is_busy_for_good_ends_the_run(asked: float | None) -> None:
    """After a minute, for however many requests, which all are told; what was not sent, of that."""
    world = World(None, **{name: [BUSY] * 1_000 for name in MANY})
    world.limits = Limits(parallelism=4)
    world.api.retry_after = asked
    began = world.clock.elapsed()
    report = wide(world).run()
    assert world.clock.elapsed() - began <= 65
    assert report.counts()["rejected"] == len(MANY)
    assert report.exit_code is ExitCode.FAILED
    assert world.store.last.batches == {}
    unsent = [each for each in report.results if each.message.startswith("not sent")]
    assert len(unsent) >= len(MANY) - len(world.api.creates)
    assert len(world.api.creates) <= (4 if asked == 90.0 else 60)


def test_a_busy_api_that_takes_one_now_and_then_is_waited_for() -> None:
    """However long that is: each one that is taken begins the minute anew."""
    world = World(None, **{name: [BUSY, BUSY, CREATED] for name in MANY[:30]})
    world.limits = Limits(parallelism=1)
    world.api.retry_after = 20.0
    began = world.clock.elapsed()
    report = world.apply(*(spec(name, number) for number, name in enumerate(MANY[:30])))
    assert report.counts()["created"] == 30
    assert world.clock.elapsed() - began > 600


def test_a_not_now_that_was_a_yes_is_found_when_the_run_gives_up() -> None:
    """Both of those that wait are looked for; one of them had been created all the same."""
    world = World(a=["lie"] + [BUSY] * 1_000, b=[BUSY] * 1_000)
    world.limits = Limits(parallelism=2)
    report = world.apply(spec("a", 1), spec("b", 2))
    assert endings(report) == {"a create": "created", "b create": "rejected"}
    assert world.recorded_ids() == set(world.api.batches)
    assert set(world.store.last.batches) == {"a"}


def test_a_part_that_may_exist_is_on_record_before_another_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the old batches would be resumed beside it: nobody stops them for a part unheard of."""
    world = World()
    engine = world.engine(world.plan(spec("a", parts=2)))
    (action,) = engine._plan.pending
    unsent, refused = (
        Job(action, creation, engine._recorder.place(action, creation.request.part))
        for creation in action.creations
    )
    refused.refused = 1
    engine._desk.ready.extend([unsent, refused])
    standing: list[set[int]] = []

    def noted(_: Replacer, __: Action, ___: int) -> None:
        standing.append({request.part for _, _, request in engine._recorder.state.requests()})

    monkeypatch.setattr(Replacer, "fell_through", noted)
    engine._reactions.turn_down_the_rest()
    assert standing == [{2}]


def test_a_wide_window_begins_no_more_changed_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them pauses batches, and reads everybody in them on a thread of its own."""
    old = [spec(name, number) for number, name in enumerate(MANY)]
    world = World(state(**{each.name: recorded(of=each) for each in old}))
    hours_ago = NOW - timedelta(hours=5)
    for name in MANY:
        batch = Batch(f"bat_{name}_1_1", "cmp_a", "in_progress", 2, hours_ago)
        world.api.put(batch)
    world.limits = Limits(parallelism=4)
    plan = world.plan(*(spec(name, 1_000 + number) for number, name in enumerate(MANY)))
    engine = world.engine(plan)
    engine._window.size = WIDE
    begun: list[Preparation] = []
    monkeypatch.setattr(Workers, "prepare", lambda _, preparation: begun.append(preparation))
    for action in plan.pending:
        engine._dispatch(action)
    engine._turn()
    assert len(begun) == 8


def test_who_waited_until_the_old_batch_is_about_to_start_is_not_created() -> None:
    """It cannot be paused, and whom it calls by then would be called again."""
    start = NOW + timedelta(minutes=11)
    old = spec("zz", 1, scheduled_start=f"{start:%Y-%m-%dT%H:%M:%S}Z")
    world = World(state(zz=recorded(of=old)))
    world.api.put(Batch("bat_zz_1_1", "cmp_a", "pending", 2, NOW - timedelta(hours=5)))
    numbers = [contact["phone_number"] for contact in old.requests[0].contacts]
    world.api.people["bat_zz_1_1"] = tuple(BatchContact(n, n, "pending") for n in numbers)

    def refuse(batch_id: str) -> None:
        raise ApiError(f"{batch_id} is pending and cannot be paused")

    world.api.pause = refuse  # type: ignore[method-assign]  # a test's own API
    world.limits = Limits(parallelism=1)
    others = [spec(name, number + 10) for number, name in enumerate(MANY[:10])]
    engine = world.engine(world.plan(*others, spec("zz", 2)))

    def take_a_minute(_key: str) -> None:
        while engine._replacing.waiting:  # it is read and prepared before any time passes
            time.sleep(0.001)
        world.clock.pass_by(60)

    world.before_create = take_a_minute
    report = engine.run()
    assert endings(report)["zz replace"] == "rejected"
    assert report.counts()["created"] == 10
    assert world.api.cancels == []
    assert world.store.last.batches["zz"].replacing is None
    said = next(each.message for each in report.results if each.action.name == "zz")
    assert "was about to start" in said


def test_the_loop_sleeps_while_a_chunk_is_under_way_and_a_retry_is_due() -> None:
    """A retry must wait for the rest of the chunk; nobody looks for it again and again."""
    world = World(a=[DOWN, CREATED])
    world.limits = Limits(parallelism=2, chunk=8)
    engine = world.engine(world.plan(spec("a", 1), spec("b", 2)))
    slow = next(each for each in engine._plan.pending if each.name == "b").creations[0].key
    waits: list[float | None] = []
    get = engine._events.get

    def noted(block: bool = True, timeout: float | None = None) -> Event:  # noqa: FBT001, FBT002 - the base class's signature
        waits.append(timeout)
        return get(block, timeout)

    def hang(key: str) -> None:
        while key == slow and len(waits) < 20:
            time.sleep(0.001)

    engine._events.get = noted  # type: ignore[method-assign]  # only listened to
    world.before_create = hang
    engine.run()
    assert waits.count(0.0) <= 1
    assert world.recorded_ids() == {"bat_1", "bat_2"}
