"""The brake put on while an apply runs: real commands, real sockets, the first POST held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.gitworld import KILLED

if TYPE_CHECKING:
    from tests.proof.world import World
    from tests.torture.gitworld import GitWorld

PLACES = pytest.mark.parametrize(
    "state",
    [("--state=git",), ("--state=git", "--state-branch=reconciler-state")],
    ids=["same branch", "own branch"],
)
WAYS = pytest.mark.parametrize("way", ["FREEZE", "reconciler.yaml"])


def put_on(world: GitWorld, way: str) -> None:
    """Push a freeze, as a person does."""
    person = world.person
    person.git("pull", "-q", "--rebase")
    if way == "FREEZE":
        (person.root / "FREEZE").write_text("complaint from +15550000001\n", "utf-8")
    else:
        (person.root / way).write_text("chunk: 2\nfreeze: a complaint\n", "utf-8")
    person.commit("Stop everything")


def take_off(world: GitWorld, way: str) -> None:
    """Push the end of it."""
    person = world.person
    person.git("pull", "-q", "--rebase")
    if way == "FREEZE":
        (person.root / "FREEZE").unlink()
    else:
        (person.root / way).write_text("chunk: 2\n", "utf-8")
    person.commit("Go on")


@PLACES
@WAYS
def test_a_freeze_pushed_between_two_posts(
    git_world: GitWorld, state: tuple[str, ...], way: str
) -> None:
    """No further POST arrives, the run says so and ends with 4, and nothing is in doubt."""
    branch = "main" if len(state) == 1 else "reconciler-state"
    clone = git_world.clone()
    git_world.sandbox.faults.add(operation="create", kind="hold")
    run = git_world.begin(clone, state=state)
    git_world.sandbox.faults.wait_held()
    put_on(git_world, way)
    git_world.sandbox.faults.release()
    ended = run.wait()
    assert (ended.code, len(git_world.posts())) == (4, 1), ended.err
    assert sorted(ended.outcomes.values()) == ["blocked", "blocked", "blocked", "created"]
    said = {a["message"] for a in ended.report["actions"] if a["outcome"] == "blocked"}
    assert len(said) == 1
    assert "everything is frozen: origin/main:batches/" in said.pop()
    assert "15550000001" not in ended.out + ended.err
    assert [r.in_doubt for _, _, r in git_world.state(branch).requests()] == [False]
    # The checkout that has the freeze creates nothing either.
    again = git_world.apply(state=state)
    assert (again.code, len(git_world.posts())) == (4, 1), again.err
    take_off(git_world, way)
    assert git_world.apply(state=state).code == 0
    assert len(git_world.posts()) == 4
    git_world.check(branch=branch)


def test_several_senders(git_world: GitWorld) -> None:
    """What several senders had begun arrives; whatever asks after the push does not leave."""
    git_world.sandbox.faults.add(operation="create", kind="hold", times=2)
    run = git_world.begin(git_world.clone(), parallelism=2)
    git_world.sandbox.faults.wait_held()
    while len(git_world.sandbox.faults.held()) < 2:
        git_world.sandbox.faults.wait_held()
    put_on(git_world, "FREEZE")
    git_world.sandbox.faults.release()
    ended = run.wait()
    assert (ended.code, len(git_world.posts())) == (4, 2), ended.err
    take_off(git_world, "FREEZE")
    git_world.settle()
    git_world.check()


def test_the_remote_cannot_be_asked(git_world: GitWorld) -> None:
    """A look that is not possible is a freeze: the request is not sent."""
    clone = git_world.clone()
    git_world.sandbox.faults.add(operation="create", kind="hold")
    run = git_world.begin(clone)
    git_world.sandbox.faults.wait_held()
    away = git_world.remote.with_name("away.git")
    git_world.remote.rename(away)
    git_world.sandbox.faults.release()
    ended = run.wait()
    away.rename(git_world.remote)
    assert len(git_world.posts()) == 1
    assert ended.code == 3, "one batch exists, and where its id is recorded cannot be reached"
    assert "everything is frozen: nobody can tell what origin says" in ended.err
    git_world.settle()
    git_world.check()


@pytest.mark.parametrize("at", ["create: before", "create: after"])
def test_a_run_that_died_and_a_freeze(git_world: GitWorld, at: str) -> None:
    """What a killed run left in doubt is found under the freeze, and not created again by it."""
    assert git_world.apply(None, at=at).code == KILLED
    git_world.let_arrive()
    made = len(git_world.sandbox.batches())
    put_on(git_world, "FREEZE")
    for _ in range(2):
        git_world.pass_time(700)
        frozen = git_world.apply()
        assert frozen.code == 4, frozen.err
    assert len(git_world.sandbox.batches()) == made
    recorded = git_world.state().batch_ids()
    assert {batch.batch_id for batch in git_world.sandbox.batches()} == set(recorded)
    take_off(git_world, "FREEZE")
    git_world.settle()
    git_world.check()


def test_a_changed_spec_under_a_freeze(git_world: GitWorld) -> None:
    """The old batch is paused and stays so; after the freeze the change is carried out, once."""
    assert git_world.apply().code == 0
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.spec("spec-1", people=3)
    git_world.person.commit("Change")
    (old,) = git_world.batches("spec-1")
    git_world.sandbox.faults.add(operation="pause", kind="hold", when="after")
    run = git_world.begin(git_world.clone(), "--drain=0")
    git_world.sandbox.faults.wait_held()
    put_on(git_world, "FREEZE")
    git_world.sandbox.faults.release()
    ended = run.wait()
    assert ended.code == 4, ended.err
    assert [(b.batch_id, b.status) for b in git_world.batches("spec-1")] == [
        (old.batch_id, "paused")
    ]
    assert git_world.apply(None, "--drain=0").code == 4
    assert [b.status for b in git_world.batches("spec-1")] == ["paused"]
    take_off(git_world, "FREEZE")
    assert git_world.apply(None, "--drain=0").code == 0
    assert sorted(b.status for b in git_world.batches("spec-1")) == ["cancelled", "in_progress"]


@WAYS
def test_with_state_in_a_file(world: World, way: str) -> None:
    """The file beside the specs does the same at once, in a run under way too."""
    world.sandbox.faults.add(operation="create", kind="hold")
    run = world.begin()
    world.sandbox.faults.wait_held()
    path = world.root / way
    path.write_text("" if way == "FREEZE" else "freeze: true\n", "utf-8")
    world.sandbox.faults.release()
    ended = run.wait()
    assert (ended.code, len(world.posts())) == (4, 1), ended.err
    assert sorted(ended.outcomes.values()) == ["blocked", "blocked", "created"]
    world.check_records()
    assert (world.apply().code, len(world.posts())) == (4, 1)
    path.unlink()
    assert world.apply().code == 0
    world.check()


def test_a_root_that_is_frozen_from_the_start(git_world: GitWorld) -> None:
    """Nothing is sent, no intent is recorded, and the reason has no number in it."""
    put_on(git_world, "FREEZE")
    ended = git_world.apply()
    assert (ended.code, git_world.posts()) == (4, [])
    assert "complaint from +15*******01" in ended.out
    assert git_world.state().batches == {}
