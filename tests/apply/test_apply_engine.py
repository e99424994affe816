from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from reconciler.apply.engine import Limits
from reconciler.errors import ExitCode
from reconciler.observed import FieldProblem, Rejected
from reconciler.plan.actions import ActionKind, Reason
from reconciler.state.document import RecordedBy
from tests.apply.doubles import (
    BUSY,
    CREATED,
    DOWN,
    LOST,
    NEVER,
    REFUSED,
    World,
    endings,
    the_record,
)
from tests.core.builders import (
    LONG_AGO,
    NOW,
    batch,
    creating,
    in_doubt,
    key_of,
    recorded,
    spec,
    state,
)

SPEC = spec()
HOUR = timedelta(hours=1)


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
    assert open_intents <= 2 * world.limits.parallelism
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


@pytest.mark.parametrize("first", [[BUSY], [DOWN], [BUSY, DOWN, BUSY]])
def test_what_was_refused_for_now_is_tried_again(first: list[str]) -> None:
    """What was not created is sent again; if the API took it, then as one more attempt."""
    world = World(welcome=list(first))
    assert world.apply(SPEC).exit_code is ExitCode.DONE
    assert len(world.api.creates) == len(first) + 1
    taken = first.count(BUSY)
    assert the_record(world).attempt == 1 + taken
    assert (the_record(world).watch_until is not None) == (taken > 0), "it may have lied"


def test_a_not_now_that_was_a_yes() -> None:
    """The batch that was made all the same is seen at once, and the younger one cancelled."""
    world = World(welcome=["lie"])
    report = world.apply(SPEC)
    assert endings(report) == {"welcome create": "created", "welcome cancel": "done"}
    assert len(world.api.cancels) == 1
    assert world.recorded_ids() == set(world.api.batches)


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
    # What was handed out with the first request is not begun either.
    assert sum(time < gate for _, time in times) == 1
    assert sum(time >= gate for _, time in times) == 6


def test_no_for_good_leaves_no_record_and_says_why() -> None:
    """A rejected request is as if it had never been planned."""
    world = World(welcome=[REFUSED])
    report = world.apply(SPEC, spec("other", 2))
    assert endings(report) == {"welcome create": "rejected", "other create": "created"}
    assert report.exit_code is ExitCode.FAILED
    assert set(world.store.last.batches) == {"other"}
    result = next(r for r in report.results if r.action.name == "welcome")
    assert "campaign not found" in result.message


def test_complaints_about_fields_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A 422's problems and hint stand in the result."""
    world = World()
    problem = FieldProblem(("contacts", 0, "phone_number"), "no number")
    no = Rejected("invalid", 422, problems=(problem,), hint="mend it")
    monkeypatch.setattr(world.api, "create", lambda *_, **__: no)
    (result,) = world.apply(SPEC).results
    assert (result.problems, result.hint) == ((problem,), "mend it")


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
        engine._recorder.place(lost, 1)
