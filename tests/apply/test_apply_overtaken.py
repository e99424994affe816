"""Somebody else stored a state while a run was at work: nothing of theirs is lost or done again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from reconciler.apply.engine import Limits
from reconciler.apply.report import Ending
from reconciler.errors import ReconcilerError, Refused, StateError, StateMoved
from reconciler.model import Lifecycle, OnChange
from reconciler.observed import Batch, BatchContact
from reconciler.state.file import FileStore
from reconciler.system import RandomIds
from tests.apply.doubles import BUSY, CREATED, DENIED, LOST, MemoryStore, World, endings
from tests.core.builders import CAMPAIGN, NOW, created, generation, recorded, spec, state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reconciler.model import Contact, LongBody, Spec
    from reconciler.observed import Outcome
    from reconciler.plan.actions import LeftOut
    from reconciler.state.document import NameRecord, State

A, B = spec("a", 1), spec("b", 2)


def made_by_them(world: World, of: Spec, batch_id: str, *, number: int = 1) -> NameRecord:
    """Have another run create a spec's batch, and give what it records of it."""
    record = replace(created(of, batch_id, generation=number), run="theirs", recorded_at=NOW)
    marker = {"key": record.key, "digest": record.digest, "name": of.name, "part": 1}
    request = of.requests[0]
    world.api.add(
        {
            **request.fields,
            "contacts": list(request.contacts),
            "metadata": {"reconciler": {**marker, "generation": number}},
        },
        batch_id=batch_id,
    )
    return recorded(record, of=of)


def with_theirs(world: World, **records: NameRecord) -> State:
    """Give the state as they store it, on what is stored by now."""
    on = world.store.last
    for name, record in records.items():
        on = on.with_record(name, record)
    return replace(on, serial=9)


def test_what_they_did_meanwhile_is_not_begun() -> None:
    """It waits because the API was busy, while outcomes are laid onto what they stored."""
    world = World(b=[BUSY, CREATED])
    engine = world.engine(world.plan(A, B))

    def meanwhile(key: str) -> None:
        if key != world.key_of("a"):
            world.store.theirs = with_theirs(world, b=made_by_them(world, B, "bat_theirs"))

    world.before_create = meanwhile
    report = engine.run()
    assert endings(report) == {"a create": "created", "b create": "skipped"}
    assert report.moved
    assert "bat_theirs" in world.recorded_ids()
    assert len(world.api.live()) == 2
    assert endings(world.apply(A, B)) == {}


def test_where_nothing_is_left_nothing_is_planned_again() -> None:
    """That others stored something is no trouble of a run that is done."""
    world = World()
    engine = world.engine(world.plan(A))

    def meanwhile(_key: str) -> None:
        world.store.theirs = with_theirs(world, b=made_by_them(world, B, "bat_theirs"))

    world.before_create = meanwhile
    assert not engine.run().moved


def beside_theirs(world: World) -> None:
    """Have another run's batch of b come in while this run's request for b is under way."""
    merged, both = threading.Event(), threading.Barrier(2)
    save = world.store.save

    def saved(stored: State, *, touched: frozenset[str], why: str) -> State:
        out = save(stored, touched=touched, why=why)
        if "bat_theirs" in out.batch_ids():
            merged.set()
        return out

    def before(key: str) -> None:
        both.wait(10)
        if key == world.key_of("b"):
            assert merged.wait(10)
        else:
            world.store.theirs = with_theirs(world, b=made_by_them(world, B, "bat_theirs"))

    world.limits = Limits(parallelism=2, verify_for=0.0)
    world.store.save = saved  # type: ignore[method-assign,assignment]  # a double of a double
    world.before_create = before


def test_a_batch_made_beside_one_of_theirs_is_cancelled() -> None:
    """It was under way when their state came in: their batch is on record, and stays."""
    world = World()
    beside_theirs(world)
    report = world.engine(world.plan(A, B)).run()
    assert endings(report) == {"a create": "created", "b create": "created", "b cancel": "done"}
    of_b = next(r for r in report.results if r.action.name == "b" and r.ending is Ending.CREATED)
    assert of_b.batch_ids == ("bat_theirs",)
    (record,) = world.store.last.batches["b"].current.requests
    assert record.batch_id == "bat_theirs"
    (second,) = record.duplicates
    assert world.api.batches[second].status == "cancelled"
    assert record.watch_until is not None
    # Whatever becomes of that cancel, it is seen again.
    world.api.put(replace(world.api.batches[second], status="in_progress"))
    world.before_create = lambda _key: None
    assert endings(world.apply(A, B)) == {"b cancel": "done"}


def test_a_second_batch_is_cancelled_only_once_that_is_stored() -> None:
    """Else the next run could take the older of the two for the one, and cancel the other."""
    world = World()
    beside_theirs(world)
    cancel = world.api.cancel

    def cancelled(batch_id: str) -> None:
        stored = world.store.last.batches["b"].current.requests
        assert [r.duplicates for r in stored] == [(batch_id,)]
        cancel(batch_id)

    world.api.cancel = cancelled  # type: ignore[method-assign]  # a double of a double
    report = world.engine(world.plan(A, B)).run()
    assert endings(report)["b cancel"] == "done"
    world = World()
    beside_theirs(world)
    save = world.store.save

    def full(stored: State, *, touched: frozenset[str], why: str) -> State:
        if any(r.duplicates for _, _, r in stored.requests()):
            raise StateError("No space left on device")
        return save(stored, touched=touched, why=why)

    world.store.save = full  # type: ignore[method-assign,assignment]  # a double of a double
    with pytest.raises(ReconcilerError):
        world.engine(world.plan(A, B)).run()
    assert world.api.cancels == []


@pytest.mark.parametrize("step", ["lie", LOST, DENIED])
def test_what_this_run_may_have_made_beside_theirs_is_looked_for(step: str) -> None:
    """Nobody said that it was created, and it is listed only later: their record is watched."""
    world = World(b=[step])
    beside_theirs(world)
    world.api.hidden["bat_3"] = 3
    world.engine(world.plan(A, B)).run()
    world.before_create = lambda _key: None
    for _ in range(3):
        world.apply(A, B)
    assert len([b for b in world.api.live() if b.batch_id != "bat_2"]) == 1
    assert world.recorded_ids() == {"bat_2", "bat_3", "bat_theirs"}


def test_a_batch_that_they_found_first_is_no_second_one() -> None:
    """They looked for its key while its answer was on its way: it is the one batch there is."""
    world = World()
    world.limits = Limits(parallelism=2)
    merged, both = threading.Event(), threading.Barrier(2)
    save, create = world.store.save, world.api.create

    def saved(stored: State, *, touched: frozenset[str], why: str) -> State:
        out = save(stored, touched=touched, why=why)
        if "bat_1" in out.batch_ids():
            merged.set()
        return out

    def slowly(body: bytes | LongBody, key: str, *, send_by: float | None = None) -> Outcome:
        if key == world.key_of("b"):
            outcome = create(body, key, send_by=send_by)
            both.wait(10)
            assert merged.wait(10)
            return outcome
        both.wait(10)
        found = replace(created(B, "bat_1"), run="theirs", recorded_at=NOW)
        world.store.theirs = with_theirs(world, b=recorded(found, of=B))
        return create(body, key, send_by=send_by)

    world.store.save = saved  # type: ignore[method-assign,assignment]  # a double of a double
    world.api.create = slowly  # type: ignore[method-assign]  # a double of a double
    report = world.engine(world.plan(A, B)).run()
    assert endings(report) == {"a create": "created", "b create": "created"}
    assert world.api.cancels == []
    assert world.recorded_ids() == {"bat_1", "bat_2"}


def test_a_no_takes_nothing_of_theirs_out() -> None:
    """A request that was under way is refused: what stands in its place is another run's."""
    world = World(b=["refused"])
    beside_theirs(world)
    world.engine(world.plan(A, B)).run()
    assert "bat_theirs" in world.recorded_ids()


@pytest.mark.parametrize("on_change", [OnChange.EVERYONE, OnChange.REMAINING])
def test_a_change_that_they_finished_is_not_made_again(on_change: OnChange) -> None:
    """This run waited until the old batch was quiet; meanwhile theirs took its place."""
    old, new = spec("x", 1), spec("x", 2, on_change=on_change)
    world = World(on=state(x=recorded(of=old)))
    world.limits = Limits(parallelism=1, drain=300.0)
    people = [
        BatchContact(f"c{i}", person["phone_number"], "pending", {})
        for i, person in enumerate(old.requests[0].contacts)
    ]
    world.api.put(Batch("bat_x_1_1", CAMPAIGN, "in_progress", created_at=NOW))
    world.api.people["bat_x_1_1"] = (replace(people[0], status="in_progress"), *people[1:])
    save = world.store.save

    def meanwhile(_key: str) -> None:
        theirs = made_by_them(world, new, "bat_theirs", number=2).current
        first = world.store.last.batches["x"].generations[0]
        gone = replace(first, requests=(replace(first.requests[0], cancelled_at=NOW),))
        record = replace(recorded(of=old), generations=(gone, theirs))
        world.store.theirs = with_theirs(world, x=record)

    def saved(stored: State, *, touched: frozenset[str], why: str) -> State:
        out = save(stored, touched=touched, why=why)
        if "bat_theirs" in out.batch_ids():
            world.api.people["bat_x_1_1"] = tuple(replace(p, status="completed") for p in people)
        return out

    world.store.save = saved  # type: ignore[method-assign,assignment]  # a double of a double
    world.before_create = meanwhile
    report = world.engine(world.plan(new, spec("y", 3))).run()
    assert report.moved
    assert endings(report)["x replace"] == "interrupted"
    assert len(world.api.creates) == 1
    assert "bat_theirs" in world.recorded_ids()


def test_a_file_that_was_changed_takes_no_intent_until_it_is_read_again(tmp_path: Path) -> None:
    """What a run knows is laid onto it; what it is about to do was planned by another state."""
    path = tmp_path / "state.json"
    one, other = (FileStore(path, ids=RandomIds(), run=run) for run in ("one", "two"))
    first = one.save(one.load(), touched=frozenset(), why="")
    other.load()
    other.save(first.with_record("b", recorded(of=B)), touched=frozenset({"b"}), why="")
    learned = first.with_record("a", recorded(of=A))
    merged = one.save(learned, touched=frozenset({"a"}), why="")
    assert set(merged.batches) == {"a", "b"}
    assert one.moved()
    intent = replace(created(spec("c", 3), "x"), batch_id=None, recorded_at=None)
    doubt = generation(spec("c", 3), replace(intent, status=type(intent.status)("creating")))
    begun = merged.with_record("c", replace(recorded(of=A), generations=(doubt,)))
    with pytest.raises(StateMoved):
        one.save(begun, touched=frozenset({"c"}), why="")
    one.load()
    assert not one.moved()
    one.save(begun, touched=frozenset({"c"}), why="")


@pytest.mark.parametrize(
    "error", [StateError("No space left on device"), StateMoved("another run was first")]
)
def test_resumes_that_wait_for_a_sender_are_not_sent_after_all(error: ReconcilerError) -> None:
    """Somebody else may have stopped the very names meanwhile."""
    paused = [spec(f"r{i}", i) for i in range(5)]
    on = state(**{each.name: recorded(of=each, lifecycle=Lifecycle.PAUSED) for each in paused})
    world = World(on=on)
    world.store = MemoryStore(on, dict.fromkeys(range(1, 1000), error))
    world.limits = Limits(parallelism=1)
    world.api.put(*(Batch(f"bat_{each.name}_1_1", CAMPAIGN, "paused") for each in paused))
    said, resumed = threading.Event(), world.api.resume
    say = world.told.say

    def heard(line: str) -> None:
        say(line)
        said.set()

    def resume(batch_id: str, *, send_by: float | None = None) -> None:
        if len(world.api.controls) == 1:
            assert said.wait(10)
        resumed(batch_id, send_by=send_by)

    world.told.say = heard  # type: ignore[method-assign]  # a double of a double
    world.api.resume = resume  # type: ignore[method-assign]  # a double of a double
    engine = world.engine(world.plan(*paused, A))
    try:
        engine.run()
    except StateError:
        assert not isinstance(error, StateMoved)
    assert len(world.api.controls) <= 2, "the second was under way"


def test_a_resume_under_way_when_the_run_ends_may_have_been_done() -> None:
    """It is not told as if nothing had been sent."""
    one = spec("r", 1)
    world = World(on=state(r=recorded(of=one, lifecycle=Lifecycle.PAUSED)))
    world.api.put(Batch("bat_r_1_1", CAMPAIGN, "paused"))
    never, resumed = threading.Event(), world.api.resume

    def resume(batch_id: str, *, send_by: float | None = None) -> None:
        resumed(batch_id, send_by=send_by)
        world.stop.set()
        never.wait(30)

    world.api.resume = resume  # type: ignore[method-assign]  # a double of a double
    (result,) = world.engine(world.plan(one)).run().results
    never.set()
    assert result.ending is Ending.FAILED
    assert "it may have been done" in result.message


def test_not_now_before_the_run_is_stopped_is_looked_for() -> None:
    """The API said 429 and created it; the run is stopped before it is asked again."""
    old, new = spec("x", 1), spec("x", 2)
    world = World(on=state(x=recorded(of=old)), x=["lie", CREATED])
    world.api.put(Batch("bat_x_1_1", CAMPAIGN, "in_progress", created_at=NOW))
    world.api.people["bat_x_1_1"] = tuple(
        BatchContact(f"c{i}", person["phone_number"], "pending", {})
        for i, person in enumerate(old.requests[0].contacts)
    )
    create = world.api.create

    def stopped(*args: object, **more: object) -> object:
        outcome = create(*args, **more)  # type: ignore[arg-type]  # a double of a double
        world.stop.set()
        return outcome

    world.api.create = stopped  # type: ignore[method-assign,assignment]  # a double of a double
    world.apply(new)
    world.api.create = create  # type: ignore[method-assign]  # a double of a double
    world.stop.clear()
    world.apply(new)
    made = [batch for batch in world.api.live() if batch.batch_id != "bat_x_1_1"]
    assert len(made) == 1
    assert made[0].batch_id in world.recorded_ids()


def test_a_change_that_is_refused_once_the_old_batch_is_paused_says_so() -> None:
    """Nobody is called by either until it is mended."""

    class Exclusion:
        asked = 0

        def without(
            self, _campaign_id: str, contacts: Sequence[Contact]
        ) -> tuple[Sequence[Contact], tuple[LeftOut, ...]]:
            self.asked += 1
            if self.asked > 1:
                raise Refused("the do-not-call list cannot be read", hint="mend it")
            return contacts, ()

    old, new = spec("x", 1), spec("x", 2)
    world = World(on=state(x=recorded(of=old)))
    world.api.put(Batch("bat_x_1_1", CAMPAIGN, "in_progress", created_at=NOW))
    world.api.people["bat_x_1_1"] = tuple(
        BatchContact(f"c{i}", person["phone_number"], "pending", {})
        for i, person in enumerate(old.requests[0].contacts)
    )
    engine = world.engine(world.plan(new))
    engine._replacing.exclusion = Exclusion()
    (result,) = engine.run().results
    assert result.ending is Ending.BLOCKED
    assert result.message.startswith(
        "the do-not-call list cannot be read; batch bat_x_1_1 is paused"
    )


def test_several_batches_of_which_some_are_created_are_told_as_that() -> None:
    """Who stops a run in a hurry must not read that nothing was sent."""
    world = World()
    world.limits = Limits(parallelism=1, chunk=1)
    world.before_create = lambda _: world.stop.set() if len(world.api.creates) == 1 else None
    (result,) = world.apply(spec("a", 1, n=2, parts=3)).results
    assert result.ending is Ending.INTERRUPTED
    assert result.message == "2 of 3 batches are created, with 4 of 6 people"
    assert len(result.batch_ids) == 2
    assert result.hint == "run again: reconciler apply"
    world = World(a=[CREATED, "refused", CREATED])
    (result,) = world.apply(spec("a", 1, n=2, parts=3)).results
    assert result.ending is Ending.REJECTED
    assert result.message == ("2 of 3 batches are created, with 4 of 6 people; campaign not found")
    world = World(a=[CREATED, LOST, CREATED])
    world.api.broken.add(CAMPAIGN)
    engine = world.engine(world.plan(spec("a", 1, n=2, parts=3)))
    (result,) = engine.run().results
    assert result.ending is Ending.UNKNOWN
    assert result.message.startswith("2 of 3 batches are created, with 4 of 6 people; ")


def test_a_change_is_not_waited_for_once_its_plan_is_past() -> None:
    """Calls in flight take minutes; what is left is planned again at once."""
    old, new = spec("x", 1), spec("x", 2)
    world = World(on=state(x=recorded(of=old)))
    world.limits = Limits(parallelism=2, drain=10_000.0)
    world.api.put(Batch("bat_x_1_1", CAMPAIGN, "in_progress", created_at=NOW))
    world.api.people["bat_x_1_1"] = tuple(
        BatchContact(f"c{i}", person["phone_number"], "in_progress", {})
        for i, person in enumerate(old.requests[0].contacts)
    )

    def meanwhile(_key: str) -> None:
        world.store.theirs = with_theirs(world, b=made_by_them(world, B, "bat_theirs"))

    world.before_create = meanwhile
    begun = world.clock.elapsed()
    report = world.engine(world.plan(new, A)).run()
    assert report.moved
    assert endings(report)["x replace"] == "interrupted"
    assert world.clock.elapsed() - begun < 1_000


def test_a_late_resume_is_not_sent_where_nobody_can_tell_what_was_stored() -> None:
    """The remote does not answer: somebody may have stopped the name meanwhile."""
    one = spec("r", 1)
    world = World(on=state(r=recorded(of=one, lifecycle=Lifecycle.PAUSED)))
    recorder = world.engine(world.plan(one))._recorder
    assert not recorder.is_outdated()

    def unreachable() -> bool:
        raise StateError("no connection")

    world.store.moved = unreachable  # type: ignore[method-assign]  # a double of a double
    assert recorder.is_outdated()


def test_of_a_change_that_is_made_in_part_those_count_who_were_sent() -> None:
    """Whom the old batches called is in no part any more."""
    old = spec("x", 1, n=2, parts=2)
    world = World(on=state(x=recorded(of=old)), x=[CREATED, "refused"])
    world.limits = Limits(parallelism=1)
    for part, request in enumerate(old.requests, 1):
        batch_id = f"bat_x_1_{part}"
        world.api.put(Batch(batch_id, CAMPAIGN, "in_progress", created_at=NOW))
        world.api.people[batch_id] = tuple(
            BatchContact(f"c{i}", person["phone_number"], "pending" if i else "completed", {})
            for i, person in enumerate(request.contacts)
        )
    changed = spec("x", 1, n=2, parts=2, concurrency_limit=3)
    (result,) = world.engine(world.plan(changed)).run().results
    assert result.ending is Ending.REJECTED
    assert result.message.startswith("1 of 2 batches are created, with 1 of 2 people; ")
