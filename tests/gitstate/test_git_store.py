"""The store itself: what it reads, what it pushes, and what it leaves alone."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import replace
from datetime import timedelta
from hashlib import sha512
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.cli.git_state import git_store
from reconciler.errors import Refused, StateError, StateMoved, StateUnusable
from reconciler.state import codec
from reconciler.state import git as git_module
from reconciler.state import git_store as store_module
from reconciler.system import RandomIds, SystemClock
from tests.gitstate.stores import NOW, created, intent, put, store_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.state.document import NameRecord, RequestRecord, State
    from tests.torture.gitworld import Clone, GitWorld

pytestmark = pytest.mark.usefixtures("surroundings")


def only(state: State, name: str) -> RequestRecord:
    """Give the only request recorded under a name."""
    (record,) = state.batches[name].current.requests
    return record


def picture(clone: Clone) -> dict[str, str]:
    """Take a picture of all of a clone that is its user's: HEAD, branches, index, work tree."""
    files = {
        path.relative_to(clone.directory).as_posix(): path.read_bytes().hex()
        for path in sorted(clone.directory.rglob("*"))
        if path.is_file() and ".git" not in path.parts[len(clone.directory.parts) :]
    }
    return {
        "files": str(files),
        "index": clone.git("ls-files", "--stage", "--debug"),
        "status": clone.git("status", "--porcelain"),
        "head": clone.git("rev-parse", "HEAD"),
        "symbolic": clone.git("symbolic-ref", "-q", "HEAD", check=False),
        "branches": clone.git("for-each-ref", "refs/heads", "refs/tags"),
        "fetched": clone.git("rev-parse", "-q", "--verify", "FETCH_HEAD", check=False),
        "config": clone.git("config", "--local", "--list"),
        "stash": clone.git("stash", "list"),
    }


def dirty(clone: Clone) -> None:
    """Leave a clone as people do: changed, staged, new and removed files."""
    (clone.root / "spec-1.yaml").write_text("changed", "utf-8")
    (clone.root / "spec-2.yaml").unlink()
    (clone.root / "new.yaml").write_text("new", "utf-8")
    (clone.root / "state.json").write_text("not mine", "utf-8")
    (clone.root / "staged.yaml").write_text("staged", "utf-8")
    clone.git("add", "batches/staged.yaml")


# -- what it reads and writes ----------------------------------------------------------------------


def test_what_is_saved_is_loaded(git_world: GitWorld) -> None:
    """Another clone loads exactly what one saved, with the serial counted."""
    store = store_of(git_world.clone())
    state = store.load()
    assert (state.serial, state.batches) == (0, {})
    saved = put(store, state, one=intent("one"))
    assert saved.serial == 1
    saved = put(store, saved, one=created("one", "batch_1"))
    assert store_of(git_world.clone(), "b").load() == saved


def test_a_long_state_is_compressed_once(git_world: GitWorld) -> None:
    """It is stored as it was packed; all that is left loose is the commit and its directories."""
    clone = git_world.clone()
    store = store_of(clone)
    names = [f"n{number:05}" for number in range(2_000)]
    many = {name: intent(name, run=sha512(name.encode()).hexdigest()) for name in names}
    saved = put(store, store.load(), **many)
    assert store_of(git_world.clone(), "b").load() == saved
    assert len(codec.encode(saved)) > 2**20
    objects = dict(line.split(": ") for line in clone.git("count-objects", "-v").splitlines())
    assert int(objects["packs"]) >= 1
    assert int(objects["size"]) < 100, "kilobytes"


def test_a_commit_changes_only_the_state(git_world: GitWorld) -> None:
    """A state commit adds one file to its parent's tree and nothing else."""
    before = git_world.tip()
    store = store_of(git_world.clone())
    put(store, store.load(), one=intent("one"))
    assert git_world.git("diff-tree", "-r", "--name-status", before, "main") == (
        "A\tbatches/state.json"
    )
    assert git_world.git("rev-parse", "main^") == before


@pytest.mark.parametrize("branch", [None, "reconciler-state"])
@pytest.mark.parametrize("make", ["clean", "dirty", "detached", "worktree", "full", "unborn index"])
def test_a_save_leaves_the_checkout_alone(
    git_world: GitWorld, make: str, branch: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work tree, index, HEAD, local branches and settings are as they were, whatever they were."""
    clone = git_world.clone(depth=None if make == "full" else 1)
    match make:
        case "dirty":
            dirty(clone)
        case "detached":
            clone.git("checkout", "-q", "--detach")
            monkeypatch.setenv("GITHUB_REF_TYPE", "branch")
            monkeypatch.setenv("GITHUB_REF_NAME", "main")
        case "worktree":
            other = git_world.directory / "worktree"
            clone.git("worktree", "add", "-q", "-b", "topic", str(other))
            clone = replace(clone, directory=other)
            git_world.git("branch", "topic", "main")
        case "unborn index":
            clone.git("rm", "-rq", "--cached", ".")
    before = picture(clone)
    store = store_of(clone, branch=branch)
    saved = put(store, store.load(), one=intent("one"))
    put(store, saved, one=created("one", "batch_1"))
    assert picture(clone) == before
    where = branch or ("topic" if make == "worktree" else "main")
    assert only(git_world.state(where), "one").batch_id == "batch_1"
    assert clone.git("for-each-ref", "refs/reconciler/commit*") == "", "nothing is left behind"


def test_a_branch_of_its_own_begins_with_nothing(git_world: GitWorld) -> None:
    """A state branch that does not exist is made, without the history and files of any other."""
    store = store_of(git_world.clone(), branch="reconciler-state")
    saved = put(store, store.load(), one=intent("one"))
    put(store, saved, one=created("one", "batch_1"))
    assert git_world.git("rev-list", "--count", "reconciler-state") == "2"
    assert git_world.git("ls-tree", "-r", "--name-only", "reconciler-state") == "batches/state.json"


@pytest.mark.parametrize("batches", [".", "a/b c/ünï", 'quo\'te "d" and \\back'])
def test_any_root_in_any_place(make_git_world: Callable[..., GitWorld], batches: str) -> None:
    """The top of the repository, and directories with spaces, quotes and letters of all kinds."""
    world = make_git_world(1, batches=batches)
    clone = world.clone()
    before = picture(clone)
    store = store_of(clone)
    saved = put(store, store.load(), one=intent("one"))
    put(store, saved, one=created("one", "batch_1"))
    assert picture(clone) == before
    assert only(store_of(world.clone(), "b").load(), "one").batch_id == "batch_1"
    assert world.git("ls-tree", "-r", "--name-only", "-z", "main").count("state.json") == 1


def test_a_root_reached_through_a_link(git_world: GitWorld) -> None:
    """A root given by a symbolic link is the directory that it leads to."""
    clone = git_world.clone()
    link = git_world.directory / "link"
    link.symlink_to(clone.root)
    store = store_of(replace(clone, directory=git_world.directory, batches="link"))
    put(store, store.load(), one=intent("one"))
    assert list(git_world.state().batches) == ["one"]


def test_a_ref_that_ends_alike_is_another(git_world: GitWorld) -> None:
    """A remote that keeps `refs/copies/refs/heads/main` has not thereby a branch of that tip."""
    git_world.git("update-ref", "refs/copies/refs/heads/main", "main")
    git_world.person.commit("More")
    store = store_of(git_world.clone())
    store.load()
    put(store, store.load(), one=intent("one"))
    assert list(git_world.state().batches) == ["one"]


def test_two_roots_in_one_clone_at_once(git_world: GitWorld) -> None:
    """Stores that share a clone do not meet: each commit is its own store's."""
    clone = git_world.clone()
    other = clone.directory / "other"
    other.mkdir()
    one, two = store_of(clone), store_of(replace(clone, batches="other"), "b")
    state_one, state_two = one.load(), two.load()
    put(one, state_one, one=intent("one"))
    with pytest.raises(StateMoved):
        put(two, state_two, two=intent("two"))
    put(two, two.load(), two=intent("two"))
    assert git_world.git("ls-tree", "-r", "--name-only", "main").count("state.json") == 2
    assert list(git_world.state().batches) == ["one"]


def test_content_that_cannot_be_trusted_is_refused(git_world: GitWorld) -> None:
    """A state with conflict markers on the branch is neither read nor overwritten."""
    (git_world.person.root / "state.json").write_text("<<<<<<< ours\n", "utf-8")
    tip = git_world.person.commit("Break it")
    with pytest.raises(StateUnusable):
        store_of(git_world.clone()).load()
    assert git_world.tip() == tip


@pytest.mark.parametrize(
    "settings",
    [
        {"push.gpgSign": "true"},
        {"commit.gpgSign": "true", "user.signingKey": "nobody", "gpg.program": "/bin/false"},
        {"push.followTags": "true", "push.default": "nothing"},
        {"log.showSignature": "true", "color.ui": "always", "core.quotePath": "true"},
        {"fetch.prune": "true", "fetch.writeCommitGraph": "true", "remote.origin.tagOpt": "--tags"},
        {"core.autocrlf": "true", "core.safecrlf": "true", "core.hooksPath": "/nowhere"},
        {"user.name": "A <b>", "user.email": "<a@example.com>"},
    ],
    ids="-".join,
)
def test_settings_of_the_user_do_not_matter(
    git_world: GitWorld, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people set up for their own commits, pushes and logs changes nothing here."""
    clone = git_world.clone()
    for name, value in settings.items():
        clone.git("config", name, value)
    monkeypatch.delenv("GIT_COMMITTER_NAME")
    monkeypatch.delenv("GIT_COMMITTER_EMAIL")
    hook = clone.directory / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR)
    store = store_of(clone)
    put(store, store.load(), one=intent("one"))
    store.require_current()
    assert list(git_world.state().batches) == ["one"]


# -- which branch ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "branch"),
    [
        ({"GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "release"}, "release"),
        (
            {
                "GITHUB_REF_TYPE": "branch",
                "GITHUB_REF_NAME": "5/merge",
                "GITHUB_BASE_REF": "release",
            },
            "release",
        ),
        ({"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"}, "main"),
        ({}, "main"),
    ],
    ids=["push", "pull request", "tag", "elsewhere"],
)
def test_the_branch_of_a_detached_checkout(
    git_world: GitWorld,
    variables: dict[str, str],
    branch: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CI says it; for a pull request it is the branch it goes into; else the remote's default."""
    clone = git_world.clone()
    clone.git("checkout", "-q", "--detach")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    place = store_of(clone).place
    assert (place.branch, place.source_branch) == (branch, branch)


# -- who is first ----------------------------------------------------------------------------------


def test_of_two_intents_one_wins(git_world: GitWorld) -> None:
    """Both planned against the same state: the second stores nothing and is told."""
    one, two = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    state_one, state_two = one.load(), two.load()
    put(one, state_one, one=intent("one"))
    tip = git_world.tip()
    with pytest.raises(StateMoved):
        put(two, state_two, two=intent("two", "b"))
    assert git_world.tip() == tip
    put(two, two.load(), two=intent("two", "b"))
    assert set(git_world.state().batches) == {"one", "two"}


def test_of_two_first_intents_one_wins(git_world: GitWorld) -> None:
    """So it is where the branch does not even exist yet."""
    one = store_of(git_world.clone(), branch="s")
    two = store_of(git_world.clone(), "b", branch="s")
    state_one, state_two = one.load(), two.load()
    put(one, state_one, one=intent("one"))
    with pytest.raises(StateMoved):
        put(two, state_two, two=intent("two", "b"))
    assert two.load().lineage == state_one.lineage


def test_the_same_commit_by_two_runs_is_two(
    git_world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same parent, same records, same second: still one wins: each commit names its run."""
    monkeypatch.setattr(SystemClock, "now", lambda _: NOW)
    one, two = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    two._lineage = one._lineage
    state_one, state_two = one.load(), two.load()
    put(one, state_one, one=intent("one"))
    with pytest.raises(StateMoved):
        put(two, state_two, one=intent("one"))


def test_an_intent_recorded_anew_competes_too(git_world: GitWorld) -> None:
    """A run that was suspended and renews its intent does not lay it onto what others stored."""
    one, two = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(one, one.load(), one=intent("one"))
    put(two, two.load(), one=created("one", "batch_2", "b"))
    later = NOW + timedelta(seconds=900)
    with pytest.raises(StateMoved):
        put(one, mine, one=intent("one", attempted_at=later))
    assert only(git_world.state(), "one").batch_id == "batch_2"


def test_outcomes_go_onto_what_is_there_by_now(git_world: GitWorld) -> None:
    """A person's commit and another run's records stay as they are; ours come on top."""
    one, two = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(one, one.load(), one=intent("one"))
    put(two, two.load(), two=created("two", "batch_2", "b"))
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.spec("merged-meanwhile")
    theirs = git_world.person.commit("A person's work")
    saved = put(one, mine, one=created("one", "batch_1"))
    assert {name: only(saved, name).batch_id for name in saved.batches} == {
        "one": "batch_1",
        "two": "batch_2",
    }
    assert git_world.state() == saved
    assert git_world.git("diff-tree", "-r", "--name-only", theirs, "main") == "batches/state.json"
    assert git_world.git("rev-parse", "main^") == theirs


def test_after_being_overtaken_nothing_new_begins(git_world: GitWorld) -> None:
    """Once outcomes were laid onto somebody's commit, the next intent has to be planned anew."""
    store = store_of(git_world.clone())
    mine = put(store, store.load(), one=intent("one"))
    git_world.person.git("pull", "-q", "--rebase")
    git_world.person.spec("spec-1", people=5)
    git_world.person.commit("Newer specs")
    mine = put(store, mine, one=created("one", "batch_1"))
    tip = git_world.tip()
    with pytest.raises(StateMoved):
        put(store, mine, two=intent("two"))
    assert git_world.tip() == tip
    put(store, store.load(), two=intent("two"))


def test_where_specs_are_on_another_branch_each_intent_looks_there(git_world: GitWorld) -> None:
    """A newer spec commit does not move the state's branch, and is noticed all the same."""
    store = store_of(git_world.clone(), branch="s")
    mine = put(store, store.load(), one=intent("one"))
    git_world.person.spec("spec-1", people=5)
    git_world.person.commit("Newer specs")
    mine = put(store, mine, one=created("one", "batch_1"))
    tip = git_world.tip("s")
    with pytest.raises(StateMoved):
        put(store, mine, two=intent("two"))
    assert git_world.tip("s") == tip


@pytest.mark.parametrize(
    ("theirs", "ours", "expected", "also"),
    [
        pytest.param(
            created("x", "batch_2", "b"), intent("x", unknown="?"), "batch_2", (),
            id="their id outlives our doubt",
        ),
        pytest.param(
            intent("x", "b", attempt=2), created("x", "batch_1"), "batch_1", (),
            id="our id outlives their attempt",
        ),
        pytest.param(
            created("x", "batch_2", "b"), created("x", "batch_1"), "batch_2", ("batch_1",),
            id="of two ids both are kept",
        ),
        pytest.param(
            created("x", "batch_1", "b"), created("x", "batch_1"), "batch_1", (),
            id="the same id is one",
        ),
        pytest.param(
            intent("x", "b", attempt=2), intent("x", unknown="?"), None, (),
            id="their newer attempt outlives our doubt",
        ),
        pytest.param(
            created("x", "batch_2", "b"), None, "batch_2", (),
            id="their id outlives our withdrawal",
        ),
    ],
)  # fmt: skip
def test_nothing_anybody_learned_is_lost(
    git_world: GitWorld,
    theirs: NameRecord,
    ours: NameRecord | None,
    expected: str | None,
    also: tuple[str, ...],
) -> None:
    """Two runs recorded different things of one request: no id is lost, no doubt hides a fact."""
    one, two = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(one, one.load(), x=intent("x"))
    put(two, two.load(), x=theirs)
    changed = mine.with_record("x", ours)
    saved = one.save(changed, touched=frozenset({"x"}), why="")
    record = only(saved, "x")
    assert (record.batch_id, record.duplicates) == (expected, also)
    assert record.run == (
        "a" if expected == "batch_1" and not also and theirs.current.in_doubt else "b"
    )
    if also:
        assert record.watch_until is not None
        assert record.watch_until > NOW
    assert git_world.state() == saved


def test_a_move_and_a_change_of_what_moved(git_world: GitWorld) -> None:
    """One run moved a record while another changed it: one is left, and the state is whole."""
    one, two = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    put(one, one.load(), old=created("x", "batch_1"))
    mine = one.load()
    theirs = created("x", "batch_1", duplicates=("batch_9",))
    put(two, two.load(), old=theirs)
    moved = mine.with_record("new", mine.record("old")).with_record("old", None)
    saved = one.save(moved, touched=frozenset({"old", "new"}), why="")
    assert saved.batches == {"new": theirs}, "with what the other learned"
    assert git_world.state() == saved


def test_what_contradicts_itself_is_not_pushed(git_world: GitWorld) -> None:
    """Both record one batch, under two keys: the branch stays, or nobody could go on."""
    one, two = (store_of(git_world.clone(), run) for run in ("a", "b"))
    begun = put(one, one.load(), a=intent("a", run="a"))
    put(two, two.load(), b=created("b", "bat_1"))
    before = git_world.tip()
    with pytest.raises(StateUnusable, match=r"cannot both be true[\s\S]+bat_1 stands 2 times"):
        put(one, begun, a=created("a", "bat_1"))
    assert git_world.tip() == before
    assert two.load().batch_ids() == {"bat_1": "b"}


def test_a_withdrawn_intent_that_arrives_after_all_is_withdrawn(
    git_world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push given up for lost lands later: what its own run says about its intent counts."""
    store = store_of(git_world.clone())
    state = store.load()
    late: list[str] = []

    def lost(_: Any, __: str, commit: str, ___: str) -> git_module.Pushed:
        late.append(commit)
        return git_module.Pushed(git_module.PushFate.UNKNOWN)

    with monkeypatch.context() as patch:
        patch.setattr(git_module.Git, "push", lost)
        with pytest.raises(StateError, match="did not go through"):
            put(store, state, x=intent("x"))
    assert len(set(late)) == 1, "it is tried again, as the same commit"
    store.git._read("push", "-q", "origin", f"{late[0]}:refs/heads/main")
    saved = store.save(state, touched=frozenset({"x"}), why="")
    assert saved.batches == {}
    assert git_world.state() == saved


# -- pushes whose fate is unknown ------------------------------------------------------------------

AFTER = 'git "$@"; code=$?; test "$push" && kill -9 $$; exit $code'
BEFORE = 'test "$push" && kill -9 $$; git "$@"'
SILENT = 'if test "$push"; then git "$@" >/dev/null 2>&1; exit 128; fi; git "$@"'


@pytest.fixture
def broken_git(
    git_world: GitWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, int], None]:
    """Give a maker of a `git` that fails in its first pushes, each in the way a script says."""
    real = subprocess.run(
        ["sh", "-c", "command -v git"], check=True, capture_output=True, text=True
    ).stdout.strip()

    def make(script: str, times: int = 1) -> None:
        directory = tmp_path / "bin"
        directory.mkdir()
        count = tmp_path / "count"
        count.write_text(str(times), "utf-8")
        told = script.replace('git "$@"', f'"{real}" "$@"')
        program = directory / "git"
        program.write_text(
            "#!/bin/sh\n"
            'push=; for word; do test "$word" = push && push=1; done\n'
            f'if test "$push"; then left=$(cat "{count}"); echo $((left - 1)) > "{count}"; '
            'test "$left" -gt 0 || push=; fi\n'
            f"{told}\n",
            "utf-8",
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}:{git_world.environment['PATH']}")

    return make


@pytest.mark.parametrize("script", [AFTER, SILENT], ids=["killed", "silent"])
def test_a_push_that_went_through_without_a_word(
    git_world: GitWorld, broken_git: Callable[..., None], script: str
) -> None:
    """The connection breaks after the push: it is looked for, found, and not done a second time."""
    store = store_of(git_world.clone())
    state = store.load()
    broken_git(script)
    pushes = git_world.pushes()
    saved = put(store, state, one=intent("one"))
    assert git_world.state() == saved
    assert git_world.pushes() == pushes + 1


@pytest.mark.parametrize(
    "record", [intent("one"), created("one", "batch_1")], ids=["intent", "outcome"]
)
def test_a_push_that_never_left(
    git_world: GitWorld, broken_git: Callable[..., None], record: NameRecord
) -> None:
    """The connection breaks before the push: it is looked for, missed, and pushed again."""
    store = store_of(git_world.clone())
    state = store.load()
    broken_git(BEFORE)
    saved = put(store, state, one=record)
    assert git_world.state() == saved


def test_a_push_that_never_works_is_no_success(
    git_world: GitWorld, broken_git: Callable[..., None]
) -> None:
    """However often it is lost, an intent that is not on the branch is not taken for pushed."""
    store = store_of(git_world.clone())
    state = store.load()
    tip = git_world.tip()
    broken_git(BEFORE, 100)
    with pytest.raises(StateError, match="did not go through"):
        put(store, state, one=intent("one"))
    assert git_world.tip() == tip


def test_a_failed_save_forgets_nothing(
    git_world: GitWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcomes that could not be pushed go with the next save, without undoing others' work."""
    one, two = store_of(git_world.clone()), store_of(git_world.clone(), "b")
    mine = put(one, one.load(), one=intent("one"))
    put(two, two.load(), two=created("two", "batch_2", "b"))
    changed = mine.with_record("one", created("one", "batch_1"))
    monkeypatch.setattr(store_module, "TRIES", 2)
    with monkeypatch.context() as patch:
        patch.setattr(
            git_module.Git, "push", lambda *_: git_module.Pushed(git_module.PushFate.UNKNOWN)
        )
        with pytest.raises(StateError):
            one.save(changed, touched=frozenset({"one"}), why="")
    saved = one.save(changed, touched=frozenset({"one"}), why="")
    assert set(saved.batches) == {"one", "two"}


def test_a_git_that_hangs_is_ended(
    git_world: GitWorld, broken_git: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A push that gives no answer ends with everything it started, and counts as unknown."""
    store = store_of(git_world.clone())
    state = store.load()
    tip = git_world.tip()
    broken_git('test "$push" && { sleep 60; exit 1; }; git "$@"', 100)
    monkeypatch.setattr(git_module, "NETWORK_TIMEOUT", 0.3)
    with pytest.raises(StateError, match="no answer"):
        put(store, state, one=intent("one"))
    assert git_world.tip() == tip


def test_a_branch_in_the_way(git_world: GitWorld) -> None:
    """A branch that git cannot make beside another is told as such, not as a lost race."""
    store = store_of(git_world.clone(), branch="main/state")
    with pytest.raises((StateError, Refused)) as told:
        put(store, store.load(), one=intent("one"))
    assert not isinstance(told.value, StateMoved)
    assert "--state-branch" in told.value.hint


def test_a_token_in_the_url_is_not_told(git_world: GitWorld) -> None:
    """What stands before the host of a remote given as a URL is in no message."""
    clone = git_world.clone()
    store = git_store(
        clone.root,
        remote="https://user:gat_secret@127.0.0.1:1/x.git",
        branch="main",
        clock=SystemClock(),
        ids=RandomIds(),
        run="a",
    )
    assert "gat_secret" not in store.where
    with pytest.raises(StateError) as told:
        store.load()
    assert "gat_secret" not in told.value.message
    assert "gat_secret" not in clone.git("for-each-ref")


def test_the_bytes_are_those_of_a_file(git_world: GitWorld) -> None:
    """The state on a branch is the same text as in a file: people and merges read it alike."""
    store = store_of(git_world.clone())
    saved = put(store, store.load(), one=intent("one"))
    assert git_world.git("cat-file", "blob", "main:batches/state.json") == (
        codec.encode(saved).decode().strip()
    )
