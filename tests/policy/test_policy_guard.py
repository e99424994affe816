"""The policy over a whole plan, and once more when time has gone by since."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.cli.guarding import People, layers_of
from reconciler.digest import request_digest
from reconciler.model import Clearance, Request, Spec, SpecSet, Waiver
from reconciler.observed import Campaign
from reconciler.plan.actions import ActionKind, Callees, Reason
from reconciler.plan.facts import Facts, Rules
from reconciler.plan.planner import make_plan
from reconciler.policy.guard import Guard
from reconciler.spec.config.policy import Policy
from reconciler.state.document import (
    Generation,
    NameRecord,
    RequestRecord,
    Source,
    State,
    Status,
)

if TYPE_CHECKING:
    from reconciler.model import Contact
    from reconciler.plan.actions import Plan

KOLKATA = timedelta(hours=5, minutes=30)
NOON = datetime(2026, 5, 12, 12, 0, tzinfo=UTC) - KOLKATA
CAMPAIGN = Campaign(
    "cmp_1",
    timezone="Asia/Kolkata",
    status="active",
    working_hours_enforced=False,
    concurrency_limit=1_000,
)


def spec(
    name: str = "welcome", people: int = 2, *, clearance: Clearance | None = None, **fields: Any
) -> Spec:
    """Give a spec with people in India."""
    base = sum(map(ord, name)) * 1_000
    contacts: list[Contact] = [
        {"phone_number": f"+9198{base + i:08d}", "call_variables": {"callee_name": "A"}}
        for i in range(people)
    ]
    body = {"campaign_id": "cmp_1", **fields}
    request = Request(1, body, contacts, request_digest(body, contacts))
    return Spec(
        name,
        f"batches/{name}.yaml",
        f"{name}.yaml",
        (request,),
        clearance=clearance or Clearance(),
    )


def guard(policy: dict[str, Any] | None, root: Path = Path("/nowhere")) -> Guard:
    """Give the guard of a root with a policy."""
    layers = layers_of(Policy.model_validate(policy) if policy is not None else None)
    return Guard(
        layers=layers,
        lists=People(root, layers, secrets=True),
        locate=lambda spec, _: (spec.file, 3, 1),
    )


def plan(*specs: Spec, state: State | None = None, now: datetime = NOON) -> Plan:
    """Plan some specs against a campaign in India."""
    facts = Facts(campaigns={"cmp_1": CAMPAIGN})
    rules = Rules(settle=timedelta(0))
    return make_plan(SpecSet(specs, (), len(specs)), state or EMPTY, facts, rules, now)


EMPTY = State(lineage="0123456789abcdef", serial=1)
LATE = "2026-05-12T15:00:00"
"""In India."""


@dataclass(frozen=True)
class Scene:
    """A launch that is fine at a moment, and is not any more the moment after."""

    rule: str
    spec: Spec
    policy: dict[str, Any] | None
    last: datetime
    """The last moment at which it is fine."""
    sharp: timedelta = timedelta(seconds=1)
    """How long after that it certainly is refused."""


SCENES = [
    Scene(
        "not_after",
        spec(clearance=Clearance(not_after=LATE)),
        None,
        datetime(2026, 5, 12, 15, 0, tzinfo=UTC) - KOLKATA,
    ),
    Scene(
        "lead_time",
        spec(scheduled_start=LATE),
        {"scheduled_start": {"lead_time": "2h"}},
        datetime(2026, 5, 12, 13, 0, tzinfo=UTC) - KOLKATA,
    ),
    Scene(
        "calling_hours",
        spec(max_retries_override=0),
        {"calling_hours": {"callee": "08:00-21:00"}},
        datetime(2026, 5, 12, 20, 58, tzinfo=UTC) - KOLKATA,
    ),
    Scene(
        "calling_hours",
        spec(max_retries_override=0),
        {"packs": ["in-rbi"]},
        datetime(2026, 5, 12, 18, 58, tzinfo=UTC) - KOLKATA,
    ),
    Scene(
        "holidays",
        spec(max_retries_override=0),
        {"calling_hours": {"extra_holidays": ["2026-05-13"]}},
        datetime(2026, 5, 12, 23, 58, tzinfo=UTC) - KOLKATA,
    ),
    Scene(
        "approval",
        spec(
            clearance=Clearance(
                exceptions=(Waiver(rule="approval", reason="r", until=date(2026, 5, 12)),)
            )
        ),
        {"approval": {"above": 1}},
        datetime(2026, 5, 12, 23, 59, 59, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize("scene", SCENES, ids=lambda each: f"{each.rule} {each.last:%H:%M}")
@settings(deadline=None)  # the first look imports what knows of timezones
@given(after=st.integers(0, 400))
def test_time_moves_across_every_limit(scene: Scene, after: int) -> None:
    """What was fine when it was planned is refused when it is sent too late, and not before."""
    watch = guard(scene.policy)
    made = watch.review(plan(scene.spec), EMPTY, NOON)
    (action,) = made.pending
    assert action.kind is ActionKind.CREATE, action.message
    assert watch.refusals(action, scene.last) == ()
    later = scene.last + scene.sharp + timedelta(minutes=after)
    assert scene.rule in [each.rule for each in watch.refusals(action, later)]


@pytest.mark.parametrize("rule", ["suppression", "scrubbed"])
def test_a_list_grows_old_between_plan_and_launch(rule: str, tmp_path: Path) -> None:
    """A do-not-call list that was new enough in the plan may be too old by the time of the POST."""
    (tmp_path / "dnd.csv").write_text("phone_number\n+919800000000\n", encoding="utf-8")
    listed = {"name": "dnd", "file": "dnd.csv", "date": "2026-05-10", "max_age": "3d"}
    policy: dict[str, Any] = {"suppression": [listed]}
    if rule == "scrubbed":
        policy = {"suppression": [{**listed, "max_age": "9d"}], "scrubbed": {"within": "3d"}}
    watch = guard(policy, tmp_path)
    (action,) = watch.review(plan(spec()), EMPTY, NOON).pending
    assert action.kind is ActionKind.CREATE
    last = datetime(2026, 5, 13, tzinfo=UTC)
    assert watch.refusals(action, last) == ()
    later = last + timedelta(seconds=1)
    assert [each.rule for each in watch.refusals(action, later)] == [rule]


def test_who_is_on_a_list_is_left_out_and_the_spec_is_unchanged(tmp_path: Path) -> None:
    """The request is shorter, and its digest and key are those of the spec."""
    launch = spec(people=3)
    (plain,) = plan(launch).pending
    gone = launch.requests[0].contacts[1]["phone_number"]
    (tmp_path / "dnd.txt").write_text(f"{gone}\n", encoding="utf-8")
    policy = {"suppression": [{"name": "dnd", "file": "dnd.txt", "date": "2026-05-10"}]}
    (action,) = guard(policy, tmp_path).review(plan(launch), EMPTY, NOON).pending
    (creation,) = action.creations
    assert [each["phone_number"] for each in creation.request.contacts] == [
        launch.requests[0].contacts[0]["phone_number"],
        launch.requests[0].contacts[2]["phone_number"],
    ]
    assert (creation.request.digest, creation.key) == (
        plain.creations[0].request.digest,
        plain.creations[0].key,
    )
    assert (creation.spec_contacts, action.people, action.contacts) == (3, 2, 2)
    assert [(each.of, each.people) for each in action.left_out] == [("dnd", 1)]


def test_who_is_called_again_is_never_more_than_who_is_called(tmp_path: Path) -> None:
    """Of those who are left out it is not looked up who had been called."""
    launch = spec(people=3)
    gone = launch.requests[0].contacts[1]["phone_number"]
    (tmp_path / "dnd.txt").write_text(f"{gone}\n", encoding="utf-8")
    policy = {"suppression": [{"name": "dnd", "file": "dnd.txt", "date": "2026-05-10"}]}
    made = plan(launch)
    again = Callees(to_call=3, called=3, again=3)
    made = replace(made, actions=tuple(replace(a, callees=again) for a in made.actions))
    (action,) = guard(policy, tmp_path).review(made, EMPTY, NOON).pending
    assert (action.people, action.again) == (2, 2)


def test_who_is_left_out_is_not_called_twice(tmp_path: Path) -> None:
    """Calls to people whom another new batch calls too are counted after the policy was asked."""
    both = [spec("ab", 3), spec("ba", 3, call_context={"about": "something else"})]
    gone = both[0].requests[0].contacts[1]["phone_number"]
    (tmp_path / "dnd.txt").write_text(f"{gone}\n", encoding="utf-8")
    policy = {"suppression": [{"name": "dnd", "file": "dnd.txt", "date": "2026-05-10"}]}
    made = plan(*both)
    assert (made.people, made.repeated) == (6, 3)
    reviewed = guard(policy, tmp_path).review(made, EMPTY, NOON)
    assert (reviewed.people, reviewed.repeated) == (4, 2)
    assert guard({}, tmp_path).review(made, EMPTY, NOON).repeated == 3


def test_a_list_that_cannot_be_read_refuses(tmp_path: Path) -> None:
    """No list is no scrub: nobody is called."""
    policy = {"suppression": [{"name": "dnd", "file": "gone.csv", "date": "2026-05-10"}]}
    (action,) = guard(policy, tmp_path).review(plan(spec()), EMPTY, NOON).pending
    assert action.kind is ActionKind.BLOCKED
    assert (action.reason, [each.rule for each in action.rules]) == (
        Reason.POLICY,
        ["suppression"],
    )


@pytest.mark.parametrize("excepted", [True, False])
def test_an_unreadable_list_hides_no_other(tmp_path: Path, *, excepted: bool) -> None:
    """Where that a list cannot be read is let pass, who is on another is not called because of it.

    Whichever way it is let pass: by an exception, or by a rule that only warns.
    """
    waiver = Waiver(rule="suppression", reason="r", until=date(2026, 6, 1))
    launch = spec(people=3, clearance=Clearance(exceptions=(waiver,) if excepted else ()))
    gone = launch.requests[0].contacts[1]["phone_number"]
    (tmp_path / "opt-outs.txt").write_text(f"{gone}\n", encoding="utf-8")
    lists = [
        {"name": name, "file": f"{name}.txt", "date": "2026-05-10"} for name in ("dnd", "opt-outs")
    ]
    policy = {"suppression": lists, "warn": [] if excepted else ["suppression"]}
    (action,) = guard(policy, tmp_path).review(plan(launch), EMPTY, NOON).pending
    assert (action.kind, action.people) == (ActionKind.CREATE, 2)
    assert [(each.of, each.people) for each in action.left_out] == [("opt-outs", 1)]


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    limit=st.integers(0, 12),
    ages=st.lists(st.integers(0, 48), max_size=4),
    day=st.booleans(),
)
def test_totals_are_of_the_whole_run(
    sizes: list[int], limit: int, ages: list[int], *, day: bool
) -> None:
    """Limits of a run and a day hold over all its launches: all of them are created, or none."""
    records = {
        f"old{index}": NameRecord(generations=(_launched(index, NOON - timedelta(hours=age)),))
        for index, age in enumerate(ages)
    }
    state = replace(EMPTY, batches=records)
    old = [_old(index) for index in range(len(ages))]
    launches = [spec(f"new{index}", size) for index, size in enumerate(sizes)]
    policy = {"max_contacts": {"day" if day else "apply": limit}}
    made = guard(policy).review(plan(*old, *launches, state=state), state, NOON)
    recent = sum(2 for age in ages if age < 24) if day else 0
    kinds = Counter(action.kind for action in made.pending)
    allowed = sum(sizes) + recent <= limit
    assert kinds == {(ActionKind.CREATE if allowed else ActionKind.BLOCKED): len(sizes)}


def _old(index: int) -> Spec:
    return spec(f"old{index}")


def _launched(index: int, at: datetime) -> Generation:
    of = _old(index)
    return Generation(
        generation=1,
        campaign_id="cmp_1",
        fields=dict(of.requests[0].fields),
        source=Source(path=of.path),
        requests=(
            RequestRecord(
                part=1,
                key=f"rk1_{index}",
                status=Status.CREATED,
                digest=of.digest,
                contacts=2,
                attempt=1,
                first_attempted_at=at,
                attempted_at=at,
                run="earlier",
                batch_id=f"bat_{index}",
                recorded_at=at,
            ),
        ),
    )


def test_a_refused_action_begins_nothing() -> None:
    """What is blocked holds nothing that could be sent, and says what to type next."""
    (action,) = guard({"max_batches": 0}).review(plan(spec()), EMPTY, NOON).pending
    assert (action.kind, action.creations, action.people) == (ActionKind.BLOCKED, (), 0)
    assert action.message
    assert action.hint


def test_what_is_blocked_is_not_in_what_was_reviewed() -> None:
    """A plan that was saved while a rule refused does not allow what the rule refused."""
    refused = guard({"max_batches": 0}).review(plan(spec()), EMPTY, NOON)
    allowed = guard(None).review(plan(spec()), EMPTY, NOON)
    assert refused.essence() != allowed.essence()
