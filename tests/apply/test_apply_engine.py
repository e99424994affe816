from __future__ import annotations

import queue
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reconciler.apply.engine import Limits
from reconciler.apply.lookup import Lookup
from reconciler.errors import ExitCode, StateError, StateMoved, StateUnusable
from reconciler.model import Lifecycle
from reconciler.observed import FieldProblem, Rejected
from reconciler.plan.actions import ActionKind, Reason
from reconciler.state.document import RecordedBy, State
from tests.apply.doubles import (
    BUSY,
    CRASH,
    CREATED,
    DOWN,
    LOST,
    NEVER,
    REFUSED,
    World,
    endings,
)
from tests.core.builders import (
    LONG_AGO,
    NOW,
    batch,
    created,
    creating,
    in_doubt,
    key_of,
    recorded,
    spec,
    state,
)

if TYPE_CHECKING:
    from reconciler.apply.sending import Event
    from reconciler.state.document import RequestRecord

SPEC = spec()
HOUR = timedelta(hours=1)


def the_record(world: World, name: str = "welcome") -> RequestRecord:
    """Give the one current record of a name, as stored."""
    (record,) = world.store.last.batches[name].current.requests
    return record


# -- creating -------------------------------------------------------------------------------------


def test_a_new_batch_is_created_and_recorded() -> None:
    """An intent, a POST with key and digest in its metadata, an id in the state."""
    world = World()
    bodies = []
    world.api.before_create = lambda _key, body: bodies.append(body)
    report = world.apply(SPEC)
    record = the_record(world)
    assert report.exit_code is ExitCode.DONE
    assert (record.batch_id, record.key, record.recorded_by) == (
        "bat_1",
        key_of(SPEC),
        RecordedBy.CREATED,
    )
    assert (record.attempt, record.watch_until, record.unknown) == (1, None, None)
    assert bodies[0]["metadata"] == {
        "reconciler": {
            "key": record.key,
            "digest": SPEC.requests[0].digest,
            "name": "welcome",
            "generation": 1,
            "part": 1,
        }
    }
    assert world.store.last.batches["welcome"].current.source.path == "welcome.yaml"
    assert world.apply(SPEC).results == ()
    assert len(world.api.creates) == 1


def test_a_persons_metadata_is_sent_beside_ours() -> None:
    """Our marker takes nothing away."""
    world = World()
    bodies = []
    world.api.before_create = lambda _key, body: bodies.append(body)
    world.apply(spec(metadata={"team": "renewals"}))
    assert bodies[0]["metadata"]["team"] == "renewals"  # type: ignore[index]  # parsed JSON
    assert "reconciler" in bodies[0]["metadata"]  # type: ignore[operator]  # parsed JSON


def test_no_number_and_no_variable_reaches_the_state() -> None:
    """Even a number that stands in a field is masked in what is recorded."""
    world = World()
    world.apply(spec(metadata={"callback": "+919876543210"}))
    text = repr(world.store.saved)
    assert "+9190000" not in text
    assert "Person" not in text
    assert "+919876543210" not in text


def test_many_are_created_a_few_at_a_time_and_each_once() -> None:
    """Parallelism bounds the intents that stand without an outcome."""
    world = World()
    each = [spec(f"s{i:02}", i) for i in range(25)]
    report = world.apply(*each)
    assert report.counts() == dict.fromkeys(report.counts(), 0) | {"created": 25}
    assert len(set(world.api.creates)) == len(world.api.creates) == 25
    open_intents = max(sum(r.in_doubt for _, _, r in s.requests()) for s in world.store.saved)
    assert open_intents <= world.limits.window
    assert len(world.recorded_ids()) == 25


def test_a_chunk_is_stored_twice_however_large() -> None:
    """Where storing is slow, the outcomes of a chunk ride with the intents of the next."""
    world = World()
    world.limits = Limits(parallelism=2, chunk=10)
    world.apply(*(spec(f"s{i:02}", i) for i in range(30)))
    assert len(world.store.touched) == 4
    assert len(world.recorded_ids()) == 30


def test_a_batch_of_other_size_is_recorded_and_said() -> None:
    """A total that differs from what was sent is a warning, not a reason to lose the id."""
    world = World()
    plan = world.plan(SPEC)
    real = world.api.add
    world.api.add = lambda body, **_: real(body, total_contacts=1)  # type: ignore[method-assign]  # a test's own API
    report = world.engine(plan).run()
    assert the_record(world).batch_id == "bat_1"
    assert "counts 1 contacts" in report.results[0].warnings[0]
    assert report.exit_code is ExitCode.DONE


def test_a_start_that_passes_while_waiting_is_not_created() -> None:
    """Created after its start, a batch would call at once."""
    world = World()
    late = spec(scheduled_start="2026-05-12T09:00:10Z")
    plan = world.plan(late)
    world.clock.pass_by(11)
    report = world.engine(plan).run()
    assert endings(report) == {"welcome create": "rejected"}
    assert world.api.creates == []
    assert world.store.last.batches == {}


# -- no for now, and no for good ------------------------------------------------------------------


@pytest.mark.parametrize("first", [[BUSY], [DOWN], [BUSY, DOWN, BUSY]])
def test_what_was_refused_for_now_is_tried_again(first: list[str]) -> None:
    """A request that was certainly not created is sent again, as a first attempt."""
    world = World(welcome=list(first))
    assert world.apply(SPEC).exit_code is ExitCode.DONE
    assert len(world.api.creates) == len(first) + 1
    assert (the_record(world).attempt, the_record(world).watch_until) == (1, None)


def test_the_api_says_how_long_to_wait() -> None:
    """`Retry-After` is honoured, and never undercut."""
    world = World(welcome=[BUSY])
    world.api.retry_after = 30.0
    times = []
    world.before_create = lambda _key: times.append(world.clock.elapsed())
    world.apply(SPEC)
    assert times[1] - times[0] >= 30.0


@pytest.mark.parametrize(("step", "patience"), [(BUSY, 60.0), (DOWN, 10.0)])
def test_patience_ends(step: str, patience: float) -> None:
    """An API that keeps saying "not now" is a rejection in the end, and leaves no record."""
    world = World(welcome=[step] * 1000)
    start = world.clock.elapsed()
    report = world.apply(SPEC)
    assert endings(report) == {"welcome create": "rejected"}
    assert world.clock.elapsed() - start <= patience + 5
    assert world.store.last.batches == {}
    assert report.results[0].hint


def test_busy_holds_everything_back() -> None:
    """A 429 speaks for the account: meanwhile nobody else's request is sent either."""
    world = World(a=[BUSY])
    world.limits = Limits(parallelism=1)
    world.api.retry_after = 20.0
    times: list[tuple[str, float]] = []
    world.before_create = lambda key: times.append((key, world.clock.elapsed()))
    world.apply(*(spec(name, i) for i, name in enumerate("abcdef")))
    gate = next(time for _, time in times) + 20.0
    # What was handed out with the first request is under way already; nothing more follows it.
    assert sum(time < gate for _, time in times) <= world.limits.window
    assert sum(time >= gate for _, time in times) == 7 - sum(time < gate for _, time in times)


def test_no_for_good_leaves_no_record_and_says_why() -> None:
    """A rejected request is as if it had never been planned."""
    world = World(welcome=[REFUSED])
    report = world.apply(SPEC, spec("other", 2))
    assert endings(report) == {"welcome create": "rejected", "other create": "created"}
    assert report.exit_code is ExitCode.FAILED
    assert set(world.store.last.batches) == {"other"}
    result = next(r for r in report.results if r.action.name == "welcome")
    assert "campaign not found" in result.message


def test_complaints_about_fields_come_through() -> None:
    """A 422's problems and hint stand in the result."""
    world = World()
    problem = FieldProblem(("contacts", 0, "phone_number"), "no number")
    no = Rejected("invalid", 422, problems=(problem,), hint="mend it")
    world.api.create = lambda body, key: no  # type: ignore[method-assign]  # noqa: ARG005 - a test's own API
    (result,) = world.apply(SPEC).results
    assert (result.problems, result.hint) == ((problem,), "mend it")


# -- unknown --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [LOST, CRASH])
def test_a_lost_answer_is_found_by_its_key(step: str) -> None:
    """The verifier finds the batch, its id is recorded, nothing is sent twice."""
    world = World(welcome=[step])
    report = world.apply(SPEC)
    assert endings(report) == {"welcome create": "created"}
    record = the_record(world)
    assert (record.batch_id, record.recorded_by) == ("bat_1", RecordedBy.FOUND)
    assert record.watch_until is not None
    assert len(world.api.creates) == 1
    assert report.exit_code is ExitCode.DONE


def test_a_batch_that_is_listed_late_is_found() -> None:
    """The verifier looks again and again for as long as it may."""
    world = World(welcome=[LOST])
    world.limits = Limits(verify_for=1e9)
    world.api.hidden["bat_1"] = 4
    assert endings(world.apply(SPEC)) == {"welcome create": "created"}
    assert world.recorded_ids() == {"bat_1"}


def test_what_is_not_found_stays_in_doubt() -> None:
    """Exit 3; runs leave it alone until it is old enough, and then use the same key."""
    world = World(welcome=[NEVER])
    report = world.apply(SPEC)
    assert (endings(report), report.exit_code) == (
        {"welcome create": "unknown"},
        ExitCode.UNKNOWN_OUTCOME,
    )
    assert the_record(world).unknown == "no answer within 60 s"
    second = world.apply(SPEC)
    assert (endings(second), second.exit_code) == (
        {"welcome blocked": "blocked"},
        ExitCode.UNKNOWN_OUTCOME,
    )
    assert len(world.api.creates) == 1
    world.clock.pass_by(600)
    assert endings(world.apply(SPEC)) == {"welcome create": "created"}
    assert world.api.creates == [key_of(SPEC)] * 2
    record = the_record(world)
    assert (record.attempt, record.first_attempted_at) == (2, NOW)
    assert record.watch_until is not None


def test_what_an_earlier_run_left_in_doubt_is_found_while_running() -> None:
    """A blocked name becomes an id as soon as its batch is listed."""
    world = World(on=in_doubt(SPEC, attempted_at=NOW, first_attempted_at=NOW))
    plan = world.plan(SPEC)
    world.api.put(batch(creating(SPEC), "bat_9", age=timedelta(0)))
    report = world.engine(plan).run()
    assert endings(report) == {"welcome blocked": "created"}
    assert report.exit_code is ExitCode.DONE
    assert world.recorded_ids() == {"bat_9"}


def test_an_unreadable_list_is_said_and_proves_nothing() -> None:
    """What kept the verifier from seeing is part of the message."""
    world = World(welcome=[NEVER])
    plan = world.plan(SPEC)
    world.api.broken.add("cmp_a")
    (result,) = world.engine(plan).run().results
    assert "the list does not answer" in result.message
    assert the_record(world).in_doubt


def test_an_id_that_is_anothers_is_not_believed() -> None:
    """An API that answers with a batch recorded elsewhere has told nothing about this request."""
    other = spec("other", 2)
    world = World(on=state(other=recorded(created(other, "bat_other"), of=other)))
    world.api.script["welcome"] = ["bat_other"]
    report = world.apply(SPEC, other)
    assert endings(report) == {"welcome create": "unknown"}
    assert the_record(world).in_doubt
    assert "bat_other" in (the_record(world).unknown or "")


def test_a_key_with_other_contents_is_refused() -> None:
    """A batch with our key and another digest is neither adopted nor created again."""
    world = World(welcome=[NEVER])
    odd = batch(creating(SPEC), "bat_odd", age=timedelta(0))
    plan = world.plan(SPEC)
    world.api.put(replace(odd, metadata={"reconciler": {"key": odd.key, "digest": "v1:other"}}))
    report = world.engine(plan).run()
    assert endings(report) == {"welcome create": "blocked"}
    assert report.exit_code is ExitCode.REFUSED
    assert the_record(world).in_doubt


def test_a_search_that_fails_has_seen_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in looking leaves the request in doubt, and the run ends."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug of ours")

    world = World(welcome=[NEVER])
    plan = world.plan(SPEC)
    monkeypatch.setattr(Lookup, "look", broken)
    (result,) = world.engine(plan).run().results
    assert result.ending == "unknown"
    assert "RuntimeError" in result.message


# -- second batches -------------------------------------------------------------------------------


def test_of_two_batches_the_older_is_kept_and_the_other_cancelled() -> None:
    """Both ids are recorded, the cancel is loud, and the next run has nothing to do."""
    world = World(welcome=[LOST])
    world.limits = Limits(verify_for=1e9)
    plan = world.plan(SPEC)
    world.api.put(batch(creating(SPEC), "bat_late", age=timedelta(minutes=-5)))
    report = world.engine(plan).run()
    assert endings(report) == {"welcome create": "created", "welcome cancel": "done"}
    assert world.api.cancels == ["bat_late"]
    (kept,) = world.api.live()
    assert the_record(world).batch_id == kept.batch_id
    assert the_record(world).duplicates == ("bat_late",)
    assert any("bat_late" in line for line in world.told.lines)
    assert world.apply(SPEC).results == ()


def test_a_cancel_that_fails_is_said_and_tried_by_the_next_run() -> None:
    """As long as a second batch calls people, every run tries to cancel it."""
    young = batch(creating(SPEC), "bat_young", age=timedelta(minutes=1))
    world = World(on=in_doubt(SPEC))
    world.api.put(young, batch(creating(SPEC), "bat_old", age=HOUR))
    plan = world.plan(SPEC)
    world.api.broken.add("bat_young")
    report = world.engine(plan).run()
    assert endings(report) == {"welcome adopt": "created", "welcome cancel": "failed"}
    assert report.exit_code is ExitCode.FAILED
    assert "did not go through" in report.results[1].message
    world.api.broken.clear()
    assert endings(world.apply(SPEC)) == {"welcome cancel": "done"}
    assert [b.batch_id for b in world.api.live()] == ["bat_old"]
    assert world.apply(SPEC).results == ()


def test_a_cancel_that_crashes_is_a_failure() -> None:
    """Whatever goes wrong while cancelling is told, and the run goes on."""
    world = World(on=state(welcome=recorded(created(SPEC, "a", watch_until=NOW + HOUR), of=SPEC)))
    record = creating(SPEC)
    world.api.put(batch(record, "a", age=2 * HOUR), batch(record, "b", age=HOUR))
    plan = world.plan(SPEC, spec("other", 2))
    world.api.gone.add("b")
    report = world.engine(plan).run()
    assert endings(report) == {"welcome cancel": "failed", "other create": "created"}


def test_the_attempt_that_was_given_up_may_arrive_first() -> None:
    """After creating again, one more look finds the first attempt's batch, and one is cancelled."""
    world = World(on=in_doubt(SPEC))
    plan = world.plan(SPEC)
    world.api.put(batch(creating(SPEC), "bat_first", age=HOUR))
    report = world.engine(plan).run()
    assert endings(report) == {"welcome create": "created", "welcome cancel": "done"}
    assert [b.batch_id for b in world.api.live()] == ["bat_first"]
    record = the_record(world)
    assert (record.batch_id, record.attempt) == ("bat_first", 2)
    assert record.duplicates == ("bat_2",)


def test_a_batch_that_is_not_listed_yet_is_not_forgotten() -> None:
    """When only the first attempt's batch is listed, one of the two still has to go."""
    world = World(on=in_doubt(SPEC))
    plan = world.plan(SPEC)
    world.api.put(batch(creating(SPEC), "bat_first", age=HOUR))
    world.api.hidden["bat_2"] = 10**6
    world.engine(plan).run()
    assert len(world.api.live()) == 1
    assert the_record(world).batch_id == world.api.live()[0].batch_id
    assert world.recorded_ids() == {"bat_first", "bat_2"}


def test_a_second_attempt_that_stands_alone_is_left_in_peace() -> None:
    """Looking for a second batch and seeing only our own changes nothing."""
    world = World(on=in_doubt(SPEC))
    assert endings(world.apply(SPEC)) == {"welcome create": "created"}
    assert world.api.cancels == []
    assert len(world.api.listings) == 2


# -- stopping -------------------------------------------------------------------------------------


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

    def update(**_: int) -> None:
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


# -- the store ------------------------------------------------------------------------------------


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
    with pytest.raises(StateUnusable, match="welcome: bat_1") as raised:
        world.apply(SPEC)
    assert raised.value.exit_code is ExitCode.REFUSED
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


# -- everything else ------------------------------------------------------------------------------


def test_a_move_carries_the_record_over() -> None:
    """Nobody is called, and the old name is gone."""
    world = World(on=state(welcome=recorded(of=SPEC)))
    report = world.apply(spec("hello"))
    assert endings(report) == {"hello move": "done"}
    assert set(world.store.last.batches) == {"hello"}
    assert world.store.last.batches["hello"].current.source.path == "hello.yaml"
    assert world.api.creates == []
    assert world.apply(spec("hello")).results == ()


def test_a_lost_state_is_learned_again() -> None:
    """Batches that carry a spec's name and digest are adopted, whatever key they have."""
    world = World()
    made = batch(creating(SPEC), "bat_7", age=HOUR)
    marker = {"key": "rk1_old", "digest": SPEC.requests[0].digest, "name": "welcome"}
    world.api.put(replace(made, metadata={"reconciler": marker}))
    assert endings(world.apply(SPEC)) == {"welcome adopt": "created"}
    record = the_record(world)
    assert (record.batch_id, record.key, record.attempt) == ("bat_7", "rk1_old", 0)
    assert record.recorded_by is RecordedBy.ADOPTED
    assert world.api.creates == []


def test_a_name_in_doubt_that_was_found_moves_with_its_spec() -> None:
    """Adopting under the old name and moving to the new one is one run."""
    world = World(on=in_doubt(SPEC))
    world.api.put(batch(creating(SPEC), "bat_7", age=HOUR))
    report = world.apply(spec("hello"))
    assert endings(report) == {"welcome adopt": "created", "hello move": "done"}
    assert world.store.last.batch_ids() == {"bat_7": "hello"}


def test_a_name_in_doubt_that_was_renamed_calls_nobody() -> None:
    """Its batch may have called everyone already."""
    world = World(on=in_doubt(SPEC, attempted_at=NOW, first_attempted_at=NOW))
    report = world.apply(spec("hello"))
    assert set(endings(report).values()) == {"blocked"}
    assert report.exit_code is ExitCode.UNKNOWN_OUTCOME
    assert world.api.creates == []


def test_what_replaces_a_released_request_is_recorded_as_it_is() -> None:
    """After "not created" and a new campaign, the lost answer is looked for in the new campaign."""
    world = World(on=in_doubt(SPEC, released_at=LONG_AGO), welcome=[LOST])
    moved = spec(campaign="cmp_b")
    report = world.apply(moved)
    assert endings(report) == {"welcome create": "created"}
    current = world.store.last.batches["welcome"].current
    assert current.campaign_id == "cmp_b"
    assert current.fields["campaign_id"] == "cmp_b"
    assert world.recorded_ids() == {"bat_1"}
    assert (the_record(world).attempt, the_record(world).first_attempted_at) == (1, NOW)


def test_a_rejected_second_attempt_is_in_doubt_as_before() -> None:
    """Being refused now says nothing about the first attempt."""
    before = in_doubt(SPEC, unknown="timeout", attempt=3)
    world = World(on=before, welcome=[REFUSED])
    assert endings(world.apply(SPEC)) == {"welcome create": "rejected"}
    assert world.store.last.batches == before.batches


def test_what_this_version_does_not_carry_out_is_refused() -> None:
    """Half of a change is worse than none."""
    world = World(on=state(welcome=recorded(of=SPEC), other=recorded(of=spec("other", 2))))
    report = world.apply(spec(contents=3), spec("other", 2, lifecycle=Lifecycle.PAUSED))
    assert endings(report) == {"welcome replace": "blocked", "other pause": "blocked"}
    assert report.exit_code is ExitCode.REFUSED
    assert all(result.hint for result in report.results)
    assert world.api.creates == world.api.cancels == []


def test_parts_end_each_for_itself() -> None:
    """The worst ending of its parts is that of an action, and every id is told."""
    parts = spec(parts=3)
    world = World(welcome=[CREATED, REFUSED, CREATED])
    world.limits = Limits(parallelism=1)
    report = world.apply(parts)
    assert endings(report) == {"welcome create": "rejected"}
    assert len(report.results[0].batch_ids) == 2
    again = world.apply(parts)
    assert [a.reason for a in again.plan.pending] == [Reason.INCOMPLETE]
    assert len(world.api.batches) == 3
    assert world.apply(parts).results == ()


def test_progress_is_told() -> None:
    """Counts reach the total in the end."""
    world = World()
    world.apply(*(spec(f"s{i}", i) for i in range(5)))
    assert world.told.updates[-1] == (5, 5, 0, 0)


def test_a_verifier_takes_searches_at_any_time() -> None:
    """One thread serves a run that loses several answers one after the other."""
    world = World(a=[LOST], b=[LOST], c=[NEVER])
    world.limits = Limits(parallelism=1, verify_for=5.0)
    report = world.apply(spec("a", 1), spec("b", 2), spec("c", 3, campaign="cmp_b"))
    assert endings(report) == {"a create": "created", "b create": "created", "c create": "unknown"}


def test_an_action_about_nothing_is_a_bug() -> None:
    """A plan that was not made by the planner is not half carried out."""
    world = World(on=state(welcome=recorded(of=SPEC)))
    plan = world.plan(spec("hello"))
    odd = replace(plan.actions[0], moved_from=None)
    with pytest.raises(AssertionError, match="moves from nowhere"):
        world.engine(replace(plan, actions=(odd,))).run()
    lost = replace(plan.actions[0], kind=ActionKind.ADOPT, spec=None, name="who")
    engine = world.engine(replace(plan, actions=(lost,)))
    with pytest.raises(AssertionError, match="neither recorded nor specified"):
        engine._ledger.place(lost, 1)
