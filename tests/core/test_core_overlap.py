from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from msgspec.structs import replace

from reconciler.digest import request_digest
from reconciler.model import OnChange, Request, Spec
from reconciler.observed import Batch, BatchContact
from reconciler.plan.actions import ActionKind
from reconciler.plan.facts import Facts, Rules
from reconciler.spec.split import split_as
from reconciler.state.document import NameRecord, Status
from tests.core.builders import (
    CAMPAIGN,
    NOW,
    created,
    generation,
    people,
    plan,
    recorded,
    spec,
    state,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.state.document import State

DAY = timedelta(days=1)


def of(name: str, first: int, count: int) -> Spec:
    """Give a spec of so many people, the first of them by number."""
    contacts = people(count, first=first)
    fields = {"campaign_id": CAMPAIGN, "call_context": {"name": name}}
    request = Request(1, fields, contacts, request_digest(fields, contacts))
    return replace(spec(name), requests=(request,))


OLD = of("april", 0, 10)


def called(days: float) -> State:
    """Give a state in which the old batch was created so long ago."""
    record = structs.replace(created(OLD, "bat_1"), recorded_at=NOW - days * DAY)
    return state(april=recorded(record, of=OLD))


def told(new: Spec, on: State, facts: Facts | None = None, *others: Spec) -> list[str]:
    """Give what a plan says of overlaps."""
    made = plan(new, OLD, *others, on=on, facts=facts)
    return [d.message for d in made.diagnostics if " also in " in d.message]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0.5, ["4 people are also in april, created today"]),
        (1, ["4 people are also in april, created 1 day ago"]),
        (12, ["4 people are also in april, created 12 days ago"]),
        (31, []),
    ],
)
def test_people_of_a_recent_batch_are_counted(days: float, expected: list[str]) -> None:
    """How many, in which, and how long ago; what is long past does not count."""
    assert told(of("may", 6, 10), called(days)) == expected


def test_the_very_same_contents_are_told_once() -> None:
    """As what they are, for two new batches as for a recorded one."""
    for on in (called(90), called(1)):
        again = replace(OLD, name="may")
        later = replace(OLD, name="may-2")
        said = [d.message for d in plan(again, later, OLD, on=on).diagnostics]
        assert len(said) == 2
        assert all("exactly the same contacts and fields as" in line for line in said)


def with_all_of(cut: Spec) -> State:
    """Give a state in which all batches of a spec that is cut are created."""
    made = structs.replace(
        generation(cut),
        digest=cut.digest,
        parts=len(cut.requests),
        max_contacts=cut.max_contacts,
    )
    return state(**{cut.name: NameRecord(generations=(made,))})


def test_specs_that_are_cut_are_told_once_for_each_pair() -> None:
    """However many parts the very same list has, and however each of the two is cut."""
    may = split_as(of("may", 0, 10), 2)
    expected = (
        "it has exactly the same contacts and fields as may: the same 10 people are called again"
    )
    for most in (2, 5):
        later = replace(split_as(may, most), name="may-2")
        assert [d.message for d in plan(may, later).diagnostics] == [expected]
        assert plan(may, later).repeated == 10
        made = plan(may, later, on=with_all_of(may))
        assert [d.message for d in made.diagnostics] == [expected]


def test_parts_that_are_the_same_make_no_specs_the_same() -> None:
    """Their people are counted with all others that both have."""
    fields = {"campaign_id": CAMPAIGN}
    lists = (("a", people(12)), ("b", people(12, first=6)))
    a, b = (
        split_as(replace(spec(name), requests=(Request(1, fields, them, name),)), 2)
        for name, them in lists
    )
    same = {request.digest for request in a.requests} & {request.digest for request in b.requests}
    assert len(same) == 3
    made = plan(a, b)
    assert [d.message for d in made.diagnostics] == [in_several(6, "a", "b")]
    assert (made.people, made.repeated) == (24, 6)
    said = [d.message for d in plan(a, b, on=with_all_of(a)).diagnostics]
    assert said == ["6 people are also in a, created today"]


def test_what_is_missing_of_a_renamed_spec_is_not_itself_again() -> None:
    """Its batches are recorded under its old name until the rename is carried out."""
    may = split_as(of("may", 0, 10), 5)
    all_of_it = with_all_of(may).batches["may"].current
    begun = structs.replace(all_of_it, requests=all_of_it.requests[:1])
    made = plan(replace(may, name="june"), on=state(may=NameRecord(generations=(begun,))))
    assert [action.kind for action in made.actions] == [ActionKind.MOVE, ActionKind.CREATE]
    assert made.diagnostics == ()


def test_what_has_no_batch_is_no_batch_of_anybody() -> None:
    """Nobody was left to call there, or nobody knows when it was created."""
    recent = called(1).batches["april"].current.requests[0]
    for record in (
        structs.replace(recent, batch_id=None, status=Status.COMPLETE),
        structs.replace(recent, recorded_at=None),
    ):
        facts = Facts(batches={"bat_1": Batch("bat_1", CAMPAIGN, "in_progress")})
        assert told(of("may", 6, 10), state(april=recorded(record, of=OLD)), facts) == []


def test_an_old_batch_that_still_calls_counts() -> None:
    """However long ago it was created."""
    facts = Facts(batches={"bat_1": Batch("bat_1", CAMPAIGN, "in_progress")})
    assert told(of("may", 9, 5), called(90), facts) == [
        "1 person is also in april, created 90 days ago"
    ]


def in_several(count: int, *names: str) -> str:
    """Say what a plan says of new batches with people in common."""
    who = "1 person is" if count == 1 else f"{count} people are"
    return f"{who} in more than one of the new batches: {', '.join(names)}"


def grouped(new: Spec, on: State, facts: Facts | None = None, *others: Spec) -> list[str]:
    """Give what a plan says of those."""
    made = plan(new, OLD, *others, on=on, facts=facts)
    return [d.message for d in made.diagnostics if " in more than one " in d.message]


def test_two_new_batches_are_compared_too() -> None:
    """Once, and the plan knows how many calls that makes more than there are people."""
    both = [of("may", 20, 5), of("june", 22, 5)]
    assert grouped(both[0], called(90), None, both[1]) == [in_several(3, "june", "may")]
    made = plan(*both)
    assert (made.people, made.repeated) == (10, 3)


def test_many_new_batches_with_somebody_in_common_are_one_line() -> None:
    """However many there are; those without anybody of them are another line, or none."""
    names = [f"n-{index:02d}" for index in range(12)]
    new = [of(name, 20, 2) for name in names]
    apart = [of("x", 40, 3), of("y", 42, 3), of("z", 50, 1)]
    assert grouped(new[0], called(90), None, *new[1:], *apart) == [
        in_several(2, *names[:10], "and 2 more"),
        in_several(1, "x", "y"),
    ]
    assert plan(*new, *apart).repeated == 2 * 11 + 1


def test_calls_that_are_refused_are_not_counted_twice() -> None:
    """While all is frozen nobody is called, and the very same contents are counted as any other."""
    both = [of("may", 20, 5), replace(of("may", 20, 5), name="june")]
    assert plan(*both).repeated == 5
    assert plan(*both, rules=Rules(frozen="x")).repeated == 0


def test_several_recorded_batches_are_one_line() -> None:
    """Those with the most people first, and not more than a few of them."""
    others = [of(f"q{index}", 0, index + 1) for index in range(8)]
    on = state(**{other.name: recorded(created(other), of=other) for other in others})
    made = plan(of("may", 0, 10), *others, on=on)
    (said,) = made.diagnostics
    assert said.message.startswith("8 people are also in q7, created today; 7 in q6, created today")
    assert said.message.endswith("; 4 in q3, created today; and 3 more")


def test_a_changed_spec_says_what_its_people_are_about_to_be() -> None:
    """Who is in its old batch alone is the API's to tell, see `test_core_former.py`."""
    said = [d.message for d in plan(of("may", 0, 5), of("april", 4, 2), on=called(1)).diagnostics]
    assert in_several(1, "april (about to be replaced)", "may") in said
    assert not [line for line in said if " also in " in line]


@given(st.integers(0, 30), st.integers(1, 20))
def test_the_count_is_exact(first: int, count: int) -> None:
    """It is the size of the intersection, whatever that is."""
    both = len(set(range(10)) & set(range(first, first + count)))
    said = told(of("may", first, count), called(2))
    assert [int(line.split()[0]) for line in said] == [both] * bool(both)


def changed(
    before: int, *, days: float = 90, on_change: OnChange = OnChange.REMAINING
) -> tuple[Spec, State]:
    """Give "may", which has the people 5 to 14 now and had `before` of them, and what is recorded.

    So is "april", which was created two days ago.
    """
    was, now = of("may", 5, before), of("may", 5, 10)
    mine = structs.replace(created(was, "bat_2"), recorded_at=NOW - days * DAY)
    theirs = structs.replace(created(OLD, "bat_1"), recorded_at=NOW - 2 * DAY)
    on = state(april=recorded(theirs, of=OLD), may=recorded(mine, of=was))
    return Spec(now.name, now.file, now.path, now.requests, on_change=on_change), on


def rolls(**batches: Iterable[int] | None) -> Facts:
    """Give what the API says of who is in some batches, all of them over."""
    contacts = {
        batch_id: None
        if numbers is None
        else tuple(
            BatchContact(f"c{number}", person["phone_number"], "completed")
            for number in numbers
            for person in people(1, first=number)
        )
        for batch_id, numbers in batches.items()
    }
    over = {batch_id: Batch(batch_id, CAMPAIGN, "completed") for batch_id in batches}
    return Facts(batches=over, contacts=contacts)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (5, []),
        (4, ["1 person added to it is also in april, created 2 days ago"]),
        (1, ["4 people added to it are also in april, created 2 days ago"]),
    ],
)
@pytest.mark.parametrize("on_change", [OnChange.REMAINING, OnChange.EVERYONE, OnChange.ADDED])
def test_of_a_changed_spec_those_are_told_who_were_added(
    before: int, expected: list[str], on_change: OnChange
) -> None:
    """The others were told of when they were added, and are not called about two things anew."""
    new, on = changed(before, on_change=on_change)
    assert told(new, on, rolls(bat_2=range(5, 5 + before))) == expected


def test_who_was_in_any_batch_of_a_name_is_not_added() -> None:
    """Not those either who were taken out in between."""
    new, on = changed(2)
    first = on.batches["may"].current
    between = of("may", 6, 1)
    second = structs.replace(created(between, "bat_3", generation=2), recorded_at=NOW - 80 * DAY)
    record = structs.replace(
        on.batches["may"], generations=(first, generation(between, second, number=2))
    )
    on = state(april=on.batches["april"], may=record)
    facts = rolls(bat_2=[5, 6], bat_3=[6])
    assert told(new, on, facts) == ["3 people added to it are also in april, created 2 days ago"]


@pytest.mark.parametrize("facts", [Facts(offline=True), Facts(), rolls(bat_2=None)])
def test_where_nobody_knows_who_was_there_before_nobody_is_told(facts: Facts) -> None:
    """Neither offline, nor where the API did not say; telling of everyone again helps nobody."""
    new, on = changed(1, on_change=OnChange.EVERYONE)
    assert told(new, on, facts) == []


def test_people_of_a_new_batch_may_be_in_a_changed_one() -> None:
    """That is told whoever they are, and of which kind the other is."""
    changing, on = changed(3)
    facts = rolls(bat_2=range(5, 8))
    assert told(of("new", 14, 3), on, facts, changing) == [
        "2 people added to it are also in april, created 2 days ago"
    ]
    expected = in_several(1, "may (about to be replaced)", "new")
    assert grouped(of("new", 14, 3), on, facts, changing) == [expected]
    assert grouped(of("new", 14, 3), on, Facts(offline=True), changing) == [expected]


_PEOPLE = st.frozensets(st.integers(0, 9), min_size=1, max_size=5)
_NAMES = st.fixed_dictionaries(
    {
        "now": st.none() | _PEOPLE,
        "before": st.none() | _PEOPLE,
        "earlier": st.none() | _PEOPLE,
        "days": st.sampled_from([0.5, 3, 40]),
        "active": st.booleans(),
        "known": st.booleans(),
    }
)


def _of(name: str, numbers: frozenset[int]) -> Spec:
    contacts = [person for number in sorted(numbers) for person in people(1, first=number)]
    fields = {"campaign_id": CAMPAIGN, "call_context": {"name": name}}
    one = Request(1, fields, contacts, request_digest(fields, contacts))
    file = f"batches/{name}.yaml"
    return Spec(name, file, f"{name}.yaml", (one,))


@settings(max_examples=300, deadline=None)
@given(st.lists(_NAMES, min_size=2, max_size=4))
def test_what_is_told_is_what_a_plain_comparison_gives(each: list[dict[str, Any]]) -> None:
    """For whatever is new, changed and recorded: everyone who is meant, counted by sets."""
    names = dict(zip("abcd", each, strict=False))
    specs = [_of(name, one["now"]) for name, one in names.items() if one["now"] is not None]
    records: dict[str, NameRecord] = {}
    batches: dict[str, Batch] = {}
    contacts: dict[str, Any] = {}
    for name, one in names.items():
        was = [numbers for numbers in (one["earlier"], one["before"]) if numbers is not None]
        if one["before"] is None:
            one["earlier"] = None
            continue
        generations = []
        for number, numbers in enumerate(was, 1):
            old = _of(name, numbers)
            made = created(old, f"bat_{name}{number}", generation=number)
            made = structs.replace(made, recorded_at=NOW - one["days"] * DAY)
            generations.append(generation(old, made, number=number))
            status = "in_progress" if one["active"] else "completed"
            batches[f"bat_{name}{number}"] = Batch(f"bat_{name}{number}", CAMPAIGN, status)
            if one["known"]:
                contacts |= rolls(**{f"bat_{name}{number}": numbers}).contacts
        records[name] = NameRecord(generations=tuple(generations))
    made_plan = plan(*specs, on=state(**records), facts=Facts(batches=batches, contacts=contacts))
    said = [(d.field, d.message) for d in made_plan.diagnostics]
    kinds: dict[str, ActionKind] = {
        action.name: action.kind
        for action in made_plan.actions
        if action.kind in {ActionKind.CREATE, ActionKind.REPLACE}
    }
    expected = dict(_compared(names, kinds))
    assert {name: line for name, line in said if _is_of_two_specs(line)} == expected
    several = [line for _, line in said if " in more than one " in line]
    assert several == list(_in_several(names, kinds))
    creates = [names[name]["now"] for name, kind in kinds.items() if kind is ActionKind.CREATE]
    assert made_plan.repeated == sum(map(len, creates)) - len(frozenset().union(*creates))


def _is_of_two_specs(message: str) -> bool:
    """Tell it from what is said of batches that no spec says any more, see `test_core_former.py`.

    All of a line is of the one or the other.
    """
    of_former = ", whose spec " in message or " as it was before its last change" in message
    return " also in " in message and not of_former


def _added(
    names: dict[str, dict[str, Any]], kinds: dict[str, ActionKind]
) -> dict[str, frozenset[int]]:
    added = {name: names[name]["now"] for name in kinds}
    for name, kind in kinds.items():
        if kind is ActionKind.REPLACE:
            before = names[name]["before"] | (names[name]["earlier"] or frozenset())
            added[name] = added[name] - before if names[name]["known"] else frozenset()
    return added


def _compared(
    names: dict[str, dict[str, Any]], kinds: dict[str, ActionKind]
) -> Iterator[tuple[str, str]]:
    """Give what is told of each new batch and recorded ones whose specs say what is recorded."""
    for name, people_added in _added(names, kinds).items():
        parts = []
        for other, one in names.items():
            recent = one["days"] < 30 or one["active"]
            both = people_added & (one["now"] or frozenset())
            if other not in kinds and one["now"] == one["before"] and recent and both:
                days = int(one["days"])
                when = f"{days} day{'s' * (days > 1)} ago" if days else "today"
                parts.append((len(both), f"{other}, created {when}"))
        if parts:
            (count, first), *rest = sorted(parts, key=lambda part: -part[0])
            what = " added to it" if kinds[name] is ActionKind.REPLACE else ""
            who = "person" if count == 1 else "people"
            line = f"{count} {who}{what} {'is' if count == 1 else 'are'} also in {first}"
            yield name, "; ".join([line, *(f"{count} in {other}" for count, other in rest)])


def _in_several(names: dict[str, dict[str, Any]], kinds: dict[str, ActionKind]) -> Iterator[str]:
    """Give what is told of new batches with people in common."""
    added = _added(names, kinds)
    holders = {}
    for number in range(10):
        theirs = {name for name in kinds if number in names[name]["now"]}
        if len(theirs) > 1 and any(number in added[name] for name in theirs):
            holders[number] = theirs
    left = set(kinds)
    for name in sorted(kinds):
        if name not in left:
            continue
        group = {name}
        for _ in kinds:
            group = group.union(*(theirs for theirs in holders.values() if theirs & group))
        left -= group
        count = sum(theirs <= group for theirs in holders.values())
        if count:
            replaced = {n for n in group if kinds[n] is ActionKind.REPLACE}
            marks = (n + " (about to be replaced)" * (n in replaced) for n in sorted(group))
            yield in_several(count, *marks)
