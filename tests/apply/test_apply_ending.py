from __future__ import annotations

import queue
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconciler.apply.engine import Limits
from reconciler.apply.gate import Objection
from reconciler.apply.report import Ending
from reconciler.errors import ExitCode, StateError, StateMoved, StateUnusable, Unrecorded
from tests.apply.doubles import (
    BUSY,
    World,
    endings,
    the_record,
)
from tests.core.builders import (
    NOW,
    created,
    recorded,
    spec,
    state,
)

if TYPE_CHECKING:
    from reconciler.apply.sending import Event
    from reconciler.observed import BatchContact
    from reconciler.state.document import State

SPEC = spec()
HOUR = timedelta(hours=1)


def test_a_run_stopped_before_it_began_sends_nothing() -> None:
    """Everything is skipped, nothing is stored, the exit status says that it is not done."""
    world = World()
    world.stop.set()
    report = world.apply(SPEC)
    assert (endings(report), report.exit_code) == ({"welcome create": "skipped"}, ExitCode.FAILED)
    assert report.interrupted
    assert world.api.creates == []
    assert world.store.last.batches == {}


def test_a_run_stopped_midway_records_what_is_known() -> None:
    """What was sent is recorded, what was not is as if it had never been planned."""
    world = World()
    world.limits = Limits(parallelism=1)
    world.before_create = lambda _key: world.stop.set()
    report = world.apply(*(spec(f"s{i}", i) for i in range(9)))
    assert len(world.api.creates) == 1
    assert report.counts()["created"] == 1
    assert report.counts()["skipped"] == 8
    assert world.recorded_ids() == {"bat_1"}
    assert sum(1 for _ in world.store.last.requests()) == 1


def test_a_request_that_outlives_the_grace_stays_in_doubt() -> None:
    """The run does not wait for ever, and the record says that nobody knows."""
    world = World()
    release = threading.Event()

    def hang(_key: str) -> None:
        world.stop.set()
        release.wait(20)

    world.before_create = hang
    report = world.engine(world.plan(SPEC)).run()
    assert endings(report) == {"welcome create": "unknown"}
    assert report.exit_code is ExitCode.UNKNOWN_OUTCOME
    assert "stopped" in (the_record(world).unknown or "")
    release.set()


def test_a_run_that_is_over_lets_go_of_what_it_leaves_in_doubt() -> None:
    """The next run looks for the batch at once; it creates nothing before the request gave up."""
    world = World()
    world.lease = timedelta(seconds=300)
    release = threading.Event()

    def hang(_key: str) -> None:
        world.stop.set()
        release.wait(20)

    world.before_create = hang
    world.engine(world.plan(SPEC)).run()
    record = the_record(world)
    assert record.expires_at is not None
    assert record.expires_at <= world.clock.now()
    assert record.gives_up_at == record.attempted_at + timedelta(seconds=360)
    world.rules = replace(world.rules, run="the next one", settle=timedelta(0))
    (action,) = world.plan(SPEC).pending
    assert "is creating it" not in action.message
    assert "nothing is created before" in action.message
    release.set()


@pytest.mark.parametrize("status", ["in_progress", "dispatched"])
def test_a_change_that_is_interrupted_says_what_is_paused(status: str) -> None:
    """In the run that paused the old batch, and in one that ended before it went on."""
    world = World()
    world.apply(SPEC)
    people = world.api.people["bat_1"]
    world.api.people["bat_1"] = (replace(people[0], status=status), *people[1:])
    asked = world.api.batch_contacts

    def contacts(batch_id: str, *, status: str | None = None) -> tuple[BatchContact, ...]:
        if status == "in_progress":  # by now it is waited for
            world.stop.set()
        return asked(batch_id, status=status)

    world.api.batch_contacts = contacts  # type: ignore[method-assign]  # asked as the engine asks
    changed = spec(contents=2)
    report = world.apply(changed)
    (result,) = report.results
    assert (result.ending, report.exit_code) == (Ending.INTERRUPTED, ExitCode.FAILED)
    assert result.message.startswith("batch bat_1 is paused for this change, and ")
    assert report.stored
    assert world.told.lines == [
        "welcome: its batch is paused; waiting for 1 call that is in flight, for at most 300 s"
    ]
    (result,) = world.apply(changed).results
    assert result.ending is Ending.INTERRUPTED
    assert result.message.startswith("batch bat_1 is paused for this change, and ")
    frozen = report.halted_by(Objection("everything is frozen", "thaw it")).results[0]
    assert frozen.ending is Ending.BLOCKED
    assert frozen.message.startswith("everything is frozen; batch bat_1 is paused")
    assert report.without_skipped().results == ()


def test_an_answer_that_came_at_the_last_moment_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What lies in the queue when the grace is over is taken in before the run ends."""
    world = World()
    world.limits = Limits(parallelism=1, grace=0.0)
    engine = world.engine(world.plan(SPEC))
    events, held = engine._events, []
    original = events.get

    def late(*, timeout: float) -> Event:
        # The signal comes first, and the answer while the loop is already ending.
        held.append(original(timeout=timeout))
        world.stop.set()
        raise queue.Empty

    def update(**_: object) -> None:
        events.put(held.pop())

    monkeypatch.setattr(events, "get", late)
    monkeypatch.setattr(world.told, "update", update)
    report = engine.run()
    assert endings(report) == {"welcome create": "created"}
    assert world.recorded_ids() == {"bat_1"}


def test_a_retry_is_not_waited_for_after_a_signal() -> None:
    """A request refused for now is skipped once the run is to stop."""
    world = World(welcome=[BUSY])
    world.before_create = lambda _key: world.stop.set()
    report = world.apply(SPEC)
    assert endings(report) == {"welcome create": "skipped"}
    assert world.store.last.batches == {}


def test_an_old_intent_is_renewed_before_anything_is_sent() -> None:
    """A process that slept longer than its lease records a new intent, and then sends once."""
    world = World()
    world.lease = timedelta(seconds=300)
    engine = world.engine(world.plan(SPEC))
    slept: list[bool] = []
    original = world.store.save

    def save(state: State, *, touched: frozenset[str], why: str) -> State:
        stored = original(state, touched=touched, why=why)
        if not slept:
            slept.append(True)
            world.clock.pass_by(301)
        return stored

    world.store.save = save  # type: ignore[method-assign]  # a test's own store
    assert endings(engine.run()) == {"welcome create": "created"}
    intents = [r for s in world.store.saved for _, _, r in s.requests() if r.in_doubt]
    assert [r.attempted_at for r in intents] == [NOW, NOW + timedelta(seconds=301)]
    assert intents[1].expires_at == NOW + timedelta(seconds=601)
    assert len(world.api.creates) == 1
    world.check()


def test_a_request_that_is_late_at_the_last_moment_gets_a_new_intent() -> None:
    """A process that slept after it had looked at all else sends nothing on its old intent."""
    world = World()
    world.lease = timedelta(seconds=300)
    tries: list[str] = []

    def sleepy(key: str, _: dict[str, object]) -> None:
        tries.append(key)
        if len(tries) == 1:
            world.clock.pass_by(301)

    world.api.before_create = sleepy
    assert endings(world.engine(world.plan(SPEC)).run()) == {"welcome create": "created"}
    intents = [r for s in world.store.saved for _, _, r in s.requests() if r.in_doubt]
    assert [r.attempted_at for r in intents] == [NOW, NOW + timedelta(seconds=301)]
    assert (len(tries), len(world.api.creates)) == (2, 1)
    world.check()


def test_a_request_that_is_always_late_comes_to_an_end() -> None:
    """Where connecting takes longer than a lease, no new intent would ever be enough."""
    world = World()
    tries: list[str] = []

    def slow(key: str, _: dict[str, object]) -> None:
        tries.append(key)
        world.clock.pass_by(301)

    world.api.before_create = slow
    (result,) = world.engine(world.plan(SPEC)).run().results
    assert (result.ending.value, result.message) == ("rejected", "its time is over")
    assert len(tries) < 10
    assert world.api.creates == []
    assert world.store.last.batches == {}


def test_what_still_waits_for_a_sender_at_the_end_is_not_in_doubt() -> None:
    """An intent that nobody began to send is taken back, and the senders begin nothing any more."""
    world = World()
    world.limits = Limits(parallelism=1, grace=0.0)
    release = threading.Event()

    def hang(_key: str) -> None:
        world.stop.set()
        release.wait(20)

    world.before_create = hang
    report = world.engine(world.plan(SPEC, spec("other", 2))).run()
    release.set()
    assert sorted(endings(report).values()) == ["skipped", "unknown"]
    (left,) = [r for _, _, r in world.store.last.requests()]
    assert left.in_doubt
    assert "stopped" in (left.unknown or "")


def test_nothing_is_sent_when_an_intent_cannot_be_stored() -> None:
    """The run fails with the store's words, and no phone rings."""
    world = World()
    world.store._fails = dict.fromkeys(range(9), StateError("the disk is full", hint="free some"))
    with pytest.raises(StateError, match="the disk is full") as raised:
        world.apply(SPEC, spec("other", 2))
    assert "free some" in raised.value.hint
    assert world.api.creates == []
    assert len(world.store.saved) == 1


def test_ids_that_cannot_be_stored_are_named() -> None:
    """When outcomes cannot be stored, the error lists every batch that exists."""
    world = World()
    world.limits = Limits(parallelism=1)
    broken = StateUnusable("somebody edited it", hint="look")
    world.store._fails = dict.fromkeys(range(1, 9), broken)
    with pytest.raises(Unrecorded, match="welcome: bat_1") as raised:
        world.apply(SPEC)
    assert raised.value.exit_code is ExitCode.UNKNOWN_OUTCOME
    assert "nothing is created twice" in raised.value.hint
    world.store._fails = {}
    assert endings(world.apply(SPEC)) == {"welcome adopt": "created"}
    assert len(world.api.creates) == 1


def test_a_store_that_recovers_ends_the_run_in_peace() -> None:
    """What was not sent is skipped, what was sent is recorded."""
    world = World()
    world.limits = Limits(parallelism=1)
    world.store._fails = {1: StateError("a hiccup")}
    report = world.apply(*(spec(f"s{i}", i) for i in range(6)))
    assert report.exit_code is ExitCode.FAILED
    assert report.counts()["skipped"] == 6 - len(world.api.creates)
    assert world.recorded_ids() == set(world.api.batches)
    assert not any(r.in_doubt for _, _, r in world.store.last.requests())


def test_a_retry_after_a_failed_store_does_not_keep_the_run_alive() -> None:
    """A request to be sent again is given up once nothing more is sent."""
    world = World(s0=[BUSY], s1=[BUSY])
    world.limits = Limits(parallelism=1)
    world.store._fails = {1: StateError("a hiccup")}
    report = world.apply(spec("s0", 0), spec("s1", 1), spec("s2", 2))
    assert report.counts()["skipped"] >= 1
    assert report.exit_code is ExitCode.FAILED


def test_who_was_first_is_not_undone() -> None:
    """A run that lost the race for a name leaves the winner's record of it alone."""
    world = World()
    plan = world.plan(SPEC)
    engine = world.engine(plan)
    theirs = state(welcome=recorded(created(SPEC, "bat_theirs"), of=SPEC))
    world.store._fails = {0: StateMoved("another run was first")}
    world.store.theirs = theirs
    report = engine.run()
    assert report.moved
    assert endings(report) == {"welcome create": "skipped"}
    assert world.api.creates == []
    assert all("welcome" not in touched for touched in world.store.touched)
    assert world.store.theirs is theirs or world.recorded_ids() == {"bat_theirs"}


def test_what_was_learned_before_losing_a_race_is_stored() -> None:
    """Outcomes of names that this run did create are laid onto the winner's state."""
    world = World()
    world.limits = Limits(parallelism=1, chunk=1)
    world.store._fails = {1: StateMoved("another run was first")}
    engine = world.engine(world.plan(spec("a", 1), spec("b", 2)))
    other = spec("b", 2)

    def meanwhile(_key: str) -> None:
        world.store.theirs = replace(
            world.store.last.with_record("b", recorded(created(other, "bat_b"), of=other)), serial=9
        )

    world.before_create = meanwhile
    report = engine.run()
    assert endings(report) == {"a create": "created", "b create": "skipped"}
    assert world.recorded_ids() == {"bat_1", "bat_b"}
