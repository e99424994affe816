from __future__ import annotations

import random
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model import Clearance, Lifecycle, OnChange, Waiver
from reconciler.observed import Campaign
from reconciler.plan.actions import Action, ActionKind, Callees, Reason, Replacement, Target
from reconciler.plan.facts import Facts
from reconciler.plan.fingerprint import action_hashes, plan_hash, unreviewed
from reconciler.spec.load import load_specs
from tests.core.builders import (
    CAMPAIGN,
    NOW,
    batch,
    creating,
    in_doubt,
    plan,
    recorded,
    spec,
    state,
)

if TYPE_CHECKING:
    from pathlib import Path

    from reconciler.plan.actions import Plan


def hashes(of: Plan) -> list[str]:
    """Give the bare hashes of a plan's actions."""
    return [hashed for _, hashed in action_hashes(of)]


def written(root: Path, changes: dict[str, str] | None = None, *, seed: int = 0) -> Plan:
    """Plan two specs that are written in a form drawn from a seed."""
    chance = random.Random(seed)  # noqa: S311 - only an order of lines
    people = [f"+9198765432{n:02d}" for n in range(5)]
    for name in ("one", "two"):
        fields = {"campaign_id": "cmp_a", "concurrency_limit": "5", **(changes or {})}
        first = fields.pop("first", "Person 0")
        on_change = fields.pop("on_change", "remaining")
        lines = [f"{field}: {value}{'  # why' * (seed % 2)}" for field, value in fields.items()]
        contacts = [
            f'  - {{phone_number: "{number}", call_variables: {{callee_name: "{called}"}}}}'
            for number, called in zip(
                people, [first, *(f"Person {n}" for n in range(1, 5))], strict=True
            )
        ]
        chance.shuffle(contacts)
        blocks = [
            *lines,
            "\n".join(["contacts:", *contacts]),
            f"reconcile: {{on_change: {on_change}}}",
        ]
        chance.shuffle(blocks)
        (root / f"{name}.yaml").write_text("\n".join(["# form", *blocks]) + "\n", encoding="utf-8")
    return plan(*load_specs(root).specs)


def test_the_form() -> None:
    """A version, and a hash that says nothing about anybody."""
    version, _, digits = plan_hash(plan(spec())).partition(":")
    assert version == "p1"
    assert len(digits) == 64


def test_it_is_pinned() -> None:
    """A version of this tool that hashes the same plan otherwise says so by another prefix."""
    assert plan_hash(plan(spec(), spec("other"))) == (
        "p1:da70bcca6e32e525e1dddafcd4a5b77ac004e51f3b3a03eafccb5c3cbf166e1f"
    )


@pytest.mark.parametrize("seed", range(1, 6))
def test_form_is_no_difference(tmp_path: Path, seed: int) -> None:
    """Comments, the order of keys, of people and of files change nothing."""
    assert plan_hash(written(tmp_path, seed=seed)) == plan_hash(written(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"first": "Somebody else"},
        {"campaign_id": "cmp_b"},
        {"scheduled_start": "2035-05-14T09:00:00"},
        {"concurrency_limit": "6"},
        {"metadata": "{wave: 2}"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_reviewer_agrees_to_is_a_difference(tmp_path: Path, change: dict[str, str]) -> None:
    """Another person, campaign, start or field is another plan."""
    before = written(tmp_path)
    after = written(tmp_path, change)
    assert plan_hash(before) != plan_hash(after)
    assert unreviewed(after, hashes(before)) == ("one", "two")


def changed(
    on_change: OnChange = OnChange.REMAINING, *, olds: int = 1, generation: int = 2, **of: Any
) -> Plan:
    """Plan a changed spec, of whose people some were called."""
    planned = plan(spec())
    (action,) = planned.actions
    replacing = replace(
        action,
        kind=ActionKind.REPLACE,
        reason=Reason.CHANGED,
        generation=generation,
        targets=tuple(Target(f"bat_{n}", n, 1) for n in range(olds)),
        replacement=Replacement(on_change=on_change),
        callees=Callees(**{"to_call": 2, **of}),
    )
    return replace(planned, actions=(replacing,))


@given(
    to_call=st.integers(0, 500),
    called=st.integers(0, 500),
    again=st.integers(0, 500),
    at_most=st.booleans(),
    olds=st.integers(0, 3),
    serial=st.integers(0, 500),
    offline=st.booleans(),
)
def test_counters_are_no_difference(
    *, to_call: int, called: int, again: int, at_most: bool, olds: int, serial: int, offline: bool
) -> None:
    """However far the calls have come meanwhile, and whoever was asked: the same was agreed to."""
    moved = changed(to_call=to_call, called=called, again=again, at_most=at_most, olds=olds)
    moved = replace(moved, serial=serial, offline=offline)
    assert plan_hash(moved) == plan_hash(changed())


@pytest.mark.parametrize(
    "other",
    [changed(OnChange.EVERYONE), changed(generation=3), plan(spec())],
    ids=["on_change", "generation", "kind"],
)
def test_how_a_change_is_carried_out_is_a_difference(other: Plan) -> None:
    """Who is called again, in place of which batches, and whether at all: that is reviewed."""
    assert plan_hash(other) != plan_hash(changed())


def test_time_passing_is_no_difference() -> None:
    """The same plan an hour later, with the API asked, has the same hash."""
    one = spec(scheduled_start="2026-05-14T09:00:00")
    facts = Facts(campaigns={CAMPAIGN: Campaign(CAMPAIGN, "Renewals", "active", "Asia/Kolkata")})
    later = plan(one, facts=facts, now=NOW + timedelta(hours=1))
    assert plan_hash(later) == plan_hash(plan(one, facts=Facts(offline=True)))


def test_what_others_began_or_the_api_has_is_not_reviewed() -> None:
    """Settling, adopting and blocked names are in no review, whenever they show up."""
    one = spec()
    doubtful = in_doubt(one)
    key = creating(one).key
    nothing = plan_hash(plan())
    found = Facts(found={key: (batch(creating(one), "bat_1"),)})
    assert plan_hash(plan(one, on=doubtful)) == nothing, "blocked"
    assert plan_hash(plan(one, on=doubtful, facts=found)) == nothing, "adopted"
    again = plan(one, on=doubtful, facts=Facts(absent=frozenset({key})))
    assert [action.reason for action in again.pending] == [Reason.NOT_CREATED]
    assert plan_hash(again) == nothing, "begun by an earlier run, under the same key"


def test_a_blocked_name_that_comes_free_is_not_agreed_to() -> None:
    """What was blocked in the review is refused when it is not blocked any more."""
    one = spec(on_change=OnChange.FORBID)
    blocked = plan(
        replace(one, requests=spec(contents=2).requests), on=state(welcome=recorded(of=one))
    )
    assert [action.kind for action in blocked.pending] == [ActionKind.BLOCKED]
    assert unreviewed(plan(one), hashes(blocked)) == ("welcome",)


def test_a_lifecycle_is_reviewed() -> None:
    """Pausing and cancelling a batch are different things to agree to."""
    on = state(welcome=recorded(of=spec()))
    paused, cancelled = (
        plan(spec(lifecycle=lifecycle), on=on)
        for lifecycle in (Lifecycle.PAUSED, Lifecycle.CANCELLED)
    )
    assert len({plan_hash(paused), plan_hash(cancelled), plan_hash(plan())}) == 3


def test_two_pull_requests_merged_in_a_row() -> None:
    """What two reviews agreed to together is agreed to; less than that is no difference."""
    mine, theirs = spec("mine"), spec("theirs", 2)
    reviewed = [*hashes(plan(mine)), *hashes(plan(theirs))]
    assert unreviewed(plan(mine, theirs), reviewed) == ()
    assert unreviewed(plan(mine), reviewed) == ()
    assert unreviewed(plan(mine, theirs), hashes(plan(mine))) == ("theirs",)


def test_a_move_says_from_where() -> None:
    """A move of another record is another move."""

    def moved(old: str) -> Action:
        (action,) = plan(spec("new"), on=state(**{old: recorded(of=spec(old))})).pending
        assert action.kind is ActionKind.MOVE
        return action

    one, other = (replace(plan(), actions=(moved(old),)) for old in ("old", "older"))
    assert plan_hash(one) != plan_hash(other)


def test_an_exception_is_agreed_to() -> None:
    """One that came into the spec after the review is not what was reviewed."""
    plain, waiver = spec(), Waiver(rule="approval", reason="r", until=date(2026, 5, 15))
    specs = [
        replace(plain, clearance=Clearance(exceptions=waivers))
        for waivers in ((waiver,), (replace(waiver, until=date(2026, 6, 15)),))
    ]
    plans = [plan(plain), *(plan(each) for each in specs)]
    assert len({plan_hash(each) for each in plans}) == 3
    assert len({str(each.essence()) for each in plans}) == 3
    assert hashes(plan(replace(plain, clearance=Clearance(approved_by=("a",))))) == hashes(plans[0])
