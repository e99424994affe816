"""Changed specs with state in git: what is pushed, and two machines that meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.torture.gitworld import GitWorld


def subjects(world: GitWorld, since: str) -> list[str]:
    """Give the subjects of the commits since then, the oldest first."""
    told = world.git("log", "--reverse", "--format=%s", f"{since}..main")
    return [line for line in told.splitlines() if line]


def test_each_step_of_a_change_is_a_commit(git_world: GitWorld) -> None:
    """Whoever reads the log sees what took the place of what."""
    assert git_world.apply().code == 0
    old = git_world.batches("spec-1")[0].batch_id
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.spec("spec-1", people=3)
    git_world.person.commit("One more")
    since = git_world.tip()
    assert git_world.apply(None, "--drain=0").code == 0
    old_batch, _ = git_world.batches("spec-1")
    assert (old_batch.batch_id, old_batch.status) == (old, "cancelled")
    assert subjects(git_world, since) == [
        f"Begin to replace spec-1 as {old} [skip ci]",
        "Update 1 batch, intend to create 1 batch [skip ci]",
        "Cancel 1 batch, record 1 batch [skip ci]",
        "Update 1 batch, finish replacing 1 batch [skip ci]",
    ]
    assert git_world.apply().report["actions"] == []


def test_two_machines_carry_out_the_same_change(git_world: GitWorld) -> None:
    """One of them wins the race for the state; there is one new batch, and nobody is lost."""
    assert git_world.apply().code == 0
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.spec("spec-1", people=3)
    git_world.person.commit("One more")
    first, second = git_world.clone(), git_world.clone()
    runs = [git_world.begin(clone, "--drain=0") for clone in (first, second)]
    codes = sorted(run.wait().code for run in runs)
    assert codes[0] == 0
    assert codes[1] in {0, 3}, "the other did the rest, or was told who is at it"
    git_world.settle()
    statuses = [batch.status for batch in git_world.batches("spec-1")]
    assert statuses.count("cancelled") == len(statuses) - 1 == 1
    assert git_world.apply().report["actions"] == []


def test_an_old_checkout_changes_nothing_back(git_world: GitWorld) -> None:
    """Superseded: neither is the change undone, nor a batch paused for it."""
    assert git_world.apply().code == 0
    old = git_world.clone()
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.spec("spec-1", people=3)
    git_world.person.commit("One more")
    assert git_world.apply(None, "--drain=0").code == 0
    made = git_world.posts()
    ended = git_world.apply(old, "--drain=0")
    assert ended.code == 0
    assert "superseded" in ended.err
    assert git_world.posts() == made
