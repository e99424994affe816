"""Limits of a whole run count what it launches: nothing that is refused, and no estimate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from reconciler.cli.guarding import People, layers_of
from reconciler.plan.actions import ActionKind
from reconciler.policy.guard import Guard
from reconciler.spec.config.policy import Policy
from tests.apply.doubles import World
from tests.core.builders import spec

if TYPE_CHECKING:
    from reconciler.plan.actions import Action, Creation, Plan

NOW = datetime(2026, 5, 12, 6, 0, tzinfo=UTC)


def reviewed(world: World, plan: Plan, policy: dict[str, Any]) -> tuple[Guard, dict[str, Action]]:
    """Give a guard that has reviewed a plan, and the plan's actions by name."""
    layers = layers_of(Policy.model_validate(policy))
    root = Path("/nowhere")
    guard = Guard(layers, People(root, layers), lambda each, _: (each.file, 3, 1))
    made = guard.review(plan, world.store.last, NOW)
    return guard, {action.name: action for action in made.actions}


@pytest.mark.parametrize("limit", ["apply", "day"])
def test_what_is_refused_for_itself_is_in_nobody_s_way(limit: str) -> None:
    """A spec that is too large says so itself, and others are launched as if it were not there."""
    world = World()
    plan = world.plan(spec("large", 1, n=6), spec("small", 2, n=2))
    _, actions = reviewed(world, plan, {"max_contacts": {"batch": 4, limit: 5}})
    assert actions["small"].kind is ActionKind.CREATE
    assert [each.rule for each in actions["large"].rules] == [
        "max_contacts.batch",
        f"max_contacts.{limit}",
    ]
    assert "would call 8 people" in actions["large"].rules[1].message


def test_batches_that_are_refused_are_not_counted() -> None:
    """The same holds for the number of batches."""
    world = World()
    plan = world.plan(spec("large", 1, n=6), spec("small", 2, n=2))
    _, actions = reviewed(world, plan, {"max_contacts": {"batch": 4}, "max_batches": 1})
    assert actions["small"].kind is ActionKind.CREATE
    assert actions["large"].kind is ActionKind.BLOCKED
    _, actions = reviewed(world, plan, {"max_batches": 1})
    assert {each.message for action in actions.values() for each in action.rules} == {
        "this run would create 2 batches; at most 1 is allowed at once"
    }


def sized(creation: Creation, people: int) -> Creation:
    """Give a creation of as many of its people."""
    fewer = replace(creation.request, contacts=creation.request.contacts[:people])
    return replace(creation, request=fewer)


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        ({"max_contacts": {"batch": 3}}, "max_contacts.batch"),
        ({"max_contacts": {"apply": 5}}, "max_contacts.apply"),
        ({"max_contacts": {"day": 9}}, "max_contacts.day"),
    ],
)
def test_a_changed_spec_is_counted_as_it_is_sent(policy: dict[str, Any], rule: str) -> None:
    """Calls that were in flight and failed make its batch larger than the plan could know."""
    world = World()
    before = spec("a", 1, n=4)
    world.apply(before)
    for batch_id, people in world.api.people.items():
        world.api.people[batch_id] = tuple(replace(p, status="in_progress") for p in people)
    plan = world.plan(spec("a", 2, n=6), spec("b", 3, n=2))
    guard, actions = reviewed(world, plan, policy)
    changed = actions["a"]
    assert (changed.kind, changed.people) == (ActionKind.REPLACE, 2)
    (creation,) = changed.creations
    assert guard.refusals(changed, NOW, sized(creation, 3)) == ()
    found = guard.refusals(changed, NOW + timedelta(seconds=1), sized(creation, 4))
    assert [each.rule for each in found] == [rule]
    if rule == "max_contacts.apply":
        others = guard.refusals(actions["b"], NOW, actions["b"].creations[0])
        assert [each.rule for each in others] == [rule]
