from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from reconciler.digest import request_digest
from reconciler.model import OnChange, Request, Spec, SpecSet
from reconciler.observed import Batch, BatchContact
from reconciler.plan.actions import ActionKind
from reconciler.plan.facts import Facts, Rules
from reconciler.plan.former import MOST_ASKED, to_ask
from reconciler.plan.planner import make_plan
from reconciler.state.document import NameRecord
from tests.core.builders import (
    CAMPAIGN,
    NOW,
    created,
    creating,
    generation,
    people,
    plan,
    recorded,
    specs,
    state,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from reconciler.plan.actions import Plan
    from reconciler.state.document import State

DAY = timedelta(days=1)


def of(name: str, numbers: Iterable[int], **reconcile: Any) -> Spec:
    """Give a spec of these people."""
    contacts = [person for number in sorted(numbers) for person in people(1, first=number)]
    fields = {"campaign_id": CAMPAIGN, "call_context": {"name": name}}
    one = Request(1, fields, contacts, request_digest(fields, contacts))
    return Spec(name, f"batches/{name}.yaml", f"{name}.yaml", (one,), **reconcile)


def rows(fared: Mapping[int, str]) -> tuple[BatchContact, ...]:
    """Give what the API says of people by how they fared."""
    return tuple(
        BatchContact(f"c{number}", people(1, first=number)[0]["phone_number"], status)
        for number, status in fared.items()
    )


OLD = of("q", range(10))


def before(days: float = 0.5, **changes: Any) -> State:
    """Give a state in which q was created so long ago."""
    record = structs.replace(created(OLD, "bat_1"), recorded_at=NOW - days * DAY, **changes)
    return state(q=recorded(record, of=OLD))


def asked(called: int, *, status: str = "completed", count: int = 10) -> Facts:
    """Give what the API says of q: how many of its people were called."""
    fared = {n: "completed" if n < called else "pending" for n in range(count)}
    return Facts(
        batches={"bat_1": Batch("bat_1", CAMPAIGN, status)}, contacts={"bat_1": rows(fared)}
    )


def said(made: Plan) -> list[str]:
    """Give what a plan says of batches that no spec says any more."""
    return [d.message for d in made.diagnostics if "spec" in d.message and "q" in d.message]


NEW = of("q2", range(10))
TOLD = "10 people are also in q, created today, whose spec is gone"


@pytest.mark.parametrize(
    ("called", "status", "expected"),
    [
        (4, "completed", "4 of them called already"),
        (4, "in_progress", "4 of them called already, and it may still call the others"),
        (10, "in_progress", "all of them called already"),
        (0, "completed", "none of them called yet"),
    ],
)
def test_a_rename_with_an_edit_is_told(called: int, status: str, expected: str) -> None:
    """The people of the old batch are counted, and who of them is called again."""
    made = plan(NEW, on=before(), facts=asked(called, status=status))
    assert f"{TOLD} ({expected})" in said(made)
    (action,) = made.pending
    assert (made.people, made.again, action.again) == (10, called, called)
    (one,) = [d for d in made.diagnostics if d.field == "q2"]
    assert "`reconcile.name: q` in batches/q2.yaml" in one.hint
    assert one.file == "batches/q2.yaml"


@pytest.mark.parametrize(
    ("days", "status", "told"),
    [(29, "completed", True), (31, "completed", False), (31, "in_progress", True)],
)
def test_what_is_long_over_is_not_asked_for(days: float, status: str, *, told: bool) -> None:
    """It is asked for while it is recent or may still call, as for every other batch."""
    facts = Facts(batches={"bat_1": Batch("bat_1", CAMPAIGN, status)})
    made = plan(NEW, on=before(days), facts=facts)
    assert to_ask(made.actions, specs(NEW), before(days), facts, NOW) == ["bat_1"] * told
    made = plan(NEW, on=before(days), facts=asked(3, status=status))
    assert made.again == 3 * told


def test_skipped_people_were_not_called() -> None:
    """Whoever was left out of the old batch has had no call."""
    facts = Facts(contacts={"bat_1": rows({0: "skipped", 1: "in_progress", 2: "no_answer"})})
    made = plan(NEW, on=before(), facts=facts)
    assert made.again == 2
    assert "3 people are also in q" in said(made)[0]


def test_people_who_were_taken_out_of_a_changed_spec_are_told() -> None:
    """They are in its batch and not in its spec any more; its own change calls nobody again."""
    facts = asked(6)
    made = plan(of("r", range(3, 8)), of("q", range(3)), on=before(), facts=facts)
    assert said(made) == [
        (
            "5 people are also in q, created today, whose spec has changed since "
            "(3 of them called already)"
        )
    ]
    assert {action.name: action.again for action in made.pending} == {"q": 0, "r": 3}


def test_who_is_added_to_a_changed_spec_may_be_called_again_too() -> None:
    """As if a new batch called them; whoever was in its own batches is counted as ever."""
    was = of("r", [0, 20])
    on = state(
        q=before().batches["q"],
        r=recorded(structs.replace(created(was, "bat_2"), recorded_at=NOW - 50 * DAY), of=was),
    )
    known = asked(4)
    mine = rows({0: "completed", 20: "pending"})
    facts = structs.replace(known, contacts={**known.contacts, "bat_2": mine})
    new = of("r", [0, 1, 2, 9, 20], on_change=OnChange.EVERYONE)
    made = plan(new, on=on, facts=facts)
    assert said(made)[0].startswith("3 people added to it are also in q")
    (action,) = (action for action in made.pending if action.name == "r")
    assert (action.again, action.people) == (3, 5)


def test_a_move_is_no_new_batch() -> None:
    """The same contents under another name call nobody; who else has those people is told."""
    made = plan(structs.replace(OLD, name="q2"), of("r", [1, 2]), on=before(), facts=Facts())
    assert [d.message for d in made.diagnostics] == ["2 people are also in q2, created today"]
    assert made.again == 0


@pytest.mark.parametrize(
    ("on", "facts", "expected"),
    [
        pytest.param(
            before(),
            Facts(),
            "it could not be checked whether people of q2 were called already by q (created "
            "today, spec gone)",
            id="no answer",
        ),
        pytest.param(
            before(),
            Facts(contacts={"bat_1": None}),
            "it could not be checked whether people of q2 were called already by q (created "
            "today, spec gone)",
            id="the API has none such",
        ),
        pytest.param(
            before(),
            Facts(offline=True),
            "offline it cannot be told whether people of q2 were called already by q (created "
            "today, spec gone)",
            id="offline",
        ),
        pytest.param(
            state(q=recorded(creating(OLD, expires_at=NOW + DAY), of=OLD)),
            Facts(),
            "it could not be checked whether people of q2 were called already by q (created "
            "today, spec gone, in doubt)",
            id="in doubt",
        ),
    ],
)
def test_what_cannot_be_known_is_said(on: State, facts: Facts, expected: str) -> None:
    """Never is silence taken for nobody."""
    assert expected in said(plan(NEW, on=on, facts=facts))


def test_many_names_are_not_all_listed() -> None:
    """The first few, and how many more there are."""
    names = [f"q-{index}" for index in range(8)]
    on = state(**{name: recorded(created(of(name, [1])), of=of(name, [1])) for name in names})
    made = plan(NEW, on=on)
    assert said(made)[0].endswith(" and 3 more")
    contacts = {f"bat_{name}_1_1": rows({1: "completed"}) for name in names}
    made = plan(NEW, on=on, facts=Facts(contacts=contacts))
    (line,) = [d.message for d in made.diagnostics if d.field == "q2"]
    assert line.count("; 1 in q") == 4
    assert line.endswith("; and 3 more")
    assert made.again == 1


def test_what_is_known_by_its_digest_need_not_be_asked() -> None:
    """Online that saves reading what has nobody in common; offline it tells how many there are."""
    on = before()
    found: Mapping[str, Mapping[str, int]] = {"q": {"q2": 10}}

    def met(names: Collection[str], _: object) -> Any:
        assert set(names) <= {"q"}
        return {name: found[name] for name in names if name in found}, ()

    root = SpecSet((NEW,), (), 1, met=met)
    offline = make_plan(root, on, Facts(offline=True), Rules(), NOW)
    assert f"{TOLD} (who of them was called already is not known offline)" in said(offline)
    assert to_ask(offline.actions, root, on, Facts(), NOW) == ["bat_1"]
    found = {}
    assert to_ask(offline.actions, root, on, Facts(), NOW) == []
    assert [d.message for d in make_plan(root, on, Facts(), Rules(), NOW).diagnostics] == [
        "orphaned: no spec any more; its batch bat_1 is left alone"
    ]


def test_nothing_is_asked_where_nothing_new_is_created() -> None:
    """Nor where the very people of it are known already, nor of more than so many."""
    lone = plan(on=before())
    assert to_ask(lone.actions, specs(), before(), Facts(), NOW) == []
    made = plan(NEW, on=before())
    assert to_ask(made.actions, specs(NEW), before(), asked(1), NOW) == []
    was = of("q", range(3))
    many = state(
        **{
            f"q{index}": recorded(
                structs.replace(created(was, f"b{index}"), recorded_at=NOW - index * DAY / 100),
                of=was,
            )
            for index in range(MOST_ASKED + 5)
        }
    )
    ids = to_ask(made.actions, specs(NEW), many, Facts(), NOW)
    assert ids == [f"b{index}" for index in range(MOST_ASKED)]
    contacts = dict.fromkeys(ids, rows({1: "pending"}))
    said_then = said(plan(NEW, on=many, facts=Facts(contacts=contacts)))
    assert any(line.startswith("it could not be checked") for line in said_then)


_PEOPLE = st.frozensets(st.integers(0, 9), min_size=1, max_size=6)
_FARED = st.dictionaries(
    st.integers(0, 9),
    st.sampled_from(["completed", "pending", "skipped", "in_progress", "busy"]),
    min_size=1,
    max_size=6,
)
_BATCH = st.fixed_dictionaries(
    {"people": _FARED, "days": st.sampled_from([1, 40]), "active": st.booleans()}
)
_FORMER = st.fixed_dictionaries(
    {"batches": st.lists(_BATCH, min_size=1, max_size=3), "now": st.none() | _PEOPLE}
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(_FORMER, min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["new", "other"]), _PEOPLE, min_size=1),
)
def test_the_counts_are_those_of_plain_sets(
    former: list[dict[str, Any]], new: dict[str, frozenset[int]]
) -> None:
    """Whatever was recorded, in however many generations, and whatever became of its spec."""
    names = {f"q{index}": one for index, one in enumerate(former)}
    records: dict[str, NameRecord] = {}
    batches: dict[str, Batch] = {}
    contacts: dict[str, Any] = {}
    root = [of(name, numbers) for name, numbers in new.items()]
    for name, one in names.items():
        generations = []
        for number, each in enumerate(one["batches"], 1):
            old, batch_id = of(name, each["people"]), f"{name}_{number}"
            request = created(old, batch_id, generation=number)
            request = structs.replace(request, recorded_at=NOW - each["days"] * DAY)
            generations.append(generation(old, request, number=number))
            status = "in_progress" if each["active"] else "completed"
            batches[batch_id] = Batch(batch_id, CAMPAIGN, status)
            contacts[batch_id] = rows(each["people"])
        records[name] = NameRecord(generations=tuple(generations))
        if one["now"] is not None:
            root.append(of(name, one["now"]))
    made = plan(*root, on=state(**records), facts=Facts(batches=batches, contacts=contacts))
    everyone: dict[str, set[int]] = {}
    called: dict[str, set[int]] = {}
    again: dict[str, set[int]] = {}
    for name, one in names.items():
        by_spec = one["now"] == frozenset(one["batches"][-1]["people"])
        told = one["batches"][:-1] if by_spec else one["batches"]
        matter = [each for each in told if each["days"] < 30 or each["active"]]
        reached = [
            {n for n, how in each["people"].items() if how in {"completed", "busy", "in_progress"}}
            for each in matter
        ]
        again[name] = set().union(*reached)
        everyone[name] = {
            number
            for each, those in zip(matter, reached, strict=True)
            for number in (those if by_spec and not each["active"] else each["people"])
        }
        stay = one["now"] if by_spec else set()
        everyone[name] -= stay
        called[name] = again[name] - stay
    launched = {a.name: a for a in made.actions if a.kind is ActionKind.CREATE}
    assert launched.keys() == new.keys()
    for name, action in launched.items():
        assert action.again == len(new[name] & set().union(*again.values()))
        (line,) = [
            d.message
            for d in made.diagnostics
            if d.field == name and ("whose spec" in d.message or " as it was" in d.message)
        ] or [""]
        for other, theirs in everyone.items():
            both = len(new[name] & theirs)
            parts = [p for p in line.split("; ") if f" in {other}," in p or f" in {other} as" in p]
            assert len(parts) == bool(both)
            for part in parts:
                how = len(new[name] & theirs & called[other])
                fared = "all" if how == both else str(how)
                assert part.startswith(f"{both} ")
                assert f"{fared} of them called already" in part or (not how and "none of" in part)


CHANGED = of("q", range(5, 12))


def changed(*, days: float = 0.5, cancelled: bool = True) -> State:
    """Give a state in which q called 0 to 9 first, and 5 to 11 since a change."""
    at = NOW - days * DAY
    first = structs.replace(
        created(OLD, "bat_1"), recorded_at=at, cancelled_at=at if cancelled else None
    )
    second = structs.replace(created(CHANGED, "bat_2", generation=2), recorded_at=at)
    each = (generation(OLD, first), generation(CHANGED, second, number=2))
    return state(q=NameRecord(generations=each))


@pytest.mark.parametrize("unread", [False, True])
def test_whom_an_earlier_change_took_out_is_told(*, unread: bool) -> None:
    """They were called lately, and no spec says so any more; the others are told by the spec."""
    new = of("n", [0, 1, 6, 7, 8, 9, 20])
    facts = asked(6, status="cancelled")
    all_specs = specs(CHANGED, new)
    if unread:
        all_specs = structs.replace(
            specs(new), files=2, unread=frozenset({"q"}), reread=lambda _: [CHANGED]
        )
    made = make_plan(all_specs, changed(), facts, Rules(), NOW)
    told = [d.message for d in made.diagnostics]
    taken_out = "2 people are also in q as it was before its last change, created today"
    assert told == [
        f"{taken_out} (all of them called already)",
        "4 people are also in q, created today",
    ]
    assert made.again == 2


def test_a_batch_that_goes_on_beside_a_change_is_told() -> None:
    """With `added`, the old batch still calls everybody in it."""
    new = of("n", [0, 1, 4, 20])
    made = plan(CHANGED, new, on=changed(cancelled=False), facts=asked(2, status="in_progress"))
    assert made.diagnostics[0].message == (
        "3 people are also in q as it was before its last change, created today "
        "(2 of them called already, and it may still call the others)"
    )
    assert made.again == 2


def test_a_batch_of_which_nobody_knows_whether_it_goes_on_is_told() -> None:
    """Its people could be read, and the list that tells how it stands could not."""
    facts = Facts(contacts=asked(2).contacts)
    made = plan(CHANGED, of("n", [0, 1, 4, 20]), on=changed(cancelled=False), facts=facts)
    assert made.diagnostics[0].message.startswith("3 people are also in q")


@pytest.mark.parametrize(("days", "expected"), [(29, ["bat_1"]), (31, [])])
def test_the_batches_from_before_a_change_are_asked_while_they_matter(
    days: float, expected: list[str]
) -> None:
    """Only where something new is created, and only as long as they are recent."""
    on, facts, new = changed(days=days), Facts(), of("n", [0, 20])
    made = plan(CHANGED, new, on=on, facts=facts)
    assert to_ask(made.actions, specs(CHANGED, new), on, facts, NOW) == expected
    quiet = plan(CHANGED, on=on, facts=facts)
    assert to_ask(quiet.actions, specs(CHANGED), on, facts, NOW) == []


def test_offline_nobody_can_tell_whom_a_change_took_out() -> None:
    """That is said, once for all."""
    made = plan(CHANGED, of("n", [0, 20]), on=changed(), facts=Facts(offline=True))
    (told,) = said(made)
    assert told == (
        "offline it cannot be told whether people of n were called already by q (created today, "
        "spec changed since)"
    )


@given(
    st.sets(st.integers(0, 12), min_size=1),
    st.sets(st.integers(0, 12), min_size=1),
    st.sets(st.integers(0, 15), min_size=1),
    st.integers(0, 13),
    st.booleans(),
)
def test_who_is_in_any_recent_batch_is_counted_once(
    first: set[int],
    second: set[int],
    new: set[int],
    called: int,
    cancelled: bool,  # noqa: FBT001 - drawn
) -> None:
    """By the spec, or by the batch from before its change: against sets of numbers."""
    old, current = of("q", first), of("q", second)
    at = NOW - DAY
    one = structs.replace(
        created(old, "bat_1"), recorded_at=at, cancelled_at=at if cancelled else None
    )
    two = structs.replace(created(current, "bat_2", generation=2), recorded_at=at)
    each = (generation(old, one), generation(current, two, number=2))
    fared = {n: "completed" if n < called else "pending" for n in first}
    status = "cancelled" if cancelled else "in_progress"
    facts = Facts(
        batches={"bat_1": Batch("bat_1", CAMPAIGN, status)}, contacts={"bat_1": rows(fared)}
    )
    made = plan(current, of("n", new), on=state(q=NameRecord(generations=each)), facts=facts)
    reached = {n for n in first if n < called}
    counts = (len(new & second), len(new & ((reached if cancelled else first) - second)))
    told = [int(d.message.split(" ", 1)[0]) for d in made.diagnostics]
    assert sorted(told) == sorted(count for count in counts if count)
    assert made.again == len(new & reached)
