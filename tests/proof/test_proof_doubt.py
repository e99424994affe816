"""Life with a spec in doubt: renamed, changed, removed, resolved by hand, seen by odd clocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proof.world import SETTLED

if TYPE_CHECKING:
    from tests.proof.world import World

CHANGED = "max_retries_override: 1\nreconcile: {on_change: forbid}\n"


def doubt(world: World, when: str) -> None:
    """Leave spec-2 in doubt: nothing came of it, or a batch that lists show only later."""
    only = {"match": {"name": "spec-2"}}
    world.sandbox.faults.add(operation="create", kind="reset", when=when, **only)
    if when == "after":
        world.sandbox.faults.add(operation="create", kind="invisible", seconds=500, **only)
    assert world.apply().code == 3
    assert len(world.posts()) == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_on_hold(world: World, when: str) -> None:
    """With `unknown: hold` no time is long enough: a person decides."""
    (world.root / "reconciler.yaml").write_text("unknown: hold\n", "utf-8")
    doubt(world, when)
    hidden = world.batches("spec-2")
    for _ in range(3):
        world.pass_time(20 if hidden else 50 * SETTLED)
        ended = world.apply()
        assert ended.code == 3
        assert "unknown: hold" in ended.out
    assert len(world.posts()) == 3
    if not hidden:
        assert world.resolve("spec-2", "--not-created").code == 0
        assert world.apply().code == 0
        assert len(world.posts()) == 4
        assert world.posts()[3] in world.posts()[:3], "the same key"
    else:
        assert world.resolve("spec-2", "--created", hidden[0].batch_id).code == 0
        assert world.apply().code == 0
        assert len(world.posts()) == 3
    world.pass_time(500)
    world.check()


def test_on_hold_and_found(world: World) -> None:
    """A batch that shows itself needs no person."""
    (world.root / "reconciler.yaml").write_text("unknown: hold\n", "utf-8")
    doubt(world, "after")
    world.pass_time(500)
    assert world.converge() == [0]
    assert len(world.posts()) == 3
    world.check()


def test_resolve_by_mistake(world: World) -> None:
    """A batch that somebody took for not created is created again, and one of both then ends."""
    doubt(world, "after")
    assert world.resolve("spec-2", "--not-created").code == 0
    assert world.apply().code == 0
    assert len(world.batches("spec-2")) == 2
    world.pass_time(500)
    assert world.apply().code == 0
    assert len(world.batches("spec-2")) == 2
    assert set(world.state().batch_ids()) == {b.batch_id for b in world.sandbox.batches()}


@pytest.mark.parametrize(
    "wrong", ["batch_unknown", "one of another campaign", "one of another spec"]
)
def test_resolve_with_a_wrong_id(world: World, wrong: str) -> None:
    """An id that cannot be this request's batch is refused, and changes nothing."""
    doubt(world, "before")
    before = world.state_file.read_bytes()
    other = world.record("spec-1").batch_id
    ids = {"batch_unknown": "batch_unknown", "one of another spec": str(other)}
    if wrong == "one of another campaign":
        stranger = world.root / "stranger.yaml"
        world.write("stranger")
        stranger.write_text(stranger.read_text("utf-8").replace("cmp_abc123", "cmp_london"))
        world.apply()
        before = world.state_file.read_bytes()
        ids[wrong] = world.batches("stranger")[0].batch_id
    assert world.resolve("spec-2", "--created", ids[wrong]).code == 4
    assert world.state_file.read_bytes() == before


@pytest.mark.parametrize("when", ["before", "after"])
def test_renamed_while_in_doubt(world: World, when: str) -> None:
    """The new name waits for the old one's doubt: the same people, called once."""
    doubt(world, when)
    (world.root / "spec-2.yaml").rename(world.root / "renamed.yaml")
    for _ in range(2):
        world.pass_time(100)
        assert world.apply().code == 3
    assert len(world.posts()) == 3
    world.pass_time(SETTLED)
    if when == "before":
        # Its contents stand in no spec of that name, so it is not created again by itself.
        assert world.apply().code == 3
        assert len(world.posts()) == 3
        assert world.resolve("spec-2", "--not-created").code == 0
        assert world.converge() == [0]
        assert len(world.posts()) == 4
    else:
        assert world.converge() == [0]
        assert len(world.posts()) == 3
    assert set(world.state().batches) >= {"spec-1", "spec-3", "renamed"}
    made = [batch for batch in world.sandbox.batches() if batch.status != "cancelled"]
    assert len(made) == len({number for b in made for number in b.phone_numbers}) / 2 == 3


def goes_on_with(world: World, spec: str, when: str) -> None:
    """Put the spec back that was in doubt: it is created if it was not, and all is well."""
    assert len(world.posts()) == 3
    (world.root / "spec-2.yaml").write_text(spec, "utf-8")
    assert world.converge() == [0]
    assert len(world.posts()) == (4 if when == "before" else 3)
    world.check()


@pytest.mark.parametrize("when", ["before", "after"])
def test_removed_while_in_doubt(world: World, when: str) -> None:
    """A doubt outlives its spec; what is found is recorded, what is not ends at a person."""
    doubt(world, when)
    spec = (world.root / "spec-2.yaml").read_text("utf-8")
    (world.root / "spec-2.yaml").unlink()
    world.pass_time(100)
    assert world.apply().code == 3
    world.pass_time(SETTLED)
    if when == "before":
        ended = world.apply()
        assert ended.code == 3
        assert "its spec was removed" in ended.out
        assert "resolve spec-2 --not-created" in ended.out
    else:
        assert world.apply().code == 0
        assert world.record("spec-2").batch_id == world.batches("spec-2")[0].batch_id
    goes_on_with(world, spec, when)


@pytest.mark.parametrize("when", ["before", "after"])
def test_changed_while_in_doubt(world: World, when: str) -> None:
    """A change waits until it is known what became of the spec as it was."""
    doubt(world, when)
    spec = (world.root / "spec-2.yaml").read_text("utf-8")
    world.write("spec-2", more=CHANGED)
    world.pass_time(100)
    assert world.apply().code == 3
    world.pass_time(SETTLED)
    ended = world.apply()
    if when == "before":
        assert ended.code == 3
        assert "its spec was changed" in ended.out
    else:
        assert ended.code == 4, "found, and then the change itself is forbidden"
        assert world.record("spec-2").batch_id == world.batches("spec-2")[0].batch_id
    goes_on_with(world, spec, when)


@pytest.mark.parametrize("hours", [1, 5, 48])
def test_a_clock_that_was_set_back(world: World, hours: int) -> None:
    """An attempt that seems to lie in the future is not old enough, however far."""
    doubt(world, "before")
    world.turn_clock(-3_600 * hours)
    for _ in range(3):
        world.pass_time(SETTLED)
        assert world.apply().code == 3
    assert len(world.posts()) == 3
    world.turn_clock(3_600 * hours)
    assert world.converge() == [0]
    world.check()


@pytest.mark.parametrize("hours", [-48, -1, 1, 48])
def test_a_machine_whose_clock_is_wrong(world: World, hours: int) -> None:
    """Batches are found by their key although their times do not fit ours."""
    world.turn_clock(3_600 * hours)
    world.sandbox.faults.add(operation="create", kind="reset", when="after", times=2)
    assert world.apply().code == 0
    assert len(world.posts()) == 3
    doubt_later = world.sandbox.faults.add(operation="create", kind="late", seconds=100)
    world.write("spec-4")
    assert world.apply().code == 3
    world.sandbox.faults.remove(doubt_later)
    world.pass_time(SETTLED)
    assert world.converge() == [0]
    assert len(world.posts()) == 4
    world.check([*world.names, "spec-4"])


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_jumps_between_two_runs(world: World, hours: int) -> None:
    """A run with another clock finds what a dead one made, and sends nothing of it again."""
    gate = world.sandbox.faults.add(operation="create", kind="hold", when="after")
    run = world.begin(parallelism=1)
    world.sandbox.faults.wait_held(gate)
    run.kill(9)
    run.wait()
    world.sandbox.faults.clear()
    world.turn_clock(3_600 * hours)
    assert world.apply().code in {0, 3}
    assert world.record("spec-1").batch_id == world.batches("spec-1")[0].batch_id
    world.turn_clock(-3_600 * hours)
    world.pass_time(SETTLED)
    world.converge()
    assert len(world.posts()) == 3
    world.check()
