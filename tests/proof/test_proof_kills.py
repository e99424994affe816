"""Killed at every step: SIGKILL, or the power going out, at each boundary of a run.

Not a sample: a schedule dies at the first boundary, the next at the second, and so on until a run
gets through. After each death the state is whole and knows of every create that was sent, and runs
that nobody kills end with each spec created once.
"""

from __future__ import annotations

import itertools
import os
import random
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.proof.world import KILLED, SEED, SETTLED, told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.proof.world import Ended, World

    Rules = list[Mapping[str, Any]]

MOST = 400
"""No run has so many boundaries: a schedule past this would never end."""
ROUNDS = int(os.environ.get("PROOF_ROUNDS", "30"))
"""How many random schedules there are."""

FAULTS: Mapping[str, Rules] = {
    "no fault": [],
    "500 after": [{"kind": "status", "code": 500, "when": "after"}],
    "500 before": [{"kind": "status", "code": 500, "when": "before"}],
    "late": [{"kind": "late", "seconds": 30, "then": "reset"}],
    "garbled": [{"kind": "truncated"}, {"kind": "garbage", "when": "after"}],
}


def every_death(
    run: Callable[..., Ended],
    prepare: Callable[[], World],
    survive: Callable[[World], None],
    *,
    codes: frozenset[int] = frozenset({0, 3}),
    **order: Any,
) -> int:
    """Kill a run at its first boundary, its second, and so on; give how many deaths there were.

    `prepare` makes the world that each schedule begins with, `survive` checks what is left of it;
    `codes` are the exit statuses that a run may have which nothing kills.
    """
    for number in range(1, MOST):
        world = prepare()
        ended = run(world, kill_at=number, **order)
        if ended.code != KILLED:
            assert ended.code in codes, ended.err
            assert number > len(ended.trace), "it should have died"
            return number - 1
        with told(f"died at boundary {number}: {ended.trace[-1]}"):
            world.let_arrive()
            survive(world)
    pytest.fail("the run has no end")


def apply(world: World, **order: Any) -> Ended:
    """Apply, as a run to be killed."""
    return world.apply(**order)


def survive(world: World, *, ever: int = 1, **order: Any) -> None:
    """Check a world after a death, and after the runs that make up for it."""
    world.check_records()
    world.converge(**order)
    world.check_records()
    world.check(ever=ever)


@pytest.mark.parametrize(
    ("fault", "parallelism", "death"),
    [
        ("no fault", 1, "killed"),
        ("no fault", 1, "power cut"),
        ("no fault", 4, "killed"),
        ("500 after", 1, "killed"),
        ("500 after", 4, "power cut"),
        ("500 before", 1, "power cut"),
        ("late", 4, "killed"),
    ],
)
def test_death_of_a_first_run(
    make_world: Callable[..., World], fault: str, parallelism: int, death: str
) -> None:
    """A run that creates dies anywhere, alone or with its machine: nothing twice, nothing lost."""

    def prepare() -> World:
        world = make_world(2)
        world.sandbox.faults.add_all([{**rule, "operation": "create"} for rule in FAULTS[fault]])
        return world

    power = death == "power cut"
    assert every_death(apply, prepare, survive, parallelism=parallelism, power=power) > 25


def test_death_of_a_run_that_finds(make_world: Callable[..., World]) -> None:
    """A run dies while it adopts batches whose answers an earlier death swallowed."""

    def prepare() -> World:
        world = make_world(2)
        world.sandbox.faults.add(operation="create", kind="hold", when="after", times=2)
        run = world.begin(parallelism=2)
        world.sandbox.faults.wait_held(count=2)
        run.kill(9)
        assert run.wait().code == KILLED
        world.sandbox.faults.clear()
        return world

    def found(world: World) -> None:
        assert len(world.posts()) == 2
        survive(world)

    assert every_death(apply, prepare, found) > 10


@pytest.mark.parametrize(("answer", "code"), [(200, 0), (429, 0), (422, 1), (503, 3)])
def test_death_of_a_run_that_creates_again(
    make_world: Callable[..., World], answer: int, code: int
) -> None:
    """A run dies while it creates, under the old key, what an earlier run left in doubt.

    Where that is refused, or not taken now, the earlier attempt is as much in doubt as before.
    """

    def prepare() -> World:
        world = make_world(1)
        world.sandbox.faults.add(operation="create", kind="status", code=502)
        assert world.apply().code == 3
        world.pass_time(SETTLED)
        if answer != 200:
            again = {"kind": "status", "code": answer, "when": "before", "retry_after": 0.01}
            world.sandbox.faults.add(again, operation="create")
        return world

    def created_again(world: World) -> None:
        survive(world)
        assert len(set(world.posts())) == 1

    assert every_death(apply, prepare, created_again, codes=frozenset({code})) > 15


def test_death_of_a_run_that_cancels_a_second_batch(make_world: Callable[..., World]) -> None:
    """A run dies while it ends the one of two batches that came too late."""

    def prepare() -> World:
        world = make_world(1)
        world.sandbox.faults.add(operation="create", kind="late", seconds=SETTLED + 10)
        assert world.apply().code == 3
        world.pass_time(SETTLED)
        assert world.apply().code == 0
        world.pass_time(20)
        return world

    assert every_death(apply, prepare, partial(survive, ever=2)) > 15


def test_death_of_a_run_that_adopts_after_the_state_was_lost(
    make_world: Callable[..., World],
) -> None:
    """A run dies while it records anew what a lost state had recorded."""

    def prepare() -> World:
        world = make_world(2)
        assert world.apply().code == 0
        world.state_file.unlink()
        return world

    def adopted(world: World) -> None:
        world.converge()
        assert len(world.posts()) == 2
        world.check()

    assert every_death(apply, prepare, adopted) > 10


def test_death_of_a_run_that_moves(make_world: Callable[..., World]) -> None:
    """A run dies while it carries a record over to a spec's new name."""

    def prepare() -> World:
        world = make_world(2)
        assert world.apply().code == 0
        (world.root / "spec-2.yaml").rename(world.root / "renamed.yaml")
        return world

    def moved(world: World) -> None:
        world.converge()
        assert len(world.posts()) == 2
        assert set(world.state().batches) == {"spec-1", "renamed"}

    assert every_death(apply, prepare, moved) > 8


@pytest.mark.parametrize("how", ["--created", "--not-created"])
def test_death_of_a_resolve(make_world: Callable[..., World], how: str) -> None:
    """`resolve` dies anywhere: what the person said is recorded whole or not at all."""

    def prepare() -> World:
        world = make_world(1)
        (world.root / "reconciler.yaml").write_text("unknown: hold\n", "utf-8")
        when = "after" if how == "--created" else "before"
        world.sandbox.faults.add(operation="create", kind="status", code=500, when=when)
        world.sandbox.faults.add(operation="create", kind="invisible", seconds=600)
        assert world.apply().code == 3
        return world

    def arguments(world: World) -> list[str]:
        return [how, *(batch.batch_id for batch in world.sandbox.batches())]

    def resolve(world: World, **order: Any) -> Ended:
        return world.start("resolve", "spec-1", *arguments(world), **order).wait()

    def resolved(world: World) -> None:
        world.check_records()
        again = resolve(world)
        assert again.code in {0, 4}, again.err
        if how == "--not-created":
            assert world.apply().code == 0
            assert len(world.posts()) == 2
            world.pass_time(600)
        world.check()

    assert every_death(resolve, prepare, resolved) > 8


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_random_life(make_world: Callable[..., World], number: int) -> None:
    """Faults, deaths, power cuts and waiting times in any mix within the promise."""
    dice = random.Random(f"{SEED}/{number}")  # noqa: S311 - a test's dice
    world = make_world(dice.randint(1, 4))
    story: list[Any] = []
    for name in dice.sample(world.names, dice.randint(0, len(world.names))):
        for rule in FAULTS[dice.choice(list(FAULTS))]:
            story += [{**rule, "operation": "create", "match": {"name": name}}]
    if dice.random() < 0.5:
        hidden = dice.choice([20, 120])
        story.append({"kind": "invisible", "seconds": hidden, "gettable": dice.random() < 0.5})
    shape = dice.choice(["shuffle", "cap", "repeat_rows", "drop_fields", "with_metadata"])
    story.append({"operation": "list", "kind": shape, "times": dice.randint(1, 20)})
    world.sandbox.faults.add_all(story)
    for _ in range(dice.randint(1, 4)):
        order = {
            "kill_at": dice.randint(1, 70),
            "power": dice.random() < 0.3,
            "parallelism": dice.choice([1, 2, 4]),
        }
        story.append(order)
        with told(f"seed {SEED}, so far: {story}"):
            ended = world.apply(**order)
            assert ended.code in {KILLED, 0, 3}, ended.err
            world.let_arrive()
            world.check_records()
        story.append(dice.uniform(0, 400))
        world.pass_time(story[-1])
    with told(f"seed {SEED}: {story}"):
        world.converge(runs=6)
        world.check()


def test_no_create_before_its_intent_is_durable(make_world: Callable[..., World]) -> None:
    """Each create is sent after the sync of a directory that holds an intent saved before it."""
    world = make_world(4)
    ended = world.apply(parallelism=1)
    order = ("save: before", "sync file: after", "replace: after", "sync directory: after")
    first = ended.trace.index("create: before")
    places = [ended.trace.index(step) for step in order]
    assert places == sorted(places)
    assert places[-1] < first
    assert list(itertools.chain(ended.trace)).count("create: before") == 4
