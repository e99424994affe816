from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import orjson
import pytest
from msgspec import structs
from msgspec.structs import replace

from reconciler.model import Diagnostic, Lifecycle, OnChange, Severity
from reconciler.observed import Batch, Campaign
from reconciler.plan.actions import Action, ActionKind, Plan, Reason
from reconciler.plan.facts import Facts, Rules
from reconciler.state.document import NameRecord, Replacing, State
from tests.core.builders import (
    CAMPAIGN,
    NOW,
    batch,
    created,
    creating,
    generation,
    in_doubt,
    key_of,
    plan,
    recorded,
    spec,
    state,
)

if TYPE_CHECKING:
    from reconciler.model import Spec
    from reconciler.state.document import RequestRecord

HOUR = timedelta(hours=1)
SPEC = spec()
CHANGED = spec(contents=2)
DOUBT = creating(SPEC)
CREATED = state(welcome=recorded(of=SPEC))
ABSENT = Facts(absent=frozenset({DOUBT.key}))
PAST = spec(scheduled_start="2026-05-12T08:59:59Z")
INDIA = {CAMPAIGN: Campaign(CAMPAIGN, timezone="Asia/Kolkata")}


@dataclass(frozen=True)
class Case:
    """One situation: what is planned (kind, reason and name of each action), and why."""

    why: str
    expected: list[str]
    specs: tuple[Spec, ...] = (SPEC,)
    on: State = field(default_factory=state)
    facts: Facts = field(default_factory=Facts)
    rules: Rules = field(default_factory=Rules)


def told(of: Plan) -> list[str]:
    """Give a plan's actions as short texts."""
    return [f"{a.kind.value} {a.reason.value} {a.name}" for a in of.actions]


def exists(*batches: Batch) -> Facts:
    """Give facts in which batches of the name exist and the state knows none of them."""
    return Facts(existing={"welcome": batches})


def with_marker(of: Batch, **more: object) -> Batch:
    """Give a batch whose marker says more."""
    return replace(of, metadata={"reconciler": {**(of.marker or {}), **more}})


def seen(*batches: Batch) -> Facts:
    """Give facts in which batches carry the key."""
    return Facts(found={DOUBT.key: batches})


OLD_ID = "bat_welcome_1_1"


def shown(status: str) -> Facts:
    """Give facts in which the recorded batch has a status."""
    return Facts(batches={OLD_ID: Batch(OLD_ID, CAMPAIGN, status)})


def begun() -> State:
    """Give a state in which a run died after it had begun to replace the batch."""
    return state(welcome=structs.replace(recorded(of=SPEC), replacing=journal()))


def journal() -> Replacing:
    """Give the record of a replacement that was begun."""
    return Replacing(
        generation=2,
        on_change=OnChange.REMAINING,
        olds=(OLD_ID,),
        paused=(OLD_ID,),
        begun_at=NOW - HOUR,
    )


def replaced(of: Spec) -> NameRecord:
    """Give a record whose second generation is of a spec, and whose first was cancelled for it."""
    first = created(SPEC, cancelled_at=NOW - HOUR)
    return NameRecord(
        generations=(
            generation(SPEC, first),
            generation(of, created(of, generation=2), number=2),
        )
    )


def half_replaced(*records: RequestRecord) -> NameRecord:
    """Give a record whose second generation is there, or what is told, and whose first is left."""
    after = records or (created(CHANGED, generation=2),)
    return NameRecord(
        generations=(generation(SPEC), generation(CHANGED, *after, number=2)),
        replacing=journal(),
    )


OLD, YOUNG = batch(DOUBT, "bat_old", age=2 * HOUR), batch(DOUBT, "bat_young", age=HOUR)
FOREIGN = replace(OLD, metadata={"reconciler": {"key": DOUBT.key, "digest": "v1:other"}})
WATCHED = created(SPEC, "bat_young", watch_until=NOW + HOUR)
PART = spec(parts=2)
HALF = state(welcome=recorded(created(PART), of=PART))
HALF_IN_DOUBT = state(welcome=recorded(created(PART), creating(PART, part=2), of=PART))
RELEASED = in_doubt(SPEC, released_at=NOW)

CASES = [
    Case("nothing is recorded", ["create new welcome"]),
    Case("all is as recorded", ["none unchanged welcome"], on=CREATED),
    Case("one of two parts is missing", ["create incomplete welcome"], (PART,), HALF),
    Case("the contents changed", ["replace changed welcome"], (CHANGED,), CREATED),
    Case(
        "a changed spec that forbids it",
        ["blocked on_change_forbids welcome"],
        (spec(contents=2, on_change=OnChange.FORBID),),
        CREATED,
    ),
    Case(
        "an unchanged spec that would forbid a change",
        ["none unchanged welcome"],
        (spec(on_change=OnChange.FORBID),),
        CREATED,
    ),
    Case(
        "the spec's lifecycle changed",
        ["pause lifecycle welcome"],
        (spec(lifecycle=Lifecycle.PAUSED),),
        CREATED,
    ),
    Case(
        "the spec's lifecycle changed",
        ["cancel lifecycle welcome"],
        (spec(lifecycle=Lifecycle.CANCELLED),),
        CREATED,
    ),
    Case(
        "the spec's lifecycle changed back",
        ["resume lifecycle welcome"],
        on=state(welcome=recorded(of=SPEC, lifecycle=Lifecycle.PAUSED)),
    ),
    Case(
        "new, and not to be active: nothing to pause, so nobody is called first",
        ["none not_wanted welcome"],
        (spec(lifecycle=Lifecycle.PAUSED),),
    ),
    Case(
        "absent, and not wanted any more",
        ["none not_wanted welcome"],
        (spec(lifecycle=Lifecycle.CANCELLED),),
        in_doubt(SPEC),
        ABSENT,
    ),
    Case("a renamed spec", ["move renamed hello"], (spec("hello"),), CREATED),
    Case(
        "a copy beside the original is a batch of its own",
        ["create new hello", "none unchanged welcome"],
        (spec("hello"), SPEC),
        CREATED,
    ),
    Case(
        "two new specs with the contents of one that is gone: one is it, the other is new",
        ["move renamed a", "create new b"],
        (spec("a"), spec("b")),
        CREATED,
    ),
    Case(
        "renamed and changed: for all anybody knows it is another one",
        ["create new hello"],
        (spec("hello", contents=2),),
        CREATED,
    ),
    Case(
        "renamed while in doubt: it may have called everyone already",
        ["blocked in_doubt welcome", "blocked in_doubt hello"],
        (spec("hello"),),
        in_doubt(SPEC),
    ),
    Case(
        "renamed while in doubt, and certainly absent: a person has to let go of the old name",
        ["blocked in_doubt welcome", "blocked in_doubt hello"],
        (spec("hello"),),
        in_doubt(SPEC),
        ABSENT,
    ),
    Case(
        "renamed while in doubt, and found",
        ["adopt found welcome", "move renamed hello"],
        (spec("hello"),),
        in_doubt(SPEC),
        seen(OLD),
    ),
    Case(
        "another new spec has nothing to do with what is in doubt",
        ["blocked in_doubt welcome", "create new hello"],
        (spec("hello", contents=2),),
        in_doubt(SPEC),
    ),
    Case(
        "a changed spec whose batch somebody paused by hand: a new one would undo that",
        ["blocked paused_by_hand welcome"],
        (CHANGED,),
        CREATED,
        shown("paused"),
    ),
    Case(
        "a changed spec whose batch was paused by its lifecycle",
        ["replace changed welcome"],
        (CHANGED,),
        state(welcome=recorded(of=SPEC, lifecycle=Lifecycle.PAUSED)),
        shown("paused"),
    ),
    Case(
        "a changed spec whose batch a run that died had paused",
        ["replace changed welcome"],
        (CHANGED,),
        begun(),
        shown("paused"),
    ),
    Case(
        "a changed spec whose batch is gone: nobody can say who was called",
        ["blocked called_unknown welcome"],
        (CHANGED,),
        CREATED,
        Facts(batches={OLD_ID: None}, contacts={OLD_ID: None}),
    ),
    Case(
        "a changed spec whose batch is gone, and that calls everyone in any case",
        ["replace changed welcome"],
        (spec(contents=2, on_change=OnChange.EVERYONE),),
        CREATED,
        Facts(batches={OLD_ID: None}, contacts={OLD_ID: None}),
    ),
    Case(
        "a changed spec that is to be paused: nothing new is created",
        ["pause lifecycle welcome"],
        (spec(contents=2, lifecycle=Lifecycle.PAUSED),),
        CREATED,
    ),
    Case(
        "a changed spec that is paused already",
        ["none not_wanted welcome"],
        (spec(contents=2, lifecycle=Lifecycle.PAUSED),),
        state(welcome=recorded(of=SPEC, lifecycle=Lifecycle.PAUSED)),
    ),
    Case(
        "only whom the old batch does not have is to be called, and that is to go on",
        ["resume lifecycle welcome", "replace changed welcome"],
        (spec(contents=2, on_change=OnChange.ADDED),),
        state(welcome=recorded(of=SPEC, lifecycle=Lifecycle.PAUSED)),
    ),
    Case(
        "a spec that says again what it said before",
        ["replace reverted welcome"],
        on=state(welcome=replaced(of=CHANGED)),
    ),
    Case(
        "cancelled by its spec, and wanted again: a cancelled batch cannot be resumed",
        ["replace lifecycle welcome"],
        on=state(welcome=recorded(of=SPEC, lifecycle=Lifecycle.CANCELLED)),
    ),
    Case(
        "the change that was begun is taken back",
        ["resume abandoned welcome"],
        on=begun(),
        facts=shown("paused"),
    ),
    Case(
        "the new batch is there, and the old one was not cancelled any more",
        ["cancel replaced welcome"],
        (CHANGED,),
        state(welcome=half_replaced()),
    ),
    Case(
        "the new batch is there, its spec is gone, and the old one is not cancelled",
        ["cancel replaced welcome"],
        (),
        state(welcome=half_replaced()),
    ),
    Case(
        "the new batch is certainly not there, and is to be created after all",
        ["replace not_created welcome"],
        (CHANGED,),
        state(welcome=half_replaced(creating(CHANGED, generation=2))),
        Facts(absent=frozenset({creating(CHANGED, generation=2).key})),
    ),
    Case(
        "one of two new batches is there: the old one still holds the people of the other",
        ["replace incomplete welcome"],
        (PART,),
        state(welcome=half_replaced(created(PART, generation=2))),
    ),
    Case("a spec is gone", [], (), CREATED),
    Case(
        "a spec is gone, and its batch is to go with it",
        ["cancel removed welcome"],
        (),
        CREATED,
        rules=Rules(prune=True),
    ),
    Case(
        "a spec is gone, and so is its batch: there is nothing to prune",
        [],
        (),
        CREATED,
        shown("completed"),
        Rules(prune=True),
    ),
    Case(
        "a spec is gone while its batch is in doubt: that is not pruned but settled first",
        ["blocked in_doubt welcome"],
        (),
        in_doubt(SPEC),
        rules=Rules(prune=True),
    ),
    Case("in doubt", ["blocked in_doubt welcome"], on=in_doubt(SPEC)),
    Case("in doubt, spec changed", ["blocked in_doubt welcome"], (CHANGED,), in_doubt(SPEC)),
    Case("in doubt, spec gone", ["blocked in_doubt welcome"], (), in_doubt(SPEC)),
    Case(
        "in doubt, and left to a person",
        ["blocked held welcome"],
        on=in_doubt(SPEC),
        facts=ABSENT,
        rules=Rules(hold=True),
    ),
    Case(
        "the key is on a batch with other contents",
        ["blocked key_conflict welcome"],
        on=in_doubt(SPEC),
        facts=seen(FOREIGN),
    ),
    Case("certainly absent", ["create not_created welcome"], on=in_doubt(SPEC), facts=ABSENT),
    Case(
        "certainly absent, but state has no contacts to create it again",
        ["blocked in_doubt welcome"],
        (CHANGED,),
        in_doubt(SPEC),
        ABSENT,
    ),
    Case(
        "certainly absent, spec gone",
        ["blocked in_doubt welcome"],
        (),
        in_doubt(SPEC),
        ABSENT,
    ),
    Case(
        "one of two parts is certainly absent",
        ["create not_created welcome"],
        (PART,),
        HALF_IN_DOUBT,
        Facts(absent=frozenset({creating(PART, part=2).key})),
    ),
    Case("one of two parts in doubt", ["blocked in_doubt welcome"], (PART,), HALF_IN_DOUBT),
    Case(
        "found",
        ["adopt found welcome", "none unchanged welcome"],
        on=in_doubt(SPEC),
        facts=seen(OLD),
    ),
    Case("found, spec gone", ["adopt found welcome"], (), in_doubt(SPEC), seen(OLD)),
    Case(
        "found, and the spec changed meanwhile",
        ["adopt found welcome", "replace changed welcome"],
        (CHANGED,),
        in_doubt(SPEC),
        seen(OLD),
    ),
    Case(
        "found twice",
        ["adopt found welcome", "cancel duplicate welcome", "none unchanged welcome"],
        on=in_doubt(SPEC),
        facts=seen(YOUNG, OLD),
    ),
    Case(
        "found twice, and the second has ended: its id has to be known all the same",
        ["adopt found welcome", "cancel duplicate welcome", "none unchanged welcome"],
        on=in_doubt(SPEC),
        facts=seen(replace(YOUNG, status="cancelled"), OLD),
    ),
    Case(
        "a younger second batch came to light",
        ["cancel duplicate welcome", "none unchanged welcome"],
        on=state(welcome=recorded(created(SPEC, "bat_old"), of=SPEC)),
        facts=seen(YOUNG, OLD),
    ),
    Case(
        "an older second batch came to light",
        ["adopt duplicate welcome", "cancel duplicate welcome", "none unchanged welcome"],
        on=state(welcome=recorded(WATCHED, of=SPEC)),
        facts=seen(YOUNG, OLD),
    ),
    Case(
        "only a second batch is listed: the recorded one may be there all the same",
        ["cancel duplicate welcome", "none unchanged welcome"],
        on=state(welcome=recorded(WATCHED, of=SPEC)),
        facts=seen(OLD),
    ),
    Case(
        "cancelling a second batch did not work",
        ["cancel duplicate welcome", "none unchanged welcome"],
        on=state(welcome=recorded(structs.replace(WATCHED, duplicates=("bat_old",)), of=SPEC)),
        facts=seen(YOUNG, OLD),
    ),
    Case(
        "a second batch is cancelled",
        ["none unchanged welcome"],
        on=state(welcome=recorded(structs.replace(WATCHED, duplicates=("bat_old",)), of=SPEC)),
        facts=seen(YOUNG, replace(OLD, status="cancelled")),
    ),
    Case(
        "a batch with the key and other contents is not ours to cancel",
        ["none unchanged welcome"],
        on=state(welcome=recorded(WATCHED, of=SPEC)),
        facts=seen(YOUNG, FOREIGN),
    ),
    Case("released", ["create not_created welcome"], on=RELEASED),
    Case("released, spec changed", ["create new welcome"], (CHANGED,), RELEASED),
    Case("released, spec gone", [], (), RELEASED),
    Case("released, spec renamed", ["create new hello"], (spec("hello"),), RELEASED),
    Case(
        "released, spec changed, but it had arrived after all",
        ["adopt found welcome", "replace changed welcome"],
        (CHANGED,),
        RELEASED,
        seen(OLD),
    ),
    Case(
        "released, spec renamed, but it had arrived after all",
        ["adopt found welcome", "move renamed hello"],
        (spec("hello"),),
        RELEASED,
        seen(OLD),
    ),
    Case("the state was lost", ["adopt already_exists welcome"], facts=exists(OLD)),
    Case(
        "a later batch of a lost state holds only who was left: nobody can say who was called",
        ["blocked name_in_use welcome"],
        facts=exists(with_marker(OLD, generation=2)),
    ),
    Case(
        "one of a lost state's generations is the spec's, and another may still call",
        ["blocked name_in_use welcome"],
        facts=exists(
            with_marker(OLD, generation=1),
            with_marker(replace(OLD, batch_id="bat_2", status="cancelled"), generation=2),
        ),
    ),
    Case(
        "the first generation alone, as it says itself",
        ["adopt already_exists welcome"],
        facts=exists(with_marker(OLD, generation=1)),
    ),
    Case(
        "the state was lost, and the batch had been cancelled: nobody wants it called now",
        ["adopt already_exists welcome"],
        facts=exists(replace(OLD, status="cancelled")),
    ),
    Case(
        "another batch has this name",
        ["blocked name_in_use welcome"],
        (CHANGED,),
        facts=exists(OLD),
    ),
    Case(
        "another batch had this name and was cancelled",
        ["create new welcome"],
        (CHANGED,),
        facts=exists(replace(OLD, status="cancelled")),
    ),
    Case(
        "one of two parts exists",
        ["blocked name_in_use welcome"],
        (PART,),
        facts=exists(batch(creating(PART), "bat_1")),
    ),
    Case(
        "the state was lost and the spec renamed",
        ["blocked contents_in_use welcome"],
        facts=Facts(same_contents={SPEC.requests[0].digest: (OLD,)}),
    ),
    Case(
        "a batch of these contents was cancelled: it calls nobody",
        ["create new welcome"],
        facts=Facts(same_contents={SPEC.requests[0].digest: (replace(OLD, status="cancelled"),)}),
    ),
    Case(
        "a start in an unknown timezone that may be over there",
        ["blocked start_not_known welcome"],
        (spec(scheduled_start=f"{NOW + HOUR:%Y-%m-%dT%H:%M:%S}"),),
    ),
    Case(
        "a start in an unknown timezone that is over nowhere",
        ["create new welcome"],
        (spec(scheduled_start=f"{NOW + 20 * HOUR:%Y-%m-%dT%H:%M:%S}"),),
    ),
    Case(
        "another organisation",
        ["blocked other_organization welcome"],
        (spec(organization_id="org_b"),),
        rules=Rules(organization_id="org_a"),
    ),
    Case(
        "the same organisation",
        ["create new welcome"],
        (spec(organization_id="org_a"),),
        rules=Rules(organization_id="org_a"),
    ),
    Case(
        "no organisation is named",
        ["create new welcome"],
        rules=Rules(organization_id="org_a"),
    ),
    Case("a start that is over", ["blocked starts_in_the_past welcome"], (PAST,)),
    Case(
        "a start that is over, of a batch that was created in time",
        ["none unchanged welcome"],
        (PAST,),
        state(welcome=recorded(of=PAST)),
    ),
    Case(
        "a start that is over, of a batch that turned out not to be there",
        ["blocked starts_in_the_past welcome"],
        (PAST,),
        in_doubt(PAST),
        Facts(absent=frozenset({creating(PAST).key})),
    ),
    Case(
        "naive, over in the campaign's timezone",
        ["blocked starts_in_the_past welcome"],
        (spec(scheduled_start="2026-05-12T14:29:59"),),
        facts=Facts(campaigns=INDIA),
    ),
    Case(
        "naive, still to come in the campaign's timezone",
        ["create new welcome"],
        (spec(scheduled_start="2026-05-12T14:30:01"),),
        facts=Facts(campaigns=INDIA),
    ),
    Case(
        "naive, over everywhere on earth",
        ["blocked starts_in_the_past welcome"],
        (spec(scheduled_start="2026-05-11T20:00:00"),),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_every_situation_has_its_actions(case: Case) -> None:
    """What is planned follows from specs, records and facts, as the table says and why."""
    made = plan(*case.specs, on=case.on, facts=case.facts, rules=case.rules)
    assert told(made) == case.expected


def test_the_table_knows_every_kind_and_reason() -> None:
    """No kind of action and no reason goes untested, but what this version never plans."""
    pairs = [line.split() for case in CASES for line in case.expected]
    assert {kind for kind, *_ in pairs} == set(ActionKind) - {ActionKind.FORGET}
    elsewhere = {Reason.POLICY, Reason.FROZEN, Reason.STOPPED_BY_HAND}  # see tests/policy, brake
    assert {reason for _, reason, _ in pairs} == set(Reason) - elsewhere


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_every_refusal_says_why_and_what_to_do(case: Case) -> None:
    """An action that is blocked names its cause and the way out of it."""
    made = plan(*case.specs, on=case.on, facts=case.facts, rules=case.rules)
    for action in made.actions:
        if action.kind is ActionKind.BLOCKED:
            assert action.message
            assert action.hint
            assert action.people == 0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_order_of_specs_does_not_matter(case: Case) -> None:
    """The same inputs in another order give the same plan."""
    plans = [
        plan(*order, on=case.on, facts=case.facts, rules=case.rules)
        for order in permutations(case.specs)
    ]
    assert all(each == plans[0] for each in plans)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_the_essence_is_json_and_stable(case: Case) -> None:
    """What a reviewer agrees to survives a file, and planning again gives the same."""
    one, two = (plan(*case.specs, on=case.on, facts=case.facts, rules=case.rules) for _ in range(2))
    assert orjson.loads(orjson.dumps(one.essence())) == one.essence() == two.essence()
    assert len(one.essence()) == len(one.pending)


def only(of: Plan) -> Action:
    """Give the one action of a plan."""
    (action,) = of.actions
    return action


def test_a_create_says_whom_it_calls_and_under_which_key() -> None:
    """The key is of name, generation and digest; people are counted."""
    action = only(plan(SPEC))
    (creation,) = action.creations
    assert creation.key == key_of(SPEC)
    assert creation.previous is None
    assert (action.people, action.contacts, action.generation) == (2, 2, 1)
    assert (action.starts_at, action.scheduled_start) == (None, None)


def test_an_attempt_that_is_repeated_keeps_its_key() -> None:
    """Creating again uses the key that is recorded, wherever it came from, and the old record."""
    odd = structs.replace(DOUBT, key="rk1_from_an_older_tool")
    facts = Facts(absent=frozenset({odd.key}))
    (creation,) = only(plan(SPEC, on=state(welcome=recorded(odd, of=SPEC)), facts=facts)).creations
    assert creation.key == odd.key
    assert creation.previous == odd


def test_what_is_missing_is_all_that_is_created() -> None:
    """The parts that exist are not created again."""
    (creation,) = only(plan(PART, on=HALF)).creations
    assert creation.request.part == 2
    assert creation.key == key_of(PART, part=2)


def test_a_move_keeps_generation_and_batch_and_calls_nobody() -> None:
    """A rename carries the record over, whatever generation it is at."""
    grown = NameRecord(
        generations=(generation(CHANGED), generation(SPEC, created(SPEC, "bat_2"), number=2))
    )
    action = only(plan(spec("hello"), on=state(welcome=grown)))
    assert (action.kind, action.moved_from, action.generation) == (ActionKind.MOVE, "welcome", 2)
    assert (action.batch_id, action.people) == ("bat_2", 0)


def test_a_replacement_is_the_next_generation() -> None:
    """A changed spec says what changed, which batch it is about, and how many it calls at most."""
    action = only(plan(CHANGED, on=CREATED))
    assert (action.generation, action.batch_id) == (2, "bat_welcome_1_1")
    assert [change.field for change in action.changes] == ["call_context.contents"]
    assert (action.people, action.again) == (2, 0)
    assert action.callees is not None
    assert action.callees.at_most, "nobody was asked who has been called"


def test_a_forbidden_change_is_shown() -> None:
    """Who is refused sees what the change is."""
    action = only(plan(spec(contents=2, on_change=OnChange.FORBID), on=CREATED))
    assert [change.field for change in action.changes] == ["call_context.contents"]


def test_cancels_name_the_batch_that_is_not_kept() -> None:
    """Of two batches of a key the older is adopted and the younger cancelled."""
    adopt, cancel, _ = plan(SPEC, on=in_doubt(SPEC), facts=seen(YOUNG, OLD)).actions
    assert (adopt.batch_id, cancel.batch_id, cancel.contacts) == ("bat_old", "bat_young", 0)
    adopt, cancel, _ = plan(
        SPEC, on=state(welcome=recorded(WATCHED, of=SPEC)), facts=seen(YOUNG, OLD)
    ).actions
    assert (adopt.batch_id, cancel.batch_id) == ("bat_old", "bat_young")


@pytest.mark.parametrize(
    ("start", "facts", "expected"),
    [
        ("2026-06-01T09:00:00Z", Facts(), "2026-06-01T09:00:00+00:00"),
        ("2026-06-01T09:00:00", Facts(campaigns=INDIA), "2026-06-01T03:30:00+00:00"),
        ("2026-06-01T09:00:00", Facts(), None),
    ],
)
def test_a_plan_says_when_calls_begin(start: str, facts: Facts, expected: str | None) -> None:
    """A naive start becomes a moment in the campaign's timezone, where that is known."""
    action = only(plan(spec(scheduled_start=start), facts=facts))
    assert (action.starts_at and action.starts_at.isoformat()) == expected
    assert action.scheduled_start == start


def test_a_start_that_is_over_is_an_error_at_its_line() -> None:
    """The diagnostic stands where the start can be mended."""
    (error,) = plan(PAST).errors
    assert (error.file, error.line, error.column) == ("batches/welcome.yaml", 3, 1)
    assert error.field == "scheduled_start"


def test_a_start_that_clocks_skip_is_a_warning() -> None:
    """A local time that never happens is created all the same, and said."""
    facts = Facts(campaigns={CAMPAIGN: Campaign(CAMPAIGN, timezone="Europe/Berlin")})
    made = plan(spec(scheduled_start="2027-03-28T02:30:00"), facts=facts)
    assert told(made) == ["create new welcome"]
    (warning,) = made.diagnostics
    assert warning.severity is Severity.WARNING
    assert made.errors == ()


def test_a_removed_spec_is_a_warning_that_names_the_batch() -> None:
    """An orphan is reported and left alone."""
    made = plan(on=CREATED)
    (warning,) = made.diagnostics
    assert made.actions == ()
    assert warning.severity is Severity.WARNING
    assert "bat_welcome_1_1" in warning.message


def test_what_was_said_before_is_said_again() -> None:
    """Diagnostics of the specs and of the facts are part of the plan."""
    odd = Diagnostic(Severity.WARNING, "", 0, 0, "", "odd")
    made = plan(SPEC, facts=Facts(diagnostics=(odd,)))
    assert made.diagnostics == (odd,)
    assert not made.offline


def test_a_summary_counts_every_kind() -> None:
    """Kinds that do not occur count zero, and people are those of all actions."""
    made = plan(SPEC, spec("two"), spec("three", lifecycle=Lifecycle.PAUSED))
    assert made.summary() == {kind.value: 0 for kind in ActionKind} | {"create": 2, "none": 1}
    assert made.people == 4
    assert [a.name for a in made.pending] == ["two", "welcome"]


def test_a_copy_of_a_created_spec_says_who_is_called_again() -> None:
    """A copy is a new batch; that its people were called already is said with their number."""
    copy = replace(SPEC, name="copy")
    made = plan(SPEC, copy, on=CREATED)
    assert told(made) == ["create new copy", "none unchanged welcome"]
    (warning,) = [
        d
        for d in made.diagnostics
        if "exactly the same contacts and fields as welcome" in d.message
    ]
    assert warning.severity is Severity.WARNING
    assert "called again" in warning.message


def test_a_key_is_never_used_for_two_batches() -> None:
    """A renamed record keeps its key, and a new spec under the old name gets another."""
    first = plan(SPEC)
    key = first.actions[0].creations[0].key
    moved = structs.replace(created(SPEC, "bat_1"), key=key)
    renamed = state(renamed=recorded(moved, of=SPEC))
    again = plan(SPEC, replace(SPEC, name="renamed"), on=renamed)
    (creation,) = [c for a in again.actions for c in a.creations]
    assert creation.key != key


def test_contents_in_doubt_under_a_changed_spec_are_not_created_elsewhere() -> None:
    """What may exist is settled before the same people are called under another name."""
    copy = replace(SPEC, name="copy")
    made = plan(CHANGED, copy, on=in_doubt(SPEC))
    assert told(made)[-1] == "blocked in_doubt copy"
