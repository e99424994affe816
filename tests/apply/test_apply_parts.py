from __future__ import annotations

import queue
import random
import threading
from datetime import timedelta
from typing import Any

import orjson
import pytest
from msgspec import structs
from msgspec.structs import replace

from reconciler.apply import retry
from reconciler.apply.lookup import Lookup, Wanted
from reconciler.apply.outcomes import Outcomes
from reconciler.apply.recorder import Recorder
from reconciler.apply.report import Ending, Report, Result
from reconciler.apply.retry import FIRST, LONGEST, PATIENCE, TOO_MANY, Retry
from reconciler.apply.sending import Event, Job, NotSent, Seen, Workers
from reconciler.apply.verifier import Search, Verifier
from reconciler.errors import ExitCode
from reconciler.model import Lifecycle
from reconciler.observed import Rejected
from reconciler.plan.actions import Action, ActionKind, Adoption, Plan, Reason, Refusal, Role
from reconciler.state.document import Audit, RecordedBy, State
from tests.apply.doubles import FakeApi, ManualClock, MemoryStore, Paths
from tests.core.builders import (
    CAMPAIGN,
    LINEAGE,
    LONG_AGO,
    NOW,
    batch,
    created,
    creating,
    in_doubt,
    plan,
    recorded,
    spec,
    state,
)

SPEC = spec()


def create_action(on: State | None = None) -> Action:
    """Give the action that creates the spec."""
    (action,) = plan(SPEC, on=on).actions
    return action


def recorder_on(on: State) -> tuple[Recorder, MemoryStore, ManualClock]:
    """Give a recorder, its store and its clock."""
    store, clock = MemoryStore(on), ManualClock()
    return Recorder(store, on, clock=clock, run="run1", provenance=Paths()), store, clock


def a_job() -> Job:
    """Give a job of the spec."""
    action = create_action()
    recorder, _, _ = recorder_on(State(lineage=LINEAGE))
    return Job(action, action.creations[0], recorder.place(action, 1))


# -- retry ----------------------------------------------------------------------------------------

BUSY = Rejected("too many", TOO_MANY, retry=True)
DOWN = Rejected("refused", retry=True)


def test_pauses_grow_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try doubles the pause, and none is longer than the longest."""
    monkeypatch.setattr(retry, "PATIENCE", dict.fromkeys(PATIENCE, 1e9))
    patient, job = Retry(ManualClock()), a_job()
    pauses = [(patient.again_at(job, DOWN) or 0.0) - 1_000.0 for _ in range(9)]
    expected = [min(FIRST * 2**i, LONGEST) for i in range(9)]
    assert all(0.75 * e <= p <= 1.25 * e for p, e in zip(pauses, expected, strict=True))


def test_what_is_no_for_good_is_not_tried_again() -> None:
    """Only "not now" is."""
    decides = Retry(ManualClock())
    assert decides.again_at(a_job(), Rejected("no", 404)) is None
    assert decides.closed_until == 0.0


def test_only_busy_closes_the_gate() -> None:
    """A connection that failed is one request's trouble, a 429 everybody's."""
    decides = Retry(ManualClock())
    decides.again_at(a_job(), DOWN)
    assert decides.closed_until == 0.0
    at = decides.again_at(a_job(), replace(BUSY, retry_after=7.0))
    assert at is not None
    assert 1_007.0 <= at == decides.closed_until <= 1_007.2


def test_the_gate_never_opens_earlier_than_was_asked() -> None:
    """A later 429 with a shorter wait does not undo the longer one."""
    decides = Retry(ManualClock())
    decides.again_at(a_job(), replace(BUSY, retry_after=30.0))
    decides.again_at(a_job(), replace(BUSY, retry_after=1.0))
    assert decides.closed_until >= 1_030.0


def test_many_429_in_a_row_slow_everybody_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new job's first pause grows with the 429s before it, until a request goes through."""
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 1.0)
    decides = Retry(ManualClock())
    for _ in range(4):
        decides.again_at(a_job(), BUSY)
    assert decides.again_at(a_job(), DOWN) == 1_000.0 + FIRST * 8
    decides.success()
    assert decides.again_at(a_job(), DOWN) == 1_000.0 + FIRST


def test_a_wait_longer_than_patience_is_not_begun() -> None:
    """An API that asks for an hour is told to the person at once."""
    assert Retry(ManualClock()).again_at(a_job(), replace(BUSY, retry_after=3600.0)) is None


# -- the recorder ---------------------------------------------------------------------------------


def test_nothing_changed_is_nothing_stored() -> None:
    """Only a recorder with changes asks its store."""
    recorder, store, _ = recorder_on(state(welcome=recorded(of=SPEC)))
    recorder.store()
    assert store.tries == 0
    assert recorder.owner("bat_welcome_1_1") == "welcome"
    assert recorder.owner("bat_x") is None


def test_another_attempt_keeps_what_is_known_of_the_first() -> None:
    """When it was first tried, which second batches it has, and what people said of it."""
    said = Audit(who="asha", at=NOW, said="not created", why="looked")
    on = in_doubt(SPEC, released_at=NOW, audit=(said,), duplicates=("bat_d",), attempt=4)
    recorder, store, clock = recorder_on(on)
    action = create_action(on)
    place = recorder.place(action, 1)
    clock.pass_by(60)
    recorder.intend(place, action.creations[0])
    recorder.store()
    record = recorder.record(place)
    assert record is not None
    assert (record.attempt, record.first_attempted_at) == (5, LONG_AGO)
    assert record.attempted_at == NOW + timedelta(seconds=60)
    assert (record.audit, record.duplicates) == ((said,), ("bat_d",))
    assert (record.released_at, record.run) == (None, "run1")
    recorder.withdraw(place, action.creations[0].previous)
    assert recorder.state.batches == on.batches
    assert store.touched == [frozenset({"welcome"})]


def test_a_doubt_is_of_what_is_in_doubt() -> None:
    """A record that is created or gone is not put in doubt again."""
    on = state(welcome=recorded(of=SPEC))
    recorder, _, _ = recorder_on(on)
    (action,) = plan(SPEC, on=on).actions
    place = recorder.place(action, 1)
    recorder.doubt(place, "timeout")
    recorder.created(replace(place, name="nobody"), "bat_x", RecordedBy.FOUND)
    recorder.duplicate(replace(place, name="nobody"), "bat_x")
    recorder.duplicate(place, "bat_welcome_1_1")
    recorder.created(place, "bat_welcome_1_1", RecordedBy.FOUND)
    assert recorder.state == on
    assert not recorder.dirty
    assert recorder.record(replace(place, name="nobody")) is None
    other = replace(place, generation=structs.replace(place.generation, generation=9))
    assert recorder.record(other) is None


def test_an_older_batch_takes_the_place_of_the_recorded_one() -> None:
    """The id that was recorded becomes a second batch's, and a known duplicate may become kept."""
    on = state(welcome=recorded(created(SPEC, "bat_young", duplicates=("bat_old",)), of=SPEC))
    recorder, _, _ = recorder_on(on)
    (action,) = plan(SPEC, on=on).actions
    place = recorder.place(action, 1)
    recorder.created(place, "bat_old", RecordedBy.FOUND)
    record = recorder.record(place)
    assert record is not None
    assert (record.batch_id, record.duplicates) == ("bat_old", ("bat_young",))
    assert recorder.owner("bat_old") == recorder.owner("bat_young") == "welcome"


def test_a_move_keeps_every_generation_and_lifecycle() -> None:
    """Only the source of the current generation changes."""
    record = recorded(of=SPEC, lifecycle=Lifecycle.PAUSED)
    recorder, _, _ = recorder_on(state(welcome=record))
    recorder.move("welcome", "hello", spec("hello"))
    moved = recorder.state.batches["hello"]
    assert "welcome" not in recorder.state.batches
    assert moved.lifecycle is Lifecycle.PAUSED
    assert moved.current.requests == record.current.requests
    assert moved.current.source.path == "hello.yaml"


def test_an_adopted_batch_has_a_record_of_its_own() -> None:
    """Where nothing was recorded, the attempt counts as none of ours."""
    recorder, _, _ = recorder_on(State(lineage=LINEAGE))
    action = create_action()
    place = recorder.place(action, 1)
    found = batch(creating(SPEC), "bat_7")
    recorder.adopt(
        place, Adoption(1, found, "rk1_x", SPEC.requests[0].digest, 2), RecordedBy.ADOPTED
    )
    record = recorder.record(place)
    assert record is not None
    assert (record.batch_id, record.key, record.attempt) == ("bat_7", "rk1_x", 0)


# -- sending --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stopped", "slept"), [(True, 0.0), (False, 301.0)])
def test_the_last_look_keeps_a_request_from_leaving(*, stopped: bool, slept: float) -> None:
    """Neither after a signal nor on an old intent does a POST begin, and the job is not begun."""
    clock, stop, job = ManualClock(), threading.Event(), a_job()
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    api = FakeApi(clock)
    job.intended_at = clock.elapsed()
    clock.pass_by(slept)
    if stopped:
        stop.set()
    Workers(api, clock, stop, 300.0, events, 1).post(job)
    assert events.get(timeout=10) == NotSent(job)
    assert (api.creates, job.begun) == ([], False)


def body_of(job: Job) -> dict[str, Any]:
    """Give what a job sends, read again."""
    sent = job.body(NOW)
    assert isinstance(sent, bytes), "a list of two is short"
    body: dict[str, Any] = orjson.loads(sent)
    return body


def test_a_body_is_the_request_with_our_marker() -> None:
    """Fields and contacts are sent as they are, and the marker says which request this is."""
    job = a_job()
    body = body_of(job)
    request = job.creation.request
    marker = body["metadata"].pop("reconciler")
    assert body == {**request.fields, "metadata": {}, "contacts": request.contacts}
    assert marker == {
        "key": job.creation.key,
        "digest": request.digest,
        "name": "welcome",
        "generation": 1,
        "part": 1,
    }


def test_an_armed_batch_starts_later_and_stays_the_same_request() -> None:
    """The delay is no part of key and digest, and a start of its own is never changed."""
    job = a_job()
    armed = replace(job, action=replace(job.action, arm_delay=timedelta(minutes=5)))
    body = body_of(armed)
    assert body["scheduled_start"] == "2026-05-12T09:05:00Z"
    assert body["metadata"] == body_of(job)["metadata"]
    (action,) = plan(spec(scheduled_start="2027-01-01T09:00:00")).actions
    own = Job(replace(action, arm_delay=timedelta(minutes=5)), action.creations[0], job.place)
    assert body_of(own)["scheduled_start"] == "2027-01-01T09:00:00"


# -- the verifier ---------------------------------------------------------------------------------


def test_a_search_ends_with_the_run() -> None:
    """After a signal the verifier looks once more and gives up, long before its time."""
    clock, stop = ManualClock(), threading.Event()
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    stop.set()
    verifier = Verifier(Lookup(FakeApi(clock), {}), clock=clock, stop=stop, events=events)
    job = a_job()
    wanted = Wanted(job.creation.key, CAMPAIGN, 2, NOW)
    verifier.add(Search(job.place, wanted, clock.elapsed() + 1e9))
    assert events.get(timeout=10) == Seen(job.place, wanted.key, ())


def test_a_search_for_second_batches_shows_both() -> None:
    """Who has to choose is shown the known one too."""
    clock, record = ManualClock(), creating(SPEC)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    api = FakeApi(clock)
    own, second = (batch(record, name, age=timedelta(0)) for name in ("bat_own", "bat_second"))
    api.put(own, second)
    lookup = Lookup(api, {"bat_own": record.key})
    verifier = Verifier(lookup, clock=clock, stop=threading.Event(), events=events)
    wanted = Wanted(record.key, CAMPAIGN, 2, NOW)
    verifier.add(Search(a_job().place, wanted, 0.0, own="bat_own"))
    event = events.get(timeout=10)
    assert isinstance(event, Seen)
    assert sorted(b.batch_id for b in event.batches) == ["bat_own", "bat_second"]


# -- outcomes and the report ----------------------------------------------------------------------


def a_plan(*actions: Action) -> Plan:
    """Give a plan of these actions."""
    return Plan(actions=actions, lineage=LINEAGE, serial=1)


def report_of(*endings: Ending | Refusal) -> Report:
    """Give a report of actions that ended like this, a refusal being one that is blocked."""
    action = create_action()
    results = tuple(
        Result(action=replace(action, name=f"s{i}", refusal=each), ending=Ending.BLOCKED)
        if isinstance(each, Refusal)
        else Result(action=replace(action, name=f"s{i}"), ending=each)
        for i, each in enumerate(endings)
    )
    return Report(plan=a_plan(), results=results)


@pytest.mark.parametrize(
    ("endings", "code", "reason"),
    [
        ([], ExitCode.DONE, "nothing to do is done"),
        ([Ending.CREATED, Ending.DONE], ExitCode.DONE, "all done"),
        ([Ending.REJECTED], ExitCode.FAILED, "certainly not created"),
        ([Ending.SKIPPED], ExitCode.FAILED, "not begun"),
        ([Ending.FAILED], ExitCode.FAILED, "a second batch is still there"),
        ([Ending.UNKNOWN], ExitCode.UNKNOWN_OUTCOME, "it may exist"),
        ([Refusal.DOUBT], ExitCode.UNKNOWN_OUTCOME, "it may still exist"),
        ([Refusal.GUARD], ExitCode.REFUSED, "a guard said no"),
        ([Refusal.CONFLICT], ExitCode.REFUSED, "a guard said no"),
        ([Refusal.MISTAKE], ExitCode.FAILED, "a mistake in the spec"),
        (
            [
                Refusal.GUARD,
                Ending.REJECTED,
                Ending.UNKNOWN,
                Ending.CREATED,
            ],
            ExitCode.UNKNOWN_OUTCOME,
            "an unknown outcome comes before all else",
        ),
        (
            [Refusal.GUARD, Ending.REJECTED],
            ExitCode.FAILED,
            "a failure comes before a refusal",
        ),
    ],
)
def test_how_endings_become_an_exit_code(
    endings: list[Ending | Refusal], code: ExitCode, reason: str
) -> None:
    """The worst ending decides."""
    assert report_of(*endings).exit_code is code, reason


def test_an_interrupted_run_is_not_done() -> None:
    """Nor is one whose specs have a mistake."""
    assert replace(report_of(), interrupted=True).exit_code is ExitCode.FAILED
    past = plan(spec(scheduled_start="2026-05-12T08:00:00Z"))
    assert Report(plan=past, results=()).exit_code is ExitCode.FAILED


def test_counts_have_every_ending() -> None:
    """Endings that did not occur count zero."""
    counts = report_of(Ending.CREATED, Ending.CREATED).counts()
    assert counts == {ending.value: 0 for ending in Ending} | {"created": 2}


def test_a_report_after_a_lost_race_tells_each_thing_once() -> None:
    """What was carried out before is kept, and what was not is told by the later report alone."""
    action = create_action()

    def result(name: str, ending: Ending, reason: Reason = Reason.NEW) -> Result:
        return Result(action=replace(action, name=name, reason=reason), ending=ending)

    first = Report(
        plan=a_plan(),
        results=(
            result("a", Ending.CREATED),
            result("b", Ending.SKIPPED),
            result("c", Ending.UNKNOWN),
            result("d", Ending.BLOCKED, Reason.IN_DOUBT),
        ),
        moved=True,
        seconds=2.0,
    )
    later = Report(plan=a_plan(), results=(result("c", Ending.CREATED),), seconds=3.0)
    joined = first.followed_by(later)
    assert [(r.action.name, r.ending.value) for r in joined.results] == [
        ("a", "created"),
        ("c", "created"),
    ]
    assert (joined.moved, joined.seconds, joined.exit_code) == (False, 5.0, ExitCode.DONE)


def test_what_was_not_begun_can_be_left_out() -> None:
    """Where not beginning is as it should be, nothing is told of it."""
    report = report_of(Ending.CREATED, Ending.SKIPPED)
    assert [r.ending for r in report.without_skipped().results] == [Ending.CREATED]


def test_the_worst_part_is_an_actions_ending() -> None:
    """Its message and hint are told, and the ids, warnings and problems of all parts."""
    outcomes, action = Outcomes(), create_action()
    outcomes.end(action, 2, Ending.CREATED, batch_id="bat_2", warnings=["odd"])
    outcomes.end(action, 1, Ending.UNKNOWN, message="timeout")
    outcomes.add_reason(action, 1, "no list")
    outcomes.add_reason(action, 1, "no list")
    outcomes.add_reason(action, 9, "nothing known of it")
    assert outcomes.created_ids() == [("welcome", "bat_2")]
    (result,) = outcomes.results(a_plan(action))
    assert (result.ending, result.message) == (Ending.UNKNOWN, "timeout; no list")
    assert (result.batch_ids, result.warnings) == (("bat_2",), ("odd",))
    assert "resolve welcome" in result.hint


def test_a_later_word_replaces_an_earlier_one() -> None:
    """A request that was unknown and then found is created."""
    outcomes, action = Outcomes(), create_action()
    outcomes.end(action, 1, Ending.UNKNOWN)
    outcomes.end(action, 1, Ending.CREATED, batch_id="bat_1")
    (result,) = outcomes.results(a_plan(action))
    assert (result.ending, result.hint) == (Ending.CREATED, "")


def test_an_action_nobody_spoke_of_is_skipped() -> None:
    """Silence is not success."""
    (result,) = Outcomes().results(a_plan(create_action()))
    assert result.ending is Ending.SKIPPED
    assert result.hint


def test_a_planned_cancel_that_was_not_reached_is_a_failure() -> None:
    """A second batch that nobody cancelled still calls people."""
    action = replace(create_action(), kind=ActionKind.CANCEL, role=Role.DUPLICATE, batch_id="bat_2")
    (result,) = Outcomes().results(a_plan(action))
    assert result.ending is Ending.FAILED
    assert "bat_2" in result.hint


def test_a_second_batch_found_on_the_way_has_a_result_of_its_own() -> None:
    """It is told once, whether it was planned or came to light."""
    outcomes, action = Outcomes(), create_action()
    outcomes.end(action, 1, Ending.CREATED, batch_id="bat_1")
    outcomes.cancelled("welcome", "bat_2", "")
    first, second = outcomes.results(a_plan(action))
    assert (first.ending, second.ending) == (Ending.CREATED, Ending.DONE)
    assert (second.action.kind, second.batch_ids) == (ActionKind.CANCEL, ("bat_2",))
    assert second.action.people == 0
